//! The whole program: what it takes of memory, lanes, requests and bandwidth.
//! Bounds, never times: nothing here fails on a slow machine.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use supametas_sync::sandbox::SandboxConfig;

use support::{Stage, states, words};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_uploads_at_once_than_the_dataset_allows() {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::ZERO,
        answer_delay: Duration::from_millis(50),
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.main("concurrency = 3");
    });
    for n in 0..40 {
        stage.drop_file(format!("n{n}.txt"), words(n, 100));
    }
    assert!(stage.spawn(&["scan"]).wait().success());
    assert_eq!(stage.sandbox.uploads().len(), 40);
    assert_eq!(stage.sandbox.counts().max_in_flight, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_bears_twelve_at_once_is_found_out_and_hardly_refuses() {
    const FILES: u64 = 1_500;
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::ZERO,
        // Long beside a busy machine's hiccups: with short answers sixteen may
        // be sent at once and never be there at once, so that all are borne.
        answer_delay: Duration::from_millis(50),
        refuse_above: Some(12),
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        // Then a wrong finding costs four refusals, not twenty.
        s.main("max_concurrent = 16");
    });
    for n in 0..FILES {
        stage.drop_file(format!("n{n}.txt"), format!("file number {n}"));
    }
    assert!(stage.spawn(&["scan"]).wait().success());
    assert_eq!(stage.sandbox.uploads().len() as u64, FILES);
    let requests = stage.sandbox.requests();
    let imports = requests.iter().filter(|r| r.path.ends_with("/file-task"));
    let refused = imports.count() as u64 - FILES;
    let counts = stage.sandbox.counts();
    assert!(refused * 100 < FILES, "{refused} of {FILES} were refused");
    // Without being told it went beyond what it began with.
    let most = counts.max_in_flight;
    assert!((9..=16).contains(&most), "{most} at once");
}

/// Runs `files` files of 20 KiB through a dataset with this setting, and gives
/// the times in seconds at which imports and queries arrived, and the time at
/// which the last file was there.
async fn times(setting: &str, files: u64) -> (Vec<f64>, Vec<f64>, f64) {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::from_millis(700),
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.main(setting);
    });
    for n in 0..files {
        stage.drop_file(format!("n{n}.txt"), words(n, 20 << 10));
    }
    assert!(stage.spawn(&["scan"]).wait().success());
    let uploads = stage.sandbox.uploads();
    assert_eq!(uploads.len() as u64, files);
    let requests = stage.sandbox.requests();
    let at = |query: bool| -> Vec<f64> {
        let of = requests
            .iter()
            .filter(|r| r.path.ends_with("/query-task") == query);
        of.map(|r| r.at_ms / 1000.0).collect()
    };
    (
        at(false),
        at(true),
        uploads[uploads.len() - 1].at_ms / 1000.0,
    )
}

/// A rate bounds what has come by any time, but for what may be saved up. The
/// times count from before the daemon's start, and a request can only arrive
/// later than it was sent: a slow machine keeps this bound more easily.
#[track_caller]
fn assert_rate(times: &[f64], rate: f64, saved: f64) {
    for (n, at) in times.iter().enumerate() {
        assert!(
            (n + 1) as f64 <= saved + rate * at + 0.01,
            "{n} by {at}: {times:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_bytes_and_questions_keep_to_their_rates() {
    // One second's requests may be saved up, 4 questions, a quarter second's
    // bytes.
    let (imports, ..) = times("requests_per_second = 20", 50).await;
    assert_rate(&imports, 20.0, 20.0);
    let (_, queries, _) = times("polls_per_second = 8", 20).await;
    assert_rate(&queries, 8.0, 4.0);
    let (_, _, last) = times("bytes_per_second = \"400KiB\"", 40).await;
    assert!(40.0 * 20.0 <= 100.0 + 400.0 * last, "800 KiB by {last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_with_a_slow_rate_holds_up_no_other() {
    let stage = Stage::new().await.set(|s| {
        s.main("polls_per_second = 0.1")
            .dataset("second", "sk-second-91", "")
            .folder("other", "second", "");
    });
    let daemon = stage.start();
    for n in 0..8 {
        stage.drop_file(format!("n{n}.txt"), words(n, 100));
    }
    // The first question is free; the next has to wait for ten seconds.
    daemon.until("all are submitted, and one was asked about", || {
        stage.states() == states(&[("submitted", 7), ("succeeded", 1)])
    });
    stage.publish(&stage.path("other/other.txt"), "other");
    daemon.until("the other dataset's file is done", || {
        stage.state("other.txt") == "succeeded"
    });
    assert!(
        stage.states()["submitted"] > 0,
        "it was not waited for the slow one"
    );
    assert!(daemon.terminate().success());
}
