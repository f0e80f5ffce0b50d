//! The daemon as `web` sees it: its doors opened, and what is told of it.
//!
//! Must not: end the daemon because nobody can look at it. The files matter
//! more than the page.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::context::Context;
use super::{cancel, pushes};
use crate::config::valid::{Config, Dataset};
use crate::domain::ids::{FileId, FolderName};
use crate::domain::time::Timestamp;
use crate::ledger::{Ledger, LedgerError};
use crate::live::{FolderFacts, Live, ScanFacts};
use crate::ports::{BoxFuture, World};
use crate::view::reload::Reloaded;
use crate::watch::{Mode, Offline, WatchStatus, budget};
use crate::web::door::Wanted;
use crate::web::opening::{Doors, Opening};
use crate::web::{Backstage, Cancelled, Unstored};

/// Opens the doors that there should be, as far as they can be now. To be called
/// within a tokio runtime, while the ledger's lock is held: a socket that is
/// beside it is then nobody's.
pub fn open(config: &Config, doors: &Doors) -> Vec<Opening> {
    let beside = Wanted::Beside(config.ledger.clone());
    let listen = config.http.listen.clone().map(Wanted::Listen);
    let all = std::iter::once(beside).chain(listen);
    all.map(|wanted| Opening::begin(wanted, doors)).collect()
}

impl Backstage for Context {
    fn config(&self) -> Arc<Config> {
        self.running().config.clone()
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn live(&self) -> &Live {
        &self.live
    }

    fn folders(&self) -> BTreeMap<FolderName, FolderFacts> {
        let all = self.folders.status().into_iter();
        let config = self.config();
        all.map(|(name, status)| {
            let folder = config.folders.get(&name);
            let path = folder.map(|folder| folder.path.as_path());
            let being_written = self.folders.being_written(&name, WRITTEN_SHOWN);
            (name, facts(status, path, being_written))
        })
        .collect()
    }

    fn watch_limit(&self) -> Option<u64> {
        budget::max_watches()
    }

    fn wake(&self) {
        self.wake_all();
    }

    fn pushed<'a>(
        &'a self,
        dataset: &'a Arc<Dataset>,
        body: Bytes,
    ) -> BoxFuture<'a, Result<(), Unstored>> {
        Box::pin(pushes::take(self, dataset, body))
    }

    fn cancel(
        &self,
        ids: Vec<FileId>,
        dry_run: bool,
    ) -> BoxFuture<'_, Result<Cancelled, LedgerError>> {
        let (ledger, running, world) = (self.ledger.clone(), self.running(), self.world.clone());
        // A task of its own: a request that is given up between the service's
        // answer and the ledger must not leave a deleted task unrecorded.
        let work =
            tokio::spawn(async move { cancel::all(&running, &ledger, ids, dry_run, &world).await });
        Box::pin(async {
            match work.await {
                Ok(done) => done,
                // It panicked, which is in the log, or the daemon is ending.
                Err(_) => Err(LedgerError::Closed),
            }
        })
    }

    fn reload(&self) -> BoxFuture<'_, Option<Reloaded>> {
        Box::pin(async {
            let (told, outcome) = oneshot::channel();
            self.reloads.send(told).await.ok()?;
            outcome.await.ok()
        })
    }
}

/// Files of a folder that are told to be being written, at most.
const WRITTEN_SHOWN: usize = 100;

fn facts(
    status: WatchStatus,
    path: Option<&Path>,
    being_written: Vec<(Vec<u8>, Timestamp)>,
) -> FolderFacts {
    let told = |why: Offline| match path {
        Some(path) => why.told_of(path),
        None => why.to_string(),
    };
    FolderFacts {
        checked: status.checked,
        online: status.online,
        since: status.since,
        offline_why: status.offline_why.map(told),
        offline_kind: status.offline_why.map(Offline::word),
        events: status.mode == Mode::Events,
        watches: status.watches,
        problem: status.problem,
        shared: status.shared,
        scanning: status.scanning,
        scan_began_at: status.scan_began_at,
        scans: status.scans,
        last_scan: status.last_scan.map(|scan| ScanFacts {
            at: scan.at,
            took: scan.took,
            files: scan.files,
            dirs: scan.dirs,
            skipped: scan.skipped,
            troubles: scan.troubles,
        }),
        being_written,
    }
}
