//! What is going on right now: a small registry that the daemon's stages keep
//! up to date, and that readers take snapshots of.
//!
//! Nothing here is worth keeping: it is gone with the process, and what counts
//! stands in the ledger. It is as large as what is on the wire, plus a fixed
//! rest. Must not: be asked by anything that decides about a file, or grow with
//! the number of files.

pub mod attempts;
pub mod calls;
pub mod histogram;
mod meter;
mod questions;
pub mod rates;
mod ring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::attempts::{Attempts, Counted};
use self::calls::{Call as HookCall, Calls};
use self::histogram::Histogram;
use self::meter::Meter;
use self::questions::Questions;
use self::rates::{Rate, Rates, Series, Tally};
use crate::domain::answer::Call;
use crate::domain::error_table::{Judgement, Verdict};
use crate::domain::ids::{AttemptId, DatasetName, FileId, FolderName};
use crate::domain::media::Media;
use crate::domain::poll_rate::Lately;
use crate::domain::time::Timestamp;
use crate::ports::Progress;

/// Upper bounds of the buckets of times on the network, in seconds.
const UPLOADS: &[f64] = &[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// The same for tasks.
const TASKS: &[f64] = &[
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// The windows that rates are told for.
const WINDOWS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(300)];

/// The registry.
#[derive(Debug)]
pub struct Live {
    /// When the daemon began, by the time of day.
    pub started_at: Timestamp,
    /// From the first byte of an upload to its answer.
    pub uploads: Histogram,
    /// From the upload of a file to the end of its task.
    pub tasks: Histogram,
    /// The same moment as `started_at`, for what must not jump with the clock.
    start: Instant,
    in_flight: Mutex<InFlight>,
    settling: Mutex<BTreeMap<FolderName, u64>>,
    rates: Mutex<Rates>,
    questions: Mutex<BTreeMap<DatasetName, Questions>>,
    attempts: Mutex<Attempts>,
    calls: Mutex<Calls>,
    stale_keys: Mutex<BTreeSet<DatasetName>>,
}

#[derive(Debug, Default)]
struct InFlight {
    next: u64,
    all: BTreeMap<u64, (Arc<Upload>, Meter)>,
}

/// An upload on the wire.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The file.
    pub id: FileId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its folder.
    pub folder: FolderName,
    /// Its path in the folder.
    pub path: Vec<u8>,
    /// Where it goes.
    pub dataset: DatasetName,
    /// As what.
    pub media: Media,
    /// Bytes.
    pub size: u64,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// When it went on the wire.
    pub started_at: Timestamp,
    /// It goes alone, to see whether a gate can be opened.
    pub probe: bool,
}

/// Keeps an upload in the registry; dropping it takes it out.
#[derive(Debug)]
pub struct OnTheWire {
    live: Arc<Live>,
    number: u64,
}

/// How a folder is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderFacts {
    /// Whether it was looked for at all yet.
    pub checked: bool,
    /// Whether it is there.
    pub online: bool,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    /// Why it is not there.
    pub offline_why: Option<String>,
    /// The same as a word that stays.
    pub offline_kind: Option<&'static str>,
    /// By events; else by scans alone.
    pub events: bool,
    /// Directories with a kernel watch.
    pub watches: u64,
    /// What is wrong with the watch and what to do.
    pub problem: Option<String>,
    /// Who else watches it, and what to do.
    pub shared: Option<String>,
    /// A whole scan is under way.
    pub scanning: bool,
    /// When the latest whole scan began.
    pub scan_began_at: Option<Timestamp>,
    /// Whole scans that came to their end.
    pub scans: u64,
    /// The last of them.
    pub last_scan: Option<ScanFacts>,
    /// Files that are being written, by their paths in the folder, and since
    /// when; some of them, where there are many.
    pub being_written: Vec<(Vec<u8>, Timestamp)>,
}

/// How a whole scan went.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanFacts {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Files that may be taken.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Names that are not taken.
    pub skipped: u64,
    /// What could not be looked at.
    pub troubles: u64,
}

impl Live {
    /// Of a daemon that begins now.
    pub fn new(started_at: Timestamp) -> Live {
        Live {
            started_at,
            uploads: Histogram::new(UPLOADS),
            tasks: Histogram::new(TASKS),
            start: Instant::now(),
            in_flight: Mutex::default(),
            settling: Mutex::default(),
            rates: Mutex::new(Rates::new()),
            questions: Mutex::default(),
            attempts: Mutex::default(),
            calls: Mutex::default(),
            stale_keys: Mutex::default(),
        }
    }

    /// Datasets whose key file holds another key than the one in use; those that
    /// are news.
    pub fn stale_keys_are(&self, now: BTreeSet<DatasetName>) -> Vec<DatasetName> {
        let mut known = lock(&self.stale_keys);
        let news = now.difference(&known).cloned().collect();
        *known = now;
        news
    }

    /// Datasets whose key file holds another key than the one in use.
    pub fn stale_keys(&self) -> BTreeSet<DatasetName> {
        lock(&self.stale_keys).clone()
    }

    /// An upload goes on the wire.
    pub fn sending(self: &Arc<Live>, upload: Upload) -> OnTheWire {
        let mut in_flight = lock(&self.in_flight);
        let number = in_flight.next;
        in_flight.next += 1;
        let meter = Meter::new(self.start.elapsed());
        in_flight.all.insert(number, (Arc::new(upload), meter));
        OnTheWire {
            live: self.clone(),
            number,
        }
    }

    /// An upload of `bytes` was answered, or broke off, after `took`.
    pub fn uploaded(&self, judgement: &Judgement, bytes: u64, took: Duration) {
        self.uploads.record(took);
        let tally = match judgement.verdict {
            Verdict::Done(_) => Tally {
                files: 1,
                bytes,
                ..Tally::default()
            },
            _ => Tally {
                failed: 1,
                ..Tally::default()
            },
        };
        lock(&self.rates).add(self.start.elapsed(), tally);
        lock(&self.attempts).count(Call::Upload, judgement);
    }

    /// A question about a task of `dataset` was answered; `ended`: that it has.
    pub fn asked(&self, dataset: &DatasetName, judgement: &Judgement, ended: bool) {
        lock(&self.attempts).count(Call::Query, judgement);
        let mut all = lock(&self.questions);
        if !all.contains_key(dataset) {
            all.insert(dataset.clone(), Questions::new());
        }
        if let Some(questions) = all.get_mut(dataset) {
            questions.answered(self.start.elapsed(), ended);
        }
    }

    /// Questions about tasks of each dataset lately, in windows from the shortest
    /// on.
    pub fn questions(&self) -> BTreeMap<DatasetName, Vec<Lately>> {
        let now = self.start.elapsed();
        let all = lock(&self.questions);
        all.iter()
            .map(|(dataset, questions)| (dataset.clone(), questions.lately(now)))
            .collect()
    }

    /// A call of a hook has ended.
    pub fn called(&self, call: HookCall) {
        *lock(&self.calls).entry(call).or_default() += 1;
    }

    /// Calls of hooks since the start.
    pub fn calls(&self) -> Calls {
        lock(&self.calls).clone()
    }

    /// How many files settle in each folder.
    pub fn settling(&self, now: &BTreeMap<FolderName, u64>) {
        let mut settling = lock(&self.settling);
        if *settling != *now {
            settling.clone_from(now);
        }
    }

    /// Uploads on the wire, oldest first, with their pace of late in bytes a
    /// second, where it is known.
    pub fn in_flight(&self) -> Vec<(Arc<Upload>, Option<f64>)> {
        self.look();
        let in_flight = lock(&self.in_flight);
        let all = in_flight.all.values();
        all.map(|(upload, meter)| (upload.clone(), meter.pace()))
            .collect()
    }

    /// Counts what uploads have sent since somebody last asked: nothing ticks
    /// where nobody looks.
    fn look(&self) {
        let now = self.start.elapsed();
        let mut in_flight = lock(&self.in_flight);
        let all = in_flight.all.values_mut();
        let gone: Vec<_> = all
            .filter_map(|(upload, meter)| meter.look(now, upload.progress.bytes()))
            .collect();
        drop(in_flight);
        let mut rates = lock(&self.rates);
        for gone in gone {
            rates.sent(gone.since, now, gone.bytes);
        }
    }

    /// Files that settle in each folder that has any.
    pub fn settling_now(&self) -> BTreeMap<FolderName, u64> {
        lock(&self.settling).clone()
    }

    /// What went through lately: over the last minute, and the last five.
    pub fn rates(&self) -> Vec<Rate> {
        self.look();
        let (rates, now) = (lock(&self.rates), self.start.elapsed());
        WINDOWS.map(|window| rates.over(window, now)).to_vec()
    }

    /// What went through in the last hour, and in the last day.
    pub fn series(&self) -> (Series, Series) {
        self.look();
        let (rates, now) = (lock(&self.rates), self.start.elapsed());
        (rates.hour(now), rates.day(now))
    }

    /// What went through since the start.
    pub fn total(&self) -> Tally {
        lock(&self.rates).total()
    }

    /// Answers of the service since the start.
    pub fn attempts(&self) -> Vec<(Counted, u64)> {
        lock(&self.attempts).all()
    }
}

impl Drop for OnTheWire {
    fn drop(&mut self) {
        let live = &self.live;
        let taken_out = lock(&live.in_flight).all.remove(&self.number);
        if let Some((upload, mut meter)) = taken_out {
            let now = live.start.elapsed();
            let gone = meter.last_look(now, upload.progress.bytes());
            lock(&live.rates).sent(gone.since, now, gone.bytes);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // All that is in them is figures: whole enough after a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_there_for_as_long_as_it_is_on_the_wire() {
        let live = Arc::new(Live::new(Timestamp(5)));
        let upload = |id| Upload {
            id: FileId(id),
            attempt: AttemptId(id + 100),
            folder: FolderName("f".into()),
            path: b"a".to_vec(),
            dataset: DatasetName("d".into()),
            media: Media::Text,
            size: 10,
            progress: Arc::default(),
            started_at: Timestamp(7),
            probe: false,
        };
        let first = live.sending(upload(2));
        let second = live.sending(upload(1));
        let ids = || {
            let all = live.in_flight();
            all.iter().map(|(u, _)| u.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids(), [2, 1]);
        let progress = live.in_flight()[0].0.progress.clone();
        progress.hand_over(4, false);
        assert_eq!(live.in_flight()[0].0.progress.bytes(), 4);
        drop(first);
        assert_eq!(ids(), [1]);
        drop(second);
        assert!(ids().is_empty());
        // What broke off was sent, and not taken.
        let total = live.total();
        assert_eq!((total.sent, total.bytes), (4, 0));
        assert_eq!(live.rates()[0].tally.sent, 4);
        let (hour, day) = live.series();
        assert_eq!((hour.steps[0].sent, day.steps[0].sent), (4, 4));
    }
}
