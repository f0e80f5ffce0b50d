//! What of a configuration's values a message may repeat. A message is understood
//! at once when it has the value that is wrong; and what is written in a wrong
//! place may be an Access-Key, which must not end in a log.
//!
//! Must not: be asked about a value that is a secret wherever it stands.

use toml::Value;
use toml::de::DeValue;

use crate::domain::naming::shown_text;

/// Longest text that is repeated, in characters.
const LONGEST: usize = 80;

/// Keys whose values are secrets, or lead to those who know one.
const SECRET: [&str; 5] = ["key", "key_env", "credential", "url", "command"];

/// A value as TOML has it, if a message may repeat it. `key`: where it stands.
pub(super) fn value(key: &str, value: &DeValue<'_>) -> Option<String> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let name = name.split('[').next().unwrap_or(name);
    if SECRET.contains(&name) {
        return None;
    }
    match value {
        // Quoted by TOML's rules, which leave what turns a line around as it is.
        DeValue::String(text) => may_be_shown(text)
            .then(|| shown_text(&Value::from(text.as_ref()).to_string(), usize::MAX)),
        DeValue::Integer(n) => may_be_shown(n.as_str()).then(|| n.as_str().to_owned()),
        DeValue::Float(n) => may_be_shown(n.as_str()).then(|| n.as_str().to_owned()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// Whether a text is nothing that a service issues, and no address with a log-in.
/// What is drawn by chance changes between letters and digits, or between small
/// and capital letters, again and again, or goes on for long.
pub(super) fn may_be_shown(text: &str) -> bool {
    text.chars().count() <= LONGEST
        && !text.contains(['@', '?'])
        && !text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(is_random)
}

fn is_random(run: &str) -> bool {
    let bytes = run.as_bytes();
    let changes = |of: fn(&u8) -> bool| bytes.windows(2).filter(|w| of(&w[0]) != of(&w[1])).count();
    let digits = changes(u8::is_ascii_digit);
    let capitals = changes(u8::is_ascii_uppercase);
    let all_digits = bytes.iter().all(u8::is_ascii_digit);
    bytes.len() >= 24
        || bytes.len() >= 6 && digits >= 2
        || bytes.len() >= 8 && capitals >= 4
        || bytes.len() >= 10 && all_digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_value_steers_no_terminal() {
        let text = DeValue::String("\u{202e}main\n\u{1b}[2J".into());
        let said = value("dataset[1].name", &text).expect("no secret");
        assert!(!said.contains(['\u{202e}', '\n', '\u{1b}']), "{said:?}");
        assert!(said.contains("main"));
    }

    #[test]
    fn what_people_write_is_shown_and_what_is_issued_is_not() {
        for shown in [
            "mov",
            "30",
            "10m",
            "1 fortnight",
            "/srv/drop/scans2026",
            "drop",
            "*.pdf",
            "invoices-2026",
            "https://api.supametas.ai/openapi/open/v2",
            "2.5GiB",
            "MyScans",
            "季度报告",
        ] {
            assert!(may_be_shown(shown), "{shown}");
        }
        for hidden in [
            "sk-S3cr3tV4lue-9f8e7d6c",
            "550e8400-e29b-41d4-a716-446655440000",
            "0123456789",
            "AbCdEfGhIj",
            "abcdefghijklmnopqrstuvwxyz",
            "https://me:hunter@example.org/",
            "https://example.org/?key=abc",
            "/etc/sk-4f1d0c77a2b94e6d",
        ] {
            assert!(!may_be_shown(hidden), "{hidden}");
        }
    }
}
