//! A new ledger from what is left of an old one: from what can still be read
//! of the damaged file, from a backup, or from both.
//!
//! The rule is that doubt never sends: a version whose fate nobody knows is
//! held as `unconfirmed`, for a person to look at. That is so for a version of
//! which only the name is left; for one that waited when the backup was made,
//! since it may have gone out after that; and, through
//! [`Rebuild::hold_unknown`], for files in the folders that neither source
//! knows. The old file is moved aside and never deleted. Until
//! [`Rebuild::put_in_place`] nothing at the ledger's path is touched.
//!
//! Must not: look into a folder, or decide what becomes of a file later.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use rustix::fs::OFlags;

use super::error::{Fail, LedgerError};
use super::intake::identify;
use super::lock::Lock;
use super::paths::{BESIDE, named, rescued};
use super::rows::{birth, bits, length};
use super::salvage::{self, Salvaged};
use super::{file_checks, foreign, lock, open, schema};
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;

/// A ledger that is being made, in a directory beside the one that it replaces.
#[derive(Debug)]
pub struct Rebuild {
    path: PathBuf,
    work: PathBuf,
    backup: Option<PathBuf>,
    conn: Option<Connection>,
    /// Keeps daemons off.
    lock: Lock,
    now: Timestamp,
    report: Rebuilt,
}

/// What became of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// From the ledger that was there; `None`: nothing of it can be read.
    pub ledger: Option<Salvaged>,
    /// From the backup, if one was given: what the ledger did not have.
    pub backup: Option<Salvaged>,
    /// Held as `unconfirmed`: known by name alone, or waiting when the backup
    /// was made.
    pub held: u64,
    /// Held as `unconfirmed`: in the folders, and known to neither.
    pub unknown: u64,
    /// Where the old ledger lies now.
    pub aside: Option<PathBuf>,
}

/// For the time of a rebuild: versions of which no more is left.
const NAMED: &str = "CREATE TEMP TABLE rebuild_named (folder TEXT, path BLOB, dev INTEGER, \
    inode INTEGER, size INTEGER, mtime_ns INTEGER, \
    UNIQUE (folder, path, dev, inode, size, mtime_ns))";

/// What the attempt of a held version says.
const WHY: &str = "the ledger was rebuilt: whether this file was sent is not known";

impl Rebuild {
    /// Reads what there is: the ledger at `path`, then the backup. With
    /// `send_waiting`, what waited when the backup was made goes on waiting.
    ///
    /// # Errors
    /// A daemon is at work, the backup is none, or there is no room.
    pub fn begin(
        path: &Path,
        backup: Option<&Path>,
        send_waiting: bool,
        now: Timestamp,
    ) -> Result<Rebuild, LedgerError> {
        schema::check_sqlite()?;
        file_checks::check_place(path)?;
        let lock = lock::take(path)?;
        let work = named(path, ".rebuild");
        let dir = |error: std::io::Error| LedgerError::Directory {
            path: path.to_owned(),
            why: error.to_string(),
        };
        if work.exists() {
            // Of a run that was cut short.
            fs::remove_dir_all(&work).map_err(dir)?;
        }
        fs::create_dir(&work).map_err(dir)?;
        let new = work.join("ledger");
        open::make_file(&new)?;
        let conn = open::writer(&new, true)?;
        let at = |fail: Fail| fail.at(&new);
        conn.execute_batch(NAMED).map_err(|e| at(e.into()))?;
        let mut this = Rebuild {
            path: path.to_owned(),
            work,
            backup: backup.map(Path::to_owned),
            conn: None,
            lock,
            now,
            report: Rebuilt::default(),
        };
        // Both are read from copies: merely opening one replays its log.
        if path.exists() {
            let copied = this.copied(path, "old").map_err(dir)?;
            this.report.ledger = this.read(&conn, &copied).map_err(at)?;
        }
        if let Some(backup) = backup {
            let copied = this
                .copied(backup, "backup")
                .map_err(|error| LedgerError::Directory {
                    path: backup.to_owned(),
                    why: error.to_string(),
                })?;
            mark_present(&conn).map_err(at)?;
            let read = this.read(&conn, &copied).map_err(at)?;
            let Some(read) = read else {
                return Err(LedgerError::NotALedger(backup.to_owned()));
            };
            this.report.backup = Some(read);
            if !send_waiting {
                this.report.held += hold_waiting(&conn, now).map_err(at)?;
            }
        }
        this.report.held += hold_named(&conn, now).map_err(at)?;
        this.conn = Some(conn);
        Ok(this)
    }

    /// What was found so far.
    pub fn report(&self) -> &Rebuilt {
        &self.report
    }

    /// Holds those of the versions that the new ledger does not know.
    ///
    /// # Errors
    /// It can't be written.
    pub fn hold_unknown(
        &mut self,
        folder: &FolderName,
        dataset: &DatasetName,
        versions: &[FileVersion],
    ) -> Result<(), LedgerError> {
        let Some(conn) = &self.conn else {
            return Err(LedgerError::Closed);
        };
        let hold = || -> Result<u64, Fail> {
            let tx = conn.unchecked_transaction()?;
            let mut held = 0;
            for v in versions {
                held += u64::from(hold(&tx, &folder.0, &dataset.0, v, self.now)?);
            }
            tx.commit()?;
            Ok(held)
        };
        self.report.unknown += hold().map_err(|fail| fail.at(&self.path))?;
        Ok(())
    }

    /// Moves the old ledger aside and puts the new one in its place.
    ///
    /// # Errors
    /// A file can't be moved; what was done is said.
    pub fn put_in_place(mut self) -> Result<Rebuilt, LedgerError> {
        let path = self.path.clone();
        let failed = |error: std::io::Error| LedgerError::Directory {
            path: path.clone(),
            why: error.to_string(),
        };
        if let Some(conn) = self.conn.take() {
            conn.close().map_err(|(_, e)| Fail::Sql(e).at(&path))?;
        }
        let new = self.work.join("ledger");
        File::open(&new)
            .and_then(|f| f.sync_all())
            .map_err(failed)?;
        let stamp = self.now.to_string().replace([':', '.'], "");
        let aside = named(&self.path, &format!(".before-{stamp}"));
        // The log first: beside the new ledger it would be taken for its own.
        for end in BESIDE {
            match fs::rename(named(&self.path, end), named(&aside, end)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(error));
                }
                _ => {}
            }
        }
        if self.path.exists() {
            // In one step: a ledger that is missing for a moment would be made
            // anew, empty, by whoever starts just then.
            let cwd = rustix::fs::CWD;
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(cwd, &new, cwd, &self.path, flags)
                .map_err(|e| failed(e.into()))?;
            fs::rename(&new, &aside).map_err(failed)?;
            self.report.aside = Some(aside);
        } else {
            fs::rename(&new, &self.path).map_err(failed)?;
        }
        // What was saved of a deleted ledger is in the new one now; left there
        // it would keep the daemon from starting.
        let rescued = rescued(&self.path);
        if self.backup.as_deref() == Some(rescued.as_path()) {
            let to = named(&self.path, &format!(".rescued-{stamp}"));
            fs::rename(&rescued, to).map_err(failed)?;
        }
        self.lock.ledger_is_there().map_err(failed)?;
        if let Some(parent) = self.path.parent() {
            let _ = File::open(parent).and_then(|dir| dir.sync_all());
        }
        Ok(self.report.clone())
    }

    /// The file may be anybody's: only a regular one is read, and only the log
    /// of the same owner, since SQLite replays it.
    fn copied(&self, from: &Path, name: &str) -> std::io::Result<PathBuf> {
        let to = self.work.join(name);
        let owner = copy_file(from, &to)?;
        let log = named(from, "-wal");
        match fs::symlink_metadata(&log) {
            Ok(meta) if meta.uid() == owner => {
                copy_file(&log, &named(&to, "-wal"))?;
            }
            Ok(meta) => {
                return Err(std::io::Error::other(format!(
                    "{} belongs to uid {} and the file itself to uid {owner}: move it away",
                    log.display(),
                    meta.uid()
                )));
            }
            Err(_) => {}
        }
        Ok(to)
    }

    /// `None`: it is no ledger, or nothing of it can be read.
    fn read(&self, new: &Connection, copied: &Path) -> Result<Option<Salvaged>, Fail> {
        let bytes = fs::metadata(copied).map_or(0, |meta| meta.len());
        let Ok(old) = foreign::open(copied, bytes) else {
            return Ok(None);
        };
        match old.has_tables(&["files", "folders"]) {
            true => Ok(Some(salvage::copy(&old, new)?)),
            false => Ok(None),
        }
    }
}

/// Copies a regular file that is not waited for; says whose it is.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<u32> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut source = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(from)?;
    let meta = source.metadata()?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut target = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    std::io::copy(&mut source, &mut target)?;
    Ok(meta.uid())
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        drop(self.conn.take());
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// Remembers what the damaged ledger gave, before the backup adds to it.
fn mark_present(conn: &Connection) -> Result<(), Fail> {
    conn.execute_batch(
        "CREATE TEMP TABLE rebuild_present (id INTEGER PRIMARY KEY);
         INSERT INTO rebuild_present SELECT id FROM main.files",
    )?;
    Ok(())
}

/// Versions that the backup alone knows and that waited when it was made.
fn hold_waiting(conn: &Connection, now: Timestamp) -> Result<u64, Fail> {
    let ids: Vec<i64> = {
        let mut statement = conn.prepare(
            "SELECT id FROM main.files WHERE state IN ('queued', 'uploading') \
             AND id NOT IN (SELECT id FROM rebuild_present)",
        )?;
        let ids = statement.query_map([], |row| row.get(0))?;
        ids.collect::<Result<_, _>>()?
    };
    for id in &ids {
        let attempt = record_attempt(conn, *id, now)?;
        conn.execute(
            "UPDATE files SET state = 'unconfirmed', attempt = ?2, last_byte = NULL, \
             not_before = NULL, tries_since = NULL, tries_strikes = NULL, tries_failures = NULL, \
             tries_resends = NULL, tries_resubmits = NULL, last_why = ?3, changed_at = ?4 \
             WHERE id = ?1",
            params![id, attempt, WHY, now.0],
        )?;
    }
    Ok(ids.len() as u64)
}

/// Versions of which no more than the name is left.
fn hold_named(conn: &Connection, now: Timestamp) -> Result<u64, Fail> {
    type Named = (String, Vec<u8>, i64, i64, i64, i64);
    let all: Vec<Named> = {
        let mut statement = conn.prepare("SELECT * FROM rebuild_named")?;
        let rows = statement.query_map([], |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                r.get(2)?,
                r.get(3)?,
                r.get(4)?,
                r.get(5)?,
            ))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    // Where it was to go stands in the lost row; any dataset of its folder's
    // will do, since a retry asks the configuration.
    let dataset: String = conn
        .query_row(
            "SELECT name FROM main.datasets ORDER BY id LIMIT 1",
            [],
            |r| r.get(0),
        )
        .unwrap_or_else(|_| "unknown".to_owned());
    let mut held = 0;
    for (folder, path, dev, inode, size, mtime) in &all {
        let version = FileVersion {
            path: path.clone(),
            dev: dev.cast_unsigned(),
            inode: inode.cast_unsigned(),
            size: size.unsigned_abs(),
            mtime_ns: *mtime,
            born_ns: None,
        };
        held += u64::from(hold(conn, folder, &dataset, &version, now)?);
    }
    Ok(held)
}

/// Enters a version as `unconfirmed`, unless it is known. That is no step of
/// the state machine but where this row begins, as `queued` is for others.
fn hold(
    conn: &Connection,
    folder: &str,
    dataset: &str,
    version: &FileVersion,
    now: Timestamp,
) -> Result<bool, Fail> {
    for (table, name) in [("folders", folder), ("datasets", dataset)] {
        conn.prepare_cached(&format!(
            "INSERT OR IGNORE INTO main.{table} (name) VALUES (?1)"
        ))?
        .execute([name])?;
    }
    let number: i64 = conn.query_row(
        "SELECT id FROM main.folders WHERE name = ?1",
        [folder],
        |row| row.get(0),
    )?;
    if identify(conn, number, version)?.is_some() {
        return Ok(false);
    }
    conn.prepare_cached(
        "INSERT INTO main.files (folder, path, dev, inode, size, mtime_ns, born_ns, dataset, \
         state, attempt, last_why, seen_at, changed_at) \
         VALUES (?1, ?3, ?4, ?5, ?6, ?7, ?8, \
         (SELECT id FROM main.datasets WHERE name = ?2), 'unconfirmed', 0, ?9, ?10, ?10)",
    )?
    .execute(params![
        number,
        dataset,
        version.path,
        bits(version.dev),
        bits(version.inode),
        length(version.size),
        version.mtime_ns,
        birth(version.born_ns),
        WHY,
        now.0
    ])?;
    let id = conn.last_insert_rowid();
    let attempt = record_attempt(conn, id, now)?;
    conn.prepare_cached("UPDATE main.files SET attempt = ?2 WHERE id = ?1")?
        .execute(params![id, attempt])?;
    Ok(true)
}

fn record_attempt(conn: &Connection, file: i64, now: Timestamp) -> Result<i64, Fail> {
    conn.prepare_cached(
        "INSERT INTO main.attempts (file, endpoint, probe, started_at, ended_at, message, verdict) \
         VALUES (?1, 'rebuild', 0, ?2, ?2, ?3, 'unconfirmed')",
    )?
    .execute(params![file, now.0, WHY])?;
    Ok(conn.last_insert_rowid())
}
