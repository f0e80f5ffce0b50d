//! Rows that leave the ledger, with their attempts and their history: what an
//! operator forgets or prunes.
//!
//! Numbers are never used again, so a duplicate may go on naming an original
//! that has left; one that still waits for the original's end keeps it here.
//! Must not: look at a source; whoever asks has looked.

use rusqlite::{OptionalExtension, params};

use super::error::{Fail, LedgerError};
use super::filter::{Selection, matching};
use super::rows::{self, FileRecord, length};
use super::work::{AWAITING, Work};
use super::{Lane, Ledger};
use crate::domain::ids::FileId;
use crate::domain::state::{State, StateKind};

/// Rows that leave in one transaction: the daemon's requests come in between.
const AT_ONCE: usize = 200;

/// What is remembered of rows that leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Nothing: the same content is sent again.
    Nothing,
    /// The content of what the service has taken: later copies stay duplicates.
    Content,
}

/// What became of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erased {
    /// Rows that are not in the ledger any more.
    pub erased: Vec<FileId>,
    /// Rows that were left as they are, and why.
    pub refused: Vec<(FileId, String)>,
}

impl Erased {
    fn add(&mut self, here: Erased) {
        self.erased.extend(here.erased);
        self.refused.extend(here.refused);
    }
}

impl Ledger {
    /// The numbers of the files that are selected, lowest first.
    pub async fn selected(&self, which: Selection) -> Result<Vec<FileId>, LedgerError> {
        match which {
            Selection::Ids(ids) => Ok(ids),
            Selection::Matching(filter) => {
                self.read(Lane::Cold, move |conn| matching(conn, &filter))
                    .await
            }
        }
    }

    /// What the ledger holds about these files; those that it does not have
    /// are left out.
    pub async fn records(&self, ids: Vec<FileId>) -> Result<Vec<FileRecord>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let found = ids.into_iter().map(|id| rows::find(conn, id));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Takes files out of the ledger, as they were when they were looked at:
    /// one that has changed since stays. In short transactions, so that a crash
    /// may leave some of them done.
    pub async fn erase(
        &self,
        seen: Vec<FileRecord>,
        memory: Memory,
    ) -> Result<Erased, LedgerError> {
        let mut all = Erased::default();
        for some in in_order(seen) {
            let here = self
                .write(some.len() * 4, move |work| erase_all(work, some, memory))
                .await?;
            all.add(here);
        }
        Ok(all)
    }

    /// What [`Ledger::erase`] would answer now. It is done, and taken back, so
    /// that the two can't differ, but for duplicates whose original comes in a
    /// later transaction.
    pub async fn rehearse_erase(&self, seen: Vec<FileRecord>) -> Result<Erased, LedgerError> {
        let mut all = Erased::default();
        for some in in_order(seen) {
            let here = self
                .rehearse(some.len() * 4, move |work| {
                    erase_all(work, some, Memory::Nothing)
                })
                .await?;
            all.add(here);
        }
        Ok(all)
    }
}

/// Latest first, so that duplicates leave before the original that they keep.
fn in_order(mut seen: Vec<FileRecord>) -> Vec<Vec<FileRecord>> {
    seen.sort_by_key(|file| std::cmp::Reverse(file.id));
    let mut chunks = Vec::new();
    let mut seen = seen.into_iter().peekable();
    while seen.peek().is_some() {
        chunks.push(seen.by_ref().take(AT_ONCE).collect());
    }
    chunks
}

fn erase_all(work: &mut Work<'_>, seen: Vec<FileRecord>, memory: Memory) -> Result<Erased, Fail> {
    let mut all = Erased::default();
    for seen in seen {
        let id = seen.id;
        match refusal(work, &seen)? {
            Some(why) => all.refused.push((id, why)),
            None => {
                if memory == Memory::Content {
                    remember(work, &seen)?;
                }
                work.conn
                    .prepare_cached("DELETE FROM files WHERE id = ?1")?
                    .execute([id.0])?;
                all.erased.push(id);
            }
        }
    }
    Ok(all)
}

/// Why a row must stay.
fn refusal(work: &Work<'_>, seen: &FileRecord) -> Result<Option<String>, Fail> {
    let Some(now) = rows::find(work.conn, seen.id)? else {
        return Ok(Some("it is not in the ledger any more".to_owned()));
    };
    let said = |why: &str| Ok(Some(why.to_owned()));
    match now.state {
        State::Uploading { .. } => return said("it is being uploaded right now"),
        State::Submitted { .. } => {
            return said("the service is working on it: wait for its end, or `cancel` it");
        }
        _ if (now.changes, &now.state) != (seen.changes, &seen.state) => {
            return said("it has changed since it was looked at: try again");
        }
        _ => {}
    }
    if now.source.is_some_and(|source| source.done.is_none()) {
        return said("its source is still to be moved or deleted: wait for that");
    }
    let waiting: Option<i64> = work
        .conn
        .prepare_cached(AWAITING)?
        .query_row(params![seen.id.0, 1], |row| row.get(0))
        .optional()?;
    Ok(waiting.map(|id| {
        format!("id {id} has the same content and waits for its end: `retry` this one, or forget id {id} first")
    }))
}

/// Keeps the content of what the service has taken.
fn remember(work: &mut Work<'_>, file: &FileRecord) -> Result<(), Fail> {
    let taken = matches!(
        file.state.kind(),
        StateKind::Succeeded | StateKind::Untracked
    );
    let (true, Some(hash), Some(options)) = (taken, file.hash, file.options) else {
        return Ok(());
    };
    let dataset = work.dataset(&file.dataset)?;
    work.conn
        .prepare_cached("INSERT OR REPLACE INTO taken VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            dataset,
            length(file.version.size),
            hash,
            options,
            file.id.0,
            file.state.kind() == StateKind::Succeeded,
        ])?;
    Ok(())
}

/// Whether one of this size was taken, and has left the ledger since.
pub(super) const TAKEN_SIZE: &str = "SELECT 1 FROM taken \
    WHERE dataset = (SELECT id FROM datasets WHERE name = ?1) AND size = ?2 LIMIT 1";

/// A file that was taken, and has left the ledger since; whether it succeeded.
pub(super) const TAKEN: &str = "SELECT file, succeeded FROM taken \
    WHERE dataset = (SELECT id FROM datasets WHERE name = ?1) AND size = ?2 AND hash = ?3 \
    AND options = ?4";
