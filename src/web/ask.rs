//! Which files a request means: the parameters of an address, or the object of
//! a body, as a filter of the ledger's.
//!
//! Must not: ask the ledger, or overlook a parameter that it does not know.

use std::time::Duration;

use serde::Deserialize;
use url::form_urlencoded;

use super::refusal::Refusal;
use crate::config::units;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::state::{StateKind, UNKNOWN_FOR};
use crate::domain::time::Timestamp;
use crate::ledger::Filter;

/// Files in an answer, if nothing is said.
const LIMIT: usize = 50;

/// Files in an answer, at most.
pub const MOST: usize = 1_000;

/// Which files; everything that is set must hold.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    state: Vec<StateKind>,
    folder: Option<String>,
    dataset: Option<String>,
    code: Option<String>,
    since: Option<String>,
    name: Option<String>,
}

impl Matching {
    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        *self == Matching::default()
    }

    /// As the ledger wants it.
    pub fn filter(self, now: Timestamp, limit: usize) -> Result<Filter, Refusal> {
        let since = match self.since {
            Some(text) => Some(ago(&text, now)?),
            None => None,
        };
        Ok(Filter {
            states: self.state,
            folder: self.folder.map(FolderName),
            dataset: self.dataset.map(DatasetName),
            code: self.code,
            until: None,
            since,
            name: self.name,
            unknown_since: None,
            limit,
        })
    }
}

/// The filter that an address's parameters are.
pub fn filter(query: &str, now: Timestamp) -> Result<Filter, Refusal> {
    let mut matching = Matching::default();
    let (mut limit, mut attention) = (LIMIT, false);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = value.clone().into_owned();
        match key.as_ref() {
            "state" => matching.state.push(state(&value)?),
            "attention" => attention = yes(&value)?,
            "folder" => once(&mut matching.folder, "folder", text)?,
            "dataset" => once(&mut matching.dataset, "dataset", text)?,
            "code" => once(&mut matching.code, "code", text)?,
            "since" => once(&mut matching.since, "since", text)?,
            "name" => once(&mut matching.name, "name", text)?,
            "limit" => {
                let at_most = value.parse().ok().filter(|n| (1..=MOST).contains(n));
                let wrong = || Refusal::bad(format!("`limit` is a number from 1 to {MOST}"));
                limit = at_most.ok_or_else(wrong)?;
            }
            _ => {
                return Err(Refusal::bad(
                    "a parameter is not known: those that are: state, attention, folder, dataset, code, since, name, limit",
                ));
            }
        }
    }
    if attention {
        if !matching.state.is_empty() {
            return Err(Refusal::bad("give `state` or `attention`, not both"));
        }
        matching.state = needy();
    }
    let filter = matching.filter(now, limit)?;
    Ok(Filter {
        unknown_since: attention.then(|| now.minus(UNKNOWN_FOR)),
        ..filter
    })
}

/// The states that need attention.
pub fn needy() -> Vec<StateKind> {
    let all = StateKind::ALL.into_iter();
    all.filter(|state| state.needs_attention()).collect()
}

fn once(slot: &mut Option<String>, name: &str, value: String) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad(format!("`{name}` can be given once only"))),
    }
}

fn yes(value: &str) -> Result<bool, Refusal> {
    let wrong = |_| Refusal::bad("`attention` is true or false");
    value.parse().map_err(wrong)
}

fn state(value: &str) -> Result<StateKind, Refusal> {
    value.parse().map_err(|_| {
        let known = StateKind::ALL.map(|state| state.to_string()).join(", ");
        Refusal::bad(format!("`state` is one of: {known}"))
    })
}

fn ago(text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let time: Duration = units::time(text)
        .map_err(|why| Refusal::bad(format!("`since` is no length of time: {why}")))?;
    let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp(now.0.saturating_sub(ms)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_become_a_filter() {
        let now = Timestamp(10_000_000);
        let asked = filter(
            "state=failed&state=lost&folder=in&dataset=d&code=HTTP-413&since=1h&name=%2A.pdf&limit=7",
            now,
        );
        let asked = asked.unwrap();
        assert_eq!(asked.states, [StateKind::Failed, StateKind::Lost]);
        assert_eq!(asked.folder, Some(FolderName("in".into())));
        assert_eq!(asked.dataset, Some(DatasetName("d".into())));
        assert_eq!(asked.code.as_deref(), Some("HTTP-413"));
        assert_eq!(asked.since, Some(Timestamp(10_000_000 - 3_600_000)));
        assert_eq!(asked.name.as_deref(), Some("*.pdf"));
        assert_eq!(asked.limit, 7);
        let usual = filter("", now).unwrap();
        assert_eq!((usual.limit, usual.states.len()), (LIMIT, 0));
        let needy = filter("attention=true", now).unwrap();
        assert!(needy.states.contains(&StateKind::Unsupported));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in [
            "states=failed",
            "state=broken",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "since=yesterday",
            "folder=a&folder=b",
            "attention=true&state=lost",
            "attention=perhaps",
            "<script>=1",
        ] {
            let refusal = filter(query, Timestamp(0)).unwrap_err();
            assert_eq!(refusal.status.as_u16(), 400, "{query}");
            assert!(!refusal.error.contains('<'), "{query}");
        }
    }
}
