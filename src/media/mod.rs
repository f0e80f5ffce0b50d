//! What a file's bytes are: the adapter between real files and
//! [`crate::domain::media`].
//!
//! [`detect`] looks at a file and answers with a [`Content`]; `domain` decides
//! what follows. [`link::read_link`] takes the address out of a link file.
//!
//! It runs on up to a million files at start-up, so the common types are found
//! in one read of the head by a few comparisons; only a zip, a movie or a tag
//! that is longer than the head costs more reads. What nothing here knows is
//! named by the `file-format` library, from the head alone and with none of its
//! deep readers: those read without a bound or overflow on made-up files, and
//! miss what is found here (leading junk before a PDF, old encodings, RF64,
//! sound-only WebM, a docx that is no docx).
//!
//! Invariants: at most [`MAX_READ`] bytes of a file are read and held, whatever
//! it claims about itself; no input makes it panic. Must not: know the ledger,
//! the configuration or the service; open files; decide.

mod binary;
pub mod link;
mod movie;
mod sound;
mod text;
mod window;
mod zip;

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, extension};

use window::Window;

pub use window::{HEAD, MAX_READ};

/// Finds out what `file` holds.
///
/// `name` is the last component of its path and settles only what bytes can't
/// (a `.pdf` with junk in front, a text that quotes a PDF). `size` is the size
/// in bytes as last seen; if the file is shorter by now, what is there counts.
/// The file is read from its start and left at an unspecified position: rewind
/// it before use.
///
/// # Errors
/// Those of reading and seeking. A malformed file is a [`Content`], no error.
pub fn detect<F: Read + Seek>(file: &mut F, name: &[u8], size: u64) -> io::Result<Content> {
    let mut window = Window::open(file, size)?;
    if window.head().is_empty() {
        return Ok(Content::Empty);
    }
    let extension = extension(name);
    let extension = extension.as_deref();
    let head = window.head();
    if head.starts_with(b"%PDF-") {
        return Ok(Content::Pdf);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Content::Png);
    }
    if head.starts_with(b"\xff\xd8\xff") {
        return Ok(Content::Jpeg);
    }
    let text = text::look(head, window.is_whole()).map(|text| text.content());
    let is_text = text.is_some();
    let own = match text {
        Some(text) => Some(text),
        None => binary::look(&mut window)?,
    };
    if is_pdf_behind_junk(window.head(), extension, is_text, own.as_ref()) {
        return Ok(Content::Pdf);
    }
    Ok(match own {
        Some(content) => content,
        None => binary::by_library(window.head()),
    })
}

/// PDF readers take a `%PDF-` anywhere in the first 1 KiB. So do we, and that
/// also decides for a file that is PDF and zip at once; but not when the PDF is
/// only quoted in a text, or stored in an archive, under another name.
fn is_pdf_behind_junk(
    head: &[u8],
    extension: Option<&str>,
    is_text: bool,
    own: Option<&Content>,
) -> bool {
    let start = head.get(..1024 + 5).unwrap_or(head);
    let Some(at) = find(start, b"%PDF-") else {
        return false;
    };
    if matches!(own, Some(Content::Executable)) {
        return false;
    }
    if extension == Some("pdf") {
        // A script or note called .pdf that mentions PDF has no objects.
        return !is_text || find(head, b" obj").is_some();
    }
    let stored = match own {
        Some(Content::Archive(_)) if head.starts_with(b"PK\x03\x04") => {
            zip::first_data(head) == Some(at)
        }
        None => false,
        // Any other format that was recognised holds the PDF inside.
        Some(_) => true,
    };
    !is_text && !stored
}

/// The offset of `needle` in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

/// A big-endian number of up to 8 bytes at `at`.
fn be(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let end = at.checked_add(len)?;
    Some(
        bytes
            .get(at..end)?
            .iter()
            .fold(0, |n, b| n << 8 | u64::from(*b)),
    )
}

/// A little-endian number of up to 8 bytes at `at`.
fn le(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let end = at.checked_add(len)?;
    Some(
        bytes
            .get(at..end)?
            .iter()
            .rev()
            .fold(0, |n, b| n << 8 | u64::from(*b)),
    )
}

#[cfg(test)]
mod tests;
