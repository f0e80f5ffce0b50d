//! A folder for a command that works with it once. Its file system may not
//! answer, so it is asked on a thread that may be lost.
//!
//! Must not: be used by the daemon, which keeps its folders and asks again.

use std::path::Path;

use super::not_taken::Offline;
use super::root::{FolderRoot, RootHandle};
use crate::domain::place::FolderPlace;
use crate::limited::Calls;

/// The folder and a handle of it. `before`: what its directory was when the
/// daemon last worked with it.
///
/// # Errors
/// It can't be worked with, or does not answer.
pub fn reached(
    path: &Path,
    one_file_system: bool,
    before: Option<FolderPlace>,
) -> Result<(FolderRoot, RootHandle), Offline> {
    let root = FolderRoot::new(path.to_owned(), one_file_system).known_before(before);
    let asked = Calls::of_process().ask(path, move || {
        root.check()?;
        let handle = root.handle()?;
        Ok((root, handle))
    });
    asked.unwrap_or(Err(Offline::NotAnswering))
}
