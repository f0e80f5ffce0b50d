//! What the commands about files share: opening the ledger beside a daemon,
//! naming a file on the command line, and showing one.
//!
//! Must not: change anything.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Failed;
use super::exit::Exit;
use crate::config::valid::Config;
use crate::domain::ids::FileId;
use crate::domain::lifecycle::SourceAction;
use crate::domain::naming::{shown, shown_text};
use crate::domain::state::State;
use crate::domain::time::Timestamp;
use crate::ledger::{FileRecord, Filter, Ledger, SourceEnd};

/// The configuration, without keys: these commands send nothing.
pub fn config(path: &Path) -> Result<Config, Failed> {
    let loaded = Config::load_without_keys(path).map_err(|e| Failed::with(Exit::Usage, e))?;
    Ok(loaded.config)
}

/// The ledger of the configuration, beside a daemon that may be running.
pub fn ledger(config: &Config) -> Result<Ledger, Failed> {
    Ok(Ledger::open_visitor(&config.ledger)?)
}

/// The versions that an argument means, latest first: a number, a path of a
/// file below a drop folder, or a path relative to one.
pub async fn find(
    config: &Config,
    ledger: &Ledger,
    asked: &Path,
) -> Result<Vec<FileRecord>, Failed> {
    if let Some(id) = asked.to_str().and_then(|text| text.parse().ok())
        && let Some(story) = ledger.show(FileId(id)).await?
    {
        return Ok(vec![story.file]);
    }
    let absolute = std::path::absolute(asked)?;
    let mut found = Vec::new();
    for folder in config.folders.values() {
        let below = absolute.strip_prefix(&folder.path).ok();
        let relative = asked.is_relative().then_some(asked);
        for path in below.into_iter().chain(relative) {
            let path = path.as_os_str().as_bytes().to_vec();
            found.extend(ledger.versions(folder.name.clone(), path).await?);
        }
    }
    if found.is_empty()
        && let Some(name) = asked.to_str()
    {
        let filter = Filter {
            name: Some(name.to_owned()),
            limit: 50,
            ..Filter::default()
        };
        found = ledger.list(filter).await?;
    }
    if found.is_empty() {
        return Err(Failed::with(
            Exit::NotFound,
            anyhow::anyhow!(
                "{} is not in the ledger: name it by its number (see `list`), its path, or a part of its name. \
                 A file that is still settling, or that no folder takes, is not in there",
                shown(asked.as_os_str().as_bytes())
            ),
        ));
    }
    found.dedup_by_key(|file| file.id);
    Ok(found)
}

/// One line about where a file is, and why.
pub fn detail(file: &FileRecord, now: Timestamp) -> String {
    let why = file.last_why.as_deref().map(|why| shown_text(why, 200));
    match &file.state {
        State::Queued { not_before, tries } => {
            let wait = not_before.since(now);
            let when = if wait.is_zero() {
                "due".to_owned()
            } else {
                format!("due in {}", span(wait))
            };
            match (&file.last_code, why) {
                (Some(code), Some(why)) if tries.failures > 0 => {
                    format!("{when}; last: {code} {why}")
                }
                _ => when,
            }
        }
        State::Uploading {
            last_byte_sent: false,
            ..
        } => "on the wire".to_owned(),
        State::Uploading { .. } => "sent, waiting for the answer".to_owned(),
        State::Submitted {
            task, next_poll, ..
        } => {
            format!(
                "task {task}; asked about again in {}",
                span(next_poll.since(now))
            )
        }
        State::Succeeded { task } | State::Cancelled { task } => format!("task {task}"),
        State::Failed { task, reason } => format!("task {task}: {}", shown_text(reason, 200)),
        State::Lost { task } => format!("task {task} is unknown to the service"),
        State::Untracked => "taken; the service named no task".to_owned(),
        State::Rejected { code } | State::Exhausted { code } => {
            format!("{code} {}", why.unwrap_or_default())
        }
        State::Unconfirmed { attempt } => {
            format!(
                "the answer to attempt {attempt} was lost: look in the console, then `retry` or leave it"
            )
        }
        State::Unsupported { reason } => shown_text(reason, 400),
        State::Duplicate { of } => format!("same content as file {of}"),
        State::Superseded { by } => format!("replaced by file {by}"),
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
        (None, SourceAction::Delete) => "to be deleted".to_owned(),
        (None, _) => "to be moved".to_owned(),
    })
}

/// A file for scripts.
pub fn as_json(file: &FileRecord, now: Timestamp) -> Value {
    let (task, of) = match &file.state {
        State::Submitted { task, .. }
        | State::Succeeded { task }
        | State::Failed { task, .. }
        | State::Cancelled { task }
        | State::Lost { task } => (Some(task.as_str()), None),
        State::Duplicate { of } => (None, Some(of)),
        _ => (None, None),
    };
    let not_before = match &file.state {
        State::Queued { not_before, .. } => Some(not_before.to_string()),
        _ => None,
    };
    json!({
        "id": file.id,
        "folder": file.folder,
        "dataset": file.dataset,
        "file": shown(&file.version.path),
        "size": file.version.size,
        "media": file.media,
        "state": file.state.kind(),
        "task": task,
        "duplicate_of": of,
        "not_before": not_before,
        "code": file.last_code,
        "detail": detail(file, now),
        "possible_duplicate": file.possible_duplicate,
        "source": source(file),
        "blake3": file.hash.map(|hash| hash.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        "seen_at": file.seen_at.to_string(),
        "changed_at": file.changed_at.to_string(),
    })
}

/// A length of time for people: its two largest units.
pub fn span(time: std::time::Duration) -> String {
    let s = time.as_secs();
    let (big, small) = match s {
        0..=59 => return format!("{s} s"),
        60..=3_599 => ((s / 60, "min"), (s % 60, "s")),
        3_600..=86_399 => ((s / 3_600, "h"), (s % 3_600 / 60, "min")),
        _ => ((s / 86_400, "d"), (s % 86_400 / 3_600, "h")),
    };
    if small.0 == 0 {
        format!("{} {}", big.0, big.1)
    } else {
        format!("{} {} {} {}", big.0, big.1, small.0, small.1)
    }
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// Where a file is, in full, for people.
pub fn path_of(config: &Config, file: &FileRecord) -> PathBuf {
    let relative = Path::new(std::ffi::OsStr::from_bytes(&file.version.path));
    config
        .folders
        .get(&file.folder)
        .map_or_else(|| relative.to_owned(), |folder| folder.path.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn spans_are_short_and_right() {
        let said = |s| span(Duration::from_secs(s));
        assert_eq!(said(0), "0 s");
        assert_eq!(said(59), "59 s");
        assert_eq!(said(60), "1 min");
        assert_eq!(said(3_661), "1 h 1 min");
        assert_eq!(said(90_000), "1 d 1 h");
    }
}
