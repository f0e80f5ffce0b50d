//! One truth about why a file waits: each scope that can hold one, and each way of
//! asking.

use serde_json::Value;
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::http::get;
use crate::support::{Daemon, Stage};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What each way of asking says that the file waits for, without the words: they
/// tell how long ago.
fn said(stage: &Stage, daemon: Option<&Daemon>, name: &str) -> Vec<(&'static str, Value)> {
    let path = stage.inbox(name);
    let path = path.to_str().unwrap();
    let file = stage.file(name).unwrap();
    let mut all = vec![
        (
            "show",
            read(&stage.said(&["show", path, "--json"]))[0]["waiting"].clone(),
        ),
        (
            "explain",
            read(&stage.said(&["explain", path, "--json"]))["waiting"].clone(),
        ),
        (
            "status",
            read(&stage.said(&["status", "--json"]))["oldest_waiting"]["waiting"].clone(),
        ),
        ("list", file["waiting"].clone()),
    ];
    if daemon.is_some() {
        let id = &file["id"];
        all.push((
            "files",
            get(stage, "/api/files").json()[0]["waiting"].clone(),
        ));
        let one = get(stage, &format!("/api/files/{id}")).json();
        all.push(("file", one["waiting"].clone()));
        let status = get(stage, "/api/status").json();
        all.push(("api status", status["oldest_waiting"]["waiting"].clone()));
    }
    for (_, waiting) in &mut all {
        if let Some(waiting) = waiting.as_object_mut() {
            assert!(!waiting.remove("text").unwrap().as_str().unwrap().is_empty());
            waiting.remove("also");
        }
    }
    all
}

/// All ways say the same, and it is this.
#[track_caller]
fn all_say(stage: &Stage, daemon: Option<&Daemon>, name: &str, reason: &str, scope: Option<&str>) {
    let all = said(stage, daemon, name);
    for (way, waiting) in &all {
        assert_eq!(waiting["reason"], reason, "{way}: {waiting:#}");
        assert_eq!(waiting["scope"].as_str(), scope, "{way}: {waiting:#}");
        assert_eq!(waiting, &all[0].1, "{way} and {}", all[0].0);
    }
    // And so do people's words.
    let path = stage.inbox(name);
    let words = match (reason, scope) {
        ("paused", Some(scope)) => format!("{scope} is paused by"),
        ("gate", Some(scope)) => format!("the gate {scope} is closed"),
        _ => "no daemon is running".to_owned(),
    };
    for args in [
        &["list"][..],
        &["status"],
        &["show", path.to_str().unwrap()],
        &["explain", path.to_str().unwrap()],
    ] {
        let text = stage.said(args);
        assert!(text.contains(&words), "{args:?}: {words}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scope_of_a_pause_is_told_alike_by_every_command() {
    let stage = Stage::new().await;
    let mut daemon = stage.start();
    for (n, scope) in ["all", "dataset:main", "folder:inbox", "route:inbox/text"]
        .into_iter()
        .enumerate()
    {
        stage.said(&["pause", scope, "--for", "1h", "--why", "new scanner"]);
        let name = format!("waits-{n}.txt");
        // A command beside the daemon is noticed within a second.
        daemon.until("the pause", || {
            let log = daemon.log();
            let mut lines = log.lines();
            lines.any(|line| line.contains("paused by an operator") && line.contains(scope))
        });
        stage.drop_file(&name, format!("words {n}"));
        daemon.until("the file in the queue", || stage.state(&name) == "queued");
        all_say(&stage, Some(&daemon), &name, "paused", Some(scope));
        let waiting = stage.file(&name).unwrap()["waiting"].clone();
        assert_eq!(waiting["why"], "new scanner");
        assert!(waiting["since"].is_string() && waiting["until"].is_string());
        if scope == "all" {
            // Nobody has to do anything about it, however long it lasts.
            let status = read(&stage.said(&["status", "--json"]));
            assert_eq!(status["oldest_unpaused_s"], Value::Null, "{status:#}");
            assert!(daemon.terminate().success());
            all_say(&stage, None, &name, "paused", Some(scope));
            daemon = stage.start();
        }
        stage.said(&["resume"]);
        daemon.until("its end", || stage.state(&name) == "succeeded");
    }
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gate_is_told_alike_by_every_command() {
    for (status, scope) in [
        (503, "service"),
        (403, "dataset:main"),
        (404, "route:inbox/text"),
    ] {
        let calls = if status == 404 {
            "calls = \"upload\"\n"
        } else {
            ""
        };
        let fault = format!("[[fault]]\nroute = \"import\"\nstatus = {status}\ntimes = 1\n");
        let stage = Stage::with(SandboxConfig {
            faults: Fault::from_toml(&fault).unwrap(),
            pending_for: std::time::Duration::ZERO,
            ..SandboxConfig::default()
        })
        .await
        .set(|s| {
            s.tail(&format!(
                "[[error]]\non = \"{status}\"\n{calls}pause_first = \"10m\"\npause_max = \"1h\""
            ));
        });
        let daemon = stage.start();
        stage.drop_file("waits.txt", "words");
        daemon.until("the gate to close", || {
            !get(&stage, "/api/status").json()["gates"][0].is_null()
        });
        daemon.until("the file in the queue", || {
            stage.state("waits.txt") == "queued"
        });
        all_say(&stage, Some(&daemon), "waits.txt", "gate", Some(scope));
        let code = format!("HTTP-{status}");
        assert_eq!(stage.file("waits.txt").unwrap()["waiting"]["code"], code);
        stage.said(&["resume"]);
        daemon.until("its end", || stage.state("waits.txt") == "succeeded");
        assert!(daemon.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_all_say_that_none_is_running() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.said(&["pause", "all"]);
    daemon.until("the pause", || {
        daemon.log().contains("paused by an operator")
    });
    stage.drop_file("waits.txt", "words");
    daemon.until("the file in the queue", || {
        stage.state("waits.txt") == "queued"
    });
    assert!(daemon.terminate().success());
    stage.said(&["resume"]);
    all_say(&stage, None, "waits.txt", "no-daemon", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_the_ledger_yet_is_told_of_the_pause_before_it() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.said(&["pause", "folder:inbox", "--why", "new scanner"]);
    daemon.until("the pause", || {
        daemon.log().contains("paused by an operator")
    });
    let inbox = stage.path("inbox");
    let explained = stage.said(&["explain", inbox.to_str().unwrap()]);
    assert!(
        explained.contains("folder:inbox is paused by"),
        "{explained}"
    );
    // Written by nobody any more, and still settling or just taken.
    let path = stage.inbox("open.txt");
    let mut file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, b"half of it").unwrap();
    let explained = stage.said(&["explain", path.to_str().unwrap()]);
    assert!(
        explained.contains("folder:inbox is paused by"),
        "{explained}"
    );
    drop(file);
    assert!(daemon.terminate().success());
}
