//! A file that was renamed into its folder goes straight to the wire.
//!
//! Most files come alone and are wanted soon. Such a file needs no place in a
//! queue: it is looked at, sorted and read in one go, and its coming into the
//! ledger and the intent to send it are one transaction, so one wait for the disk.
//! Then it takes the next lane that is free, before what waits in other folders.
//!
//! Only a small file (one chunk) goes this way, and only where nothing small of
//! its folder waits, so that none is overtaken there. Anything else, also what turns
//! out to be more than this knows, goes the ordinary way through
//! [`super::intake`]: it is sighted once more. The two ways ask the same
//! questions, of the same rules, and the ledger takes a version once.
//!
//! Must not: settle, sort or judge by rules of its own, or wait for a file.

use std::collections::HashMap;
use std::io::Seek;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::context::{Context, Running};
use super::report;
use super::sorting::{self, Found};
use super::supervise::{TaskFailure, panic_text};
use super::upload::body::CHUNK;
use super::upload::carried::Carried;
use super::upload::job::{Job, Stop, intent};
use super::upload::lane::{Lanes, Size, Slot};
use super::upload::prepare::{self, Hashing, Prepared, Wanted};
use super::upload::room::Room;
use super::upload::worker;
use crate::config::valid::{Dataset, Folder};
use crate::domain::admit::{Admit, admit_upload, way};
use crate::domain::gate::GateKey;
use crate::domain::lifecycle::OnUnconfirmed;
use crate::domain::media::Media;
use crate::domain::settle::{Decision, Look, Openness, Settling};
use crate::domain::state::Tries;
use crate::domain::version::FileVersion;
use crate::failpoint::failpoint;
use crate::ledger::{Begun, Concern, NewFile, NewSorted, Queued};
use crate::watch::settling::Key;
use crate::watch::{FolderRoot, OpenedFile, Sighting, TakeSingle, lease};

/// How long all go the ordinary way when the ledger could not record.
const LEDGER_TROUBLE: Duration = Duration::from_secs(5);

/// Where the watch offers a single file.
#[derive(Debug)]
pub struct Entrance {
    room: Arc<Room>,
    at_it: Arc<AtIt>,
    to: mpsc::Sender<Sighting>,
}

/// Where single files come from, and where they go that can't go this way.
pub struct Inlet {
    at_it: Arc<AtIt>,
    from: mpsc::Receiver<Sighting>,
    /// The intake's events.
    others: mpsc::Sender<Vec<Sighting>>,
}

/// Files on their way into the ledger, and what was sighted of them meanwhile: of
/// two versions of a path the first is recorded first.
#[derive(Debug, Default)]
struct AtIt(Mutex<HashMap<Key, Option<Sighting>>>);

/// Files of one folder on their way into the ledger, at most; and of all.
const OF_A_FOLDER: usize = 4;
const OF_ALL: usize = 16;

/// The two ends of the way in. `others`: the intake's events.
pub fn entrance(room: Arc<Room>, others: mpsc::Sender<Vec<Sighting>>) -> (Arc<Entrance>, Inlet) {
    let (to, from) = mpsc::channel(OF_ALL);
    let at_it = Arc::<AtIt>::default();
    let entrance = Entrance {
        room,
        at_it: at_it.clone(),
        to,
    };
    let inlet = Inlet {
        at_it,
        from,
        others,
    };
    (Arc::new(entrance), inlet)
}

impl TakeSingle for Entrance {
    fn offer(&self, sighting: Sighting) -> Result<(), Sighting> {
        let few = sighting.version.size <= CHUNK as u64;
        if !few || !self.room.is_idle(&sighting.folder) {
            return Err(sighting);
        }
        let key = key_of(&sighting);
        let mut at_it = self.at_it.lock();
        if let Some(again) = at_it.get_mut(&key) {
            *again = Some(sighting);
            return Ok(());
        }
        let of_it = at_it.keys().filter(|other| other.folder == key.folder);
        if at_it.len() >= OF_ALL || of_it.count() >= OF_A_FOLDER {
            return Err(sighting);
        }
        self.to
            .try_send(sighting)
            .map_err(TrySendError::into_inner)?;
        at_it.insert(key, None);
        Ok(())
    }
}

impl AtIt {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Option<Sighting>>> {
        // Nothing in here is ever half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until everything under way has ended after `stop.drain`.
pub async fn run(ctx: Arc<Context>, mut inlet: Inlet, stop: Stop) -> Result<(), TaskFailure> {
    let mut express = Express {
        desk: Arc::new(Desk {
            ctx,
            stop: stop.clone(),
            others: inlet.others,
            at_it: inlet.at_it,
        }),
        workers: JoinSet::new(),
        troubled_until: None,
    };
    loop {
        tokio::select! {
            biased;
            () = stop.drain.cancelled() => break,
            Some(sighting) = inlet.from.recv() => express.take(sighting),
            Some(ended) = express.workers.join_next() => express.ended(ended)?,
        }
    }
    while let Some(ended) = express.workers.join_next().await {
        express.ended(ended)?;
    }
    Ok(())
}

struct Express {
    desk: Arc<Desk>,
    /// Each ends with how far its file got.
    workers: JoinSet<Carried>,
    troubled_until: Option<Instant>,
}

/// What all workers share.
struct Desk {
    ctx: Arc<Context>,
    stop: Stop,
    others: mpsc::Sender<Vec<Sighting>>,
    at_it: Arc<AtIt>,
}

/// A file that is ready, and all that it needs to go.
struct Ready {
    running: Arc<Running>,
    folder: Arc<Folder>,
    media: Media,
    version: FileVersion,
    place: Place,
    prepared: Prepared,
}

/// Room on its way.
struct Place {
    dataset: Arc<Dataset>,
    root: Arc<FolderRoot>,
    local: bool,
    lanes: Arc<Lanes>,
    slot: Slot,
    way: [GateKey; 3],
}

impl Express {
    fn take(&mut self, sighting: Sighting) {
        let troubled = self.troubled_until.is_some_and(|at| at > Instant::now());
        let desk = self.desk.clone();
        self.workers.spawn(desk.carry(sighting, troubled));
    }

    fn ended(&mut self, ended: Result<Carried, tokio::task::JoinError>) -> Result<(), TaskFailure> {
        let carried =
            ended.map_err(|error| format!("an upload panicked: {}", panic_text(error)))?;
        if carried == Carried::Unrecorded {
            self.troubled_until = Some(Instant::now() + LEDGER_TROUBLE);
        }
        Ok(())
    }
}

impl Desk {
    /// It goes the ordinary way. Nobody there listens: the daemon stops, and the
    /// next start's scan finds it.
    async fn pass_on(&self, sighting: Sighting) {
        let _ = self.others.send(vec![sighting]).await;
    }

    async fn carry(self: Arc<Desk>, sighting: Sighting, troubled: bool) -> Carried {
        let picked = Instant::now();
        let recorded = match troubled {
            true => Went::Refused,
            false => self.record(&sighting).await,
        };
        let again = self.at_it.lock().remove(&key_of(&sighting)).flatten();
        let went = match recorded {
            Went::Begun(job, begun, prepared, slot) => {
                if let Some(again) = again {
                    self.pass_on(again).await;
                }
                return worker::carry_on(*job, begun, prepared, slot, picked).await;
            }
            went => went,
        };
        if !matches!(went, Went::Known) {
            // A later sighting of it says as much as this one, and more.
            self.pass_on(again.unwrap_or(sighting)).await;
        } else if let Some(again) = again {
            self.pass_on(again).await;
        }
        match went {
            Went::Unrecorded => Carried::Unrecorded,
            _ => Carried::Recorded,
        }
    }

    /// From the sighting to the record.
    async fn record(self: &Arc<Desk>, sighting: &Sighting) -> Went {
        let (desk, seen) = (self.clone(), sighting.clone());
        let ready = self
            .ctx
            .folders
            .ask(&sighting.folder, move || desk.ready(&seen));
        // A panic in there is logged by the runtime; the intake looks for itself.
        let Some(Ok(Some(ready))) = ready.await else {
            return Went::Refused;
        };
        if self.stop.drain.is_cancelled() {
            return Went::Refused;
        }
        failpoint!("express.settled");
        let Ready {
            running,
            folder,
            media,
            version,
            place,
            prepared,
        } = ready;
        let new = NewFile {
            folder: folder.name.clone(),
            dataset: folder.dataset.clone(),
            version: version.clone(),
            sorted: NewSorted::Media(media),
        };
        let begin = intent(&running, &folder, media, &prepared);
        let (ledger, at) = (&self.ctx.ledger, self.ctx.world.moment());
        let recorded = ledger.enqueue_and_begin(new.clone(), begin, at, &running.policies);
        let (id, begun) = match recorded.await {
            Ok((id, Some(begun))) => (id, begun),
            Ok((_, None)) => return Went::Known,
            // The intake looks for itself.
            Err(error) if matches!(error.concerns(), Concern::Row(_)) => return Went::Refused,
            // The intake will meet the same trouble, and says so.
            Err(error) => {
                tracing::debug!(%error, "an express file could not be recorded");
                return Went::Unrecorded;
            }
        };
        report::queued(&self.ctx, id, &new);
        let fingerprints = running.fingerprints(&folder.dataset, &folder.route(media));
        let job = Job {
            ctx: self.ctx.clone(),
            running,
            stop: self.stop.clone(),
            file: Queued {
                id,
                folder: folder.name.clone(),
                dataset: folder.dataset.clone(),
                version,
                media,
                hash: prepared.hash,
                not_before: at.now,
                tries: Tries::new(at.now),
            },
            folder,
            dataset: place.dataset,
            root: place.root,
            local: place.local,
            media,
            lanes: place.lanes,
            way: place.way,
            fingerprints,
            express: true,
        };
        Went::Begun(Box::new(job), begun, prepared, place.slot)
    }

    /// Looks at it, on a blocking thread. `None`: it can't go this way, or not now.
    fn ready(&self, sighting: &Sighting) -> Option<Ready> {
        let running = self.ctx.running();
        let folder = running.config.folders.get(&sighting.folder)?.clone();
        if sighting.version.size > CHUNK as u64 {
            return None;
        }
        let (root, local) = self.ctx.folders.online_root(&folder.name)?;
        let heard = root
            .probe()
            .heard(&sighting.version.path, Instant::now().into_std());
        let handle = root.handle().ok()?;
        let opened = handle.open_file(&sighting.version.path).ok()?;
        let open = root.openness(lease::ask(&opened.file), heard);
        if !is_finished(&folder, sighting, &opened, open) {
            return None;
        }
        let (mut file, version) = (opened.file, opened.version);
        let found = sorting::sort_file(&folder, &mut file, &version).ok()?.found;
        let Found::New(NewSorted::Media(media)) = found else {
            return None;
        };
        let place = self.place(&running, &folder, media, version.size, (root, local))?;
        file.rewind().ok()?;
        let wanted = Wanted {
            version: &version,
            media,
            types: &folder.types,
            hash: Hashing::WhatIsRead,
        };
        let prepared = prepare::small(&handle, file, &wanted).ok()?;
        Some(Ready {
            running,
            folder,
            media,
            version,
            place,
            prepared,
        })
    }

    /// Room for it, if nothing is in its way.
    fn place(
        &self,
        running: &Arc<Running>,
        folder: &Arc<Folder>,
        media: Media,
        size: u64,
        (root, local): (Arc<FolderRoot>, bool),
    ) -> Option<Place> {
        let route = folder.route(media);
        let way = way(&route, &folder.dataset);
        let (ledger, now) = (&self.ctx.ledger, self.ctx.world.clock.now());
        let none = Default::default();
        let admitted = admit_upload(&way, &ledger.gates(), &ledger.halts(), &none, now);
        if admitted != Admit::Go {
            return None;
        }
        // Asked after the gates, as the dispatcher does.
        if !Arc::ptr_eq(running, &self.ctx.running()) {
            return None;
        }
        let lanes = self.ctx.room.lanes(&folder.dataset)?;
        let ahead = folder.policy.unconfirmed != OnUnconfirmed::Hold;
        Some(Place {
            dataset: running.config.datasets.get(&folder.dataset)?.clone(),
            root,
            local,
            slot: lanes.slot(Size::Express, size, ahead)?,
            lanes,
            way,
        })
    }
}

/// What came of the way to the record.
enum Went {
    /// It is recorded.
    Begun(Box<Job>, Begun, Prepared, Slot),
    /// The ledger has it.
    Known,
    /// It can't go this way.
    Refused,
    /// The ledger could not record it.
    Unrecorded,
}

fn key_of(sighting: &Sighting) -> Key {
    Key {
        folder: sighting.folder.clone(),
        path: sighting.version.path.clone(),
    }
}

/// Whether it is finished at the first look.
fn is_finished(folder: &Folder, sighting: &Sighting, now: &OpenedFile, open: Openness) -> bool {
    let start = Duration::ZERO;
    let mut settling = Settling::new(sighting.how, sighting.version.clone(), start);
    let look = Look {
        version: now.version.clone(),
        ctime_ns: now.ctime_ns,
        now: start,
        wall: None,
        open_for_writing: open,
    };
    settling.look(&look, &folder.settle_rules()) == Decision::Finished
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::ids::{FolderName, Route};
    use crate::domain::settle::Sighted;

    fn sighting(folder: &str, path: &str, inode: u64) -> Sighting {
        Sighting {
            folder: FolderName(folder.into()),
            how: Sighted::RenamedIn,
            version: FileVersion {
                path: path.into(),
                dev: 1,
                inode,
                size: 10,
                mtime_ns: 0,
                born_ns: None,
            },
        }
    }

    /// Folders `a` to `h`, of which nothing waits.
    fn idle() -> (Arc<Room>, Arc<Entrance>, Inlet) {
        let room = Arc::new(Room::default());
        for folder in 'a'..='h' {
            for media in Media::ALL {
                let folder = FolderName(folder.into());
                room.waits(&Route { folder, media }, false);
            }
        }
        let (others, _) = mpsc::channel(1);
        let (entrance, inlet) = entrance(room.clone(), others);
        (room, entrance, inlet)
    }

    #[test]
    fn only_a_small_file_of_a_folder_in_which_nothing_waits_is_taken() {
        let (room, entrance, _inlet) = idle();
        let mut large = sighting("a", "large", 1);
        large.version.size = CHUNK as u64 + 1;
        assert_eq!(entrance.offer(large.clone()), Err(large));
        let unknown = sighting("x", "new", 1);
        assert_eq!(entrance.offer(unknown.clone()), Err(unknown));
        let route = Route {
            folder: FolderName("a".into()),
            media: Media::Audio,
        };
        room.waits(&route, true);
        let behind = sighting("a", "small", 1);
        assert_eq!(entrance.offer(behind.clone()), Err(behind));
        assert_eq!(entrance.offer(sighting("b", "small", 1)), Ok(()));
    }

    #[test]
    fn a_crowd_of_one_folder_leaves_room_for_the_others() {
        let (_, entrance, _inlet) = idle();
        let taken = |folder: &str| {
            let offer = |n| entrance.offer(sighting(folder, &format!("{n}"), n));
            (0..100).filter(|n| offer(*n).is_ok()).count()
        };
        assert_eq!(taken("a"), OF_A_FOLDER);
        let others: usize = ["b", "c", "d", "e"].map(taken).iter().sum();
        assert_eq!(others, OF_ALL - OF_A_FOLDER);
    }

    #[test]
    fn a_path_goes_in_once_at_a_time_and_its_latest_sighting_is_kept() {
        let (_, entrance, mut inlet) = idle();
        for inode in 1..=3 {
            assert_eq!(entrance.offer(sighting("a", "x", inode)), Ok(()));
        }
        let first = inlet.from.try_recv().unwrap();
        assert_eq!(first.version.inode, 1);
        assert!(inlet.from.try_recv().is_err(), "it went in twice");
        let kept = inlet.at_it.lock().remove(&key_of(&first)).unwrap();
        assert_eq!(kept, Some(sighting("a", "x", 3)));
        assert_eq!(entrance.offer(sighting("a", "x", 4)), Ok(()));
        assert!(inlet.from.try_recv().is_ok());
    }
}
