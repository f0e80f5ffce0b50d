//! What becomes of a source once its end is in the ledger: kept, moved or
//! deleted, as the folder says.
//!
//! Ledger first: an action is due only after the state that asks for it was
//! committed. Source second: it is done only if the file is still the version
//! that was imported. Must not: decide which action is due (the lifecycle
//! does).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::report;
use super::supervise::{TaskFailure, panic_text};
use crate::config::valid::Folder;
use crate::domain::backoff::as_long_again;
use crate::domain::ids::FolderName;
use crate::domain::lifecycle::SourceAction;
use crate::domain::naming::{shown, shown_text};
use crate::domain::settle::{Openness, SteadyClock};
use crate::domain::state::State;
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::domain::writers::{LeftAlone, Rest, may_touch};
use crate::failpoint::failpoint;
use crate::files::{self, Dir, Disposed, FileError, Goal, Place};
use crate::ledger::{LedgerError, SourceEnd, SourceWork};
use crate::ports::World;
use crate::watch::lease::{self, Asked};
use crate::watch::{FolderRoot, NotTaken};

/// Actions taken from the ledger at a time.
const BATCH: usize = 64;

/// Sources of one folder that are touched at a time. Each takes a thread of the
/// 128 that wait for file systems, and a folder whose file system does not
/// answer keeps its threads until it does.
const AT_A_TIME: usize = 4;

/// How long a stop waits for what is being done to sources. What is not done
/// by then is done after the next start, as after a crash.
const LAST_WORK: Duration = Duration::from_secs(2);

/// How long a source that could not be moved is left alone at first, and at most.
const TRY_AGAIN: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How long a start waits until each folder was looked for; one on a hanging
/// mount must not hold up the others.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What a folder's worker ended with: when something is to be looked at again
/// soon, if so.
type Worked = (FolderName, Result<Option<Duration>, LedgerError>);

/// Runs until `stop`. Each folder has a worker of its own: one whose file
/// system does not answer holds up no other folder, and no stop.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    // What a folder that is not there yet holds up is put off for a minute:
    // not for the blink that a start takes.
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        _ = tokio::time::timeout(FIRST_LOOK, looked_for(&ctx)) => {}
    }
    let mut workers = Workers::new();
    loop {
        let mut woken = std::pin::pin!(ctx.sources.notified());
        woken.as_mut().enable();
        let wait = match workers.begin(&ctx).await {
            Ok(wait) => wait,
            Err(error) => trouble(&error),
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = &mut woken => {}
            Some(ended) = workers.tasks.join_next() => match workers.ended(ended)? {
                Ok(()) => {}
                Err(error) => tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(trouble(&error)) => {}
                },
            },
            () = tokio::time::sleep(wait) => {}
        }
    }
    // A worker that hangs on a file system is left behind: nothing can end it.
    let rest = async { while workers.tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WORK, rest).await;
    Ok(())
}

fn trouble(error: &LedgerError) -> Duration {
    report::ledger_trouble(
        error,
        "the ledger can't be used: sources stay where they are until it can",
    );
    Duration::from_secs(5)
}

/// The workers that are at it, at most one a folder.
struct Workers {
    tasks: JoinSet<Worked>,
    busy: BTreeSet<FolderName>,
    /// When a source that was left alone is to be looked at again.
    soon: Option<Instant>,
    steady: Arc<Steady>,
}

impl Workers {
    fn new() -> Workers {
        Workers {
            tasks: JoinSet::new(),
            busy: BTreeSet::new(),
            soon: None,
            steady: Arc::new(Steady::new()),
        }
    }

    /// Gives what is due to the workers of its folders. Says how long to wait
    /// until something else may be due.
    async fn begin(&mut self, ctx: &Arc<Context>) -> Result<Duration, LedgerError> {
        let now = ctx.world.clock.now();
        let busy = self.busy.iter().cloned().collect();
        let due = ctx.ledger.due_source_actions(now, BATCH, busy).await?;
        let full = due.len() == BATCH;
        let mut by_folder: BTreeMap<FolderName, Vec<SourceWork>> = BTreeMap::new();
        for source in due {
            let folder = source.file.folder.clone();
            by_folder.entry(folder).or_default().push(source);
        }
        for (folder, due) in by_folder {
            self.busy.insert(folder.clone());
            self.tasks
                .spawn(work(ctx.clone(), self.steady.clone(), folder, due));
        }
        let soon = self
            .soon
            .map(|at| at.saturating_duration_since(Instant::now()));
        if soon.is_some_and(|wait| wait.is_zero()) {
            self.soon = None;
        }
        let usual = match (full, ctx.running().touches_sources) {
            // Other folders may have more.
            (true, _) => Duration::ZERO,
            (false, true) => TRY_AGAIN / 4,
            // Nothing but what other settings may have left.
            (false, false) => TRY_AGAIN,
        };
        Ok(soon
            .filter(|wait| !wait.is_zero())
            .map_or(usual, |wait| wait.min(usual)))
    }

    /// The outer error is a panic of a worker.
    fn ended(
        &mut self,
        ended: Result<Worked, tokio::task::JoinError>,
    ) -> Result<Result<(), LedgerError>, TaskFailure> {
        let (folder, done) = ended.map_err(panic_text)?;
        self.busy.remove(&folder);
        Ok(done.map(|wait| {
            let at = wait.map(|wait| Instant::now() + wait);
            self.soon = self.soon.into_iter().chain(at).min();
        }))
    }
}

async fn work(
    ctx: Arc<Context>,
    steady: Arc<Steady>,
    folder: FolderName,
    due: Vec<SourceWork>,
) -> Worked {
    let at_a_time = Semaphore::new(AT_A_TIME);
    // Together, so that their records share commits.
    let acts = due
        .into_iter()
        .map(|source| act(&ctx, source, &at_a_time, &steady));
    let done: Result<Vec<_>, _> = join_all(acts).await.into_iter().collect();
    (folder, done.map(|waits| waits.into_iter().flatten().min()))
}

/// The time of day, as far as files' ages can be told by it: see
/// [`SteadyClock`].
struct Steady {
    start: Instant,
    clock: Mutex<SteadyClock>,
}

impl Steady {
    fn new() -> Steady {
        Steady {
            start: Instant::now(),
            clock: Mutex::new(SteadyClock::new()),
        }
    }

    /// `longest`: the longest age that is asked for.
    fn read(&self, world: &World, longest: Duration) -> Option<Timestamp> {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.read(self.start.elapsed(), world.clock.now(), longest)
    }
}

/// Returns when each folder was looked for.
async fn looked_for(ctx: &Context) {
    while !ctx.folders.status().iter().all(|(_, s)| s.checked) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says when to look again, where that is soon.
async fn act(
    ctx: &Arc<Context>,
    due: SourceWork,
    at_a_time: &Semaphore,
    steady: &Steady,
) -> Result<Option<Duration>, LedgerError> {
    // Never closed; an error would only mean that all go at once.
    let turn = at_a_time.acquire().await;
    let later = ctx.world.clock.now().plus(TRY_AGAIN);
    let (id, ended_at) = (due.file.id, due.file.changed_at);
    let running = ctx.running();
    let name = due.file.folder.clone();
    let folder = running.config.folders.get(&name).cloned();
    let Some((folder, (root, _))) = folder.zip(ctx.folders.online_root(&name)) else {
        ctx.ledger.source_later(id, later).await?;
        return Ok(None);
    };
    let target = target(&folder, &due);
    // Before anything is recorded or renamed.
    let wall = steady.read(&ctx.world, folder.unclosed_wait);
    if let Err((why, wait)) = may_be_touched(&folder, &root, &due, wall).await {
        let file = shown(&due.file.version.path);
        tracing::debug!(%file, %id, ?wait, "the source is left alone for now: {why}");
        let until = ctx.world.clock.now().plus(wait);
        ctx.ledger.source_left(id, until, why.to_string()).await?;
        return Ok(Some(wait));
    }
    let meant = target.as_ref().map(Target::path);
    if !ctx
        .ledger
        .source_intent(id, due.action, bytes_of(&meant))
        .await?
    {
        // Retried by an operator meanwhile: the file is on its way again.
        return Ok(None);
    }
    failpoint!("source.intended");
    let (action, file) = (due.action, shown(&due.file.version.path));
    let ask = ctx
        .folders
        .ask(&name, move || perform(&root, &due, target.as_ref()));
    let Some(done) = ask.await else {
        // What hangs may still do it: the next try finds what has become of it.
        ctx.ledger.source_later(id, later).await?;
        return Ok(None);
    };
    let done = done.unwrap_or_else(|error| Err(NotDone::Fault(error.to_string())));
    drop(turn);
    failpoint!("source.done");
    let end = match done {
        Ok(Disposed::Moved(to)) => {
            tracing::debug!(%file, %id, folder = %name, to = %shown(to.as_os_str().as_bytes()), "source moved");
            ctx.ledger
                .source_intent(id, action, bytes_of(&Some(to)))
                .await?;
            SourceEnd::Moved
        }
        Ok(Disposed::Deleted) => {
            tracing::debug!(%file, %id, folder = %name, "source deleted");
            SourceEnd::Deleted
        }
        Ok(Disposed::Missing) => {
            tracing::debug!(%file, %id, folder = %name, "source already gone");
            SourceEnd::Missing
        }
        Ok(Disposed::Changed) => {
            tracing::info!(%file, %id, folder = %name, "source left alone: it is a newer version now");
            SourceEnd::Kept("it is another version now".to_owned())
        }
        Err(error) => {
            let now = ctx.world.clock.now();
            let wait = match error.is_passing() {
                true => TRY_AGAIN,
                false => as_long_again(now.since(ended_at), TRY_AGAIN, LONGEST),
            };
            report::source_stays(ctx, &name, id, &file, (&error, error.cause()), wait);
            let later = now.plus(wait);
            ctx.ledger.source_left(id, later, error.to_string()).await?;
            return Ok(None);
        }
    };
    ctx.ledger.source_done(id, end).await?;
    failpoint!("source.recorded");
    Ok(None)
}

/// Whether it has to be left alone for now: why, and for how long. What can't be
/// looked at is for `perform` to say something of.
async fn may_be_touched(
    folder: &Arc<Folder>,
    root: &Arc<FolderRoot>,
    due: &SourceWork,
    wall: Option<Timestamp>,
) -> Result<(), (LeftAlone, Duration)> {
    let root = root.clone();
    let (version, seen_at) = (due.file.version.clone(), due.file.seen_at);
    let looked = tokio::task::spawn_blocking(move || rest(&root, &version, seen_at, wall));
    match looked.await.ok().flatten() {
        Some(rest) => may_touch(&rest, folder.unclosed_wait),
        None => Ok(()),
    }
}

/// What is known of a source's writers; `None`: it is not there, or is another
/// version.
fn rest(
    root: &FolderRoot,
    version: &FileVersion,
    seen_at: Timestamp,
    wall: Option<Timestamp>,
) -> Option<Rest> {
    let heard = root.probe().heard(&version.path, std::time::Instant::now());
    let (found, asked, ctime_ns) = match root.open_file(&version.path) {
        Ok(opened) => (
            opened.version,
            lease::ask(&opened.file),
            Some(opened.ctime_ns),
        ),
        Err(NotTaken::NoRight) => (root.look(&version.path).ok()?, Asked::NOTHING, None),
        Err(_) => return None,
    };
    if !found.matches(version) {
        return None;
    }
    // Ahead of the clock, its time says nothing.
    let changed = ctime_ns.map(|ns| Timestamp(ns / 1_000_000));
    let by_ctime = wall
        .zip(changed)
        .filter(|(now, changed)| changed <= now)
        .map(|(now, changed)| now.since(changed));
    // A time that another machine has set is wrong by the difference of two
    // clocks. Since when this version is known here is not.
    let by_ledger = wall.map(|now| now.since(seen_at));
    let unchanged = if asked.local {
        by_ctime
    } else {
        by_ctime.into_iter().chain(by_ledger).min()
    };
    Some(Rest {
        open: root.openness(asked, heard),
        unchanged,
        empty: version.size == 0,
    })
}

/// Where a source is to go: the same path below the target directory as it had
/// below the folder.
struct Target {
    dir: PathBuf,
    /// The directory below `dir`; empty: `dir` itself.
    below: PathBuf,
    name: Vec<u8>,
}

impl Target {
    fn path(&self) -> PathBuf {
        self.dir
            .join(&self.below)
            .join(OsStr::from_bytes(&self.name))
    }
}

/// `None`: it is to be deleted.
fn target(folder: &Folder, due: &SourceWork) -> Option<Target> {
    let dir = match due.action {
        SourceAction::Delete => return None,
        SourceAction::MoveDone => &folder.done_dir,
        SourceAction::MoveRejected => &folder.rejected_dir,
    };
    let rel = Path::new(OsStr::from_bytes(&due.file.version.path));
    Some(Target {
        dir: dir.clone(),
        below: rel.parent().unwrap_or(Path::new("")).to_owned(),
        name: due.file.version.name().to_vec(),
    })
}

fn bytes_of(target: &Option<PathBuf>) -> Vec<u8> {
    target
        .as_ref()
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .unwrap_or_default()
}

/// Why nothing was done to a source.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    /// The file, its directory or the target does not allow it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder can't be entered.
    #[error("the folder can't be entered: {0}")]
    Folder(NotTaken),
    /// A panic.
    #[error("this is a fault of the program, report it: {0}")]
    Fault(String),
}

impl NotDone {
    /// What many files may have in common.
    fn cause(&self) -> String {
        match self {
            NotDone::File(error) => error.cause(),
            NotDone::Folder(why) => why.to_string(),
            NotDone::Fault(_) => "a fault of the program".to_owned(),
        }
    }

    fn is_passing(&self) -> bool {
        matches!(self, NotDone::File(error) if error.is_passing())
    }
}

fn perform(
    root: &FolderRoot,
    due: &SourceWork,
    target: Option<&Target>,
) -> Result<Disposed, NotDone> {
    let version = &due.file.version;
    let parent = match root.parent_dir(&version.path) {
        Ok(parent) => parent,
        Err(NotTaken::Gone) => {
            return match root.missing(version) {
                NotTaken::Gone => Ok(Disposed::Missing),
                why => Err(NotDone::Folder(why)),
            };
        }
        Err(why) => return Err(NotDone::Folder(why)),
    };
    let path = root.path().join(OsStr::from_bytes(&version.path));
    let place = Place {
        dir: parent.as_fd(),
        name: version.name(),
        path: &path,
    };
    let Some(target) = target else {
        return Ok(files::delete(due.file.id, &place, version, being_written)?);
    };
    // Opened and looked at before the source is touched.
    let dir = Dir::private(&target.dir)?.private_below(&target.below)?;
    let goal = Goal {
        dir: &dir,
        name: &target.name,
    };
    let mut disposed = files::move_to(due.file.id, &place, version, &goal, being_written)?;
    if disposed == Disposed::Missing
        && let Some(there) = moved_before(due)?
    {
        disposed = Disposed::Moved(there);
    }
    if disposed == Disposed::Missing
        && let why @ NotTaken::Offline(_) = root.missing(version)
    {
        return Err(NotDone::Folder(why));
    }
    if let (SourceAction::MoveRejected, Disposed::Moved(to)) = (due.action, &disposed) {
        let above = to.parent().unwrap_or(to);
        let name = to.file_name().unwrap_or_default().as_bytes();
        if above == dir.path() {
            files::write_note(&dir, name, &note(due))?;
        } else {
            // Other settings had named another directory.
            files::write_note(&Dir::private(above)?, name, &note(due))?;
        }
    }
    Ok(disposed)
}

fn being_written(file: &File) -> bool {
    lease::open_for_writing(file) == Openness::Yes
}

/// A crash between the move and its record: the file lies where it was meant
/// to go, or beside it where that name was taken.
fn moved_before(due: &SourceWork) -> Result<Option<PathBuf>, FileError> {
    let Some(target) = due.target.as_deref() else {
        return Ok(None);
    };
    let target = Path::new(OsStr::from_bytes(target));
    let (Some(above), Some(name)) = (target.parent(), target.file_name()) else {
        return Ok(None);
    };
    match Dir::open(above) {
        Ok(dir) => files::find(&dir, name.as_bytes(), &due.file.version),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What happened to a rejected file, for whoever finds it there.
fn note(due: &SourceWork) -> String {
    let file = &due.file;
    let task = match &file.state {
        State::Failed { task, .. } => Some(task.as_str()),
        _ => None,
    };
    let reason = match &file.state {
        State::Unsupported { reason, .. } | State::Failed { reason, .. } => Some(reason.as_str()),
        _ => file.last_why.as_deref(),
    };
    let reason_kind = match &file.state {
        State::Unsupported { kind, .. } => Some(kind),
        _ => None,
    };
    let note = serde_json::json!({
        "file": shown(&file.version.path),
        "folder": file.folder,
        "dataset": file.dataset,
        "state": file.state.kind(),
        "code": file.last_code,
        "reason": reason.map(|reason| shown_text(reason, 2_000)),
        "reason_kind": reason_kind,
        "may_be_incomplete": file.may_be_incomplete,
        "task": task,
        "size": file.version.size,
        "id": file.id,
        "at": file.changed_at.to_string(),
    });
    format!("{note:#}\n")
}
