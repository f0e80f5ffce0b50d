//! Lists for the page: in the order that a person chooses, page by page, with how
//! many files there are in all.
//!
//! What ended is in the ledger in the order of its last change, and such a page
//! costs what it holds. Every other order is found by looking through the states
//! asked for: in short looks, and with no more in memory than a page. Must not: be
//! used on the way of a file.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::error::{Fail, LedgerError};
use super::filter::{Filter, list_sql, parts};
use super::operator::counts;
use super::rows::FileRecord;
use super::{Lane, Ledger};
use crate::domain::ids::FileId;
use crate::domain::listing::{By, Key, Order, Page, Place};
use crate::domain::state::StateKind;

/// Files of one look at the ledger.
const AT_ONCE: usize = 5_000;

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Browsed {
    /// Its files, in order.
    pub files: Vec<FileRecord>,
    /// How many files match, on all pages.
    pub total: u64,
    /// Behind which place the next page begins; `None`: this is the last.
    pub next: Option<Place>,
}

/// A file as it is looked at: where it belongs in the list, and where the look
/// goes on.
struct Met {
    place: Place,
    position: Vec<Value>,
}

impl Ledger {
    /// The page of at most `filter.limit` files behind the place `after`.
    ///
    /// A file that changes while pages are read may be on two of them, or on none.
    pub async fn browse(
        &self,
        filter: Filter,
        order: Order,
        after: Option<Place>,
    ) -> Result<Browsed, LedgerError> {
        let counted = match filter.is_counted() {
            true => Some(self.counted(&filter).await?),
            false => None,
        };
        let mut page = Page::new(order, after.clone(), filter.limit);
        let mut met = 0;
        for (state, part) in parts(&filter) {
            // Where all are to be counted, all have to be looked at.
            let direct = counted.is_some() && order.by == By::Changed && state.is_final();
            let asked = match direct {
                true => filter.limit.saturating_add(1),
                false => AT_ONCE,
            };
            let mut from = after.as_ref().filter(|_| direct).map(position_of);
            loop {
                let part = Filter {
                    limit: asked,
                    ..part.as_ref().clone()
                };
                let read = move |conn: &Connection| look(conn, state, &part, order, direct, from);
                let found = self.read(Lane::Cold, read).await?;
                met += u64::try_from(found.len()).unwrap_or(u64::MAX);
                let full = found.len() == asked;
                from = found.last().map(|last| last.position.clone());
                for file in found {
                    page.offer(file.place);
                }
                if direct || !full {
                    break;
                }
            }
        }
        let (places, more) = page.places();
        let next = places.last().filter(|_| more).cloned();
        let ids = places.into_iter().map(|place| place.id).collect();
        Ok(Browsed {
            files: self.records(ids).await?,
            total: counted.unwrap_or(met),
            next,
        })
    }

    /// How many files match a filter that [`Filter::is_counted`].
    async fn counted(&self, filter: &Filter) -> Result<u64, LedgerError> {
        let (states, folder) = (filter.states.clone(), filter.folder.clone());
        let all = self.read(Lane::Cold, counts).await?.into_iter();
        let matching = all.filter(|count| {
            (states.is_empty() || states.contains(&count.state))
                && folder.as_ref().is_none_or(|folder| count.folder == *folder)
        });
        Ok(matching.map(|count| count.files).sum())
    }
}

impl Filter {
    /// Whether the ledger knows the number of files without a look at them: it
    /// keeps one for each state of each folder.
    fn is_counted(&self) -> bool {
        *self
            == Filter {
                states: self.states.clone(),
                folder: self.folder.clone(),
                limit: self.limit,
                ..Filter::default()
            }
    }
}

/// Where a list of what ended goes on behind a file.
fn position_of(place: &Place) -> Vec<Value> {
    match &place.key {
        Key::Number(time) => vec![(*time).into(), place.id.0.into()],
        Key::Name(_) => Vec::new(),
    }
}

/// The columns by which a state's index is ordered, and whether it is read from
/// its end: the order of `list_sql`.
fn index_of(state: StateKind) -> (&'static [&'static str], bool) {
    match state {
        StateKind::Queued => (&["f.not_before", "f.id"], false),
        StateKind::Uploading => (&["f.id"], false),
        StateKind::Submitted => (&["f.dataset", "f.next_poll", "f.id"], false),
        _ => (&["f.changed_at", "f.id"], true),
    }
}

/// The query for one look. `direct`: in the order of the list itself.
pub(super) fn look_sql(
    state: StateKind,
    filter: &Filter,
    order: Order,
    direct: bool,
    from: Option<Vec<Value>>,
) -> (String, Vec<Value>) {
    let (columns, mut backwards) = index_of(state);
    let key = match order.by {
        By::Changed => "f.changed_at",
        By::Seen => "f.id",
        By::Size => "f.size",
        By::Name => "fo.name, f.path",
    };
    let index = columns.join(", ");
    let (mut sql, mut values) = list_sql(&format!("f.id, {index}, {key}"), state, filter);
    if direct && !order.descending {
        // The same index, from its other end.
        let ascending = format!(" ORDER BY {index}");
        if let Some(at) = sql.find(" ORDER BY ") {
            let limit = sql.find(" LIMIT ").unwrap_or(sql.len());
            sql.replace_range(at..limit, &ascending);
        }
        backwards = false;
    }
    if let Some(from) = from.filter(|from| from.len() == columns.len()) {
        let first = values.len() + 1;
        values.extend(from);
        let holes: Vec<String> = (first..=values.len()).map(|n| format!("?{n}")).collect();
        let beyond = if backwards { "<" } else { ">" };
        let behind = format!(" AND ({index}) {beyond} ({}) ORDER BY", holes.join(", "));
        sql = sql.replacen(" ORDER BY", &behind, 1);
    }
    (sql, values)
}

fn look(
    conn: &Connection,
    state: StateKind,
    filter: &Filter,
    order: Order,
    direct: bool,
    from: Option<Vec<Value>>,
) -> Result<Vec<Met>, Fail> {
    let (sql, values) = look_sql(state, filter, order, direct, from);
    let columns = index_of(state).0.len();
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(met(row, order, columns)?);
    }
    Ok(found)
}

fn met(row: &Row<'_>, order: Order, columns: usize) -> Result<Met, Fail> {
    let id = FileId(row.get(0)?);
    let position = (1..=columns).map(|at| row.get(at));
    let position = position.collect::<Result<_, _>>()?;
    let key = 1 + columns;
    let key = match order.by {
        By::Name => {
            let folder = row.get_ref(key)?.as_str().map_err(rusqlite::Error::from)?;
            let path = row.get_ref(key + 1)?;
            let path = path.as_bytes().map_err(rusqlite::Error::from)?;
            Key::of_name(folder, path)
        }
        By::Changed | By::Seen | By::Size => Key::Number(row.get(key)?),
    };
    let place = Place { key, id };
    Ok(Met { place, position })
}
