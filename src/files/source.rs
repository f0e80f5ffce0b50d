//! Moving and deleting a source, so that it is surely the file that was
//! imported, and nothing at the target is ever overwritten.
//!
//! The file is first renamed aside within its own directory, under a name that
//! is never taken up; then it is looked at, and only then moved on or deleted.
//! After a move it is looked at once more in the target, where nobody else can
//! swap it. If it is another version, it goes back to its place. A crash in
//! between leaves the file under the aside name, where the next try finds it.
//! Must not: know the ledger.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::copy::{self, Owner};
use super::dir::{Dir, Seen, rename_new};
use super::error::{Doing, FileError};
use super::walk::os;
use crate::domain::ids::FileId;
use crate::domain::version::FileVersion;
use crate::failpoint::failpoint;

/// Numbers that are tried to find a free name.
const MOST_NAMES: u32 = 10_000;

/// Bytes that a name may have.
const LONGEST_NAME: usize = 255;

/// Says whether a program has an open file open for writing. Where that can't
/// be found out it counts as no: the file has been quiet.
pub type BeingWritten = fn(&File) -> bool;

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposed {
    /// It lies here now.
    Moved(PathBuf),
    /// It is deleted.
    Deleted,
    /// It is not there any more.
    Missing,
    /// It is another version now, and was left alone.
    Changed,
}

/// A file within a directory that is held open.
pub struct Place<'a> {
    /// The directory.
    pub dir: BorrowedFd<'a>,
    /// The name in it.
    pub name: &'a [u8],
    /// The path of the file, for messages.
    pub path: &'a Path,
}

/// Where a file is to go: a name, or one like it, in a directory that only this
/// program and root may change.
pub struct Goal<'a> {
    /// The directory.
    pub dir: &'a Dir,
    /// The name.
    pub name: &'a [u8],
}

/// Deletes the file if it is still this version.
///
/// # Errors
/// It is where it was, or aside.
pub fn delete(
    id: FileId,
    place: &Place<'_>,
    version: &FileVersion,
    being_written: BeingWritten,
) -> Result<Disposed, FileError> {
    from_aside(id, place, version, being_written, |aside| {
        remove(place, aside)?;
        Ok(Disposed::Deleted)
    })
}

/// Moves the file to `goal`, or to a free name beside it, if it is still this
/// version.
///
/// # Errors
/// It is where it was, or aside.
pub fn move_to(
    id: FileId,
    place: &Place<'_>,
    version: &FileVersion,
    goal: &Goal<'_>,
    being_written: BeingWritten,
) -> Result<Disposed, FileError> {
    from_aside(id, place, version, being_written, |aside| {
        let moved = move_aside_to(place, aside, version, goal);
        if !matches!(moved, Ok(Some(_))) {
            // Back to its place; if that is taken meanwhile it stays aside, where
            // the next try finds it.
            let _ = rename_new(place.dir, aside, place.dir, place.name);
        }
        Ok(moved?.map_or(Disposed::Changed, |name| {
            Disposed::Moved(goal.dir.at(&name))
        }))
    })
}

/// Sets the file aside if it is still this version, and does `next` with it
/// there.
fn from_aside(
    id: FileId,
    place: &Place<'_>,
    version: &FileVersion,
    being_written: BeingWritten,
    next: impl FnOnce(&[u8]) -> Result<Disposed, FileError>,
) -> Result<Disposed, FileError> {
    let aside = match set_aside(id, place, version, being_written)? {
        Aside::There(aside) => aside,
        Aside::Not(why) => return Ok(why),
    };
    failpoint!("source.aside");
    next(&aside)
}

enum Aside {
    There(Vec<u8>),
    Not(Disposed),
}

/// Names that a file can have aside. Whoever may write to the directory can take
/// one of them, and would else hold up the file.
const ASIDES: u32 = 16;

/// A dotfile, so it is never taken up; with the id, so that it is found again.
fn aside_name(id: FileId, n: u32) -> Vec<u8> {
    match n {
        1 => format!(".supametas-{id}.aside").into_bytes(),
        n => format!(".supametas-{id}-{n}.aside").into_bytes(),
    }
}

fn set_aside(
    id: FileId,
    place: &Place<'_>,
    version: &FileVersion,
    being_written: BeingWritten,
) -> Result<Aside, FileError> {
    let here = look(place, place.name)?;
    let is_here = here.is_some_and(|seen| seen.is_version(version));
    let mut free = None;
    for n in 1..=ASIDES {
        let aside = aside_name(id, n);
        match look(place, &aside)? {
            // Left by a crash.
            Some(seen) if seen.is_version(version) => {
                return unless_written_to(place, aside, being_written);
            }
            Some(_) => {}
            // Where the file is in its place, a crash has left none.
            None if is_here => {
                free = Some(aside);
                break;
            }
            None => {}
        }
    }
    if !is_here {
        return Ok(Aside::Not(match here {
            Some(_) => Disposed::Changed,
            None => Disposed::Missing,
        }));
    }
    let Some(aside) = free else {
        return Err(FileError::NamesTaken {
            path: place.path.with_file_name(format!(".supametas-{id}.aside")),
            tries: ASIDES,
        });
    };
    rename_here(place, place.name, &aside)?;
    if look(place, &aside)?.is_some_and(|seen| seen.is_version(version)) {
        return unless_written_to(place, aside, being_written);
    }
    // Swapped between the look and the rename.
    rename_here(place, &aside, place.name)?;
    Ok(Aside::Not(Disposed::Changed))
}

/// Whoever opened it before the rename may still write to it: then it goes back
/// to its place. Nobody can open it by its name any more.
fn unless_written_to(
    place: &Place<'_>,
    aside: Vec<u8>,
    being_written: BeingWritten,
) -> Result<Aside, FileError> {
    let dir = Dir::of(place.dir, above(place.path))?;
    if dir
        .open_file(&aside)
        .is_ok_and(|(file, _)| being_written(&file))
    {
        rename_here(place, &aside, place.name)?;
        return Err(FileError::BeingWritten(place.path.to_owned()));
    }
    Ok(Aside::There(aside))
}

/// The name that it has now; `None`: what arrived is another version, and is
/// back under the aside name.
fn move_aside_to(
    place: &Place<'_>,
    aside: &[u8],
    version: &FileVersion,
    goal: &Goal<'_>,
) -> Result<Option<Vec<u8>>, FileError> {
    match rename_to_free_name(place.dir, aside, goal) {
        Err(Failed::System(Errno::XDEV)) => copy_aside_to(place, aside, version, goal),
        Err(failed) => Err(failed.named(goal)),
        Ok(name) => {
            let arrived = goal.dir.look(&name)?;
            if arrived.is_some_and(|seen| seen.is_version(version)) {
                return Ok(Some(name));
            }
            // Somebody put another thing under the aside name in between.
            rename_new(goal.dir.fd(), &name, place.dir, aside)
                .map_err(|e| FileError::of(&goal.dir.at(&name), Doing::Move, e))?;
            Ok(None)
        }
    }
}

enum Failed {
    System(Errno),
    NoName,
}

impl Failed {
    /// The file was renamed in its own directory just before, so what is refused
    /// now is the target's matter.
    fn named(self, goal: &Goal<'_>) -> FileError {
        let path = goal.dir.at(goal.name);
        match self {
            Failed::NoName => FileError::NamesTaken {
                path,
                tries: MOST_NAMES,
            },
            Failed::System(e) => FileError::of(&path, Doing::Move, e),
        }
    }
}

/// Renames `from` in `dir` to the goal's name, or to the first free name beside
/// it.
fn rename_to_free_name(
    dir: BorrowedFd<'_>,
    from: &[u8],
    goal: &Goal<'_>,
) -> Result<Vec<u8>, Failed> {
    for n in 1..=MOST_NAMES {
        let name = numbered(goal.name, n);
        match rename_new(dir, from, goal.dir.fd(), &name) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(Failed::System(e)),
        }
    }
    Err(Failed::NoName)
}

/// The way to another file system: copy, sync, publish under a free name, and
/// only then delete the original.
fn copy_aside_to(
    place: &Place<'_>,
    aside: &[u8],
    version: &FileVersion,
    goal: &Goal<'_>,
) -> Result<Option<Vec<u8>>, FileError> {
    let source = Dir::of(place.dir, above(place.path))?;
    let (from, seen) = source.open_file(aside)?;
    if !seen.is_version(version) {
        return Ok(None);
    }
    let part = [aside, b".part"].concat();
    // What a crash left there is our own half copy.
    goal.dir.remove(&part)?;
    let mut to = goal.dir.create_new(&part, 0o600)?;
    let copied = copy::copy((&from, &mut &from), &seen, &mut to, Owner::Source)
        .map_err(|error| FileError::of_io(&goal.dir.at(&part), Doing::Write, &error))
        .and_then(|()| {
            rename_to_free_name(goal.dir.fd(), &part, goal).map_err(|failed| failed.named(goal))
        });
    match copied {
        Ok(name) => {
            goal.dir.sync()?;
            remove(place, aside)?;
            Ok(Some(name))
        }
        Err(error) => {
            let _ = goal.dir.remove(&part);
            Err(error)
        }
    }
}

/// Under which name in the directory this version lies: `wanted`, or one of the
/// names beside it that [`move_to`] takes where that one is taken.
///
/// # Errors
/// The directory can't be looked at.
pub fn find(dir: &Dir, wanted: &[u8], version: &FileVersion) -> Result<Option<PathBuf>, FileError> {
    for n in 1..=MOST_NAMES {
        let name = numbered(wanted, n);
        match dir.look(&name)? {
            None => break,
            Some(seen) if seen.is_version(version) => return Ok(Some(dir.at(&name))),
            Some(_) => {}
        }
    }
    Ok(None)
}

/// Writes `text` beside a moved file, as `<name>.supametas.json`; never over
/// something that is there. Whoever drops files can give one the name of a note,
/// so a name counts as the note only if it says the same, as after a crash.
///
/// # Errors
/// Nothing is left of it.
pub fn write_note(dir: &Dir, moved: &[u8], text: &str) -> Result<(), FileError> {
    const END: &[u8] = b".supametas.json";
    let kept = cut(moved, LONGEST_NAME - END.len());
    let wanted = [kept, END].concat();
    for n in 1..=MOST_NAMES {
        let name = numbered(&wanted, n);
        if dir.look(&name)?.is_none() {
            return dir.put(&name, text.as_bytes(), 0o640, false);
        }
        if says(dir, &name, text) {
            return Ok(());
        }
    }
    Err(FileError::NamesTaken {
        path: dir.at(&wanted),
        tries: MOST_NAMES,
    })
}

/// Whether a regular file of this name says just that.
fn says(dir: &Dir, name: &[u8], text: &str) -> bool {
    let Ok((mut file, seen)) = dir.open_file(name) else {
        return false;
    };
    let mut there = vec![0; text.len()];
    seen.size() == text.len() as u64
        && file.read_exact(&mut there).is_ok()
        && there == text.as_bytes()
}

/// `name.ext`, `name (2).ext`, `name (3).ext` …
fn numbered(wanted: &[u8], n: u32) -> Vec<u8> {
    if n == 1 {
        return wanted.to_vec();
    }
    let dot = wanted.iter().rposition(|byte| *byte == b'.');
    let (stem, extension) = wanted.split_at(dot.filter(|at| *at > 0).unwrap_or(wanted.len()));
    let number = format!(" ({n})").into_bytes();
    let room = LONGEST_NAME.saturating_sub(number.len() + extension.len());
    [cut(stem, room), &number, extension].concat()
}

/// At most `most` bytes, without a broken character at the end.
fn cut(name: &[u8], most: usize) -> &[u8] {
    if name.len() <= most {
        return name;
    }
    let mut end = most;
    while end > 0 && name[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &name[..end]
}

fn rename_here(place: &Place<'_>, from: &[u8], to: &[u8]) -> Result<(), FileError> {
    rename_new(place.dir, from, place.dir, to)
        .map_err(|e| FileError::of(place.path, Doing::Move, e))
}

/// A directory that took the name is not deleted: the call refuses it.
fn remove(place: &Place<'_>, name: &[u8]) -> Result<(), FileError> {
    rustix::fs::unlinkat(place.dir, os(name), AtFlags::empty())
        .map_err(|e| FileError::of(place.path, Doing::Delete, e))
}

fn look(place: &Place<'_>, name: &[u8]) -> Result<Option<Seen>, FileError> {
    match Seen::at(place.dir, name) {
        Ok(seen) => Ok(Some(seen)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(FileError::of(place.path, Doing::Open, e)),
    }
}

fn above(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
