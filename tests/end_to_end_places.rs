//! The whole program on odd places: very long paths, links that lead out or
//! round in a circle, folders that are mounts, and very many names.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::Signal;
use support::{Expected, PROGRAM, Stage, assert_each_once, expect, states};

/// Directories inside each other, below `from`, with a file in each: they go
/// deeper than a path can be said to the kernel (4,096 bytes).
fn deep_tree(from: &Path, levels: usize) -> (OwnedFd, Expected) {
    let name = "n".repeat(200);
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = openat(CWD, from, flags, Mode::empty()).unwrap();
    let mut expected = Expected::new();
    for level in 0..levels {
        mkdirat(&dir, &name, Mode::RWXU).unwrap();
        dir = openat(&dir, &name, flags, Mode::empty()).unwrap();
        put(&dir, &format!("at-{level}.txt"), &mut expected);
    }
    (dir, expected)
}

fn put(dir: &OwnedFd, name: &str, expected: &mut Expected) {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR).unwrap();
    let text = format!("the text of {name}");
    File::from(file).write_all(text.as_bytes()).unwrap();
    expect(expected, name, text.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_deeper_than_a_path_can_be_long_are_taken() {
    let stage = Stage::new().await;
    // 30 levels of 201 bytes: some 6,000.
    let (deepest, mut expected) = deep_tree(&stage.inbox(""), 30);
    let daemon = stage.start();
    daemon.until("all of them are done", || {
        stage.states() == states(&[("succeeded", 30)])
    });
    // No watch can be set there, which is said; so a scan finds what is new.
    daemon.until("it says so", || {
        daemon.log().contains("not watched, found by scans only")
    });
    put(&deepest, "later.txt", &mut expected);
    daemon.signal(Signal::USR1);
    daemon.until("the later one is done", || {
        stage.states() == states(&[("succeeded", 31)])
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_nowhere() {
    let stage = Stage::new().await;
    let elsewhere = stage.path("elsewhere");
    stage.publish(&elsewhere.join("secret.txt"), "not dropped here");
    symlink(&elsewhere, stage.inbox("linked")).unwrap();
    let mut expected = Expected::new();
    expect(&mut expected, "real.txt", b"real");
    stage.drop_file("sub/real.txt", "real");
    symlink(stage.inbox(""), stage.inbox("sub/round")).unwrap();
    symlink("round", stage.inbox("sub/round-again")).unwrap();
    symlink("itself", stage.inbox("itself")).unwrap();
    let daemon = stage.start();
    // And while it runs.
    symlink(stage.inbox("sub"), stage.inbox("late")).unwrap();
    symlink(elsewhere.join("secret.txt"), stage.inbox("late.txt")).unwrap();
    stage.publish(&elsewhere.join("secret-2.txt"), "not dropped here either");
    stage.drop_file("sub/last.txt", "last");
    expect(&mut expected, "last.txt", b"last");
    daemon.until("the real ones are done", || {
        stage.states() == states(&[("succeeded", 2)])
    });
    let scans = || daemon.log().matches("scanned the folder").count();
    let before = scans();
    daemon.signal(Signal::USR1);
    daemon.until("another scan", || scans() > before);
    assert_each_once(&stage, &expected);
    assert_eq!(stage.states(), states(&[("succeeded", 2)]));
    assert!(daemon.terminate().success());
}

/// The daemon in a mount namespace of its own, where `what` is at `at`, for
/// each pair.
fn with_binds(stage: &Stage, binds: &[(&Path, &Path)]) -> Command {
    let mut script = String::new();
    for n in 0..binds.len() {
        script += &format!("mount --bind \"${}\" \"${}\" && ", 2 * n + 1, 2 * n + 2);
    }
    script += &format!("shift {} && exec \"$@\"", 2 * binds.len());
    let plain = stage.command(&["run"]);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    for (what, at) in binds {
        command.args([what, at]);
    }
    command.arg(PROGRAM).args(plain.get_args());
    command.stdin(std::process::Stdio::null());
    command
}

fn may_mount() -> bool {
    let script = "mount --bind /tmp /mnt";
    let tried = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .output();
    let may = tried.as_ref().is_ok_and(|o| o.status.success());
    if !may {
        eprintln!("SKIPPED, no mounts in a namespace of our own: {tried:?}");
    }
    may
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_mounted_from_elsewhere_is_heard() {
    if !may_mount() {
        return;
    }
    for one_file_system in [true, false] {
        let stage = Stage::new().await.set(|s| {
            s.inbox(&format!("one_file_system = {one_file_system}"));
        });
        let (real, other) = (stage.path("real"), stage.path("other"));
        fs::create_dir_all(real.join("mounted")).unwrap();
        fs::create_dir(&other).unwrap();
        let mut expected = Expected::new();
        stage.publish(&real.join("before.txt"), "before");
        expect(&mut expected, "before.txt", b"before");
        stage.publish(&other.join("other.txt"), "other");
        let below = stage.inbox("mounted");
        let binds: [(&Path, &Path); 2] = [(&real, &stage.inbox("")), (&other, &below)];
        let daemon = stage.spawn_command(with_binds(&stage, &binds));
        daemon.until("the daemon runs", || daemon.log().contains(" running "));
        daemon.until("what was there is done", || {
            stage.state("before.txt") == "succeeded"
        });
        // By its other path, which the daemon does not know.
        stage.publish(&real.join("new/deep/after.txt"), "after");
        expect(&mut expected, "after.txt", b"after");
        stage.publish(&other.join("other-2.txt"), "other 2");
        if !one_file_system {
            expect(&mut expected, "other.txt", b"other");
            expect(&mut expected, "other-2.txt", b"other 2");
        }
        let all = expected.len();
        daemon.until("all is done", || {
            stage.states() == states(&[("succeeded", all)])
        });
        let scans = || daemon.log().matches("scanned the folder").count();
        let before = scans();
        daemon.signal(Signal::USR1);
        daemon.until("another scan", || scans() > before);
        assert_each_once(&stage, &expected);
        assert!(daemon.terminate().success());
    }
}

/// `WATCH_NAMES=1000000 cargo test --release --test end_to_end_places names --
/// --nocapture` says how long a million takes, and the most memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_names_in_a_folder() {
    // The first fill whatever has a bound: the settling set, channels, caches.
    const FIRST: usize = 1_500;
    let more = std::env::var("WATCH_NAMES").map_or(3_000, |n| n.parse().unwrap());
    let stage = Stage::new().await;
    // Empty files: they go the whole way into the ledger, and end there.
    let make = |from: usize, to: usize| {
        for n in from..to {
            File::create(stage.inbox(format!("name-{n}.txt"))).unwrap();
        }
    };
    make(0, FIRST);
    let daemon = stage.start();
    let deadline = Duration::from_secs(120) + Duration::from_millis(more as u64 * 5);
    let in_ledger = || {
        let conn = rusqlite::Connection::open(stage.path("ledger.sqlite")).unwrap();
        let count = "SELECT count(*) FROM files WHERE state = 'unsupported'";
        conn.query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap() as usize
    };
    daemon.until_within(deadline, "the first ones", || in_ledger() == FIRST);
    let before = daemon.memory("VmHWM:");
    // While it is down: a scan alone is to find them.
    assert!(daemon.terminate().success());
    make(FIRST, FIRST + more);
    let started = Instant::now();
    let daemon = stage.start();
    daemon.until_within(deadline, "all of them", || in_ledger() == FIRST + more);
    let peak = daemon.memory("VmHWM:");
    println!(
        "{more} more names in {:.1?}; peak {before} KiB with {FIRST}, {peak} KiB with all",
        started.elapsed()
    );
    assert!(
        peak < before + (24 << 10),
        "{peak} KiB for {more} names more, {before} KiB before"
    );
    assert!(daemon.terminate().success());
}
