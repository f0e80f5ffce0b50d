//! Who drops files lays something in the way of what is moved.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{Daemon, Stage, words};

/// What the daemon moves: what was imported, and what was refused.
const TARGETS: [&str; 2] = [".supametas-done", ".supametas-rejected"];

async fn moving() -> Option<Stage> {
    two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"move\"\non_reject = \"move\"\nunclosed_wait = \"2s\"");
    })
    .await
}

/// Publishes a file as the one who drops.
fn drop_as_dropper(stage: &Stage, name: &str, content: &[u8]) -> PathBuf {
    let (part, path) = (stage.inbox(format!("{name}.part")), stage.inbox(name));
    DROPPER.does(|| {
        fs::write(&part, content).unwrap();
        fs::rename(&part, &path).unwrap();
    });
    path
}

/// Waits until each of these files has come to its end at the service.
fn until_ended(stage: &Stage, daemon: &Daemon, names: &[&str]) {
    daemon.until("each has an end", || {
        names
            .iter()
            .all(|name| ["succeeded", "unsupported"].contains(&stage.state(name).as_str()))
    });
}

fn names_in(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

/// The names that make SQLite replay something or that the program itself
/// reads beside its ledger.
const PLANTED: [&str; 4] = [
    "ledger.sqlite-journal",
    "ledger.sqlite-wal",
    "ledger.sqlite.rescued",
    "ledger.sqlite.lock",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_at_the_target_plants_nothing_beside_the_ledger() {
    let Some(stage) = moving().await else { return };
    // They are there before the daemon makes the directories.
    for target in TARGETS {
        DROPPER.does(|| symlink(stage.path("state"), stage.inbox(target)).unwrap());
    }
    let daemon = stage.start();
    let own = names_in(&stage.path("state"));
    let dropped: Vec<PathBuf> = PLANTED
        .iter()
        .enumerate()
        .map(|(n, name)| drop_as_dropper(&stage, name, &words(n as u64, 400)))
        .chain([drop_as_dropper(&stage, "good.txt", &words(9, 400))])
        .collect();
    until_ended(&stage, &daemon, &PLANTED);
    until_ended(&stage, &daemon, &["good.txt"]);
    daemon.until("it is said that the target is a link", || {
        daemon
            .log()
            .lines()
            .any(|line| line.contains("link") && line.contains(TARGETS[0]))
    });
    assert!(
        dropped.iter().all(|path| path.exists()),
        "a source was moved"
    );
    let more: Vec<_> = names_in(&stage.path("state"))
        .difference(&own)
        .cloned()
        .collect();
    let sqlites = ["ledger.sqlite-wal", "ledger.sqlite-shm"];
    assert!(
        more.iter().all(|name| sqlites.contains(&name.as_str())),
        "planted: {more:?}"
    );
    let before = stage.states();
    assert!(daemon.terminate().success());
    // Nothing was replayed at the next start, and nothing is sent again.
    let sent = stage.sandbox.uploads().len();
    let daemon = stage.start();
    drop_as_dropper(&stage, "later.txt", &words(10, 400));
    until_ended(&stage, &daemon, &["later.txt"]);
    assert_eq!(stage.sandbox.uploads().len(), sent + 1);
    assert_eq!(
        stage.states().values().sum::<usize>(),
        before.values().sum::<usize>() + 1
    );
    assert!(daemon.terminate().success());
}

/// A source that stayed is tried again after a minute.
fn let_the_wait_be_over(stage: &Stage) {
    let ledger = rusqlite::Connection::open(stage.path("state/ledger.sqlite")).unwrap();
    let due =
        "UPDATE files SET source_due = 0 WHERE source_due IS NOT NULL AND source_done IS NULL";
    assert_eq!(ledger.execute(due, []).unwrap(), 1);
}

/// `make` puts something else in the place of the daemon's own directory, as a
/// user may who may write in the folder above it.
async fn replaced(what: &str, make: impl Fn(&Stage, &Path) + Sync) {
    let Some(stage) = moving().await else { return };
    let daemon = stage.start();
    drop_as_dropper(&stage, "first.txt", &words(1, 400));
    let done = stage.inbox(TARGETS[0]);
    daemon.until("the first is moved", || done.join("first.txt").exists());
    DROPPER.does(|| {
        fs::rename(&done, stage.inbox(".put-away")).unwrap();
        make(&stage, &done);
    });
    let second = drop_as_dropper(&stage, "second.txt", &words(2, 400));
    until_ended(&stage, &daemon, &["second.txt"]);
    daemon.until("it is said that it was not moved", || {
        let log = daemon.log();
        let mut lines = log.lines();
        lines.any(|line| line.contains("WARN") && line.contains("second.txt"))
    });
    assert!(second.exists(), "{what}: the source was moved");
    assert_eq!(fs::read(&second).unwrap(), words(2, 400));
    // With the daemon's own directory back, it is moved after all.
    DROPPER.does(|| {
        fs::rename(&done, stage.inbox(".put-away-too")).unwrap();
        fs::rename(stage.inbox(".put-away"), &done).unwrap();
    });
    assert!(daemon.terminate().success());
    let_the_wait_be_over(&stage);
    let daemon = stage.start();
    daemon.until("the second is moved", || done.join("second.txt").exists());
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_another_user_at_the_target_takes_no_source() {
    replaced("another's directory", |_, done| {
        fs::create_dir(done).unwrap();
        fs::set_permissions(done, fs::Permissions::from_mode(0o777)).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_put_in_the_targets_place_leads_nowhere() {
    replaced("a link", |stage, done| {
        symlink(stage.path("state"), done).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_or_a_pipe_at_the_target_holds_up_nobody() {
    replaced("a pipe", |_, done| {
        let name = std::ffi::CString::new(done.to_str().unwrap()).unwrap();
        // SAFETY: a C string and a mode.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o666) }, 0);
    })
    .await;
}

/// What is written beside a refused file follows no link that lies there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_is_written_through_no_link() {
    let Some(stage) = moving().await else { return };
    let daemon = stage.start();
    drop_as_dropper(&stage, "a.bin", &[1, 2, 0, 3, 0, 0xff]);
    let rejected = stage.inbox(TARGETS[1]);
    daemon.until("it is moved, with a note", || {
        rejected.join("a.bin.supametas.json").exists()
    });
    // The directory is the daemon's: nobody else can lay anything there.
    let laid =
        DROPPER.does(|| symlink(stage.path("state/x"), rejected.join("b.bin.supametas.json")));
    assert!(
        laid.is_err(),
        "others may write to the directory of refused files"
    );
    let meta = fs::metadata(&rejected).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), DAEMON.uid);
    assert_eq!(
        meta.permissions().mode() & 0o022,
        0,
        "{:o}",
        meta.permissions().mode()
    );
    assert!(daemon.terminate().success());
}

/// The group may write to the target, as where an administrator made it so that
/// others can tidy up: whoever is in the group could replace what is moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_the_group_may_write_takes_no_source_until_it_is_closed() {
    let Some(stage) = moving().await else { return };
    let done = stage.inbox(TARGETS[0]);
    fs::create_dir(&done).unwrap();
    DAEMON.owns(&done, 0o770);
    let daemon = stage.start();
    let source = drop_as_dropper(&stage, "a.txt", &words(1, 400));
    until_ended(&stage, &daemon, &["a.txt"]);
    let said = "others may write to";
    daemon.until("it is said, with what to do", || {
        let log = daemon.log();
        log.lines()
            .any(|line| line.contains(said) && line.contains("chmod go-w"))
    });
    assert!(source.exists() && names_in(&done).is_empty());
    let shown = stage.said(&["show", "a.txt"]);
    assert!(shown.contains(said), "{shown}");
    let checked = stage.cli(&["check"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("`done_dir`"), "{checked}");
    assert!(daemon.terminate().success());
    fs::set_permissions(&done, fs::Permissions::from_mode(0o750)).unwrap();
    let_the_wait_be_over(&stage);
    let daemon = stage.start();
    daemon.until("it is moved", || done.join("a.txt").exists());
    assert!(!source.exists());
    assert!(daemon.terminate().success());
}

/// Whoever drops gives a file the name that a note will have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_the_name_of_a_note_is_not_taken_for_it() {
    let Some(stage) = moving().await else { return };
    let daemon = stage.start();
    let forged = b"{\"state\": \"succeeded\"}\0";
    drop_as_dropper(&stage, "a.bin.supametas.json", forged);
    let rejected = stage.inbox(TARGETS[1]);
    let at = |name: &str| rejected.join(name);
    daemon.until("it is moved, with a note of its own", || {
        at("a.bin.supametas.json.supametas.json").exists()
    });
    drop_as_dropper(&stage, "a.bin", &[1, 2, 0, 3, 0, 0xff]);
    daemon.until("it is moved", || at("a.bin").exists());
    // A note has its name only when it is whole.
    let note = at("a.bin.supametas (2).json");
    daemon.until("it has a note, too", || note.exists());
    assert_eq!(fs::read(at("a.bin.supametas.json")).unwrap(), forged);
    let note = fs::read(note).unwrap();
    let note: serde_json::Value = serde_json::from_slice(&note).unwrap();
    assert_eq!(note["file"], "a.bin");
    assert_eq!(note["state"], "unsupported");
    assert!(daemon.terminate().success());
}
