//! The folder, and safe access to what is in it.
//!
//! Who may write into a drop folder may put a link, a pipe or a device there,
//! or swap a directory for a link between two system calls. So every path is
//! walked one component at a time from the folder's own handle, no component
//! may be a link, and what was opened is looked at once more.
//!
//! The handle is opened for each call (or each batch of calls) and not kept:
//! a kept one would make `umount` of the folder fail as busy for as long as the
//! daemon runs. Instead the folder's *identity* (device and inode) is
//! remembered from the first time and compared each time. So a file is "gone"
//! only if the folder is the known one and has no such name; an unmounted
//! folder, or the empty mount point left behind, is *offline*, which says
//! nothing of any file.
//!
//! What is at the path may become another directory. Then nothing is read from
//! it until someone calls [`FolderRoot::reopen`]; [`Offline`] says which case
//! it is: an empty mount point is to be waited on, a replacement (a folder
//! removed and made again, a mount that came) is to be taken up and scanned.
//!
//! Must not: decide by name (that is `rules`) or whether a file is finished.

mod absence;

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::exports;
use super::facts::{Facts, is_empty, not_a_directory};
use super::fstype;
use super::hard_links;
use super::lease::Asked;
use super::not_taken::{NotTaken, Offline};
use super::probe::Probe;
use crate::domain::place::{FolderPlace, Now, Recognised};
use crate::domain::version::FileVersion;
use crate::domain::writers::{Heard, Openness};

/// What a directory is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What is known of the directory at a folder's path. When it differs from one
/// check to the next, watches on the former may be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFacts {
    /// Device and inode.
    pub identity: Identity,
    /// The mount's number; inode numbers return, those hardly.
    mount: Option<u64>,
    /// When it was made, seconds and nanoseconds, where the file system tells.
    born: Option<(i64, u32)>,
    /// Whether it is the root of a mount.
    mount_root: bool,
}

/// The directory that is taken for the folder.
#[derive(Debug, Clone)]
struct Known {
    facts: RootFacts,
    recognised: Recognised,
}

/// A folder: where it is, and which directory that was.
#[derive(Debug)]
pub struct FolderRoot {
    path: PathBuf,
    one_file_system: bool,
    /// See [`hard_links::are_guarded`].
    links_guarded: bool,
    known: Mutex<Option<Known>>,
    /// A person has said that what is at the path is the folder.
    confirmed: AtomicBool,
    /// What events tell of its files' writers.
    probe: Probe,
    /// See [`exports`].
    exported: AtomicBool,
    /// What an earlier run knew the folder by.
    before: Option<FolderPlace>,
    /// Another file system has come to the path since files were seen there.
    covered: AtomicBool,
}

/// A file that was opened for reading, and what was opened.
#[derive(Debug)]
pub struct OpenedFile {
    /// Open for reading; a regular file.
    pub file: File,
    /// As it was right after opening.
    pub version: FileVersion,
    /// When its inode last changed, nanoseconds since the Unix epoch.
    pub ctime_ns: i64,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A regular file that may be taken.
    File(FileVersion),
    /// A directory that may be walked.
    Directory,
}

impl FolderRoot {
    /// The folder at an absolute path. Touches nothing; the first directory
    /// that is seen there becomes the known one.
    pub fn new(path: PathBuf, one_file_system: bool) -> FolderRoot {
        FolderRoot {
            path,
            one_file_system,
            links_guarded: hard_links::are_guarded(),
            known: Mutex::new(None),
            confirmed: AtomicBool::new(false),
            probe: Probe::default(),
            exported: AtomicBool::new(false),
            before: None,
            covered: AtomicBool::new(false),
        }
    }

    /// The same, where an earlier run has known the folder: what looks like
    /// its empty mount point is not taken for it.
    #[must_use]
    pub fn known_before(mut self, before: Option<FolderPlace>) -> FolderRoot {
        self.before = before;
        self
    }

    /// What the directory is recognised by over a restart, if it is the known
    /// one and can be asked.
    pub fn place(&self) -> Option<FolderPlace> {
        let (dir, facts, _) = self.open_listable().ok()?;
        (self.known()?.identity == facts.identity)
            .then(|| self.place_of(dir.as_fd(), &facts).ok())
            .flatten()
    }

    fn place_of(&self, dir: BorrowedFd<'_>, facts: &RootFacts) -> Result<FolderPlace, Errno> {
        Ok(FolderPlace {
            path: self.path.as_os_str().as_bytes().to_vec(),
            file_system: fstype::number_of(dir)?,
            inode: facts.identity.inode,
            is_mount: facts.mount_root,
        })
    }

    /// What events tell of its files' writers. Nothing, unless they are fed in.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Looks up whether the folder is exported by NFS.
    pub fn look_for_exports(&self) {
        let exported = exports::cover(&self.path);
        self.exported.store(exported, Ordering::Relaxed);
    }

    /// Whether a file of the folder is being written. `asked`: what the kernel
    /// says of it; `heard`: what the folder's events said before it was opened
    /// for that, since they tell of that opening too.
    pub fn openness(&self, asked: Asked, heard: Heard) -> Openness {
        let exported = self.exported.load(Ordering::Relaxed);
        Openness::told(asked.lease, heard, asked.local && !exported)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The identity of the known directory, once there is one.
    pub fn identity(&self) -> Option<Identity> {
        self.known().map(|k| k.identity)
    }

    fn known(&self) -> Option<RootFacts> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| known.facts)
    }

    fn recognised(&self) -> Option<Recognised> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| known.recognised.clone())
    }

    fn set_known(&self, facts: RootFacts, recognised: Recognised) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { facts, recognised });
        self.confirmed.store(false, Ordering::Relaxed);
    }

    /// A person says that what is at the path from now on is the folder, also if
    /// it is a link, another owner's, or on another file system. Holds for the
    /// next look.
    pub fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Whether the directory at the path is the known one and can be listed.
    pub fn check(&self) -> Result<RootFacts, Offline> {
        // Most often it is. To open it for reading would wake whoever watches it.
        if let Some(known) = self.known()
            && self.glance() == Ok(known)
        {
            self.confirmed.store(false, Ordering::Relaxed);
            return Ok(known);
        }
        let (dir, facts, now) = self.open_listable()?;
        let Some(known) = self.recognised() else {
            if let Some(before) = &self.before {
                let place = self
                    .place_of(dir.as_fd(), &facts)
                    .map_err(Offline::from_errno)?;
                if before.is_lost_in(&place, is_empty(dir)?) {
                    return Err(Offline::EmptyMountPoint);
                }
                self.is_covered(before.is_covered_in(&place));
            }
            self.set_known(facts, now);
            return Ok(facts);
        };
        match self.may_become(known.compared_with(&now, is_empty(dir)?)) {
            Ok(Now::Same) => {
                self.confirmed.store(false, Ordering::Relaxed);
                Ok(facts)
            }
            Ok(_) => Err(Offline::Replaced),
            Err(why) => Err(why),
        }
    }

    /// What is the known directory or may take its place.
    fn may_become(&self, now: Now) -> Result<Now, Offline> {
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        match now {
            Now::Same | Now::Another => Ok(now),
            Now::Unmounted => Err(Offline::EmptyMountPoint),
            Now::Link | Now::AnotherOwner | Now::AnotherFileSystem if confirmed => Ok(now),
            Now::Link => Err(Offline::BecameLink),
            Now::AnotherOwner => Err(Offline::AnotherOwner),
            Now::AnotherFileSystem => Err(Offline::AnotherFileSystem),
        }
    }

    /// Takes the directory that is at the path now as the folder, if it may take
    /// the place of the known one.
    pub fn reopen(&self) -> Result<RootFacts, Offline> {
        let (dir, facts, now) = self.open_listable()?;
        if let Some(known) = self.recognised() {
            self.may_become(known.compared_with(&now, is_empty(dir)?))?;
        }
        let known = self.known();
        self.is_covered(known.is_some_and(|known| known != facts));
        self.set_known(facts, now);
        Ok(facts)
    }

    /// What is at the path, if it may be listed, without opening it for that.
    fn glance(&self) -> Result<RootFacts, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | self.no_link();
        let dir = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let may = Access::READ_OK | Access::EXEC_OK;
        rustix::fs::accessat(CWD, &self.path, may, AtFlags::EACCESS)?;
        root_facts(dir.as_fd(), AtFlags::STATX_FORCE_SYNC)
    }

    /// A path that was no link must not have become one.
    fn no_link(&self) -> OFlags {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            Some(known) if !known.recognised.is_link => OFlags::NOFOLLOW,
            _ => OFlags::empty(),
        }
    }

    fn open_listable(&self) -> Result<(OwnedFd, RootFacts, Recognised), Offline> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let path = &self.path;
        let open = |more| rustix::fs::open(path, flags | more, Mode::empty());
        let (dir, is_link) = match open(OFlags::NOFOLLOW) {
            Ok(dir) => (dir, false),
            // What a link says, and what is no directory.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                (open(OFlags::empty()).map_err(Offline::from_errno)?, true)
            }
            Err(e) => return Err(Offline::from_errno(e)),
        };
        let found = || -> Result<_, Errno> {
            let sync = AtFlags::STATX_FORCE_SYNC;
            let facts = Facts::of_with(dir.as_fd(), sync)?;
            let root = root_facts(dir.as_fd(), sync)?;
            let recognised = Recognised {
                file_system: fstype::number_of(dir.as_fd())?,
                identity: (facts.dev, facts.inode),
                owner: facts.owner,
                is_link,
                is_mount: facts.mount_root,
            };
            Ok((root, recognised))
        };
        let (root, recognised) = found().map_err(Offline::from_errno)?;
        Ok((dir, root, recognised))
    }

    /// A handle for a batch of looks. Keep it for as long as the batch only.
    pub fn handle(&self) -> Result<RootHandle, Offline> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | self.no_link();
        let fd = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(self.check().err().unwrap_or(Offline::Replaced));
            }
            Err(e) => return Err(Offline::from_errno(e)),
        };
        let facts = root_facts(fd.as_fd(), AtFlags::empty()).map_err(Offline::from_errno)?;
        match self.known() {
            None => {
                self.check()?;
            }
            Some(known) if known.identity == facts.identity => {}
            // Which of the two it is takes a listing: `check` tells.
            Some(_) => return Err(self.check().err().unwrap_or(Offline::Replaced)),
        }
        Ok(RootHandle {
            fd,
            mount: facts.mount,
            dev: facts.identity.dev,
            one_file_system: self.one_file_system,
            links_guarded: self.links_guarded,
        })
    }

    /// Opens a regular file below the folder for reading.
    pub fn open_file(&self, rel: &[u8]) -> Result<OpenedFile, NotTaken> {
        self.handle()?.open_file(rel)
    }

    /// Opens the directory that holds a path below the folder.
    pub fn parent_dir(&self, rel: &[u8]) -> Result<OwnedFd, NotTaken> {
        let parent = rel
            .iter()
            .rposition(|b| *b == b'/')
            .map_or(&b""[..], |at| &rel[..at]);
        self.handle()?.open_dir(parent)
    }

    /// Looks at a regular file below the folder without opening it.
    pub fn look(&self, rel: &[u8]) -> Result<FileVersion, NotTaken> {
        self.handle()?.look(rel)
    }
}

/// A folder's open handle.
#[derive(Debug)]
pub struct RootHandle {
    pub(super) fd: OwnedFd,
    mount: Option<u64>,
    dev: u64,
    one_file_system: bool,
    links_guarded: bool,
}

impl RootHandle {
    /// Like [`FolderRoot::look`].
    pub fn look(&self, rel: &[u8]) -> Result<FileVersion, NotTaken> {
        match self.find(rel)? {
            Found::File(version) => Ok(version),
            Found::Directory => Err(NotTaken::Directory),
        }
    }

    /// What is at a path, without opening it.
    pub fn find(&self, rel: &[u8]) -> Result<Found, NotTaken> {
        let (dir, name) = self.parent(rel)?;
        let dir = dir.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
        self.find_at(dir, name, rel)
    }

    /// What `name` is in `dir`, which lies at the parent of `rel`.
    pub(crate) fn find_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        rel: &[u8],
    ) -> Result<Found, NotTaken> {
        let facts = Facts::at(dir, OsStr::from_bytes(name)).map_err(NotTaken::from_errno)?;
        self.judge(&facts, rel)
    }

    /// Like [`FolderRoot::open_file`].
    pub fn open_file(&self, rel: &[u8]) -> Result<OpenedFile, NotTaken> {
        let (dir, name) = self.parent(rel)?;
        let dir = dir.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
        self.open_at(dir, name, rel)
    }

    pub(super) fn open_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        rel: &[u8],
    ) -> Result<OpenedFile, NotTaken> {
        // A look first: merely opening a device can do something.
        if self.find_at(dir, name, rel)? == Found::Directory {
            return Err(NotTaken::Directory);
        }
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::openat(dir, OsStr::from_bytes(name), flags, Mode::empty())
            .map_err(NotTaken::from_errno)?;
        // And one after: it may have been swapped in between.
        let facts = Facts::of(fd.as_fd()).map_err(NotTaken::from_errno)?;
        match self.judge(&facts, rel)? {
            Found::File(version) => Ok(OpenedFile {
                file: File::from(fd),
                version,
                ctime_ns: facts.ctime_ns,
            }),
            Found::Directory => Err(NotTaken::Directory),
        }
    }

    /// Opens a directory below the folder for listing; empty: the folder.
    pub(crate) fn open_dir(&self, rel: &[u8]) -> Result<OwnedFd, NotTaken> {
        if rel.is_empty() {
            return self.list_at(self.fd.as_fd(), b".");
        }
        let (dir, name) = self.parent(rel)?;
        let dir = dir.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
        self.list_at(dir, name)
    }

    /// Opens the directory `name` in `dir` for listing.
    pub(crate) fn list_at(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, NotTaken> {
        let flags = OFlags::RDONLY
            | OFlags::DIRECTORY
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(dir, OsStr::from_bytes(name), flags, Mode::empty())
            .map_err(|e| not_a_directory(dir, name, e))?;
        let facts = Facts::of(fd.as_fd()).map_err(NotTaken::from_errno)?;
        self.judge(&facts, b"")?;
        Ok(fd)
    }

    /// The directory that holds the last component (`None`: the folder), and
    /// that component.
    pub(super) fn parent<'r>(
        &self,
        rel: &'r [u8],
    ) -> Result<(Option<OwnedFd>, &'r [u8]), NotTaken> {
        self.parent_below(None, rel)
    }

    /// The same, for a path below `start`.
    pub(super) fn parent_below<'r>(
        &self,
        start: Option<BorrowedFd<'_>>,
        rel: &'r [u8],
    ) -> Result<(Option<OwnedFd>, &'r [u8]), NotTaken> {
        let start = start.unwrap_or(self.fd.as_fd());
        let mut at: Option<OwnedFd> = None;
        let mut parts = rel.split(|b| *b == b'/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part == b"." || part == b".." || part.contains(&0) {
                return Err(NotTaken::BadPath);
            }
            if parts.peek().is_none() {
                return Ok((at, part));
            }
            let dir = at.as_ref().map_or(start, AsFd::as_fd);
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = rustix::fs::openat(dir, OsStr::from_bytes(part), flags, Mode::empty())
                .map_err(|e| not_a_directory(dir, part, e))?;
            at = Some(next);
        }
        Err(NotTaken::BadPath)
    }

    fn judge(&self, facts: &Facts, rel: &[u8]) -> Result<Found, NotTaken> {
        let kind = match facts.kind {
            FileType::RegularFile if facts.names > 1 && !self.links_guarded => {
                return Err(NotTaken::HardLink);
            }
            FileType::RegularFile => Found::File(facts.version(rel)),
            FileType::Directory => Found::Directory,
            kind => return Err(NotTaken::by_kind(kind)),
        };
        if self.one_file_system && self.other_mount(facts) {
            return Err(NotTaken::OtherMount);
        }
        Ok(kind)
    }

    /// By the mount's number where the kernel tells (5.8): it sees bind mounts
    /// too, and is not misled by file systems that give the files of one mount
    /// several device numbers (overlayfs, btrfs).
    fn other_mount(&self, facts: &Facts) -> bool {
        match (self.mount, facts.mount) {
            (Some(a), Some(b)) => a != b,
            _ => self.dev != facts.dev,
        }
    }
}

/// `how`: [`AtFlags::STATX_FORCE_SYNC`] asks the server of a network file system
/// and not the cache, which would not notice that the server is away.
pub(super) fn root_facts(dir: BorrowedFd<'_>, how: AtFlags) -> Result<RootFacts, Errno> {
    let facts = Facts::of_with(dir, how)?;
    Ok(RootFacts {
        identity: Identity {
            dev: facts.dev,
            inode: facts.inode,
        },
        mount: facts.mount,
        born: facts.born,
        mount_root: facts.mount_root,
    })
}

/// The version that an open file is now; `rel` is the path it is known by.
pub fn version_of(file: &File, rel: &[u8]) -> std::io::Result<FileVersion> {
    Ok(Facts::of(file.as_fd())?.version(rel))
}

/// When the inode of an open file last changed, nanoseconds since the Unix
/// epoch.
pub fn ctime_of(file: &File) -> std::io::Result<i64> {
    Ok(Facts::of(file.as_fd())?.ctime_ns)
}

/// Whether an open file is still that version: device, inode, birth, size and
/// time. `false` if it can't be looked at.
pub fn same_version(file: &File, version: &FileVersion) -> bool {
    version_of(file, &version.path).is_ok_and(|now| now.matches(version))
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
