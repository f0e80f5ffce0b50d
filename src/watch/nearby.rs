//! Steps from a directory that is open already: what lies beside or below the one
//! before need not be looked for from the folder's root, which would take as many
//! steps as it lies deep.
//!
//! Must not: keep a handle for longer than a batch.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::not_taken::NotTaken;
use super::root::{Identity, OpenedFile, RootHandle, root_facts};

impl RootHandle {
    /// Opens several files: what lies in the directory of the one before, or below
    /// it, is opened from there.
    pub fn open_files<'r>(
        &self,
        rels: impl IntoIterator<Item = &'r [u8]>,
        mut to: impl FnMut(Result<OpenedFile, NotTaken>),
    ) {
        // The path of that directory, with its slash, and its handle.
        let mut before: Option<(&[u8], OwnedFd)> = None;
        for rel in rels {
            let split = rel.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            let (above, name) = rel.split_at(split);
            if let Some((_, dir)) = before.as_ref().filter(|(path, _)| *path == above)
                && !matches!(name, b"" | b"." | b"..")
                && !name.contains(&0)
            {
                to(self.open_at(dir.as_fd(), name, rel));
                continue;
            }
            // Deeper down the same way: the steps to that directory are done.
            let known = before
                .as_ref()
                .filter(|(path, _)| above.len() > path.len() && above.starts_with(path));
            let parent = match known {
                Some((path, dir)) => self.parent_below(Some(dir.as_fd()), &rel[path.len()..]),
                None => self.parent(rel),
            };
            to(parent.and_then(|(dir, name)| {
                let fd = dir.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
                let opened = self.open_at(fd, name, rel);
                before = dir.map(|dir| (above, dir));
                opened
            }));
        }
    }

    /// The directory above an open one.
    pub(crate) fn above(dir: BorrowedFd<'_>) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(dir, "..", flags, Mode::empty()).ok()
    }

    /// What an open directory is recognised by.
    pub(crate) fn identity_of(dir: BorrowedFd<'_>) -> Option<Identity> {
        Some(root_facts(dir, AtFlags::empty()).ok()?.identity)
    }
}
