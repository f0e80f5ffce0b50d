//! Times and sizes as people write them.
//!
//! Strict where a guess could be wrong by a factor: a number alone has no
//! unit, and `10m` is ten minutes as a time but nothing at all as a size (some
//! read ten million, some ten times 1,048,576).
//!
//! Must not: repeat what was written; it may be a secret in a wrong place.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::friendly::SpanParser;
use jiff::{SpanRelativeTo, Unit};

/// What a time looks like; a remedy.
pub const TIME_HINT: &str = "write a number and a unit: \"500ms\", \"10s\", \"15m\" (minutes), \"6h\", \"1d\" or \"1h 30m\"";

/// What a size looks like; a remedy.
pub const SIZE_HINT: &str = "write a number and a unit: \"64MiB\" or \"2GiB\" (steps of 1024), \
     \"64MB\" or \"2GB\" (steps of 1000), or \"512B\"";

/// Why a time or a size was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number with a unit.
    #[error("is not a number with a unit")]
    Malformed,
    /// `10` says neither seconds nor minutes.
    #[error("has no unit")]
    NoUnit,
    /// `10m`, `2G`: read differently by different programs.
    #[error("has a unit that can be read in two ways")]
    Ambiguous,
    /// Months and years have no fixed length.
    #[error("is in months or years, which have no fixed length")]
    Calendar,
    /// Below zero.
    #[error("is below zero")]
    Negative,
    /// More than can be counted.
    #[error("is too large")]
    TooLarge,
}

/// Reads `10s`, `15m`, `6h`, `1d`, `1w`, `1h 30m`. A day is 24 hours.
pub fn time(text: &str) -> Result<Duration, UnitError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(UnitError::NoUnit);
    }
    static PARSER: SpanParser = SpanParser::new();
    let span = PARSER.parse_span(text).map_err(|_| UnitError::Malformed)?;
    if span.is_negative() {
        return Err(UnitError::Negative);
    }
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(UnitError::Calendar);
    }
    // A `SignedDuration` would refuse days; a span takes them once it is told
    // how long one is.
    let nanos = span
        .total((Unit::Millisecond, SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| UnitError::TooLarge)?;
    Duration::try_from_secs_f64(nanos / 1e3).map_err(|_| UnitError::TooLarge)
}

/// Reads `512B`, `64MiB`, `1.5GiB`, `2GB`. Bytes.
pub fn size(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim_start());
    if number.is_empty() {
        return Err(if text.starts_with('-') {
            UnitError::Negative
        } else {
            UnitError::Malformed
        });
    }
    match unit.to_ascii_lowercase().as_str() {
        "" => return Err(UnitError::NoUnit),
        "b" | "kib" | "mib" | "gib" | "tib" | "kb" | "mb" | "gb" | "tb" => {}
        "k" | "m" | "g" | "t" | "ki" | "mi" | "gi" | "ti" => return Err(UnitError::Ambiguous),
        _ => return Err(UnitError::Malformed),
    }
    let whole: f64 = number.parse().map_err(|_| UnitError::Malformed)?;
    // More than any file system holds, and where whole bytes get lost in an f64.
    let size: ByteSize = text.parse().map_err(|_| UnitError::Malformed)?;
    if size.as_u64() > 1 << 53 || whole > 9e15 {
        return Err(UnitError::TooLarge);
    }
    Ok(size.as_u64())
}

/// A time as it can be written: the largest unit that leaves no rest.
pub fn show_time(time: Duration) -> String {
    let ms = time.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ] {
        if ms >= size && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}

/// A size as it can be written: the largest unit that leaves no rest.
pub fn show_size(bytes: u64) -> String {
    for (unit, size) in [
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1_000),
    ] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times() {
        let ok = [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("15m", 900_000),
            ("6h", 21_600_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1h 30m", 5_400_000),
            ("1.5h", 5_400_000),
            (" 2 minutes ", 120_000),
            ("2 hours", 7_200_000),
            ("1 hour 30 min", 5_400_000),
            ("10 secs", 10_000),
            ("30d", 2_592_000_000),
        ];
        for (text, ms) in ok {
            assert_eq!(time(text).unwrap().as_millis(), ms, "{text}");
            let shown = show_time(time(text).unwrap());
            assert_eq!(time(&shown), time(text), "{shown}");
        }
        for (text, why) in [
            ("", UnitError::Malformed),
            ("10", UnitError::NoUnit),
            ("1.5", UnitError::NoUnit),
            ("ten seconds", UnitError::Malformed),
            ("-10s", UnitError::Negative),
            ("1mo", UnitError::Calendar),
            ("1y", UnitError::Calendar),
            ("99999999999999999999s", UnitError::Malformed),
        ] {
            assert_eq!(time(text), Err(why), "{text}");
        }
    }

    #[test]
    fn sizes() {
        let ok = [
            ("0B", 0),
            ("512B", 512),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("2GB", 2_000_000_000),
            ("10kB", 10_000),
            ("1TiB", 1 << 40),
            ("10 MB", 10_000_000),
            (" 1.5 gib ", 3 << 29),
            ("1025 B", 1025),
        ];
        for (text, bytes) in ok {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(size(&show_size(bytes)), Ok(bytes), "{text}");
        }
        for (text, why) in [
            ("", UnitError::Malformed),
            ("1024", UnitError::NoUnit),
            ("10m", UnitError::Ambiguous),
            ("10M", UnitError::Ambiguous),
            ("2Gi", UnitError::Ambiguous),
            ("-1MiB", UnitError::Negative),
            ("1.2.3MiB", UnitError::Malformed),
            ("10 apples", UnitError::Malformed),
            ("99999999999TiB", UnitError::TooLarge),
        ] {
            assert_eq!(size(text), Err(why), "{text}");
        }
    }
}
