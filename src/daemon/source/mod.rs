//! What becomes of a source once its end is in the ledger: kept, moved or
//! deleted, as the folder says.
//!
//! Ledger first: an action is due only after the state that asks for it was
//! committed. Source second: it is done only if the file is still the version
//! that was imported. Must not: decide which action is due (the lifecycle
//! does).

pub mod files;

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::files::{Disposed, Place};
use super::context::Context;
use super::supervise::TaskFailure;
use crate::config::valid::Folder;
use crate::domain::lifecycle::SourceAction;
use crate::domain::naming::shown;
use crate::ledger::{DueSource, LedgerError, SourceEnd};
use crate::watch::root::FolderRoot;

/// Actions taken from the ledger at a time.
const BATCH: usize = 64;

/// How long a source that could not be moved is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Runs until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    loop {
        let mut woken = std::pin::pin!(ctx.sources.notified());
        woken.as_mut().enable();
        let wait = match work(&ctx).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(%error, "the ledger can't be used: sources stay where they are until it can");
                Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = &mut woken => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn work(ctx: &Arc<Context>) -> Result<Duration, LedgerError> {
    let now = ctx.world.clock.now();
    let due = ctx.ledger.due_sources(now, BATCH).await?;
    let full = due.len() == BATCH;
    for source in due {
        act(ctx, source).await?;
    }
    Ok(if full { Duration::ZERO } else { TRY_AGAIN / 4 })
}

async fn act(ctx: &Arc<Context>, due: DueSource) -> Result<(), LedgerError> {
    let now = ctx.world.clock.now();
    let running = ctx.running();
    let place = running
        .config
        .folders
        .get(&due.folder)
        .and_then(|folder| Some((folder.clone(), ctx.folders.online_root(&due.folder)?)));
    let Some((folder, root)) = place else {
        return ctx.ledger.postpone_source(due.id, TRY_AGAIN, now).await;
    };
    let (id, path) = (due.id, due.version.path.clone());
    let (action, file) = (due.action, shown(&path));
    let done = tokio::task::spawn_blocking(move || perform(&folder, &root, &due)).await;
    let done = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let end = match done {
        Ok(Disposed::Moved(to)) => {
            tracing::info!(%file, %id, to = %shown(to.as_os_str().as_bytes()), "source moved");
            SourceEnd::Moved(to)
        }
        Ok(Disposed::Deleted) => {
            tracing::info!(%file, %id, "source deleted");
            SourceEnd::Deleted
        }
        Ok(Disposed::Missing) => {
            tracing::info!(%file, %id, "source already gone");
            SourceEnd::Missing
        }
        Ok(Disposed::Changed) => {
            tracing::info!(%file, %id, "source left alone: it is a newer version now");
            SourceEnd::Kept("it is another version now".to_owned())
        }
        Err(error) => {
            tracing::warn!(
                %file, %id, ?action, %error,
                "the source could not be moved or deleted; trying again in a minute. Check the rights on the folder and its target"
            );
            return ctx.ledger.postpone_source(id, TRY_AGAIN, now).await;
        }
    };
    ctx.ledger.source_done(id, end, now).await
}

fn perform(folder: &Folder, root: &FolderRoot, due: &DueSource) -> std::io::Result<Disposed> {
    let parent = match root.parent_of(&due.version.path) {
        Ok(parent) => parent,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Disposed::Missing),
        Err(error) => return Err(error),
    };
    let place = Place { dir: parent.as_fd(), name: due.version.name() };
    let target_dir = match due.action {
        SourceAction::Delete => return files::delete(due.id, &place, &due.version),
        SourceAction::MoveDone => &folder.done_dir,
        SourceAction::MoveRejected => &folder.rejected_dir,
    };
    let wanted = target(target_dir, &due.version.path);
    if let Some(dir) = wanted.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let disposed = files::move_to(due.id, &place, &due.version, &wanted)?;
    if let (SourceAction::MoveRejected, Disposed::Moved(to)) = (due.action, &disposed) {
        files::write_note(to, &note(due))?;
    }
    Ok(disposed)
}

/// The same path below the target directory as it had below the folder.
fn target(dir: &Path, path: &[u8]) -> PathBuf {
    dir.join(std::ffi::OsStr::from_bytes(path))
}

/// What happened to a rejected file, for whoever finds it there.
fn note(due: &DueSource) -> String {
    let note = serde_json::json!({
        "file": shown(&due.version.path),
        "folder": due.folder,
        "dataset": due.dataset,
        "state": due.state.kind(),
        "code": due.code,
        "message": due.message,
        "task": due.task,
        "size": due.version.size,
        "id": due.id,
        "at": due.changed_at.to_string(),
    });
    format!("{note:#}\n")
}
