//! File names: how one is uploaded, how one is shown, and which are temporary.
//!
//! A file name is any bytes but `/` and NUL, chosen by strangers. Whatever
//! leaves here can't break a multipart header, a log line or a terminal.
//! Must not: look at files, or decide what a name's extension means
//! (`media` does).

use std::fmt;

pub mod left_out;

/// Longest name that is uploaded, in bytes: what file systems take.
pub const MAX_UPLOAD_NAME: usize = 255;

/// The longest extension that is kept when a name is cut, in encoded bytes.
const MAX_KEPT_EXTENSION: usize = 32;

/// Most characters that [`shown`] lets through: a path of the system's longest.
const MAX_SHOWN: usize = 4096;

/// The name that is sent as the multipart `filename`.
///
/// As browsers do it (WHATWG, "multipart form data"), `"` becomes `%22`, CR
/// `%0D`, LF `%0A`, and UTF-8 letters stay as they are. Beyond that, `/`, `\`,
/// control characters, characters that steer the direction or can't be seen,
/// and bytes that are not UTF-8 become `%XX` for each byte. A `%` itself stays:
/// browsers leave it too, and nobody has to decode the name again.
///
/// `extension_fix` (without the dot) is appended, `photo.jpg` → `photo.jpg.png`,
/// unless the name already ends so. The result has 1 to [`MAX_UPLOAD_NAME`]
/// bytes, is never `.` or `..`, and keeps its extension when it is cut.
pub fn upload_name(name: &[u8], extension_fix: Option<&str>) -> String {
    let mut units = encode(name);
    if let Some(fix) = extension_fix {
        let fix = format!(".{}", encode(fix.as_bytes()).concat());
        let whole = units.concat().to_ascii_lowercase();
        if !whole.ends_with(&fix.to_ascii_lowercase()) || whole.len() == fix.len() {
            // "notes." + ".txt" is "notes.txt".
            if units.last().is_some_and(|u| u == ".") {
                units.pop();
            }
            if units.is_empty() {
                units.push("file".to_owned());
            }
            // One unit: the fix is kept whole or not at all.
            units.push(fix);
        }
    }
    match units.concat().as_str() {
        "" => return "file".to_owned(),
        "." => return "%2E".to_owned(),
        ".." => return "%2E%2E".to_owned(),
        _ => {}
    }
    cut(&units)
}

/// The name in units that are not to be cut apart: a character or one `%XX`.
fn encode(name: &[u8]) -> Vec<String> {
    let mut units = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, '"' | '/' | '\\') || is_unsafe(c) {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                units.push(bytes.map(|b| format!("%{b:02X}")).collect());
            } else {
                units.push(c.to_string());
            }
        }
        units.extend(chunk.invalid().iter().map(|b| format!("%{b:02X}")));
    }
    units
}

fn cut(units: &[String]) -> String {
    let len = |units: &[String]| units.iter().map(String::len).sum::<usize>();
    if len(units) <= MAX_UPLOAD_NAME {
        return units.concat();
    }
    let dot = units
        .iter()
        .rposition(|u| u.starts_with('.'))
        .filter(|at| len(&units[*at..]) <= MAX_KEPT_EXTENSION)
        .unwrap_or(units.len());
    let (stem, extension) = units.split_at(dot);
    let mut room = MAX_UPLOAD_NAME - len(extension);
    let mut kept = String::with_capacity(MAX_UPLOAD_NAME);
    for unit in stem {
        if unit.len() > room {
            break;
        }
        room -= unit.len();
        kept.push_str(unit);
    }
    kept.push_str(&extension.concat());
    kept
}

/// Characters that do something other than show themselves: controls (C0, DEL,
/// C1), line and paragraph separators, direction marks and overrides, invisible
/// ones. The joiners U+200C and U+200D stay: Persian words and emoji need them.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A path or name as it is shown in logs and on terminals: one line, with no
/// terminal sequence and no direction override. Escapes are Rust's: `\n`,
/// `\x1b`, `\u{202e}`, `\xff` for a byte that is not UTF-8, `\\` for a
/// backslash. Cut after 4,096 characters, with `…` at the end.
pub fn shown(bytes: &[u8]) -> String {
    let mut out = Bounded::new(MAX_SHOWN);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.add("\\\\");
            } else {
                out.add_char(c);
            }
        }
        for b in chunk.invalid() {
            out.add(&format!("\\x{b:02x}"));
        }
    }
    out.text
}

/// Text from the service as it is shown: escaped as [`shown`] does (but for
/// backslashes, which stay), and cut after `max` characters, with `…` at the
/// end.
pub fn shown_text(text: &str, max: usize) -> String {
    let mut out = Bounded::new(max);
    for c in text.chars() {
        if out.full {
            break;
        }
        out.add_char(c);
    }
    out.text
}

/// Text of at most so many characters, the `…` at the end not counted.
struct Bounded {
    text: String,
    room: usize,
    full: bool,
}

impl Bounded {
    fn new(room: usize) -> Bounded {
        Bounded {
            text: String::new(),
            room,
            full: false,
        }
    }

    /// Adds all of `piece` or, when there is no room for it, closes the text.
    fn add(&mut self, piece: &str) {
        let chars = piece.chars().count();
        if self.full {
            return;
        }
        if chars > self.room {
            self.full = true;
            self.text.push('…');
            return;
        }
        self.room -= chars;
        self.text.push_str(piece);
    }

    fn add_char(&mut self, c: char) {
        match c {
            '\n' => self.add("\\n"),
            '\r' => self.add("\\r"),
            '\t' => self.add("\\t"),
            c if is_unsafe(c) && u32::from(c) < 0x80 => {
                self.add(&format!("\\x{:02x}", u32::from(c)));
            }
            c if is_unsafe(c) => self.add(&format!("\\u{{{:x}}}", u32::from(c))),
            c => self.add(c.encode_utf8(&mut [0; 4])),
        }
    }
}

/// Why a name is that of a temporary file. `Display` says it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemporaryKind {
    /// A name that programs give to what they are still writing: which pattern of
    /// [`left_out::TEMPORARY`] it matches.
    Pattern(&'static str),
    /// A name that the folder's configuration calls temporary.
    Configured,
    /// `name~`: an editor's backup.
    Backup,
    /// `~$name`: an Office program has the document open.
    OfficeLock,
    /// `.name.XXXXXX`: rsync is still writing it.
    Rsync,
    /// `.name`: hidden, so not meant to be found.
    Dotfile,
}

impl fmt::Display for TemporaryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => match pattern.strip_prefix('*') {
                Some(end) if !end.contains('*') => write!(
                    f,
                    "its name ends in {end}, as files do that are still being written"
                ),
                _ => write!(
                    f,
                    "its name is like \"{pattern}\", as files are called that are still being \
                     written"
                ),
            },
            Self::Configured => f.write_str(
                "its name matches a pattern of the folder's `temporary` or `temporary_also`",
            ),
            Self::Backup => f.write_str("its name ends in ~, as the backups of editors do"),
            Self::OfficeLock => f.write_str(
                "its name starts with ~$, as the marks do that Office leaves beside an open document",
            ),
            Self::Rsync => {
                f.write_str("its name is one that rsync gives to a file it is still writing")
            }
            Self::Dotfile => f.write_str("its name starts with a dot, so it is a hidden file"),
        }
    }
}

/// Whether a file (or folder) of this name is temporary, where the folder has no
/// list of its own. Takes the last component of a path.
pub fn is_temporary(name: &[u8]) -> Option<TemporaryKind> {
    is_always_temporary(name).or_else(|| is_temporary_by_default(name))
}

/// The path that a file with a temporary name is to have when it is done, as far
/// as the name tells. The mark is in the last component.
pub fn finished_path(path: &[u8]) -> Option<Vec<u8>> {
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let (above, name) = path.split_at(start);
    let finished = match is_temporary(name)? {
        TemporaryKind::Pattern(pattern) => left_out::unmarked(pattern, name)?,
        TemporaryKind::Backup => name.strip_suffix(b"~")?,
        TemporaryKind::Dotfile => left_out::first_match(left_out::TEMPORARY, name)
            .and_then(|pattern| left_out::unmarked(pattern, name))
            .or_else(|| name.strip_prefix(b"."))?,
        // `.name.XXXXXX`
        TemporaryKind::Rsync => name.get(1..name.len().checked_sub(7)?)?,
        TemporaryKind::OfficeLock | TemporaryKind::Configured => return None,
    };
    let is_name = !finished.is_empty() && is_temporary(finished).is_none();
    is_name.then(|| [above, finished].concat())
}

/// Whether `name` matches the default list of temporary names.
pub fn is_temporary_by_default(name: &[u8]) -> Option<TemporaryKind> {
    left_out::first_match(left_out::TEMPORARY, name).map(TemporaryKind::Pattern)
}

/// Whether a file of this name is never taken, whatever the configuration says.
pub fn is_always_temporary(name: &[u8]) -> Option<TemporaryKind> {
    if name.starts_with(b"~$") {
        Some(TemporaryKind::OfficeLock)
    } else if name.starts_with(b".") {
        Some(if is_rsync(name) {
            TemporaryKind::Rsync
        } else {
            TemporaryKind::Dotfile
        })
    } else if name.ends_with(b"~") {
        Some(TemporaryKind::Backup)
    } else {
        None
    }
}

/// `.name.XXXXXX`, the six being letters and digits.
fn is_rsync(name: &[u8]) -> bool {
    let Some((rest, suffix)) = name
        .len()
        .checked_sub(7)
        .and_then(|at| name.split_at_checked(at))
    else {
        return false;
    };
    rest.len() > 1 && suffix[0] == b'.' && suffix[1..].iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
#[path = "naming_tests.rs"]
mod tests;
