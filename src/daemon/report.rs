//! The log lines of a file's way: one for each change of state, with the same
//! fields everywhere, so that `file=` or `task=` finds the whole story.
//!
//! Names and words from outside are made visible before they get here into a
//! line: no control character, no terminal sequence. Must not: decide anything.

use std::time::Duration;

use super::upload::worker::Job;
use crate::domain::error_table::Verdict;
use crate::domain::gate::GateKey;
use crate::domain::ids::FileId;
use crate::domain::naming::{shown, shown_text};
use crate::domain::state::{State, StateKind};
use crate::ledger::{DuePoll, Finish, Finished, NewFile, NewSorted, Polled};

/// The longest text of the service in a log line, in characters.
const WORDS: usize = 300;

/// A file was queued, or sorted out at once.
pub fn queued(id: FileId, file: &NewFile) {
    let (name, folder, dataset) = (shown(&file.version.path), &file.folder, &file.dataset);
    match &file.sorted {
        NewSorted::Media(media) => tracing::info!(
            file = %name, %id, %folder, %dataset, route = %format_args!("{folder}/{media}"),
            state = "queued", "queued"
        ),
        NewSorted::Unsupported(reason) => tracing::warn!(
            file = %name, %id, %folder, %dataset, state = "unsupported", "not taken: {reason}"
        ),
    }
}

/// The content is another file's.
pub fn duplicate(job: &Job, of: FileId) {
    tracing::info!(
        file = %shown(&job.file.version.path), id = %job.file.id, folder = %job.folder.name,
        dataset = %job.dataset.name, route = %job.route(), state = "duplicate", of = %of,
        "the same content was imported or is on its way: not sent"
    );
}

/// It left the queue, or went back to it, without a request.
pub fn moved_on(job: &Job, state: &State, why: &str) {
    tracing::info!(
        file = %shown(&job.file.version.path), id = %job.file.id, folder = %job.folder.name,
        dataset = %job.dataset.name, route = %job.route(), state = %state.kind(), "{why}"
    );
}

/// It was recorded, but not sent after all.
pub fn released(job: &Job) {
    tracing::debug!(
        file = %shown(&job.file.version.path), id = %job.file.id, folder = %job.folder.name,
        dataset = %job.dataset.name, route = %job.route(), state = "queued",
        "back to the queue unsent"
    );
}

/// An upload was answered, or broke off.
pub fn answered(job: &Job, finish: &Finish, finished: &Finished, took: Duration) {
    let judgement = &finish.judgement;
    let why = shown_text(&judgement.why, WORDS);
    let file = shown(&job.file.version.path);
    let (id, folder, dataset) = (job.file.id, &job.folder.name, &job.dataset.name);
    let (route, attempt, code) = (job.route(), finish.attempt, &judgement.code);
    let (state, ms) = (finished.state.kind(), took.as_millis());
    match (&judgement.verdict, &finished.state) {
        (_, State::Submitted { task, .. }) => tracing::info!(
            %file, %id, %folder, %dataset, %route, %attempt, %task, %state, ms, "uploaded"
        ),
        (Verdict::Done(None), _) => tracing::warn!(
            %file, %id, %folder, %dataset, %route, %attempt, %code, %state, ms,
            "uploaded, but the service named no task: it can't be followed"
        ),
        (_, State::Queued { not_before, .. }) => tracing::warn!(
            %file, %id, %folder, %dataset, %route, %attempt, %code, %state, ms,
            wait_ms = not_before.since(finish.at.now).as_millis(),
            possible_duplicate = finished.possible_duplicate,
            "to be sent again: {why}"
        ),
        _ => tracing::error!(
            %file, %id, %folder, %dataset, %route, %attempt, %code, %state, ms,
            advice = judgement.advice, "{why}"
        ),
    }
    if !finished.returned.is_empty() {
        tracing::warn!(
            %route, %code, files = finished.returned.len(),
            "several files running were refused alike: it is the settings, not the files; they are back in the queue"
        );
    }
}

/// A task was asked about.
pub fn polled(due: &DuePoll, polled: &Polled, finished: &Finished) {
    let file = shown(&due.path);
    let (id, folder, task, code) = (due.id, &due.folder, &due.task, &polled.judgement.code);
    let GateKey::Route(route) = &polled.way[2] else { return };
    let why = shown_text(&polled.judgement.why, WORDS);
    let state = finished.state.kind();
    let ms = polled.at.now.since(due.submitted_at).as_millis();
    match state {
        StateKind::Submitted if matches!(polled.judgement.verdict, Verdict::Task(_) | Verdict::Unchanged) => {
            tracing::debug!(%file, %id, %folder, %route, %task, %state, "still processing");
        }
        StateKind::Submitted => tracing::warn!(
            %file, %id, %folder, %route, %task, %state, %code, "the task can't be asked about now: {why}"
        ),
        StateKind::Succeeded => {
            tracing::info!(%file, %id, %folder, %route, %task, %state, ms, "finished");
        }
        StateKind::Queued => {
            tracing::warn!(%file, %id, %folder, %route, %task, %state, "the task failed: to be submitted again");
        }
        _ => tracing::error!(
            %file, %id, %folder, %route, %task, %state, %code, advice = polled.judgement.advice,
            "the task ended: {why}"
        ),
    }
}
