//! The names of what is kept beside a ledger, and of its directory.
//!
//! Must not: look at a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a ledger: the log, and its index.
pub(super) const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The directory that holds the ledger.
pub(super) fn above(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The lock file beside the ledger at `path`.
pub fn lock_path(path: &Path) -> PathBuf {
    named(path, ".lock")
}

/// Where a deleted ledger is saved.
pub(super) fn rescued(path: &Path) -> PathBuf {
    named(path, ".rescued")
}

/// The names of the files that a ledger of this name and its daemon make in its
/// directory; what a rescue or a `rebuild` has set aside is not among them.
pub fn names_beside(ledger: &str) -> Vec<String> {
    let database = ["", "-wal", "-shm", "-journal"];
    let new = database.map(|end| format!("{ledger}.new{end}"));
    let whole = database.map(|end| format!("{ledger}{end}"));
    let beside = [".lock", ".sock"].map(|end| format!("{ledger}{end}"));
    whole.into_iter().chain(new).chain(beside).collect()
}

/// The path with something behind its name.
pub(super) fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}
