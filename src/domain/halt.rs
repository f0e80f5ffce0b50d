//! Halts: what an operator has paused. Not gates of the error table: no answer
//! closes or opens one, it lets no probe through, and it ends when the operator
//! says so, or at the time that was given with it.
//!
//! A halt holds back uploads that have not begun. What is on the wire goes on,
//! and tasks are followed. Must not: know the ledger, or the clock.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::gate::GateKey;
use super::ids::{DatasetName, FolderName, Route};
use super::media::Media;
use super::time::Timestamp;

/// What is paused, or resumed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HaltScope {
    /// Every upload.
    All,
    /// Uploads to a dataset.
    Dataset(DatasetName),
    /// A folder's files.
    Folder(FolderName),
    /// A folder's files of one media type.
    Route(Route),
}

/// All halts that are on record, those included whose time is over.
pub type Halts = BTreeMap<HaltScope, Halt>;

/// An operator's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// Since when.
    pub since: Timestamp,
    /// It ends by itself then; `None`: when it is resumed.
    pub until: Option<Timestamp>,
    /// Who asked for it; may hold any characters.
    pub who: String,
    /// What for; may hold any characters.
    pub why: Option<String>,
}

impl Halt {
    /// Whether it holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl HaltScope {
    /// Whether everything in the scope `other` is in this one, as far as names
    /// tell: which folders send to a dataset, the configuration knows.
    pub fn covers(&self, other: &HaltScope) -> bool {
        match (self, other) {
            (HaltScope::All, _) => true,
            (HaltScope::Folder(folder), HaltScope::Route(route)) => *folder == route.folder,
            (one, other) => one == other,
        }
    }

    /// The same for the scope of a gate.
    pub fn covers_gate(&self, gate: &GateKey) -> bool {
        match gate {
            GateKey::Service => *self == HaltScope::All,
            GateKey::Dataset(name) => self.covers(&HaltScope::Dataset(name.clone())),
            GateKey::Route(route) => self.covers(&HaltScope::Route(route.clone())),
        }
    }

    /// Whether uploads that pass this gate are in the scope.
    fn holds_back(&self, gate: &GateKey) -> bool {
        match (self, gate) {
            (HaltScope::All, _) => true,
            (HaltScope::Dataset(paused), GateKey::Dataset(dataset)) => paused == dataset,
            (HaltScope::Folder(paused), GateKey::Route(route)) => *paused == route.folder,
            (HaltScope::Route(paused), GateKey::Route(route)) => paused == route,
            _ => false,
        }
    }
}

/// The pauses that hold back a file of this folder, what ends last in front.
/// `media`: that of its import; of a file that is not sorted, no pause of a route
/// counts.
pub fn holding<'h>(
    halts: &'h Halts,
    folder: &FolderName,
    dataset: &DatasetName,
    media: Option<Media>,
    now: Timestamp,
) -> Vec<(&'h HaltScope, &'h Halt)> {
    let here = |scope: &HaltScope| match scope {
        HaltScope::All => true,
        HaltScope::Dataset(paused) => paused == dataset,
        HaltScope::Folder(paused) => paused == folder,
        HaltScope::Route(paused) => paused.folder == *folder && Some(paused.media) == media,
    };
    let mut all: Vec<_> = halts
        .iter()
        .filter(|(scope, halt)| halt.holds(now) && here(scope))
        .collect();
    // Without an end is later than any end.
    all.sort_by_key(|(_, halt)| Reverse(halt.until.map_or(i64::MAX, |until| until.0)));
    all
}

/// Whether an upload on this way is paused by an operator: until the last of
/// the halts ends; `Some(None)`: until it is resumed.
pub fn halted(way: &[GateKey; 3], halts: &Halts, now: Timestamp) -> Option<Option<Timestamp>> {
    let here = halts
        .iter()
        .filter(|(scope, halt)| halt.holds(now) && way.iter().any(|gate| scope.holds_back(gate)))
        .map(|(_, halt)| halt.until);
    // Without an end is later than any end.
    here.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)))
}

impl fmt::Display for HaltScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HaltScope::All => f.write_str("all"),
            HaltScope::Dataset(name) => write!(f, "dataset:{name}"),
            HaltScope::Folder(name) => write!(f, "folder:{name}"),
            HaltScope::Route(route) => write!(f, "route:{route}"),
        }
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "say `all`, `dataset:NAME`, `folder:NAME` or `route:FOLDER/MEDIA` (media: text, image, audio, video, web)"
)]
pub struct NoScope;

impl FromStr for HaltScope {
    type Err = NoScope;

    /// Names hold no `/`, so that what `Display` joins comes apart again.
    fn from_str(text: &str) -> Result<HaltScope, NoScope> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned()).ok_or(NoScope);
        match text.split_once(':') {
            None if text == "all" => Ok(HaltScope::All),
            Some(("dataset", name)) => Ok(HaltScope::Dataset(DatasetName(named(name)?))),
            Some(("folder", name)) => Ok(HaltScope::Folder(FolderName(named(name)?))),
            Some(("route", route)) => {
                let (folder, media) = route.rsplit_once('/').ok_or(NoScope)?;
                Ok(HaltScope::Route(Route {
                    folder: FolderName(named(folder)?),
                    media: media.parse().map_err(|_| NoScope)?,
                }))
            }
            _ => Err(NoScope),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::admit::{Admit, admit_upload, way};
    use std::collections::HashSet;

    fn scope(text: &str) -> HaltScope {
        text.parse().unwrap()
    }

    /// Scopes, and until when each is paused.
    type Of = &'static [(&'static str, Option<i64>)];

    fn halts(of: Of) -> Halts {
        let halt = |until: Option<i64>| Halt {
            since: Timestamp(0),
            until: until.map(Timestamp),
            who: "anna".into(),
            why: None,
        };
        of.iter()
            .map(|(s, until)| (scope(s), halt(*until)))
            .collect()
    }

    #[test]
    fn a_scope_is_spelt_one_way() {
        for text in ["all", "dataset:books", "folder:scans", "route:scans/text"] {
            assert_eq!(scope(text).to_string(), text);
        }
        for text in [
            "",
            "everything",
            "dataset:",
            "folder:",
            "route:scans",
            "route:/text",
            "route:a/b",
        ] {
            assert_eq!(text.parse::<HaltScope>(), Err(NoScope), "{text}");
        }
    }

    #[test]
    fn what_is_paused_waits_and_nothing_else() {
        let route = Route {
            folder: FolderName("scans".into()),
            media: Media::Text,
        };
        let way = way(&route, &DatasetName("books".into()));
        #[rustfmt::skip]
        let table: [(Of, Admit); 11] = [
            (&[], Admit::Go),
            (&[("all", None)], Admit::Halted(None)),
            (&[("dataset:books", None)], Admit::Halted(None)),
            (&[("dataset:other", None)], Admit::Go),
            (&[("folder:scans", Some(200))], Admit::Halted(Some(Timestamp(200)))),
            (&[("folder:other", None), ("route:other/text", None)], Admit::Go),
            (&[("route:scans/text", None)], Admit::Halted(None)),
            (&[("route:scans/image", None)], Admit::Go),
            (&[("folder:scans", Some(100))], Admit::Go),
            (&[("folder:scans", Some(200)), ("all", Some(300))], Admit::Halted(Some(Timestamp(300)))),
            (&[("folder:scans", Some(200)), ("all", None)], Admit::Halted(None)),
        ];
        for (of, expected) in table {
            let said = admit_upload(
                &way,
                &BTreeMap::new(),
                &halts(of),
                &HashSet::new(),
                Timestamp(100),
            );
            assert_eq!(said, expected, "{of:?}");
            // What is told of a file is what holds it.
            let (of, folder) = (halts(of), &route.folder);
            let told = holding(
                &of,
                folder,
                &DatasetName("books".into()),
                Some(Media::Text),
                Timestamp(100),
            );
            let told = told.first().map(|(_, halt)| halt.until);
            let held = match said {
                Admit::Halted(until) => Some(until),
                _ => None,
            };
            assert_eq!(told, held, "{of:?}");
        }
    }

    #[test]
    fn a_scope_covers_what_lies_within() {
        #[rustfmt::skip]
        let table = [
            ("all", "dataset:a", true), ("all", "all", true), ("folder:a", "route:a/text", true),
            ("folder:a", "route:b/text", false), ("folder:a", "all", false),
            ("route:a/text", "folder:a", false), ("dataset:a", "folder:a", false),
        ];
        for (one, other, covers) in table {
            assert_eq!(scope(one).covers(&scope(other)), covers, "{one} {other}");
        }
        let gate = GateKey::Dataset(DatasetName("a".into()));
        assert!(scope("all").covers_gate(&gate) && scope("dataset:a").covers_gate(&gate));
        assert!(!scope("folder:a").covers_gate(&gate));
        assert!(!scope("dataset:a").covers_gate(&GateKey::Service));
    }
}
