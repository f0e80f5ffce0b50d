//! A histogram of times: counts in fixed buckets, added to without a lock.
//!
//! Must not: know what is measured, or how it is shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts of times, by bucket.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending; a bound belongs to its bucket.
    bounds: &'static [f64],
    /// One more than bounds: the last is for what is longer than all.
    counts: Box<[AtomicU64]>,
    /// Microseconds, all together.
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Upper bound in seconds and count of each bucket, not added up; the last
    /// bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Seconds, all together.
    pub sum: f64,
}

impl Histogram {
    /// An empty one with these upper bounds, in seconds and ascending.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Something took so long.
    pub fn record(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// How it stands. What is recorded meanwhile may be in a part of it.
    pub fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|c| c.load(Ordering::Relaxed));
        Snapshot {
            buckets: bounds.zip(counts).collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&[0.5, 2.0]);
        for ms in [0, 500, 501, 2000, 2001, 999_000] {
            histogram.record(Duration::from_millis(ms));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets, [(0.5, 2), (2.0, 2), (f64::INFINITY, 2)]);
        assert!((snapshot.sum - 1004.002).abs() < 1e-6, "{}", snapshot.sum);
    }
}
