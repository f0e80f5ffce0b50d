//! How much went through lately: counts for each second of the last five
//! minutes, in a ring. Pure: it is told the time.
//!
//! Must not: hold more than the ring, however much goes through.

use std::ops::AddAssign;
use std::time::Duration;

/// Seconds that are remembered.
const SECONDS: usize = 300;

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Files that the service took.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Attempts that ended otherwise.
    pub failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.files += more.files;
        self.bytes += more.bytes;
        self.failed += more.failed;
    }
}

/// What went through in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How long the window is; shorter than asked for when less is known.
    pub over: Duration,
    /// What went through.
    pub tally: Tally,
}

/// The ring.
#[derive(Debug, Clone)]
pub struct Rates {
    /// Each with the second, from the start, that it is about.
    ring: Box<[(u64, Tally)]>,
    total: Tally,
}

impl Rates {
    /// Nothing went through yet.
    pub fn new() -> Rates {
        Rates {
            ring: vec![(0, Tally::default()); SECONDS].into(),
            total: Tally::default(),
        }
    }

    /// Something went through at `now`, a time since the start.
    pub fn add(&mut self, now: Duration, tally: Tally) {
        self.total += tally;
        let second = now.as_secs();
        let (about, there) = &mut self.ring[place(second)];
        if *about != second {
            (*about, *there) = (second, Tally::default());
        }
        *there += tally;
    }

    /// What went through in the last `window` before `now`, at most five
    /// minutes. The second that is not over yet counts.
    pub fn over(&self, window: Duration, now: Duration) -> Rate {
        let seconds = window.as_secs().min(SECONDS as u64);
        let last = now.as_secs();
        let first = (last + 1).saturating_sub(seconds);
        let mut tally = Tally::default();
        for (about, there) in &self.ring {
            if (first..=last).contains(about) {
                tally += *there;
            }
        }
        Rate {
            over: Duration::from_secs(seconds).min(now),
            tally,
        }
    }

    /// What went through since the start.
    pub fn total(&self) -> Tally {
        self.total
    }
}

impl Default for Rates {
    fn default() -> Rates {
        Rates::new()
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_millis(seconds * 1000 + 400)
    }

    fn file(bytes: u64) -> Tally {
        Tally {
            files: 1,
            bytes,
            failed: 0,
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_out_of_it() {
        let mut rates = Rates::new();
        rates.add(at(0), file(1));
        rates.add(at(10), file(2));
        rates.add(at(69), file(4));
        let bytes = |window, now| rates.over(window, at(now)).tally.bytes;
        assert_eq!(bytes(MINUTE, 69), 6);
        assert_eq!(bytes(MINUTE, 70), 4);
        assert_eq!(bytes(5 * MINUTE, 70), 7);
        assert_eq!(bytes(5 * MINUTE, 299), 7);
        assert_eq!(bytes(5 * MINUTE, 300), 6);
        assert_eq!(bytes(5 * MINUTE, 4000), 0);
        assert_eq!(
            rates.total(),
            Tally {
                files: 3,
                ..file(7)
            }
        );
    }

    #[test]
    fn the_ring_goes_round_without_mixing() {
        let mut rates = Rates::new();
        for second in 0..1000 {
            rates.add(at(second), file(1));
            rates.add(
                at(second),
                Tally {
                    failed: 2,
                    ..Tally::default()
                },
            );
        }
        let rate = rates.over(MINUTE, at(999));
        assert_eq!(
            rate.tally,
            Tally {
                files: 60,
                bytes: 60,
                failed: 120
            }
        );
        assert_eq!(rates.over(5 * MINUTE, at(999)).tally.files, 300);
        assert_eq!(rates.total().files, 1000);
    }

    #[test]
    fn a_young_daemon_has_a_short_window() {
        let rates = Rates::new();
        assert_eq!(rates.over(MINUTE, at(3)).over, at(3));
        assert_eq!(rates.over(MINUTE, at(300)).over, MINUTE);
    }
}
