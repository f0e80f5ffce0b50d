//! How fast one upload goes, from looks at how many bytes have gone: they come
//! when somebody wants to know, and may be far apart. Pure: it is told the time.
//!
//! Must not: count a byte twice.

use std::time::Duration;

/// The time over which a pace is averaged: a jump in speed shows within it, a
/// burst into the socket's buffer does not.
const AVERAGED: f64 = 10.0;

/// Looks that come sooner than this tell nothing of a pace.
const SOONEST: Duration = Duration::from_millis(250);

/// A pace below this many bytes a second is a standstill.
const STANDSTILL: f64 = 1.0;

/// The meter of one upload.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    at: Duration,
    bytes: u64,
    pace: Option<f64>,
}

/// Bytes that have gone since the look before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Since when.
    pub since: Duration,
    /// How many.
    pub bytes: u64,
}

impl Meter {
    /// Of an upload that begins at `now`, a time since the start.
    pub fn new(now: Duration) -> Meter {
        Meter {
            at: now,
            bytes: 0,
            pace: None,
        }
    }

    /// So many bytes have gone by `now`; `None` where the look before was only
    /// just now.
    pub fn look(&mut self, now: Duration, bytes: u64) -> Option<Gone> {
        if now.saturating_sub(self.at) < SOONEST {
            return None;
        }
        Some(self.last_look(now, bytes))
    }

    /// The same at the end of the upload, however soon.
    pub fn last_look(&mut self, now: Duration, bytes: u64) -> Gone {
        let gone = Gone {
            since: self.at,
            bytes: bytes.saturating_sub(self.bytes),
        };
        let took = now.saturating_sub(self.at).as_secs_f64();
        if took > 0.0 {
            let lately = gone.bytes as f64 / took;
            let weight = 1.0 - (-took / AVERAGED).exp();
            self.pace = Some(match self.pace {
                Some(pace) => pace + (lately - pace) * weight,
                None => lately,
            });
        }
        (self.at, self.bytes) = (now.max(self.at), bytes.max(self.bytes));
        gone
    }

    /// Bytes a second of late; `None`: not known yet, or it stands still.
    pub fn pace(&self) -> Option<f64> {
        self.pace.filter(|pace| *pace >= STANDSTILL)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_byte_is_counted_once() {
        let mut meter = Meter::new(at(1_000));
        assert_eq!(meter.look(at(1_100), 50), None, "too soon");
        let gone = |since, bytes| Gone {
            since: at(since),
            bytes,
        };
        assert_eq!(meter.look(at(2_000), 80), Some(gone(1_000, 80)));
        assert_eq!(meter.look(at(3_000), 80), Some(gone(2_000, 0)));
        assert_eq!(meter.last_look(at(3_001), 100), gone(3_000, 20));
        assert_eq!(meter.last_look(at(3_001), 100), gone(3_001, 0));
    }

    #[test]
    fn a_pace_follows_what_was_seen() {
        let mut meter = Meter::new(at(0));
        assert_eq!(meter.pace(), None);
        for second in 1..=60 {
            let _ = meter.look(at(second * 1_000), second * 500);
        }
        assert!((meter.pace().unwrap() - 500.0).abs() < 1.0);
        // It stops: soon nothing is foretold any more.
        let mut stands_after = None;
        for second in 61..=400 {
            let _ = meter.look(at(second * 1_000), 30_000);
            if meter.pace().is_none() {
                stands_after.get_or_insert(second - 60);
            }
        }
        let stands_after = stands_after.unwrap();
        assert!((30..=90).contains(&stands_after), "{stands_after}");
        // One look after an hour says what many would have.
        let mut meter = Meter::new(at(0));
        let _ = meter.look(at(3_600_000), 3_600_000);
        assert!((meter.pace().unwrap() - 1_000.0).abs() < 1.0);
    }
}
