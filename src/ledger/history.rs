//! Everything that is kept of one file: where it is, its attempts, and its changes
//! of state.
//!
//! Must not: be used on the way of a file.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::error::{Fail, LedgerError};
use super::growth;
use super::rows::{self, FileRecord};
use super::{Lane, Ledger};
use crate::domain::answer::Code;
use crate::domain::ids::{AttemptId, FileId, TaskId};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;

/// Attempts and changes read of one file: more than are kept.
const SHOWN: i64 = 1_000;

/// Everything about one file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileStory {
    /// Where it is.
    pub file: FileRecord,
    /// How many attempts it has had, those that are not kept included.
    pub attempt_count: u64,
    /// Its attempts, oldest first: the first and the last ones.
    pub attempts: Vec<AttemptRecord>,
    /// Its changes of state, oldest first: the first and the last ones.
    pub history: Vec<HistoryRecord>,
}

impl FileStory {
    /// Attempts, and changes of its state, that are counted and not kept.
    pub fn left_out(&self) -> (u64, u64) {
        let kept = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let changes = self.file.changes.max(0).unsigned_abs();
        (
            self.attempt_count.saturating_sub(kept(self.attempts.len())),
            changes.saturating_sub(kept(self.history.len())),
        )
    }
}

/// One try at uploading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Its number.
    pub id: AttemptId,
    /// Where it went: a path behind the base URL, or a redirect's address.
    pub endpoint: String,
    /// It went out alone, to see whether a gate could be opened.
    pub probe: bool,
    /// When its intent was recorded.
    pub started_at: Timestamp,
    /// When the last chunk was about to be handed over; `None`: it was not, so
    /// the service cannot have a whole request.
    pub last_byte_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The answer's HTTP status.
    pub http_status: Option<u16>,
    /// The answer's code.
    pub code: Option<Code>,
    /// The answer in words; may hold whatever characters the service sent.
    pub message: Option<String>,
    /// What followed: `done`, `retry`, `reject`, …; or how it was cut short:
    /// `released`, `changed`, `vanished`, `interrupted`.
    pub verdict: Option<String>,
    /// Bytes of content sent.
    pub bytes: Option<u64>,
    /// The task that it was given.
    pub task: Option<TaskId>,
}

/// One change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRecord {
    /// When.
    pub at: Timestamp,
    /// From which state.
    pub from: StateKind,
    /// To which.
    pub to: StateKind,
    /// The code of the answer that led to it.
    pub code: Option<Code>,
    /// Why; may hold whatever characters the service sent.
    pub why: String,
}

impl Ledger {
    /// Everything about one file; `None` if there is no such file.
    pub async fn show(&self, id: FileId) -> Result<Option<FileStory>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            // One view of the ledger for all three tables.
            let tx = conn.unchecked_transaction()?;
            let Some(file) = rows::find(&tx, id)? else {
                return Ok(None);
            };
            let mut story = FileStory {
                attempt_count: growth::attempt_count(&tx, id)?,
                attempts: attempts(&tx, id)?,
                history: changes(&tx, id)?,
                file,
            };
            tell_again(&mut story);
            Ok(Some(story))
        })
        .await
    }
}

pub(super) fn attempts(conn: &Connection, id: FileId) -> Result<Vec<AttemptRecord>, Fail> {
    let mut statement = conn.prepare_cached(
        "SELECT id, endpoint, probe, started_at, last_byte_at, ended_at, http_status, code, \
         message, verdict, bytes, task FROM attempts INDEXED BY attempts_of_file \
         WHERE file = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![id.0, SHOWN], |row| {
        let code: Option<String> = row.get(7)?;
        let task: Option<String> = row.get(11)?;
        Ok(AttemptRecord {
            id: AttemptId(row.get(0)?),
            endpoint: row.get(1)?,
            probe: row.get(2)?,
            started_at: Timestamp(row.get(3)?),
            last_byte_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            ended_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
            http_status: row.get(6)?,
            code: code.map(|code| Code::service(&code)),
            message: row.get(8)?,
            verdict: row.get(9)?,
            bytes: row.get::<_, Option<i64>>(10)?.map(i64::unsigned_abs),
            task: task.and_then(|task| TaskId::new(&task)),
        })
    })?;
    let mut found: Vec<_> = rows.collect::<Result<_, _>>()?;
    found.reverse();
    Ok(found)
}

pub(super) fn changes(conn: &Connection, id: FileId) -> Result<Vec<HistoryRecord>, Fail> {
    let mut statement = conn.prepare_cached(
        "SELECT at, from_state, to_state, code, why FROM history WHERE file = ?1 \
         ORDER BY n DESC LIMIT ?2",
    )?;
    let mut rows = statement.query(params![id.0, SHOWN])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let code: Option<String> = row.get(3)?;
        found.push(HistoryRecord {
            at: Timestamp(row.get(0)?),
            from: rows::state_kind(&row.get::<_, String>(1)?)?,
            to: rows::state_kind(&row.get::<_, String>(2)?)?,
            code: code.map(|code| Code::service(&code)),
            why: row.get(4)?,
        });
    }
    found.reverse();
    Ok(found)
}

/// Puts each message back where its code stands.
fn tell_again(story: &mut FileStory) {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    if let (Some(code), Some(why)) = (&story.file.last_code, &story.file.last_why) {
        told.insert(code.as_str().to_owned(), why.clone());
    }
    for HistoryRecord { code, why, .. } in &story.history {
        if let (Some(code), false) = (code, why.is_empty()) {
            told.insert(code.as_str().to_owned(), why.clone());
        }
    }
    for AttemptRecord { code, message, .. } in &story.attempts {
        if let (Some(code), Some(message)) = (code, message) {
            told.insert(code.as_str().to_owned(), message.clone());
        }
    }
    for change in &mut story.history {
        if let (Some(code), true) = (&change.code, change.why.is_empty()) {
            change.why = told.get(code.as_str()).cloned().unwrap_or_default();
        }
    }
    for attempt in &mut story.attempts {
        if let (Some(code), None) = (&attempt.code, &attempt.message) {
            attempt.message = told.get(code.as_str()).cloned();
        }
    }
}
