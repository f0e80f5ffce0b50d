//! A ledger that anybody may have written or damaged, opened to be read.
//!
//! Nothing of its schema is run: only its real tables are read, no view, no
//! trigger, no virtual table. A value has a greatest length, and reading has a
//! greatest number of steps, by the length of the file: damaged or made pages
//! can lead in circles. Must not: write to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

/// Longest value that is read. No column of a ledger holds so much. Bytes.
const LONGEST: i32 = 1 << 20;

/// Steps of SQLite's virtual machine between two looks at what is left.
const LOOK: i32 = 10_000;

/// Steps for each byte of the file. A row of a ledger has some 300 bytes and is
/// read, with its attempts and its history, in some 2,000 steps; twice, since
/// the index is read, too.
const STEPS_A_BYTE: u64 = 50;

/// Steps for a file of no length.
const FEWEST_STEPS: u64 = 50_000_000;

/// An open foreign ledger.
pub(super) struct Foreign {
    conn: Connection,
    left: Arc<AtomicU64>,
}

/// Opens a copy of a file that has `bytes`.
pub(super) fn open(copied: &Path, bytes: u64) -> rusqlite::Result<Foreign> {
    open_with(
        copied,
        FEWEST_STEPS.saturating_add(bytes.saturating_mul(STEPS_A_BYTE)),
    )
}

fn open_with(copied: &Path, steps: u64) -> rusqlite::Result<Foreign> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(copied, flags)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        // Else a file that is shorter than it says is refused as a whole.
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true),
    ] {
        conn.set_db_config(config, on)?;
    }
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    let left = Arc::new(AtomicU64::new(steps));
    let counted = Arc::clone(&left);
    let step = u64::from(LOOK.unsigned_abs());
    conn.progress_handler(
        LOOK,
        Some(move || {
            let taken = counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(step)
            });
            taken.is_err()
        }),
    )?;
    Ok(Foreign { conn, left })
}

impl Foreign {
    /// Whether all of these are real tables of it.
    pub fn has_tables(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.is_table(name))
    }

    /// Whether a name is that of a real table: no view, no virtual table.
    pub fn is_table(&self, name: &str) -> bool {
        let asked = self.conn.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 \
             AND rootpage > 0 AND sql NOT LIKE 'CREATE VIRTUAL%'",
            [name],
            |row| row.get::<_, i64>(0),
        );
        asked == Ok(1)
    }

    /// Whether all steps are used up: what was not read by then is not read.
    pub fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) < u64::from(LOOK.unsigned_abs())
    }
}

impl std::ops::Deref for Foreign {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_view_is_no_table_and_an_endless_question_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("foreign");
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT);
                 CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)
                 SELECT i AS id FROM n;",
            )
            .unwrap();
        let foreign = open_with(&path, 1_000_000).unwrap();
        assert!(foreign.is_table("folders"));
        assert!(!foreign.is_table("files"));
        assert!(!foreign.has_tables(&["files", "folders"]));
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) \
                       SELECT count(*) FROM n";
        let asked = foreign.query_row(endless, [], |row| row.get::<_, i64>(0));
        assert!(asked.is_err());
        assert!(foreign.is_spent());
        let long = foreign.query_row("SELECT zeroblob(2000000)", [], |_| Ok(()));
        assert!(long.is_err());
    }
}
