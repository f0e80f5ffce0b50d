//! From TOML text to [`Raw`], with every problem of shape found at once and
//! the line of every key known.
//!
//! serde stops at the first thing that it can't take. So what it could not
//! take is noted, cut out of the tree, and the rest is tried again.
//!
//! Must not: use an error's `Display`: it prints the offending line, and that
//! may hold a secret. Of serde's messages only what was *expected* is used.

use std::collections::{BTreeMap, BTreeSet};

use serde_path_to_error::{Path, Segment};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::Raw;
use super::showable;
use super::units;
use crate::domain::spelling::did_you_mean;

/// A problem of shape.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub key: String,
    pub line: Option<usize>,
    pub what: String,
    pub remedy: String,
}

/// Which line each key is on.
#[derive(Debug, Default)]
pub(super) struct Lines {
    by_key: BTreeMap<String, usize>,
    /// Values that a message may repeat, as TOML.
    values: BTreeMap<String, String>,
}

impl Lines {
    /// The line of `key`, or of the nearest table around it that is in the
    /// file; `None` if there is none.
    pub fn of(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.by_key.get(key) {
                return Some(*line);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// What is written at `key`, if a message may repeat it.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Whether the file itself has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }
}

/// What was read.
pub(super) struct Source {
    pub raw: Raw,
    pub lines: Lines,
    /// Keys that were cut out: nothing may be said about their absence.
    pub cut: BTreeSet<String>,
    pub flaws: Vec<Flaw>,
}

/// Reads `text`. `Err`: it is not TOML; one flaw for each line that is not.
pub(super) fn read(text: &str) -> Result<Source, Vec<Flaw>> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let line = |at: usize| starts.partition_point(|start| *start <= at);

    let (mut tree, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut flaws: BTreeMap<Option<usize>, Flaw> = BTreeMap::new();
        for error in errors {
            let line = error.span().map(|span| line(span.start));
            let written = line.and_then(|line| text.lines().nth(line - 1));
            flaws
                .entry(line)
                .or_insert_with(|| syntax(&error, line, written.unwrap_or_default()));
        }
        return Err(flaws.into_values().collect());
    }

    let mut lines = Lines::default();
    note_table(tree.get_ref(), "", &line, &mut lines);
    let (mut cut, mut flaws) = (BTreeSet::new(), Vec::new());
    for name in SINGLE {
        // serde would take the first of the list for the table's first key.
        let is_list = |value: &Spanned<DeValue<'_>>| value.get_ref().is_array();
        if tree.get_ref().get(name).is_some_and(is_list) {
            tree.get_mut().remove(name);
            cut.insert(name.to_owned());
            flaws.push(Flaw {
                key: name.to_owned(),
                line: lines.of(name),
                what: "is written as a list, and there is one of it".to_owned(),
                remedy: format!("write its name in one bracket: [{name}]"),
            });
        }
    }
    loop {
        let taken = serde_path_to_error::deserialize(toml::Deserializer::from(tree.clone()));
        let error = match taken {
            Ok(raw) => {
                return Ok(Source {
                    raw,
                    lines,
                    cut,
                    flaws,
                });
            }
            Err(error) => error,
        };
        let line = error.inner().span().map(|span| line(span.start));
        let removed = remove(tree.get_mut(), error.path());
        let progress = removed.is_some();
        let key = removed.unwrap_or_default();
        flaws.push(shape(
            &key,
            line.or(lines.of(&key)),
            error.inner().message(),
        ));
        cut.insert(key);
        if !progress {
            // Nothing could be cut out, so the rest would fail alike.
            return Err(flaws);
        }
    }
}

/// `written`: the line, of which nothing is repeated.
fn syntax(error: &toml::de::Error, line: Option<usize>, written: &str) -> Flaw {
    // The parser's messages name what it wants, never what is there; a
    // duplicate key is the exception that proves short enough to say so.
    let message = error.message();
    let what = if message.contains('\n') || message.len() > 120 {
        "this is not TOML".to_owned()
    } else {
        format!("this is not TOML: {message}")
    };
    let head = written.split('#').next().unwrap_or_default().trim();
    let remedy = match LISTS.iter().find(|name| head == format!("[{name}]")) {
        Some(name) => format!(
            "a table of which there may be several has two brackets: write [[{name}]], each time"
        ),
        None if written.contains(['“', '”', '„', '‘', '’', '«', '»']) => {
            "write plain quotes (\" or '): those of a word processor are none here".to_owned()
        }
        None if written.contains('\u{a0}') => {
            "write plain spaces: there is one that must not be broken, as web pages have them"
                .to_owned()
        }
        None => "texts need quotes, tables look like [service], lists of tables like [[folder]]"
            .to_owned(),
    };
    Flaw {
        key: String::new(),
        line,
        what,
        remedy,
    }
}

/// Tables of which there is one.
const SINGLE: [&str; 6] = ["service", "daemon", "retry", "poll", "log", "http"];

/// Tables of which there may be several.
const LISTS: [&str; 4] = ["dataset", "folder", "folder.hook", "error"];

/// What `name` looks like in a message. A key that was pasted where a name
/// belongs does not look like one of ours, and is not shown.
fn shown(name: &str) -> &str {
    let wordy = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'-';
    if !name.is_empty() && name.len() <= 32 && name.bytes().all(wordy) {
        name
    } else {
        "…"
    }
}

/// The key of `name` in the table `prefix`.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        shown(name).to_owned()
    } else {
        format!("{prefix}.{}", shown(name))
    }
}

fn note_table(table: &DeTable<'_>, prefix: &str, line: &dyn Fn(usize) -> usize, into: &mut Lines) {
    for (name, value) in table {
        let key = join(prefix, name.get_ref());
        into.by_key
            .entry(key.clone())
            .or_insert_with(|| line(name.span().start));
        note_value(value, &key, line, into);
    }
}

fn note_value(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    line: &dyn Fn(usize) -> usize,
    into: &mut Lines,
) {
    if let Some(value) = showable::value(key, value.get_ref()) {
        into.values.insert(key.to_owned(), value);
    }
    match value.get_ref() {
        DeValue::Table(table) => note_table(table, key, line, into),
        DeValue::Array(list) => {
            for (at, item) in list.iter().enumerate() {
                let key = format!("{key}[{}]", at + 1);
                into.by_key
                    .entry(key.clone())
                    .or_insert_with(|| line(item.span().start));
                note_value(item, &key, line, into);
            }
        }
        _ => {}
    }
}

/// Cuts out what `path` leads to, and says its key. An item of a list goes
/// with its whole list, so that the items after it keep their numbers.
fn remove(tree: &mut DeTable<'_>, path: &Path) -> Option<String> {
    let steps: Vec<&Segment> = path.iter().collect();
    let mut table = tree;
    let mut key = String::new();
    let mut at = 0;
    loop {
        let Segment::Map { key: name } = steps.get(at)? else {
            return None;
        };
        let name = name.as_str();
        let here = join(&key, name);
        // Follow the path while it leads on to a name inside a table.
        let mut value = table.get_mut(name)?.get_mut();
        let mut inner = here.clone();
        let mut next = at + 1;
        while let Some(Segment::Seq { index }) = steps.get(next) {
            let DeValue::Array(list) = value else { break };
            value = list.get_mut(*index)?.get_mut();
            inner = format!("{inner}[{}]", index + 1);
            next += 1;
        }
        let leads_on = matches!(steps.get(next), Some(Segment::Map { .. }));
        if !leads_on || !value.is_table() {
            table.remove(name);
            return Some(here);
        }
        let DeValue::Table(_) = value else {
            return None;
        };
        // Borrowed again, since the branch above needed the table itself.
        table = descend(table, name, &steps[at + 1..next])?;
        key = inner;
        at = next;
    }
}

fn descend<'t, 'i>(
    table: &'t mut DeTable<'i>,
    name: &str,
    items: &[&Segment],
) -> Option<&'t mut DeTable<'i>> {
    let mut value = table.get_mut(name)?.get_mut();
    for item in items {
        let (Segment::Seq { index }, DeValue::Array(list)) = (item, value) else {
            return None;
        };
        value = list.get_mut(*index)?.get_mut();
    }
    match value {
        DeValue::Table(inner) => Some(inner),
        _ => None,
    }
}

/// The names that serde's "expected one of `a`, `b`" lists, in its order.
pub(super) fn expected_names(message: &str) -> Vec<&str> {
    let tail = message.rsplit(", expected ").next().unwrap_or("");
    tail.split('`').skip(1).step_by(2).collect()
}

fn shape(key: &str, line: Option<usize>, message: &str) -> Flaw {
    let flaw = |what: &str, remedy: String| Flaw {
        key: key.to_owned(),
        line,
        what: what.to_owned(),
        remedy,
    };
    if message.starts_with("unknown field") {
        let mut known = expected_names(message);
        // It is there only to be refused.
        known.retain(|name| *name != "key" || !key.starts_with("dataset"));
        let name = key.rsplit('.').next().unwrap_or(key);
        if is_a_key(name) {
            return flaw(UNKNOWN, format!("if it holds the Access-Key, {KEY_REMEDY}"));
        }
        let remedy = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        return flaw(UNKNOWN, remedy);
    }
    let tail = message.rsplit(", expected ").next().unwrap_or("");
    let found = |kind: &str| message.starts_with(&format!("invalid type: {kind}"));
    let number = found("integer") || found("floating point");
    let name = key.rsplit('.').next().unwrap_or(key);
    let (what, remedy) = match tail.trim() {
        "a string" if number && TIMES.contains(&name) => ("has no unit", units::TIME_HINT),
        "a string" if number && SIZES.contains(&name) => ("has no unit", units::SIZE_HINT),
        "a string" if found("sequence") => (
            "is a list, and one text belongs here",
            "write it without brackets",
        ),
        "a string" => ("is not a text", "put it in quotes"),
        "a boolean" => (
            "is neither true nor false",
            "write true or false, without quotes",
        ),
        "u32" => (
            "is not a whole number of 0 or more",
            "write a number without quotes",
        ),
        "f64" => ("is not a number", "write a number without quotes"),
        "a sequence" if is_list_of_tables(key) => {
            let name = without_numbers(key);
            return flaw(
                "is written as one table, and it is a list of them",
                match name.ends_with("custom_keys") {
                    true => "write it in brackets: [{ key = \"…\", desc = \"…\" }]".to_owned(),
                    false => format!("write its name in two brackets: [[{name}]]"),
                },
            );
        }
        "a sequence" => (
            "is not a list",
            "write it in brackets, such as [\"a\", \"b\"]",
        ),
        "a map" | "a table" => ("is not a table", "write it as a table of its own"),
        t if t.starts_with("struct ") => ("is not a table", "write it as a table of its own"),
        _ => (
            "is not the kind of value that belongs here",
            "compare it with the example configuration",
        ),
    };
    flaw(what, remedy.to_owned())
}

/// Keys whose text is a time, and keys whose text is a size: who writes a bare
/// number there is told the units, and not to put it in quotes.
const TIMES: [&str; 19] = [
    "connect_timeout",
    "stall_timeout",
    "answer_timeout",
    "idle_timeout",
    "shutdown_grace",
    "rescan_every",
    "poll_every",
    "backoff_base",
    "backoff_cap",
    "give_up_after",
    "first",
    "max",
    "quiet",
    "quiet_unsure",
    "unclosed_wait",
    "incomplete_wait",
    "reimport_after",
    "pause_first",
    "pause_max",
];
const SIZES: [&str; 2] = ["max_size", "bytes_per_second"];

fn is_list_of_tables(key: &str) -> bool {
    matches!(key, "dataset" | "folder" | "error")
        || key.ends_with("custom_keys")
        || key.ends_with(".hook")
}

/// The table's name as a head has it: `folder[2].hook` is `folder.hook`.
fn without_numbers(key: &str) -> String {
    let parts = key.split('.');
    let names = parts.map(|part| part.split('[').next().unwrap_or(part));
    names.collect::<Vec<_>>().join(".")
}

/// What is wrong with a key that no table has. What is written there may be
/// anything.
pub(super) const UNKNOWN: &str = "is not a key of this table";

/// What to do with a key that was written into the configuration.
pub(super) const KEY_REMEDY: &str = "replace that key in the service's console, since it is in the backups of this file now; put the new one alone into a file that only the daemon's user can read, and name that file with `key_file` (or use `credential`, or `key_env`)";

/// Whether somebody meant to write a key here.
fn is_a_key(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    [
        "key",
        "accesskey",
        "apikey",
        "secret",
        "secretkey",
        "token",
        "accesstoken",
        "password",
    ]
    .contains(&plain.as_str())
}

/// The keys of the table that `T` is read from, as serde knows them.
#[cfg(test)]
pub(super) fn keys_of<T: serde::de::DeserializeOwned>() -> Vec<String> {
    match toml::from_str::<T>("\"no such key\" = 1") {
        Ok(_) => Vec::new(),
        Err(error) => expected_names(error.message())
            .into_iter()
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn flaws(text: &str) -> Vec<(String, usize, String)> {
        let flaws = match read(text) {
            Ok(source) => source.flaws,
            Err(flaws) => flaws,
        };
        let row = |f: Flaw| (f.key, f.line.unwrap(), format!("{}; {}", f.what, f.remedy));
        let mut rows: Vec<_> = flaws.into_iter().map(row).collect();
        rows.sort_by_key(|r| r.1);
        rows
    }

    #[test]
    fn all_flaws_of_shape_at_once() {
        let text = "\
[service]
base_ulr = 'x'
answer_timeout = 30

[[dataset]]
name = true
concurrency = 'four'
sk-9f8e7d = 1

[[folder]]
name = 'a'

[[folder]]
recursive = 'yes'
include = '*.pdf'
exclude = ['a', 3]
[folder.text]
title = 1
custom_keys = [{ kee = 'x' }]
extensions = 3
[folder.web.extra]
anything = { goes = [1, 2] }
";
        let seen = flaws(text);
        let seen: Vec<(&str, usize, &str)> = seen
            .iter()
            .map(|r| (r.0.as_str(), r.1, r.2.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    "service.base_ulr",
                    2,
                    "is not a key of this table; did you mean `base_url`?"
                ),
                (
                    "service.answer_timeout",
                    3,
                    "has no unit; write a number and a unit: \"500ms\", \"10s\", \"15m\" (minutes), \"6h\", \"1d\" or \"1h 30m\""
                ),
                ("dataset[1].name", 6, "is not a text; put it in quotes"),
                (
                    "dataset[1].concurrency",
                    7,
                    "is not a whole number of 0 or more; write a number without quotes"
                ),
                (
                    "dataset[1].…",
                    8,
                    "is not a key of this table; known here: name, key_file, key_env, credential, concurrency, max_concurrent, polls_per_second, requests_per_second, bytes_per_second, webhook_path_file, results_dir"
                ),
                (
                    "folder[2].recursive",
                    14,
                    "is neither true nor false; write true or false, without quotes"
                ),
                (
                    "folder[2].include",
                    15,
                    "is not a list; write it in brackets, such as [\"a\", \"b\"]"
                ),
                ("folder[2].exclude", 16, "is not a text; put it in quotes"),
                (
                    "folder[2].text.title",
                    18,
                    "is neither true nor false; write true or false, without quotes"
                ),
                (
                    "folder[2].text.custom_keys[1].kee",
                    19,
                    "is not a key of this table; did you mean `key`?"
                ),
                (
                    "folder[2].text.extensions",
                    20,
                    "is not a list; write it in brackets, such as [\"a\", \"b\"]"
                ),
            ]
        );
    }

    #[test]
    fn one_bracket_too_few() {
        let seen = flaws("[folder]\nname = 'x'\n");
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].0.as_str(), seen[0].1), ("folder", 1));
        assert!(seen[0].2.contains("[[folder]]"), "{seen:?}");
    }

    #[test]
    fn text_that_is_not_toml() {
        let seen = flaws("[service]\nbase_url = sk-secret-1\n\n[log\nfilter = 'x'\na = 'b\n");
        assert!(seen.len() >= 2, "{seen:?}");
        assert_eq!(seen[0].1, 2);
        for (_, _, text) in &seen {
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_line_is_found_for_what_is_not_there() {
        let source = read("[[folder]]\nname = 'a'\n\n[[folder]]\n[folder.text]\n")
            .ok()
            .unwrap();
        let lines = source.lines;
        assert_eq!(lines.of("folder[1].name"), Some(2));
        assert_eq!(lines.of("folder[1].path"), Some(1));
        assert_eq!(lines.of("folder[2].text.format"), Some(5));
        assert_eq!(lines.of("service.base_url"), None);
    }
}
