//! The daemon: the only place that spawns. [`run`] wires everything together
//! and returns when it has stopped.
//!
//! Each stage is a task under one supervisor: [`intake`] settles and queues
//! what the folders show, [`express`] takes a file just dropped past all that wait, [`upload`] sends it, [`poll`] follows the tasks,
//! [`source`] moves or deletes sources, [`attention`] looks whether bad ends need
//! anybody still, [`hooks`] tells who wants to know,
//! [`control`] hears signals and reloads, [`mod@cancel`] has tasks deleted,
//! [`idle`] ends a `scan` run when nothing is left to do, [`showing`] tells
//! people what is going on. They meet in the
//! ledger; the bells between them ([`context`]) are hints.
//!
//! Must not: decide about a file, or read the command line.

pub mod attention;
pub mod cancel;
pub mod clock;
pub mod context;
pub mod control;
pub mod express;
pub mod folders;
pub mod hooks;
pub mod housekeeping;
pub mod idle;
pub mod intake;
pub mod last_good;
pub mod owner_sign;
pub mod poll;
pub mod pushes;
pub mod repeats;
pub mod report;
pub mod sentry;
pub mod service_manager;
pub mod showing;
pub mod signals;
pub mod sorting;
pub mod source;
pub mod starting;
pub mod supervise;
pub mod upload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::context::{Context, Running};
use self::folders::Folders;
use self::supervise::{Supervisor, TaskEnded, TaskFailure};
use self::upload::job::Stop;
use self::upload::room::Room;
use crate::api::client::{HttpApi, Proxying, Settings, SetupError};
use crate::config::WithoutSecrets;
use crate::config::valid::{Config, ProxyChoice, Service};
use crate::ledger::{IfLost, LedgerError};
use crate::ports::{ImportApi, World};
use crate::watch::{CannotStart, Outlets};
use crate::web::{self, opening::Doors};

/// How a run of the daemon differs from another.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Read again on SIGHUP.
    pub config_path: Option<PathBuf>,
    /// What of that file is kept beside the ledger, for commands; `None`: nothing.
    pub kept: Option<WithoutSecrets>,
    /// End when nothing is due or waiting for longer than this.
    pub until_idle: Option<Duration>,
    /// What is done where the ledger is gone and was there before.
    pub if_lost: IfLost,
    /// Ends it from within the process, as SIGTERM does.
    pub stop: CancellationToken,
    /// Told where the page is, once the port is open.
    pub listening: Option<fn(SocketAddr)>,
}

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The HTTP client can't be built.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A folder can't be watched.
    #[error(transparent)]
    Watch(#[from] CannotStart),
    /// Signals can't be heard.
    #[error("signals can't be listened to: {0}")]
    Signals(std::io::Error),
    /// A task ended that should not have.
    #[error(transparent)]
    Task(#[from] TaskEnded),
}

/// Sightings that wait for the intake, in batches: bounded, so that a scan of
/// a million files waits for the ledger and not in memory.
const SIGHTINGS: usize = 16;

/// How long after the grace period the tasks may take to end: what is on the
/// wire is cut off then, and recorded.
const AFTER_GRACE: Duration = Duration::from_secs(3);

/// Runs the daemon until it is asked to stop, or one of its tasks dies.
pub async fn run(config: Config, options: Options) -> Result<(), DaemonError> {
    let mut listener = signals::listen().map_err(DaemonError::Signals)?;
    let world = World::real();
    let mut waiting = starting::Waiting::new(&mut listener);
    let opened = waiting
        .until(async || starting::open(&config.ledger, options.if_lost, &world).await)
        .await?;
    let Some((ledger, minder)) = opened else {
        return Ok(());
    };
    if let (Some(path), Some(kept)) = (&options.config_path, options.kept) {
        let now = world.clock.now();
        last_good::keep(path.clone(), kept, config.ledger.clone(), now).await;
    }
    let api = api(&config.service, &world)?;
    let running = Running::new(config, api);

    let looked_through = waiting
        .until(async || {
            let recovered = ledger.recover(world.moment(), &running.policies).await?;
            report::recovered(recovered);
            ledger.settings_are(running.all_fingerprints()).await
        })
        .await?;
    let Some(opened) = looked_through else {
        ledger.close().await;
        return Ok(());
    };
    for gate in opened {
        tracing::info!(%gate, "gate opened: its settings have changed");
    }

    control::tell_dropped(&ledger, &running.config).await;

    let (events, seen_events) = mpsc::channel(SIGHTINGS);
    let (scans, seen_scans) = mpsc::channel(SIGHTINGS);
    let (ask_intake, questions) = mpsc::channel(1);
    let inlets = intake::Inlets {
        events: seen_events,
        scans: seen_scans,
        questions,
    };
    let places = ledger.places().await?;
    // Who waits for the end of all asks the intake and the ledger alone.
    let room = Arc::new(Room::default());
    let (entrance, inlet) = express::entrance(room.clone(), events.clone());
    let outlets = Outlets {
        single: match options.until_idle {
            None => Some(entrance),
            Some(_) => None,
        },
        events,
        scans,
    };
    let folders = Folders::start(&running.config, places, outlets, world.clone())?;
    // One at a time, and one that waits.
    let (ask_reload, reloads) = mpsc::channel(1);
    let ctx = Arc::new(Context::new(
        ledger, world, folders, running, room, ask_reload,
    ));

    let stop = Stop {
        drain: options.stop.clone(),
        cut: CancellationToken::new(),
    };
    let mut tasks = Supervisor::new(stop.drain.clone());
    tasks.spawn(
        "intake",
        intake::run(ctx.clone(), inlets, stop.drain.clone()),
    );
    tasks.spawn("express", express::run(ctx.clone(), inlet, stop.clone()));
    tasks.spawn("upload", upload::dispatch::run(ctx.clone(), stop.clone()));
    tasks.spawn("poll", poll::run(ctx.clone(), stop.drain.clone()));
    tasks.spawn("source", source::run(ctx.clone(), stop.drain.clone()));
    tasks.spawn("attention", attention::run(ctx.clone(), stop.drain.clone()));
    tasks.spawn("hooks", hooks::run(ctx.clone(), stop.drain.clone()));
    tasks.spawn("pushes", pushes::run(ctx.clone(), stop.drain.clone()));
    let of_watches = ctx.clone();
    let broken = async move { of_watches.folders.broken().await };
    tasks.spawn("watch", watched(broken, stop.drain.clone()));
    tasks.spawn(
        "control",
        control::run(
            ctx.clone(),
            control::Asked { listener, reloads },
            stop.clone(),
            options.config_path.clone(),
        ),
    );
    if let Some(patience) = options.until_idle {
        tasks.spawn(
            "idle",
            idle::run(ctx.clone(), ask_intake, stop.drain.clone(), patience),
        );
    }
    let doors = Doors::default();
    let openings = showing::open(&ctx.running().config, &doors);
    let showing = web::run(ctx.clone(), openings, doors, options.listening);
    // What an earlier run has left, in every stage.
    ctx.wake_all();
    service_manager::ready();
    // Only now: it tells the service manager how things are.
    tasks.spawn(
        "housekeeping",
        housekeeping::run(ctx.clone(), minder, stop.drain.clone()),
    );
    tracing::info!(
        folders = ctx.running().config.folders.len(),
        ledger = %ctx.running().config.ledger.display(),
        service = %ctx.running().config.service.base_url,
        "running"
    );

    // Told until the end: also while what is on the wire is finished.
    let grace = || ctx.running().config.shutdown_grace + AFTER_GRACE;
    let ended = tokio::select! {
        ended = tasks.run(grace) => ended,
        () = showing => Ok(()),
    };
    ctx.folders.stop();
    // Nothing is on the wire any more: what the grace period cut off is settled
    // now, so that the next start does not take it for the trace of a crash.
    if ended.is_ok() {
        let policies = ctx.running().policies.clone();
        match ctx.ledger.recover(ctx.world.moment(), &policies).await {
            Ok(cut_off) => report::cut_off(cut_off),
            Err(error) => tracing::debug!(%error, "what was cut off is settled at the next start"),
        }
    }
    ctx.ledger.clone().close().await;
    ctx.folders.stopped().await;
    ended?;
    tracing::info!("stopped");
    Ok(())
}

/// Ends with an error when a folder's watch does: `broken`.
async fn watched(
    broken: impl Future<Output = ()>,
    stop: CancellationToken,
) -> Result<(), TaskFailure> {
    tokio::select! {
        // At a stop the intake ends, and with it the watches: both may be ready.
        biased;
        () = stop.cancelled() => Ok(()),
        () = broken => Err("the watch of a folder ended; its panic is above".into()),
    }
}

/// The client of the service, as the settings say.
pub fn api(service: &Service, world: &World) -> Result<Arc<dyn ImportApi>, SetupError> {
    let settings = Settings {
        base_url: service.base_url.clone(),
        query_path: service.query_path.clone(),
        delete_path: service.delete_path.clone(),
        // `check` has refused it for hosts that are not named.
        allow_plain_http: true,
        extra_ca_pem: service.authorities.as_ref().map(|a| a.pem.clone()),
        proxy: match &service.proxy {
            ProxyChoice::Environment => Proxying::Environment,
            ProxyChoice::Straight => Proxying::Straight,
            ProxyChoice::Named(proxy) => Proxying::Through(proxy.with_login()),
        },
        connect_timeout: service.connect_timeout,
        stall_timeout: service.stall_timeout,
        answer_timeout: service.answer_timeout,
        idle_timeout: service.idle_timeout,
    };
    Ok(Arc::new(HttpApi::new(settings, world.clone())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_that_ends_at_a_stop_is_no_fault() {
        let stop = CancellationToken::new();
        stop.cancel();
        // Both are ready at once: an unbiased choice errs in half of the rounds.
        for _ in 0..64 {
            assert!(watched(std::future::ready(()), stop.clone()).await.is_ok());
        }
        let running = CancellationToken::new();
        assert!(watched(std::future::ready(()), running).await.is_err());
    }
}
