//! The clock of the day is set now and then: by hand, by NTP after a boot
//! without a battery, by a virtual machine that was restored. What the ledger
//! keeps are times of day, and this says what becomes of them then.
//!
//! Two kinds are kept. A *wait* ends at its time; after the clock was set it
//! should still last about as long as it was meant to. An *age* is counted from
//! its time; a jump of the clock must not make anything old.
//!
//! ```text
//!               looked at      set        looked at
//!   old clock  ───┼─────────────┼─────────► from        what it would read now
//!   new clock                   └─────────► to          what it reads
//! ```
//!
//! What is written between the jump and the look already goes by the new
//! clock. Set back, such a wait ends at once; set forward, it is not touched.
//! Must not: read a clock, or know where the times are kept.

use std::time::Duration;

use super::time::Timestamp;

/// A smaller difference is no jump: NTP slews by less, and a wait that ends a
/// minute early or late harms nobody.
pub const TOLERANCE: Duration = Duration::from_secs(60);

/// Not running for longer than this is not counted in any age.
pub const AWAY: Duration = Duration::from_secs(3600);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The time of day.
    pub wall: Timestamp,
    /// Since the machine was started, suspended time included: nobody can set
    /// it (`CLOCK_BOOTTIME`, clock_gettime(2)).
    pub ticks: Duration,
}

/// The time of day went from one value to another, and that much time had not
/// passed, or had passed without this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The clock was set.
    Set {
        /// What it would read.
        from: Timestamp,
        /// What it reads.
        to: Timestamp,
    },
    /// The program did not run in between, or the clock was set forward while
    /// it did not: nobody can tell. Waits have ended, if so; what ended early
    /// costs a probe. Nothing has grown old.
    Away {
        /// Last seen.
        from: Timestamp,
        /// Seen now.
        to: Timestamp,
    },
}

/// Times from `first` to `last`, both included, are moved by so many
/// milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The first, in milliseconds since the epoch.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// By how much, in milliseconds; negative: to earlier.
    pub by: i64,
}

/// What two looks of one process say.
pub fn between(before: Look, now: Look) -> Option<Jump> {
    let from = before.wall.plus(now.ticks.saturating_sub(before.ticks));
    let to = now.wall;
    let apart = from.since(to).max(to.since(from));
    (apart > TOLERANCE).then_some(Jump::Set { from, to })
}

/// What the last time that an earlier process saw says at a start.
pub fn at_start(last: Timestamp, now: Timestamp) -> Option<Jump> {
    if last.since(now) > TOLERANCE {
        // At least so much; waits begin again where they were last seen.
        return Some(Jump::Set {
            from: last,
            to: now,
        });
    }
    (now.since(last) > AWAY).then_some(Jump::Away {
        from: last,
        to: now,
    })
}

impl Jump {
    const fn ends(self) -> (Timestamp, Timestamp) {
        match self {
            Jump::Set { from, to } | Jump::Away { from, to } => (from, to),
        }
    }

    fn by(self) -> i64 {
        let (from, to) = self.ends();
        to.0.saturating_sub(from.0)
    }

    /// What lies ahead of a clock that was set back, by more than what may have
    /// been written since it was looked at.
    fn ahead(self) -> Move {
        Move {
            first: self.ends().1.plus(TOLERANCE).0.saturating_add(1),
            last: i64::MAX,
            by: self.by(),
        }
    }

    /// Which waits are moved, and by how much.
    pub fn waits(self) -> Option<Move> {
        match self {
            Jump::Away { .. } => None,
            Jump::Set { from, to } if from > to => Some(self.ahead()),
            // What was to end in the time that was left out. What ends later
            // may have been written since, and ends early by the jump at most.
            Jump::Set { from, to } => Some(Move {
                first: from.0.saturating_add(1),
                last: to.0.saturating_sub(1),
                by: self.by(),
            }),
        }
    }

    /// Which ages are moved, and by how much.
    pub fn ages(self) -> Move {
        let (from, to) = self.ends();
        if from > to {
            return self.ahead();
        }
        // What is nearer to the old reading than to the new one: clocks that
        // differ by less than a jump leave times a little ahead of them.
        Move {
            first: i64::MIN,
            last: from.0.saturating_add(self.by() / 2),
            by: self.by(),
        }
    }

    /// A wait that is known with its beginning: where it lies now. It keeps its
    /// length.
    pub fn span(
        self,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> (Timestamp, Option<Timestamp>) {
        let moves = match self {
            Jump::Away { .. } => false,
            Jump::Set { from, to } if from > to => {
                let ahead = self.ahead();
                ahead.holds(since) || until.is_some_and(|until| ahead.holds(until))
            }
            Jump::Set { .. } => self.ages().holds(since),
        };
        if !moves {
            return (since, until);
        }
        let moved = |at: Timestamp| Timestamp(at.0.saturating_add(self.by()));
        (moved(since), until.map(moved))
    }
}

impl Jump {
    /// A closed gate: where it lies now. Its end is written anew by each probe that
    /// fails, also between a jump and the look, while its beginning stays: so where
    /// the clock was set forward each is judged by itself, as an age and as a wait.
    pub fn gate(self, since: Timestamp, until: Timestamp) -> (Timestamp, Timestamp) {
        match (self, self.waits()) {
            (Jump::Set { from, to }, Some(waits)) if from <= to => {
                (self.ages().moved(since), waits.moved(until))
            }
            _ => {
                let (since, moved) = self.span(since, Some(until));
                (since, moved.unwrap_or(until))
            }
        }
    }
}

impl Move {
    /// Whether it moves this time.
    pub const fn holds(self, at: Timestamp) -> bool {
        self.first <= at.0 && at.0 <= self.last
    }

    /// Where a time lies now.
    #[must_use]
    pub const fn moved(self, at: Timestamp) -> Timestamp {
        if self.holds(at) {
            Timestamp(at.0.saturating_add(self.by))
        } else {
            at
        }
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
