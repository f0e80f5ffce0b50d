//! The five imports of the service, and how a file is sorted to one of them.
//!
//! The decision is pure: what the content is (found by the `media` adapter),
//! what the name says, and the configured type lists go in; a [`Sorted`] comes
//! out. Must not: read files, or know a library's type names.

use std::collections::BTreeMap;
use std::fmt;

pub use super::content::{Content, LinkKind, Named, Nature, TextEncoding, TextKind, nature};
pub use super::kind::{Media, UnknownMedia};

/// Which file name extensions each import takes: lower case, no dot. The
/// defaults are what the service documents; the configuration extends them.
pub type TypeLists = BTreeMap<Media, Vec<String>>;

/// The types that the service documents today. (`.mpv` is spelt so in its
/// guide.)
pub fn default_lists() -> TypeLists {
    let list = |types: &[&str]| types.iter().map(|t| (*t).to_owned()).collect();
    BTreeMap::from([
        (Media::Text, list(&["docx", "pdf", "txt", "md", "json"])),
        (Media::Image, list(&["jpg", "jpeg", "png"])),
        (Media::Audio, list(&["mp3", "wav"])),
        (Media::Video, list(&["mp4", "mov", "mpv"])),
        (Media::Web, list(&["url", "webloc", "desktop"])),
    ])
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sorted {
    /// To an import of the service.
    Route {
        /// Which one.
        media: Media,
        /// The name's extension is not what the service expects for these
        /// bytes: upload under the name with this one *appended*
        /// (`photo.jpg` holding a PNG → `photo.jpg.png`; appended and not
        /// replaced, so that the operator still finds the file by its name).
        extension_fix: Option<&'static str>,
    },
    /// Nowhere, for good: no request is made.
    Unsupported(UnsupportedReason),
    /// Nowhere yet: the end of the file seems to be missing. Wait for it; when
    /// it does not come, give up with [`still_incomplete`].
    Incomplete,
}

/// Why a file goes nowhere. Its `Display` is a sentence or two for the
/// operator: what the file is, why it is not taken, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsupportedReason {
    /// No bytes.
    Empty,
    /// Its bytes are of a type that no list has.
    NotTaken {
        /// What it is.
        what: String,
        /// What to add to a list, and to which, if the service takes it.
        add: Option<(String, Media)>,
    },
    /// Its bytes contradict its name, and no list has their own type.
    Mismatch {
        /// What it is.
        what: String,
        /// What its name says.
        extension: String,
    },
    /// Text under an extension that no list has.
    UnlistedText {
        /// The extension.
        extension: String,
    },
    /// A name without an extension, and bytes that don't settle it.
    Nameless {
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
}

impl fmt::Display for UnsupportedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "the file is empty, so there is nothing to import; write its content, and it is \
                 looked at again",
            ),
            Self::NotTaken { what, add } => {
                write!(f, "it is {what}, and no configured type list takes that; ")?;
                match add {
                    Some((extension, media)) => write!(
                        f,
                        "convert it, or, if your service takes it, add {extension:?} to the \
                         {media} types in the configuration",
                    ),
                    None => {
                        f.write_str("convert or unpack it to a type that is taken, or leave it out")
                    }
                }
            }
            Self::Mismatch { what, extension } => write!(
                f,
                "its name ends in .{extension}, but its content is {what}; give it the name it \
                 should have, or put the right file in its place",
            ),
            Self::UnlistedText { extension } => write!(
                f,
                "it is text, but .{extension} is on no configured type list; rename it to .txt \
                 or, if your service takes it, add {extension:?} to the text types in the \
                 configuration",
            ),
            Self::Nameless { what } => write!(
                f,
                "its name has no extension and its content is {what}, so its type is not sure; \
                 add the right extension to its name",
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
        }
    }
}

/// What to say when a file that was [`Sorted::Incomplete`] stayed so.
pub fn still_incomplete(content: &Content) -> UnsupportedReason {
    UnsupportedReason::StillIncomplete {
        what: content.what().into_owned(),
    }
}

/// The extension of a file name, lower case: what follows the last dot, if
/// that is 1 to 16 ASCII letters and digits with at least one letter, and if
/// something stands before the dot (so `.profile`, `notes 1.2` and `a.b c`
/// have none).
pub fn extension(name: &[u8]) -> Option<String> {
    let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0)?;
    let rest = name.get(dot + 1..)?;
    let fits = (1..=16).contains(&rest.len())
        && rest.iter().all(u8::is_ascii_alphanumeric)
        && rest.iter().any(u8::is_ascii_alphabetic);
    fits.then(|| String::from_utf8_lossy(rest).to_ascii_lowercase())
}

/// Sorts one file: what it holds, what it is called, what the lists take.
///
/// - Bytes that are surely of one type win over the name. If the service can
///   have them under their own extension, they go there with a fixed name.
/// - Text never wins over a name: its type is told by the extension alone.
///   With no extension at all, clear plain text goes as `.txt`.
/// - An extension that the operator lists and that nothing is known about here
///   is believed, unless the bytes are surely of another media type.
pub fn sort(content: &Content, name: &[u8], lists: &TypeLists) -> Sorted {
    let extension = extension(name);
    let ext = extension.as_deref();
    match content {
        Content::Empty => Sorted::Unsupported(UnsupportedReason::Empty),
        Content::Text { kind, encoding } => sort_text(content, *kind, *encoding, ext, lists),
        Content::Link(kind) => sort_link(content, *kind, ext, lists),
        Content::IncompleteZip | Content::IncompleteMovie => match ext {
            // Under a name that could be right once the rest is there.
            Some(e) if content.may_carry(e) && listed(lists, e, None).is_some() => {
                Sorted::Incomplete
            }
            _ => refuse(content, ext),
        },
        Content::Other { .. } | Content::Unknown => match ext {
            Some(e) if nature(e) == Nature::Unheard || content.may_carry(e) => {
                match listed(lists, e, content.sure_media()) {
                    Some(media) => as_is(media),
                    None => refuse(content, ext),
                }
            }
            _ => refuse(content, ext),
        },
        _ => sort_sure(content, ext, lists),
    }
}

const fn as_is(media: Media) -> Sorted {
    Sorted::Route {
        media,
        extension_fix: None,
    }
}

/// The list that has `extension`, `preferred` first. `Web` only counts for
/// links: nothing else can be sent there.
fn listed(lists: &TypeLists, extension: &str, preferred: Option<Media>) -> Option<Media> {
    preferred
        .into_iter()
        .chain(Media::ALL)
        .find(|m| *m != Media::Web && has(lists, *m, extension))
}

fn has(lists: &TypeLists, media: Media, extension: &str) -> bool {
    lists
        .get(&media)
        .is_some_and(|list| list.iter().any(|e| e.eq_ignore_ascii_case(extension)))
}

/// Bytes of one sure format.
fn sort_sure(content: &Content, ext: Option<&str>, lists: &TypeLists) -> Sorted {
    let sure = content.sure_media();
    if let Some(e) = ext {
        if content.may_carry(e)
            && !is_locked(content)
            && let Some(media) = listed(lists, e, sure)
        {
            return as_is(media);
        }
        // The operator's own extension for this media type: not contradicting.
        if nature(e) == Nature::Unheard
            && let Some(media) = sure
            && has(lists, media, e)
        {
            return as_is(media);
        }
    }
    let own = sure.filter(|_| !is_locked(content)).and_then(|media| {
        let fix = content.extensions().iter().find(|e| has(lists, media, e))?;
        Some((media, *fix))
    });
    match own {
        Some((media, fix)) => Sorted::Route {
            media,
            extension_fix: Some(fix),
        },
        None => refuse(content, ext),
    }
}

/// A locked document has the right name, but nobody can read it.
fn is_locked(content: &Content) -> bool {
    *content == Content::LOCKED_OFFICE
}

fn sort_text(
    content: &Content,
    kind: TextKind,
    encoding: TextEncoding,
    ext: Option<&str>,
    lists: &TypeLists,
) -> Sorted {
    let Some(e) = ext else {
        // A guess only where nothing is lost by it.
        let clear = kind == TextKind::Plain && encoding != TextEncoding::Legacy;
        return if clear && has(lists, Media::Text, "txt") {
            Sorted::Route {
                media: Media::Text,
                extension_fix: Some("txt"),
            }
        } else {
            refuse(content, None)
        };
    };
    match (nature(e), listed(lists, e, Some(Media::Text))) {
        (Nature::Textual | Nature::Unheard, Some(media)) => as_is(media),
        (Nature::Textual | Nature::Unheard, None) => {
            Sorted::Unsupported(UnsupportedReason::UnlistedText {
                extension: e.to_owned(),
            })
        }
        (Nature::Link, _) => Sorted::Unsupported(UnsupportedReason::NotALink {
            extension: e.to_owned(),
        }),
        (Nature::Binary, _) => refuse(content, ext),
    }
}

fn sort_link(content: &Content, kind: LinkKind, ext: Option<&str>, lists: &TypeLists) -> Sorted {
    let own = content
        .extensions()
        .iter()
        .any(|e| has(lists, Media::Web, e));
    match ext {
        Some(e) if has(lists, Media::Web, e) => as_is(Media::Web),
        None if own => as_is(Media::Web),
        // `notes.txt` that happens to hold an INI file is a text.
        Some(e) if nature(e) != Nature::Link && kind != LinkKind::WeblocBinary => sort_text(
            &Content::PLAIN,
            TextKind::Plain,
            TextEncoding::Utf8,
            Some(e),
            lists,
        ),
        _ => refuse(content, ext),
    }
}

/// Why this content under this extension is not taken.
fn refuse(content: &Content, ext: Option<&str>) -> Sorted {
    let what = content.what().into_owned();
    let usual = || match content {
        Content::Other { extension, .. } => Some(extension.as_str()),
        _ => content.extensions().first().copied(),
    };
    Sorted::Unsupported(match ext {
        Some(e) if nature(e) == Nature::Link && !matches!(content, Content::Link(_)) => {
            UnsupportedReason::NotALink {
                extension: e.to_owned(),
            }
        }
        // Right name and wrong bytes: say so. An unheard extension promises
        // nothing, so there is nothing to contradict.
        Some(e) if nature(e) != Nature::Unheard && !content.may_carry(e) => {
            UnsupportedReason::Mismatch {
                what,
                extension: e.to_owned(),
            }
        }
        None if matches!(content, Content::Text { .. } | Content::Unknown) => {
            UnsupportedReason::Nameless { what }
        }
        _ => {
            let add = match content {
                Content::Unknown => ext.map(|e| (e, Media::Text)),
                // Programs and half files are never worth adding.
                Content::Executable | Content::IncompleteZip | Content::IncompleteMovie => None,
                c if is_locked(c) => None,
                _ => content
                    .sure_media()
                    .and_then(|m| Some((ext.filter(|e| content.may_carry(e)).or(usual())?, m))),
            };
            UnsupportedReason::NotTaken {
                what,
                add: add.map(|(e, m)| (e.to_owned(), m)),
            }
        }
    })
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
