//! What went through in each step of the last while: counts in a ring. Pure: it
//! is told the time.
//!
//! Must not: hold more than the ring, however much goes through.

use std::ops::AddAssign;
use std::time::Duration;

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Files that the service took.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Attempts that ended otherwise.
    pub failed: u64,
    /// Bytes handed to the network, whatever came of them.
    pub sent: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.files += more.files;
        self.bytes += more.bytes;
        self.failed += more.failed;
        self.sent += more.sent;
    }
}

/// The ring.
#[derive(Debug, Clone)]
pub struct Ring {
    step: Duration,
    /// Each with the number, from the start, of the step that it is about.
    slots: Box<[(u64, Tally)]>,
}

impl Ring {
    /// An empty one, of so many steps.
    pub fn new(step: Duration, steps: usize) -> Ring {
        Ring {
            step,
            slots: vec![(0, Tally::default()); steps].into(),
        }
    }

    /// How long a step is.
    pub fn step(&self) -> Duration {
        self.step
    }

    fn number(&self, at: Duration) -> u64 {
        let step = self.step.as_millis().max(1);
        u64::try_from(at.as_millis() / step).unwrap_or(u64::MAX)
    }

    fn steps(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot(&mut self, number: u64) -> &mut Tally {
        let place = usize::try_from(number % self.steps()).unwrap_or(0);
        let (about, tally) = &mut self.slots[place];
        if *about != number {
            (*about, *tally) = (number, Tally::default());
        }
        tally
    }

    fn tally(&self, number: u64) -> Tally {
        let place = usize::try_from(number % self.steps()).unwrap_or(0);
        let (about, tally) = self.slots[place];
        if about == number {
            tally
        } else {
            Tally::default()
        }
    }

    /// Something went through at `now`, a time since the start.
    pub fn add(&mut self, now: Duration, tally: Tally) {
        let number = self.number(now);
        *self.slot(number) += tally;
    }

    /// Bytes were handed to the network between `since` and `now`, evenly as far
    /// as is known. What was sent before the ring's first step is left out.
    pub fn sent(&mut self, since: Duration, now: Duration, bytes: u64) {
        let last = self.number(now);
        let first = self.number(since.min(now));
        let oldest = last.saturating_sub(self.steps() - 1);
        let whole = now.saturating_sub(since).as_nanos();
        let share = |until: Duration| -> u64 {
            if whole == 0 {
                return bytes;
            }
            let part = until.min(now).saturating_sub(since).as_nanos();
            u64::try_from(u128::from(bytes) * part / whole).unwrap_or(bytes)
        };
        let end = |number: u64| {
            let number = u32::try_from(number).unwrap_or(u32::MAX - 1);
            self.step * (number + 1)
        };
        let ends: Vec<(u64, u64)> = (first.max(oldest)..=last)
            .map(|number| (number, share(end(number))))
            .collect();
        let mut before = match first.max(oldest).checked_sub(1) {
            Some(number) if first < oldest => share(end(number)),
            _ => 0,
        };
        for (number, until) in ends {
            self.slot(number).sent += until - before;
            before = until;
        }
    }

    /// What went through in the last `steps` steps up to `now`. The step that is
    /// not over yet counts as one.
    pub fn over(&self, steps: u64, now: Duration) -> Tally {
        let mut tally = Tally::default();
        for one in self.latest(steps, now).1 {
            tally += one;
        }
        tally
    }

    /// The last `steps` steps up to `now`, oldest first, and when the first of
    /// them began; fewer where the start was later.
    pub fn latest(&self, steps: u64, now: Duration) -> (Duration, Vec<Tally>) {
        let last = self.number(now);
        let first = (last + 1).saturating_sub(steps.min(self.steps()));
        let begin = self.step * u32::try_from(first).unwrap_or(u32::MAX);
        (begin, (first..=last).map(|n| self.tally(n)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

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

    fn sent(ring: &Ring, now: Duration) -> Vec<u64> {
        let (_, steps) = ring.latest(u64::MAX, now);
        steps.iter().map(|step| step.sent).collect()
    }

    #[test]
    fn the_ring_goes_round_without_mixing() {
        let mut ring = Ring::new(S, 300);
        for second in 0..1000 {
            ring.add(at(second), file(1));
        }
        assert_eq!(ring.over(60, at(999)).files, 60);
        assert_eq!(ring.over(300, at(999)).files, 300);
        assert_eq!(ring.over(9_999, at(999)).files, 300);
        assert_eq!(ring.over(300, at(1_100)).files, 199);
        assert_eq!(ring.over(300, at(9_000)), Tally::default());
    }

    #[test]
    fn steps_begin_with_the_start_and_end_with_the_one_under_way() {
        let mut ring = Ring::new(60 * S, 3);
        ring.add(at(10), file(5));
        ring.add(at(130), file(7));
        let bytes = |now| {
            let (begin, steps) = ring.latest(3, now);
            (
                begin.as_secs(),
                steps.iter().map(|s| s.bytes).collect::<Vec<_>>(),
            )
        };
        assert_eq!(bytes(at(10)), (0, vec![5]));
        assert_eq!(bytes(at(130)), (0, vec![5, 0, 7]));
        assert_eq!(bytes(at(185)), (60, vec![0, 7, 0]));
    }

    #[test]
    fn what_was_sent_unseen_is_spread_over_the_time() {
        let mut ring = Ring::new(S, 5);
        ring.sent(
            Duration::from_millis(500),
            Duration::from_millis(2_500),
            200,
        );
        assert_eq!(sent(&ring, at(2)), [50, 100, 50]);
        // Nothing is lost by rounding.
        ring.sent(3 * S, at(4), 10);
        assert_eq!(sent(&ring, at(4)).iter().sum::<u64>(), 210);
        // Longer than the ring: the part that it still knows.
        let mut ring = Ring::new(S, 5);
        ring.sent(Duration::ZERO, 100 * S, 1_000);
        assert_eq!(sent(&ring, 100 * S), [10, 10, 10, 10, 0]);
        let mut ring = Ring::new(S, 5);
        ring.sent(at(3), at(3), 9);
        ring.sent(at(4), at(3), 9);
        assert_eq!(sent(&ring, at(3)), [0, 0, 0, 18]);
    }
}
