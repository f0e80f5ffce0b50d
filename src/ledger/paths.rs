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

/// The path with something behind its name.
pub(super) fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}
