//! Rows of the ledger by hand: a million uploads would take too long.
//!
//! Must not: be a model of anything; the program reads what is written here.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, params};

use super::daemon::DEADLINE;
use super::files;

/// Now, in the ledger's milliseconds.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("it fits")
}

/// Waits until no file is on its way any more.
pub async fn all_ended(ledger: &Path) {
    let conn = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let conn = conn.expect("it opens");
    let sql = "SELECT count(*) FROM files WHERE state IN ('queued', 'uploading', 'submitted')";
    let start = Instant::now();
    while conn.query_row(sql, [], |row| row.get(0)) != Ok(0) {
        assert!(start.elapsed() < DEADLINE, "it took too long");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A connection that fills the ledger fast; nothing else has it open.
pub fn open(ledger: &Path) -> Connection {
    let conn = Connection::open(ledger).expect("it opens");
    conn.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; PRAGMA temp_store = MEMORY;
         INSERT OR IGNORE INTO folders (name) VALUES ('f');
         INSERT OR IGNORE INTO datasets (name) VALUES ('d');",
    )
    .expect("it is a ledger");
    conn
}

/// Each file of the tree as one that has succeeded, with its attempt and its
/// history.
pub fn known(ledger: &Path, root: &Path) -> u64 {
    let mut conn = open(ledger);
    let tx = conn.transaction().expect("begun");
    let mut count = 0_i64;
    {
        let mut file = tx
            .prepare(
                "INSERT INTO files (folder, path, dev, inode, size, mtime_ns, dataset, media, hash, \
                 options, state, task, seen_at, changed_at, changes) \
                 VALUES ((SELECT id FROM folders WHERE name = 'f'), ?1, ?2, ?3, ?4, ?5, \
                 (SELECT id FROM datasets WHERE name = 'd'), 'text', randomblob(32), \
                 zeroblob(16), 'succeeded', ?6, ?7, ?7, 3)",
            )
            .expect("prepared");
        let mut other = Others::of(&tx);
        let now = now_ms();
        files::walk(root, &mut |seen| {
            let rel = seen.path.strip_prefix(root).expect("below it");
            let facts = &seen.facts;
            let mtime = facts.mtime() * 1_000_000_000 + facts.mtime_nsec();
            count += 1;
            file.execute(params![
                rel.as_os_str().as_bytes(),
                facts.dev().cast_signed(),
                facts.ino().cast_signed(),
                facts.size().cast_signed(),
                mtime,
                format!("{:019}", 1_900_000_000_000_000_000_i64 + count),
                now,
            ])
            .expect("inserted");
            other.sent(tx.last_insert_rowid(), now);
        });
    }
    tx.commit().expect("committed");
    settle(&conn);
    count.unsigned_abs()
}

/// The rows beside a file that was sent.
struct Others<'t> {
    attempt: rusqlite::Statement<'t>,
    history: rusqlite::Statement<'t>,
}

impl<'t> Others<'t> {
    fn of(conn: &'t Connection) -> Others<'t> {
        let attempt = "INSERT INTO attempts (file, endpoint, probe, started_at, last_byte_at, \
            ended_at, http_status, code, verdict, bytes, task) \
            VALUES (?1, 'file-task', 0, ?2, ?2, ?2, 200, '200', 'done', 20, ?3)";
        let history = "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)";
        Others {
            attempt: conn.prepare(attempt).expect("prepared"),
            history: conn.prepare(history).expect("prepared"),
        }
    }

    fn sent(&mut self, id: i64, at: i64) {
        let task = format!("{:019}", 1_900_000_000_000_000_000_i64 + id);
        self.attempt
            .execute(params![id, at, task])
            .expect("inserted");
        for (n, from, to, why) in [
            (1, "queued", "uploading", "an attempt began"),
            (2, "uploading", "submitted", "the service took it"),
            (3, "submitted", "succeeded", "the task has ended well"),
        ] {
            let row = params![id, n, at, from, to, why];
            self.history.execute(row).expect("inserted");
        }
    }
}

/// Everything into the file, and the log empty.
pub fn settle(conn: &Connection) {
    let _: i64 = conn
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .expect("a checkpoint");
}

/// `count` submitted files whose tasks became due over the last second.
pub fn submitted(ledger: &Path, count: u64) {
    let conn = open(ledger);
    conn.execute(
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO files (folder, path, dev, inode, size, mtime_ns, dataset, media, hash, options,
             state, task, next_poll, polls_pending, polls_failures, polls_missing, tries_since,
             tries_strikes, tries_failures, tries_resends, tries_resubmits, seen_at, changed_at, changes)
         SELECT (SELECT id FROM folders WHERE name = 'f'), CAST(printf('d%05d/p%08d.txt', n / 100, n) AS BLOB),
             1, n, 20, 1, (SELECT id FROM datasets WHERE name = 'd'), 'text', randomblob(32),
             zeroblob(16), 'submitted', printf('%019d', 1900000000000000000 + n),
             ?2 + n % 1000, 0, 0, 0, ?2, 0, 0, 0, 0, ?2, ?2, 2 FROM n",
        params![count.cast_signed(), now_ms() - 1000],
    )
    .expect("inserted");
    settle(&conn);
}

/// `count` rows as a ledger of some years has them: most have ended, some wait.
/// Of 1,000: 940 succeeded, 20 submitted, 10 queued, 10 duplicates, 10
/// superseded, 5 rejected, 5 gone.
pub fn of_all_states(ledger: &Path, count: u64) {
    let conn = open(ledger);
    let bulk = 1_000_000;
    let mut from = 0;
    while from < count {
        let to = count.min(from + bulk);
        conn.execute(
            ALL_STATES,
            params![from.cast_signed() + 1, to.cast_signed(), now_ms()],
        )
        .expect("inserted");
        for sql in [HISTORY, ATTEMPTS] {
            conn.execute(sql, params![from.cast_signed() + 1, to.cast_signed()])
                .expect("inserted");
        }
        from = to;
    }
    settle(&conn);
}

const ALL_STATES: &str = "
    WITH RECURSIVE n(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2),
    s AS (SELECT n, CASE
        WHEN n % 1000 < 940 THEN 'succeeded' WHEN n % 1000 < 960 THEN 'submitted'
        WHEN n % 1000 < 970 THEN 'queued' WHEN n % 1000 < 980 THEN 'duplicate'
        WHEN n % 1000 < 990 THEN 'superseded' WHEN n % 1000 < 995 THEN 'rejected'
        ELSE 'gone' END AS st FROM n)
    INSERT INTO files (id, folder, path, dev, inode, size, mtime_ns, dataset, media, hash, options,
        state, not_before, task, next_poll, polls_pending, polls_failures, polls_missing,
        tries_since, tries_strikes, tries_failures, tries_resends, tries_resubmits,
        code, duplicate_of, superseded_by, seen_at, changed_at, changes)
    SELECT n, (SELECT id FROM folders WHERE name = 'f'),
        CAST(printf('d%05d/f%08d.txt', n / 100, n) AS BLOB), 1, n, 1000 + n % 100000,
        1700000000000000000 + n, (SELECT id FROM datasets WHERE name = 'd'), 'text',
        iif(st IN ('queued', 'gone', 'superseded'), NULL, randomblob(32)),
        iif(st IN ('queued', 'gone', 'superseded'), NULL, zeroblob(16)), st,
        iif(st = 'queued', ?3 + (n % 7 - 3) * 60000, NULL),
        iif(st IN ('submitted', 'succeeded'), printf('%019d', 1900000000000000000 + n), NULL),
        iif(st = 'submitted', ?3 + n % 600000, NULL),
        iif(st = 'submitted', 0, NULL), iif(st = 'submitted', 0, NULL), iif(st = 'submitted', 0, NULL),
        iif(st IN ('queued', 'submitted'), ?3, NULL), iif(st IN ('queued', 'submitted'), 0, NULL),
        iif(st IN ('queued', 'submitted'), 0, NULL), iif(st IN ('queued', 'submitted'), 0, NULL),
        iif(st IN ('queued', 'submitted'), 0, NULL),
        iif(st = 'rejected', 'OPS40002', NULL), iif(st = 'duplicate', n - 970, NULL),
        iif(st = 'superseded', n + 1, NULL), ?3, ?3,
        CASE st WHEN 'queued' THEN 0 WHEN 'gone' THEN 1 WHEN 'superseded' THEN 1
            WHEN 'submitted' THEN 2 WHEN 'succeeded' THEN 3 ELSE 2 END
    FROM s";

const HISTORY: &str = "
    INSERT INTO history SELECT f.id, n.n, f.seen_at,
        CASE n.n WHEN 1 THEN 'queued' WHEN 2 THEN 'uploading' ELSE 'submitted' END,
        CASE n.n WHEN f.changes THEN f.state WHEN 1 THEN 'uploading' ELSE 'submitted' END,
        NULL, CASE n.n WHEN 1 THEN 'an attempt began' WHEN 2 THEN 'the service took it'
            ELSE 'the task has ended well' END
    FROM files AS f CROSS JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) AS n
    WHERE f.id BETWEEN ?1 AND ?2 AND n.n <= f.changes";

const ATTEMPTS: &str = "
    INSERT INTO attempts (file, endpoint, probe, started_at, last_byte_at, ended_at, http_status,
        code, verdict, bytes, task)
    SELECT id, 'file-task', 0, seen_at, seen_at, seen_at, 200, '200', 'done', size, task
    FROM files WHERE id BETWEEN ?1 AND ?2 AND state IN ('submitted', 'succeeded', 'rejected')";
