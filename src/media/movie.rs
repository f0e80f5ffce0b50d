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

/// The most boxes that may stand before the one that tells the kind of movie.
const LEADING: usize = 16;

/// A box: what it is called, and where it lies.
struct Box {
    kind: [u8; 4],
    /// Of its header.
    start: u64,
    /// Of what is in it.
    body: u64,
    /// Behind it; it may be beyond the end of the file.
    end: u64,
}

/// The box at `at`; `None`: there is no whole header of one.
fn box_at<F: Read + Seek>(window: &mut Window<'_, F>, at: u64) -> io::Result<Option<Box>> {
    let header = window.at(at, 16)?;
    let (Some(short), Some(kind)) = (be(&header, 0, 4), header.get(4..8)) else {
        return Ok(None);
    };
    let (len, body) = match short {
        0 => (window.size().saturating_sub(at), 8),
        1 => (be(&header, 8, 8).unwrap_or(0), 16),
        n => (n, 8),
    };
    let mut name = [0; 4];
    name.copy_from_slice(kind);
    Ok((len >= body).then(|| Box {
        kind: name,
        start: at,
        body: at.saturating_add(body),
        end: at.saturating_add(len),
    }))
}

/// What the first boxes say a movie is.
enum First {
    /// Its brands.
    Brands(Vec<u8>),
    /// The file ends before one that tells.
    Cut,
    /// It is none.
    Other,
}

/// Programs put room for later changes, and cameras their own notes, in front.
fn first<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<First> {
    let mut at = 0;
    for _ in 0..LEADING {
        let Some(found) = box_at(window, at)? else {
            return Ok(First::Other);
        };
        match &found.kind {
            b"ftyp" => {
                let len = found.end.saturating_sub(found.body).clamp(4, 504);
                let len = usize::try_from(len).unwrap_or(4);
                return Ok(First::Brands(window.at(found.body, len)?));
            }
            // QuickTime from before brands.
            b"moov" | b"mdat" | b"pnot" => return Ok(First::Brands(b"qt  ".to_vec())),
            b"free" | b"skip" | b"wide" | b"uuid" => at = found.end,
            _ => return Ok(First::Other),
        }
        if at >= window.size() {
            return Ok(First::Cut);
        }
    }
    Ok(First::Other)
}

/// MP4, QuickTime, HEIC and their kin, if the head starts with a box of theirs.
pub(super) fn boxes<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Option<Content>> {
    let head = window.head();
    match head.get(4..8) {
        Some(b"jP  ") if head.get(8..12) == Some(b"\r\n\x87\n") => {
            return Ok(Some(Content::JPEG_2000));
        }
        Some(b"JXL ") => return Ok(Some(Content::JPEG_XL)),
        _ => {}
    }
    let brands = match first(window)? {
        First::Brands(brands) => brands,
        First::Cut => return Ok(Some(Content::IncompleteMovie)),
        First::Other => return Ok(None),
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
    /// The file ends before the list of tracks, or within it: nothing plays it.
    Cut,
    Nothing,
}

fn tracks<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Walk> {
    let mut at = 0;
    for _ in 0..STEPS {
        let Some(found) = box_at(window, at)? else {
            return Ok(Walk::Nothing);
        };
        if found.end > window.size() {
            return Ok(Walk::Cut);
        }
        if found.kind == *b"moov" {
            return Ok(Walk::Found(listed(window, &found)?));
        }
        at = found.end;
        // Whole boxes and no list: it may come yet, as it is written last.
        if at == window.size() {
            return Ok(Walk::Cut);
        }
    }
    Ok(Walk::Nothing)
}

/// The tracks that the list of them names.
fn listed<F: Read + Seek>(window: &mut Window<'_, F>, moov: &Box) -> io::Result<Tracks> {
    let mut tracks = Tracks::default();
    let mut at = moov.body;
    for _ in 0..STEPS {
        if at >= moov.end {
            break;
        }
        let Some(found) = box_at(window, at)? else {
            break;
        };
        at = match &found.kind {
            // These hold the boxes that are looked for: step in.
            b"trak" | b"mdia" => found.body,
            b"hdlr" => {
                match window.at(found.body.saturating_add(8), 4)?.as_slice() {
                    b"vide" => tracks.picture = true,
                    b"soun" => tracks.sound = true,
                    _ => {}
                }
                found.end
            }
            _ => found.end,
        };
    }
    Ok(tracks)
}

/// Whether a box of a movie goes on beyond the end of the file. What is there may
/// well play: the list of tracks was found.
pub(super) fn is_cut<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<bool> {
    const KNOWN: [&[u8; 4]; 14] = [
        b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta",
        b"sidx", b"styp", b"mfra", b"emsg",
    ];
    let mut at = 0;
    for _ in 0..STEPS {
        match box_at(window, at)? {
            // Bytes behind the last box are no box.
            Some(found) if KNOWN.contains(&&found.kind) => {
                if found.end > window.size() {
                    return Ok(true);
                }
                at = found.end.max(found.start.saturating_add(8));
            }
            _ => break,
        }
    }
    Ok(false)
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
