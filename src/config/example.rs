//! The example configuration as a text that can be asked: what is said above a
//! key, and which value stands there.
//!
//! Read by lines, since what counts are the comments: prose has a space behind
//! its sign, a key or a table that is switched off has none.
//!
//! Must not: know which keys there are.

use std::collections::BTreeMap;

/// The example configuration, with every key.
pub const TEXT: &str = include_str!("../../config.example.toml");

/// A key, or a table, of the example.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The comment above it, a paragraph each; one that begins with a space is
    /// to be shown as it is.
    pub said: Vec<String>,
    /// What is written behind the `=`; empty for a table.
    pub value: String,
    /// It stands there without a `#`: it must be given.
    pub given: bool,
}

/// The example, taken apart.
#[derive(Debug, Default)]
pub struct Example {
    /// What is said before the first heading.
    pub intro: Vec<String>,
    entries: BTreeMap<String, Entry>,
}

impl Example {
    /// Reads a text in the form of [`TEXT`].
    pub fn read(text: &str) -> Example {
        let mut found = Example::default();
        let mut table = String::new();
        let mut said: Vec<String> = Vec::new();
        let mut at_top = true;
        for line in text.lines() {
            let (line, given) = match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                    (rest, false)
                }
                Some(prose) => {
                    add(&mut said, prose.strip_prefix(' ').unwrap_or(prose));
                    continue;
                }
                None => (line, true),
            };
            if line.is_empty() {
                if std::mem::take(&mut at_top) {
                    found.intro = said;
                }
                said = Vec::new();
                continue;
            }
            let said = std::mem::take(&mut said);
            let (key, value) = match line.split_once(" = ") {
                Some((name, value)) if !line.starts_with('[') => {
                    (format!("{table}.{name}"), value.to_owned())
                }
                _ => {
                    table = line.trim_matches(['[', ']']).to_owned();
                    (table.clone(), String::new())
                }
            };
            // Where a key stands twice, as in a second example, the first
            // explains it.
            found
                .entries
                .entry(key)
                .or_insert(Entry { said, value, given });
        }
        found
    }

    /// What is said of `folder.max_size`, or of the table `folder`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every key and every table.
    #[cfg(test)]
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// Adds a line to the last paragraph, or begins the next.
fn add(said: &mut Vec<String>, line: &str) {
    // Rules under headings are for the eye.
    let line = line.trim_end_matches('─').trim_end();
    let as_is = |line: &str| line.starts_with(' ');
    match said.last_mut() {
        Some(last) if !last.is_empty() && !line.is_empty() && as_is(last) == as_is(line) => {
            last.push(if as_is(line) { '\n' } else { ' ' });
            last.push_str(line);
        }
        Some(last) if last.is_empty() => *last = line.to_owned(),
        _ => said.push(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_apart() {
        let text = "\
# A text
# of two lines.
#
#     run it

# ── A heading ───

[one]
# What it
# means.
#a = \"x = y\"
b = 2

# About the list.
#[[two]]
# C.
#c = [1]
";
        let found = Example::read(text);
        assert_eq!(found.intro, ["A text of two lines.", "    run it"]);
        let entry = |said: &str, value: &str, given| Entry {
            said: said.lines().map(str::to_owned).collect(),
            value: value.to_owned(),
            given,
        };
        let expected = [
            ("one", entry("", "", true)),
            ("one.a", entry("What it means.", "\"x = y\"", false)),
            ("one.b", entry("", "2", true)),
            ("two", entry("About the list.", "", false)),
            ("two.c", entry("C.", "[1]", false)),
        ];
        for (key, entry) in &expected {
            assert_eq!(found.entry(key), Some(entry), "{key}");
        }
        assert_eq!(found.names().count(), expected.len());
    }
}
