//! What would become of a file if the daemon worked now, in words. Pure.
//!
//! A [`Fate`] is what one of the daemon's questions came to; `survey` asks them
//! in the daemon's order, and the first that stands in the way is the file's.
//! Must not: look at anything, or have a rule of its own.

use crate::domain::admit::Admit;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::media::Media;
use crate::domain::naming::shown_text;
use crate::domain::refusal::Refusal;
use crate::domain::settle::WaitReason;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Timestamp;
use crate::domain::waiting::{Around, Row, Waiting, of_row};
use crate::ledger::Met;
use crate::watch::NotTaken;

use super::decide::{in_words, quoted, word};

/// A file, and what would become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Its folder.
    pub folder: FolderName,
    /// Its path in there; bytes of strangers.
    pub path: Vec<u8>,
    /// Bytes; `None`: it was not looked at.
    pub size: Option<u64>,
    /// Its number in the ledger.
    pub id: Option<FileId>,
    /// Where it goes, as far as it was asked.
    pub import: Option<Import>,
    /// What would become of it.
    pub fate: Fate,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The dataset.
    pub dataset: DatasetName,
    /// Which import.
    pub media: Media,
    /// Its path behind the base URL.
    pub endpoint: String,
    /// The name that the service is given.
    pub name: String,
    /// A file of this size was sent before, and no hash says whether it was
    /// this content.
    pub same_size: bool,
}

/// What would become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It would be sent.
    Send(Since),
    /// It would not be sent now, and goes on by itself.
    Wait(Box<Waiting>),
    /// The ledger has it: it is under way or at an end.
    Known(StateKind),
    /// It would end as the duplicate of this file.
    Duplicate(FileId),
    /// It would end as unsupported, for this reason.
    Unsupported(Refusal),
    /// It is not taken, for this reason; with the patterns that it is for.
    NotTaken(NotTaken, Vec<String>),
}

/// Why a file is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The ledger does not have it.
    New,
    /// It is in the queue, and due.
    Queued,
    /// The ledger has it, and it is back: it had gone, or was put aside.
    Back,
}

/// What the ledger says of a version: what stands in its way, or why it is to
/// be sent.
pub fn by_ledger(met: Option<&Met>, around: &Around<'_>) -> Result<Since, Fate> {
    let Some(met) = met else {
        return Ok(Since::New);
    };
    if met.again {
        return Ok(Since::Back);
    }
    let file = &met.file;
    let State::Queued { not_before, .. } = &file.state else {
        return Err(Fate::Known(file.state.kind()));
    };
    if *not_before <= around.now {
        return Ok(Since::Queued);
    }
    let last = file.last_code.as_ref().zip(file.last_why.as_deref());
    let row = Row {
        folder: &file.folder,
        dataset: &file.dataset,
        media: file.media,
        state: &file.state,
        last,
        changes_often: file.reimports > 0,
    };
    // What holds all files of its way is asked about after its content.
    let own = of_row(&row, around)
        .into_iter()
        .find(|waiting| !matches!(waiting, Waiting::Paused { .. } | Waiting::Gate { .. }));
    let until = *not_before;
    Err(Fate::wait(own.unwrap_or(Waiting::NotBefore { until })))
}

/// What the gates and pauses on its way say.
pub fn by_way(admit: &Admit, held: Vec<Waiting>) -> Option<Fate> {
    match admit {
        Admit::Go | Admit::Probe(_) => None,
        Admit::Halted(_) | Admit::Wait(_) => held.into_iter().next().map(Fate::wait),
    }
}

impl Fate {
    /// It waits for this.
    pub fn wait(waiting: Waiting) -> Fate {
        Fate::Wait(Box::new(waiting))
    }

    /// The word that scripts see.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Fate::Send(_) => "send",
            Fate::Wait(_) => "wait",
            Fate::Known(_) => "known",
            Fate::Duplicate(_) => "duplicate",
            Fate::Unsupported(_) => "unsupported",
            Fate::NotTaken(..) => "not-taken",
        }
    }

    /// What it is for, in a word that stays.
    pub fn reason(&self) -> &'static str {
        match self {
            Fate::Send(Since::New) => "new",
            Fate::Send(Since::Queued) => "queued",
            Fate::Send(Since::Back) => "back",
            Fate::Wait(waiting) => waiting.reason(),
            Fate::Known(state) => state.as_str(),
            Fate::Duplicate(_) => "duplicate",
            Fate::Unsupported(_) => "unsupported",
            Fate::NotTaken(why, _) => word(why),
        }
    }

    /// The same in a sentence, for people, harmless; `None`: it would be sent.
    pub fn why(&self, now: Timestamp) -> Option<String> {
        Some(match self {
            Fate::Send(_) => return None,
            Fate::Wait(waiting) => waiting.text(now),
            Fate::Known(state) => format!("the ledger has it as {state}"),
            Fate::Duplicate(of) => format!("the same content was sent before, as id {of}"),
            Fate::Unsupported(refusal) => shown_text(&refusal.why, 600),
            Fate::NotTaken(why, patterns) => in_words(why, patterns),
        })
    }

    /// What files with the same fate are counted under: one of a bounded
    /// number of phrases, to be said after how many there are.
    pub fn counted_as(&self) -> String {
        match self {
            Fate::Send(_) => "to be sent".to_owned(),
            Fate::Wait(waiting) => counted_as_waiting(waiting),
            Fate::Known(state) => state.to_string(),
            Fate::Duplicate(_) => "duplicates of what was sent before".to_owned(),
            Fate::Unsupported(_) => "unsupported".to_owned(),
            Fate::NotTaken(why, patterns) => match (why, patterns.as_slice()) {
                (NotTaken::Temporary(_), _) => "temporary or hidden names".to_owned(),
                (NotTaken::Excluded, [pattern]) => {
                    format!("excluded by {}", quoted(pattern.as_bytes()))
                }
                (NotTaken::ExcludedByDefault(pattern), _) => {
                    format!("excluded by {}", quoted(pattern.as_bytes()))
                }
                (NotTaken::Excluded, _) => "excluded".to_owned(),
                (NotTaken::NotIncluded, _) => "matching no pattern of `include`".to_owned(),
                (NotTaken::PutAside, _) => "put aside in done_dir or rejected_dir".to_owned(),
                (NotTaken::InSubfolder, _) => "subfolders (`recursive = false`)".to_owned(),
                (NotTaken::Symlink, _) => "symbolic links".to_owned(),
                (NotTaken::HardLink, _) => "hard links that nothing guards".to_owned(),
                (NotTaken::OtherMount, _) => "on another mount".to_owned(),
                (NotTaken::NoRight, _) => "without the right to read".to_owned(),
                (why, _) => match word(why) {
                    "not-a-file" => "pipes, sockets or devices".to_owned(),
                    word => word.to_owned(),
                },
            },
        }
    }
}

fn counted_as_waiting(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Settling(WaitReason::StillOpen | WaitReason::BeingWritten { .. }, _) => {
            "open in a program".to_owned()
        }
        Waiting::Settling(WaitReason::Incomplete, _) => "seemingly cut off".to_owned(),
        Waiting::Settling(..) => "not quiet for long enough yet".to_owned(),
        Waiting::Unreadable { .. } => "unreadable".to_owned(),
        Waiting::Gate { key, .. } => {
            format!("held back, since the gate {} is closed", key)
        }
        Waiting::Paused { scope, .. } => format!("paused by an operator ({scope})"),
        Waiting::Retry { .. } | Waiting::NotBefore { .. } | Waiting::Reimport { .. } => {
            "due later".to_owned()
        }
        other => other.reason().to_owned(),
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
