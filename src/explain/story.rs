//! What the ledger knows of a version, as an explanation: where it is, why it
//! waits or how it ended, and what can be done. Pure.
//!
//! Must not: say of a file what its folder or its bytes say; `decide` does.

use super::decide::{Answer, Check, Explanation, Said, no_daemon, quoted, span};
use super::facts::{Facts, FileFacts, InFolder, Known};
use super::waits;
use crate::domain::error_table::UNKNOWN_STATE;
use crate::domain::ids::FolderName;
use crate::domain::naming::shown_text;
use crate::domain::resolution::Resolution;
use crate::domain::state::{State, StateKind};
use crate::domain::waiting::{FolderIs, Waiting};
use crate::ledger::SourceEnd;

/// Longest text of the service in an explanation, in characters.
const WORDS: usize = 300;

/// Whether a version that is there counts as new, whatever the ledger says of
/// it: it had gone or been replaced, and is back.
pub(super) fn comes_back(known: &Known) -> bool {
    let resolved = known.resolved.as_ref().map(|resolved| &resolved.how);
    matches!(known.state.kind(), StateKind::Gone | StateKind::Superseded)
        || matches!(
            resolved,
            Some(Resolution::SourceGone | Resolution::Excluded)
        )
}

/// Its folder is not in the configuration any more.
pub(super) fn dropped(
    facts: &Facts,
    folder: &FolderName,
    known: &Known,
    renamed_to: Option<&FolderName>,
) -> Explanation {
    let is_queued = known.state.kind() == StateKind::Queued;
    let mut explained = of_version(facts, folder, &FolderIs::Dropped, known);
    if let (true, Some(to)) = (is_queued, renamed_to) {
        let waiting = explained.waiting;
        explained = Explanation::new(
            Answer::Waiting,
            "folder-renamed",
            format!("waits: its folder {folder} is called {to} now, and what is queued is known by the former name"),
        )
        .advised(format!(
            "give the folder its name {folder} back and reload: it goes on where it was"
        ))
        .advised(format!(
            "or leave it {to}: what lies in the folder is queued again under that name, and what was sent before ends as a duplicate by its content"
        ));
        explained.waiting = waiting;
    }
    explained.checks = vec![
        Check {
            what: "folder",
            said: Said::No,
            found: format!("{folder} is not in the configuration any more"),
        },
        ledger_check(facts, known),
        super::checks::check_running(facts),
    ];
    explained
}

/// What is known of a version decides.
pub(super) fn of(facts: &Facts, folder: &InFolder, known: &Known) -> Explanation {
    of_version(facts, &folder.name, &waits::folder_is(facts, folder), known)
}

fn of_version(facts: &Facts, name: &FolderName, folder: &FolderIs, known: &Known) -> Explanation {
    let waiting = waits::of_known(facts, name, folder, known);
    if waits::is_queued(&known.state) {
        return waits::explained(facts, waiting, last_advice(known).unwrap_or_default());
    }
    let mut explained = ended_or_out(facts, known);
    if let Some(gate @ Waiting::Gate { .. }) = waiting.first() {
        explained.headline = format!("{}; {}", explained.headline, gate.text(facts.now));
        explained.to_do = gate.advice();
    }
    explained.waiting = waiting;
    explained
}

/// On its way, or at its end; and whether that needs somebody still.
fn ended_or_out(facts: &Facts, known: &Known) -> Explanation {
    let mut explained = by_state(facts, known);
    if explained.answer != Answer::Attention {
        return explained;
    }
    let id = known.id;
    let Some(resolved) = &known.resolved else {
        return explained.advised(format!(
            "if nothing is to be done about it: `supametas-sync acknowledge {id}`"
        ));
    };
    explained.answer = Answer::Done;
    explained.headline = format!(
        "{}; needs nobody since {}: {}",
        explained.headline, resolved.at, resolved.how
    );
    explained.to_do = vec![format!(
        "nothing; `supametas-sync retry {id}` sends it all the same"
    )];
    explained
}

fn by_state(facts: &Facts, known: &Known) -> Explanation {
    let id = known.id;
    let out = |reason, headline: String| Explanation::new(Answer::Underway, reason, headline);
    let done = |reason, headline: String| Explanation::new(Answer::Done, reason, headline);
    let bad = |reason, headline: String| {
        let explained = Explanation::new(Answer::Attention, reason, headline);
        match last_advice(known) {
            Some(advice) => explained.advised(advice),
            None => explained,
        }
    };
    let retry = format!("`supametas-sync retry {id}` sends it again");
    let look = format!(
        "look in the service's console. It is there: `supametas-sync acknowledge {id} --arrived`, with `--task ID` if you see its task's ID. It is not: {retry}"
    );
    let last = match &known.last {
        Some((code, why, _)) => format!("{code} {}", shown_text(why, WORDS)),
        None => String::new(),
    };
    match &known.state {
        State::Queued { .. } => {
            Explanation::new(Answer::Waiting, "queue", "waits in the queue")
        }
        State::Uploading { .. } if facts.running == Some(false) => {
            let mut explained = no_daemon(facts, "was on the wire when the daemon ended");
            explained.reason = "interrupted";
            explained.advised("the next start settles it, by the folder's `unconfirmed`")
        }
        State::Uploading {
            last_byte_sent: false,
            ..
        } => out("uploading", "taken: it is on the wire".to_owned()),
        State::Uploading { .. } => out(
            "uploading",
            "taken: it is sent, and waits for the service's answer".to_owned(),
        ),
        State::Submitted { task, next_poll, .. } => {
            let mut explained = out(
                "submitted",
                format!(
                    "taken: the service works on it as task {task}; asked about again in {}",
                    span(next_poll.since(facts.now))
                ),
            );
            if let Some((code, why, _)) = &known.last
                && code.as_str() == UNKNOWN_STATE
            {
                let said = shown_text(why, WORDS);
                explained.headline = format!("{}; {said}", explained.headline);
            }
            if facts.running == Some(false) {
                explained.to_do = no_daemon(facts, "").to_do;
            }
            explained
        }
        State::Succeeded { task } => done(
            "succeeded",
            format!("taken: imported as task {task}{}", source(known)),
        ),
        State::Cancelled { task } => done(
            "cancelled",
            format!("taken: but its task {task} was deleted at the service"),
        )
        .advised(retry),
        State::Untracked => bad(
            "untracked",
            "was taken: but the service named no task, so it can't be followed".to_owned(),
        )
        .advised(look),
        State::Failed { task, reason } => bad(
            "failed",
            format!(
                "was taken, and its task {task} failed: {}{}",
                shown_text(reason, WORDS),
                source(known)
            ),
        )
        .advised(format!("look whether the file is sound; then {retry}")),
        State::Rejected { .. } => bad(
            "rejected",
            format!("the service refused it for good: {last}{}", source(known)),
        )
        .advised(format!("mend it and drop it again; or {retry}")),
        State::Exhausted { .. } => bad(
            "exhausted",
            format!("given up after as many tries as the rules allow; the last: {last}"),
        )
        .advised(format!("when the cause is mended: {retry}")),
        State::Unconfirmed { attempt } => bad(
            "unconfirmed",
            format!("its answer was lost (attempt {attempt}): the service may have it or not"),
        )
        .advised(look),
        State::Lost { task } => bad(
            "lost",
            format!("was taken, but the service does not know its task {task} any more"),
        )
        .advised(look),
        State::Unsupported { reason, .. } => Explanation::new(
            Answer::Attention,
            "unsupported",
            format!("not taken: {}", shown_text(reason, 600)),
        )
        .advised(format!(
            "when the file is replaced it is looked at again by itself; after a change of the type lists: `supametas-sync retry {id}`"
        )),
        State::Duplicate { of } => duplicate(known, &of.to_string()),
        State::Superseded { by } => done(
            "superseded",
            format!("replaced by a newer version, id {by}, before it was sent"),
        )
        .advised(format!("`supametas-sync show {by}` has the newer one")),
        State::Gone => done(
            "gone",
            "it was deleted or moved away before it was sent".to_owned(),
        )
        .advised("drop it again"),
    }
}

fn duplicate(known: &Known, of: &str) -> Explanation {
    let other = match &known.other {
        Some(other) => {
            let task = other.task.as_ref();
            let task = task.map_or(String::new(), |task| format!(", task {task}"));
            format!("id {of}, {} ({}{task})", other.listed, other.state)
        }
        None => format!("id {of}"),
    };
    Explanation::new(
        Answer::Done,
        "duplicate",
        format!("not sent: the same content was sent before, as {other}"),
    )
    .advised("nothing; with `duplicates = \"upload\"` for the folder another file with the same content is sent all the same, the same file under another name or time is not")
}

fn last_advice(known: &Known) -> Option<&'static str> {
    let (_, _, advice) = known.last.as_ref()?;
    Some(*advice).filter(|advice| !advice.is_empty())
}

fn source(known: &Known) -> String {
    match &known.source {
        Some((SourceEnd::Moved, Some(target))) => {
            format!("; its source was moved to {}", quoted(target))
        }
        Some((SourceEnd::Deleted, _)) => "; its source was deleted, as the folder says".to_owned(),
        Some((SourceEnd::Kept(why), _)) => {
            format!("; its source was kept: {}", shown_text(why, 200))
        }
        _ => String::new(),
    }
}

/// What the ledger has of a file: the version that is there, or the latest,
/// and what stands in its way.
pub(super) fn checks(facts: &Facts, file: &FileFacts) -> Vec<Check> {
    let there = file.there.as_ref().ok();
    let current = there.and_then(|there| {
        file.known
            .iter()
            .find(|k| k.version.matches(&there.version))
    });
    let mut all = Vec::new();
    match (current, file.known.first()) {
        (None, None) => all.push(Check {
            what: "ledger",
            said: Said::NotYet,
            found: "no version of it is known".to_owned(),
        }),
        (Some(known), _) => all.push(ledger_check(facts, known)),
        (None, Some(latest)) => {
            let mut check = ledger_check(facts, latest);
            if there.is_some() {
                check.said = Said::NotYet;
                check.found = format!("an earlier version: {}", check.found);
            }
            all.push(check);
        }
    }
    let folder = waits::folder_is(facts, &file.folder);
    let waiting = match current.or(file.known.first()) {
        Some(known) if !comes_back(known) => {
            waits::of_known(facts, &file.folder.name, &folder, known)
        }
        _ => waits::on_way(facts, &file.folder, None),
    };
    all.extend(waits::checks(facts, &waiting));
    all
}

fn ledger_check(facts: &Facts, known: &Known) -> Check {
    let kind = known.state.kind();
    let said = match kind {
        StateKind::Queued => Said::NotYet,
        kind if kind.needs_attention() && known.resolved.is_none() => Said::No,
        _ => Said::Yes,
    };
    let doubt = if known.possible_duplicate {
        ", sent again though an earlier body may have been taken"
    } else {
        ""
    };
    Check {
        what: "ledger",
        said,
        found: format!(
            "id {}: {kind} since {} ago{doubt}",
            known.id,
            span(facts.now.since(known.changed_at))
        ),
    }
}
