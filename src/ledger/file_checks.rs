//! Whether what lies at a ledger's path can be this program's: looked at before
//! SQLite opens it, since SQLite replays whatever log lies beside a ledger.
//!
//! The rule of the directory carries the rest: where nobody but root and this
//! user may write, nobody else can have put anything there. Must not: change,
//! move or delete anything.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use super::paths::{above, lock_path, named, rescued};
use super::suspect::Suspect;
use crate::files::{Dir, FileError};

/// What is at the ledger's own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    /// Nothing.
    Nothing,
    /// A file without content.
    Empty,
    /// A file.
    File,
}

/// Who opens the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The daemon, or a command in its place: the files are its user's.
    Owner,
    /// A command beside it, maybe as root: the files are of one user.
    Visitor,
}

/// Looks at the directory, the ledger and what SQLite keeps beside it.
///
/// # Errors
/// One of them can't be this program's; nothing was opened.
pub(super) fn check(path: &Path, by: By) -> Result<There, LedgerError> {
    let ledger = look(path)?;
    let users = users(path, by);
    check_directory(path, &users)?;
    if let Some(meta) = &ledger {
        ours(path, meta, &users, Mode::ClosedLater)?;
    }
    let journal = named(path, "-journal");
    if look(&journal)?.is_some() {
        return Err(LedgerError::NotOurs {
            path: journal,
            why: Suspect::Journal,
        });
    }
    for beside in [named(path, "-wal"), named(path, "-shm"), rescued(path)] {
        if let Some(meta) = look(&beside)? {
            ours(&beside, &meta, &users, Mode::MustBeClosed)?;
        }
    }
    Ok(match ledger {
        None => There::Nothing,
        Some(meta) if meta.len() == 0 => There::Empty,
        Some(_) => There::File,
    })
}

/// Whose the files may be. Root works on the daemon's ledger as a visitor; a
/// daemon of root's takes no files of another user.
fn users(path: &Path, by: By) -> Vec<u32> {
    let me = rustix::process::geteuid().as_raw();
    let mut users = vec![0, me];
    if by == By::Visitor {
        // Of a file that this user can't write, nothing is replayed that its
        // owner could not have written into it.
        users.extend(path.symlink_metadata().map(|meta| meta.uid()));
        if me == 0 {
            users.extend(above(path).metadata().map(|meta| meta.uid()));
        }
    }
    users
}

/// The directory is there and can hold a ledger of its user's.
///
/// # Errors
/// Others own it, or may write to it.
pub(super) fn check_place(path: &Path) -> Result<(), LedgerError> {
    check_directory(path, &users(path, By::Visitor))
}

fn check_directory(path: &Path, users: &[u32]) -> Result<(), LedgerError> {
    let refused = |error: FileError| LedgerError::no_directory(path, &error);
    let parent = above(path);
    if fs::metadata(&parent).is_ok_and(|meta| !meta.is_dir()) {
        return Err(LedgerError::no_directory(
            path,
            &"what should hold it is not a directory",
        ));
    }
    let whole = std::path::absolute(&parent).unwrap_or(parent);
    Dir::shared(&whole)
        .and_then(|dir| dir.owned_by(users))
        .map_err(refused)
}

#[derive(PartialEq, Eq)]
enum Mode {
    /// Others may have it open: the start closes it to them.
    ClosedLater,
    MustBeClosed,
}

fn look(path: &Path) -> Result<Option<Metadata>, LedgerError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::of_io(path, &error)),
    }
}

fn ours(path: &Path, meta: &Metadata, users: &[u32], mode: Mode) -> Result<(), LedgerError> {
    let why = if meta.is_symlink() {
        Suspect::Link
    } else if !meta.is_file() {
        Suspect::NotAFile
    } else if !users.contains(&meta.uid()) {
        Suspect::ForeignOwner(meta.uid())
    } else if mode == Mode::MustBeClosed && meta.mode() & 0o022 != 0 {
        Suspect::OpenToOthers(meta.mode() & 0o7777)
    } else if meta.nlink() > 1 {
        Suspect::SecondName
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(LedgerError::NotOurs { path, why })
}

/// Whether an open lock may be written to: root also takes the one of another
/// user, and leaves it as it is.
pub(super) fn lock_is_ours(file: &File, path: &Path) -> Result<bool, LedgerError> {
    let meta = file
        .metadata()
        .map_err(|error| LedgerError::of_io(path, &error))?;
    let me = rustix::process::geteuid().as_raw();
    let users = [0, me, if me == 0 { meta.uid() } else { me }];
    ours(path, &meta, &users, Mode::ClosedLater)?;
    Ok(meta.uid() == me)
}

/// What keeps `user` from working on the ledger, where files of another user may
/// be the cause.
pub(super) fn or_foreign(path: &Path, error: LedgerError, user: (u32, u32)) -> LedgerError {
    let may_be = matches!(
        error,
        LedgerError::ReadOnly { .. }
            | LedgerError::Directory { .. }
            | LedgerError::NotOurs {
                why: Suspect::ForeignOwner(_),
                ..
            }
    );
    let (me, group) = user;
    // Root may write to all of them.
    if !may_be || me == 0 {
        return error;
    }
    let of = |path: PathBuf| Some((path.symlink_metadata().ok()?.uid(), path));
    let all = [
        above(path),
        path.to_owned(),
        named(path, "-wal"),
        named(path, "-shm"),
        lock_path(path),
    ];
    let foreign = all.into_iter().filter_map(of);
    let (owners, files): (Vec<u32>, Vec<PathBuf>) =
        foreign.filter(|(owner, _)| *owner != me).unzip();
    match owners.first() {
        Some(owner) => LedgerError::ForeignOwner {
            path: path.to_owned(),
            files,
            owner: *owner,
            me,
            group,
        },
        None => error,
    }
}

/// What shows that a ledger was at the path before, where none is now. `lock`:
/// the lock beside it counts.
pub(super) fn signs_of_an_earlier_life(path: &Path, lock: bool) -> Vec<PathBuf> {
    let mut signs: Vec<PathBuf> = ["-wal", "-shm", "-journal"]
        .iter()
        .map(|end| named(path, end))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if lock {
        signs.push(lock_path(path));
    }
    // What `rebuild` and a start with a new ledger have moved aside.
    let mut aside = path.file_name().unwrap_or_default().as_bytes().to_vec();
    aside.extend(b".before-");
    let listed = fs::read_dir(above(path)).into_iter().flatten().flatten();
    signs.extend(
        listed
            .filter(|entry| entry.file_name().as_bytes().starts_with(&aside))
            .map(|entry| entry.path()),
    );
    signs.sort();
    signs
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_of_another_user_are_named_with_the_command_that_gives_them_back() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        fs::write(&ledger, "x").unwrap();
        let owner = fs::metadata(&ledger).unwrap().uid();
        let refused = || LedgerError::ReadOnly {
            path: ledger.clone(),
            why: "attempt to write a readonly database".to_owned(),
        };
        let said = or_foreign(&ledger, refused(), (owner + 7, 50)).to_string();
        let files = format!("{} {}", dir.path().display(), ledger.display());
        let command = format!("`chown {}:50 {files}`", owner + 7);
        assert!(said.contains(&command), "{said}");
        assert!(
            said.contains(&format!("start the daemon as uid {owner}")),
            "{said}"
        );
        // Its own files are not blamed, and neither is anything for another fault.
        if owner != 0 {
            assert_eq!(or_foreign(&ledger, refused(), (owner, 50)), refused());
        }
        let busy = LedgerError::Busy(ledger.clone());
        assert_eq!(or_foreign(&ledger, busy.clone(), (owner + 7, 50)), busy);
    }
}
