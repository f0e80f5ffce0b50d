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
    /// So long before this moment.
    #[must_use]
    pub fn minus(self, ago: Duration) -> Timestamp {
        let ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(ms))
    }

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

/// A length of time for people: its two largest units.
pub fn span(time: Duration) -> String {
    let s = time.as_secs();
    let (big, small) = match s {
        0..=59 => return format!("{s} s"),
        60..=3_599 => ((s / 60, "min"), (s % 60, "s")),
        3_600..=86_399 => ((s / 3_600, "h"), (s % 3_600 / 60, "min")),
        _ => ((s / 86_400, "d"), (s % 86_400 / 3_600, "h")),
    };
    if small.0 == 0 {
        format!("{} {}", big.0, big.1)
    } else {
        format!("{} {} {} {}", big.0, big.1, small.0, small.1)
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

impl std::fmt::Display for Timestamp {
    /// RFC 3339, UTC, to the millisecond.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => f.write_str("beyond the calendar"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_date() {
        assert_eq!(
            Timestamp(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(Timestamp(i64::MAX).to_string(), "beyond the calendar");
    }

    #[test]
    fn spans_are_short_and_right() {
        let said = |s| span(Duration::from_secs(s));
        assert_eq!(said(0), "0 s");
        assert_eq!(said(59), "59 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(3_661), "1 h 1 min");
        assert_eq!(said(90_000), "1 d 1 h");
    }

    #[test]
    fn arithmetic_stays_in_range() {
        assert_eq!(Timestamp(5).plus(Duration::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }
}
