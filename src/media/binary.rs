//! Formats that start with a mark of their own, the commonest first.
//!
//! Must not: ask the library about what is known here, or give it more than the
//! head.

use std::io::{self, Read, Seek};

use file_format::{FileFormat, Kind};

use crate::domain::media::{Content, LinkKind, Media, Nature, nature};

use super::window::Window;
use super::{find, le, movie, riff, sound, zip};

/// What the file is by our own checks; `None` if they don't know it. `extension` is
/// what its name says.
pub(super) fn look<F: Read + Seek>(
    window: &mut Window<'_, F>,
    extension: Option<&str>,
) -> io::Result<Option<Content>> {
    let head = window.head();
    if [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08"]
        .iter()
        .any(|m| head.starts_with(m))
    {
        return zip::look(window).map(Some);
    }
    if head == b"PK\x03" {
        // Cut within its first mark.
        return Ok(Some(Content::IncompleteZip));
    }
    if head.starts_with(b"\x1a\x45\xdf\xa3") {
        return movie::ebml(window).map(Some);
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return old_office(window).map(Some);
    }
    if head.starts_with(b"ID3") {
        return sound::tagged(window, extension == Some("mp3")).map(Some);
    }
    if let Some(content) = movie::boxes(window)? {
        return Ok(Some(content));
    }
    if let Some(content) = riff::look(window)? {
        return Ok(Some(content));
    }
    let head = window.head();
    Ok(by_mark(head)
        .or_else(|| mpeg_video(head))
        .or_else(|| sound::frames(head)))
}

fn by_mark(head: &[u8]) -> Option<Content> {
    const MARKS: &[(&[u8], Content)] = &[
        (b"\x7fELF", Content::Executable),
        (b"\xfe\xed\xfa\xce", Content::Executable),
        (b"\xfe\xed\xfa\xcf", Content::Executable),
        (b"\xce\xfa\xed\xfe", Content::Executable),
        (b"\xcf\xfa\xed\xfe", Content::Executable),
        (b"\xca\xfe\xba\xbe", Content::Executable),
        (b"\0asm", Content::Executable),
        (b"dex\n", Content::Executable),
        (b"GIF87a", Content::GIF),
        (b"GIF89a", Content::GIF),
        (b"II*\0", Content::TIFF),
        (b"MM\0*", Content::TIFF),
        (b"II+\0", Content::TIFF),
        (b"8BPS\0", Content::PSD),
        (b"\0\0\x01\0", Content::ICON),
        (b"\0\0\x02\0", Content::ICON),
        (b"\xff\x0a", Content::JPEG_XL),
        (b"fLaC", Content::FLAC),
        (b"caff\0", Content::CAF),
        (b"riff\x2e\x91\xcf\x11", Content::W64),
        (b"MThd\0", Content::MIDI),
        (b"#!AMR", Content::AMR),
        (b"FLV\x01", Content::FLV),
        (b"7z\xbc\xaf\x27\x1c", Content::SEVEN_ZIP),
        (b"Rar!\x1a\x07", Content::RAR),
        (b"\x1f\x8b", Content::GZIP),
        (b"BZh", Content::BZIP2),
        (b"\xfd7zXZ\0", Content::XZ),
        (b"\x28\xb5\x2f\xfd", Content::ZSTD),
        (b"MSCF\0", Content::CAB),
        (b"{\\rtf", Content::RTF),
        (b"%!PS", Content::POSTSCRIPT),
        (b"\xc5\xd0\xd3\xc6", Content::POSTSCRIPT),
        (b"bplist00", Content::Unknown),
        (b"#!/", Content::Executable),
    ];
    if let Some((_, content)) = MARKS.iter().find(|(mark, _)| head.starts_with(mark)) {
        return match content {
            Content::Unknown => (find(head.get(..4096).unwrap_or(head), b"URL").is_some())
                .then_some(Content::Link(LinkKind::WeblocBinary)),
            content => Some(content.clone()),
        };
    }
    if head.starts_with(b"OggS") {
        return Some(sound::ogg(head));
    }
    if head.starts_with(b"MZ") && is_windows_program(head) {
        return Some(Content::Executable);
    }
    // "BM" alone starts many words: the header's length must fit, too.
    if head.starts_with(b"BM")
        && matches!(le(head, 14, 4), Some(12 | 40 | 52 | 56 | 64 | 108 | 124))
    {
        return Some(Content::BMP);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Content::TAR);
    }
    if head.starts_with(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") {
        // Windows Media: the stream headers name what they carry.
        let picture = b"\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";
        let sound = b"\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b";
        let sound_only = find(head, sound).is_some() && find(head, picture).is_none();
        return Some(if sound_only {
            Content::WMA
        } else {
            Content::WMV
        });
    }
    None
}

/// A DOS or Windows program: the header at 0x3c points to is one of theirs, or
/// it lies beyond the head.
fn is_windows_program(head: &[u8]) -> bool {
    match le(head, 0x3c, 4).and_then(|at| usize::try_from(at).ok()) {
        Some(at) => match head.get(at..at.saturating_add(2)) {
            Some(mark) => matches!(mark, b"PE" | b"NE" | b"LE" | b"LX") || at < 0x40,
            None => true,
        },
        None => false,
    }
}

/// MPEG streams, which have no header of their own but a first unit.
fn mpeg_video(head: &[u8]) -> Option<Content> {
    let sync =
        |first: usize, step: usize| (0..4).all(|n| head.get(first + n * step) == Some(&0x47));
    match head.get(..4)? {
        [0, 0, 1, 0xba | 0xb3] => Some(Content::MpegVideo),
        [0, 0, 0, 1] if matches!(head.get(4)?, 0x67 | 0x27 | 0x09 | 0x40 | 0x42 | 0x46) => {
            Some(Content::H26X)
        }
        _ if sync(0, 188) || sync(4, 192) => Some(Content::MPEG_TS),
        _ => None,
    }
}

/// Microsoft's compound format: the names in its directory tell the program.
fn old_office<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Content> {
    let head = window.head();
    let shift = le(head, 30, 2).filter(|s| *s == 12).unwrap_or(9);
    let first = le(head, 48, 4).unwrap_or(0);
    let directory = window.at((first + 1) << shift, 4096)?;
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // The length of a name, with its end mark, stands at offset 64.
        directory.chunks_exact(128).any(|entry| {
            entry.starts_with(&wide) && le(entry, 64, 2) == Some(wide.len() as u64 + 2)
        })
    };
    Ok(if has("EncryptedPackage") {
        Content::LOCKED_OFFICE
    } else if has("WordDocument") {
        Content::OLD_WORD
    } else if has("Workbook") || has("Book") {
        Content::OLD_EXCEL
    } else if has("PowerPoint Document") {
        Content::OLD_POWERPOINT
    } else {
        Content::OLD_OFFICE
    })
}

/// The library's name for what we don't know, from the head alone. A type that
/// our own checks know surely is not believed: they have just said no.
pub(super) fn by_library(head: &[u8]) -> Content {
    let format = FileFormat::from_bytes(head);
    let nothing = matches!(
        format,
        FileFormat::ArbitraryBinaryData | FileFormat::PlainText | FileFormat::Empty
    );
    if nothing || nature(format.extension()) != Nature::Unheard {
        return Content::Unknown;
    }
    let media = match format.kind() {
        Kind::Executable => return Content::Executable,
        Kind::Document | Kind::Ebook | Kind::Presentation | Kind::Spreadsheet => Some(Media::Text),
        Kind::Image => Some(Media::Image),
        Kind::Audio => Some(Media::Audio),
        Kind::Video => Some(Media::Video),
        _ => None,
    };
    Content::Other {
        what: format.name().to_owned(),
        extension: format.extension().to_ascii_lowercase(),
        media,
    }
}
