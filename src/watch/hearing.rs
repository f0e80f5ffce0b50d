//! The thread that hears: events, timers, and whether the folder is there.
//!
//! Must not: walk a directory (it orders that), or wait for anything but its
//! inbox and a full channel.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claim::Claim;
use super::events::{EventWatcher, Hint, HintKind, NoEvents, Signal};
use super::not_taken::Offline;
use super::owner_sign::Signs;
use super::probe::At;
use super::root::{FolderRoot, Found, Identity, RootFacts};
use super::shared::{News, Shared, Stopped};
use super::{BATCH, FEW, Mode, Sighting, fstype};
use crate::domain::owner_sign::OwnerSign;
use crate::domain::settle::Sighted;
use crate::files::exposed;
use crate::limited::Calls;

/// Between two looks at whether the folder is there, while it is.
const CHECK_ONLINE: Duration = Duration::from_secs(5);
/// Between two looks whether another process is on the same folder: a list of
/// all sockets of the machine is read for it.
const LOOK_FOR_OTHERS: Duration = Duration::from_secs(15);
/// At least so long between two looks at it, however often a scan is asked for.
const SIGN_GAP: Duration = Duration::from_secs(2);
/// Between two log lines that say that a sign is in the folder.
const LOG_SIGN: Duration = Duration::from_secs(3600);
/// Between two looks at whether it is there while it is not: doubling from the first to the last.
const CHECK_OFFLINE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Between two questions whether a file system that did not answer has: while its
/// last one is open nothing is asked of it.
const CHECK_NOT_ANSWERING: Duration = Duration::from_secs(1);
/// Between two scans while something can't be looked at for a reason that
/// passes (no file descriptor left, an I/O error): doubling from the first to the last.
const HINDERED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));
/// At least so long between two scans because of lost events.
const LOST_GAP: Duration = Duration::from_secs(1);

/// What the thread knows.
struct Hearing<'a> {
    shared: &'a Arc<Shared>,
    /// What was at the path when its watches were set; `None`: off line.
    facts: Option<RootFacts>,
    why_offline: Option<Offline>,
    next_check: Instant,
    offline_wait: Duration,
    next_scan: Instant,
    /// Events are to be tried again then.
    retry_events: Option<Instant>,
    lost: Option<String>,
    lost_scan_after: Instant,
    claim: Option<Claim>,
    next_look_for_others: Instant,
    /// Other processes that claim the folder.
    claimants: Vec<u32>,
    /// `None`: no sign is left in the folder.
    signs: Option<Signs>,
    last_sign: Instant,
    next_sign: Instant,
    /// Of whom the sign in the folder tells.
    signer: Option<OwnerSign>,
    /// Whoever writes to the folder can have the sign come and go: before this
    /// it is not logged again.
    sign_logged_until: Option<Instant>,
    /// The watches are to be set anew with the next scan for lost events.
    stale_watches: bool,
    /// How long until the next scan, should something be in the way again.
    hindered_wait: Duration,
}

/// The thread.
pub(super) fn run(shared: &Arc<Shared>) {
    let now = Instant::now();
    let mut hearing = Hearing {
        shared,
        facts: None,
        why_offline: None,
        next_check: now,
        offline_wait: CHECK_OFFLINE.0,
        next_scan: now,
        retry_events: None,
        lost: None,
        lost_scan_after: now,
        claim: None,
        next_look_for_others: now,
        claimants: Vec::new(),
        signs: (shared.folder.owner_sign).then(|| Signs::new(Arc::clone(&shared.setup.sign))),
        last_sign: now,
        next_sign: now,
        signer: None,
        sign_logged_until: None,
        stale_watches: false,
        hindered_wait: HINDERED.0,
    };
    while hearing.round().is_ok() {}
    if let (Some(signs), Some(_)) = (&hearing.signs, hearing.facts) {
        signs.remove(&shared.root);
    }
    // The watches end with the watch.
    shared.drop_watcher();
}

impl Hearing<'_> {
    fn round(&mut self) -> Result<(), Stopped> {
        let now = Instant::now();
        if now >= self.next_check {
            self.check(now);
        }
        if self.facts.is_some() {
            self.timers(now);
        }
        let (hints, news) = self.shared.listen(self.wake_at(), BATCH);
        if self.shared.is_stopped() {
            return Err(Stopped);
        }
        self.take_news(news, Instant::now());
        self.take_hints(hints)
    }

    fn wake_at(&self) -> Instant {
        let mut at = self.next_check;
        if self.facts.is_some() {
            at = at.min(self.next_scan);
            at = self.retry_events.map_or(at, |retry| at.min(retry));
            if self.lost.is_some() {
                at = at.min(self.lost_scan_after);
            }
        }
        at
    }

    fn timers(&mut self, now: Instant) {
        if self.retry_events.is_some_and(|at| now >= at) {
            self.set_mode(now);
            self.scan(now);
        }
        if now >= self.next_scan {
            self.scan(now);
        }
        if self.lost.is_some() && now >= self.lost_scan_after {
            let why = self.lost.take().unwrap_or_default();
            tracing::warn!(folder = %self.shared.folder.name, "scanning the folder again: {why}");
            self.lost_scan_after = now + LOST_GAP;
            if std::mem::take(&mut self.stale_watches) {
                // notify ends the watch of a path that is removed or renamed.
                // A directory whose move was not heard is still known to it by
                // its former path, and would lose its watch with whatever is
                // next removed there.
                self.set_mode(now);
            }
            self.scan(now);
        }
    }

    /// Orders a whole scan and sets the timer for the next.
    fn scan(&mut self, now: Instant) {
        let polling = self.shared.watcher().is_none();
        let every = if polling {
            self.shared.setup.poll_every
        } else {
            self.shared.setup.rescan_every
        };
        self.next_scan = now + self.shared.jittered(every);
        self.shared.order_full();
    }

    /// A file or folder could not be looked at, and may be soon: no event tells.
    fn scan_soon(&mut self, now: Instant) {
        let at = now + self.hindered_wait;
        if self.next_scan <= at {
            return;
        }
        tracing::debug!(
            folder = %self.shared.folder.name, wait = ?self.hindered_wait,
            "something can't be looked at for now: the folder will be scanned again"
        );
        self.next_scan = at;
        self.hindered_wait = (self.hindered_wait * 2).min(HINDERED.1);
    }

    fn take_news(&mut self, news: News, now: Instant) {
        if news.check_root {
            self.next_check = now;
        }
        if news.asked {
            // Who asks wants to know who else is there, too.
            self.next_check = now;
            self.next_sign = self.next_sign.min(self.last_sign + SIGN_GAP);
        }
        if self.facts.is_none() {
            // Coming on line scans anyway; but it is worth a look now.
            if news.asked {
                // Somebody waits for it; and many who ask at once must not
                // stretch the wait as many checks in vain do.
                self.offline_wait = CHECK_OFFLINE.0;
            }
            return;
        }
        if news.no_watch_left && self.shared.watcher().is_some() {
            self.fall_back(&NoEvents::WatchLimit, now);
        }
        if news.hindered {
            self.scan_soon(now);
        } else if news.unhindered {
            self.hindered_wait = HINDERED.0;
        }
        if news.asked {
            self.scan(now);
        }
        if let Some(why) = news.lost {
            self.lost = Some(why);
            self.stale_watches |= news.stale_watches;
        }
    }

    // ---- the folder itself

    fn check(&mut self, now: Instant) {
        let found = match self.ask_root(FolderRoot::check) {
            Err(Offline::Replaced) => {
                tracing::warn!(folder = %self.shared.folder.name, "another directory is at the folder's path: taking it up");
                self.facts = None;
                self.ask_root(FolderRoot::reopen)
            }
            found => found,
        };
        match found {
            Ok(facts) => {
                self.next_check = now + CHECK_ONLINE;
                self.offline_wait = CHECK_OFFLINE.0;
                self.look_for_others(facts.identity, now);
                if self.facts != Some(facts) {
                    self.come_online(facts, now);
                }
            }
            Err(Offline::NotAnswering) => {
                self.next_check = Instant::now() + CHECK_NOT_ANSWERING;
                self.claim = None;
                self.go_offline(Offline::NotAnswering);
            }
            Err(why) => {
                self.next_check = now + self.offline_wait;
                self.offline_wait = (self.offline_wait * 2).min(CHECK_OFFLINE.1);
                self.claim = None;
                self.go_offline(why);
            }
        }
    }

    /// Asks about the folder itself on a thread that may be lost: this one is to
    /// say that there is no answer.
    fn ask_root(
        &self,
        question: fn(&FolderRoot) -> Result<RootFacts, Offline>,
    ) -> Result<RootFacts, Offline> {
        let root = Arc::clone(&self.shared.root);
        let asked = Calls::of_process().ask(&self.shared.folder.path, move || question(&root));
        asked.unwrap_or(Err(Offline::NotAnswering))
    }

    /// Says who may put another directory in the folder's place.
    fn look_for_exposure(&self) {
        let path = self.shared.folder.path.clone();
        let asked =
            Calls::of_process().ask(&self.shared.folder.path, move || exposed::above(&path));
        let Ok(found) = asked else { return };
        let text = exposed::told(&found);
        let mut news = false;
        self.shared.problems(|p| {
            news = p.exposed != text;
            p.exposed.clone_from(&text);
        });
        if let (true, Some(text)) = (news, text) {
            tracing::warn!(folder = %self.shared.folder.name, "{text}");
        }
    }

    fn come_online(&mut self, facts: RootFacts, now: Instant) {
        self.look_for_exposure();
        self.facts = Some(facts);
        self.why_offline = None;
        self.shared.problems(|p| p.offline = None);
        self.set_mode(now);
        let at = self.shared.setup.world.clock.now();
        // Before the scan, which may end before the next line.
        self.shared.status(|s| {
            s.checked = true;
            if !std::mem::replace(&mut s.online, true) {
                s.since = Some(at);
            }
            s.offline_why = None;
        });
        self.scan(now);
        tracing::info!(folder = %self.shared.folder.name, "watching the folder");
    }

    fn go_offline(&mut self, why: Offline) {
        if self.why_offline == Some(why) {
            return;
        }
        self.facts = None;
        self.why_offline = Some(why);
        self.lost = None;
        let told = why.told_of(&self.shared.folder.path);
        let text = format!("the folder can't be reached: {told}");
        tracing::warn!(folder = %self.shared.folder.name, "{text}");
        self.shared.problems(|p| p.offline = Some(text));
        let at = self.shared.setup.world.clock.now();
        self.shared.status(|s| {
            // The reason may change while it is away; the time does not.
            if s.online || s.since.is_none() {
                s.since = Some(at);
            }
            s.checked = true;
            s.online = false;
            s.offline_why = Some(why);
            s.watches = 0;
        });
        // Last: a scan that hangs while it sets a watch has the lock.
        self.shared.drop_watcher();
    }

    /// Another process on the same folder works with another ledger, since one
    /// ledger has one daemon: each of them sends every file.
    fn look_for_others(&mut self, directory: Identity, now: Instant) {
        let claimed = self.claim.as_ref();
        let is_claimed = claimed.is_some_and(|claim| claim.is_of(directory));
        let (claimants, signer) = (self.claimants.clone(), self.signer.clone());
        if !is_claimed || now >= self.next_look_for_others {
            self.next_look_for_others = now + LOOK_FOR_OTHERS;
            let claim = match self.claim.take() {
                Some(claim) if is_claimed => claim,
                _ => Claim::of(directory),
            };
            self.claimants = claim.others();
            self.claim = Some(claim);
        }
        if let Some(signs) = &mut self.signs
            && (!is_claimed || now >= self.next_sign)
        {
            self.last_sign = now;
            self.next_sign = now + self.shared.jittered(self.shared.setup.sign_every);
            self.signer = signs.look(&self.shared.root, directory);
        }
        if self.claimants != claimants || self.signer != signer {
            self.tell_of_others(!claimants.is_empty(), signer.is_some(), now);
        }
    }

    /// Says who else watches the folder. `claimed`, `signed`: whether somebody did
    /// until now.
    fn tell_of_others(&mut self, claimed: bool, signed: bool, now: Instant) {
        let own = &self.shared.setup.sign;
        // Where the socket tells of the process, its sign says nothing more.
        let known = |sign: &&OwnerSign| sign.host == own.host && self.claimants.contains(&sign.pid);
        let signer = self.signer.as_ref().filter(|sign| !known(sign));
        let text = shared_with(&self.claimants, signer);
        self.shared.problems(|p| p.shared.clone_from(&text));
        let folder = &self.shared.folder.name;
        match text {
            Some(text) if !self.claimants.is_empty() => tracing::error!(%folder, "{text}"),
            None if claimed => {
                tracing::info!(%folder, "no other process watches the folder any more");
            }
            Some(text) if !signed && self.sign_logged_until.is_none_or(|until| now >= until) => {
                self.sign_logged_until = Some(now + LOG_SIGN);
                tracing::warn!(%folder, "{text}");
            }
            _ => {}
        }
    }

    // ---- events or polling

    fn set_mode(&mut self, now: Instant) {
        self.retry_events = None;
        // Drop the former first: it holds watches.
        self.shared.drop_watcher();
        let folder = &self.shared.folder;
        let (how, path) = (folder.how, folder.path.clone());
        let asked = Calls::of_process().ask(&folder.path, move || fstype::wants_events(how, &path));
        // Without an answer the next look at the folder says so.
        if !asked.unwrap_or(false) {
            self.shared.problems(|p| p.events = None);
            self.shared.status(|s| {
                s.mode = Mode::Polling;
                s.watches = 0;
            });
            return;
        }
        let source = self.shared.root.probe().begin();
        let (to, heard_by) = (Arc::downgrade(self.shared), Arc::downgrade(self.shared));
        let started = EventWatcher::start(
            move |path, told| {
                let Some(shared) = heard_by.upgrade() else {
                    return;
                };
                let at = At {
                    instant: Instant::now(),
                    wall: shared.setup.world.clock.now(),
                };
                if let Ok(rel) = path.strip_prefix(&shared.folder.path) {
                    let rel = rel.as_os_str().as_bytes();
                    shared.root.probe().hear(source, rel, told, at);
                }
            },
            move |signal| {
                let Some(shared) = to.upgrade() else { return };
                // Events that wait in our own inbox were taken in before.
                if !matches!(signal, Signal::Hint(_)) {
                    shared.root.probe().lost(source);
                }
                shared.signal(signal);
            },
        );
        match started {
            Ok(watcher) => {
                *self.shared.watcher() = Some(watcher);
                self.shared.problems(|p| p.events = None);
                self.shared.status(|s| s.mode = Mode::Events);
            }
            Err(why) => self.fall_back(&why, now),
        }
    }

    /// Polls from now on, and tries events again after a while.
    fn fall_back(&mut self, why: &NoEvents, now: Instant) {
        // Half the folder's watches would be of no use, and others need them.
        self.shared.drop_watcher();
        let poll = self.shared.setup.poll_every;
        tracing::warn!(folder = %self.shared.folder.name, "scanning every {poll:?} instead of watching: {why}");
        let text = format!("{why}; until then the folder is scanned every {poll:?}");
        self.shared.problems(|p| p.events = Some(text));
        self.shared.status(|s| {
            s.mode = Mode::Polling;
            s.watches = 0;
        });
        self.retry_events = Some(now + self.shared.jittered(self.shared.setup.rescan_every));
        self.next_scan = self.next_scan.min(now + self.shared.jittered(poll));
    }

    // ---- hints

    fn take_hints(&mut self, hints: Vec<Hint>) -> Result<(), Stopped> {
        if hints.is_empty() || self.facts.is_none() {
            return Ok(());
        }
        let wanted = self.reduce(hints);
        if wanted.is_empty() {
            return Ok(());
        }
        let handle = match self.shared.root.handle() {
            Ok(handle) => handle,
            Err(_) => {
                self.next_check = Instant::now();
                return Ok(());
            }
        };
        let mut batch = Vec::with_capacity(wanted.len());
        let mut hindered = false;
        for (rel, kind) in wanted {
            match handle.find(&rel) {
                Ok(Found::Directory) => {
                    if self.shared.rules.walked(&rel).is_ok() {
                        self.shared.order_subtree(rel);
                    }
                }
                Ok(Found::File(version)) => {
                    if let Some(how) = sighted(kind)
                        && self.shared.rules.taken_by_name(&rel).is_ok()
                    {
                        batch.push(Sighting {
                            folder: self.shared.folder.name.clone(),
                            how,
                            version,
                        });
                    }
                }
                Err(why) => {
                    hindered |= why.is_passing();
                    tracing::trace!(folder = %self.shared.folder.name, "not taken: {why}");
                }
            }
        }
        if hindered {
            self.scan_soon(Instant::now());
        }
        if batch.len() <= FEW {
            self.send_alone(&mut batch);
        }
        self.shared.send(&self.shared.outlets.events, batch)
    }

    /// Lets those that were renamed in go by themselves, as far as they are taken.
    fn send_alone(&self, batch: &mut Vec<Sighting>) {
        let Some(single) = &self.shared.outlets.single else {
            return;
        };
        batch.retain(|sighting| {
            sighting.how != Sighted::RenamedIn || single.offer(sighting.clone()).is_err()
        });
    }

    /// One hint for each path below the folder, in order of appearance; the
    /// last one that says something of the content counts.
    fn reduce(&mut self, hints: Vec<Hint>) -> Vec<(Vec<u8>, HintKind)> {
        let mut out: Vec<(Vec<u8>, HintKind)> = Vec::with_capacity(hints.len());
        let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(hints.len());
        for Hint { path, kind } in hints {
            let Some(rel) = relative(&self.shared.folder.path, &path) else {
                continue;
            };
            if rel.is_empty() {
                // The folder itself. Removed and made again it may well have
                // the same inode number, but its watch is dead.
                if kind == HintKind::Removed {
                    self.facts = None;
                }
                self.next_check = Instant::now();
                continue;
            }
            match places.get(&rel) {
                Some(&at) => {
                    if !matches!(kind, HintKind::Touched | HintKind::Removed) {
                        out[at].1 = kind;
                    }
                }
                None => {
                    places.insert(rel.clone(), out.len());
                    out.push((rel, kind));
                }
            }
        }
        out
    }
}

/// What is to be said of a folder that others watch, too: processes, and whoever
/// has left a sign in it. `None`: nobody does.
pub fn shared_with(others: &[u32], signer: Option<&OwnerSign>) -> Option<String> {
    let processes = others.iter().map(|pid| format!("process {pid}"));
    let all: Vec<String> = processes.chain(signer.map(ToString::to_string)).collect();
    (!all.is_empty()).then(|| {
        format!(
            "another supametas-sync watches this folder with a ledger of its own ({}): each file is sent by both. Stop one of them, or give each a folder of its own",
            all.join("; ")
        )
    })
}

fn relative(folder: &Path, path: &Path) -> Option<Vec<u8>> {
    let rel = path.strip_prefix(folder).ok()?;
    Some(rel.as_os_str().as_bytes().to_vec())
}

fn sighted(kind: HintKind) -> Option<Sighted> {
    match kind {
        HintKind::Closed => Some(Sighted::Closed),
        HintKind::RenamedIn => Some(Sighted::RenamedIn),
        HintKind::Created => Some(Sighted::Created),
        HintKind::Modified => Some(Sighted::Modified),
        // Something is there again, or is readable now; how it came is unknown.
        HintKind::Touched | HintKind::Removed | HintKind::NewDirectory => Some(Sighted::Scan),
    }
}
