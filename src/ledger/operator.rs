//! What people ask of the ledger, and what they may change in it.
//!
//! Commands use these beside a running daemon; the daemon's status page does
//! too. Must not: be used on the way of a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::error::{Fail, LedgerError};
use super::filter::{Attention, Selection};
use super::growth;
use super::intake::folder_number;
use super::policies::Policies;
use super::rows::{self, COLUMNS, FileRecord, NAMES};
use super::work::{Changed, Work};
use super::{Lane, Ledger};
use crate::domain::ids::{FileId, FolderName};
use crate::domain::lifecycle::{Event, SourceAction};
use crate::domain::resolution::ResolutionKind;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Moment;

/// Files sent round again in one transaction.
const RETRIED_AT_ONCE: usize = 500;

/// How many files of a folder are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The folder.
    pub folder: FolderName,
    /// The state.
    pub state: StateKind,
    /// Files.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Of those that need nobody any more: how many, by how that came.
    pub resolved: BTreeMap<ResolutionKind, u64>,
}

impl Count {
    /// How many of them need a person.
    pub fn needing_attention(&self) -> u64 {
        if !self.state.needs_attention() {
            return 0;
        }
        self.files.saturating_sub(self.resolved.values().sum())
    }
}

/// What became of a retry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retried {
    /// Files that are in the queue now.
    pub retried: Vec<FileId>,
    /// Files that were left as they are, and why.
    pub refused: Vec<(FileId, String)>,
}

impl Ledger {
    /// How many files of each folder are in each state; none where there are
    /// none. Costs the same however many there are.
    pub async fn counts(&self) -> Result<Vec<Count>, LedgerError> {
        self.read(Lane::Cold, counts).await
    }

    /// Every version of a path in a folder, latest first.
    pub async fn versions(
        &self,
        folder: FolderName,
        path: Vec<u8>,
    ) -> Result<Vec<FileRecord>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(Vec::new());
            };
            let mut found = rows::all(conn, &versions_sql(), &[&folder, &path])?;
            found.sort_by_key(|file| std::cmp::Reverse((file.seen_at, file.id)));
            Ok(found)
        })
        .await
    }

    /// How often an upload of each of these files was begun; those that never
    /// were are left out.
    pub async fn attempt_counts(
        &self,
        ids: Vec<FileId>,
    ) -> Result<BTreeMap<FileId, u64>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let mut counts = BTreeMap::new();
            for id in ids {
                let count = growth::attempt_count(conn, id)?;
                if count > 0 {
                    counts.insert(id, count);
                }
            }
            Ok(counts)
        })
        .await
    }

    /// Sends files round again, as an operator wants it. A file that can't be
    /// is left as it is, and said so. What the answer depends on is the state
    /// alone, so no policy is asked for.
    pub async fn retry(&self, which: Selection, at: Moment) -> Result<Retried, LedgerError> {
        let mut all = Retried::default();
        for some in self.to_retry(which).await?.chunks(RETRIED_AT_ONCE) {
            let (some, policies) = (some.to_vec(), no_policies());
            let here = self
                .write(some.len(), move |work| retry_all(work, some, at, &policies))
                .await?;
            all.retried.extend(here.retried);
            all.refused.extend(here.refused);
        }
        Ok(all)
    }

    /// What [`Ledger::retry`] would answer now. It is done, and taken back, so
    /// that the two can't differ.
    pub async fn rehearse_retry(
        &self,
        which: Selection,
        at: Moment,
    ) -> Result<Retried, LedgerError> {
        let mut all = Retried::default();
        for some in self.to_retry(which).await?.chunks(RETRIED_AT_ONCE) {
            let (some, policies) = (some.to_vec(), no_policies());
            let here = self
                .rehearse(some.len(), move |work| retry_all(work, some, at, &policies))
                .await?;
            all.retried.extend(here.retried);
            all.refused.extend(here.refused);
        }
        Ok(all)
    }

    async fn to_retry(&self, which: Selection) -> Result<Vec<FileId>, LedgerError> {
        match which {
            Selection::Matching(mut filter) if filter.states.is_empty() => {
                filter.states = StateKind::ALL.into_iter().collect();
                filter.states.retain(|state| state.retried_unnamed());
                filter.attention = Some(Attention::Needed);
                self.selected(Selection::Matching(filter)).await
            }
            which => self.selected(which).await,
        }
    }
}

/// What a retry's answer depends on is the state alone.
fn no_policies() -> Arc<Policies> {
    Arc::new(Policies::new(BTreeMap::new()))
}

fn retry_all(
    work: &mut Work<'_>,
    ids: Vec<FileId>,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Retried, Fail> {
    let mut all = Retried::default();
    for id in ids {
        match retry(work, id, at, policies)? {
            None => all.retried.push(id),
            Some(why) => all.refused.push((id, why)),
        }
    }
    Ok(all)
}

/// `Some`: why not.
fn retry(
    work: &mut Work<'_>,
    id: FileId,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Option<String>, Fail> {
    let Some(mut file) = rows::find(work.conn, id)? else {
        return Ok(Some("there is no such file in the ledger".to_owned()));
    };
    if file.source_moving() {
        let why = "its source is being moved right now: try again in a moment";
        return Ok(Some(why.to_owned()));
    }
    if file.source_taken() && file.state.kind() != StateKind::Succeeded {
        return Ok(Some(put_it_back(&file)));
    }
    if matches!(
        file.state,
        State::Unsupported { .. } | State::Rejected { .. }
    ) {
        // Whoever retries it has mended the file or its settings: sorted anew.
        file.media = None;
    }
    Ok(match work.change(&mut file, &Event::Retry, at, policies)? {
        Changed::Refused(why) => Some(why.to_owned()),
        Changed::Went | Changed::Stayed => None,
    })
}

fn put_it_back(file: &FileRecord) -> String {
    let moved_to = file
        .source
        .as_ref()
        .filter(|source| source.action != SourceAction::Delete)
        .and_then(|source| source.target.as_deref());
    match moved_to {
        Some(target) => format!(
            "its source was moved to \"{}\": move it back into the folder, that queues it again",
            target.escape_ascii()
        ),
        None => "its source is not in the folder any more: drop it again".to_owned(),
    }
}

pub(super) fn versions_sql() -> String {
    format!("SELECT {COLUMNS} FROM files AS f {NAMES} WHERE f.folder = ?1 AND f.path = ?2")
}

pub(super) fn counts(conn: &Connection) -> Result<Vec<Count>, Fail> {
    let mut statement = conn.prepare_cached(
        "SELECT fo.name, c.state, c.files, c.bytes, c.resolved FROM counts AS c \
         CROSS JOIN folders AS fo ON fo.id = c.folder WHERE c.files > 0 ORDER BY fo.name",
    )?;
    let mut rows = statement.query([])?;
    let mut counts: BTreeMap<(FolderName, StateKind), Count> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let folder = FolderName(row.get(0)?);
        let state = rows::state_kind(&row.get::<_, String>(1)?)?;
        let files = row.get::<_, i64>(2)?.max(0).unsigned_abs();
        let resolved: String = row.get(4)?;
        let key = (folder.clone(), state);
        let count = counts.entry(key).or_insert_with(|| Count {
            folder,
            state,
            files: 0,
            bytes: 0,
            resolved: BTreeMap::new(),
        });
        count.files += files;
        count.bytes += row.get::<_, i64>(3)?.max(0).unsigned_abs();
        if !resolved.is_empty() {
            let how: ResolutionKind = resolved
                .parse()
                .map_err(|error| Fail::BadRow(format!("{error}")))?;
            count.resolved.insert(how, files);
        }
    }
    Ok(counts.into_values().collect())
}
