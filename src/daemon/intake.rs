//! From a sighting to the queue: is it known? is it finished? what is it?
//!
//! Every sighting, of an event or a scan, goes through the same questions, and
//! asking them again is harmless. What is not known settles in a bounded set;
//! what has settled is sorted by name and content and put into the ledger,
//! while the next are looked at.
//! Must not: send anything, or remember a file that the ledger has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{Context, Running};
use super::report;
use super::sorting::{self, Found};
use super::supervise::TaskFailure;
use crate::config::valid::Folder;
use crate::domain::ids::FolderName;
use crate::domain::settle::{Decision, Look, SteadyClock};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::domain::writers::{Heard, Openness};
use crate::failpoint::failpoint;
use crate::ledger::{Enqueued, LedgerError, NewFile, NewSorted, UNREADABLE_WAIT, Unsorted};
use crate::watch::Sighting;
use crate::watch::lease::{self, Asked};
use crate::watch::settling::{DEFAULT_CAPACITY, Key, SettlingSet};
use crate::watch::{FolderRoot, NotTaken};

/// Files looked at together; each is held open meanwhile.
const BATCH: usize = 128;

/// Files that are recorded together, if so many are ready.
const RECORD: usize = 512;

/// Recordings under way at once: one that is being committed, one that the
/// ledger goes on with, and one for a file that has just been dropped.
const RECORDINGS: usize = 3;

/// How long a file waits that can't be looked at just now.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long the folders are left alone when the ledger can't record.
const LEDGER_TROUBLE: Duration = Duration::from_secs(5);

/// Where sightings and questions come from.
pub struct Inlets {
    /// Read first: a file dropped now does not wait behind a scan.
    pub events: mpsc::Receiver<Vec<Sighting>>,
    /// Read while there is room: they hold the scan back.
    pub scans: mpsc::Receiver<Vec<Sighting>>,
    /// Asks whether nothing is sighted or settling.
    pub questions: mpsc::Receiver<Question>,
}

/// Whether nothing is sighted or settling.
pub struct Question {
    /// Files that are being written do not count.
    pub but_written: bool,
    /// Where the answer goes.
    pub tell: oneshot::Sender<bool>,
}

/// Runs until `stop`.
pub async fn run(
    ctx: Arc<Context>,
    mut inlets: Inlets,
    stop: CancellationToken,
) -> Result<(), TaskFailure> {
    let mut intake = Intake {
        ctx,
        set: SettlingSet::new(DEFAULT_CAPACITY),
        clock: SteadyClock::new(),
        start: Instant::now(),
        again: Instant::now(),
        sorted: Vec::new(),
        recordings: JoinSet::new(),
    };
    loop {
        // What waits to be recorded is bounded, too.
        let free = intake.recordings.len() < RECORDINGS;
        let due = intake.set.next_due().filter(|_| free);
        // A scan's files come in when those before them are looked at: so a
        // file that is dropped now never waits behind many of them.
        let idle = free && due.is_none_or(|at| at > intake.now());
        let due = due.map(|at| intake.start + at);
        let (ctx, again) = (intake.ctx.clone(), intake.again);
        tokio::select! {
            // In this order, so that a question is answered only when all that
            // was sighted before it has been looked through.
            biased;
            () = stop.cancelled() => return Ok(()),
            Some(batch) = inlets.events.recv() => intake.sighted(batch).await,
            Some(recorded) = intake.recordings.join_next() => match recorded {
                Ok(recorded) => intake.recorded(recorded).await,
                Err(error) => return Err(error.into()),
            },
            Some(batch) = inlets.scans.recv(), if idle && intake.set.has_room() => {
                intake.sighted(batch).await;
            }
            () = ctx.unsorted.notified() => intake.sort_again().await,
            () = tokio::time::sleep_until(again) => intake.sort_again().await,
            Some(question) = inlets.questions.recv() => {
                let idle = match question.but_written {
                    true => intake.set.only_written(),
                    false => intake.set.is_empty(),
                };
                let _ = question.tell.send(idle);
            }
            () = sleep_until(due) => {}
        }
        if intake.recordings.len() < RECORDINGS {
            intake.look_at_due().await;
            intake.record();
        }
        intake.ctx.live.settling(intake.set.counts());
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Intake {
    ctx: Arc<Context>,
    set: SettlingSet,
    clock: SteadyClock,
    /// Where the monotonic times of the set begin.
    start: Instant,
    /// When what is not sorted yet is looked through next.
    again: Instant,
    /// To be recorded next; each is in the set still.
    sorted: Vec<(Arc<Key>, NewFile)>,
    /// Being recorded.
    recordings: JoinSet<Recorded>,
}

/// What came of a recording.
struct Recorded {
    keys: Vec<Arc<Key>>,
    files: Vec<NewFile>,
    outcome: Result<Vec<Enqueued>, LedgerError>,
}

/// A file that was opened for a look.
struct Looked {
    key: Arc<Key>,
    opened: Result<Opened, NotTaken>,
}

/// What a look has seen.
struct Opened {
    /// `None`: it is there, and can't be read.
    file: Option<File>,
    version: FileVersion,
    ctime_ns: i64,
    /// Whether this machine sets its times.
    local: bool,
    open: Openness,
}

/// A file that is finished, and is still open.
struct Finished {
    key: Arc<Key>,
    /// `None`: it can't be read.
    file: Option<File>,
    version: FileVersion,
}

impl Intake {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sighted(&mut self, batch: Vec<Sighting>) {
        let mut by_folder: BTreeMap<FolderName, Vec<Sighting>> = BTreeMap::new();
        for sighting in batch {
            by_folder
                .entry(sighting.folder.clone())
                .or_default()
                .push(sighting);
        }
        let running = self.ctx.running();
        for (folder, sightings) in by_folder {
            if !running.config.folders.contains_key(&folder) {
                continue;
            }
            let versions = sightings.iter().map(|s| s.version.clone()).collect();
            match self.ctx.ledger.known(folder.clone(), versions).await {
                Ok(known) => {
                    let now = self.now();
                    for (sighting, known) in sightings.into_iter().zip(known) {
                        if !known {
                            // Refused when full: its folder is scanned again.
                            self.set.sight(sighting, now);
                        }
                    }
                }
                Err(error) => self.ledger_trouble([&folder], &error).await,
            }
        }
    }

    /// Nothing is lost: what could not be asked or recorded is found again by
    /// the next scan.
    async fn ledger_trouble<'f>(
        &mut self,
        folders: impl IntoIterator<Item = &'f FolderName>,
        error: &LedgerError,
    ) {
        report::ledger_trouble(error, "the ledger can't record what is in a folder");
        tokio::time::sleep(LEDGER_TROUBLE).await;
        for folder in folders {
            tracing::debug!(%folder, "scanning again until the ledger can be used");
            self.ctx.folders.rescan(folder);
        }
    }

    async fn look_at_due(&mut self) {
        for folder in self.set.take_rescans() {
            self.ctx.folders.rescan(&folder);
        }
        let due = self.set.due(self.now(), BATCH);
        if due.is_empty() {
            return;
        }
        let running = self.ctx.running();
        let mut by_folder: BTreeMap<FolderName, Vec<Arc<Key>>> = BTreeMap::new();
        for key in due {
            by_folder.entry(key.folder.clone()).or_default().push(key);
        }
        for (name, keys) in by_folder {
            let folder = running.config.folders.get(&name);
            match folder.zip(self.ctx.folders.root(&name)) {
                Some((folder, root)) => self.look_at(folder, root, keys).await,
                None => self.set.forget_folder(&name),
            }
        }
    }

    async fn look_at(&mut self, folder: &Arc<Folder>, root: Arc<FolderRoot>, keys: Vec<Arc<Key>>) {
        let again = keys.clone();
        // Read before the looks: what is written after this counts as news.
        let now = self.now();
        let wall = self
            .clock
            .read(now, self.ctx.world.clock.now(), folder.quiet_unsure);
        let ask = self
            .ctx
            .folders
            .ask(&folder.name, move || open_all(&root, keys));
        let looked = match ask.await {
            Some(Ok(looked)) => looked,
            // A panic in there is logged by the runtime; the keys go on.
            Some(Err(_)) => return self.forget_all(&again),
            // The other folders are not held up.
            None => return self.postpone_all(&again, now),
        };
        let rules = folder.settle_rules();
        let mut finished = Vec::new();
        for Looked { key, opened } in looked {
            let opened = match opened {
                Ok(opened) => opened,
                Err(why) if why.is_passing() => {
                    self.set.postpone(&key, now + LOOK_AGAIN);
                    continue;
                }
                Err(why) => {
                    report::not_taken(&self.ctx, &key.folder, &key.path, &why);
                    self.set.forget(&key, now);
                    continue;
                }
            };
            let Opened { file, version, .. } = opened;
            let look = Look {
                version: version.clone(),
                ctime_ns: opened.ctime_ns,
                now,
                wall: wall.filter(|_| opened.local),
                open_for_writing: opened.open,
            };
            if self.set.looked(&key, &look, &rules) == Some(Decision::Finished) {
                finished.push(Finished { key, file, version });
            }
        }
        if !finished.is_empty() {
            self.sort(folder, finished).await;
        }
    }

    fn postpone_all(&mut self, keys: &[Arc<Key>], now: Duration) {
        for key in keys {
            self.set.postpone(key, now + LOOK_AGAIN);
        }
    }

    fn forget_all(&mut self, keys: &[Arc<Key>]) {
        let now = self.now();
        for key in keys {
            self.set.forget(key, now);
        }
    }

    /// Sorts finished files: they can be recorded.
    async fn sort(&mut self, folder: &Arc<Folder>, finished: Vec<Finished>) {
        let keys: Vec<Arc<Key>> = finished.iter().map(|f| f.key.clone()).collect();
        let folder_now = folder.clone();
        let ask = self.ctx.folders.ask(&folder.name, move || {
            finished
                .into_iter()
                .map(|mut f| {
                    (
                        match &mut f.file {
                            Some(file) => sort_one(&folder_now, file, &f.version),
                            None => unreadable(&NotTaken::NoRight),
                        },
                        f.key,
                        f.version,
                    )
                })
                .collect::<Vec<_>>()
        });
        let now = self.now();
        let sorted = match ask.await {
            Some(Ok(sorted)) => sorted,
            Some(Err(_)) => return self.forget_all(&keys),
            None => return self.postpone_all(&keys, now),
        };
        let now = self.now();
        for (found, key, version) in sorted {
            let sorted = match found {
                Found::New(sorted) => sorted,
                Found::Incomplete(_)
                    if self.set.looks_incomplete(&key, now, folder.incomplete_wait) =>
                {
                    continue;
                }
                Found::Incomplete(otherwise) => otherwise,
            };
            let file = NewFile {
                folder: folder.name.clone(),
                dataset: folder.dataset.clone(),
                version,
                sorted,
            };
            self.sorted.push((key, file));
        }
    }

    /// Puts what is sorted into the ledger, beside what comes next: when there
    /// is enough of it, or when nothing else is due now.
    fn record(&mut self) {
        let more = self.set.next_due().is_some_and(|at| at <= self.now());
        if self.sorted.is_empty() || (more && self.sorted.len() < RECORD) {
            return;
        }
        let (keys, files): (Vec<_>, Vec<_>) = self.sorted.drain(..).unzip();
        let (ctx, at) = (self.ctx.clone(), self.ctx.world.moment());
        self.recordings.spawn(async move {
            failpoint!("intake.settled");
            let policies = &ctx.running().policies;
            let outcome = ctx.ledger.enqueue(files.clone(), at, policies).await;
            Recorded {
                keys,
                files,
                outcome,
            }
        });
    }

    async fn recorded(&mut self, recorded: Recorded) {
        let Recorded {
            keys,
            files,
            outcome,
        } = recorded;
        match outcome {
            Ok(enqueued) => {
                failpoint!("intake.enqueued");
                for (file, enqueued) in files.iter().zip(enqueued) {
                    if matches!(file.sorted, NewSorted::Unreadable(_)) {
                        self.again = self.again.min(Instant::now() + *UNREADABLE_WAIT.start());
                    }
                    if enqueued.new {
                        report::queued(&self.ctx, enqueued.id, file);
                    }
                }
                self.ctx.uploads.notify_one();
                self.ctx.sources.notify_one();
            }
            Err(error) => {
                let folders: BTreeSet<&FolderName> = files.iter().map(|f| &f.folder).collect();
                self.ledger_trouble(folders, &error).await;
            }
        }
        self.forget_all(&keys);
    }

    /// Sorts what an operator wants tried again though it was not taken, since the
    /// type lists may say something else now, and what could not be read, when it
    /// is due: people have been told when that is.
    async fn sort_again(&mut self) {
        let next = self.sort_due().await;
        self.again = Instant::now() + next.max(*UNREADABLE_WAIT.start());
    }

    /// How long it takes until the next is due, or a missed wake-up is made up for.
    async fn sort_due(&mut self) -> Duration {
        let mut next = *UNREADABLE_WAIT.end() / 2;
        let running = self.ctx.running();
        let mut after = None;
        loop {
            let batch = match self.ctx.ledger.unsorted(after, BATCH).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(%error, "the ledger can't be asked what is to be sorted again");
                    return next;
                }
            };
            let Some(last) = batch.last() else {
                return next;
            };
            after = Some(last.id);
            let now = self.ctx.world.clock.now();
            for file in batch {
                if file.not_before > now {
                    next = next.min(file.not_before.since(now));
                    continue;
                }
                let id = file.id;
                match self.sort_one_again(&running, file).await {
                    // When it is due again stands in the ledger.
                    Ok(true) => next = *UNREADABLE_WAIT.start(),
                    Ok(false) => {}
                    Err(error) => tracing::error!(%id, %error, "could not be sorted again"),
                }
            }
            self.ctx.uploads.notify_one();
        }
    }

    /// Whether it still could not be read.
    async fn sort_one_again(&self, running: &Running, file: Unsorted) -> Result<bool, LedgerError> {
        let folder = running.config.folders.get(&file.folder).cloned();
        let Some((folder, (root, _))) = folder.zip(self.ctx.folders.online_root(&file.folder))
        else {
            return Ok(false);
        };
        let id = file.id;
        let (mtime, wait) = (file.version.mtime_ns, folder.incomplete_wait);
        let name = folder.name.clone();
        let looked = self.ctx.folders.ask(&name, move || {
            let mut opened = match root.open_file(&file.version.path) {
                Ok(opened) if opened.version.matches(&file.version) => opened,
                Ok(_) => return Again::Changed,
                Err(NotTaken::Offline(_)) => return Again::Wait,
                Err(why @ (NotTaken::NoRight | NotTaken::Io { .. })) => {
                    return Again::Found(unreadable(&why));
                }
                // Gone, or something else in its place.
                Err(_) => {
                    return match root.missing(&file.version) {
                        NotTaken::Gone => Again::Gone,
                        why => Again::Found(unreadable(&why)),
                    };
                }
            };
            Again::Found(sort_one(&folder, &mut opened.file, &file.version))
        });
        let (ledger, at) = (&self.ctx.ledger, self.ctx.world.moment());
        let policies = &running.policies;
        let looked = looked.await.and_then(Result::ok).unwrap_or(Again::Wait);
        let unread = matches!(looked, Again::Found(Found::New(NewSorted::Unreadable(_))));
        match looked {
            Again::Found(Found::New(sorted)) => ledger.sorted(id, sorted, at, policies).await,
            // It could not be read until now: its end may still come.
            Again::Found(Found::Incomplete(_)) if incomplete_for(mtime, at.now) < wait => Ok(()),
            Again::Found(Found::Incomplete(otherwise)) => {
                ledger.sorted(id, otherwise, at, policies).await
            }
            Again::Changed => ledger.changed(id, None, at, policies).await.map(drop),
            Again::Gone => ledger.vanished(id, None, at, policies).await.map(drop),
            Again::Wait => Ok(()),
        }
        .map(|()| unread)
    }
}

/// How long ago a file was last written. A time to come says nothing, and is not
/// waited for.
fn incomplete_for(mtime_ns: i64, now: Timestamp) -> Duration {
    let written = Timestamp(mtime_ns.div_euclid(1_000_000));
    if written > now {
        return Duration::MAX;
    }
    now.since(written)
}

/// What a queued file that is not sorted turned out to be.
enum Again {
    Found(Found),
    Changed,
    Gone,
    Wait,
}

/// It is queued unsorted, with the reason where people look.
fn unreadable(why: &dyn std::fmt::Display) -> Found {
    Found::New(NewSorted::Unreadable(why.to_string()))
}

fn open_all(root: &FolderRoot, keys: Vec<Arc<Key>>) -> Vec<Looked> {
    let handle = match root.handle() {
        Ok(handle) => handle,
        Err(offline) => {
            let all = keys.into_iter().map(|key| Looked {
                key,
                opened: Err(NotTaken::Offline(offline)),
            });
            return all.collect();
        }
    };
    let mut looked = Vec::with_capacity(keys.len());
    // Before they are opened, which is an event, too.
    let start = std::time::Instant::now();
    let heard = |key: &Arc<Key>| root.probe().heard(&key.path, start);
    let heard: Vec<Heard> = keys.iter().map(heard).collect();
    let (mut asker, mut next) = (lease::Asker::default(), keys.iter().zip(heard));
    handle.open_files(keys.iter().map(|key| key.path.as_slice()), |opened| {
        let Some((key, heard)) = next.next() else {
            return;
        };
        let opened = match opened {
            Ok(opened) => {
                let asked = asker.ask(&opened.file, opened.version.dev);
                Ok(Opened {
                    file: Some(opened.file),
                    version: opened.version,
                    ctime_ns: opened.ctime_ns,
                    local: asked.local,
                    open: root.openness(asked, heard),
                })
            }
            // It can be looked at all the same, unless its directory is
            // closed too: then the folder's scan tells.
            Err(NotTaken::NoRight) => handle.look(&key.path).map(|version| Opened {
                file: None,
                version,
                ctime_ns: 0,
                local: false,
                open: root.openness(Asked::NOTHING, heard),
            }),
            Err(why) => Err(why),
        };
        looked.push(Looked {
            key: Arc::clone(key),
            opened,
        });
    });
    looked
}

/// What a finished file is; a file that can't be read is something, too.
fn sort_one(folder: &Folder, file: &mut File, version: &FileVersion) -> Found {
    match sorting::sort_file(folder, file, version) {
        Ok(sorting) => sorting.found,
        Err(error) => unreadable(&crate::watch::unreadable(&error)),
    }
}
