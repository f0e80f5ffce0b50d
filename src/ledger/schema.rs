//! The tables, and how a ledger of an earlier version becomes one of today's.
//!
//! [`SCRIPTS`] is append-only once a version is released: ledgers exist that
//! were made by it. `PRAGMA user_version` is the number of the last script run.
//!
//! Must not: hold a query. Every query lives with the call that asks it; the
//! tests ask SQLite for the plan of each.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{Fail, LedgerError};

/// "SMSY" in the file's header: tells our ledgers from other people's databases.
pub(super) const APPLICATION_ID: i64 = 0x534D_5359;

/// Files above this many bytes are "big": they leave one lane to the others.
pub const BIG_FILE: u64 = 64 * 1024 * 1024;

/// Oldest SQLite that does not damage a WAL which two connections reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The version that the first of [`SCRIPTS`] makes. Versions 1 to 8 were made
/// during development and are read by `rebuild` alone.
const FIRST: i64 = 9;

/// The SQL of each version from [`FIRST`] on, in order.
const SCRIPTS: &[&str] = &[TABLES];

/// Version 9. A state owns exactly its data: the CHECKs say the same as the enum
/// `domain::state::State`. The partial indices hold only what their query looks
/// for, so they stay small however many files have ended.
///
/// No rule about `files` has an `IN` of three values or more: SQLite fills a
/// table in memory for each of them at every row that is written, which was a
/// third of the ledger's processor time at a bulk of small files. A chain of
/// `OR` costs nothing of the kind.
const TABLES: &str = "
CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- what its directory is recognised by over a restart (`domain::place`)
    place_path BLOB,
    place_fs TEXT,
    place_inode INTEGER,
    place_mount INTEGER CHECK (place_mount IN (0, 1))
) STRICT;
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- which version of which file
    folder INTEGER NOT NULL REFERENCES folders(id),
    path BLOB NOT NULL CHECK (length(path) > 0),
    dev INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    mtime_ns INTEGER NOT NULL,
    -- when the inode was made; 0: not known
    born_ns INTEGER NOT NULL DEFAULT 0,
    big INTEGER GENERATED ALWAYS AS (size > 67108864) VIRTUAL,
    -- where it goes, and what it holds
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    media TEXT CHECK (media = 'text' OR media = 'image' OR media = 'audio' OR media = 'video'
        OR media = 'web'),
    hash BLOB CHECK (length(hash) = 32),
    options BLOB CHECK (length(options) = 16),
    -- where it is
    state TEXT NOT NULL CHECK (state = 'queued' OR state = 'uploading' OR state = 'submitted'
        OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'untracked'
        OR state = 'rejected' OR state = 'exhausted' OR state = 'unconfirmed' OR state = 'lost'
        OR state = 'unsupported' OR state = 'duplicate' OR state = 'superseded' OR state = 'gone'),
    not_before INTEGER,
    attempt INTEGER,
    last_byte INTEGER CHECK (last_byte IN (0, 1)),
    task TEXT,
    next_poll INTEGER,
    polls_pending INTEGER,
    polls_failures INTEGER,
    polls_missing INTEGER,
    tries_since INTEGER,
    tries_strikes INTEGER,
    tries_failures INTEGER,
    tries_resends INTEGER,
    tries_resubmits INTEGER,
    reason TEXT,
    -- of what is unsupported: the word that stays
    reason_kind TEXT CHECK (reason_kind IS NULL OR state = 'unsupported'),
    code TEXT,
    duplicate_of INTEGER,
    superseded_by INTEGER,
    -- what is to be known beside it
    awaiting INTEGER NOT NULL DEFAULT 0 CHECK (awaiting IN (0, 1)),
    possible_duplicate INTEGER NOT NULL DEFAULT 0 CHECK (possible_duplicate IN (0, 1)),
    -- sorted though its end seems to be missing
    may_be_incomplete INTEGER NOT NULL DEFAULT 0 CHECK (may_be_incomplete IN (0, 1)),
    last_code TEXT,
    last_why TEXT,
    poll_at INTEGER,
    poll_code TEXT,
    poll_message TEXT,
    poll_count INTEGER NOT NULL DEFAULT 0,
    -- since when the task has been in a state that is not documented
    unknown_since INTEGER,
    source_action TEXT CHECK (source_action = 'move-done' OR source_action = 'move-rejected'
        OR source_action = 'delete'),
    source_due INTEGER,
    source_target BLOB,
    source_done TEXT CHECK (source_done = 'moved' OR source_done = 'deleted'
        OR source_done = 'kept' OR source_done = 'missing'),
    source_note TEXT,
    -- the row's number once the daemon has moved or deleted the file, else 0: what lies at its path
    -- then is another file. No generated column: with one SQLite takes no index for covering.
    away INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    changes INTEGER NOT NULL DEFAULT 0,
    -- attempts that are counted and not kept
    attempts_dropped INTEGER NOT NULL DEFAULT 0,
    -- how many versions of the path, with this one, have waited for `reimport_after`
    reimports INTEGER NOT NULL DEFAULT 0,
    -- how it stopped needing a person (`domain::resolution`); NULL: it has not, or never did
    resolved TEXT CHECK (resolved = 'acknowledged' OR resolved = 'newer-version'
        OR resolved = 'source-gone' OR resolved = 'excluded'),
    resolved_at INTEGER,
    resolved_who TEXT,
    resolved_why TEXT,
    resolved_by INTEGER,

    UNIQUE (folder, path, inode, size, mtime_ns, away, born_ns, dev),
    CHECK ((state = 'queued') = (not_before IS NOT NULL)),
    CHECK ((state IN ('uploading', 'unconfirmed')) = (attempt IS NOT NULL)),
    CHECK ((state = 'uploading') = (last_byte IS NOT NULL)),
    CHECK ((state = 'submitted' OR state = 'succeeded' OR state = 'failed' OR state = 'cancelled'
        OR state = 'lost') = (task IS NOT NULL)),
    CHECK ((state = 'submitted') = (next_poll IS NOT NULL)),
    CHECK ((next_poll IS NULL) = (polls_pending IS NULL)),
    CHECK ((next_poll IS NULL) = (polls_failures IS NULL)),
    CHECK ((next_poll IS NULL) = (polls_missing IS NULL)),
    CHECK ((state = 'queued' OR state = 'uploading' OR state = 'submitted')
        = (tries_since IS NOT NULL)),
    CHECK ((tries_since IS NULL) = (tries_strikes IS NULL)),
    CHECK ((tries_since IS NULL) = (tries_failures IS NULL)),
    CHECK ((tries_since IS NULL) = (tries_resends IS NULL)),
    CHECK ((tries_since IS NULL) = (tries_resubmits IS NULL)),
    CHECK ((state IN ('failed', 'unsupported')) = (reason IS NOT NULL)),
    CHECK ((state IN ('rejected', 'exhausted')) = (code IS NOT NULL)),
    CHECK ((state = 'duplicate') = (duplicate_of IS NOT NULL)),
    CHECK ((state = 'superseded') = (superseded_by IS NOT NULL)),
    CHECK (awaiting = 0 OR state = 'duplicate'),
    CHECK (media IS NOT NULL OR state NOT IN ('uploading', 'submitted')),
    CHECK (away = 0 OR source_done = 'moved' OR source_done = 'deleted'),
    CHECK ((source_action IS NULL) = (source_due IS NULL)),
    CHECK (source_action IS NOT NULL OR (source_target IS NULL AND source_done IS NULL)),
    CHECK (resolved IS NULL OR state = 'failed' OR state = 'untracked' OR state = 'rejected'
        OR state = 'exhausted' OR state = 'unconfirmed' OR state = 'lost'
        OR state = 'unsupported' OR state = 'submitted'),
    CHECK ((resolved IS NULL) = (resolved_at IS NULL)),
    CHECK ((resolved IS 'acknowledged') = (resolved_who IS NOT NULL)),
    CHECK (resolved_why IS NULL OR resolved = 'acknowledged'),
    CHECK ((resolved IS 'newer-version') = (resolved_by IS NOT NULL))
) STRICT;

-- pick: what is due on a route, big and small apart
CREATE INDEX files_queue ON files (folder, media, big, not_before, id) WHERE state = 'queued';
-- when does the next one become due, whatever its route
CREATE INDEX files_waiting ON files (not_before, id) WHERE state = 'queued';
CREATE INDEX files_unsorted ON files (id) WHERE state = 'queued' AND media IS NULL;
-- versions that wait for `reimport_after`, or have: few
CREATE INDEX files_reimports ON files (folder, path) WHERE state = 'queued' AND reimports > 0;
CREATE INDEX files_uploading ON files (id) WHERE state = 'uploading';
-- tasks in a state that is not documented
CREATE INDEX files_unknown ON files (unknown_since)
    WHERE state = 'submitted' AND unknown_since IS NOT NULL;
CREATE INDEX files_polls ON files (dataset, next_poll, id) WHERE state = 'submitted';
-- what was sent, or may have been, with this content; equal content has equal size, so that one
-- index also says which sizes were never seen and need no hash beforehand; by inode, since the same
-- file may have got another name
CREATE INDEX files_content ON files (dataset, size, hash, inode)
    WHERE (state = 'uploading' OR state = 'submitted' OR state = 'succeeded' OR state = 'untracked'
        OR state = 'unconfirmed' OR state = 'lost');
CREATE INDEX files_awaiting ON files (duplicate_of, id) WHERE awaiting = 1;
CREATE INDEX files_duplicates ON files (duplicate_of) WHERE state = 'duplicate';
CREATE INDEX files_sources ON files (source_due, id)
    WHERE source_action IS NOT NULL AND source_done IS NULL;
-- versions that are in the ledger and still new to it when seen again
CREATE INDEX files_again ON files (id) WHERE (state = 'gone' OR state = 'superseded'
    OR resolved = 'source-gone' OR resolved = 'excluded');
-- lists for people
CREATE INDEX files_ended ON files (state, changed_at, id)
    WHERE state <> 'queued' AND state <> 'uploading' AND state <> 'submitted';

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    probe INTEGER NOT NULL CHECK (probe IN (0, 1)),
    started_at INTEGER NOT NULL,
    last_byte_at INTEGER,
    ended_at INTEGER,
    http_status INTEGER,
    code TEXT,
    message TEXT,
    verdict TEXT,
    bytes INTEGER,
    task TEXT
) STRICT;
CREATE INDEX attempts_of_file ON attempts (file, id);

-- the n-th change of a file; the first state of all is the row's own seen_at
CREATE TABLE history (
    file INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    code TEXT,
    why TEXT NOT NULL,
    PRIMARY KEY (file, n)
) STRICT, WITHOUT ROWID;

-- an open gate that has counted nothing has no row
CREATE TABLE gates (
    key TEXT PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('open', 'closed', 'probing')),
    probe INTEGER,
    since INTEGER,
    until INTEGER,
    level INTEGER,
    code TEXT,
    why TEXT,
    lifts TEXT CHECK (lifts IN ('time', 'key', 'config')),
    fingerprint TEXT,
    first_ms INTEGER,
    max_ms INTEGER,
    holds TEXT CHECK (holds = 'calls' OR holds = 'uploads'),
    streak_code TEXT,
    streak_files TEXT,
    CHECK ((status = 'probing') = (probe IS NOT NULL)),
    CHECK ((status = 'open') = (until IS NULL)),
    CHECK ((streak_code IS NULL) = (streak_files IS NULL))
) STRICT, WITHOUT ROWID;

-- how many files of a folder are in a state, and how those that need nobody any more stopped
-- needing one (else ''), kept by triggers: it costs the same at ten million rows, and is right
-- whoever writes
CREATE TABLE counts (
    folder INTEGER NOT NULL REFERENCES folders(id),
    state TEXT NOT NULL,
    resolved TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (folder, state, resolved)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER files_come AFTER INSERT ON files BEGIN
    INSERT INTO counts VALUES (NEW.folder, NEW.state, ifnull(NEW.resolved, ''), 1, NEW.size)
        ON CONFLICT DO UPDATE SET files = files + 1, bytes = bytes + NEW.size;
END;
CREATE TRIGGER files_move AFTER UPDATE OF state, resolved ON files
WHEN NEW.state <> OLD.state OR NEW.resolved IS NOT OLD.resolved BEGIN
    UPDATE counts SET files = files - 1, bytes = bytes - OLD.size
        WHERE folder = OLD.folder AND state = OLD.state AND resolved = ifnull(OLD.resolved, '');
    INSERT INTO counts VALUES (NEW.folder, NEW.state, ifnull(NEW.resolved, ''), 1, NEW.size)
        ON CONFLICT DO UPDATE SET files = files + 1, bytes = bytes + NEW.size;
END;
CREATE TRIGGER files_grow AFTER UPDATE OF size ON files WHEN NEW.size <> OLD.size BEGIN
    UPDATE counts SET bytes = bytes + NEW.size - OLD.size
        WHERE folder = NEW.folder AND state = NEW.state AND resolved = ifnull(NEW.resolved, '');
END;
CREATE TRIGGER files_leave AFTER DELETE ON files BEGIN
    UPDATE counts SET files = files - 1, bytes = bytes - OLD.size
        WHERE folder = OLD.folder AND state = OLD.state AND resolved = ifnull(OLD.resolved, '');
END;

-- what an operator has paused: `all`, `dataset:NAME`, `folder:NAME` or `route:FOLDER/MEDIA`
CREATE TABLE halts (
    key TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    until INTEGER,
    who TEXT NOT NULL,
    why TEXT
) STRICT, WITHOUT ROWID;

-- the content of files that the service has taken and whose rows were pruned: a copy that comes
-- later is still a duplicate; about a hundred bytes each
CREATE TABLE taken (
    dataset INTEGER NOT NULL REFERENCES datasets(id),
    size INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    options BLOB NOT NULL CHECK (length(options) = 16),
    file INTEGER NOT NULL,
    succeeded INTEGER NOT NULL CHECK (succeeded IN (0, 1)),
    PRIMARY KEY (dataset, size, hash, options)
) STRICT, WITHOUT ROWID;

-- the time of day as last seen by a daemon: how a start knows that the clock was set back
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seen INTEGER NOT NULL
) STRICT;

-- what hooks are still to be told: written with the change that it tells of
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folder INTEGER NOT NULL REFERENCES folders(id),
    hook TEXT NOT NULL,
    occasion TEXT NOT NULL,
    at INTEGER NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    -- of a file: which, and the number of the change in its history
    file INTEGER REFERENCES files(id) ON DELETE CASCADE,
    change INTEGER,
    -- of a pause: what it was like when it began
    gate TEXT,
    code TEXT,
    why TEXT,
    until INTEGER,
    CHECK ((file IS NULL) = (change IS NULL)),
    CHECK ((gate IS NULL) = (file IS NOT NULL)),
    CHECK ((gate IS NULL) = (code IS NULL)),
    CHECK ((gate IS NULL) = (why IS NULL)),
    CHECK ((gate IS NULL) = (until IS NULL))
) STRICT;
CREATE INDEX notices_due ON notices (folder, hook, due, id);
CREATE INDEX notices_of_file ON notices (file) WHERE file IS NOT NULL;
";

/// The schema that this program works with.
pub(super) const LATEST: i64 = FIRST + SCRIPTS.len().cast_signed() as i64 - 1;

/// Refuses to run on an SQLite that can damage a ledger.
pub(super) fn check_sqlite() -> Result<(), LedgerError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(LedgerError::OldSqlite(rusqlite::version().to_owned()));
    }
    Ok(())
}

fn pragma(conn: &Connection, name: &str) -> Result<i64, Fail> {
    Ok(conn.pragma_query_value(None, name, |row| row.get(0))?)
}

/// Looks whether this is a ledger, and one that this program knows, before
/// anything is written. Returns its version; 0: an empty file.
pub(super) fn check_kind(conn: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let ask = || -> Result<(i64, i64, i64), Fail> {
        let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        Ok((
            pragma(conn, "application_id")?,
            pragma(conn, "user_version")?,
            tables,
        ))
    };
    let (application, found, tables) = ask().map_err(|fail| fail.at(path))?;
    let empty = (application, found, tables) == (0, 0, 0);
    if !empty && application != APPLICATION_ID {
        return Err(LedgerError::NotALedger(path.to_owned()));
    }
    let path = path.to_owned();
    match found {
        found if found > LATEST => Err(LedgerError::Newer {
            path,
            found,
            known: LATEST,
        }),
        found if found < FIRST && !empty => Err(LedgerError::TooOld { path, found }),
        found => Ok(found),
    }
}

/// Brings the ledger up to [`LATEST`], one transaction a version.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), Fail> {
    // A command beside a busy daemon need not wait for its turn to write only
    // to see that there is nothing to do: versions never go back.
    if pragma(conn, "user_version")? >= LATEST {
        return Ok(());
    }
    for (script, version) in SCRIPTS.iter().zip(FIRST..) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if pragma(&tx, "user_version")? < version {
            tx.execute_batch(script)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", version)?;
            tx.commit()?;
        }
    }
    Ok(())
}
