//! The configuration's reference, as Markdown and as a man page.
//!
//! Must not: say anything of a key by itself; `config` has the words.

use std::collections::BTreeMap;

use roff::{Inline, Roff, bold, roman};

use crate::config::example::{self, Example};
use crate::config::reference::{Force, Key, TABLES, Table};

/// `docs/configuration.md`.
pub fn markdown() -> String {
    let example = Example::read(example::TEXT);
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Made by `supametas-sync generate DIR`, from config.example.toml and\n     \
         src/config/reference.rs; change those. -->\n\n\
         Every key of [config.example.toml](../config.example.toml), with what may stand\n\
         there, what holds without it, and when a change of it is in force: after a\n\
         *reload* (`systemctl reload supametas-sync`, or SIGHUP) or a *restart*. The same\n\
         as a man page: `man supametas-sync.toml`.\n",
    );
    for paragraph in &example.intro[1..] {
        page.push_str(&format!("\n{paragraph}\n"));
    }
    for table in TABLES {
        page.push_str(&format!("\n## {}\n", heads(&table, "`")));
        for paragraph in intro(&table, &example) {
            page.push_str(&format!("\n{paragraph}\n"));
        }
        page.push_str("\n| key | means | may be | without it | in force after a |\n");
        page.push_str("|---|---|---|---|---|\n");
        for key in table.keys {
            let cells = [
                format!("`{}`", key.name),
                meaning(&table, key, &example),
                key.kind.to_string(),
                default(&table, key, &example),
                force(key).to_owned(),
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            page.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    page
}

/// `supametas-sync.toml(5)`.
pub fn man(source: &str) -> Roff {
    let example = Example::read(example::TEXT);
    let mut page = Roff::new();
    page.control(
        "TH",
        ["supametas-sync.toml", "5", "", source, "supametas-sync"],
    );
    page.control("SH", ["NAME"]);
    page.text([roman(
        "supametas-sync.toml - configuration of supametas-sync",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([bold(crate::cli::DEFAULT_CONFIG)]);
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in &example.intro[1..] {
        page.control("PP", []);
        text(paragraph, &mut page);
    }
    for table in TABLES {
        page.control("SH", [heads(&table, "").as_str()]);
        for paragraph in intro(&table, &example) {
            page.control("PP", []);
            text(paragraph, &mut page);
        }
        for key in table.keys {
            page.control("TP", []);
            page.text([bold(key.name)]);
            text(&meaning(&table, key, &example), &mut page);
            page.control("br", []);
            let facts = format!(
                "May be: {}. Without it: {}. In force after a {}.",
                key.kind,
                default(&table, key, &example),
                force(key)
            );
            text(&facts, &mut page);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([roman("supametas-sync(1), supametas-sync-check(1)")]);
    page
}

/// `[a], [b]`, or `[[c]]`.
fn heads(table: &Table, tick: &str) -> String {
    let (open, close) = if table.list { ("[[", "]]") } else { ("[", "]") };
    let names: Vec<String> = table
        .names
        .iter()
        .map(|name| format!("{tick}{open}{name}{close}{tick}"))
        .collect();
    names.join(", ")
}

fn intro<'e>(table: &Table, example: &'e Example) -> &'e [String] {
    let entry = example.entry(table.names[0]);
    entry.map_or(&[], |entry| &entry.said)
}

/// In the words of the first table that has the key, with which ones do where
/// not all do.
fn meaning(table: &Table, key: &Key, example: &Example) -> String {
    let mut said = String::new();
    let mut with = Vec::new();
    for name in table.names {
        if let Some(entry) = example.entry(&format!("{name}.{}", key.name)) {
            with.push(*name);
            if said.is_empty() {
                said = entry.said.join(" ");
            }
        }
    }
    if with.len() < table.names.len() {
        let only: Vec<String> = with.iter().map(|name| format!("`[{name}]`")).collect();
        said.push_str(&format!(" Only in {}.", only.join(", ")));
    }
    said
}

fn default(table: &Table, key: &Key, example: &Example) -> String {
    if let Some(without) = key.without {
        return without.to_owned();
    }
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in table.names {
        if let Some(entry) = example.entry(&format!("{name}.{}", key.name)) {
            if entry.given {
                return "must be given".to_owned();
            }
            let last = name.rsplit('.').next().unwrap_or(name);
            values.entry(&entry.value).or_default().push(last);
        }
    }
    let each = |(value, names): (&&str, &Vec<&str>)| match values.len() {
        1 => format!("`{value}`"),
        _ => format!("{}: `{value}`", names.join(", ")),
    };
    let all: Vec<String> = values.iter().map(each).collect();
    all.join("; ")
}

fn force(key: &Key) -> &'static str {
    match key.force {
        Force::Reload => "reload",
        Force::Restart => "restart",
    }
}

/// A paragraph; what stands between backticks is bold.
fn text(paragraph: &str, page: &mut Roff) {
    if paragraph.starts_with(' ') {
        page.control("nf", []);
        for line in paragraph.lines() {
            page.text([roman(line)]);
        }
        page.control("fi", []);
        return;
    }
    let inline = |(at, part): (usize, &str)| match at % 2 {
        0 => roman(part),
        _ => bold(part),
    };
    let parts: Vec<Inline> = paragraph
        .split('`')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(inline)
        .collect();
    page.text(parts);
}
