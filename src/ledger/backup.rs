//! A copy of the ledger while it is in use, and its space given back while it
//! is not.
//!
//! The copy is SQLite's own `VACUUM INTO`: one view of the whole file, without
//! what was deleted, and without the log. Writers go on meanwhile. Must not:
//! leave half a copy under the name that was asked for.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::{Fail, LedgerError};
use super::file_checks::{self, By};
use super::{lock, open, schema};
use crate::files::{Dir, FileError};

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
    let file = |error: FileError| match error {
        FileError::Exists(_) => BackupError::Exists(to.to_owned()),
        error => cannot(error.to_string()),
    };
    let name = to
        .file_name()
        .ok_or_else(|| cannot("it names no file".to_owned()))?
        .as_bytes();
    let here = std::env::current_dir().map_err(|error| cannot(error.to_string()))?;
    let whole = here.join(to);
    let dir = Dir::shared(whole.parent().unwrap_or(&whole)).map_err(file)?;
    // SQLite writes to a path: nobody else may put a link at it.
    dir.keeps_what_is_ours().map_err(file)?;
    let hidden = [
        b".",
        name,
        format!(".{}.part", std::process::id()).as_bytes(),
    ]
    .concat();
    // Made beforehand, empty: SQLite would let others read it.
    let made = dir.create_new(&hidden, 0o600).map_err(file)?;
    let partial = Partial {
        dir: &dir,
        name: hidden,
    };
    let path = dir.at(&partial.name);
    file_checks::check(ledger, By::Visitor)?;
    let conn = open::reader(ledger)?;
    schema::check_kind(&conn, ledger)?;
    let target = path.to_str().ok_or_else(|| {
        cannot("its path is not UTF-8, which SQLite needs: name another".to_owned())
    })?;
    conn.execute("VACUUM INTO ?1", [target])
        .map_err(|error| cannot(error.to_string()))?;
    drop(conn);
    check(&path, to)?;
    let io = |error: io::Error| cannot(error.to_string());
    made.sync_all().map_err(io)?;
    let bytes = made.metadata().map_err(io)?.len();
    let published = if replace {
        dir.rename_over(&partial.name, name)
    } else {
        dir.rename_new(&partial.name, &dir, name)
    };
    published.and_then(|()| dir.sync()).map_err(file)?;
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

/// Removed however the backup ends; after a rename it is not there any more.
struct Partial<'a> {
    dir: &'a Dir,
    name: Vec<u8>,
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        let _ = self.dir.remove(&self.name);
        let _ = self
            .dir
            .remove(&[&self.name, b"-journal".as_slice()].concat());
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
    file_checks::check(ledger, By::Visitor)?;
    let _lock = lock::take(ledger)?;
    let conn = open::writer(ledger, false)?;
    conn.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .map_err(|error| Fail::from(error).at(ledger))
}
