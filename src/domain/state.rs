//! Where a file is: the states of one version of a file, each owning exactly
//! its data.
//!
//! Must not: say which state follows which (that is `lifecycle`), or how a
//! state is stored (that is `ledger`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Code;
use super::ids::{AttemptId, FileId, TaskId};
use super::refusal::ReasonKind;
use super::time::Timestamp;

/// What a file has behind it on its way to a task. It travels with the states
/// that can still go back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// When the file was queued; once tries have failed, when the first of the
    /// failures in a row was. What "no limit but age" is measured from.
    pub since: Timestamp,
    /// Failures in a row that count against a limit of the error table.
    pub strikes: u32,
    /// Failures in a row of any kind: the backoff's exponent.
    pub failures: u32,
    /// Times in a row that the file was sent again though an earlier body may
    /// have been taken.
    pub resends: u32,
    /// Times it was submitted again after its task failed.
    pub resubmits: u32,
}

impl Tries {
    /// Nothing behind it yet.
    pub fn new(since: Timestamp) -> Tries {
        Tries {
            since,
            strikes: 0,
            failures: 0,
            resends: 0,
            resubmits: 0,
        }
    }
}

/// How the following of a task goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Polls {
    /// Answers that said "still processing": the pace slows with them.
    pub pending: u32,
    /// Queries in a row that failed in any way: the backoff's exponent.
    pub failures: u32,
    /// Answers in a row that said the task does not exist.
    pub missing: u32,
}

/// Where one version of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits for its turn, from `not_before` on.
    Queued {
        /// Not to be sent earlier.
        not_before: Timestamp,
        /// What it has behind it.
        tries: Tries,
    },
    /// An attempt is recorded and may be on the wire.
    Uploading {
        /// The attempt.
        attempt: AttemptId,
        /// `false`: the server cannot have a whole request. `true`: it may.
        last_byte_sent: bool,
        /// What it has behind it.
        tries: Tries,
    },
    /// The service took it and named a task.
    Submitted {
        /// The task.
        task: TaskId,
        /// When to ask again.
        next_poll: Timestamp,
        /// How asking has gone.
        polls: Polls,
        /// What it has behind it.
        tries: Tries,
    },
    /// The task ended well.
    Succeeded {
        /// The task.
        task: TaskId,
    },
    /// The task ended badly.
    Failed {
        /// The task.
        task: TaskId,
        /// What the service said; it gives no reason of its own.
        reason: String,
    },
    /// The task was deleted.
    Cancelled {
        /// The task.
        task: TaskId,
    },
    /// The service took it and named no task: it can't be followed.
    Untracked,
    /// The service refused this file for good.
    Rejected {
        /// What it said.
        code: Code,
    },
    /// Tried as often, or as long, as the rules allow.
    Exhausted {
        /// What the last try ended with.
        code: Code,
    },
    /// The service may or may not have it; an operator decides.
    Unconfirmed {
        /// The attempt whose answer was lost.
        attempt: AttemptId,
    },
    /// The service does not know the task any more.
    Lost {
        /// The task.
        task: TaskId,
    },
    /// Not something the service takes; nothing was sent.
    Unsupported {
        /// Why not, in a word that stays.
        kind: ReasonKind,
        /// What it is, why not, and what to do; in words.
        reason: String,
    },
    /// The same content was imported, or is on its way, for the same dataset
    /// with the same options; nothing was sent.
    Duplicate {
        /// The file that was sent.
        of: FileId,
    },
    /// Replaced by a newer version before it was sent.
    Superseded {
        /// The newer version.
        by: FileId,
    },
    /// Deleted or moved away before it was sent.
    Gone,
}

/// The name of a state, without its data: what lists, filters and the ledger's
/// column use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is documented at the state of its name")]
pub enum StateKind {
    Queued,
    Uploading,
    Submitted,
    Succeeded,
    Failed,
    Cancelled,
    Untracked,
    Rejected,
    Exhausted,
    Unconfirmed,
    Lost,
    Unsupported,
    Duplicate,
    Superseded,
    Gone,
}

impl StateKind {
    /// All of them, in the order of a file's way.
    pub const ALL: [StateKind; 15] = [
        StateKind::Queued,
        StateKind::Uploading,
        StateKind::Submitted,
        StateKind::Succeeded,
        StateKind::Failed,
        StateKind::Cancelled,
        StateKind::Untracked,
        StateKind::Rejected,
        StateKind::Exhausted,
        StateKind::Unconfirmed,
        StateKind::Lost,
        StateKind::Unsupported,
        StateKind::Duplicate,
        StateKind::Superseded,
        StateKind::Gone,
    ];

    /// The name used in the ledger, the logs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            StateKind::Queued => "queued",
            StateKind::Uploading => "uploading",
            StateKind::Submitted => "submitted",
            StateKind::Succeeded => "succeeded",
            StateKind::Failed => "failed",
            StateKind::Cancelled => "cancelled",
            StateKind::Untracked => "untracked",
            StateKind::Rejected => "rejected",
            StateKind::Exhausted => "exhausted",
            StateKind::Unconfirmed => "unconfirmed",
            StateKind::Lost => "lost",
            StateKind::Unsupported => "unsupported",
            StateKind::Duplicate => "duplicate",
            StateKind::Superseded => "superseded",
            StateKind::Gone => "gone",
        }
    }

    /// No event but an operator's moves a file on from here.
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            StateKind::Queued | StateKind::Uploading | StateKind::Submitted
        )
    }

    /// An operator should look at it, unless it is resolved (`domain::resolution`):
    /// what makes `scan` exit with a failure.
    pub const fn needs_attention(self) -> bool {
        matches!(
            self,
            StateKind::Failed
                | StateKind::Untracked
                | StateKind::Rejected
                | StateKind::Exhausted
                | StateKind::Unconfirmed
                | StateKind::Lost
                | StateKind::Unsupported
        )
    }
}

impl StateKind {
    /// A retry of "everything that needs attention" includes it. What the service
    /// says it has taken is sent again only where the operator names it.
    pub const fn retried_unnamed(self) -> bool {
        self.needs_attention() && !matches!(self, StateKind::Untracked)
    }
}

/// How long a task may be in a state that is not documented before an operator
/// should look. Meanwhile it counts as still processing.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Whether an operator should look at a file: for its state, or because its task
/// has been in one that is not documented since `unknown_since`; and not once that
/// is `resolved`.
pub fn needs_attention(
    state: StateKind,
    unknown_since: Option<Timestamp>,
    resolved: bool,
    now: Timestamp,
) -> bool {
    let unknown = unknown_since.is_some_and(|since| now.since(since) >= UNKNOWN_FOR);
    !resolved && (state.needs_attention() || (unknown && state == StateKind::Submitted))
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad`, so that tables can align it.
        f.pad(self.as_str())
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a state: use one of queued, uploading, submitted, succeeded, failed, cancelled, untracked, rejected, exhausted, unconfirmed, lost, unsupported, duplicate, superseded, gone"
)]
pub struct UnknownState(pub String);

impl FromStr for StateKind {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<StateKind, UnknownState> {
        StateKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

impl State {
    /// The task that it has at the service, or had.
    pub const fn task(&self) -> Option<&TaskId> {
        match self {
            State::Submitted { task, .. }
            | State::Succeeded { task }
            | State::Failed { task, .. }
            | State::Cancelled { task }
            | State::Lost { task } => Some(task),
            _ => None,
        }
    }

    /// Its name.
    pub const fn kind(&self) -> StateKind {
        match self {
            State::Queued { .. } => StateKind::Queued,
            State::Uploading { .. } => StateKind::Uploading,
            State::Submitted { .. } => StateKind::Submitted,
            State::Succeeded { .. } => StateKind::Succeeded,
            State::Failed { .. } => StateKind::Failed,
            State::Cancelled { .. } => StateKind::Cancelled,
            State::Untracked => StateKind::Untracked,
            State::Rejected { .. } => StateKind::Rejected,
            State::Exhausted { .. } => StateKind::Exhausted,
            State::Unconfirmed { .. } => StateKind::Unconfirmed,
            State::Lost { .. } => StateKind::Lost,
            State::Unsupported { .. } => StateKind::Unsupported,
            State::Duplicate { .. } => StateKind::Duplicate,
            State::Superseded { .. } => StateKind::Superseded,
            State::Gone => StateKind::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The name, whether only an operator moves it on, whether one should look.
    #[rustfmt::skip]
    const KINDS: [(&str, bool, bool); 15] = [
        ("queued",      false, false),
        ("uploading",   false, false),
        ("submitted",   false, false),
        ("succeeded",   true,  false),
        ("failed",      true,  true),
        ("cancelled",   true,  false),
        ("untracked",   true,  true),
        ("rejected",    true,  true),
        ("exhausted",   true,  true),
        ("unconfirmed", true,  true),
        ("lost",        true,  true),
        ("unsupported", true,  true),
        ("duplicate",   true,  false),
        ("superseded",  true,  false),
        ("gone",        true,  false),
    ];

    #[test]
    fn every_kind_has_its_name_and_its_place() {
        for (kind, (name, is_final, attention)) in StateKind::ALL.into_iter().zip(KINDS) {
            assert_eq!(kind.as_str(), name);
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.is_final(), is_final, "{name}");
            assert_eq!(kind.needs_attention(), attention, "{name}");
            assert_eq!(format!("{kind:<12}|"), format!("{name:<12}|"));
        }
    }

    #[test]
    fn a_task_in_an_unknown_state_needs_attention_after_a_day() {
        let asked = |state, since: Option<Timestamp>, hours: u64| {
            let now = Timestamp(0).plus(Duration::from_secs(hours * 3600));
            needs_attention(state, since, false, now)
        };
        let (submitted, since) = (StateKind::Submitted, Some(Timestamp(0)));
        assert!(!asked(submitted, since, 23) && asked(submitted, since, 24));
        assert!(!asked(submitted, None, 99));
        assert!(!asked(StateKind::Succeeded, since, 99));
        let late = Timestamp(0).plus(2 * UNKNOWN_FOR);
        for state in [submitted, StateKind::Rejected] {
            assert!(needs_attention(state, since, false, late), "{state}");
            assert!(!needs_attention(state, since, true, late), "{state}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "Queued".parse::<StateKind>().unwrap_err().to_string();
        assert!(error.contains("\"Queued\""));
        for (name, ..) in KINDS {
            assert!(error.contains(name), "{name}");
        }
    }
}
