//! RIFF and its kin: what they hold, whether it is there, and whether all of it is.
//!
//! Must not: decode anything.

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, Hollow};

use super::window::Window;
use super::{be, le};

/// The most chunks that are looked at before the sound.
const CHUNKS: usize = 64;

/// What may follow an empty sound, in bytes: a title, a mark of the program.
const TRAILER: u64 = 1024;

/// What a RIFF holds is said at offset 8.
pub(super) fn look<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Option<Content>> {
    let head = window.head();
    let (Some(mark), Some(kind)) = (head.get(..4), head.get(8..12)) else {
        return Ok(None);
    };
    Ok(match (mark, kind) {
        (b"RIFF" | b"RIFX" | b"RF64" | b"BW64", b"WAVE") => Some(if has_sound(window)? {
            Content::Wav
        } else {
            Content::Hollow(Hollow::Wav)
        }),
        (b"RIFF", b"AVI ") => Some(Content::AVI),
        (b"RIFF", b"WEBP") => Some(Content::WEBP),
        (b"FORM", b"AIFF" | b"AIFC") => Some(Content::AIFF),
        _ => None,
    })
}

/// Whether anything stands behind the headers of a wave file.
fn has_sound<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<bool> {
    let big = window.head().starts_with(b"RIFX");
    let mut at = 12_u64;
    for _ in 0..CHUNKS {
        let header = window.at(at, 8)?;
        let Some(kind) = header.get(..4) else {
            return Ok(false);
        };
        let number = if big { be } else { le };
        let Some(len) = number(&header, 4, 4) else {
            return Ok(false);
        };
        if kind == b"data" {
            let behind = window.size().saturating_sub(at + 8);
            // A recorder that was stopped hard leaves the length as it began, at 0.
            return Ok(behind > if len == 0 { TRAILER } else { 0 });
        }
        at = at.saturating_add(8 + len + (len & 1));
    }
    Ok(true)
}

/// Whether a RIFF is shorter than it says. A writer that does not know yet how long
/// it will be says 0 or the largest number; so do some that never tell.
pub(super) fn is_cut(head: &[u8], size: u64) -> bool {
    let short = |says: Option<u64>| says.filter(|n| *n != u64::from(u32::MAX));
    let says = match head.get(..4) {
        Some(b"RIFF") => short(le(head, 4, 4)),
        Some(b"RIFX" | b"FORM") => short(be(head, 4, 4)),
        // The size stands in the chunk that has to come first.
        Some(b"RF64" | b"BW64") if head.get(12..16) == Some(b"ds64") => le(head, 20, 8),
        _ => None,
    };
    // A last byte of padding is left out by some.
    says.is_some_and(|says| says != 0 && says.saturating_add(8) > size.saturating_add(1))
}
