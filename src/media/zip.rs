//! What a zip is: a Word document, something like it, an archive, or only the
//! beginning of one. Reads the directory at its end, nothing else.
//!
//! Must not: unpack an entry (a small one can unpack to any size), or trust a
//! number in the file without the bounds of what was read.

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
    let Some((offset, len)) = directory(window)? else {
        return Ok(Content::IncompleteZip);
    };
    let want = usize::try_from(len).map_or(DIRECTORY, |len| len.min(DIRECTORY));
    let bytes = window.at(offset, want)?;
    let mut seen = Seen::default();
    let mut at = 0;
    while let Some((name, next)) = entry(&bytes, at) {
        seen.note(name);
        at = next;
    }
    Ok(seen.content(window.head()))
}

/// The offset of the first entry's data, if it can be told: where a stored file
/// begins.
pub(super) fn first_data(head: &[u8]) -> Option<usize> {
    let name = le(head, 26, 2)? as usize;
    let extra = le(head, 28, 2)? as usize;
    Some(30 + name + extra)
}

/// Offset and length of the directory; `None` when the zip's end is missing.
fn directory<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Option<(u64, u64)>> {
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
) -> io::Result<Option<(u64, u64)>> {
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
        return Ok(Some((offset, 0)));
    }
    // Where it says; or, junk in front of a zip having shifted it, right before
    // the end record.
    let shifted = end.checked_sub(len).filter(|start| *start > offset);
    for start in [Some(offset), shifted].into_iter().flatten() {
        let fits = start.checked_add(len).is_some_and(|stop| stop <= end);
        if fits && window.at(start, 4)? == b"PK\x01\x02" {
            return Ok(Some((start, len)));
        }
    }
    Ok(None)
}

/// The name of the directory entry at `at`, and where the next one is.
fn entry(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let record = bytes.get(at..)?;
    if !record.starts_with(b"PK\x01\x02") {
        return None;
    }
    let len = |at| le(record, at, 2).map(|n| n as usize);
    let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
    Some((record.get(46..46 + name)?, at + 46 + name + extra + comment))
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
            b"[Content_Types].xml" => self.types = true,
            b"mimetype" => self.mimetype = true,
            b"word/vbaProject.bin" => self.macros = true,
            _ if name.starts_with(b"word/") => self.word = true,
            _ if name.starts_with(b"xl/") => self.excel = true,
            _ if name.starts_with(b"ppt/") => self.powerpoint = true,
            _ => {}
        }
    }

    fn content(&self, head: &[u8]) -> Content {
        if self.types && self.word {
            return if self.macros {
                Content::DOCM
            } else {
                Content::Docx
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
