//! Rows of `files`, to and from the domain: the one place that knows how a
//! state is stored.
//!
//! Must not: decide what state follows, or begin a transaction.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::columns::{StateColumns, resolution_columns, resolved, state_of};
pub(super) use super::columns::{bounded, columns_of};
use super::error::Fail;
use crate::domain::answer::Code;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::lifecycle::SourceAction;
use crate::domain::media::Media;
use crate::domain::refusal::ReasonKind;
use crate::domain::resolution::Resolved;
use crate::domain::state::{Polls, State, StateKind, Tries};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;

/// BLAKE3 of a file's content.
pub type ContentHash = [u8; 32];

/// What tells one set of import options from another.
pub type OptionsPrint = [u8; 16];

/// Everything that the ledger holds about one version of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRecord {
    /// Its number.
    pub id: FileId,
    /// The folder it was found in.
    pub folder: FolderName,
    /// Where it goes, or went.
    pub dataset: DatasetName,
    /// Which version of which path.
    pub version: FileVersion,
    /// Which import takes it; `None`: not sorted, or nothing takes it.
    pub media: Option<Media>,
    /// Its content, once known.
    pub hash: Option<ContentHash>,
    /// The import options of its latest attempt.
    pub options: Option<OptionsPrint>,
    /// Where it is.
    pub state: State,
    /// It was sent again though an earlier body may have been taken.
    pub possible_duplicate: bool,
    /// It was sorted though its end seems to be missing.
    pub may_be_incomplete: bool,
    /// The code of the service's latest answer about it.
    pub last_code: Option<Code>,
    /// The same in words; may hold whatever characters the service sent.
    pub last_why: Option<String>,
    /// The latest query about its task, if it has been asked about.
    pub poll: Option<LastPoll>,
    /// What is to be done with its source, or was done.
    pub source: Option<Source>,
    /// When this version was put into the ledger, or back into it.
    pub seen_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// A duplicate whose original has not ended yet.
    pub(super) awaiting: bool,
    /// How many changes its history has.
    pub(super) changes: i64,
    /// How many versions of its path, with this one, have had to wait for
    /// `reimport_after`; 0: it did not.
    pub reimports: u32,
    /// How it stopped needing a person, if it has.
    pub resolved: Option<Resolved>,
    /// Whether the row, as it was read, says that its file was taken away.
    pub(super) away: bool,
}

/// The latest query about a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPoll {
    /// When it was answered.
    pub at: Timestamp,
    /// The answer's code.
    pub code: Code,
    /// The same in words.
    pub message: String,
    /// Queries about this file so far.
    pub count: u32,
    /// Since when its task has been in a state that is not documented.
    pub unknown_since: Option<Timestamp>,
}

/// What is to be done with a source, or was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What.
    pub action: SourceAction,
    /// Not earlier.
    pub due: Timestamp,
    /// Where it is being moved, or was: recorded before the move begins.
    pub target: Option<Vec<u8>>,
    /// How it ended; `None`: still to be done.
    pub done: Option<SourceEnd>,
    /// Why it is left alone for now, while it is still to be done.
    pub left: Option<String>,
}

/// How the action on a source ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEnd {
    /// It is at [`Source::target`] now.
    Moved,
    /// It is deleted.
    Deleted,
    /// It was left where it is, for this reason.
    Kept(String),
    /// It was not there any more.
    Missing,
}

impl FileRecord {
    /// Its source is gone from where it was found, by our own doing.
    pub(super) fn source_taken(&self) -> bool {
        self.source.as_ref().is_some_and(|source| {
            matches!(source.done, Some(SourceEnd::Moved | SourceEnd::Deleted))
        })
    }

    /// Its source may be on its way right now.
    pub(super) fn source_moving(&self) -> bool {
        self.source
            .as_ref()
            .is_some_and(|source| source.done.is_none() && source.target.is_some())
    }
}

/// SQLite keeps signed numbers: the same 64 bits.
pub(super) fn bits(number: u64) -> i64 {
    number.cast_signed()
}

/// A birth time as SQLite keeps it: part of a version's identity, and NULLs
/// would never be equal.
pub(super) fn birth(born_ns: Option<i64>) -> i64 {
    born_ns.unwrap_or(0)
}

/// As SQL takes it behind `LIMIT`.
pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A size as SQLite keeps it. No file is longer than this can say.
pub(super) fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) fn action_name(action: SourceAction) -> &'static str {
    match action {
        SourceAction::MoveDone => "move-done",
        SourceAction::MoveRejected => "move-rejected",
        SourceAction::Delete => "delete",
    }
}

fn action_of(name: &str) -> Option<SourceAction> {
    [
        SourceAction::MoveDone,
        SourceAction::MoveRejected,
        SourceAction::Delete,
    ]
    .into_iter()
    .find(|action| action_name(*action) == name)
}

/// What [`record`] reads, in its order. `files` is `f`, its folder and dataset
/// `fo` and `da`.
pub(super) const COLUMNS: &str = "f.id, fo.name, da.name, f.path, f.dev, f.inode, f.size, \
    f.mtime_ns, f.born_ns, f.media, f.hash, f.options, f.state, f.not_before, f.attempt, f.last_byte, f.task, \
    f.next_poll, f.polls_pending, f.polls_failures, f.polls_missing, f.tries_since, \
    f.tries_strikes, f.tries_failures, f.tries_resends, f.tries_resubmits, f.reason, f.code, \
    f.duplicate_of, f.superseded_by, f.awaiting, f.possible_duplicate, f.last_code, f.last_why, \
    f.poll_at, f.poll_code, f.poll_message, f.poll_count, f.source_action, f.source_due, \
    f.source_target, f.source_done, f.source_note, f.seen_at, f.changed_at, f.changes, \
    f.reason_kind, f.may_be_incomplete, f.reimports, f.unknown_since, f.resolved, \
    f.resolved_at, f.resolved_who, f.resolved_why, f.resolved_by, \
    f.away";

/// Behind `FROM files AS f …`. CROSS, so that SQLite never begins with these.
pub(super) const NAMES: &str = "CROSS JOIN folders AS fo ON fo.id = f.folder \
    CROSS JOIN datasets AS da ON da.id = f.dataset";

fn bad(column: &str, text: impl std::fmt::Display) -> rusqlite::Error {
    let why = format!("{text:?}", text = text.to_string());
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("{column}: {why}").into())
}

/// A state by its name.
pub(super) fn state_kind(text: &str) -> Result<StateKind, Fail> {
    text.parse()
        .map_err(|error| Fail::BadRow(format!("{error}")))
}

/// One row of [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> Result<FileRecord, Fail> {
    let media: Option<String> = row.get(9)?;
    let media = media
        .map(|text| text.parse().map_err(|_| bad("media", &text)))
        .transpose()?;
    let kind: String = row.get(12)?;
    let kind: StateKind = kind.parse().map_err(|_| bad("state", &kind))?;
    let polls = match row.get::<_, Option<u32>>(18)? {
        Some(pending) => Some(Polls {
            pending,
            failures: row.get(19)?,
            missing: row.get(20)?,
        }),
        None => None,
    };
    let tries = match row.get::<_, Option<i64>>(21)? {
        Some(since) => Some(Tries {
            since: Timestamp(since),
            strikes: row.get(22)?,
            failures: row.get(23)?,
            resends: row.get(24)?,
            resubmits: row.get(25)?,
        }),
        None => None,
    };
    let columns = StateColumns {
        not_before: row.get(13)?,
        attempt: row.get(14)?,
        last_byte: row.get(15)?,
        task: row.get(16)?,
        next_poll: row.get(17)?,
        polls,
        tries,
        reason: row.get(26)?,
        reason_kind: reason_kind(row, 46)?,
        code: row.get(27)?,
        duplicate_of: row.get(28)?,
        superseded_by: row.get(29)?,
    };
    let poll = match row.get::<_, Option<i64>>(34)? {
        Some(at) => Some(LastPoll {
            at: Timestamp(at),
            code: Code::service(&row.get::<_, Option<String>>(35)?.unwrap_or_default()),
            message: row.get::<_, Option<String>>(36)?.unwrap_or_default(),
            count: row.get(37)?,
            unknown_since: row.get::<_, Option<i64>>(49)?.map(Timestamp),
        }),
        None => None,
    };
    Ok(FileRecord {
        id: FileId(row.get(0)?),
        folder: FolderName(row.get(1)?),
        dataset: DatasetName(row.get(2)?),
        version: version(row, 3)?,
        media,
        hash: row.get(10)?,
        options: row.get(11)?,
        state: state_of(kind, columns)?,
        awaiting: row.get(30)?,
        possible_duplicate: row.get(31)?,
        last_code: row
            .get::<_, Option<String>>(32)?
            .map(|text| Code::service(&text)),
        last_why: row.get(33)?,
        poll,
        source: source(row)?,
        seen_at: Timestamp(row.get(43)?),
        changed_at: Timestamp(row.get(44)?),
        changes: row.get(45)?,
        may_be_incomplete: row.get(47)?,
        reimports: row.get(48)?,
        resolved: resolved(row, 50)?,
        away: row.get::<_, i64>(55)? != 0,
    })
}

fn reason_kind(row: &Row<'_>, at: usize) -> Result<Option<ReasonKind>, Fail> {
    let text: Option<String> = row.get(at)?;
    let kind = text.map(|text| text.parse().map_err(|_| bad("reason_kind", &text)));
    Ok(kind.transpose()?)
}

/// Path, device, inode, size, mtime and birth, from column `at` on.
pub(super) fn version(row: &Row<'_>, at: usize) -> Result<FileVersion, rusqlite::Error> {
    Ok(FileVersion {
        path: row.get(at)?,
        dev: row.get::<_, i64>(at + 1)?.cast_unsigned(),
        inode: row.get::<_, i64>(at + 2)?.cast_unsigned(),
        size: row.get::<_, i64>(at + 3)?.unsigned_abs(),
        mtime_ns: row.get(at + 4)?,
        born_ns: Some(row.get(at + 5)?).filter(|ns| *ns != 0),
    })
}

fn source(row: &Row<'_>) -> Result<Option<Source>, Fail> {
    let Some(action) = row.get::<_, Option<String>>(38)? else {
        return Ok(None);
    };
    let note = row.get::<_, Option<String>>(42)?;
    let mut left = None;
    let done = match row.get::<_, Option<String>>(41)?.as_deref() {
        None => {
            left = note;
            None
        }
        Some("moved") => Some(SourceEnd::Moved),
        Some("deleted") => Some(SourceEnd::Deleted),
        Some("missing") => Some(SourceEnd::Missing),
        Some("kept") => Some(SourceEnd::Kept(note.unwrap_or_default())),
        Some(other) => return Err(bad("source_done", other).into()),
    };
    Ok(Some(Source {
        action: action_of(&action).ok_or_else(|| bad("source_action", &action))?,
        due: Timestamp(row.get(39)?),
        target: row.get(40)?,
        done,
        left,
    }))
}

/// One file, by its number.
pub(super) fn load(conn: &Connection, id: FileId) -> Result<FileRecord, Fail> {
    find(conn, id)?.ok_or(Fail::NoSuchFile(id))
}

/// One file, if it is there.
pub(super) fn find(conn: &Connection, id: FileId) -> Result<Option<FileRecord>, Fail> {
    let sql = joined(&[
        "SELECT ",
        COLUMNS,
        " FROM files AS f ",
        NAMES,
        " WHERE f.id = ?1",
    ]);
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement
        .query_row([id.0], |row| Ok(record(row)))
        .optional()?;
    found.transpose()
}

/// The parts as one text. The statement cache makes the rest cheap.
pub(super) fn joined(parts: &[&str]) -> String {
    parts.concat()
}

/// Every row of a query over [`COLUMNS`].
pub(super) fn all(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Vec<FileRecord>, Fail> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(record(row)?);
    }
    Ok(found)
}

/// Writes what can change about a file: the record is the truth, and no column is
/// forgotten.
///
/// `away` has statements of its own. It is part of the versions' identity, and
/// SQLite writes an index anew at each UPDATE that names one of its columns: with
/// `away` among the others each change of a state cost a tenth of the ledger's
/// processor time more. The CHECK about it decides what comes first.
pub(super) fn store(conn: &Connection, file: &FileRecord, dataset: i64) -> Result<(), Fail> {
    let c = columns_of(&file.state);
    let (polls, tries) = (c.polls, c.tries);
    let (done, note) = source_end_columns(file.source.as_ref().and_then(|s| s.done.as_ref()));
    let left = file.source.as_ref().and_then(|s| s.left.as_deref());
    let note = note.or(left.filter(|_| done.is_none()));
    let taken = file.source_taken();
    if file.away && !taken {
        set_away(conn, file.id, false)?;
    }
    let mut statement = conn.prepare_cached(
        "UPDATE files SET dataset = ?2, media = ?3, hash = ?4, options = ?5, state = ?6, \
         not_before = ?7, attempt = ?8, last_byte = ?9, task = ?10, next_poll = ?11, \
         polls_pending = ?12, polls_failures = ?13, polls_missing = ?14, tries_since = ?15, \
         tries_strikes = ?16, tries_failures = ?17, tries_resends = ?18, tries_resubmits = ?19, \
         reason = ?20, code = ?21, duplicate_of = ?22, superseded_by = ?23, awaiting = ?24, \
         possible_duplicate = ?25, last_code = ?26, last_why = ?27, poll_at = ?28, \
         poll_code = ?29, poll_message = ?30, poll_count = ?31, source_action = ?32, \
         source_due = ?33, source_target = ?34, source_done = ?35, source_note = ?36, \
         seen_at = ?37, changed_at = ?38, changes = ?39, reason_kind = ?40, \
         may_be_incomplete = ?41, reimports = ?42, unknown_since = ?43, resolved = ?44, \
         resolved_at = ?45, resolved_who = ?46, resolved_why = ?47, resolved_by = ?48 \
         WHERE id = ?1",
    )?;
    let (who, why, by) = resolution_columns(file.resolved.as_ref());
    statement.execute(params![
        file.id.0,
        dataset,
        file.media.map(Media::as_str),
        file.hash,
        file.options,
        file.state.kind().as_str(),
        c.not_before,
        c.attempt,
        c.last_byte,
        c.task,
        c.next_poll,
        polls.map(|p| p.pending),
        polls.map(|p| p.failures),
        polls.map(|p| p.missing),
        tries.map(|t| t.since.0),
        tries.map(|t| t.strikes),
        tries.map(|t| t.failures),
        tries.map(|t| t.resends),
        tries.map(|t| t.resubmits),
        c.reason,
        c.code,
        c.duplicate_of,
        c.superseded_by,
        file.awaiting,
        file.possible_duplicate,
        file.last_code.as_ref().map(Code::as_str),
        file.last_why.as_deref().map(bounded),
        file.poll.as_ref().map(|p| p.at.0),
        file.poll.as_ref().map(|p| p.code.as_str()),
        file.poll.as_ref().map(|p| bounded(&p.message)),
        file.poll.as_ref().map_or(0, |p| p.count),
        file.source.as_ref().map(|s| action_name(s.action)),
        file.source.as_ref().map(|s| s.due.0),
        file.source.as_ref().and_then(|s| s.target.as_deref()),
        done,
        note,
        file.seen_at.0,
        file.changed_at.0,
        file.changes,
        c.reason_kind.map(ReasonKind::as_str),
        file.may_be_incomplete,
        file.reimports,
        file.poll
            .as_ref()
            .and_then(|p| p.unknown_since)
            .map(|t| t.0),
        file.resolved.as_ref().map(|r| r.how.kind().as_str()),
        file.resolved.as_ref().map(|r| r.at.0),
        who,
        why,
        by,
    ])?;
    if taken && !file.away {
        set_away(conn, file.id, true)?;
    }
    Ok(())
}

fn set_away(conn: &Connection, id: FileId, away: bool) -> Result<(), Fail> {
    conn.prepare_cached("UPDATE files SET away = ?2 WHERE id = ?1")?
        .execute(params![id.0, if away { id.0 } else { 0 }])?;
    Ok(())
}

/// `source_done` and `source_note`.
pub(super) fn source_end_columns(end: Option<&SourceEnd>) -> (Option<&'static str>, Option<&str>) {
    match end {
        None => (None, None),
        Some(SourceEnd::Moved) => (Some("moved"), None),
        Some(SourceEnd::Deleted) => (Some("deleted"), None),
        Some(SourceEnd::Missing) => (Some("missing"), None),
        Some(SourceEnd::Kept(why)) => (Some("kept"), Some(bounded(why))),
    }
}
