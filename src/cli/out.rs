//! What commands say: answers on standard output, remarks on standard error.
//!
//! A reader that has gone away (`| head`) is no error, so nothing here panics
//! as `println!` and `eprintln!` do. Must not: know what is said.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;

use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;

/// Prints an answer, with one line break at its end.
pub fn print(text: &str) {
    write_line(&mut io::stdout().lock(), text);
}

/// Prints a value as indented JSON.
pub fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}"));
}

/// Says something that is not the answer.
pub fn remark(text: &str) {
    write_line(&mut io::stderr().lock(), text);
}

/// Whether an answer may have colours: on a terminal that knows them, and not
/// where `NO_COLOR` says no (<https://no-color.org>).
pub fn has_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_some_and(|term| term != "dumb")
}

/// `text` in a style, where an answer may have one.
pub fn painted(style: Style, text: &str) -> String {
    match has_colours() && style != Style::new() {
        true => format!("{style}{text}{style:#}"),
        false => text.to_owned(),
    }
}

/// A moment in an answer: on a terminal the time of this place with its zone,
/// elsewhere UTC.
pub fn time(at: Timestamp) -> String {
    time_for(io::stdout().is_terminal(), at)
}

/// The same in a remark.
pub fn remarked_time(at: Timestamp) -> String {
    time_for(io::stderr().is_terminal(), at)
}

/// A text of an answer that may hold moments in UTC, each as [`time`] has it: what
/// many share is in words before it is known who reads them.
pub fn with_times(text: &str) -> String {
    match io::stdout().is_terminal() {
        true => localised(text, &jiff::tz::TimeZone::system()),
        false => text.to_owned(),
    }
}

/// A moment as `Timestamp` writes it: `0` stands for any digit.
const MOMENT: &[u8] = b"0000-00-00T00:00:00.000Z";

fn localised(text: &str, zone: &jiff::tz::TimeZone) -> String {
    let is_moment = |found: &[u8]| {
        let fits = |(wanted, byte): (&u8, &u8)| match wanted {
            b'0' => byte.is_ascii_digit(),
            wanted => byte == wanted,
        };
        found.len() == MOMENT.len() && MOMENT.iter().zip(found).all(fits)
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(MOMENT.len()).position(is_moment) {
        // All of it is ASCII, so these are places between characters.
        let (before, found) = rest.split_at(at);
        let (moment, after) = found.split_at(MOMENT.len());
        out.push_str(before);
        match moment.parse::<jiff::Timestamp>() {
            Ok(parsed) => out.push_str(&local(Timestamp(parsed.as_millisecond()), zone.clone())),
            Err(_) => out.push_str(moment),
        }
        rest = after;
    }
    out + rest
}

fn time_for(somebody_looks: bool, at: Timestamp) -> String {
    match somebody_looks {
        true => local(at, jiff::tz::TimeZone::system()),
        false => at.to_string(),
    }
}

fn local(at: Timestamp, zone: jiff::tz::TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(moment) => moment
            .to_zoned_datetime(zone)
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        Err(_) => at.to_string(),
    }
}

fn write_line(to: &mut impl Write, text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    // Nobody reads it any more: then nobody misses it.
    let _ = writeln!(to, "{text}").and_then(|()| to.flush());
}

/// A word of the command line in a message: in quotes, short, with nothing in
/// it that a terminal would act on.
pub fn shown_word(word: &str) -> String {
    format!("\"{}\"", shown_text(word, 100))
}

/// A number of things: `1 folder`, `2 folders`.
pub fn count(n: impl TryInto<u64>, thing: &str) -> String {
    match n.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        n => format!("{n} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(0_u64, "folder"), "0 folders");
        assert_eq!(count(1_usize, "folder"), "1 folder");
        assert_eq!(count(2_u64, "folder"), "2 folders");
    }

    #[test]
    fn a_time_for_people_is_that_of_their_place() {
        let at = Timestamp(1_700_000_000_123);
        assert_eq!(time_for(false, at), "2023-11-14T22:13:20.123Z");
        let zone = jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(local(at, zone.clone()), "2023-11-14 23:13:20 CET");
        let said = "报告: since 2023-11-14T22:13:20.123Z, until 2023-11-15T00:00:00.000Z; no 2023-11-14T22";
        assert_eq!(
            localised(said, &zone),
            "报告: since 2023-11-14 23:13:20 CET, until 2023-11-15 01:00:00 CET; no 2023-11-14T22"
        );
        assert_eq!(
            local(Timestamp(i64::MAX), jiff::tz::TimeZone::UTC),
            "beyond the calendar"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        write_line(&mut Closed, "text");
        let mut said = Vec::new();
        write_line(&mut said, "text\n");
        assert_eq!(said, b"text\n");
    }
}
