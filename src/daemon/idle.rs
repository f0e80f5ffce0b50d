//! Ends a `scan` run: when every folder was scanned, nothing is settling, and
//! nothing in the ledger is due, or will be soon, that could go.
//!
//! Must not: end while a file is on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::intake::Question;
use super::supervise::TaskFailure;
use crate::domain::admit::{Admit, admit_query, admit_upload, way};
use crate::domain::media::Media;
use crate::domain::time::Timestamp;
use crate::ledger::{Ledger, LedgerError, PickRequest};
use crate::watch::WatchStatus;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// Cancels `stop` when nothing is left to do. What waits for longer than
/// `patience` (a closed gate, a long backoff, a folder that is offline) is left
/// for the next run.
pub async fn run(
    ctx: Arc<Context>,
    intake: mpsc::Sender<Question>,
    stop: CancellationToken,
    patience: Duration,
) -> Result<(), TaskFailure> {
    let began = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        // A writer who has not closed his file by then is left to the next run.
        let but_written = began.elapsed() >= patience;
        if scanned(&ctx)
            && intake_is_idle(&intake, but_written).await
            && ledger_is_idle(&ctx, patience).await?
        {
            stop.cancel();
            return Ok(());
        }
    }
}

/// Every folder that is there was scanned from end to end.
fn scanned(ctx: &Context) -> bool {
    let scanned = |s: &WatchStatus| s.checked && !s.scanning && (s.scans > 0 || !s.online);
    ctx.folders
        .status()
        .iter()
        .all(|(_, status)| scanned(status))
}

/// The intake answers when it has looked through all that came before.
async fn intake_is_idle(intake: &mpsc::Sender<Question>, but_written: bool) -> bool {
    let (tell, answer) = oneshot::channel();
    let question = Question { but_written, tell };
    intake.send(question).await.is_ok() && answer.await.unwrap_or(false)
}

async fn ledger_is_idle(ctx: &Context, patience: Duration) -> Result<bool, LedgerError> {
    let soon = ctx.world.clock.now().plus(patience);
    holds_still(&ctx.ledger, nothing_goes(ctx, soon)).await
}

/// What several questions answered, if nothing was recorded meanwhile: a file that
/// moves on between two of them is seen by none.
async fn holds_still(
    ledger: &Ledger,
    questions: impl Future<Output = Result<bool, LedgerError>>,
) -> Result<bool, LedgerError> {
    let commits = ledger.commits();
    Ok(questions.await? && ledger.commits() == commits)
}

/// Nothing is on its way that could go until `soon`.
async fn nothing_goes(ctx: &Context, soon: Timestamp) -> Result<bool, LedgerError> {
    if ctx.ledger.pending(soon).await?.uploading > 0 {
        return Ok(false);
    }
    let running = ctx.running();
    for dataset in running.config.datasets.keys() {
        let next = ctx.ledger.next_poll_at(dataset.clone()).await?;
        if next.is_some_and(|at| at <= soon)
            && may_go(&admit_query(dataset, &ctx.ledger.gates(), soon))
        {
            return Ok(false);
        }
    }
    for folder in running.config.folders.values() {
        if ctx.folders.online_root(&folder.name).is_none() {
            continue;
        }
        for route in Media::ALL.map(|media| folder.route(media)) {
            let admitted = admit_upload(
                &way(&route, &folder.dataset),
                &ctx.ledger.gates(),
                &ctx.ledger.halts(),
                &Default::default(),
                soon,
            );
            if !may_go(&admitted) {
                continue;
            }
            for big in [false, true] {
                let pick = PickRequest {
                    route: route.clone(),
                    now: soon,
                    limit: 1,
                    big,
                };
                if !ctx.ledger.pick(pick).await?.is_empty() {
                    return Ok(false);
                }
            }
        }
    }
    let now = ctx.world.clock.now();
    if ctx.ledger.notices_due(now).await? {
        return Ok(false);
    }
    if !ctx
        .ledger
        .due_source_actions(now, 1, Vec::new())
        .await?
        .is_empty()
    {
        return Ok(false);
    }
    // A commit is counted just after it can be seen. So what it has begun is the last
    // question: if that has moved on since, its own commit was counted.
    Ok(ctx.ledger.pending(soon).await?.uploading == 0)
}

fn may_go(admitted: &Admit) -> bool {
    // While a probe is out it is too early to say.
    !matches!(admitted, Admit::Wait(Some(_)) | Admit::Halted(_))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn answers_between_which_something_was_recorded_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_owner(&dir.path().join("ledger.sqlite")).unwrap();
        let still = holds_still(&ledger, async { Ok(true) });
        assert!(still.await.unwrap());
        let no = holds_still(&ledger, async { Ok(false) });
        assert!(!no.await.unwrap());
        let moved = holds_still(&ledger, async {
            ledger.seen_at(Timestamp(1)).await?;
            Ok(true)
        });
        assert!(!moved.await.unwrap());
    }
}
