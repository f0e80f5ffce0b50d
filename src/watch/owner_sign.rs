//! The sign in a drop folder: see [`crate::domain::owner_sign`].
//!
//! It is read and written by the handle of a directory that is known to be the
//! folder. No link is followed: whatever has the sign's name gives way to a new
//! file, but for a directory.
//!
//! Must not: keep anyone off, or say why a sign could not be written: a folder that
//! the daemon only reads is none the worse.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use super::root::{FolderRoot, Identity};
use crate::domain::owner_sign::{FoundSign, LONGEST, NAME, Others, OwnerSign};
use crate::files::{Dir, FileError};
use crate::limited::Calls;

/// The sign that was found in a folder, and when one's own was written after that,
/// where it could be.
type Seen = (Option<FoundSign>, Option<i64>);

/// Leaves a folder's sign and reads those of others.
#[derive(Debug)]
pub(super) struct Signs {
    own: Arc<OwnerSign>,
    others: Others,
    /// The directory that the looks so far were at.
    directory: Option<Identity>,
}

impl Signs {
    pub fn new(own: Arc<OwnerSign>) -> Signs {
        Signs {
            own,
            others: Others::default(),
            directory: None,
        }
    }

    /// Reads the sign in `directory`, which is the folder, and writes one's own.
    /// Who else watches it.
    pub fn look(&mut self, root: &Arc<FolderRoot>, directory: Identity) -> Option<OwnerSign> {
        if self.directory.replace(directory) != Some(directory) {
            self.others = Others::default();
        }
        let (asked, own) = (Arc::clone(root), Arc::clone(&self.own));
        let seen = Calls::of_process().ask(root.path(), move || refresh(&asked, &own));
        // Where it does not answer nothing was seen.
        let (found, written) = seen.ok().flatten().unwrap_or_default();
        self.others.look(&self.own, found, written).cloned()
    }

    /// Takes the sign away, if it is one's own.
    pub fn remove(&self, root: &Arc<FolderRoot>) {
        let (asked, own) = (Arc::clone(root), Arc::clone(&self.own));
        let _ = Calls::of_process().ask(root.path(), move || {
            let dir = directory(&asked)?;
            let is_own = read(&dir).is_some_and(|found| found.sign.run == own.run);
            is_own.then(|| dir.remove(NAME.as_bytes()).ok()).flatten()
        });
    }
}

fn directory(root: &FolderRoot) -> Option<Dir> {
    let handle = root.handle().ok()?;
    Dir::of(handle.fd.as_fd(), root.path()).ok()
}

/// `None`: the folder is not there.
fn refresh(root: &FolderRoot, own: &OwnerSign) -> Option<Seen> {
    let dir = directory(root)?;
    let found = read(&dir);
    let is_own = found
        .as_ref()
        .is_some_and(|found| found.sign.run == own.run);
    Some((found, write(&dir, own, is_own).ok()))
}

fn write(dir: &Dir, own: &OwnerSign, is_there: bool) -> Result<i64, FileError> {
    let name = NAME.as_bytes();
    if is_there && let Ok(seen) = dir.touch(name) {
        return Ok(seen.mtime_ns());
    }
    let seen = dir.leave(name, own.text().as_bytes(), 0o644)?;
    Ok(seen.mtime_ns())
}

fn read(dir: &Dir) -> Option<FoundSign> {
    let (file, seen) = dir.open_file(NAME.as_bytes()).ok()?;
    let mut text = Vec::with_capacity(LONGEST);
    // One more than a sign can have shows that it is none.
    file.take(LONGEST as u64 + 1).read_to_end(&mut text).ok()?;
    Some(FoundSign {
        sign: OwnerSign::parse(&text)?,
        written_ns: seen.mtime_ns(),
    })
}

/// The sign that is in a folder now. Blocks where its file system does.
pub fn look(root: &FolderRoot) -> Option<FoundSign> {
    read(&directory(root)?)
}

/// Whether this user lacks the right to leave a sign in a folder that others may
/// write to. Blocks where its file system does.
pub fn is_forbidden(root: &FolderRoot) -> bool {
    let Ok(handle) = root.handle() else {
        return false;
    };
    let may = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(&handle.fd, ".", may, AtFlags::EACCESS) == Err(Errno::ACCESS)
}

#[cfg(test)]
#[path = "owner_sign_tests.rs"]
mod tests;
