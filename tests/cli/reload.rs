//! `reload`: the daemon says what came of it, and its log the same.

use std::fs;

use serde_json::Value;

use crate::commands::{code, err, json, out};
use crate::support::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_changed_and_what_waits_for_a_restart() {
    let stage = Stage::new().await.set(|s| {
        s.folder("second", "main", "");
    });
    let daemon = stage.start();
    stage.said(&["pause", "folder:second"]);
    daemon.until("the daemon to notice", || {
        daemon.log().contains("paused by an operator")
    });
    stage.publish(&stage.path("second/waits.txt"), "words");
    daemon.until("a file waits", || stage.state("waits.txt") == "queued");
    assert!(stage.said(&["reload"]).contains("nothing has changed"));

    let stage = stage.set(|s| {
        s.folders.retain(|(name, ..)| name == "inbox");
        s.folder("third", "main", "");
        s.datasets[0].1 = "sk-main-another".into();
        s.log = "filter = \"trace\"".into();
    });
    let output = stage.cli(&["reload"]);
    code(&output, 0);
    let said = out(&output);
    let (now, later) = said.split_once("at a restart only:").unwrap();
    for part in [
        "folder second: removed",
        "folder third: added",
        "dataset main: the Access-Key changed",
    ] {
        assert!(now.contains(part), "{part:?}\n{said}");
        assert!(
            daemon
                .log()
                .contains(&format!("configuration reloaded: {part}")),
            "{part}"
        );
    }
    assert!(later.contains("the log settings changed"), "{said}");
    assert!(
        later.contains("folder second is not in the configuration any more: 1 file"),
        "{said}"
    );
    assert!(!said.contains("sk-main"), "{said}");
    // What waits for a restart is said each time until then.
    let again: Value = json(&stage.cli(&["reload", "--json"]));
    assert_eq!(again["done"], true);
    assert_eq!(again["changed"], serde_json::json!([]));
    assert_eq!(again["at_restart"].as_array().unwrap().len(), 1);
    assert_eq!(again["left_behind"][0]["queued"], 1);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_all_problems_and_changes_nothing() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let good = fs::read_to_string(stage.config()).unwrap();
    // The daemon is asked, wherever its ledger is: the file does not say any more.
    let bad = good
        .replace("quiet =", "quite =")
        .replace("20ms", "20 parsecs");
    fs::write(stage.config(), bad).unwrap();
    let output = stage.cli(&["reload"]);
    code(&output, 2);
    let said = err(&output);
    for part in [
        "refused; the former configuration stays in force",
        "quite",
        "backoff_base",
        "config.toml:",
    ] {
        assert!(said.contains(part), "{part:?}\n{said}");
    }
    // What only the daemon sees: commands read no keys.
    fs::write(stage.config(), &good).unwrap();
    fs::write(stage.path("keys/main"), "").unwrap();
    let output = stage.cli(&["reload"]);
    code(&output, 2);
    let said = err(&output);
    assert!(
        said.contains("refused; the former") && said.contains("key"),
        "{said}"
    );
    assert!(daemon.log().contains("configuration refused"));
    let output = stage.cli(&["reload", "--json"]);
    code(&output, 2);
    let told = json(&output);
    assert_eq!(told["done"], false);
    assert_eq!(told["problems"].as_array().unwrap().len(), 1, "{told:#}");

    stage.write();
    code(&stage.cli(&["reload"]), 0);
    stage.drop_file("a.txt", "words");
    daemon.until("it works on", || stage.state("a.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));

    let output = stage.cli(&["reload"]);
    code(&output, 1);
    assert!(err(&output).contains("no daemon runs"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ledger_waits_for_a_restart_and_everybody_says_so() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let stage = stage.set(|s| s.ledger = "moved.sqlite".into());
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until("the reload", || {
        daemon.log().contains("another ledger takes a restart")
    });
    // The daemon is not there; that is said, with what to do.
    let output = stage.cli(&["reload"]);
    code(&output, 1);
    assert!(
        err(&output).contains("restart that one"),
        "{}",
        err(&output)
    );
    let output = stage.cli(&["status"]);
    code(&output, 1);
    assert!(
        err(&output).contains("or restart it, if `daemon.ledger` was changed"),
        "{}",
        err(&output)
    );
    // Changed back, nothing has happened.
    let stage = stage.set(|s| s.ledger = "ledger.sqlite".into());
    assert!(stage.said(&["reload"]).contains("nothing has changed"));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_changed_on_disk_is_said_until_it_is_read_anew() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let said = "the key file of dataset main changed on disk";
    assert!(!stage.said(&["status"]).contains(said));
    fs::write(stage.path("keys/main"), "sk-main-another").unwrap();
    daemon.until("the log says it", || daemon.log().contains(said));
    let status = stage.said(&["status"]);
    assert!(
        status.contains("changed on disk") && status.contains("reload"),
        "{status}"
    );
    assert!(!status.contains("sk-main"), "{status}");
    let live: Value = json(&stage.cli(&["status", "--json"]));
    assert_eq!(
        live["daemon"]["stale_keys"],
        serde_json::json!(["main"]),
        "{live}"
    );
    stage.said(&["reload"]);
    assert!(!stage.said(&["status"]).contains("changed on disk"));
    assert_eq!(daemon.terminate().code(), Some(0));
}
