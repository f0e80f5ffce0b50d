//! The comparison of what was dropped with the sandbox, the ledger and the
//! folders: what is said in docs/guarantees.md, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use super::mix::{Fate, Register, Version};
use super::stage::{After, FOLDERS, Stage, dataset};

/// What was seen at rest, for the summary.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub versions: usize,
    pub uploads: usize,
    /// Uploads beyond the first of a content, each with its record.
    pub explained: usize,
    /// Files that wait for an operator (`hold`).
    pub unconfirmed: usize,
    pub duplicates: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.versions += more.versions;
        self.uploads += more.uploads;
        self.explained += more.explained;
        self.unconfirmed += more.unconfirmed;
        self.duplicates += more.duplicates;
    }
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or("")
}

/// A version's row: folder, path and size tell versions apart, since the mix
/// never gives two versions of a path the same size.
type Rows<'a> = BTreeMap<(&'a str, &'a str, u64), Vec<&'a Value>>;

fn by_version(list: &Value) -> Rows<'_> {
    let mut rows = Rows::new();
    for row in list.as_array().expect("a list") {
        let key = (
            text(row, "folder"),
            text(row, "file"),
            row["size"].as_u64().unwrap(),
        );
        rows.entry(key).or_default().push(row);
    }
    rows
}

fn key(version: &Version) -> (&'static str, &str, u64) {
    (FOLDERS[version.folder].name, &version.path, version.size)
}

/// Waits until nothing is under way any more; the rows as they are then, or
/// what does not come to an end.
pub fn at_rest(stage: &Stage, register: &Register) -> Result<Value, Vec<String>> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let list = stage.ask(&["list", "--json", "--limit", "0"]);
        let busy = what_is_busy(&list, register);
        if busy.is_empty() {
            return Ok(list);
        }
        if Instant::now() >= deadline {
            return Err(busy);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn what_is_busy(list: &Value, register: &Register) -> Vec<String> {
    let under_way = ["queued", "uploading", "submitted"];
    let rows = by_version(list);
    let mut busy: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| {
            under_way.contains(&text(row, "state")) || text(row, "source").starts_with("to be ")
        })
        .map(Value::to_string)
        .collect();
    let left = |v: &&Version| v.fate == Fate::Left && !rows.contains_key(&key(v));
    busy.extend(
        register
            .versions
            .iter()
            .filter(left)
            .map(|v| format!("not in the ledger: {v:?}")),
    );
    busy
}

/// Everything that is wrong at rest; empty: nothing was lost, nothing was sent
/// twice without a record, and every source is where it belongs.
pub fn all(stage: &Stage, register: &Register, list: &Value) -> (Vec<String>, Tally) {
    let mut wrong = Vec::new();
    let mut tally = Tally {
        versions: register.versions.len(),
        ..Tally::default()
    };
    let rows = by_version(list);
    let uploads = stage.sandbox("uploads");
    let uploads = uploads.as_array().unwrap();
    tally.uploads = uploads.len();
    let mut taken: BTreeMap<(bool, &str), Vec<&Value>> = BTreeMap::new();
    let hold_print = &blake3::hash(b"key-hold").to_hex()[..8];
    for upload in uploads {
        let hold = text(upload, "key") == hold_print;
        let identity = upload["blake3"].as_str();
        let identity = identity.unwrap_or_else(|| text(upload, "file_name"));
        taken.entry((hold, identity)).or_default().push(upload);
    }
    let mut groups: BTreeMap<(bool, &str), Vec<&Version>> = BTreeMap::new();
    for version in &register.versions {
        let group = (FOLDERS[version.folder].hold, version.identity.as_str());
        groups.entry(group).or_default().push(version);
    }
    // Never a half file, never a mix of two: what arrived is what was dropped.
    for (group, uploads) in &taken {
        if !groups.contains_key(group) {
            wrong.push(format!("nobody dropped this: {uploads:?}"));
        }
    }
    for (group, versions) in &groups {
        let uploads = taken.get(group).map_or(&[][..], Vec::as_slice);
        let own: Vec<&Value> = versions
            .iter()
            .flat_map(|v| rows.get(&key(v)).into_iter().flatten().copied())
            .collect();
        let mut say = |what: &str| {
            wrong.push(format!(
                "{what}\n  dropped: {versions:?}\n  rows: {own:?}\n  uploads: {uploads:?}"
            ));
        };
        let in_state = |state: &str| own.iter().filter(|row| text(row, "state") == state).count();
        let left = versions.iter().any(|v| v.fate == Fate::Left);
        if versions[0].unsupported {
            if !uploads.is_empty() {
                say("sent, though the service takes no such file");
            }
            continue;
        }
        tally.unconfirmed += in_state("unconfirmed");
        tally.duplicates += in_state("duplicate");
        // Imported, or in a state that names the reason.
        if uploads.is_empty() && left && !(group.0 && in_state("unconfirmed") > 0) {
            say("LOST: never arrived");
        }
        // At most once; with `resend`, once more for each answer that a crash
        // has lost after the last byte, and on record.
        if uploads.len() > 1 {
            let more = uploads.len() - 1;
            let doubts: usize = own.iter().map(|row| doubts(stage, row)).sum();
            let told = own.iter().any(|row| row["possible_duplicate"] == true);
            if group.0 {
                say("TWICE: and the folder's policy is `hold`");
            } else if more > doubts || !told {
                say(&format!("TWICE: unexplained, {doubts} answers were lost"));
            } else {
                tally.explained += more;
            }
        }
        for row in own.iter().filter(|row| text(row, "state") == "succeeded") {
            if !uploads.iter().any(|u| u["task_id"] == row["task"]) {
                say("a success with a task that is another file's");
            }
        }
        for version in versions.iter().filter(|v| v.fate == Fate::Left) {
            for problem in version_at_rest(stage, version, &rows, &own) {
                say(&problem);
            }
        }
    }
    wrong.extend(strays(stage));
    (wrong, tally)
}

/// How many attempts of this file a crash has cut off after the last byte.
fn doubts(stage: &Stage, row: &Value) -> usize {
    let id = row["id"].to_string();
    let story = stage.ask(&["show", &id, "--json"]);
    let story = story.as_array().map_or(&story, |stories| &stories[0]);
    story["attempts"]
        .as_array()
        .expect("attempts")
        .iter()
        .filter(|a| a["verdict"] == "interrupted" && !a["last_byte_at"].is_null())
        .count()
}

fn version_at_rest(
    stage: &Stage,
    version: &Version,
    rows: &Rows<'_>,
    group: &[&Value],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let folder = &FOLDERS[version.folder];
    let own = &rows[&key(version)];
    if own.len() != 1 {
        wrong.push(format!("{} rows for one version", own.len()));
    }
    let state = text(own[0], "state");
    let waiting = group.iter().any(|row| text(row, "state") == "unconfirmed");
    let allowed = match state {
        "succeeded" => !version.unsupported,
        "unconfirmed" => folder.hold,
        "duplicate" => waiting || group.iter().any(|row| text(row, "state") == "succeeded"),
        "unsupported" => version.unsupported,
        _ => false,
    };
    if !allowed {
        wrong.push(format!("ended as {state}"));
    }
    let imported = state == "succeeded" || (state == "duplicate" && !waiting);
    let place = stage.folder(folder).join(&version.path);
    let source = text(own[0], "source");
    match folder.after {
        After::Move if imported => match source.strip_prefix("moved to ") {
            None => wrong.push(format!("its source was to be moved, but: {source:?}")),
            Some(to) if !holds(Path::new(to), version) => {
                wrong.push(format!("it is not where it was moved to: {to}"));
            }
            Some(_) if holds(&place, version) => wrong.push("it is there twice".to_owned()),
            Some(_) => {}
        },
        After::Delete if imported => {
            // Killed between the deletion and its record, the daemon finds it gone.
            let gone = ["deleted", "was not there any more"].contains(&source);
            if !gone || holds(&place, version) {
                wrong.push(format!("its source was to be deleted, but: {source:?}"));
            }
        }
        _ if !holds(&place, version) => wrong.push("its source is gone".to_owned()),
        _ => {}
    }
    wrong
}

/// Whether this very content lies there.
fn holds(path: &Path, version: &Version) -> bool {
    let Ok(content) = fs::read(path) else {
        return false;
    };
    if version.identity.starts_with("https://") {
        return String::from_utf8_lossy(&content).contains(&version.identity);
    }
    blake3::hash(&content).to_hex().as_str() == version.identity
}

/// Names under which the daemon works and that it must not leave behind, and
/// rejected files without their note.
fn strays(stage: &Stage) -> Vec<String> {
    let mut wrong = Vec::new();
    for folder in &FOLDERS {
        for path in everything_in(&stage.folder(folder)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".aside") || name.ends_with(".part") {
                wrong.push(format!("left behind: {}", path.display()));
            }
            let rejected = path.to_string_lossy().contains("/.supametas-rejected/");
            let note = PathBuf::from(format!("{}.supametas.json", path.display()));
            if rejected && !name.ends_with(".supametas.json") && !note.exists() {
                wrong.push(format!("rejected without a note: {}", path.display()));
            }
        }
    }
    wrong
}

fn everything_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(everything_in(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// Just after a kill, before anything is mended: a source that is not in its
/// place any more has a durable success. Looks at a copy of the ledger, so
/// that the next start finds it as the kill left it.
pub fn after_kill(stage: &Stage, register: &Register) -> Vec<String> {
    let mut ended = BTreeSet::new();
    let copy = tempfile::tempdir().unwrap();
    let ledger = stage.ledger();
    if ledger.exists() {
        let to = copy.path().join("ledger.sqlite");
        fs::copy(&ledger, &to).unwrap();
        let wal = ledger.with_extension("sqlite-wal");
        if wal.exists() {
            fs::copy(wal, copy.path().join("ledger.sqlite-wal")).unwrap();
        }
        let conn = Connection::open(to).unwrap();
        let sound: String = conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap_or_else(|error| error.to_string());
        if sound != "ok" {
            return vec![format!("the ledger is broken: {sound}")];
        }
        let tables: i64 = conn
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'files'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if tables > 0 {
            let mut statement = conn
                .prepare(
                    "SELECT fo.name, CAST(f.path AS TEXT), f.size FROM files f \
                     JOIN folders fo ON fo.id = f.folder \
                     WHERE f.source_action IS NOT NULL \
                     AND f.state IN ('succeeded', 'duplicate', 'unsupported')",
                )
                .unwrap();
            let rows = statement
                .query_map([], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        u64::try_from(row.get::<_, i64>(2)?).unwrap(),
                    ))
                })
                .unwrap();
            ended.extend(rows.map(Result::unwrap));
        }
    }
    let mut wrong = Vec::new();
    for version in &register.versions {
        let folder = &FOLDERS[version.folder];
        let place = stage.folder(folder).join(&version.path);
        let (name, path, size) = key(version);
        let known = (name.to_owned(), path.to_owned(), size);
        if version.fate == Fate::Left && !place.exists() && !ended.contains(&known) {
            let what = "its source is gone, and no success is on the disk";
            wrong.push(format!("{what} ({}): {version:?}", dataset(folder.hold)));
        }
    }
    wrong
}
