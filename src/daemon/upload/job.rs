//! A file that is to be sent, and all that belongs to sending it.
//!
//! Must not: do any of it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::lane::Lanes;
use crate::config::valid::{Dataset, Folder};
use crate::daemon::context::{Context, Running};
use crate::domain::gate::GateKey;
use crate::domain::ids::Route;
use crate::domain::media::Media;
use crate::ledger::{Fingerprints, Queued};
use crate::watch::FolderRoot;

/// How the two ends of a stop are told apart.
#[derive(Clone)]
pub struct Stop {
    /// Take no new file; what is on the wire goes on.
    pub drain: CancellationToken,
    /// The grace period is over: leave the wire.
    pub cut: CancellationToken,
}

/// A file, and all that belongs to sending it.
pub struct Job {
    /// The daemon.
    pub ctx: Arc<Context>,
    /// What was in force when it was picked.
    pub running: Arc<Running>,
    /// The two ends of a stop.
    pub stop: Stop,
    /// The file.
    pub file: Queued,
    /// Its folder.
    pub folder: Arc<Folder>,
    /// Where it goes.
    pub dataset: Arc<Dataset>,
    /// The handle on its folder.
    pub root: Arc<FolderRoot>,
    /// Its folder is on a local file system: a look does not block.
    pub local: bool,
    /// How it was sorted.
    pub media: Media,
    /// The dataset's lanes.
    pub lanes: Arc<Lanes>,
    /// The gates on its way.
    pub way: [GateKey; 3],
    /// The settings behind them.
    pub fingerprints: Arc<Fingerprints>,
}

impl Job {
    /// The route it takes.
    pub fn route(&self) -> Route {
        self.folder.route(self.media)
    }
}
