//! What a file waits for, as an explanation: `domain::waiting` says it, from what
//! was gathered. Pure.
//!
//! Must not: say more than that.

use super::answer::{Answer, Check, Explanation, Said};
use super::facts::{Facts, InFolder, Known};
use crate::domain::ids::FolderName;
use crate::domain::media::Media;
use crate::domain::state::State;
use crate::domain::waiting::{Ahead, Around, FolderIs, Row, Waiting, of_row, on_the_way};

fn around<'a>(facts: &'a Facts, folder: &'a FolderIs, ahead: Option<Ahead>) -> Around<'a> {
    Around {
        now: facts.now,
        gates: &facts.gates,
        halts: &facts.halts,
        running: facts.running,
        stopped: facts.stopped.as_deref(),
        folder,
        ahead,
        pace: facts.pace,
    }
}

/// Whether a folder can be reached: by whoever asks, and by the daemon.
pub(super) fn folder_is(facts: &Facts, folder: &InFolder) -> FolderIs {
    let since = facts.offline_since;
    match (&folder.reachable, &facts.daemon_offline) {
        // The daemon's words are those that everybody has.
        (_, Some(why)) => FolderIs::Offline {
            why: why.clone(),
            since,
        },
        (Err(offline), None) => FolderIs::Offline {
            why: offline.to_string(),
            since,
        },
        (Ok(()), None) => FolderIs::There,
    }
}

/// What a version waits for that the ledger has.
pub(super) fn of_known(
    facts: &Facts,
    name: &FolderName,
    folder: &FolderIs,
    known: &Known,
) -> Vec<Waiting> {
    let last = known.last.as_ref();
    let row = Row {
        folder: name,
        dataset: &known.dataset,
        media: known.media,
        state: &known.state,
        last: last.map(|(code, why, _)| (code, why.as_str())),
        changes_often: known.changes_often,
    };
    of_row(&row, &around(facts, folder, known.ahead))
}

/// What would hold a file of this folder back, were it in the queue.
pub(super) fn on_way(facts: &Facts, folder: &InFolder, media: Option<Media>) -> Vec<Waiting> {
    let there = FolderIs::There;
    let around = around(facts, &there, None);
    on_the_way(&folder.name, &folder.dataset, media, &around)
}

/// The first of them is the answer.
pub(super) fn explained(facts: &Facts, waiting: Vec<Waiting>, advice: &str) -> Explanation {
    let Some(first) = waiting.first() else {
        return Explanation::new(Answer::Waiting, "queue", "waits in the queue");
    };
    let mut explained = Explanation::new(
        Answer::Waiting,
        first.reason(),
        format!("waits: {}", first.text(facts.now)),
    );
    if matches!(first, Waiting::Retry { .. }) && !advice.is_empty() {
        explained.to_do.push(advice.to_owned());
    }
    if *first == Waiting::NoDaemon {
        explained.to_do.push(facts.starting.advice());
    }
    explained.to_do.extend(first.advice());
    explained.waiting = waiting;
    explained
}

/// A check for each of them that no other check is about.
pub(super) fn checks(facts: &Facts, waiting: &[Waiting]) -> Vec<Check> {
    let check = |waiting: &Waiting| {
        let what = match waiting {
            Waiting::Paused { .. } => "pause",
            Waiting::Gate { .. } => "gate",
            Waiting::Stopped { .. } => "ledger",
            Waiting::Turn { ahead: Some(_), .. } => "queue",
            _ => return None,
        };
        Some(Check {
            what,
            said: Said::NotYet,
            found: waiting.text(facts.now),
        })
    };
    waiting.iter().filter_map(check).collect()
}

/// Whether the state is one that waits.
pub(super) const fn is_queued(state: &State) -> bool {
    matches!(state, State::Queued { .. })
}
