//! The reference against what the program does: every key of the example is in
//! it, limits and words are those of the checker, and what is in force after a
//! reload is what `diff` says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use super::example::{Example, TEXT};
use super::reference::{Force, Key, Kind, TABLES, Table};
use super::testing::{BASE, load, machine, problems, with};
use super::units::show_time;
use crate::domain::ids::FolderName;

/// `table.key`, once for each table that the example has it in.
fn names(table: &Table, key: &Key) -> Vec<String> {
    let all = table
        .names
        .iter()
        .map(|name| format!("{name}.{}", key.name));
    let example = Example::read(TEXT);
    all.filter(|name| example.entry(name).is_some()).collect()
}

#[test]
fn every_key_of_the_example_is_in_it() {
    let example = Example::read(TEXT);
    let mut listed: BTreeSet<String> = BTreeSet::new();
    for table in TABLES {
        listed.extend(table.names.iter().map(|name| (*name).to_owned()));
        for key in table.keys {
            let names = names(&table, key);
            assert!(
                !names.is_empty(),
                "{}: {} is not in config.example.toml",
                table.names[0],
                key.name
            );
            listed.extend(names);
        }
    }
    let missing: Vec<&str> = example
        .names()
        .filter(|name| !listed.contains(*name) && !name.ends_with("someOption"))
        .collect();
    assert!(
        missing.is_empty(),
        "in config.example.toml, but not in src/config/reference.rs: {missing:?}"
    );
}

#[test]
fn every_key_says_what_it_means() {
    let example = Example::read(TEXT);
    for table in TABLES {
        for key in table.keys {
            let first = &names(&table, key)[0];
            let said = &example.entry(first).unwrap().said;
            assert!(
                !said.is_empty(),
                "config.example.toml: no comment above {first}"
            );
        }
    }
}

/// Values that are taken, and values that are not, as TOML.
fn trials(kind: Kind) -> (Vec<String>, Vec<String>) {
    let quoted = |text: &str| format!("\"{text}\"");
    let time = |time: Duration| quoted(&show_time(time));
    let ms = Duration::from_millis(1);
    match kind {
        Kind::Text(_) => (vec![], vec!["1".into()]),
        Kind::Time(min, max) => {
            let less = min.checked_sub(ms).map(time);
            let bad = less.into_iter().chain([time(max + ms), "1".into()]);
            (vec![time(min), time(max)], bad.collect())
        }
        Kind::Size(min) => (
            vec![quoted(&format!("{min}B"))],
            vec![quoted(&format!("{}B", min - 1)), "1".into()],
        ),
        Kind::Count(min, max) => {
            let good = vec![min.to_string(), max.unwrap_or(u32::MAX).to_string()];
            let more = max.map_or(u64::from(u32::MAX), u64::from) + 1;
            (
                good,
                vec![(i64::from(min) - 1).to_string(), more.to_string()],
            )
        }
        Kind::Rate => (
            vec!["0.001".into(), "10000.0".into()],
            vec!["0.0009".into(), "10000.1".into()],
        ),
        Kind::Flag => (vec!["true".into(), "false".into()], vec!["\"true\"".into()]),
        Kind::Word(words) => (
            words.iter().map(|word| quoted(word)).collect(),
            vec!["\"no-such-word\"".into()],
        ),
    }
}

/// A configuration with this value at this key, and how problems name the key.
fn written(name: &str, value: &str) -> (String, String) {
    let (table, key) = name.rsplit_once('.').unwrap();
    let line = format!("{key} = {value}\n");
    let required = ["name", "path", "dataset", "key_file"];
    let mut base: String = BASE.to_owned();
    if matches!(table, "dataset" | "folder") && required.contains(&key) {
        // It is in the base already: there it is replaced.
        let (head, body) = base.split_once(&format!("[[{table}]]\n")).unwrap();
        let others = |line: &&str| !line.starts_with(&format!("{key} = "));
        let body: Vec<&str> = body.lines().filter(others).collect();
        base = format!("{head}[[{table}]]\n{}\n", body.join("\n"));
    }
    let within = |head: &str| base.replacen(head, &format!("{head}\n{line}"), 1);
    match table {
        "dataset" => {
            let mut text = within("[[dataset]]");
            if matches!(key, "key_env" | "credential") {
                text = text.replace("key_file = '/etc/key'\n", "");
            }
            (text, format!("dataset[1].{key}"))
        }
        "folder" => (within("[[folder]]"), format!("folder[1].{key}")),
        "error" => {
            let others = [
                "on = '409'",
                "calls = 'upload'",
                "limit = 5",
                "pause = 'route'",
            ];
            let own = format!("{key} = ");
            let others = others.iter().filter(|other| !other.starts_with(&own));
            let others: String = others.map(|other| format!("{other}\n")).collect();
            (
                format!("{base}[[error]]\n{others}{line}"),
                format!("error[1].{key}"),
            )
        }
        "folder.hook" => {
            let others = ["on = ['failed']", "command = ['/bin/x']"];
            let own = if key == "url" { "command" } else { key };
            let others = others.iter().filter(|other| !other.starts_with(own));
            let others: String = others.map(|other| format!("{other}\n")).collect();
            (
                format!("{base}[[folder.hook]]\n{others}{line}"),
                format!("folder[1].hook[1].{key}"),
            )
        }
        media if media.starts_with("folder.") => {
            let name = name.replace("folder.", "folder[1].");
            (format!("{base}[{media}]\n{line}"), name)
        }
        _ => (format!("[{table}]\n{line}{base}"), name.to_owned()),
    }
}

#[test]
fn its_limits_are_those_of_the_checker() {
    // About two keys together, not about one alone.
    let together = ["than the first", "does not fit these calls"];
    let mut tried = 0;
    for table in TABLES {
        for key in table.keys.iter().filter(|key| key.name != "extra") {
            for name in names(&table, key) {
                let (good, bad) = trials(key.kind);
                for value in good {
                    let (text, shown) = written(&name, &value);
                    let mut said = problems(&text, &machine());
                    said.retain(|line| {
                        line.contains(&format!("error: `{shown}"))
                            && !together.iter().any(|words| line.contains(words))
                    });
                    assert_eq!(said, [""; 0], "{name} = {value}");
                }
                for value in bad {
                    let (text, shown) = written(&name, &value);
                    let said = problems(&text, &machine());
                    assert!(
                        said.iter().any(|line| line.contains(&format!("`{shown}"))),
                        "{name} = {value} is taken: {said:?}"
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} bad values were tried");
}

#[test]
fn what_needs_a_restart_is_what_a_reload_says_so_of() {
    let before = load(BASE).unwrap().config;
    let mut at_restart = BTreeSet::new();
    for table in TABLES {
        for key in table.keys {
            let values = match (table.names[0], key.name) {
                ("daemon", "ledger") => vec!["'/srv/ledger.sqlite'".to_owned()],
                ("http", "listen") => vec!["'127.0.0.1:8398'".to_owned()],
                ("log", "filter") => vec!["'debug'".to_owned()],
                _ => trials(key.kind).0,
            };
            for name in names(&table, key) {
                for value in &values {
                    let Ok(loaded) = load(&written(&name, value).0) else {
                        continue;
                    };
                    let said = super::diff(&before, &loaded.config);
                    if said.iter().any(|line| line.contains("at the next start")) {
                        at_restart.insert(name.clone());
                    }
                }
            }
        }
    }
    // A running process has the variables and credentials it was started with.
    at_restart.extend(["dataset.credential".into(), "dataset.key_env".into()]);
    let named: BTreeSet<String> = TABLES
        .iter()
        .flat_map(|table| table.keys.iter().map(move |key| (table, key)))
        .filter(|(_, key)| key.force == Force::Restart)
        .flat_map(|(table, key)| names(table, key))
        .collect();
    assert_eq!(named, at_restart);
}

/// A preset sets the four waits; a key that is written beats it.
#[test]
fn who_writes_the_files_sets_how_long_they_are_waited_for() {
    let waits = |more: &str| {
        let config = with(more);
        let folder = &config.folders[&FolderName("inbox".into())];
        [
            folder.quiet,
            folder.quiet_unsure,
            folder.unclosed_wait,
            folder.incomplete_wait,
        ]
        .map(|wait| wait.as_secs())
    };
    for (more, expected) in [
        ("", [1, 10, 3600, 600]),
        ("writers = 'local'", [1, 10, 3600, 600]),
        ("writers = 'scanner'", [5, 60, 3600, 1800]),
        ("writers = 'share'", [2, 60, 14_400, 1800]),
        (
            "writers = 'share'\nquiet = '9s'\nunclosed_wait = '2h'",
            [9, 60, 7200, 1800],
        ),
        ("quiet_unsure = '2h'", [1, 7200, 7200, 600]),
    ] {
        assert_eq!(waits(more), expected, "{more}");
    }
}
