//! Small things that come round, each second if need be (`sentry` says when):
//! changes that an operator's command made to the ledger from outside, a clock
//! that was set, signs of life for systemd, a line of status, and a word about
//! each gate that closes or opens, and each operator's pause.
//!
//! Must not: do a file's work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::Minder;
use super::context::{Context, LOOK_EVERY};
use super::supervise::TaskFailure;
use super::{sentry, service_manager};
use crate::config::Machine;
use crate::domain::gate::GateKey;
use crate::domain::halt::{Halt, HaltScope};
use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;
use crate::ledger::Count;
use crate::view::gate::at_once;
use crate::watch::{Offline, WatchStatus};

/// How often systemd gets a new line of status.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How often the key files are looked at.
const KEYS_EVERY: Duration = Duration::from_secs(30);

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
    let mut keys = tokio::spawn(look_at_keys(ctx.clone()));
    let mut keys_due = Instant::now() + KEYS_EVERY;
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
        if keys.is_finished() && keys_due <= Instant::now() {
            keys_due = Instant::now() + KEYS_EVERY;
            keys = tokio::spawn(look_at_keys(ctx.clone()));
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

/// Looks whether the key files hold what was read of them. Nothing is read anew
/// by itself; but who has changed one wants to know that.
async fn look_at_keys(ctx: Arc<Context>) {
    let running = ctx.running();
    let datasets: Vec<_> = running.config.datasets.values().cloned().collect();
    let look = move || {
        let stale = datasets.iter().filter(|d| d.key_has_changed(&Machine));
        stale.map(|d| d.name.clone()).collect::<BTreeSet<_>>()
    };
    let Ok(stale) = tokio::task::spawn_blocking(look).await else {
        return;
    };
    for dataset in ctx.live.stale_keys_are(stale) {
        tracing::warn!(
            %dataset,
            "the key file of dataset {dataset} changed on disk; the former key stays in use until a reload: `systemctl reload supametas-sync`"
        );
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
                "paused: {}{}", shown_text(&closed.why, 300), at_once(closed.lifts)
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
    let now = ctx.world.clock.now();
    let (Ok(pending), Ok(counts)) = (ctx.ledger.pending(now).await, ctx.ledger.counts().await)
    else {
        return;
    };
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
    let gates = ctx.ledger.gates();
    let closed = gates.iter().filter_map(|(key, gate)| {
        let closed = gate.closed()?;
        Some(format!("{key} ({})", closed.code))
    });
    let halts = ctx.ledger.halts();
    let paused = halts.iter().filter(|(_, halt)| halt.holds(now));
    let folders = ctx.folders.status();
    let mute = |s: &WatchStatus| s.offline_why == Some(Offline::NotAnswering);
    let away = |is_mute: bool| {
        let away = folders.iter().filter(|(_, s)| s.checked && !s.online);
        away.filter(move |(_, s)| mute(s) == is_mute)
            .map(|(name, _)| name.to_string())
    };
    let attention: u64 = counts.iter().map(Count::needing_attention).sum();
    for (what, names) in [
        ("gates closed", named(closed)),
        (
            "paused by an operator",
            named(paused.map(|(scope, _)| scope.to_string())),
        ),
        ("folders offline", named(away(false))),
        ("folders not answering", named(away(true))),
        (
            "keys changed on disk",
            named(ctx.live.stale_keys().iter().map(ToString::to_string)),
        ),
    ] {
        if let Some(names) = names {
            line.push_str(&format!("; {what}: {names}"));
        }
    }
    if attention > 0 {
        line.push_str(&format!("; files that need attention: {attention}"));
    }
    service_manager::status(&line);
}

/// Names that are told in one line, at most.
const NAMED: usize = 5;

/// How many, and the first of them; `None`: there are none.
fn named(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    let more = match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    (!names.is_empty()).then(|| format!("{} ({}{more})", names.len(), first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_first_of_many() {
        let names = |n: usize| named((1..=n).map(|n| format!("f{n}")));
        assert_eq!(names(0), None);
        assert_eq!(names(2).as_deref(), Some("2 (f1, f2)"));
        assert_eq!(
            names(7).as_deref(),
            Some("7 (f1, f2, f3, f4, f5 and 2 more)")
        );
    }
}
