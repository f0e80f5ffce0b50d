//! Small things that come round, each second if need be (`sentry` says when):
//! changes that an operator's command made to the ledger from outside, a clock
//! that was set, signs of life for systemd, a line of status, and a word about
//! each gate that closes or opens, and each operator's pause.
//!
//! Must not: do a file's work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::Minder;
use super::context::{Context, LOOK_EVERY};
use super::supervise::TaskFailure;
use super::{sentry, service_manager};
use crate::domain::gate::GateKey;
use crate::domain::halt::{Halt, HaltScope};
use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;

/// How often systemd gets a new line of status.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// The longest time without a round, should a look from outside have missed
/// something.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub async fn run(
    ctx: Arc<Context>,
    mut minder: Minder,
    stop: CancellationToken,
) -> Result<(), TaskFailure> {
    let watchdog = service_manager::watchdog_interval();
    let told = service_manager::listens();
    let every = LOOK_EVERY.min(watchdog.unwrap_or(LOOK_EVERY));
    let longest = if told { STATUS_EVERY } else { LONGEST };
    let longest = longest.min(watchdog.unwrap_or(longest));
    let sentry = sentry::post(ctx.clone(), every, longest)?;
    let mut status_due = Instant::now();
    let mut closed = BTreeMap::new();
    let mut halted = BTreeMap::new();
    let trouble = ctx.ledger.trouble();
    let mut places = tokio::spawn(record_places(ctx.clone()));
    loop {
        tokio::select! {
            () = sentry.rung() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let refreshed = ctx.ledger.refresh_gates().await;
        // Nothing that is sent now could be remembered.
        if let Some(error) = trouble.borrow().as_ref().filter(|error| error.is_final()) {
            return Err(error.clone().into());
        }
        match refreshed {
            Ok(true) => ctx.wake_all(),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the ledger can't be looked at"),
        }
        match minder.look(&ctx.ledger, &*ctx.world.clock).await {
            Ok(true) => ctx.wake_all(),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the time can't be recorded"),
        }
        tell_gates(&ctx, &mut closed);
        tell_halts(&ctx, &mut halted);
        ctx.lines.sum_up(ctx.world.clock.now());
        if places.is_finished() && ctx.folders.has_new_places() {
            places = tokio::spawn(record_places(ctx.clone()));
        }
        // The round ran and the ledger's thread answered: that is being alive.
        if watchdog.is_some() {
            service_manager::alive();
        }
        if told && status_due <= Instant::now() {
            // Rounds come in steps of `every`: not just before it, and then
            // only the next time.
            status_due = Instant::now() + STATUS_EVERY.saturating_sub(every);
            tell_status(&ctx).await;
        }
    }
}

/// Records what the folders' directories are, so that the next start knows an
/// empty mount point when it sees one. Beside the ticks: a look at a network
/// file system may hang.
async fn record_places(ctx: Arc<Context>) {
    let looking = ctx.clone();
    let new = tokio::task::spawn_blocking(move || looking.folders.new_places()).await;
    for (name, identity, place) in new.unwrap_or_default() {
        if ctx
            .ledger
            .place_is(name.clone(), place.clone())
            .await
            .is_ok()
        {
            ctx.folders.place_recorded(name, identity, place);
        }
    }
}

/// One line when a gate closes or its time changes, one when it opens.
fn tell_gates(ctx: &Context, known: &mut BTreeMap<GateKey, Timestamp>) {
    let gates = ctx.ledger.gates();
    for (key, gate) in gates.iter() {
        let Some(closed) = gate.closed() else {
            continue;
        };
        if known.insert(key.clone(), closed.until) != Some(closed.until) {
            tracing::warn!(
                gate = %key, code = %closed.code, until = %closed.until,
                "paused: {}", shown_text(&closed.why, 300)
            );
        }
    }
    known.retain(|key, _| {
        let still = gates.get(key).is_some_and(|gate| gate.closed().is_some());
        if !still {
            tracing::info!(gate = %key, "going on: the gate is open");
        }
        still
    });
}

/// One line when an operator pauses something, one when that has ended.
fn tell_halts(ctx: &Context, known: &mut BTreeMap<HaltScope, Halt>) {
    let (halts, now) = (ctx.ledger.halts(), ctx.world.clock.now());
    for (scope, halt) in halts.iter().filter(|(_, halt)| halt.holds(now)) {
        if known.insert(scope.clone(), halt.clone()).as_ref() != Some(halt) {
            let until = halt.until.map(|until| until.to_string());
            tracing::warn!(
                %scope, who = %shown_text(&halt.who, 60), until = until.as_deref().unwrap_or("resumed"),
                "paused by an operator: {}", shown_text(halt.why.as_deref().unwrap_or("no reason given"), 300)
            );
        }
    }
    known.retain(|scope, _| {
        let still = halts.get(scope).is_some_and(|halt| halt.holds(now));
        if !still {
            tracing::info!(%scope, "going on: the operator's pause has ended");
        }
        still
    });
}

async fn tell_status(ctx: &Context) {
    let Ok(pending) = ctx.ledger.pending(ctx.world.clock.now()).await else {
        return;
    };
    let closed = ctx
        .ledger
        .gates()
        .values()
        .filter(|gate| gate.closed().is_some())
        .count();
    let offline = ctx
        .folders
        .status()
        .iter()
        .filter(|(_, s)| s.checked && !s.online)
        .count();
    let stuck = ctx
        .ledger
        .trouble()
        .borrow()
        .as_ref()
        .map(ToString::to_string);
    let mut line = stuck.map_or_else(String::new, |why| format!("STOPPED: {why}; "));
    line.push_str(&format!(
        "{} queued, {} uploading, {} at the service",
        pending.queued_due + pending.queued_later,
        pending.uploading,
        pending.submitted
    ));
    if closed > 0 {
        line.push_str(&format!("; gates closed: {closed}"));
    }
    let now = ctx.world.clock.now();
    let halts = ctx.ledger.halts();
    let paused = halts.values().filter(|halt| halt.holds(now)).count();
    if paused > 0 {
        line.push_str(&format!("; paused by an operator: {paused}"));
    }
    if offline > 0 {
        line.push_str(&format!("; folders offline: {offline}"));
    }
    service_manager::status(&line);
}
