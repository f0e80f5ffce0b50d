//! How long to wait before trying again: exponential with full jitter.
//!
//! Full jitter (a wait drawn evenly between nothing and the ceiling) keeps a
//! crowd of clients from coming back together; see "Exponential Backoff And
//! Jitter", AWS Architecture Blog, 2015. Must not: sleep or draw chance.

use std::time::Duration;

/// A backoff that can't be built wrong: `0 < base <= cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

/// Why a [`Backoff`] was not built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// A base of zero would never grow.
    #[error("the base must be longer than nothing")]
    NoBase,
    /// The cap lies below the base.
    #[error("the cap must not be shorter than the base")]
    CapBelowBase,
}

impl Backoff {
    /// `base` is the ceiling of the first wait, `cap` that of the longest.
    pub const fn new(base: Duration, cap: Duration) -> Result<Backoff, BackoffError> {
        if base.is_zero() {
            return Err(BackoffError::NoBase);
        }
        if cap.as_nanos() < base.as_nanos() {
            return Err(BackoffError::CapBelowBase);
        }
        Ok(Backoff { base, cap })
    }

    /// The longest that the wait after `failures` failures in a row (from 1)
    /// can be: `base`, doubled for each further failure, up to `cap`.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 2u32.saturating_pow(failures.saturating_sub(1).min(31));
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait itself: `chance` in `0.0..1.0` of the ceiling.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        self.ceiling(failures).mul_f64(chance.clamp(0.0, 1.0))
    }
}

/// The wait for what has been in vain for `past`: as long again, so that the
/// tries double, within these bounds.
pub fn as_long_again(past: Duration, first: Duration, longest: Duration) -> Duration {
    past.clamp(first, longest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_in_vain_is_tried_ever_more_rarely() {
        let secs = Duration::from_secs;
        let mut past = Duration::ZERO;
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                let wait = as_long_again(past, secs(60), secs(900));
                past += wait;
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [60, 60, 120, 240, 480, 900, 900]);
    }

    #[test]
    fn it_doubles_up_to_the_cap() {
        let b = Backoff::new(Duration::from_secs(1), Duration::from_secs(900)).unwrap();
        let secs: Vec<u64> = (0..12).map(|n| b.ceiling(n).as_secs()).collect();
        assert_eq!(secs, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
        assert_eq!(b.ceiling(u32::MAX).as_secs(), 900);
    }

    #[test]
    fn chance_is_a_share_of_the_ceiling() {
        let b = Backoff::new(Duration::from_secs(2), Duration::from_secs(900)).unwrap();
        assert_eq!(b.wait(1, 0.0), Duration::ZERO);
        assert_eq!(b.wait(2, 0.5), Duration::from_secs(2));
        assert_eq!(
            b.wait(2, 7.0),
            Duration::from_secs(4),
            "chance is held in its range"
        );
    }

    #[test]
    fn it_cannot_be_built_wrong() {
        let s = Duration::from_secs;
        assert_eq!(Backoff::new(s(0), s(1)), Err(BackoffError::NoBase));
        assert_eq!(Backoff::new(s(2), s(1)), Err(BackoffError::CapBelowBase));
        let level = Backoff::new(s(2), s(2)).unwrap();
        assert_eq!(level.ceiling(9), s(2), "one that does not grow is allowed");
    }
}
