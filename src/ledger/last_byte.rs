//! The record that lets the last chunk of a body go.
//!
//! Every file passes here one at a time, since there is one writer, and before
//! the service can have it whole. So this is where two files of the same content
//! that were begun without a hash, both of them on the wire, become one upload
//! and one duplicate. Must not: send anything, or name a next state.

use std::sync::Arc;

use rusqlite::params;

use super::Ledger;
use super::copies::{Among, same_as};
use super::error::LedgerError;
use super::policies::Policies;
use super::rows::ContentHash;
use super::uploads::under_way;
use crate::domain::duplicates::DuplicateRule;
use crate::domain::ids::{AttemptId, FileId};
use crate::domain::lifecycle::Event;
use crate::domain::time::Moment;

/// Whether the last chunk may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastByte {
    /// It is recorded: it may.
    Recorded,
    /// It must not: this one is the same by the rule, and was here first, or the
    /// service has it already. The attempt is still under way; once it is
    /// released, the next one ends as a duplicate.
    Same(FileId),
}

impl Ledger {
    /// Records that the last chunk of the body is about to be handed to the
    /// socket. Only when this has answered [`LastByte::Recorded`] may it go.
    ///
    /// `hash`: the content, if it was taken on the way. It is recorded in either
    /// case, so nothing that may have been sent is without it, and no copy is
    /// read in vain.
    pub async fn last_byte(
        &self,
        id: FileId,
        attempt: AttemptId,
        hash: Option<ContentHash>,
        duplicates: DuplicateRule,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<LastByte, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(2, move |work| {
            let mut file = under_way(work, id, attempt)?;
            file.hash = hash.or(file.hash);
            if hash.is_some()
                && let Some((of, _)) = same_as(work.conn, &file, duplicates, Among::LastByteOut)?
            {
                work.store(&file)?;
                return Ok(LastByte::Same(of));
            }
            work.must_change(&mut file, &Event::LastByte, at, &policies)?;
            work.conn
                .prepare_cached("UPDATE attempts SET last_byte_at = ?2 WHERE id = ?1")?
                .execute(params![attempt.0, at.now.0])?;
            Ok(LastByte::Recorded)
        })
        .await
    }
}
