//! Log lines that may come a thousand at a time: one for each cause and scope,
//! then their number (`domain::repeats`). A line that is held back is still
//! written at the level `debug`.
//!
//! Must not: hold back what happens once.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::answer::Code;
use crate::domain::ids::FolderName;
use crate::domain::naming::shown_text;
use crate::domain::repeats::{Held, Repeats};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::view::span;

/// What several lines have in common: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// A folder, a route or a dataset.
    pub scope: String,
    /// What happened there.
    pub cause: Cause,
}

/// What happened to several files alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// They are not taken, for this reason.
    NotTaken(String),
    /// They can't be read.
    Unreadable,
    /// Their folder is not there.
    Offline,
    /// They were answered so, and are now in this state.
    Answered(Code, StateKind),
    /// They left the queue, or went back to it, without a request.
    MovedOn(StateKind),
    /// Their sources can't be moved or deleted, for this reason.
    Source(String),
    /// A hook failed, and is tried again.
    HookFailed,
    /// A hook failed too often, and is not told any more.
    HookGivenUp,
}

/// The longest reason that tells one cause from another, in characters.
const REASON: usize = 120;

impl Subject {
    /// Something in a folder.
    pub fn of(folder: &FolderName, cause: Cause) -> Subject {
        Subject::at(&folder.0, cause)
    }

    /// Something at a scope.
    pub fn at(scope: impl fmt::Display, cause: Cause) -> Subject {
        Subject {
            scope: scope.to_string(),
            cause,
        }
    }
}

impl Cause {
    /// Not taken; a long reason is cut.
    pub fn not_taken(reason: &str) -> Cause {
        Cause::NotTaken(shown_text(reason, REASON))
    }

    /// A source that stays; a long reason is cut.
    pub fn source(reason: impl fmt::Display) -> Cause {
        Cause::Source(shown_text(&reason.to_string(), REASON))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NotTaken(reason) => write!(f, "not taken: {reason}"),
            Cause::Unreadable => f.write_str("can't be read"),
            Cause::Offline => f.write_str("the folder is offline"),
            Cause::Answered(code, state) => write!(f, "answered {code}, now {state}"),
            Cause::MovedOn(state) => write!(f, "now {state}, without a request"),
            Cause::HookFailed => f.write_str("a hook failed"),
            Cause::HookGivenUp => f.write_str("a hook could not be told"),
            Cause::Source(reason) => write!(f, "the source stays: {reason}"),
        }
    }
}

/// The lines of this run that may come often.
#[derive(Debug, Default)]
pub struct Lines {
    inner: Mutex<Repeats<Subject>>,
}

impl Lines {
    /// Whether a line about `subject` is to be written now, at its own level.
    pub fn may_say(&self, subject: &Subject, now: Timestamp) -> bool {
        self.inner().may_say(subject, now)
    }

    /// Writes how many lines were held back, where that is due.
    pub fn sum_up(&self, now: Timestamp) {
        let due = self.inner().due(now);
        for Held {
            subject,
            lines,
            within,
        } in due
        {
            let within = span(within);
            match subject {
                Some(Subject { scope, cause }) => tracing::warn!(
                    scope, %cause, lines,
                    "{scope}: {lines} more in {within}: {cause}. `supametas-sync list` names the files"
                ),
                None => tracing::warn!(
                    lines,
                    "{lines} more lines of too many different causes were not written: `supametas-sync list --attention` names the files"
                ),
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Repeats<Subject>> {
        // A panic while it is held leaves whole entries.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a line if its subject may have one now; else at the level `debug`.
macro_rules! grouped {
    ($lines:expr, $now:expr, $subject:expr, $level:ident, $($line:tt)+) => {
        if $lines.may_say(&$subject, $now) {
            tracing::$level!($($line)+);
        } else {
            tracing::debug!($($line)+);
        }
    };
}
pub(crate) use grouped;
