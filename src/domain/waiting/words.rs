//! What a file waits for, in words, with what can be done.
//!
//! Must not: say what holds a file (the parent does), or show a text from outside
//! that was not made harmless.

use std::time::Duration;

use super::{Ahead, UNREADABLE, Waiting};
use crate::domain::gate::{Closed, GateKey};
use crate::domain::halt::{Halt, HaltScope};
use crate::domain::naming::shown_text;
use crate::domain::settle::WaitReason;
use crate::domain::time::{Timestamp, span};

/// Longest text of the service or of a person, in characters.
const WORDS: usize = 300;

impl Waiting {
    /// The word that scripts see.
    pub const fn reason(&self) -> &'static str {
        match self {
            Waiting::FolderDropped(_) => "folder-dropped",
            Waiting::Stopped { .. } => "stopped",
            Waiting::Offline { .. } => "offline",
            Waiting::Paused { .. } => "paused",
            Waiting::Gate { .. } => "gate",
            Waiting::NoDaemon => "no-daemon",
            Waiting::Settling(WaitReason::StillOpen | WaitReason::BeingWritten { .. }, _) => "open",
            Waiting::Settling(WaitReason::Incomplete, _) => "incomplete",
            Waiting::Settling(..) => "settling",
            Waiting::Unreadable { .. } => "unreadable",
            Waiting::Unsorted => "unsorted",
            Waiting::Reimport { .. } => "changes-often",
            Waiting::Retry { .. } => "retry",
            Waiting::NotBefore { .. } => "postponed",
            Waiting::Turn { .. } => "queue",
            Waiting::Task { .. } => "submitted",
        }
    }

    /// What holds it, as `pause` and `resume` spell it.
    pub fn scope(&self) -> Option<String> {
        match self {
            Waiting::Paused { scope, .. } => Some(scope.to_string()),
            Waiting::Gate { key, .. } => Some(key.to_string()),
            _ => None,
        }
    }

    /// Since when.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Waiting::Paused { halt, .. } => Some(halt.since),
            Waiting::Gate { closed, .. } => Some(closed.since),
            Waiting::Offline { since, .. } => *since,
            Waiting::Settling(WaitReason::BeingWritten { since }, _) => Some(*since),
            _ => None,
        }
    }

    /// When it ends by itself, or is looked at again; `None`: not by time.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Waiting::Paused { halt, .. } => halt.until,
            Waiting::Gate {
                closed, probing, ..
            } => (!probing).then_some(closed.until),
            Waiting::Unreadable { until, .. }
            | Waiting::Reimport { until }
            | Waiting::Retry { until, .. }
            | Waiting::NotBefore { until } => Some(*until),
            Waiting::Task { next_poll, .. } => Some(*next_poll),
            _ => None,
        }
    }

    /// Whether nobody has to do anything about it, however long it lasts: somebody
    /// wanted it so.
    pub const fn is_wanted(&self) -> bool {
        matches!(self, Waiting::Paused { .. } | Waiting::Reimport { .. })
    }

    /// In words, harmless, to follow "waits: ".
    pub fn text(&self, now: Timestamp) -> String {
        match self {
            Waiting::FolderDropped(folder) => format!(
                "its folder {folder} is not in the configuration any more, so it is not sent"
            ),
            Waiting::Stopped { why } => format!("nothing can be recorded: {}", words(why)),
            Waiting::Offline { folder, why, since } => {
                let since = since.map_or(String::new(), |at| format!(" since {at}"));
                let why = shown_text(why, 1_000);
                format!("its folder {folder} can't be reached{since}: {why}")
            }
            Waiting::Paused { scope, halt } => paused(scope, halt, now),
            Waiting::Gate {
                key,
                closed,
                probing,
            } => gate(key, closed, *probing, now),
            Waiting::NoDaemon => "no daemon is running".to_owned(),
            Waiting::Settling(why, None) => why.to_string(),
            Waiting::Settling(why, Some(left)) => {
                format!("{why}; at most {} more", span(*left))
            }
            Waiting::Unreadable { why, until } => {
                format!(
                    "{} ({UNREADABLE}); tried again {}",
                    words(why),
                    at(*until, now)
                )
            }
            Waiting::Unsorted => "it is to be sorted anew by its content and name".to_owned(),
            Waiting::Reimport { until } => format!(
                "it was imported a short time ago and has changed since (`reimport_after`); its newest version goes {}",
                at(*until, now)
            ),
            Waiting::Retry {
                until,
                failures,
                last,
            } => {
                let last = last.as_ref().map_or(String::new(), |(code, why)| {
                    format!(", the last: {code} {}", words(why))
                });
                let failures = match failures {
                    1 => "1 failure".to_owned(),
                    n => format!("{n} failures"),
                };
                format!(
                    "for its next try, {}; {failures} so far{last}",
                    at(*until, now)
                )
            }
            Waiting::NotBefore { until } => format!("it is due {}", at(*until, now)),
            Waiting::Turn { ahead, estimate } => turn(*ahead, *estimate),
            Waiting::Task { task, next_poll } => format!(
                "the service works on it as task {task}; asked about again {}",
                at(*next_poll, now)
            ),
        }
    }

    /// What can be done, best first; empty: nothing need be.
    pub fn advice(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        match self {
            Waiting::FolderDropped(folder) => vec![format!(
                "put the [[folder]] {folder:?} back, under the same name, and reload: it goes on where it was. Nothing is lost meanwhile",
                folder = folder.0
            )],
            Waiting::Stopped { .. } => one("mend that; the daemon goes on by itself"),
            Waiting::Offline { .. } => {
                one("bring the folder back; the daemon looks for it and goes on by itself")
            }
            Waiting::Paused { scope, halt } => {
                let mut all = vec![format!(
                    "to have it go now: `supametas-sync resume {scope}`"
                )];
                if halt.until.is_some() {
                    all.insert(0, "nothing: the pause ends by itself".to_owned());
                }
                all
            }
            Waiting::Gate { key, closed, .. } => vec![
                format!(
                    "`supametas-sync explain-code {}` says what it is about and what to change",
                    closed.code
                ),
                format!("when its cause is mended: `supametas-sync resume {}`", key),
            ],
            Waiting::Reimport { .. } => one(
                "nothing; `reimport_after` of the folder says how often a file that changes is imported",
            ),
            Waiting::Turn { .. } => {
                one("nothing; `max_concurrent` of the dataset says how many go at once at most")
            }
            // How one is started depends on the machine.
            Waiting::NoDaemon
            | Waiting::Settling(..)
            | Waiting::Unreadable { .. }
            | Waiting::Unsorted
            | Waiting::Retry { .. }
            | Waiting::NotBefore { .. }
            | Waiting::Task { .. } => Vec::new(),
        }
    }
}

fn words(text: &str) -> String {
    shown_text(text, WORDS)
}

/// When something comes, in words.
fn at(then: Timestamp, now: Timestamp) -> String {
    match then.since(now) {
        wait if wait.is_zero() => "now".to_owned(),
        wait => format!("in {}", span(wait)),
    }
}

fn paused(scope: &HaltScope, halt: &Halt, now: Timestamp) -> String {
    let why = halt
        .why
        .as_deref()
        .map_or(String::new(), |why| format!(" ({})", words(why)));
    let ends = match halt.until {
        Some(until) => format!("ends by itself {}", at(until, now)),
        None => "until `resume`".to_owned(),
    };
    format!(
        "{scope} is paused by {} since {} ago{why}; {ends}",
        shown_text(&halt.who, 60),
        span(now.since(halt.since))
    )
}

fn gate(key: &GateKey, closed: &Closed, probing: bool, now: Timestamp) -> String {
    let when = match (probing, closed.until.since(now)) {
        (true, _) => "one file is out to see whether it opens".to_owned(),
        (false, wait) if wait.is_zero() => "the next file goes out to see".to_owned(),
        (false, wait) => format!("in {} one file goes out to see", span(wait)),
    };
    format!(
        "the gate {} is closed since {} ago ({} {}); {when}",
        key,
        span(now.since(closed.since)),
        closed.code,
        words(&closed.why)
    )
}

fn turn(ahead: Option<Ahead>, estimate: Option<Duration>) -> String {
    let takes = estimate.map_or(String::new(), |takes| format!(", about {}", span(takes)));
    match ahead {
        None => "its turn".to_owned(),
        Some(Ahead { files: 0, .. }) => "its turn: it is the next of its route".to_owned(),
        Some(Ahead {
            files: 1,
            more: false,
        }) => {
            format!("its turn: 1 file of its route goes before it{takes}")
        }
        Some(Ahead { files, more: false }) => {
            format!("its turn: {files} files of its route go before it{takes}")
        }
        Some(Ahead { files, more: true }) => {
            format!("its turn: more than {files} files of its route go before it")
        }
    }
}
