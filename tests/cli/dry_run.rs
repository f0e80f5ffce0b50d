//! `scan --dry-run`: it says what `scan` then does, and leaves no trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use supametas_sync::sandbox::Fault;

use crate::commands::{code, err, out};
use crate::support::{Stage, until};

/// A picture for the type sorter: a PNG of nothing.
const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\0IEND\xaeB`\x82";

fn lines(stage: &Stage, more: &[&str]) -> Vec<Value> {
    let args = [&["scan", "--dry-run", "--json"], more].concat();
    let said = stage.said(&args);
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What would become of each file, and why, by name.
fn fates(stage: &Stage, more: &[&str]) -> BTreeMap<String, String> {
    let one = |v: Value| {
        let word = |key: &str| v[key].as_str().unwrap_or_default().to_owned();
        (
            word("file"),
            format!("{} {}", word("would"), word("reason")),
        )
    };
    lines(stage, more).into_iter().map(one).collect()
}

/// All files below a directory: their names, bytes and times.
fn trace(dir: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(trace(&path));
        } else {
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            let bytes = fs::read(&path).unwrap();
            all.insert(path.to_string_lossy().into_owned(), (bytes, time));
        }
    }
    all
}

/// Waits until a scan finds nothing that still settles.
fn settled(stage: &Stage) {
    until("the files have settled", || {
        !fates(stage, &[])
            .values()
            .any(|fate| fate == "wait settling")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_scan_then_does_and_leaves_no_trace() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("exclude = [\"*.bak\"]");
        s.folder("away", "main", "");
    });
    fs::remove_dir(stage.path("away")).unwrap();
    stage.drop_file("a.txt", "words");
    stage.drop_file("dir/pic.png", PNG);
    stage.drop_file("no.doc", "x");
    stage.drop_file("x.bak", "old");
    stage.drop_file(".hidden", "h");
    stage.drop_file("evil\u{1b}[31m\n.txt", "evil");
    std::os::unix::fs::symlink("/etc/passwd", stage.inbox("link.txt")).unwrap();
    settled(&stage);
    let open = File::create(stage.inbox("open.txt")).unwrap();

    let before = trace(&stage.path(""));
    let output = stage.cli(&["scan", "--dry-run"]);
    code(&output, 0);
    let said = out(&output);
    assert!(!said.contains('\u{1b}'), "{said:?}");
    for part in [
        "inbox/a.txt",
        "main     inbox/text",
        "pic.png",
        "1 file, 45 B to main as image (/image-task)",
        "would be sent: 2 files, 9 B to main as text",
        "excluded by \"*.bak\"",
        "1 symbolic links",
        "1 temporary or hidden names",
        "1 unsupported (1 B)",
    ] {
        assert!(said.contains(part), "{part:?}\n{said}");
    }
    assert!(said.lines().all(|l| l.chars().count() < 400), "{said}");
    let told = err(&output);
    assert!(
        told.contains("folder away was not scanned: there is nothing at its path"),
        "{told}"
    );
    assert!(told.contains("no ledger at"), "{told}");
    let forecast = fates(&stage, &[]);
    let expected = [
        ("a.txt", "send new"),
        ("dir/pic.png", "send new"),
        ("evil\\x1b[31m\\n.txt", "send new"),
        ("no.doc", "unsupported unsupported"),
        ("open.txt", "wait open"),
        ("x.bak", "not-taken excluded"),
        (".hidden", "not-taken temporary-name"),
        ("link.txt", "not-taken symlink"),
        ("", "not-scanned offline"),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(name, fate)| (name.to_owned(), fate.to_owned()))
        .into();
    // Where the kernel can't tell who writes, the longer quiet time tells.
    let open_can_be_told = forecast.get("open.txt").map(String::as_str) != Some("wait settling");
    if open_can_be_told {
        assert_eq!(forecast, expected);
    }
    assert_eq!(trace(&stage.path("")), before, "it left a trace");
    assert!(stage.sandbox.uploads().is_empty(), "it sent something");

    drop(open);
    fs::remove_file(stage.inbox("open.txt")).unwrap();
    let promised: Vec<(String, String)> = lines(&stage, &[])
        .iter()
        .filter(|v| v["would"] == "send")
        .map(|v| {
            let word = |key: &str| v[key].as_str().unwrap().to_owned();
            (word("sent_as"), word("media"))
        })
        .collect();
    stage.cli(&["scan"]);
    let mut sent: Vec<(String, String)> = stage
        .sandbox
        .uploads()
        .iter()
        .map(|u| {
            let media = format!("{:?}", u.endpoint).to_lowercase();
            (u.file_name_raw.to_string(), media)
        })
        .collect();
    let mut promised = promised;
    promised.sort();
    sent.sort();
    assert_eq!(sent, promised);

    // With a ledger: what it knows is known, and the trace is none again.
    let before = trace(&stage.path(""));
    let forecast = fates(&stage, &[]);
    assert_eq!(forecast["a.txt"], "known succeeded");
    assert_eq!(forecast["no.doc"], "known unsupported");
    assert_eq!(trace(&stage.path("")), before, "it left a trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_gates_and_pauses_are_foreseen_beside_a_daemon() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("first.txt", "the same words");
    daemon.until("it is there", || stage.state("first.txt") == "succeeded");
    stage.said(&["pause", "folder:inbox"]);
    daemon.until("the daemon to notice", || {
        daemon.log().contains("paused by an operator")
    });
    stage.drop_file("copy.txt", "the same words");
    stage.drop_file("other.txt", "the same size!");
    daemon.until("both wait", || {
        stage.state("copy.txt") == "queued" && stage.state("other.txt") == "queued"
    });
    assert_eq!(fates(&stage, &[])["copy.txt"], "wait paused");
    assert_eq!(daemon.terminate().code(), Some(0));

    // The pause alone held them back.
    stage.said(&["resume"]);
    assert_eq!(fates(&stage, &[])["copy.txt"], "send queued");
    let maybe = lines(&stage, &[]);
    let maybe = maybe.iter().find(|v| v["file"] == "other.txt").unwrap();
    assert_eq!(maybe["same_size"], true, "{maybe:#}");
    let sure = fates(&stage, &["--hash"]);
    assert_eq!(sure["copy.txt"], "duplicate duplicate");
    assert_eq!(sure["other.txt"], "send queued");
    let said = stage.said(&["scan", "--dry-run"]);
    assert!(
        said.contains("2 of the size of one that was sent"),
        "{said}"
    );

    // A closed gate, and its one probe.
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 403\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(fault).unwrap())
        .unwrap();
    code(&stage.cli(&["scan", "--patience", "1s"]), 3);
    let held = fates(&stage, &[]);
    assert_eq!(held["other.txt"], "wait gate", "{held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_it_is_refused_without_it() {
    let stage = Stage::new().await;
    for args in [
        &["scan", "--json"][..],
        &["scan", "--hash"],
        &["scan", "--limit", "3"],
        &["scan", "--dry-run", "--patience", "1s"],
    ] {
        code(&stage.cli(args), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_files_a_few_are_named_and_json_has_all() {
    let stage = Stage::new().await;
    for n in 0..3_000 {
        fs::write(stage.inbox(format!("{n}.txt")), "x").unwrap();
    }
    settled(&stage);
    let said = stage.said(&["scan", "--dry-run", "--limit", "2"]);
    assert!(said.contains("… and 2998 more"), "{said}");
    assert!(said.lines().count() < 12, "{said}");
    assert_eq!(lines(&stage, &[]).len(), 3_000);
    // A reader that goes away ends it.
    let mut child = stage
        .command(&["scan", "--dry-run", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut ended = None;
    until("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
}
