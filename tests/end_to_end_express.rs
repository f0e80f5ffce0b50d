//! The whole program: a small file that is renamed in goes past the crowd of
//! other folders, and no rule is broken for it. Orders and states, never times.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::time::Duration;

use supametas_sync::sandbox::{Fault, SandboxConfig};

use support::{Daemon, Stage, words};

/// One lane, a service that takes its time, and the folder `crowd` beside `inbox`.
async fn stage() -> Stage {
    let sandbox = SandboxConfig {
        pending_for: Duration::ZERO,
        answer_delay: Duration::from_millis(30),
        ..SandboxConfig::default()
    };
    Stage::with(sandbox).await.set(|s| {
        s.main("concurrency = 1\nmax_concurrent = 1");
        s.folder("crowd", "main", "quiet = \"100ms\"");
    })
}

/// Has the daemon busy with so many files of `crowd`.
fn crowd(stage: &Stage, daemon: &Daemon, files: u64) {
    for n in 0..files {
        stage.publish(&stage.path(format!("crowd/{n}.txt")), words(n, 2_000));
    }
    daemon.until("some of the crowd were sent, and many wait", || {
        stage.sandbox.uploads().len() >= 3
    });
}

fn count(stage: &Stage, state: &str) -> usize {
    stage.states().get(state).copied().unwrap_or_default()
}

fn order(stage: &Stage) -> Vec<String> {
    let uploads = stage.sandbox.uploads();
    uploads.iter().map(|u| u.file_name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_alone_goes_past_the_crowd_of_another_folder() {
    let stage = stage().await;
    let daemon = stage.start();
    // The first finds its folder not looked at yet, perhaps.
    stage.drop_file("first.txt", words(900, 500));
    daemon.until("it is done", || stage.state("first.txt") == "succeeded");
    crowd(&stage, &daemon, 150);
    stage.drop_file("alone.txt", words(901, 500));
    daemon.until("it has arrived", || {
        !stage.uploads_of("alone.txt").is_empty()
    });
    let order = order(&stage);
    let at = order.iter().position(|name| name == "alone.txt").unwrap();
    // Before it: those sent while it was looked at. Nothing like the crowd.
    assert!(at < 75, "it came as number {at} of 152");
    daemon.until("all are done", || count(&stage, "succeeded") == 152);
    assert_eq!(stage.uploads_of("alone.txt").len(), 1);
    let story = stage.said(&["show", "alone.txt", "--json"]);
    let story: serde_json::Value = serde_json::from_str(&story).unwrap();
    let changes = story[0]["history"].as_array().unwrap();
    let states: Vec<_> = changes.iter().map(|change| &change["to"]).collect();
    assert_eq!(states, ["uploading", "submitted", "succeeded"], "{story}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_again_and_again_arrives_in_its_last_version() {
    let stage = stage().await;
    let daemon = stage.start();
    stage.drop_file("first.txt", "first");
    daemon.until("it is done", || stage.state("first.txt") == "succeeded");
    for n in 0..40 {
        stage.drop_file("same.txt", format!("version {n}"));
    }
    daemon.until("the last version is done", || {
        let last = stage.file("same.txt");
        last.is_some_and(|file| file["state"] == "succeeded" && file["size"] == 10)
            && stage
                .uploads_of("same.txt")
                .iter()
                .any(|u| u.blake3 == Some(support::blake3_of(b"version 39")))
    });
    daemon.until("nothing waits any more", || {
        stage.list().iter().all(|file| {
            ["succeeded", "superseded", "gone"].contains(&file["state"].as_str().unwrap())
        })
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_gate_stops_it_as_any_other() {
    let stage = stage().await;
    let refuse = "[[fault]]\nstatus = 503\nretry_after = \"3600\"";
    let refuse = Fault::from_toml(refuse).unwrap();
    stage.sandbox.set_faults(refuse).unwrap();
    let daemon = stage.start();
    stage.drop_file("refused.txt", "refused");
    daemon.until("the service has refused", || {
        stage
            .file("refused.txt")
            .is_some_and(|file| !file["code"].is_null())
    });
    for n in 0..5 {
        stage.drop_file(format!("{n}.txt"), format!("file {n}"));
    }
    daemon.until("they wait", || count(&stage, "queued") == 6);
    assert_eq!(stage.sandbox.counts().uploads, 0);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_nothing_of_it_in_doubt() {
    let stage = stage().await.set(|s| {
        s.inbox("unconfirmed = \"hold\"");
    });
    for round in 0..5 {
        let daemon = stage.start();
        for n in 0..4 {
            stage.drop_file(format!("{round}-{n}.txt"), format!("file {n} of {round}"));
        }
        daemon.until("one is known", || {
            stage.file(&format!("{round}-0.txt")).is_some()
        });
        assert!(daemon.terminate().success());
        let left = stage.states();
        assert!(!left.contains_key("uploading"), "{left:?}");
        assert!(!left.contains_key("unconfirmed"), "{left:?}");
    }
    let daemon = stage.start();
    daemon.until("all are done", || count(&stage, "succeeded") == 20);
    assert_eq!(stage.sandbox.counts().uploads, 20);
    assert!(daemon.terminate().success());
    assert!(fs::exists(stage.inbox("0-0.txt")).unwrap());
}
