//! The tasks that imports make, and their life: pending for a while, then the
//! end that was decided when they were made; cancelled when deleted.
//!
//! A task belongs to the key that made it: another key does not find it. They are
//! rows of SQLite, so that they can outlive the process and, in a file, need no
//! memory. Must not: read the clock (`now` is passed in), or speak HTTP.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum End {
    /// The file was processed.
    Success,
    /// The file could not be processed.
    Fail,
    /// The task was cancelled by somebody else.
    Cancel,
}

impl End {
    /// The service's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            End::Success => "SUCCESS",
            End::Fail => "FAIL",
            End::Cancel => "CANCEL",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task as the listings show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskRecord {
    /// As the import answered it.
    pub task_id: String,
    /// Fingerprint of the key that made it.
    pub key: String,
    /// The file's name, or the address of a web page.
    pub name: String,
    /// The state a query would be told now.
    pub state: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Milliseconds since it was made.
    pub age_ms: u64,
}

/// The columns are all that a query or a listing tells of a task.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    ends TEXT NOT NULL CHECK (ends IN ('SUCCESS', 'FAIL', 'CANCEL')),
    deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT";

/// "SMEM" in the file's header: no ledger, and nobody else's database.
const APPLICATION_ID: i64 = 0x534D_454D;

/// Why the tasks of an earlier run can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotOpen {
    /// Another emulator has the file.
    #[error("another emulator works with it")]
    InUse,
    /// It is something else.
    #[error("it holds no tasks of an emulator")]
    Foreign,
    /// SQLite says so.
    #[error(transparent)]
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for CannotOpen {
    fn from(error: rusqlite::Error) -> CannotOpen {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CannotOpen::InUse,
            Some(ErrorCode::NotADatabase) => CannotOpen::Foreign,
            _ => CannotOpen::Sql(error),
        }
    }
}

/// How tasks are made, and how many are kept.
#[derive(Debug)]
pub(super) struct Life {
    /// The number of the first task, unless there are some already.
    pub(super) first: u64,
    /// At most so many are kept, then the oldest are forgotten and no longer
    /// found.
    pub(super) cap: usize,
    /// How long one is pending.
    pub(super) pending_for: Duration,
    /// The word for that.
    pub(super) pending: String,
}

/// All tasks of one sandbox, in memory or in a file that outlives it.
#[derive(Debug)]
pub(super) struct Tasks {
    conn: Connection,
    life: Life,
    next: u64,
    kept: usize,
    /// The same moment on two clocks: within a run time can't be set back, and
    /// from one run to the next only the time of day goes on.
    origin: Instant,
    origin_ms: i64,
}

impl Tasks {
    /// Those in `file`, else none, and in memory alone. `today`: the time of day
    /// at `now`, in milliseconds since the Unix epoch.
    pub(super) fn open(
        file: Option<&Path>,
        life: Life,
        now: Instant,
        today: i64,
    ) -> Result<Tasks, CannotOpen> {
        let conn = match file {
            None => Connection::open_in_memory()?,
            Some(file) => opened(file)?,
        };
        conn.execute_batch(TABLES)?;
        let (last, kept): (Option<i64>, i64) =
            conn.query_row("SELECT max(id), count(*) FROM tasks", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let after = last.map_or(0, |last| last.unsigned_abs() + 1);
        Ok(Tasks {
            next: life.first.max(after),
            kept: usize::try_from(kept).unwrap_or(0),
            life,
            conn,
            origin: now,
            origin_ms: today,
        })
    }

    /// Makes a task and gives its id.
    pub(super) fn make(
        &mut self,
        key: &str,
        name: &str,
        end: End,
        now: Instant,
    ) -> rusqlite::Result<String> {
        while self.kept >= self.life.cap.max(1) {
            self.conn
                .prepare_cached("DELETE FROM tasks WHERE id = (SELECT min(id) FROM tasks)")?
                .execute([])?;
            self.kept -= 1;
        }
        let id = self.next;
        let row = params![id.cast_signed(), key, name, self.ms(now), end.as_str()];
        self.conn
            .prepare_cached(
                "INSERT INTO tasks (id, key, name, made_ms, ends) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(row)?;
        self.next += 1;
        self.kept += 1;
        Ok(id.to_string())
    }

    /// Name and state of a task of this key.
    pub(super) fn look(
        &self,
        id: &str,
        key: &str,
        now: Instant,
    ) -> rusqlite::Result<Option<(String, String)>> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(None);
        };
        let mut asked = self.conn.prepare_cached(
            "SELECT name, made_ms, ends, deleted FROM tasks WHERE id = ? AND key = ?",
        )?;
        let found = asked.query_row(params![id, key], |row| {
            let state = self.state(row.get(1)?, row.get(2)?, row.get(3)?, now);
            Ok((row.get(0)?, state))
        });
        found.optional()
    }

    /// Deletes a task of this key; `false` when there is none. Deleting twice
    /// is no error.
    pub(super) fn delete(&mut self, id: &str, key: &str) -> rusqlite::Result<bool> {
        let Ok(id) = id.parse::<i64>() else {
            return Ok(false);
        };
        let mut asked = self
            .conn
            .prepare_cached("UPDATE tasks SET deleted = 1 WHERE id = ? AND key = ?")?;
        Ok(asked.execute(params![id, key])? > 0)
    }

    /// Every task that is kept.
    pub(super) fn list(&self, now: Instant) -> rusqlite::Result<Vec<TaskRecord>> {
        let mut asked = self.conn.prepare_cached(
            "SELECT id, key, name, made_ms, ends, deleted FROM tasks ORDER BY id",
        )?;
        let rows = asked.query_map([], |row| {
            let (id, made, deleted): (i64, i64, bool) = (row.get(0)?, row.get(3)?, row.get(5)?);
            Ok(TaskRecord {
                task_id: id.to_string(),
                key: row.get(1)?,
                name: row.get(2)?,
                state: self.state(made, row.get(4)?, deleted, now),
                deleted,
                age_ms: (self.ms(now) - made).max(0).unsigned_abs(),
            })
        })?;
        rows.collect()
    }

    fn state(&self, made: i64, end: String, deleted: bool, now: Instant) -> String {
        if deleted {
            return End::Cancel.to_string();
        }
        let age = self.ms(now) - made;
        let pending = i64::try_from(self.life.pending_for.as_millis()).unwrap_or(i64::MAX);
        // Made in the future: the time of day was set back between two runs.
        if (0..pending).contains(&age) {
            return self.life.pending.clone();
        }
        end
    }

    fn ms(&self, now: Instant) -> i64 {
        let since = now.saturating_duration_since(self.origin).as_millis();
        self.origin_ms
            .saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }
}

/// A file that one emulator has to itself until it ends. What a crash of the
/// machine may take (`synchronous`) are the last tasks; that of the process none.
fn opened(file: &Path) -> Result<Connection, CannotOpen> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // Takes the lock.
    conn.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    match (number("application_id")?, tables) {
        (APPLICATION_ID, _) => {}
        (0, 0) => conn.pragma_update(None, "application_id", APPLICATION_ID)?,
        _ => return Err(CannotOpen::Foreign),
    }
    let _: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |r| r.get(0))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "journal_size_limit", 1_048_576)?;
    Ok(conn)
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
