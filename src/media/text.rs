//! Is it text, in which kind of encoding, and what does it start with?
//!
//! Looks at the head only. How much is asked of the bytes depends on the name: a
//! file that is called a text is one unless it holds what no text can hold; a file
//! whose name says nothing has to look like one.
//!
//! Must not: say which language or legacy encoding it is, or read on past what it
//! is given: one look must be cheap.

use std::borrow::Cow;

use crate::domain::media::{Content, Hollow, LinkKind, TextEncoding, TextKind};

use super::wide;

/// How much of the text is decoded to see what it starts with, in bytes.
pub(super) const START: usize = 4096;

/// A head that is text.
pub(super) struct Text<'a> {
    pub(super) encoding: TextEncoding,
    pub(super) start: Cow<'a, str>,
    /// It is the whole file, and holds white space only.
    pub(super) is_blank: bool,
    /// `start` is the whole file.
    pub(super) is_whole: bool,
}

/// How much is asked of bytes to be a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The name promises a text: refused is only what text cannot hold.
    Named,
    /// The name says nothing: no control characters, and high bytes as a known
    /// way of writing has them.
    Strict,
}

/// Text, or `None` for anything else. `whole` says that the head is the whole
/// file, so that no character can be cut at its end.
pub(super) fn look(head: &[u8], whole: bool, rule: Rule) -> Option<Text<'_>> {
    if let Some(text) = wide::marked(head, whole, rule) {
        return text;
    }
    let body = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if body.contains(&0) {
        return wide::guessed(body, whole, rule);
    }
    match rule {
        Rule::Strict if has_odd(body) => return None,
        Rule::Named if has_odd(body) && !is_rarely_odd(body) => {
            return wide::guessed(body, whole, rule);
        }
        _ => {}
    }
    let start = body.get(..START).unwrap_or(body);
    let start = match std::str::from_utf8(start) {
        Ok(start) => Cow::Borrowed(start),
        Err(_) => String::from_utf8_lossy(start),
    };
    let (encoding, decoded) = match std::str::from_utf8(body) {
        Ok(text) => (TextEncoding::Utf8, Some(text)),
        Err(e) if e.error_len().is_none() && !whole => (TextEncoding::Utf8, None),
        Err(_) if rule == Rule::Named || is_legacy(body) => (TextEncoding::Legacy, None),
        Err(_) => return None,
    };
    Some(Text {
        encoding,
        is_blank: whole
            && start.chars().all(is_blank)
            && decoded.is_some_and(|text| text.chars().all(is_blank)),
        is_whole: whole && body.len() <= START,
        start,
    })
}

/// What shows nothing: white space, the mark of an encoding, an old end mark.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{1a}')
}

/// Control characters that a text under a text's name may hold as often as it
/// wants: beside the usual ones the vertical tab (Office's line break), shift in
/// and out (ISO 2022) and DEL.
fn is_odd_under_a_text_name(c: u8) -> bool {
    is_odd(c) && !matches!(c, 0x0b | 0x0e | 0x0f | 0x7f)
}

/// Whether at most one byte of a thousand is a control character of no text.
fn is_rarely_odd(body: &[u8]) -> bool {
    let odd = body
        .iter()
        .filter(|c| is_odd_under_a_text_name(**c))
        .count();
    are_rarely_odd(odd, body.len())
}

/// The same of characters.
pub(super) fn are_rarely_odd(odd: usize, all: usize) -> bool {
    odd * 1000 <= all
}

/// Whether a character of a wide encoding is odd under this rule.
pub(super) fn is_odd_char(c: char, rule: Rule) -> bool {
    u8::try_from(c).is_ok_and(|c| match rule {
        Rule::Strict => is_odd(c),
        Rule::Named => is_odd_under_a_text_name(c),
    })
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

impl Text<'_> {
    /// What it starts with.
    pub(super) fn content(&self) -> Content {
        if self.is_blank {
            return Content::Hollow(Hollow::Text);
        }
        let kind = match self.kind() {
            Ok(kind) => kind,
            Err(content) => return content,
        };
        Content::Text {
            kind,
            encoding: self.encoding,
        }
    }

    /// What it starts with; an error: it is more than a text.
    fn kind(&self) -> Result<TextKind, Content> {
        if holds_private_key(&self.start) {
            return Ok(TextKind::PrivateKey);
        }
        let start = self.start.trim_start_matches(is_blank);
        Ok(match start.as_bytes().first() {
            Some(b'<') => markup(start).map_err(Content::Link)?,
            Some(b'#') if start.starts_with("#!AMR") => return Err(Content::AMR),
            Some(b'#') if start.starts_with("#!/") || start.starts_with("#! /") => TextKind::Script,
            // A comment may stand before the section.
            Some(b'[' | b'#' | b';') if let Some(link) = ini_link(start) => {
                return Err(Content::Link(link));
            }
            Some(b'{') if start.starts_with("{\\rtf") => return Err(Content::RTF),
            Some(b'%') if start.starts_with("%!PS") => return Err(Content::POSTSCRIPT),
            _ if self.is_whole && is_empty_json(start) => TextKind::EmptyJson,
            _ if begins_as_json(start) => TextKind::Json,
            _ => TextKind::Plain,
        })
    }
}

/// Whether JSON can begin so.
fn begins_as_json(start: &str) -> bool {
    let number = start.strip_prefix('-').unwrap_or(start);
    start.starts_with(['{', '[', '"'])
        || number.starts_with(|c: char| c.is_ascii_digit())
        || ["true", "false", "null"]
            .iter()
            .any(|word| start.starts_with(word))
}

/// Whether all of it is a JSON value that holds nothing.
fn is_empty_json(all: &str) -> bool {
    let mut dense = all.chars().filter(|c| !is_blank(*c));
    let first: String = dense.by_ref().take(5).collect();
    matches!(first.as_str(), "[]" | "{}" | "null" | "\"\"")
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

/// Whether a private key stands anywhere in `start`: as PEM, as OpenSSH and GnuPG
/// write it, behind a line of `openssl pkcs12`, within JSON; or as PuTTY does.
fn holds_private_key(start: &str) -> bool {
    if start.starts_with("PuTTY-User-Key-File-") {
        return true;
    }
    // `---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----` has a space before its word.
    let mut rest = start;
    while let Some(at) = rest.find("BEGIN ") {
        let before = rest[..at].trim_end();
        rest = &rest[at + "BEGIN ".len()..];
        let title = rest.split_once("---").map_or("", |(title, _)| title);
        if before.ends_with("----") && title.len() < 64 && title.contains("PRIVATE KEY") {
            return true;
        }
    }
    false
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
