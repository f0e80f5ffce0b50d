//! One file on its way: prepare → begin → send → finish.
//!
//! The order is the promise. The ledger has the attempt before the first byte
//! goes out, and `last_byte_sent` before the chunk that completes the request;
//! whatever breaks in between, the record says which side of that line the
//! file is on. Must not: judge an answer (the error table does), name a next
//! state (the lifecycle does), or retry.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::admit::{Admit, admit};
use super::body::{self, Release};
use super::dispatch::Stop;
use super::lane::Lanes;
use super::prepare::{self, Content, NotReady, Prepared};
use crate::config::valid::{Dataset, Duplicates, Folder};
use crate::daemon::context::{Context, Running};
use crate::daemon::report;
use crate::domain::answer::{Call, Outcome};
use crate::domain::error_table::{Follow, Judgement, Scope, Trail, Verdict};
use crate::domain::gate::GateKey;
use crate::domain::ids::{AttemptId, Route};
use crate::domain::media::Media;
use crate::domain::naming;
use crate::ledger::{Begin, Begun, Finish, LedgerError, QueuedFile};
use crate::ports::{Import, Progress, Target};
use crate::watch::root::FolderRoot;

/// A file, and all that belongs to sending it.
pub struct Job {
    /// The daemon.
    pub ctx: Arc<Context>,
    /// What was in force when it was picked.
    pub running: Arc<Running>,
    /// The two ends of a stop.
    pub stop: Stop,
    /// The file.
    pub file: QueuedFile,
    /// Its folder.
    pub folder: Arc<Folder>,
    /// Where it goes.
    pub dataset: Arc<Dataset>,
    /// The handle on its folder.
    pub root: Arc<FolderRoot>,
    /// How it was sorted.
    pub media: Media,
    /// The dataset's lanes.
    pub lanes: Arc<Lanes>,
    /// The gates on its way.
    pub way: [GateKey; 3],
    /// It goes as the probe of a gate that is due.
    pub probe: bool,
}

/// Carries one file as far as it gets. Every end is in the ledger.
pub async fn carry(job: Job) {
    if let Err(error) = job.carry().await {
        // The row is as it was at the last commit: queued, or uploading and
        // picked up by the recovery at the next start.
        tracing::error!(
            file = %naming::shown(&job.file.version.path),
            folder = %job.folder.name,
            %error,
            "the ledger could not record this upload's progress"
        );
    }
}

/// Why the last chunk was held back.
enum HeldBack {
    Changed,
    Ledger(LedgerError),
}

impl Job {
    async fn carry(&self) -> Result<(), LedgerError> {
        let prepared = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(not_ready) => return self.not_ready(not_ready).await,
        };
        let one_chunk = !matches!(prepared.content, Content::Large(_));
        let begun = self.ctx.ledger.begin(Begin {
            id: self.file.id,
            hash: prepared.hash,
            options: self.folder.options_fingerprint(self.media),
            skip_duplicates: self.folder.duplicates == Duplicates::Skip,
            one_chunk,
            endpoint: self.path().to_owned(),
            probe: self.probe,
            way: self.way.clone(),
            at: self.ctx.world.moment(),
            policy: self.folder.policy.clone(),
        });
        match begun.await? {
            Begun::Attempt(attempt) => self.send(attempt, prepared).await,
            Begun::Duplicate(of) => {
                report::duplicate(self, of);
                self.ctx.sources.notify_one();
                Ok(())
            }
            Begun::NotQueued(state) => {
                tracing::debug!(id = %self.file.id, %state, "picked, but no longer queued");
                Ok(())
            }
        }
    }

    fn path(&self) -> &str {
        self.running.config.service.paths.get(&self.media).map_or("/", String::as_str)
    }

    async fn prepare(&self) -> Result<Prepared, NotReady> {
        let root = self.root.clone();
        let version = self.file.version.clone();
        let media = self.media;
        let hash = self.folder.duplicates == Duplicates::Skip;
        let prepared =
            tokio::task::spawn_blocking(move || prepare::prepare(&root, &version, media, hash));
        prepared.await.unwrap_or_else(|error| Err(NotReady::Unreadable(io::Error::other(error))))
    }

    async fn not_ready(&self, why: NotReady) -> Result<(), LedgerError> {
        let (ledger, id) = (&self.ctx.ledger, self.file.id);
        let (at, policy) = (self.ctx.world.moment(), self.folder.policy.clone());
        match why {
            NotReady::Changed => {
                let state = ledger.changed(id, at, policy).await?;
                report::moved_on(self, &state, "the file has changed since it was settled");
                self.ctx.folders.look_again(&self.folder.name, &self.file.version.path);
            }
            NotReady::Gone => {
                let state = ledger.vanished(id, at, policy).await?;
                report::moved_on(self, &state, "the file is not there any more");
            }
            NotReady::Unsupported(reason) => {
                let state = ledger.unsupported(id, reason.clone(), at, policy).await?;
                report::moved_on(self, &state, &reason);
                self.ctx.sources.notify_one();
            }
            // Not the file's fault, and it may pass: it keeps its place.
            NotReady::Offline => {
                tracing::warn!(folder = %self.folder.name, "the folder is offline: its files wait");
                self.ctx.folders.check(&self.folder.name);
                ledger.postpone(id, Duration::from_secs(5), at, policy).await?;
            }
            NotReady::Unreadable(error) => {
                tracing::warn!(
                    file = %naming::shown(&self.file.version.path),
                    folder = %self.folder.name,
                    %error,
                    "the file can't be read; it is tried again in a minute. Check its rights"
                );
                ledger.postpone(id, Duration::from_secs(60), at, policy).await?;
            }
        }
        Ok(())
    }

    /// From the recorded beginning to the recorded end, through the hops of a
    /// redirect where there are any.
    async fn send(&self, mut attempt: AttemptId, mut prepared: Prepared) -> Result<(), LedgerError> {
        let mut trail = Trail::default();
        let mut address: Option<String> = None;
        loop {
            let Some(lane) = self.enter().await else { return self.release(attempt).await };
            let started = Instant::now();
            let held_back = Arc::new(OnceLock::new());
            let (import, progress) = self.import(attempt, prepared.content, &held_back);
            let target = match &address {
                Some(address) => Target::Address(address),
                None => Target::Path(self.path()),
            };
            let api = self.running.api.clone();
            let outcome = tokio::select! {
                outcome = api.upload(&self.dataset.key, target, import) => outcome,
                () = self.stop.cut.cancelled() => {
                    if !progress.last_byte_sent() {
                        return self.release(attempt).await;
                    }
                    // In doubt: the next start settles it by the folder's policy.
                    return Ok(());
                }
            };
            drop(lane);
            match held_back.get() {
                Some(HeldBack::Changed) => return self.not_ready(NotReady::Changed).await,
                Some(HeldBack::Ledger(error)) => {
                    tracing::error!(%error, "the ledger can't record: the last chunk was held back");
                    return self.release(attempt).await;
                }
                None => {}
            }
            let mut status = status_of(&outcome);
            let mut judgement = self.judge(&outcome, trail);
            if let Verdict::Follow(Follow::Get, at) = &judgement.verdict {
                trail = Trail { hops: trail.hops + 1, see_other: true };
                let (last_status, last) = self.see_other(at.clone(), trail).await;
                (status, judgement) = (last_status, last);
            }
            let finish = Finish {
                id: self.file.id,
                attempt,
                http_status: status,
                bytes: progress.bytes(),
                fingerprints: self.way.clone().map(|key| self.running.config.gate_fingerprint(&key)),
                way: self.way.clone(),
                judgement,
                at: self.ctx.world.moment(),
                policy: self.folder.policy.clone(),
            };
            let Verdict::Follow(Follow::Same, to) = finish.judgement.verdict.clone() else {
                return self.finish(finish, started.elapsed()).await;
            };
            // 307: the same request once more, to another address of the same
            // origin; an attempt of its own, on the record before it starts.
            trail.hops += 1;
            match self.prepare().await {
                Ok(again) => prepared = again,
                Err(not_ready) => return self.not_ready(not_ready).await,
            }
            let one_chunk = !matches!(prepared.content, Content::Large(_));
            attempt = self.ctx.ledger.next_hop(finish, to.clone(), one_chunk).await?;
            address = Some(to);
        }
    }

    /// Waits for a lane; `None` if the file must not go any more.
    async fn enter(&self) -> Option<super::lane::Lane> {
        let lane = tokio::select! {
            lane = self.lanes.enter() => lane,
            () = self.stop.drain.cancelled() => return None,
        };
        // A gate may have closed while it waited. The probe's own gates are
        // closed for everybody else.
        let open = self.probe
            || admit(
                &self.way,
                &self.ctx.ledger.gates(),
                &Default::default(),
                self.ctx.world.clock.now(),
            ) == Admit::Go;
        open.then_some(lane)
    }

    fn import(
        &self,
        attempt: AttemptId,
        content: Content,
        held_back: &Arc<OnceLock<HeldBack>>,
    ) -> (Import, Arc<Progress>) {
        let options = self.folder.options.get(&self.media).cloned().unwrap_or_default();
        let body = match content {
            Content::Link(url) => {
                let progress = Arc::new(Progress::default());
                return (Import::Web { url, options, progress: progress.clone() }, progress);
            }
            Content::Small(bytes) => {
                let release = self.release_check(None, held_back.clone());
                body::in_memory(bytes, self.lanes.clone(), release)
            }
            Content::Large(file) => {
                let release = self.release_check(Some(attempt), held_back.clone());
                body::from_file(file, self.file.version.size, self.lanes.clone(), release)
            }
        };
        let progress = body.progress.clone();
        let name = naming::upload_name(self.file.version.name(), self.file.extension_fix.as_deref());
        (Import::File { name, options, body }, progress)
    }

    /// What stands between the last chunk and the socket: another look at the
    /// file, and, unless the beginning said so already, the record.
    fn release_check(
        &self,
        attempt: Option<AttemptId>,
        held_back: Arc<OnceLock<HeldBack>>,
    ) -> Release {
        let (ctx, root) = (self.ctx.clone(), self.root.clone());
        let (id, version) = (self.file.id, self.file.version.clone());
        let policy = self.folder.policy.clone();
        Box::new(move || {
            Box::pin(async move {
                let hold = |why: HeldBack, words: &str| {
                    let _ = held_back.set(why);
                    Err(io::Error::other(words.to_owned()))
                };
                let looked = tokio::task::spawn_blocking(move || root.is_still(&version)).await;
                if !looked.unwrap_or(false) {
                    return hold(HeldBack::Changed, "the file changed while it was sent");
                }
                if let Some(attempt) = attempt {
                    let at = ctx.world.moment();
                    if let Err(error) = ctx.ledger.last_byte(id, attempt, at, policy).await {
                        return hold(HeldBack::Ledger(error), "the ledger could not record");
                    }
                }
                Ok(())
            })
        })
    }

    fn judge(&self, outcome: &Outcome, trail: Trail) -> Judgement {
        self.running.config.errors.judge(Call::Upload, outcome, trail)
    }

    /// Follows 303s to where the result lies.
    async fn see_other(&self, mut at: String, mut trail: Trail) -> (Option<u16>, Judgement) {
        loop {
            let outcome = self.running.api.see_other(&self.dataset.key, &at).await;
            let judgement = self.judge(&outcome, trail);
            match judgement.verdict {
                Verdict::Follow(_, next) => at = next,
                _ => return (status_of(&outcome), judgement),
            }
            trail.hops += 1;
        }
    }

    async fn release(&self, attempt: AttemptId) -> Result<(), LedgerError> {
        let at = self.ctx.world.moment();
        let policy = self.folder.policy.clone();
        self.ctx.ledger.release(self.file.id, attempt, at, policy).await?;
        report::released(self);
        Ok(())
    }

    /// Records the answer. It is the one thing that can't be learnt again, so
    /// it is kept trying while the daemon runs.
    async fn finish(&self, finish: Finish, took: Duration) -> Result<(), LedgerError> {
        let mut wait = Duration::from_millis(100);
        let finished = loop {
            match self.ctx.ledger.finish(finish.clone()).await {
                Ok(finished) => break finished,
                Err(error) if error.may_pass() && !self.stop.cut.is_cancelled() => {
                    tracing::error!(
                        file = %naming::shown(&self.file.version.path),
                        %error,
                        "the answer can't be recorded yet; trying again"
                    );
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                Err(error) => return Err(error),
            }
        };
        match (&finish.judgement.verdict, finish.judgement.pause.map(|p| p.scope)) {
            (Verdict::Done(_), _) => self.lanes.clean(),
            (Verdict::Retry(_), Some(Scope::Service | Scope::Dataset)) => self.lanes.strained(),
            _ => {}
        }
        report::answered(self, &finish, &finished, took);
        self.ctx.polls.notify_one();
        self.ctx.sources.notify_one();
        self.ctx.uploads.notify_one();
        Ok(())
    }

    /// The route it takes.
    pub fn route(&self) -> Route {
        self.folder.route(self.media)
    }
}

fn status_of(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answer(answer) => Some(answer.status),
        Outcome::NoConnection { .. } | Outcome::Broken { .. } => None,
    }
}
