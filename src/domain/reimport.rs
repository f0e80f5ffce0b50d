//! How often a file that changes again and again is imported.
//!
//! A log in text that grows line by line, or an export that is replaced every
//! second, is finished after each change, and each import costs money. Such a
//! path is imported at most once in `reimport_after`, then in its newest version.
//!
//! Must not: know what lies at a path.

use std::time::Duration;

use super::time::Timestamp;

/// When a version may be sent whose path was last sent at `sent`; `None`: now.
///
/// A clock that was set back since makes it wait `reimport_after` at most.
pub fn not_before(
    sent: Option<Timestamp>,
    reimport_after: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = sent?.min(now).plus(reimport_after);
    (until > now).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_once_in_its_time() {
        let after = Duration::from_secs(600);
        let at = |s: i64| Timestamp(s * 1_000);
        assert_eq!(not_before(None, after, at(5)), None);
        assert_eq!(not_before(Some(at(0)), after, at(5)), Some(at(600)));
        assert_eq!(not_before(Some(at(0)), after, at(600)), None);
        assert_eq!(not_before(Some(at(0)), Duration::ZERO, at(0)), None);
        // The clock was set back by an hour.
        assert_eq!(not_before(Some(at(3_600)), after, at(0)), Some(at(600)));
    }
}
