//! A copy of the ledger while it is in use, and its space given back while it
//! is not.
//!
//! The copy is SQLite's own `VACUUM INTO`: one view of the whole file, without
//! what was deleted, and without the log. Writers go on meanwhile. Must not:
//! leave half a copy under the name that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::{Fail, LedgerError};
use super::{open, schema};

/// Why there is no backup. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The ledger itself.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is a file of that name.
    #[error("{} is there already: nothing was written; name another file, or say --force", .0.display())]
    Exists(PathBuf),
    /// The copy can't be written.
    #[error("the backup {} can't be written ({why}): nothing is left of it", to.display())]
    CannotWrite {
        /// The backup.
        to: PathBuf,
        /// What the system or SQLite said.
        why: String,
    },
    /// The copy was read again, and is not sound.
    #[error("the backup {} was not kept, since its check failed ({why}): the ledger or a disk is damaged", to.display())]
    NotSound {
        /// The backup.
        to: PathBuf,
        /// What SQLite found.
        why: String,
    },
}

/// Copies the ledger to `to`, for its owner's eyes alone: under a temporary
/// name, checked, synced, then renamed. `replace`: a file that is there gives
/// way. Returns the copy's length in bytes.
///
/// # Errors
/// There is no ledger, `to` is taken, or the copy can't be written or checked.
pub fn backup(ledger: &Path, to: &Path, replace: bool) -> Result<u64, BackupError> {
    if !ledger.exists() {
        return Err(LedgerError::Missing(ledger.to_owned()).into());
    }
    if !replace && fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let cannot = |why: String| BackupError::CannotWrite {
        to: to.to_owned(),
        why,
    };
    let name = to
        .file_name()
        .ok_or_else(|| cannot("it names no file".to_owned()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", std::process::id()));
    let partial = Partial(to.with_file_name(hidden));
    let io = |error: io::Error| cannot(error.to_string());
    // Made beforehand, empty: SQLite would let others read it.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial.0)
        .map_err(io)?;
    let conn = open::reader(ledger)?;
    schema::check_kind(&conn, ledger)?;
    let target = partial.0.to_str().ok_or_else(|| {
        cannot("its path is not UTF-8, which SQLite needs: name another".to_owned())
    })?;
    conn.execute("VACUUM INTO ?1", [target])
        .map_err(|error| cannot(error.to_string()))?;
    drop(conn);
    check(&partial.0, to)?;
    file.sync_all().map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    publish(&partial.0, to, replace)?;
    Ok(bytes)
}

fn check(copy: &Path, to: &Path) -> Result<(), BackupError> {
    let not_sound = |why: String| BackupError::NotSound {
        to: to.to_owned(),
        why,
    };
    let conn = open::reader(copy).map_err(|error| not_sound(error.to_string()))?;
    schema::check_kind(&conn, copy).map_err(|error| not_sound(error.to_string()))?;
    let found: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| not_sound(error.to_string()))?;
    if found == "ok" {
        Ok(())
    } else {
        Err(not_sound(found))
    }
}

fn publish(partial: &Path, to: &Path, replace: bool) -> Result<(), BackupError> {
    let cannot = |error: io::Error| BackupError::CannotWrite {
        to: to.to_owned(),
        why: error.to_string(),
    };
    if replace {
        fs::rename(partial, to).map_err(cannot)?;
    } else {
        // A link, unlike a rename, replaces nothing that came meanwhile.
        fs::hard_link(partial, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => cannot(error),
        })?;
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().as_bytes().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(cannot)
}

/// Removed however the backup ends; after a rename it is not there any more.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let mut journal = self.0.clone().into_os_string();
        journal.push("-journal");
        let _ = fs::remove_file(journal);
    }
}

/// Bytes inside the ledger that hold nothing and will be used again.
///
/// # Errors
/// The ledger can't be read.
pub fn unused(ledger: &Path) -> Result<u64, LedgerError> {
    let ask = |conn: &Connection| -> Result<u64, Fail> {
        let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((number("freelist_count")? * number("page_size")?).unsigned_abs())
    };
    ask(&open::reader(ledger)?).map_err(|fail| fail.at(ledger))
}

/// Gives the space inside the ledger back to the disk, while no daemon works
/// on it: it is written anew, and needs as much room for that once more.
///
/// # Errors
/// A daemon has the ledger, or there is no room.
pub fn compact(ledger: &Path) -> Result<(), LedgerError> {
    let _lock = open::lock(ledger)?;
    let conn = open::writer(ledger, false)?;
    conn.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .map_err(|error| Fail::from(error).at(ledger))
}
