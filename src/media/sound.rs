//! MPEG audio and AAC: streams of frames, with or without a tag in front.
//!
//! Must not: take one frame header for a sign: any bytes hold something like it.

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, Hollow};

use super::window::Window;
use super::{be, find};

/// How far into a file the first frame may start, in bytes: some encoders and
/// recorders put padding in front.
const JUNK: usize = 4096;

/// What follows an ID3 tag. Such a tag stands before other sounds, too; a file that
/// is called an MP3 is believed.
pub(super) fn tagged<F: Read + Seek>(
    window: &mut Window<'_, F>,
    is_called_mp3: bool,
) -> io::Result<Content> {
    let head = window.head();
    let len = head
        .get(6..10)
        .unwrap_or_default()
        .iter()
        .fold(0_u64, |n, b| n << 7 | u64::from(b & 0x7f));
    let footer = if head.get(5).is_some_and(|flags| flags & 0x10 != 0) {
        10
    } else {
        0
    };
    let start = 10 + len + footer;
    let body = window.at(start, JUNK)?;
    if let Some(content) = frames(&body) {
        return Ok(content);
    }
    if is_all(&body, start, window.size()) {
        // Nothing follows, or the tag lies about its length.
        let within = window.head().get(10..).unwrap_or_default();
        return Ok(frames(within).unwrap_or(Content::Hollow(Hollow::Tag)));
    }
    Ok(if body.starts_with(b"fLaC") {
        Content::FLAC
    } else if body.starts_with(b"FORM") {
        Content::AIFF
    } else if body.starts_with(b"OggS") {
        ogg(&body)
    } else if is_called_mp3 {
        Content::Mp3
    } else {
        Content::TAGGED
    })
}

/// Whether nothing but padding or an old tag stands in the rest of a file, which
/// begins at `start`.
fn is_all(rest: &[u8], start: u64, size: u64) -> bool {
    let is_old_tag = rest.len() == 128 && rest.starts_with(b"TAG");
    start.saturating_add(rest.len() as u64) >= size && (is_old_tag || rest.iter().all(|b| *b == 0))
}

/// Frames at or soon after the start of `bytes`.
pub(super) fn frames(bytes: &[u8]) -> Option<Content> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let starts = (0..bytes.len().min(JUNK)).filter(|at| bytes[*at] == 0xff);
    for at in starts {
        // Any bytes look like one frame easily, like four in a row hardly.
        let needed = if at == 0 || at == zeros { 2 } else { 4 };
        if let Some(content) = chain(bytes, at, needed) {
            return Some(content);
        }
    }
    None
}

/// `needed` frames of one make after another from `at`. One less will do where
/// the bytes end just with a frame.
fn chain(bytes: &[u8], mut at: usize, needed: usize) -> Option<Content> {
    let first = frame(bytes, at)?;
    for seen in 0..needed {
        match frame(bytes, at) {
            Some(next) if next.make == first.make => at += next.len,
            None if seen + 1 == needed && at == bytes.len() => break,
            _ => return None,
        }
    }
    Some(first.content)
}

/// One frame's header.
struct Frame {
    content: Content,
    /// In bytes, the header counted.
    len: usize,
    /// What stays the same from frame to frame: version, layer, sample rate.
    make: u64,
}

/// The frame at `at`.
fn frame(bytes: &[u8], at: usize) -> Option<Frame> {
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    let header = be(bytes, at, 4)?;
    if header >> 21 != 0x7ff {
        return None;
    }
    let bits = |shift: u32, mask: u64| (header >> shift & mask) as usize;
    let (version, layer) = (bits(19, 3), bits(17, 3));
    if layer == 0 {
        // AAC in ADTS: 12 bits of sync, 13 sample rates, and the length in the
        // bytes after.
        let len = (be(bytes, at + 3, 3)? >> 5 & 0x1fff) as usize;
        let sound = bits(20, 1) == 1 && bits(10, 15) < 13 && len > 7;
        return sound.then_some(Frame {
            content: Content::AAC,
            len,
            make: header >> 10,
        });
    }
    let rate = RATES.get(bits(10, 3))?
        / match version {
            3 => 1,
            2 => 2,
            0 => 4,
            _ => return None,
        };
    let kbit = bit_rate(version == 3, layer, bits(12, 15))?;
    let padding = bits(9, 1);
    let len = match (layer, version) {
        (3, _) => (12_000 * kbit / rate + padding) * 4,
        (1, 0 | 2) => 72_000 * kbit / rate + padding,
        _ => 144_000 * kbit / rate + padding,
    };
    let content = if layer == 1 {
        Content::Mp3
    } else {
        Content::MP2
    };
    // The bit beside the layer says whether a checksum follows; the bit rate
    // between it and the sample rate may change.
    Some(Frame {
        content,
        len,
        make: header >> 17 << 2 | header >> 10 & 3,
    })
}

/// Kbit/s by index; `None` for the free and the forbidden one. `layer` is the
/// header's field: 3 is layer I, 1 is layer III.
fn bit_rate(mpeg_1: bool, layer: usize, index: usize) -> Option<usize> {
    const I_1: [usize; 14] = [
        32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ];
    const II_1: [usize; 14] = [
        32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ];
    const III_1: [usize; 14] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const I_2: [usize; 14] = [
        32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ];
    const II_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let table = match (mpeg_1, layer) {
        (true, 3) => &I_1,
        (true, 2) => &II_1,
        (true, _) => &III_1,
        (false, 3) => &I_2,
        (false, _) => &II_2,
    };
    table.get(index.checked_sub(1)?).copied()
}

/// An Ogg's first page tells the codec; a video has its picture stream first.
pub(super) fn ogg(head: &[u8]) -> Content {
    let start = head.get(..512).unwrap_or(head);
    if [&b"\x80theora"[..], b"\x01video", b"BBCD\0"]
        .iter()
        .any(|m| find(start, m).is_some())
    {
        Content::OGV
    } else {
        Content::OGG
    }
}
