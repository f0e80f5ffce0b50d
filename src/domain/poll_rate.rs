//! How many questions about tasks go out in a second, and how long it takes until
//! all tasks are confirmed.
//!
//! The rate follows the number of tasks that wait, within the dataset's
//! `polls_per_second`: a few tasks need a few questions, and an operator can allow
//! many for a backlog without having them sent for a handful of files. Must not:
//! say when one task is asked about (`policy::PollPace` does), or read a clock.

use std::time::Duration;

/// So long may it take to ask about every task once, where `polls_per_second`
/// allows it: the usual first wait of a task, so that few are asked later for it.
const PASS: Duration = Duration::from_secs(2);

/// Questions a second that any number of tasks may have.
const LEAST: f64 = 1.0;

/// Confirmations that make a window of time tell of the next minutes.
const ENOUGH: u64 = 10;

/// This share of what is allowed is as good as all of it: a round has pauses.
const NEARLY: f64 = 0.8;

/// Questions a second while `waiting` tasks are followed, at most `most` (the
/// dataset's `polls_per_second`, above zero).
pub fn rate(waiting: u64, most: f64) -> f64 {
    let wanted = waiting as f64 / PASS.as_secs_f64();
    wanted.max(LEAST).min(most)
}

/// What was asked and answered in a window of time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lately {
    /// How long the window is.
    pub over: Duration,
    /// Questions that were answered.
    pub asked: u64,
    /// Tasks that were found to have ended.
    pub ended: u64,
}

/// What bounds how soon all tasks are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The dataset's `polls_per_second`: more questions would be answered sooner.
    PollsPerSecond,
    /// The service: it works on them.
    Service,
}

/// When all tasks are confirmed, if it goes on as it did lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Tasks that are confirmed in a second.
    pub per_second: f64,
    /// How long it takes.
    pub left: Duration,
    /// What bounds it.
    pub bound: Bound,
    /// Whether it was seen; else it is what the rate of questions allows at best.
    pub seen: bool,
}

/// Estimates it for `waiting` tasks. `lately`: windows from the shortest to the
/// longest; the shortest that saw enough counts. `None`: nothing waits.
pub fn estimate(waiting: u64, most: f64, lately: &[Lately]) -> Option<Estimate> {
    if waiting == 0 {
        return None;
    }
    let per_second = |count: u64, over: Duration| count as f64 / over.as_secs_f64().max(1.0);
    let enough = lately.iter().find(|window| window.ended >= ENOUGH);
    let any = || lately.iter().rev().find(|window| window.ended > 0);
    let seen = enough.or_else(any);
    let allowed = rate(waiting, most);
    let ended = seen.map_or(allowed, |window| per_second(window.ended, window.over));
    let bound = match seen {
        Some(window) if per_second(window.asked, window.over) < NEARLY * most => Bound::Service,
        None if allowed < most => Bound::Service,
        _ => Bound::PollsPerSecond,
    };
    Some(Estimate {
        per_second: ended,
        left: Duration::try_from_secs_f64(waiting as f64 / ended).unwrap_or(Duration::MAX),
        bound,
        seen: seen.is_some(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_rate_follows_the_tasks_within_what_is_allowed() {
        for (waiting, most, expected) in [
            // A few tasks, whatever is allowed.
            (0, 5.0, 1.0),
            (1, 5.0, 1.0),
            (2, 50.0, 1.0),
            (4, 50.0, 2.0),
            (6, 5.0, 3.0),
            // As many as are allowed, and never more.
            (10, 5.0, 5.0),
            (11, 5.0, 5.0),
            (100, 50.0, 50.0),
            (1_000_000, 50.0, 50.0),
            (1_000_000, 0.1, 0.1),
            (1, 0.1, 0.1),
            (u64::MAX, 10_000.0, 10_000.0),
        ] {
            assert_eq!(rate(waiting, most), expected, "{waiting} at {most}");
        }
    }

    fn window(over: u64, asked: u64, ended: u64) -> Lately {
        Lately {
            over: Duration::from_secs(over),
            asked,
            ended,
        }
    }

    #[test]
    fn what_was_seen_lately_goes_on() {
        use Bound::{PollsPerSecond, Service};
        for (waiting, most, lately, per_second, left, bound) in [
            // The example of the papers: 269 at 5 a second.
            (269, 5.0, vec![window(10, 50, 50)], 5.0, 53, PollsPerSecond),
            // Each task needs two questions.
            (100, 5.0, vec![window(10, 50, 25)], 2.5, 40, PollsPerSecond),
            // The service takes its time: more questions would not help.
            (100, 5.0, vec![window(10, 12, 10)], 1.0, 100, Service),
            // Too few in the short window: the longer one counts.
            (
                60,
                5.0,
                vec![window(10, 9, 1), window(60, 60, 30)],
                0.5,
                120,
                Service,
            ),
            // Few in all of them: the longest.
            (
                3,
                5.0,
                vec![window(10, 9, 0), window(60, 60, 1), window(300, 99, 3)],
                0.01,
                300,
                Service,
            ),
            // Nothing was seen: what the rate allows at best.
            (2_000, 5.0, vec![window(1, 0, 0)], 5.0, 400, PollsPerSecond),
            (2, 5.0, vec![], 1.0, 2, Service),
        ] {
            let found = estimate(waiting, most, &lately).unwrap();
            assert_eq!(found.per_second, per_second, "{waiting} {lately:?}");
            assert_eq!(found.left.as_secs(), left, "{waiting} {lately:?}");
            assert_eq!(found.bound, bound, "{waiting} {lately:?}");
            assert_eq!(found.seen, lately.iter().any(|w| w.ended > 0));
        }
        assert_eq!(estimate(0, 5.0, &[window(10, 50, 50)]), None);
    }

    #[test]
    fn an_estimate_is_no_overflow() {
        let long = estimate(u64::MAX, 0.001, &[window(300, 1, 1)]).unwrap();
        assert!(long.left > Duration::from_secs(1 << 40));
    }
}
