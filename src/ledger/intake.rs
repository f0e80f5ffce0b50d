//! How versions of files come into the ledger, and how they are picked from it.
//!
//! Must not: look at a file, or decide what it is.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::{Fail, LedgerError};
use super::policies::Policies;
use super::rows::{self, ContentHash, FileRecord, NAMES, bits, length, limit_of};
use super::work::Work;
use super::{Lane, Ledger};
use crate::domain::answer::Code;
use crate::domain::ids::{DatasetName, FileId, FolderName, Route};
use crate::domain::lifecycle::Event;
use crate::domain::media::Media;
use crate::domain::refusal::Refusal;
use crate::domain::state::{State, Tries};
use crate::domain::time::{Moment, Timestamp};
use crate::domain::version::FileVersion;

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
    /// The same, though its end seems to be missing: it was waited for.
    Incomplete(Media),
    /// No import takes it.
    Unsupported(Refusal),
    /// It can't be read, and so not be sorted either; in words. It is queued
    /// all the same, so that it is seen and tried again.
    Unreadable(String),
}

impl NewSorted {
    /// The import that it goes to, if there is one.
    pub fn media(&self) -> Option<Media> {
        match self {
            NewSorted::Media(media) | NewSorted::Incomplete(media) => Some(*media),
            NewSorted::Unsupported(_) | NewSorted::Unreadable(_) => None,
        }
    }
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

pub use crate::domain::waiting::UNREADABLE;

/// A version's number, by its identity, as `FileVersion::matches` compares it.
/// From the index alone. A version whose file the daemon took away is no
/// version of what lies there now.
pub(super) const IDENTIFY: &str = "SELECT id FROM files WHERE folder = ?1 AND path = ?2 \
    AND inode = ?4 AND size = ?5 AND mtime_ns = ?6 AND away = 0 \
    AND (dev = ?3 AND (born_ns = 0 OR ?7 = 0) OR born_ns = ?7 AND born_ns <> 0) \
    ORDER BY born_ns DESC LIMIT 1";

/// A version's number, and whether it is [`AGAIN`]. From two indices alone.
pub(super) const KNOWN: &str = "SELECT f.id, EXISTS (SELECT 1 FROM files AS a \
    INDEXED BY files_again WHERE a.id = f.id AND (a.state = 'gone' OR a.state = 'superseded' \
    OR a.resolved = 'source-gone' OR a.resolved = 'excluded')) \
    FROM files AS f WHERE f.folder = ?1 AND f.path = ?2 \
    AND f.inode = ?4 AND f.size = ?5 AND f.mtime_ns = ?6 AND f.away = 0 \
    AND (f.dev = ?3 AND (f.born_ns = 0 OR ?7 = 0) OR f.born_ns = ?7 AND f.born_ns <> 0) \
    ORDER BY f.born_ns DESC LIMIT 1";

/// Whether a version in the ledger is new to it all the same when seen again:
/// it had gone, or been replaced or excluded, and is back.
pub(super) const AGAIN: &str = "SELECT 1 FROM files INDEXED BY files_again WHERE id = ?1 \
    AND (state = 'gone' OR state = 'superseded' \
    OR resolved = 'source-gone' OR resolved = 'excluded')";

pub(super) const UNSORTED: &str = "SELECT f.id, fo.name, f.path, f.dev, f.inode, f.size, \
    f.mtime_ns, f.born_ns, f.not_before FROM files AS f INDEXED BY files_unsorted \
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
                        version.mtime_ns,
                        rows::birth(version.born_ns)
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
                    not_before: Timestamp(row.get(8)?),
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
                NewSorted::Media(media) | NewSorted::Incomplete(media) => {
                    file.media = Some(media);
                    file.may_be_incomplete = matches!(sorted, NewSorted::Incomplete(_));
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

/// The change names no state: the file stays queued.
pub(super) fn note_unreadable(
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
                version.mtime_ns,
                rows::birth(version.born_ns)
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
