//! The way from `/` to a directory, one component at a time.
//!
//! Must not: follow a link that somebody other than root and this user could
//! have put there.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::error::{Doing, FileError};

/// Links that are followed on one way, as the kernel counts.
const MOST_LINKS: u32 = 40;

/// The handle that a way consists of: it is good for going on, and not for
/// reading.
const STEP: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A directory that is made on the way. Others may read it where the umask lets
/// them; none may write to it.
pub(super) const NEW: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP);

/// What is done about the directory at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It must be there, and must not be a link.
    There,
    /// It is made where it is missing, as is what is missing above it.
    Made,
    /// It may be an administrator's link.
    Link,
}

/// Opens the directory at an absolute path.
pub(super) fn from_root(path: &Path, end: End) -> Result<OwnedFd, FileError> {
    let root = rustix::fs::openat(CWD, "/", STEP, Mode::empty())
        .map_err(|e| FileError::of(Path::new("/"), Doing::Open, e))?;
    let rest = path.strip_prefix("/").unwrap_or(path);
    if let Some(found) = at_once(root.as_fd(), rest) {
        return Ok(found);
    }
    Walk::new(root, path).run(end)
}

/// Opens the directory at a path below `base`, of which no component may be a
/// link.
pub(super) fn below(
    base: BorrowedFd<'_>,
    base_path: &Path,
    rel: &Path,
    create: bool,
) -> Result<OwnedFd, FileError> {
    if let Some(found) = at_once(base, rel) {
        return Ok(found);
    }
    let mut path = base_path.to_owned();
    let again = |e| FileError::of(base_path, Doing::Open, e);
    let mut here = rustix::io::fcntl_dupfd_cloexec(base, 0).map_err(again)?;
    for part in rel.components() {
        let Component::Normal(name) = part else {
            return Err(FileError::BadName(base_path.join(rel)));
        };
        path.push(name);
        here = match step(here.as_fd(), name, create) {
            Ok(next) => next,
            Err(e) => return Err(not_entered(here.as_fd(), name, &path, e)),
        };
    }
    Ok(here)
}

/// One system call where the kernel has it (Linux 5.6) and no component is a
/// link. `None`: to be looked at component by component.
fn at_once(base: BorrowedFd<'_>, rel: &Path) -> Option<OwnedFd> {
    if rel.as_os_str().is_empty() {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(base, rel, STEP, Mode::empty(), resolve).ok()
}

/// One component further.
fn step(dir: BorrowedFd<'_>, name: &OsStr, create: bool) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(dir, name, STEP, Mode::empty()) {
        Err(Errno::NOENT) if create => {
            match rustix::fs::mkdirat(dir, name, NEW) {
                // Somebody else was first: whose it is, is looked at later.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            rustix::fs::openat(dir, name, STEP, Mode::empty())
        }
        done => done,
    }
}

fn not_entered(dir: BorrowedFd<'_>, name: &OsStr, path: &Path, errno: Errno) -> FileError {
    if !matches!(errno, Errno::NOTDIR | Errno::LOOP) {
        let doing = match errno {
            Errno::NOENT => Doing::Open,
            _ => Doing::Create,
        };
        return FileError::of(path, doing, errno);
    }
    match link(dir, name) {
        Some(_) => FileError::Link(path.to_owned()),
        None => FileError::NotADirectory(path.to_owned()),
    }
}

/// What is known of a name that is a link.
fn link(dir: BorrowedFd<'_>, name: &OsStr) -> Option<Stat> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::Symlink).then_some(stat)
}

/// Whether nobody but root and this user can have made the link or can replace
/// it: an administrator's link, such as `/srv` on another disk.
fn is_trusted(dir: BorrowedFd<'_>, link: &Stat) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let ours = |uid: u32| uid == 0 || uid == me;
    let Ok(above) = rustix::fs::fstat(dir) else {
        return false;
    };
    // In a sticky directory nobody replaces what is not his.
    let open = above.st_mode & 0o022 != 0 && above.st_mode & 0o1000 == 0;
    ours(link.st_uid) && ours(above.st_uid) && !open
}

/// A walk that follows an administrator's links.
struct Walk {
    root: OwnedFd,
    /// The handles on the way, for `..` in a link.
    way: Vec<OwnedFd>,
    path: PathBuf,
    /// What is still to be entered. Its last is always the directory that was
    /// asked for: what a link leads to is put in front.
    left: VecDeque<OsString>,
    links: u32,
}

impl Walk {
    fn new(root: OwnedFd, path: &Path) -> Walk {
        let left: VecDeque<OsString> = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
            .map(|part| part.as_os_str().to_owned())
            .collect();
        Walk {
            root,
            way: Vec::new(),
            path: PathBuf::from("/"),
            left,
            links: 0,
        }
    }

    fn run(mut self, end: End) -> Result<OwnedFd, FileError> {
        while let Some(name) = self.left.pop_front() {
            if name == ".." {
                self.way.pop();
                self.path.pop();
            } else {
                self.enter(&name, end)?;
            }
        }
        let root = self.root;
        Ok(self.way.pop().unwrap_or(root))
    }

    fn enter(&mut self, name: &OsStr, end: End) -> Result<(), FileError> {
        let here = self.way.last().map_or(self.root.as_fd(), AsFd::as_fd);
        let path = self.path.join(name);
        let errno = match step(here, name, end == End::Made) {
            Ok(next) => {
                self.way.push(next);
                self.path = path;
                return Ok(());
            }
            Err(errno) => errno,
        };
        let found = matches!(errno, Errno::NOTDIR | Errno::LOOP)
            .then(|| link(here, name))
            .flatten();
        let Some(found) = found else {
            return Err(not_entered(here, name, &path, errno));
        };
        // The directory that was asked for must not itself be a link.
        if (self.left.is_empty() && end != End::Link) || !is_trusted(here, &found) {
            return Err(FileError::Link(path));
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(FileError::Link(path));
        }
        let to = rustix::fs::readlinkat(here, name, Vec::new())
            .map_err(|e| FileError::of(&path, Doing::Open, e))?;
        let to = PathBuf::from(OsString::from_vec(to.into_bytes()));
        if to.has_root() {
            self.way.clear();
            self.path = PathBuf::from("/");
        }
        for part in to.components().rev() {
            if matches!(part, Component::Normal(_) | Component::ParentDir) {
                self.left.push_front(part.as_os_str().to_owned());
            }
        }
        Ok(())
    }
}

/// Whether a directory can hold the name.
pub(super) fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

pub(super) fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
