//! Looks, from outside and for next to nothing, whether a round of housekeeping has
//! anything to do: a daemon with nothing to do costs nothing.
//!
//! A thread of its own, since a timer of the runtime wakes it twice, and asking
//! the ledger wakes its thread and the runtime again: ten times the cost of the
//! look. It looks each second while anything goes on, and else every ten: most of
//! what a look costs is waking up. The kernel wakes it when a command closes the
//! ledger that it has written to, or when a file beside the ledger comes or goes
//! (inotify(7)); the daemon's own files stay open and say nothing. In doubt it
//! rings; a round too many is harmless.
//!
//! Must not: act on what it sees. A round finds out for itself.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::time::Timespec;
use tokio::sync::Notify;

use super::context::Context;
use crate::domain::clock::{self, Look};
use crate::ledger::{Outside, Seen as Files};

/// Rounds after one in which the ledger's files had changed. The file system's
/// times may be as coarse as two seconds (FAT): what is written just after the
/// look may bear the same time.
const AFTER_A_CHANGE: u32 = 3;

/// Between two looks while nothing goes on.
const CALM: Duration = Duration::from_secs(10);

/// After the kernel has woken it.
const TOGETHER: Duration = Duration::from_millis(10);

/// What one look sees.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    /// The ledger's log and directory.
    files: Files,
    clock: Look,
    /// Something goes on that a round minds each time.
    restless: bool,
}

/// What was seen before.
#[derive(Debug)]
struct Sentry {
    before: Option<Seen>,
    /// Rounds that are still to follow the last change.
    more: u32,
    /// When the last round was, since the boot.
    rung: Duration,
    /// The longest time without one.
    longest: Duration,
}

impl Sentry {
    fn new(longest: Duration) -> Sentry {
        Sentry {
            before: None,
            more: 0,
            rung: Duration::ZERO,
            longest,
        }
    }

    /// Whether it is time for a round.
    fn look(&mut self, now: Seen) -> bool {
        let changed = self
            .before
            .as_ref()
            .is_none_or(|before| before.files != now.files);
        let jumped = self
            .before
            .as_ref()
            .is_some_and(|before| clock::between(before.clock, now.clock).is_some());
        let quiet = now.clock.ticks.saturating_sub(self.rung);
        let due = changed || jumped || now.restless || self.more > 0 || quiet >= self.longest;
        if changed {
            self.more = AFTER_A_CHANGE;
        } else {
            self.more = self.more.saturating_sub(1);
        }
        if due {
            self.rung = now.clock.ticks;
        }
        self.before = Some(now);
        due
    }

    /// Nothing goes on.
    fn is_calm(&self) -> bool {
        self.more == 0 && self.before.as_ref().is_some_and(|seen| !seen.restless)
    }
}

/// A sentry at its post; it leaves when this is dropped.
pub struct Posted {
    bell: Arc<Notify>,
    leaves: Arc<OwnedFd>,
}

impl Posted {
    /// Returns when it is time for a round.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        // It can't be full.
        let _ = rustix::io::write(&*self.leaves, &1_u64.to_ne_bytes());
    }
}

/// What wakes it up, beside the time.
struct Wakers {
    leaves: Arc<OwnedFd>,
    /// `None`: the kernel has none left, or the directory can't be watched.
    beside: Option<OwnedFd>,
}

impl Wakers {
    /// `ledger`: whose directory is watched.
    fn new(ledger: &Path, leaves: Arc<OwnedFd>) -> Wakers {
        let beside = || -> rustix::io::Result<OwnedFd> {
            let directory = ledger.parent().unwrap_or(Path::new("/"));
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let come_and_go = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
            inotify::add_watch(&fd, directory, come_and_go | WatchFlags::CLOSE_WRITE)?;
            Ok(fd)
        };
        Wakers {
            leaves,
            beside: beside().ok(),
        }
    }

    /// Waits for so long at most. False: it is to leave.
    fn wait(&self, time: Duration) -> bool {
        let mut fds = vec![PollFd::new(&self.leaves, PollFlags::IN)];
        fds.extend(
            self.beside
                .as_ref()
                .map(|fd| PollFd::new(fd, PollFlags::IN)),
        );
        let timeout = Timespec::try_from(time).ok();
        // Interrupted: a look too many.
        let _ = poll(&mut fds, timeout.as_ref());
        if !fds[0].revents().is_empty() {
            return false;
        }
        if let Some(beside) = &self.beside
            && fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
        {
            // A command closes several files: one look for all of them.
            std::thread::sleep(TOGETHER);
            let mut events = [0_u8; 4096];
            while rustix::io::read(beside, &mut events).is_ok_and(|read| read > 0) {}
        }
        true
    }
}

/// Posts one that looks `every` so often while anything goes on, and lets no more
/// than `longest` pass without a round.
///
/// # Errors
/// There is no thread or handle for it.
pub fn post(ctx: Arc<Context>, every: Duration, longest: Duration) -> std::io::Result<Posted> {
    let leaves = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let bell = Arc::new(Notify::new());
    // The first round is at once.
    bell.notify_one();
    let rings = bell.clone();
    let mut sentry = Sentry::new(longest);
    let ledger = ctx.running().config.ledger.clone();
    let wakers = Wakers::new(&ledger, leaves.clone());
    let ledger = Outside::of(&ledger);
    let calm = match wakers.beside {
        // Twice at least before a round is due.
        Some(_) => CALM.min(longest / 2).max(every),
        None => every,
    };
    let trouble = ctx.ledger.trouble();
    std::thread::Builder::new()
        .name("sentry".into())
        .spawn(move || {
            while wakers.wait(if sentry.is_calm() { calm } else { every }) {
                let restless = trouble.borrow().is_some()
                    || !ctx.ledger.halts().is_empty()
                    || ctx.folders.has_new_places();
                let seen = Seen {
                    files: ledger.look(),
                    clock: Look {
                        wall: ctx.world.clock.now(),
                        ticks: ctx.world.clock.ticks(),
                    },
                    restless,
                };
                if sentry.look(seen) {
                    rings.notify_one();
                }
            }
        })?;
    Ok(Posted { bell, leaves })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::time::Timestamp;

    struct Post {
        dir: tempfile::TempDir,
        sentry: Sentry,
        seconds: u64,
        set_by: i64,
        restless: bool,
    }

    impl Post {
        fn new(longest: u64) -> Post {
            let dir = tempfile::tempdir().unwrap();
            for end in ["", "-wal", "-shm"] {
                std::fs::write(dir.path().join(format!("ledger{end}")), b"x").unwrap();
            }
            let mut post = Post {
                dir,
                sentry: Sentry::new(Duration::from_secs(longest)),
                seconds: 0,
                set_by: 0,
                restless: false,
            };
            // The first look and those behind it.
            assert_eq!(post.looks(4), [true; 4]);
            post
        }

        fn looks(&mut self, count: u64) -> Vec<bool> {
            (0..count).map(|_| self.look()).collect()
        }

        fn look(&mut self) -> bool {
            self.seconds += 1;
            let wall = Timestamp(1_000_000 * 1_000)
                .plus(Duration::from_secs(self.seconds))
                .0;
            self.sentry.look(Seen {
                files: Outside::of(&self.dir.path().join("ledger")).look(),
                clock: Look {
                    wall: Timestamp(wall + self.set_by),
                    ticks: Duration::from_secs(self.seconds),
                },
                restless: self.restless,
            })
        }

        fn append(&self, end: &str) {
            use std::io::Write;
            let path = self.dir.path().join(format!("ledger{end}"));
            let mut file = std::fs::File::options().append(true).open(path).unwrap();
            file.write_all(b"y").unwrap();
        }
    }

    #[test]
    fn nothing_to_do_is_a_round_now_and_then() {
        let mut post = Post::new(30);
        for _ in 0..3 {
            assert_eq!(post.looks(29), [false; 29]);
            assert!(post.look());
        }
    }

    #[test]
    fn a_write_is_looked_at_and_what_may_hide_behind_its_time() {
        let mut post = Post::new(30);
        for _ in 0..3 {
            assert!(!post.look());
            post.append("-wal");
            assert_eq!(post.looks(5), [true, true, true, true, false]);
        }
    }

    #[test]
    fn a_file_that_is_gone_or_another_is_looked_at() {
        for end in ["", "-wal", "-shm"] {
            let mut post = Post::new(30);
            assert!(!post.look());
            let path = post.dir.path().join(format!("ledger{end}"));
            let elsewhere = tempfile::tempdir_in(post.dir.path().parent().unwrap()).unwrap();
            std::fs::rename(&path, elsewhere.path().join("moved")).unwrap();
            assert_eq!(
                post.looks(5),
                [true, true, true, true, false],
                "{end} is gone"
            );
            std::fs::write(elsewhere.path().join("new"), b"x").unwrap();
            std::fs::rename(elsewhere.path().join("new"), &path).unwrap();
            assert!(post.look(), "{end} is another");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_looked_at_once() {
        for set_by in [-3_600_000, 61_000] {
            let mut post = Post::new(30);
            post.set_by = set_by;
            assert_eq!(post.looks(3), [true, false, false]);
        }
        let mut post = Post::new(30);
        post.set_by = 500;
        assert!(!post.look(), "no jump");
    }

    #[test]
    fn what_goes_on_is_minded_each_time() {
        let mut post = Post::new(30);
        post.restless = true;
        assert_eq!(post.looks(3), [true; 3]);
        post.restless = false;
        assert!(!post.look());
    }

    #[test]
    fn it_is_calm_when_nothing_has_changed_for_some_looks() {
        let mut post = Post::new(30);
        assert!(post.sentry.is_calm());
        post.append("-wal");
        post.look();
        assert!(!post.sentry.is_calm());
        post.looks(3);
        assert!(post.sentry.is_calm());
        post.restless = true;
        post.look();
        assert!(!post.sentry.is_calm());
    }

    /// Waits long: only what wakes it lets it end.
    #[test]
    fn a_command_that_closes_the_ledger_wakes_it_and_so_does_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        std::fs::write(&ledger, b"x").unwrap();
        let leaves = Arc::new(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let wakers = Wakers::new(&ledger, leaves.clone());
        let long = Duration::from_secs(600);
        let acts: [&dyn Fn(); 3] = [
            &|| drop(std::fs::File::options().append(true).open(&ledger).unwrap()),
            &|| std::fs::write(dir.path().join("ledger-wal"), b"x").unwrap(),
            &|| std::fs::remove_file(&ledger).unwrap(),
        ];
        for act in acts {
            act();
            assert!(wakers.wait(long));
        }
        assert!(wakers.wait(Duration::ZERO), "nothing more has happened");
        drop(Posted {
            bell: Arc::default(),
            leaves,
        });
        assert!(!wakers.wait(long));
    }
}
