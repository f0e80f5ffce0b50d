//! What people ask of the ledger, and what they may change in it.
//!
//! Commands use these beside a running daemon; the daemon's status page does
//! too. Must not: be used on the way of a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::error::{Fail, LedgerError};
use super::growth;
use super::intake::{folder_number, limit_of};
use super::policies::Policies;
use super::rows::{self, COLUMNS, FileRecord, NAMES};
use super::work::{Changed, Work};
use super::{Lane, Ledger};
use crate::domain::answer::Code;
use crate::domain::ids::{AttemptId, DatasetName, FileId, FolderName, TaskId};
use crate::domain::lifecycle::{Event, SourceAction};
use crate::domain::state::{State, StateKind};
use crate::domain::time::{Moment, Timestamp};

/// Files sent round again in one transaction.
const RETRIED_AT_ONCE: usize = 500;

/// Attempts and changes read of one file: more than are kept.
const SHOWN: i64 = 1_000;

/// How many files of a folder are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The folder.
    pub folder: FolderName,
    /// The state.
    pub state: StateKind,
    /// Files.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
}

/// Which files are meant. Everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; empty: in any.
    pub states: Vec<StateKind>,
    /// Of this folder.
    pub folder: Option<FolderName>,
    /// Of this dataset.
    pub dataset: Option<DatasetName>,
    /// The latest answer about it had this code.
    pub code: Option<String>,
    /// Its state changed at this time or later.
    pub since: Option<Timestamp>,
    /// Its state changed at this time or earlier.
    pub until: Option<Timestamp>,
    /// The path in the folder: with `*`, `?` or `[` a pattern for all of it
    /// (`*` crosses `/`), else a part of it. Case counts.
    pub name: Option<String>,
    /// Beside those in `states`, which name no submitted ones: files whose task has
    /// been in a state that is not documented since this time or longer.
    pub unknown_since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            states: Vec::new(),
            folder: None,
            dataset: None,
            code: None,
            since: None,
            until: None,
            name: None,
            unknown_since: None,
            limit: usize::MAX,
        }
    }
}

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

/// Which files are meant.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These.
    Ids(Vec<FileId>),
    /// Those that match. For a retry, without states: those that need
    /// attention.
    Matching(Filter),
}

/// What became of a retry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retried {
    /// Files that are in the queue now.
    pub retried: Vec<FileId>,
    /// Files that were left as they are, and why.
    pub refused: Vec<(FileId, String)>,
}

impl Ledger {
    /// How many files of each folder are in each state; none where there are
    /// none. Costs the same however many there are.
    pub async fn counts(&self) -> Result<Vec<Count>, LedgerError> {
        self.read(Lane::Cold, counts).await
    }

    /// Every version of a path in a folder, latest first.
    pub async fn versions(
        &self,
        folder: FolderName,
        path: Vec<u8>,
    ) -> Result<Vec<FileRecord>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(Vec::new());
            };
            let mut found = rows::all(conn, &versions_sql(), &[&folder, &path])?;
            found.sort_by_key(|file| std::cmp::Reverse((file.seen_at, file.id)));
            Ok(found)
        })
        .await
    }

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
                history: history(&tx, id)?,
                file,
            };
            growth::tell_again(&mut story);
            Ok(Some(story))
        })
        .await
    }

    /// How often an upload of each of these files was begun; those that never
    /// were are left out.
    pub async fn attempt_counts(
        &self,
        ids: Vec<FileId>,
    ) -> Result<BTreeMap<FileId, u64>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let mut counts = BTreeMap::new();
            for id in ids {
                let count = growth::attempt_count(conn, id)?;
                if count > 0 {
                    counts.insert(id, count);
                }
            }
            Ok(counts)
        })
        .await
    }

    /// Sends files round again, as an operator wants it. A file that can't be
    /// is left as it is, and said so. What the answer depends on is the state
    /// alone, so no policy is asked for.
    pub async fn retry(&self, which: Selection, at: Moment) -> Result<Retried, LedgerError> {
        let mut all = Retried::default();
        for some in self.to_retry(which).await?.chunks(RETRIED_AT_ONCE) {
            let (some, policies) = (some.to_vec(), no_policies());
            let here = self
                .write(some.len(), move |work| retry_all(work, some, at, &policies))
                .await?;
            all.retried.extend(here.retried);
            all.refused.extend(here.refused);
        }
        Ok(all)
    }

    /// What [`Ledger::retry`] would answer now. It is done, and taken back, so
    /// that the two can't differ.
    pub async fn rehearse_retry(
        &self,
        which: Selection,
        at: Moment,
    ) -> Result<Retried, LedgerError> {
        let mut all = Retried::default();
        for some in self.to_retry(which).await?.chunks(RETRIED_AT_ONCE) {
            let (some, policies) = (some.to_vec(), no_policies());
            let (tell, told) = std::sync::mpsc::channel();
            let taken_back = self
                .write(some.len(), move |work| {
                    let _ = tell.send(retry_all(work, some, at, &policies)?);
                    // An error is what has the writer take it back.
                    Err::<(), _>(Fail::Refused(FileId(0), "a rehearsal".to_owned()))
                })
                .await;
            match (told.try_recv(), taken_back) {
                (Ok(here), Err(LedgerError::Refused { .. })) => {
                    all.retried.extend(here.retried);
                    all.refused.extend(here.refused);
                }
                (_, Err(error)) => return Err(error),
                (_, Ok(())) => return Err(LedgerError::Closed),
            }
        }
        Ok(all)
    }

    async fn to_retry(&self, which: Selection) -> Result<Vec<FileId>, LedgerError> {
        match which {
            Selection::Matching(mut filter) if filter.states.is_empty() => {
                filter.states = StateKind::ALL.into_iter().collect();
                filter.states.retain(|state| state.retried_unnamed());
                self.selected(Selection::Matching(filter)).await
            }
            which => self.selected(which).await,
        }
    }
}

/// What a retry's answer depends on is the state alone.
fn no_policies() -> Arc<Policies> {
    Arc::new(Policies::new(BTreeMap::new()))
}

fn retry_all(
    work: &mut Work<'_>,
    ids: Vec<FileId>,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Retried, Fail> {
    let mut all = Retried::default();
    for id in ids {
        match retry(work, id, at, policies)? {
            None => all.retried.push(id),
            Some(why) => all.refused.push((id, why)),
        }
    }
    Ok(all)
}

/// `Some`: why not.
fn retry(
    work: &mut Work<'_>,
    id: FileId,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Option<String>, Fail> {
    let Some(mut file) = rows::find(work.conn, id)? else {
        return Ok(Some("there is no such file in the ledger".to_owned()));
    };
    if file.source_moving() {
        let why = "its source is being moved right now: try again in a moment";
        return Ok(Some(why.to_owned()));
    }
    if file.source_taken() && file.state.kind() != StateKind::Succeeded {
        return Ok(Some(put_it_back(&file)));
    }
    if matches!(
        file.state,
        State::Unsupported { .. } | State::Rejected { .. }
    ) {
        // Whoever retries it has mended the file or its settings: sorted anew.
        file.media = None;
    }
    Ok(match work.change(&mut file, &Event::Retry, at, policies)? {
        Changed::Refused(why) => Some(why.to_owned()),
        Changed::Went | Changed::Stayed => None,
    })
}

fn put_it_back(file: &FileRecord) -> String {
    let moved_to = file
        .source
        .as_ref()
        .filter(|source| source.action != SourceAction::Delete)
        .and_then(|source| source.target.as_deref());
    match moved_to {
        Some(target) => format!(
            "its source was moved to \"{}\": move it back into the folder, that queues it again",
            target.escape_ascii()
        ),
        None => "its source is not in the folder any more: drop it again".to_owned(),
    }
}

pub(super) fn versions_sql() -> String {
    format!("SELECT {COLUMNS} FROM files AS f {NAMES} WHERE f.folder = ?1 AND f.path = ?2")
}

/// How the files of one state are found: the index that holds them, and the
/// order in which it does. The condition repeats the index's own, as SQLite
/// must see that the one follows from the other.
fn by_state(state: StateKind) -> (&'static str, String, &'static str) {
    let is = format!("f.state = '{state}'");
    match state {
        StateKind::Queued => ("files_waiting", is, "f.not_before, f.id"),
        StateKind::Uploading => ("files_uploading", is, "f.id"),
        StateKind::Submitted => ("files_polls", is, "f.dataset, f.next_poll, f.id"),
        _ => (
            "files_ended",
            format!(
                "{is} AND f.state <> 'queued' AND f.state <> 'uploading' \
                 AND f.state <> 'submitted'"
            ),
            "f.changed_at DESC, f.id DESC",
        ),
    }
}

/// The query for one state, and its parameters.
pub(super) fn list_sql(what: &str, state: StateKind, filter: &Filter) -> (String, Vec<Value>) {
    let (index, mut wanted, order) = by_state(state);
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        let at = format!("?{}", values.len());
        wanted.push_str(" AND ");
        wanted.push_str(&condition.replace("{}", &at));
    };
    if let Some(folder) = &filter.folder {
        let is = "f.folder = (SELECT id FROM folders WHERE name = {})";
        and(is, folder.0.clone().into());
    }
    if let Some(dataset) = &filter.dataset {
        let is = "f.dataset = (SELECT id FROM datasets WHERE name = {})";
        and(is, dataset.0.clone().into());
    }
    if let Some(code) = &filter.code {
        and("f.last_code = {}", code.clone().into());
    }
    if let Some(since) = filter.since {
        and("f.changed_at >= {}", since.0.into());
    }
    if let Some(until) = filter.until {
        and("f.changed_at <= {}", until.0.into());
    }
    if let Some(since) = filter.unknown_since
        && state == StateKind::Submitted
    {
        and("f.unknown_since <= {}", since.0.into());
    }
    if let Some(name) = &filter.name {
        if name.contains(['*', '?', '[']) {
            and("CAST(f.path AS TEXT) GLOB {}", name.clone().into());
        } else {
            // Blobs, byte by byte: names need not be UTF-8.
            and("instr(f.path, {}) > 0", name.clone().into_bytes().into());
        }
    }
    values.push(limit_of(filter.limit).into());
    let limit = values.len();
    let sql = format!(
        "SELECT {what} FROM files AS f INDEXED BY {index} {NAMES} WHERE {wanted} \
         ORDER BY {order} LIMIT ?{limit}"
    );
    (sql, values)
}

fn states(filter: &Filter) -> Vec<StateKind> {
    let mut states = match filter.states.as_slice() {
        [] => StateKind::ALL.to_vec(),
        some => some.to_vec(),
    };
    states.sort_unstable();
    states.dedup();
    states
}

/// What is to be looked through: each state, and what must hold there.
pub(super) fn parts(filter: &Filter) -> Vec<(StateKind, Cow<'_, Filter>)> {
    let states = states(filter);
    let mut parts: Vec<_> = states
        .into_iter()
        .map(|s| (s, Cow::Borrowed(filter)))
        .collect();
    let followed = |(state, _): &(StateKind, _)| *state == StateKind::Submitted;
    if filter.unknown_since.is_some() && !parts.iter().any(followed) {
        let only = Filter {
            states: vec![StateKind::Submitted],
            ..filter.clone()
        };
        parts.push((StateKind::Submitted, Cow::Owned(only)));
    }
    parts
}

/// The numbers of the files that match: there may be many.
pub(super) fn matching(conn: &Connection, filter: &Filter) -> Result<Vec<FileId>, Fail> {
    let mut found = Vec::new();
    for (state, filter) in parts(filter) {
        let (sql, values) = list_sql("f.id", state, &filter);
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0).map(FileId))?;
        for id in rows {
            found.push(id?);
        }
    }
    found.sort_unstable();
    found.truncate(filter.limit);
    Ok(found)
}

pub(super) fn counts(conn: &Connection) -> Result<Vec<Count>, Fail> {
    let mut statement = conn.prepare_cached(
        "SELECT fo.name, c.state, c.files, c.bytes FROM counts AS c \
         CROSS JOIN folders AS fo ON fo.id = c.folder WHERE c.files > 0 ORDER BY fo.name",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push(Count {
            folder: FolderName(row.get(0)?),
            state: kind(&row.get::<_, String>(1)?)?,
            files: row.get::<_, i64>(2)?.max(0).unsigned_abs(),
            bytes: row.get::<_, i64>(3)?.max(0).unsigned_abs(),
        });
    }
    counts.sort_by(|a, b| (&a.folder, a.state).cmp(&(&b.folder, b.state)));
    Ok(counts)
}

fn kind(text: &str) -> Result<StateKind, Fail> {
    text.parse()
        .map_err(|error| Fail::BadRow(format!("{error}")))
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

pub(super) fn history(conn: &Connection, id: FileId) -> Result<Vec<HistoryRecord>, Fail> {
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
            from: kind(&row.get::<_, String>(1)?)?,
            to: kind(&row.get::<_, String>(2)?)?,
            code: code.map(|code| Code::service(&code)),
            why: row.get(4)?,
        });
    }
    found.reverse();
    Ok(found)
}
