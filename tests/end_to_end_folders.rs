//! The whole program: what the settings of a folder and a dataset do to the
//! files in it. Asserted at the sandbox, in the folders and in the ledger.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/samples.rs"]
mod samples;
mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use supametas_sync::sandbox::{Call, Fault, Sandbox, SandboxConfig};

use support::{SIGN, Settings, Stage, arrived, blake3_of, states, text, words};

async fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    Stage::new().await.set(change)
}

/// Names as the sandbox got them, sorted.
fn names(stage: &Stage) -> Vec<String> {
    arrived(stage).into_iter().map(|(name, _)| name).collect()
}

fn faults(stage: &Stage, toml: &str) {
    stage
        .sandbox
        .set_faults(Fault::from_toml(toml).unwrap())
        .unwrap();
}

/// All names below a directory, sorted, but for the daemon's own sign.
fn below(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            all.extend(below(&path).into_iter().map(|n| format!("{name}/{n}")));
        } else if name != SIGN {
            all.push(name);
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_is_sent_once_where_duplicates_are_skipped() {
    let stage = stage(|s| {
        s.folder("twice", "main", "duplicates = \"upload\"");
    })
    .await;
    for folder in ["inbox", "twice"] {
        for n in 0..3 {
            stage.publish(&stage.path(folder).join(format!("{folder}{n}.txt")), folder);
        }
    }
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    assert_eq!(
        stage.states(),
        states(&[("succeeded", 4), ("duplicate", 2)])
    );
    let got = names(&stage);
    assert_eq!(
        got.iter().filter(|n| n.starts_with("inbox")).count(),
        1,
        "{got:?}"
    );
    assert_eq!(
        got.iter().filter(|n| n.starts_with("twice")).count(),
        3,
        "{got:?}"
    );
}

/// Other options ask for another result: not the same import.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_with_other_options_is_no_duplicate() {
    let stage = stage(|s| {
        s.folder("other", "main", "")
            .tail("[folder.text]\nformat = \"markdown\"\ntitle = false");
    })
    .await;
    for folder in ["inbox", "other"] {
        stage.publish(&stage.path(folder).join(format!("{folder}.txt")), "same");
    }
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    assert_eq!(names(&stage), ["inbox.txt", "other.txt"]);
    assert_eq!(
        *stage.uploads_of("other.txt")[0].data,
        json!({"getDemandFormat": "2", "title": 0, "contentDetails": 1})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_goes_itself_when_its_original_did_not_get_through() {
    let stage = Stage::new().await;
    faults(
        &stage,
        "[[fault]]\nfile = \"a.txt\"\ndelay_ms = 800\nstatus = 413",
    );
    let daemon = stage.start();
    stage.drop_file("a.txt", "same");
    daemon.until("the original is on its way", || {
        stage.sandbox.counts().in_flight == 1
    });
    stage.drop_file("b.txt", "same");
    daemon.until("the duplicate went", || stage.state("b.txt") == "succeeded");
    assert_eq!(stage.state("a.txt"), "rejected");
    assert_eq!(names(&stage), ["b.txt"]);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_folder_s_files_go_with_the_key_of_its_dataset() {
    let stage = Stage::with(SandboxConfig {
        keys: vec!["sk-main-7f3a90".into(), "sk-other-55d1".into()],
        pending_for: std::time::Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.dataset("second", "sk-other-55d1", "")
            .folder("other", "second", "");
    });
    for n in 0..10 {
        // The same content: what one dataset has is no duplicate in the other.
        stage.publish(&stage.inbox(format!("i{n}.txt")), words(n, 90));
        stage.publish(&stage.path("other").join(format!("o{n}.txt")), words(n, 90));
    }
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    assert_eq!(stage.states(), states(&[("succeeded", 20)]));
    for upload in stage.sandbox.uploads() {
        let key = if upload.file_name.starts_with('i') {
            "sk-main-7f3a90"
        } else {
            "sk-other-55d1"
        };
        assert_eq!(
            *upload.key,
            *Sandbox::fingerprint(key),
            "{}",
            upload.file_name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_file_becomes_a_web_page_import() {
    let stage = Stage::new().await;
    stage.drop_file(
        "page.url",
        "[InternetShortcut]\r\nURL=https://example.com/a?b=1\r\n",
    );
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    let uploads = stage.sandbox.uploads();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].endpoint, Call::Web);
    assert_eq!(&*uploads[0].file_name, "https://example.com/a?b=1");
    assert_eq!(*uploads[0].data, json!({"getDemandFormat": "1"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_sources_are_moved_and_nothing_is_overwritten() {
    let stage = stage(|s| {
        s.inbox("after = \"move\"");
    })
    .await;
    let daemon = stage.start();
    let done = stage.inbox(".supametas-done");
    fs::create_dir_all(done.join("sub")).unwrap();
    fs::write(done.join("sub/a.txt"), "was here before").unwrap();
    for n in 0..2 {
        stage.drop_file("sub/a.txt", words(n, 50));
        let moved = usize::try_from(n).unwrap() + 2;
        daemon.until("it was moved", || below(&done).len() == moved);
    }
    assert_eq!(
        below(&done),
        ["sub/a (2).txt", "sub/a (3).txt", "sub/a.txt"]
    );
    assert_eq!(
        fs::read(done.join("sub/a.txt")).unwrap(),
        b"was here before"
    );
    assert_eq!(fs::read(done.join("sub/a (2).txt")).unwrap(), words(0, 50));
    assert_eq!(fs::read(done.join("sub/a (3).txt")).unwrap(), words(1, 50));
    // What was moved is not taken again.
    daemon.signal(Signal::USR1);
    stage.drop_file("b.txt", "b");
    daemon.until("another is done", || below(&done).len() == 4);
    assert_eq!(stage.sandbox.uploads().len(), 3);
    assert_eq!(stage.list().len(), 3);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_sources_are_deleted_and_refused_ones_moved_with_a_note() {
    let stage = Stage::with(SandboxConfig {
        pending_for: std::time::Duration::ZERO,
        fail_names: vec!["fails*".into()],
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.inbox("after = \"delete\"\non_reject = \"move\"");
    });
    faults(
        &stage,
        "[[fault]]\nfile = \"refused.txt\"\nstatus = 413\nmessage = \"too much\"",
    );
    let archive = fs::read(samples::folder().join("archive.zip")).unwrap();
    for name in ["good.txt", "fails.txt", "refused.txt"] {
        stage.drop_file(name, name);
    }
    for name in ["old.zip", "sub/odd.zip"] {
        stage.drop_file(name, &archive);
    }
    let daemon = stage.start();
    let rejected = stage.inbox(".supametas-rejected");
    daemon.until("all are tidied up", || {
        let names = below(&rejected);
        let whole = names.iter().all(|name| !name.ends_with(".part"));
        whole && names.len() == 8 && below(&stage.inbox("")).len() == 8
    });
    assert_eq!(
        below(&rejected),
        [
            "fails.txt",
            "fails.txt.supametas.json",
            "old.zip",
            "old.zip.supametas.json",
            "refused.txt",
            "refused.txt.supametas.json",
            "sub/odd.zip",
            "sub/odd.zip.supametas.json",
        ]
    );
    let note = |name: &str| -> Value {
        let text = fs::read_to_string(rejected.join(format!("{name}.supametas.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(
        fs::read(rejected.join("refused.txt")).unwrap(),
        b"refused.txt"
    );
    assert_eq!(note("refused.txt")["state"], "rejected");
    assert!(
        text(&note("refused.txt"), "code").contains("413"),
        "{}",
        note("refused.txt")
    );
    assert_eq!(note("fails.txt")["state"], "failed");
    assert_eq!(
        text(&note("fails.txt"), "task"),
        stage.uploads_of("fails.txt")[0].task_id
    );
    assert_eq!(note("old.zip")["state"], "unsupported");
    assert!(
        text(&note("old.zip"), "reason").contains("zip"),
        "{}",
        note("old.zip")
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_fail_are_submitted_again_as_often_as_the_folder_says() {
    let stage = Stage::with(SandboxConfig {
        pending_for: std::time::Duration::from_millis(100),
        pending_word: "PENGDING".into(),
        fail_names: vec!["never*".into()],
        cancel_names: vec!["cancelled*".into()],
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.inbox("resubmit_failed = 2").folder("once", "main", "");
    });
    faults(
        &stage,
        "[[fault]]\nfile = \"second-try*\"\nroute = \"import\"\nnth = 1\noutcome = \"FAIL\"",
    );
    for name in ["never.txt", "second-try.txt", "cancelled.txt"] {
        stage.drop_file(name, name);
    }
    stage.publish(&stage.path("once/never-once.txt"), "never once");
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(3));
    for (name, state, uploads) in [
        ("never.txt", "failed", 3),
        ("never-once.txt", "failed", 1),
        ("second-try.txt", "succeeded", 2),
        ("cancelled.txt", "cancelled", 1),
    ] {
        assert_eq!(stage.state(name), state, "{name}");
        assert_eq!(stage.uploads_of(name).len(), uploads, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polled_folder_needs_no_events() {
    let stage = stage(|s| {
        s.inbox("watch = \"poll\"");
    })
    .await;
    let daemon = stage.start();
    for n in 0..5 {
        let path = stage.inbox(format!("d{n}/n{n}.txt"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, words(n, 100)).unwrap();
    }
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    // A new version is found as well, and the others are not sent again.
    fs::write(stage.inbox("d0/n0.txt"), words(10, 200)).unwrap();
    daemon.until("the new version is done", || {
        stage.states() == states(&[("succeeded", 6)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 6);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_folder_asks_for_is_taken() {
    let stage = stage(|s| {
        s.inbox("recursive = false");
        s.folder(
            "globs",
            "main",
            "include = [\"*.txt\", \"papers/**\"]\nexclude = [\"draft*\", \"old/\"]",
        );
    })
    .await;
    for name in [
        "inbox/flat.txt",
        "inbox/sub/deep.txt",
        "globs/yes.txt",
        "globs/no.md",
        "globs/papers/paper.md",
        "globs/draft.txt",
        "globs/old/gone.txt",
        "globs/sub/sub.txt",
    ] {
        stage.publish(&stage.path(name), name);
    }
    // What is no regular file is never opened, whatever its name.
    stage.publish(&stage.path("outside.txt"), "not in the folder");
    symlink(stage.path("outside.txt"), stage.inbox("symlink.txt")).unwrap();
    symlink(stage.inbox("flat.txt"), stage.inbox("symlink-inside.txt")).unwrap();
    symlink(stage.path("globs"), stage.path("globs/loop.txt")).unwrap();
    fs::create_dir(stage.inbox("directory.txt")).unwrap();
    for name in ["pipe.txt", "globs-pipe.txt"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, stage.inbox(name), 0o600.into()).unwrap();
    }
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    let wanted = ["flat.txt", "paper.md", "sub.txt", "yes.txt"];
    assert_eq!(names(&stage), wanted);
    assert_eq!(stage.list().len(), wanted.len());

    // The same by events.
    let daemon = stage.start();
    symlink(stage.path("outside.txt"), stage.inbox("another.txt")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, stage.inbox("fifo.txt"), 0o600.into()).unwrap();
    stage.publish(&stage.inbox("new/deep.txt"), "deep");
    stage.publish(&stage.path("globs/old/newer.txt"), "newer");
    stage.drop_file("last.txt", "last");
    daemon.until("the last is done", || {
        stage.state("last.txt") == "succeeded"
    });
    assert_eq!(stage.list().len(), wanted.len() + 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_any_bytes_arrive_and_cannot_break_the_log() {
    let stage = Stage::new().await;
    let odd: &[(&[u8], &str)] = &[
        (b"line\nbreak.txt", "line%0Abreak.txt"),
        (b"quo\"te\r.txt", "quo%22te%0D.txt"),
        (b"back\\slash.txt", "back%5Cslash.txt"),
        (b"esc\x1b[31m.txt", "esc%1B[31m.txt"),
        (b"latin\xe9.txt", "latin%E9.txt"),
        ("emoji😀 ü.txt".as_bytes(), "emoji😀 ü.txt"),
        ("rtl\u{202e}txt.txt".as_bytes(), "rtl%E2%80%AEtxt.txt"),
        (b"per%cent.txt", "per%cent.txt"),
        (b"a; filename=x.txt", "a; filename=x.txt"),
    ];
    let daemon = stage.start();
    for (name, _) in odd {
        stage.drop_file(OsStr::from_bytes(name), name);
    }
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", odd.len())])
    });
    for (name, sent) in odd {
        let found: Vec<_> = stage.sandbox.uploads();
        let found: Vec<_> = found
            .iter()
            .filter(|u| u.blake3 == Some(blake3_of(name)))
            .collect();
        assert_eq!(found.len(), 1);
        // The sandbox undoes the encoding that the multipart text asks for.
        assert!(
            [&*found[0].file_name, &*found[0].file_name_raw].contains(sent),
            "{:?}",
            found[0]
        );
        assert!(
            found[0]
                .file_name_raw
                .bytes()
                .all(|b| b >= 0x20 && b != b'"')
        );
    }
    let log = daemon.log_bytes();
    assert!(std::str::from_utf8(&log).is_ok(), "the log is text");
    let controls = log.iter().filter(|b| **b < 0x20 && **b != b'\n').count();
    assert_eq!(controls, 0, "control characters in the log");
    assert!(!daemon.log().contains('\u{202e}'));
    for line in daemon.log().lines() {
        assert!(
            line.starts_with("20"),
            "a line that no log call began: {line}"
        );
    }
    let table = stage.said(&["list"]);
    assert!(!table.contains(['\u{1b}', '\r', '\u{202e}']), "{table}");
    assert!(daemon.terminate().success());
}

/// Trash, thumbnails, snapshots and unfinished downloads cost no import and no row,
/// whether a scan finds them or an event tells of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_means_to_import_is_not_taken() {
    let stage = stage(|s| {
        s.inbox("exclude_also = [\"*.bak\"]\ntemporary_also = [\"*.writing\"]");
    })
    .await;
    let unmeant = |round: &str| {
        for name in [
            "@eaDir/p.txt/THUMB.txt",
            "#snapshot/x/old.txt",
            "~snapshot/hourly.0/old.txt",
            "sub/@Recycle/d.txt",
            "$RECYCLE.BIN/S-1/$RABC.txt",
            "t.txt.!qB",
            "o.txt.opdownload",
            "n.sync-conflict-20261101-101010-ABCDEFG.txt",
            "#a.txt#",
            "b.txt.bak",
            "w.txt.writing",
        ] {
            stage.publish(&stage.inbox(format!("{round}/{name}")), "not meant");
        }
    };
    unmeant("one");
    stage.publish(&stage.inbox("first.txt"), "first");
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    assert_eq!(names(&stage), ["first.txt"]);

    let daemon = stage.start();
    unmeant("two");
    // Its user moves it into the trash while it is being written: it was never taken.
    let secret = stage.inbox("secret.txt");
    let writer = fs::File::create(&secret).unwrap();
    (&writer).write_all(b"not for the service").unwrap();
    fs::create_dir(stage.inbox("#recycle")).unwrap();
    fs::rename(&secret, stage.inbox("#recycle/secret.txt")).unwrap();
    drop(writer);
    stage.drop_file("last.txt", "last");
    daemon.until("the last is done", || {
        stage.state("last.txt") == "succeeded"
    });
    assert!(daemon.terminate().success());
    assert_eq!(stage.spawn(&["scan"]).wait().code(), Some(0));
    assert_eq!(stage.list().len(), 2, "{:?}", stage.list());
}
