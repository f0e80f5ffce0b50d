//! Why something in a folder is not taken, in words.
//!
//! Must not: decide. The file system or [`super::rules`] did.

use std::fmt;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::domain::naming::TemporaryKind;
use crate::domain::sandbox_effects::HiddenBy;
use crate::files::system_said;

/// Why a folder can't be worked with at the moment. Says nothing of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offline {
    /// Nothing is at its path.
    Missing,
    /// Something other than a directory is.
    NotADirectory,
    /// This user may not read it.
    NoRight,
    /// An empty directory is there in place of the mount that was: it was
    /// unmounted. To be waited on.
    EmptyMountPoint,
    /// Another directory is there: removed and made again, or a mount that
    /// came. To be taken up with [`FolderRoot::reopen`].
    Replaced,
    /// Another file system is at the path than the one that a file was seen on.
    OtherFileSystem,
    /// Its path has become a link. Not taken up unless a person confirms it.
    BecameLink,
    /// A directory of another owner is at its path. Not taken up unless a person
    /// confirms it.
    AnotherOwner,
    /// A directory on another file system is at its path. Not taken up unless a
    /// person confirms it.
    AnotherFileSystem,
    /// Its file system has not answered for a while: a server or a disk that is
    /// away. To be waited on.
    NotAnswering,
    /// What the system said otherwise.
    Io(
        /// Its number.
        i32,
    ),
}

impl fmt::Display for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Offline::Missing => "there is nothing at its path; create it, or mount it again",
            Offline::NotADirectory => "what is at its path is not a directory",
            Offline::NoRight => "this user has no right to read it; grant read and search (rx)",
            Offline::EmptyMountPoint => {
                "its path shows an empty directory and not the mount that was there; mount it again (its files are not taken as deleted). If this directory is the folder from now on, put any file into it, such as an empty `.keep`, and reload"
            }
            Offline::Replaced => "another directory is at its path now; it is taken up with a scan",
            Offline::OtherFileSystem => {
                "another file system is at the folder's path than the one the file was on; mount that one again, or `forget` the file"
            }
            Offline::BecameLink => {
                "its path has become a link, which whoever may write to the directory above can have made; nothing is taken from there. If this is the folder from now on, say so with `supametas-sync reload`"
            }
            Offline::AnotherOwner => {
                "a directory of another owner is at its path, which whoever may write to the directory above can have put there; nothing is taken from it. If this is the folder from now on, say so with `supametas-sync reload`"
            }
            Offline::AnotherFileSystem => {
                "another file system is at its path than before; nothing is taken from it. Mount the former again, or, if this is the folder from now on, say so with `supametas-sync reload`"
            }
            Offline::NotAnswering => {
                "its file system does not answer; look at the mount and its server or disk. The other folders go on, and this one does when it answers"
            }
            Offline::Io(errno) => return f.write_str(&system_said(*errno)),
        })
    }
}

/// systemd sets it for each start of a unit (systemd.exec(5)).
fn under_systemd() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// Why a file can't be read, in words, where the system has said `error`.
pub fn unreadable(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        _ if error.kind() == std::io::ErrorKind::PermissionDenied => NotTaken::NoRight.to_string(),
        Some(errno) => format!("it can't be read: {}", system_said(errno)),
        None => format!("it can't be read: {error}"),
    }
}

impl Offline {
    /// In words, for a folder at `path`: with the directive of the unit that hides
    /// it, where the daemon runs under systemd and one does.
    pub fn told_of(self, path: &Path) -> String {
        let hidden = HiddenBy::of(path)
            .filter(|_| matches!(self, Offline::Missing | Offline::NoRight) && under_systemd());
        match hidden {
            Some(hidden) => format!("{self}. {}", hidden.remedy(path)),
            None => self.to_string(),
        }
    }

    /// A word that stays, for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Offline::Missing => "missing",
            Offline::NotADirectory => "not-a-directory",
            Offline::NoRight => "no-right",
            Offline::EmptyMountPoint => "unmounted",
            Offline::Replaced => "replaced",
            Offline::OtherFileSystem => "other-file-system",
            Offline::BecameLink => "became-a-link",
            Offline::AnotherOwner => "another-owner",
            Offline::AnotherFileSystem => "another-file-system",
            Offline::NotAnswering => "not-answering",
            Offline::Io(_) => "error",
        }
    }

    pub(crate) fn from_errno(e: Errno) -> Offline {
        match e {
            Errno::NOENT => Offline::Missing,
            Errno::NOTDIR | Errno::LOOP => Offline::NotADirectory,
            Errno::ACCESS | Errno::PERM => Offline::NoRight,
            e => Offline::Io(e.raw_os_error()),
        }
    }
}

/// Why something in a folder is not taken. `Display` says it after the name of
/// the file: "NAME is not taken: …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// A symbolic link, here or on the way: it could point out of the folder.
    Symlink,
    /// A file with another name somewhere, and a kernel that lets anyone name any
    /// file: it could be one from outside.
    HardLink,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
    /// On another mount, and `one_file_system` is set.
    OtherMount,
    /// Not there (any more).
    Gone,
    /// No right to look at it or to read it.
    NoRight,
    /// A temporary name, of the file or of a folder on the way.
    Temporary(TemporaryKind),
    /// Matches a pattern of the folder's own in `exclude` or `exclude_also`.
    Excluded,
    /// Matches this pattern of the default list, the file or a folder on the way.
    ExcludedByDefault(&'static str),
    /// Matches no pattern of `include`.
    NotIncluded,
    /// In the folder's own `done_dir` or `rejected_dir`.
    PutAside,
    /// In a subfolder, and the folder is not recursive.
    InSubfolder,
    /// Not a path below the folder.
    BadPath,
    /// The folder itself can't be reached: says nothing of the file.
    Offline(Offline),
    /// What the system said otherwise; says nothing final of the file.
    Io {
        /// Its number.
        errno: i32,
    },
}

impl NotTaken {
    /// Whether the file is known to be not there: the folder is the known one,
    /// and has no such name.
    pub fn is_gone(&self) -> bool {
        matches!(self, NotTaken::Gone)
    }

    /// Whether it says nothing of the file, so that it is worth another look
    /// soon: out of open files, an I/O error. (A folder that is off line is not:
    /// it is scanned when it is back.)
    pub fn is_passing(&self) -> bool {
        matches!(self, NotTaken::Io { .. })
    }

    /// What is neither a file nor a directory.
    pub(crate) fn by_kind(kind: FileType) -> NotTaken {
        match kind {
            FileType::Symlink => NotTaken::Symlink,
            FileType::Fifo => NotTaken::Fifo,
            FileType::Socket => NotTaken::Socket,
            FileType::Directory => NotTaken::Directory,
            _ => NotTaken::Device,
        }
    }

    /// What an error of a look or an open means.
    pub(crate) fn from_errno(e: Errno) -> NotTaken {
        match e {
            Errno::NOENT | Errno::STALE => NotTaken::Gone,
            Errno::LOOP => NotTaken::Symlink,
            Errno::ACCESS | Errno::PERM => NotTaken::NoRight,
            // What opening a socket, or a device without a driver, says.
            Errno::NXIO | Errno::NODEV => NotTaken::Device,
            e => NotTaken::Io {
                errno: e.raw_os_error(),
            },
        }
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            NotTaken::Symlink => {
                "it is, or lies behind, a symbolic link, which could point out of the folder; put the file itself into the folder, or a hard link"
            }
            NotTaken::HardLink => {
                "it has another name (a hard link), and this kernel lets users link files that they may not read; set `sysctl fs.protected_hardlinks=1` and restart, or copy the file"
            }
            NotTaken::Directory => "it is a folder; the files in it are looked at one by one",
            NotTaken::Fifo => "it is a named pipe (FIFO), not a regular file",
            NotTaken::Socket => "it is a socket, not a regular file",
            NotTaken::Device => "it is a device or a socket, not a regular file",
            NotTaken::OtherMount => {
                "it lies on another mount; set one_file_system = false for the folder to take it"
            }
            NotTaken::Gone => "it is not there (any more)",
            NotTaken::NoRight => {
                "this user has no right to read it; grant read on the file and search (x) on the folders above it"
            }
            NotTaken::Temporary(kind) => return write!(f, "{kind}"),
            NotTaken::Excluded => {
                "it matches a pattern of the folder's `exclude` or `exclude_also`"
            }
            NotTaken::ExcludedByDefault(pattern) => {
                return write!(
                    f,
                    "it matches the pattern \"{pattern}\" of the default `exclude`: names of trash, thumbnails, snapshots and the system's own files"
                );
            }
            NotTaken::NotIncluded => "it matches no pattern of the folder's `include`",
            NotTaken::PutAside => {
                "it lies in the folder's done_dir or rejected_dir, where files are put after their import"
            }
            NotTaken::InSubfolder => {
                "it lies in a subfolder; set recursive = true for the folder to take it"
            }
            NotTaken::BadPath => "that is not a path below the folder",
            NotTaken::Offline(why) => return write!(f, "the folder can't be reached: {why}"),
            NotTaken::Io { errno } => {
                return write!(
                    f,
                    "the system said: {}; it will be tried again",
                    system_said(*errno)
                );
            }
        };
        f.write_str(text)
    }
}

impl From<Offline> for NotTaken {
    fn from(why: Offline) -> NotTaken {
        NotTaken::Offline(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn what_can_not_be_read_is_said_by_its_cause() {
        let said = |errno: Errno| unreadable(&io::Error::from(errno));
        assert!(said(Errno::MFILE).contains("no file descriptor is left for this process"));
        assert!(said(Errno::NFILE).contains("no file descriptor is left on this machine"));
        assert!(said(Errno::ACCESS).contains("no right"));
        assert!(said(Errno::IO).starts_with("it can't be read: "));
        let other = io::Error::other("another file system is there");
        assert_eq!(
            unreadable(&other),
            "it can't be read: another file system is there"
        );
        let passing = NotTaken::from_errno(Errno::MFILE);
        assert!(passing.is_passing() && passing.to_string().contains("no file descriptor"));
    }
}
