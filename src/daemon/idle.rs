//! Ends a `scan` run: when every folder was scanned, nothing is settling, and
//! nothing in the ledger is due or will be soon.
//!
//! Must not: end while a file is on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::supervise::TaskFailure;
use crate::ledger::LedgerError;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// Cancels `stop` when nothing is left to do. What waits for longer than
/// `patience` (a closed gate, a long backoff) is left for the next run.
pub async fn run(
    ctx: Arc<Context>,
    stop: CancellationToken,
    patience: Duration,
) -> Result<(), TaskFailure> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        if nothing_left(&ctx, patience).await? {
            stop.cancel();
            return Ok(());
        }
    }
}

async fn nothing_left(ctx: &Context, patience: Duration) -> Result<bool, LedgerError> {
    // In this order: what leaves the folders has reached the ledger by the
    // time that the ledger is asked.
    if !ctx.folders.scanned() || ctx.folders.settling() > 0 {
        return Ok(false);
    }
    let now = ctx.world.clock.now();
    let pending = ctx.ledger.pending(now.plus(patience)).await?;
    let stuck = stuck(ctx, now.plus(patience)).await?;
    Ok(pending.uploading == 0
        && pending.submitted_due == 0
        && pending.sources_due == 0
        && pending.queued_due <= stuck)
}
