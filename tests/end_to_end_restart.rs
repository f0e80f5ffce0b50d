//! The whole program: stopped and killed in the middle, two at once, and files
//! large enough to tell whether memory grows with them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use supametas_sync::sandbox::SandboxConfig;

use support::{Stage, arrived, blake3_of, text, words};

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
    stage.states() == BTreeMap::from([("succeeded".to_owned(), FILES)])
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
    let stage = slow_stage().await;
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
    // At most what was recorded ahead of the wire, each time.
    let told = doubtful.values().filter(|d| **d).count();
    assert!(told <= 4 * 20, "{told} of {FILES} are in doubt");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_what_is_in_doubt_is_held_where_the_folder_says_so() {
    let stage = slow_stage().await.set(|s| {
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

/// A text that is written piece by piece, and differs in every MiB.
fn write_large(path: &Path, seed: u64, mib: usize) {
    let block = words(seed, 1 << 20);
    let mut file = File::create(path).unwrap();
    for n in 0..mib {
        let mut block = block.clone();
        block[..9].copy_from_slice(format!("{n:08}\n").as_bytes());
        file.write_all(&block).unwrap();
    }
}

fn hash_of(path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).unwrap()).unwrap();
    hasher.finalize().to_hex().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_size_of_a_file() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    // Everything has been used once when the small one is done.
    stage.drop_file("small.txt", "small");
    daemon.until("the small one is done", || {
        stage.state("small.txt") == "succeeded"
    });
    let before = daemon.memory("VmHWM:");
    const MIB: usize = 80;
    write_large(&stage.path("beside"), 1, MIB);
    fs::rename(stage.path("beside"), stage.inbox("large.txt")).unwrap();
    daemon.until("the large one is done", || {
        stage.state("large.txt") == "succeeded"
    });
    let grown = daemon.memory("VmHWM:").saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} KiB more for {MIB} MiB");
    let upload = stage.uploads_of("large.txt").remove(0);
    assert_eq!(upload.size, (MIB as u64) << 20);
    assert_eq!(upload.blake3, Some(hash_of(&stage.inbox("large.txt"))));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_are_not_stuck_behind_big_ones() {
    let stage = Stage::new().await.set(|s| {
        // Two lanes: two big files would fill them if they could.
        s.main("concurrency = 2\nbytes_per_second = \"16MiB\"");
        s.inbox("duplicates = \"upload\"");
    });
    for n in 0..2 {
        write_large(&stage.path("beside"), n, 65);
        fs::rename(stage.path("beside"), stage.inbox(format!("big{n}.txt"))).unwrap();
    }
    let daemon = stage.start();
    daemon.until("a big one is on the wire", || {
        stage.sandbox.counts().in_flight > 0
    });
    for n in 0..10 {
        stage.drop_file(format!("small{n}.txt"), words(n, 5_000));
    }
    daemon.until("one big file has arrived", || {
        stage
            .sandbox
            .uploads()
            .iter()
            .any(|u| u.file_name.starts_with("big"))
    });
    let order: Vec<_> = stage
        .sandbox
        .uploads()
        .into_iter()
        .map(|u| u.file_name)
        .collect();
    let ahead = order.iter().take_while(|n| n.starts_with("small")).count();
    assert_eq!(ahead, 10, "{order:?}");
    assert_eq!(stage.sandbox.counts().max_in_flight, 2);
}
