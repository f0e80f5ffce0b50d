//! Looks each second, from outside and for next to nothing, whether a round of
//! housekeeping has anything to do: a daemon with nothing to do costs nothing.
//!
//! A thread of its own, since a timer of the runtime wakes it twice, and asking
//! the ledger wakes its thread and the runtime again: ten times the cost of the
//! look. In doubt it rings; a round too many is harmless.
//!
//! Must not: act on what it sees. A round finds out for itself.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::Notify;

use super::context::Context;
use crate::domain::clock::{self, Look};
use crate::ledger::{Outside, Seen as Files};

/// Rounds after one in which the ledger's files had changed. The file system's
/// times may be as coarse as two seconds (FAT): what is written just after the
/// look may bear the same time.
const AFTER_A_CHANGE: u32 = 3;

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
    /// Looks since the last round.
    quiet: u32,
    /// As many of them as there may be in a row.
    longest: u32,
}

impl Sentry {
    fn new(longest: u32) -> Sentry {
        Sentry {
            before: None,
            more: 0,
            quiet: 0,
            longest: longest.max(1),
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
        self.quiet += 1;
        let due = changed || jumped || now.restless || self.more > 0 || self.quiet >= self.longest;
        if changed {
            self.more = AFTER_A_CHANGE;
        } else {
            self.more = self.more.saturating_sub(1);
        }
        if due {
            self.quiet = 0;
        }
        self.before = Some(now);
        due
    }
}

/// A sentry at its post; it leaves when this is dropped.
pub struct Posted {
    bell: Arc<Notify>,
    _ends: mpsc::Sender<()>,
}

impl Posted {
    /// Returns when it is time for a round.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

/// Posts one that looks `every` so often and lets no more than `longest` pass
/// without a round.
///
/// # Errors
/// There is no thread for it.
pub fn post(ctx: Arc<Context>, every: Duration, longest: Duration) -> std::io::Result<Posted> {
    let (ends, end) = mpsc::channel();
    let bell = Arc::new(Notify::new());
    // The first round is at once.
    bell.notify_one();
    let rings = bell.clone();
    let longest = longest.as_millis() / every.as_millis().max(1);
    let mut sentry = Sentry::new(u32::try_from(longest).unwrap_or(u32::MAX));
    let ledger = Outside::of(&ctx.running().config.ledger);
    let trouble = ctx.ledger.trouble();
    std::thread::Builder::new()
        .name("sentry".into())
        .spawn(move || {
            while end.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
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
    Ok(Posted { bell, _ends: ends })
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
        fn new(longest: u32) -> Post {
            let dir = tempfile::tempdir().unwrap();
            for end in ["", "-wal", "-shm"] {
                std::fs::write(dir.path().join(format!("ledger{end}")), b"x").unwrap();
            }
            let mut post = Post {
                dir,
                sentry: Sentry::new(longest),
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
}
