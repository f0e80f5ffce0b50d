//! What every task of the daemon has at hand: the ledger, the world, what runs
//! now, and the bells by which tasks wake each other.
//!
//! A bell is a hint: whoever is woken looks into the ledger. A lost one costs
//! a second, never a file. Must not: hold a file's state.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::folders::Folders;
use super::pushes::Pushed;
use super::repeats::Lines;
use super::upload::pausing::Pausing;
use super::upload::room::Room;
use super::upload::twins::Twins;
use crate::config::valid::Config;
use crate::domain::gate::GateKey;
use crate::domain::ids::{DatasetName, Route};
use crate::domain::lifecycle::{AfterSuccess, OnReject, Policy};
use crate::domain::media::Media;
use crate::ledger::{Fingerprints, Ledger, LedgerError, Policies};
use crate::live::Live;
use crate::ports::{ImportApi, World};
use crate::view::reload::Reloaded;

/// Shared by all tasks.
pub struct Context {
    /// The ledger.
    pub ledger: Ledger,
    /// Time and chance.
    pub world: World,
    /// The drop folders, watched.
    pub folders: Folders,
    /// What is going on, for people.
    pub live: Arc<Live>,
    /// Log lines that may come a thousand at a time.
    pub lines: Lines,
    /// Wakes the uploader: something was queued, or may go again.
    pub uploads: Notify,
    /// Wakes the poller: something was submitted.
    pub polls: Notify,
    /// Wakes the task that moves and deletes sources.
    pub sources: Notify,
    /// What the service has pushed.
    pub pushed: Pushed,
    /// Wakes the task that tells hooks: the configuration may be another.
    pub hooks: Notify,
    /// Wakes the task that sorts what an operator wants sorted again.
    pub unsorted: Notify,
    /// Wakes the task that looks whether bad ends need anybody still.
    pub attention: Notify,
    /// Answers that may close a gate and are not in the ledger yet.
    pub pausing: Pausing,
    /// What there is room for on the wire.
    pub room: Arc<Room>,
    /// Large files that are sent before their content is known.
    pub twins: Arc<Twins>,
    /// Asks for a reload, as SIGHUP does, and for what came of it.
    pub reloads: mpsc::Sender<AskReload>,
    now: watch::Sender<Arc<Running>>,
}

/// Where the outcome of a reload goes.
pub type AskReload = oneshot::Sender<Reloaded>;

/// What a reload replaces as a whole.
pub struct Running {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The service.
    pub api: Arc<dyn ImportApi>,
    /// The policies of all folders, as the ledger wants them.
    pub policies: Arc<Policies>,
    /// Whether any folder's files are moved or deleted when they have ended.
    pub touches_sources: bool,
}

impl Context {
    /// Puts it together.
    pub fn new(
        ledger: Ledger,
        world: World,
        folders: Folders,
        running: Running,
        room: Arc<Room>,
        reloads: mpsc::Sender<AskReload>,
    ) -> Context {
        let live = Arc::new(Live::new(world.clock.now()));
        Context {
            ledger,
            world,
            folders,
            live,
            lines: Lines::default(),
            uploads: Notify::new(),
            polls: Notify::new(),
            sources: Notify::new(),
            pushed: Pushed::default(),
            hooks: Notify::new(),
            unsorted: Notify::new(),
            attention: Notify::new(),
            pausing: Pausing::default(),
            room,
            twins: Arc::default(),
            reloads,
            now: watch::Sender::new(Arc::new(running)),
        }
    }

    /// What is in force now. Work under way keeps what it began with.
    pub fn running(&self) -> Arc<Running> {
        self.now.borrow().clone()
    }

    /// Puts another configuration in force and wakes everybody.
    pub fn replace(&self, running: Running) {
        self.now.send_replace(Arc::new(running));
        self.wake_all();
    }

    /// Opens again what an answer closed under settings that a reload has
    /// replaced since: the reload looked through the gates before.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub async fn catch_up(&self, judged_under: &Arc<Running>) -> Result<(), LedgerError> {
        let running = self.running();
        if Arc::ptr_eq(&running, judged_under) {
            return Ok(());
        }
        let opened = self.ledger.settings_are(running.all_fingerprints()).await?;
        if !opened.is_empty() {
            self.wake_all();
        }
        Ok(())
    }

    /// Rings every bell.
    pub fn wake_all(&self) {
        self.uploads.notify_one();
        self.polls.notify_one();
        self.sources.notify_one();
        self.hooks.notify_one();
        self.unsorted.notify_one();
        self.attention.notify_one();
    }
}

impl Running {
    /// What `config` amounts to, with a client of the service made for it.
    pub fn new(config: Config, api: Arc<dyn ImportApi>) -> Running {
        let policies = config
            .folders
            .values()
            .map(|f| (f.name.clone(), f.policy.clone()));
        let touches = |p: &Policy| p.after != AfterSuccess::Keep || p.on_reject != OnReject::Keep;
        let touches_sources = config.folders.values().any(|f| touches(&f.policy));
        let listeners = config.folders.values().flat_map(|f| f.listeners());
        let listeners = listeners.collect();
        let policies = Policies::new(policies.collect()).with_listeners(listeners);
        let policies = Arc::new(policies);
        Running {
            config: Arc::new(config),
            api,
            policies,
            touches_sources,
        }
    }

    /// What the settings behind the gates on a route's way are.
    pub fn fingerprints(&self, dataset: &DatasetName, route: &Route) -> Arc<Fingerprints> {
        let of = |key: GateKey| self.config.gate_fingerprint(&key);
        Arc::new(Fingerprints {
            service: of(GateKey::Service),
            dataset: of(GateKey::Dataset(dataset.clone())),
            route: of(GateKey::Route(route.clone())),
        })
    }

    /// Every gate that the configuration knows, with the fingerprint of the
    /// settings behind it.
    pub fn all_fingerprints(&self) -> Vec<(GateKey, String)> {
        let config = &self.config;
        let datasets = config.datasets.keys().cloned().map(GateKey::Dataset);
        let routes = config
            .folders
            .values()
            .flat_map(|folder| Media::ALL.map(|media| GateKey::Route(folder.route(media))));
        std::iter::once(GateKey::Service)
            .chain(datasets)
            .chain(routes)
            .map(|key| {
                let fingerprint = config.gate_fingerprint(&key);
                (key, fingerprint)
            })
            .collect()
    }
}

/// How often a task looks for itself, should a bell be lost, and how soon an
/// operator's change to the ledger is seen.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
