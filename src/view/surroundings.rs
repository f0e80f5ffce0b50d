//! What the wait of files depends on beside the files: what the ledger says, and
//! how things stand, from a daemon or as far as they can be told without one.
//!
//! Must not: ask anybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::standing::Standing;
use super::waiting::WaitingView;
use crate::config::valid::Config;
use crate::domain::admit::Gates;
use crate::domain::halt::Halts;
use crate::domain::ids::{FileId, FolderName};
use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;
use crate::domain::waiting::{Ahead, Around, FolderIs, Pace, Row, Waiting, of_row};
use crate::ledger::{FileRecord, Ledger};

/// What the wait of files depends on beside the files.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    gates: Arc<Gates>,
    halts: Arc<Halts>,
    running: Option<bool>,
    stopped: Option<String>,
    /// Folders that can't be reached.
    offline: BTreeMap<FolderName, FolderIs>,
    /// Folders that the configuration has.
    configured: Vec<FolderName>,
    pace: Option<Pace>,
    ahead: BTreeMap<FileId, Ahead>,
    now: Timestamp,
}

impl Surroundings {
    /// What the ledger says, and how things stand: from a daemon, or as far as they
    /// can be told without one. `ahead`: how many files go before each.
    pub fn new(
        config: &Config,
        ledger: &Ledger,
        standing: &Standing,
        ahead: BTreeMap<FileId, Ahead>,
        now: Timestamp,
    ) -> Surroundings {
        let folders = standing.folders.iter();
        let offline = folders.filter_map(|folder| {
            let live = folder.live.as_ref();
            let is = FolderIs::Offline {
                why: shown_text(folder.offline.as_ref()?, 1_000),
                since: live.and_then(|live| live.since).map(|since| since.0),
            };
            Some((folder.folder.clone(), is))
        });
        Surroundings {
            gates: ledger.gates(),
            halts: ledger.halts(),
            running: Some(standing.running),
            stopped: standing.stopped.clone(),
            offline: offline.collect(),
            configured: config.folders.keys().cloned().collect(),
            pace: Surroundings::pace(standing),
            ahead,
            now,
        }
    }

    /// How fast files go: in the shortest window in which anything went through.
    pub fn pace(standing: &Standing) -> Option<Pace> {
        let rates = standing.daemon.iter().flat_map(|daemon| &daemon.rates);
        let mut paces = rates.map(|rate| Pace {
            files: rate.files,
            over: Duration::from_secs(rate.over_s),
        });
        paces.find(|pace| pace.files > 0)
    }

    /// All that a file waits for, what holds it longest in front.
    pub fn of(&self, file: &FileRecord) -> Vec<Waiting> {
        let there = match self.configured.contains(&file.folder) {
            true => FolderIs::There,
            false => FolderIs::Dropped,
        };
        let folder = match there {
            FolderIs::There => self.offline.get(&file.folder).unwrap_or(&there),
            _ => &there,
        };
        let row = Row {
            folder: &file.folder,
            dataset: &file.dataset,
            media: file.media,
            state: &file.state,
            last: file.last_code.as_ref().zip(file.last_why.as_deref()),
            changes_often: file.reimports > 0,
        };
        let around = Around {
            now: self.now,
            gates: &self.gates,
            halts: &self.halts,
            running: self.running,
            stopped: self.stopped.as_deref(),
            folder,
            ahead: self.ahead.get(&file.id).copied(),
            pace: self.pace,
        };
        of_row(&row, &around)
    }
    /// Says in `standing` what the file waits for that waits longest.
    pub fn tell_oldest(&self, standing: &mut Standing, oldest: Option<&FileRecord>) {
        if let (Some(told), Some(file)) = (&mut standing.oldest_waiting, oldest) {
            told.waiting = WaitingView::of(&self.of(file), self.now);
        }
    }
}
