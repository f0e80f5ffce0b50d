//! One file on its way: prepare → begin → send → finish.
//!
//! The order is the promise. The ledger has the attempt before the first byte
//! goes out, and `last_byte_sent` before the chunk that completes the request;
//! whatever breaks in between, the record says which side of that line the
//! file is on. Must not: judge an answer (the error table does), name a next
//! state (the lifecycle does), or retry.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::body;
use super::carried::{Carried, recorded};
use super::job::{Job, intent, path_of};
use super::lane::{Lane, Slot};
use super::prepare::{self, Content, Hashing, NotReady, Prepared, Wanted};
use super::release::{self, HeldBack};
use super::twins::{Looks, Turn};
use crate::config::valid::Duplicates;
use crate::daemon::report;
use crate::domain::admit::{Admit, admit_upload};
use crate::domain::answer::{Call, Outcome};
use crate::domain::error_table::{Follow, Judgement, Trail, Verdict};
use crate::domain::ids::AttemptId;
use crate::domain::lifecycle::OnUnconfirmed;
use crate::domain::state::State;
use crate::failpoint::failpoint;
use crate::ledger::{Begun, ContentHash, Finish, LedgerError, NewSorted, NextHop};
use crate::live::Upload;
use crate::ports::{Connection, Import, Progress, Target};
use crate::watch::unreadable;

/// How long a file waits whose folder is not there.
const OFFLINE_WAIT: Duration = Duration::from_secs(5);

/// Carries one file as far as it gets.
pub async fn carry(job: Job, slot: Slot) -> Carried {
    let carried = job.carry(slot).await;
    recorded(&job, carried)
}

/// Carries a file on whose beginning was recorded with its coming into the ledger.
/// `picked`: when it was taken up.
pub async fn carry_on(
    job: Job,
    begun: Begun,
    prepared: Prepared,
    slot: Slot,
    picked: Instant,
) -> Carried {
    let carried = job.carry_on(begun, prepared, slot, Turn::default(), picked);
    let carried = carried.await;
    recorded(&job, carried)
}

/// An attempt that is on record.
#[derive(Debug, Clone, Copy)]
struct OnRecord {
    attempt: AttemptId,
    /// It goes while its gates are closed for everybody else.
    probe: bool,
    /// How long a small file took from its pick to here.
    ready: Option<Duration>,
}

impl Job {
    async fn carry(&self, slot: Slot) -> Result<(), LedgerError> {
        let picked = Instant::now();
        let mut prepared = match self.prepare(Hashing::WhatIsRead).await {
            Ok(prepared) => prepared,
            Err(not_ready) => return self.not_ready(None, not_ready).await,
        };
        let mut turn = tokio::select! {
            turn = self.ctx.twins.turn(self.looks(&prepared)) => turn,
            () = self.stop.drain.cancelled() => return Ok(()),
        };
        failpoint!("upload.picked");
        let mut begun = self.begin(&prepared).await?;
        if begun == Begun::HashFirst {
            prepared = match self.prepare(Hashing::Everything).await {
                Ok(prepared) => prepared,
                Err(not_ready) => return self.not_ready(None, not_ready).await,
            };
            begun = self.begin(&prepared).await?;
            // Its content is on record: whatever looks like it can be compared.
            turn = Turn::default();
        }
        self.carry_on(begun, prepared, slot, turn, picked).await
    }

    async fn carry_on(
        &self,
        begun: Begun,
        prepared: Prepared,
        slot: Slot,
        turn: Turn,
        picked: Instant,
    ) -> Result<(), LedgerError> {
        let one_chunk = !matches!(prepared.content, Content::Large(_));
        match begun {
            Begun::Attempt { attempt, probe } => {
                failpoint!("upload.begun");
                let begun = OnRecord {
                    attempt,
                    probe,
                    ready: one_chunk.then(|| picked.elapsed()),
                };
                self.send(begun, prepared, slot, turn).await
            }
            // A gate closed since it was picked, or an operator's command has
            // paused it: looked at now, or it would be picked again at once.
            Begun::Held { .. } => {
                self.is_queued();
                if self.ctx.ledger.refresh_gates().await? {
                    self.ctx.wake_all();
                }
                Ok(())
            }
            Begun::Duplicate(of) => {
                report::duplicate(self, of);
                self.ctx.sources.notify_one();
                Ok(())
            }
            Begun::TooSoon { until, first } => {
                report::changes_often(self, until, first);
                self.is_queued();
                Ok(())
            }
            Begun::NotQueued(state) => {
                tracing::debug!(id = %self.file.id, %state, "picked, but no longer queued");
                Ok(())
            }
            // It was begun with its hash: picked again, it says so once more.
            Begun::HashFirst => Ok(()),
        }
    }

    /// Asks the ledger to record the attempt.
    async fn begin(&self, prepared: &Prepared) -> Result<Begun, LedgerError> {
        let begin = intent(&self.running, &self.folder, self.media, prepared);
        let (at, policies) = (self.ctx.world.moment(), &self.running.policies);
        self.ctx
            .ledger
            .begin(self.file.id, begin, at, policies)
            .await
    }

    /// What has the same content as another is not sent.
    fn skips(&self) -> bool {
        self.folder.duplicates == Duplicates::Skip
    }

    /// What it is compared by before its content is known. Copies that are sent
    /// all the same need not wait for each other.
    fn looks(&self, prepared: &Prepared) -> Option<Looks> {
        let Content::Large(large) = &prepared.content else {
            return None;
        };
        if !self.skips() {
            return None;
        }
        Some(Looks {
            dataset: self.dataset.name.clone(),
            size: self.file.version.size,
            options: self.folder.options_fingerprint(self.media),
            beginning: large.beginning?,
        })
    }

    fn path(&self) -> &str {
        path_of(&self.running, self.media)
    }

    async fn prepare(&self, hash: Hashing) -> Result<Prepared, NotReady> {
        let (root, folder) = (self.root.clone(), self.folder.clone());
        let (version, media) = (self.file.version.clone(), self.media);
        let prepared = self.ctx.folders.ask(&self.folder.name, move || {
            prepare::prepare(
                &root,
                &Wanted {
                    version: &version,
                    media,
                    types: &folder.types,
                    hash,
                },
            )
        });
        match prepared.await {
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => Err(NotReady::Unreadable(io::Error::other(error))),
            None => Err(NotReady::Offline),
        }
    }

    /// The file can't be sent now. `under_way`: the attempt that was on record.
    async fn not_ready(
        &self,
        under_way: Option<AttemptId>,
        why: NotReady,
    ) -> Result<(), LedgerError> {
        let (ledger, id) = (&self.ctx.ledger, self.file.id);
        let (at, policies) = (self.ctx.world.moment(), &self.running.policies);
        let folder = &self.folder.name;
        match why {
            NotReady::Changed => {
                let state = self
                    .insist(|| ledger.changed(id, under_way, at, policies))
                    .await?;
                report::moved_on(self, &state, "the file has changed since it was settled");
                self.ctx
                    .folders
                    .sight_again(folder, self.file.version.path.clone());
                // Copies that waited for it may have to go themselves.
                self.ctx.uploads.notify_one();
            }
            NotReady::Gone => {
                let state = self
                    .insist(|| ledger.vanished(id, under_way, at, policies))
                    .await?;
                report::moved_on(self, &state, "the file is not there any more");
                // Unless it came back since we looked.
                self.ctx
                    .folders
                    .sight_again(folder, self.file.version.path.clone());
                self.ctx.uploads.notify_one();
            }
            NotReady::Unsupported(reason) => {
                self.give_back(under_way).await?;
                report::unsupported(self, &reason);
                let sorted = NewSorted::Unsupported(reason);
                ledger.sorted(id, sorted, at, policies).await?;
                self.ctx.sources.notify_one();
            }
            // Not the file's fault, and it may pass: it keeps its place.
            NotReady::Offline => {
                report::unreadable(self, None);
                self.give_back(under_way).await?;
                self.ctx.folders.rescan(folder);
                ledger.postpone(id, OFFLINE_WAIT, at).await?;
            }
            NotReady::Unreadable(error) => {
                let why = unreadable(&error);
                report::unreadable(self, Some(&why));
                self.give_back(under_way).await?;
                ledger.unreadable(id, why, at).await?;
            }
        }
        Ok(())
    }

    async fn give_back(&self, under_way: Option<AttemptId>) -> Result<(), LedgerError> {
        match under_way {
            Some(attempt) => self.release(attempt).await,
            None => Ok(()),
        }
    }

    /// From the recorded beginning to the recorded end, through the hops of a
    /// redirect where there are any.
    async fn send(
        &self,
        begun: OnRecord,
        mut prepared: Prepared,
        slot: Slot,
        mut turn: Turn,
    ) -> Result<(), LedgerError> {
        let mut slot = Some(slot);
        let mut attempt = begun.attempt;
        let mut trail = Trail::default();
        let mut address: Option<String> = None;
        // A hop is the same upload, and goes in the same lane.
        let mut kept = None;
        loop {
            let Some(mut lane) = self.enter(kept.take(), begun.probe).await else {
                return self.release(attempt).await;
            };
            let started = Instant::now();
            let held_back = Arc::new(Mutex::new(None));
            let (import, progress) =
                self.import(attempt, prepared, &held_back, std::mem::take(&mut turn));
            let on_the_wire = self.ctx.live.sending(Upload {
                id: self.file.id,
                attempt,
                folder: self.folder.name.clone(),
                path: self.file.version.path.clone(),
                dataset: self.dataset.name.clone(),
                media: self.media,
                size: self.file.version.size,
                progress: progress.clone(),
                started_at: self.ctx.world.clock.now(),
                probe: begun.probe,
            });
            let target = match &address {
                Some(address) => Target::Address(address),
                None => Target::Path(self.path()),
            };
            let api = self.running.api.clone();
            let outcome = tokio::select! {
                outcome = api.upload(&self.dataset.key, target, import) => outcome,
                never = lane.departs(&progress) => match never {},
                () = self.stop.cut.cancelled() => {
                    if !progress.last_byte_sent() {
                        return self.release(attempt).await;
                    }
                    // In doubt: the next start settles it by the folder's policy.
                    return Ok(());
                }
            };
            drop(on_the_wire);
            let wire = begun.ready.map(|_| started.elapsed());
            if let (Some(ready), Some(wire)) = (begun.ready, wire) {
                self.lanes.timed(ready, wire);
            }
            // Others may come up while the answer is being recorded.
            slot.take();
            let held_back = held_back
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            match held_back {
                Some(HeldBack::File(why)) => return self.not_ready(Some(attempt), why).await,
                Some(HeldBack::Ledger(error)) => {
                    report::ledger_trouble(
                        &error,
                        "the ledger can't record: the last chunk was held back",
                    );
                    return self.release(attempt).await;
                }
                Some(HeldBack::Same(of)) => {
                    // Its hash is on record now: the next attempt ends before it
                    // begins, unless the other one's has come to nothing.
                    tracing::debug!(id = %self.file.id, %of, "cut off: the same content went first");
                    self.release(attempt).await?;
                    self.ctx.uploads.notify_one();
                    return Ok(());
                }
                None => {}
            }
            let mut status = outcome.status();
            let mut judgement = self.judge(&outcome, trail);
            // A success frees the lane at once. Anything else may be about to
            // close a gate: the lane is kept until it is recorded, or the next
            // file would slip through behind the answer that stops it.
            let done = matches!(judgement.verdict, Verdict::Done(_));
            if done {
                lane.heed(&judgement, wire);
            }
            let mut lane = (!done).then_some(lane);
            if let Verdict::Follow(Follow::Get, at) = &judgement.verdict {
                trail = Trail {
                    hops: trail.hops + 1,
                    see_other: true,
                };
                let (last_status, last) = self.see_other(at.clone(), trail).await;
                (status, judgement) = (last_status, last);
            }
            let Verdict::Follow(Follow::Same, to) = &judgement.verdict else {
                if let Some(lane) = &mut lane {
                    lane.heed(&judgement, None);
                }
                let finish = Finish {
                    id: self.file.id,
                    attempt,
                    hash: self.missed(&judgement, &progress).await,
                    judgement,
                    http_status: status,
                    bytes: progress.bytes(),
                    fingerprints: self.fingerprints.clone(),
                };
                // No other file goes out until this is recorded, on any lane: it
                // may close a gate.
                let pausing = finish.judgement.pause.map(|_| self.ctx.pausing.begin());
                let finished = self.finish(finish, started.elapsed()).await;
                drop((lane, pausing));
                return finished;
            };
            // 307: the same request once more, to another address of the same
            // origin; an attempt of its own, on the record before it starts.
            trail.hops += 1;
            let to = to.clone();
            prepared = match self.prepare(Hashing::Nothing).await {
                Ok(again) => again,
                Err(not_ready) => return self.not_ready(Some(attempt), not_ready).await,
            };
            let hop = NextHop {
                id: self.file.id,
                attempt,
                judgement,
                http_status: status.unwrap_or(0),
                bytes: progress.bytes(),
                endpoint: to.clone(),
                one_chunk: !matches!(prepared.content, Content::Large(_)),
            };
            let (at, policies) = (self.ctx.world.moment(), &self.running.policies);
            attempt = self
                .insist(|| self.ctx.ledger.next_hop(hop.clone(), at, policies))
                .await?;
            address = Some(to);
            kept = lane;
        }
    }

    /// Waits for a lane, unless it has one; `None` if the file must not go any
    /// more.
    async fn enter(&self, kept: Option<Lane>, probe: bool) -> Option<Lane> {
        let lane = match kept {
            // The next hop of a redirect is a request, too.
            Some(mut lane) => tokio::select! {
                departure = self.lanes.request() => {
                    lane.again(departure);
                    lane
                }
                () = self.stop.drain.cancelled() => return None,
            },
            None => tokio::select! {
                lane = self.lanes.enter(self.express) => lane,
                () = self.stop.drain.cancelled() => return None,
            },
        };
        tokio::select! {
            () = self.ctx.pausing.none() => {}
            () = self.stop.drain.cancelled() => return None,
        }
        // A gate may have closed while it waited, or an operator has paused it.
        let ledger = &self.ctx.ledger;
        let admitted = admit_upload(
            &self.way,
            &ledger.gates(),
            &ledger.halts(),
            &Default::default(),
            self.ctx.world.clock.now(),
        );
        let open = match admitted {
            Admit::Go => true,
            Admit::Halted(_) => false,
            // The probe's own gates are closed for everybody else.
            Admit::Probe(_) | Admit::Wait(_) => probe,
        };
        open.then_some(lane)
    }

    fn import(
        &self,
        attempt: AttemptId,
        prepared: Prepared,
        held_back: &Arc<Mutex<Option<HeldBack>>>,
        turn: Turn,
    ) -> (Import, Arc<Progress>) {
        let options = self
            .folder
            .options
            .get(&self.media)
            .cloned()
            .unwrap_or_default();
        // A file in doubt waits for a person there: none is to be that need not.
        let connection = match self.folder.policy.unconfirmed {
            OnUnconfirmed::Hold => Connection::Own,
            OnUnconfirmed::Resend { .. } => Connection::IfKept,
        };
        let body = match prepared.content {
            Content::Link(url) => {
                let progress = Arc::new(Progress::default());
                return (
                    Import::Web {
                        url,
                        options,
                        progress: progress.clone(),
                        connection,
                    },
                    progress,
                );
            }
            Content::Small(bytes) => {
                let release = release::check(self, None, held_back.clone(), turn);
                body::in_memory(bytes, self.lanes.clone(), release)
            }
            Content::Large(large) => {
                let release = release::check(self, Some(attempt), held_back.clone(), turn);
                let (size, lanes) = (self.file.version.size, self.lanes.clone());
                let hanging = release::hanging(self, held_back.clone());
                body::from_file(large.file, size, lanes, release, hanging)
            }
        };
        let progress = body.progress.clone();
        (
            Import::File {
                name: prepared.name,
                options,
                body,
                connection,
            },
            progress,
        )
    }

    /// The content of a file that the service says it has, or may have, though it
    /// has not been given all of it: the hash that the body would have taken.
    async fn missed(&self, judgement: &Judgement, progress: &Progress) -> Option<ContentHash> {
        let may_be_there = matches!(judgement.verdict, Verdict::Done(_) | Verdict::Unconfirmed);
        if progress.last_byte_sent() || !may_be_there {
            return None;
        }
        self.prepare(Hashing::Everything).await.ok()?.hash
    }

    fn judge(&self, outcome: &Outcome, trail: Trail) -> Judgement {
        self.running
            .config
            .errors
            .judge(Call::Upload, outcome, trail)
    }

    /// Follows 303s to where the result lies.
    async fn see_other(&self, mut at: String, mut trail: Trail) -> (Option<u16>, Judgement) {
        loop {
            let departure = self.lanes.request().await;
            let outcome = self.running.api.see_other(&self.dataset.key, &at).await;
            drop(departure);
            let judgement = self.judge(&outcome, trail);
            match judgement.verdict {
                Verdict::Follow(_, next) => at = next,
                _ => return (outcome.status(), judgement),
            }
            trail.hops += 1;
        }
    }

    /// The dispatcher, which sees the ends of its own workers, hears of this one.
    fn is_queued(&self) {
        if self.express {
            self.ctx.uploads.notify_one();
        }
    }

    async fn release(&self, attempt: AttemptId) -> Result<(), LedgerError> {
        let (at, policies) = (self.ctx.world.moment(), &self.running.policies);
        self.insist(|| self.ctx.ledger.release(self.file.id, attempt, at, policies))
            .await?;
        report::released(self);
        self.is_queued();
        Ok(())
    }

    /// Records what can't be learnt again, such as an answer, or what would
    /// leave the row as if it were still on the wire: it is kept trying while
    /// the daemon runs, for as long as waiting may mend it.
    async fn insist<T, F>(&self, record: impl Fn() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        let mut wait = Duration::from_millis(100);
        loop {
            match record().await {
                Err(error) if error.is_passing() && !self.stop.cut.is_cancelled() => {
                    report::ledger_trouble(&error, "it can't be recorded yet; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
                done => return done,
            }
        }
    }

    /// Records the answer.
    async fn finish(&self, finish: Finish, took: Duration) -> Result<(), LedgerError> {
        failpoint!("upload.answered");
        let at = self.ctx.world.moment();
        let (ledger, policies) = (&self.ctx.ledger, &self.running.policies);
        let finished = self
            .insist(|| ledger.finish(finish.clone(), at, policies))
            .await?;
        failpoint!("upload.finished");
        report::answered(self, finish.attempt, at.now, &finished, took);
        self.ctx
            .live
            .uploaded(&finished.judgement, self.file.version.size, took);
        match &finished.state {
            State::Submitted { .. } => self.ctx.polls.notify_one(),
            State::Queued { .. } => self.ctx.uploads.notify_one(),
            // Copies that waited for it may have to go themselves.
            _ => {
                self.ctx.sources.notify_one();
                self.ctx.uploads.notify_one();
            }
        }
        if !finished.returned.is_empty() {
            self.ctx.uploads.notify_one();
        }
        self.ctx.catch_up(&self.running).await
    }
}
