//! Product code, out of the text of a source file: comments, texts and test
//! code become spaces, so that every line keeps its number.
//!
//! Must not: understand more of Rust than that takes.

/// The code of `source`, with all else blanked.
pub fn code(source: &str) -> String {
    let mut text = source.as_bytes().to_vec();
    blank_prose(&mut text);
    blank_tests(&mut text);
    // Whole texts and comments were blanked, so no character was cut.
    String::from_utf8_lossy(&text).into_owned()
}

fn blank(text: &mut [u8], from: usize, to: usize) {
    let to = to.min(text.len());
    for byte in &mut text[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Comments, string and character literals.
fn blank_prose(text: &mut [u8]) {
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let len = if rest.starts_with(b"//") {
            rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if let Some(len) = raw_string(text, at) {
            len
        } else if rest[0] == b'"' {
            string(rest)
        } else if rest[0] == b'\'' {
            character(rest)
        } else {
            0
        };
        if len == 0 {
            at += 1;
        } else {
            blank(text, at, at + len);
            at += len;
        }
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// `r"…"`, `r#"…"#`, `br"…"` and their like; not the identifier `r#type`.
fn raw_string(text: &[u8], at: usize) -> Option<usize> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let inside_a_word = at > 0 && word(text[at - 1]) && !matches!(text[at - 1], b'b' | b'c');
    if text[at] != b'r' || inside_a_word {
        return None;
    }
    let rest = &text[at + 1..];
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let end: Vec<u8> = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let body = &rest[hashes + 1..];
    let len = body.windows(end.len()).position(|w| w == end);
    Some(len.map_or(text.len() - at, |len| 1 + hashes + 1 + len + end.len()))
}

/// The length of a character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        // The escaped character may itself be a quote.
        let end = rest.iter().skip(3).position(|b| *b == b'\'');
        return end.map_or(0, |end| end + 4);
    }
    let width = match rest.get(1) {
        Some(0..0x80) => 1,
        Some(0x80..0xe0) => 2,
        Some(0xe0..0xf0) => 3,
        _ => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') {
        width + 2
    } else {
        0
    }
}

/// What stands behind `#[cfg(test)]`, up to the end of its item.
fn blank_tests(text: &mut [u8]) {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut at = 0;
    while at < text.len() {
        if !text[at..].starts_with(MARK) {
            at += 1;
            continue;
        }
        let end = item_end(text, at + MARK.len());
        blank(text, at, end);
        at = end;
    }
}

fn item_end(text: &[u8], mut at: usize) -> usize {
    // Further attributes.
    loop {
        at += text[at..]
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        if !text[at..].starts_with(b"#[") {
            break;
        }
        at = closing(text, at + 1);
    }
    // In a `use`, braces belong to the path.
    let head: Vec<u8> = text[at..]
        .iter()
        .copied()
        .take_while(|b| !b"{;".contains(b))
        .collect();
    let is_use = String::from_utf8_lossy(&head)
        .split_whitespace()
        .any(|word| word == "use");
    while at < text.len() {
        match text[at] {
            b';' => return at + 1,
            b'{' if !is_use => return closing(text, at),
            b'(' | b'[' | b'{' => at = closing(text, at),
            _ => at += 1,
        }
    }
    at
}

/// Behind the bracket that closes the one at `open`.
fn closing(text: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[test]
fn prose_and_tests_are_blanked_and_lines_kept() {
    for (source, left) in [
        ("a // b\nc", "a\nc"),
        ("a /* b /* c */ d */ e", "a e"),
        (r#"a "b \" c" d"#, "a d"),
        ("a r#\"b \" c\"# d", "a d"),
        ("a br\"\\\" d", "a b d"),
        (
            "r#type 'x' '\\'' '\u{e9}' <'a> b'\"' '\"' c",
            "r#type <'a> b c",
        ),
        ("#[cfg(test)] mod t { fn f() { } } a", "a"),
        ("#[cfg(test)]\n#[path = \"t.rs\"]\nmod t;\na", "\n\n\na"),
        ("#[cfg(test)] use a::{b, c}; d", "d"),
        ("#[cfg(test)] fn f(x: [u8; 4]) { g(); } a", "a"),
    ] {
        let blanked = code(source);
        assert_eq!(blanked.len(), source.len(), "{source}");
        let lines = |text: &str| -> Vec<String> {
            text.lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(lines(&blanked), lines(left), "{source}");
    }
}
