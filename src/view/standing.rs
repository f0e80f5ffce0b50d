//! How things stand as a whole: from the ledger, and, where a daemon runs, from
//! what it says of itself. This is `status --json` and `/api/status`; its keys
//! are documented in `docs/http.md`.
//!
//! Must not: say something of a daemon that the daemon has not said.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attention::{GroupView, groups};
use super::dropped::dropped;
use super::following::{self, Asked, FollowingView};
use super::halt::PauseView;
use super::waiting::WaitingView;
use super::{Stamp, lifts, opens};
use crate::config::valid::Config;
use crate::domain::gate::Status;
use crate::domain::halt::Halts;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::media::Media;
use crate::domain::naming::{shown, shown_text};
use crate::domain::resolution::ResolutionKind;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Timestamp;
use crate::domain::time_left::{self, Amount};
use crate::ledger::{self, FileRecord, Gates};
use crate::live::rates::Rate;
use crate::live::{FolderFacts, ScanFacts, Upload};

/// How things stand.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub running: bool,
    pub now: Stamp,
    pub service: String,
    pub ledger: String,
    pub pending: Pending,
    pub attention: u64,
    /// The latest of them, told once for many.
    #[serde(default)]
    pub attention_groups: Vec<GroupView>,
    /// Files that came to a bad end and need nobody any more, by how that came.
    #[serde(default)]
    pub resolved: BTreeMap<ResolutionKind, u64>,
    pub totals: BTreeMap<StateKind, Total>,
    pub oldest_waiting: Option<Waiting>,
    pub oldest_waiting_s: Option<u64>,
    /// The same of what nobody holds back on purpose.
    #[serde(default)]
    pub oldest_unpaused_s: Option<u64>,
    /// Files that change again and again, and wait for `reimport_after`.
    #[serde(default)]
    pub changing: Vec<Changing>,
    /// Why nothing can be recorded, and so nothing is sent.
    pub stopped: Option<String>,
    /// What an operator holds back.
    pub pauses: Vec<PauseView>,
    pub gates: Vec<GateView>,
    /// Sources that can't be moved or deleted.
    #[serde(default)]
    pub stay: Vec<StayView>,
    pub folders: Vec<FolderView>,
    /// Tasks at the service, by dataset; those that have any.
    #[serde(default)]
    pub following: Vec<FollowingView>,
    pub left_behind: Vec<LeftBehind>,
    /// What only a running daemon knows.
    pub daemon: Option<DaemonView>,
}

/// How much there is to do.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub due: u64,
    pub later: u64,
    pub uploading: u64,
    pub submitted: u64,
    pub sources: u64,
}

/// Files in a state.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    pub files: u64,
    pub bytes: u64,
}

/// A file that waits.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    pub id: i64,
    pub folder: FolderName,
    pub file: String,
    pub seen_at: Stamp,
    pub waiting_s: u64,
    /// What it waits for.
    #[serde(default)]
    pub waiting: Option<WaitingView>,
}

/// A file that changes again and again.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changing {
    pub id: i64,
    pub folder: FolderName,
    pub file: String,
    pub due_at: Stamp,
}

/// A gate that is not open.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateView {
    pub gate: String,
    pub status: String,
    pub code: String,
    pub why: String,
    pub since: Stamp,
    pub until: Stamp,
    pub lifts: String,
    pub opens: String,
}

/// A folder.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FolderView {
    pub folder: FolderName,
    pub dataset: Option<DatasetName>,
    pub path: Option<String>,
    pub configured: bool,
    pub files: BTreeMap<StateKind, u64>,
    pub bytes: BTreeMap<StateKind, u64>,
    /// Files that need a person, by state.
    #[serde(default)]
    pub attention: BTreeMap<StateKind, u64>,
    pub offline: Option<String>,
    #[serde(default)]
    pub offline_kind: Option<String>,
    pub shared: Option<String>,
    pub live: Option<FolderLive>,
}

/// A folder with work that the configuration does not have.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    pub folder: FolderName,
    pub queued: u64,
    pub out: u64,
    /// The same in words, with what to do.
    pub why: String,
}

/// Sources of a folder that can't be moved or deleted.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayView {
    pub folder: FolderName,
    pub files: u64,
    pub why: String,
}

/// How a folder is doing.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FolderLive {
    pub online: bool,
    pub since: Option<Stamp>,
    pub offline_why: Option<String>,
    pub watch: String,
    pub watches: u64,
    pub problem: Option<String>,
    pub settling: u64,
    pub scanning: bool,
    pub scan_began_at: Option<Stamp>,
    pub scans: u64,
    pub last_scan: Option<ScanView>,
    #[serde(default)]
    pub being_written: Vec<WrittenView>,
}

/// A file that is being written.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenView {
    pub file: String,
    pub since: Stamp,
}

/// How a scan went.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanView {
    pub at: Stamp,
    pub took_s: f64,
    pub files: u64,
    pub dirs: u64,
    pub skipped: u64,
    pub troubles: u64,
}

/// What a running daemon says of itself.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonView {
    pub version: String,
    pub started_at: Stamp,
    pub in_flight: Vec<UploadView>,
    pub rates: Vec<RateView>,
    /// What is to be uploaded now, and how long that lasts.
    #[serde(default)]
    pub queue: QueueView,
    pub watches: Watches,
    #[serde(default)]
    pub doors: Vec<DoorView>,
    #[serde(default)]
    pub long_log_bytes: Option<u64>,
    /// Datasets whose key file holds another key than the one in use.
    #[serde(default)]
    pub stale_keys: BTreeSet<DatasetName>,
    pub may_act: bool,
}

/// What is to be uploaded now, what is on the wire included.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    pub files: u64,
    pub bytes: u64,
    pub eta_s: Option<u64>,
}

/// Where the daemon listens, or would.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorView {
    pub at: String,
    pub open: bool,
    pub problem: Option<String>,
}

/// An upload on the wire.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadView {
    pub id: i64,
    pub attempt: i64,
    pub folder: FolderName,
    pub file: String,
    pub dataset: DatasetName,
    pub media: Media,
    pub size: u64,
    pub sent: u64,
    pub started_at: Stamp,
    pub probe: bool,
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    #[serde(default)]
    pub eta_s: Option<u64>,
}

/// What went through in a window of time.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateView {
    pub over_s: u64,
    pub files: u64,
    pub bytes: u64,
    pub failed: u64,
    #[serde(default)]
    pub sent_bytes: u64,
}

/// Kernel watches.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Watches {
    pub used: u64,
    pub limit: Option<u64>,
}

fn changing(file: &FileRecord) -> Option<Changing> {
    let State::Queued { not_before, .. } = file.state else {
        return None;
    };
    Some(Changing {
        id: file.id.0,
        folder: file.folder.clone(),
        file: shown(&file.version.path),
        due_at: Stamp(not_before),
    })
}

impl Standing {
    /// From the ledger alone.
    pub fn of(
        config: &Config,
        standing: &ledger::Standing,
        gates: &Gates,
        halts: &Halts,
        running: bool,
        now: Timestamp,
    ) -> Standing {
        let mut totals: BTreeMap<StateKind, Total> = BTreeMap::new();
        for count in &standing.counts {
            let total = totals.entry(count.state).or_default();
            total.files += count.files;
            total.bytes += count.bytes;
        }
        let needy = standing.counts.iter().map(ledger::Count::needing_attention);
        let resolved = standing.counts.iter().flat_map(|count| &count.resolved);
        let pending = &standing.pending;
        let oldest = standing.oldest.as_ref();
        Standing {
            running,
            now: Stamp(now),
            service: config.service.base_url.to_string(),
            ledger: config.ledger.to_string_lossy().into_owned(),
            pending: Pending {
                due: pending.queued_due,
                later: pending.queued_later,
                uploading: pending.uploading,
                submitted: pending.submitted,
                sources: pending.source_actions,
            },
            attention: needy.sum::<u64>() + standing.unknown,
            attention_groups: groups(config, &standing.needing_attention),
            resolved: resolved.fold(BTreeMap::new(), |mut all, (how, files)| {
                *all.entry(*how).or_default() += files;
                all
            }),
            totals,
            oldest_waiting: oldest.map(|file| Waiting {
                id: file.id.0,
                folder: file.folder.clone(),
                file: shown(&file.version.path),
                seen_at: Stamp(file.seen_at),
                waiting_s: now.since(file.seen_at).as_secs(),
                waiting: None,
            }),
            oldest_waiting_s: oldest.map(|file| now.since(file.seen_at).as_secs()),
            oldest_unpaused_s: standing
                .oldest_unpaused
                .map(|seen_at| now.since(seen_at).as_secs()),
            changing: standing.changing.iter().filter_map(changing).collect(),
            stopped: None,
            pauses: PauseView::all(halts, now),
            gates: gates_that_are_closed(gates, now),
            stay: standing.stay.iter().map(StayView::of).collect(),
            folders: folders(config, &standing.counts),
            following: following::of(config, &standing.counts),
            left_behind: left_behind(config, &standing.counts, &standing.places),
            daemon: None,
        }
    }

    /// Adds what the daemon says of itself and of its folders.
    #[must_use]
    pub fn with_daemon(
        mut self,
        daemon: DaemonView,
        questions: &Asked,
        folders: &BTreeMap<FolderName, FolderFacts>,
        settling: &BTreeMap<FolderName, u64>,
    ) -> Standing {
        for folder in &mut self.folders {
            let facts = folders.get(&folder.folder).filter(|facts| facts.checked);
            let settling = settling.get(&folder.folder).copied().unwrap_or(0);
            folder.offline = facts.and_then(|facts| facts.offline_why.clone());
            folder.offline_kind = facts
                .and_then(|facts| facts.offline_kind)
                .map(str::to_owned);
            folder.shared = facts.and_then(|facts| facts.shared.clone());
            folder.live = facts.map(|facts| FolderLive::of(facts, settling));
        }
        for one in &mut self.following {
            let lately = questions.get(&one.dataset);
            one.estimated(lately.map_or(&[], Vec::as_slice));
        }
        self.daemon = Some(daemon);
        self
    }
}

impl StayView {
    fn of(stay: &ledger::StaysPut) -> StayView {
        StayView {
            folder: stay.folder.clone(),
            files: stay.files,
            why: shown_text(&stay.why, 1_000),
        }
    }
}

impl FolderLive {
    fn of(facts: &FolderFacts, settling: u64) -> FolderLive {
        FolderLive {
            online: facts.online,
            since: facts.since.map(Stamp),
            offline_why: facts.offline_why.clone(),
            watch: if facts.events { "events" } else { "polling" }.to_owned(),
            watches: facts.watches,
            problem: facts.problem.clone(),
            settling,
            scanning: facts.scanning,
            scan_began_at: facts.scan_began_at.map(Stamp),
            scans: facts.scans,
            last_scan: facts.last_scan.as_ref().map(ScanView::of),
            being_written: facts
                .being_written
                .iter()
                .map(|(path, since)| WrittenView {
                    file: shown(path),
                    since: Stamp(*since),
                })
                .collect(),
        }
    }
}

impl ScanView {
    fn of(scan: &ScanFacts) -> ScanView {
        ScanView {
            at: Stamp(scan.at),
            took_s: scan.took.as_secs_f64(),
            files: scan.files,
            dirs: scan.dirs,
            skipped: scan.skipped,
            troubles: scan.troubles,
        }
    }
}

impl UploadView {
    /// As scripts see it; `pace`: in bytes a second.
    pub fn of(upload: &Upload, pace: Option<f64>) -> UploadView {
        let sent = upload.progress.bytes();
        let left = upload.size.saturating_sub(sent);
        let eta = pace.and_then(|pace| time_left::upload_left(left, pace));
        UploadView {
            id: upload.id.0,
            attempt: upload.attempt.0,
            folder: upload.folder.clone(),
            file: shown(&upload.path),
            dataset: upload.dataset.clone(),
            media: upload.media,
            size: upload.size,
            sent,
            started_at: Stamp(upload.started_at),
            probe: upload.probe,
            bytes_per_second: pace.map(|pace| pace as u64),
            eta_s: eta.map(|time| time.as_secs()),
        }
    }
}

impl QueueView {
    /// Of what is due and what is on the wire, by what went through lately.
    pub fn of(standing: &Standing, in_flight: &[UploadView], lately: Option<&Rate>) -> QueueView {
        let (due, later) = (standing.pending.due, standing.pending.later);
        let queued = standing.totals.get(&StateKind::Queued);
        let queued = queued.map_or(0, |total| u128::from(total.bytes));
        // How many bytes are due is not counted: as many as their share of files.
        let due_bytes = queued * u128::from(due) / u128::from((due + later).max(1));
        let rest = in_flight.iter().map(|u| u.size.saturating_sub(u.sent));
        let left = Amount {
            files: due + standing.pending.uploading,
            bytes: u64::try_from(due_bytes).unwrap_or(u64::MAX) + rest.sum::<u64>(),
        };
        let eta = lately.and_then(|rate| {
            let went = Amount {
                files: rate.tally.files,
                bytes: rate.tally.sent,
            };
            time_left::time_left(left, went, rate.over)
        });
        QueueView {
            files: left.files,
            bytes: left.bytes,
            eta_s: eta.map(|time| time.as_secs()),
        }
    }
}

impl RateView {
    /// As scripts see it.
    pub fn of(rate: &Rate) -> RateView {
        RateView {
            over_s: rate.over.as_secs(),
            files: rate.tally.files,
            bytes: rate.tally.bytes,
            failed: rate.tally.failed,
            sent_bytes: rate.tally.sent,
        }
    }
}

fn gates_that_are_closed(gates: &Gates, now: Timestamp) -> Vec<GateView> {
    let closed = gates.iter().filter_map(|(key, gate)| {
        let closed = gate.closed()?;
        let probing = matches!(gate.status, Status::Probing { .. });
        Some(GateView {
            gate: key.to_string(),
            status: if probing { "probing" } else { "closed" }.to_owned(),
            code: closed.code.to_string(),
            why: closed.why.clone(),
            since: Stamp(closed.since),
            until: Stamp(closed.until),
            lifts: lifts(closed.lifts).to_owned(),
            opens: opens(key, gate, now),
        })
    });
    closed.collect()
}

/// The folders that `config` leaves behind.
pub fn left_behind(
    config: &Config,
    counts: &[ledger::Count],
    places: &ledger::Places,
) -> Vec<LeftBehind> {
    let left = dropped(config, counts, places).into_iter();
    left.map(|left| LeftBehind {
        why: format!("{left}; {}", left.remedy()),
        folder: left.folder,
        queued: left.queued,
        out: left.out,
    })
    .collect()
}

/// The folders of the configuration, and those whose files the ledger has.
fn folders(config: &Config, counts: &[ledger::Count]) -> Vec<FolderView> {
    let mut names: Vec<&FolderName> = config.folders.keys().collect();
    names.extend(counts.iter().map(|count| &count.folder));
    names.sort();
    names.dedup();
    let view = |name: &FolderName| {
        let folder = config.folders.get(name);
        let mine = || counts.iter().filter(|count| count.folder == *name);
        FolderView {
            folder: name.clone(),
            dataset: folder.map(|folder| folder.dataset.clone()),
            path: folder.map(|folder| folder.path.to_string_lossy().into_owned()),
            configured: folder.is_some(),
            files: mine().map(|count| (count.state, count.files)).collect(),
            bytes: mine().map(|count| (count.state, count.bytes)).collect(),
            attention: mine()
                .map(|count| (count.state, count.needing_attention()))
                .filter(|(_, files)| *files > 0)
                .collect(),
            offline: None,
            offline_kind: None,
            shared: None,
            live: None,
        }
    };
    names.into_iter().map(view).collect()
}
