//! Versions of a path that was imported a moment ago: the newest waits, in one
//! row, until `reimport_after` is over (`domain::reimport`).
//!
//! Must not: look at a file, or change a state: the row stays queued.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fail;
use super::intake::{NewFile, NewSorted};
use super::rows::{FileRecord, birth, bits, length};
use super::work::Work;
use crate::domain::ids::FileId;
use crate::domain::policy::Policy;
use crate::domain::reimport::not_before;
use crate::domain::state::State;
use crate::domain::time::{Moment, Timestamp};

/// When another version of the path went out, or was answered, that the service
/// has, or may have. Versions whose file we took away are other files.
pub(super) const LAST_SENT: &str = "SELECT max(coalesce(a.last_byte_at, a.ended_at)) \
    FROM files AS f INDEXED BY sqlite_autoindex_files_1 \
    CROSS JOIN attempts AS a INDEXED BY attempts_of_file ON a.file = f.id \
    WHERE f.folder = (SELECT id FROM folders WHERE name = ?1) AND f.path = ?2 AND f.id <> ?3 \
    AND f.away = 0 AND (f.state = 'submitted' OR f.state = 'succeeded' OR f.state = 'failed' \
    OR f.state = 'cancelled' OR f.state = 'untracked' OR f.state = 'unconfirmed' \
    OR f.state = 'lost' OR f.state = 'uploading' AND f.last_byte = 1)";

/// How often versions of the path have waited before this one.
const WAITED: &str = "SELECT coalesce(max(f.reimports), 0) \
    FROM files AS f INDEXED BY sqlite_autoindex_files_1 \
    WHERE f.folder = (SELECT id FROM folders WHERE name = ?1) AND f.path = ?2 AND f.id <> ?3 \
    AND f.away = 0";

/// The version of a path that waits.
pub(super) const WAITING: &str = "SELECT id FROM files INDEXED BY files_reimports \
    WHERE state = 'queued' AND reimports > 0 AND folder = ?1 AND path = ?2 LIMIT 1";

/// Lets a queued file wait if its path was sent a moment ago. `Some`: until
/// then; and whether it is the first version of the path that has to.
pub(super) fn wait(
    work: &mut Work<'_>,
    file: &mut FileRecord,
    at: Moment,
    policy: &Policy,
) -> Result<Option<(Timestamp, bool)>, Fail> {
    if policy.reimport_after.is_zero() {
        return Ok(None);
    }
    let path = params![file.folder.0, file.version.path, file.id.0];
    let sent: Option<i64> = work
        .conn
        .prepare_cached(LAST_SENT)?
        .query_row(path, |row| row.get(0))?;
    let until = not_before(sent.map(Timestamp), policy.reimport_after, at.now);
    let (Some(until), State::Queued { not_before, .. }) = (until, &mut file.state) else {
        return Ok(None);
    };
    *not_before = until;
    let first = file.reimports == 0;
    let before: u32 = work
        .conn
        .prepare_cached(WAITED)?
        .query_row(path, |row| row.get(0))?;
    if first {
        file.reimports = before.saturating_add(1);
    }
    work.store(file)?;
    Ok(Some((until, first && before == 0)))
}

/// Puts a newer version into the row of the path that waits, if there is one:
/// a file that is replaced every second makes no row a second.
pub(super) fn renew(conn: &Connection, folder: i64, new: &NewFile) -> Result<Option<FileId>, Fail> {
    let version = &new.version;
    let Some(media) = new.sorted.media() else {
        return Ok(None);
    };
    let waiting: Option<i64> = conn
        .prepare_cached(WAITING)?
        .query_row(params![folder, version.path], |row| row.get(0))
        .optional()?;
    let Some(id) = waiting else {
        return Ok(None);
    };
    conn.prepare_cached(
        "UPDATE files SET dev = ?2, inode = ?3, size = ?4, mtime_ns = ?5, born_ns = ?6, \
         media = ?7, may_be_incomplete = ?8, hash = NULL WHERE id = ?1",
    )?
    .execute(params![
        id,
        bits(version.dev),
        bits(version.inode),
        length(version.size),
        version.mtime_ns,
        birth(version.born_ns),
        media.as_str(),
        matches!(new.sorted, NewSorted::Incomplete(_)),
    ])?;
    Ok(Some(FileId(id)))
}
