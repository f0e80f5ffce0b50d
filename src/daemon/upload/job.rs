//! A file that is to be sent, and all that belongs to sending it.
//!
//! Must not: send it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::lane::Lanes;
use super::prepare::{Content, Prepared};
use crate::config::valid::{Dataset, Folder};
use crate::daemon::context::{Context, Running};
use crate::domain::gate::GateKey;
use crate::domain::ids::Route;
use crate::domain::media::Media;
use crate::ledger::{Begin, Fingerprints, Queued};
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
    /// It goes before all that wait for a lane.
    pub express: bool,
}

impl Job {
    /// The route it takes.
    pub fn route(&self) -> Route {
        self.folder.route(self.media)
    }
}

/// The intent to send a file, as its folder's settings say.
pub fn intent(running: &Running, folder: &Folder, media: Media, prepared: &Prepared) -> Begin {
    Begin {
        dataset: folder.dataset.clone(),
        hash: prepared.hash,
        options: folder.options_fingerprint(media),
        duplicates: folder.duplicates.rule(),
        one_chunk: !matches!(prepared.content, Content::Large(_)),
        endpoint: path_of(running, media).to_owned(),
    }
}

/// Where imports of this media go: a path behind the base URL.
pub fn path_of(running: &Running, media: Media) -> &str {
    let paths = &running.config.service.paths;
    paths.get(&media).map_or("/", String::as_str)
}
