//! Which files are meant: what a filter says, as queries over the indices of
//! `files`.
//!
//! Must not: be used on the way of a file, or change anything.

use std::borrow::Cow;
use std::fmt::Write as _;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::Fail;
use super::rows::{NAMES, limit_of};
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::state::{StateKind, UNKNOWN_FOR};
use crate::domain::time::Timestamp;

/// Which files are meant. Everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; empty: in any.
    pub states: Vec<StateKind>,
    /// Of this folder.
    pub folder: Option<FolderName>,
    /// Of this dataset.
    pub dataset: Option<DatasetName>,
    /// The latest answer about it had one of these codes, in capitals
    /// ([`Code::meant_by`](crate::domain::answer::Code::meant_by)); empty: any, or
    /// none.
    pub codes: Vec<String>,
    /// Its state changed at this time or later.
    pub since: Option<Timestamp>,
    /// Its state changed at this time or earlier.
    pub until: Option<Timestamp>,
    /// The path in the folder: with `*`, `?` or `[` a pattern for all of it
    /// (`*` crosses `/`), else a part of it.
    pub name: Option<String>,
    /// Upper and lower case are the same in `name`.
    pub any_case: bool,
    /// Beside those in `states`, which name no submitted ones: files whose task has
    /// been in a state that is not documented since this time or longer.
    pub unknown_since: Option<Timestamp>,
    /// Whether it needs a person still.
    pub attention: Option<Attention>,
    /// At most so many.
    pub limit: usize,
}

/// Whether a file that came to a bad end needs a person still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// It does.
    Needed,
    /// Somebody has acknowledged it.
    Acknowledged,
}

impl Filter {
    /// The files that need a person at `now`.
    pub fn needing_attention(now: Timestamp) -> Filter {
        let needy = StateKind::ALL.into_iter();
        Filter {
            states: needy.filter(|state| state.needs_attention()).collect(),
            unknown_since: Some(now.minus(UNKNOWN_FOR)),
            attention: Some(Attention::Needed),
            ..Filter::default()
        }
    }

    /// The files that somebody has acknowledged.
    pub fn acknowledged() -> Filter {
        let states = StateKind::ALL.into_iter();
        let may = |state: &StateKind| state.needs_attention() || *state == StateKind::Submitted;
        Filter {
            states: states.filter(may).collect(),
            attention: Some(Attention::Acknowledged),
            ..Filter::default()
        }
    }
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            states: Vec::new(),
            folder: None,
            dataset: None,
            codes: Vec::new(),
            since: None,
            until: None,
            name: None,
            any_case: false,
            unknown_since: None,
            attention: None,
            limit: usize::MAX,
        }
    }
}

/// Which files are meant.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These.
    Ids(Vec<FileId>),
    /// Those that match. For a retry, without states: those that need
    /// attention.
    Matching(Filter),
}

/// How the files of one state are found: the index that holds them, and the
/// order in which it does. The condition repeats the index's own, as SQLite
/// must see that the one follows from the other.
fn by_state(state: StateKind) -> (&'static str, String, &'static str) {
    let is = format!("f.state = '{state}'");
    match state {
        StateKind::Queued => ("files_waiting", is, "f.not_before, f.id"),
        StateKind::Uploading => ("files_uploading", is, "f.id"),
        StateKind::Submitted => ("files_polls", is, "f.dataset, f.next_poll, f.id"),
        _ => (
            "files_ended",
            format!(
                "{is} AND f.state <> 'queued' AND f.state <> 'uploading' \
                 AND f.state <> 'submitted'"
            ),
            "f.changed_at DESC, f.id DESC",
        ),
    }
}

/// The query for one state, and its parameters.
pub(super) fn list_sql(what: &str, state: StateKind, filter: &Filter) -> (String, Vec<Value>) {
    let (index, mut wanted, order) = by_state(state);
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        let at = format!("?{}", values.len());
        wanted.push_str(" AND ");
        wanted.push_str(&condition.replace("{}", &at));
    };
    if let Some(folder) = &filter.folder {
        let is = "f.folder = (SELECT id FROM folders WHERE name = {})";
        and(is, folder.0.clone().into());
    }
    if let Some(dataset) = &filter.dataset {
        let is = "f.dataset = (SELECT id FROM datasets WHERE name = {})";
        and(is, dataset.0.clone().into());
    }
    if let Some(since) = filter.since {
        and("f.changed_at >= {}", since.0.into());
    }
    if let Some(until) = filter.until {
        and("f.changed_at <= {}", until.0.into());
    }
    if let Some(since) = filter.unknown_since
        && state == StateKind::Submitted
    {
        and("f.unknown_since <= {}", since.0.into());
    }
    if let Some(name) = &filter.name {
        let is_pattern = name.contains(['*', '?', '[']);
        match (is_pattern, filter.any_case) {
            (true, false) => and("CAST(f.path AS TEXT) GLOB {}", name.clone().into()),
            // Blobs, byte by byte: names need not be UTF-8.
            (false, false) => and("instr(f.path, {}) > 0", name.clone().into_bytes().into()),
            (true, true) => and("folded(f.path) GLOB {}", name.to_lowercase().into()),
            (false, true) => and("instr(folded(f.path), {}) > 0", name.to_lowercase().into()),
        }
    }
    if !filter.codes.is_empty() {
        let marks = filter.codes.iter().map(|code| {
            values.push(code.clone().into());
            format!("?{}", values.len())
        });
        let marks = marks.collect::<Vec<_>>().join(", ");
        let _ = write!(wanted, " AND upper(f.last_code) IN ({marks})");
    }
    wanted.push_str(match filter.attention {
        None => "",
        Some(Attention::Needed) => " AND f.resolved IS NULL",
        Some(Attention::Acknowledged) => " AND f.resolved = 'acknowledged'",
    });
    values.push(limit_of(filter.limit).into());
    let limit = values.len();
    let sql = format!(
        "SELECT {what} FROM files AS f INDEXED BY {index} {NAMES} WHERE {wanted} \
         ORDER BY {order} LIMIT ?{limit}"
    );
    (sql, values)
}

fn states(filter: &Filter) -> Vec<StateKind> {
    let mut states = match filter.states.as_slice() {
        [] => StateKind::ALL.to_vec(),
        some => some.to_vec(),
    };
    states.sort_unstable();
    states.dedup();
    states
}

/// What is to be looked through: each state, and what must hold there.
pub(super) fn parts(filter: &Filter) -> Vec<(StateKind, Cow<'_, Filter>)> {
    let states = states(filter);
    let mut parts: Vec<_> = states
        .into_iter()
        .map(|s| (s, Cow::Borrowed(filter)))
        .collect();
    let followed = |(state, _): &(StateKind, _)| *state == StateKind::Submitted;
    if filter.unknown_since.is_some() && !parts.iter().any(followed) {
        let only = Filter {
            states: vec![StateKind::Submitted],
            ..filter.clone()
        };
        parts.push((StateKind::Submitted, Cow::Owned(only)));
    }
    parts
}

/// The numbers of the files that match: there may be many.
pub(super) fn matching(conn: &Connection, filter: &Filter) -> Result<Vec<FileId>, Fail> {
    let mut found = Vec::new();
    for (state, filter) in parts(filter) {
        let (sql, values) = list_sql("f.id", state, &filter);
        let mut statement = conn.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get(0).map(FileId))?;
        for id in rows {
            found.push(id?);
        }
    }
    found.sort_unstable();
    found.truncate(filter.limit);
    Ok(found)
}
