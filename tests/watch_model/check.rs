//! What must hold at rest between folder, ledger and service.
//!
//! Must not: ask the program's own code what it thinks of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use supametas_sync::sandbox::UploadRecord;

use super::writers::{Past, Version};

/// A row of the ledger.
#[derive(Debug)]
pub struct Row {
    pub version: Version,
    pub state: String,
}

/// Everything at one moment.
#[derive(Debug)]
pub struct Picture {
    /// What lies in the folder, with its content's blake3.
    pub lying: BTreeMap<Version, String>,
    pub rows: Vec<Row>,
    pub uploads: Vec<UploadRecord>,
}

/// The ledger's rows, read beside the daemon.
pub fn rows(ledger: &Path) -> Vec<Row> {
    let conn = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = conn
        .prepare("SELECT path, inode, size, mtime_ns, state FROM files")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            version: Version {
                path: row.get(0)?,
                inode: row.get::<_, i64>(1)?.cast_unsigned(),
                size: row.get::<_, i64>(2)?.cast_unsigned(),
                mtime_ns: row.get(3)?,
            },
            state: row.get(4)?,
        })
    };
    let rows = statement.query_map([], row).unwrap();
    rows.map(Result::unwrap).collect()
}

/// What must never be, at rest or before: no time heals it.
pub fn never(now: &Picture, past: &Past) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sent = BTreeSet::new();
    for upload in &now.uploads {
        let hash = upload.blake3.as_deref().unwrap_or_default();
        if !past.contents.contains(hash) {
            wrong.push(format!("HALF OR MIXED, never was there: {upload:?}"));
        }
        if !sent.insert(hash) {
            wrong.push(format!("TWICE: {upload:?}"));
        }
    }
    for row in &now.rows {
        let shown = show(&row.version);
        let passed = matches!(&*row.state, "gone" | "superseded");
        // A look may fall into the middle of a step; such a version is not sent.
        if !past.versions.contains(&row.version) && !passed {
            wrong.push(format!("NEVER THERE: {shown} is {}", row.state));
        }
        if row.version.path.ends_with(b".part") || row.version.path.ends_with(b".tmp") {
            wrong.push(format!("a temporary name was taken: {shown}"));
        }
    }
    wrong
}

/// What does not hold yet: empty once all is done.
pub fn not_yet(now: &Picture) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows: BTreeMap<&Version, &str> = now.rows.iter().map(|r| (&r.version, &*r.state)).collect();
    let sent: BTreeSet<&str> = now
        .uploads
        .iter()
        .filter_map(|u| u.blake3.as_deref())
        .collect();
    for (version, hash) in &now.lying {
        let shown = show(version);
        if version.path.ends_with(b".part") || version.path.starts_with(b".") {
            continue;
        }
        match rows.get(version) {
            None => wrong.push(format!("LOST, no row: {shown}")),
            Some(&("succeeded" | "duplicate")) if !sent.contains(&**hash) => {
                wrong.push(format!("LOST, never arrived: {shown}"));
            }
            Some(&("succeeded" | "duplicate")) => {}
            // By its type: the sandbox would refuse it, and does not see it.
            Some(&"unsupported") if version.path.ends_with(b".bin") => {}
            Some(state) => wrong.push(format!("it lies there, and is {state}: {shown}")),
        }
    }
    for row in &now.rows {
        let ended = [
            "succeeded",
            "duplicate",
            "unsupported",
            "gone",
            "superseded",
        ];
        if !now.lying.contains_key(&row.version) && !ended.contains(&&*row.state) {
            let shown = show(&row.version);
            wrong.push(format!("not there any more, and {}: {shown}", row.state));
        }
    }
    wrong
}

fn show(version: &Version) -> String {
    format!(
        "{} (inode {}, {} bytes, time {})",
        String::from_utf8_lossy(&version.path),
        version.inode,
        version.size,
        version.mtime_ns
    )
}
