//! Commands that answer and end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::{PROGRAM, Stage, words};

const COMMANDS: [&str; 24] = [
    "run",
    "scan",
    "check",
    "status",
    "list",
    "show",
    "explain",
    "retry",
    "acknowledge",
    "reload",
    "pause",
    "resume",
    "cancel",
    "import",
    "forget",
    "prune",
    "backup",
    "rebuild",
    "webhook",
    "errors",
    "explain-code",
    "sandbox",
    "try",
    "generate",
];

/// Without a stage, and without the surroundings of whoever runs the tests.
fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .stdin(Stdio::null())
        .env_remove("SUPAMETAS_LOG")
        .env_remove("SUPAMETAS_CONFIG");
    command
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Fails with all that was said when the exit code is another.
pub fn code(output: &Output, wanted: i32) {
    assert_eq!(
        output.status.code(),
        Some(wanted),
        "{}{}",
        out(output),
        err(output)
    );
    assert!(!err(output).contains("panicked"), "{}", err(output));
}

pub fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap_or_else(|e| panic!("{e}: {}", out(output)))
}

#[test]
fn every_command_has_help_with_examples() {
    for command in COMMANDS {
        let short = bare(&[command, "-h"]).output().unwrap();
        let long = bare(&[command, "--help"]).output().unwrap();
        code(&short, 0);
        code(&long, 0);
        let (short, long) = (out(&short), out(&long));
        assert!(
            !short.contains("Examples:"),
            "{command} -h is long:\n{short}"
        );
        let example = format!("Examples:\n  supametas-sync {command}");
        assert!(
            long.contains(&example),
            "{command} --help has no examples:\n{long}"
        );
        assert!(
            !long.contains('\u{1b}'),
            "{command} --help: colours in a pipe"
        );
        for line in long.lines() {
            assert!(
                line.chars().count() <= 100,
                "{command} --help is wide: {line}"
            );
        }
    }
}

#[test]
fn the_readme_and_the_help_have_the_same_commands() {
    let help = out(&bare(&["--help"]).output().unwrap());
    let listed: Vec<&str> = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("\n## Commands\n").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', ' ']).next())
        .collect();
    assert_eq!(rows, COMMANDS, "README.md, Commands");
}

#[test]
fn a_wrong_command_line_or_configuration_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.toml");
    let missing = missing.to_str().unwrap();
    for args in [
        &["frobnicate"][..],
        &["list", "--state", "rejekted"],
        &["list", "--since", "soon"],
        &["retry"],
        &["retry", "1", "--all"],
        &["acknowledge"],
        &["acknowledge", "1", "--task", "t-1"],
        &["acknowledge", "1", "--arrived", "--task", "two words"],
        &["list", "--attention", "--acknowledged"],
        &["run", "--config", missing],
        &["status", "--config", missing],
        &["check", "--config", missing],
        &["sandbox", "--faults", missing],
        &["sandbox", "--port", "0", "--bind", "192.0.2.1"],
        &["sandbox", "--port", "0", "--fail", "["],
    ] {
        let output = bare(args).output().unwrap();
        code(&output, 2);
        assert!(!(err(&output) + &out(&output)).is_empty());
    }
    let faults = dir.path().join("faults.toml");
    fs::write(&faults, "[[fault]]\nstatus = \"no\"\n").unwrap();
    let output = bare(&["sandbox", "--faults", faults.to_str().unwrap()])
        .output()
        .unwrap();
    code(&output, 2);
    assert!(err(&output).contains("faults.toml"), "{}", err(&output));
    let output = bare(&["list", "--state", "rejekted"]).output().unwrap();
    assert!(err(&output).contains("rejected"), "{}", err(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for args in [
        &["errors"][..],
        &["errors", "--json"],
        &["--help"],
        &["frobnicate"],
    ] {
        // Both ends of what it writes to are gone before it writes.
        let closed = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let status = bare(args)
            .stdout(closed())
            .stderr(closed())
            .status()
            .unwrap();
        let wanted = if args == ["frobnicate"] { 2 } else { 0 };
        assert_eq!(status.code(), Some(wanted), "{args:?}");
    }
}

#[test]
fn the_error_table_fits_a_page_and_knows_classes() {
    let table = out(&bare(&["errors"]).output().unwrap());
    assert!(
        table.lines().all(|line| line.chars().count() <= 120),
        "{table}"
    );
    let rows = json(&bare(&["errors", "ops40003", "--json"]).output().unwrap());
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["verdict"], "hold");
    let output = bare(&["errors", "HTTP-418"]).output().unwrap();
    code(&output, 0);
    assert!(out(&output).contains("4xx"), "{}", out(&output));
    assert!(err(&output).contains("no row of its own"));
    code(&bare(&["errors", "nonsense"]).output().unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_everything_at_once() {
    let stage = Stage::new().await;
    let output = stage.cli(&["check"]);
    code(&output, 0);
    let said = out(&output);
    assert!(
        said.ends_with("good: 1 folder, 1 dataset, 0 warnings\n"),
        "{said}"
    );
    assert!(
        said.contains("note: `service.paths` is assumed in part"),
        "{said}"
    );
    assert!(
        said.contains("is not there yet: the daemon makes it"),
        "{said}"
    );

    let stage = stage.set(|s| {
        s.folder("second", "main", "");
        s.daemon = "ledger_dir = \"x\"".into();
        s.main("concurrency = 0");
    });
    fs::remove_dir(stage.path("second")).unwrap();
    let output = stage.cli(&["check", "--json"]);
    code(&output, 2);
    let found = json(&output);
    assert_eq!(found["ok"], false);
    assert_eq!(found["errors"], 2, "{found:#}");
    let errors: Vec<&Value> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["severity"] == "error")
        .collect();
    for error in errors {
        assert!(
            error["line"].is_u64() && error["key"].is_string(),
            "{error:#}"
        );
        assert!(error["remedy"].is_string(), "{error:#}");
    }
    let said = out(&stage.cli(&["check"]));
    assert!(said.contains("2 errors, "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_looks_at_the_ledgers_place() {
    let stage = Stage::new().await;
    // A directory that is not there, in place of the stage's own; a missing key
    // does not keep it from being seen.
    fs::remove_file(stage.path("keys/main")).unwrap();
    let text = fs::read_to_string(stage.config()).unwrap();
    let elsewhere = text.replace("ledger.sqlite", "nowhere/ledger.sqlite");
    fs::write(stage.config(), elsewhere).unwrap();
    let output = stage.cli(&["check"]);
    code(&output, 2);
    assert!(
        out(&output).contains("nowhere does not exist"),
        "{}",
        out(&output)
    );

    assert!(out(&output).contains("2 errors, "), "{}", out(&output));
    stage.write();
    fs::write(
        stage.path("ledger.sqlite"),
        "a letter, and no ledger at all",
    )
    .unwrap();
    let output = stage.cli(&["check"]);
    code(&output, 2);
    assert!(out(&output).contains("is not a ledger"), "{}", out(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_and_with_an_empty_one() {
    let stage = Stage::new().await;
    for args in [
        &["status"][..],
        &["list"],
        &["show", "1"],
        &["retry", "--all"],
        &["resume"],
    ] {
        let output = stage.cli(args);
        code(&output, 1);
        assert!(
            err(&output).contains("there is no ledger at"),
            "{}",
            err(&output)
        );
    }
    let output = stage.cli(&["scan"]);
    code(&output, 0);
    assert_eq!(out(&output), "no files\n");

    let output = stage.cli(&["list"]);
    code(&output, 0);
    assert_eq!(
        (out(&output).as_str(), err(&output).as_str()),
        ("", "no files\n")
    );
    assert_eq!(stage.said(&["list", "--json"]), "[]\n");
    assert!(stage.said(&["status"]).contains("none yet"));
    assert_eq!(
        stage.said(&["resume"]),
        "no gate was closed, and nothing was paused\n"
    );
    assert!(stage.said(&["retry", "--all"]).contains("no file fits"));
    code(&stage.cli(&["show", "1"]), 5);
    code(&stage.cli(&["resume", "service"]), 5);
    let output = stage.cli(&["list", "--folder", "inbocks"]);
    code(&output, 0);
    assert!(err(&output).contains("it has: inbox"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_is_a_cron_job() {
    let stage = Stage::new().await;
    stage.drop_file("good.txt", "words");
    stage.drop_file("empty.pdf", "");
    let output = stage.cli(&["scan"]);
    code(&output, 3);
    assert_eq!(stage.state("good.txt"), "succeeded");
    assert!(
        err(&output).contains("unsupported  inbox/empty.pdf: "),
        "{}",
        err(&output)
    );

    // What was said once is not said again; `list --attention` has it.
    let output = stage.cli(&["scan"]);
    code(&output, 0);
    assert!(stage.said(&["list", "--attention"]).contains("empty.pdf"));
    assert_eq!(stage.sandbox.uploads().len(), 1);

    fs::rename(stage.path("inbox"), stage.path("away")).unwrap();
    let output = stage.cli(&["scan"]);
    code(&output, 3);
    assert!(
        err(&output).contains("folder inbox was not scanned"),
        "{}",
        err(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_leaves_what_waits_for_long() {
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(
            "[[fault]]\nroute = \"import\"\nstatus = 429\nretry_after = \"3600\"\n",
        )
        .unwrap(),
        ..SandboxConfig::default()
    })
    .await;
    stage.drop_file("later.txt", "words");
    let output = stage.cli(&["scan", "--patience", "1s"]);
    code(&output, 3);
    assert!(
        err(&output).contains("left for the next run: 1 file;"),
        "{}",
        err(&output)
    );

    let status = stage.said(&["status"]);
    assert!(status.contains("PAUSED     dataset:main"), "{status}");
    assert!(status.contains("resume dataset:main"), "{status}");
    let status: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    assert_eq!(status["running"], false);
    assert_eq!(status["gates"][0]["gate"], "dataset:main");
    assert_eq!(status["folders"][0]["files"]["queued"], 1);

    code(&stage.cli(&["resume", "dataset:other"]), 5);
    let said = stage.said(&["resume", "dataset:main"]);
    assert_eq!(said, "open again: dataset:main\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_found_by_number_path_or_name() {
    let stage = Stage::new().await;
    stage.drop_file("sub/42", "no extension");
    stage.drop_file("sub/report.txt", "first");
    stage.drop_file("other/report.txt", "second");
    let odd = OsStr::from_bytes(b"odd-\xff.txt");
    stage.drop_file(odd, "third");
    code(&stage.cli(&["scan"]), 0);
    std::os::unix::fs::symlink(stage.path("inbox"), stage.path("link")).unwrap();

    let found = |dir: &str, asked: &OsStr| -> Vec<String> {
        let output = stage
            .command(&["show", "--json"])
            .arg(asked)
            .current_dir(stage.path(dir))
            .output()
            .unwrap();
        code(&output, 0);
        let stories = json(&output);
        stories
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["file"].as_str().unwrap().to_owned())
            .collect()
    };
    let one = |dir: &str, asked: &str| {
        let found = found(dir, OsStr::new(asked));
        assert_eq!(found.len(), 1, "{asked} in {dir}: {found:?}");
        found[0].clone()
    };
    let report = stage.file("sub/report.txt").unwrap();
    assert_eq!(one("inbox", &report["id"].to_string()), "sub/report.txt");
    assert_eq!(
        one("inbox", report["path"].as_str().unwrap()),
        "sub/report.txt"
    );
    assert_eq!(one("inbox/sub", "report.txt"), "sub/report.txt");
    assert_eq!(
        one("inbox/sub", "../other/./report.txt"),
        "other/report.txt"
    );
    assert_eq!(one("link/sub", "report.txt"), "sub/report.txt");
    assert_eq!(one("keys", "sub/report.txt"), "sub/report.txt");
    assert_eq!(one("keys", "inbox/sub/report.txt"), "sub/report.txt");
    assert_eq!(one("keys", "other/rep"), "other/report.txt");
    assert_eq!(one("inbox/sub", "42"), "sub/42");
    assert_eq!(one("inbox/sub", "./42"), "sub/42");
    assert_eq!(found("keys", OsStr::new("report")).len(), 2);
    let mut path = stage.path("inbox").into_os_string();
    path.push("/");
    path.push(odd);
    assert_eq!(found("keys", &path), ["odd-\\xff.txt"]);

    // A choice for people; nothing is guessed where something would be done.
    let output = stage.cli(&["show", "report"]);
    code(&output, 0);
    assert!(
        out(&output).contains("inbox/sub/report.txt"),
        "{}",
        out(&output)
    );
    assert!(
        err(&output).contains("several files fit"),
        "{}",
        err(&output)
    );
    let output = stage.cli(&["retry", "report"]);
    code(&output, 2);
    assert!(
        err(&output).contains("nothing was done"),
        "{}",
        err(&output)
    );
    code(&stage.cli(&["show", "nothing-like-it"]), 5);

    // One line a row, and no colours, in a pipe.
    let listed = stage.said(&["list"]);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    assert!(!listed.contains('\u{1b}'));
    let story = stage.said(&["show", "inbox/sub/report.txt"]);
    assert!(story.contains("queued → uploading"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_a_file_is_complete() {
    let stage = Stage::new().await;
    stage.drop_file("a.txt", words(1, 100));
    code(&stage.cli(&["scan"]), 0);
    let file = stage.file("a.txt").unwrap();
    for (key, wanted) in [
        ("folder", Value::from("inbox")),
        ("dataset", "main".into()),
        ("route", "inbox/text".into()),
        ("media", "text".into()),
        ("path", stage.inbox("a.txt").to_str().unwrap().into()),
        ("size", 100.into()),
        ("state", "succeeded".into()),
        ("final", true.into()),
        ("needs_attention", false.into()),
        ("attempt_count", 1.into()),
        ("task", stage.uploads_of("a.txt")[0].task_id.as_str().into()),
        (
            "blake3",
            stage.uploads_of("a.txt")[0].blake3.as_deref().into(),
        ),
    ] {
        assert_eq!(file[key], wanted, "{key}: {file:#}");
    }
    for key in ["seen_at", "changed_at", "modified_at"] {
        assert!(
            file[key].as_str().unwrap().ends_with('Z'),
            "{key}: {file:#}"
        );
    }
    let story: Value = serde_json::from_str(&stage.said(&["show", "a.txt", "--json"])).unwrap();
    assert_eq!(story[0]["attempts"][0]["http_status"], 200, "{story:#}");
    assert_eq!(
        story[0]["history"].as_array().unwrap().len(),
        3,
        "{story:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_says_what_it_does_and_what_it_does_not() {
    let stage = Stage::new().await;
    stage.drop_file("good.txt", "words");
    stage.drop_file("table.csv", "a,b\n1,2\n");
    code(&stage.cli(&["scan"]), 3);

    let rehearsed = stage.said(&["retry", "--all", "--dry-run"]);
    assert!(
        rehearsed.contains("1 file would be tried again"),
        "{rehearsed}"
    );
    assert!(rehearsed.contains("inbox/table.csv"), "{rehearsed}");
    assert_eq!(stage.state("table.csv"), "unsupported");

    let output = stage.cli(&["retry", "good.txt"]);
    code(&output, 1);
    assert!(
        err(&output).contains("it has succeeded"),
        "{}",
        err(&output)
    );

    // Mended in the configuration, reloaded, and sorted anew.
    let daemon = stage.start();
    let stage = stage.set(|s| {
        s.tail("[folder.text]\nextra_extensions = [\"csv\"]");
    });
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until("the reload", || {
        daemon.log().contains("configuration reloaded")
    });
    let output = stage.cli(&["retry", "--state", "unsupported", "--json"]);
    code(&output, 0);
    assert_eq!(json(&output)["retried"].as_array().unwrap().len(), 1);
    daemon.until("another end", || {
        matches!(stage.state("table.csv").as_str(), "succeeded" | "rejected")
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_kept_off() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    for args in [&["run"][..], &["scan"]] {
        let output = stage.cli(args);
        code(&output, 4);
        assert!(
            err(&output).contains(&daemon.pid().to_string()),
            "{}",
            err(&output)
        );
    }
    let status: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    assert_eq!(status["running"], true);
    assert!(
        stage
            .said(&["check"])
            .contains("a daemon works on the ledger")
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_stopped_says_what_is_left() {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::from_secs(600),
        ..SandboxConfig::default()
    })
    .await;
    stage.drop_file("slow.txt", "words");
    let scan = stage.spawn(&["scan"]);
    scan.until("the upload", || stage.sandbox.uploads().len() == 1);
    let log = stage.path("log-1.txt");
    assert_eq!(scan.terminate().code(), Some(3));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("left for the next run: 1 file;"), "{log}");
}
