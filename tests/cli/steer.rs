//! Steering by hand, beside a running daemon and without one.

use serde_json::Value;
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::commands::{code, err, json, out};
use crate::support::Stage;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_back_a_running_daemon_until_it_is_resumed() {
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml("[[fault]]\nroute = \"import\"\ndelay_ms = 1500\ntimes = 1\n")
            .unwrap(),
        pending_for: std::time::Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.folder("second", "main", "");
    });
    let daemon = stage.start();
    stage.drop_file("wire.txt", "on the wire");
    daemon.until("an upload on the wire", || {
        stage.state("wire.txt") == "uploading"
    });
    let said = stage.said(&["pause", "folder:inbox", "--why", "bad\u{1b}[31m scans"]);
    assert!(said.starts_with("paused: folder:inbox, until"), "{said}");
    daemon.until("the daemon to notice", || {
        daemon.log().contains("paused by an operator")
    });

    // What is on the wire ends, and its task is followed; what comes waits, and
    // another folder goes on.
    stage.drop_file("waits.txt", "waits");
    stage.publish(&stage.path("second/goes.txt"), "goes");
    daemon.until("the other folder", || {
        stage.state("goes.txt") == "succeeded"
    });
    daemon.until("the end of what was on the wire", || {
        stage.state("wire.txt") == "succeeded"
    });
    daemon.until("the file in the queue", || {
        stage.state("waits.txt") == "queued"
    });
    assert!(stage.uploads_of("waits.txt").is_empty());

    let status = stage.said(&["status"]);
    assert!(status.contains("PAUSED     folder:inbox, "), "{status}");
    assert!(
        status.contains("scans") && !status.contains('\u{1b}'),
        "{status}"
    );
    let status = read(&stage.said(&["status", "--json"]));
    assert_eq!(status["pauses"][0]["scope"], "folder:inbox", "{status:#}");
    assert_eq!(status["pauses"][0]["until"], Value::Null);

    // A narrower resume says what still holds.
    let output = stage.cli(&["resume", "route:inbox/text"]);
    code(&output, 0);
    assert!(
        err(&output).contains("still held back by the pause of folder:inbox"),
        "{}",
        err(&output)
    );
    assert!(stage.uploads_of("waits.txt").is_empty());
    assert_eq!(
        stage.said(&["resume", "dataset:main"]),
        "pause ended: folder:inbox\n"
    );
    daemon.until("the file to go", || stage.state("waits.txt") == "succeeded");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_without_a_daemon_and_ends_by_its_time() {
    let stage = Stage::new().await;
    code(&stage.cli(&["scan"]), 0);
    for (args, wanted) in [
        (&["pause"][..], 2),
        (&["pause", "everything"], 2),
        (&["pause", "folder:inbocks"], 2),
        (&["pause", "route:inbox/words"], 2),
        (&["resume", "folder:inbox"], 5),
    ] {
        code(&stage.cli(args), wanted);
    }
    let output = stage.cli(&["pause", "folder:inbocks"]);
    assert!(err(&output).contains("it has: inbox"), "{}", err(&output));

    let output = stage.cli(&["pause", "all", "--for", "1h", "--json"]);
    code(&output, 0);
    assert!(
        json(&output)["paused"]["until"].is_string(),
        "{}",
        out(&output)
    );
    stage.drop_file("waits.txt", "waits");
    let output = stage.cli(&["scan"]);
    code(&output, 3);
    assert!(
        err(&output).contains("left for the next run: 1 file;"),
        "{}",
        err(&output)
    );
    assert!(stage.sandbox.uploads().is_empty());

    // Paused anew, for next to nothing: over by itself.
    assert!(
        stage
            .said(&["pause", "all", "--for", "1s"])
            .contains("in place of")
    );
    let daemon = stage.start();
    daemon.until("the end of the pause", || {
        stage.state("waits.txt") == "succeeded"
    });
    assert!(!stage.said(&["status"]).contains("PAUSED"));
    assert!(daemon.terminate().success());
}
