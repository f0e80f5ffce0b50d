//! Follows each task to its end: asks about those that are due, the faster the
//! more there are, and never faster than the dataset's `polls_per_second`.
//!
//! Must not: keep a task in memory beyond the batch it works on, or judge an
//! answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{Context, LOOK_EVERY, Running};
use super::report;
use super::supervise::TaskFailure;
use super::upload::bucket::Bucket;
use super::upload::pausing::Recording;
use crate::config::valid::Dataset;
use crate::domain::admit::{Admit, admit_query};
use crate::domain::answer::Call;
use crate::domain::error_table::{Trail, Verdict};
use crate::domain::ids::{FolderName, Route};
use crate::domain::media::Media;
use crate::domain::misses::Misses;
use crate::domain::poll_rate;
use crate::domain::state::State;
use crate::failpoint::failpoint;
use crate::ledger::{DuePoll, Fingerprints, LedgerError, Polled};

/// Queries under way at once, for each dataset.
const AT_ONCE: usize = 8;

/// How long an answer waits for others to be recorded with it, at most: while
/// more tasks are due.
const HOLD: Duration = Duration::from_millis(200);

/// How long a query may wait for the next ones, so that they leave together:
/// most of what one costs is waking up for it.
const TOGETHER: Duration = Duration::from_millis(80);

/// How long it rests where no task is followed.
const IDLE: Duration = Duration::from_secs(60);

/// How often the rate is fitted to the number of tasks.
const FITTED: Duration = Duration::from_secs(1);

/// How fast the tasks of one dataset are asked about.
struct Speed {
    bucket: Bucket,
    /// When it was last fitted to the number of tasks.
    fitted: Mutex<Option<Instant>>,
}

/// How the polling of one dataset goes.
struct Poller {
    dataset: Arc<Dataset>,
    rate: Arc<Speed>,
    misses: Arc<Mutex<Misses>>,
    turn: Turn,
}

/// Where a poller is.
#[derive(Clone, Copy)]
enum Turn {
    /// A round is under way; `again`: something has come up since it began.
    Asking { again: bool },
    /// Nothing to ask before then.
    Resting(Instant),
}

/// Polls each dataset at its own pace until `stop`: one that is slow, or
/// whose queries hang, holds up no other.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    let mut pollers: Vec<Poller> = Vec::new();
    let mut rounds = FuturesUnordered::new();
    loop {
        let mut woken = std::pin::pin!(ctx.polls.notified());
        woken.as_mut().enable();
        let running = ctx.running();
        follow_settings(&mut pollers, &running);
        let mut next = Instant::now() + IDLE;
        for poller in &mut pollers {
            match poller.turn {
                Turn::Resting(until) if until <= Instant::now() => {
                    poller.turn = Turn::Asking { again: false };
                    let (ctx, running) = (ctx.clone(), running.clone());
                    let (dataset, rate) = (poller.dataset.clone(), poller.rate.clone());
                    let misses = poller.misses.clone();
                    rounds.push(async move {
                        let wait = poll_dataset(&ctx, &running, &dataset, &rate, &misses).await;
                        (dataset, wait)
                    });
                }
                Turn::Resting(until) => next = next.min(until),
                Turn::Asking { .. } => {}
            }
        }
        tokio::select! {
            // The bell before the rounds: one that was rung before this turn is
            // used up by arming it, and would be lost if a round won instead.
            biased;
            // A query cut off by a stop is asked again after the next start.
            () = stop.cancelled() => return Ok(()),
            () = &mut woken => pollers.iter_mut().for_each(Poller::wake),
            Some((dataset, wait)) = rounds.next(), if !rounds.is_empty() => {
                // One that a reload has replaced is not there any more.
                let ended = pollers.iter_mut().find(|p| Arc::ptr_eq(&p.dataset, &dataset));
                if let Some(poller) = ended {
                    poller.rest(wait);
                }
            }
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

impl Poller {
    fn wake(&mut self) {
        self.turn = match self.turn {
            Turn::Asking { .. } => Turn::Asking { again: true },
            Turn::Resting(_) => Turn::Resting(Instant::now()),
        };
    }

    fn rest(&mut self, wait: Duration) {
        let again = matches!(self.turn, Turn::Asking { again: true });
        let wait = if again { Duration::ZERO } else { wait };
        self.turn = Turn::Resting(Instant::now() + wait);
    }
}

/// A dataset that a reload has replaced keeps what is known of its tasks.
fn follow_settings(pollers: &mut Vec<Poller>, running: &Running) {
    let mut former = std::mem::take(pollers);
    for dataset in running.config.datasets.values() {
        let known = former
            .iter()
            .position(|p| p.dataset.name == dataset.name)
            .map(|at| former.swap_remove(at));
        let misses = match known {
            Some(same) if Arc::ptr_eq(&same.dataset, dataset) => {
                pollers.push(same);
                continue;
            }
            // Not the same list: queries with the old key may still be out.
            Some(before) if before.dataset.key.fingerprint() != dataset.key.fingerprint() => {
                Arc::new(Mutex::new(Misses::with_new_key()))
            }
            Some(before) => before.misses,
            None => Arc::default(),
        };
        let rate = dataset.polls_per_second;
        pollers.push(Poller {
            dataset: dataset.clone(),
            rate: Arc::new(Speed {
                bucket: Bucket::new(rate, rate.clamp(1.0, 4.0)),
                fitted: Mutex::default(),
            }),
            misses,
            turn: Turn::Resting(Instant::now()),
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it is held leaves a list of whole entries, or a time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Speed {
    /// Fits it to the number of tasks that wait for an answer.
    async fn fit(
        &self,
        ctx: &Context,
        running: &Running,
        dataset: &Dataset,
    ) -> Result<(), LedgerError> {
        let fresh = |at: Instant| at.elapsed() < FITTED;
        if lock(&self.fitted).is_some_and(fresh) {
            return Ok(());
        }
        let followed = ctx.ledger.tasks_followed().await?;
        let sends_there = |name: &FolderName| {
            let folder = running.config.folders.get(name);
            // One that is not in the configuration any more: its tasks are asked
            // about in whichever dataset took them.
            folder.is_none_or(|folder| folder.dataset == dataset.name)
        };
        let mine = followed.iter().filter(|(name, _)| sends_there(name));
        let waiting = mine.map(|(_, tasks)| tasks).sum();
        self.bucket
            .set_rate(poll_rate::rate(waiting, dataset.polls_per_second));
        *lock(&self.fitted) = Some(Instant::now());
        Ok(())
    }
}

/// Asks about what is due; says how long until something is due again.
async fn poll_dataset(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    rate: &Speed,
    misses: &Mutex<Misses>,
) -> Duration {
    match poll_due(ctx, running, dataset, rate, misses).await {
        Ok(wait) => wait,
        Err(error) => {
            report::ledger_trouble(
                &error,
                "the ledger can't be used: no task is asked about until it can",
            );
            Duration::from_secs(5)
        }
    }
}

async fn poll_due(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    rate: &Speed,
    misses: &Mutex<Misses>,
) -> Result<Duration, LedgerError> {
    let now = ctx.world.clock.now();
    let limit = match admitted(ctx, dataset) {
        Admit::Go => AT_ONCE * 4,
        Admit::Probe(_) => 1,
        Admit::Wait(until) | Admit::Halted(until) => {
            return Ok(until.map_or(LOOK_EVERY, |at| at.since(now)).max(LOOK_EVERY));
        }
    };
    let due = ctx
        .ledger
        .due_polls(dataset.name.clone(), now, limit)
        .await?;
    if due.is_empty() {
        let next = ctx.ledger.next_poll_at(dataset.name.clone()).await?;
        return Ok(next.map_or(IDLE, |at| at.since(now)).min(IDLE));
    }
    rate.fit(ctx, running, dataset).await?;
    // The route is not on a query's way: any will do.
    let route = Route {
        folder: due[0].folder.clone(),
        media: Media::Text,
    };
    let fingerprints = running.fingerprints(&dataset.name, &route);
    let mut asking = FuturesUnordered::new();
    let mut recording = FuturesUnordered::new();
    let mut held = Held::default();
    let mut hold = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    let mut held_until = None;
    let mut probe = false;
    let together = together(dataset.polls_per_second);
    let tasks = due.len();
    for (n, task) in due.into_iter().enumerate() {
        let mut turn = std::pin::pin!(async {
            if n % together == 0 {
                rate.bucket.take(together.min(tasks - n) as f64).await;
            }
            ctx.pausing.none().await;
        });
        // Those under way go on meanwhile: a query leaves when its turn is
        // there, and not when its round is complete.
        loop {
            if held.until != held_until {
                held_until = held.until;
                hold.as_mut().reset(held_until.unwrap_or_else(Instant::now));
            }
            tokio::select! {
                () = &mut turn, if asking.len() < AT_ONCE => break,
                Some(answered) = asking.next(), if !asking.is_empty() => held.put(answered),
                Some(recorded) = recording.next(), if !recording.is_empty() => recorded?,
                () = &mut hold, if held.until.is_some() => held.enough = true,
            }
            recording.extend(held.take().into_iter().map(|one| record(ctx, running, one)));
        }
        if !Arc::ptr_eq(running, &ctx.running()) {
            // A reload: another poller has begun, with the settings of now.
            break;
        }
        match admitted(ctx, dataset) {
            Admit::Go => {}
            Admit::Probe(_) if ctx.ledger.poll_may_go(task.id, ctx.world.moment()).await? => {
                probe = true;
            }
            Admit::Probe(_) | Admit::Wait(_) | Admit::Halted(_) => break,
        }
        asking.push(ask(ctx, running, dataset, task, misses, &fingerprints));
    }
    while let Some(answered) = asking.next().await {
        held.put(answered);
        recording.extend(held.take().into_iter().map(|one| record(ctx, running, one)));
    }
    recording.extend(held.all.into_iter().map(|one| record(ctx, running, one)));
    while let Some(recorded) = recording.next().await {
        recorded?;
    }
    if probe {
        // The gate may be open now: uploads that wait for it need not look.
        ctx.uploads.notify_one();
    }
    Ok(Duration::ZERO)
}

/// Answers that wait for others, so that a commit is shared: an answer that a
/// crash takes is asked for again.
#[derive(Default)]
struct Held<'a> {
    all: Vec<Answered<'a>>,
    /// When the first of them has waited long enough.
    until: Option<Instant>,
    enough: bool,
}

impl<'a> Held<'a> {
    fn put(&mut self, answered: Answered<'a>) {
        // What may close a gate waits for nobody, and is recorded behind those
        // that came before it.
        self.enough |= answered.pausing.is_some();
        self.until.get_or_insert_with(|| Instant::now() + HOLD);
        self.all.push(answered);
    }

    /// All of them, if it is time.
    fn take(&mut self) -> Vec<Answered<'a>> {
        if !std::mem::take(&mut self.enough) {
            return Vec::new();
        }
        self.until = None;
        std::mem::take(&mut self.all)
    }
}

/// How many queries leave together at so many a second: as many as have their
/// turn within [`TOGETHER`], and no more than may be under way.
fn together(polls_per_second: f64) -> usize {
    let turns = polls_per_second * TOGETHER.as_secs_f64();
    // Below the bucket's burst, too.
    (turns.clamp(1.0, 4.0)) as usize
}

/// What the gates before a query say.
fn admitted(ctx: &Context, dataset: &Dataset) -> Admit {
    let gates = ctx.ledger.gates();
    if gates.is_empty() {
        return Admit::Go;
    }
    admit_query(&dataset.name, &gates, ctx.world.clock.now())
}

/// A query that was answered, and not recorded yet.
struct Answered<'a> {
    due: DuePoll,
    polled: Polled,
    /// While it may close a gate.
    pausing: Option<Recording<'a>>,
}

async fn ask<'a>(
    ctx: &'a Context,
    running: &Running,
    dataset: &Dataset,
    due: DuePoll,
    misses: &Mutex<Misses>,
    fingerprints: &Arc<Fingerprints>,
) -> Answered<'a> {
    let mut trail = Trail::default();
    let mut to: Option<String> = None;
    let judgement = loop {
        let outcome = running
            .api
            .query(&dataset.key, &due.task, to.as_deref())
            .await;
        let judgement = running.config.errors.judge(Call::Query, &outcome, trail);
        match judgement.verdict {
            Verdict::Follow(_, next) => to = Some(next),
            _ => break judgement,
        }
        trail.hops += 1;
    };
    let pausing = judgement.pause.map(|_| ctx.pausing.begin());
    let judgement = lock(misses).weigh(due.id, judgement);
    let polled = Polled {
        id: due.id,
        judgement,
        fingerprints: fingerprints.clone(),
    };
    failpoint!("poll.answered");
    Answered {
        due,
        polled,
        pausing,
    }
}

async fn record(
    ctx: &Context,
    running: &Arc<Running>,
    answered: Answered<'_>,
) -> Result<(), LedgerError> {
    let Answered {
        due,
        polled,
        pausing,
    } = answered;
    let at = ctx.world.moment();
    let recorded = ctx.ledger.polled(polled, at, &running.policies).await;
    drop(pausing);
    match recorded {
        Ok(finished) => {
            failpoint!("poll.recorded");
            ctx.catch_up(running).await?;
            report::polled(ctx, &due, at.now, &finished);
            let ended = finished.state.kind().is_final();
            ctx.live.asked(&due.dataset, &finished.judgement, ended);
            if ended {
                ctx.live.tasks.record(at.now.since(due.submitted_at));
            }
            if ended {
                // Copies of it may lie in other folders, and end with it.
                if running.touches_sources {
                    ctx.sources.notify_one();
                }
            } else if matches!(finished.state, State::Queued { .. }) {
                ctx.uploads.notify_one();
            }
            Ok(())
        }
        // Moved on by an operator while the answer was on its way.
        Err(LedgerError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
