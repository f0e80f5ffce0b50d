//! Watching a folder: from the file system to sightings.
//!
//! Watching is a hint, scanning is the truth. Each folder has two threads:
//!
//! - *hearing* takes the kernel's events, looks at what they name, and sends
//!   sightings at once; it minds the timers, and whether the folder is there;
//! - *scanning* walks the folder: when it comes on line, after events were
//!   lost, when asked, and now and then; and each new subfolder, which it takes
//!   before the rest, even in the middle of a walk. It also sets the watches,
//!   each before its directory is listed.
//!
//! They are threads and not tasks because looking at a file can block for as
//! long as a network file system likes. What they find goes into two bounded
//! channels, so that a file that arrives during a scan does not wait behind a
//! million that were there before. A full channel holds its thread back, and
//! what the kernel can't keep meanwhile ends as another scan.
//!
//! A folder without events (a network file system, `watch = "poll"`, or no
//! watch left) is scanned more often instead.
//!
//! Whether a file is finished is not decided here but in `domain::settle`;
//! [`settling`] keeps the books, [`root`] and [`lease`] do the looking.
//!
//! Must not: read the content of a file, or know the ledger.

pub mod budget;
pub mod claim;
pub mod events;
mod exports;
mod facts;
pub mod fstype;
pub mod hard_links;
mod hearing;
pub mod lease;
mod nearby;
pub mod not_taken;
pub mod owner_sign;
mod places;
pub mod probe;
mod reached;
pub mod root;
pub mod rules;
pub mod scan;
mod scanning;
pub mod settings;
pub mod settling;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::ids::FolderName;
use crate::domain::owner_sign::OwnerSign;
use crate::domain::settle::Sighted;
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::ports::World;

pub use hearing::shared_with;
pub use lease::open_for_writing;
pub use not_taken::{NotTaken, Offline, unreadable};
pub use reached::reached;
pub use root::{FolderRoot, OpenedFile, ctime_of, same_version, version_of};
use settings::Watched;
use shared::Shared;

/// Sightings in a batch, at most.
pub const BATCH: usize = 512;

/// Sightings that came together and are still few: each may go alone.
const FEW: usize = 4;

/// Events that wait to be looked at, at most; beyond that, a scan.
pub const DEFAULT_HINTS: usize = 8_192;

/// A file came to our notice: a regular file, whose name the folder takes, as
/// it was at that moment. Whether it is new, or finished, is for others to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The folder.
    pub folder: FolderName,
    /// What told of it.
    pub how: Sighted,
    /// What was there, its path included.
    pub version: FileVersion,
}

/// Takes a single file at once, or not: then it goes with the others.
pub trait TakeSingle: fmt::Debug + Send + Sync {
    /// Does not wait.
    ///
    /// # Errors
    /// The sighting, if it is not taken.
    fn offer(&self, sighting: Sighting) -> Result<(), Sighting>;
}

/// Where sightings go: but for the first, in batches of at most [`BATCH`].
#[derive(Debug, Clone)]
pub struct Outlets {
    /// Who takes a single file that was renamed in. `None`: nobody.
    pub single: Option<Arc<dyn TakeSingle>>,
    /// What events told, and what new subfolders hold. To be read first.
    pub events: mpsc::Sender<Vec<Sighting>>,
    /// What scans found. To be read while there is room.
    pub scans: mpsc::Sender<Vec<Sighting>>,
}

/// What a watch needs to know beyond its folder.
#[derive(Clone)]
pub struct Setup {
    /// Between two scans of a folder with events, before jitter.
    pub rescan_every: Duration,
    /// Between two scans of a folder without.
    pub poll_every: Duration,
    /// Events that wait, at most: [`DEFAULT_HINTS`].
    pub hints: usize,
    /// What is left in the folders for other daemons, where their settings allow it.
    pub sign: Arc<OwnerSign>,
    /// Between two looks at the sign, before jitter.
    pub sign_every: Duration,
    /// Time of day and chance.
    pub world: World,
}

/// How a folder is watched at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By events, and scans now and then.
    Events,
    /// By scans alone.
    Polling,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Events => "events",
            Mode::Polling => "polling",
        })
    }
}

/// How a scan went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastScan {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took, waits for a full channel included.
    pub took: Duration,
    /// Files that may be taken.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Names that are not taken.
    pub skipped: u64,
    /// Directories or files that could not be looked at.
    pub troubles: u64,
}

/// How a folder's watch is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchStatus {
    /// Whether it was looked for at all yet.
    pub checked: bool,
    /// Whether the folder is there.
    pub online: bool,
    /// Since when it is so; `None`: it was not looked for yet.
    pub since: Option<Timestamp>,
    /// Why it is not there.
    pub offline_why: Option<Offline>,
    /// How it is watched.
    pub mode: Mode,
    /// Directories with a watch, as of the last scan.
    pub watches: u64,
    /// Whether a whole scan is under way.
    pub scanning: bool,
    /// When the latest whole scan began, one under way included.
    pub scan_began_at: Option<Timestamp>,
    /// Whole scans that came to their end.
    pub scans: u64,
    /// The last of them.
    pub last_scan: Option<LastScan>,
    /// What is wrong and what to do, in words.
    pub problem: Option<String>,
    /// Who else watches it, and what to do, in words.
    pub shared: Option<String>,
}

/// A folder that is being watched. Dropping it stops the watch without
/// waiting for its threads.
#[derive(Debug)]
pub struct FolderWatch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    status: watch::Receiver<WatchStatus>,
    ended: CancellationToken,
    at_work: TaskTracker,
}

/// A watch could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "the watch on folder {folder} could not start a thread: {error}; raise the limit on tasks (TasksMax) or memory"
)]
pub struct CannotStart {
    folder: FolderName,
    error: std::io::Error,
}

impl FolderWatch {
    /// Starts watching. The folder need not be there: it is looked for until it
    /// is. To be called within a tokio runtime.
    pub fn start(
        folder: Arc<Watched>,
        root: Arc<FolderRoot>,
        outlets: Outlets,
        setup: Setup,
    ) -> Result<FolderWatch, CannotStart> {
        let (shared, status) = Shared::new(folder, root, outlets, setup);
        let shared = Arc::new(shared);
        let ended = CancellationToken::new();
        let mut this = FolderWatch {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
            status,
            ended: ended.clone(),
            at_work: TaskTracker::new(),
        };
        // Should the second fail, dropping `this` stops the first.
        this.spawn("scan", scanning::run)?;
        this.spawn("watch", hearing::run)?;
        Ok(this)
    }

    fn spawn(&mut self, what: &str, run: fn(&Arc<Shared>)) -> Result<(), CannotStart> {
        let shared = Arc::clone(&self.shared);
        let ended = self.ended.clone().drop_guard();
        let at_work = self.at_work.token();
        let thread = std::thread::Builder::new()
            .name(format!("{what}-{}", self.shared.folder.name))
            .spawn(move || {
                // Dropped at the end of the thread, a panic included.
                let (_at_work, _ended) = (at_work, ended);
                run(&shared);
            })
            .map_err(|error| CannotStart {
                folder: self.shared.folder.name.clone(),
                error,
            })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The folder's root, for looks and opens.
    pub fn root(&self) -> Arc<FolderRoot> {
        Arc::clone(&self.shared.root)
    }

    /// How it is doing, as a channel of its own.
    pub fn status(&self) -> watch::Receiver<WatchStatus> {
        self.status.clone()
    }

    /// Files that are being written, as events tell, and since when: at most
    /// `most` of those whose names are taken.
    pub fn being_written(&self, most: usize) -> Vec<(Vec<u8>, Timestamp)> {
        let rules = &self.shared.rules;
        let taken = |rel: &[u8]| rules.taken_by_name(rel).is_ok();
        self.shared.root.probe().written(most, taken)
    }

    /// A person says that what is at the folder's path now is the folder.
    pub fn confirm(&self) {
        self.shared.root.confirm();
        self.shared.ask_root_check();
    }

    /// Asks for a whole scan. One under way is followed by another.
    pub fn request_rescan(&self) {
        self.shared.ask_rescan();
    }

    /// Waits until the first whole scan has handed over all it found, or the
    /// folder turned out not to be there: the status then.
    pub async fn first_scan_done(&self) -> WatchStatus {
        self.scans_done(1).await
    }

    /// Waits until `count` whole scans came to their end, or the folder is not
    /// there, or the watch ended: the status then.
    pub async fn scans_done(&self, count: u64) -> WatchStatus {
        let mut status = self.status.clone();
        let done = |s: &WatchStatus| s.scans >= count || (s.checked && !s.online);
        tokio::select! {
            found = status.wait_for(done) => found.map(|s| s.clone()).ok(),
            () = self.ended.cancelled() => None,
        }
        .unwrap_or_else(|| self.status.borrow().clone())
    }

    /// Waits until a thread of the watch has ended. If it was not asked to,
    /// that is a fault: the daemon must not go on without it.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits until all threads of a watch that was asked to end have done so. One
    /// that hangs in a system call does not.
    pub async fn all_ended(&self) {
        self.at_work.close();
        self.at_work.wait().await;
    }

    /// Asks the threads to end; returns at once.
    pub fn request_stop(&self) {
        self.shared.stop();
    }

    /// Ends it and waits for its threads: as long as one system call takes.
    /// Blocks: not to be called on a runtime's thread. `false`: one panicked.
    pub fn stop(mut self) -> bool {
        self.shared.stop();
        let joined: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        joined.iter().all(Result::is_ok)
    }
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

#[cfg(test)]
mod testing;

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
