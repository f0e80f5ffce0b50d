//! An open directory, and what may be done in it by name.
//!
//! Must not: take a path apart; that is `walk`'s.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Statx, StatxFlags, StatxTimestamp, Timespec,
    Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;

use super::error::{Doing, FileError};
use super::walk::{self, End, is_name, os};
use crate::domain::owner_sign;
use crate::domain::version::FileVersion;

/// An open directory. Its path is for messages alone: what is done is done on
/// the handle.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What is at a name, or what was opened.
#[derive(Debug, Clone, Copy)]
pub struct Seen(Statx);

impl Seen {
    /// Of a name, links not followed.
    pub(super) fn at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Seen, Errno> {
        Seen::read(dir, os(name), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Of an open file or directory.
    pub(super) fn of(fd: BorrowedFd<'_>) -> Result<Seen, Errno> {
        Seen::read(fd, OsStr::new(""), AtFlags::EMPTY_PATH)
    }

    fn read(dir: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<Seen, Errno> {
        let asked = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        rustix::fs::statx(dir, name, flags | AtFlags::NO_AUTOMOUNT, asked).map(Seen)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.0.stx_mode.into()) == FileType::RegularFile
    }

    /// When it was last written to, nanoseconds since the Unix epoch.
    pub fn mtime_ns(&self) -> i64 {
        nanos(&self.0.stx_mtime)
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.0.stx_size
    }

    /// Whether it is that version of a file, whatever its name: a rename keeps
    /// the rest.
    pub fn is_version(&self, version: &FileVersion) -> bool {
        let (dev, inode) = self.identity();
        let here = FileVersion {
            path: version.path.clone(),
            dev,
            inode,
            size: self.size(),
            mtime_ns: self.mtime_ns(),
            born_ns: self
                .knows(StatxFlags::BTIME)
                .then(|| nanos(&self.0.stx_btime)),
        };
        self.is_file() && here.matches(version)
    }

    /// One of the users owns what is at `path`, and nobody else may write to it.
    ///
    /// # Errors
    /// Somebody else does.
    pub fn is_only_of(&self, users: &[u32], path: &Path) -> Result<(), FileError> {
        let (path, owner) = (path.to_owned(), self.owner());
        if !users.contains(&owner) {
            return Err(FileError::ForeignOwner { path, owner });
        }
        let mode = self.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(FileError::OpenToOthers { path, mode });
        }
        Ok(())
    }

    fn knows(&self, flag: StatxFlags) -> bool {
        self.0.stx_mask & flag.bits() != 0
    }

    pub(super) fn mode(&self) -> u32 {
        self.0.stx_mode.into()
    }

    pub(super) fn owner(&self) -> u32 {
        self.0.stx_uid
    }

    pub(super) fn group(&self) -> u32 {
        self.0.stx_gid
    }

    /// When it was last read, and last written to.
    pub(super) fn times(&self) -> [Timespec; 2] {
        [self.0.stx_atime, self.0.stx_mtime].map(|time| Timespec {
            tv_sec: time.tv_sec,
            tv_nsec: time.tv_nsec.into(),
        })
    }

    pub(super) fn identity(&self) -> (u64, u64) {
        let dev = rustix::fs::makedev(self.0.stx_dev_major, self.0.stx_dev_minor);
        (dev, self.0.stx_ino)
    }
}

fn nanos(time: &StatxTimestamp) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec.into())
}

impl Dir {
    /// Opens the directory at an absolute path, whoever owns it. Links above it
    /// are followed where only root or this user can have made them.
    ///
    /// # Errors
    /// It is not there, a link, or no directory.
    pub fn open(path: &Path) -> Result<Dir, FileError> {
        Ok(Dir {
            fd: walk::from_root(path, End::There)?,
            path: path.to_owned(),
        })
    }

    /// Opens a directory that others may write to, such as a drop folder. It may
    /// be an administrator's link.
    ///
    /// # Errors
    /// It is not there, somebody else's link, or no directory.
    pub fn shared(path: &Path) -> Result<Dir, FileError> {
        Ok(Dir {
            fd: walk::from_root(path, End::Link)?,
            path: path.to_owned(),
        })
    }

    /// Opens a directory as [`Dir::shared`] does, and makes it where nothing is
    /// there.
    ///
    /// # Errors
    /// It can't be made, or is somebody else's link or no directory.
    pub fn shared_or_made(path: &Path) -> Result<Dir, FileError> {
        match Dir::shared(path) {
            Err(FileError::Missing { .. }) => Ok(Dir {
                fd: walk::from_root(path, End::Made)?,
                path: path.to_owned(),
            }),
            done => done,
        }
    }

    /// Opens a directory that only this program and root may change, and makes
    /// it where it is missing.
    ///
    /// # Errors
    /// It is a link, is owned by somebody else, or others may write to it.
    pub fn private(path: &Path) -> Result<Dir, FileError> {
        let dir = Dir {
            fd: walk::from_root(path, End::Made)?,
            path: path.to_owned(),
        };
        dir.only_ours()?;
        Ok(dir)
    }

    /// The same of one that is there: nothing is made.
    ///
    /// # Errors
    /// As there, or it is missing.
    pub fn private_there(path: &Path) -> Result<Dir, FileError> {
        let dir = Dir::open(path)?;
        dir.only_ours()?;
        Ok(dir)
    }

    /// Whether [`Dir::private`] would take what is at the path now. Makes
    /// nothing; a directory that is missing is fine.
    ///
    /// # Errors
    /// As there.
    pub fn may_be_private(path: &Path) -> Result<(), FileError> {
        match Dir::private_there(path) {
            Ok(_) => Ok(()),
            Err(FileError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A directory below this one, with the same demands as [`Dir::private`].
    ///
    /// # Errors
    /// As there.
    pub fn private_below(&self, rel: &Path) -> Result<Dir, FileError> {
        if rel.as_os_str().is_empty() {
            let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)
                .map_err(|e| FileError::of(&self.path, Doing::Open, e))?;
            let path = self.path.clone();
            return Ok(Dir { fd, path });
        }
        let dir = Dir {
            fd: walk::below(self.fd.as_fd(), &self.path, rel, true)?,
            path: self.path.join(rel),
        };
        dir.only_ours()?;
        Ok(dir)
    }

    /// Takes a handle that was opened elsewhere.
    ///
    /// # Errors
    /// The handle can't be copied.
    pub fn of(dir: BorrowedFd<'_>, path: &Path) -> Result<Dir, FileError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(dir, 0)
            .map_err(|e| FileError::of(path, Doing::Open, e))?;
        let path = path.to_owned();
        Ok(Dir { fd, path })
    }

    /// Nobody but root and this user owns the directory or may write to it.
    fn only_ours(&self) -> Result<(), FileError> {
        self.owned_by(&[0, rustix::process::geteuid().as_raw()])
    }

    /// One of the users owns the directory, and nobody else may write to it. A
    /// write right of the group counts as one of others: this program can't
    /// know who is in the group.
    ///
    /// # Errors
    /// Somebody else does.
    pub fn owned_by(&self, users: &[u32]) -> Result<(), FileError> {
        self.seen()?.is_only_of(users, &self.path)
    }

    /// Whose it is.
    ///
    /// # Errors
    /// It can't be looked at any more.
    pub fn owner(&self) -> Result<u32, FileError> {
        self.seen().map(|seen| seen.owner())
    }

    /// Nobody but the owner of a file in it can replace that file: the
    /// directory is ours alone, or sticky, as `/tmp` is.
    ///
    /// # Errors
    /// Others can.
    pub fn keeps_what_is_ours(&self) -> Result<(), FileError> {
        let seen = self.seen()?;
        let me = rustix::process::geteuid().as_raw();
        let ours = seen.owner() == 0 || seen.owner() == me;
        if ours && seen.mode() & 0o1000 != 0 {
            return Ok(());
        }
        self.only_ours()
    }

    fn seen(&self) -> Result<Seen, FileError> {
        Seen::of(self.fd()).map_err(|e| FileError::of(&self.path, Doing::Open, e))
    }

    /// Where it was when it was opened; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it; for messages.
    pub fn at(&self, name: &[u8]) -> PathBuf {
        self.path.join(os(name))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What is at a name, links not followed; `None`: nothing.
    ///
    /// # Errors
    /// It can't be looked at.
    pub fn look(&self, name: &[u8]) -> Result<Option<Seen>, FileError> {
        self.named(name)?;
        match Seen::at(self.fd(), name) {
            Ok(seen) => Ok(Some(seen)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(FileError::of(&self.at(name), Doing::Open, e)),
        }
    }

    /// Opens a regular file for reading: it is looked at again after it was
    /// opened, so that a pipe, a device or a link put in its place is not read.
    ///
    /// # Errors
    /// It is something else, or can't be opened.
    pub fn open_file(&self, name: &[u8]) -> Result<(File, Seen), FileError> {
        self.named(name)?;
        let at = || self.at(name);
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        // A look first: merely opening a device can do something.
        match self.look(name)? {
            Some(seen) if seen.is_file() => {}
            Some(_) => return Err(FileError::Replaced(at())),
            None => return Err(FileError::of(&at(), Doing::Read, Errno::NOENT)),
        }
        let fd = rustix::fs::openat(&self.fd, os(name), flags, Mode::empty())
            .map_err(|e| FileError::of(&at(), Doing::Read, e))?;
        let seen = Seen::of(fd.as_fd()).map_err(|e| FileError::of(&at(), Doing::Read, e))?;
        if !seen.is_file() {
            return Err(FileError::Replaced(at()));
        }
        Ok((File::from(fd), seen))
    }

    /// Makes a new file for writing; nothing that is there is opened.
    ///
    /// # Errors
    /// Something is there, or it can't be made.
    pub fn create_new(&self, name: &[u8], mode: u32) -> Result<File, FileError> {
        self.named(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, os(name), flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|e| FileError::of(&self.at(name), Doing::Create, e))
    }

    /// Sets the time at which a file was last written to, to now, by the clock of
    /// its file system.
    ///
    /// # Errors
    /// It is no regular file of this user's.
    pub fn touch(&self, name: &[u8]) -> Result<Seen, FileError> {
        let failed = |e| FileError::of(&self.at(name), Doing::Write, e);
        let (file, _) = self.open_file(name)?;
        let [omitted, now] = [UTIME_OMIT, UTIME_NOW].map(|tv_nsec| Timespec { tv_sec: 0, tv_nsec });
        let times = Timestamps {
            last_access: omitted,
            last_modification: now,
        };
        rustix::fs::futimens(&file, &times).map_err(failed)?;
        Seen::of(file.as_fd()).map_err(failed)
    }

    /// Puts a short file where another one gives way. It is not brought onto the
    /// disk, and whoever looks meanwhile may find a part of it.
    ///
    /// # Errors
    /// A part of it, or nothing, may be left under the name.
    pub fn leave(&self, name: &[u8], content: &[u8], mode: u32) -> Result<Seen, FileError> {
        self.remove(name)?;
        let mut file = self.create_new(name, mode)?;
        let failed = |e| FileError::of(&self.at(name), Doing::Write, e);
        file.write_all(content)
            .map_err(|error| FileError::of_io(&self.at(name), Doing::Write, &error))?;
        // Whatever the mask for new files takes away.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(failed)?;
        Seen::of(file.as_fd()).map_err(failed)
    }

    /// Deletes a file by its name; one that is not there is fine.
    ///
    /// # Errors
    /// It can't be deleted.
    pub fn remove(&self, name: &[u8]) -> Result<(), FileError> {
        self.named(name)?;
        match rustix::fs::unlinkat(&self.fd, os(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(FileError::of(&self.at(name), Doing::Delete, e)),
        }
    }

    /// Writes a whole file under a temporary name, gets it onto the disk, and
    /// only then gives it its name. `replace`: what is there gives way.
    ///
    /// # Errors
    /// Nothing is left under the name, or what was there before is.
    pub fn put(
        &self,
        name: &[u8],
        content: &[u8],
        mode: u32,
        replace: bool,
    ) -> Result<(), FileError> {
        let part = hidden(name);
        // Our own, half written, if a crash has left one.
        self.remove(&part)?;
        let done = self.put_as(&part, name, content, mode, replace);
        if done.is_err() {
            let _ = self.remove(&part);
        }
        done
    }

    fn put_as(
        &self,
        part: &[u8],
        name: &[u8],
        content: &[u8],
        mode: u32,
        replace: bool,
    ) -> Result<(), FileError> {
        let mut file = self.create_new(part, mode)?;
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .map_err(|error| FileError::of_io(&self.at(name), Doing::Write, &error))?;
        if replace {
            self.rename_over(part, name)?;
        } else {
            self.rename_new(part, self, name)?;
        }
        self.sync()
    }

    /// Renames a file to a name in another directory that nothing has.
    ///
    /// # Errors
    /// Something has it, or the file systems differ ([`FileError::Io`] with
    /// `EXDEV`).
    pub fn rename_new(&self, from: &[u8], to: &Dir, name: &[u8]) -> Result<(), FileError> {
        self.named(from)?;
        to.named(name)?;
        rename_new(self.fd(), from, to.fd(), name).map_err(|e| match e {
            Errno::EXIST => FileError::Exists(to.at(name)),
            // Which of the two directories refused it the system does not say.
            e => FileError::of(&self.at(from), Doing::Move, e),
        })
    }

    /// Renames a file within the directory; what has the name gives way.
    ///
    /// # Errors
    /// What was there before is there still.
    pub fn rename_over(&self, from: &[u8], name: &[u8]) -> Result<(), FileError> {
        self.named(from)?;
        self.named(name)?;
        rustix::fs::renameat(&self.fd, os(from), &self.fd, os(name))
            .map_err(|e| FileError::of(&self.at(name), Doing::Move, e))
    }

    /// Gets what was made, renamed and deleted in it onto the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> Result<(), FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) {
            Ok(opened) => opened,
            // Without the right to list it there is no way to.
            Err(Errno::ACCESS) => return Ok(()),
            Err(e) => return Err(FileError::of(&self.path, Doing::Write, e)),
        };
        match rustix::fs::fsync(opened) {
            // A file system whose directories can't be synced.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(e) => Err(FileError::of(&self.path, Doing::Write, e)),
        }
    }

    /// Bytes that this user may still write there.
    ///
    /// # Errors
    /// The file system can't be asked.
    pub fn free_bytes(&self) -> Result<u64, FileError> {
        let space = rustix::fs::fstatvfs(&self.fd)
            .map_err(|e| FileError::of(&self.path, Doing::Open, e))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// Files that this user may still make there; `None` where the file system
    /// does not count them.
    ///
    /// # Errors
    /// The file system can't be asked.
    pub fn free_files(&self) -> Result<Option<u64>, FileError> {
        let space = rustix::fs::fstatvfs(&self.fd)
            .map_err(|e| FileError::of(&self.path, Doing::Open, e))?;
        Ok((space.f_files > 0).then_some(space.f_favail))
    }

    /// Whether nothing is in it, but for a daemon's sign.
    ///
    /// # Errors
    /// It can't be listed.
    pub fn is_empty(&self) -> Result<bool, FileError> {
        let failed = |e| FileError::of(&self.path, Doing::Open, e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map_err(failed)?;
        let mut entries = rustix::fs::Dir::new(opened).map_err(failed)?;
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && name != owner_sign::NAME.as_bytes() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn named(&self, name: &[u8]) -> Result<(), FileError> {
        if is_name(name) {
            Ok(())
        } else {
            Err(FileError::BadName(self.at(name)))
        }
    }
}

/// The temporary name of a file: hidden, so that no watch takes it.
fn hidden(name: &[u8]) -> Vec<u8> {
    // 255 bytes are the longest name; what is cut off only tells files apart.
    let kept = &name[..name.len().min(240)];
    [b".", kept, b".part"].concat()
}

pub(super) fn rename_new(
    from_dir: BorrowedFd<'_>,
    from: &[u8],
    to_dir: BorrowedFd<'_>,
    to: &[u8],
) -> Result<(), Errno> {
    let flags = RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(from_dir, os(from), to_dir, os(to), flags) {
        // A file system without it: a hard link refuses what exists as well.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(from_dir, os(from), to_dir, os(to), AtFlags::empty())?;
            rustix::fs::unlinkat(from_dir, os(from), AtFlags::empty())
        }
        done => done,
    }
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
