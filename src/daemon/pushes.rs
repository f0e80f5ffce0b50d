//! What the service pushes: put into a file, and taken as a hint that tasks
//! have ended. The tasks are asked about at once, at the dataset's own rate; a
//! push itself changes no state, since nobody can say who sent it.
//!
//! Must not: use anything of a push's content as a name, or as an answer.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::report;
use super::supervise::TaskFailure;
use crate::config::valid::Dataset;
use crate::domain::ids::DatasetName;
use crate::files::{Dir, Doing, FileError};
use crate::web::Unstored;

/// The least time between two rounds of asking because of pushes, however many
/// come: each makes all tasks of the dataset due.
const APART: Duration = Duration::from_secs(5);

/// Bytes that are left free on the file system of the results: the ledger may
/// be on it.
const KEEP_FREE: u64 = 256 << 20;

/// Files that can still be made there are left, too: each push is one, however
/// small, and the ledger and its log need some.
const KEEP_FREE_FILES: u64 = 10_000;

/// Pushes that came and were not acted on yet.
#[derive(Debug, Default)]
pub struct Pushed {
    datasets: Mutex<BTreeSet<DatasetName>>,
    bell: Notify,
    /// One file at a time: so two of the same content don't meet.
    turn: tokio::sync::Mutex<()>,
}

/// Has tasks asked about after pushes, until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = ctx.pushed.bell.notified() => {}
        }
        let datasets = std::mem::take(
            &mut *ctx
                .pushed
                .datasets
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for dataset in datasets {
            let now = ctx.world.clock.now();
            match ctx.ledger.poll_now(dataset.clone(), now).await {
                Ok(0) => {}
                Ok(tasks) => {
                    tracing::debug!(%dataset, tasks, "asking about tasks: the service has pushed");
                    ctx.polls.notify_one();
                }
                Err(error) => report::ledger_trouble(&error, "tasks are asked about at their time"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(APART) => {}
        }
    }
}

/// Keeps what was pushed, and has the dataset's tasks asked about.
///
/// # Errors
/// It is not on the disk.
pub async fn take(ctx: &Context, dataset: &Arc<Dataset>, body: Bytes) -> Result<(), Unstored> {
    let name = &dataset.name;
    if let (Some(pushes), false) = (&dataset.pushes, body.is_empty()) {
        let (dir, bytes) = (pushes.results.clone(), body.len());
        let turn = ctx.pushed.turn.lock().await;
        let stored = tokio::task::spawn_blocking(move || store(&dir, &body)).await;
        drop(turn);
        let stored = stored.map_err(|panic| {
            tracing::error!(dataset = %name, %panic, "storing a pushed result failed: a fault of the program, report this line");
            Unstored::Other
        })?;
        match stored {
            Ok(Some(file)) => {
                tracing::info!(dataset = %name, file, bytes, "a result was pushed");
            }
            Ok(None) => tracing::debug!(dataset = %name, bytes, "a result was pushed again"),
            Err(error) => {
                tracing::error!(
                    dataset = %name, %error,
                    "a pushed result could not be stored, and was refused"
                );
                return Err(match error {
                    FileError::Full { .. } => Unstored::Full,
                    _ => Unstored::Other,
                });
            }
        }
    }
    let mut datasets = ctx
        .pushed
        .datasets
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    datasets.insert(name.clone());
    ctx.pushed.bell.notify_one();
    Ok(())
}

/// Puts `body` into a file that is called after its hash, whole or not at all.
/// Gives its name; `None`: it was there.
fn store(dir: &Path, body: &[u8]) -> Result<Option<String>, FileError> {
    // Made by whoever configured it: a directory that is missing may be on a
    // disk that is not mounted.
    let dir = Dir::private_there(dir)?;
    let name = format!("{}.json", blake3::hash(body).to_hex());
    let there = dir.look(name.as_bytes())?;
    if there.is_some_and(|seen| seen.is_file() && seen.size() == body.len() as u64) {
        return Ok(None);
    }
    if !has_room(dir.free_bytes()?, dir.free_files()?, body.len() as u64) {
        return Err(FileError::Full {
            path: dir.at(name.as_bytes()),
            doing: Doing::Write,
        });
    }
    dir.put(name.as_bytes(), body, 0o640, true)?;
    Ok(Some(name))
}

/// Whether a push of so many bytes leaves enough of both bytes and files.
/// `files`: `None` where the file system makes inodes as it needs them.
fn has_room(free: u64, files: Option<u64>, bytes: u64) -> bool {
    files.is_none_or(|files| files > KEEP_FREE_FILES) && free >= KEEP_FREE.saturating_add(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_and_files_are_left_for_the_ledger() {
        assert!(has_room(4 << 30, Some(1 << 19), 100));
        assert!(!has_room(4 << 30, Some(1 << 19), 4 << 30));
        assert!(
            !has_room(4 << 30, Some(KEEP_FREE_FILES), 100),
            "each push is a file"
        );
        assert!(has_room(4 << 30, None, 100), "such as Btrfs");
    }

    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn one_content_is_one_file_and_what_a_crash_left_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let hash = blake3::hash(b"{}").to_hex();
        fs::write(dir.path().join(format!(".{hash}.json.part")), "half").unwrap();
        // A file that was cut short is none.
        fs::write(dir.path().join(format!("{hash}.json")), "{").unwrap();
        let name = store(dir.path(), b"{}").unwrap().unwrap();
        assert_eq!(name, format!("{hash}.json"));
        assert_eq!(store(dir.path(), b"{}").unwrap(), None);
        assert_eq!(fs::read(dir.path().join(&name)).unwrap(), b"{}");
        let mode = fs::metadata(dir.path().join(&name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o137, 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(store(&dir.path().join("no"), b"{}").is_err());
    }

    #[test]
    fn results_go_where_nobody_else_can_lead_them() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(store(&link, b"{}"), Err(FileError::Link(link)));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
        let refused = store(&real, b"{}");
        assert!(matches!(refused, Err(FileError::OpenToOthers { .. })));
        assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
    }
}
