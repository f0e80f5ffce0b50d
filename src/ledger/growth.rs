//! What one file may cost, however often it is tried: a file that is refused for
//! a month has thousands of attempts, and each answer says the same.
//!
//! Kept are the first attempts and changes and the last ones; how many there were
//! in all stays known. A message of the service is stored once for each file and
//! code. Must not: touch what is under way, which is among the last.

use rusqlite::{Connection, params};

use super::error::Fail;
use super::rows::FileRecord;
use crate::domain::answer::Code;
use crate::domain::ids::FileId;

/// Attempts of a file that are kept: the first of them, and the last.
pub(super) const FIRST_ATTEMPTS: i64 = 10;
pub(super) const LAST_ATTEMPTS: i64 = 30;

/// Changes of a file's state that are kept: the first of them, and the last.
pub(super) const FIRST_CHANGES: i64 = 20;
pub(super) const LAST_CHANGES: i64 = 80;

/// Changes of a file up to its first answer: seen, begun, answered.
const FIRST_ANSWERS: i64 = 3;

pub(super) const TRIM: &str = "DELETE FROM attempts WHERE file = ?1 \
    AND id > (SELECT id FROM attempts INDEXED BY attempts_of_file WHERE file = ?1 \
        ORDER BY id LIMIT 1 OFFSET ?2) \
    AND id < (SELECT id FROM attempts INDEXED BY attempts_of_file WHERE file = ?1 \
        ORDER BY id DESC LIMIT 1 OFFSET ?3)";

/// How many attempts a file has had, those that were not kept included.
pub(super) const COUNT: &str = "SELECT count(*) + coalesce((SELECT attempts_dropped FROM files \
    WHERE id = ?1), 0) FROM attempts INDEXED BY attempts_of_file WHERE file = ?1";

/// Whether the message of a code was stored for a file. ?1: the file, ?2: the code.
pub(super) const TOLD: &str = "SELECT EXISTS (SELECT 1 FROM history WHERE file = ?1 \
    AND code = ?2 AND why <> '') OR EXISTS (SELECT 1 FROM attempts INDEXED BY attempts_of_file \
    WHERE file = ?1 AND code = ?2 AND message IS NOT NULL)";

/// Before an attempt of `file` begins: makes room for it among the last ones.
pub(super) fn before_attempt(conn: &Connection, file: &FileRecord) -> Result<(), Fail> {
    // Each attempt is two changes, at least: with fewer there is nothing to do.
    if file.changes <= FIRST_ATTEMPTS + LAST_ATTEMPTS {
        return Ok(());
    }
    let dropped = conn.prepare_cached(TRIM)?.execute(params![
        file.id.0,
        FIRST_ATTEMPTS - 1,
        LAST_ATTEMPTS - 2
    ])?;
    if dropped > 0 {
        conn.prepare_cached(
            "UPDATE files SET attempts_dropped = attempts_dropped + ?2 WHERE id = ?1",
        )?
        .execute(params![
            file.id.0,
            i64::try_from(dropped).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

/// After a change was recorded: drops the one that has left the last ones.
pub(super) fn after_change(conn: &Connection, file: &FileRecord) -> Result<(), Fail> {
    let left = file.changes - LAST_CHANGES;
    if left > FIRST_CHANGES {
        conn.prepare_cached("DELETE FROM history WHERE file = ?1 AND n = ?2")?
            .execute(params![file.id.0, left])?;
    }
    Ok(())
}

/// Whether a message of this file may be on record already: the answers to its
/// first upload are not worth a look, and most files have no others.
pub(super) fn may_be_told(file: &FileRecord) -> bool {
    file.changes > FIRST_ANSWERS
}

/// Whether the message of `code` is on record for this file.
pub(super) fn was_told(conn: &Connection, id: FileId, code: &Code) -> Result<bool, Fail> {
    Ok(conn
        .prepare_cached(TOLD)?
        .query_row(params![id.0, code.as_str()], |row| row.get(0))?)
}

/// How many attempts a file has had.
pub(super) fn attempt_count(conn: &Connection, id: FileId) -> Result<u64, Fail> {
    let count: i64 = conn
        .prepare_cached(COUNT)?
        .query_row([id.0], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}
