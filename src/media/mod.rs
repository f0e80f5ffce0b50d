//! What a file's bytes are: the adapter between real files and
//! [`crate::domain::media`].
//!
//! [`detect`] looks at a file and answers with a [`Content`], and whether its end is
//! there; `domain` decides what follows. [`link::read_link`] takes the address out of
//! a link file.
//!
//! It runs on up to a million files at start-up, so the common types are found
//! in one read of the head, by a few comparisons, and one of the end; only a zip, a
//! movie, a locked PDF or a tag that is longer than the head costs more reads. What nothing here knows is
//! named by the `file-format` library, from the head alone and with none of its
//! deep readers: those read without a bound or overflow on made-up files, and
//! miss what is found here (leading junk before a PDF, old encodings, RF64,
//! sound-only WebM, a docx that is no docx).
//!
//! Invariants: at most [`MAX_READ`] bytes of a file are read and held, whatever
//! it claims about itself, and at most 256 KiB are unpacked (one entry of a Word
//! file); no input makes it panic. Must not: know the ledger,
//! the configuration or the service; open files; decide.

mod binary;
mod image;
pub mod link;
mod movie;
mod password;
mod pdf;
mod riff;
mod sound;
mod text;
mod wide;
mod window;
mod zip;

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, extension, promises_text};

use text::Rule;
use window::Window;

pub use window::{HEAD, MAX_READ};

/// What a file holds, and whether all of it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// What its bytes are.
    pub content: Content,
    /// Its end seems to be missing, though what is there can be opened: it may be
    /// that a writer has not come to it yet. What can't be opened without its end is
    /// a [`Content`] of its own.
    pub is_cut: bool,
}

/// Finds out what `file` holds.
///
/// `name` is the last component of its path and settles only what bytes can't
/// (a `.pdf` with junk in front, a text that quotes a PDF, an old encoding). `size`
/// is the size in bytes as last seen; if the file is shorter by now, what is there
/// counts. The file is read from its start and left at an unspecified position:
/// rewind it before use.
///
/// # Errors
/// Those of reading and seeking. A malformed file is a [`Content`], no error.
pub fn detect<F: Read + Seek>(file: &mut F, name: &[u8], size: u64) -> io::Result<Detected> {
    let mut window = Window::open(file, size)?;
    let extension = extension(name);
    let content = content(&mut window, name, extension.as_deref())?;
    if content == Content::Pdf {
        return pdf::look(&mut window);
    }
    let is_cut = match &content {
        Content::Png => image::png_is_cut(&mut window)?,
        Content::Jpeg => image::jpeg_is_cut(&mut window)?,
        Content::Mp4 | Content::QuickTime => movie::is_cut(&mut window)?,
        c if *c == Content::M4A || *c == Content::THREE_GP => movie::is_cut(&mut window)?,
        _ => riff::is_cut(window.head(), window.size()),
    };
    Ok(Detected { content, is_cut })
}

/// What the bytes are, without a look at their end.
fn content<F: Read + Seek>(
    window: &mut Window<'_, F>,
    name: &[u8],
    extension: Option<&str>,
) -> io::Result<Content> {
    let head = window.head();
    if head.is_empty() {
        return Ok(Content::Empty);
    }
    if head.starts_with(b"%PDF-") {
        return Ok(Content::Pdf);
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(image::png(window));
    }
    if head.starts_with(b"\xff\xd8\xff") {
        return Ok(image::jpeg(window));
    }
    let rule = if promises_text(name) {
        Rule::Named
    } else {
        Rule::Strict
    };
    let text = text::look(head, window.is_whole(), rule).map(|text| text.content());
    let is_text = text.is_some();
    let own = match text {
        Some(text) => Some(text),
        None => binary::look(window, extension)?,
    };
    if is_pdf_behind_junk(window.head(), extension, is_text, own.as_ref()) {
        return Ok(Content::Pdf);
    }
    Ok(match own {
        Some(content) => content,
        None => binary::by_library(window.head()),
    })
}

/// PDF readers take a `%PDF-` anywhere in the first 1 KiB. So do we, under a name
/// that says PDF or nothing, and that also decides for a file that is PDF and zip
/// at once; but not when the PDF is only quoted in a text, stored in an archive or
/// part of another format: a signed message (DER), a drawing (EMF).
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
    let is_der = matches!(head, [0x30, 0x80..=0x84, ..]);
    let is_emf = head.starts_with(b"\x01\0\0\0") && head.get(40..44) == Some(b" EMF");
    if matches!(own, Some(Content::Executable)) || is_der || is_emf {
        return false;
    }
    match extension {
        // A script or note called .pdf that mentions PDF has no objects.
        Some("pdf") => !is_text || find(head, b" obj").is_some(),
        Some(_) => false,
        None => {
            let is_stored = match own {
                Some(Content::Archive(_)) if head.starts_with(b"PK\x03\x04") => {
                    zip::first_data(head) == Some(at)
                }
                // Any other format that was recognised holds the PDF inside.
                own => own.is_some(),
            };
            !is_text && !is_stored
        }
    }
}

/// The offset of `needle` in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(hay, needle)
}

/// The offset of the last `needle` in `hay`.
fn find_last(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::rfind(hay, needle)
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
