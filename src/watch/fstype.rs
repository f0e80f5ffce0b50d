//! Local or network: whether a file system tells of every change to it.
//!
//! Must not: look at what is on it, or remember what it was: another may be
//! mounted at the same path later.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::StatFs;

use super::settings::How;

/// Where a file system's changes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsKind {
    /// By this kernel alone: it sends events, and knows who has a file open.
    Local,
    /// Also elsewhere, so that events and leases don't tell everything.
    Network(
        /// Its name.
        &'static str,
    ),
}

impl FsKind {
    /// Whether it is local.
    pub fn is_local(self) -> bool {
        self == FsKind::Local
    }
}

/// File systems whose content can change behind this kernel's back, by their
/// number in `<linux/magic.h>`, statfs(2) or their own source.
const NETWORK: [(u32, &str); 21] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0xaad7_aaea, "PanFS"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
    (0x7c7c_6673, "prl_fs"),
];

fn kind(magic: u32) -> FsKind {
    let known = NETWORK.iter().find(|(m, _)| *m == magic);
    known.map_or(FsKind::Local, |(_, name)| FsKind::Network(name))
}

fn of(statfs: &StatFs) -> FsKind {
    // The number is 32 bits wide; some platforms hold it in a signed long.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast
    )]
    kind(statfs.f_type as u32)
}

/// Whether a folder at `path` that is to be watched like `how` is to have
/// events. A file system that can't be asked is scanned.
pub fn wants_events(how: How, path: &Path) -> bool {
    match how {
        How::Events => true,
        How::Poll => false,
        How::Auto => of_path(path).is_ok_and(FsKind::is_local),
    }
}

/// Of what a path lies on.
pub fn of_path(path: &Path) -> std::io::Result<FsKind> {
    Ok(of(&rustix::fs::statfs(path)?))
}

/// What tells a file system from another, over a reboot too: its kind, and the
/// number that it gives itself.
pub(super) fn number_of(fd: BorrowedFd<'_>) -> rustix::io::Result<String> {
    let kind = rustix::fs::fstatfs(fd)?.f_type;
    let number = rustix::fs::fstatvfs(fd)?.f_fsid;
    Ok(format!("{kind:x}:{number:x}"))
}

/// Of what an open file lies on.
pub fn of_file(fd: BorrowedFd<'_>) -> std::io::Result<FsKind> {
    Ok(of(&rustix::fs::fstatfs(fd)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_have_kinds() {
        assert_eq!(kind(0x6969), FsKind::Network("NFS"));
        assert_eq!(kind(0xff53_4d42), FsKind::Network("CIFS"));
        // ext4, xfs, btrfs, tmpfs, overlayfs.
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(kind(local), FsKind::Local);
        }
    }

    #[test]
    fn a_path_has_a_kind() {
        assert_eq!(of_path(Path::new("/proc")).unwrap(), FsKind::Local);
        assert!(of_path(Path::new("/no/such/path")).is_err());
    }
}
