//! What the outside asks of a running daemon: stop, reload, scan now.
//!
//! Must not: let a bad configuration replace a good one, or drop an upload for
//! a reload.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::context::{AskReload, Context, Running};
use super::last_good;
use super::service_manager;
use super::signals::{Listener, Request};
use super::supervise::TaskFailure;
use super::upload::job::Stop;
use crate::config::valid::Config;
use crate::config::{self, Problem, Severity};
use crate::domain::naming::shown;
use crate::ledger::{Count, Ledger, LedgerError, Places};
use crate::ports::BoxFuture;
use crate::view::dropped;
use crate::view::reload::Reloaded;
use crate::view::standing::left_behind;

/// Where the outside asks.
pub struct Asked {
    /// Signals.
    pub listener: Listener,
    /// Reloads that want to hear what came of them.
    pub reloads: mpsc::Receiver<AskReload>,
}

/// Runs until the stop has been seen through.
pub async fn run(
    ctx: Arc<Context>,
    asked: Asked,
    stop: Stop,
    config_path: Option<PathBuf>,
) -> Result<(), TaskFailure> {
    let Asked {
        mut listener,
        mut reloads,
    } = asked;
    // The reload under way, and who waits for its outcome.
    let mut reloading: Option<(BoxFuture<'_, Reloaded>, Option<AskReload>)> = None;
    let mut again = false;
    loop {
        if reloading.is_none() && std::mem::take(&mut again) {
            reloading = Some((Box::pin(reload(&ctx, config_path.as_deref())), None));
        }
        let request = tokio::select! {
            // A stop beats a reload, which may wait for a file system.
            biased;
            () = stop.drain.cancelled() => Request::Stop,
            request = listener.requests.recv() => request.unwrap_or(Request::Stop),
            outcome = ended(&mut reloading) => {
                if let (_, Some(asked)) = reloading.take().unzip()
                    && let Some(asked) = asked
                {
                    // Whoever asked may have gone away; the log has it.
                    let _ = asked.send(outcome);
                }
                continue;
            }
            Some(asked) = reloads.recv(), if reloading.is_none() => {
                let reload = Box::pin(reload(&ctx, config_path.as_deref()));
                reloading = Some((reload, Some(asked)));
                continue;
            }
        };
        match request {
            Request::Stop => break,
            Request::Rescan => {
                tracing::info!("scanning all folders");
                ctx.folders.rescan_all();
                ctx.attention.notify_one();
            }
            // Once more after the one under way: the file may be another now.
            Request::Reload => again = true,
        }
    }
    drop(reloading);
    let grace = ctx.running().config.shutdown_grace;
    tracing::info!(
        grace_s = grace.as_secs(),
        "stopping: what is on the wire is finished"
    );
    service_manager::stopping();
    stop.drain.cancel();
    // A task of its own: this one ends now, so that nobody waits out the grace
    // period when nothing is on the wire. A second signal ends the process
    // from the listener's own thread, which the detached task keeps alive.
    tokio::spawn(async move {
        tokio::time::sleep(grace).await;
        stop.cut.cancel();
        drop(listener);
    });
    Ok(())
}

/// Waits for the reload under way; for ever where there is none.
async fn ended(reloading: &mut Option<(BoxFuture<'_, Reloaded>, Option<AskReload>)>) -> Reloaded {
    match reloading {
        Some((reload, _)) => reload.await,
        None => std::future::pending().await,
    }
}

/// Reloads, and logs what came of it.
async fn reload(ctx: &Arc<Context>, path: Option<&Path>) -> Reloaded {
    service_manager::reloading();
    let outcome = match path {
        Some(path) => load(ctx, path).await,
        None => {
            let why = "this run has no configuration file to reload";
            Reloaded::refused(String::new(), why)
        }
    };
    // Only now: who sees the line finds it so.
    tell(&outcome);
    service_manager::ready();
    outcome
}

fn tell(outcome: &Reloaded) {
    for warning in &outcome.warnings {
        tracing::warn!("{warning}");
    }
    if !outcome.done {
        for problem in &outcome.problems {
            tracing::error!("{problem}");
        }
        tracing::error!("configuration refused; the old one stays in force");
        return;
    }
    for change in outcome.changed.iter().chain(&outcome.at_restart) {
        tracing::info!("configuration reloaded: {change}");
    }
    if outcome.changed.is_empty() && outcome.at_restart.is_empty() {
        tracing::info!("configuration reloaded: nothing has changed");
    }
    for gate in &outcome.opened {
        tracing::info!(%gate, "gate opened: its settings have changed");
    }
    for left in &outcome.left_behind {
        tracing::warn!("{}", left.why);
    }
}

async fn load(ctx: &Arc<Context>, path: &Path) -> Reloaded {
    let name = shown(path.as_os_str().as_bytes());
    let owned = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&owned)).await;
    let mut loaded = match loaded {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(errors)) => {
            let (problems, warnings): (Vec<_>, Vec<_>) = errors
                .problems
                .iter()
                .filter(|p| p.severity != Severity::Note)
                .partition(|p| p.severity == Severity::Error);
            let said = |all: Vec<&Problem>| all.iter().map(ToString::to_string).collect();
            return Reloaded {
                problems: said(problems),
                warnings: said(warnings),
                ..Reloaded::refused(name, "")
            };
        }
        Err(error) => {
            return Reloaded::refused(name, format!("it could not be loaded: {error}"));
        }
    };
    let before = ctx.running();
    let at_restart = config::at_restart(&before.config, &loaded.config);
    let mut changed = config::diff(&before.config, &loaded.config);
    changed.retain(|change| !at_restart.contains(change));
    let moved = loaded.config.ledger != before.config.ledger;
    // What waits for a restart stays as it is until then, also in what is said.
    loaded.config.ledger = before.config.ledger.clone();
    loaded.config.log = before.config.log.clone();
    loaded.config.http.listen = before.config.http.listen.clone();
    let api = match super::api(&loaded.config.service, &ctx.world) {
        Ok(api) => api,
        Err(error) => return Reloaded::refused(name, error.to_string()),
    };
    if let Err(error) = ctx.folders.apply(&loaded.config) {
        let why = format!("the folders could not all be taken over; restart the daemon: {error}");
        return Reloaded::refused(name, why);
    }
    let warnings = loaded.warnings.iter();
    let mut warnings: Vec<String> = warnings
        .filter(|p| p.severity == Severity::Warning)
        .map(ToString::to_string)
        .collect();
    if moved {
        warnings.push(format!(
            "another ledger takes a restart; the daemon goes on with {}, while commands look at the new place: restart it, or change the ledger back",
            shown(before.config.ledger.as_os_str().as_bytes())
        ));
    }
    let (ledger, now) = (loaded.config.ledger.clone(), ctx.world.clock.now());
    ctx.replace(Running::new(loaded.config, api));
    last_good::keep(path.to_owned(), loaded.kept, ledger, now).await;
    // Read just now.
    ctx.live.stale_keys_are(BTreeSet::new());
    let running = ctx.running();
    let opened = match ctx.ledger.settings_are(running.all_fingerprints()).await {
        Ok(opened) => opened.iter().map(ToString::to_string).collect(),
        Err(error) => {
            warnings.push(format!("the gates could not be looked through: {error}"));
            Vec::new()
        }
    };
    ctx.wake_all();
    let left_behind = match known(&ctx.ledger).await {
        Ok((counts, places)) => left_behind(&running.config, &counts, &places),
        Err(error) => {
            warnings.push(format!(
                "the ledger can't be asked what is left behind: {error}"
            ));
            Vec::new()
        }
    };
    Reloaded {
        done: true,
        config: name,
        changed,
        at_restart,
        opened,
        left_behind,
        warnings,
        problems: Vec::new(),
    }
}

/// What the ledger has of each folder, and where each folder was.
async fn known(ledger: &Ledger) -> Result<(Vec<Count>, Places), LedgerError> {
    Ok((ledger.counts().await?, ledger.places().await?))
}

/// Logs what of the ledger's work the configuration leaves behind.
pub async fn tell_dropped(ledger: &Ledger, config: &Config) {
    match known(ledger).await {
        Ok((counts, places)) => {
            for left in dropped::dropped(config, &counts, &places) {
                tracing::warn!("{left}; {}", left.remedy());
            }
        }
        Err(error) => tracing::error!(%error, "the ledger can't be asked what is left behind"),
    }
}
