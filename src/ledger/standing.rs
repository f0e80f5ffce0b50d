//! How things stand, for people: counts, what is to do, and what waits longest,
//! in one view of the ledger.
//!
//! Must not: be used on the way of a file.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::due::{Pending, pending};
use super::error::{Fail, LedgerError};
use super::filter::{Filter, list_sql, parts};
use super::halts;
use super::operator::{Count, counts};
use super::places::{Places, places};
use super::rows::{self, FileRecord};
use super::sources::{StaysPut, stay_put};
use super::thread::Write;
use super::{Lane, Ledger, heard};
use crate::domain::halt::holding;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::state::{StateKind, UNKNOWN_FOR};
use crate::domain::time::Timestamp;
use crate::live::histogram::Snapshot;

/// Files next in line among which the one that waits longest is looked for: a
/// look at all would take as long as the queue is.
const NEXT_IN_LINE: usize = 1_000;

/// Files that need a person that are looked at for what they have in common.
pub const LATEST: usize = 1_000;

/// How things stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Files of each folder in each state.
    pub counts: Vec<Count>,
    /// How much there is to do.
    pub pending: Pending,
    /// Of the queued files next in line, the one that was seen first.
    pub oldest: Option<FileRecord>,
    /// When the first was seen of those that nobody holds back on purpose: that no
    /// operator has paused, and that wait for no `reimport_after`.
    pub oldest_unpaused: Option<Timestamp>,
    /// Sources that could not be moved or deleted so far.
    pub stay: Vec<StaysPut>,
    /// Files that change again and again, and wait for `reimport_after`; the
    /// first [`MOST_CHANGING`] of them.
    pub changing: Vec<FileRecord>,
    /// Files that need a person, those that changed last in front: at most
    /// [`LATEST`].
    pub needing_attention: Vec<FileRecord>,
    /// Tasks that have been in a state that is not documented for so long that an
    /// operator should look.
    pub unknown: u64,
    /// What each folder's directory was.
    pub places: Places,
}

impl Ledger {
    /// How things stand. Waits for nobody who works on files.
    pub async fn standing(&self, now: Timestamp) -> Result<Standing, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let tx = conn.unchecked_transaction()?;
            let (oldest, oldest_unpaused) = oldest(&tx, now)?;
            Ok(Standing {
                counts: counts(&tx)?,
                pending: pending(&tx, now)?,
                oldest,
                oldest_unpaused,
                stay: stay_put(&tx)?,
                changing: rows::all(&tx, &changing_sql(), &[&now.0, &MOST_CHANGING])?,
                needing_attention: latest(&tx, now)?,
                unknown: unknown(&tx, now)?,
                places: places(&tx)?,
            })
        })
        .await
    }

    /// Whether the thread that owns the ledger answers.
    pub async fn answers(&self) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.writer
            .send(Write::Hello(reply))
            .await
            .map_err(|_| LedgerError::Closed)?;
        heard(&self.writer, answer).await
    }

    /// How long commits took since it was opened.
    pub fn commit_times(&self) -> Snapshot {
        self.commit_times.snapshot()
    }
}

/// How many of them are named.
const MOST_CHANGING: i64 = 20;

fn changing_sql() -> String {
    format!(
        "SELECT {} FROM files AS f INDEXED BY files_reimports {} \
         WHERE f.state = 'queued' AND f.reimports > 0 AND f.not_before > ?1 \
         ORDER BY f.folder, f.path LIMIT ?2",
        rows::COLUMNS,
        rows::NAMES
    )
}

pub(super) const UNKNOWN: &str = "SELECT count(*) FROM files INDEXED BY files_unknown \
    WHERE state = 'submitted' AND unknown_since IS NOT NULL AND unknown_since <= ?1 \
    AND resolved IS NULL";

fn latest(conn: &Connection, now: Timestamp) -> Result<Vec<FileRecord>, Fail> {
    let needing = Filter {
        limit: LATEST,
        ..Filter::needing_attention(now)
    };
    let mut found = Vec::new();
    for (state, filter) in parts(&needing) {
        let (sql, values) = list_sql(rows::COLUMNS, state, &filter);
        let mut statement = conn.prepare_cached(&sql)?;
        let mut all = statement.query(rusqlite::params_from_iter(values))?;
        while let Some(row) = all.next()? {
            found.push(rows::record(row)?);
        }
    }
    found.sort_by_key(|file| std::cmp::Reverse((file.changed_at, file.id)));
    found.truncate(LATEST);
    Ok(found)
}

fn unknown(conn: &Connection, now: Timestamp) -> Result<u64, Fail> {
    let before = now.minus(UNKNOWN_FOR);
    let n: i64 = conn
        .prepare_cached(UNKNOWN)?
        .query_row([before.0], |row| row.get(0))?;
    Ok(n.max(0).unsigned_abs())
}

/// Of the files next in line, the one that was seen first; and when the first was
/// seen of those that nobody holds back on purpose.
fn oldest(
    conn: &Connection,
    now: Timestamp,
) -> Result<(Option<FileRecord>, Option<Timestamp>), Fail> {
    let next = Filter {
        limit: NEXT_IN_LINE,
        ..Filter::default()
    };
    let columns = "f.id AS id, f.seen_at AS seen_at, fo.name AS folder, da.name AS dataset, \
        f.media AS media, f.reimports AS reimports, f.tries_failures AS failures";
    let (sql, values) = list_sql(columns, StateKind::Queued, &next);
    let sql = format!("SELECT * FROM ({sql}) ORDER BY seen_at, id");
    let halts = halts::load_all(conn)?;
    let mut statement = conn.prepare_cached(&sql)?;
    let mut found = statement.query(rusqlite::params_from_iter(values))?;
    let mut oldest = None;
    while let Some(row) = found.next()? {
        let id: i64 = row.get(0)?;
        let first = *oldest.get_or_insert(FileId(id));
        let (folder, dataset) = (FolderName(row.get(2)?), DatasetName(row.get(3)?));
        let media: Option<String> = row.get(4)?;
        let media = media.and_then(|text| text.parse().ok());
        let (reimports, failures): (u32, u32) = (row.get(5)?, row.get(6)?);
        let wanted = !holding(&halts, &folder, &dataset, media, now).is_empty()
            || reimports > 0 && failures == 0;
        if !wanted {
            let seen_at = Timestamp(row.get(1)?);
            return Ok((rows::find(conn, first)?, Some(seen_at)));
        }
    }
    match oldest {
        Some(id) => Ok((rows::find(conn, id)?, None)),
        None => Ok((None, None)),
    }
}
