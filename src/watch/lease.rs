//! Whether any process has a file open for writing, asked of the kernel.
//!
//! `fcntl(F_SETLEASE, F_RDLCK)` is granted only while no one has the file open
//! for writing. The lease is given back at once. A writer that opens the file
//! in the microseconds between is held up for as long, and the kernel sends
//! the lease's holder a signal: SIGIO, whose default action would *end the
//! process*. So each file is first told (`F_SETSIG`) to send SIGURG instead,
//! which is ignored by default, and the question is not asked if that fails.
//! Nothing has to be set up for the process, but: nothing else in it may take
//! SIGURG to mean something.
//!
//! A lease is a matter of one kernel: on a network file system (or FUSE) it
//! knows nothing of writers elsewhere, so "no" becomes "unknown" there.
//!
//! Must not: be called on a file opened for anything but reading.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use super::fstype;
use crate::domain::settle::Openness;

/// `F_SETSIG` of `<asm-generic/fcntl.h>`; the libc crate does not name it for
/// glibc.
const F_SETSIG: libc::c_int = 10;

/// What the kernel says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Whether any process has it open for writing, as far as a lease tells.
    pub lease: Openness,
    /// Whether it is on a local file system: its times are this machine's.
    pub local: bool,
}

impl Asked {
    /// Of a file that can't be opened, and so can't be asked.
    pub const NOTHING: Asked = Asked {
        lease: Openness::Unknown,
        local: false,
    };
}

/// Asks the kernel about `file`, opened for reading.
pub fn ask(file: &File) -> Asked {
    asked(file, is_local(file))
}

/// Whether any process has `file`, opened for reading, open for writing.
pub fn open_for_writing(file: &File) -> Openness {
    ask(file).lease
}

/// The same for a batch of files: a file system is asked once what it is.
#[derive(Debug, Default)]
pub struct Asker {
    /// The last file's device, and whether it is local.
    device: Option<(u64, bool)>,
}

impl Asker {
    /// Like [`ask`]; `dev`: the file's device.
    pub fn ask(&mut self, file: &File, dev: u64) -> Asked {
        let local = match self.device {
            Some((known, local)) if known == dev => local,
            _ => {
                let local = is_local(file);
                self.device = Some((dev, local));
                local
            }
        };
        asked(file, local)
    }
}

fn is_local(file: &File) -> bool {
    fstype::of_file(file.as_fd()).is_ok_and(fstype::FsKind::is_local)
}

fn asked(file: &File, local: bool) -> Asked {
    let lease = match take_lease(file) {
        Ok(()) => {
            give_lease_back(file);
            if local {
                Openness::No
            } else {
                Openness::Unknown
            }
        }
        Err(libc::EAGAIN) => Openness::Yes,
        // EACCES: another user's file, without CAP_LEASE. EINVAL: a file
        // system, or a kernel setting, without leases.
        Err(_) => Openness::Unknown,
    };
    Asked { lease, local }
}

/// Takes a read lease; the error is the system's number.
fn take_lease(file: &File) -> Result<(), libc::c_int> {
    fcntl(file, F_SETSIG, libc::SIGURG)?;
    fcntl(file, libc::F_SETLEASE, libc::F_RDLCK)
}

/// Can only fail if there is no lease, which is what is wanted; and closing
/// the file gives it back, too.
fn give_lease_back(file: &File) {
    let _ = fcntl(file, libc::F_SETLEASE, libc::F_UNLCK);
}

fn fcntl(file: &File, command: libc::c_int, value: libc::c_int) -> Result<(), libc::c_int> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and
    // both commands take one int by value: no memory is shared with the kernel.
    let rc = unsafe { libc::fcntl(file.as_raw_fd(), command, value) };
    if rc == -1 {
        return Err(std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EINVAL));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn it_tells_whether_a_writer_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(open_for_writing(&reader), Openness::Yes);
        drop(writer);
        assert_eq!(open_for_writing(&reader), Openness::No);
        let other_reader = File::open(&path).unwrap();
        assert_eq!(open_for_writing(&reader), Openness::No);
        drop(other_reader);
        assert_eq!(
            open_for_writing(&reader),
            Openness::No,
            "the lease is given back"
        );
        File::options().append(true).open(&path).unwrap();
    }

    /// One that asks for many says of each what is said of it alone, with the
    /// devices in any order: neither `/proc` nor a directory gives leases.
    #[test]
    fn asked_for_many_it_says_of_each_what_it_says_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["quiet", "written"] {
            std::fs::write(at(name), b"x").unwrap();
        }
        let _writer = OpenOptions::new().append(true).open(at("written")).unwrap();
        let files = [
            at("quiet"),
            at("written"),
            "/proc/version".into(),
            "/".into(),
        ]
        .map(|path: std::path::PathBuf| File::open(path).unwrap());
        let dev = |file: &File| std::os::unix::fs::MetadataExt::dev(&file.metadata().unwrap());
        let mut asker = Asker::default();
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let file = &files[random.usize(..files.len())];
            let alone = open_for_writing(file);
            assert_eq!(asker.ask(file, dev(file)).lease, alone);
        }
        assert_eq!(
            files.each_ref().map(open_for_writing)[..2],
            [Openness::No, Openness::Yes]
        );
    }

    /// What one file's system is says nothing of another device's.
    #[test]
    fn a_file_system_is_asked_once_for_each_device() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), b"x").unwrap();
        let file = File::open(dir.path().join("a")).unwrap();
        let mut asker = Asker {
            device: Some((7, false)),
        };
        // As if it were on a network file system that was asked before.
        assert_eq!(asker.ask(&file, 7).lease, Openness::Unknown);
        assert_eq!(asker.ask(&file, 8).lease, Openness::No);
        assert_eq!(asker.device, Some((8, true)));
    }

    #[test]
    fn a_writer_that_comes_while_the_lease_is_held_does_not_end_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, b"x").unwrap();
        let reader = File::open(&path).unwrap();
        take_lease(&reader).unwrap();
        // Breaks the lease, which sends the signal to this process, and does
        // not wait for it to be given back.
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK);
        let refused = options.open(&path).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EWOULDBLOCK));
        give_lease_back(&reader);
        options.open(&path).unwrap();
    }
}
