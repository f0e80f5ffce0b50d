//! Moving and deleting a source, so that it is surely the file that was
//! imported, and nothing at the target is ever overwritten.
//!
//! The file is first renamed aside within its own directory, under a name that
//! is never taken up; then looked at, where nobody can swap it any more; and
//! only then moved on or deleted. If it is another version, it goes back to
//! its place. A crash in between leaves the file under the aside name, where
//! the next try finds it. Must not: know the ledger.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::domain::ids::FileId;
use crate::domain::settle::Openness;
use crate::domain::version::FileVersion;
use crate::failpoint::failpoint;
use crate::watch::{lease, version_at};

/// Numbers that are tried to find a free name.
const MOST_NAMES: u32 = 10_000;

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
}

/// Deletes the file if it is still this version.
pub fn delete(id: FileId, place: &Place<'_>, version: &FileVersion) -> io::Result<Disposed> {
    let aside = match set_aside(id, place, version)? {
        Aside::There(aside) => aside,
        Aside::Not(why) => return Ok(why),
    };
    failpoint!("source.aside");
    rustix::fs::unlinkat(place.dir, os(&aside), AtFlags::empty())?;
    Ok(Disposed::Deleted)
}

/// Moves the file to `wanted`, or to a free name beside it, if it is still this
/// version. The directories of `wanted` must exist.
pub fn move_to(
    id: FileId,
    place: &Place<'_>,
    version: &FileVersion,
    wanted: &Path,
) -> io::Result<Disposed> {
    let aside = match set_aside(id, place, version)? {
        Aside::There(aside) => aside,
        Aside::Not(why) => return Ok(why),
    };
    failpoint!("source.aside");
    let moved = move_aside_to(place.dir, &aside, wanted);
    if moved.is_err() {
        // Back to its place; if that is taken meanwhile it stays aside, where
        // the next try finds it.
        let _ = rename_new(place.dir, &aside, place.dir, place.name);
    }
    moved.map(Disposed::Moved)
}

enum Aside {
    There(Vec<u8>),
    Not(Disposed),
}

/// A dotfile, so it is never taken up; with the id, so that it is found again.
fn aside_name(id: FileId) -> Vec<u8> {
    format!(".supametas-{id}.aside").into_bytes()
}

fn set_aside(id: FileId, place: &Place<'_>, version: &FileVersion) -> io::Result<Aside> {
    let aside = aside_name(id);
    let left_by_a_crash = match is_version(place.dir, &aside, version) {
        Ok(same) => same,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if left_by_a_crash {
        return unless_written_to(place, aside);
    }
    match is_version(place.dir, place.name, version) {
        Ok(true) => {}
        Ok(false) => return Ok(Aside::Not(Disposed::Changed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Aside::Not(Disposed::Missing));
        }
        Err(error) => return Err(error),
    }
    rename_new(place.dir, place.name, place.dir, &aside)?;
    if is_version(place.dir, &aside, version)? {
        return unless_written_to(place, aside);
    }
    // Swapped between the look and the rename.
    rename_new(place.dir, &aside, place.dir, place.name)?;
    Ok(Aside::Not(Disposed::Changed))
}

/// Whoever opened it before the rename may still write to it: then it goes back
/// to its place. Nobody can open it by its name any more.
fn unless_written_to(place: &Place<'_>, aside: Vec<u8>) -> io::Result<Aside> {
    if is_being_written(place.dir, &aside) {
        rename_new(place.dir, &aside, place.dir, place.name)?;
        return Err(io::Error::other("a program has it open for writing"));
    }
    Ok(Aside::There(aside))
}

/// Where that can't be found out it counts as no: the file has been quiet.
fn is_being_written(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(dir, os(name), flags, Mode::empty());
    opened.is_ok_and(|file| lease::open_for_writing(&File::from(file)) == Openness::Yes)
}

fn move_aside_to(dir: BorrowedFd<'_>, aside: &[u8], wanted: &Path) -> io::Result<PathBuf> {
    match rename_to_free_name(dir, aside, wanted) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_aside_to(dir, aside, wanted)
        }
        done => done,
    }
}

/// Renames `from` in `dir` to `wanted`, or to the first free name beside it.
fn rename_to_free_name(dir: BorrowedFd<'_>, from: &[u8], wanted: &Path) -> io::Result<PathBuf> {
    for n in 1..=MOST_NAMES {
        let target = numbered(wanted, n);
        match rename_new(dir, from, CWD, target.as_os_str().as_bytes()) {
            Ok(()) => return Ok(target),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("{MOST_NAMES} files of this name lie there already"),
    ))
}

/// The way to another file system: copy, sync, publish under a free name, and
/// only then delete the original.
fn copy_aside_to(dir: BorrowedFd<'_>, aside: &[u8], wanted: &Path) -> io::Result<PathBuf> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut from = File::from(rustix::fs::openat(dir, os(aside), flags, Mode::empty())?);
    let target_dir = wanted.parent().unwrap_or(Path::new("/"));
    let partial = target_dir.join(OsStr::from_bytes(&[aside, b".part"].concat()));
    // What a crash left there is our own half copy.
    let _ = fs::remove_file(&partial);
    let mut to = File::options()
        .write(true)
        .create_new(true)
        .open(&partial)?;
    let copied = io::copy(&mut from, &mut to)
        .and_then(|_| to.sync_all())
        .and_then(|()| {
            let times = fs::FileTimes::new().set_modified(from.metadata()?.modified()?);
            to.set_times(times)?;
            rename_to_free_name(CWD, partial.as_os_str().as_bytes(), wanted)
        });
    match copied {
        Ok(target) => {
            File::open(target_dir)?.sync_all()?;
            rustix::fs::unlinkat(dir, os(aside), AtFlags::empty())?;
            Ok(target)
        }
        Err(error) => {
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

/// Whether this version lies at `path`, but for its name: a rename keeps the
/// rest.
fn is_at(path: &Path, version: &FileVersion) -> bool {
    is_version(CWD, path.as_os_str().as_bytes(), version).unwrap_or(false)
}

/// Where this version lies: at `wanted`, or under one of the names beside it
/// that [`move_to`] takes where that one is taken.
pub fn find(wanted: &Path, version: &FileVersion) -> Option<PathBuf> {
    (1..=MOST_NAMES)
        .map(|n| numbered(wanted, n))
        .take_while(|path| path.symlink_metadata().is_ok())
        .find(|path| is_at(path, version))
}

/// Writes `text` beside a moved file, as `<name>.supametas.json`; never over
/// something that is there, such as the note of a try that a crash cut short.
pub fn write_note(moved: &Path, text: &str) -> io::Result<()> {
    let mut name = moved.as_os_str().to_owned();
    name.push(".supametas.json");
    let note = PathBuf::from(&name);
    if note.symlink_metadata().is_ok() {
        return Ok(());
    }
    name.push(".part");
    let partial = PathBuf::from(name);
    // Our own, half written, if a crash has left one.
    let _ = fs::remove_file(&partial);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(partial, note)
}

/// `name.ext`, `name (2).ext`, `name (3).ext` …
fn numbered(wanted: &Path, n: u32) -> PathBuf {
    if n == 1 {
        return wanted.to_owned();
    }
    let mut name = wanted.file_stem().unwrap_or_default().to_owned();
    name.push(format!(" ({n})"));
    if let Some(extension) = wanted.extension() {
        name.push(".");
        name.push(extension);
    }
    wanted.with_file_name(name)
}

fn rename_new(from_dir: impl AsFd, from: &[u8], to_dir: impl AsFd, to: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(&from_dir, os(from), &to_dir, os(to), flags) {
        // A file system without it: a hard link refuses what exists as well.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(&from_dir, os(from), &to_dir, os(to), AtFlags::empty())?;
            rustix::fs::unlinkat(&from_dir, os(from), AtFlags::empty())?;
            Ok(())
        }
        done => Ok(done?),
    }
}

/// Whether `name` in `dir` is this version, whatever its name.
fn is_version(dir: BorrowedFd<'_>, name: &[u8], version: &FileVersion) -> io::Result<bool> {
    let there = version_at(dir, name, &version.path)?;
    Ok(there.is_some_and(|there| there.matches(version)))
}

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::MetadataExt;

    struct Room {
        dir: tempfile::TempDir,
        fd: File,
    }

    fn room() -> Room {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        Room { dir, fd }
    }

    impl Room {
        fn drop_file(&self, name: &str, content: &str) -> FileVersion {
            let path = self.dir.path().join(name);
            fs::write(&path, content).unwrap();
            let meta = fs::metadata(path).unwrap();
            FileVersion {
                path: name.as_bytes().to_vec(),
                dev: meta.dev(),
                inode: meta.ino(),
                size: meta.size(),
                mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
                born_ns: None,
            }
        }
        fn place<'a>(&'a self, name: &'a str) -> Place<'a> {
            Place {
                dir: self.fd.as_fd(),
                name: name.as_bytes(),
            }
        }
        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.dir.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_move_never_overwrites() {
        let room = room();
        fs::create_dir(room.dir.path().join("done")).unwrap();
        let wanted = room.dir.path().join("done/a.txt");
        for n in 1..=3 {
            let version = room.drop_file("a.txt", &format!("{n}"));
            let moved = move_to(FileId(n), &room.place("a.txt"), &version, &wanted).unwrap();
            assert_eq!(
                moved,
                Disposed::Moved(numbered(&wanted, u32::try_from(n).unwrap()))
            );
        }
        assert_eq!(fs::read_to_string(&wanted).unwrap(), "1");
        let second = room.dir.path().join("done/a (2).txt");
        assert_eq!(fs::read_to_string(second).unwrap(), "2");
        assert_eq!(room.names(), ["done"]);
    }

    #[test]
    fn another_version_is_left_alone() {
        let room = room();
        let mut version = room.drop_file("a.txt", "old");
        version.mtime_ns -= 1;
        let deleted = delete(FileId(1), &room.place("a.txt"), &version).unwrap();
        assert_eq!(deleted, Disposed::Changed);
        assert_eq!(room.names(), ["a.txt"]);
    }

    #[test]
    fn what_a_crash_left_aside_is_found_again() {
        let room = room();
        let version = room.drop_file("a.txt", "x");
        let aside = room.dir.path().join(".supametas-7.aside");
        fs::rename(room.dir.path().join("a.txt"), &aside).unwrap();
        // Somebody has dropped a new file of the same name meanwhile.
        room.drop_file("a.txt", "new");
        let deleted = delete(FileId(7), &room.place("a.txt"), &version).unwrap();
        assert_eq!(deleted, Disposed::Deleted);
        assert_eq!(
            fs::read_to_string(room.dir.path().join("a.txt")).unwrap(),
            "new"
        );
        assert_eq!(room.names(), ["a.txt"]);
    }

    #[test]
    fn a_missing_file_is_said_to_be_missing() {
        let room = room();
        let version = room.drop_file("a.txt", "x");
        fs::remove_file(room.dir.path().join("a.txt")).unwrap();
        let gone = delete(FileId(1), &room.place("a.txt"), &version).unwrap();
        assert_eq!(gone, Disposed::Missing);
    }

    #[test]
    fn a_file_that_somebody_writes_to_is_left_alone() {
        let room = room();
        let version = room.drop_file("a.txt", "x");
        let path = room.dir.path().join("a.txt");
        let writer = File::options().append(true).open(&path).unwrap();
        // On a file system that can't tell there is nothing to see.
        if lease::open_for_writing(&File::open(&path).unwrap()) != Openness::Yes {
            return;
        }
        assert!(delete(FileId(1), &room.place("a.txt"), &version).is_err());
        assert_eq!(room.names(), ["a.txt"]);
        drop(writer);
        let deleted = delete(FileId(1), &room.place("a.txt"), &version).unwrap();
        assert_eq!(deleted, Disposed::Deleted);
    }

    #[test]
    fn a_note_is_written_once() {
        let room = room();
        let moved = room.dir.path().join("a.bin");
        // What a crash has left.
        room.drop_file("a.bin.supametas.json.part", "hal");
        write_note(&moved, "first").unwrap();
        write_note(&moved, "second").unwrap();
        assert_eq!(room.names(), ["a.bin.supametas.json"]);
        let note = room.dir.path().join("a.bin.supametas.json");
        assert_eq!(fs::read_to_string(note).unwrap(), "first");
    }

    #[test]
    fn what_was_moved_is_found_beside_a_name_that_was_taken() {
        let room = room();
        let wanted = room.dir.path().join("a.txt");
        room.drop_file("a.txt", "another");
        let version = room.drop_file("a (2).txt", "x");
        let there = room.dir.path().join("a (2).txt");
        assert_eq!(find(&wanted, &version), Some(there.clone()));
        fs::remove_file(there).unwrap();
        assert_eq!(find(&wanted, &version), None);
    }

    #[test]
    fn a_failed_move_puts_it_back() {
        let room = room();
        let version = room.drop_file("a.txt", "x");
        let nowhere = room.dir.path().join("no/such/dir/a.txt");
        assert!(move_to(FileId(1), &room.place("a.txt"), &version, &nowhere).is_err());
        assert_eq!(room.names(), ["a.txt"]);
    }

    #[test]
    fn a_copy_across_file_systems_ends_like_a_move() {
        let room = room();
        let version = room.drop_file("a.txt", "x");
        let Aside::There(aside) = set_aside(FileId(1), &room.place("a.txt"), &version).unwrap()
        else {
            panic!("it was there")
        };
        fs::create_dir(room.dir.path().join("done")).unwrap();
        let wanted = room.dir.path().join("done/a.txt");
        fs::write(&wanted, "other").unwrap();
        let target = copy_aside_to(room.fd.as_fd(), &aside, &wanted).unwrap();
        assert_eq!(target, numbered(&wanted, 2));
        assert_eq!(fs::read_to_string(&target).unwrap(), "x");
        assert_eq!(room.names(), ["done"]);
    }
}
