//! What can go wrong with the ledger, in words that say what happened, to
//! which file, and what to do now.
//!
//! Must not: retry, or decide whether the program goes on.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::suspect::Suspect;
use crate::domain::ids::FileId;

/// Why the ledger did not do what it was asked. Cloned, since a commit that
/// fails is answered to everyone who shared it; nothing of it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// There is no such file, and this call does not make one.
    #[error(
        "there is no ledger at {}: start the daemon once (or restart it, if `daemon.ledger` was changed), or name the right configuration",
        .0.display()
    )]
    Missing(PathBuf),
    /// The directory that should hold it can't.
    #[error(
        "the ledger {} can't be kept in its directory ({why}): create the directory, owned by the service's user, or change `ledger`",
        path.display()
    )]
    Directory {
        /// The ledger's file.
        path: PathBuf,
        /// What is wrong with its directory.
        why: String,
    },
    /// A file at its path, or beside it, can't be this program's.
    #[error(
        "{} can't be a file of this program ({why}), and was not read: move it away (`mv`), find out who put it there, and start again; if the ledger does not go on from there, restore a backup: `supametas-sync rebuild --from BACKUP`",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What shows it.
        why: Suspect,
    },
    /// The ledger is gone or empty, and was there before.
    #[error(
        "there is no ledger at {}, or it is empty, but there was one: {} shows it. A new ledger would send again all that lies in the folders, so nothing was begun. Restore a backup with `supametas-sync rebuild --from BACKUP`; if a new ledger is wanted all the same: `supametas-sync rebuild --new-ledger`, as the daemon's user",
        path.display(), listed(signs)
    )]
    Lost {
        /// The ledger's file.
        path: PathBuf,
        /// What is left of the earlier one.
        signs: Vec<PathBuf>,
    },
    /// The file is something else.
    #[error(
        "{} is not a ledger of supametas-sync: it is left as it is; set `ledger` to another path, or, if it was the ledger and is damaged, restore a backup: `supametas-sync rebuild --from BACKUP`",
        .0.display()
    )]
    NotALedger(PathBuf),
    /// A later version of the program wrote it.
    #[error(
        "the ledger {} has schema {found}, and this program knows up to {known}: use the newer supametas-sync that wrote it, or restore a backup",
        path.display()
    )]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest schema known here.
        known: i64,
    },
    /// An earlier version of the program wrote it, and only the daemon brings
    /// it up to date.
    #[error(
        "the ledger {} still has schema {found}, and this program needs {known}: restart the daemon with this version, it brings the ledger up to date",
        path.display()
    )]
    Older {
        /// The ledger's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema needed here.
        known: i64,
    },
    /// A version of the program from before the first release wrote it.
    #[error(
        "the ledger {} has schema {found}, of a supametas-sync from before the first release, and this program does not bring it up to date: stop the daemon and run `supametas-sync rebuild`, which carries it over and keeps the old file; for an old ledger at another path: `rebuild --from OLD`",
        path.display()
    )]
    TooOld {
        /// The ledger's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// Another daemon works on it.
    #[error(
        "the ledger {} is in use by another supametas-sync{}: stop that one first, or give this one a ledger of its own (lock file: {})",
        path.display(),
        pid.map(|p| format!(" (process {p})")).unwrap_or_default(),
        lock.display()
    )]
    LockedByAnother {
        /// The ledger's file.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// Who holds it, where the lock file says so.
        pid: Option<u32>,
    },
    /// No room on its disk.
    #[error(
        "the disk under the ledger {} is full: nothing was recorded; make room, work then goes on by itself",
        .0.display()
    )]
    DiskFull(PathBuf),
    /// It can't be written.
    #[error(
        "the ledger {} can't be written ({why}): give the service's user the right to write it and its directory",
        path.display()
    )]
    ReadOnly {
        /// The ledger's file.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// Its files are another user's: a run as root left them, or this is not their
    /// user.
    #[error(
        "the ledger {} is not this process's to write: {} {} to uid {owner}, and it runs as uid {me}. If a run as root has left {}, give {} back, as root: `chown {me}:{group} {}`; else start the daemon as uid {owner}",
        path.display(),
        listed(files),
        if files.len() == 1 { "belongs" } else { "belong" },
        if files.len() == 1 { "it" } else { "them" },
        if files.len() == 1 { "it" } else { "them" },
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
    )]
    ForeignOwner {
        /// The ledger's file.
        path: PathBuf,
        /// What belongs to somebody else.
        files: Vec<PathBuf>,
        /// Whose the first of them is.
        owner: u32,
        /// This process's user.
        me: u32,
        /// Its group.
        group: u32,
    },
    /// Somebody else writes to it for too long.
    #[error(
        "the ledger {} is locked by another program for too long: nothing was recorded; close what has it open (a backup, an sqlite3 shell)",
        .0.display()
    )]
    Busy(PathBuf),
    /// Its content can't be trusted.
    #[error(
        "the ledger {} is damaged ({why}): stop the daemon and run `supametas-sync rebuild`, which keeps the damaged file and saves what can be read of it; with a backup: `rebuild --from BACKUP`",
        path.display()
    )]
    Corrupt {
        /// The ledger's file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The file was deleted or replaced while it was open.
    #[error(
        "the ledger {} was deleted or replaced while in use: nothing more is recorded, and nothing is sent; {kept}",
        path.display()
    )]
    Vanished {
        /// The ledger's file.
        path: PathBuf,
        /// What became of what it held, and what to do now.
        kept: String,
    },
    /// What a daemon saved of a ledger that was deleted under it lies there
    /// beside another one.
    #[error(
        "beside the ledger {} lies {}, saved when the ledger was deleted or replaced under a running daemon: it may know of files that this one does not. Join them with `supametas-sync rebuild --from {}`, or move it away",
        path.display(), rescued.display(), rescued.display()
    )]
    Rescued {
        /// The ledger's file.
        path: PathBuf,
        /// What was saved.
        rescued: PathBuf,
    },
    /// The disk does not do what it should.
    #[error(
        "the disk under the ledger {} fails ({why}): nothing was recorded; it is tried again. Look at the system's log (dmesg) and at the disk",
        path.display()
    )]
    Disk {
        /// The ledger's file.
        path: PathBuf,
        /// SQLite's words.
        why: String,
    },
    /// The bundled SQLite is one that can damage a ledger.
    #[error(
        "this program was built with SQLite {0}, which can damage a ledger that the daemon and a command use together: build it with 3.51.3 or later"
    )]
    OldSqlite(String),
    /// The file can't go on in this way from where it is.
    #[error("id {file}: {why}")]
    Refused {
        /// Which file.
        file: FileId,
        /// Why not.
        why: String,
    },
    /// There is no such row.
    #[error("there is no id {0} in the ledger: `list` shows what there is")]
    NoSuchFile(FileId),
    /// The ledger's thread has ended.
    #[error("the ledger was closed: this is the end of the daemon, or a fault of it; restart it")]
    Closed,
    /// Something else, in SQLite's or the system's words.
    #[error("the ledger {} failed: {why}", path.display())]
    Other {
        /// The ledger's file.
        path: PathBuf,
        /// What was said.
        why: String,
    },
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// One row: it has moved on, or is not there. All others go on.
    Row(FileId),
    /// The ledger itself: it can't record, whatever is asked of it.
    Ledger,
}

impl LedgerError {
    /// Whether the ledger can't record, or one row alone can't go on.
    pub const fn concerns(&self) -> Concern {
        match self {
            LedgerError::Refused { file, .. } => Concern::Row(*file),
            LedgerError::NoSuchFile(file) => Concern::Row(*file),
            _ => Concern::Ledger,
        }
    }
}

fn listed(signs: &[PathBuf]) -> String {
    let signs: Vec<_> = signs
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    signs.join(", ")
}

impl LedgerError {
    /// The directory of the ledger at `path` can't hold it.
    pub(super) fn no_directory(path: &Path, why: &dyn std::fmt::Display) -> LedgerError {
        LedgerError::Directory {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    /// What the system said of a file beside the ledger at `path`.
    pub(super) fn of_io(path: &Path, error: &io::Error) -> LedgerError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LedgerError::DiskFull(path.to_owned())
            }
            _ => LedgerError::no_directory(path, error),
        }
    }

    /// Waiting may mend it: the disk is full or fails, it was made read-only,
    /// or somebody else writes.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            LedgerError::DiskFull(_)
                | LedgerError::Busy(_)
                | LedgerError::ReadOnly { .. }
                | LedgerError::Disk { .. }
        )
    }

    /// No waiting mends it: a daemon must not go on with this ledger.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            LedgerError::Vanished { .. } | LedgerError::Corrupt { .. } | LedgerError::NotALedger(_)
        )
    }
}

/// A failure inside the ledger, before the file's name is put to it.
#[derive(Debug)]
pub(super) enum Fail {
    Sql(rusqlite::Error),
    /// A row holds what it can't hold.
    BadRow(String),
    Refused(FileId, String),
    NoSuchFile(FileId),
}

impl From<rusqlite::Error> for Fail {
    fn from(error: rusqlite::Error) -> Fail {
        Fail::Sql(error)
    }
}

impl Fail {
    /// The same for the outside: `path` is the ledger's.
    pub(super) fn at(self, path: &Path) -> LedgerError {
        let path = path.to_owned();
        match self {
            Fail::Sql(error) => of_sqlite(path, &error),
            Fail::BadRow(why) => LedgerError::Corrupt { path, why },
            Fail::Refused(file, why) => LedgerError::Refused { file, why },
            Fail::NoSuchFile(file) => LedgerError::NoSuchFile(file),
        }
    }
}

fn of_sqlite(path: PathBuf, error: &rusqlite::Error) -> LedgerError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        // The index of the log is a file of its own, and SQLite has no better
        // word for its disk being full.
        _ if extended(error) == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            LedgerError::DiskFull(path)
        }
        Some(ErrorCode::DiskFull) => LedgerError::DiskFull(path),
        Some(ErrorCode::SystemIoFailure) => LedgerError::Disk { path, why },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            LedgerError::ReadOnly { path, why }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy(path),
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Corrupt { path, why },
        Some(ErrorCode::NotADatabase) => LedgerError::NotALedger(path),
        _ => LedgerError::Other { path, why },
    }
}

fn extended(error: &rusqlite::Error) -> Option<i32> {
    Some(error.sqlite_error()?.extended_code)
}
