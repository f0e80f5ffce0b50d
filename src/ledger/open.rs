//! Opening: a ledger that is made, the checks of what the file is, and the
//! settings of each connection.
//!
//! Must not: know what is in the tables.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use super::error::{Fail, LedgerError};
use super::lock::is_owned;
use super::paths::{above, named};
use super::place::remove;
use super::schema;
use crate::domain::listing::folded;

/// How long another process may hold the ledger before a request fails.
const BUSY: Duration = Duration::from_secs(5);

/// Makes the ledger's file, for its owner alone, since names, task IDs and
/// answers are nobody else's business. Nothing may be there.
pub(super) fn make_file(path: &Path) -> Result<(), LedgerError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| LedgerError::of_io(path, &error))
}

/// Makes a new ledger at `path`: whole, under another name, and only then
/// renamed. So what is at the path is never half a ledger, and a rollback
/// journal beside it is never this program's.
pub(super) fn begin(path: &Path) -> Result<(), LedgerError> {
    let new = named(path, ".new");
    let failed = |error: io::Error| LedgerError::of_io(path, &error);
    for end in ["", "-wal", "-shm", "-journal"] {
        // Of a start that was cut short.
        remove(&named(&new, end)).map_err(failed)?;
    }
    make_file(&new)?;
    let conn = writer(&new, true)?;
    // All of it into the file: its log would not be renamed with it.
    let closed = conn
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .and_then(|()| conn.close().map_err(|(_, error)| error));
    closed.map_err(|error| Fail::Sql(error).at(path))?;
    let file = File::open(&new).map_err(failed)?;
    file.sync_all()
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| File::open(above(path))?.sync_all())
        .map_err(failed)
}

/// SQLite and the system have many words for a disk without room, such as that
/// a file can't be opened.
pub(super) fn or_full_disk(path: &Path, error: LedgerError) -> LedgerError {
    let may_be = matches!(
        error,
        LedgerError::ReadOnly { .. } | LedgerError::Disk { .. } | LedgerError::Directory { .. }
    );
    let full = || {
        rustix::fs::statvfs(above(path))
            .is_ok_and(|disk| disk.f_bavail == 0 || (disk.f_files > 0 && disk.f_favail == 0))
    };
    if may_be && full() {
        LedgerError::DiskFull(path.to_owned())
    } else {
        error
    }
}

/// Moves what is left of an earlier ledger aside, under the first free number.
/// Nothing is deleted.
pub(super) fn set_remains_aside(path: &Path) -> Result<(), LedgerError> {
    let ends = ["", "-wal", "-shm", "-journal"];
    let free = (1..)
        .map(|n| named(path, &format!(".before-new-{n}")))
        .find(|aside| {
            ends.iter()
                .all(|end| named(aside, end).symlink_metadata().is_err())
        });
    let Some(aside) = free else { return Ok(()) };
    for end in ends {
        match fs::rename(named(path, end), named(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LedgerError::of_io(path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An existing ledger that others may read or write is closed to them, if it is
/// this user's.
pub(super) fn close_to_others(path: &Path) -> Result<(), LedgerError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| LedgerError::of_io(path, &error))?;
    let meta = file
        .metadata()
        .map_err(|error| LedgerError::of_io(path, &error))?;
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_file() || meta.uid() != me || meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    let closed = fs::Permissions::from_mode(meta.mode() & 0o700);
    file.set_permissions(closed).map_err(|error| {
        let path = path.to_owned();
        let why = format!("others may read it, and that can't be changed: {error}");
        LedgerError::ReadOnly { path, why }
    })
}

/// The connection that writes. `migrating`: brings the schema up to date;
/// otherwise an older one is refused.
pub(super) fn writer(path: &Path, migrating: bool) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let wrong = |fail: Fail| fail.at(path);
    let mut conn =
        Connection::open_with_flags(without_links(path), flags).map_err(|e| wrong(e.into()))?;
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
    let real = without_links(path);
    read_only(path, &real, OpenFlags::SQLITE_OPEN_NOFOLLOW)
}

/// SQLite follows no link at all then, also none above the directory.
fn without_links(path: &Path) -> PathBuf {
    let above = fs::canonicalize(above(path));
    match (above, path.file_name()) {
        (Ok(above), Some(name)) => above.join(name),
        _ => path.to_owned(),
    }
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
    // SQLite's own `lower` knows ASCII alone.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function("folded", 1, flags, |call| {
        Ok(folded(call.get_raw(0).as_bytes()?))
    })?;
    Ok(())
}
