//! Every command line of this program that a paper, a unit, a script, a help
//! text or a message tells to type is one that the program takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use supametas_sync::cli::Cli;

const NAME: &str = "supametas-sync";

/// Words that stand for something, where the program does not take any word.
/// (FILE, DIR, NAME and their like are taken as they stand.)
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("SCOPE", "all"),
    ("URL", "https://files.example.org/push"),
    ("ID", "7"),
    ("{}", "all"),
    ("{id}", "7"),
    ("{by}", "7"),
    ("{name}", "all"),
    ("{scope}", "all"),
    ("{gate_name}", "all"),
];

/// Spans that begin with a command's name and are something else.
const OTHERS: &[&str] = &["scan all", "list of"];

struct Line {
    place: String,
    words: Vec<String>,
    /// In the middle of a sentence: there a command may be named without what it
    /// has to be given.
    named: bool,
}

/// The words of one simple command of a shell, up to what ends it: an operator,
/// a comment, a quote that was opened before it, or a column of spaces.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut depth = 0;
    let mut chars = text.chars().peekable();
    let mut spaces = 0;
    while let Some(c) = chars.next() {
        let open = quote.is_some() || depth > 0;
        spaces = if c == ' ' && !open { spaces + 1 } else { 0 };
        match c {
            _ if quote == Some(c) => quote = None,
            '$' if chars.peek() == Some(&'(') => {
                chars.next();
                depth += 1;
                word.get_or_insert_default().push('$');
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            '"' | '\'' if quote.is_none() => {
                // A closing one, of a quote that the program's name is within.
                if !chars.clone().any(|later| later == c) {
                    break;
                }
                quote = Some(c);
                word.get_or_insert_default();
            }
            ' ' if !open => {
                words.extend(word.take());
                if spaces > 2 {
                    break;
                }
            }
            '|' | ';' | '&' | '<' | '>' | '(' | ')' | '`' if !open => {
                // `2>` is an operator as well.
                word.take_if(|word| word == "2");
                break;
            }
            '#' if !open && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The names of all commands.
static COMMANDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = Cli::command();
    let names = all.get_subcommands().map(|c| c.get_name().to_owned());
    names.chain(["help".to_owned()]).collect()
});

/// Where the program's name stands in a line as a word of its own, or as the
/// last part of a path: what is before it, and what is behind.
fn calls(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices(NAME).filter_map(move |(at, _)| {
        let (before, after) = (&line[..at], &line[at + NAME.len()..]);
        let begins = before
            .chars()
            .next_back()
            .is_none_or(|c| " /'\"`".contains(c));
        (begins && after.starts_with(' ')).then_some((before, after))
    })
}

/// Whether a shell would take the next word as a program.
fn is_command(before: &str) -> bool {
    let before = before.trim_end_matches("/usr/bin/").trim();
    let before = before.trim_start_matches(['!', '/']).trim();
    matches!(
        before,
        "" | "$" | "sudo" | "sudo -u supametas-sync" | "$ sudo -u supametas-sync"
    ) || [
        "exec",
        "&&",
        "||",
        "|",
        ";",
        "then",
        "ExecStart=",
        "ExecStartPre=",
    ]
    .iter()
    .any(|end| before.ends_with(end))
}

/// Whole lines, as in a block of code or a script.
fn in_code(place: &str, code: &str, found: &mut Vec<Line>) {
    let known = &*COMMANDS;
    for line in code.replace("\\\n", " ").lines() {
        for (before, after) in calls(line) {
            let words = words(after);
            let first = words.first().map_or("", String::as_str);
            // As in `supametas-sync (1.0)`, which is no call.
            let call = !first.is_empty();
            if (call && is_command(before)) || known.iter().any(|name| name == first) {
                found.push(Line {
                    place: format!("{place}: {}", line.trim()),
                    words,
                    named: before.ends_with('`'),
                });
            }
        }
    }
}

/// What stands between backticks in a text: calls, and, where `bare`, a command
/// with an argument, without the program's name.
fn in_spans(place: &str, text: &str, bare: bool, found: &mut Vec<Line>) {
    let known = &*COMMANDS;
    let mut parts = text.split('`');
    parts.next();
    while let Some(span) = parts.next() {
        let span_words: Vec<_> = span.split_whitespace().collect();
        let mut add = |rest: &str| {
            found.push(Line {
                place: format!("{place}: `{span}`"),
                words: words(rest),
                named: true,
            });
        };
        match span_words.as_slice() {
            [NAME, rest @ ..] if !rest.is_empty() => add(&rest.join(" ")),
            [first, _, ..]
                if bare && known.iter().any(|name| name == first) && !OTHERS.contains(&span) =>
            {
                add(&span_words.join(" "));
            }
            _ => {}
        }
        // The text up to the next span.
        parts.next();
    }
}

fn in_markdown(place: &str, text: &str, found: &mut Vec<Line>) {
    let mut prose = String::new();
    let mut code: Option<(String, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut code, fence) {
            (None, Some(language)) => code = Some((language.to_owned(), String::new())),
            (Some((_, block)), Some(_)) => {
                in_code(place, block, found);
                code = None;
            }
            (Some((language, block)), None) => {
                // What a program answers is not to be typed.
                if language != "console" || line.starts_with("$ ") {
                    *block += &format!("{line}\n");
                }
            }
            // A table's cells hide `|` with a backslash.
            (None, None) => prose += &format!("{}\n", line.replace("\\|", "|")),
        }
    }
    // Spans don't reach over a paragraph's end.
    for paragraph in prose.split("\n\n") {
        in_spans(place, paragraph, true, found);
    }
}

/// Doc comments with examples, and the messages in a source.
fn in_source(place: &str, source: &str, found: &mut Vec<Line>) {
    for line in source.lines() {
        let text = line.trim_start();
        if let Some(example) = text.strip_prefix("///   ") {
            in_code(place, example, found);
        } else if text.starts_with(NAME) {
            in_code(place, text.trim_end_matches(['"', ';', '\\']), found);
        } else if !text.starts_with("//") {
            in_spans(place, text, false, found);
        }
    }
}

fn files(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found
}

fn all() -> Vec<Line> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut each = |paths: Vec<PathBuf>, look: fn(&str, &str, &mut Vec<Line>)| {
        for path in paths {
            let text = fs::read_to_string(&path).unwrap();
            let place = path.strip_prefix(root).unwrap().display().to_string();
            look(&place, &text, &mut found);
        }
    };
    let named = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
    each(
        named(&["README.md", "README.zh-CN.md", "CHANGELOG.md"]),
        in_markdown,
    );
    each(files("docs", &[".md"]), in_markdown);
    // Their comments have spans, their lines are code.
    let both: fn(&str, &str, &mut Vec<Line>) = |place, text, found| {
        in_code(place, text, found);
        in_spans(place, text, false, found);
    };
    each(named(&["config.example.toml", "Dockerfile"]), both);
    each(files("systemd", &[".service", ".example"]), in_code);
    each(files("packaging", &[".sh", ".toml", "inst", "rm"]), in_code);
    each(files("src", &[".rs"]), in_source);
    found
}

/// What the program has against it.
fn refused(line: &Line) -> Option<String> {
    let stands_for = |word: &String| {
        let known = PLACEHOLDERS.iter().find(|(name, _)| name == word);
        known.map_or(word.clone(), |(_, value)| (*value).to_owned())
    };
    let words = line
        .words
        .iter()
        .filter(|word| *word != "…" && *word != "...");
    let argv = std::iter::once(NAME.to_owned()).chain(words.map(stands_for));
    let error = Cli::try_parse_from(argv).err()?;
    match error.kind() {
        // `COMMAND --help` is any command's.
        _ if line.words.first().is_some_and(|word| word == "COMMAND") => None,
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
        ErrorKind::MissingRequiredArgument
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if line.named =>
        {
            None
        }
        // An option alone, without its value.
        ErrorKind::InvalidValue
            if line.named && error.to_string().contains("none was supplied") =>
        {
            None
        }
        _ => Some(format!(
            "{}\n    {}",
            line.place,
            error.to_string().lines().next()?
        )),
    }
}

#[test]
fn every_command_line_that_is_written_down_is_taken() {
    let lines = all();
    let with = |part: &str| {
        lines
            .iter()
            .filter(|line| line.place.contains(part))
            .count()
    };
    for (part, least) in [
        ("README.md", 20),
        ("docs/operations.md", 8),
        ("src/cli/", 60),
        ("systemd/", 2),
    ] {
        assert!(with(part) >= least, "{}: only {} found", part, with(part));
    }
    let refused: Vec<_> = lines.iter().filter_map(refused).collect();
    assert!(
        refused.is_empty(),
        "the program refuses:\n{}",
        refused.join("\n")
    );
}

#[test]
fn words_end_where_a_shell_ends_a_command() {
    let cases: &[(&str, &[&str])] = &[
        (" status --json | jq", &["status", "--json"]),
        (" check 2>/dev/null", &["check"]),
        (" try              a daemon", &["try"]),
        (
            " pause all --why \"a b\" # so",
            &["pause", "all", "--why", "a b"],
        ),
        (
            " backup /b/$(date +%F).sqlite && x",
            &["backup", "/b/$.sqlite"],
        ),
        (" backup l'", &["backup", "l"]),
    ];
    for (text, expected) in cases {
        assert_eq!(words(text), *expected, "{text:?}");
    }
}

#[test]
fn a_command_line_of_the_past_is_noticed() {
    for wrong in ["`supametas-sync pause --all`", "`pause --folder scans`"] {
        let mut found = Vec::new();
        in_markdown("a paper", wrong, &mut found);
        assert!(found.iter().any(|line| refused(line).is_some()), "{wrong}");
    }
    let mut found = Vec::new();
    in_markdown(
        "a paper",
        "```sh\nsudo supametas-sync no-such\n```",
        &mut found,
    );
    assert!(refused(&found[0]).is_some());
}
