//! Text from outside, made fit to be shown: bounded, and with nothing in it that
//! a terminal or a log could mistake for its own.
//!
//! Must not: know where the text came from.

/// At most `max` characters, escapes counted, and `…` where it was cut.
pub(super) use crate::domain::naming::shown_text as visible;

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
        assert_eq!(visible("a\n\u{1b}[31m", 99), "a\\n\\x1b[31m");
        assert_eq!(visible("gpj.\u{202e}exe", 99), "gpj.\\u{202e}exe");
        assert_eq!(visible("héllo", 3), "hél…");
        assert_eq!(visible("héllo", 5), "héllo");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé".to_owned(), 2), "a");
        assert_eq!(cut("aé".to_owned(), 3), "aé");
    }
}
