//! PDF beyond its mark: whether there is anything in it, whether its end is there,
//! and whether it opens without a password.
//!
//! Only what says so is read: the trailer, and the object with the terms of the
//! encryption, found by bounded reads. In doubt a PDF is none that is locked.
//! Must not: read a page, or follow a chain of tables.

use std::io::{self, Read, Seek};

use crate::domain::media::{Content, Hollow};

use super::password::{Terms, opens_without_password};
use super::window::Window;
use super::{Detected, find, find_last};

/// How much of the end is looked through for the trailer, in bytes.
const TAIL: usize = 4096;

/// How much is read of an object or a trailer elsewhere, in bytes.
const PART: usize = 4096;

/// How much of the end is looked through for the terms of the encryption, in bytes.
const OBJECTS: usize = 64 * 1024;

/// What a file that begins as PDF is.
pub(super) fn look<F: Read + Seek>(window: &mut Window<'_, F>) -> io::Result<Detected> {
    if window.is_whole() && find(window.head(), b"obj").is_none() {
        return Ok(Detected {
            content: Content::Hollow(Hollow::Pdf),
            is_cut: false,
        });
    }
    let tail = window.tail(TAIL)?;
    let is_cut = find_last(&tail, b"%%EOF").is_none() && find_last(&tail, b"startxref").is_none();
    let content = if !is_cut && is_locked(window, &tail)? {
        Content::LOCKED_PDF
    } else {
        Content::Pdf
    };
    Ok(Detected { content, is_cut })
}

/// Whether only who knows its password can open it.
fn is_locked<F: Read + Seek>(window: &mut Window<'_, F>, tail: &[u8]) -> io::Result<bool> {
    let mut trailer = tail.to_vec();
    if find(tail, b"/Root").is_none() {
        // A table in a stream, or a file that is made to be shown from its start: the
        // trailer is where the last line points to.
        let Some(at) = table_at(tail) else {
            return Ok(false);
        };
        trailer = window.at(at, PART)?;
    }
    let Some(rest) = behind(&trailer, b"/Encrypt") else {
        return Ok(false);
    };
    let terms = if rest.starts_with(b"<<") {
        Some(rest.to_vec())
    } else {
        object(window, rest, tail)?
    };
    let id = behind(&trailer, b"/ID")
        .and_then(|rest| rest.strip_prefix(b"["))
        .and_then(|rest| string(trim(rest)))
        .unwrap_or_default();
    let terms = terms.as_deref().and_then(|dict| read_terms(dict, id));
    Ok(terms.is_some_and(|terms| opens_without_password(&terms) == Some(false)))
}

/// Where the table of objects is: the number behind the last `startxref`.
fn table_at(tail: &[u8]) -> Option<u64> {
    let at = find_last(tail, b"startxref")?;
    let (at, _) = number(trim(&tail[at + 9..]))?;
    u64::try_from(at).ok()
}

/// The object that `reference` (`12 0 R`) names, from behind its `obj`: searched for
/// at the start and the end of the file, and asked of a table in text.
fn object<F: Read + Seek>(
    window: &mut Window<'_, F>,
    reference: &[u8],
    tail: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    let Some((wanted, generation)) = number(reference).and_then(|(n, rest)| {
        let (generation, _) = number(trim(rest))?;
        Some((n, generation))
    }) else {
        return Ok(None);
    };
    let mark = format!("{wanted} {generation} obj");
    let within = |bytes: &[u8]| {
        let at = memchr::memmem::find_iter(bytes, mark.as_bytes()).find(|at| {
            // Not the end of a longer number.
            at.checked_sub(1)
                .is_none_or(|before| !bytes[before].is_ascii_digit())
        })?;
        let from = at + mark.len();
        Some(bytes[from..bytes.len().min(from + PART)].to_vec())
    };
    if let Some(found) = within(window.head()) {
        return Ok(Some(found));
    }
    let end = window.tail(OBJECTS)?;
    if let Some(found) = within(&end) {
        return Ok(Some(found));
    }
    let Some(table) = table_at(tail) else {
        return Ok(None);
    };
    match entry(window, table, wanted)? {
        Some(at) => Ok(within(&window.at(at, PART)?)),
        None => Ok(None),
    }
}

/// Where an object is, by a table in text: sections of lines of 20 bytes.
fn entry<F: Read + Seek>(
    window: &mut Window<'_, F>,
    table: u64,
    wanted: i64,
) -> io::Result<Option<u64>> {
    let start = window.at(table, 64)?;
    let Some(mut rest) = start.strip_prefix(b"xref") else {
        return Ok(None);
    };
    // Nearly always one section; where there are several, it is not worth the reads.
    rest = trim(rest);
    let Some((first, after)) = number(rest) else {
        return Ok(None);
    };
    let Some((count, after)) = number(trim(after)) else {
        return Ok(None);
    };
    let lines = table.saturating_add((start.len() - trim(after).len()) as u64);
    let line = match wanted.checked_sub(first) {
        Some(line) if (0..count).contains(&line) => line.unsigned_abs(),
        _ => return Ok(None),
    };
    let line = window.at(lines.saturating_add(line.saturating_mul(20)), 20)?;
    Ok(number(&line).and_then(|(at, _)| u64::try_from(at).ok()))
}

/// The terms of an encryption, from its dictionary.
fn read_terms(dict: &[u8], id: Vec<u8>) -> Option<Terms> {
    let dict = entries(dict)?;
    let value = |key: &[u8]| dict.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    let integer = |key| value(key).and_then(number).map(|(n, _)| n);
    if value(b"Filter").is_some_and(|filter| !filter.starts_with(b"/Standard")) {
        return None;
    }
    Some(Terms {
        revision: integer(b"R")?,
        key_bits: integer(b"Length").unwrap_or(40),
        permissions: integer(b"P")?,
        owner: string(value(b"O")?)?,
        user: string(value(b"U")?)?,
        metadata: value(b"EncryptMetadata").is_none_or(|v| !v.starts_with(b"false")),
        id,
    })
}

/// The keys and values of a dictionary, those within another left out. A value is
/// given from its first byte on.
fn entries(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = trim(bytes).strip_prefix(b"<<")?;
    let mut found = Vec::new();
    loop {
        rest = trim(rest);
        if rest.is_empty() || rest.starts_with(b">>") {
            return Some(found);
        }
        let name = rest.strip_prefix(b"/")?;
        let len = name.iter().position(|b| is_delimiter(*b))?;
        let value = trim(&name[len..]);
        found.push((&name[..len], value));
        rest = skip(value)?;
    }
}

/// What is behind the value that `bytes` begins with.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'<', b'<', ..] | [b'[', ..] => {
            let mut depth = 0_usize;
            let mut rest = bytes;
            loop {
                rest = trim(rest);
                (depth, rest) = match rest {
                    [b'<', b'<', rest @ ..] | [b'[', rest @ ..] => (depth + 1, rest),
                    [b'>', b'>', rest @ ..] | [b']', rest @ ..] => (depth - 1, rest),
                    _ => (depth, skip(rest)?),
                };
                if depth == 0 {
                    return Some(rest);
                }
            }
        }
        [b'(', ..] | [b'<', ..] => literal(bytes).map(|(_, rest)| rest),
        [b'/', name @ ..] => {
            let len = name.iter().position(|b| is_delimiter(*b))?;
            Some(&name[len..])
        }
        [] => None,
        _ => {
            // A word or a number; of a reference (`3 0 R`) all three.
            let len = bytes.iter().position(|b| is_delimiter(*b))?;
            let rest = &bytes[len.max(1)..];
            let reference = number(bytes)
                .and_then(|(_, after)| number(trim(after)))
                .map(|(_, after)| trim(after));
            match reference {
                Some([b'R', rest @ ..]) => Some(rest),
                _ => Some(rest),
            }
        }
    }
}

/// A text in brackets or in hexadecimal digits.
fn string(bytes: &[u8]) -> Option<Vec<u8>> {
    literal(bytes).map(|(text, _)| text)
}

fn literal(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    match bytes {
        [b'<', rest @ ..] => {
            let end = rest.iter().position(|b| *b == b'>')?;
            let digit = |b: &u8| char::from(*b).to_digit(16);
            let digits: Vec<u32> = rest[..end].iter().filter_map(digit).collect();
            let byte = |pair: &[u32]| pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
            let text = digits.chunks(2).map(byte);
            let text = text.filter_map(|b| u8::try_from(b).ok()).collect();
            Some((text, &rest[end + 1..]))
        }
        [b'(', rest @ ..] => in_brackets(rest),
        _ => None,
    }
}

/// A text whose opening bracket was taken.
fn in_brackets(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let (mut at, mut depth) = (0, 1_usize);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        match byte {
            b'\\' => {
                let escaped = *bytes.get(at)?;
                at += 1;
                match escaped {
                    b'n' => text.push(b'\n'),
                    b'r' => text.push(b'\r'),
                    b't' => text.push(b'\t'),
                    b'b' => text.push(8),
                    b'f' => text.push(12),
                    b'\n' => {}
                    b'\r' => at += usize::from(bytes.get(at) == Some(&b'\n')),
                    b'0'..=b'7' => {
                        let mut value = u32::from(escaped - b'0');
                        for _ in 0..2 {
                            let Some(digit @ b'0'..=b'7') = bytes.get(at) else {
                                break;
                            };
                            value = value << 3 | u32::from(digit - b'0');
                            at += 1;
                        }
                        text.push(u8::try_from(value & 0xff).unwrap_or(0));
                    }
                    other => text.push(other),
                }
                continue;
            }
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((text, &bytes[at..]));
        }
        text.push(byte);
    }
}

/// What stands behind the last `name` in `bytes`; `None` also where it is only the
/// beginning of a longer one.
fn behind<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut end = bytes.len();
    while let Some(at) = find_last(&bytes[..end], name) {
        let rest = &bytes[at + name.len()..];
        if rest.first().is_some_and(|b| is_delimiter(*b)) {
            return Some(trim(rest));
        }
        end = at;
    }
    None
}

fn is_delimiter(b: u8) -> bool {
    b.is_ascii_whitespace()
        || matches!(b, 0 | b'/' | b'<' | b'>' | b'[' | b']' | b'(' | b')' | b'%')
}

/// A whole number, and what is behind it.
fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = bytes[sign..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(&bytes[..sign + digits]).ok()?;
    Some((text.parse().ok()?, &bytes[sign + digits..]))
}

/// Without the white space in front.
fn trim(bytes: &[u8]) -> &[u8] {
    let blank = bytes
        .iter()
        .take_while(|b| b.is_ascii_whitespace() || **b == 0);
    &bytes[blank.count()..]
}
