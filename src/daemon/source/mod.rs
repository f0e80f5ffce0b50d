//! What becomes of a source once its end is in the ledger: kept, moved or
//! deleted, as the folder says.
//!
//! Ledger first: an action is due only after the state that asks for it was
//! committed. Source second: it is done only if the file is still the version
//! that was imported. Must not: decide which action is due (the lifecycle
//! does).

pub mod files;

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use self::files::{Disposed, Place};
use super::context::Context;
use super::report;
use super::supervise::TaskFailure;
use crate::config::valid::Folder;
use crate::domain::lifecycle::SourceAction;
use crate::domain::naming::{shown, shown_text};
use crate::domain::state::State;
use crate::failpoint::failpoint;
use crate::ledger::{LedgerError, SourceEnd, SourceWork};
use crate::watch::{FolderRoot, NotTaken};

/// Actions taken from the ledger, and done, at a time.
const BATCH: usize = 64;

/// How long a source that could not be moved is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// How long a start waits until each folder was looked for; one on a hanging
/// mount must not hold up the others.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Runs until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    // What a folder that is not there yet holds up is put off for a minute:
    // not for the blink that a start takes.
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        _ = tokio::time::timeout(FIRST_LOOK, looked_for(&ctx)) => {}
    }
    loop {
        let mut woken = std::pin::pin!(ctx.sources.notified());
        woken.as_mut().enable();
        let wait = match work(&ctx).await {
            Ok(wait) => wait,
            Err(error) => {
                report::ledger_trouble(
                    &error,
                    "the ledger can't be used: sources stay where they are until it can",
                );
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

/// Returns when each folder was looked for.
async fn looked_for(ctx: &Context) {
    while !ctx.folders.status().iter().all(|(_, s)| s.checked) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn work(ctx: &Arc<Context>) -> Result<Duration, LedgerError> {
    let now = ctx.world.clock.now();
    let due = ctx.ledger.due_source_actions(now, BATCH).await?;
    let full = due.len() == BATCH;
    // Together, so that their records share commits.
    let acted = join_all(due.into_iter().map(|source| act(ctx, source))).await;
    acted.into_iter().collect::<Result<(), LedgerError>>()?;
    Ok(match (full, ctx.running().touches_sources) {
        (true, _) => Duration::ZERO,
        (false, true) => TRY_AGAIN / 4,
        // Nothing but what other settings may have left.
        (false, false) => TRY_AGAIN,
    })
}

async fn act(ctx: &Arc<Context>, due: SourceWork) -> Result<(), LedgerError> {
    let later = ctx.world.clock.now().plus(TRY_AGAIN);
    let id = due.file.id;
    let running = ctx.running();
    let name = &due.file.folder;
    let folder = running.config.folders.get(name).cloned();
    let Some((folder, (root, _))) = folder.zip(ctx.folders.online_root(name)) else {
        return ctx.ledger.source_later(id, later).await;
    };
    let target = target(&folder, &due);
    if !ctx
        .ledger
        .source_intent(id, due.action, bytes_of(&target))
        .await?
    {
        // Retried by an operator meanwhile: the file is on its way again.
        return Ok(());
    }
    failpoint!("source.intended");
    let (action, file) = (due.action, shown(&due.file.version.path));
    let done = tokio::task::spawn_blocking(move || perform(&root, &due, target.as_deref())).await;
    let done = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    failpoint!("source.done");
    let end = match done {
        Ok(Disposed::Moved(to)) => {
            tracing::info!(%file, %id, to = %shown(to.as_os_str().as_bytes()), "source moved");
            ctx.ledger
                .source_intent(id, action, bytes_of(&Some(to)))
                .await?;
            SourceEnd::Moved
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
            return ctx.ledger.source_later(id, later).await;
        }
    };
    ctx.ledger.source_done(id, end).await?;
    failpoint!("source.recorded");
    Ok(())
}

/// Where the source is to go: the same path below the target directory as it
/// had below the folder. `None`: it is to be deleted.
fn target(folder: &Folder, due: &SourceWork) -> Option<PathBuf> {
    let dir = match due.action {
        SourceAction::Delete => return None,
        SourceAction::MoveDone => &folder.done_dir,
        SourceAction::MoveRejected => &folder.rejected_dir,
    };
    Some(dir.join(OsStr::from_bytes(&due.file.version.path)))
}

fn bytes_of(target: &Option<PathBuf>) -> Vec<u8> {
    target
        .as_ref()
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .unwrap_or_default()
}

fn perform(
    root: &FolderRoot,
    due: &SourceWork,
    target: Option<&Path>,
) -> std::io::Result<Disposed> {
    let version = &due.file.version;
    let parent = match root.parent_dir(&version.path) {
        Ok(parent) => parent,
        Err(NotTaken::Gone) => return Ok(Disposed::Missing),
        Err(why) => return Err(std::io::Error::other(why.to_string())),
    };
    let place = Place {
        dir: parent.as_fd(),
        name: version.name(),
    };
    let Some(target) = target else {
        return files::delete(due.file.id, &place, version);
    };
    if let Some(dir) = target.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut disposed = files::move_to(due.file.id, &place, version, target)?;
    if disposed == Disposed::Missing
        && let Some(there) = moved_before(due)
    {
        disposed = Disposed::Moved(there);
    }
    if let (SourceAction::MoveRejected, Disposed::Moved(to)) = (due.action, &disposed) {
        files::write_note(to, &note(due))?;
    }
    Ok(disposed)
}

/// A crash between the move and its record: the file lies where it was meant
/// to go, or beside it where that name was taken.
fn moved_before(due: &SourceWork) -> Option<PathBuf> {
    let target = Path::new(OsStr::from_bytes(due.target.as_deref()?));
    files::find(target, &due.file.version)
}

/// What happened to a rejected file, for whoever finds it there.
fn note(due: &SourceWork) -> String {
    let file = &due.file;
    let task = match &file.state {
        State::Failed { task, .. } => Some(task.as_str()),
        _ => None,
    };
    let reason = match &file.state {
        State::Unsupported { reason } | State::Failed { reason, .. } => Some(reason.as_str()),
        _ => file.last_why.as_deref(),
    };
    let note = serde_json::json!({
        "file": shown(&file.version.path),
        "folder": file.folder,
        "dataset": file.dataset,
        "state": file.state.kind(),
        "code": file.last_code,
        "reason": reason.map(|reason| shown_text(reason, 2_000)),
        "task": task,
        "size": file.version.size,
        "id": file.id,
        "at": file.changed_at.to_string(),
    });
    format!("{note:#}\n")
}
