//! New files in the queue: those whose path was never met many in a statement,
//! the others one by one.
//!
//! Must not: look at a file, or decide what it is.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::Ledger;
use super::error::{Fail, LedgerError};
use super::intake::{AGAIN, Enqueued, NewFile, NewSorted, identify, note_unreadable};
use super::policies::Policies;
use super::reimport;
use super::rows::{self, bits, length};
use super::uploads::{Begin, Begun, begin_attempt};
use super::work::Work;
use crate::domain::ids::FileId;
use crate::domain::lifecycle::Event;
use crate::domain::media::Media;
use crate::domain::resolution::{OnReturn, on_return};
use crate::domain::state::{State, Tries};
use crate::domain::time::Moment;
use crate::domain::version::FileVersion;

/// New files that are written without a break: a millisecond, so that who drops a
/// single file does not wait for a scan of a million. Several chunks may share a
/// transaction.
const CHUNK: usize = 64;

/// Whether any version of a path is in the ledger.
pub(super) const ANY: &str = "SELECT 1 FROM files WHERE folder = ?1 AND path = ?2 LIMIT 1";

/// Other versions of the path that are still on their way.
pub(super) const OLDER: &str = "SELECT id FROM files WHERE folder = ?1 AND path = ?2 \
    AND id <> ?3 AND state IN ('queued', 'uploading', 'submitted')";

impl Ledger {
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
        let mut files = files.into_iter().peekable();
        let mut chunks = Vec::with_capacity(files.len().div_ceil(CHUNK));
        while files.peek().is_some() {
            let chunk: Vec<NewFile> = files.by_ref().take(CHUNK).collect();
            let policies = Arc::clone(policies);
            chunks.push(self.write(chunk.len(), move |work| {
                enqueue_all(work, &chunk, at, &policies)
            }));
        }
        // All are asked for at once, and in this order: beside many uploads each
        // would else wait for its turn behind them.
        Ok(try_join_all(chunks).await?.concat())
    }

    /// Puts one settled and sorted file into the queue and records the intent to
    /// send it, in one transaction and before whatever else waits: so it costs
    /// one wait for the disk. No intent (`None`): the version is there already, and
    /// stays as it was.
    pub async fn enqueue_and_begin(
        &self,
        file: NewFile,
        begin: Begin,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<(FileId, Option<Begun>), LedgerError> {
        let policies = Arc::clone(policies);
        self.write_urgently(5, move |work| {
            let Enqueued { id, new } = enqueue(work, &file, at, &policies)?;
            let begun = match new {
                true => Some(begin_attempt(work, id, begin, at, &policies)?),
                false => None,
            };
            Ok((id, begun))
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
    let media = new.sorted.media();
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
            if let Some(id) = reimport::renew(work.conn, folder, new)? {
                return Ok(Enqueued { id, new: false });
            }
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
        NewSorted::Incomplete(_) => {
            let mut file = rows::load(work.conn, id)?;
            file.may_be_incomplete = true;
            work.store(&file)?;
        }
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
        bind(&rows::birth(version.born_ns))?;
        bind(&row.dataset)?;
        bind(&row.media.map(Media::as_str))?;
    }
    statement.raw_execute()?;
    Ok(FileId(first))
}

const LAST_NUMBER: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'files'";

/// The first eight values are common to all rows, ten are each row's own.
fn insert_sql(rows: usize) -> String {
    use std::fmt::Write;
    let mut sql = "INSERT INTO files (state, not_before, tries_since, tries_strikes, \
        tries_failures, tries_resends, tries_resubmits, seen_at, changed_at, \
        id, folder, path, dev, inode, size, mtime_ns, born_ns, dataset, media) VALUES "
        .to_owned();
    for row in 0..rows {
        let at = 9 + row * 10;
        let comma = if row == 0 { "" } else { ", " };
        // Nothing can go wrong with a String.
        let _ = write!(
            sql,
            "{comma}(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{}, ?{})",
            at,
            at + 1,
            at + 2,
            at + 3,
            at + 4,
            at + 5,
            at + 6,
            at + 7,
            at + 8,
            at + 9
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
    file.may_be_incomplete = false;
    if matches!(file.state, State::Gone | State::Superseded { .. }) {
        // A sighting, like the first: the row is a new one in all but number.
        let next = first_state(at);
        work.write_history(&mut file, next.kind(), None, "it is there again", at.now)?;
        file.state = next;
        file.source = None;
        file.seen_at = at.now;
        file.changed_at = at.now;
        work.store(&file)?;
        return Ok(true);
    }
    match on_return(file.state.kind()) {
        OnReturn::Retry => {
            file.seen_at = at.now;
            let done = work.change(&mut file, &Event::Retry, at, policies)?;
            Ok(done == super::work::Changed::Went)
        }
        OnReturn::NeedsAttention => {
            let mut file = rows::load(work.conn, id)?;
            file.resolved = None;
            let state = file.state.kind();
            work.write_history(&mut file, state, None, "its source is there again", at.now)?;
            work.store(&file)?;
            Ok(false)
        }
    }
}
