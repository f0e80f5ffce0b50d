//! What goes well: files of other users are sent, moved and deleted as the
//! folder says, and what the daemon may not read is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::slow::watching;
use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER, DROPPER_TOO};
use crate::support::{Expected, SIGN, assert_each_once, expect, states, words};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_other_users_are_sent_and_then_moved_or_deleted() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"delete\"");
        s.folder("scans", "main", "after = \"move\"");
    });
    let Some(stage) = stage.await else { return };
    let daemon = watching(&stage);
    let mut expected = Expected::new();
    for (n, user) in [DROPPER, DROPPER_TOO, DAEMON].into_iter().enumerate() {
        for folder in ["inbox", "scans"] {
            let name = format!("{folder}-{n}.txt");
            let content = words(u64::from(folder == "inbox") * 10 + n as u64, 500);
            expect(&mut expected, &name, &content);
            let (part, path) = (
                stage.path(folder).join(format!("{name}.part")),
                stage.path(folder).join(&name),
            );
            user.does(|| {
                fs::write(&part, &content).unwrap();
                fs::rename(&part, &path).unwrap();
            });
        }
    }
    daemon.until("all are sent", || {
        stage.states() == states(&[("succeeded", 6)])
    });
    daemon.until("no source is in its place any more", || {
        let names = ["inbox", "scans"].map(|folder| fs::read_dir(stage.path(folder)).unwrap());
        let left = names
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file() && entry.file_name() != SIGN);
        left.count() == 0
    });
    let moved = fs::read_dir(stage.path("scans/.supametas-done")).unwrap();
    assert_eq!(moved.count(), 3);
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_the_daemon_may_not_read_is_named_and_stays_until_it_may() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"delete\"");
    });
    let Some(stage) = stage.await else { return };
    let daemon = stage.start();
    let (part, path) = (stage.inbox("mine.txt.part"), stage.inbox("mine.txt"));
    DROPPER.does(|| {
        fs::write(&part, "for nobody else").unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&part, &path).unwrap();
    });
    daemon.until("it is named", || {
        let log = daemon.log();
        log.lines()
            .any(|line| line.contains("mine.txt") && line.contains("no right to read it"))
    });
    assert!(path.exists());
    assert!(stage.sandbox.uploads().is_empty());
    DROPPER.does(|| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap());
    // It waits as long again as it has waited, which is seconds so far: what people
    // read of it holds, and no slower timer is behind it.
    daemon.until_within(Duration::from_secs(20), "it is sent", || {
        stage.states().get("succeeded") == Some(&1)
    });
    assert!(daemon.terminate().success());
}

/// Nobody can delete the files of another in a sticky folder: `check` says so
/// before, the log once for all of them, `show` and `status` as long as it lasts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_can_not_be_deleted_are_said_once() {
    const FILES: usize = 5;
    let stage = two_users::stage(Shared::Sticky, |s| {
        s.inbox("after = \"delete\"");
    });
    let Some(stage) = stage.await else { return };
    let checked = stage.said(&["check"]);
    assert!(checked.contains("sticky bit"), "{checked}");
    let daemon = watching(&stage);
    for n in 0..FILES {
        let (part, path) = (
            stage.inbox(format!("{n}.txt.part")),
            stage.inbox(format!("{n}.txt")),
        );
        DROPPER.does(|| {
            fs::write(&part, words(n as u64, 500)).unwrap();
            fs::rename(&part, &path).unwrap();
        });
    }
    daemon.until("all are sent", || {
        stage.states() == states(&[("succeeded", FILES)])
    });
    let said = |args: &[&str], words: &str| stage.said(args).contains(words);
    daemon.until("status says it of all", || {
        said(
            &["status"],
            "5 sources of folder inbox could not be moved or deleted",
        )
    });
    assert!(said(&["show", "0.txt"], "only its owner"));
    let log = daemon.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("the source stays"));
    assert_eq!(warnings.count(), 1, "{log}");
    assert!(stage.inbox("0.txt").exists());
    assert!(daemon.terminate().success());
}
