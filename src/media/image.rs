//! PNG and JPEG beyond their marks: whether there is a picture, and its end.
//!
//! Must not: decode anything.

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, Hollow};

use super::window::Window;
use super::{be, find_last};

/// A PNG's mark and its first chunk, in bytes.
const PNG_HEADER: u64 = 8 + 25;

/// A JPEG's mark, its first header and an end mark, in bytes.
const JPEG_HEADER: u64 = 2 + 18 + 2;

/// How much of a JPEG's end is looked through for its end mark, in bytes: some
/// cameras write more behind it.
const JPEG_END: usize = 64 * 1024;

/// The same of a PNG.
const PNG_END: usize = 4096;

/// What begins with a PNG's mark.
pub(super) fn png<F>(window: &Window<'_, F>) -> Content {
    if window.size() <= PNG_HEADER {
        Content::Hollow(Hollow::Png)
    } else {
        Content::Png
    }
}

/// What begins with a JPEG's mark: of the compressions that share it, JPEG-LS is
/// read by hardly anybody.
pub(super) fn jpeg<F>(window: &Window<'_, F>) -> Content {
    if window.size() <= JPEG_HEADER {
        return Content::Hollow(Hollow::Jpeg);
    }
    match segments(window.head()) {
        Segments::JpegLs => Content::JPEG_LS,
        Segments::Picture(_) | Segments::Beyond => Content::Jpeg,
    }
}

/// Whether a PNG's last chunk is missing.
pub(super) fn png_is_cut<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<bool> {
    Ok(find_last(&window.tail(PNG_END)?, b"\0\0\0\0IEND").is_none())
}

/// Whether a JPEG's end mark is missing. The end of a thumbnail in its headers does
/// not count.
pub(super) fn jpeg_is_cut<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<bool> {
    let headers = match segments(window.head()) {
        Segments::Picture(at) => at as u64,
        Segments::JpegLs | Segments::Beyond => 0,
    };
    // Nearly always it is in the last bytes.
    for len in [1024, JPEG_END] {
        let from = window.size().saturating_sub(len as u64).max(headers);
        let tail = window.at(from, len)?;
        if find_last(&tail, b"\xff\xd9").is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a JPEG's headers lead to.
enum Segments {
    /// The picture's data, at this offset.
    Picture(usize),
    /// JPEG-LS.
    JpegLs,
    /// They go on beyond the head, or make no sense.
    Beyond,
}

fn segments(head: &[u8]) -> Segments {
    let mut at = 2;
    while let Some([0xff, kind]) = head.get(at..at + 2) {
        match kind {
            // Fill bytes, and marks without a length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xf7 => return Segments::JpegLs,
            0xda => return Segments::Picture(at),
            _ => match be(head, at + 2, 2) {
                Some(len) if len >= 2 => at += 2 + len as usize,
                _ => return Segments::Beyond,
            },
        }
    }
    Segments::Beyond
}
