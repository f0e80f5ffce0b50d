//! One short line for each change of a file: what `try` shows. The daemon's
//! full lines have a field for everything; a newcomer wants to see a file go.
//!
//! ```text
//! 12:31:05  report.pdf            submitted    task 1795461329306000001 (4 ms)
//! ```
//!
//! Must not: be what a program reads, or the log of a daemon.

use std::fmt::{self, Debug, Write as _};

use anstyle::{AnsiColor, Style};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use unicode_width::UnicodeWidthStr;

/// Columns of a file's name; longer ones push the rest to the right.
const NAME: usize = 20;

/// Columns of a state's name.
const STATE: usize = 11;

/// Steps of a file that went well: a daemon's log has them at `debug`, since one
/// line a file is enough there.
const SHOWN: [&str; 4] = ["queued", "uploaded", "source moved", "source deleted"];

/// The format.
pub struct Compact;

impl<S, N> FormatEvent<S, N> for Compact
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = jiff::ZonedDateTime::now().strftime("%H:%M:%S").to_string();
        match line(&fields, *event.metadata().level(), &time) {
            Some(line) if writer.has_ansi_escapes() => writeln!(writer, "{}", line.coloured()),
            Some(line) => writeln!(writer, "{}", line.plain()),
            None => Ok(()),
        }
    }
}

/// The fields of the daemon's log lines that are shown.
#[derive(Default)]
struct Fields {
    message: String,
    file: String,
    state: String,
    route: String,
    task: String,
    code: String,
    to: String,
    ms: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let slot = match field.name() {
            "message" => &mut self.message,
            "file" => &mut self.file,
            "state" => &mut self.state,
            "route" => &mut self.route,
            "task" => &mut self.task,
            "code" => &mut self.code,
            "to" => &mut self.to,
            "ms" => &mut self.ms,
            _ => return,
        };
        let _ = write!(slot, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is: `Debug` would put it in quotes.
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// A line in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    time: String,
    /// The file, padded; empty where it is about none.
    file: String,
    /// The state, padded.
    state: String,
    detail: String,
    style: Style,
}

impl Line {
    fn plain(&self) -> String {
        self.with(Style::new(), Style::new())
    }

    fn coloured(&self) -> String {
        self.with(Style::new().dimmed(), self.style)
    }

    fn with(&self, quiet: Style, style: Style) -> String {
        let (time, detail) = (&self.time, &self.detail);
        if self.file.is_empty() {
            return format!("{quiet}{time}{quiet:#}  {style}{detail}{style:#}");
        }
        let (file, state) = (&self.file, &self.state);
        format!("{quiet}{time}{quiet:#}  {file}  {style}{state}{style:#}  {detail}")
    }
}

/// What is said; `None`: nothing that a newcomer wants to read.
fn line(fields: &Fields, level: Level, time: &str) -> Option<Line> {
    let style = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let time = time.to_owned();
    if level == Level::DEBUG && !SHOWN.contains(&fields.message.as_str()) {
        return None;
    }
    if fields.file.is_empty() {
        // The daemon's own doings, unless something is wrong.
        return (level <= Level::WARN).then(|| Line {
            time,
            file: String::new(),
            state: String::new(),
            detail: fields.message.clone(),
            style: style(AnsiColor::Yellow),
        });
    }
    let (state, detail) = match fields.state.as_str() {
        "queued" if fields.message == "queued" => {
            let media = fields.route.rsplit('/').next().unwrap_or_default();
            ("queued", format!("as {media}"))
        }
        "submitted" if level == Level::DEBUG => (
            "submitted",
            format!("task {} ({} ms)", fields.task, fields.ms),
        ),
        "succeeded" => ("succeeded", format!("task {}", fields.task)),
        // A source that was moved or deleted.
        "" if !fields.to.is_empty() => ("", format!("{} to {}", fields.message, fields.to)),
        state if fields.code.is_empty() => (state, fields.message.clone()),
        state => (state, format!("{} ({})", fields.message, fields.code)),
    };
    let colour = match (state, level) {
        ("succeeded", _) => AnsiColor::Green,
        ("queued" | "submitted" | "", Level::INFO | Level::DEBUG) => AnsiColor::Cyan,
        (_, Level::ERROR) => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    Some(Line {
        time,
        file: padded(&fields.file),
        state: format!("{state:<STATE$}"),
        detail,
        style: style(colour),
    })
}

/// A name with spaces behind it up to the next column.
fn padded(name: &str) -> String {
    let missing = NAME.saturating_sub(name.width());
    format!("{name}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(fields: &Fields, level: Level) -> String {
        line(fields, level, "12:31:05").unwrap().plain()
    }

    #[test]
    fn a_change_is_one_aligned_line() {
        let fields = Fields {
            message: "uploaded".into(),
            file: "report.pdf".into(),
            state: "submitted".into(),
            task: "1795".into(),
            ms: "2".into(),
            ..Fields::default()
        };
        assert_eq!(
            said(&fields, Level::DEBUG),
            "12:31:05  report.pdf            submitted    task 1795 (2 ms)"
        );
        let asked = Fields {
            message: "still processing".into(),
            ..fields
        };
        assert_eq!(line(&asked, Level::DEBUG, ""), None);
        let fields = Fields {
            message: "not taken: it is empty".into(),
            file: "a.pdf".into(),
            state: "unsupported".into(),
            ..Fields::default()
        };
        assert_eq!(
            said(&fields, Level::WARN),
            "12:31:05  a.pdf                 unsupported  not taken: it is empty"
        );
        assert!(
            line(&fields, Level::WARN, "")
                .unwrap()
                .coloured()
                .contains("\u{1b}[")
        );
    }

    #[test]
    fn names_of_every_script_end_in_the_same_column() {
        for name in ["a.pdf", "报告.pdf", "👩‍🔬.png", "e\u{301}.txt"] {
            assert_eq!(padded(name).width(), NAME, "{name}");
        }
    }

    #[test]
    fn the_daemons_own_doings_are_left_out_unless_wrong() {
        let fields = Fields {
            message: "watching the folder".into(),
            ..Fields::default()
        };
        assert_eq!(line(&fields, Level::INFO, "12:31:05"), None);
        assert_eq!(said(&fields, Level::WARN), "12:31:05  watching the folder");
    }
}
