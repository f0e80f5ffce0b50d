//! Why a file waits: the one answer, from which `explain`, `show`, `list`,
//! `status`, the page and their JSON speak.
//!
//! [`of_row`] says what holds a file that the ledger has, the first of it in front:
//! what nothing else would end comes before what ends by itself.
//! Must not: look at anything, or decide what the daemon does (`admit` and `settle`
//! do; this tells what they came to).

mod words;

use std::time::Duration;

use super::admit::{Gates, holding_gates, query_way, way};
use super::answer::Code;
use super::gate::{Closed, Gate, GateKey, Status};
use super::halt::{Halt, HaltScope, Halts, holding};
use super::ids::{DatasetName, FolderName, Route, TaskId};
use super::media::Media;
use super::settle::WaitReason;
use super::state::State;
use super::time::Timestamp;

/// The label of a file that can't be read, in place of an answer's.
pub const UNREADABLE: &str = "UNREADABLE";

/// What a file waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Its folder is not in the configuration any more.
    FolderDropped(FolderName),
    /// Nothing can be recorded, and so nothing is sent.
    Stopped {
        /// Why.
        why: String,
    },
    /// Its folder can't be reached.
    Offline {
        /// It.
        folder: FolderName,
        /// Why not.
        why: String,
        /// Since when, where a daemon knows.
        since: Option<Timestamp>,
    },
    /// An operator has paused it.
    Paused {
        /// What.
        scope: HaltScope,
        /// By whom, since when, until when, what for.
        halt: Halt,
    },
    /// A gate on its way is closed.
    Gate {
        /// Which.
        key: GateKey,
        /// Since when, until when, and what closed it.
        closed: Closed,
        /// One file is out to see.
        probing: bool,
    },
    /// No daemon is running.
    NoDaemon,
    /// It may not be finished. How much longer it settles at most, if that is
    /// known.
    Settling(WaitReason, Option<Duration>),
    /// It can't be read.
    Unreadable {
        /// Why.
        why: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// It is to be sorted anew.
    Unsorted,
    /// Its path was imported a short time ago (`reimport_after`).
    Reimport {
        /// When its newest version goes.
        until: Timestamp,
    },
    /// It has failed, and is tried again later.
    Retry {
        /// When.
        until: Timestamp,
        /// How often it has failed in a row.
        failures: u32,
        /// What the last try ended with.
        last: Option<(Code, String)>,
    },
    /// It is not due yet.
    NotBefore {
        /// When it is.
        until: Timestamp,
    },
    /// Others go before it.
    Turn {
        /// How many of its route; `None`: nobody has counted.
        ahead: Option<Ahead>,
        /// How long that takes about, as things go.
        estimate: Option<Duration>,
    },
    /// The service works on it.
    Task {
        /// Its task.
        task: TaskId,
        /// When it is asked about next.
        next_poll: Timestamp,
    },
}

/// How many files go before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// So many.
    pub files: u64,
    /// And more, which were not counted.
    pub more: bool,
}

/// How fast files go at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Files that the service took.
    pub files: u64,
    /// Within this time.
    pub over: Duration,
}

impl Pace {
    /// How long `files` take about; `None`: nothing goes through.
    pub fn takes(&self, files: u64) -> Option<Duration> {
        let (done, over) = (self.files, self.over.as_secs_f64());
        if done == 0 || over <= 0.0 {
            return None;
        }
        let seconds = files as f64 * over / done as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// A folder, as far as a file of it can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FolderIs {
    /// It is there, or nobody has looked.
    #[default]
    There,
    /// It is not in the configuration any more.
    Dropped,
    /// It can't be reached.
    Offline {
        /// Why not.
        why: String,
        /// Since when, where a daemon knows.
        since: Option<Timestamp>,
    },
}

/// What a file's wait depends on beside the file.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The time.
    pub now: Timestamp,
    /// All gates that are not plainly open.
    pub gates: &'a Gates,
    /// What operators have paused.
    pub halts: &'a Halts,
    /// Whether a daemon is running; `None`: it can't be told.
    pub running: Option<bool>,
    /// Why nothing can be recorded.
    pub stopped: Option<&'a str>,
    /// Its folder.
    pub folder: &'a FolderIs,
    /// How many go before it, if that was counted.
    pub ahead: Option<Ahead>,
    /// How fast files go, if a daemon says so.
    pub pace: Option<Pace>,
}

/// A file that the ledger has.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its folder.
    pub folder: &'a FolderName,
    /// Where it goes.
    pub dataset: &'a DatasetName,
    /// Which import takes it, if it is sorted.
    pub media: Option<Media>,
    /// Where it is.
    pub state: &'a State,
    /// What was said of it last.
    pub last: Option<(&'a Code, &'a str)>,
    /// Versions of its path wait for `reimport_after`.
    pub changes_often: bool,
}

/// All that a file waits for, what holds it longest in front; empty: it does not
/// wait.
pub fn of_row(row: &Row<'_>, around: &Around<'_>) -> Vec<Waiting> {
    match row.state {
        State::Queued { .. } => queued(row, around),
        State::Submitted {
            task, next_poll, ..
        } => {
            let mut all = closed_gates(&query_way(row.dataset), around, Gate::holds_queries);
            all.extend(no_daemon(around));
            all.push(Waiting::Task {
                task: task.clone(),
                next_poll: *next_poll,
            });
            all
        }
        _ => Vec::new(),
    }
}

/// What holds an upload back whatever file it is of: operators' pauses, closed
/// gates. `media`: of a file that is not sorted, the pauses and gates of a route do
/// not count.
pub fn on_the_way(
    folder: &FolderName,
    dataset: &DatasetName,
    media: Option<Media>,
    around: &Around<'_>,
) -> Vec<Waiting> {
    let paused = holding(around.halts, folder, dataset, media, around.now);
    let mut all: Vec<Waiting> = paused
        .into_iter()
        .map(|(scope, halt)| Waiting::Paused {
            scope: scope.clone(),
            halt: halt.clone(),
        })
        .collect();
    let route = media.map(|media| Route {
        folder: folder.clone(),
        media,
    });
    let way = match &route {
        Some(route) => way(route, dataset).to_vec(),
        None => query_way(dataset).to_vec(),
    };
    all.extend(closed_gates(&way, around, |_| true));
    all
}

fn closed_gates(
    way: &[GateKey],
    around: &Around<'_>,
    counts: impl Fn(&Gate) -> bool,
) -> Vec<Waiting> {
    let closed = holding_gates(way, around.gates).into_iter();
    closed
        .filter(|(_, gate)| counts(gate))
        .filter_map(|(key, gate)| {
            Some(Waiting::Gate {
                key: key.clone(),
                closed: gate.closed()?.clone(),
                probing: matches!(gate.status, Status::Probing { .. }),
            })
        })
        .collect()
}

fn no_daemon(around: &Around<'_>) -> Option<Waiting> {
    (around.running == Some(false)).then_some(Waiting::NoDaemon)
}

fn queued(row: &Row<'_>, around: &Around<'_>) -> Vec<Waiting> {
    let State::Queued { not_before, tries } = row.state else {
        return Vec::new();
    };
    let mut all = Vec::new();
    if *around.folder == FolderIs::Dropped {
        all.push(Waiting::FolderDropped(row.folder.clone()));
    }
    if let Some(why) = around.stopped {
        all.push(Waiting::Stopped {
            why: why.to_owned(),
        });
    }
    all.extend(on_the_way(row.folder, row.dataset, row.media, around));
    all.extend(no_daemon(around));
    if let FolderIs::Offline { why, since } = around.folder {
        all.push(Waiting::Offline {
            folder: row.folder.clone(),
            why: why.clone(),
            since: *since,
        });
    }
    let later = *not_before > around.now;
    let unreadable = row.last.filter(|(code, _)| code.as_str() == UNREADABLE);
    if let Some((_, why)) = unreadable.filter(|_| tries.failures == 0) {
        all.push(Waiting::Unreadable {
            why: why.to_owned(),
            until: *not_before,
        });
    } else if row.media.is_none() {
        all.push(Waiting::Unsorted);
    } else if later && row.changes_often && tries.failures == 0 {
        all.push(Waiting::Reimport { until: *not_before });
    } else if later && tries.failures > 0 {
        all.push(Waiting::Retry {
            until: *not_before,
            failures: tries.failures,
            last: row.last.map(|(code, why)| (code.clone(), why.to_owned())),
        });
    } else if later {
        all.push(Waiting::NotBefore { until: *not_before });
    }
    let counted = around.ahead.filter(|ahead| !ahead.more);
    if all.is_empty() {
        // It goes itself, too.
        let takes = counted.and_then(|ahead| around.pace?.takes(ahead.files + 1));
        all.push(Waiting::Turn {
            ahead: around.ahead,
            estimate: takes.filter(|_| counted.is_some_and(|ahead| ahead.files > 0)),
        });
    } else if around.ahead.is_some_and(|ahead| ahead.files > 0) {
        // And then; how long that takes, nobody knows while it is held.
        all.push(Waiting::Turn {
            ahead: around.ahead,
            estimate: None,
        });
    }
    all
}

#[cfg(test)]
#[path = "waiting_tests.rs"]
mod tests;
