//! Writers of another user who pause with the file open: nothing of theirs is
//! taken half, and no source is touched under them. The daemon has no right to
//! take a lease on their files; its events tell it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use crate::support::two_users::{self, Shared};
use crate::support::users::DROPPER;
use crate::support::{Daemon, Expected, Settings, Stage, assert_each_once, expect, words};

/// Longer than `quiet_unsure` of these tests (1 s), so that a writer who pauses
/// for so long would look finished by its age.
const PAUSE: Duration = Duration::from_secs(3);

async fn stage(change: impl FnOnce(&mut Settings)) -> Option<(Stage, Daemon)> {
    let stage = two_users::stage(Shared::Setgid, change).await?;
    let daemon = watching(&stage);
    Some((stage, daemon))
}

/// A daemon that has set its watches.
fn watching(stage: &Stage) -> Daemon {
    let daemon = stage.start();
    daemon.until("the folder is watched", || {
        daemon.log().contains("scanned the folder")
    });
    daemon
}

fn created(stage: &Stage, name: &str) -> File {
    let path = stage.inbox(name);
    DROPPER.does(|| File::create(path).unwrap())
}

/// Sent once, as a whole, and then its source is away.
fn ends_whole(stage: &Stage, daemon: Daemon, name: &str, content: &[u8]) {
    daemon.until("it is sent", || stage.state(name) == "succeeded");
    daemon.until("its source is away", || !stage.inbox(name).exists());
    let mut expected = Expected::new();
    expect(&mut expected, name, content);
    assert_each_once(stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_who_pauses_with_the_file_open_is_waited_for() {
    let staged = stage(|s| {
        s.inbox("after = \"delete\"");
    });
    let Some((stage, daemon)) = staged.await else {
        return;
    };
    let content = words(1, 2_000);
    let (first, second) = content.split_at(content.len() / 2);
    let mut writer = created(&stage, "scan.txt");
    writer.write_all(first).unwrap();
    tokio::time::sleep(PAUSE).await;
    assert!(stage.sandbox.uploads().is_empty() && stage.inbox("scan.txt").exists());
    let said = stage.said(&["status"]);
    assert!(
        said.contains("being written since") && said.contains("scan.txt"),
        "{said}"
    );
    let explained = stage.cli(&["explain", stage.inbox("scan.txt").to_str().unwrap()]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(
        explained.contains("open for writing") || explained.contains("being written since"),
        "{explained}"
    );
    writer.write_all(second).unwrap();
    drop(writer);
    ends_whole(&stage, daemon, "scan.txt", &content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_renamed_while_it_is_written_is_waited_for() {
    let staged = stage(|s| {
        s.inbox("after = \"delete\"");
    });
    let Some((stage, daemon)) = staged.await else {
        return;
    };
    let content = words(2, 2_000);
    let (first, second) = content.split_at(content.len() / 2);
    let mut writer = created(&stage, "x.txt.part");
    writer.write_all(first).unwrap();
    let (part, path) = (stage.inbox("x.txt.part"), stage.inbox("x.txt"));
    DROPPER.does(|| fs::rename(part, path).unwrap());
    tokio::time::sleep(PAUSE).await;
    assert!(stage.sandbox.uploads().is_empty() && stage.inbox("x.txt").exists());
    writer.write_all(second).unwrap();
    drop(writer);
    ends_whole(&stage, daemon, "x.txt", &content);
}

/// A scanner that warms up: empty first, the content later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_file_is_not_moved_away_under_its_writer() {
    let staged = stage(|s| {
        s.inbox("after = \"delete\"\non_reject = \"move\"");
    });
    let Some((stage, daemon)) = staged.await else {
        return;
    };
    let content = words(3, 2_000);
    let mut writer = created(&stage, "scan.txt");
    // One that was closed empty is refused, and stays all the same.
    drop(created(&stage, "empty.txt"));
    daemon.until("the empty one is refused", || {
        stage.state("empty.txt") == "unsupported"
    });
    tokio::time::sleep(PAUSE).await;
    assert!(stage.state("scan.txt").is_empty());
    assert!(stage.inbox("scan.txt").exists() && stage.inbox("empty.txt").exists());
    let id = stage.file("empty.txt").unwrap()["id"].to_string();
    let shown = stage.said(&["show", &id]);
    assert!(
        shown.contains("to be moved") && shown.contains("it is empty"),
        "{shown}"
    );
    writer.write_all(&content).unwrap();
    drop(writer);
    ends_whole(&stage, daemon, "scan.txt", &content);
}

/// Full size and a time of 1980 first, as Robocopy does it, in a folder without
/// events: only `ctime` tells that it changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_size_and_an_old_time_are_not_believed() {
    let staged = stage(|s| {
        s.daemon = "poll_every = \"1s\"".to_owned();
        s.inbox("after = \"delete\"\nwatch = \"poll\"\nunclosed_wait = \"4s\"");
    });
    let Some((stage, daemon)) = staged.await else {
        return;
    };
    let content = words(4, 2_000);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(315_532_800);
    let writer = created(&stage, "r.txt");
    writer.set_len(content.len() as u64).unwrap();
    let parts = 12;
    for n in 0..parts {
        let part = n * content.len() / parts..(n + 1) * content.len() / parts;
        writer
            .write_all_at(&content[part.clone()], part.start as u64)
            .unwrap();
        writer.set_modified(old).unwrap();
        assert!(stage.sandbox.uploads().is_empty(), "after {n} parts");
        tokio::time::sleep(PAUSE / 10).await;
    }
    drop(writer);
    ends_whole(&stage, daemon, "r.txt", &content);
}

/// It was opened before the daemon started: nothing can tell, so what is there
/// is sent, and the source is left alone until its writer has closed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_is_no_permission_to_touch_the_source() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"delete\"");
    });
    let Some(stage) = stage.await else { return };
    let mut writer = created(&stage, "early.txt");
    writer.write_all(b"the first half, ").unwrap();
    let daemon = watching(&stage);
    daemon.until("what is there is sent", || {
        stage.state("early.txt") == "succeeded"
    });
    let id = stage.file("early.txt").unwrap()["id"].to_string();
    daemon.until("its source is left alone, and why", || {
        let shown = stage.said(&["show", &id]);
        shown.contains("to be deleted") && shown.contains("can't be told")
    });
    writer.write_all(b"the second half").unwrap();
    drop(writer);
    let whole = "the first half, the second half";
    daemon.until("the whole file is sent", || {
        stage.sandbox.uploads().len() == 2 && stage.state("early.txt") == "succeeded"
    });
    daemon.until("its source is away", || !stage.inbox("early.txt").exists());
    assert_eq!(
        stage.uploads_of("early.txt")[1].size,
        whole.len() as u64,
        "the second is whole"
    );
    assert!(daemon.terminate().success());
}
