//! Lists for people: read in pages, so that no list, however long, keeps the
//! ledger's log from being reset.
//!
//! Must not: be used on the way of a file.

use std::collections::HashSet;

use rusqlite::{Connection, params_from_iter};

use super::error::{Fail, LedgerError};
use super::filter::{Filter, list_sql, parts};
use super::rows::{self, COLUMNS, FileRecord};
use super::{Lane, Ledger};
use crate::domain::ids::FileId;
use crate::domain::state::{State, StateKind};
use crate::domain::time::Timestamp;

/// Files of one page of a list.
const PAGE: usize = 5_000;

impl Ledger {
    /// Files that match. Where more match than may be shown: of what ended,
    /// the latest; of what waits, that which is next. Sorted by the time of
    /// their last change, latest first. Looking for a name, a folder, a dataset
    /// or a code looks through the states named, so name few.
    ///
    /// A long list is read in pages: each is one look at the ledger, so that no
    /// reader keeps its log from being reset. A file that changes meanwhile is
    /// there once, as it was met first.
    pub async fn list(&self, filter: Filter) -> Result<Vec<FileRecord>, LedgerError> {
        let mut found: Vec<FileRecord> = Vec::new();
        for (state, filter) in parts(&filter) {
            let mut after = None;
            let mut left = filter.limit;
            while left > 0 {
                let page = Filter {
                    limit: if in_pages(state) {
                        left.min(PAGE)
                    } else {
                        left
                    },
                    ..filter.as_ref().clone()
                };
                let (asked, from) = (page.limit, after.take());
                let read = move |conn: &Connection| list_page(conn, state, &page, from);
                let page = self.read(Lane::Cold, read).await?;
                left -= page.len().min(left);
                after = page.last().and_then(place_in_list);
                let full = page.len() == asked && after.is_some();
                found.extend(page);
                if !full {
                    break;
                }
            }
        }
        found.sort_by_key(|file| std::cmp::Reverse((file.changed_at, file.id)));
        let mut met = HashSet::new();
        found.retain(|file| met.insert(file.id));
        found.truncate(filter.limit);
        Ok(found)
    }
}

/// Whether the files of a state are read in pages; of the others there are few.
fn in_pages(state: StateKind) -> bool {
    !matches!(state, StateKind::Submitted | StateKind::Uploading)
}

/// Where a list goes on: the time by which its state's files are ordered, and
/// the number.
fn place_in_list(last: &FileRecord) -> Option<(Timestamp, FileId)> {
    match &last.state {
        State::Queued { not_before, .. } => Some((*not_before, last.id)),
        State::Submitted { .. } | State::Uploading { .. } => None,
        _ => Some((last.changed_at, last.id)),
    }
}

fn list_page(
    conn: &Connection,
    state: StateKind,
    filter: &Filter,
    after: Option<(Timestamp, FileId)>,
) -> Result<Vec<FileRecord>, Fail> {
    let (mut sql, mut values) = list_sql(COLUMNS, state, filter);
    if let Some((time, id)) = after {
        values.push(time.0.into());
        values.push(id.0.into());
        let (a, b) = (values.len() - 1, values.len());
        let beyond = match state {
            StateKind::Queued => format!(" AND (f.not_before, f.id) > (?{a}, ?{b}) ORDER BY"),
            _ => format!(" AND (f.changed_at, f.id) < (?{a}, ?{b}) ORDER BY"),
        };
        sql = sql.replacen(" ORDER BY", &beyond, 1);
    }
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(rows::record(row)?);
    }
    Ok(found)
}
