//! What a crash has left, set right at the start.
//!
//! Must not: decide what becomes of a file; `domain::lifecycle` and the
//! folder's policy do.

use std::sync::Arc;

use super::Ledger;
use super::error::{Fail, LedgerError};
use super::gates;
use super::policies::Policies;
use super::rows;
use super::uploads::stop_attempt;
use super::work::Work;
use crate::domain::ids::FileId;
use crate::domain::lifecycle::Event;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Moment;

/// Files recovered in one transaction.
const RECOVERED_AT_ONCE: i64 = 256;

/// What was found at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Files that a crash had left in an upload and that are queued again.
    pub queued: u64,
    /// Of those, the ones that may have been taken before.
    pub possible_duplicates: u64,
    /// Files that may have been taken, and wait for an operator.
    pub unconfirmed: u64,
}

pub(super) const UPLOADING: &str = "SELECT id FROM files INDEXED BY files_uploading \
    WHERE state = 'uploading' ORDER BY id LIMIT ?1";

/// Originals that have ended while duplicates of them still wait for that.
pub(super) const UNTOLD: &str = "SELECT DISTINCT f.duplicate_of \
    FROM files AS f INDEXED BY files_awaiting CROSS JOIN files AS o ON o.id = f.duplicate_of \
    WHERE f.awaiting = 1 AND o.state NOT IN ('queued', 'uploading', 'submitted')";

impl Ledger {
    /// Sets right what a crash has left: files that were being uploaded go on
    /// as `last_byte` and their folder's policy say, probes are given back,
    /// and duplicates hear of originals that have ended. To be called once,
    /// before anything is sent.
    pub async fn recover(
        &self,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Recovered, LedgerError> {
        let mut recovered = Recovered::default();
        loop {
            let policies = Arc::clone(policies);
            let (here, more) = self
                .write(1, move |work| recover_some(work, at, &policies))
                .await?;
            recovered.queued += here.queued;
            recovered.possible_duplicates += here.possible_duplicates;
            recovered.unconfirmed += here.unconfirmed;
            if !more {
                return Ok(recovered);
            }
        }
    }
}

fn recover_some(
    work: &mut Work<'_>,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<(Recovered, bool), Fail> {
    let ids: Vec<i64> = {
        let mut statement = work.conn.prepare_cached(UPLOADING)?;
        let rows = statement.query_map([RECOVERED_AT_ONCE], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut found = Recovered::default();
    for id in &ids {
        let mut file = rows::load(work.conn, FileId(*id))?;
        let State::Uploading {
            attempt,
            last_byte_sent,
            ..
        } = file.state
        else {
            continue;
        };
        work.must_change(&mut file, &Event::Recovered, at, policies)?;
        stop_attempt(work, attempt, "interrupted", at)?;
        match file.state.kind() {
            StateKind::Queued => {
                found.queued += 1;
                found.possible_duplicates += u64::from(last_byte_sent);
            }
            _ => found.unconfirmed += 1,
        }
    }
    let more = i64::try_from(ids.len()).unwrap_or(i64::MAX) == RECOVERED_AT_ONCE;
    if !more {
        gates::give_back_all_probes(work)?;
        let untold: Vec<i64> = {
            let mut statement = work.conn.prepare_cached(UNTOLD)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for original in untold {
            work.tell_duplicates(FileId(original), at, policies)?;
        }
    }
    Ok((found, more))
}
