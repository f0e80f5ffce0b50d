//! How a file that came to a bad end stops needing a person: somebody has
//! acknowledged it, a newer version of its path came to a good end, its source is
//! gone, or the configuration excludes its name by now.
//!
//! The state stays what it is, and what is known of the content with it.
//! Must not: change a state (that is `lifecycle`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::FileId;
use super::naming::shown_text;
use super::state::StateKind;
use super::time::Timestamp;

/// That a file needs nobody any more, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// When.
    pub at: Timestamp,
    /// How.
    pub how: Resolution,
}

/// How a file's need of attention ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Somebody says that nothing is to be done about it.
    Acknowledged {
        /// Who says so; may hold any characters.
        who: String,
        /// Why; may hold any characters.
        why: Option<String>,
    },
    /// This newer version of its path came to a good end.
    NewerVersion(FileId),
    /// Its source is not there any more.
    SourceGone,
    /// The configuration excludes its name by now.
    Excluded,
}

/// The name of a [`Resolution`], without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "each is documented at the resolution of its name"
)]
pub enum ResolutionKind {
    Acknowledged,
    NewerVersion,
    SourceGone,
    Excluded,
}

impl ResolutionKind {
    /// All of them.
    pub const ALL: [ResolutionKind; 4] = [
        ResolutionKind::Acknowledged,
        ResolutionKind::NewerVersion,
        ResolutionKind::SourceGone,
        ResolutionKind::Excluded,
    ];

    /// The word in the ledger and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResolutionKind::Acknowledged => "acknowledged",
            ResolutionKind::NewerVersion => "newer-version",
            ResolutionKind::SourceGone => "source-gone",
            ResolutionKind::Excluded => "excluded",
        }
    }
}

impl fmt::Display for ResolutionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ResolutionKind {
    type Err = UnknownResolution;
    fn from_str(text: &str) -> Result<ResolutionKind, UnknownResolution> {
        ResolutionKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownResolution(text.to_owned()))
    }
}

/// A word that names no resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way in which a file stops needing attention")]
pub struct UnknownResolution(pub String);

impl Resolution {
    /// Its name.
    pub const fn kind(&self) -> ResolutionKind {
        match self {
            Resolution::Acknowledged { .. } => ResolutionKind::Acknowledged,
            Resolution::NewerVersion(_) => ResolutionKind::NewerVersion,
            Resolution::SourceGone => ResolutionKind::SourceGone,
            Resolution::Excluded => ResolutionKind::Excluded,
        }
    }

    /// Whether a file in `state` can be resolved so.
    pub const fn fits(&self, state: StateKind) -> bool {
        match self {
            // The task may be in a state that is not documented.
            Resolution::Acknowledged { .. } => {
                state.needs_attention() || matches!(state, StateKind::Submitted)
            }
            Resolution::NewerVersion(_) | Resolution::SourceGone => state.needs_attention(),
            // What may be at the service is looked for there, whatever its name.
            Resolution::Excluded => {
                matches!(state, StateKind::Unsupported | StateKind::Rejected)
            }
        }
    }
}

/// In words, harmless, to follow the name of the state.
impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resolution::Acknowledged { who, why } => {
                write!(f, "acknowledged by {}", shown_text(who, 60))?;
                match why {
                    Some(why) => write!(f, ": {}", shown_text(why, 300)),
                    None => Ok(()),
                }
            }
            Resolution::NewerVersion(by) => {
                write!(f, "a newer version of its path came to a good end, id {by}")
            }
            Resolution::SourceGone => f.write_str("its source is not there any more"),
            Resolution::Excluded => f.write_str("the configuration excludes its name by now"),
        }
    }
}

/// What becomes of a resolved file whose source is seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReturn {
    /// It is sent: whoever puts it back wants it tried again.
    Retry,
    /// It needs attention again: the service may have it already.
    NeedsAttention,
}

/// What becomes of a file in `state` whose source had gone, or was excluded, and
/// is seen again.
pub const fn on_return(state: StateKind) -> OnReturn {
    match state {
        StateKind::Unsupported | StateKind::Rejected => OnReturn::Retry,
        _ => OnReturn::NeedsAttention,
    }
}

/// Whether this end is one after which earlier versions of the same path need
/// nobody any more. `imported`: of a duplicate, whether its original was.
pub const fn is_good_end(state: StateKind, imported: bool) -> bool {
    match state {
        StateKind::Succeeded => true,
        StateKind::Duplicate => imported,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in ResolutionKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("done".parse::<ResolutionKind>().is_err());
    }

    #[test]
    fn what_may_be_at_the_service_is_resolved_by_no_pattern() {
        let acknowledged = Resolution::Acknowledged {
            who: "anna".into(),
            why: None,
        };
        for state in StateKind::ALL {
            let needs = state.needs_attention();
            let submitted = state == StateKind::Submitted;
            assert_eq!(acknowledged.fits(state), needs || submitted, "{state}");
            assert_eq!(Resolution::SourceGone.fits(state), needs, "{state}");
            assert_eq!(Resolution::NewerVersion(FileId(1)).fits(state), needs);
            let local = matches!(state, StateKind::Unsupported | StateKind::Rejected);
            assert_eq!(Resolution::Excluded.fits(state), local, "{state}");
            assert_eq!(on_return(state) == OnReturn::Retry, local, "{state}");
        }
    }

    #[test]
    fn words_of_people_are_made_harmless() {
        let how = Resolution::Acknowledged {
            who: "an\u{1b}na".into(),
            why: Some("no\u{202e}ted".into()),
        };
        let said = how.to_string();
        assert!(said.starts_with("acknowledged by an"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
    }
}
