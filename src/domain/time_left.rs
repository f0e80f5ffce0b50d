//! How long a queue lasts, from what went through lately.
//!
//! Must not: promise anything. It is said as "about", and left out where nothing
//! is known.

use std::time::Duration;

/// More than this is as good as not known: thirty days.
const LONGEST: f64 = 30.0 * 86_400.0;

/// Files and bytes: that are left, or that went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How long `left` lasts where `went` went through in `over`: the longer of what
/// the number of files and what the bytes say. A queue of many small files is
/// bound by the one, a queue of few large ones by the other.
///
/// `None`: nothing is left, or nothing went through.
pub fn time_left(left: Amount, went: Amount, over: Duration) -> Option<Duration> {
    if left.files == 0 || over.is_zero() {
        return None;
    }
    let lasts = |left: u64, went: u64| {
        let needed = left as f64 * over.as_secs_f64() / went as f64;
        (went > 0).then_some(needed)
    };
    let by_files = lasts(left.files, went.files);
    let by_bytes = lasts(left.bytes, went.bytes);
    let longer = match (by_files, by_bytes) {
        (Some(files), Some(bytes)) => files.max(bytes),
        (one, other) => one.or(other)?,
    };
    (longer <= LONGEST).then(|| Duration::from_secs_f64(longer))
}

/// How long an upload lasts that has so many bytes left, at a pace in bytes a
/// second.
pub fn upload_left(bytes: u64, pace: f64) -> Option<Duration> {
    let needed = bytes as f64 / pace;
    (bytes > 0 && needed <= LONGEST).then(|| Duration::from_secs_f64(needed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: u64, bytes: u64) -> Amount {
        Amount { files, bytes }
    }

    #[test]
    fn the_slower_of_files_and_bytes_decides() {
        let minute = Duration::from_secs(60);
        for (left, went, seconds) in [
            // Many small files: files are what takes time.
            (of(600, 600), of(60, 6_000), Some(600)),
            // One large one behind them: its bytes are.
            (of(10, 1_000_000), of(60, 6_000), Some(10_000)),
            // Nothing ended yet, and bytes flow.
            (of(1, 5_000), of(0, 500), Some(600)),
            // Files without content.
            (of(30, 0), of(60, 0), Some(30)),
            (of(0, 0), of(60, 6_000), None),
            (of(5, 50), of(0, 0), None),
            (of(1, u64::MAX), of(1, 1), None),
        ] {
            let told = time_left(left, went, minute).map(|time| time.as_secs());
            assert_eq!(told, seconds, "{left:?} {went:?}");
        }
        assert_eq!(time_left(of(1, 1), of(1, 1), Duration::ZERO), None);
    }

    #[test]
    fn an_upload_at_a_standstill_foretells_nothing() {
        let seconds = |bytes, pace| upload_left(bytes, pace).map(|time| time.as_secs());
        assert_eq!(seconds(1_000, 10.0), Some(100));
        assert_eq!(seconds(0, 10.0), None);
        assert_eq!(seconds(1_000, 0.0), None);
        assert_eq!(seconds(u64::MAX, 1.0), None);
    }
}
