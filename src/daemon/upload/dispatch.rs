//! Which file goes next. Takes what is due from the ledger, fairly over the
//! routes, as far as gates and lanes let it, and gives each to a worker.
//!
//! Files are handed to workers a little ahead of the lanes, so that the commit
//! of one batch runs while the batch before it is on the wire. How far ahead
//! is bounded, and so is memory. Must not: judge an answer, or change a state.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admit::{Admit, admit, way};
use super::lane::Lanes;
use super::worker::{self, Job};
use crate::config::valid::{Dataset, Folder};
use crate::daemon::context::{Context, LOOK_EVERY, Running};
use crate::daemon::supervise::{TaskFailure, panic_text};
use crate::domain::gate::GateKey;
use crate::domain::ids::{DatasetName, FileId, Route};
use crate::domain::lifecycle::OnUnconfirmed;
use crate::domain::media::Media;
use crate::ledger::{LedgerError, PickRequest, Queued};

/// Files taken from the ledger at a time, for each route and size class.
const BATCH: usize = 128;

/// Small files prepared ahead of the wire, for each lane, and at most.
const AHEAD_PER_LANE: usize = 4;
const AHEAD_MOST: usize = 64;

/// How the two ends of a stop are told apart.
#[derive(Clone)]
pub struct Stop {
    /// Take no new file; what is on the wire goes on.
    pub drain: CancellationToken,
    /// The grace period is over: leave the wire.
    pub cut: CancellationToken,
}

/// Runs until everything under way has ended after `stop.drain`.
pub async fn run(ctx: Arc<Context>, stop: Stop) -> Result<(), TaskFailure> {
    let mut dispatcher = Dispatcher {
        ctx,
        stop,
        workers: JoinSet::new(),
        in_flight: HashMap::new(),
        shelves: HashMap::new(),
        lanes: HashMap::new(),
        probed: HashSet::new(),
        turn: 0,
        troubled_until: None,
    };
    dispatcher.run().await
}

/// A size class of a route: its files wait in the order in which they are due.
type ShelfKey = (Route, Size);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Size {
    Small,
    Big,
}

/// What was taken from the ledger for one size class of a route.
#[derive(Default)]
struct Shelf {
    files: VecDeque<Queued>,
    /// The ledger had nothing more, and nothing has happened since.
    exhausted: bool,
}

struct InFlight {
    dataset: DatasetName,
    size: Size,
    probes: Vec<GateKey>,
}

struct Dispatcher {
    ctx: Arc<Context>,
    stop: Stop,
    workers: JoinSet<FileId>,
    in_flight: HashMap<FileId, InFlight>,
    shelves: HashMap<ShelfKey, Shelf>,
    lanes: HashMap<DatasetName, (Arc<Dataset>, Arc<Lanes>)>,
    /// Gates whose probe is under way.
    probed: HashSet<GateKey>,
    /// Where the next round begins, so that no route is always first.
    turn: usize,
    /// The ledger could not be read or written: nothing new until then.
    troubled_until: Option<Instant>,
}

impl Dispatcher {
    async fn run(&mut self) -> Result<(), TaskFailure> {
        let ctx = self.ctx.clone();
        loop {
            // Armed before the look, so that no bell is lost in between.
            let mut woken = std::pin::pin!(ctx.uploads.notified());
            woken.as_mut().enable();
            let draining = self.stop.drain.is_cancelled();
            if draining && self.workers.is_empty() {
                return Ok(());
            }
            let look_again = if draining {
                None
            } else {
                Some(self.fill().await)
            };
            tokio::select! {
                Some(ended) = self.workers.join_next_with_id(), if !self.workers.is_empty() => {
                    self.ended(ended.map(|(_, id)| id))?;
                    while let Some(ended) = self.workers.try_join_next() {
                        self.ended(ended)?;
                    }
                }
                () = &mut woken => self.look_everywhere(),
                () = sleep_until(look_again), if look_again.is_some() => self.look_everywhere(),
                () = self.stop.drain.cancelled(), if !draining => {}
            }
        }
    }

    fn look_everywhere(&mut self) {
        for shelf in self.shelves.values_mut() {
            shelf.exhausted = false;
        }
    }

    fn ended(&mut self, ended: Result<FileId, tokio::task::JoinError>) -> Result<(), TaskFailure> {
        let id = ended.map_err(|error| format!("an upload panicked: {}", panic_text(error)))?;
        if let Some(was) = self.in_flight.remove(&id) {
            for gate in was.probes {
                self.probed.remove(&gate);
            }
        }
        Ok(())
    }

    /// Starts as many workers as may be started; says when to look again.
    async fn fill(&mut self) -> Instant {
        let tick = Instant::now() + LOOK_EVERY;
        if let Some(until) = self.troubled_until {
            if until > Instant::now() {
                return until;
            }
            self.troubled_until = None;
        }
        let running = self.ctx.running();
        self.follow_settings(&running);
        let mut next = None;
        for dataset in running.config.datasets.values() {
            match self.fill_dataset(&running, dataset).await {
                Ok(wait) => next = earliest(next, wait),
                Err(error) => {
                    tracing::error!(%error, "the ledger can't be used: no file is sent until it can");
                    let until = Instant::now() + Duration::from_secs(5);
                    self.troubled_until = Some(until);
                    return until;
                }
            }
        }
        next.map_or(tick, |wait| tick.min(Instant::now() + wait))
    }

    /// Lanes for each dataset of the configuration in force.
    fn follow_settings(&mut self, running: &Running) {
        let datasets = &running.config.datasets;
        self.lanes.retain(|name, (dataset, _)| {
            datasets
                .get(name)
                .is_some_and(|now| Arc::ptr_eq(now, dataset))
        });
        for (name, dataset) in datasets {
            if !self.lanes.contains_key(name) {
                let lanes = (dataset.clone(), Lanes::new(dataset));
                self.lanes.insert(name.clone(), lanes);
            }
        }
    }

    async fn fill_dataset(
        &mut self,
        running: &Arc<Running>,
        dataset: &Arc<Dataset>,
    ) -> Result<Option<Duration>, LedgerError> {
        let Some((_, lanes)) = self.lanes.get(&dataset.name) else {
            return Ok(None);
        };
        let lanes = lanes.clone();
        let folders: Vec<&Arc<Folder>> = running
            .config
            .folders
            .values()
            .filter(|f| f.dataset == dataset.name)
            .collect();
        let turns: Vec<(&Arc<Folder>, Media, Size)> = folders
            .iter()
            .flat_map(|folder| Media::ALL.map(|media| (*folder, media)))
            .flat_map(|(folder, media)| [(folder, media, Size::Small), (folder, media, Size::Big)])
            .collect();
        let mut next = None;
        let mut idle = 0;
        while idle < turns.len() {
            let (folder, media, size) = turns[self.turn % turns.len()];
            self.turn = self.turn.wrapping_add(1);
            idle += 1;
            if !self.room(dataset, &lanes, folder, size) {
                continue;
            }
            let route = folder.route(media);
            let way = way(&route, &dataset.name);
            let now = self.ctx.world.clock.now();
            let probes = match admit(&way, &self.ctx.ledger.gates(), &self.probed, now) {
                Admit::Go => Vec::new(),
                Admit::Probe(gates) => gates,
                Admit::Wait(until) => {
                    next = earliest(next, until.map(|until| until.since(now)));
                    continue;
                }
            };
            let Some(root) = self.ctx.folders.online_root(&folder.name) else {
                continue;
            };
            let Some(file) = self.take(&route, size).await? else {
                continue;
            };
            idle = 0;
            self.probed.extend(probes.iter().cloned());
            let id = file.id;
            let job = Job {
                ctx: self.ctx.clone(),
                running: running.clone(),
                stop: self.stop.clone(),
                file,
                folder: folder.clone(),
                dataset: dataset.clone(),
                root,
                media,
                lanes: lanes.clone(),
                way,
            };
            self.in_flight.insert(
                id,
                InFlight {
                    dataset: dataset.name.clone(),
                    size,
                    probes,
                },
            );
            self.workers.spawn(async move {
                worker::carry(job).await;
                id
            });
        }
        Ok(next)
    }

    /// Whether one more file of this size may be under way.
    fn room(&self, dataset: &Dataset, lanes: &Lanes, folder: &Folder, size: Size) -> bool {
        let mine = || {
            self.in_flight
                .values()
                .filter(|f| f.dataset == dataset.name)
        };
        let limit = lanes.limit();
        match size {
            Size::Big => {
                mine().filter(|f| f.size == Size::Big).count() < lanes.big_limit()
                    && mine().count() < limit + AHEAD_MOST
            }
            // Recording ahead of the wire means that a crash leaves some files
            // in doubt that were never sent: not where doubt means a person.
            Size::Small if folder.policy.unconfirmed == OnUnconfirmed::Hold => {
                mine().count() < limit
            }
            Size::Small => mine().count() < limit + (limit * AHEAD_PER_LANE).min(AHEAD_MOST),
        }
    }

    /// The next due file of a route and size class that is not under way.
    async fn take(&mut self, route: &Route, size: Size) -> Result<Option<Queued>, LedgerError> {
        let shelf = self.shelves.entry((route.clone(), size)).or_default();
        if shelf.files.is_empty() && !shelf.exhausted {
            let pick = PickRequest {
                route: route.clone(),
                now: self.ctx.world.clock.now(),
                // Those under way are still queued there until they begin.
                limit: BATCH + self.in_flight.len(),
                big: size == Size::Big,
            };
            let picked = self.ctx.ledger.pick(pick).await?;
            shelf.files = picked
                .into_iter()
                .filter(|f| !self.in_flight.contains_key(&f.id))
                .collect();
            shelf.exhausted = shelf.files.is_empty();
        }
        Ok(shelf.files.pop_front())
    }
}

fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
