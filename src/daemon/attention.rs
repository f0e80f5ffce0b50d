//! Files that came to a bad end and need nobody any more, since nothing is left to
//! do about them: their source is gone, or the configuration excludes their name.
//!
//! Looked for now and then, at a reload and when an operator asks for a scan; what is
//! there keeps its place. Must not: touch a source, or take an unreachable folder for
//! an empty one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::folders::watched;
use super::report;
use super::supervise::TaskFailure;
use crate::config::valid::Folder;
use crate::domain::ids::{FileId, FolderName};
use crate::domain::resolution::Resolution;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::ledger::{FileRecord, LedgerError, SourceEnd};
use crate::watch::rules::TakeRules;
use crate::watch::{FolderRoot, NotTaken};

/// How often.
const EVERY: Duration = Duration::from_secs(30);

/// Files of a folder in one state that are looked at in a round, at most, and at a
/// time: each is a question to its file system.
const IN_A_ROUND: usize = 2_000;
const AT_A_TIME: usize = 200;

/// Where the last round of a folder and state ended: the next goes on from there.
type Places = BTreeMap<(FolderName, StateKind), Option<(Timestamp, FileId)>>;

/// Runs until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    let mut places = Places::new();
    loop {
        let mut woken = std::pin::pin!(ctx.attention.notified());
        woken.as_mut().enable();
        if let Err(error) = round(&ctx, &mut places).await {
            report::ledger_trouble(&error, "what needs attention can't be looked through");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = &mut woken => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn round(ctx: &Arc<Context>, places: &mut Places) -> Result<(), LedgerError> {
    let running = ctx.running();
    // Most have nothing of the kind.
    for count in ctx.ledger.counts().await? {
        let folder = running.config.folders.get(&count.folder);
        let (Some(folder), 1..) = (folder, count.needing_attention()) else {
            continue;
        };
        let Some((root, _)) = ctx.folders.online_root(&count.folder) else {
            continue;
        };
        let key = (count.folder.clone(), count.state);
        let mut after = places.remove(&key).flatten();
        for _ in 0..IN_A_ROUND / AT_A_TIME {
            let (name, state) = key.clone();
            let found = ctx.ledger.unresolved(name, state, after, AT_A_TIME).await?;
            let Some(last) = found.last() else {
                after = None;
                break;
            };
            after = Some((last.changed_at, last.id));
            let (folder, root) = (folder.clone(), root.clone());
            let ask = move || resolved(&folder, &root, found);
            let Some(Ok(resolved)) = ctx.folders.ask(&key.0, ask).await else {
                break;
            };
            if !resolved.is_empty() {
                let now = ctx.world.clock.now();
                let done = ctx.ledger.resolve(resolved, now).await?;
                tracing::debug!(folder = %key.0, files = done.len(), "need nobody any more");
            }
        }
        places.insert(key, after);
    }
    Ok(())
}

/// Those of which nothing is left to do, and how that came. Blocks.
fn resolved(
    folder: &Folder,
    root: &FolderRoot,
    files: Vec<FileRecord>,
) -> Vec<(FileRecord, Resolution)> {
    let rules = TakeRules::new(watched(folder));
    // Another directory at its path says nothing of the files.
    if root.check().is_err() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for file in files {
        let by_name = rules.taken_by_name(&file.version.path).err();
        let excluded = matches!(
            by_name,
            Some(NotTaken::Excluded | NotTaken::ExcludedByDefault(_) | NotTaken::NotIncluded)
        );
        if excluded && Resolution::Excluded.fits(file.state.kind()) {
            all.push((file, Resolution::Excluded));
        } else if is_gone(root, &file) {
            all.push((file, Resolution::SourceGone));
        }
    }
    all
}

/// Whether its source is not there any more. Where another version lies at its path,
/// that one is for the intake.
fn is_gone(root: &FolderRoot, file: &FileRecord) -> bool {
    let source = file.source.as_ref();
    let moved = source.filter(|source| source.done == Some(SourceEnd::Moved));
    if let Some(target) = moved.and_then(|source| source.target.as_deref()) {
        let target = Path::new(OsStr::from_bytes(target));
        // A directory that is away, such as a mount, says nothing of what is in it.
        let above_is_there = target.parent().is_some_and(Path::is_dir);
        let found = target.symlink_metadata();
        return above_is_there
            && found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    }
    matches!(root.look(&file.version.path), Err(NotTaken::Gone))
        && root.missing(&file.version) == NotTaken::Gone
}
