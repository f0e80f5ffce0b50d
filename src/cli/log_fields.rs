//! The fields of a log line for people, as `name=value`. One rule quotes them:
//! a value of letters, digits and a few signs is bare, every other one is in
//! double quotes. So a script can take a line apart, and a file name with a
//! space or a quote in it can't pass for another field.
//!
//! Must not: choose what is logged.

use std::error::Error;
use std::fmt::{self, Debug};

use anstyle::Style;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The formatter.
pub struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            writer,
            is_empty: true,
            done: Ok(()),
        };
        fields.record(&mut line);
        line.done
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    done: fmt::Result,
}

impl Line<'_> {
    fn put(&mut self, field: &Field, value: &str) {
        if self.done.is_ok() {
            self.done = self.write(field.name(), value);
        }
    }

    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.write_char(' ')?;
        }
        if name == "message" {
            return visible(&mut self.writer, value);
        }
        let (quiet, names) = match self.writer.has_ansi_escapes() {
            true => (Style::new().dimmed(), Style::new().italic()),
            false => (Style::new(), Style::new()),
        };
        write!(self.writer, "{names}{name}{names:#}{quiet}={quiet:#}")?;
        self.writer.write_str(&quoted(value))
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut told = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !told.contains(&said) {
                told = format!("{told}: {said}");
            }
            cause = error.source();
        }
        self.put(field, &told);
    }
}

/// A message may have several lines; nothing in it moves a terminal's cursor.
fn visible(to: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            write!(to, "{}", c.escape_default())?;
        } else {
            to.write_char(c)?;
        }
    }
    Ok(())
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/:+@%,~".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            // A backslash is one of those by which a name was made visible.
            '"' => text.push_str("\\\""),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn values_of_every_type_are_quoted_by_one_rule() {
        let heard = Heard::default();
        let to = heard.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(Fields)
            .with_writer(move || to.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let shown = "dataset:main";
            let error = io::Error::other("no room on \"disk\"");
            tracing::info!(
                file = "a.txt", other = "a b.txt", gate = %shown, why = %"too\u{1b}[31m many", n = 3,
                at = ?Some(1), empty = "", error = &error as &(dyn Error + 'static),
                "said: {}", "done"
            );
        });
        let bytes = heard.0.lock().unwrap().clone();
        assert_eq!(
            String::from_utf8(bytes).unwrap().trim(),
            "INFO said: done file=a.txt other=\"a b.txt\" gate=dataset:main why=\"too\\u{1b}[31m many\" n=3 \
             at=\"Some(1)\" empty=\"\" error=\"no room on \\\"disk\\\"\""
        );
    }
}
