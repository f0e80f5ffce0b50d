//! Which file goes next. Takes what is due from the ledger, fairly over the
//! routes, as far as gates and lanes let it, and gives each to a worker.
//!
//! Files are handed to workers ahead of the lanes ([`Lanes::slot`]), so that the
//! commit of one batch runs while the batch before it is on the wire. How far
//! ahead is bounded, and so is memory. Must not: judge an answer, or change a state.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::carried::Carried;
use super::job::{Job, Stop};
use super::lane::{Lanes, Size};
use super::worker;
use crate::config::valid::{Dataset, Folder};
use crate::daemon::context::{Context, LOOK_EVERY, Running};
use crate::daemon::report;
use crate::daemon::supervise::{TaskFailure, panic_text};
use crate::domain::admit::{Admit, admit_upload, way};
use crate::domain::gate::GateKey;
use crate::domain::ids::{FileId, Route};
use crate::domain::lifecycle::OnUnconfirmed;
use crate::domain::media::Media;
use crate::domain::time::Timestamp;
use crate::ledger::{Fingerprints, LedgerError, PickRequest, Queued};

/// Files taken from the ledger at a time, for each route and size class.
const BATCH: usize = 256;

/// Workers at once, those included that only wait for their answer to be
/// recorded.
const WORKERS: usize = 512;

/// How long nothing new is begun when the ledger can't be used.
const LEDGER_TROUBLE: Duration = Duration::from_secs(5);

/// The longest time without a look, when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// Runs until everything under way has ended after `stop.drain`.
pub async fn run(ctx: Arc<Context>, stop: Stop) -> Result<(), TaskFailure> {
    let mut dispatcher = Dispatcher {
        ctx,
        stop,
        workers: JoinSet::new(),
        in_flight: HashMap::new(),
        desks: Vec::new(),
        running: None,
        probed: HashSet::new(),
        looked: Instant::now(),
        troubled_until: None,
    };
    dispatcher.run().await
}

/// One route's files of one size class, and what was taken from the ledger for
/// it: they wait there in the order in which they are due.
struct Shelf {
    folder: Arc<Folder>,
    route: Route,
    way: [GateKey; 3],
    fingerprints: Arc<Fingerprints>,
    size: Size,
    files: VecDeque<Queued>,
    /// The ledger had nothing more, and nothing has happened since.
    exhausted: bool,
}

/// What belongs to one dataset.
struct Desk {
    dataset: Arc<Dataset>,
    lanes: Arc<Lanes>,
    shelves: Vec<Shelf>,
    /// Where the next round begins, so that no route is always first.
    turn: usize,
}

/// A desk, and a shelf of it.
type Place = (usize, usize);

/// Whether a file was given to a worker.
enum Started {
    Yes,
    /// Its folder is not there.
    Offline,
    /// As many as may be are under way.
    NoRoom,
}

struct Dispatcher {
    ctx: Arc<Context>,
    stop: Stop,
    /// Each ends with its file, and how far that got.
    workers: JoinSet<(FileId, Carried)>,
    /// Files under way, with the gates that each probes.
    in_flight: HashMap<FileId, Vec<GateKey>>,
    desks: Vec<Desk>,
    /// What the desks were made for.
    running: Option<Arc<Running>>,
    /// Gates whose probe is under way.
    probed: HashSet<GateKey>,
    /// When all shelves were last looked at again.
    looked: Instant,
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
                Some(ended) = self.workers.join_next(), if !self.workers.is_empty() => {
                    self.ended(ended)?;
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
        self.looked = Instant::now();
        for shelf in self.desks.iter_mut().flat_map(|desk| &mut desk.shelves) {
            shelf.exhausted = false;
        }
    }

    fn ended(
        &mut self,
        ended: Result<(FileId, Carried), tokio::task::JoinError>,
    ) -> Result<(), TaskFailure> {
        let (id, carried) =
            ended.map_err(|error| format!("an upload panicked: {}", panic_text(error)))?;
        if carried == Carried::Unrecorded {
            self.troubled_until = Some(Instant::now() + LEDGER_TROUBLE);
        }
        for gate in self.in_flight.remove(&id).unwrap_or_default() {
            self.probed.remove(&gate);
        }
        if self.workers.is_empty() {
            // The last look before a long rest: this end may have queued
            // others, such as copies of a file that was not sent after all.
            self.look_everywhere();
        }
        Ok(())
    }

    /// Starts as many workers as may be started; says when to look again.
    async fn fill(&mut self) -> Instant {
        if let Some(until) = self.troubled_until {
            if until > Instant::now() {
                return until;
            }
            self.troubled_until = None;
        }
        if self.looked.elapsed() >= LOOK_EVERY {
            // Also while files end so fast that the loop never sleeps: what has
            // become due on another route must not wait for that to stop.
            self.look_everywhere();
        }
        let running = self.ctx.running();
        self.follow_settings(&running);
        match self.fill_desks(&running).await {
            Ok(wait) => Instant::now() + wait,
            Err(error) => {
                report::ledger_trouble(
                    &error,
                    "the ledger can't be used: no file is sent until it can",
                );
                let until = Instant::now() + LEDGER_TROUBLE;
                self.troubled_until = Some(until);
                until
            }
        }
    }

    /// A desk for each dataset of the configuration in force.
    fn follow_settings(&mut self, running: &Arc<Running>) {
        if self
            .running
            .as_ref()
            .is_some_and(|was| Arc::ptr_eq(was, running))
        {
            return;
        }
        self.running = Some(running.clone());
        let room = &self.ctx.room;
        room.follow(running.config.datasets.values());
        self.desks.clear();
        for dataset in running.config.datasets.values() {
            let Some(lanes) = room.lanes(&dataset.name) else {
                continue;
            };
            let mine = running
                .config
                .folders
                .values()
                .filter(|f| f.dataset == dataset.name);
            self.desks.push(Desk {
                dataset: dataset.clone(),
                lanes,
                shelves: mine.flat_map(|folder| shelves(running, folder)).collect(),
                turn: 0,
            });
        }
    }

    /// Fills all lanes; says how long until there may be more to do.
    async fn fill_desks(&mut self, running: &Arc<Running>) -> Result<Duration, LedgerError> {
        // Read before the shelves are stocked: what becomes due meanwhile is
        // after it, so it can't fall between the look and the rest.
        let now = self.ctx.world.clock.now();
        let mut next = None;
        for desk in 0..self.desks.len() {
            next = earliest(next, self.fill_desk(running, desk).await?);
        }
        let wait = if self.workers.is_empty() {
            // Idle: until something becomes due.
            let due = self.ctx.ledger.next_due(now).await?;
            earliest(next, due.map(|due| due.since(now)))
                .unwrap_or(IDLE)
                .min(IDLE)
        } else {
            next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
        };
        // What is due in this very millisecond is looked for in the next one.
        Ok(wait.max(Duration::from_millis(1)))
    }

    /// One file of each shelf in turn, until the lanes are full or nothing is
    /// left that may go.
    async fn fill_desk(
        &mut self,
        running: &Arc<Running>,
        desk: usize,
    ) -> Result<Option<Duration>, LedgerError> {
        let mut next = None;
        let mut idle = 0;
        let shelves = self.desks[desk].shelves.len();
        while idle < shelves && self.workers.len() < WORKERS {
            idle += 1;
            let turn = self.desks[desk].turn;
            self.desks[desk].turn = (turn + 1) % shelves;
            self.stock(desk, turn).await?;
            let shelf = &self.desks[desk].shelves[turn];
            if shelf.files.is_empty() {
                continue;
            }
            let now = self.ctx.world.clock.now();
            let (place, probes) = match self.admitted(shelf, now) {
                Admit::Go => ((desk, turn), Vec::new()),
                Admit::Probe(gates) => match self.choose_probe(&gates).await? {
                    Some(chosen) => chosen,
                    None => continue,
                },
                Admit::Wait(until) => {
                    // A probe rings the bell when it is back; this is for one that
                    // is lost.
                    let wait = until.map_or(LOOK_EVERY, |until| until.since(now));
                    next = earliest(next, Some(wait));
                    continue;
                }
                // Whoever resumes it rings the bell.
                Admit::Halted(until) => {
                    next = earliest(next, until.map(|until| until.since(now)));
                    continue;
                }
            };
            // Asked after the gates: one that a reload has just opened must not
            // let a file out under the settings that had closed it.
            if !Arc::ptr_eq(running, &self.ctx.running()) {
                return Ok(Some(Duration::ZERO));
            }
            match self.start(running, place, probes) {
                Started::Yes => idle = 0,
                // Nobody rings when it is there again, or for the first time.
                Started::Offline => next = earliest(next, Some(LOOK_EVERY)),
                Started::NoRoom => {}
            }
        }
        Ok(next)
    }

    fn admitted(&self, shelf: &Shelf, now: Timestamp) -> Admit {
        let ledger = &self.ctx.ledger;
        let (gates, halts) = (ledger.gates(), ledger.halts());
        admit_upload(&shelf.way, &gates, &halts, &self.probed, now)
    }

    /// The file that is to probe these gates: the smallest of those next in line
    /// behind them, brought to the front of its shelf. All others wait for its
    /// answer, whatever their dataset, and that takes as long as its bytes do.
    async fn choose_probe(
        &mut self,
        gates: &[GateKey],
    ) -> Result<Option<(Place, Vec<GateKey>)>, LedgerError> {
        let now = self.ctx.world.clock.now();
        let mut best: Option<(u64, usize, Place, Vec<GateKey>)> = None;
        for desk in 0..self.desks.len() {
            for turn in 0..self.desks[desk].shelves.len() {
                let shelf = &mut self.desks[desk].shelves[turn];
                if !gates.iter().any(|gate| shelf.way.contains(gate)) {
                    continue;
                }
                // What was taken from the ledger while the gate was closed may
                // not be all that is due now.
                shelf.files.clear();
                shelf.exhausted = false;
                self.stock(desk, turn).await?;
                let shelf = &self.desks[desk].shelves[turn];
                let Admit::Probe(probes) = self.admitted(shelf, now) else {
                    continue;
                };
                let online = self.ctx.folders.online_root(&shelf.folder.name).is_some();
                let sizes = shelf.files.iter().map(|file| file.version.size);
                let smallest = sizes.enumerate().min_by_key(|(_, size)| *size);
                if let Some((at, size)) = smallest.filter(|_| online)
                    && best.as_ref().is_none_or(|(least, ..)| size < *least)
                {
                    best = Some((size, at, (desk, turn), probes));
                }
            }
        }
        Ok(best.map(|(_, at, (desk, turn), probes)| {
            self.desks[desk].shelves[turn].files.swap(0, at);
            ((desk, turn), probes)
        }))
    }

    /// Gives the first file of a shelf to a worker, if there is room for it.
    fn start(
        &mut self,
        running: &Arc<Running>,
        (desk, turn): Place,
        probes: Vec<GateKey>,
    ) -> Started {
        let Desk {
            dataset,
            lanes,
            shelves,
            ..
        } = &mut self.desks[desk];
        let shelf = &mut shelves[turn];
        let Some((root, local)) = self.ctx.folders.online_root(&shelf.folder.name) else {
            return Started::Offline;
        };
        // Recording ahead of the wire means that a crash leaves some files
        // in doubt that were never sent: not where doubt means a person.
        let ahead = shelf.folder.policy.unconfirmed != OnUnconfirmed::Hold;
        let size = shelf.files.front().map_or(0, |file| file.version.size);
        let Some(slot) = lanes.slot(shelf.size, size, ahead) else {
            return Started::NoRoom;
        };
        let Some(file) = shelf.files.pop_front() else {
            return Started::NoRoom;
        };
        let id = file.id;
        let job = Job {
            ctx: self.ctx.clone(),
            running: running.clone(),
            stop: self.stop.clone(),
            file,
            folder: shelf.folder.clone(),
            dataset: dataset.clone(),
            root,
            local,
            media: shelf.route.media,
            lanes: lanes.clone(),
            way: shelf.way.clone(),
            fingerprints: shelf.fingerprints.clone(),
            express: false,
        };
        self.probed.extend(probes.iter().cloned());
        self.in_flight.insert(id, probes);
        self.workers.spawn(async move {
            let carried = worker::carry(job, slot).await;
            (id, carried)
        });
        Started::Yes
    }

    /// Takes what is due from the ledger if the shelf is empty.
    async fn stock(&mut self, desk: usize, turn: usize) -> Result<(), LedgerError> {
        let shelf = &mut self.desks[desk].shelves[turn];
        if !shelf.files.is_empty() || shelf.exhausted {
            return Ok(());
        }
        let pick = PickRequest {
            route: shelf.route.clone(),
            now: self.ctx.world.clock.now(),
            // Those under way are still queued there until they begin.
            limit: BATCH + self.in_flight.len(),
            big: shelf.size == Size::Big,
        };
        let picked = self.ctx.ledger.pick(pick).await?;
        let fresh = |file: &Queued| !self.in_flight.contains_key(&file.id);
        shelf.files = picked.into_iter().filter(fresh).take(BATCH).collect();
        shelf.exhausted = shelf.files.is_empty();
        if shelf.size == Size::Small {
            self.ctx.room.waits(&shelf.route, !shelf.exhausted);
        }
        Ok(())
    }
}

/// The shelves of a folder: one for each media type and size class.
fn shelves(running: &Running, folder: &Arc<Folder>) -> impl Iterator<Item = Shelf> {
    Media::ALL.into_iter().flat_map(|media| {
        let route = folder.route(media);
        let fingerprints = running.fingerprints(&folder.dataset, &route);
        [Size::Small, Size::Big].map(|size| Shelf {
            folder: folder.clone(),
            way: way(&route, &folder.dataset),
            route: route.clone(),
            fingerprints: fingerprints.clone(),
            size,
            files: VecDeque::new(),
            exhausted: false,
        })
    })
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
