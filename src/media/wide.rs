//! Text in units of two or four bytes: UTF-16 and UTF-32, with and without a mark.
//!
//! Must not: take other bytes for a text because they can be decoded: almost any
//! two bytes are a character of UTF-16.

use crate::domain::media::TextEncoding;

use super::text::{Rule, START, Text, are_rarely_odd, is_blank, is_odd_char};

/// How the units of a text are read.
#[derive(Clone, Copy)]
enum Width {
    Two(fn([u8; 2]) -> u16),
    Four(fn([u8; 4]) -> u32),
}

const UTF_16_LE: Width = Width::Two(u16::from_le_bytes);
const UTF_16_BE: Width = Width::Two(u16::from_be_bytes);
const UTF_32_LE: Width = Width::Four(u32::from_le_bytes);
const UTF_32_BE: Width = Width::Four(u32::from_be_bytes);

/// What a head with a mark is: a text, or (within) nothing. `None`: it has no mark.
#[expect(clippy::option_option, reason = "no mark is not the same as no text")]
pub(super) fn marked(head: &[u8], whole: bool, rule: Rule) -> Option<Option<Text<'static>>> {
    // UTF-32 first: its mark begins with that of UTF-16.
    let marks: [(&[u8], Width); 4] = [
        (b"\xff\xfe\0\0", UTF_32_LE),
        (b"\0\0\xfe\xff", UTF_32_BE),
        (b"\xff\xfe", UTF_16_LE),
        (b"\xfe\xff", UTF_16_BE),
    ];
    let (mark, width) = marks.into_iter().find(|(mark, _)| head.starts_with(mark))?;
    Some(read(&head[mark.len()..], width, whole, rule, false))
}

/// A text without a mark: more is asked of it.
pub(super) fn guessed(body: &[u8], whole: bool, rule: Rule) -> Option<Text<'static>> {
    let widths: &[Width] = match rule {
        Rule::Strict => &[UTF_16_LE, UTF_16_BE],
        Rule::Named => &[UTF_16_LE, UTF_16_BE, UTF_32_LE, UTF_32_BE],
    };
    let mut widths = widths.iter();
    widths.find_map(|width| read(body, *width, whole, rule, true))
}

/// What was counted of a text's characters.
#[derive(Default)]
struct Counted {
    all: usize,
    broken: usize,
    odd: usize,
    ascii: usize,
    /// Of a block that people write with.
    written: usize,
    /// Between words and sentences.
    between: usize,
    blank: usize,
}

impl Counted {
    fn note(&mut self, c: Option<char>, rule: Rule) {
        self.all += 1;
        let Some(c) = c else {
            self.broken += 1;
            return;
        };
        self.odd += usize::from(is_odd_char(c, rule));
        self.ascii += usize::from(c.is_ascii());
        self.written += usize::from(is_written(c));
        self.between += usize::from(is_between(c));
        self.blank += usize::from(is_blank(c));
    }

    /// Whether these are the characters of a text. `guess`: there was no mark.
    fn are_text(&self, guess: bool, rule: Rule) -> bool {
        let odd = match rule {
            Rule::Strict => self.odd > 0,
            Rule::Named => !are_rarely_odd(self.odd, self.all),
        };
        // The head may end within a surrogate pair, once.
        if odd || self.broken > 1 {
            return false;
        }
        let ascii = self.all >= 2 && self.ascii * 4 >= self.all;
        // In a script without ASCII: nearly all characters are of a script, and some
        // stand between words. Other bytes have neither.
        let script = rule == Rule::Named
            && self.all >= 4
            && self.written * 100 >= self.all * 99
            && self.between * 200 >= self.all
            && self.between > 0;
        !guess || ascii || script
    }
}

fn read(body: &[u8], width: Width, whole: bool, rule: Rule, guess: bool) -> Option<Text<'static>> {
    let mut counted = Counted::default();
    let mut start = String::new();
    let mut is_whole = whole;
    let units = START / 2;
    let mut note = |c: Option<char>| {
        counted.note(c, rule);
        if counted.all <= units {
            start.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        } else {
            is_whole = false;
        }
        !matches!(c, Some('\u{fffe}' | '\u{ffff}'))
    };
    let fits = match width {
        Width::Two(unit) => {
            let units = body.chunks_exact(2).map(|b| unit([b[0], b[1]]));
            char::decode_utf16(units).all(|c| note(c.ok()))
        }
        Width::Four(unit) => {
            let units = body.chunks_exact(4).map(|b| unit([b[0], b[1], b[2], b[3]]));
            units.into_iter().all(|unit| note(char::from_u32(unit)))
        }
    };
    if !fits || !counted.are_text(guess, rule) {
        return None;
    }
    Some(Text {
        encoding: TextEncoding::Utf16,
        start: start.into(),
        is_blank: whole && counted.blank == counted.all,
        is_whole,
    })
}

/// Whether a character is of a block that people write with: letters of any
/// script, punctuation, signs. About a quarter of all units of two bytes are not.
fn is_written(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~'
        | '\u{a0}'..='\u{24f}' | '\u{2b0}'..='\u{6ff}' | '\u{900}'..='\u{eff}'
        | '\u{10a0}'..='\u{11ff}' | '\u{1e00}'..='\u{206f}' | '\u{20a0}'..='\u{27bf}'
        | '\u{3000}'..='\u{33ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff01}'..='\u{ffee}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{2ffff}')
}

/// Whether a character stands between words or sentences.
fn is_between(c: char) -> bool {
    c.is_ascii_whitespace()
        || c.is_ascii_punctuation()
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{3002}' | '\u{300a}'..='\u{3011}'
            | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff1f}')
}
