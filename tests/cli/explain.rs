//! Why a file was not taken, asked of the real program about real files.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::Stage;

fn explain(stage: &Stage, file: impl AsRef<Path>) -> Value {
    let output = stage
        .command(&["explain", "--json"])
        .arg(file.as_ref())
        .output()
        .unwrap();
    json(&output)
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let all = || format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {}", all()))
}

/// The reason, and that it is said.
#[track_caller]
fn reason(stage: &Stage, file: impl AsRef<Path>, wanted: &str, words: &str) {
    let said = explain(stage, file);
    assert_eq!(said["reason"], wanted, "{said:#}");
    let text = said["text"].as_str().unwrap();
    assert!(text.contains(words), "no {words:?} in {text:?}");
}

fn old(path: &Path) {
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(long_ago).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_ledger_knows_is_explained_without_a_daemon() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("exclude = [\"drafts/\", \"*.bak\"]\nmax_size = \"1KiB\"");
        s.folder("flat", "main", "recursive = false\ninclude = [\"*.pdf\"]");
    });
    let put = |name: &str, content: &[u8]| {
        let path = stage.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        old(&path);
        path
    };
    for (name, content, wanted, words) in [
        ("inbox/a.part", &b"x"[..], "temporary-name", "ends in .part"),
        (
            "inbox/.git/a.txt",
            b"x",
            "temporary-name",
            "the folder \".git\" above it",
        ),
        (
            "inbox/drafts/a.txt",
            b"x",
            "excluded",
            "the pattern \"drafts/\" of `exclude`",
        ),
        ("inbox/sub/a.bak", b"x", "excluded", "the pattern \"*.bak\""),
        (
            "inbox/.supametas-done/a.txt",
            b"x",
            "temporary-name",
            "starts with a dot",
        ),
        ("inbox/empty.txt", b"", "unsupported", "empty"),
        ("inbox/big.txt", &[b'x'; 2_000], "unsupported", "max_size"),
        (
            "inbox/old.doc",
            b"words",
            "unsupported",
            "its content is plain text",
        ),
        (
            "inbox/bad.url",
            b"[InternetShortcut]\nURL=http://x.example/\n",
            "unsupported",
            "https",
        ),
        (
            "inbox/good.txt",
            b"words",
            "no-daemon",
            "no daemon is running",
        ),
        ("flat/a.txt", b"x", "not-included", "\"*.pdf\""),
        ("flat/sub/a.pdf", b"x", "subfolder", "subfolder"),
        ("elsewhere/a.txt", b"x", "outside", "no drop folder"),
    ] {
        reason(&stage, put(name, content), wanted, words);
    }
    symlink("/etc/hostname", stage.inbox("link.txt")).unwrap();
    reason(&stage, stage.inbox("link.txt"), "symlink", "symbolic link");
    symlink(stage.path("elsewhere"), stage.inbox("dir")).unwrap();
    reason(
        &stage,
        stage.inbox("dir/a.txt"),
        "symlink",
        "\"dir\" on the way",
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        stage.inbox("pipe.txt"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    reason(&stage, stage.inbox("pipe.txt"), "not-a-file", "FIFO");
    let good = explain(&stage, stage.inbox("good.txt"));
    let checks = good["checks"].to_string();
    assert!(checks.contains("the text import, sent as"), "{good:#}");

    // By a path relative to somewhere, and as `list` shows it.
    let output = stage
        .command(&["explain", "--json", "../inbox/a.part"])
        .current_dir(stage.path("elsewhere"))
        .output()
        .unwrap();
    assert_eq!(json(&output)["reason"], "temporary-name");
    reason(&stage, "inbox/a.part", "temporary-name", ".part");

    let output = stage.cli(&["explain", "no/such/file"]);
    assert_eq!(output.status.code(), Some(5));
    let far = explain(&stage, stage.path("elsewhere/a.txt"));
    assert!(
        far["checks"][0]["found"]
            .as_str()
            .unwrap()
            .contains("inbox ("),
        "{far:#}"
    );

    fs::remove_dir_all(stage.path("flat")).unwrap();
    reason(
        &stage,
        stage.path("flat/x.pdf"),
        "offline",
        "nothing at its path",
    );
    assert!(!stage.path("ledger.sqlite").exists(), "it made a ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_is_named_and_the_quiet_time_is_counted() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("quiet = \"1h\"\nquiet_unsure = \"2h\"");
    });
    let path = stage.inbox("being-written.txt");
    fs::write(&path, "words").unwrap();
    let writer = File::options().append(true).open(&path).unwrap();
    let said = explain(&stage, &path);
    assert_eq!(said["reason"], "open", "{said:#}");
    let me = format!("process {} (", std::process::id());
    let checks = said["checks"].to_string();
    assert!(checks.contains(&me), "no {me:?} in {said:#}");
    drop(writer);
    let daemon = stage.start();
    let said = explain(&stage, &path);
    assert_eq!(said["reason"], "settling", "{said:#}");
    // The hour begins with the daemon's look, which may be just now.
    let text = said["text"].as_str().unwrap();
    assert!(
        text.contains("at most 59 min ") || text.contains("at most 1 h more"),
        "{said:#}"
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_right_is_told() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a ledger to another user");
        return;
    }
    let stage = Stage::new().await;
    assert!(stage.cli(&["scan"]).status.success());
    // Whose ledger it is: the daemon's user, while none is running.
    std::os::unix::fs::chown(stage.path("ledger.sqlite"), Some(54_321), None).unwrap();
    for dir in [stage.path(""), stage.path("inbox")] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = stage.inbox("secret.txt");
    fs::write(&path, "words").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    reason(
        &stage,
        &path,
        "no-right",
        "uid 54321 may not read it: it needs read (r)",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    old(&path);
    reason(&stage, &path, "no-daemon", "no daemon");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_knows_is_explained() {
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(
            "[[fault]]\nfile = \"options*\"\nstatus = 200\ncode = \"OPS40003\"\n\
             [[fault]]\nfile = \"bad*\"\nstatus = 413\n",
        )
        .unwrap(),
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.inbox("after = \"move\"");
    });
    let daemon = stage.start();
    stage.drop_file("done.txt", "words");
    stage.drop_file("bad.txt", "too many words");
    stage.drop_file("not.doc", "words");
    daemon.until("three ends", || {
        stage.state("done.txt") == "succeeded"
            && stage.state("bad.txt") == "rejected"
            && stage.state("not.doc") == "unsupported"
            && !stage.inbox("done.txt").exists()
    });
    reason(
        &stage,
        stage.inbox("done.txt"),
        "succeeded",
        "its source was moved to",
    );
    reason(&stage, stage.inbox("bad.txt"), "rejected", "HTTP-413");
    reason(&stage, stage.inbox("not.doc"), "unsupported", ".doc");
    // The same content, for the same dataset.
    stage.drop_file("again.txt", "words");
    daemon.until("a duplicate", || stage.state("again.txt") == "duplicate");
    reason(
        &stage,
        "again",
        "duplicate",
        "inbox/done.txt (succeeded, task ",
    );

    stage.drop_file("options-1.txt", "one");
    daemon.until("a closed gate", || {
        stage
            .said(&["status"])
            .contains("PAUSED     route:inbox/text")
    });
    stage.drop_file("options-2.txt", "two");
    daemon.until("a file behind it", || {
        stage.state("options-2.txt") == "queued"
    });
    let said = explain(&stage, stage.inbox("options-2.txt"));
    assert_eq!(said["reason"], "gate", "{said:#}");
    assert!(
        said["text"].as_str().unwrap().contains("OPS40003"),
        "{said:#}"
    );
    assert!(
        said["to_do"]
            .to_string()
            .contains("resume route:inbox/text"),
        "{said:#}"
    );
    assert!(
        said["checks"]
            .to_string()
            .contains("1 file of its route goes before it"),
        "{said:#}"
    );

    let tree = explain(&stage, stage.path("inbox"));
    assert_eq!(tree["answer"], "counted", "{tree:#}");
    let checks = tree["checks"].to_string();
    for words in [
        "2 queued",
        "1 rejected",
        "1 unsupported",
        "starts with a dot",
    ] {
        assert!(checks.contains(words), "no {words:?} in {tree:#}");
    }
    assert!(daemon.terminate().success());
    reason(&stage, stage.inbox("options-2.txt"), "gate", "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_shown_harmlessly() {
    let stage = Stage::new().await;
    let name = std::ffi::OsStr::from_bytes(b"a\x1b[31m\n\xff.part");
    let path = stage.inbox(name);
    fs::write(&path, "x").unwrap();
    for json in [&["explain"][..], &["explain", "--json"]] {
        for asked in [path.as_path(), &stage.path("inbox")] {
            let output = stage.command(json).arg(asked).output().unwrap();
            assert!(output.status.success());
            assert!(!output.stdout.contains(&0x1b), "{output:?}");
            assert!(output.stdout.is_ascii(), "{output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            assert!(said.contains("x1b[31m"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_explained_and_its_override_is_told() {
    let stage = Stage::new().await.set(|s| {
        s.tail("[[error]]\non = \"409\"\nverdict = \"retry\"\nlimit = 5\nthen = \"rejected\"");
    });
    let said = stage.said(&["explain-code", "ops40003"]);
    for words in [
        "OPS40003: at least one field",
        "goes back to its place in the queue",
        "after 1 h one file goes out to see",
        "documented row",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    let said = stage.said(&["explain-code", "409"]);
    assert!(said.contains("up to 5 more times"), "{said}");
    assert!(said.contains("yes, by an [[error]]"), "{said}");
    assert!(said.contains("up to 3 more times"), "{said}");
    let said = stage.cli(&["explain-code", "418", "--json"]);
    let said = json(&said);
    assert_eq!(said["class"], true, "{said:#}");
    assert_eq!(said["rows"][0]["answer"], "4xx", "{said:#}");
    let output = stage.cli(&["explain-code", "no-conection"]);
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("did you mean no-connection?"), "{said}");
    let output = stage.cli(&["errors", "429"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("explain-code"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_dropped_with_work_waiting_keeps_it_and_says_so() {
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(
            "[[fault]]\nfile = \"left*\"\nstatus = 200\ncode = \"OPS40003\"\n",
        )
        .unwrap(),
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
    .set(|s| {
        s.folder("second", "main", "");
    });
    let daemon = stage.start();
    stage.publish(&stage.path("second/left.txt"), "words");
    daemon.until("a file behind a gate", || {
        stage
            .said(&["status"])
            .contains("PAUSED     route:second/text")
    });
    let stage = stage.set(|s| s.folders.retain(|(name, ..)| name == "inbox"));
    daemon.signal(rustix::process::Signal::HUP);
    let left = "folder second is not in the configuration any more: 1 file of it in the queue is kept, and not sent";
    daemon.until("what is left behind", || daemon.log().contains(left));
    assert!(stage.said(&["status"]).contains(left));
    assert!(stage.said(&["check"]).contains(&format!("warning: {left}")));
    let status = stage.cli(&["status", "--json"]);
    assert_eq!(json(&status)["left_behind"][0]["queued"], 1);
    reason(
        &stage,
        "second/left.txt",
        "folder-dropped",
        "not in the configuration",
    );
    // It is back: so is its work.
    let stage = stage.set(|s| {
        s.folder("second", "main", "");
    });
    daemon.signal(rustix::process::Signal::HUP);
    daemon.until("the folder's return", || {
        daemon.log().contains("folder second: added")
    });
    assert!(!stage.said(&["status"]).contains("LEFT BEHIND"));
    reason(&stage, "second/left.txt", "gate", "OPS40003");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_in_force_can_be_read_back() {
    let stage = Stage::new().await;
    let shown = stage.said(&["check", "--explain"]);
    assert!(!shown.contains(crate::support::MAIN_KEY), "{shown}");
    assert!(shown.contains("quiet = \"100ms\"  # line "), "{shown}");
    assert!(shown.contains("max_size = \"2GiB\"  # default"), "{shown}");
    assert!(shown.contains("keys/main\"  # line "), "{shown}");
    fs::write(stage.config(), &shown).unwrap();
    let values = |text: &str| -> Vec<String> {
        let bare = |line: &str| line.split("  # ").next().unwrap_or("").to_owned();
        text.lines()
            .filter(|l| !l.starts_with('#'))
            .map(bare)
            .collect()
    };
    let again = stage.said(&["check", "--explain"]);
    assert_eq!(values(&again), values(&shown));
    assert!(stage.cli(&["check"]).status.success());
    // A number without a unit is told the units, and not to put it in quotes.
    fs::write(
        stage.config(),
        shown.replace("max_size = \"2GiB\"", "max_size = 2"),
    )
    .unwrap();
    let output = stage.cli(&["check", "--explain"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("max_size = 2` (folder inbox) has no unit; write a number and a unit"),
        "{said}"
    );
}
