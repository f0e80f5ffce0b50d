//! What is to be done with sources, now that it is durable how they ended.
//!
//! Must not: touch a source, or decide what becomes of it.

use rusqlite::{Connection, params};

use super::error::{Fail, LedgerError};
use super::rows::{self, COLUMNS, FileRecord, NAMES, SourceEnd, limit_of};
use super::{Lane, Ledger};
use crate::domain::ids::{FileId, FolderName};
use crate::domain::lifecycle::SourceAction;
use crate::domain::time::Timestamp;

/// Something to be done with a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceWork {
    /// What.
    pub action: SourceAction,
    /// Where an earlier try was moving it, when it was cut short: it may be
    /// there already.
    pub target: Option<Vec<u8>>,
    /// The file, with everything that is known about it.
    pub file: FileRecord,
}

pub(super) fn due_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM files AS f INDEXED BY files_sources {NAMES} \
         WHERE f.source_action IS NOT NULL AND f.source_done IS NULL AND f.source_due <= ?1 \
         AND instr(?3, char(10) || fo.name || char(10)) = 0 \
         ORDER BY f.source_due, f.id LIMIT ?2"
    )
}

/// Sources of a folder that could not be moved or deleted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaysPut {
    /// The folder.
    pub folder: FolderName,
    /// How many.
    pub files: u64,
    /// Why one of them does.
    pub why: String,
}

const STAY: &str = "SELECT fo.name, count(*), max(f.source_note) FROM files AS f \
    INDEXED BY files_sources CROSS JOIN folders AS fo ON fo.id = f.folder \
    WHERE f.source_action IS NOT NULL AND f.source_done IS NULL AND f.source_note IS NOT NULL \
    GROUP BY fo.name";

/// By folder.
pub(super) fn stay_put(conn: &Connection) -> Result<Vec<StaysPut>, Fail> {
    let mut statement = conn.prepare_cached(STAY)?;
    let rows = statement.query_map([], |row| {
        Ok(StaysPut {
            folder: FolderName(row.get(0)?),
            files: row.get::<_, i64>(1)?.unsigned_abs(),
            why: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Ledger {
    /// Sources that something is to be done with by now, but for those of the
    /// folders that are `busy`.
    pub async fn due_source_actions(
        &self,
        now: Timestamp,
        limit: usize,
        busy: Vec<FolderName>,
    ) -> Result<Vec<SourceWork>, LedgerError> {
        // Between line feeds, which no folder's name has.
        let busy = busy
            .iter()
            .fold("\n".to_owned(), |all, name| all + &name.0 + "\n");
        self.read(Lane::Hot, move |conn| {
            let found = rows::all(conn, &due_sql(), &[&now.0, &limit_of(limit), &busy])?;
            Ok(found
                .into_iter()
                .filter_map(|file| {
                    let source = file.source.clone()?;
                    Some(SourceWork {
                        action: source.action,
                        target: source.target,
                        file,
                    })
                })
                .collect())
        })
        .await
    }

    /// Records where a source is about to be moved (for a deletion, an empty
    /// path), before it is touched. False: leave it alone, the file has moved
    /// on meanwhile.
    pub async fn source_intent(
        &self,
        id: FileId,
        action: SourceAction,
        target: Vec<u8>,
    ) -> Result<bool, LedgerError> {
        self.write(1, move |work| {
            let changed = work
                .conn
                .prepare_cached(
                    "UPDATE files SET source_target = ?3 \
                     WHERE id = ?1 AND source_action = ?2 AND source_done IS NULL",
                )?
                .execute(params![id.0, rows::action_name(action), target])?;
            Ok(changed == 1)
        })
        .await
    }

    /// Records how it ended.
    pub async fn source_done(&self, id: FileId, end: SourceEnd) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            let (done, note) = rows::source_end_columns(Some(&end));
            let changed = work
                .conn
                .prepare_cached(
                    "UPDATE files SET source_done = ?2, source_note = ?3, \
                     away = CASE WHEN ?2 IN ('moved', 'deleted') THEN id ELSE 0 END \
                     WHERE id = ?1 AND source_action IS NOT NULL AND source_done IS NULL",
                )?
                .execute(params![id.0, done, note])?;
            if changed == 0 {
                let why = "nothing was to be done with its source".to_owned();
                return Err(Fail::Refused(id, why));
            }
            Ok(())
        })
        .await
    }

    /// Puts off what is to be done with a source that is left alone for now, and
    /// records why.
    pub async fn source_left(
        &self,
        id: FileId,
        due: Timestamp,
        why: String,
    ) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            work.conn
                .prepare_cached(
                    "UPDATE files SET source_due = ?2, source_note = ?3 \
                     WHERE id = ?1 AND source_action IS NOT NULL AND source_done IS NULL",
                )?
                .execute(params![id.0, due.0, rows::bounded(&why)])?;
            Ok(())
        })
        .await
    }

    /// Puts off what is to be done with a source, where it can't be done now.
    pub async fn source_later(&self, id: FileId, due: Timestamp) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            work.conn
                .prepare_cached(
                    "UPDATE files SET source_due = ?2 \
                     WHERE id = ?1 AND source_action IS NOT NULL AND source_done IS NULL",
                )?
                .execute(params![id.0, due.0])?;
            Ok(())
        })
        .await
    }
}
