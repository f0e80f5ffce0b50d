//! How versions of files come into the ledger, and how they are picked from it.
//!
//! Must not: look at a file, or decide what it is.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::error::{Fail, LedgerError};
use super::policies::Policies;
use super::rows::{self, ContentHash, FileRecord, NAMES, bits, length};
use super::work::Work;
use super::{Lane, Ledger};
use crate::domain::answer::Code;
use crate::domain::ids::{DatasetName, FileId, FolderName, Route};
use crate::domain::lifecycle::Event;
use crate::domain::media::Media;
use crate::domain::state::{State, Tries};
use crate::domain::time::{Moment, Timestamp};
use crate::domain::version::FileVersion;

/// New files that share one transaction, so that a scan of a million leaves
/// room for others in between.
const CHUNK: usize = 1_000;

/// A settled and sorted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Where it was found.
    pub folder: FolderName,
    /// Where it is to go.
    pub dataset: DatasetName,
    /// Which version of which path.
    pub version: FileVersion,
    /// What it is.
    pub sorted: NewSorted,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewSorted {
    /// It goes to this import.
    Media(Media),
    /// No import takes it; in words.
    Unsupported(String),
    /// It can't be read, and so not be sorted either; in words. It is queued
    /// all the same, so that it is seen and tried again.
    Unreadable(String),
}

/// What became of a [`NewFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// Its number.
    pub id: FileId,
    /// False: this version was in the ledger already, and stays as it was.
    pub new: bool,
}

/// What is wanted from the queue.
#[derive(Debug, Clone)]
pub struct PickRequest {
    /// Of this route.
    pub route: Route,
    /// Due by then.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
    /// Files above [`BIG_FILE`](super::BIG_FILE), or those up to it.
    pub big: bool,
}

/// A file that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// Its number.
    pub id: FileId,
    /// The folder it was found in.
    pub folder: FolderName,
    /// The dataset that it was queued for.
    pub dataset: DatasetName,
    /// Which version of which path.
    pub version: FileVersion,
    /// Which import takes it.
    pub media: Media,
    /// Its content, if it was hashed for an earlier attempt.
    pub hash: Option<ContentHash>,
    /// Since when it is due.
    pub not_before: Timestamp,
    /// What it has behind it.
    pub tries: Tries,
}

/// A queued file that is to be sorted (again).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsorted {
    /// Its number.
    pub id: FileId,
    /// The folder it was found in.
    pub folder: FolderName,
    /// Which version of which path.
    pub version: FileVersion,
    /// Not to be looked at before.
    pub not_before: Timestamp,
}

/// How long a file waits that can't be read: as long again as it has waited,
/// within this.
pub const UNREADABLE_WAIT: RangeInclusive<Duration> =
    Duration::from_secs(2)..=Duration::from_secs(60);

/// What stands in place of an answer's code for a file that can't be read.
pub const UNREADABLE: &str = "UNREADABLE";

/// A version's number, by its identity. From the index alone.
pub(super) const IDENTIFY: &str = "SELECT id FROM files WHERE folder = ?1 AND path = ?2 \
    AND dev = ?3 AND inode = ?4 AND size = ?5 AND mtime_ns = ?6";

/// A version's number, and whether it is [`AGAIN`]. From two indices alone.
pub(super) const KNOWN: &str = "SELECT f.id, EXISTS (SELECT 1 FROM files AS a \
    INDEXED BY files_again WHERE a.id = f.id AND (a.state IN ('gone', 'superseded') \
    OR (a.source_done = 'moved' AND a.source_action = 'move-rejected'))) FROM files AS f \
    WHERE f.folder = ?1 AND f.path = ?2 \
    AND f.dev = ?3 AND f.inode = ?4 AND f.size = ?5 AND f.mtime_ns = ?6";

/// Whether any version of a path is in the ledger.
pub(super) const ANY: &str = "SELECT 1 FROM files WHERE folder = ?1 AND path = ?2 LIMIT 1";

/// Whether a version in the ledger is new to it all the same when seen again:
/// it had gone, or been replaced, and is back; or we had moved it away as
/// rejected, and somebody put it back.
pub(super) const AGAIN: &str = "SELECT 1 FROM files INDEXED BY files_again WHERE id = ?1 \
    AND (state IN ('gone', 'superseded') \
         OR (source_done = 'moved' AND source_action = 'move-rejected'))";

/// Other versions of the path that are still on their way.
pub(super) const OLDER: &str = "SELECT id FROM files WHERE folder = ?1 AND path = ?2 \
    AND id <> ?3 AND state IN ('queued', 'uploading', 'submitted')";

pub(super) const UNSORTED: &str = "SELECT f.id, fo.name, f.path, f.dev, f.inode, f.size, \
    f.mtime_ns, f.not_before FROM files AS f INDEXED BY files_unsorted \
    CROSS JOIN folders AS fo ON fo.id = f.folder \
    WHERE f.state = 'queued' AND f.media IS NULL AND f.id > ?1 ORDER BY f.id LIMIT ?2";

/// Files due on a route, big or small.
pub(super) fn pick_sql() -> String {
    format!(
        "SELECT {} FROM files AS f INDEXED BY files_queue {NAMES} \
         WHERE f.state = 'queued' AND f.folder = ?1 AND f.media = ?2 AND f.big = ?3 \
         AND f.not_before <= ?4 ORDER BY f.not_before, f.id LIMIT ?5",
        rows::COLUMNS
    )
}

impl Ledger {
    /// For each version, whether the ledger has it and needs not hear of it
    /// again. False for one that had gone or been replaced and is back.
    pub async fn known(
        &self,
        folder: FolderName,
        versions: Vec<FileVersion>,
    ) -> Result<Vec<bool>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            // In one view of the ledger: a lock for each question would cost
            // more than its answer.
            let tx = conn.unchecked_transaction()?;
            let Some(folder) = folder_number(&tx, &folder)? else {
                return Ok(vec![false; versions.len()]);
            };
            let mut known = tx.prepare_cached(KNOWN)?;
            versions
                .iter()
                .map(|version| {
                    let mut rows = known.query(params![
                        folder,
                        version.path,
                        bits(version.dev),
                        bits(version.inode),
                        length(version.size),
                        version.mtime_ns
                    ])?;
                    Ok(match rows.next()? {
                        Some(row) => !row.get::<_, bool>(1)?,
                        None => false,
                    })
                })
                .collect()
        })
        .await
    }

    /// Puts settled files into the queue, or ends them as unsupported. A
    /// version that is there already stays as it was, unless it had gone, been
    /// replaced, or been moved away as rejected: then it is back in the queue.
    /// Older versions of the same path that wait give way to it. Any number of
    /// files: they are written in several transactions, so an error may leave
    /// the first ones recorded; asking again is harmless.
    pub async fn enqueue(
        &self,
        files: Vec<NewFile>,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Vec<Enqueued>, LedgerError> {
        let mut done = Vec::with_capacity(files.len());
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let chunk: Vec<NewFile> = files.by_ref().take(CHUNK).collect();
            let policies = Arc::clone(policies);
            let enqueued = self
                .write(chunk.len(), move |work| {
                    enqueue_all(work, &chunk, at, &policies)
                })
                .await?;
            done.extend(enqueued);
        }
        Ok(done)
    }

    /// Files of a route that are due, those that wait longest first. Only
    /// looks: [`Ledger::begin`] takes one.
    pub async fn pick(&self, wanted: PickRequest) -> Result<Vec<Queued>, LedgerError> {
        self.read(Lane::Hot, move |conn| pick(conn, &wanted)).await
    }

    /// Lets a queued file wait: it can't be read, or its folder is not there.
    /// The change names no state: it stays queued, unblamed.
    pub async fn postpone(
        &self,
        id: FileId,
        wait: Duration,
        at: Moment,
    ) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            work.conn
                .prepare_cached(
                    "UPDATE files SET not_before = ?2 WHERE id = ?1 AND state = 'queued'",
                )?
                .execute(params![id.0, at.now.plus(wait).0])?;
            Ok(())
        })
        .await
    }

    /// Lets a queued file wait for [`UNREADABLE_WAIT`], since it can't be read,
    /// and keeps why, so that people see it. It is not blamed.
    pub async fn unreadable(&self, id: FileId, why: String, at: Moment) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            let file = rows::load(work.conn, id)?;
            match file.state {
                State::Queued { .. } => note_unreadable(work, file, &why, at),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Queued files that nobody has sorted yet: an operator sent them round
    /// again, or they could not be read. Those behind `after`, in order.
    pub async fn unsorted(
        &self,
        after: Option<FileId>,
        limit: usize,
    ) -> Result<Vec<Unsorted>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let mut statement = conn.prepare_cached(UNSORTED)?;
            let after = after.map_or(0, |id| id.0);
            let rows = statement.query_map(params![after, limit_of(limit)], |row| {
                Ok(Unsorted {
                    id: FileId(row.get(0)?),
                    folder: FolderName(row.get(1)?),
                    version: rows::version(row, 2)?,
                    not_before: Timestamp(row.get(7)?),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Says what a queued file is. One that is not queued any more stays as it
    /// is.
    pub async fn sorted(
        &self,
        id: FileId,
        sorted: NewSorted,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<(), LedgerError> {
        let policies = Arc::clone(policies);
        self.write(1, move |work| {
            let mut file = rows::load(work.conn, id)?;
            if !matches!(file.state, State::Queued { .. }) {
                return Ok(());
            }
            match sorted {
                NewSorted::Media(media) => {
                    file.media = Some(media);
                    if file
                        .last_code
                        .as_ref()
                        .is_some_and(|c| c.as_str() == UNREADABLE)
                    {
                        (file.last_code, file.last_why) = (None, None);
                    }
                    work.store(&file)
                }
                NewSorted::Unreadable(why) => note_unreadable(work, file, &why, at),
                NewSorted::Unsupported(reason) => {
                    file.media = None;
                    work.must_change(&mut file, &Event::Unsupported(reason), at, &policies)
                        .map(drop)
                }
            }
        })
        .await
    }
}

/// What a version is when it comes into the ledger: the beginning of the state
/// machine, which no event leads to.
fn first_state(at: Moment) -> State {
    State::Queued {
        not_before: at.now,
        tries: Tries::new(at.now),
    }
}

/// The change names no state: the file stays queued.
fn note_unreadable(
    work: &mut Work<'_>,
    mut file: FileRecord,
    why: &str,
    at: Moment,
) -> Result<(), Fail> {
    if let State::Queued { not_before, tries } = &mut file.state {
        // As long again as it has waited: rights that are just being set cost
        // no minute, and wrong ones no storm.
        let (least, most) = UNREADABLE_WAIT.into_inner();
        *not_before = at.now.plus(at.now.since(tries.since).clamp(least, most));
    }
    file.last_code = Some(Code::own(UNREADABLE));
    file.last_why = Some(rows::bounded(why).to_owned());
    work.store(&file)
}

/// Files whose path the ledger has never met are gathered and written many in
/// a statement; the others one by one, in their order.
fn enqueue_all(
    work: &mut Work<'_>,
    files: &[NewFile],
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Vec<Enqueued>, Fail> {
    let mut done = Vec::with_capacity(files.len());
    let mut fresh = Vec::new();
    let mut paths = HashSet::new();
    for file in files {
        let folder = work.folder(&file.folder)?;
        if let NewSorted::Media(media) = file.sorted
            && paths.insert((folder, file.version.path.as_slice()))
            && !work
                .conn
                .prepare_cached(ANY)?
                .exists(params![folder, file.version.path])?
        {
            let dataset = work.dataset(&file.dataset)?;
            fresh.push(Fresh {
                folder,
                dataset,
                version: &file.version,
                media: Some(media),
            });
            continue;
        }
        insert(work.conn, &mut fresh, at, &mut done)?;
        paths.clear();
        done.push(enqueue(work, file, at, policies)?);
    }
    insert(work.conn, &mut fresh, at, &mut done)?;
    Ok(done)
}

fn enqueue(
    work: &mut Work<'_>,
    new: &NewFile,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Enqueued, Fail> {
    let folder = work.folder(&new.folder)?;
    let media = match &new.sorted {
        NewSorted::Media(media) => Some(*media),
        NewSorted::Unsupported(_) | NewSorted::Unreadable(_) => None,
    };
    let id = match identify(work.conn, folder, &new.version)? {
        Some(id) => {
            let again = work.conn.prepare_cached(AGAIN)?.exists([id])?;
            let id = FileId(id);
            if !(again && come_back(work, id, new, media, at, policies)?) {
                return Ok(Enqueued { id, new: false });
            }
            id
        }
        None => {
            let fresh = Fresh {
                folder,
                dataset: work.dataset(&new.dataset)?,
                version: &new.version,
                media,
            };
            insert_rows(work.conn, &[fresh], at)?
        }
    };
    match &new.sorted {
        NewSorted::Media(_) => {}
        NewSorted::Unsupported(reason) => {
            let mut file = rows::load(work.conn, id)?;
            let event = Event::Unsupported(reason.clone());
            work.must_change(&mut file, &event, at, policies)?;
        }
        NewSorted::Unreadable(why) => {
            let file = rows::load(work.conn, id)?;
            note_unreadable(work, file, why, at)?;
        }
    }
    let older: Vec<i64> = {
        let mut statement = work.conn.prepare_cached(OLDER)?;
        let rows = statement.query_map(params![folder, new.version.path, id.0], |r| r.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for other in older {
        let mut file = rows::load(work.conn, FileId(other))?;
        work.must_change(&mut file, &Event::Replaced { by: id }, at, policies)?;
    }
    Ok(Enqueued { id, new: true })
}

/// A version that the ledger does not have.
struct Fresh<'a> {
    folder: i64,
    dataset: i64,
    version: &'a FileVersion,
    media: Option<Media>,
}

/// Writes all of `fresh`, and says of each which number it has.
fn insert(
    conn: &Connection,
    fresh: &mut Vec<Fresh<'_>>,
    at: Moment,
    done: &mut Vec<Enqueued>,
) -> Result<(), Fail> {
    let mut rest = fresh.as_slice();
    while !rest.is_empty() {
        let rows = AT_ONCE
            .into_iter()
            .find(|rows| *rows <= rest.len())
            .unwrap_or(1);
        let (now, later) = rest.split_at(rows);
        let first = insert_rows(conn, now, at)?;
        let ids = (first.0..).map(FileId).take(rows);
        done.extend(ids.map(|id| Enqueued { id, new: true }));
        rest = later;
    }
    fresh.clear();
    Ok(())
}

/// Rows of one statement: so few lengths that all are kept prepared. Many in
/// one, since SQLite makes a table of each CHECK's list once a statement.
const AT_ONCE: [usize; 3] = [64, 8, 1];

/// Writes them in one statement: their numbers follow each other from the one
/// that is returned.
fn insert_rows(conn: &Connection, fresh: &[Fresh<'_>], at: Moment) -> Result<FileId, Fail> {
    // The largest number that any row ever had, as SQLite keeps it for
    // AUTOINCREMENT; the statement moves it on.
    let last: Option<i64> = conn
        .prepare_cached(LAST_NUMBER)?
        .query_row([], |row| row.get(0))
        .optional()?;
    let first = last.unwrap_or(0) + 1;
    let state = first_state(at);
    let columns = rows::columns_of(&state);
    let tries = columns.tries.unwrap_or(Tries::new(at.now));
    let mut statement = conn.prepare_cached(&insert_sql(fresh.len()))?;
    let mut place = 0;
    let mut bind = |value: &dyn ToSql| {
        place += 1;
        statement.raw_bind_parameter(place, value)
    };
    bind(&state.kind().as_str())?;
    bind(&columns.not_before)?;
    bind(&tries.since.0)?;
    bind(&tries.strikes)?;
    bind(&tries.failures)?;
    bind(&tries.resends)?;
    bind(&tries.resubmits)?;
    bind(&at.now.0)?;
    for (id, row) in (first..).zip(fresh) {
        let version = row.version;
        bind(&id)?;
        bind(&row.folder)?;
        bind(&version.path)?;
        bind(&bits(version.dev))?;
        bind(&bits(version.inode))?;
        bind(&length(version.size))?;
        bind(&version.mtime_ns)?;
        bind(&row.dataset)?;
        bind(&row.media.map(Media::as_str))?;
    }
    statement.raw_execute()?;
    Ok(FileId(first))
}

const LAST_NUMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'files'";

/// The first eight values are common to all rows, nine are each row's own.
fn insert_sql(rows: usize) -> String {
    use std::fmt::Write;
    let mut sql = "INSERT INTO files (state, not_before, tries_since, tries_strikes, \
        tries_failures, tries_resends, tries_resubmits, seen_at, changed_at, \
        id, folder, path, dev, inode, size, mtime_ns, dataset, media) VALUES "
        .to_owned();
    for row in 0..rows {
        let at = 9 + row * 9;
        let comma = if row == 0 { "" } else { ", " };
        // Nothing can go wrong with a String.
        let _ = write!(
            sql,
            "{comma}(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{})",
            at,
            at + 1,
            at + 2,
            at + 3,
            at + 4,
            at + 5,
            at + 6,
            at + 7,
            at + 8
        );
    }
    sql
}

/// A version that is new to the ledger again. False: it stays as it was.
fn come_back(
    work: &mut Work<'_>,
    id: FileId,
    new: &NewFile,
    media: Option<Media>,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<bool, Fail> {
    let mut file = rows::load(work.conn, id)?;
    file.dataset = new.dataset.clone();
    file.media = media;
    if matches!(file.state, State::Gone | State::Superseded { .. }) {
        // A sighting, like the first: the row is a new one in all but number.
        file.changes += 1;
        let next = first_state(at);
        work.conn
            .prepare_cached("INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)")?
            .execute(params![
                id.0,
                file.changes,
                at.now.0,
                file.state.kind().as_str(),
                next.kind().as_str(),
                "it is there again",
            ])?;
        file.state = next;
        file.source = None;
        file.seen_at = at.now;
        file.changed_at = at.now;
        work.store(&file)?;
        return Ok(true);
    }
    // Whoever puts a rejected file back wants it tried again.
    file.seen_at = at.now;
    Ok(work.change(&mut file, &Event::Retry, at, policies)? == super::work::Changed::Went)
}

pub(super) fn folder_number(conn: &Connection, name: &FolderName) -> Result<Option<i64>, Fail> {
    Ok(conn
        .prepare_cached("SELECT id FROM folders WHERE name = ?1")?
        .query_row([&name.0], |row| row.get(0))
        .optional()?)
}

pub(super) fn identify(
    conn: &Connection,
    folder: i64,
    version: &FileVersion,
) -> Result<Option<i64>, Fail> {
    Ok(conn
        .prepare_cached(IDENTIFY)?
        .query_row(
            params![
                folder,
                version.path,
                bits(version.dev),
                bits(version.inode),
                length(version.size),
                version.mtime_ns
            ],
            |row| row.get(0),
        )
        .optional()?)
}

fn pick(conn: &Connection, wanted: &PickRequest) -> Result<Vec<Queued>, Fail> {
    let Some(folder) = folder_number(conn, &wanted.route.folder)? else {
        return Ok(Vec::new());
    };
    let media = wanted.route.media.as_str();
    let limit = limit_of(wanted.limit);
    let found = rows::all(
        conn,
        &pick_sql(),
        &[&folder, &media, &wanted.big, &wanted.now.0, &limit],
    )?;
    Ok(found.into_iter().filter_map(queued).collect())
}

fn queued(file: FileRecord) -> Option<Queued> {
    let State::Queued { not_before, tries } = file.state else {
        return None;
    };
    Some(Queued {
        id: file.id,
        folder: file.folder,
        dataset: file.dataset,
        version: file.version,
        media: file.media?,
        hash: file.hash,
        not_before,
        tries,
    })
}

pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
