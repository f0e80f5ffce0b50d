//! What a folder's settings say about how its files go on: the part of the
//! configuration that [`step`](super::lifecycle::step) goes by.
//!
//! Must not: name a state, or have defaults: those are the configuration's.

use std::time::Duration;

use super::backoff::Backoff;

/// What a folder's settings say about how its files go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Between tries.
    pub backoff: Backoff,
    /// How long a file is tried at all, from the first of its failures in a row;
    /// time in which the daemon does not run does not count.
    pub give_up_after: Duration,
    /// What becomes of a body whose answer was lost.
    pub unconfirmed: OnUnconfirmed,
    /// How often a failed task is submitted again.
    pub resubmit_failed: u32,
    /// How often a task is asked about.
    pub poll: PollPace,
    /// How long a file that changed is left alone.
    pub quiet: Duration,
    /// The least time between two imports of a path whose file changes.
    pub reimport_after: Duration,
    /// What becomes of the source after success.
    pub after: AfterSuccess,
    /// What becomes of the source of a rejected, unsupported or failed file.
    pub on_reject: OnReject,
}

/// What becomes of a body whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnconfirmed {
    /// Sent again, at most `times` in a row: nothing is lost, a duplicate is
    /// possible and recorded as such. A service that never answers would else
    /// be sent the same file, at a price, for ever.
    Resend {
        /// In a row; what was a gate's probe is not counted.
        times: u32,
        /// The wait before the first time; it doubles with each.
        first: Duration,
    },
    /// Nothing is sent twice; an operator decides.
    Hold,
}

/// How often a task is asked about: after `first`, then ever slower to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollPace {
    /// The first wait.
    pub first: Duration,
    /// The longest.
    pub max: Duration,
}

impl PollPace {
    /// The wait after `pending` answers of "still processing": half as long
    /// again each time, spread by a fifth so that a crowd submitted together
    /// is not asked about together for ever. `chance`: from 0 to 1.
    pub fn wait(&self, pending: u32, chance: f64) -> Duration {
        let factor = 1.5f64.powi(i32::try_from(pending.min(60)).unwrap_or(60));
        let wait = self.first.as_secs_f64() * factor;
        let wait = Duration::try_from_secs_f64(wait)
            .unwrap_or(self.max)
            .min(self.max);
        wait.mul_f64(if pending == 0 {
            1.0
        } else {
            0.9 + 0.2 * chance
        })
        .min(self.max)
    }
}

/// What becomes of the source after success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSuccess {
    /// It stays.
    Keep,
    /// It is moved to the folder's `done` directory.
    Move,
    /// It is deleted.
    Delete,
}

/// What becomes of the source of a rejected, unsupported or failed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReject {
    /// It stays.
    Keep,
    /// It is moved to the folder's `rejected` directory.
    Move,
}
