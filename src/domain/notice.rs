//! What a hook is told of, who is told, and how often it is tried.
//!
//! Must not: tell anybody, or know what a hook does.

use std::collections::BTreeSet;
use std::time::Duration;

use super::gate::GateKey;
use super::ids::{DatasetName, FolderName};
use super::state::StateKind;

/// Something that a hook can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Occasion {
    /// A file has come to this end, one of [`StateKind::is_final`].
    Ended(StateKind),
    /// A gate on the way of the folder's files has closed.
    Paused,
}

/// The word for every end that needs attention.
const ATTENTION: &str = "attention";

impl Occasion {
    /// Every occasion: the ends in the order of a file's way, then the pause.
    pub fn all() -> impl Iterator<Item = Occasion> {
        let ends = StateKind::ALL.into_iter().filter(|kind| kind.is_final());
        ends.map(Occasion::Ended).chain([Occasion::Paused])
    }

    /// The name used in the configuration, the ledger and for the hook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Occasion::Ended(kind) => kind.as_str(),
            Occasion::Paused => "paused",
        }
    }

    /// The occasion of this name.
    pub fn of(name: &str) -> Option<Occasion> {
        Occasion::all().find(|occasion| occasion.as_str() == name)
    }

    /// What a word of the configuration means: an occasion, or `attention`
    /// for all ends that need it. `None`: it is no such word.
    pub fn meant_by(word: &str) -> Option<Vec<Occasion>> {
        if word == ATTENTION {
            let needy = |o: &Occasion| matches!(o, Occasion::Ended(kind) if kind.needs_attention());
            return Some(Occasion::all().filter(needy).collect());
        }
        Occasion::of(word).map(|occasion| vec![occasion])
    }

    /// All words that [`Occasion::meant_by`] knows.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Occasion::all().map(Occasion::as_str).chain([ATTENTION])
    }
}

/// What a hook of a folder is called: its configured name, or its number there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HookName(pub String);

/// Somebody who is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Whose files.
    pub folder: FolderName,
    /// Where they go.
    pub dataset: DatasetName,
    /// The hook.
    pub hook: HookName,
    /// What of.
    pub on: BTreeSet<Occasion>,
}

impl Listener {
    /// Whether it is told that a file of this folder has come to this end.
    pub fn hears_of(&self, folder: &FolderName, end: StateKind) -> bool {
        self.folder == *folder && self.on.contains(&Occasion::Ended(end))
    }

    /// Whether it is told that this gate has closed: only if it is on the way
    /// of the folder's files.
    pub fn hears_of_pause(&self, gate: &GateKey) -> bool {
        let on_the_way = match gate {
            GateKey::Service => true,
            GateKey::Dataset(name) => *name == self.dataset,
            GateKey::Route(route) => route.folder == self.folder,
        };
        on_the_way && self.on.contains(&Occasion::Paused)
    }
}

/// The waits between one try and the next.
const WAITS: [Duration; 4] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];

/// How often a notice is tried, at most.
pub const MOST_TRIES: usize = WAITS.len() + 1;

/// How long to wait after so many tries (from 1) that failed; `None`: it is
/// given up. `chance` in `0.0..1.0` adds up to a quarter, so that what failed
/// together is not all tried together.
pub fn again_after(tries: u32, chance: f64) -> Option<Duration> {
    let at = usize::try_from(tries).ok()?.checked_sub(1)?;
    let wait = WAITS.get(at)?;
    Some(wait.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 4.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::ids::Route;
    use crate::domain::media::Media;

    #[test]
    fn every_end_and_the_pause_have_a_word_and_nothing_under_way_has() {
        let words: Vec<_> = Occasion::words().collect();
        for kind in StateKind::ALL {
            assert_eq!(words.contains(&kind.as_str()), kind.is_final(), "{kind}");
        }
        assert!(words.contains(&"paused") && words.contains(&"attention"));
        for word in words {
            assert!(!Occasion::meant_by(word).unwrap().is_empty(), "{word}");
        }
        for word in ["queued", "Succeeded", "", "all"] {
            assert_eq!(Occasion::meant_by(word), None, "{word}");
        }
        let needy = Occasion::meant_by("attention").unwrap();
        assert!(needy.contains(&Occasion::Ended(StateKind::Lost)));
        assert!(!needy.contains(&Occasion::Ended(StateKind::Gone)));
    }

    #[test]
    fn a_pause_is_told_to_those_whose_way_it_is_on() {
        let listener = Listener {
            folder: FolderName("a".into()),
            dataset: DatasetName("d".into()),
            hook: HookName("1".into()),
            on: BTreeSet::from([Occasion::Paused]),
        };
        let route = |folder: &str| {
            GateKey::Route(Route {
                folder: FolderName(folder.into()),
                media: Media::Text,
            })
        };
        for (gate, told) in [
            (GateKey::Service, true),
            (GateKey::Dataset(DatasetName("d".into())), true),
            (GateKey::Dataset(DatasetName("e".into())), false),
            (route("a"), true),
            (route("b"), false),
        ] {
            assert_eq!(listener.hears_of_pause(&gate), told, "{gate}");
        }
        assert!(!listener.hears_of(&listener.folder, StateKind::Failed));
    }

    #[test]
    fn a_few_tries_further_and_further_apart() {
        let mut before = Duration::ZERO;
        for tries in 1..MOST_TRIES {
            let tries = u32::try_from(tries).unwrap();
            let wait = again_after(tries, 0.0).unwrap();
            assert!(wait > before, "{tries}");
            assert!(again_after(tries, 0.99).unwrap() < wait * 2);
            before = wait;
        }
        assert_eq!(again_after(5, 0.5), None);
        assert_eq!(again_after(0, 0.5), None);
    }
}
