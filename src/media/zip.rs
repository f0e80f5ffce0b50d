//! What a zip is: a Word document, something like it, an archive, or only the
//! beginning of one. Reads the directory at its end, and of an Office file the
//! entry that says what kind of document it is.
//!
//! Must not: unpack any other entry, or that one without a bound (a small one can
//! unpack to any size), or trust a number in the file without the bounds of what
//! was read.

use std::io::{self, Read, Seek};

use crate::domain::media::Content;

use super::window::Window;
use super::{find, le};

/// An end record and the longest comment after it, in bytes.
const END: usize = 22 + 65_535;

/// How much of the directory is read, in bytes: about 4,000 entries.
const DIRECTORY: usize = 256 * 1024;

/// What the zip in `window` is.
pub(super) fn look<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Content> {
    let Some(directory) = directory(window)? else {
        return Ok(Content::IncompleteZip);
    };
    let want = usize::try_from(directory.len).map_or(DIRECTORY, |len| len.min(DIRECTORY));
    let bytes = window.at(directory.start, want)?;
    let mut seen = Seen::default();
    let mut types = None;
    let mut at = 0;
    while let Some((entry, next)) = entry(&bytes, at) {
        seen.note(entry.name);
        if entry.name == TYPES {
            types = Some(entry);
        }
        at = next;
    }
    let main = match types.filter(|_| seen.word) {
        Some(types) => main_part(window, &types, directory.shift)?,
        None => None,
    };
    Ok(seen.content(window.head(), main))
}

/// The entry of an Office file that names the type of each part.
const TYPES: &[u8] = b"[Content_Types].xml";

/// How much of that entry is read and unpacked, in bytes. It is rarely longer than
/// a few thousand.
const TYPES_READ: u64 = 64 * 1024;
const TYPES_UNPACKED: usize = 256 * 1024;

/// What the main part of a Word file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Main {
    Document,
    Template,
    Macros,
}

/// The type of the main part; `None` where it can't be read.
fn main_part<F: Read + Seek>(
    window: &mut Window<'_, F>,
    types: &Entry<'_>,
    shift: u64,
) -> io::Result<Option<Main>> {
    let local = types.local.saturating_add(shift);
    let header = window.at(local, 30)?;
    let (true, Some(name), Some(extra)) = (
        header.starts_with(b"PK\x03\x04"),
        le(&header, 26, 2),
        le(&header, 28, 2),
    ) else {
        return Ok(None);
    };
    let len = usize::try_from(types.packed.min(TYPES_READ)).unwrap_or(0);
    let packed = window.at(local.saturating_add(30 + name + extra), len)?;
    let mut text = match types.method {
        0 => packed,
        8 => match inflate(&packed) {
            Some(text) => text,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    text.make_ascii_lowercase();
    let says = |what: &[u8]| find(&text, what).is_some();
    Ok(
        if says(b"ms-word.template.macroenabledtemplate.main+xml")
            || says(b"wordprocessingml.template.main+xml")
        {
            Some(Main::Template)
        } else if says(b"ms-word.document.macroenabled.main+xml") {
            Some(Main::Macros)
        } else if says(b"wordprocessingml.document.main+xml") {
            Some(Main::Document)
        } else {
            None
        },
    )
}

/// Unpacked, as far as it goes within the bound.
fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    match miniz_oxide::inflate::decompress_to_vec_with_limit(packed, TYPES_UNPACKED) {
        Ok(text) => Some(text),
        Err(error) if !error.output.is_empty() => Some(error.output),
        Err(_) => None,
    }
}

/// The offset of the first entry's data, if it can be told: where a stored file
/// begins.
pub(super) fn first_data(head: &[u8]) -> Option<usize> {
    let name = le(head, 26, 2)? as usize;
    let extra = le(head, 28, 2)? as usize;
    Some(30 + name + extra)
}

/// Where the directory is.
struct Directory {
    start: u64,
    len: u64,
    /// How much further on everything is than the zip says: what stands before it.
    shift: u64,
}

/// `None` when the zip's end is missing.
fn directory<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Option<Directory>> {
    // Nearly always there is no comment, so look at the last bytes first.
    for len in [1024, END] {
        let from = window.size().saturating_sub(len as u64);
        let tail = window.at(from, len)?;
        let ends = tail
            .windows(4)
            .enumerate()
            .rev()
            .filter(|(_, w)| *w == b"PK\x05\x06");
        for (at, _) in ends.take(16) {
            if let Some(found) = end_record(window, &tail, from, at)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// The directory that the end record at `tail[at..]` points to, if it is there.
/// If it isn't, bytes before the end are missing.
fn end_record<F: Read + Seek>(
    window: &mut Window<'_, F>,
    tail: &[u8],
    from: u64,
    at: usize,
) -> io::Result<Option<Directory>> {
    let record = &tail[at..];
    let (Some(mut len), Some(mut offset), Some(comment)) =
        (le(record, 12, 4), le(record, 16, 4), le(record, 20, 2))
    else {
        return Ok(None);
    };
    let end = from + at as u64;
    if end + 22 + comment > window.size() {
        return Ok(None);
    }
    if len == u64::from(u32::MAX) || offset == u64::from(u32::MAX) {
        // Larger than 4 GiB: the numbers stand in a record before this one.
        let locator = window.at(end.saturating_sub(20), 20)?;
        let Some(at64) = le(&locator, 8, 8).filter(|_| locator.starts_with(b"PK\x06\x07")) else {
            return Ok(None);
        };
        let record = window.at(at64, 56)?;
        match (le(&record, 40, 8), le(&record, 48, 8)) {
            (Some(l), Some(o)) if record.starts_with(b"PK\x06\x06") => (len, offset) = (l, o),
            _ => return Ok(None),
        }
    }
    if len == 0 {
        return Ok(Some(Directory {
            start: offset,
            len: 0,
            shift: 0,
        }));
    }
    // Where it says; or, junk in front of a zip having shifted it, right before
    // the end record.
    let shifted = end.checked_sub(len).filter(|start| *start > offset);
    for start in [Some(offset), shifted].into_iter().flatten() {
        let fits = start.checked_add(len).is_some_and(|stop| stop <= end);
        if fits && window.at(start, 4)? == b"PK\x01\x02" {
            return Ok(Some(Directory {
                start,
                len,
                shift: start - offset,
            }));
        }
    }
    Ok(None)
}

/// An entry of the directory.
struct Entry<'a> {
    name: &'a [u8],
    /// How it is packed.
    method: u64,
    /// How long it is, packed. Bytes.
    packed: u64,
    /// Where its own header is.
    local: u64,
}

/// The directory entry at `at`, and where the next one is.
fn entry(bytes: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let record = bytes.get(at..)?;
    if !record.starts_with(b"PK\x01\x02") {
        return None;
    }
    let len = |at| le(record, at, 2).map(|n| n as usize);
    let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
    let entry = Entry {
        name: record.get(46..46 + name)?,
        method: le(record, 10, 2)?,
        packed: le(record, 20, 4)?,
        local: le(record, 42, 4)?,
    };
    Some((entry, at + 46 + name + extra + comment))
}

/// The telling names among a zip's entries.
#[derive(Default)]
struct Seen {
    types: bool,
    word: bool,
    macros: bool,
    excel: bool,
    powerpoint: bool,
    mimetype: bool,
}

impl Seen {
    fn note(&mut self, name: &[u8]) {
        match name {
            TYPES => self.types = true,
            b"mimetype" => self.mimetype = true,
            b"word/vbaProject.bin" => self.macros = true,
            _ if name.starts_with(b"word/") => self.word = true,
            _ if name.starts_with(b"xl/") => self.excel = true,
            _ if name.starts_with(b"ppt/") => self.powerpoint = true,
            _ => {}
        }
    }

    fn content(&self, head: &[u8], main: Option<Main>) -> Content {
        if self.types && self.word {
            return match main {
                Some(Main::Template) => Content::DOTX,
                Some(Main::Macros) => Content::DOCM,
                Some(Main::Document) | None if self.macros => Content::DOCM,
                Some(Main::Document) | None => Content::Docx,
            };
        }
        if self.types && self.excel {
            return Content::XLSX;
        }
        if self.types && self.powerpoint {
            return Content::PPTX;
        }
        if self.mimetype {
            // By their rules it is the first entry and stored.
            let start = head.get(..256).unwrap_or(head);
            for (mark, content) in [
                (&b"application/epub+zip"[..], Content::EPUB),
                (b"opendocument.text", Content::ODT),
                (b"opendocument.spreadsheet", Content::ODS),
                (b"opendocument.presentation", Content::ODP),
            ] {
                if find(start, mark).is_some() {
                    return content;
                }
            }
        }
        Content::ZIP
    }
}
