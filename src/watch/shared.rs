//! What the two threads of a watch, notify's thread and the daemon share: a
//! bounded inbox of hints, orders for scans, and the status.
//!
//! Lock order: the watcher before the inbox, never the other way: setting a
//! watch waits for notify's thread, and that one puts hints into the inbox.
//!
//! Must not: look at files.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::events::{EventWatcher, Hint, Signal};
use super::root::FolderRoot;
use super::rules::TakeRules;
use super::settings::Watched;
use super::{Mode, Outlets, Setup, Sighting, WatchStatus};

/// Subfolders that wait to be walked, at most; beyond that, a whole scan.
const MAX_SUBTREES: usize = 4_096;

/// Shared by everyone who serves one folder.
#[derive(Debug)]
pub(super) struct Shared {
    pub folder: Arc<Watched>,
    pub root: Arc<FolderRoot>,
    pub rules: TakeRules,
    pub outlets: Outlets,
    pub setup: Setup,
    /// `None` while polling.
    pub watcher: Mutex<Option<EventWatcher>>,
    inbox: Mutex<Inbox>,
    /// Something for the hearing thread.
    heard: Condvar,
    /// Something for the scanning thread.
    ordered: Condvar,
    /// The same for one that waits for a channel.
    subtree_came: Notify,
    stopped: CancellationToken,
    runtime: Handle,
    status: watch::Sender<WatchStatus>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("rescan_every", &self.rescan_every)
            .field("poll_every", &self.poll_every)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Inbox {
    hints: VecDeque<Hint>,
    news: News,
    /// A whole scan is ordered.
    full: bool,
    /// Subfolders to be walked.
    subtrees: BTreeSet<Vec<u8>>,
    problems: Problems,
}

/// What the hearing thread is told, apart from hints.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Events were lost, and why.
    pub lost: Option<String>,
    /// They were lost on the way to notify: what it believes of where the
    /// watched directories lie may be wrong.
    pub stale_watches: bool,
    /// The kernel has no watch left.
    pub no_watch_left: bool,
    /// Someone asked for a scan.
    pub asked: bool,
    /// A scan found the folder not as it should be.
    pub check_root: bool,
    /// Something could not be looked at, for a reason that passes.
    pub hindered: bool,
    /// A whole scan has looked at everything.
    pub unhindered: bool,
}

impl News {
    fn any(&self) -> bool {
        self.lost.is_some()
            || self.no_watch_left
            || self.asked
            || self.check_root
            || self.hindered
            || self.unhindered
    }
}

/// What is wrong, one of each kind.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub offline: Option<String>,
    pub events: Option<String>,
    pub scan: Option<String>,
    pub shared: Option<String>,
    /// Who may put another directory in the folder's place.
    pub exposed: Option<String>,
}

/// What the scanning thread is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    Full,
    Subtree(Vec<u8>),
}

/// The daemon does not listen any more, or the watch is to end.
#[derive(Debug)]
pub(super) struct Stopped;

impl Shared {
    pub fn new(
        folder: Arc<Watched>,
        root: Arc<FolderRoot>,
        outlets: Outlets,
        setup: Setup,
    ) -> (Shared, watch::Receiver<WatchStatus>) {
        let (status, receiver) = watch::channel(WatchStatus {
            checked: false,
            online: false,
            since: None,
            offline_why: None,
            mode: Mode::Events,
            watches: 0,
            scanning: false,
            scan_began_at: None,
            scans: 0,
            last_scan: None,
            problem: None,
            shared: None,
        });
        let shared = Shared {
            rules: TakeRules::new(Arc::clone(&folder)),
            folder,
            root,
            outlets,
            setup,
            watcher: Mutex::new(None),
            inbox: Mutex::new(Inbox::default()),
            heard: Condvar::new(),
            ordered: Condvar::new(),
            subtree_came: Notify::new(),
            stopped: CancellationToken::new(),
            runtime: Handle::current(),
            status,
        };
        (shared, receiver)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // What is in it is whole at any time: a panic elsewhere spoils nothing,
        // and ends the process anyway.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watcher(&self) -> MutexGuard<'_, Option<EventWatcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the source of events: nothing is known of writers any more.
    pub fn drop_watcher(&self) {
        *self.watcher() = None;
        self.root.probe().begin();
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }

    pub fn stop(&self) {
        self.stopped.cancel();
        // Under the lock, or a thread about to wait would miss it.
        let _inbox = self.inbox();
        self.heard.notify_all();
        self.ordered.notify_all();
    }

    /// From notify's thread.
    pub fn signal(&self, signal: Signal) {
        let mut inbox = self.inbox();
        match signal {
            Signal::Hint(_) if inbox.hints.len() >= self.setup.hints => {
                inbox.news.lost = Some("events came faster than they were looked at".to_owned());
            }
            Signal::Hint(hint) => inbox.hints.push_back(hint),
            Signal::Rescan(why) => {
                inbox.news.lost = Some(why);
                inbox.news.stale_watches = true;
            }
            Signal::NoWatchLeft => inbox.news.no_watch_left = true,
        }
        self.heard.notify_one();
    }

    pub fn ask_rescan(&self) {
        self.inbox().news.asked = true;
        self.heard.notify_one();
    }

    pub fn ask_root_check(&self) {
        self.inbox().news.check_root = true;
        self.heard.notify_one();
    }

    /// How a walk went: whether something passing was in its way, and whether
    /// it was a whole scan.
    pub fn walked(&self, hindered: bool, whole: bool) {
        let mut inbox = self.inbox();
        inbox.news.hindered |= hindered;
        inbox.news.unhindered |= whole && !hindered;
        self.heard.notify_one();
    }

    /// Waits for hints or news until `until`; takes at most `max` hints.
    pub fn listen(&self, until: Instant, max: usize) -> (Vec<Hint>, News) {
        let mut inbox = self.inbox();
        loop {
            let now = Instant::now();
            if !inbox.hints.is_empty() || inbox.news.any() || self.is_stopped() || now >= until {
                let take = max.min(inbox.hints.len());
                let hints = inbox.hints.drain(..take).collect();
                return (hints, std::mem::take(&mut inbox.news));
            }
            inbox = self
                .heard
                .wait_timeout(inbox, until - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub fn order_full(&self) {
        self.inbox().full = true;
        self.ordered.notify_one();
    }

    pub fn order_subtree(&self, rel: Vec<u8>) {
        let mut inbox = self.inbox();
        let slashes = rel.iter().enumerate().filter(|(_, b)| **b == b'/');
        let covered = slashes
            .map(|(at, _)| &rel[..at])
            .any(|up| inbox.subtrees.contains(up));
        if covered {
            return;
        }
        if inbox.subtrees.len() >= MAX_SUBTREES {
            inbox.full = true;
        } else {
            inbox.subtrees.insert(rel);
            self.subtree_came.notify_one();
        }
        self.ordered.notify_one();
    }

    /// Waits for something to scan; `None`: the watch ends.
    pub fn next_order(&self) -> Option<Order> {
        let mut inbox = self.inbox();
        loop {
            if self.is_stopped() {
                return None;
            }
            if let Some(rel) = inbox.subtrees.pop_first() {
                return Some(Order::Subtree(rel));
            }
            if std::mem::take(&mut inbox.full) {
                return Some(Order::Full);
            }
            inbox = self
                .ordered
                .wait(inbox)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A subfolder that is to be walked before anything else goes on.
    pub fn next_subtree(&self) -> Option<Vec<u8>> {
        self.inbox().subtrees.pop_first()
    }

    /// Hands a batch over; waits while the channel is full.
    pub fn send(
        &self,
        to: &mpsc::Sender<Vec<Sighting>>,
        batch: Vec<Sighting>,
    ) -> Result<(), Stopped> {
        self.offer(to, batch, false).map(|_| ())
    }

    /// The same, but gives the batch back when a new subfolder is to be walked
    /// while the channel is full, if `interruptible`.
    pub fn offer(
        &self,
        to: &mpsc::Sender<Vec<Sighting>>,
        batch: Vec<Sighting>,
        interruptible: bool,
    ) -> Result<Option<Vec<Sighting>>, Stopped> {
        if batch.is_empty() {
            return Ok(None);
        }
        let batch = match to.try_send(batch) {
            Ok(()) => return Ok(None),
            Err(TrySendError::Closed(_)) => {
                self.stop();
                return Err(Stopped);
            }
            Err(TrySendError::Full(batch)) => batch,
        };
        let permit = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => Err(Stopped),
                () = self.subtree_came.notified(), if interruptible => Ok(None),
                permit = to.reserve() => permit.map(Some).map_err(|_| Stopped),
            }
        });
        match permit {
            Ok(Some(permit)) => {
                permit.send(batch);
                Ok(None)
            }
            Ok(None) => Ok(Some(batch)),
            Err(Stopped) => {
                self.stop();
                Err(Stopped)
            }
        }
    }

    pub fn status(&self, change: impl FnOnce(&mut WatchStatus)) {
        self.status.send_modify(change);
    }

    pub fn problems(&self, change: impl FnOnce(&mut Problems)) {
        let mut inbox = self.inbox();
        change(&mut inbox.problems);
        let p = &inbox.problems;
        let all: Vec<&str> = [&p.offline, &p.events, &p.scan, &p.exposed]
            .into_iter()
            .filter_map(|p| p.as_deref())
            .collect();
        let problem = (!all.is_empty()).then(|| all.join("; "));
        let shared = p.shared.clone();
        self.status.send_if_modified(|s| {
            let changed = s.problem != problem || s.shared != shared;
            (s.problem, s.shared) = (problem, shared);
            changed
        });
    }

    /// `every`, a tenth more or less.
    pub fn jittered(&self, every: Duration) -> Duration {
        every.mul_f64(0.9 + 0.2 * self.setup.world.jitter.chance())
    }
}
