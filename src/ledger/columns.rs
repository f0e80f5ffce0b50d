//! Parts of a row of `files` that belong together: its state, and how it stopped
//! needing a person.
//!
//! Must not: decide what state follows, or hold a statement.

use rusqlite::Row;

use super::error::Fail;
use crate::domain::answer::Code;
use crate::domain::ids::{AttemptId, FileId, TaskId};
use crate::domain::refusal::ReasonKind;
use crate::domain::resolution::{Resolution, ResolutionKind, Resolved};
use crate::domain::state::{Polls, State, StateKind, Tries};
use crate::domain::time::Timestamp;

/// Longest text from outside that is kept, in bytes.
pub(super) const MAX_TEXT: usize = 2048;

/// The columns that belong to the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct StateColumns {
    pub not_before: Option<i64>,
    pub attempt: Option<i64>,
    pub last_byte: Option<bool>,
    pub task: Option<String>,
    pub next_poll: Option<i64>,
    pub polls: Option<Polls>,
    pub tries: Option<Tries>,
    pub reason: Option<String>,
    pub reason_kind: Option<ReasonKind>,
    pub code: Option<String>,
    pub duplicate_of: Option<i64>,
    pub superseded_by: Option<i64>,
}

/// A state as columns.
pub(super) fn columns_of(state: &State) -> StateColumns {
    let none = StateColumns::default();
    match state {
        State::Queued { not_before, tries } => StateColumns {
            not_before: Some(not_before.0),
            tries: Some(*tries),
            ..none
        },
        State::Uploading {
            attempt,
            last_byte_sent,
            tries,
        } => StateColumns {
            attempt: Some(attempt.0),
            last_byte: Some(*last_byte_sent),
            tries: Some(*tries),
            ..none
        },
        State::Submitted {
            task,
            next_poll,
            polls,
            tries,
        } => StateColumns {
            task: Some(task.as_str().to_owned()),
            next_poll: Some(next_poll.0),
            polls: Some(*polls),
            tries: Some(*tries),
            ..none
        },
        State::Succeeded { task } | State::Cancelled { task } | State::Lost { task } => {
            StateColumns {
                task: Some(task.as_str().to_owned()),
                ..none
            }
        }
        State::Failed { task, reason } => StateColumns {
            task: Some(task.as_str().to_owned()),
            reason: Some(bounded(reason).to_owned()),
            ..none
        },
        State::Rejected { code } | State::Exhausted { code } => StateColumns {
            code: Some(code.as_str().to_owned()),
            ..none
        },
        State::Unconfirmed { attempt } => StateColumns {
            attempt: Some(attempt.0),
            ..none
        },
        State::Unsupported { kind, reason } => StateColumns {
            reason: Some(bounded(reason).to_owned()),
            reason_kind: Some(*kind),
            ..none
        },
        State::Duplicate { of } => StateColumns {
            duplicate_of: Some(of.0),
            ..none
        },
        State::Superseded { by } => StateColumns {
            superseded_by: Some(by.0),
            ..none
        },
        State::Untracked | State::Gone => none,
    }
}

/// Columns as a state. The CHECKs of the schema let nothing else in; a row
/// that still misses something was written by another hand.
pub(super) fn state_of(kind: StateKind, c: StateColumns) -> Result<State, Fail> {
    fn has<T>(kind: StateKind, name: &str, value: Option<T>) -> Result<T, Fail> {
        value.ok_or_else(|| Fail::BadRow(format!("a file is {kind} and has no {name}")))
    }
    let task = |text: Option<String>| {
        let text = has(kind, "task", text)?;
        TaskId::new(&text).ok_or_else(|| Fail::BadRow(format!("{text:?} is no task ID")))
    };
    let code = |text: Option<String>| has(kind, "code", text).map(|text| Code::service(&text));
    Ok(match kind {
        StateKind::Queued => State::Queued {
            not_before: Timestamp(has(kind, "not_before", c.not_before)?),
            tries: has(kind, "tries", c.tries)?,
        },
        StateKind::Uploading => State::Uploading {
            attempt: AttemptId(has(kind, "attempt", c.attempt)?),
            last_byte_sent: has(kind, "last_byte", c.last_byte)?,
            tries: has(kind, "tries", c.tries)?,
        },
        StateKind::Submitted => State::Submitted {
            task: task(c.task)?,
            next_poll: Timestamp(has(kind, "next_poll", c.next_poll)?),
            polls: has(kind, "polls", c.polls)?,
            tries: has(kind, "tries", c.tries)?,
        },
        StateKind::Succeeded => State::Succeeded {
            task: task(c.task)?,
        },
        StateKind::Failed => State::Failed {
            task: task(c.task)?,
            reason: has(kind, "reason", c.reason)?,
        },
        StateKind::Cancelled => State::Cancelled {
            task: task(c.task)?,
        },
        StateKind::Untracked => State::Untracked,
        StateKind::Rejected => State::Rejected {
            code: code(c.code)?,
        },
        StateKind::Exhausted => State::Exhausted {
            code: code(c.code)?,
        },
        StateKind::Unconfirmed => State::Unconfirmed {
            attempt: AttemptId(has(kind, "attempt", c.attempt)?),
        },
        StateKind::Lost => State::Lost {
            task: task(c.task)?,
        },
        StateKind::Unsupported => State::Unsupported {
            // A ledger of an earlier program has no word for it.
            kind: c.reason_kind.unwrap_or(ReasonKind::Unlisted),
            reason: has(kind, "reason", c.reason)?,
        },
        StateKind::Duplicate => State::Duplicate {
            of: FileId(has(kind, "original", c.duplicate_of)?),
        },
        StateKind::Superseded => State::Superseded {
            by: FileId(has(kind, "newer version", c.superseded_by)?),
        },
        StateKind::Gone => State::Gone,
    })
}

/// At most [`MAX_TEXT`] bytes, cut between characters.
pub(super) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// How, when, by whom, why and by which file, from column `at` on.
pub(super) fn resolved(row: &Row<'_>, at: usize) -> Result<Option<Resolved>, Fail> {
    let Some(text) = row.get::<_, Option<String>>(at)? else {
        return Ok(None);
    };
    let kind = text.parse::<ResolutionKind>();
    let how = match kind.map_err(|error| Fail::BadRow(error.to_string()))? {
        ResolutionKind::Acknowledged => Resolution::Acknowledged {
            who: row.get(at + 2)?,
            why: row.get(at + 3)?,
        },
        ResolutionKind::NewerVersion => Resolution::NewerVersion(FileId(row.get(at + 4)?)),
        ResolutionKind::SourceGone => Resolution::SourceGone,
        ResolutionKind::Excluded => Resolution::Excluded,
    };
    let at = Timestamp(row.get(at + 1)?);
    Ok(Some(Resolved { at, how }))
}

/// `resolved_who`, `resolved_why` and `resolved_by`.
pub(super) fn resolution_columns(
    resolved: Option<&Resolved>,
) -> (Option<&str>, Option<&str>, Option<i64>) {
    match resolved.map(|resolved| &resolved.how) {
        Some(Resolution::Acknowledged { who, why }) => {
            (Some(bounded(who)), why.as_deref().map(bounded), None)
        }
        Some(Resolution::NewerVersion(by)) => (None, None, Some(by.0)),
        Some(Resolution::SourceGone | Resolution::Excluded) | None => (None, None, None),
    }
}
