//! What differs from run to run, taken out of what a person reads: times,
//! durations, ports, versions, lines of the configuration, the numbers of tasks,
//! attempts and processes, widths.
//!
//! Must not: hide a count, a state, a code, a name or an advice.

use std::sync::LazyLock;

use regex::Regex;

/// What is replaced, by what; in this order.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // A boundary of ASCII words: the others would need Unicode's tables.
    let b = r"(?-u:\b)";
    let unit = "(?:ms|s|min|h|d|seconds?|minutes?|hours?|days?)";
    let span = format!("[0-9]+(?:\\.[0-9]+)? ?{unit}");
    let rules = [
        // First: the others count on single spaces.
        (r" {2,}".to_owned(), " "),
        (r" +\n".to_owned(), "\n"),
        (r"127\.0\.0\.1:[0-9]+".to_owned(), "ADDRESS"),
        // Each new key in the example moves the lines behind it.
        (r"config\.toml:[0-9]+:".to_owned(), "config.toml:LINE:"),
        (
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?: ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?"
                .to_owned(),
            "TIME",
        ),
        (format!(r"{b}[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]+)?"), "TIME"),
        (format!(r"(version|sync) [0-9]+\.[0-9]+\.[0-9]+{b}"), "$1 VERSION"),
        (format!("{b}{span}(?:,? {span})*{b}"), "DURATION"),
        (format!("{b}((?:wait_)?ms)=[0-9]+"), "$1=NUMBER"),
        (format!("{b}(process|pid|attempt)([ =])[0-9]+"), "$1${2}NUMBER"),
        (r"polled [0-9]+ times?".to_owned(), "polled NUMBER times"),
        // What went through within a minute.
        (r"\nlately [^\n]*".to_owned(), "\nlately RATES"),
        (r"[0-9]+ processes of others".to_owned(), "NUMBER processes of others"),
        (format!("{b}[0-9]{{7,}}{b}"), "NUMBER"),
        (r"of the [0-9]+ inotify".to_owned(), "of the NUMBER inotify"),
        (r"[-─═]{4,}".to_owned(), "---"),
    ];
    rules
        .into_iter()
        .map(|(pattern, with)| (Regex::new(&pattern).unwrap(), with))
        .collect()
});

/// The text with words in place of what differs.
pub fn normal(text: &str) -> String {
    RULES.iter().fold(text.to_owned(), |text, (pattern, with)| {
        pattern.replace_all(&text, *with).into_owned()
    })
}

#[test]
fn what_differs_is_taken_out_and_nothing_else() {
    for (text, expected) in [
        ("at 2026-11-28 20:23:35 UTC", "at TIME"),
        ("2026-11-28T20:23:35.123456Z  WARN x", "TIME WARN x"),
        ("until 2026-11-28 21:23:35+01:00, then", "until TIME, then"),
        ("since 20:23:35", "since TIME"),
        ("ledger-2026-11-28.sqlite", "ledger-TIME.sqlite"),
        ("supametas-sync 0.1.0", "supametas-sync VERSION"),
        ("http://127.0.0.1:35485/x", "http://ADDRESS/x"),
        ("took 1.2 s", "took DURATION"),
        ("in 1 min 3 s, or 500ms", "in DURATION, or DURATION"),
        ("after 1 h 2 min", "after DURATION"),
        ("task 1764361234567890001", "task NUMBER"),
        (
            "running for 4 s, version 12.3.4",
            "running for DURATION, version VERSION",
        ),
        ("ms=2 wait_ms=575 id=3", "ms=NUMBER wait_ms=NUMBER id=3"),
        ("attempt=12, attempt 3", "attempt=NUMBER, attempt NUMBER"),
        (
            "polled     1 time, polled 12 times",
            "polled NUMBER times, polled NUMBER times",
        ),
        (
            "a\nlately     2 files (1 attempt failed)\nb",
            "a\nlately RATES\nb",
        ),
        ("process 4711 (cp)", "process NUMBER (cp)"),
        ("a      b   \nc", "a b\nc"),
        ("├──────────┤", "├---┤"),
        // Counts, sizes, codes and names of files stay.
        (
            "3 files, 2.3 KiB, 12 succeeded",
            "3 files, 2.3 KiB, 12 succeeded",
        ),
        ("HTTP-401, OPS40001", "HTTP-401, OPS40001"),
        ("scan-2026.pdf: 1 day-old", "scan-2026.pdf: DURATION-old"),
        (
            "/etc/config.toml:163: error",
            "/etc/config.toml:LINE: error",
        ),
        ("5 data sheets, 7 mistakes", "5 data sheets, 7 mistakes"),
        ("127.0.0.1", "127.0.0.1"),
    ] {
        let once = normal(text);
        assert_eq!(once, expected, "{text:?}");
        assert_eq!(normal(&once), once, "not stable: {text:?}");
    }
}
