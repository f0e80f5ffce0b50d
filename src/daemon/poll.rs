//! Follows each task to its end: asks about those that are due, never faster
//! than the dataset's rate.
//!
//! Must not: keep a task in memory beyond the batch it works on, or judge an
//! answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::context::{Context, LOOK_EVERY, Running};
use super::report;
use super::supervise::TaskFailure;
use super::upload::admit::{Admit, admit, query_way};
use super::upload::bucket::Bucket;
use crate::config::valid::Dataset;
use crate::domain::answer::Call;
use crate::domain::error_table::{Trail, Verdict};
use crate::domain::ids::Route;
use crate::domain::media::Media;
use crate::domain::state::State;
use crate::failpoint::failpoint;
use crate::ledger::{DuePoll, LedgerError, Polled};

/// Queries under way at once, for each dataset.
const AT_ONCE: usize = 8;

/// How long it rests where no task is followed.
const IDLE: Duration = Duration::from_secs(60);

/// Runs one poller for each dataset until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    let mut rates: Vec<(Arc<Dataset>, Arc<Bucket>)> = Vec::new();
    loop {
        let mut woken = std::pin::pin!(ctx.polls.notified());
        woken.as_mut().enable();
        let running = ctx.running();
        follow_settings(&mut rates, &running);
        let round = rates
            .iter()
            .map(|(dataset, bucket)| poll_dataset(&ctx, &running, dataset, bucket));
        let waits = tokio::select! {
            waits = futures_util::future::join_all(round) => waits,
            // A query cut off by a stop is asked again after the next start.
            () = stop.cancelled() => return Ok(()),
        };
        let wait = waits.into_iter().min().unwrap_or(IDLE);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = &mut woken => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn follow_settings(rates: &mut Vec<(Arc<Dataset>, Arc<Bucket>)>, running: &Running) {
    let datasets = &running.config.datasets;
    rates.retain(|(old, _)| {
        datasets
            .get(&old.name)
            .is_some_and(|now| Arc::ptr_eq(now, old))
    });
    for dataset in datasets.values() {
        if !rates.iter().any(|(known, _)| Arc::ptr_eq(known, dataset)) {
            let rate = dataset.polls_per_second;
            rates.push((
                dataset.clone(),
                Arc::new(Bucket::new(rate, rate.clamp(1.0, 4.0))),
            ));
        }
    }
}

/// Asks about what is due; says how long until something is due again.
async fn poll_dataset(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    rate: &Bucket,
) -> Duration {
    match poll_due(ctx, running, dataset, rate).await {
        Ok(wait) => wait,
        Err(error) => {
            tracing::error!(%error, "the ledger can't be used: no task is asked about until it can");
            Duration::from_secs(5)
        }
    }
}

async fn poll_due(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    rate: &Bucket,
) -> Result<Duration, LedgerError> {
    let now = ctx.world.clock.now();
    let limit = match admitted(ctx, dataset) {
        Admit::Go => AT_ONCE * 4,
        Admit::Probe(_) => 1,
        Admit::Wait(until) => {
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
    let mut asking = FuturesUnordered::new();
    for task in due {
        rate.take(1.0).await;
        match admitted(ctx, dataset) {
            Admit::Go => {}
            Admit::Probe(_) if ctx.ledger.poll_may_go(task.id, ctx.world.moment()).await? => {}
            Admit::Probe(_) | Admit::Wait(_) => break,
        }
        while asking.len() >= AT_ONCE {
            asking.next().await.unwrap_or(Ok(()))?;
        }
        asking.push(poll(ctx, running, dataset, task));
    }
    while let Some(asked) = asking.next().await {
        asked?;
    }
    Ok(Duration::ZERO)
}

/// What the gates before a query say.
fn admitted(ctx: &Context, dataset: &Dataset) -> Admit {
    admit(
        &query_way(&dataset.name),
        &ctx.ledger.gates(),
        &Default::default(),
        ctx.world.clock.now(),
    )
}

async fn poll(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    due: DuePoll,
) -> Result<(), LedgerError> {
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
    // The route is not on a query's way: any will do.
    let route = Route {
        folder: due.folder.clone(),
        media: Media::Text,
    };
    let polled = Polled {
        id: due.id,
        judgement,
        fingerprints: running.fingerprints(&dataset.name, &route),
    };
    let at = ctx.world.moment();
    failpoint!("poll.answered");
    match ctx.ledger.polled(polled, at, &running.policies).await {
        Ok(finished) => {
            failpoint!("poll.recorded");
            report::polled(&due, at.now, &finished);
            if finished.state.kind().is_final() {
                ctx.sources.notify_one();
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
