//! The thread that scans: whole scans and new subfolders, as ordered.
//!
//! Must not: decide when to scan.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::events::{NotWatched, Signal};
use super::root::RootHandle;
use super::scan::{Go, Visit, WalkReport, walk};
use super::shared::{Order, Shared, Stopped};
use super::{BATCH, LastScan, Sighting};
use crate::domain::naming::shown;
use crate::domain::settle::Sighted;
use crate::domain::version::FileVersion;

/// A batch that is not full is sent on after so long.
const LINGER: Duration = Duration::from_millis(50);

/// The thread.
pub(super) fn run(shared: &Arc<Shared>) {
    while let Some(order) = shared.next_order() {
        let handle = match shared.root.handle() {
            Ok(handle) => handle,
            Err(_) => {
                // It is ordered again when the folder is back.
                shared.ask_root_check();
                continue;
            }
        };
        match order {
            Order::Full => full(shared, &handle),
            Order::Subtree(rel) => subtree(shared, &handle, &rel),
        }
    }
}

fn full(shared: &Shared, handle: &RootHandle) {
    let start = Instant::now();
    let began_at = shared.setup.world.clock.now();
    // Here, where a mount that hangs holds up nobody else.
    shared.root.look_for_exports();
    shared.status(|s| {
        s.scanning = true;
        s.scan_began_at = Some(began_at);
    });
    let mut visit = Visitor::new(shared, handle, &shared.outlets.scans, true);
    let report = walk(handle, &shared.rules, b"", &mut visit);
    let (watches, unwatched, sent) = visit.finish();
    if !report.complete || !sent || shared.root.handle().is_err() {
        shared.status(|s| s.scanning = false);
        shared.ask_root_check();
        return;
    }
    if let Some(watcher) = shared.watcher().as_mut() {
        watcher.prune(watches);
    }
    shared.walked(report.hindered, true);
    let problem = words(&report, unwatched);
    shared.problems(|p| {
        // Once for each change: a scan may come every few seconds.
        if p.scan != problem
            && let Some(text) = &problem
        {
            tracing::warn!(folder = %shared.folder.name, "{text}");
        }
        p.scan = problem;
    });
    shared.status(|s| {
        s.scanning = false;
        s.scans += 1;
        s.watches = watches;
        s.last_scan = Some(LastScan {
            at: shared.setup.world.clock.now(),
            took: start.elapsed(),
            files: report.files,
            dirs: report.dirs,
            skipped: report.skipped,
            troubles: report.troubles,
        });
    });
    tracing::debug!(
        folder = %shared.folder.name,
        files = report.files,
        dirs = report.dirs,
        took = ?start.elapsed(),
        "scanned the folder"
    );
}

fn subtree(shared: &Shared, handle: &RootHandle, rel: &[u8]) {
    let mut visit = Visitor::new(shared, handle, &shared.outlets.events, false);
    let report = walk(handle, &shared.rules, rel, &mut visit);
    let (watches, _, _) = visit.finish();
    if report.hindered {
        shared.walked(true, false);
    }
    // Those of a folder walked again are counted twice until the next scan.
    shared.status(|s| s.watches += watches);
}

/// What a scan could not do, in words.
fn words(report: &WalkReport, unwatched: Option<String>) -> Option<String> {
    let unseen = report.examples.first().map(|(path, why)| {
        format!(
            "{} of the folder's files or subfolders can't be looked at, such as {}: {why}",
            report.troubles,
            shown(path)
        )
    });
    let unwatched = unwatched.map(|what| format!("not watched, found by scans only: {what}"));
    let all: Vec<String> = unseen.into_iter().chain(unwatched).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

struct Visitor<'a> {
    shared: &'a Shared,
    handle: &'a RootHandle,
    to: &'a mpsc::Sender<Vec<Sighting>>,
    /// Whether new subfolders are walked in between.
    detours: bool,
    batch: Vec<Sighting>,
    sent_at: Instant,
    watches: u64,
    unwatched: Option<String>,
    sent: bool,
}

impl<'a> Visitor<'a> {
    fn new(
        shared: &'a Shared,
        handle: &'a RootHandle,
        to: &'a mpsc::Sender<Vec<Sighting>>,
        detours: bool,
    ) -> Visitor<'a> {
        Visitor {
            shared,
            handle,
            to,
            detours,
            batch: Vec::new(),
            sent_at: Instant::now(),
            watches: 0,
            unwatched: None,
            sent: true,
        }
    }

    fn flush(&mut self) -> Go {
        let mut batch = std::mem::take(&mut self.batch);
        loop {
            self.detour();
            match self.shared.offer(self.to, batch, self.detours) {
                Ok(None) => break,
                Ok(Some(back)) => batch = back,
                Err(Stopped) => {
                    self.sent = false;
                    return Go::Stop;
                }
            }
        }
        self.sent_at = Instant::now();
        if self.shared.is_stopped() {
            Go::Stop
        } else {
            Go::On
        }
    }

    /// New subfolders are not kept waiting by a long scan.
    fn detour(&self) {
        while self.detours && !self.shared.is_stopped() {
            match self.shared.next_subtree() {
                Some(rel) => subtree(self.shared, self.handle, &rel),
                None => return,
            }
        }
    }

    /// Hands the rest over; watches set, an example of one not set, and whether
    /// all was handed over.
    fn finish(mut self) -> (u64, Option<String>, bool) {
        self.flush();
        (self.watches, self.unwatched, self.sent)
    }

    fn watch(&mut self, rel: &[u8]) {
        let mut watcher = self.shared.watcher();
        let Some(watcher) = watcher.as_mut() else {
            return;
        };
        let mut path = self.shared.folder.path.clone();
        if !rel.is_empty() {
            path.push(OsStr::from_bytes(rel));
        }
        match watcher.watch(&path) {
            Ok(()) => self.watches += 1,
            Err(NotWatched::Gone) => {}
            Err(NotWatched::WatchLimit) => self.shared.signal(Signal::NoWatchLeft),
            Err(NotWatched::Other(why)) => {
                self.unwatched
                    .get_or_insert_with(|| format!("{}: {why}", shown(rel)));
            }
        }
    }

    fn due(&self) -> bool {
        self.batch.len() >= BATCH || self.sent_at.elapsed() >= LINGER
    }
}

impl Visit for Visitor<'_> {
    fn enter(&mut self, rel: &[u8]) -> Go {
        self.watch(rel);
        if self.due() { self.flush() } else { Go::On }
    }

    fn file(&mut self, version: FileVersion) -> Go {
        self.batch.push(Sighting {
            folder: self.shared.folder.name.clone(),
            how: Sighted::Scan,
            version,
        });
        if self.due() { self.flush() } else { Go::On }
    }
}
