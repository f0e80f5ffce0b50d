//! One request's share of a transaction: names ↔ numbers, and the one way in
//! which a file's state changes.
//!
//! Must not: commit, or name a next state: `domain::lifecycle::step` does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Fail, LedgerError};
use super::gates::{self, Gates};
use super::growth;
use super::halts;
use super::notices;
use super::policies::Policies;
use super::rows::{self, FileRecord, Source, bounded};
use super::tasks;
use crate::domain::answer::Code;
use crate::domain::error_table::{Scope, Verdict};
use crate::domain::halt::Halts;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::lifecycle::{Event, OriginalEnd, Step, original_end, step};
use crate::domain::resolution::{Resolution, Resolved, is_good_end};
use crate::domain::state::{State, StateKind};
use crate::domain::time::{Moment, Timestamp};

/// How long the source of a rejected file stays where it is, if its rejection
/// may yet turn out to be the route's fault: a file that was moved away can't
/// go back to the queue.
pub const STREAK_GRACE: Duration = Duration::from_secs(15 * 60);

/// Duplicates that are told in one transaction that their original has ended;
/// the others follow in the next ones.
const TOLD_AT_ONCE: usize = 256;

/// An original whose duplicates are not all told yet.
pub(super) struct Untold {
    pub original: FileId,
    pub at: Moment,
    pub policies: Arc<Policies>,
}

/// What the owning thread keeps from one transaction to the next.
#[derive(Default)]
pub(super) struct Kept {
    folders: HashMap<FolderName, i64>,
    datasets: HashMap<DatasetName, i64>,
    /// Work that is left over for the next transaction.
    pub untold: VecDeque<Untold>,
    /// Notices were left since their bell was last rung.
    pub noticed: bool,
    /// A gate or a pause was written since they were last shown.
    pub gates_changed: bool,
    /// All gates and pauses, as this thread has read them last: every intent and
    /// every answer asks. `None`: they may differ now.
    brakes: Option<Brakes>,
    /// What `PRAGMA data_version` said then: it moves when others write.
    brakes_of: i64,
    /// A request came upon something that no waiting mends.
    pub found_damaged: Option<LedgerError>,
}

/// What may hold files back.
#[derive(Default)]
pub(super) struct Brakes {
    pub gates: Gates,
    pub halts: Halts,
}

impl Kept {
    /// Forgets what a rollback may have taken back, or others have written.
    pub fn forget(&mut self) {
        self.folders.clear();
        self.datasets.clear();
        self.brakes = None;
    }

    /// A gate or a pause is written: it is to be read again, and shown.
    pub fn brakes_change(&mut self) {
        self.gates_changed = true;
        self.brakes = None;
    }

    /// At the begin of each transaction: `version` is the ledger's
    /// `PRAGMA data_version`.
    pub fn begins(&mut self, version: i64) {
        if self.brakes_of != version {
            self.brakes_of = version;
            self.forget();
        }
    }
}

/// A transaction, as a request sees it.
pub(super) struct Work<'a> {
    pub conn: &'a Connection,
    pub kept: &'a mut Kept,
}

/// What became of an event.
#[derive(Debug, PartialEq)]
pub(super) enum Changed {
    Stayed,
    Went,
    Refused(&'static str),
}

impl Work<'_> {
    /// All gates and pauses, as they are in this transaction.
    pub fn brakes(&mut self) -> Result<&Brakes, Fail> {
        if self.kept.brakes.is_none() {
            self.kept.brakes = Some(Brakes {
                gates: gates::load_all(self.conn)?,
                halts: halts::load_all(self.conn)?,
            });
        }
        // Just filled where it was empty.
        Ok(self.kept.brakes.get_or_insert_default())
    }

    /// A folder's number; made if it is new.
    pub fn folder(&mut self, name: &FolderName) -> Result<i64, Fail> {
        if let Some(id) = self.kept.folders.get(name) {
            return Ok(*id);
        }
        let id = interned(self.conn, "folders", &name.0)?;
        self.kept.folders.insert(name.clone(), id);
        Ok(id)
    }

    /// A dataset's number; made if it is new.
    pub fn dataset(&mut self, name: &DatasetName) -> Result<i64, Fail> {
        if let Some(id) = self.kept.datasets.get(name) {
            return Ok(*id);
        }
        let id = interned(self.conn, "datasets", &name.0)?;
        self.kept.datasets.insert(name.clone(), id);
        Ok(id)
    }

    /// Writes a file's record.
    pub fn store(&mut self, file: &FileRecord) -> Result<(), Fail> {
        let dataset = self.dataset(&file.dataset)?;
        rows::store(self.conn, file, dataset)
    }

    /// Lets `event` happen to `file`, and writes what follows: its state, its
    /// history, what becomes of its source, and what it means to the files
    /// that are duplicates of it. Other changes made to `file` before are
    /// written with it, unless it is refused; where its task goes on after an
    /// answer, that is what the query left and nothing else.
    pub fn change(
        &mut self,
        file: &mut FileRecord,
        event: &Event,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Changed, Fail> {
        let go = match step(&file.state, event, at, policies.of(&file.folder)) {
            Step::Go(go) => go,
            Step::Refused(why) => return Ok(Changed::Refused(why)),
            Step::Stay => {
                if matches!(event, Event::OriginalEnded { .. }) && file.awaiting {
                    file.awaiting = false;
                    self.store(file)?;
                }
                return Ok(Changed::Stayed);
            }
        };
        let moved = go.next.kind() != file.state.kind();
        let task_goes_on =
            matches!(event, Event::Judged(_)) && tasks::goes_on(&file.state, &go.next);
        if moved || matches!(event, Event::Retry) {
            self.record(file, &go.next, event, at)?;
        }
        if moved {
            notices::of_end(self, file, go.next.kind(), at, policies)?;
        }
        let goes_round_again =
            original_end(&file.state).is_some() && original_end(&go.next).is_none();
        file.state = go.next;
        file.changed_at = at.now;
        if moved {
            // What was said of the former end does not hold for this one.
            file.resolved = None;
        }
        file.possible_duplicate |= go.possible_duplicate;
        if let Event::Judged(judgement) = event {
            file.last_code = Some(judgement.code.clone());
            file.last_why = Some(bounded(&judgement.why).to_owned());
        }
        match event {
            Event::SameAs { of, imported } => {
                // One that was pruned had ended.
                let original = rows::find(self.conn, *of)?;
                file.awaiting =
                    !imported && original.is_some_and(|of| original_end(&of.state).is_none());
            }
            Event::OriginalEnded { .. } => file.awaiting = false,
            _ if moved => file.awaiting = false,
            _ => {}
        }
        if let Some(action) = go.source {
            file.source = Some(Source {
                action,
                due: at.now.plus(source_wait(event)),
                target: None,
                done: None,
                left: None,
            });
        } else if matches!(file.state, State::Queued { .. }) {
            // What was to become of the source belonged to the old end.
            file.source = None;
        }
        if moved && file.state.kind().needs_attention() {
            self.resolve_by_newer(file, at.now)?;
        }
        let documented_again = task_goes_on && file.resolved.is_some() && !is_unknown(file);
        if documented_again {
            file.resolved = None;
        }
        if task_goes_on && !documented_again {
            tasks::store_followed(self.conn, file)?;
        } else {
            self.store(file)?;
        }
        if goes_round_again {
            // Those that stayed its duplicates wait for its new end.
            self.conn
                .prepare_cached(AWAIT_AGAIN)?
                .execute([file.id.0])?;
        } else if moved && original_end(&file.state).is_some() {
            self.tell_duplicates(file.id, at, policies)?;
        }
        if is_good_end(file.state.kind(), imported(event)) {
            self.resolve_older(file, at.now)?;
        }
        Ok(Changed::Went)
    }

    /// The same, where a refusal is the caller's mistake.
    pub fn must_change(
        &mut self,
        file: &mut FileRecord,
        event: &Event,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Changed, Fail> {
        match self.change(file, event, at, policies)? {
            Changed::Refused(why) => Err(Fail::Refused(file.id, why.to_owned())),
            changed => Ok(changed),
        }
    }

    /// Tells the duplicates of `original` how it ended, a bounded number of
    /// them now and the others in a transaction that follows.
    pub fn tell_duplicates(
        &mut self,
        original: FileId,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<(), Fail> {
        let ids: Vec<i64> = {
            let mut statement = self.conn.prepare_cached(AWAITING)?;
            let limit = i64::try_from(TOLD_AT_ONCE).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![original.0, limit], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        if ids.is_empty() {
            return Ok(());
        }
        // Asked anew: an operator may have sent it round again meanwhile.
        let Some(how) = original_end(&rows::load(self.conn, original)?.state) else {
            return Ok(());
        };
        let full = ids.len() == TOLD_AT_ONCE;
        for id in ids {
            let mut file = rows::load(self.conn, FileId(id))?;
            self.must_change(&mut file, &Event::OriginalEnded { how }, at, policies)?;
        }
        if full {
            self.kept.untold.push_back(Untold {
                original,
                at,
                policies: Arc::clone(policies),
            });
        }
        Ok(())
    }

    /// Records that a file needs nobody any more, and how. Its state stays.
    pub fn resolve(
        &mut self,
        file: &mut FileRecord,
        how: Resolution,
        now: Timestamp,
    ) -> Result<(), Fail> {
        self.note_resolved(file, how, now)?;
        self.store(file)
    }

    /// The same without writing the row.
    fn note_resolved(
        &mut self,
        file: &mut FileRecord,
        how: Resolution,
        now: Timestamp,
    ) -> Result<(), Fail> {
        let (state, why) = (file.state.kind(), how.to_string());
        file.resolved = Some(Resolved { at: now, how });
        self.write_history(file, state, None, bounded(&why), now)
    }

    /// Earlier versions of the path of a file that came to a good end.
    fn resolve_older(&mut self, good: &FileRecord, now: Timestamp) -> Result<(), Fail> {
        let folder = self.folder(&good.folder)?;
        let ids: Vec<i64> = {
            let mut statement = self.conn.prepare_cached(OLDER_UNRESOLVED)?;
            let path = params![folder, good.version.path, good.id.0, good.seen_at.0];
            let rows = statement.query_map(path, |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for id in ids {
            let mut file = rows::load(self.conn, FileId(id))?;
            self.resolve(&mut file, Resolution::NewerVersion(good.id), now)?;
        }
        Ok(())
    }

    /// A bad end that comes after a newer version of the path has come to a good
    /// one. The row is written by the caller.
    fn resolve_by_newer(&mut self, file: &mut FileRecord, now: Timestamp) -> Result<(), Fail> {
        let folder = self.folder(&file.folder)?;
        let newer: Option<i64> = self
            .conn
            .prepare_cached(NEWER_GOOD)?
            .query_row(
                params![folder, file.version.path, file.id.0, file.seen_at.0],
                |row| row.get(0),
            )
            .optional()?;
        match newer {
            Some(by) => self.note_resolved(file, Resolution::NewerVersion(FileId(by)), now),
            None => Ok(()),
        }
    }

    fn record(
        &mut self,
        file: &mut FileRecord,
        next: &State,
        event: &Event,
        at: Moment,
    ) -> Result<(), Fail> {
        let (code, mut why) = reason(event);
        if let Some(code) = code.filter(|_| growth::may_be_told(file))
            && growth::was_told(self.conn, file.id, code)?
        {
            why = "";
        }
        self.write_history(file, next.kind(), code, why, at.now)
    }

    /// Writes one change into the history of a file.
    pub fn write_history(
        &mut self,
        file: &mut FileRecord,
        next: StateKind,
        code: Option<&Code>,
        why: &str,
        now: Timestamp,
    ) -> Result<(), Fail> {
        file.changes += 1;
        self.conn
            .prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                file.id.0,
                file.changes,
                now.0,
                file.state.kind().as_str(),
                next.as_str(),
                code.map(Code::as_str),
                why,
            ])?;
        growth::after_change(self.conn, file)
    }
}

/// The duplicates of an original that wait for its end.
pub(super) const AWAITING: &str = "SELECT id FROM files INDEXED BY files_awaiting \
    WHERE awaiting = 1 AND duplicate_of = ?1 ORDER BY id LIMIT ?2";

pub(super) const AWAIT_AGAIN: &str = "UPDATE files INDEXED BY files_duplicates SET awaiting = 1 \
    WHERE state = 'duplicate' AND duplicate_of = ?1";

/// Versions of a path before one (?3, seen at ?4) that need a person.
pub(super) const OLDER_UNRESOLVED: &str = "SELECT id FROM files \
    WHERE folder = ?1 AND path = ?2 AND id <> ?3 AND resolved IS NULL \
    AND (seen_at, id) < (?4, ?3) AND (state = 'failed' OR state = 'untracked' \
    OR state = 'rejected' OR state = 'exhausted' OR state = 'unconfirmed' OR state = 'lost' \
    OR state = 'unsupported')";

/// The versions of a path after one (?3, seen at ?4) that came to a good end.
pub(super) const NEWER_GOOD: &str = "SELECT f.id FROM files AS f \
    WHERE f.folder = ?1 AND f.path = ?2 AND f.id <> ?3 AND (f.seen_at, f.id) > (?4, ?3) \
    AND (f.state = 'succeeded' OR f.state = 'duplicate' AND EXISTS (SELECT 1 FROM files AS o \
        WHERE o.id = f.duplicate_of AND o.state = 'succeeded')) LIMIT 1";

fn interned(conn: &Connection, table: &str, name: &str) -> Result<i64, Fail> {
    let known = conn
        .prepare_cached(&format!("SELECT id FROM {table} WHERE name = ?1"))?
        .query_row([name], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    conn.prepare_cached(&format!("INSERT INTO {table} (name) VALUES (?1)"))?
        .execute([name])?;
    Ok(conn.last_insert_rowid())
}

/// Whether the task of a file is in a state that is not documented.
fn is_unknown(file: &FileRecord) -> bool {
    let poll = file.poll.as_ref();
    poll.is_some_and(|poll| poll.unknown_since.is_some())
}

/// Whether what has happened to a duplicate is that its original is imported.
fn imported(event: &Event) -> bool {
    matches!(
        event,
        Event::SameAs { imported: true, .. }
            | Event::OriginalEnded {
                how: OriginalEnd::Imported
            }
    )
}

fn source_wait(event: &Event) -> Duration {
    let in_streak = matches!(event, Event::Judged(judgement)
        if judgement.verdict == Verdict::Reject
            && judgement.pause.is_some_and(|p| p.scope == Scope::Route && p.after > 1));
    if in_streak {
        STREAK_GRACE
    } else {
        Duration::ZERO
    }
}

/// What the history says about an event: a code, and words.
fn reason(event: &Event) -> (Option<&Code>, &str) {
    match event {
        Event::Judged(judgement) => (Some(&judgement.code), bounded(&judgement.why)),
        Event::Begun { .. } => (None, "an attempt began"),
        Event::LastByte => (None, "the last byte was handed over"),
        Event::Released => (None, "stopped before its last byte"),
        Event::Recovered => (None, "found at start-up as a crash had left it"),
        Event::Changed { .. } => (None, "the file changed after it was settled"),
        Event::Vanished => (None, "the file is not there any more"),
        Event::Replaced { .. } => (None, "a newer version was queued"),
        Event::Unsupported(refusal) => (None, bounded(&refusal.why)),
        Event::SameAs { .. } => (None, "its content is another file's"),
        Event::OriginalEnded { .. } => (None, "the file with the same content has ended"),
        Event::Returned => (None, "the route was to blame, not the file"),
        Event::Retry => (None, "tried again by an operator"),
        Event::Arrived { task: Some(_) } => (
            None,
            "an operator has found it at the service, with its task",
        ),
        Event::Arrived { task: None } => (None, "an operator has found it at the service"),
        Event::Deleted => (
            None,
            "the service has deleted its task, as an operator wanted",
        ),
    }
}
