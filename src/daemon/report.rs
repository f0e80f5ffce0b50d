//! The log lines of a file's way: one for each change of state, with the same
//! fields everywhere, so that `file=` or `task=` finds the whole story.
//!
//! Names and words from outside are made visible before they get here into a
//! line: no control character, no terminal sequence. Must not: decide anything.

use std::fmt::Display;
use std::time::Duration;

use super::context::Context;
use super::repeats::{Cause, Subject, grouped};
use super::upload::job::Job;
use crate::domain::answer::TaskState;
use crate::domain::error_table::Verdict;
use crate::domain::ids::{AttemptId, FileId, FolderName};
use crate::domain::naming::{shown, shown_text};
use crate::domain::refusal::Refusal;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Timestamp;
use crate::ledger::{DuePoll, Finished, LedgerError, NewFile, NewSorted, Recovered};
use crate::view::span;

/// The longest text of the service in a log line, in characters.
const WORDS: usize = 300;

/// Whole milliseconds, as a number that JSON has.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A file was queued, or sorted out at once.
pub fn queued(ctx: &Context, id: FileId, file: &NewFile) {
    let (folder, dataset) = (&file.folder, &file.dataset);
    let (lines, now) = (&ctx.lines, ctx.world.clock.now());
    // The name is made visible only where the line is wanted.
    match &file.sorted {
        NewSorted::Media(media) => tracing::debug!(
            file = %shown(&file.version.path), %id, %folder, %dataset, route = %format_args!("{folder}/{media}"),
            state = "queued", "queued"
        ),
        NewSorted::Incomplete(media) => tracing::warn!(
            file = %shown(&file.version.path), %id, %folder, %dataset, route = %format_args!("{folder}/{media}"),
            state = "queued", "queued, though its end seems to be missing: it may be incomplete"
        ),
        NewSorted::Unsupported(reason) => grouped!(
            lines, now, Subject::of(folder, Cause::not_taken(&reason.why)), warn,
            file = %shown(&file.version.path), %id, %folder, %dataset, state = "unsupported", "not taken: {reason}"
        ),
        NewSorted::Unreadable(why) => grouped!(
            lines, now, Subject::of(folder, Cause::Unreadable), warn,
            file = %shown(&file.version.path), %id, %folder, %dataset, state = "queued", "not sent yet: {why}"
        ),
    }
}

/// A name in a folder is not taken.
pub fn not_taken(ctx: &Context, folder: &FolderName, path: &[u8], why: &dyn Display) {
    let subject = Subject::of(folder, Cause::not_taken(&why.to_string()));
    grouped!(
        ctx.lines, ctx.world.clock.now(), subject, info,
        file = %shown(path), %folder, "not taken: {why}"
    );
}

/// Nothing takes the file, as its content shows now.
pub fn unsupported(job: &Job, reason: &Refusal) {
    let (folder, id) = (&job.folder.name, job.file.id);
    let subject = Subject::of(folder, Cause::not_taken(&reason.why));
    grouped!(
        job.ctx.lines, job.ctx.world.clock.now(), subject, warn,
        file = %shown(&job.file.version.path), %id, %folder, state = "unsupported",
        "not taken: {reason}"
    );
}

/// The file can't be read: its folder is not there, or its rights forbid it.
pub fn unreadable(job: &Job, why: Option<&str>) {
    let (folder, id) = (&job.folder.name, job.file.id);
    let now = job.ctx.world.clock.now();
    match why {
        None => grouped!(
            job.ctx.lines, now, Subject::of(folder, Cause::Offline), warn,
            %folder, "the folder is offline: its files wait"
        ),
        Some(why) => grouped!(
            job.ctx.lines, now, Subject::of(folder, Cause::Unreadable), warn,
            file = %shown(&job.file.version.path), %id, %folder,
            "not sent yet: {why}; it is tried again, first soon, then every minute"
        ),
    }
}

/// A source could not be moved or deleted: one line for a folder and cause.
pub fn source_stays(
    ctx: &Context,
    folder: &FolderName,
    id: FileId,
    file: &str,
    (error, cause): (&dyn Display, String),
    wait: Duration,
) {
    let subject = Subject::of(folder, Cause::source(cause));
    grouped!(
        ctx.lines, ctx.world.clock.now(), subject, warn,
        %file, %id, %folder, %error,
        "the source stays where it is, and is tried again in {}: {error}", span(wait)
    );
}

/// The content is another file's.
pub fn duplicate(job: &Job, of: FileId) {
    tracing::info!(
        file = %shown(&job.file.version.path), id = %job.file.id, folder = %job.folder.name,
        dataset = %job.dataset.name, route = %job.route(), state = "duplicate", of = %of,
        "the same content was imported or is on its way: not sent"
    );
}

/// Its path was imported a moment ago. Said of the first version that waits.
pub fn changes_often(job: &Job, until: Timestamp, first: bool) {
    let (file, folder) = (shown(&job.file.version.path), &job.folder.name);
    let (id, after) = (job.file.id, job.folder.policy.reimport_after);
    if first {
        tracing::warn!(
            %file, %id, %folder, state = "queued", %until, every_s = after.as_secs(),
            "the file changes again and again: its newest version is imported once every `reimport_after`"
        );
    } else {
        tracing::debug!(%file, %id, %folder, %until, "it changes again: it waits for `reimport_after`");
    }
}

/// It left the queue, or went back to it, without a request.
pub fn moved_on(job: &Job, state: &State, why: &str) {
    let subject = Subject::of(&job.folder.name, Cause::MovedOn(state.kind()));
    grouped!(
        job.ctx.lines, job.ctx.world.clock.now(), subject, info,
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
pub fn answered(
    job: &Job,
    attempt: AttemptId,
    now: Timestamp,
    finished: &Finished,
    took: Duration,
) {
    let judgement = &finished.judgement;
    let why = shown_text(&judgement.why, WORDS);
    let file = shown(&job.file.version.path);
    let (id, folder, dataset) = (job.file.id, &job.folder.name, &job.dataset.name);
    let (route, code) = (job.route(), &judgement.code);
    let (state, ms) = (finished.state.kind(), millis(took));
    let lines = &job.ctx.lines;
    let subject = || Subject::at(&route, Cause::Answered(code.clone(), state));
    match (&judgement.verdict, &finished.state) {
        (_, State::Submitted { task, .. }) => tracing::debug!(
            %file, %id, %folder, %dataset, %route, %attempt, %task, %state, ms, "uploaded"
        ),
        (Verdict::Done(None), _) => grouped!(
            lines, now, subject(), warn,
            %file, %id, %folder, %dataset, %route, %attempt, %code, %state, ms,
            "uploaded, but the service named no task: it can't be followed"
        ),
        (_, State::Queued { not_before, .. }) => grouped!(
            lines, now, subject(), warn,
            %file, %id, %folder, %dataset, %route, %attempt, %code, %state, ms,
            wait_ms = millis(not_before.since(now)),
            possible_duplicate = finished.possible_duplicate,
            "to be sent again: {why}"
        ),
        _ => grouped!(
            lines, now, subject(), error,
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

/// A task was asked about. `ms`: how long it has been at the service.
pub fn polled(ctx: &Context, due: &DuePoll, now: Timestamp, finished: &Finished) {
    let judgement = &finished.judgement;
    let unknown = matches!(judgement.verdict, Verdict::Task(TaskState::Unknown(_)));
    // A state that nobody knows is said once, and each time that it changes.
    let news = unknown && !finished.repeated;
    let goes_on = finished.state.kind() == StateKind::Submitted
        && matches!(judgement.verdict, Verdict::Task(_) | Verdict::Unchanged)
        && !news;
    let heard = match finished.state.kind() {
        StateKind::Submitted if goes_on => tracing::enabled!(tracing::Level::DEBUG),
        StateKind::Succeeded => tracing::enabled!(tracing::Level::INFO),
        _ => true,
    };
    if !heard {
        // By far most answers: nothing is put into words for nobody.
        return;
    }
    let file = shown(&due.path);
    let (id, folder, dataset, task) = (due.id, &due.folder, &due.dataset, &due.task);
    let (code, state) = (&judgement.code, finished.state.kind());
    let route = due.media.map(|media| format!("{folder}/{media}"));
    let route = route.as_deref().unwrap_or_default();
    let attempt = due.attempt.map(|attempt| attempt.to_string());
    let attempt = attempt.as_deref().unwrap_or_default();
    let ms = millis(now.since(due.submitted_at));
    let why = shown_text(&judgement.why, WORDS);
    let lines = &ctx.lines;
    let subject = || Subject::of(folder, Cause::Answered(code.clone(), state));
    match state {
        StateKind::Submitted if goes_on => {
            tracing::debug!(%file, %id, %folder, %dataset, route, attempt, %task, %state, ms, "still processing");
        }
        StateKind::Submitted if news => grouped!(
            lines, now, subject(), warn,
            %file, %id, %folder, %dataset, route, attempt, %task, %state, ms, %code,
            "the task is followed: {why}"
        ),
        StateKind::Submitted => grouped!(
            lines, now, subject(), warn,
            %file, %id, %folder, %dataset, route, attempt, %task, %state, ms, %code,
            "the task can't be asked about now: {why}"
        ),
        StateKind::Succeeded => {
            tracing::info!(%file, %id, %folder, %dataset, route, attempt, %task, %state, ms, "finished");
        }
        StateKind::Queued => grouped!(
            lines, now, subject(), warn,
            %file, %id, %folder, %dataset, route, attempt, %task, %state, ms,
            "the task failed: to be submitted again"
        ),
        _ => grouped!(
            lines, now, subject(), error,
            %file, %id, %folder, %dataset, route, attempt, %task, %state, ms, %code, advice = judgement.advice,
            "the task ended: {why}"
        ),
    }
}

/// The ledger can't be used just now, and `what` waits. What may pass the
/// ledger itself has said, once; here it would be said by everyone who waits.
pub fn ledger_trouble(error: &LedgerError, what: &str) {
    if error.is_passing() {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::error!(%error, "{what}");
    }
}

/// What was on the wire when the grace period of a stop was over.
pub fn cut_off(cut_off: Recovered) {
    if cut_off == Recovered::default() {
        return;
    }
    tracing::warn!(
        queued = cut_off.queued,
        possible_duplicates = cut_off.possible_duplicates,
        unconfirmed = cut_off.unconfirmed,
        "the grace period of the stop was over before all answers had come: those files are settled by their folder's policy; a longer `shutdown_grace` gives them time"
    );
}

/// What a crash had left.
pub fn recovered(recovered: Recovered) {
    if recovered == Recovered::default() {
        return;
    }
    tracing::warn!(
        queued = recovered.queued,
        possible_duplicates = recovered.possible_duplicates,
        unconfirmed = recovered.unconfirmed,
        "the daemon had ended in the middle of uploads: those files are settled by their folder's policy"
    );
}
