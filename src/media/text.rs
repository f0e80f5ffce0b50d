//! Is it text, in which kind of encoding, and what does it start with?
//!
//! Looks at the head only. A NUL byte (outside UTF-16) or a control character
//! that no text has means "not text"; terminal colours and form feeds are text.
//!
//! Must not: say which language or legacy encoding it is, or read on past what it
//! is given: one look must be cheap.

use std::borrow::Cow;

use crate::domain::media::{Content, LinkKind, TextEncoding, TextKind};

/// How much of the text is decoded to see what it starts with, in bytes.
const START: usize = 4096;

/// A head that is text.
pub(super) struct Text<'a> {
    encoding: TextEncoding,
    start: Cow<'a, str>,
}

/// Text, or `None` for anything else. `whole` says that the head is the whole
/// file, so that no character can be cut at its end.
pub(super) fn look(head: &[u8], whole: bool) -> Option<Text<'_>> {
    if let Some(rest) = head.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes, false);
    }
    if let Some(rest) = head.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes, false);
    }
    let body = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if body.contains(&0) {
        return utf16(body, u16::from_le_bytes, true)
            .or_else(|| utf16(body, u16::from_be_bytes, true));
    }
    if has_odd(body) {
        return None;
    }
    let start = body.get(..START).unwrap_or(body);
    let start = match std::str::from_utf8(start) {
        Ok(start) => Cow::Borrowed(start),
        Err(_) => String::from_utf8_lossy(start),
    };
    let encoding = match std::str::from_utf8(body) {
        Ok(_) => TextEncoding::Utf8,
        Err(e) if e.error_len().is_none() && !whole => TextEncoding::Utf8,
        Err(_) if is_legacy(body) => TextEncoding::Legacy,
        Err(_) => return None,
    };
    Some(Text { encoding, start })
}

/// Control characters that no text has. Tab, line ends, form feed, backspace,
/// escape (colours) and the old end mark 0x1A are fine.
fn is_odd(c: u8) -> bool {
    (c <= 7) | (c == 0x0b) | (0x0e..=0x19).contains(&c) | (0x1c..=0x1f).contains(&c) | (c == 0x7f)
}

/// Whether any byte is odd. Eight at a time, by hand: most words hold no control
/// character at all, and a compiler that is told to save space does not see that
/// many bytes can be asked at once.
fn has_odd(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words
        .iter()
        .any(|word| has_control(word) && word.iter().any(|b| is_odd(*b)))
        || rest.iter().any(|b| is_odd(*b))
}

/// Whether any byte is below the space, or 0x7f.
fn has_control(word: &[u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // The high bit of the lowest byte that is below `n`, if there is one.
    let below = |word: u64, n: u64| word.wrapping_sub(EACH * n) & !word & (EACH << 7);
    let word = u64::from_ne_bytes(*word);
    (below(word, 0x20) | below(word ^ (EACH * 0x7f), 1)) != 0
}

/// Latin-1, GBK, Big5, Shift-JIS and their like. Control characters are ruled
/// out already, which few other bytes survive; what is left is told by how the
/// high bytes are used.
fn is_legacy(body: &[u8]) -> bool {
    if body.contains(&0xff) {
        return false;
    }
    // One byte a letter: 0x80 to 0x9f are rare signs.
    let high = body.iter().filter(|b| **b >= 0x80).count();
    let rare = body.iter().filter(|b| (0x80..0xa0).contains(*b)).count();
    rare * 4 <= high || is_double_byte(body)
}

/// Every high byte leads a pair, as in GBK, Big5 and Shift-JIS. The last one
/// may be cut off by the head's end.
fn is_double_byte(body: &[u8]) -> bool {
    let mut bytes = body.iter();
    while let Some(lead) = bytes.next() {
        let fits = match lead {
            0..=0x7f => true,
            0x80 | 0xff => false,
            _ => bytes
                .next()
                .is_none_or(|trail| matches!(trail, 0x40..=0x7e | 0x80..=0xfe)),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// UTF-16 without its mark. `guess`: there was no mark, so ask for more signs.
fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16, guess: bool) -> Option<Text<'static>> {
    let units = || body.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let (mut ascii, mut all, mut broken) = (0_usize, 0_usize, 0_usize);
    for c in char::decode_utf16(units()) {
        all += 1;
        match c {
            Ok(c) if u8::try_from(c).is_ok_and(is_odd) => return None,
            Ok(c) if c.is_ascii() => ascii += 1,
            Ok('\u{fffe}' | '\u{ffff}') => return None,
            Ok(_) => {}
            Err(_) => broken += 1,
        }
    }
    // The head may end within a surrogate pair, once.
    if broken > 1 || (guess && (all < 2 || ascii * 4 < all)) {
        return None;
    }
    let start = char::decode_utf16(units().take(START / 2))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into();
    Some(Text {
        encoding: TextEncoding::Utf16,
        start,
    })
}

impl Text<'_> {
    /// What it starts with.
    pub(super) fn content(&self) -> Content {
        let start = self.start.trim_start();
        let kind = match start.as_bytes().first() {
            Some(b'<') => match markup(start) {
                Ok(kind) => kind,
                Err(link) => return Content::Link(link),
            },
            Some(b'[') => match ini_link(start) {
                Some(link) => return Content::Link(link),
                None => TextKind::Plain,
            },
            Some(b'#') if start.starts_with("#!AMR") => return Content::AMR,
            Some(b'#') if start.starts_with("#!/") || start.starts_with("#! /") => TextKind::Script,
            // A comment may stand before the section.
            Some(b'#' | b';') => match ini_link(start) {
                Some(link) => return Content::Link(link),
                None => TextKind::Plain,
            },
            Some(b'{') if start.starts_with("{\\rtf") => return Content::RTF,
            Some(b'%') if start.starts_with("%!PS") => return Content::POSTSCRIPT,
            Some(b'-') if is_private_key(start) => TextKind::PrivateKey,
            _ => TextKind::Plain,
        };
        Content::Text {
            kind,
            encoding: self.encoding,
        }
    }
}

/// HTML, SVG, XML, or an XML property list that holds an address.
fn markup(start: &str) -> Result<TextKind, LinkKind> {
    let lower = start.to_ascii_lowercase();
    let has = |tag: &str| lower.contains(tag);
    let is_xml = lower.starts_with("<?xml");
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") || (is_xml && has("<html"))
    {
        Ok(TextKind::Html)
    } else if has("<plist") && has("<key>url</key>") {
        Err(LinkKind::WeblocXml)
    } else if lower.starts_with("<svg") || (is_xml && has("<svg")) {
        Ok(TextKind::Svg)
    } else if lower.starts_with("<!--") && has("<html") {
        Ok(TextKind::Html)
    } else if is_xml || lower.starts_with("<!doctype") {
        Ok(TextKind::Xml)
    } else {
        Ok(TextKind::Plain)
    }
}

/// `[InternetShortcut]`, or `[Desktop Entry]` with `Type=Link`.
fn ini_link(start: &str) -> Option<LinkKind> {
    let mut desktop = false;
    for line in start.lines().map(str::trim) {
        if line.eq_ignore_ascii_case("[InternetShortcut]") {
            return Some(LinkKind::Url);
        }
        if line.starts_with('[') {
            desktop = line == "[Desktop Entry]";
        }
        if desktop
            && line
                .split_once('=')
                .is_some_and(|(k, v)| k.trim() == "Type" && v.trim() == "Link")
        {
            return Some(LinkKind::Desktop);
        }
    }
    None
}

fn is_private_key(start: &str) -> bool {
    let line = start.lines().next().unwrap_or("");
    line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`has_odd`] is to find, asked byte by byte.
    fn plainly(bytes: &[u8]) -> bool {
        bytes.iter().any(|b| is_odd(*b))
    }

    #[test]
    fn an_odd_byte_is_found_wherever_it_is_and_nothing_else() {
        for byte in 0..=u8::MAX {
            for fill in [b' ', b'\n', 0x80, 0xff] {
                for at in 0..20 {
                    let mut text = [fill; 20];
                    text[at] = byte;
                    assert_eq!(has_odd(&text), plainly(&text), "{byte:#x} at {at}");
                }
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        for len in 0..2_000 {
            let mut text = vec![0; len % 41];
            random.fill(&mut text);
            // Mostly such as texts have.
            for byte in text.iter_mut().skip(len % 3) {
                *byte = (*byte).clamp(8, 0x9f);
            }
            assert_eq!(has_odd(&text), plainly(&text), "{text:?}");
        }
    }
}
