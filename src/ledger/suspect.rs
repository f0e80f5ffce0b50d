//! What shows that a file at a ledger's path, or beside it, is not this program's.
//!
//! Must not: look at a file; `file_checks` does.

use std::fmt;

/// Why a file can't be this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// It is a link.
    Link,
    /// It is a directory, a pipe, a device.
    NotAFile,
    /// It is somebody else's.
    ForeignOwner(
        /// Whose.
        u32,
    ),
    /// Others may write to it.
    OpenToOthers(
        /// Its mode.
        u32,
    ),
    /// It has another name somewhere.
    SecondName,
    /// A rollback journal, which this program does not use.
    Journal,
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Suspect::Link => f.write_str("it is a symbolic link"),
            Suspect::NotAFile => f.write_str("it is not a regular file"),
            Suspect::ForeignOwner(uid) => write!(f, "it belongs to uid {uid}"),
            Suspect::OpenToOthers(mode) => write!(f, "others may write to it, mode {mode:04o}"),
            Suspect::SecondName => f.write_str("it has another name, a hard link"),
            Suspect::Journal => f.write_str("it is a rollback journal, which it does not use"),
        }
    }
}
