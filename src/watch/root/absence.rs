//! What it says of a file that its folder has no such name.
//!
//! Must not: look at the folder.

use std::sync::atomic::Ordering;

use super::FolderRoot;
use crate::domain::version::FileVersion;
use crate::watch::not_taken::{NotTaken, Offline};

impl FolderRoot {
    /// What it means that a version is missing: that it is gone, or that another
    /// file system is at the folder's path than the one it was seen on. Only
    /// where none has come is a file system known by more than its device, which
    /// a mount may give anew.
    pub fn missing(&self, version: &FileVersion) -> NotTaken {
        let here = self.identity().is_some_and(|here| here.dev == version.dev);
        if here || !self.covered.load(Ordering::Acquire) {
            return NotTaken::Gone;
        }
        NotTaken::Offline(Offline::OtherFileSystem)
    }

    pub(super) fn is_covered(&self, covered: bool) {
        self.covered.fetch_or(covered, Ordering::AcqRel);
    }
}
