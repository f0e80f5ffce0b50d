//! Containers with tracks: MP4 and QuickTime (boxes), WebM and Matroska (EBML).
//!
//! A container's name doesn't tell whether it holds a picture: its tracks do.
//!
//! Must not: decode a track, or follow a length that a box claims without the
//! bound on steps.

use std::io::{self, Read, Seek};

use crate::domain::media::Content;

use super::window::Window;
use super::{be, find};

/// The most boxes or elements that are looked at.
const STEPS: usize = 512;

/// Tracks that were found.
#[derive(Default, Clone, Copy)]
struct Tracks {
    picture: bool,
    sound: bool,
}

/// MP4, QuickTime, HEIC and their kin, if the head starts with a box of theirs.
pub(super) fn boxes<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Option<Content>> {
    let head = window.head();
    let Some(kind) = head.get(4..8) else {
        return Ok(None);
    };
    let brands = match kind {
        b"ftyp" => {
            let end = be(head, 0, 4).unwrap_or(0).clamp(12, 512) as usize;
            head.get(8..end.min(head.len()))
                .unwrap_or_default()
                .to_vec()
        }
        // QuickTime from before brands.
        b"moov" | b"mdat" | b"wide" | b"pnot" => b"qt  ".to_vec(),
        b"free" | b"skip" if matches!(head.get(12..16), Some(b"moov" | b"mdat")) => {
            b"qt  ".to_vec()
        }
        b"jP  " if head.get(8..12) == Some(b"\r\n\x87\n") => return Ok(Some(Content::JPEG_2000)),
        b"JXL " => return Ok(Some(Content::JPEG_XL)),
        _ => return Ok(None),
    };
    // The major brand, then (after a version) those it is compatible with.
    let major = brands.get(..4).unwrap_or_default();
    let has = |wanted: &[&[u8]]| {
        wanted.contains(&major) || brands.chunks_exact(4).skip(2).any(|b| wanted.contains(&b))
    };
    if has(&[b"avif", b"avis"]) {
        return Ok(Some(Content::AVIF));
    }
    if has(&[
        b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1",
    ]) {
        return Ok(Some(Content::HEIC));
    }
    if major == b"crx " {
        return Ok(Some(Content::TIFF));
    }
    let tracks = match tracks(window)? {
        Walk::Found(tracks) => tracks,
        Walk::Cut => return Ok(Some(Content::IncompleteMovie)),
        Walk::Nothing => Tracks::default(),
    };
    let sound_only = tracks.sound && !tracks.picture;
    Ok(Some(
        if sound_only || (!tracks.picture && major.starts_with(b"M4A")) {
            Content::M4A
        } else if major == b"qt  " {
            Content::QuickTime
        } else if major.starts_with(b"3g") {
            Content::THREE_GP
        } else {
            Content::Mp4
        },
    ))
}

/// What became of looking for the tracks.
enum Walk {
    Found(Tracks),
    /// The file ends within a box, and no track list came before.
    Cut,
    Nothing,
}

fn tracks<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Walk> {
    let mut tracks = Tracks::default();
    let mut listed = false;
    let mut at = 0_u64;
    for _ in 0..STEPS {
        let header = window.at(at, 20)?;
        let (Some(short), Some(kind)) = (be(&header, 0, 4), header.get(4..8)) else {
            break;
        };
        let len = match short {
            0 => window.size() - at,
            1 => be(&header, 8, 8).unwrap_or(0),
            n => n,
        };
        if len < 8 {
            break;
        }
        match kind {
            // These hold the boxes that are looked for: step in.
            b"moov" | b"trak" | b"mdia" => {
                listed = true;
                at += if short == 1 { 16 } else { 8 };
                continue;
            }
            b"hdlr" => match header.get(16..20) {
                Some(b"vide") => tracks.picture = true,
                Some(b"soun") => tracks.sound = true,
                _ => {}
            },
            _ => {}
        }
        at = match at.checked_add(len) {
            Some(next) if next <= window.size() => next,
            // With its list of tracks in front, a cut movie still plays.
            _ if listed => break,
            _ => return Ok(Walk::Cut),
        };
        if at == window.size() {
            break;
        }
    }
    // Whole boxes and no list: it may come yet, as it is written last.
    let ends_early = !listed && at == window.size();
    Ok(match (listed, ends_early) {
        (true, _) => Walk::Found(tracks),
        (false, true) => Walk::Cut,
        (false, false) => Walk::Nothing,
    })
}

/// WebM or Matroska, with or without a picture.
pub(super) fn ebml<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Content> {
    let start = window.head().get(..64).unwrap_or(window.head());
    let webm = find(start, b"webm").is_some();
    let mut tracks = Tracks::default();
    let mut at = 0_u64;
    for _ in 0..STEPS {
        let bytes = window.at(at, 16)?;
        let Some((id, after_id)) = vint(&bytes, 0, true) else {
            break;
        };
        let Some((len, after_len)) = vint(&bytes, after_id, false) else {
            break;
        };
        at += after_len as u64;
        match id {
            // Segment, Tracks, TrackEntry: step in.
            0x1853_8067 | 0x1654_ae6b | 0xae => continue,
            // TrackType.
            0x83 => match bytes.get(after_len) {
                Some(1) => tracks.picture = true,
                Some(2) => tracks.sound = true,
                _ => {}
            },
            // The first Cluster: the tracks stand before it.
            0x1f43_b675 => break,
            _ => {}
        }
        at = match at.checked_add(len) {
            Some(next) if next < window.size() => next,
            _ => break,
        };
    }
    let sound_only = tracks.sound && !tracks.picture;
    Ok(match (webm, sound_only) {
        (true, true) => Content::WEBM_AUDIO,
        (true, false) => Content::WEBM,
        (false, true) => Content::MKA,
        (false, false) => Content::MKV,
    })
}

/// A number of EBML's own width at `at`, and where it ends. An id keeps its
/// width mark, a length doesn't.
fn vint(bytes: &[u8], at: usize, keep_mark: bool) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let width = first.leading_zeros() as usize + 1;
    if width > 8 {
        return None;
    }
    let value = be(bytes, at, width)?;
    let mark = 1_u64 << (7 * width);
    Some((
        if keep_mark { value } else { value & (mark - 1) },
        at + width,
    ))
}
