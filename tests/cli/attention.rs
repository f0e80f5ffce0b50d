//! Attention that ends: files that came to a bad end, and nobody has to look at
//! any more.

use serde_json::{Value, json};
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::commands::{code, err, json, out};
use crate::support::http::{by_socket, get};
use crate::support::{Daemon, Stage};

const JSON: &str = "Content-Type: application/json\r\n";

fn attention(stage: &Stage) -> u64 {
    let status: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    status["attention"].as_u64().unwrap()
}

/// A stage whose folder keeps what is in doubt for a person, and whose service
/// answers as `faults` say.
async fn held(faults: &str) -> Stage {
    Stage::with(SandboxConfig {
        faults: Fault::from_toml(faults).unwrap(),
        pending_for: std::time::Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.inbox("unconfirmed = \"hold\"");
    })
}

fn until_it_is(daemon: &Daemon, stage: &Stage, name: &str, state: &str) {
    daemon.until(&format!("{name} to be {state}"), || {
        stage.state(name) == state
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_needs_nobody_and_says_who_when_and_why() {
    let stage = Stage::new().await;
    stage.drop_file("table.csv", "a,b\n1,2\n");
    stage.drop_file("sheet.xlsx", "no sheet");
    stage.drop_file("good.txt", "words");
    code(&stage.cli(&["scan"]), 3);
    assert_eq!(attention(&stage), 2);

    let rehearsed = stage.said(&["acknowledge", "--all", "--dry-run"]);
    assert_eq!(rehearsed, "2 files would be acknowledged\n");
    assert_eq!(attention(&stage), 2);
    let output = stage.cli(&["acknowledge", "good.txt"]);
    code(&output, 1);
    assert!(err(&output).contains("it needs nobody"), "{}", err(&output));

    let why = "kept \u{1b}[31mby hand";
    let said = stage.said(&["acknowledge", "table.csv", "--why", why]);
    assert_eq!(said, "1 file acknowledged\n");
    assert_eq!(attention(&stage), 1);
    let listed = stage.said(&["list", "--attention"]);
    assert!(!listed.contains("table.csv") && listed.contains("sheet.xlsx"));
    let listed = stage.said(&["list", "--acknowledged"]);
    assert!(listed.contains("table.csv") && !listed.contains("sheet.xlsx"));
    let story = stage.said(&["show", "table.csv"]);
    assert!(story.contains("resolved") && story.contains("acknowledged by "));
    assert!(
        story.contains("by hand") && !story.contains('\u{1b}'),
        "{story}"
    );
    let explained = stage.said(&["explain", "table.csv"]);
    assert!(explained.contains("needs nobody since"), "{explained}");
    let file = stage.file("table.csv").unwrap();
    assert_eq!(file["state"], "unsupported");
    assert_eq!(file["needs_attention"], false);
    assert_eq!(file["resolved"]["how"], "acknowledged");
    assert_eq!(file["resolved"]["why"], why);
    let status = stage.said(&["status"]);
    assert!(status.contains("1 file needs attention"), "{status}");
    assert!(status.contains("1 file acknowledged"), "{status}");
    // `--all` means what needs somebody.
    let retried = stage.cli(&["retry", "--all", "--dry-run", "--json"]);
    assert_eq!(json(&retried)["retried"].as_array().unwrap().len(), 1);
    assert_eq!(json(&retried)["dry_run"], true);
    let output = stage.cli(&["acknowledge", "--state", "unsupported", "--json"]);
    assert_eq!(json(&output)["acknowledged"].as_array().unwrap().len(), 1);
    assert_eq!(json(&output)["dry_run"], false);
    assert_eq!(attention(&stage), 0);
    assert!(!out(&stage.cli(&["status"])).contains("attention"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_that_is_imported_ends_it() {
    let stage = Stage::new().await;
    stage.drop_file("report.txt", "\u{0}\u{1}\u{2}\u{3} no text\u{0}");
    code(&stage.cli(&["scan"]), 3);
    assert_eq!(attention(&stage), 1);
    stage.drop_file("report.txt", "the words that were meant");
    code(&stage.cli(&["scan"]), 0);
    assert_eq!(attention(&stage), 0);
    let files = stage.list();
    let old = files.iter().find(|f| f["state"] == "unsupported").unwrap();
    let new = files.iter().find(|f| f["state"] == "succeeded").unwrap();
    assert_eq!(old["resolved"]["how"], "newer-version", "{old:#}");
    assert_eq!(old["resolved"]["by"], new["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_doubt_has_arrived_or_is_sent_again() {
    let stage = held("[[fault]]\nroute = \"import\"\ncut = \"after-body\"\ntimes = 3\n").await;
    let daemon = stage.start();
    for (name, words) in [("a.txt", "one"), ("b.txt", "two"), ("c.txt", "three")] {
        stage.drop_file(name, words);
        until_it_is(&daemon, &stage, name, "unconfirmed");
    }
    stage.said(&["resume"]);
    // Found in the console: without its task, with it, and not found at all.
    stage.said(&["acknowledge", "a.txt", "--arrived"]);
    assert_eq!(stage.state("a.txt"), "untracked");
    let task = stage.uploads_of("b.txt")[0].task_id.clone();
    let output = stage.cli(&[
        "acknowledge",
        "--state",
        "unconfirmed",
        "--arrived",
        "--task",
        &task,
    ]);
    code(&output, 2);
    let said = stage.said(&["acknowledge", "b.txt", "--arrived", "--task", &task]);
    assert_eq!(said, "1 file is followed by its task from here on\n");
    until_it_is(&daemon, &stage, "b.txt", "succeeded");
    stage.said(&["retry", "c.txt"]);
    until_it_is(&daemon, &stage, "c.txt", "succeeded");
    assert_eq!(attention(&stage), 0);
    assert_eq!(stage.uploads_of("b.txt").len(), 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_acknowledged_over_http_as_by_the_command() {
    let stage = Stage::new().await;
    stage.drop_file("a.csv", "a,b\n1,2\n");
    stage.drop_file("b.csv", "a,b\n3,4\n");
    let daemon = stage.start();
    for name in ["a.csv", "b.csv"] {
        until_it_is(&daemon, &stage, name, "unsupported");
    }
    let id = |name: &str| stage.file(name).unwrap()["id"].clone();
    let post = |body: Value| by_socket(&stage, "POST", "/api/acknowledge", JSON, &body.to_string());
    for wrong in [
        json!({}),
        json!({"ids": [1], "all": true}),
        json!({"ids": [1, 2], "task": "t"}),
        json!({"ids": [1], "task": "two words"}),
        json!({"all": true, "what": "ever"}),
    ] {
        assert_eq!(post(wrong.clone()).status, 400, "{wrong}");
    }
    let done = post(json!({"ids": [id("a.csv"), 99], "why": "known", "dry_run": true}));
    assert_eq!(done.json()["acknowledged"], json!([id("a.csv")]));
    assert_eq!(done.json()["dry_run"], true);
    assert_eq!(get(&stage, "/api/status").json()["attention"], 2);
    let done = post(json!({"ids": [id("a.csv"), 99], "why": "known"}));
    let refused = json!([{"id": 99, "why": "there is no such file in the ledger"}]);
    assert_eq!(done.json()["refused"], refused);
    let status = get(&stage, "/api/status").json();
    assert_eq!(status["attention"], 1);
    assert_eq!(status["resolved"], json!({"acknowledged": 1}));
    assert_eq!(status["folders"][0]["attention"], json!({"unsupported": 1}));
    let listed = get(&stage, "/api/files?acknowledged=true").json();
    assert_eq!(listed[0]["resolved"]["who"], "over HTTP", "{listed:#}");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let done = post(json!({"state": ["unsupported"]}));
    assert_eq!(done.json()["acknowledged"], json!([id("b.csv")]));
    let listed = get(&stage, "/api/files?attention=true").json();
    assert_eq!(listed, json!([]));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_meant_however_it_is_written() {
    let stage = held("[[fault]]\nroute = \"import\"\nstatus = 413\ntimes = 1\n").await;
    stage.drop_file("large.txt", "words");
    code(&stage.cli(&["scan"]), 3);
    for asked in ["413", "http-413", "HTTP-413", "OPS1,413"] {
        let listed = stage.said(&["list", "--code", asked]);
        assert!(listed.contains("large.txt"), "{asked}: {listed}");
    }
    let listed = stage.said(&["list", "--code", "400", "--code", "Http-413", "--json"]);
    assert!(listed.contains("large.txt"), "{listed}");
    let output = stage.cli(&["list", "--code", "400"]);
    assert_eq!(err(&output), "no files\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_with_one_reason_are_one_line_with_the_line_that_ends_it() {
    let stage = Stage::new().await;
    for n in 0..9 {
        let name = if n < 6 {
            format!("t{n}.csv")
        } else {
            format!("t{n}.XLSX")
        };
        stage.drop_file(name, format!("a,b\n{n},{n}\n"));
    }
    stage.drop_file("alone.txt", "");
    let daemon = stage.start();
    daemon.until("all ends", || attention(&stage) == 10);
    let line = "exclude_also = [\"*.csv\"]";
    for args in [&["status", "--attention"][..], &["list", "--attention"]] {
        let said = stage.said(args);
        assert!(said.contains("6 × not a taken type: .csv"), "{said}");
        assert!(said.contains(line), "{said}");
        assert!(!said.contains("t3.csv\n"), "{said}");
        assert!(said.contains("alone.txt"), "{said}");
    }
    let each = stage.said(&["list", "--attention", "--each"]);
    assert!(
        (0..6).all(|n| each.contains(&format!("t{n}.csv"))),
        "{each}"
    );
    let told: Value = get(&stage, "/api/status").json();
    let group = &told["attention_groups"][0];
    assert_eq!(
        (&group["files"], &group["reason_kind"]),
        (&json!(6), &json!("unlisted"))
    );
    assert_eq!(group["configuration"], line);
    let told = json_of(&stage, &["status", "--attention", "--json"]);
    assert_eq!(told["groups"][0], *group);
    assert_eq!(told["attention"], 10);

    // The line ends it; without it they are looked at again.
    let stage = stage.set(|s| {
        s.folders[0].2 = "exclude_also = [\"*.csv\"]\n".into();
    });
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until("the end of it", || attention(&stage) == 4);
    let file = stage.file("t0.csv").unwrap();
    assert_eq!(file["resolved"]["how"], "excluded", "{file:#}");
    let stage = stage.set(|s| {
        s.folders[0].2.clear();
    });
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until("another look at them", || attention(&stage) == 10);
    assert!(daemon.terminate().success());
}

fn json_of(stage: &Stage, args: &[&str]) -> Value {
    serde_json::from_str(&stage.said(args)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_needs_nobody_and_an_absent_folder_says_nothing() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let gone = stage.drop_file("gone.csv", "a,b\n1,2\n");
    stage.drop_file("stays.csv", "a,b\n3,4\n");
    daemon.until("both ends", || attention(&stage) == 2);
    // The whole folder is away: its files are not taken as deleted.
    let (inbox, away) = (stage.path("inbox"), stage.path("away"));
    std::fs::rename(&inbox, &away).unwrap();
    daemon.signal(rustix::process::Signal::USR1);
    daemon.until("the daemon to notice", || {
        !get(&stage, "/api/status").json()["folders"][0]["offline"].is_null()
    });
    assert_eq!(attention(&stage), 2);
    std::fs::rename(&away, &inbox).unwrap();
    daemon.until("the folder's return", || {
        get(&stage, "/api/status").json()["folders"][0]["offline"].is_null()
    });
    std::fs::rename(&gone, stage.path("kept.csv")).unwrap();
    daemon.until("the daemon to look", || {
        daemon.signal(rustix::process::Signal::USR1);
        attention(&stage) == 1
    });
    let file = stage.file("gone.csv").unwrap();
    assert_eq!(file["resolved"]["how"], "source-gone", "{file:#}");
    assert_eq!(file["state"], "unsupported");
    // Back in its place: it is looked at again.
    std::fs::rename(stage.path("kept.csv"), &gone).unwrap();
    daemon.until("another look at it", || attention(&stage) == 2);
    assert!(daemon.terminate().success());
}
