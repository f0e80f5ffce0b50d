//! Text from outside, made fit to be shown: bounded, without the key, and
//! with nothing in it that a terminal or a log could mistake for its own.
//!
//! Must not: know where the text came from.

/// At most `max` characters of `text`; what controls a terminal or turns the
/// reading direction is written as an escape.
pub(super) fn visible(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == max {
            out.push('…');
            break;
        }
        if hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Controls, line separators, and the marks that turn text around.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` without the key: a proxy's error page may show the request's headers.
pub(super) fn without_key(text: &str, key: &str) -> String {
    if key.is_empty() {
        text.to_owned()
    } else {
        text.replace(key, "[key]")
    }
}

/// `text` cut to `max` bytes, on a character's boundary.
pub(super) fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_the_length_is_bounded() {
        assert_eq!(visible("a\n\u{1b}[31m", 99), "a\\u{a}\\u{1b}[31m");
        assert_eq!(visible("gpj.\u{202e}exe", 99), "gpj.\\u{202e}exe");
        assert_eq!(visible("héllo", 3), "hél…");
        assert_eq!(visible("héllo", 5), "héllo");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé".to_owned(), 2), "a");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
    }

    #[test]
    fn the_key_is_taken_out() {
        assert_eq!(without_key("bad key s3cret!", "s3cret"), "bad key [key]!");
        assert_eq!(without_key("abc", ""), "abc");
    }
}
