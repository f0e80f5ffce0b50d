//! The papers keep up with the program: what the code has, README.md and
//! docs/error-table.md name.
#![allow(clippy::unwrap_used)]

#[path = "docs/command_lines.rs"]
mod command_lines;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use supametas_sync::domain::error_table::advice::then;
use supametas_sync::domain::error_table::{
    Calls, Follow, Holds, Lifts, On, Pause, Row, Rule, Scope, TABLE,
};
use supametas_sync::domain::state::StateKind;

fn read(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of all Markdown tables, as their trimmed cells.
fn rows(markdown: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        // `\|` is a bar within a cell.
        let line = line.replace("\\|", "\u{1}");
        let cells = line.trim().trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect()
    };
    markdown
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// The section under a heading that begins so, up to the next of its level.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let start = markdown
        .find(&format!("\n{heading}"))
        .unwrap_or_else(|| panic!("no section {heading:?}"));
    let body = &markdown[start + 1..];
    let level = heading.split(' ').next().unwrap();
    let end = body[level.len()..].find(&format!("\n{level} "));
    end.map_or(body, |end| &body[..end + level.len()])
}

fn call(calls: Calls) -> &'static str {
    match calls {
        Calls::Any => "any",
        Calls::Upload => "upload",
        Calls::Query => "query",
    }
}

/// What the paper must say that a row means for the file.
fn verdict(row: &Row) -> String {
    let marked = if row.marks { ", marked" } else { "" };
    format!("{}{marked}", rule(row))
}

fn rule(row: &Row) -> String {
    match row.rule {
        Rule::Done if row.on == On::Success => "done".to_owned(),
        Rule::Done => "done, untracked".to_owned(),
        Rule::Retry { limit: None } => "retry".to_owned(),
        Rule::Retry { limit: Some(limit) } => {
            format!("retry {} times, then {}", limit.times, then(limit.then))
        }
        Rule::Reject => "reject".to_owned(),
        Rule::Hold => "hold".to_owned(),
        Rule::Unconfirmed => "unconfirmed".to_owned(),
        Rule::Follow(Follow::Get) => "follow with GET".to_owned(),
        Rule::Follow(Follow::Same) => "follow with the same request".to_owned(),
        Rule::Unchanged => "unchanged".to_owned(),
    }
}

/// What the paper must say about who else waits, and how long.
fn pause(pause: &Pause) -> String {
    let after = match (pause.after, pause.scope) {
        (1, _) => String::new(),
        (n, Scope::Route) => format!(" after {n} different files in a row"),
        (n, _) => format!(" after {n} in a row"),
    };
    let lifts = match pause.lifts {
        Lifts::Time => "",
        Lifts::KeyChange => ", for the key",
        Lifts::ConfigChange => ", for the configuration",
    };
    let time = |time: Duration| match time.as_secs() {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    };
    let (first, max) = (time(pause.first), time(pause.max));
    let holds = match pause.holds {
        Holds::Calls => "",
        Holds::Uploads => ", uploads only",
    };
    format!("{}{after}, {first} to {max}{lifts}{holds}", pause.scope)
}

/// What the paper says wrong, or not at all, about the table.
fn missing_from(paper: &str) -> Vec<String> {
    let papers = rows(paper);
    let mut missing = Vec::new();
    for row in TABLE {
        let on = format!("`{}`", row.on);
        let found = papers
            .iter()
            .find(|cells| cells.len() >= 4 && cells[0] == on && cells[1] == call(row.calls));
        let Some(cells) = found else {
            missing.push(format!("no row | {on} | {} |", call(row.calls)));
            continue;
        };
        let wanted = [
            verdict(row),
            row.pause.as_ref().map_or(String::new(), pause),
        ];
        for (what, wanted, said) in [
            ("verdict", &wanted[0], &cells[2]),
            ("pause", &wanted[1], &cells[3]),
        ] {
            if wanted != said {
                missing.push(format!("{on}: the {what} is {wanted:?}, not {said:?}"));
            }
        }
    }
    // And nothing that the program does not have.
    for cells in &papers {
        let known = |c: &String| TABLE.iter().any(|row| *c == format!("`{}`", row.on));
        let is_row = cells.len() >= 4 && matches!(cells[1].as_str(), "any" | "upload" | "query");
        if is_row && !known(&cells[0]) {
            missing.push(format!("the table has no row {}", cells[0]));
        }
    }
    missing
}

#[test]
fn the_error_table_is_written_down() {
    let missing = missing_from(&read("docs/error-table.md"));
    assert!(
        missing.is_empty(),
        "docs/error-table.md has fallen behind src/domain/error_table/table.rs:\n{}",
        missing.join("\n")
    );
}

#[test]
fn a_paper_that_has_fallen_behind_is_noticed() {
    let paper = read("docs/error-table.md");
    let row = paper
        .lines()
        .find(|line| line.starts_with("| `429`"))
        .unwrap();
    assert_eq!(
        missing_from(&paper.replace(row, "")),
        ["no row | `429` | any |"]
    );
    let wrong = missing_from(&paper.replace(row, &row.replacen("retry", "reject", 1)));
    assert!(wrong[0].contains("the verdict is"), "{wrong:?}");
    let wrong = missing_from(&paper.replace(row, &row.replacen("dataset", "service", 1)));
    assert!(wrong[0].contains("the pause is"), "{wrong:?}");
    let wrong = missing_from(&paper.replace(row, &row.replacen("15 min", "6 h", 1)));
    assert!(wrong[0].contains("to 15 min"), "{wrong:?}");
    let more = format!("{paper}\n| `999` | any | retry | | |\n");
    assert_eq!(missing_from(&more), ["the table has no row `999`"]);
}

#[test]
fn the_readme_names_every_state() {
    for (paper, heading) in [("README.md", "## States"), ("README.zh-CN.md", "## 状态")] {
        let text = read(paper);
        let table = rows(section(&text, heading));
        for kind in StateKind::ALL {
            let cells = table
                .iter()
                .find(|cells| cells[0] == format!("`{kind}`"))
                .unwrap_or_else(|| panic!("{paper}, {heading}: no row for `{kind}`"));
            assert!(
                cells.iter().all(|cell| !cell.is_empty()),
                "{paper}, {heading}: `{kind}` has an empty cell"
            );
        }
        let states = table
            .iter()
            .filter(|cells| cells[0].starts_with('`'))
            .count();
        assert_eq!(
            states,
            StateKind::ALL.len(),
            "{paper} names a state that there is not"
        );
    }
}

/// The exit codes, from the source text: `Exit::Name => 3,`, and the one of a
/// second signal.
fn exit_codes() -> Vec<u8> {
    let source = read("src/cli/exit.rs");
    let arms = source.lines().filter_map(|line| {
        let (name, code) = line.trim().trim_end_matches(',').split_once(" => ")?;
        name.starts_with("Exit::").then(|| code.parse().unwrap())
    });
    let signals = read("src/daemon/signals.rs");
    let cut_short = signals
        .lines()
        .find_map(|line| line.strip_prefix("pub const EXIT_CUT_SHORT: i32 = "))
        .map(|code| code.trim_end_matches(';').parse().unwrap());
    let codes: Vec<u8> = arms.chain(cut_short).collect();
    assert!(
        codes.len() >= 7,
        "not all exit codes were found in the source: {codes:?}"
    );
    codes
}

#[test]
fn the_readme_and_the_help_name_every_exit_code() {
    let readme = read("README.md");
    let table = rows(section(&readme, "### Exit codes"));
    let written: Vec<&str> = table.iter().map(|cells| cells[0].as_str()).collect();
    let help = read("src/cli/mod.rs");
    for code in exit_codes() {
        assert!(
            written.contains(&code.to_string().as_str()),
            "README.md, Exit codes: no row for {code}"
        );
        let line = format!("{code}  ");
        assert!(
            help.lines().any(|l| l.trim_start().starts_with(&line)),
            "src/cli/mod.rs: the help does not name exit code {code}"
        );
    }
}

#[test]
fn the_readme_names_every_command() {
    let readme = read("README.md");
    let commands = section(&readme, "## Commands");
    let source = read("src/cli/mod.rs");
    let list = section_of_enum(&source, "pub enum Command {");
    let names: Vec<String> = list
        .lines()
        .filter_map(|line| Some(kebab(line.trim().split_once('(')?.0)))
        .collect();
    assert!(
        names.len() >= 11,
        "not all commands were found in the source: {names:?}"
    );
    for name in names {
        assert!(
            commands.contains(&format!("| `{name}")),
            "README.md, Commands: no row for `{name}`"
        );
    }
}

/// `ExplainCode` is the command `explain-code`.
fn kebab(variant: &str) -> String {
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}

fn section_of_enum<'a>(source: &'a str, head: &str) -> &'a str {
    let body = source.split_once(head).unwrap().1;
    body.split_once("\n}").unwrap().0
}

#[test]
fn links_between_the_papers_lead_somewhere() {
    for paper in [
        "README.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/design.md",
        "docs/error-table.md",
        "docs/guarantees.md",
        "docs/security.md",
        "docs/http.md",
        "docs/testing.md",
        "docs/recipes.md",
        "docs/operations.md",
        "docs/troubleshooting.md",
        "docs/quick-start.md",
        "docs/status-watch.md",
        "docs/quick-start.zh-CN.md",
        "README.zh-CN.md",
        "docs/monitoring/README.md",
        "docs/hooks.md",
        "docs/benchmarks.md",
    ] {
        let text = read(paper);
        let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(paper);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = base.parent().unwrap().join(file);
            assert!(target.exists(), "{paper}: the link to {link} leads nowhere");
        }
    }
}

/// The tests that a paper names, as file and function: in list items that begin
/// with a source file, and in the last column of the tables that have them there.
fn named_tests(paper: &str) -> Vec<(&str, &str)> {
    let mut named = Vec::new();
    for line in paper.lines() {
        if let Some(row) = line.strip_suffix(" |")
            && let Some((_, cell)) = row.rsplit_once("| ")
        {
            let mut file = None;
            for word in cell.split('`').skip(1).step_by(2) {
                if word.ends_with(".rs") {
                    file = Some(word);
                } else if let Some(file) = file {
                    named.push((file, word));
                }
            }
        }
        let Some(item) = line.strip_prefix("- `") else {
            continue;
        };
        let mut ticked = item.split('`').step_by(2);
        let Some(file) = ticked.next().filter(|file| file.ends_with(".rs")) else {
            continue;
        };
        named.extend(
            ticked
                .filter(|name| !name.is_empty())
                .map(|name| (file, name)),
        );
    }
    named
}

/// Whether `source` has a test of this name that is run.
fn has_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else {
        return false;
    };
    let attributes: Vec<&str> = source[..at]
        .lines()
        .rev()
        .skip_while(|line| line.trim() == "async" || line.trim().is_empty())
        .take_while(|line| line.trim_start().starts_with(['#', '/']))
        .collect();
    attributes.iter().any(|line| line.contains("test"))
        && !attributes.iter().any(|line| line.contains("#[ignore"))
}

/// The tables of a paper that have their tests in the last column: the first cell
/// of the head, and the rows.
fn claims(paper: &str) -> Vec<(String, Vec<&str>)> {
    let mut tables = Vec::new();
    for block in paper.split("\n\n") {
        let mut lines = block.lines().filter(|line| line.starts_with('|'));
        let head = lines.next().map(rows).and_then(|mut head| head.pop());
        let Some(head) = head.filter(|cells| cells.last().is_some_and(|cell| cell == "test"))
        else {
            continue;
        };
        tables.push((head[0].clone(), lines.skip(1).collect()));
    }
    tables
}

/// What is wrong with the claims of a paper. `exempt`: headings of sections that
/// claim nothing.
fn unproved(paper: &str, exempt: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in paper.split("\n## ").skip(1) {
        let heading = part.lines().next().unwrap_or_default();
        if claims(part).is_empty() && !exempt.contains(&heading) {
            wrong.push(format!("{heading}: no table of claims"));
        }
    }
    for (_, table) in claims(paper) {
        for row in table {
            if named_tests(row).is_empty() {
                wrong.push(format!("no test is named: {row}"));
            }
        }
    }
    for (file, name) in named_tests(paper) {
        let there = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        if !there.exists() || !has_test(&read(file), name) {
            wrong.push(format!("{file} has no test `{name}`"));
        }
    }
    wrong
}

#[test]
fn each_claim_names_tests_that_exist() {
    for (paper, exempt, least) in [
        (
            "docs/guarantees.md",
            &[
                "What is not promised",
                "The kill loops",
                "The model of watching",
            ][..],
            90,
        ),
        ("docs/security.md", &["Who, and what is at stake"], 60),
    ] {
        let text = read(paper);
        let wrong = unproved(&text, exempt);
        assert!(wrong.is_empty(), "{paper}:\n{}", wrong.join("\n"));
        let rows: usize = claims(&text).iter().map(|(_, table)| table.len()).sum();
        assert!(rows >= least, "{paper}: only {rows} claims");
    }
}

#[test]
fn a_claim_without_a_test_is_noticed() {
    let source = "#[test]\nfn a() {}\n\n#[test]\n#[ignore = \"x\"]\nfn b() {}\nfn c() {}";
    assert!(has_test(source, "a") && !has_test(source, "b") && !has_test(source, "c"));
    let head = "# P\n\n## One\n\n| claim | test |\n|---|---|\n";
    let good = format!("{head}| x | `tests/docs.rs` `a_claim_without_a_test_is_noticed` |\n");
    assert_eq!(unproved(&good, &[]), Vec::<String>::new());
    for (more, wanted) in [
        ("| y | |\n", "no test is named: | y | |"),
        (
            "| y | `tests/docs.rs` |\n",
            "no test is named: | y | `tests/docs.rs` |",
        ),
        (
            "| y | `tests/docs.rs` `z` |\n",
            "tests/docs.rs has no test `z`",
        ),
        ("| y | `tests/no.rs` `z` |\n", "tests/no.rs has no test `z`"),
        ("\n## Two\n\nAll is well.\n", "Two: no table of claims"),
    ] {
        assert_eq!(unproved(&format!("{good}{more}"), &[]), [wanted]);
    }
    assert!(unproved(&format!("{good}\n## Two\n\nx\n"), &["Two"]).is_empty());
}

/// What is headed by a message in the troubleshooting page is really said.
#[test]
fn the_messages_that_are_explained_are_said() {
    let mut said = String::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                said += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let page = read("docs/troubleshooting.md");
    let messages: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(messages.len() > 15, "{messages:?}");
    for message in messages {
        assert!(said.contains(message), "nothing in src/ says {message:?}");
    }
}
