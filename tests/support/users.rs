//! Other users for a test that root runs: a command or a closure is run with
//! the rights of one of three users that exist nowhere else.
//!
//! On a server the daemon has a user of its own and no capability, and other
//! users drop the files. Files that root writes for itself prove little about
//! that: a lease is refused on another user's file, a mode shuts the daemon
//! out, a sticky directory keeps it from deleting.
//!
//! Credentials belong to a thread in Linux, so a closure is given a thread of
//! its own. Must not: depend on the rest of the support, since the kill loop
//! has a stage of its own.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a program of its own and uses a part; a failing unwrap is a failing test"
)]

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// The group of the daemon and of those who may drop files.
pub const DROP_GROUP: u32 = 20_300;

/// The user the daemon runs as.
pub const DAEMON: User = User {
    uid: 20_301,
    gid: DROP_GROUP,
};

/// A user who drops files.
pub const DROPPER: User = User {
    uid: 20_302,
    gid: DROP_GROUP,
};

/// Another who drops files.
pub const DROPPER_TOO: User = User {
    uid: 20_303,
    gid: DROP_GROUP,
};

/// A user of the machine who is not in the group.
pub const STRANGER: User = User {
    uid: 20_304,
    gid: 20_304,
};

/// A user by numbers. None of them needs an entry in `/etc/passwd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// The only group.
    pub gid: u32,
}

/// Whether this process can become other users, which takes root. Says on
/// standard error that the test is skipped where it can't; with
/// `REQUIRE_ROOT=1`, as in CI, the test fails instead.
#[track_caller]
pub fn at_hand() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(
            std::env::var_os("REQUIRE_ROOT").is_none_or(|v| v != "1"),
            "REQUIRE_ROOT=1 is set, and this is not root: run the tests as root"
        );
        eprintln!("SKIPPED: only root can become the daemon's user and those who drop files");
    }
    root
}

impl User {
    /// What a command is put behind to run as this user, without a capability
    /// and in no other group.
    pub fn behind(self) -> Vec<String> {
        let words = [
            "setpriv".to_owned(),
            format!("--reuid={}", self.uid),
            format!("--regid={}", self.gid),
            "--clear-groups".to_owned(),
            "--".to_owned(),
        ];
        words.to_vec()
    }

    /// Runs a closure as this user, to its end.
    pub fn does<T: Send>(self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let done = scope.spawn(move || {
                self.become_it();
                what()
            });
            done.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a closure as this user. A panic in it comes out of `join`.
    pub fn starts<T: Send + 'static>(
        self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        std::thread::spawn(move || {
            self.become_it();
            what()
        })
    }

    /// Gives a file or directory to this user, with this mode.
    pub fn owns(self, path: impl AsRef<Path>, mode: u32) {
        chown(&path, Some(self.uid), Some(self.gid)).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Makes the calling thread this user for good. The C library's `setuid`
    /// would change every thread, so the system calls are made without it.
    fn become_it(self) {
        let same = |id: u32| libc::c_long::from(id);
        // SAFETY: the calls take numbers; with no groups the list is not read.
        let done = unsafe {
            [
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()),
                libc::syscall(
                    libc::SYS_setresgid,
                    same(self.gid),
                    same(self.gid),
                    same(self.gid),
                ),
                libc::syscall(
                    libc::SYS_setresuid,
                    same(self.uid),
                    same(self.uid),
                    same(self.uid),
                ),
            ]
        };
        assert_eq!(done, [0; 3], "{}", std::io::Error::last_os_error());
    }
}

/// A program as every user can run it: itself, or `copy`, where it is below a
/// directory that only root may enter.
pub fn program_for_all(program: &Path, copy: &Path) -> PathBuf {
    let lets_through =
        |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 1 != 0);
    if program.ancestors().all(lets_through) {
        return program.to_owned();
    }
    std::fs::copy(program, copy).unwrap();
    std::fs::set_permissions(copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    copy.to_owned()
}
