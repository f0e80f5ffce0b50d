//! Colours by what something means: one for each state, severity and kind of
//! trouble, the same in every command.
//!
//! Must not: be the only sign of anything; the words say it, too.

use anstyle::{AnsiColor, Style};
use comfy_table::Color;

use super::out;
use crate::config::Severity;
use crate::domain::state::StateKind;

/// What something means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing by itself.
    #[default]
    Plain,
    /// It went well.
    Good,
    /// It goes on by itself.
    Busy,
    /// It wants a look.
    Warn,
    /// It went wrong.
    Bad,
    /// It is over, and of little interest.
    Quiet,
}

impl Tone {
    /// Of a file's state.
    pub const fn of_state(kind: StateKind) -> Tone {
        match kind {
            StateKind::Succeeded => Tone::Good,
            StateKind::Queued | StateKind::Uploading | StateKind::Submitted => Tone::Busy,
            StateKind::Unsupported | StateKind::Untracked => Tone::Warn,
            StateKind::Failed
            | StateKind::Rejected
            | StateKind::Exhausted
            | StateKind::Unconfirmed
            | StateKind::Lost => Tone::Bad,
            StateKind::Cancelled
            | StateKind::Duplicate
            | StateKind::Superseded
            | StateKind::Gone => Tone::Quiet,
        }
    }

    /// Of a finding of `check`.
    pub const fn of_severity(severity: Severity) -> Tone {
        match severity {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Warn,
            Severity::Note => Tone::Quiet,
        }
    }

    /// `text` in this colour, where an answer may have colours.
    pub fn paint(self, text: &str) -> String {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let style = match self {
            Tone::Plain => Style::new(),
            Tone::Good => colour(AnsiColor::Green),
            Tone::Busy => colour(AnsiColor::Cyan),
            Tone::Warn => colour(AnsiColor::Yellow),
            Tone::Bad => colour(AnsiColor::Red),
            Tone::Quiet => Style::new().dimmed(),
        };
        out::painted(style, text)
    }

    /// The same for a cell of a table.
    pub const fn colour(self) -> Option<Color> {
        match self {
            Tone::Plain => None,
            Tone::Good => Some(Color::DarkGreen),
            Tone::Busy => Some(Color::DarkCyan),
            Tone::Warn => Some(Color::DarkYellow),
            Tone::Bad => Some(Color::DarkRed),
            Tone::Quiet => Some(Color::DarkGrey),
        }
    }
}
