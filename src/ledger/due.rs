//! When there is something to do next, and how much there is.
//!
//! Must not: decide what is done.

use rusqlite::{Connection, params};

use super::error::{Fail, LedgerError};
use super::{Lane, Ledger};
use crate::domain::time::Timestamp;

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Queued, and due now.
    pub queued_due: u64,
    /// Queued, and due later.
    pub queued_later: u64,
    /// Being uploaded.
    pub uploading: u64,
    /// Submitted, and followed.
    pub submitted: u64,
    /// Sources that are to be moved or deleted, now or later.
    pub source_actions: u64,
}

impl Pending {
    /// Nothing is due, on its way or waiting.
    pub const fn is_empty(&self) -> bool {
        self.queued_due == 0
            && self.queued_later == 0
            && self.uploading == 0
            && self.submitted == 0
            && self.source_actions == 0
    }
}

pub(super) const NEXT_QUEUED: &str = "SELECT min(not_before) FROM files INDEXED BY files_waiting \
    WHERE state = 'queued' AND not_before > ?1";

/// One seek for each dataset: they are few, tasks are many.
pub(super) const NEXT_POLLS: &str = "SELECT min((SELECT min(next_poll) FROM files AS f \
    INDEXED BY files_polls WHERE f.state = 'submitted' AND f.dataset = da.id \
    AND f.next_poll > ?1)) FROM datasets AS da";

pub(super) const NEXT_SOURCE: &str = "SELECT min(source_due) FROM files INDEXED BY files_sources \
    WHERE source_action IS NOT NULL AND source_done IS NULL AND source_due > ?1";

pub(super) const QUEUED_LATER: &str = "SELECT count(*) FROM files INDEXED BY files_waiting \
    WHERE state = 'queued' AND not_before > ?1";

pub(super) const SOURCES: &str = "SELECT count(*) FROM files INDEXED BY files_sources \
    WHERE source_action IS NOT NULL AND source_done IS NULL";

const IN_STATE: &str = "SELECT coalesce(sum(files), 0) FROM counts WHERE state = ?1";

impl Ledger {
    /// The earliest time after `now` at which a queued file, a task or a
    /// source becomes due. What is due already does not count, and neither do
    /// gates: [`Ledger::gates`] says when those do.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let mut next: Option<i64> = None;
            for sql in [NEXT_QUEUED, NEXT_POLLS, NEXT_SOURCE] {
                let here: Option<i64> = conn
                    .prepare_cached(sql)?
                    .query_row([now.0], |row| row.get(0))?;
                next = next.into_iter().chain(here).min();
            }
            Ok(next.map(Timestamp))
        })
        .await
    }

    /// How much there is to do. Costs a look at each file that waits for a
    /// later time, and nothing for the others.
    pub async fn pending(&self, now: Timestamp) -> Result<Pending, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            // One view of the ledger for all the numbers.
            let tx = conn.unchecked_transaction()?;
            pending(&tx, now)
        })
        .await
    }
}

pub(super) fn pending(conn: &Connection, now: Timestamp) -> Result<Pending, Fail> {
    let count = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        let n: i64 = conn
            .prepare_cached(sql)?
            .query_row(params, |row| row.get(0))?;
        Ok::<u64, rusqlite::Error>(n.max(0).unsigned_abs())
    };
    let queued = count(IN_STATE, &[&"queued"])?;
    let queued_later = count(QUEUED_LATER, params![now.0])?;
    Ok(Pending {
        queued_due: queued.saturating_sub(queued_later),
        queued_later,
        uploading: count(IN_STATE, &[&"uploading"])?,
        submitted: count(IN_STATE, &[&"submitted"])?,
        source_actions: count(SOURCES, &[])?,
    })
}
