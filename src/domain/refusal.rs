//! Why a file goes to no import: a word that stays, for scripts, and a sentence
//! for people that says what the file is and what to do.
//!
//! Advice must work: nobody is told to give a file a name under which it is
//! refused as well. Must not: decide whether a file is refused ([`super::media`]
//! does).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kind::Media;

/// Why a file goes to no import, in a word that stays. Scripts see it as
/// `reason_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// It holds nothing to import: no bytes, blanks, a header alone.
    Empty,
    /// Its type is on no list.
    Unlisted,
    /// Its content contradicts its name, and is not taken under its own name.
    WrongName,
    /// Its name has no extension, and its content does not settle what it is.
    Nameless,
    /// It is called a text, and can't be read as one.
    Binary,
    /// It holds a private key.
    PrivateKey,
    /// It can't be opened without a password.
    Locked,
    /// Its end is missing, and no more of it came.
    Cut,
    /// It is called a link, and holds none that can be taken.
    NoLink,
    /// It is larger than `max_size`.
    TooLarge,
    /// The type lists changed after it was sorted.
    ListsChanged,
}

impl ReasonKind {
    /// All of them.
    pub const ALL: [ReasonKind; 11] = [
        ReasonKind::Empty,
        ReasonKind::Unlisted,
        ReasonKind::WrongName,
        ReasonKind::Nameless,
        ReasonKind::Binary,
        ReasonKind::PrivateKey,
        ReasonKind::Locked,
        ReasonKind::Cut,
        ReasonKind::NoLink,
        ReasonKind::TooLarge,
        ReasonKind::ListsChanged,
    ];

    /// The word in the ledger, in JSON and in hooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReasonKind::Empty => "empty",
            ReasonKind::Unlisted => "unlisted",
            ReasonKind::WrongName => "wrong-name",
            ReasonKind::Nameless => "nameless",
            ReasonKind::Binary => "binary",
            ReasonKind::PrivateKey => "private-key",
            ReasonKind::Locked => "locked",
            ReasonKind::Cut => "cut",
            ReasonKind::NoLink => "no-link",
            ReasonKind::TooLarge => "too-large",
            ReasonKind::ListsChanged => "lists-changed",
        }
    }
}

impl fmt::Display for ReasonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReasonKind {
    type Err = UnknownReasonKind;
    fn from_str(text: &str) -> Result<ReasonKind, UnknownReasonKind> {
        ReasonKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownReasonKind(text.to_owned()))
    }
}

/// A word that is no [`ReasonKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reason for which a file is not taken")]
pub struct UnknownReasonKind(pub String);

/// Why a file goes to no import: the word, and the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word that stays.
    pub kind: ReasonKind,
    /// The sentence for people.
    pub why: String,
}

impl Refusal {
    /// With a sentence of the caller's.
    pub fn new(kind: ReasonKind, why: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            why: why.into(),
        }
    }
}

impl From<UnsupportedReason> for Refusal {
    fn from(reason: UnsupportedReason) -> Refusal {
        Refusal::new(reason.kind(), reason.to_string())
    }
}

/// For tests to which the word is all one.
#[cfg(test)]
impl From<&str> for Refusal {
    fn from(why: &str) -> Refusal {
        Refusal::new(ReasonKind::Unlisted, why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What makes a file one that is taken. `Display`: an imperative, without a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Convert it to one of these types.
    Convert(Vec<String>),
    /// Save it as this type, with the program that made it.
    SaveAs(String),
    /// Give it this extension: its content is taken under it.
    Rename(String),
    /// Unpack it.
    Unpack,
    /// Nothing makes it one.
    LeaveOut,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::Convert(to) if to.is_empty() => {
                f.write_str("convert it to a type that is taken")
            }
            Remedy::Convert(to) => write!(f, "convert it to .{}", to.join(" or .")),
            Remedy::SaveAs(to) => write!(f, "save it as .{to}"),
            Remedy::Rename(to) => write!(f, "rename it to .{to}"),
            Remedy::Unpack => f.write_str("unpack it, and drop what is in it"),
            Remedy::LeaveOut => f.write_str("leave it out"),
        }
    }
}

/// Why a file goes nowhere. Its `Display` is a sentence or two for the
/// operator: what the file is, why it is not taken, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsupportedReason {
    /// No bytes.
    Empty,
    /// Bytes without a content: blanks, a header alone.
    Hollow {
        /// What it is.
        what: String,
    },
    /// Its bytes are of a type that no list has.
    NotTaken {
        /// What it is.
        what: String,
        /// What makes it one that is taken.
        remedy: Remedy,
        /// What to add to a list, and to which, if the service takes it.
        add: Option<(String, Media)>,
    },
    /// Its bytes contradict its name, and no list has their own type.
    Mismatch {
        /// What it is.
        what: String,
        /// What its name says.
        extension: String,
        /// What makes it one that is taken.
        remedy: Remedy,
    },
    /// Text under an extension that no list has.
    UnlistedText {
        /// The extension.
        extension: String,
        /// The extension under which it is taken.
        rename: Option<String>,
    },
    /// Called a text, and not readable as one.
    NotReadable {
        /// What its name says.
        extension: String,
        /// The extension under which a text is taken, where that is another.
        rename: Option<String>,
    },
    /// Called `.json`, and it does not begin as JSON does.
    NotJson {
        /// What it is.
        what: String,
    },
    /// A name without an extension, and bytes that don't settle it.
    Nameless {
        /// What it is.
        what: String,
    },
    /// A private key, or a text that holds one.
    PrivateKey,
    /// Only who knows its password can open it.
    Locked {
        /// What it is.
        what: String,
    },
    /// Called a link file, but it holds no link.
    NotALink {
        /// What its name says.
        extension: String,
    },
    /// A link file whose address can't be taken; the text says why.
    BadLink(String),
    /// It stayed incomplete for as long as was waited.
    StillIncomplete {
        /// What it is.
        what: String,
    },
    /// Larger than the folder's `max_size`. Bytes.
    TooLarge {
        /// How large it is.
        size: u64,
        /// How large it may be.
        max: u64,
    },
}

impl UnsupportedReason {
    /// The word that stays.
    pub const fn kind(&self) -> ReasonKind {
        match self {
            Self::Empty | Self::Hollow { .. } => ReasonKind::Empty,
            Self::NotTaken { .. } | Self::UnlistedText { .. } => ReasonKind::Unlisted,
            Self::Mismatch { .. } | Self::NotJson { .. } => ReasonKind::WrongName,
            Self::NotReadable { .. } => ReasonKind::Binary,
            Self::Nameless { .. } => ReasonKind::Nameless,
            Self::PrivateKey => ReasonKind::PrivateKey,
            Self::Locked { .. } => ReasonKind::Locked,
            Self::NotALink { .. } | Self::BadLink(_) => ReasonKind::NoLink,
            Self::StillIncomplete { .. } => ReasonKind::Cut,
            Self::TooLarge { .. } => ReasonKind::TooLarge,
        }
    }
}

impl fmt::Display for UnsupportedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the file is empty, so there is nothing to import; write its content, and it is \
                 looked at again",
            ),
            Self::Hollow { what } => write!(
                f,
                "it is {what}, so there is nothing to import; write its content, and it is looked \
                 at again",
            ),
            Self::NotTaken { what, remedy, add } => {
                write!(
                    f,
                    "it is {what}, and no configured type list takes that; {remedy}"
                )?;
                match (remedy, add) {
                    (_, Some((extension, media))) => write!(
                        f,
                        ", or, if your service takes it, add {extension:?} to the {media} types \
                         in the configuration",
                    ),
                    (Remedy::LeaveOut, None) => Ok(()),
                    (_, None) => f.write_str(", or leave it out"),
                }
            }
            Self::Mismatch {
                what,
                extension,
                remedy: Remedy::LeaveOut,
            } => write!(
                f,
                "its name ends in .{extension}, but its content is {what}; put the right file in \
                 its place",
            ),
            Self::Mismatch {
                what,
                extension,
                remedy,
            } => write!(
                f,
                "its name ends in .{extension}, but its content is {what}; {remedy}, or put the \
                 right file in its place",
            ),
            Self::UnlistedText { extension, rename } => {
                write!(
                    f,
                    "it is text, but .{extension} is on no configured type list; "
                )?;
                if let Some(rename) = rename {
                    write!(f, "rename it to .{rename} or, ")?;
                }
                write!(
                    f,
                    "if your service takes it, add {extension:?} to the text types in the \
                     configuration",
                )
            }
            Self::NotReadable { extension, rename } => {
                write!(
                    f,
                    "its name ends in .{extension}, but it is not readable as text: save it as UTF-8"
                )?;
                match rename {
                    Some(rename) => write!(f, ", under the extension .{rename}"),
                    None => Ok(()),
                }
            }
            Self::NotJson { what } => write!(
                f,
                "its name ends in .json, but its content is {what}, which no JSON begins with; \
                 put the right file in its place",
            ),
            Self::Nameless { what } => write!(
                f,
                "its name has no extension and its content is {what}, so its type is not sure; \
                 add the right extension to its name",
            ),
            Self::PrivateKey => f.write_str(
                "it holds a private key, which is not for a dataset; move it out of the folder",
            ),
            Self::Locked { what } => write!(
                f,
                "it is {what}, and the service can't open it; save it without a password",
            ),
            Self::NotALink { extension } => write!(
                f,
                "its name ends in .{extension}, but it is not a link to a web page; a link file \
                 holds one https:// address",
            ),
            Self::BadLink(why) => write!(f, "its link can't be imported: {why}"),
            Self::StillIncomplete { what } => write!(
                f,
                "it is {what}, and no more of it came; copy the file into the folder again",
            ),
            Self::TooLarge { size, max } => write!(
                f,
                "it is larger than `max_size` ({size} bytes over {max}): split it, or raise \
                 `max_size` and `retry` it",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in ReasonKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("nothing".parse::<ReasonKind>().is_err());
    }
}
