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
use super::upload::admit::{Admit, admit};
use super::upload::bucket::Bucket;
use crate::config::valid::Dataset;
use crate::domain::answer::{Call, Outcome};
use crate::domain::error_table::{Trail, Verdict};
use crate::domain::gate::GateKey;
use crate::ledger::{DueTask, LedgerError, Polled};

/// Queries under way at once, for each dataset.
const AT_ONCE: usize = 8;

/// Runs one poller for each dataset until `stop`.
pub async fn run(ctx: Arc<Context>, stop: CancellationToken) -> Result<(), TaskFailure> {
    let mut rates: Vec<(Arc<Dataset>, Arc<Bucket>)> = Vec::new();
    loop {
        let mut woken = std::pin::pin!(ctx.polls.notified());
        woken.as_mut().enable();
        let running = ctx.running();
        follow_settings(&mut rates, &running);
        let round = rates.iter().map(|(dataset, bucket)| poll_dataset(&ctx, &running, dataset, bucket));
        let waits = tokio::select! {
            waits = futures_util::future::join_all(round) => waits,
            // A query cut off by a stop is asked again after the next start.
            () = stop.cancelled() => return Ok(()),
        };
        let wait = waits.into_iter().min().unwrap_or(Duration::from_secs(60));
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = &mut woken => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn follow_settings(rates: &mut Vec<(Arc<Dataset>, Arc<Bucket>)>, running: &Running) {
    let datasets = &running.config.datasets;
    rates.retain(|(old, _)| datasets.get(&old.name).is_some_and(|now| Arc::ptr_eq(now, old)));
    for dataset in datasets.values() {
        if !rates.iter().any(|(known, _)| Arc::ptr_eq(known, dataset)) {
            let rate = dataset.polls_per_second;
            rates.push((dataset.clone(), Arc::new(Bucket::new(rate, rate.clamp(1.0, 4.0)))));
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
    let way = [GateKey::Service, GateKey::Dataset(dataset.name.clone())];
    let now = ctx.world.clock.now();
    let admitted = admit(&way, &ctx.ledger.gates(), &Default::default(), now);
    let probe = match admitted {
        Admit::Go => false,
        Admit::Probe(_) => true,
        Admit::Wait(until) => return Ok(until.map_or(LOOK_EVERY, |at| at.since(now)).max(LOOK_EVERY)),
    };
    let limit = if probe { 1 } else { AT_ONCE * 4 };
    let due = ctx.ledger.due_polls(dataset.name.clone(), now, limit).await?;
    if due.is_empty() {
        let next = ctx.ledger.next_poll_at(dataset.name.clone()).await?;
        return Ok(next.map_or(Duration::from_secs(60), |at| at.since(now)));
    }
    let mut asking = FuturesUnordered::new();
    for task in due {
        rate.take(1.0).await;
        if !probe && admit(&way, &ctx.ledger.gates(), &Default::default(), now) != Admit::Go {
            break;
        }
        while asking.len() >= AT_ONCE {
            asking.next().await.unwrap_or(Ok(()))?;
        }
        asking.push(poll(ctx, running, dataset, task, probe));
    }
    while let Some(asked) = asking.next().await {
        asked?;
    }
    Ok(Duration::ZERO)
}

async fn poll(
    ctx: &Arc<Context>,
    running: &Arc<Running>,
    dataset: &Arc<Dataset>,
    due: DueTask,
    probe: bool,
) -> Result<(), LedgerError> {
    let Some(folder) = running.config.folders.get(&due.folder) else {
        // Its folder left the configuration: it stays as it is until the
        // folder is back. Asked again in an hour, so that it doesn't block.
        return ctx.ledger.postpone_poll(due.id, Duration::from_secs(3600), ctx.world.clock.now()).await;
    };
    let mut trail = Trail::default();
    let mut to: Option<String> = None;
    let (status, judgement) = loop {
        let outcome = running.api.query(&dataset.key, &due.task, to.as_deref()).await;
        let judgement = running.config.errors.judge(Call::Query, &outcome, trail);
        match judgement.verdict {
            Verdict::Follow(_, next) => to = Some(next),
            _ => break (status_of(&outcome), judgement),
        }
        trail.hops += 1;
    };
    let way = [
        GateKey::Service,
        GateKey::Dataset(dataset.name.clone()),
        GateKey::Route(folder.route(due.media)),
    ];
    let polled = Polled {
        id: due.id,
        task: due.task.clone(),
        http_status: status,
        probe,
        fingerprints: way.clone().map(|key| running.config.gate_fingerprint(&key)),
        way,
        judgement,
        at: ctx.world.moment(),
        policy: folder.policy.clone(),
    };
    let finished = ctx.ledger.polled(polled.clone()).await?;
    report::polled(&due, &polled, &finished);
    ctx.sources.notify_one();
    if !finished.state.is_final() {
        ctx.uploads.notify_one();
    }
    Ok(())
}

fn status_of(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answer(answer) => Some(answer.status),
        Outcome::NoConnection { .. } | Outcome::Broken { .. } => None,
    }
}
