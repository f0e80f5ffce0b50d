//! What a monitoring system is told: `status --check`, `/healthz?deep`, and each
//! recipe of the papers, run as it is printed.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use supametas_sync::sandbox::Fault;
use support::http::{address, by_tcp, get};
use support::{PROGRAM, Stage};

/// What a check said: its exit code and its one line.
fn check(stage: &Stage, more: &[&str]) -> (i32, String) {
    let args = [&["status", "--check"], more].concat();
    one_line(&stage.cli(&args))
}

fn one_line(output: &Output) -> (i32, String) {
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let line = said.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains('\n'), "more than one line: {said}");
    assert!(line.starts_with("SUPAMETAS "), "{said}");
    (output.status.code().unwrap(), line.to_owned())
}

/// The service refuses the key.
fn refuse_the_key(stage: &Stage) {
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 401\n";
    let faults = Fault::from_toml(fault).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_each_trouble_by_its_exit_code() {
    let stage = Stage::new().await;
    let (code, line) = check(&stage, &[]);
    assert_eq!(code, 2, "no ledger, no daemon: {line}");
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("it is done", || stage.state("a.txt") == "succeeded");
    let (code, line) = check(&stage, &[]);
    assert_eq!(code, 0, "{line}");
    assert!(line.starts_with("SUPAMETAS OK - 0 due"), "{line}");
    assert!(line.contains(" | attention=0;0 "), "{line}");

    // Attention, and its limits.
    stage.drop_file("b.doc", "no document");
    daemon.until("it is sorted", || stage.state("b.doc") == "unsupported");
    let (code, line) = check(&stage, &[]);
    assert_eq!(code, 1, "{line}");
    assert!(line.contains("WARNING - 1 file needs attention"), "{line}");
    assert_eq!(check(&stage, &["--attention-warning", "1"]).0, 0);
    assert_eq!(check(&stage, &["--attention-critical", "0"]).0, 2);

    // A folder that is away.
    fs::rename(stage.path("inbox"), stage.path("away")).unwrap();
    daemon.until("the folder is missed", || check(&stage, &[]).0 == 2);
    let (_, line) = check(&stage, &[]);
    assert!(line.contains("folder inbox is off line for "), "{line}");
    let later = check(&stage, &["--folder-critical", "1h"]);
    assert_eq!(later.0, 1, "the file that needs attention is left");
    fs::rename(stage.path("away"), stage.path("inbox")).unwrap();
    daemon.until("the folder is back", || check(&stage, &[]).0 == 1);

    // A gate.
    refuse_the_key(&stage);
    stage.drop_file("c.txt", "other words");
    daemon.until("the gate is closed", || check(&stage, &[]).0 == 2);
    let (_, line) = check(&stage, &[]);
    assert!(line.contains("gate dataset:main is closed"), "{line}");
    assert!(line.contains("HTTP-401"), "{line}");
    assert_eq!(check(&stage, &["--gate-critical", "1h"]).0, 1);
    let json = stage.cli(&["status", "--check", "--json"]);
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (json.status.code(), &told["level"]),
        (Some(2), &"trouble".into())
    );
    assert_eq!(told["findings"][0]["kind"], "gate");

    // No daemon.
    assert!(daemon.terminate().success());
    let (code, line) = check(&stage, &[]);
    assert_eq!(code, 2);
    assert!(line.contains("no daemon runs"), "{line}");
    let cron = ["--without-daemon", "--gate-critical", "1h"];
    assert_eq!(check(&stage, &cron).0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_found_out_is_unknown() {
    let stage = Stage::new().await;
    fs::write(stage.config(), "[service\n").unwrap();
    let (code, line) = check(&stage, &[]);
    assert_eq!(code, 3, "{line}");
    assert!(line.starts_with("SUPAMETAS UNKNOWN - "), "{line}");
    assert!(line.contains("config.toml"), "{line}");
    // A command line that is wrong says nothing about the daemon.
    let wrong = stage.cli(&["status", "--check", "--gate-critical", "10"]);
    assert_eq!(wrong.status.code(), Some(3));
    // Limits without a check would be taken for one.
    let wrong = stage.cli(&["status", "--gate-critical", "10m"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_trouble_is_trouble() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    assert!(daemon.terminate().success());
    fs::write(
        stage.path("ledger.sqlite"),
        "no ledger at all, but long enough to be one",
    )
    .unwrap();
    let (code, line) = check(&stage, &["--without-daemon"]);
    assert_eq!(code, 2, "{line}");
    assert!(line.contains("ledger.sqlite"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_question_is_answered_as_the_command_does() {
    let stage = Stage::new().await;
    let token = stage.path("read-token");
    fs::write(&token, "tok-read-8d21c0b7a94e5f36\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let stage = stage.set(|s| {
        let file = token.to_str().unwrap();
        s.tail(&format!(
            "[http]\nlisten = \"127.0.0.1:0\"\nread_token_file = {file:?}\n"
        ));
    });
    let daemon = stage.start();
    let well = get(&stage, "/healthz?deep");
    assert_eq!(well.status, 200, "{well:?}");
    assert_eq!(well.json()["level"], "well");

    refuse_the_key(&stage);
    stage.drop_file("a.txt", "words");
    daemon.until("the gate is closed", || {
        get(&stage, "/healthz?deep").status == 503
    });
    let told = get(&stage, "/healthz?deep").json();
    let (code, line) = check(&stage, &[]);
    assert_eq!((code, &told["exit"]), (2, &Value::from(2)));
    let said = |line: &str| line.split(" is closed").next().unwrap().to_owned();
    assert_eq!(said(told["line"].as_str().unwrap()), said(&line));
    let later = get(&stage, "/healthz?deep&gate-critical=1h");
    assert_eq!(later.status, 200, "{later:?}");
    assert_eq!(get(&stage, "/healthz?deep&gate=1h").status, 400);
    // That the process works is another question.
    assert_eq!(get(&stage, "/healthz").status, 200);

    // It names folders: whoever may not look is told that the process works.
    let at = address(&daemon);
    assert_eq!(by_tcp(&at, "GET", "/healthz", "", "").status, 200);
    assert_eq!(by_tcp(&at, "GET", "/healthz?deep", "", "").status, 401);
    let bearer = "Authorization: Bearer tok-read-8d21c0b7a94e5f36\r\n";
    assert_eq!(by_tcp(&at, "GET", "/healthz?deep", bearer, "").status, 503);
    assert!(daemon.terminate().success());
}

// ── the recipes ─────────────────────────────────────────────────────────────

fn paper(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap()
}

/// The blocks of code of a paper that hold a text.
fn blocks<'a>(paper: &'a str, with: &str) -> Vec<&'a str> {
    let parts = paper.split("```").skip(1).step_by(2);
    let code = parts.filter_map(|part| Some(part.split_once('\n')?.1));
    code.filter(|code| code.contains(with)).collect()
}

/// A directory with programs of these names in front of all others: the program
/// under test with the stage's configuration, and a `mail` that keeps what it is
/// given.
struct Machine {
    dir: tempfile::TempDir,
    mail: PathBuf,
}

impl Machine {
    fn of(stage: &Stage) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        let mail = dir.path().join("mailbox");
        let config = stage.config();
        let script = |name: &str, text: String| {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let config = config.to_str().unwrap();
        script(
            "supametas-sync",
            format!("SUPAMETAS_CONFIG='{config}' exec '{PROGRAM}' \"$@\""),
        );
        let mailbox = mail.to_str().unwrap();
        script(
            "mail",
            format!("echo \"$@\" >> '{mailbox}'; cat >> '{mailbox}'"),
        );
        script(
            "journalctl",
            "echo SUPAMETAS CRITICAL - by the journal".into(),
        );
        Machine { dir, mail }
    }

    /// Runs a line as cron or systemd would: with a shell, and little else.
    fn runs(&self, line: &str) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.dir.path().display());
        Command::new("/bin/sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn mail(&self) -> String {
        fs::read_to_string(&self.mail).unwrap_or_default()
    }

    /// The command of a unit, with the programs of this machine.
    fn of_unit(&self, unit: &str) -> String {
        let line = unit.lines().find_map(|l| l.strip_prefix("ExecStart="));
        let bin = self.dir.path().to_str().unwrap();
        line.unwrap()
            .replace("/usr/bin/supametas-sync", &format!("{bin}/supametas-sync"))
    }
}

/// The command of a line in `/etc/cron.d`, which has a user.
fn of_cron(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..6 {
        rest = rest.trim_start().split_once(' ').unwrap().1;
    }
    rest.trim()
}

fn cron_lines(paper: &str) -> Vec<String> {
    let blocks = blocks(paper, "status --check").into_iter();
    let lines = blocks.flat_map(str::lines).filter(|l| l.starts_with('*'));
    lines.map(|line| of_cron(line).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipe_for_cron_sees_an_outage_and_is_silent_else() {
    let recipes: Vec<String> = ["docs/operations.md", "docs/recipes.md"]
        .iter()
        .flat_map(|name| cron_lines(&paper(name)))
        .collect();
    assert_eq!(recipes.len(), 2, "{recipes:#?}");
    let stage = Stage::new().await;
    let machine = Machine::of(&stage);
    let daemon = stage.start();
    for recipe in &recipes {
        let quiet = machine.runs(recipe);
        assert!(quiet.status.success(), "{recipe}: {quiet:?}");
        assert!(
            quiet.stdout.is_empty() && quiet.stderr.is_empty(),
            "{quiet:?}"
        );
        assert_eq!(machine.mail(), "", "{recipe}");
    }
    fs::rename(stage.path("inbox"), stage.path("away")).unwrap();
    daemon.until("the folder is missed", || check(&stage, &[]).0 == 2);
    for recipe in &recipes {
        machine.runs(recipe);
        let mail = machine.mail();
        assert!(mail.contains("-s "), "{recipe}: {mail}");
        let line = "SUPAMETAS CRITICAL - folder inbox is off line";
        assert!(mail.contains(line), "{recipe}: {mail}");
        fs::remove_file(&machine.mail).unwrap();
    }
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_units_of_the_check_are_valid_and_fail_in_an_outage() {
    let paper = paper("docs/operations.md");
    let unit = |name: &str| {
        let found = blocks(&paper, &format!("# /etc/systemd/system/{name}\n"));
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };
    let service = unit("supametas-sync-check.service");
    let tell = unit("supametas-sync-tell.service");
    let timer = unit("supametas-sync-check.timer");
    let stage = Stage::new().await;
    let machine = Machine::of(&stage);
    let daemon = stage.start();
    let checked = machine.runs(&machine.of_unit(service));
    assert_eq!(one_line(&checked).0, 0);
    assert!(daemon.terminate().success());
    let checked = machine.runs(&machine.of_unit(service));
    assert_eq!(one_line(&checked).0, 2);
    let told = machine.runs(&machine.of_unit(tell));
    assert!(told.status.success(), "{told:?}");
    assert!(machine.mail().contains("CRITICAL"), "{}", machine.mail());

    let units = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("supametas-sync-check.service", service),
        ("supametas-sync-tell.service", tell),
        ("supametas-sync-check.timer", timer),
    ] {
        let text = text.replace("/usr/bin/supametas-sync", PROGRAM);
        fs::write(units.path().join(name), text).unwrap();
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(units.path().join("supametas-sync-check.timer"))
        .arg(units.path().join("supametas-sync-check.service"))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", units.path().display()))
        .output();
    match verified {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let ours = said.lines().filter(|line| line.contains("supametas-sync"));
            assert!(output.status.success() && ours.count() == 0, "{said}");
        }
        Err(error) => eprintln!("SKIPPED: systemd-analyze: {error}"),
    }
}

/// promtool evaluates the rules; what it is given has the metric's own name, and
/// the metric says what the check says.
#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_go_by_what_the_check_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let tested = Command::new("promtool")
        .args(["test", "rules", "alerts_test.yml"])
        .current_dir(&dir)
        .output();
    match tested {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => eprintln!("SKIPPED: promtool: {error}"),
    }
    assert!(paper("docs/monitoring/alerts.yml").contains("expr: supametas_health == 2"));

    let stage = Stage::new().await;
    let daemon = stage.start();
    let health = || {
        let told = get(&stage, "/metrics").body;
        let line = told.lines().find(|l| l.starts_with("supametas_health "));
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert!(health().starts_with('0'));
    stage.drop_file("b.doc", "no document");
    daemon.until("it needs attention", || health().starts_with('1'));
    assert_eq!(check(&stage, &[]).0, 1);
    refuse_the_key(&stage);
    stage.drop_file("a.txt", "words");
    daemon.until("the gate is closed", || health().starts_with('2'));
    assert_eq!(check(&stage, &[]).0, 2);
    assert!(daemon.terminate().success());
}
