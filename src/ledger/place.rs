//! Whether the ledger's files are still the ones at their paths, and what is
//! done when they are not.
//!
//! A file that was deleted can still be written by whoever has it open, and is
//! lost when the last one closes it: a daemon that went on would forget all of
//! it. So the paths are looked at before each transaction and before its commit,
//! and when something has changed beside the ledger. What the open handle still
//! holds is saved at once: beside the ledger's path where the ledger itself is
//! gone, into the ledger where only the log beside it is.
//!
//! Must not: write to a file that took the ledger's place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::LedgerError;
use super::paths::{BESIDE, above, named, rescued};

/// Device and inode.
type Identity = (u64, u64);

/// Where to look at a ledger from outside: its log, and their directory.
#[derive(Debug)]
pub struct Outside([PathBuf; 2]);

/// What they look like. Whoever commits writes to the log, and whoever removes,
/// moves or replaces one of the ledger's files changes the directory. So while
/// this stays the same nobody has; but for what came within the coarseness of
/// the file system's times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen([Option<Facts>; 2]);

/// What tells one state of a file from another: which it is, its length, and
/// when it was last modified (seconds, and nanoseconds of the next).
type Facts = (Identity, u64, (i64, i64));

impl Outside {
    /// Of the ledger at `path`.
    pub fn of(path: &Path) -> Outside {
        Outside([named(path, BESIDE[0]), above(path)])
    }

    /// As they are now: two questions to the file system.
    pub fn look(&self) -> Seen {
        Seen(self.0.each_ref().map(|path| {
            let meta = fs::metadata(path).ok()?;
            let modified = (meta.mtime(), meta.mtime_nsec());
            Some(((meta.dev(), meta.ino()), meta.size(), modified))
        }))
    }
}

/// The ledger's files as they were when it was opened.
pub(super) struct Place {
    path: PathBuf,
    ledger: Option<Identity>,
    /// Those beside it; a visitor minds the ledger alone.
    beside: Vec<(PathBuf, Identity)>,
    owner: bool,
    /// Found out already, and said.
    vanished: Option<LedgerError>,
}

impl Place {
    /// Remembers what is there now, right after opening.
    pub fn now(path: &Path, owner: bool) -> Place {
        let beside = BESIDE.iter().filter(|_| owner).filter_map(|end| {
            let path = named(path, end);
            let identity = identity(&path)?;
            Some((path, identity))
        });
        Place {
            path: path.to_owned(),
            ledger: identity(path),
            beside: beside.collect(),
            owner,
            vanished: None,
        }
    }

    /// Whether all files are at their paths.
    pub fn is_there(&self) -> bool {
        let beside = |(p, was): &(PathBuf, Identity)| identity(p) == Some(*was);
        self.is_ledger_there() && self.beside.iter().all(beside)
    }

    fn is_ledger_there(&self) -> bool {
        self.ledger.is_some() && identity(&self.path) == self.ledger
    }

    /// Fails when one of the files is not at its path any more. The first time
    /// it saves what `conn` still holds.
    pub fn check(&mut self, conn: &Connection) -> Result<(), LedgerError> {
        if let Some(vanished) = &self.vanished {
            return Err(vanished.clone());
        }
        match self.is_there() {
            true => Ok(()),
            false => Err(self.save(conn)),
        }
    }

    /// They are not: saves what `conn`, which is in no transaction, still holds. The
    /// error says where to; from now on every check fails with it.
    pub fn save(&mut self, conn: &Connection) -> LedgerError {
        let kept = match (self.owner, self.is_ledger_there()) {
            (false, _) => "look whether a daemon is running, and try again".to_owned(),
            (true, true) => self.fold_in(conn),
            (true, false) => self.rescue(conn),
        };
        let path = self.path.clone();
        let vanished = LedgerError::Vanished { path, kept };
        self.vanished = Some(vanished.clone());
        vanished
    }

    /// Only the log, or its index, is gone: what the log held goes into the
    /// ledger.
    fn fold_in(&self, conn: &Connection) -> String {
        let folded = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            row.get::<_, i64>(0)
        });
        match folded {
            Ok(0) => "only the log beside it (-wal, -shm) was touched, and all it held is in the ledger now: start the daemon again".to_owned(),
            other => format!(
                "the log beside it (-wal, -shm) was touched, and what it held could not be saved ({other:?}): start the daemon again, or restore a backup with `supametas-sync rebuild --from BACKUP`"
            ),
        }
    }

    /// The ledger itself is gone: all that it held goes into a file beside.
    fn rescue(&self, conn: &Connection) -> String {
        let rescued = rescued(&self.path);
        match copy(conn, &rescued) {
            Ok(()) if identity(&self.path).is_none() => format!(
                "all it held was saved as {}, and the next start takes it up. To begin with an empty ledger instead, stop the daemon and delete that file, too",
                rescued.display()
            ),
            Ok(()) => format!(
                "all it held was saved as {}: stop the daemon, and join both with `supametas-sync rebuild --from {}`, or move that file away",
                rescued.display(),
                rescued.display()
            ),
            Err(error) => format!(
                "what it held could not be saved ({error}): stop the daemon and restore a backup with `supametas-sync rebuild --from BACKUP`, before anything is sent again"
            ),
        }
    }
}

/// Puts a ledger that was deleted under a daemon, and saved, back to its place.
///
/// # Errors
/// Another one is there meanwhile: which one counts is for a person to say.
pub(super) fn take_up_rescued(path: &Path) -> Result<(), LedgerError> {
    let rescued = rescued(path);
    if identity(&rescued).is_none() {
        return Ok(());
    }
    if identity(path).is_some() {
        return Err(LedgerError::Rescued {
            path: path.to_owned(),
            rescued,
        });
    }
    // A log without its ledger is of the one that was deleted.
    for end in BESIDE {
        remove(&named(path, end)).map_err(|error| in_the_way(path, &error))?;
    }
    fs::rename(&rescued, path).map_err(|error| in_the_way(path, &error))?;
    tracing::warn!(
        ledger = %path.display(),
        "the ledger had been deleted under a running daemon: taken up again as it was saved then"
    );
    Ok(())
}

fn in_the_way(path: &Path, error: &io::Error) -> LedgerError {
    LedgerError::Directory {
        path: path.to_owned(),
        why: error.to_string(),
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes all that `conn` sees into a new file, whole or not at all.
fn copy(conn: &Connection, to: &Path) -> Result<(), String> {
    if identity(to).is_some() {
        return Err(format!("{} is there already", to.display()));
    }
    let partial = named(to, ".part");
    let told = |error: io::Error| error.to_string();
    remove(&partial).map_err(told)?;
    let name = partial.to_str().ok_or("its path is not UTF-8")?;
    // Its settings (kind, version) come along.
    conn.execute("VACUUM INTO ?1", [name])
        .and_then(|_| in_wal_mode(&partial))
        .map_err(|error| error.to_string())?;
    let file = File::options().write(true).open(&partial).map_err(told)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&partial, to))
        .map_err(told)
}

/// `VACUUM INTO` writes a database with a rollback journal. If it changed to the
/// log at the ledger's path, a journal would be beside it for a moment, which
/// `file_checks` takes for somebody else's, also after a crash in that moment.
fn in_wal_mode(path: &Path) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)
}

/// Device and inode of what is at `path`, if anything is.
fn identity(path: &Path) -> Option<Identity> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
