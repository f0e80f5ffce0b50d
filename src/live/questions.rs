//! Questions about the tasks of a dataset lately: counts for each second of the
//! last five minutes. Pure: it is told the time.
//!
//! Must not: hold more than these seconds, however many tasks there are.

use std::time::Duration;

use crate::domain::poll_rate::Lately;

/// Seconds that are remembered.
const SECONDS: usize = 300;

/// The windows that are told, from the shortest on.
const WINDOWS: [u64; 3] = [10, 60, SECONDS as u64];

/// What was asked and answered in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    /// Which, from the start.
    number: u64,
    asked: u64,
    ended: u64,
}

/// The counts.
#[derive(Debug, Clone)]
pub struct Questions(Box<[Second]>);

impl Questions {
    /// Nothing was asked yet.
    pub fn new() -> Questions {
        Questions(vec![Second::default(); SECONDS].into())
    }

    /// A question was answered at `now`, a time since the start; `ended`: that the
    /// task has.
    pub fn answered(&mut self, now: Duration, ended: bool) {
        let number = now.as_secs();
        let second = &mut self.0[place(number)];
        if second.number != number {
            *second = Second {
                number,
                ..Second::default()
            };
        }
        second.asked += 1;
        second.ended += u64::from(ended);
    }

    /// The last ten seconds, the last minute and the last five; shorter where less
    /// is known. The second that is not over yet counts.
    pub fn lately(&self, now: Duration) -> Vec<Lately> {
        let windows = WINDOWS.iter().map(|seconds| {
            let last = now.as_secs();
            let first = (last + 1).saturating_sub(*seconds);
            let mut lately = Lately {
                over: Duration::from_secs(*seconds).min(now),
                asked: 0,
                ended: 0,
            };
            let within = |second: &&Second| (first..=last).contains(&second.number);
            for second in self.0.iter().filter(within) {
                lately.asked += second.asked;
                lately.ended += second.ended;
            }
            lately
        });
        windows.collect()
    }
}

impl Default for Questions {
    fn default() -> Questions {
        Questions::new()
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_counts_what_is_in_it() {
        let mut questions = Questions::new();
        let at = |seconds: u64| Duration::from_millis(seconds * 1_000 + 400);
        for second in 0..1_000 {
            questions.answered(at(second), second % 2 == 0);
            questions.answered(at(second), false);
        }
        let told = |now| -> Vec<(u64, u64, u64)> {
            let lately = questions.lately(at(now));
            let one = |l: &Lately| (l.over.as_secs(), l.asked, l.ended);
            lately.iter().map(one).collect()
        };
        assert_eq!(told(999), [(10, 20, 5), (60, 120, 30), (300, 600, 150)]);
        assert_eq!(told(1_005)[0], (10, 8, 2));
        assert_eq!(told(9_000), [(10, 0, 0), (60, 0, 0), (300, 0, 0)]);
        let young = Questions::new().lately(at(3));
        assert_eq!(young[0].over, at(3));
    }
}
