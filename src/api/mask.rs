//! The key taken out of text from outside. A proxy's error page may show the
//! request's headers, and a service may repeat the key in the form in which it
//! keeps or logs it.
//!
//! The forms that are known: as it is, backwards, in a JSON text (with escapes of
//! any kind), percent-encoded, as HTML entities, in hex, and in base64 at any of
//! its three alignments. What somebody encrypts or cuts to pieces is not found.
//!
//! Must not: know where the text came from.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the key's place.
const HIDDEN: &str = "[key]";

/// Shorter keys are hidden only as they are: their encoded forms are so short
/// that they stand in any text.
const SHORT: usize = 8;

/// All forms in which the key is looked for.
pub(super) struct Mask {
    /// Compared as they stand, longest first.
    exact: Vec<String>,
    /// Compared without regard to case.
    hex: Vec<String>,
    /// Looked for in the text with its escapes undone.
    plain: Vec<Vec<char>>,
}

impl Mask {
    pub(super) fn new(key: &str) -> Mask {
        if key.is_empty() {
            return Mask {
                exact: Vec::new(),
                hex: Vec::new(),
                plain: Vec::new(),
            };
        }
        let backwards: String = key.chars().rev().collect();
        let mut plain = vec![key.to_owned(), backwards];
        if key.len() < SHORT {
            plain.truncate(1);
            return Mask {
                exact: Vec::new(),
                hex: Vec::new(),
                plain: plain.iter().map(|form| form.chars().collect()).collect(),
            };
        }
        let mut exact: Vec<String> = plain.iter().flat_map(|form| base64(form)).collect();
        exact.sort_by_key(|form| std::cmp::Reverse(form.len()));
        exact.dedup();
        let hex = |text: &String| text.bytes().map(|b| format!("{b:02x}")).collect();
        Mask {
            hex: plain.iter().map(hex).collect(),
            exact,
            plain: plain.iter().map(|form| form.chars().collect()).collect(),
        }
    }

    /// `text` without the key.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut text = self.hide_escaped(text);
        for form in &self.exact {
            text = without_base64(text, form);
        }
        for form in &self.hex {
            // ASCII alone is lowered, so that places stay as they are.
            let mut lower = text.to_ascii_lowercase();
            while let Some(at) = lower.find(form.as_str()) {
                text.replace_range(at..at + form.len(), HIDDEN);
                lower = text.to_ascii_lowercase();
            }
        }
        text
    }

    /// Looks through the text as it reads once its escapes are undone, up to
    /// twice (a percent sign may itself be encoded), and cuts out of the text as
    /// it stands.
    fn hide_escaped(&self, text: &str) -> String {
        let mut read: Vec<Piece> = text
            .char_indices()
            .map(|(at, c)| Piece {
                c,
                from: at,
                to: at + c.len_utf8(),
            })
            .collect();
        let mut found: Vec<(usize, usize)> = Vec::new();
        for _ in 0..3 {
            for form in &self.plain {
                find(&read, form, &mut found);
            }
            let undone = undo(&read);
            if undone.len() == read.len() {
                break;
            }
            read = undone;
        }
        cut_out(text, found)
    }
}

/// A character, and the bytes of the text that it was written with.
#[derive(Clone, Copy)]
struct Piece {
    c: char,
    from: usize,
    to: usize,
}

/// The forms of base64 that hold all of `text` whatever stands before it: the
/// characters that depend on neighbours are left out.
fn base64(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend(text.as_bytes());
        let first = (before * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&bytes)[first..last].to_owned());
        }
    }
    forms
}

/// `text` without a form of base64, and without the characters beside it, which
/// may hold some bits of the key.
fn without_base64(mut text: String, form: &str) -> String {
    let digit =
        |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b));
    while let Some(at) = text.find(form) {
        let bytes = text.as_bytes();
        let end = at + form.len();
        let from = at - usize::from(at > 0 && digit(bytes.get(at - 1)));
        let to = end + usize::from(digit(bytes.get(end)));
        text.replace_range(from..to, HIDDEN);
    }
    text
}

fn find(read: &[Piece], form: &[char], found: &mut Vec<(usize, usize)>) {
    let mut at = 0;
    while at + form.len() <= read.len() {
        let here = &read[at..at + form.len()];
        if here.iter().zip(form).all(|(piece, c)| piece.c == *c) {
            found.push((here[0].from, here[form.len() - 1].to));
            at += form.len();
        } else {
            at += 1;
        }
    }
}

/// One layer of escapes undone: `%41`, `\u0041`, `\x41`, `\"`, `&#65;`, `&#x41;`.
fn undo(read: &[Piece]) -> Vec<Piece> {
    let mut undone = Vec::with_capacity(read.len());
    let mut at = 0;
    while at < read.len() {
        let (c, len) = escape(&read[at..]).unwrap_or((read[at].c, 1));
        undone.push(Piece {
            c,
            from: read[at].from,
            to: read[at + len - 1].to,
        });
        at += len;
    }
    undone
}

/// The character that an escape at the beginning means, and its length. Keys are
/// visible ASCII, so that what stands for more than a byte is of no interest.
fn escape(read: &[Piece]) -> Option<(char, usize)> {
    let at = |n: usize| read.get(n).map(|piece| piece.c);
    let hex = |from: usize, len: usize| -> Option<char> {
        let digits: String = (from..from + len).map(at).collect::<Option<_>>()?;
        let all = digits.chars().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| all)?;
        char::from_u32(code)
    };
    match (at(0)?, at(1)?) {
        ('%', _) => Some((hex(1, 2)?, 3)),
        ('\\', 'u') => Some((hex(2, 4)?, 6)),
        ('\\', 'x') => Some((hex(2, 2)?, 4)),
        ('\\', c) if !c.is_ascii_alphanumeric() => Some((c, 2)),
        ('&', _) => entity(read),
        _ => None,
    }
}

fn entity(read: &[Piece]) -> Option<(char, usize)> {
    let end = read.iter().take(10).position(|piece| piece.c == ';')?;
    let name: String = read[1..end].iter().map(|piece| piece.c).collect();
    let c = match name.as_str() {
        "quot" => '"',
        "amp" => '&',
        "apos" => '\'',
        "lt" => '<',
        "gt" => '>',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

fn cut_out(text: &str, mut found: Vec<(usize, usize)>) -> String {
    found.sort_unstable();
    let mut hidden = String::with_capacity(text.len());
    let mut done = 0;
    for (from, to) in found {
        if to <= done {
            continue;
        }
        if from >= done {
            hidden.push_str(&text[done..from]);
            hidden.push_str(HIDDEN);
        }
        done = to;
    }
    hidden.push_str(&text[done..]);
    hidden
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const KEY: &str = "sk-a\"b\\c+d/e?f~0123";

    fn percent(all: bool) -> String {
        let plain = |b: u8| !all && (b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        KEY.bytes()
            .map(|b| match plain(b) {
                true => (b as char).to_string(),
                false => format!("%{b:02X}"),
            })
            .collect()
    }

    #[test]
    fn the_key_is_hidden_in_every_form() {
        let each = |f: fn(char) -> String| KEY.chars().map(f).collect::<String>();
        let forms = [
            KEY.to_owned(),
            KEY.chars().rev().collect(),
            serde_json::to_string(KEY)
                .unwrap()
                .trim_matches('"')
                .to_owned(),
            each(|c| format!("\\u{:04x}", c as u32)),
            each(|c| format!("\\u{:04X}", c as u32)),
            each(|c| format!("\\x{:02x}", c as u32)),
            percent(false),
            percent(true),
            percent(true).to_ascii_lowercase(),
            percent(true).replace('%', "%25"),
            each(|c| format!("&#{};", c as u32)),
            each(|c| format!("&#x{:x};", c as u32)),
            KEY.replace('"', "&quot;"),
            each(|c| format!("{:02x}", c as u32)),
            each(|c| format!("{:02X}", c as u32)),
            STANDARD_NO_PAD.encode(KEY),
            URL_SAFE_NO_PAD.encode(KEY),
        ];
        let mask = Mask::new(KEY);
        for form in forms {
            let said = mask.hide(&format!("bad key {form}! Really {form}."));
            assert_eq!(said, "bad key [key]! Really [key].", "{form}");
        }
        // What is in front of the key moves its base64.
        for before in ["", "a", "ab", "Access-Key: ", "user:"] {
            for text in [format!("{before}{KEY}"), format!("{before}{KEY}\n")] {
                for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                    let said = mask.hide(&encoded);
                    assert!(said.contains("[key]"), "{before:?}: {said}");
                    assert!(said.len() < 30, "{before:?}: {said}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        let mask = Mask::new("0123456789");
        for text in [
            "",
            "%",
            "%3",
            "\\u12",
            "100 % of 5",
            "é\u{1F600}&amp;",
            "012345678",
            "&#x;",
        ] {
            assert_eq!(mask.hide(text), text);
        }
        assert_eq!(Mask::new("").hide("abc"), "abc");
        let short = Mask::new("abc");
        assert_eq!(
            short.hide("xabcx cba YWJj 616263"),
            "x[key]x cba YWJj 616263"
        );
        assert_eq!(Mask::new("aaaaaaaa").hide("aaaaaaaaa"), "[key]a");
        let json = r#"{"Access-Key": "a\"b\\c"}"#;
        assert_eq!(
            Mask::new("a\"b\\c").hide(json),
            r#"{"Access-Key": "[key]"}"#
        );
    }
}
