//! What the system says of a file or directory, asked once.
//!
//! Must not: judge it.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::not_taken::{NotTaken, Offline};
use crate::domain::owner_sign;
use crate::domain::version::FileVersion;

/// What `statx` says, as far as it matters.
pub(super) struct Facts {
    pub kind: FileType,
    /// `st_nlink`.
    pub names: u32,
    pub owner: u32,
    pub dev: u64,
    pub inode: u64,
    pub size: u64,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub mount: Option<u64>,
    pub born: Option<(i64, u32)>,
    pub mount_root: bool,
}

impl Facts {
    /// Of a name, links not followed.
    pub fn at(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Facts, Errno> {
        Facts::read(dir, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Of an open file.
    pub fn of(fd: BorrowedFd<'_>) -> Result<Facts, Errno> {
        Facts::of_with(fd, AtFlags::empty())
    }

    pub fn of_with(fd: BorrowedFd<'_>, how: AtFlags) -> Result<Facts, Errno> {
        Facts::read(fd, OsStr::new(""), AtFlags::EMPTY_PATH | how)
    }

    fn read(dir: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<Facts, Errno> {
        let asked = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID | StatxFlags::BTIME;
        let s = rustix::fs::statx(dir, name, flags | AtFlags::NO_AUTOMOUNT, asked)?;
        let told = |flag: StatxFlags| s.stx_mask & flag.bits() != 0;
        let ns = |seconds: i64, nanoseconds: u32| {
            let ns = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
            let ns = ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            i64::try_from(ns).unwrap_or(i64::MAX)
        };
        Ok(Facts {
            kind: FileType::from_raw_mode(s.stx_mode.into()),
            names: s.stx_nlink,
            owner: s.stx_uid,
            dev: rustix::fs::makedev(s.stx_dev_major, s.stx_dev_minor),
            inode: s.stx_ino,
            size: s.stx_size,
            mtime_ns: ns(s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec),
            ctime_ns: ns(s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec),
            mount: told(StatxFlags::MNT_ID).then_some(s.stx_mnt_id),
            born: told(StatxFlags::BTIME).then_some((s.stx_btime.tv_sec, s.stx_btime.tv_nsec)),
            mount_root: s.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    pub fn version(&self, rel: &[u8]) -> FileVersion {
        FileVersion {
            path: rel.to_vec(),
            dev: self.dev,
            inode: self.inode,
            size: self.size,
            mtime_ns: self.mtime_ns,
            born_ns: self.born_ns(),
        }
    }

    /// `None` too for the zero of a file system that keeps no birth times.
    fn born_ns(&self) -> Option<i64> {
        let (seconds, nanoseconds) = self.born?;
        let ns = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        i64::try_from(ns).ok().filter(|ns| *ns != 0)
    }
}

/// `ENOTDIR` is also what a link says when it must not be followed.
pub(super) fn not_a_directory(dir: BorrowedFd<'_>, name: &[u8], e: Errno) -> NotTaken {
    if e != Errno::NOTDIR {
        return NotTaken::from_errno(e);
    }
    match Facts::at(dir, OsStr::from_bytes(name)) {
        Ok(facts) if facts.kind == FileType::Symlink => NotTaken::Symlink,
        // A file on the way: the path leads nowhere.
        _ => NotTaken::Gone,
    }
}

/// Whether nothing is in a directory, but for a daemon's sign: one that was left
/// in a bare mount point makes no folder of it.
pub(super) fn is_empty(dir: OwnedFd) -> Result<bool, Offline> {
    let mut dir = Dir::new(dir).map_err(Offline::from_errno)?;
    while let Some(entry) = dir.read() {
        let entry = entry.map_err(Offline::from_errno)?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && name != owner_sign::NAME.as_bytes() {
            return Ok(false);
        }
    }
    Ok(true)
}
