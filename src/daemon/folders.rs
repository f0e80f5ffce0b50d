//! The drop folders under watch: started, replaced on a reload, asked for a
//! scan, stopped.
//!
//! Must not: look at a sighting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::owner_sign;
use crate::config::valid::{Config, Folder, WatchMode};
use crate::domain::ids::FolderName;
use crate::domain::owner_sign::{EVERY, OwnerSign};
use crate::domain::place::FolderPlace;
use crate::domain::settle::Sighted;
use crate::domain::time::Timestamp;
use crate::limited::Calls;
use crate::ports::World;
use crate::watch::budget::{self, WatchBudget};
use crate::watch::root::Identity;
use crate::watch::settings::{How, Watched};
use crate::watch::{
    CannotStart, DEFAULT_HINTS, FolderRoot, FolderWatch, Mode, Offline, Outlets, Setup, Sighting,
    WatchStatus,
};

/// How long the end of the daemon waits for its watches.
const MOMENT: Duration = Duration::from_secs(1);

/// All folders of the configuration in force.
pub struct Folders {
    entries: Mutex<BTreeMap<FolderName, Entry>>,
    /// What each folder's directory was when last recorded.
    places: Mutex<BTreeMap<FolderName, FolderPlace>>,
    /// The directories for which that was looked at and stands there.
    recorded: Mutex<BTreeMap<FolderName, Identity>>,
    outlets: Outlets,
    world: World,
    sign: Arc<OwnerSign>,
    /// Cancelled when a watch ends that should not have.
    broken: CancellationToken,
}

struct Entry {
    folder: Arc<Folder>,
    /// The timers it was started with.
    timers: (Duration, Duration),
    watch: Arc<FolderWatch>,
    /// Cancelled before the watch is stopped on purpose.
    retired: CancellationToken,
}

impl Folders {
    /// Starts watching. A folder that is not there is looked for until it is.
    /// `places`: what their directories were in earlier runs.
    pub fn start(
        config: &Config,
        places: BTreeMap<FolderName, FolderPlace>,
        outlets: Outlets,
        world: World,
    ) -> Result<Folders, CannotStart> {
        let folders = Folders {
            places: Mutex::new(places),
            recorded: Mutex::default(),
            entries: Mutex::default(),
            outlets,
            world,
            sign: Arc::new(owner_sign::of(&config.ledger)),
            broken: CancellationToken::new(),
        };
        folders.apply(config)?;
        Ok(folders)
    }

    /// Follows another configuration: folders that stay as they are keep their
    /// watch, the others get a new one or none.
    pub fn apply(&self, config: &Config) -> Result<(), CannotStart> {
        let mut entries = self.entries();
        entries.retain(|name, entry| {
            let stays = entry.timers == timers(config)
                && config
                    .folders
                    .get(name)
                    .is_some_and(|now| same_watch(now, &entry.folder));
            if !stays {
                entry.retire();
            }
            stays
        });
        for (name, folder) in &config.folders {
            match entries.get_mut(name) {
                Some(entry) => {
                    entry.folder = folder.clone();
                    // Whoever reloads says that the paths are right.
                    entry.watch.confirm();
                }
                None => {
                    entries.insert(name.clone(), self.watch(config, folder)?);
                }
            }
        }
        Ok(())
    }

    fn watch(&self, config: &Config, folder: &Arc<Folder>) -> Result<Entry, CannotStart> {
        // The same directory may have come under another path.
        self.recorded().remove(&folder.name);
        let before = self.places().get(&folder.name).cloned();
        let root = FolderRoot::new(folder.path.clone(), folder.one_file_system);
        let root = Arc::new(root.known_before(before));
        let setup = Setup {
            rescan_every: config.rescan_every,
            poll_every: config.poll_every,
            hints: DEFAULT_HINTS,
            sign: Arc::clone(&self.sign),
            sign_every: EVERY,
            world: self.world.clone(),
        };
        let watch = FolderWatch::start(watched(folder), root, self.outlets.clone(), setup)?;
        let watch = Arc::new(watch);
        let retired = CancellationToken::new();
        let (here, retire, broken) = (watch.clone(), retired.clone(), self.broken.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = retire.cancelled() => {}
                () = here.ended() => broken.cancel(),
            }
        });
        Ok(Entry {
            folder: folder.clone(),
            timers: timers(config),
            watch,
            retired,
        })
    }

    /// Waits until a watch has ended that should not have: a fault.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// The handle on a folder, whether it is there or not.
    pub fn root(&self, name: &FolderName) -> Option<Arc<FolderRoot>> {
        self.entries().get(name).map(|entry| entry.watch.root())
    }

    /// The handle on a folder that was there when last looked for, and whether
    /// it is local: one whose changes the kernel tells.
    pub fn online_root(&self, name: &FolderName) -> Option<(Arc<FolderRoot>, bool)> {
        let entries = self.entries();
        let watch = &entries.get(name)?.watch;
        let (online, local) = {
            let status = watch.status();
            let status = status.borrow();
            (status.online, status.mode == Mode::Events)
        };
        online.then(|| (watch.root(), local))
    }

    /// Asks a folder's file system something that may hang, on a thread for
    /// blocking calls. `None`: it does not answer; the thread may be lost, and
    /// nothing is asked anew before the watch has had an answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        name: &FolderName,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Result<T, JoinError>> {
        let status = self.entries().get(name).map(|entry| entry.watch.status());
        let hangs = |s: &WatchStatus| s.offline_why == Some(Offline::NotAnswering);
        let Some(mut status) = status else {
            return Some(tokio::task::spawn_blocking(question).await);
        };
        if hangs(&status.borrow()) {
            return None;
        }
        let asked = tokio::task::spawn_blocking(question);
        tokio::select! {
            biased;
            answer = asked => Some(answer),
            Ok(_) = status.wait_for(hangs) => None,
        }
    }

    /// Whether a folder's file system does not answer.
    pub fn is_not_answering(&self, name: &FolderName) -> bool {
        let status = self.entries().get(name).map(|entry| entry.watch.status());
        status.is_some_and(|s| s.borrow().offline_why == Some(Offline::NotAnswering))
    }

    /// How each folder is doing.
    pub fn status(&self) -> Vec<(FolderName, WatchStatus)> {
        self.entries()
            .iter()
            .map(|(name, entry)| (name.clone(), entry.watch.status().borrow().clone()))
            .collect()
    }

    /// Files of a folder that are being written, as its events tell, and since
    /// when; at most `most`.
    pub fn being_written(&self, name: &FolderName, most: usize) -> Vec<(Vec<u8>, Timestamp)> {
        let watch = self.entries().get(name).map(|entry| entry.watch.clone());
        watch.map_or_else(Vec::new, |watch| watch.being_written(most))
    }

    /// Asks for a scan of a folder.
    pub fn rescan(&self, name: &FolderName) {
        if let Some(entry) = self.entries().get(name) {
            entry.watch.request_rescan();
        }
    }

    /// Asks for a scan of every folder.
    pub fn rescan_all(&self) {
        for entry in self.entries().values() {
            entry.watch.request_rescan();
        }
    }

    /// A file turned out to be another version than the ledger knows, or not to
    /// be there: has its path looked at anew. What came back before that was
    /// recorded was taken for known when it was sighted, and no event tells of
    /// it again.
    pub fn sight_again(&self, name: &FolderName, path: Vec<u8>) {
        let Some(root) = self.root(name) else { return };
        let (events, folder) = (self.outlets.events.clone(), name.clone());
        tokio::spawn(async move {
            let look = tokio::task::spawn_blocking(move || root.look(&path));
            if let Ok(Ok(version)) = look.await {
                // Waits while there is no room; fails at the end of the daemon. It
                // says nothing of a writer: a file that is sighted as modified each
                // time that its row is tried would begin its quiet time anew each
                // time, and never be finished where that is the longer one.
                let _ = events
                    .send(vec![Sighting {
                        folder,
                        how: Sighted::Scan,
                        version,
                    }])
                    .await;
            }
        });
    }

    /// Stops all watches, without waiting for a system call that hangs.
    pub fn stop(&self) {
        for entry in self.entries().values() {
            entry.retire();
        }
    }

    /// Waits, for a moment at most, until the stopped watches have taken their signs
    /// out of the folders.
    pub async fn stopped(&self) {
        let watches: Vec<_> = {
            let entries = self.entries();
            entries.values().map(|entry| entry.watch.clone()).collect()
        };
        let all = futures_util::future::join_all(watches.iter().map(|w| w.all_ended()));
        // A folder that hangs keeps its sign: it is believed for minutes only.
        let _ = tokio::time::timeout(MOMENT, all).await;
    }

    /// Whether a folder is on line whose directory may have to be recorded.
    /// Asks nothing of the file system: meant for once a second.
    pub fn has_new_places(&self) -> bool {
        !self.unrecorded().is_empty()
    }

    fn unrecorded(&self) -> Vec<(FolderName, Arc<FolderRoot>, Identity)> {
        let recorded = self.recorded();
        self.entries()
            .iter()
            .filter(|(_, entry)| entry.watch.status().borrow().online)
            .filter_map(|(name, entry)| {
                let root = entry.watch.root();
                let identity = root.identity()?;
                (recorded.get(name) != Some(&identity)).then(|| (name.clone(), root, identity))
            })
            .collect()
    }

    /// Folders whose directories are to be recorded: those that are on line
    /// and others than they were. Looks at them, which may block.
    pub fn new_places(&self) -> Vec<(FolderName, Identity, FolderPlace)> {
        let mut new = Vec::new();
        for (name, root, identity) in self.unrecorded() {
            let asked = root.clone();
            let place = Calls::of_process().ask(root.path(), move || asked.place());
            let Ok(Some(place)) = place else { continue };
            if self.places().get(&name) == Some(&place) {
                self.recorded().insert(name, identity);
            } else {
                new.push((name, identity, place));
            }
        }
        new
    }

    /// It is recorded.
    pub fn place_recorded(&self, name: FolderName, identity: Identity, place: FolderPlace) {
        self.places().insert(name.clone(), place);
        self.recorded().insert(name, identity);
    }

    fn recorded(&self) -> MutexGuard<'_, BTreeMap<FolderName, Identity>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<FolderName, FolderPlace>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<FolderName, Entry>> {
        // A panic while it is held leaves a map of whole entries.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn retire(&self) {
        self.retired.cancel();
        self.watch.request_stop();
    }
}

/// How many kernel watches the folders of a configuration take, against what
/// this user may have. Walks the folders: takes a while where there are many
/// subfolders, and blocks.
pub fn watch_budget(config: &Config) -> WatchBudget {
    let folders: Vec<_> = config.folders.values().map(|f| watched(f)).collect();
    budget::watch_budget(&folders)
}

/// What of a folder's settings its watch goes by. Whatever is added here is to
/// be compared in [`same_watch`] too.
pub fn watched(folder: &Folder) -> Arc<Watched> {
    Arc::new(Watched {
        name: folder.name.clone(),
        path: folder.path.clone(),
        recursive: folder.recursive,
        include: folder.include.clone(),
        exclude: folder.exclude.clone(),
        exclude_by_default: folder.patterns.exclude.is_none(),
        temporary: folder.temporary.clone(),
        temporary_by_default: folder.patterns.temporary.is_none(),
        how: match folder.watch {
            WatchMode::Auto => How::Auto,
            WatchMode::Events => How::Events,
            WatchMode::Poll => How::Poll,
        },
        one_file_system: folder.one_file_system,
        owner_sign: folder.owner_sign,
        aside: vec![folder.done_dir.clone(), folder.rejected_dir.clone()],
    })
}

fn timers(config: &Config) -> (Duration, Duration) {
    (config.rescan_every, config.poll_every)
}

/// Whether two settings of a folder are watched alike, so that a reload need
/// not begin anew. The globs are compared as they were written.
fn same_watch(a: &Folder, b: &Folder) -> bool {
    a.path == b.path
        && a.recursive == b.recursive
        && a.patterns == b.patterns
        && a.watch == b.watch
        && a.one_file_system == b.one_file_system
        && a.owner_sign == b.owner_sign
        && a.done_dir == b.done_dir
        && a.rejected_dir == b.rejected_dir
}
