//! The whole program: stopped, killed and reloaded in the middle, twice on one
//! ledger, and without its folder for a while.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use supametas_sync::sandbox::{Fault, Sandbox, SandboxConfig};

use support::{Stage, arrived, blake3_of, states, text, words};

/// A service that takes its time, so that there is always something under way.
async fn slow_stage() -> Stage {
    Stage::with(SandboxConfig {
        pending_for: Duration::from_millis(300),
        answer_delay: Duration::from_millis(30),
        ..SandboxConfig::default()
    })
    .await
}

const FILES: usize = 240;

/// Name and content hash of every file that is dropped, sorted.
fn drop_all(stage: &Stage) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for n in 0..FILES {
        let (name, content) = (format!("n{n}.txt"), words(n as u64, 2_000));
        stage.drop_file(&name, &content);
        all.push((name, blake3_of(&content)));
    }
    all.sort();
    all
}

fn all_done(stage: &Stage) -> bool {
    stage.states() == states(&[("succeeded", FILES)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_the_middle_loses_nothing_and_sends_nothing_twice() {
    let stage = slow_stage().await;
    let expected = drop_all(&stage);
    let uploads = || stage.sandbox.uploads().len();
    for round in 1..=4 {
        let daemon = stage.start();
        daemon.until("some more have arrived", || uploads() >= round * FILES / 6);
        assert!(daemon.terminate().success());
        assert!(uploads() < FILES, "it was stopped in the middle");
        // It has waited for the answers to what was on the wire.
        assert_eq!(stage.states().get("uploading"), None);
    }
    let daemon = stage.start();
    daemon.until("all are done", || all_done(&stage));
    assert_eq!(arrived(&stage), expected);
    assert!(
        stage
            .list()
            .iter()
            .all(|f| f["possible_duplicate"] == false)
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_loses_nothing_and_says_what_may_be_twice() {
    let stage = slow_stage().await.set(|s| {
        s.main("concurrency = 4");
    });
    let expected = drop_all(&stage);
    let uploads = || stage.sandbox.uploads().len();
    for round in 1..=4 {
        let daemon = stage.start();
        daemon.until("some more have arrived", || uploads() >= round * FILES / 6);
        daemon.kill9();
    }
    let daemon = stage.start();
    daemon.until("all are done", || all_done(&stage));
    let doubtful: BTreeMap<String, bool> = stage
        .list()
        .iter()
        .map(|f| (text(f, "file"), f["possible_duplicate"] == true))
        .collect();
    let got = arrived(&stage);
    for (name, hash) in &expected {
        let times = got.iter().filter(|(n, _)| n == name).count();
        let whole = got.iter().filter(|(n, h)| n == name && h == hash).count();
        assert_eq!(times, whole, "{name} arrived otherwise than it was");
        assert!(times >= 1, "{name} is lost");
        assert!(
            times == 1 || doubtful[name],
            "{name} was sent {times} times, and nobody says so"
        );
    }
    // At most what is recorded ahead of the wire, each time: eight files for
    // each of the four lanes where the service is quick.
    let told = doubtful.values().filter(|d| **d).count();
    assert!(told <= 4 * 32, "{told} of {FILES} are in doubt");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_what_is_in_doubt_is_held_where_the_folder_says_so() {
    let stage = slow_stage().await.set(|s| {
        // Where no more than four go at once, no more can be in doubt.
        s.main("concurrency = 4");
        s.inbox("unconfirmed = \"hold\"");
    });
    let expected = drop_all(&stage);
    let daemon = stage.start();
    daemon.until("some have arrived", || {
        stage.sandbox.uploads().len() >= FILES / 3
    });
    daemon.kill9();
    let daemon = stage.start();
    daemon.until("nothing is left to do", || {
        stage
            .states()
            .keys()
            .all(|s| s == "succeeded" || s == "unconfirmed")
    });
    let got = arrived(&stage);
    for file in stage.list() {
        let name = text(&file, "file");
        let times = got.iter().filter(|(n, _)| *n == name).count();
        let held = file["state"] == "unconfirmed";
        assert!(
            times == 1 || (times == 0 && held),
            "{name} arrived {times} times"
        );
    }
    let mut names: Vec<_> = stage.list().iter().map(|f| text(f, "file")).collect();
    names.sort();
    assert!(names.iter().eq(expected.iter().map(|(n, _)| n)));
    let held = stage.states().get("unconfirmed").copied().unwrap_or(0);
    assert!(held <= 4, "{held} in doubt, with four lanes");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_ledger_is_refused() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    for command in ["run", "scan"] {
        let second = stage.cli(&[command]);
        assert_eq!(second.status.code(), Some(4), "{command}");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains("ledger.sqlite"), "{said}");
    }
    stage.drop_file("a.txt", "a");
    daemon.until("the first goes on", || stage.state("a.txt") == "succeeded");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_the_wire_too_long_at_a_stop_goes_again_from_its_start() {
    let stage = Stage::new().await.set(|s| {
        s.daemon = "shutdown_grace = \"1s\"\n".into();
        s.main("bytes_per_second = \"100KiB\"");
    });
    let daemon = stage.start();
    let content = words(1, 3_000_000);
    stage.drop_file("a.txt", &content);
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    assert!(daemon.terminate().success());
    assert_eq!(stage.sandbox.uploads().len(), 0);
    assert_eq!(stage.state("a.txt"), "queued");
    let stage = stage.set(|s| s.datasets[0].2.clear());
    let daemon = stage.start();
    daemon.until("it is done", || stage.state("a.txt") == "succeeded");
    assert_eq!(stage.uploads_of("a.txt").len(), 1);
    assert_eq!(
        stage.uploads_of("a.txt")[0].blake3,
        Some(blake3_of(&content))
    );
    assert_eq!(stage.file("a.txt").unwrap()["possible_duplicate"], false);
    assert!(daemon.terminate().success());
}

/// The stop settles it, by the folder's policy; the next start finds no trace of a
/// crash, and says so of none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_a_stop_did_not_wait_for_is_settled_by_the_stop() {
    let stage = Stage::with(SandboxConfig {
        answer_delay: Duration::from_secs(120),
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.daemon = "shutdown_grace = \"1s\"\n".into();
        s.inbox("unconfirmed = \"hold\"");
    });
    let daemon = stage.start();
    stage.drop_file("a.txt", "a");
    daemon.until("the service has all of it", || {
        stage.sandbox.uploads().len() == 1
    });
    assert!(daemon.terminate().success());
    assert_eq!(stage.state("a.txt"), "unconfirmed");
    let daemon = stage.start();
    daemon.until("the daemon runs", || daemon.log().contains(" running "));
    assert!(!daemon.log().contains("had ended in the middle"));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_drops_no_upload_and_a_bad_one_changes_nothing() {
    let mut stage = Stage::with(SandboxConfig {
        pending_for: Duration::ZERO,
        answer_delay: Duration::from_secs(1),
        ..SandboxConfig::default()
    })
    .await;
    let daemon = stage.start();
    stage.drop_file("a.txt", "a");
    daemon.until("it is at the service", || {
        stage.sandbox.uploads().len() == 1
    });
    // Another folder, another key, other options.
    stage
        .settings
        .dataset("second", "sk-second-91", "")
        .folder("other", "second", "")
        .tail("[folder.text]\nformat = \"markdown\"");
    stage.write();
    stage.publish(&stage.path("other/b.txt"), "b");
    daemon.signal(Signal::HUP);
    daemon.until("the file of the new folder is done", || {
        stage.state("b.txt") == "succeeded"
    });
    assert_eq!(stage.state("a.txt"), "succeeded");
    let upload = stage.uploads_of("b.txt").remove(0);
    assert_eq!(*upload.key, *Sandbox::fingerprint("sk-second-91"));
    assert_eq!(upload.data["getDemandFormat"], "2");

    fs::write(stage.config(), "[[folder]]\nname = 7").unwrap();
    daemon.signal(Signal::HUP);
    daemon.until("it is refused", || daemon.log().contains("ERROR"));
    stage.write();
    stage.drop_file("c.txt", "c");
    daemon.until("it goes on as before", || {
        stage.state("c.txt") == "succeeded"
    });
    assert_eq!(stage.sandbox.uploads().len(), 3, "each once");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_goes_away_takes_no_file_with_it() {
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 1");
    });
    let hold = "[[fault]]\nfile = \"first.txt\"\ndelay_ms = 1500";
    stage
        .sandbox
        .set_faults(Fault::from_toml(hold).unwrap())
        .unwrap();
    let daemon = stage.start();
    stage.drop_file("first.txt", "first");
    daemon.until("the first is at the service", || {
        stage.sandbox.uploads().len() == 1
    });
    for n in 0..20 {
        stage.drop_file(format!("n{n}.txt"), words(n, 100));
    }
    daemon.until("all are queued", || stage.list().len() == 21);
    fs::rename(stage.inbox(""), stage.path("unmounted")).unwrap();
    daemon.until("it was noticed", || daemon.log().contains("offline"));
    daemon.until("the first is done", || {
        stage.state("first.txt") == "succeeded"
    });
    assert_eq!(stage.states().get("gone"), None, "{:?}", stage.states());
    fs::rename(stage.path("unmounted"), stage.inbox("")).unwrap();
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 21)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 21);
    assert!(daemon.terminate().success());
}
