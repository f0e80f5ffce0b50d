//! What holds for any bytes from outside, said once: the fuzz targets of
//! `fuzz/` and the ordinary test `tests/corpora.rs` both run these.
//!
//! A property takes bytes, reads them as its documentation says, and panics
//! where the promise is broken. Inputs are readable text where that is
//! possible, so that a corpus is a set of small files that people can read.
#![allow(clippy::unwrap_used, dead_code)]

mod answers;
mod files;
mod settings;

pub use answers::{answer, headers};
pub use files::{link, media, name};
pub use settings::config;

/// Panics where what it says does not hold.
pub type Property = fn(&[u8]);

/// Every property, by the name of its target and its corpus.
pub const TARGETS: [(&str, Property); 6] = [
    ("answer", answer),
    ("headers", headers),
    ("config", config),
    ("name", name),
    ("media", media),
    ("link", link),
];

/// What does something other than show itself, on a terminal or in a log. Our
/// own list, so that the code under test is not asked about itself.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b | 0x200e | 0x200f | 0x2028..=0x202e
            | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

/// A text that a person is shown: one harmless line of at most so many
/// characters.
#[track_caller]
fn assert_shown(text: &str, most: usize) {
    assert!(!text.chars().any(steers), "steers a terminal: {text:?}");
    let len = text.chars().count();
    assert!(len <= most, "{len} characters: {text:?}");
}

/// The first line, and what is after it.
fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|b| *b == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// `bytes` in chunks of lengths that depend on them, from 1 to 61.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let first = usize::from(*rest.first()?);
        let (chunk, after) = rest.split_at((first % 61 + 1).min(rest.len()));
        rest = after;
        Some(chunk)
    })
}
