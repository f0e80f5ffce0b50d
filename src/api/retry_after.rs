//! `Retry-After`: a number of seconds, or a date (RFC 9110, 10.2.3).
//!
//! Must not: read the clock.

use std::time::{Duration, UNIX_EPOCH};

use crate::domain::error_table::MAX_RETRY_AFTER;
use crate::domain::time::Timestamp;

/// The wait that a header's value asks for, seen from `now`: at most
/// [`MAX_RETRY_AFTER`]; nothing for a date that is past; `None` for what is
/// neither a whole number of seconds nor an HTTP date.
pub(super) fn read(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit is a long wait, not a mistake.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        date(value)?.since(now)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A date as HTTP writes it: that of `Retry-After`, and an answer's own.
pub(super) fn date(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let at = httpdate::parse_http_date(text).ok()?;
    let ms = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    Some(Timestamp(i64::try_from(ms).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp(784_111_777_000);
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0007", Some(7)),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("1e3", None),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Fri, 06 Nov 2093 08:49:37 GMT", Some(86_400)),
            ("Sun, 66 Nov 1994 08:50:37 GMT", None),
        ] {
            let found = read(text.as_bytes(), now);
            assert_eq!(found, seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(read(b"\xff\xfe", now), None);
    }
}
