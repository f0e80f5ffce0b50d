//! Stand-in until `domain::naming` is merged: replace by
//! `pub use crate::domain::naming::{TemporaryKind, is_temporary};`
use std::fmt;

/// Why a name is that of a temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TemporaryKind;

impl fmt::Display for TemporaryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its name is that of a temporary or hidden file")
    }
}

/// Whether a name is temporary.
pub fn is_temporary(name: &[u8]) -> Option<TemporaryKind> {
    let ends = [
        &b".part"[..],
        b".partial",
        b".tmp",
        b".temp",
        b".crdownload",
        b".download",
        b".filepart",
        b".swp",
        b"~",
    ];
    (name.starts_with(b".") || name.starts_with(b"~$") || ends.iter().any(|e| name.ends_with(e)))
        .then_some(TemporaryKind)
}
