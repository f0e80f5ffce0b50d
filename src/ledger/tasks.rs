//! Tasks that are followed: which are due to be asked about, and what the
//! answers lead to.
//!
//! Queries are many and mostly say "still processing", so each leaves only the
//! latest answer on its file; the history gets a line when the state changes.
//!
//! Must not: ask the service, or say how often.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::error::{Fail, LedgerError};
use super::gates::{self, Fingerprints};
use super::policies::Policies;
use super::rows::{self, FileRecord, LastPoll, bounded, limit_of};
use super::uploads::{self, Finished};
use super::{Lane, Ledger};
use crate::domain::answer::{Code, TaskState};
use crate::domain::error_table::{Judgement, Verdict};
use crate::domain::gate::Admission;
use crate::domain::ids::{AttemptId, DatasetName, FileId, FolderName, TaskId};
use crate::domain::lifecycle::Event;
use crate::domain::media::Media;
use crate::domain::state::State;
use crate::domain::time::{Moment, Timestamp};

/// A task that is due to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePoll {
    /// The file.
    pub id: FileId,
    /// Its folder.
    pub folder: FolderName,
    /// Its dataset: whose key to ask with.
    pub dataset: DatasetName,
    /// The path relative to the folder, for people.
    pub path: Vec<u8>,
    /// The task.
    pub task: TaskId,
    /// Since when it is due.
    pub next_poll: Timestamp,
    /// Which import took the file.
    pub media: Option<Media>,
    /// When the service named the task.
    pub submitted_at: Timestamp,
    /// The attempt that was given it.
    pub attempt: Option<AttemptId>,
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct Polled {
    /// Which file.
    pub id: FileId,
    /// What the outcome means.
    pub judgement: Judgement,
    /// The settings behind the gates on its way; the route's is not looked at.
    pub fingerprints: Arc<Fingerprints>,
}

pub(super) const DUE_POLLS: &str = "SELECT f.id, fo.name, da.name, f.path, f.task, f.next_poll, \
    f.media, f.changed_at, \
    (SELECT max(a.id) FROM attempts AS a INDEXED BY attempts_of_file WHERE a.file = f.id) \
    FROM files AS f INDEXED BY files_polls CROSS JOIN folders AS fo ON fo.id = f.folder \
    CROSS JOIN datasets AS da ON da.id = f.dataset \
    WHERE f.state = 'submitted' AND f.dataset = (SELECT id FROM datasets WHERE name = ?1) \
    AND f.next_poll <= ?2 ORDER BY f.next_poll, f.id LIMIT ?3";

pub(super) const NEXT_POLL: &str = "SELECT min(next_poll) FROM files INDEXED BY files_polls \
    WHERE state = 'submitted' AND dataset = (SELECT id FROM datasets WHERE name = ?1)";

/// A look at each folder and state, however many tasks there are.
pub(super) const FOLLOWED_IN: &str = "SELECT fo.name, counts.files FROM counts \
    CROSS JOIN folders AS fo ON fo.id = counts.folder \
    WHERE counts.state = 'submitted' AND counts.files > 0";

/// Tasks of a dataset that are not due yet. The change names no state: when a
/// task is asked about next is no step of the state machine.
pub(super) const POLL_NOW: &str = "UPDATE files INDEXED BY files_polls SET next_poll = ?2 \
    WHERE state = 'submitted' AND dataset = (SELECT id FROM datasets WHERE name = ?1) \
    AND next_poll > ?2";

/// What the answer to a query leaves on a file whose task goes on.
pub(super) const FOLLOWED: &str = "UPDATE files SET next_poll = ?2, polls_pending = ?3, \
    polls_failures = ?4, polls_missing = ?5, last_code = ?6, last_why = ?7, poll_at = ?8, \
    poll_code = ?9, poll_message = ?10, poll_count = ?11, changed_at = ?12, \
    unknown_since = ?13 WHERE id = ?1";

/// Whether the task goes on, so that [`FOLLOWED`] has all that `next` changes.
pub(super) fn goes_on(now: &State, next: &State) -> bool {
    match (now, next) {
        (
            State::Submitted { task, tries, .. },
            State::Submitted {
                task: same,
                tries: as_many,
                ..
            },
        ) => task == same && tries == as_many,
        _ => false,
    }
}

/// Writes a file whose task [`goes_on`]. Most answers say that: so few columns
/// touch two indices and a third of the CHECKs that the whole row does.
pub(super) fn store_followed(conn: &Connection, file: &FileRecord) -> Result<(), Fail> {
    let columns = rows::columns_of(&file.state);
    let polls = columns.polls.unwrap_or_default();
    let poll = file.poll.as_ref();
    conn.prepare_cached(FOLLOWED)?.execute(params![
        file.id.0,
        columns.next_poll,
        polls.pending,
        polls.failures,
        polls.missing,
        file.last_code.as_ref().map(Code::as_str),
        file.last_why.as_deref().map(bounded),
        poll.map(|p| p.at.0),
        poll.map(|p| p.code.as_str()),
        poll.map(|p| bounded(&p.message)),
        poll.map_or(0, |p| p.count),
        file.changed_at.0,
        poll.and_then(|p| p.unknown_since).map(|t| t.0),
    ])?;
    Ok(())
}

impl Ledger {
    /// Tasks of a dataset that are due to be asked about, those that wait
    /// longest first. Only looks: a task stays due until
    /// [`Ledger::polled`].
    pub async fn due_polls(
        &self,
        dataset: DatasetName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DuePoll>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let mut statement = conn.prepare_cached(DUE_POLLS)?;
            let mut rows = statement.query(params![dataset.0, now.0, limit_of(limit)])?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                let task: String = row.get(4)?;
                let media: Option<String> = row.get(6)?;
                let attempt: Option<i64> = row.get(8)?;
                let task = TaskId::new(&task)
                    .ok_or_else(|| Fail::BadRow(format!("{task:?} is no task ID")))?;
                due.push(DuePoll {
                    id: FileId(row.get(0)?),
                    folder: FolderName(row.get(1)?),
                    dataset: DatasetName(row.get(2)?),
                    path: row.get(3)?,
                    task,
                    next_poll: Timestamp(row.get(5)?),
                    media: media.and_then(|text| text.parse().ok()),
                    submitted_at: Timestamp(row.get(7)?),
                    attempt: attempt.map(AttemptId),
                });
            }
            Ok(due)
        })
        .await
    }

    /// When the dataset's next task is due; in the past if one is overdue.
    /// `None`: no task is followed.
    pub async fn next_poll_at(
        &self,
        dataset: DatasetName,
    ) -> Result<Option<Timestamp>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let mut statement = conn.prepare_cached(NEXT_POLL)?;
            let next: Option<i64> = statement.query_row([&dataset.0], |row| row.get(0))?;
            Ok(next.map(Timestamp))
        })
        .await
    }

    /// How many tasks are followed of each folder that has any.
    pub async fn tasks_followed(&self) -> Result<BTreeMap<FolderName, u64>, LedgerError> {
        self.read(Lane::Hot, |conn| {
            let mut statement = conn.prepare_cached(FOLLOWED_IN)?;
            let rows = statement.query_map([], |row| {
                let files: i64 = row.get(1)?;
                Ok((FolderName(row.get(0)?), files.max(0).unsigned_abs()))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lets a query through as the probe of the service's and the dataset's
    /// gates, where they are closed and due. False: one of them is closed, and
    /// the query must wait. Needed only while a gate is closed.
    pub async fn poll_may_go(&self, id: FileId, at: Moment) -> Result<bool, LedgerError> {
        self.write(1, move |work| {
            let file = rows::load(work.conn, id)?;
            let prints = Fingerprints::default();
            let gates = &work.brakes()?.gates;
            let (way, [service, dataset], _) = gates::way(gates, &file.dataset, None, &prints);
            let ways = [(service, way.service.gate), (dataset, way.dataset.gate)];
            let ways = ways.into_iter().filter(|(_, gate)| gate.holds_queries());
            let ways: Vec<_> = ways.collect();
            let admitted = |gate: &crate::domain::gate::Gate| {
                gate.is_probed_by(id) || !matches!(gate.admits(at.now), Admission::Closed { .. })
            };
            if !ways.iter().all(|(_, gate)| admitted(gate)) {
                return Ok(false);
            }
            for (key, mut gate) in ways {
                if gate.admits(at.now) == Admission::Probe {
                    gate.probe(id);
                    gates::save(work, &key, &gate)?;
                }
            }
            Ok(true)
        })
        .await
    }

    /// Records the answer to a query, and everything that follows from it.
    pub async fn polled(
        &self,
        polled: Polled,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Finished, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(3, move |work| {
            let mut file = rows::load(work.conn, polled.id)?;
            if !matches!(file.state, State::Submitted { .. }) {
                let why = format!("no task of it is followed: it is {}", file.state.kind());
                return Err(Fail::Refused(polled.id, why));
            }
            let message = bounded(&polled.judgement.why).to_owned();
            let repeated = file.poll.as_ref().is_some_and(|p| p.message == message);
            let since = file.poll.as_ref().and_then(|p| p.unknown_since);
            // A query that fails says nothing about the state.
            let unknown_since = match &polled.judgement.verdict {
                Verdict::Task(TaskState::Unknown(_)) => since.or(Some(at.now)),
                Verdict::Task(_) => None,
                _ => since,
            };
            file.poll = Some(LastPoll {
                at: at.now,
                code: polled.judgement.code.clone(),
                message,
                count: file.poll.map_or(0, |poll| poll.count).saturating_add(1),
                unknown_since,
            });
            let prints = &polled.fingerprints;
            let judgement = polled.judgement;
            let finished =
                uploads::judged(work, &mut file, None, prints, judgement, at, &policies)?;
            Ok(Finished {
                repeated,
                ..finished
            })
        })
        .await
    }

    /// Records that the service has deleted a file's task, as an operator
    /// wanted. It may have ended meanwhile: then it stays as it is, refused.
    pub async fn deleted(&self, id: FileId, task: TaskId, at: Moment) -> Result<(), LedgerError> {
        // What an operator cancels touches no source: no policy is asked for.
        let policies = Arc::new(Policies::new(BTreeMap::new()));
        self.write(3, move |work| {
            let mut file = rows::load(work.conn, id)?;
            if let State::Submitted { task: now, .. } = &file.state
                && *now != task
            {
                let why = format!("it has another task by now, {now}");
                return Err(Fail::Refused(id, why));
            }
            work.must_change(&mut file, &Event::Deleted, at, &policies)
                .map(drop)
        })
        .await
    }

    /// Makes every task of the dataset due at once: the service says that
    /// something has happened. Returns how many.
    pub async fn poll_now(&self, dataset: DatasetName, now: Timestamp) -> Result<u64, LedgerError> {
        self.write(100, move |work| {
            let changed = work
                .conn
                .prepare_cached(POLL_NOW)?
                .execute(params![dataset.0, now.0])?;
            Ok(u64::try_from(changed).unwrap_or(u64::MAX))
        })
        .await
    }
}
