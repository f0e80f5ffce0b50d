//! Which files a request means: the parameters of an address, or the object of
//! a body, as a filter of the ledger's.
//!
//! Must not: ask the ledger, or overlook a parameter that it does not know.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use url::form_urlencoded;

use super::refusal::Refusal;
use crate::config::units;
use crate::domain::answer::Code;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::listing::{Order, Place};
use crate::domain::state::StateKind;
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
    #[serde(deserialize_with = "one_or_several")]
    code: Vec<String>,
    since: Option<String>,
    name: Option<String>,
    any_case: bool,
    attention: bool,
    acknowledged: bool,
}

/// A page of a list: which files, in which order, behind which of them.
#[derive(Debug)]
pub struct Listing {
    /// Which files.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Behind which place; `None`: the first page.
    pub after: Option<Place>,
}

impl Matching {
    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        let Matching { any_case, .. } = *self;
        // Alone it chooses nothing.
        *self
            == Matching {
                any_case,
                ..Matching::default()
            }
    }

    /// As the ledger wants it.
    pub fn filter(self, now: Timestamp, limit: usize) -> Result<Filter, Refusal> {
        let since = match self.since {
            Some(text) => Some(ago(&text, now)?),
            None => None,
        };
        let only = match (self.attention, self.acknowledged) {
            (false, false) => Filter {
                states: self.state,
                ..Filter::default()
            },
            (true, false) => within(&self.state, Filter::needing_attention(now))?,
            (false, true) => within(&self.state, Filter::acknowledged())?,
            (true, true) => {
                return Err(Refusal::bad("give one of `attention` and `acknowledged`"));
            }
        };
        let codes = self.code.iter();
        Ok(Filter {
            folder: self.folder.map(FolderName),
            dataset: self.dataset.map(DatasetName),
            codes: codes.flat_map(|code| Code::meant_by(code)).collect(),
            since,
            name: self.name,
            any_case: self.any_case,
            limit,
            ..only
        })
    }
}

/// Those of a filter that are in one of these states; none: all of it.
fn within(states: &[StateKind], all: Filter) -> Result<Filter, Refusal> {
    if states.is_empty() {
        return Ok(all);
    }
    let mut both = all.states;
    both.retain(|state| states.contains(state));
    if both.is_empty() {
        return Err(Refusal::bad(
            "no file in these states needs attention: leave `state` out, or `attention` and `acknowledged`",
        ));
    }
    Ok(Filter {
        states: both,
        unknown_since: None,
        ..all
    })
}

/// The list that an address's parameters ask for.
pub fn listing(query: &str, now: Timestamp) -> Result<Listing, Refusal> {
    let mut matching = Matching::default();
    let mut limit = LIMIT;
    let (mut sort, mut after) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = value.clone().into_owned();
        match key.as_ref() {
            "state" => matching.state.push(state(&value)?),
            "attention" => matching.attention = yes("attention", &value)?,
            "acknowledged" => matching.acknowledged = yes("acknowledged", &value)?,
            "folder" => once(&mut matching.folder, "folder", text)?,
            "dataset" => once(&mut matching.dataset, "dataset", text)?,
            "code" => matching.code.extend(text.split(',').map(str::to_owned)),
            "since" => once(&mut matching.since, "since", text)?,
            "name" => once(&mut matching.name, "name", text)?,
            "any_case" => matching.any_case = yes("any_case", &value)?,
            "sort" => once(&mut sort, "sort", text)?,
            "after" => once(&mut after, "after", text)?,
            "limit" => {
                let at_most = value.parse().ok().filter(|n| (1..=MOST).contains(n));
                let wrong = || Refusal::bad(format!("`limit` is a number from 1 to {MOST}"));
                limit = at_most.ok_or_else(wrong)?;
            }
            _ => {
                return Err(Refusal::bad(
                    "a parameter is not known: those that are: state, attention, acknowledged, folder, dataset, code, since, name, any_case, sort, after, limit",
                ));
            }
        }
    }
    let order = sort.map_or(Ok(Order::default()), |text| order(&text))?;
    let after = after.map(|text| {
        let wrong = |_| Refusal::bad("`after` is taken from the `Link` of the page before");
        Place::parse(&text, order).map_err(wrong)
    });
    Ok(Listing {
        filter: matching.filter(now, limit)?,
        order,
        after: after.transpose()?,
    })
}

/// The parameters of the next page: those of this one, and behind which place it
/// begins.
pub fn next_page(query: &str, after: &Place) -> String {
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "after");
    let mut next = form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(given);
    next.append_pair("after", &after.to_string());
    next.finish()
}

fn order(text: &str) -> Result<Order, Refusal> {
    let known = Order::ALL.join(", ");
    let wrong = |_| Refusal::bad(format!("`sort` is one of: {known}"));
    text.parse().map_err(wrong)
}

/// A text, or a list of them; each may be a list with commas.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Several(Vec<String>),
    }
    let given = match Given::deserialize(from)? {
        Given::One(text) => vec![text],
        Given::Several(texts) => texts,
    };
    let split = given.iter().flat_map(|text| text.split(','));
    Ok(split.map(str::to_owned).collect())
}

fn once(slot: &mut Option<String>, name: &str, value: String) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad(format!("`{name}` can be given once only"))),
    }
}

fn yes(name: &str, value: &str) -> Result<bool, Refusal> {
    let wrong = |_| Refusal::bad(format!("`{name}` is true or false"));
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
    use crate::domain::ids::FileId;
    use crate::domain::listing::Key;
    use crate::ledger::Attention;

    #[test]
    fn parameters_become_a_filter() {
        let now = Timestamp(10_000_000);
        let asked = listing(
            "state=failed&state=lost&folder=in&dataset=d&code=413&code=ops1,OPS2&since=1h&name=%2A.pdf&any_case=true&limit=7&sort=size&after=10.3",
            now,
        );
        let asked = asked.unwrap();
        assert_eq!(asked.order.to_string(), "size");
        assert_eq!(asked.after.unwrap().to_string(), "10.3");
        let asked = asked.filter;
        assert_eq!(asked.states, [StateKind::Failed, StateKind::Lost]);
        assert_eq!(asked.folder, Some(FolderName("in".into())));
        assert_eq!(asked.dataset, Some(DatasetName("d".into())));
        assert_eq!(asked.codes, ["HTTP-413", "413", "OPS1", "OPS2"]);
        assert_eq!(asked.since, Some(Timestamp(10_000_000 - 3_600_000)));
        assert_eq!(asked.name.as_deref(), Some("*.pdf"));
        assert_eq!((asked.limit, asked.any_case), (7, true));
        let usual = listing("", now).unwrap();
        assert_eq!((usual.filter.limit, usual.filter.states.len()), (LIMIT, 0));
        assert_eq!((usual.order, usual.after), (Order::default(), None));
        let needy = listing("attention=true", now).unwrap();
        assert!(needy.filter.states.contains(&StateKind::Unsupported));
        assert_eq!(needy.filter.attention, Some(Attention::Needed));
        let both = listing("attention=true&state=lost&state=queued", now).unwrap();
        assert_eq!(both.filter.states, [StateKind::Lost]);
        assert_eq!(both.filter.attention, Some(Attention::Needed));
        let said = listing("acknowledged=true", now).unwrap();
        assert_eq!(said.filter.attention, Some(Attention::Acknowledged));
    }

    #[test]
    fn the_next_page_is_asked_for_as_this_one() {
        let by_name = "name".parse().unwrap();
        let place = Place {
            key: Key::of_name("in", "報告 &.pdf".as_bytes()),
            id: FileId(7),
        };
        let next = next_page(
            "state=failed&after=10.3&state=lost&name=a%26b&sort=name",
            &place,
        );
        assert!(
            next.starts_with("state=failed&state=lost&name=a%26b&sort=name&after="),
            "{next}"
        );
        let next = listing(&next, Timestamp(0)).unwrap();
        assert_eq!((next.order, next.after), (by_name, Some(place)));
        assert_eq!(next.filter.name.as_deref(), Some("a&b"));
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
            "attention=true&state=queued",
            "acknowledged=true&state=succeeded",
            "acknowledged=true&attention=true",
            "attention=perhaps",
            "any_case=perhaps",
            "sort=date",
            "sort=size&sort=name",
            "after=yesterday",
            "sort=name&after=123.3",
            "<script>=1",
        ] {
            let refusal = listing(query, Timestamp(0)).unwrap_err();
            assert_eq!(refusal.status.as_u16(), 400, "{query}");
            assert!(!refusal.error.contains('<'), "{query}");
        }
    }
}
