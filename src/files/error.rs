//! What keeps a file or a directory from being changed, as a type: the words of
//! `Display` say what happened, to which path, and what to do.
//!
//! Must not: decide whether it is tried again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::domain::naming::shown;
use crate::domain::system_limits;

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Opening a directory, or looking at what is in it.
    Open,
    /// Making a directory or a file.
    Create,
    /// Writing to a file, or getting it onto the disk.
    Write,
    /// Renaming.
    Move,
    /// Reading a file in order to copy it.
    Read,
    /// Deleting.
    Delete,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Open => "opened",
            Doing::Create => "created",
            Doing::Write => "written",
            Doing::Move => "moved",
            Doing::Read => "read",
            Doing::Delete => "deleted",
        })
    }
}

/// Why nothing was changed. The file that was to be moved or deleted is where
/// it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A directory on the way is a link that others could point elsewhere.
    #[error(
        "{} is a symbolic link, which could point anywhere: remove it, and name the directory itself",
        at(.0)
    )]
    Link(PathBuf),
    /// Something else is where a directory should be.
    #[error("{} is not a directory: move it away, or name another directory", at(.0))]
    NotADirectory(PathBuf),
    /// The directory is somebody else's.
    #[error(
        "{} belongs to uid {owner}, who could replace what is put there: give it to the daemon's user or to root (chown), or name another directory",
        at(path)
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write to the directory.
    #[error(
        "others may write to {} (mode {mode:04o}) and could replace what is put there: take that right away (`chmod go-w`), or name another directory",
        at(path)
    )]
    OpenToOthers {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system allows only the owner of the file, or of its directory, to do it.
    #[error(
        "{} can't be {doing}: only its owner, or the owner of its directory, may (sticky bit, or another user's file): let the daemon's user own the directory, or take the sticky bit away",
        at(path)
    )]
    NotOwner {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
    },
    /// The right is missing.
    #[error(
        "{} can't be {doing}: the daemon's user has no right to; grant write and search (wx) on its directory",
        at(path)
    )]
    NoRight {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
    },
    /// The file system, or the view that a sandbox gives of it, is read-only.
    #[error(
        "{} can't be {doing}: it is on a read-only file system; under systemd name the directory in `ReadWritePaths=`",
        at(path)
    )]
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
    },
    /// No room.
    #[error(
        "{} can't be {doing}: its disk, or the quota there, is full; make room",
        at(path)
    )]
    Full {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
    },
    /// Nothing is there.
    #[error("{} can't be {doing}: there is nothing at this path", at(path))]
    Missing {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
    },
    /// Something is there already, and nothing is overwritten.
    #[error("{} is there already, and is not overwritten", at(.0))]
    Exists(PathBuf),
    /// A program has the file open for writing.
    #[error("a program has {} open for writing", at(.0))]
    BeingWritten(PathBuf),
    /// All names beside it are taken.
    #[error(
        "{tries} files of the name {} lie there already: clear the directory",
        at(path)
    )]
    NamesTaken {
        /// The first of them.
        path: PathBuf,
        /// How many were tried.
        tries: u32,
    },
    /// Somebody replaced it while it was worked on.
    #[error("{} was replaced by something else while it was worked on", at(.0))]
    Replaced(PathBuf),
    /// Not a name that a directory can hold.
    #[error("{} is no name of a file in a directory", at(.0))]
    BadName(PathBuf),
    /// What the system said otherwise.
    #[error("{} can't be {doing}: {}", at(path), system_said(*errno))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: Doing,
        /// The system's number.
        errno: i32,
    },
}

impl FileError {
    /// What a failed system call means.
    pub fn of(path: &Path, doing: Doing, errno: Errno) -> FileError {
        let path = path.to_owned();
        match errno {
            Errno::ACCESS => FileError::NoRight { path, doing },
            Errno::PERM => FileError::NotOwner { path, doing },
            Errno::ROFS => FileError::ReadOnly { path, doing },
            Errno::NOSPC | Errno::DQUOT => FileError::Full { path, doing },
            Errno::NOENT => FileError::Missing { path, doing },
            Errno::EXIST => FileError::Exists(path),
            Errno::LOOP => FileError::Link(path),
            errno => FileError::Io {
                path,
                doing,
                errno: errno.raw_os_error(),
            },
        }
    }

    /// The same of an error of the standard library.
    pub fn of_io(path: &Path, doing: Doing, error: &io::Error) -> FileError {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        FileError::of(path, doing, errno)
    }

    /// The reason without a path: what many files may have in common.
    pub fn cause(&self) -> String {
        let cause = match self {
            FileError::Link(_) => "a directory on the way is a symbolic link",
            FileError::NotADirectory(_) => "the target is not a directory",
            FileError::ForeignOwner { .. } => "the target belongs to somebody else",
            FileError::OpenToOthers { .. } => "others may write to the target",
            FileError::NotOwner { .. } => "only the owner may (sticky bit or another user's file)",
            FileError::NoRight { .. } => "no right to change the directory",
            FileError::ReadOnly { .. } => "a read-only file system",
            FileError::Full { .. } => "the disk or the quota is full",
            FileError::Missing { .. } => "something is missing on the way",
            FileError::Exists(_) => "something is there already",
            FileError::BeingWritten(_) => "a program has it open for writing",
            FileError::NamesTaken { .. } => "all names beside it are taken",
            FileError::Replaced(_) => "it was replaced meanwhile",
            FileError::BadName(_) => "no name of a file",
            FileError::Io { errno, .. } => return said_of_target(*errno),
        };
        cause.to_owned()
    }

    /// Whether it is over soon by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, FileError::BeingWritten(_) | FileError::Replaced(_))
    }

    /// Whether the target itself was refused: waiting mends it only when a
    /// person changes the directory.
    pub fn is_refused_target(&self) -> bool {
        matches!(
            self,
            FileError::Link(_)
                | FileError::NotADirectory(_)
                | FileError::ForeignOwner { .. }
                | FileError::OpenToOthers { .. }
        )
    }
}

/// The system's words, or better ones where a limit is meant.
pub fn system_said(errno: i32) -> String {
    match system_limits::said(errno) {
        Some(said) => said.to_owned(),
        None => io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// The same of a file that is to be put somewhere, whose path is of our choice.
fn said_of_target(errno: i32) -> String {
    match Errno::from_raw_os_error(errno) {
        Errno::NAMETOOLONG => "the path there is too long; name a shorter directory".to_owned(),
        _ => system_said(errno),
    }
}

fn at(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    shown(path.as_os_str().as_bytes())
}
