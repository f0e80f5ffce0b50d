//! Takes the address out of a link file: `.url`, `.webloc`, `.desktop`.
//!
//! Such a file comes from anywhere, and its address is handed to the service,
//! so only a plain `https://` address is taken. Must not: open the address.

use serde::Deserialize;
use url::Url;

use crate::domain::media::extension;
use crate::domain::naming::shown_text;

use super::be;

/// The largest link file that is read, in bytes.
pub const MAX_LINK_FILE: usize = 64 * 1024;

/// The longest address that is taken, in bytes.
pub const MAX_ADDRESS: usize = 2048;

/// How deep an XML property list may nest. A link's is one deep.
const MAX_DEPTH: usize = 16;

/// Why a link file's address is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Larger than [`MAX_LINK_FILE`].
    #[error("the file is larger than 64 KiB, so it is hardly a link; save the link again")]
    TooLarge,
    /// There is no address in it.
    #[error("there is no address in it; save the link again from the browser")]
    NoAddress,
    /// A property list that can't be read.
    #[error("it is not a property list that can be read; save the link again")]
    Malformed,
    /// Longer than [`MAX_ADDRESS`].
    #[error("its address is longer than 2,048 bytes; use a shorter one")]
    TooLong,
    /// Control characters in the address.
    #[error("its address contains control characters; save the link again")]
    ControlCharacters,
    /// Not an address at all.
    #[error("\"{0}\" is not an address; it should look like https://example.com/page")]
    NotAnAddress(String),
    /// Something other than `https`.
    #[error(
        "its address starts with {0}:, but the service only takes https:// pages; use the https:// address of the page"
    )]
    NotHttps(String),
    /// A name or password in the address: it would be given away.
    #[error("its address contains a user name or password; remove it from the address")]
    Credentials,
}

/// The address in a link file, as it is sent: `https`, normalised, ASCII.
///
/// `bytes` is the whole file; `name` (the last component of its path) tells the
/// form by its extension, and without one the bytes do.
///
/// # Errors
/// [`LinkError`] says in words for the operator why there is none.
pub fn read_link(bytes: &[u8], name: &[u8]) -> Result<String, LinkError> {
    if bytes.len() > MAX_LINK_FILE {
        return Err(LinkError::TooLarge);
    }
    let address = if bytes.starts_with(b"bplist00") {
        binary_plist(bytes).ok_or(LinkError::NoAddress)?
    } else {
        let text = decode(bytes);
        match extension(name).as_deref() {
            Some("webloc") => xml_plist(&text)?,
            _ if text.trim_start().starts_with('<') => xml_plist(&text)?,
            Some("desktop") => desktop(&text)?,
            Some("url") => ini(&text, "InternetShortcut").ok_or(LinkError::NoAddress)?,
            _ => match ini(&text, "InternetShortcut") {
                Some(address) => address,
                None => desktop(&text)?,
            },
        }
    };
    check(address.trim())
}

/// Refuses what must not be sent, and normalises the rest.
fn check(address: &str) -> Result<String, LinkError> {
    if address.is_empty() {
        return Err(LinkError::NoAddress);
    }
    if address.len() > MAX_ADDRESS {
        return Err(LinkError::TooLong);
    }
    if address.chars().any(char::is_control) {
        return Err(LinkError::ControlCharacters);
    }
    let url = Url::parse(address).map_err(|_| LinkError::NotAnAddress(shown_text(address, 80)))?;
    if url.scheme() != "https" {
        return Err(LinkError::NotHttps(shown_text(url.scheme(), 20)));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(LinkError::Credentials);
    }
    if !url.has_host() {
        return Err(LinkError::NotAnAddress(shown_text(address, 80)));
    }
    let sent = String::from(url);
    // Encoding can make it longer.
    if sent.len() > MAX_ADDRESS {
        Err(LinkError::TooLong)
    } else {
        Ok(sent)
    }
}

/// UTF-8 or UTF-16 by their marks, UTF-16 without one by its NULs, else UTF-8
/// with Latin-1 for what isn't (Windows writes `.url` in its own code page).
fn decode(bytes: &[u8]) -> String {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|p| unit([p[0], p[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [_, 0, ..] => wide(bytes, u16::from_le_bytes),
        [0, _, ..] => wide(bytes, u16::from_be_bytes),
        _ => {
            let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match std::str::from_utf8(rest) {
                Ok(text) => text.to_owned(),
                Err(_) => rest.iter().map(|b| char::from(*b)).collect(),
            }
        }
    }
}

/// The first `URL` of an INI section; names are compared without case.
fn ini(text: &str, section: &str) -> Option<String> {
    value(text, section, "URL")
}

fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = name.eq_ignore_ascii_case(section);
        } else if inside
            && let Some((k, v)) = line.split_once('=')
            // KDE writes `URL[$e]=`.
            && k.trim().split('[').next().is_some_and(|k| k.eq_ignore_ascii_case(key))
        {
            return Some(v.trim().to_owned());
        }
    }
    None
}

/// A `.desktop` entry of `Type=Link`.
fn desktop(text: &str) -> Result<String, LinkError> {
    let section = "Desktop Entry";
    match value(text, section, "Type") {
        Some(kind) if kind == "Link" => ini(text, section).ok_or(LinkError::NoAddress),
        _ => Err(LinkError::NoAddress),
    }
}

#[derive(Deserialize)]
struct Webloc {
    #[serde(rename = "URL")]
    url: String,
}

fn xml_plist(text: &str) -> Result<String, LinkError> {
    // What is skipped is skipped by recursion: refuse depth first.
    if depth(text) > MAX_DEPTH {
        return Err(LinkError::Malformed);
    }
    let webloc: Webloc = plist::from_bytes(text.as_bytes()).map_err(|_| {
        if text.contains("<key>URL</key>") {
            LinkError::Malformed
        } else {
            LinkError::NoAddress
        }
    })?;
    Ok(webloc.url)
}

/// An upper bound of how deep the elements of an XML text nest.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for tag in text.split('<').skip(1) {
        if tag.starts_with('/') {
            now = now.saturating_sub(1);
        } else if !tag.starts_with(['!', '?'])
            && !tag.split('>').next().is_some_and(|t| t.ends_with('/'))
        {
            now += 1;
            most = most.max(now);
        }
    }
    most
}

/// The string under `URL` in a binary property list whose top is a dictionary.
///
/// Own code: a general reader follows references, and a file of a few hundred
/// bytes can refer to itself a billion times over. This one follows three.
fn binary_plist(bytes: &[u8]) -> Option<String> {
    // The trailer: widths of offsets and references, number of objects, the
    // top one, where the table of offsets starts.
    let trailer = bytes.get(bytes.len().checked_sub(32)?..)?;
    let (offset_width, ref_width) = (usize::from(trailer[6]), usize::from(trailer[7]));
    if !(1..=8).contains(&offset_width) || !(1..=8).contains(&ref_width) {
        return None;
    }
    let index = |at: usize| usize::try_from(be(trailer, at, 8)?).ok();
    let (top, table) = (index(16)?, index(24)?);
    let object = |number: usize| -> Option<&[u8]> {
        let at = table.checked_add(number.checked_mul(offset_width)?)?;
        bytes.get(usize::try_from(be(bytes, at, offset_width)?).ok()?..)
    };
    let (kind, pairs, refs) = header(object(top)?)?;
    if kind != 0xd {
        return None;
    }
    let reference = |n: usize| -> Option<usize> {
        usize::try_from(be(refs, n.checked_mul(ref_width)?, ref_width)?).ok()
    };
    // More pairs than bytes can't be there.
    for n in 0..pairs.min(bytes.len()) {
        if string(object(reference(n)?)?).as_deref() == Some("URL") {
            return string(object(reference(n.checked_add(pairs)?)?)?);
        }
    }
    None
}

/// An object's kind, its length in items, and what follows.
fn header(object: &[u8]) -> Option<(u8, usize, &[u8])> {
    let mark = *object.first()?;
    let (kind, short) = (mark >> 4, usize::from(mark & 0x0f));
    if short != 0x0f {
        return Some((kind, short, &object[1..]));
    }
    // The length is an integer object of 1, 2, 4 or 8 bytes.
    let width = 1_usize
        .checked_shl(u32::from(*object.get(1)? & 0x0f))
        .filter(|w| *w <= 8)?;
    let len = usize::try_from(be(object, 2, width)?).ok()?;
    Some((kind, len, object.get(2 + width..)?))
}

/// A string object: ASCII (5) or UTF-16 (6).
fn string(object: &[u8]) -> Option<String> {
    let (kind, len, rest) = header(object)?;
    match kind {
        5 => Some(String::from_utf8_lossy(rest.get(..len)?).into_owned()),
        6 => {
            let wide = rest.get(..len.checked_mul(2)?)?;
            let units: Vec<u16> = wide
                .chunks_exact(2)
                .map(|p| u16::from_be_bytes([p[0], p[1]]))
                .collect();
            Some(String::from_utf16_lossy(&units))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
