//! A moment, as the ledger keeps it, and the chance drawn with it.
//!
//! Must not: read a clock. Every decision is told the time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and `wait` more, held at the end of time.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Timestamp {
        let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(ms))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

/// What a decision is told about the world: when it is, and a number drawn by
/// chance. With both given, every decision can be repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The time now.
    pub now: Timestamp,
    /// Uniform in `0.0..1.0`: spreads waits, so that a crowd does not come
    /// back at one instant.
    pub chance: f64,
}
