//! A file, to people and to scripts: one line of words, or one JSON object.
//!
//! Must not: change anything.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::Stamp;
use super::waiting::WaitingView;
use crate::config::valid::Config;
use crate::domain::ids::FileId;
use crate::domain::lifecycle::SourceAction;
use crate::domain::naming::{shown, shown_text};
use crate::domain::resolution::{Resolution, ResolutionKind, Resolved};
use crate::domain::state::{State, needs_attention};
use crate::domain::time::Timestamp;
use crate::domain::waiting::Waiting;
use crate::ledger::{FileRecord, FileStory, SourceEnd};

/// One line about where a file is, and why. `waiting`: what it waits for.
pub fn detail(file: &FileRecord, waiting: &[Waiting], now: Timestamp) -> String {
    let why = file.last_why.as_deref().map(|why| shown_text(why, 200));
    match &file.state {
        State::Queued { .. } | State::Submitted { .. } => match waiting.first() {
            Some(first) => first.text(now),
            None => "in the queue".to_owned(),
        },
        State::Uploading {
            last_byte_sent: false,
            ..
        } => "on the wire".to_owned(),
        State::Uploading { .. } => "sent, waiting for the answer".to_owned(),
        State::Succeeded { task } | State::Cancelled { task } => format!("task {task}"),
        State::Failed { task, reason } => format!("task {task}: {}", shown_text(reason, 200)),
        State::Lost { task } => format!("task {task} is unknown to the service"),
        State::Untracked => "taken; the service named no task".to_owned(),
        State::Rejected { code } | State::Exhausted { code } => {
            format!("{code} {}", why.unwrap_or_default())
        }
        State::Unconfirmed { attempt } => {
            format!(
                "the answer to attempt {attempt} was lost: look in the console; then `acknowledge --arrived`, or `retry`"
            )
        }
        State::Unsupported { reason, .. } => shown_text(reason, 400),
        State::Duplicate { of } => format!("same content as id {of}"),
        State::Superseded { by } => format!("replaced by id {by}"),
        State::Gone => "not there any more".to_owned(),
    }
}

/// What was done with the source, or will be.
pub fn source(file: &FileRecord) -> Option<String> {
    let source = file.source.as_ref()?;
    let target = source
        .target
        .as_deref()
        .filter(|t| !t.is_empty())
        .map(shown);
    Some(match (&source.done, source.action) {
        (Some(SourceEnd::Moved), _) => format!("moved to {}", target.unwrap_or_default()),
        (Some(SourceEnd::Deleted), _) => "deleted".to_owned(),
        (Some(SourceEnd::Kept(why)), _) => format!("kept: {why}"),
        (Some(SourceEnd::Missing), _) => "was not there any more".to_owned(),
        (None, action) => {
            let what = match action {
                SourceAction::Delete => "to be deleted",
                SourceAction::MoveDone | SourceAction::MoveRejected => "to be moved",
            };
            match &source.left {
                Some(why) => format!("{what}, at {} at the earliest: {why}", source.due),
                None => what.to_owned(),
            }
        }
    })
}

/// A file for scripts. Keys may be added; none changes its meaning.
pub fn as_json(
    config: &Config,
    file: &FileRecord,
    attempts: u64,
    waiting: &[Waiting],
    now: Timestamp,
) -> Value {
    let (task, of) = match &file.state {
        State::Submitted { task, .. }
        | State::Succeeded { task }
        | State::Failed { task, .. }
        | State::Cancelled { task }
        | State::Lost { task } => (Some(task.as_str()), None),
        State::Duplicate { of } => (None, Some(of)),
        _ => (None, None),
    };
    let (not_before, failures) = match &file.state {
        State::Queued { not_before, tries } => (Some(not_before.to_string()), tries.failures),
        _ => (None, 0),
    };
    let next_poll = match &file.state {
        State::Submitted { next_poll, .. } => Some(next_poll.to_string()),
        _ => None,
    };
    let replaced_by = match &file.state {
        State::Superseded { by } => Some(by),
        _ => None,
    };
    let reason_kind = match &file.state {
        State::Unsupported { kind, .. } => Some(kind),
        _ => None,
    };
    let path = path_of(config, file);
    json!({
        "id": file.id,
        "folder": file.folder,
        "dataset": file.dataset,
        "route": file.media.map(|media| format!("{}/{media}", file.folder)),
        "media": file.media,
        "file": shown(&file.version.path),
        "path": path.to_string_lossy(),
        "path_escaped": shown(path.as_os_str().as_bytes()),
        "size": file.version.size,
        "modified_at": Timestamp(file.version.mtime_ns.div_euclid(1_000_000)).to_string(),
        "blake3": file.hash.map(|hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        "state": file.state.kind(),
        "final": file.state.kind().is_final(),
        "needs_attention": needs_attention(
            file.state.kind(),
            file.poll.as_ref().and_then(|poll| poll.unknown_since),
            file.resolved.is_some(),
            now,
        ),
        "resolved": file.resolved.as_ref().map(ResolvedView::of),
        "seen_at": file.seen_at.to_string(),
        "changed_at": file.changed_at.to_string(),
        "detail": detail(file, waiting, now),
        "waiting": WaitingView::of(waiting, now),
        "attempt_count": attempts,
        "failures": failures,
        "not_before": not_before,
        "task": task,
        "next_poll": next_poll,
        "polls": file.poll.as_ref().map(|poll| json!({
            "count": poll.count, "last_at": poll.at.to_string(),
            "code": poll.code, "message": poll.message,
        })),
        "code": file.last_code,
        "why": file.last_why,
        "duplicate_of": of,
        "replaced_by": replaced_by,
        "possible_duplicate": file.possible_duplicate,
        "may_be_incomplete": file.may_be_incomplete,
        "reason_kind": reason_kind,
        "source": source(file),
    })
}

/// How a file stopped needing a person.
#[derive(Serialize)]
struct ResolvedView<'a> {
    how: ResolutionKind,
    at: Stamp,
    /// Of what was acknowledged.
    who: Option<&'a str>,
    why: Option<&'a str>,
    /// The newer version.
    by: Option<FileId>,
}

impl ResolvedView<'_> {
    fn of(resolved: &Resolved) -> ResolvedView<'_> {
        let (who, why, by) = match &resolved.how {
            Resolution::Acknowledged { who, why } => (Some(who.as_str()), why.as_deref(), None),
            Resolution::NewerVersion(by) => (None, None, Some(*by)),
            Resolution::SourceGone | Resolution::Excluded => (None, None, None),
        };
        ResolvedView {
            how: resolved.how.kind(),
            at: Stamp(resolved.at),
            who,
            why,
            by,
        }
    }
}

/// A file with all that happened to it, for scripts.
pub fn story_json(
    config: &Config,
    story: &FileStory,
    waiting: &[Waiting],
    now: Timestamp,
) -> Value {
    let mut file = as_json(config, &story.file, story.attempt_count, waiting, now);
    let (attempts, changes) = story.left_out();
    file["left_out"] = json!({ "attempts": attempts, "changes": changes });
    file["history"] = story
        .history
        .iter()
        .map(|change| {
            json!({
                "at": change.at.to_string(), "from": change.from, "to": change.to,
                "code": change.code, "why": change.why,
            })
        })
        .collect();
    file["attempts"] = story
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "id": attempt.id, "endpoint": attempt.endpoint, "probe": attempt.probe,
                "started_at": attempt.started_at.to_string(),
                "last_byte_at": attempt.last_byte_at.map(|at| at.to_string()),
                "ended_at": attempt.ended_at.map(|at| at.to_string()),
                "http_status": attempt.http_status, "code": attempt.code,
                "message": attempt.message, "verdict": attempt.verdict,
                "bytes": attempt.bytes, "task": attempt.task,
            })
        })
        .collect();
    file
}

/// Where a file is, in full, for people.
pub fn path_of(config: &Config, file: &FileRecord) -> PathBuf {
    let relative = Path::new(std::ffi::OsStr::from_bytes(&file.version.path));
    config
        .folders
        .get(&file.folder)
        .map_or_else(|| relative.to_owned(), |folder| folder.path.join(relative))
}
