//! Opening: the lock that keeps a second daemon off, the checks of what the
//! file is, and the settings of each connection.
//!
//! Must not: know what is in the tables.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{Fail, LedgerError};
use super::schema;

/// How long another process may hold the ledger before a request fails.
const BUSY: Duration = Duration::from_secs(5);

/// Takes the lock file beside the ledger for as long as the file is kept.
pub(super) fn lock(path: &Path) -> Result<File, LedgerError> {
    let lock = lock_path(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .map_err(|error| directory(path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = (&mut file).take(32).read_to_string(&mut text);
            return Err(LedgerError::LockedByAnother {
                path: path.to_owned(),
                lock,
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(directory(path, &error)),
    }
    // Only for the message that another daemon gives: the lock itself counts.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Whether a daemon works on the ledger at `path` now.
///
/// # Errors
/// The lock file is there and can't be looked at.
pub fn is_owned(path: &Path) -> Result<bool, LedgerError> {
    let lock = match File::open(lock_path(path)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(directory(path, &error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(directory(path, &error)),
    }
}

/// The number of the process that works on the ledger at `path` now, as it
/// says itself; `None` if none does, or it can't be told. Whoever would act on
/// it has to see for himself that this process holds the lock.
pub fn owner(path: &Path) -> Option<u32> {
    if !is_owned(path).ok()? {
        return None;
    }
    let mut text = String::new();
    let lock = File::open(lock_path(path)).ok()?;
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The lock file beside the ledger at `path`.
pub fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn directory(path: &Path, why: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Directory {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

/// The directory must be there and one; the file is made for its owner alone,
/// since names, task IDs and answers are nobody else's business.
pub(super) fn make_file(path: &Path) -> Result<(), LedgerError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::metadata(parent) {
        Ok(meta) if !meta.is_dir() => {
            return Err(directory(path, &"what should hold it is not a directory"));
        }
        Ok(_) => {}
        Err(error) => return Err(directory(path, &error)),
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => close_to_others(path),
        Err(error) => Err(directory(path, &error)),
    }
}

/// An existing ledger that others may read or write is closed to them.
fn close_to_others(path: &Path) -> Result<(), LedgerError> {
    let meta = fs::metadata(path).map_err(|error| directory(path, &error))?;
    if !meta.is_file() {
        return Err(LedgerError::NotALedger(path.to_owned()));
    }
    let mode = meta.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700)).map_err(|error| {
            LedgerError::ReadOnly {
                path: path.to_owned(),
                why: format!("others may read it, and that can't be changed: {error}"),
            }
        })?;
    }
    Ok(())
}

/// The connection that writes. `migrating`: brings the schema up to date;
/// otherwise an older one is refused.
pub(super) fn writer(path: &Path, migrating: bool) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let wrong = |fail: Fail| fail.at(path);
    let mut conn = Connection::open_with_flags(path, flags).map_err(|e| wrong(e.into()))?;
    conn.busy_timeout(BUSY).map_err(|e| wrong(e.into()))?;
    let found = schema::check_kind(&conn, path)?;
    if !migrating {
        not_older(path, found)?;
    }
    settle_writer(&conn).map_err(wrong)?;
    schema::migrate(&mut conn).map_err(wrong)?;
    Ok(conn)
}

fn not_older(path: &Path, found: i64) -> Result<(), LedgerError> {
    if found < schema::LATEST {
        return Err(LedgerError::Older {
            path: path.to_owned(),
            found,
            known: schema::LATEST,
        });
    }
    Ok(())
}

fn settle_writer(conn: &Connection) -> Result<(), Fail> {
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(Fail::BadRow(format!(
            "its file system allows no write-ahead log, only {mode:?}; keep the ledger on a local disk"
        )));
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    // 16 MiB of log between checkpoints: fewer waits, still little to replay.
    conn.pragma_update(None, "wal_autocheckpoint", 4000)?;
    conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    common(conn, 8 * 1024)
}

/// A connection that only reads: it sees what is committed, and waits for
/// nobody.
pub(super) fn reader(path: &Path) -> Result<Connection, LedgerError> {
    read_only(path, path, OpenFlags::empty())
}

/// A connection that only reads, and leaves nothing behind: also no `-wal` and
/// `-shm`, which SQLite makes beside a ledger that nobody uses, even to read it.
pub(super) fn onlooker(path: &Path) -> Result<Connection, LedgerError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let in_use = fs::metadata(log).is_ok_and(|log| log.len() > 0) || is_owned(path)?;
    let conn = if in_use {
        reader(path)?
    } else {
        // Without a log all is in the file (<https://sqlite.org/uri.html>,
        // `immutable`). Should a daemon start just now, what is read may be a
        // mixture of then and now: good enough for whoever only looks.
        let bytes = path.as_os_str().as_bytes();
        let encoded = percent_encoding::percent_encode(bytes, URI_PATH);
        let uri = format!("file:{encoded}?immutable=1");
        read_only(path, Path::new(&uri), OpenFlags::SQLITE_OPEN_URI)?
    };
    not_older(path, schema::check_kind(&conn, path)?)?;
    Ok(conn)
}

/// What a URI's path may not hold as it is.
const URI_PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.');

fn read_only(path: &Path, name: &Path, more: OpenFlags) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let open = || -> Result<Connection, Fail> {
        let conn = Connection::open_with_flags(name, flags)?;
        conn.busy_timeout(BUSY)?;
        common(&conn, 4 * 1024)?;
        Ok(conn)
    };
    open().map_err(|fail| fail.at(path))
}

fn common(conn: &Connection, cache_kib: i64) -> Result<(), Fail> {
    conn.pragma_update(None, "foreign_keys", true)?;
    // Negative: KiB instead of pages. Memory must not grow with the ledger.
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    // Every request has a savepoint; what it may have to take back is kept in
    // memory and not in a file.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Text in double quotes is a mistake, and a ledger is only data.
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // One plan for a statement, whatever is bound: else SQLite compiles most
    // statements anew at each use, to see whether the values change the plan
    // (half of this thread's time). Each query names its index anyway.
    conn.set_db_config(
        rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
        true,
    )?;
    conn.set_prepared_statement_cache_capacity(96);
    Ok(())
}
