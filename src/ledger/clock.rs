//! What becomes of the ledger's times when the clock was set, and the last
//! time that was seen, by which the next start knows.
//!
//! Must not: decide that it was set, or what moves: `domain::clock` does.

use rusqlite::{OptionalExtension, params};

use super::error::{Fail, LedgerError};
use super::work::Work;
use super::{Lane, Ledger, gates, halts};
use crate::domain::clock::{Jump, Move};
use crate::domain::gate::{Closed, Status};
use crate::domain::time::Timestamp;

pub(super) const QUEUED: &str = "UPDATE files INDEXED BY files_waiting \
    SET not_before = not_before + ?3 \
    WHERE state = 'queued' AND not_before BETWEEN ?1 AND ?2";

pub(super) const POLLS: &str = "UPDATE files INDEXED BY files_polls \
    SET next_poll = next_poll + ?3 WHERE state = 'submitted' \
    AND dataset IN (SELECT id FROM datasets) AND next_poll BETWEEN ?1 AND ?2";

pub(super) const SOURCES: &str = "UPDATE files INDEXED BY files_sources \
    SET source_due = source_due + ?3 \
    WHERE source_action IS NOT NULL AND source_done IS NULL AND source_due BETWEEN ?1 AND ?2";

/// Only of what has failed before: what has not begins to age with its first
/// failure. Looks through all that is queued.
pub(super) const QUEUED_AGES: &str = "UPDATE files INDEXED BY files_waiting \
    SET tries_since = tries_since + ?3 WHERE state = 'queued' \
    AND (tries_failures > 0 OR last_code IS NOT NULL) AND tries_since BETWEEN ?1 AND ?2";

pub(super) const UPLOADING_AGES: &str = "UPDATE files INDEXED BY files_uploading \
    SET tries_since = tries_since + ?3 WHERE state = 'uploading' \
    AND tries_failures > 0 AND tries_since BETWEEN ?1 AND ?2";

impl Ledger {
    /// The last time of day that was recorded as seen; `None` in a new ledger.
    pub async fn last_seen(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.read(Lane::Hot, |conn| {
            let seen = conn
                .prepare_cached("SELECT seen FROM clock")?
                .query_row([], |row| row.get(0))
                .optional()?;
            Ok(seen.map(Timestamp))
        })
        .await
    }

    /// Records that it is `now`.
    pub async fn seen_at(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.write(1, move |work| note(work, now)).await
    }

    /// Moves what the ledger keeps as `jump` says, all in one transaction, and
    /// records what the clock reads. How many rows were moved.
    pub async fn clock_jumped(&self, jump: Jump) -> Result<usize, LedgerError> {
        let (Jump::Set { to, .. } | Jump::Away { to, .. }) = jump;
        self.write(1, move |work| {
            let mut moved = 0;
            if let Some(waits) = jump.waits() {
                for sql in [QUEUED, POLLS, SOURCES] {
                    moved += apply(work, sql, waits)?;
                }
            }
            for sql in [QUEUED_AGES, UPLOADING_AGES] {
                moved += apply(work, sql, jump.ages())?;
            }
            moved += move_gates(work, jump)? + move_halts(work, jump)?;
            note(work, to)?;
            Ok(moved)
        })
        .await
    }
}

fn note(work: &mut Work<'_>, now: Timestamp) -> Result<(), Fail> {
    work.conn
        .prepare_cached("INSERT OR REPLACE INTO clock VALUES (1, ?1)")?
        .execute([now.0])?;
    Ok(())
}

fn apply(work: &mut Work<'_>, sql: &str, what: Move) -> Result<usize, Fail> {
    Ok(work
        .conn
        .prepare_cached(sql)?
        .execute(params![what.first, what.last, what.by])?)
}

fn move_gates(work: &mut Work<'_>, jump: Jump) -> Result<usize, Fail> {
    let mut moved = 0;
    for (key, mut gate) in gates::load_all(work.conn)? {
        let (Status::Closed(closed) | Status::Probing { closed, .. }) = &mut gate.status else {
            continue;
        };
        let (since, until) = jump.gate(closed.since, closed.until);
        if (since, until) != (closed.since, closed.until) {
            *closed = Closed {
                since,
                until,
                ..closed.clone()
            };
            gates::save(work, &key, &gate)?;
            moved += 1;
        }
    }
    Ok(moved)
}

fn move_halts(work: &mut Work<'_>, jump: Jump) -> Result<usize, Fail> {
    let mut moved = 0;
    for (scope, halt) in halts::load_all(work.conn)? {
        let (since, until) = jump.span(halt.since, halt.until);
        if (since, until) != (halt.since, halt.until) {
            work.kept.brakes_change();
            moved += work
                .conn
                .prepare_cached("UPDATE halts SET since = ?2, until = ?3 WHERE key = ?1")?
                .execute(params![
                    scope.to_string(),
                    since.0,
                    until.map(|until| until.0)
                ])?;
        }
    }
    Ok(moved)
}
