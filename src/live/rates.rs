//! How much went through lately: each second of the last five minutes, each
//! minute of the last hour, each quarter of an hour of the last day. Pure: it is
//! told the time.
//!
//! Must not: hold more than these rings, however much goes through.

use std::time::Duration;

use super::ring::Ring;
pub use super::ring::Tally;

/// Seconds, minutes and quarters of an hour that are remembered.
const SECONDS: u64 = 300;
const MINUTES: u64 = 60;
const QUARTERS: u64 = 96;

/// What went through in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How long the window is; shorter than asked for when less is known.
    pub over: Duration,
    /// What went through.
    pub tally: Tally,
}

/// What went through, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// How long a step is.
    pub step: Duration,
    /// When the first step began: so long before now.
    pub ago: Duration,
    /// The steps, oldest first; the last is not over yet.
    pub steps: Vec<Tally>,
}

/// The rings.
#[derive(Debug, Clone)]
pub struct Rates {
    seconds: Ring,
    minutes: Ring,
    quarters: Ring,
    total: Tally,
}

impl Rates {
    /// Nothing went through yet.
    pub fn new() -> Rates {
        let ring = |step: u64, steps: u64| {
            Ring::new(
                Duration::from_secs(step),
                usize::try_from(steps).unwrap_or(1),
            )
        };
        Rates {
            seconds: ring(1, SECONDS),
            minutes: ring(60, MINUTES),
            quarters: ring(900, QUARTERS),
            total: Tally::default(),
        }
    }

    fn rings(&mut self) -> [&mut Ring; 3] {
        [&mut self.seconds, &mut self.minutes, &mut self.quarters]
    }

    /// Something went through at `now`, a time since the start.
    pub fn add(&mut self, now: Duration, tally: Tally) {
        self.total += tally;
        for ring in self.rings() {
            ring.add(now, tally);
        }
    }

    /// Bytes were handed to the network between `since` and `now`.
    pub fn sent(&mut self, since: Duration, now: Duration, bytes: u64) {
        self.total.sent += bytes;
        for ring in self.rings() {
            ring.sent(since, now, bytes);
        }
    }

    /// What went through in the last `window` before `now`, at most five
    /// minutes. The second that is not over yet counts.
    pub fn over(&self, window: Duration, now: Duration) -> Rate {
        let seconds = window.as_secs().min(SECONDS);
        Rate {
            over: Duration::from_secs(seconds).min(now),
            tally: self.seconds.over(seconds, now),
        }
    }

    /// The last hour, by the minute.
    pub fn hour(&self, now: Duration) -> Series {
        series(&self.minutes, MINUTES, now)
    }

    /// The last day, by the quarter of an hour.
    pub fn day(&self, now: Duration) -> Series {
        series(&self.quarters, QUARTERS, now)
    }

    /// What went through since the start.
    pub fn total(&self) -> Tally {
        self.total
    }
}

fn series(ring: &Ring, steps: u64, now: Duration) -> Series {
    let (begin, steps) = ring.latest(steps, now);
    Series {
        step: ring.step(),
        ago: now.saturating_sub(begin),
        steps,
    }
}

impl Default for Rates {
    fn default() -> Rates {
        Rates::new()
    }
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
            ..Tally::default()
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
    fn a_young_daemon_has_a_short_window() {
        let rates = Rates::new();
        assert_eq!(rates.over(MINUTE, at(3)).over, at(3));
        assert_eq!(rates.over(MINUTE, at(300)).over, MINUTE);
        assert_eq!(rates.hour(at(3)).steps.len(), 1);
        assert_eq!(rates.hour(at(3)).ago, at(3));
    }

    #[test]
    fn the_hour_and_the_day_hold_what_went_through_in_them() {
        let mut rates = Rates::new();
        let day = 86_400;
        for minute in 0..2 * 1_440 {
            rates.add(at(minute * 60), file(10));
        }
        let now = at(2 * day - 1);
        let files = |series: &Series| series.steps.iter().map(|s| s.files).sum::<u64>();
        let (hour, last_day) = (rates.hour(now), rates.day(now));
        assert_eq!((hour.steps.len(), files(&hour)), (60, 60));
        assert_eq!((last_day.steps.len(), files(&last_day)), (96, 1_440));
        assert_eq!(last_day.step * 96, Duration::from_secs(day));
        assert_eq!(hour.ago, Duration::from_millis(3_599_400));
        rates.sent(at(2 * day - 7_200), now, 7_200_000);
        let sent: u64 = rates.hour(now).steps.iter().map(|s| s.sent).sum();
        assert!((3_590_000..=3_600_000).contains(&sent), "{sent}");
    }
}
