//! The five imports of the service, and how a file is sorted to one of them.
//!
//! The decision is pure: what the content is (found by the `media` adapter),
//! what the name says, and the configured type lists go in; a [`Sorted`] comes
//! out. Must not: read files, or know a library's type names.

use std::collections::BTreeMap;

pub use super::content::{
    Content, Hollow, LinkKind, Named, Nature, TextEncoding, TextKind, nature,
};
pub use super::kind::{Media, UnknownMedia};
pub use super::refusal::{ReasonKind, Refusal, Remedy, UnsupportedReason};

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
        extension_fix: Option<String>,
    },
    /// Nowhere, for good: no request is made.
    Unsupported(UnsupportedReason),
    /// Nowhere yet: the end of the file seems to be missing. Wait for it; when
    /// it does not come, give up with [`still_incomplete`].
    Incomplete,
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

/// Words that people and programs put behind an extension: of a rotation, of an
/// older version, of an environment.
const SUFFIX_WORDS: &[&str] = &[
    "old",
    "bak",
    "backup",
    "orig",
    "original",
    "save",
    "saved",
    "copy",
    "new",
    "prev",
    "previous",
    "prod",
    "production",
    "live",
    "dev",
    "development",
    "test",
    "testing",
    "qa",
    "uat",
    "stage",
    "staging",
    "local",
    "sample",
    "example",
    "dist",
    "default",
    "template",
    "disabled",
];

/// `name` without one suffix of rotation: `.1`, `-20240101`, `_old`, `.bak`.
/// `None`: it has none.
fn without_suffix(name: &[u8]) -> Option<&[u8]> {
    let is_suffix = |word: &[u8]| {
        let digits = (1..=14).contains(&word.len()) && word.iter().all(u8::is_ascii_digit);
        digits
            || SUFFIX_WORDS
                .iter()
                .any(|w| word.eq_ignore_ascii_case(w.as_bytes()))
    };
    let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0)?;
    let last = name.get(dot + 1..)?;
    if is_suffix(last) {
        return name.get(..dot);
    }
    let dash = last.iter().rposition(|b| matches!(b, b'-' | b'_'))?;
    let word = last.get(dash + 1..)?;
    (dash > 0 && is_suffix(word)).then_some(name.get(..dot + 1 + dash)?)
}

/// The extension by which a name is judged, and whether something stands behind
/// it: `access.log.1` and `data.csv_old` are judged as `access.log` and `data.csv`
/// are. `is_listed` says of an extension that it is taken as it is.
fn judged_extension(name: &[u8], is_listed: impl Fn(&str) -> bool) -> (Option<String>, bool) {
    let own = extension(name);
    if own
        .as_deref()
        .is_some_and(|e| nature(e) != Nature::Unheard || is_listed(e))
    {
        return (own, false);
    }
    let mut rest = name;
    while let Some(shorter) = without_suffix(rest) {
        rest = shorter;
        if let Some(found) = extension(rest)
            && without_suffix(rest).is_none()
        {
            return (Some(found), true);
        }
    }
    (own, false)
}

/// Whether a name promises a text: such a file is read with more patience than
/// one whose name says nothing.
pub fn promises_text(name: &[u8]) -> bool {
    let (extension, _) = judged_extension(name, |_| false);
    extension.is_some_and(|e| nature(&e) == Nature::Textual)
}

/// Sorts one file: what it holds, what it is called, what the lists take.
///
/// - Bytes that are surely of one type win over the name. If the service can
///   have them under their own extension, they go there with a fixed name.
/// - Text never wins over a name: its type is told by the extension alone.
///   With no extension at all, clear plain text goes as `.txt`.
/// - An extension that the operator lists and that nothing is known about here
///   is believed, unless the bytes are surely of another media type.
/// - An extension that no list has is judged without suffixes of rotation.
pub fn sort(content: &Content, name: &[u8], lists: &TypeLists) -> Sorted {
    let is_listed = |e: &str| Media::ALL.into_iter().any(|media| has(lists, media, e));
    let (extension, is_suffixed) = judged_extension(name, is_listed);
    match sort_as(content, extension.as_deref(), lists) {
        // Sent under a name that ends as it was judged.
        Sorted::Route {
            media,
            extension_fix: None,
        } if is_suffixed && media != Media::Web => Sorted::Route {
            media,
            extension_fix: extension,
        },
        sorted => sorted,
    }
}

fn sort_as(content: &Content, ext: Option<&str>, lists: &TypeLists) -> Sorted {
    match content {
        Content::Empty => Sorted::Unsupported(UnsupportedReason::Empty),
        Content::Hollow(hollow) => hollow_is(*hollow),
        Content::Text { kind, encoding } => sort_text(content, *kind, *encoding, ext, lists),
        Content::Link(kind) => sort_link(content, *kind, ext, lists),
        Content::IncompleteZip | Content::IncompleteMovie => match ext {
            // Under a name that could be right once the rest is there.
            Some(e) if content.may_carry(e) && listed(lists, e, None).is_some() => {
                Sorted::Incomplete
            }
            _ => refuse(content, ext, lists),
        },
        Content::Other { .. } | Content::Unknown => match ext {
            Some(e) if nature(e) == Nature::Unheard || content.may_carry(e) => {
                match listed(lists, e, content.sure_media()) {
                    Some(media) => as_is(media),
                    None => refuse(content, ext, lists),
                }
            }
            _ => refuse(content, ext, lists),
        },
        _ => sort_sure(content, ext, lists),
    }
}

fn hollow_is(hollow: Hollow) -> Sorted {
    Sorted::Unsupported(UnsupportedReason::Hollow {
        what: hollow.what().to_owned(),
    })
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
    if is_locked(content) {
        return Sorted::Unsupported(UnsupportedReason::Locked {
            what: content.what().into_owned(),
        });
    }
    if let Some(e) = ext {
        if content.may_carry(e)
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
    let own = sure.and_then(|media| {
        let fix = content.extensions().iter().find(|e| has(lists, media, e))?;
        Some((media, *fix))
    });
    match own {
        Some((media, fix)) => Sorted::Route {
            media,
            extension_fix: Some(fix.to_owned()),
        },
        None => refuse(content, ext, lists),
    }
}

/// A locked document may have the right name, but nobody can read it.
fn is_locked(content: &Content) -> bool {
    *content == Content::LOCKED_OFFICE || *content == Content::LOCKED_PDF
}

fn sort_text(
    content: &Content,
    kind: TextKind,
    encoding: TextEncoding,
    ext: Option<&str>,
    lists: &TypeLists,
) -> Sorted {
    if kind == TextKind::PrivateKey {
        return Sorted::Unsupported(UnsupportedReason::PrivateKey);
    }
    let Some(e) = ext else {
        // A guess only where nothing is lost by it.
        let plain = matches!(kind, TextKind::Plain | TextKind::Json | TextKind::EmptyJson);
        return if plain && encoding != TextEncoding::Legacy && has(lists, Media::Text, "txt") {
            Sorted::Route {
                media: Media::Text,
                extension_fix: Some("txt".to_owned()),
            }
        } else {
            refuse(content, None, lists)
        };
    };
    match (nature(e), listed(lists, e, Some(Media::Text))) {
        (_, Some(_)) if e == "json" && kind == TextKind::EmptyJson => hollow_is(Hollow::Json),
        (_, Some(_)) if e == "json" && kind != TextKind::Json => {
            Sorted::Unsupported(UnsupportedReason::NotJson {
                what: content.what().into_owned(),
            })
        }
        (Nature::Textual | Nature::Unheard, Some(media)) => as_is(media),
        (Nature::Textual | Nature::Unheard, None) => {
            Sorted::Unsupported(UnsupportedReason::UnlistedText {
                extension: e.to_owned(),
                rename: text_extension(e, lists),
            })
        }
        (Nature::Link, _) => Sorted::Unsupported(UnsupportedReason::NotALink {
            extension: e.to_owned(),
        }),
        (Nature::Binary, _) => refuse(content, ext, lists),
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
        _ => refuse(content, ext, lists),
    }
}

/// The extension under which a text called `….extension` is taken: Markdown by its
/// other names is Markdown, everything else is plain text.
fn text_extension(extension: &str, lists: &TypeLists) -> Option<String> {
    let own = match extension {
        "markdown" | "mdown" | "mkd" | "mdwn" => "md",
        _ => "txt",
    };
    [own, "txt", "md"]
        .into_iter()
        .find(|e| *e != extension && has(lists, Media::Text, e))
        .map(str::to_owned)
}

/// What makes a file of this content one that is taken.
fn remedy(content: &Content, lists: &TypeLists) -> Remedy {
    let to = |media: Media, usual: &[&str]| {
        let listed = usual.iter().filter(|e| has(lists, media, e));
        Remedy::Convert(listed.map(|e| (*e).to_owned()).collect())
    };
    match content {
        Content::Text { .. } => text_extension("", lists).map_or(Remedy::LeaveOut, Remedy::Rename),
        c if *c == Content::DOCM || *c == Content::DOTX => {
            if has(lists, Media::Text, "docx") {
                Remedy::SaveAs("docx".to_owned())
            } else {
                to(Media::Text, &["pdf"])
            }
        }
        c if *c == Content::THREE_GP && has(lists, Media::Video, "mp4") => {
            Remedy::Rename("mp4".to_owned())
        }
        Content::Archive(_) => Remedy::Unpack,
        Content::Executable
        | Content::Link(_)
        | Content::Unknown
        | Content::IncompleteZip
        | Content::IncompleteMovie => Remedy::LeaveOut,
        c => match c.sure_media() {
            // A table or slides make no sense as a Word document.
            Some(Media::Text)
                if c.extensions()
                    .iter()
                    .any(|e| matches!(*e, "xlsx" | "ods" | "xls" | "pptx" | "odp" | "ppt")) =>
            {
                to(Media::Text, &["pdf"])
            }
            Some(Media::Text) => to(Media::Text, &["docx", "pdf"]),
            Some(Media::Image) => to(Media::Image, &["jpg", "png"]),
            Some(Media::Audio) => to(Media::Audio, &["mp3", "wav"]),
            Some(Media::Video) => to(Media::Video, &["mp4", "mov"]),
            Some(Media::Web) | None => Remedy::Convert(Vec::new()),
        },
    }
}

/// Why this content under this extension is not taken.
fn refuse(content: &Content, ext: Option<&str>, lists: &TypeLists) -> Sorted {
    let what = content.what().into_owned();
    let remedy = remedy(content, lists);
    Sorted::Unsupported(match ext {
        Some(e) if nature(e) == Nature::Link && !matches!(content, Content::Link(_)) => {
            UnsupportedReason::NotALink {
                extension: e.to_owned(),
            }
        }
        Some(e) if nature(e) == Nature::Textual && *content == Content::Unknown => {
            UnsupportedReason::NotReadable {
                extension: e.to_owned(),
                rename: match listed(lists, e, Some(Media::Text)) {
                    Some(_) => None,
                    None => text_extension(e, lists),
                },
            }
        }
        // Right name and wrong bytes: say so. An unheard extension promises
        // nothing, so there is nothing to contradict.
        Some(e) if nature(e) != Nature::Unheard && !content.may_carry(e) => {
            UnsupportedReason::Mismatch {
                what,
                extension: e.to_owned(),
                remedy,
            }
        }
        None if matches!(content, Content::Text { .. } | Content::Unknown) => {
            UnsupportedReason::Nameless { what }
        }
        _ => UnsupportedReason::NotTaken {
            what,
            remedy,
            add: worth_adding(content, ext),
        },
    })
}

/// What an operator may add to a list, and to which: a type that a service could
/// take. Bytes that nothing is known about are of no type.
fn worth_adding(content: &Content, ext: Option<&str>) -> Option<(String, Media)> {
    match content {
        Content::Executable
        | Content::Unknown
        | Content::IncompleteZip
        | Content::IncompleteMovie => None,
        c if *c == Content::DOCM || *c == Content::DOTX => None,
        c => {
            let usual = match c {
                Content::Other { extension, .. } => Some(extension.as_str()),
                _ => c.extensions().first().copied(),
            };
            let own = ext.filter(|e| c.may_carry(e)).or(usual)?;
            Some((own.to_owned(), c.sure_media()?))
        }
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
