//! How many uploads at once a dataset bears: additive increase, multiplicative
//! decrease, as TCP does it (RFC 5681), on answers instead of packets.
//!
//! An answer of "too many requests" halves the number; clean answers let it
//! grow again by about one for each round of uploads.
//!
//! And how many more are made ready ahead of the wire: as many as keep it busy
//! (Little's law), since each that is on record and not sent is in doubt after
//! a crash. Where the service answers within a commit's time that is several
//! for each lane; where it takes longer, one.
//!
//! Must not: wait, or count what is in flight.

use std::time::Duration;

use super::error_table::{Judgement, Scope, Verdict};

/// The most that are made ready for each lane.
const AHEAD_MOST: f64 = 7.0;

/// How much the latest time counts.
const WEIGHT: f64 = 0.1;

/// The number of uploads at once, between 1 and what is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    limit: f64,
    max: f64,
    /// From pick to record, and from the wire to the answer: running means, in
    /// seconds. `None`: nothing was timed yet.
    times: Option<(f64, f64)>,
}

impl Pace {
    /// Starts at the full number.
    pub fn new(max: usize) -> Pace {
        let max = max.max(1) as f64;
        Pace {
            limit: max,
            max,
            times: None,
        }
    }

    /// Uploads at once, now.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Takes in how long a small file took from its pick to its record, and from
    /// the wire to its answer.
    pub fn timed(&mut self, ready: Duration, wire: Duration) {
        let (ready, wire) = (ready.as_secs_f64(), wire.as_secs_f64());
        let mean = |old: f64, new: f64| old + WEIGHT * (new - old);
        self.times = Some(match self.times {
            None => (ready, wire),
            Some((r, w)) => (mean(r, ready), mean(w, wire)),
        });
    }

    /// Small files that may be under way, on the wire and ahead of it.
    pub fn under_way(&self) -> usize {
        let ahead = match self.times {
            None => 1.0,
            Some((ready, wire)) => (ready / wire.max(1e-6)).ceil().clamp(1.0, AHEAD_MOST),
        };
        self.limit() + (self.limit.floor() * ahead) as usize
    }

    /// Takes in what an upload was answered.
    pub fn heed(&mut self, judgement: &Judgement) {
        let scope = judgement.pause.map(|pause| pause.scope);
        match (&judgement.verdict, scope) {
            (Verdict::Done(_), _) => self.clean(),
            (Verdict::Retry(_), Some(Scope::Service | Scope::Dataset)) => self.strained(),
            _ => {}
        }
    }

    /// An upload was taken.
    pub(crate) fn clean(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.max);
    }

    /// The service is asked too much (429), overloaded (503), or was away:
    /// when it comes back it is not met by everybody at once.
    pub(crate) fn strained(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::{Answer, Body, Call, Outcome};
    use crate::domain::error_table::{ErrorTable, Trail};

    #[test]
    fn it_halves_and_grows_back_slowly() {
        let mut pace = Pace::new(8);
        assert_eq!(pace.limit(), 8);
        pace.strained();
        assert_eq!(pace.limit(), 4);
        for _ in 0..4 {
            pace.clean();
        }
        assert_eq!(
            pace.limit(),
            4,
            "one round of four is just short of one more"
        );
        pace.clean();
        assert_eq!(pace.limit(), 5);
        for _ in 0..1000 {
            pace.clean();
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn no_more_is_made_ready_than_keeps_the_wire_busy() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(4);
        assert_eq!(pace.under_way(), 8, "one ahead until something is known");
        pace.timed(ms(9), ms(2));
        assert_eq!(pace.under_way(), 4 + 4 * 5);
        for _ in 0..200 {
            pace.timed(ms(9), ms(300));
        }
        assert_eq!(pace.under_way(), 8, "a slow service needs one");
        for _ in 0..200 {
            pace.timed(ms(500), Duration::ZERO);
        }
        assert_eq!(
            pace.under_way(),
            4 + 4 * 7,
            "and no fast one more than seven"
        );
    }

    #[test]
    fn it_never_stops_altogether() {
        let mut pace = Pace::new(4);
        for _ in 0..100 {
            pace.strained();
        }
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn what_asks_for_less_halves_it_and_what_is_taken_lets_it_grow() {
        // 204 is a success; 408, 413 and 401 say nothing about how much is sent.
        for (status, limit) in [
            (204, 5),
            (429, 2),
            (503, 2),
            (500, 2),
            (408, 4),
            (413, 4),
            (401, 4),
        ] {
            let answer = Outcome::Answer(Answer {
                status,
                body: Body::Empty,
                retry_after: None,
                location: None,
            });
            let judged = ErrorTable::default().judge(Call::Upload, &answer, Trail::default());
            let mut pace = Pace {
                limit: 4.9,
                ..Pace::new(8)
            };
            pace.heed(&judged);
            assert_eq!(pace.limit(), limit, "{status}");
        }
    }
}
