//! The whole program: files that change while they are on their way. What
//! arrives is always one version, whole, and the newest is among it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use supametas_sync::sandbox::{Fault, SandboxConfig};

use support::{Expected, Stage, assert_each_once, blake3_of, expect, states, text, words};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_while_it_waits_is_sent_in_its_newest_version() {
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 1");
    });
    let hold = "[[fault]]\nfile = \"first.txt\"\ndelay_ms = 1500";
    stage
        .sandbox
        .set_faults(Fault::from_toml(hold).unwrap())
        .unwrap();
    let daemon = stage.start();
    stage.drop_file("first.txt", "the only lane is taken");
    daemon.until("the first is at the service", || {
        !stage.uploads_of("first.txt").is_empty()
    });
    for name in ["renamed.txt", "rewritten.txt"] {
        stage.drop_file(name, words(1, 5_000));
        daemon.until("it is in the ledger", || stage.file(name).is_some());
    }
    let newest = words(2, 4_000);
    stage.drop_file("renamed.txt", &newest);
    fs::write(stage.inbox("rewritten.txt"), words(3, 4_000)).unwrap();
    daemon.until("all are done", || {
        stage.states().get("succeeded") == Some(&3) && stage.states().len() <= 2
    });
    let mut expected = Expected::new();
    expect(&mut expected, "first.txt", b"the only lane is taken");
    expect(&mut expected, "renamed.txt", &newest);
    expect(&mut expected, "rewritten.txt", &words(3, 4_000));
    assert_each_once(&stage, &expected);
    assert_eq!(
        stage.states().get("superseded"),
        Some(&2),
        "{:?}",
        stage.states()
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_while_it_is_sent_never_arrives_mixed() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"2MiB\"");
    });
    let daemon = stage.start();
    let names = [
        "renamed.txt",
        "rewritten.txt",
        "appended.txt",
        "shortened.txt",
    ];
    for (n, name) in names.iter().enumerate() {
        stage.drop_file(name, words(n as u64, 1_500_000));
    }
    daemon.until("all are on the wire", || {
        stage.sandbox.counts().in_flight == names.len()
    });
    stage.drop_file("renamed.txt", words(18, 1_500_000));
    // The same length: only its time tells.
    let mut file = File::options()
        .write(true)
        .open(stage.inbox("rewritten.txt"))
        .unwrap();
    file.write_all(&words(19, 1_500_000)).unwrap();
    drop(file);
    let mut file = File::options()
        .append(true)
        .open(stage.inbox("appended.txt"))
        .unwrap();
    file.write_all(b"more").unwrap();
    drop(file);
    File::options()
        .write(true)
        .open(stage.inbox("shortened.txt"))
        .unwrap()
        .set_len(900_000)
        .unwrap();
    daemon.until("all are done", || {
        names.iter().all(|name| stage.state(name) == "succeeded")
    });
    let mut expected = Expected::new();
    expect(&mut expected, "renamed.txt", &words(18, 1_500_000));
    expect(&mut expected, "rewritten.txt", &words(19, 1_500_000));
    expect(
        &mut expected,
        "appended.txt",
        &[words(2, 1_500_000), b"more".to_vec()].concat(),
    );
    expect(&mut expected, "shortened.txt", &words(3, 900_000));
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_after_its_last_byte_is_two_whole_files() {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::ZERO,
        answer_delay: Duration::from_millis(700),
        ..SandboxConfig::default()
    })
    .await;
    let daemon = stage.start();
    stage.drop_file("a.txt", words(1, 2_000));
    daemon.until("the first version is there", || {
        stage.sandbox.uploads().len() == 1
    });
    stage.drop_file("a.txt", words(2, 2_000));
    daemon.until("both are done", || {
        stage.states() == states(&[("succeeded", 2)])
    });
    let hashes: Vec<_> = stage
        .sandbox
        .uploads()
        .into_iter()
        .filter_map(|u| u.blake3)
        .collect();
    assert_eq!(
        hashes,
        [blake3_of(&words(1, 2_000)), blake3_of(&words(2, 2_000))]
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_replaced_meanwhile_is_left_alone() {
    let stage = Stage::with(SandboxConfig {
        pending_for: std::time::Duration::from_millis(1_500),
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.inbox("after = \"delete\"");
    });
    let daemon = stage.start();
    stage.drop_file("a.txt", "first");
    daemon.until("it is submitted", || stage.state("a.txt") == "submitted");
    // A writer that is not finished: neither version may be deleted now.
    let open = File::create(stage.inbox("a.txt")).unwrap();
    daemon.until("its task has ended", || {
        stage.states() == states(&[("succeeded", 1)])
    });
    daemon.until("its source was asked about", || {
        text(&stage.file("a.txt").unwrap(), "source").starts_with("kept")
    });
    assert!(stage.inbox("a.txt").exists());
    fs::write(stage.inbox("a.txt"), "second").unwrap();
    drop(open);
    daemon.until("the second is done and deleted", || {
        !stage.inbox("a.txt").exists()
    });
    let hashes: Vec<_> = stage
        .sandbox
        .uploads()
        .into_iter()
        .filter_map(|u| u.blake3)
        .collect();
    assert_eq!(hashes, [blake3_of(b"first"), blake3_of(b"second")]);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_sent_itself_when_its_original_was_replaced_on_the_wire() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"1MiB\"");
    });
    let daemon = stage.start();
    // One of that size is known: so both are hashed before they are sent.
    stage.drop_file("known.txt", words(2, 1_500_000));
    daemon.until("it is done", || stage.state("known.txt") == "succeeded");
    stage.drop_file("original.txt", words(1, 1_500_000));
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    stage.drop_file("copy.txt", words(1, 1_500_000));
    daemon.until("the copy waits for it", || {
        stage.state("copy.txt") == "duplicate"
    });
    stage.drop_file("original.txt", "something else");
    let mut expected = Expected::new();
    expect(&mut expected, "known.txt", &words(2, 1_500_000));
    expect(&mut expected, "original.txt", b"something else");
    expect(&mut expected, "copy.txt", &words(1, 1_500_000));
    daemon.until("both are done", || {
        ["original.txt", "copy.txt"]
            .iter()
            .all(|name| stage.state(name) == "succeeded")
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_touched_costs_no_request() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("a.txt", "a");
    daemon.until("it is done", || stage.state("a.txt") == "succeeded");
    let file = File::options()
        .write(true)
        .open(stage.inbox("a.txt"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(1))
        .unwrap();
    drop(file);
    daemon.until("it was seen", || stage.state("a.txt") == "duplicate");
    assert_eq!(stage.sandbox.uploads().len(), 1);
    assert!(daemon.terminate().success());
}

/// Many writers at once, each replacing its file again and again in its own
/// way: in the end the newest version of each is there, and nothing that never
/// was a whole version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_all_the_time_end_in_their_newest_version() {
    const WRITERS: u64 = 12;
    const VERSIONS: u64 = 15;
    let stage = Stage::new().await;
    let daemon = stage.start();
    let content = |writer: u64, version: u64| {
        words(
            writer * 1_000 + version,
            30_000 + 7 * usize::try_from(version).unwrap(),
        )
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let stage_inbox = stage.inbox(format!("w{writer}.txt"));
            let beside = stage.path(format!("beside{writer}"));
            scope.spawn(move || {
                let mut pause = fastrand::Rng::with_seed(writer);
                for version in 0..VERSIONS {
                    let content = content(writer, version);
                    match writer % 3 {
                        0 => {
                            fs::write(&beside, &content).unwrap();
                            fs::rename(&beside, &stage_inbox).unwrap();
                        }
                        1 => fs::write(&stage_inbox, &content).unwrap(),
                        _ => {
                            let mut file = File::create(&stage_inbox).unwrap();
                            for piece in content.chunks(10_000) {
                                file.write_all(piece).unwrap();
                                std::thread::sleep(Duration::from_millis(pause.u64(0..20)));
                            }
                        }
                    }
                    std::thread::sleep(Duration::from_millis(pause.u64(0..250)));
                }
            });
        }
    });
    let newest = |writer: u64| blake3_of(&content(writer, VERSIONS - 1));
    daemon.until("every newest version is done", || {
        (0..WRITERS).all(|writer| {
            let file = stage.file(&format!("w{writer}.txt"));
            file.is_some_and(|f| {
                text(&f, "state") == "succeeded" && text(&f, "blake3") == newest(writer)
            })
        })
    });
    for upload in stage.sandbox.uploads() {
        let writer: u64 = upload
            .file_name
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap();
        let whole = (0..VERSIONS)
            .any(|version| upload.blake3 == Some(blake3_of(&content(writer, version))));
        assert!(whole, "{} arrived as it never was", upload.file_name);
    }
    assert!(daemon.terminate().success());
}

/// Rows that were picked move on before they are begun: that is no trouble of the
/// ledger, and stops nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_files_replaced_while_they_wait_stop_no_upload() {
    const FILES: usize = 60;
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 2\nmax_concurrent = 2");
    });
    let slow = "[[fault]]\nroute = \"import\"\ndelay_ms = 60";
    let faults = Fault::from_toml(slow).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    let daemon = stage.start();
    let content = |n: usize, round: usize| words((n * 100 + round) as u64, 300);
    let mut rounds = 0;
    let waiting = || stage.states().get("queued").copied().unwrap_or(0);
    for round in 0..5 {
        for n in 0..FILES {
            stage.drop_file(format!("{n}.txt"), content(n, round));
        }
        // Most of them wait when they are replaced.
        daemon.until("they are queued", || waiting() >= FILES / 2);
        rounds = round;
    }
    let newest = |n: usize| blake3_of(&content(n, rounds));
    daemon.until("the newest version of each is done", || {
        (0..FILES).all(|n| {
            let file = stage.file(&format!("{n}.txt"));
            file.is_some_and(|f| {
                text(&f, "state") == "succeeded" && text(&f, "blake3") == newest(n)
            })
        })
    });
    let log = daemon.log();
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let moved_on = |line: &&str| {
        line.contains("has changed since it was settled") && line.contains("state=superseded")
    };
    assert!(log.lines().any(|line| moved_on(&line)), "none was picked");
    assert!(!log.contains("the ledger could not record"), "{log}");
    assert!(daemon.terminate().success());
}
