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

#[tokio::test(flavor = "multi_thread")]
async fn forget_says_what_is_sent_again_and_what_stays() {
    let stage = Stage::new().await;
    let there = stage.drop_file("there.txt", "there");
    let gone = stage.drop_file("gone.txt", "gone");
    code(&stage.cli(&["scan"]), 0);
    std::fs::remove_file(gone).unwrap();
    let daemon = stage.start();
    code(&stage.cli(&["forget"]), 2);

    let rehearsed = stage.cli(&["forget", "--state", "succeeded", "--dry-run"]);
    assert_eq!(out(&rehearsed), "1 file would be forgotten\n");
    assert!(
        err(&rehearsed).contains("say --send-again"),
        "{}",
        err(&rehearsed)
    );
    assert_eq!(stage.list().len(), 2);
    let output = stage.cli(&["forget", "gone.txt", "--json"]);
    code(&output, 0);
    assert_eq!(json(&output)["forgotten"].as_array().unwrap().len(), 1);
    assert_eq!(stage.list().len(), 1);

    code(&stage.cli(&["forget", there.to_str().unwrap()]), 1);
    let output = stage.cli(&["forget", there.to_str().unwrap(), "--send-again"]);
    code(&output, 0);
    daemon.signal(rustix::process::Signal::USR1);
    daemon.until("the file sent again", || {
        stage.uploads_of("there.txt").len() == 2
    });
    daemon.until("its end", || stage.state("there.txt") == "succeeded");

    // A folder that can't be reached says nothing about its files.
    assert!(daemon.terminate().success());
    std::fs::rename(stage.path("inbox"), stage.path("away")).unwrap();
    let output = stage.cli(&["forget", "--folder", "inbox"]);
    code(&output, 1);
    assert!(err(&output).contains("can't be told"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_forgotten_while_it_waits_stops_nothing() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.said(&["pause", "all"]);
    daemon.until("the daemon to notice", || {
        daemon.log().contains("paused by an operator")
    });
    let waits = stage.drop_file("waits.txt", "waits");
    daemon.until("the file in the queue", || {
        stage.state("waits.txt") == "queued"
    });
    let output = stage.cli(&["forget", "waits.txt"]);
    code(&output, 1);
    assert!(
        err(&output).contains("take the file out"),
        "{}",
        err(&output)
    );
    std::fs::remove_file(waits).unwrap();
    code(&stage.cli(&["forget", "waits.txt"]), 0);
    stage.said(&["resume"]);
    stage.drop_file("next.txt", "next");
    daemon.until("the next file", || stage.state("next.txt") == "succeeded");
    assert!(
        !daemon.log().contains("could not record"),
        "{}",
        daemon.log_end()
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_keeps_what_lies_there_and_what_it_teaches() {
    let stage = Stage::new().await;
    stage.drop_file("there.txt", "there");
    let gone = stage.drop_file("gone.txt", "the same words");
    code(&stage.cli(&["scan"]), 0);
    std::fs::remove_file(gone).unwrap();
    code(&stage.cli(&["prune"]), 2);
    let output = stage.cli(&["prune", "--older-than", "1d", "--json"]);
    assert_eq!(json(&output)["pruned"], 0, "{}", out(&output));
    // A second is the shortest time there is.
    crate::support::until("files of that age", || {
        let output = stage.cli(&["prune", "--older-than", "1s", "--dry-run", "--json"]);
        json(&output)["pruned"] == 1
    });
    assert_eq!(stage.list().len(), 2);
    let output = stage.cli(&["prune", "--older-than", "1s", "--compact"]);
    code(&output, 0);
    assert!(
        out(&output).starts_with("1 file pruned; 1 of that age stay"),
        "{}",
        out(&output)
    );

    let daemon = stage.start();
    code(&stage.cli(&["prune", "--older-than", "1s", "--compact"]), 4);
    stage.drop_file("copy.txt", "the same words");
    daemon.until("the copy", || stage.state("copy.txt") == "duplicate");
    assert!(stage.uploads_of("copy.txt").is_empty());
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_taken_beside_a_daemon_and_can_be_restored() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("its end", || stage.state("a.txt") == "succeeded");
    let to = stage.path("copy.sqlite");
    let to = to.to_str().unwrap();
    assert!(stage.said(&["backup", to]).ends_with(", checked\n"));
    let output = stage.cli(&["backup", to]);
    code(&output, 1);
    assert!(err(&output).contains("--force"), "{}", err(&output));
    code(&stage.cli(&["backup", "--force", to, "--json"]), 0);
    assert!(daemon.terminate().success());

    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(stage.path(format!("ledger.sqlite{end}")));
    }
    std::fs::rename(to, stage.path("ledger.sqlite")).unwrap();
    code(&stage.cli(&["scan"]), 0);
    assert_eq!(stage.state("a.txt"), "succeeded");
    assert_eq!(stage.sandbox.uploads().len(), 1, "it was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_deletes_the_task_and_says_what_the_service_answers() {
    let stage = Stage::with(SandboxConfig {
        pending_for: std::time::Duration::from_secs(600),
        faults: Fault::from_toml(
            "[[fault]]\nroute = \"delete\"\nstatus = 403\ncode = \"OPS40302\"\nmessage = \"not \\u001b[31myours\"\ntimes = 1\n",
        )
        .unwrap(),
        ..SandboxConfig::default()
    })
    .await;
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    stage.drop_file("b.txt", "other words");
    daemon.until("both tasks", || stage.states().get("submitted") == Some(&2));
    let output = stage.cli(&["cancel", "a.txt"]);
    code(&output, 1);
    let said = err(&output);
    assert!(
        said.contains("OPS40302") || said.contains("HTTP-403"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert_eq!(stage.state("a.txt"), "submitted");

    assert_eq!(stage.said(&["cancel", "a.txt"]), "1 file cancelled\n");
    assert_eq!(stage.state("a.txt"), "cancelled");
    let deleted = stage.sandbox.tasks().iter().filter(|t| t.deleted).count();
    assert_eq!(deleted, 1);
    assert_eq!(stage.state("b.txt"), "submitted");
    code(&stage.cli(&["cancel"]), 2);
    code(&stage.cli(&["cancel", "a.txt"]), 1);
    let output = stage.cli(&["cancel", "--folder", "inbox", "--json"]);
    code(&output, 0);
    assert_eq!(json(&output)["cancelled"].as_array().unwrap().len(), 1);

    stage.said(&["pause", "all"]);
    stage.drop_file("c.txt", "words that wait");
    daemon.until("the queue", || stage.state("c.txt") == "queued");
    let output = stage.cli(&["cancel", "c.txt"]);
    code(&output, 1);
    assert!(err(&output).contains("has no task yet"), "{}", err(&output));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn import_takes_what_the_watch_leaves_and_never_half_a_file() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("exclude = [\"draft-*\"]\nquiet = \"1h\"");
    });
    // Without a daemon and without a ledger: queued.
    let draft = stage.inbox("draft-a.txt");
    std::fs::write(&draft, "words").unwrap();
    let draft = draft.to_str().unwrap();
    assert_eq!(
        stage.said(&["import", draft]),
        format!("queued as id 1: {draft}\n")
    );
    assert_eq!(stage.state("draft-a.txt"), "queued");
    let daemon = stage.start();
    daemon.until("the draft", || stage.state("draft-a.txt") == "succeeded");
    let output = stage.cli(&["import", draft]);
    code(&output, 1);
    assert!(
        err(&output).contains("file 1 already, succeeded"),
        "{}",
        err(&output)
    );

    // A writer has it open.
    let open = stage.inbox("open.txt");
    let writer = std::fs::File::create(&open).unwrap();
    std::io::Write::write_all(&mut &writer, b"half of it").unwrap();
    let open = open.to_str().unwrap();
    let output = stage.cli(&["import", open]);
    code(&output, 1);
    assert!(err(&output).contains("--even-if-open"), "{}", err(&output));
    assert_eq!(stage.state("open.txt"), "");
    drop(writer);
    code(&stage.cli(&["import", open, "--json"]), 0);
    daemon.until("the closed file", || stage.state("open.txt") == "succeeded");

    // From outside.
    let outside = stage.path("letter.txt");
    std::fs::write(&outside, "dear service").unwrap();
    let outside = outside.to_str().unwrap();
    let output = stage.cli(&["import", outside]);
    code(&output, 1);
    assert!(
        err(&output).contains("in no drop folder"),
        "{}",
        err(&output)
    );
    // What no import takes has a word for scripts.
    let sheet = stage.drop_file("draft-sheet.csv", "a,b\n");
    let output = stage.cli(&["import", sheet.to_str().unwrap(), "--json"]);
    code(&output, 1);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["refused"][0]["reason_kind"], "unlisted", "{told}");
    code(&stage.cli(&["import", outside, "--folder", "nowhere"]), 2);
    code(&stage.cli(&["import", outside, "--folder", "inbox"]), 0);
    daemon.until("the letter", || stage.state("letter.txt") == "succeeded");
    let output = stage.cli(&["import", outside, "--folder", "inbox"]);
    code(&output, 1);
    assert!(
        err(&output).contains("has a file of that name"),
        "{}",
        err(&output)
    );
    assert_eq!(stage.uploads_of("letter.txt").len(), 1);
    let left = std::fs::read_dir(stage.path("inbox")).unwrap();
    let parts = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("supametas-import")
    });
    assert_eq!(parts.count(), 0);
    assert!(daemon.terminate().success());
}
