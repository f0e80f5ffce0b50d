//! The whole program: what is the same file, and what is a new one.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use support::{Stage, text};

/// A file of this content and of a fixed time, renamed into place.
fn drop_dated(stage: &Stage, name: &str, content: &str) {
    let aside = stage.path(format!("aside-{name}"));
    fs::write(&aside, content).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(315_532_800);
    File::open(&aside).unwrap().set_modified(time).unwrap();
    fs::rename(aside, stage.inbox(name)).unwrap();
}

fn touch(path: &Path, seconds: u64) {
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_daily_under_one_name_size_and_time_is_imported_daily() {
    for after in ["delete", "move"] {
        let stage = Stage::new().await.set(|s| {
            s.inbox(&format!("after = {after:?}"));
        });
        let daemon = stage.start();
        for day in 1..=3 {
            drop_dated(&stage, "report.txt", &format!("report of day {day}\n"));
            daemon.until("it is imported and its source is taken away", || {
                stage.sandbox.uploads().len() == day && !stage.inbox("report.txt").exists()
            });
        }
        assert_eq!(stage.states().get("succeeded"), Some(&3));
        // The content of the second day once more: a duplicate, and taken away too.
        drop_dated(&stage, "report.txt", "report of day 2\n");
        daemon.until("it is a duplicate and is taken away", || {
            stage.states().get("duplicate") == Some(&1) && !stage.inbox("report.txt").exists()
        });
        assert_eq!(stage.sandbox.uploads().len(), 3);
        assert!(daemon.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_file_is_imported_once_though_copies_are_uploaded() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("duplicates = \"upload\"");
    });
    let daemon = stage.start();
    fs::create_dir(stage.inbox("A")).unwrap();
    // One that is hashed before it is sent, and one that is hashed on the way.
    let large = support::words(1, 600_000);
    stage.drop_file("A/small.txt", "small");
    stage.drop_file("A/large.txt", &large);
    let known = |name: &str, state: &str| {
        let rows = stage.list();
        rows.iter()
            .any(|row| text(row, "file") == name && text(row, "state") == state)
    };
    daemon.until("both are imported", || {
        stage.states().get("succeeded") == Some(&2)
    });
    fs::rename(stage.inbox("A"), stage.inbox("B")).unwrap();
    for name in ["small.txt", "large.txt"] {
        let there = stage.inbox(format!("B/{name}"));
        daemon.until("the renamed one is known", || {
            known(&format!("B/{name}"), "duplicate")
        });
        touch(&there, 1);
        daemon.until("the touched one is known", || {
            stage
                .list()
                .iter()
                .filter(|row| text(row, "file") == format!("B/{name}"))
                .count()
                == 2
                && known(&format!("B/{name}"), "duplicate")
        });
        // Written once more with the same bytes, and renamed over itself.
        let content = fs::read(&there).unwrap();
        stage.publish(&there, content);
        daemon.until("the one that was written again is known", || {
            let rows = stage.list();
            let rows = rows
                .iter()
                .filter(|row| text(row, "file") == format!("B/{name}"));
            rows.filter(|row| text(row, "state") == "duplicate").count() == 3
        });
    }
    assert_eq!(stage.sandbox.uploads().len(), 2);
    // A copy is another file.
    fs::copy(stage.inbox("B/small.txt"), stage.path("copy")).unwrap();
    fs::rename(stage.path("copy"), stage.inbox("copy.txt")).unwrap();
    daemon.until("the copy is imported", || {
        stage.state("copy.txt") == "succeeded"
    });
    assert_eq!(stage.sandbox.uploads().len(), 3);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_replaced_in_the_queue_stop_no_upload() {
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 1\nmax_concurrent = 1");
    });
    let hold = "[[fault]]\nfile = \"first.txt\"\ndelay_ms = 4000";
    let faults = supametas_sync::sandbox::Fault::from_toml(hold).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    let daemon = stage.start();
    stage.drop_file("first.txt", "the only lane is taken");
    daemon.until("the first is at the service", || {
        !stage.uploads_of("first.txt").is_empty()
    });
    let name = |n: usize| format!("f{n}.txt");
    for n in 0..60 {
        stage.drop_file(name(n), format!("old {n}"));
    }
    daemon.until("all are in the queue", || stage.list().len() == 61);
    for n in 0..60 {
        stage.drop_file(name(n), format!("the newer version of {n}"));
    }
    daemon.until("the newest of each is imported", || {
        (0..60).all(|n| stage.state(&name(n)) == "succeeded")
    });
    for n in 0..60 {
        let newest = support::blake3_of(format!("the newer version of {n}").as_bytes());
        let uploads = stage.uploads_of(&name(n));
        assert_eq!(uploads.last().and_then(|u| u.blake3.clone()), Some(newest));
    }
    let log = daemon.log();
    assert!(!log.contains("ledger could not record"), "{log}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_for_ever_is_imported_once_in_reimport_after() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("reimport_after = \"4s\"");
    });
    let daemon = stage.start();
    stage.drop_file("export.txt", "version 0");
    daemon.until("the first is imported", || {
        stage.state("export.txt") == "succeeded"
    });
    for n in 1..=100 {
        stage.drop_file("export.txt", format!("version {n}"));
    }
    daemon.until("it waits, and status names it", || {
        let status: serde_json::Value =
            serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
        status["changing"][0]["file"] == "export.txt"
    });
    assert_eq!(stage.sandbox.uploads().len(), 1);
    let explained = stage.cli(&[
        "explain",
        "--json",
        stage.inbox("export.txt").to_str().unwrap(),
    ]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("changes-often"), "{explained}");
    daemon.until("the newest is imported", || {
        stage.uploads_of("export.txt").len() == 2 && stage.state("export.txt") == "succeeded"
    });
    let newest = support::blake3_of(b"version 100");
    assert_eq!(stage.uploads_of("export.txt")[1].blake3, Some(newest));
    let log = daemon.log();
    assert_eq!(log.matches("changes again and again").count(), 1, "{log}");
    assert!(stage.list().len() < 10, "a row for each version");
    assert!(daemon.terminate().success());
}
