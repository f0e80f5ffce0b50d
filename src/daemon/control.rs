//! What the outside asks of a running daemon: stop, reload, scan now.
//!
//! Must not: let a bad configuration replace a good one, or drop an upload for
//! a reload.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::{Context, Running};
use super::service_manager;
use super::signals::{Listener, Request};
use super::supervise::TaskFailure;
use super::upload::job::Stop;
use crate::config::valid::Config;
use crate::config::{self, ConfigErrors, Severity};
use crate::ledger::Ledger;
use crate::view::dropped;

/// Runs until the stop has been seen through.
pub async fn run(
    ctx: Arc<Context>,
    mut listener: Listener,
    stop: Stop,
    config_path: Option<PathBuf>,
) -> Result<(), TaskFailure> {
    loop {
        let request = tokio::select! {
            request = listener.requests.recv() => request.unwrap_or(Request::Stop),
            () = stop.drain.cancelled() => Request::Stop,
        };
        match request {
            Request::Stop => break,
            Request::Rescan => {
                tracing::info!("scanning all folders");
                ctx.folders.rescan_all();
            }
            Request::Reload => match &config_path {
                Some(path) => {
                    service_manager::reloading();
                    reload(&ctx, path).await;
                    service_manager::ready();
                }
                None => tracing::warn!("this run has no configuration file to reload"),
            },
        }
    }
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

async fn reload(ctx: &Arc<Context>, path: &Path) {
    let owned = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&owned)).await;
    let loaded = match loaded {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(errors)) => return refuse(&errors),
        Err(error) => return tracing::error!(%error, "the configuration could not be loaded"),
    };
    for warning in loaded
        .warnings
        .iter()
        .filter(|p| p.severity == Severity::Warning)
    {
        tracing::warn!("{warning}");
    }
    let before = ctx.running();
    let changes = config::diff(&before.config, &loaded.config);
    if changes.is_empty() {
        tracing::info!("configuration reloaded: nothing has changed");
    }
    for change in &changes {
        tracing::info!("configuration reloaded: {change}");
    }
    if loaded.config.ledger != before.config.ledger {
        tracing::warn!("another ledger takes a restart; going on with the old one");
    }
    let api = match super::api(&loaded.config.service, &ctx.world) {
        Ok(api) => api,
        Err(error) => {
            return tracing::error!(%error, "configuration refused; the old one stays in force");
        }
    };
    if let Err(error) = ctx.folders.apply(&loaded.config) {
        return tracing::error!(%error, "the folders could not all be taken over; restart the daemon");
    }
    ctx.replace(Running::new(loaded.config, api));
    match ctx
        .ledger
        .settings_are(ctx.running().all_fingerprints())
        .await
    {
        Ok(opened) => {
            for gate in opened {
                tracing::info!(%gate, "gate opened: its settings have changed");
            }
        }
        Err(error) => tracing::error!(%error, "the gates could not be looked through"),
    }
    ctx.wake_all();
    tell_dropped(&ctx.ledger, &ctx.running().config).await;
}

/// Logs what of the ledger's work the configuration leaves behind.
pub async fn tell_dropped(ledger: &Ledger, config: &Config) {
    match ledger.counts().await {
        Ok(counts) => {
            for left in dropped::dropped(config, &counts) {
                tracing::warn!("{left}; {}", dropped::REMEDY);
            }
        }
        Err(error) => tracing::error!(%error, "the ledger can't be asked what is left behind"),
    }
}

fn refuse(errors: &ConfigErrors) {
    for problem in &errors.problems {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
            Severity::Note => tracing::debug!("{problem}"),
        }
    }
    tracing::error!("configuration refused; the old one stays in force");
}
