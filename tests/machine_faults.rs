//! The whole program on a machine that fails it: full disks, a ledger that is
//! locked, damaged or deleted, folders that are unmounted, limits that are too
//! low, and another daemon in the same folder. Each fault has an expected end.
#![allow(clippy::unwrap_used, missing_docs)]

mod machine;
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use supametas_sync::sandbox::Fault;

use machine::Mounts;
use support::{Daemon, Stage, arrived, states, until, words};

fn faults(stage: &Stage, toml: &str) {
    stage
        .sandbox
        .set_faults(Fault::from_toml(toml).unwrap())
        .unwrap();
}

/// Drops `n` small files that differ, and gives their names.
fn drop_some(stage: &Stage, prefix: &str, n: usize) {
    for i in 0..n {
        let seed = (prefix.len() * 10_000 + i) as u64;
        stage.drop_file(format!("{prefix}{i}.txt"), words(seed, 300));
    }
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Waits for a program that ends by itself with an error; its log.
fn failed(daemon: Daemon) -> String {
    until("it ends", || daemon.has_ended());
    let log = daemon.log();
    assert!(!daemon.wait().success(), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_ledger_stops_uploads_and_they_go_on_by_themselves() {
    let mut stage = Stage::new().await.set(|s| {
        s.ledger = "state/ledger.sqlite".into();
        s.main("bytes_per_second = \"2MiB\"");
    });
    fs::create_dir(stage.path("state")).unwrap();
    let state = stage.path("state");
    let mount = format!(
        "mount -t tmpfs -o size=4m,mode=700 none {}",
        state.display()
    );
    let Some(mounts) = Mounts::made_by(&mount) else {
        return;
    };
    stage.behind = mounts.behind();
    let daemon = stage.start();
    drop_some(&stage, "early", 5);
    daemon.until("the first are done", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    // One is on the wire when the disk fills up: its last chunk is held back.
    stage.drop_file("large.txt", words(99, 5_000_000));
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    mounts.fill(&state.join("filler"));
    drop_some(&stage, "late", 60);
    let full = "is full: nothing was recorded";
    daemon.until("it is said", || daemon.log().contains(full));
    let retries = || daemon.log().matches("ledger can't record what is").count();
    daemon.until("it has been tried again", || retries() >= 2);
    daemon.until("the last chunk was held back", || {
        daemon.log().contains("the last chunk was held back")
    });
    assert_eq!(stage.sandbox.uploads().len(), 5, "nothing unrecorded goes");
    let errors: Vec<String> = daemon
        .log()
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains(full))
        .map(str::to_owned)
        .collect();
    assert_eq!(errors.len(), 1, "said once: {errors:#?}");
    assert!(stage.said(&["status"]).contains("STOPPED"));

    fs::remove_file(mounts.path(&state.join("filler"))).unwrap();
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 66)])
    });
    assert!(daemon.log().contains("the ledger records again"));
    let names: Vec<_> = arrived(&stage).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 66, "each once: {names:?}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_at_the_move_target_leaves_the_source_in_its_place() {
    let mut stage = Stage::new().await;
    let done = stage.path("done");
    fs::create_dir(&done).unwrap();
    stage = stage.set(|s| {
        s.inbox(&format!("after = \"move\"\ndone_dir = {done:?}"));
    });
    let mount = format!(
        "mount -t tmpfs -o size=64k,mode=755 none {}",
        done.display()
    );
    let Some(mounts) = Mounts::made_by(&mount) else {
        return;
    };
    stage.behind = mounts.behind();
    let daemon = stage.start();
    let content = words(1, 200_000);
    let source = stage.drop_file("a.txt", &content);
    daemon.until("it is said why", || {
        daemon.log().contains("the source stays where it is") && daemon.log().contains("is full")
    });
    assert_eq!(stage.state("a.txt"), "succeeded");
    assert_eq!(fs::read(&source).unwrap(), content);
    let left: Vec<_> = fs::read_dir(mounts.path(&done)).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    mounts.run(&format!("mount -o remount,size=4m {}", done.display()));
    // The next try is due in a minute; here it is due now.
    Connection::open(stage.path("ledger.sqlite"))
        .unwrap()
        .execute("UPDATE files SET source_due = 0", [])
        .unwrap();
    daemon.until("it is moved", || !source.exists());
    let moved = mounts.path(&done.join("a.txt"));
    daemon.until("it is there", || moved.exists());
    assert_eq!(fs::read(moved).unwrap(), content);
    assert_eq!(stage.sandbox.uploads().len(), 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_locked_by_another_program_is_waited_for() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    drop_some(&stage, "early", 3);
    daemon.until("the first are done", || {
        stage.states() == states(&[("succeeded", 3)])
    });
    let other = Connection::open(stage.path("ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    drop_some(&stage, "late", 20);
    daemon.until("it is said", || {
        daemon.log().contains("is locked by another program")
    });
    assert_eq!(stage.sandbox.uploads().len(), 3);
    other.execute_batch("COMMIT").unwrap();
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 23)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 23, "each once");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_on_a_read_only_disk_is_refused_with_what_to_do() {
    let mut stage = Stage::new().await.set(|s| {
        s.ledger = "state/ledger.sqlite".into();
    });
    let state = stage.path("state");
    fs::create_dir(&state).unwrap();
    let mount = format!("mount -t tmpfs -o ro,mode=700 none {}", state.display());
    let Some(mounts) = Mounts::made_by(&mount) else {
        return;
    };
    stage.behind = mounts.behind();
    let output = stage.cli(&["run"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("ledger.sqlite") && said.contains("Read-only"),
        "{said}"
    );
}

/// What a damage does to the ledger's file.
type Damage = fn(&File, u64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_is_rebuilt_and_sends_nothing_again() {
    const FILES: usize = 250;
    let stage = Stage::new().await;
    drop_some(&stage, "f", FILES);
    assert!(stage.cli(&["scan"]).status.success());
    let ledger = stage.path("ledger.sqlite");
    let backup = stage.path("backup.sqlite");
    Connection::open(&ledger)
        .unwrap()
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    // Known to the ledger, and not to the backup.
    drop_some(&stage, "newer", 3);
    assert!(stage.cli(&["scan"]).status.success());
    let all = FILES + 3;
    let good = fs::read(&ledger).unwrap();

    let header: Damage = |file, _| file.write_all_at(&[0xA5; 100], 0).unwrap();
    let middle: Damage = |file, len| {
        for at in [len / 3, len / 2, len * 3 / 4] {
            file.write_all_at(&[0xA5; 4096], at / 4096 * 4096).unwrap();
        }
    };
    let cut: Damage = |file, len| file.set_len(len * 2 / 3).unwrap();
    let gone: Damage = |file, _| file.set_len(0).unwrap();
    for (what, damage, with_backup) in [
        ("header, no backup", header, false),
        ("header, backup", header, true),
        ("middle, no backup", middle, false),
        ("middle, backup", middle, true),
        ("cut short, no backup", cut, false),
        ("empty, backup", gone, true),
    ] {
        fs::write(&ledger, &good).unwrap();
        let _ = fs::remove_file(stage.path("ledger.sqlite-wal"));
        let file = File::options().write(true).open(&ledger).unwrap();
        damage(&file, good.len() as u64);
        drop(file);
        if what.starts_with("header") {
            let refused = stage.cli(&["run"]);
            assert_eq!(refused.status.code(), Some(1), "{what}");
            assert!(said(&refused).contains("rebuild"), "{}", said(&refused));
        }
        let mut args = vec!["rebuild", "--json"];
        if with_backup {
            args.extend(["--from", backup.to_str().unwrap()]);
        }
        let before = fs::read(&ledger).unwrap();
        if what == "middle, backup" {
            let dry: Vec<&str> = args.iter().copied().chain(["--dry-run"]).collect();
            stage.said(&dry);
            assert_eq!(fs::read(&ledger).unwrap(), before, "a rehearsal");
        }
        let report: serde_json::Value = serde_json::from_str(&stage.said(&args)).unwrap();
        let aside = report["aside"].as_str().unwrap();
        assert_eq!(fs::read(aside).unwrap(), before, "{what}: it is kept");

        // Whatever was lost: nothing goes out a second time.
        let _ = stage.cli(&["scan"]);
        assert_eq!(stage.sandbox.uploads().len(), all, "{what}: {report}");
        let now = stage.states();
        assert_eq!(now.values().sum::<usize>(), all, "{what}: {now:?} {report}");
        let whole = now.get("succeeded").copied().unwrap_or(0);
        if with_backup {
            assert!(whole >= FILES, "{what}: {now:?} {report}");
        }
        if what == "middle, no backup" {
            assert!(whole > FILES / 2, "{what}: {now:?} {report}");
        }
    }
    // And it works: what is new goes.
    stage.drop_file("after.txt", "after");
    let _ = stage.cli(&["scan"]);
    assert_eq!(stage.state("after.txt"), "succeeded");
    // What is held goes when a person says so.
    let held = stage.states().get("unconfirmed").copied().unwrap_or(0);
    assert_eq!(held, 3, "those that the backup does not know");
    stage.said(&["retry", "--state", "unconfirmed"]);
    let _ = stage.cli(&["scan"]);
    assert_eq!(stage.states().get("unconfirmed"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_deleted_under_the_daemon_is_saved_and_taken_up_again() {
    let stage = Stage::new().await;
    for (round, what) in [
        (1, &["", "-wal", "-shm"][..]),
        (2, &["-wal"]),
        (3, &["-shm"]),
    ] {
        let daemon = stage.start();
        let name = format!("round{round}.txt");
        stage.drop_file(&name, &name);
        // An answer that is still to come can't be recorded, and the file would go
        // again, on record: also for the late one of the round before.
        daemon.until("all are done", || {
            stage.states() == states(&[("succeeded", 2 * round - 1)])
        });
        for end in what {
            fs::remove_file(stage.path(format!("ledger.sqlite{end}"))).unwrap();
        }
        stage.drop_file(format!("late{round}.txt"), format!("late {round}"));
        let log = failed(daemon);
        assert!(
            log.contains("deleted or replaced while in use"),
            "{what:?}: {log}"
        );
    }
    let daemon = stage.start();
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 6)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 6, "each once");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_unmounted_over_a_restart_takes_no_file_with_it() {
    let mut stage = Stage::new().await;
    let (real, inbox) = (stage.path("real"), stage.path("inbox"));
    fs::create_dir(&real).unwrap();
    let mount = format!("mount --bind {} {}", real.display(), inbox.display());
    let Some(mounts) = Mounts::made_by(&mount) else {
        return;
    };
    stage.behind = mounts.behind();
    // Nothing goes for now.
    faults(&stage, "[[fault]]\nroute = \"import\"\nstatus = 401");
    for n in 0..5 {
        stage.publish(&real.join(format!("n{n}.txt")), words(n, 100));
    }
    let daemon = stage.start();
    daemon.until("all are queued", || {
        stage.states() == states(&[("queued", 5)])
    });
    let ledger = Connection::open(stage.path("ledger.sqlite")).unwrap();
    daemon.until("the mount is on record", || {
        let known = "SELECT count(*) FROM folders WHERE place_mount = 1";
        ledger.query_row(known, [], |row| row.get(0)) == Ok(1)
    });
    drop(ledger);
    assert!(daemon.terminate().success());

    mounts.run(&format!("umount {}", inbox.display()));
    stage.sandbox.set_faults(Vec::new()).unwrap();
    let daemon = stage.start();
    let _ = stage.cli(&["resume"]);
    daemon.until("it is noticed", || {
        daemon.log().contains("not the mount that was there")
    });
    let status = stage.said(&["status"]);
    assert!(
        status.contains("OFFLINE") && status.contains("mount it again"),
        "{status}"
    );
    assert_eq!(stage.states(), states(&[("queued", 5)]), "none is gone");
    assert_eq!(
        stage.cli(&["scan"]).status.code(),
        Some(4),
        "the daemon runs"
    );

    mounts.run(&mount);
    daemon.signal(Signal::USR1);
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    assert!(daemon.terminate().success());
    assert!(!stage.said(&["status"]).contains("OFFLINE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_few_file_descriptors_all_files_go_up() {
    let mut stage = Stage::new().await;
    stage.behind = ["prlimit", "--nofile=48:48"].map(str::to_owned).to_vec();
    drop_some(&stage, "f", 80);
    let daemon = stage.start();
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 80)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 80, "each once");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_no_file_descriptor_is_left_is_found_soon() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    daemon.until("the folder is watched", || {
        daemon.log().contains("watching the folder") && daemon.log().contains("scanned the folder")
    });
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let usual = getrlimit(Resource::Nofile);
    let limit = |current| Rlimit { current, ..usual };
    // Nothing can be opened any more.
    prlimit(pid, Resource::Nofile, limit(Some(3))).unwrap();
    stage.drop_file("new/sub/a.txt", "words");
    daemon.until("it is noticed", || {
        daemon.log().contains("the folder will be scanned again")
            || daemon.log().contains("the folder can't be reached")
    });
    daemon.until("it is said as that", || {
        let log = daemon.log();
        let mut lines = log.lines();
        lines.any(|line| {
            line.contains(
                "the folder can't be reached: no file descriptor is left for this process",
            ) && line.contains("LimitNOFILE=")
        })
    });
    assert!(!daemon.log().contains("no right"), "{}", daemon.log_end());
    prlimit(pid, Resource::Nofile, limit(usual.current)).unwrap();
    // The next scan that is due by itself is an hour away.
    daemon.until("it goes up", || stage.state("new/sub/a.txt") == "succeeded");
    assert!(!daemon.log().contains("Unable to remove"));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_inotify_watches_or_instances_the_folder_is_scanned() {
    for limit in ["max_inotify_watches", "max_inotify_instances"] {
        let mut stage = Stage::new().await;
        let set = format!("echo 1 > /proc/sys/user/{limit}");
        let set = match limit {
            "max_inotify_instances" => set.replace('1', "0"),
            _ => set,
        };
        let permitted = Command::new("unshare")
            .args(["-Ur", "sh", "-ec", &set])
            .output();
        if !permitted.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: a user namespace with limits of its own is not permitted here");
            return;
        }
        let run = format!("{set} && exec \"$@\"");
        stage.behind = ["unshare", "-Ur", "sh", "-c", &run, "sh"]
            .map(str::to_owned)
            .to_vec();
        for n in 0..6 {
            stage.drop_file(format!("sub{n}/f{n}.txt"), words(n, 100));
        }
        let daemon = stage.start();
        daemon.until("it falls back", || {
            daemon
                .log()
                .contains("scanning every 1s instead of watching")
        });
        stage.drop_file("sub3/late.txt", "late");
        stage.behind.clear();
        daemon.until("all are done", || {
            stage.states() == states(&[("succeeded", 7)])
        });
        assert!(daemon.terminate().success(), "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ledgers_on_one_folder_are_warned_of() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    assert!(!stage.said(&["status"]).contains("WARNING"));
    let config = fs::read_to_string(stage.config()).unwrap();
    let other_config = stage.path("other.toml");
    fs::write(
        &other_config,
        config.replace("ledger.sqlite", "other.sqlite"),
    )
    .unwrap();
    let other_log = stage.path("other.log");
    let mut other = Command::new(support::PROGRAM)
        .args(["run", "--config"])
        .arg(&other_config)
        .stderr(File::create(&other_log).unwrap())
        .spawn()
        .unwrap();
    let warning = "another supametas-sync watches this folder";
    daemon.until("the first says it", || daemon.log().contains(warning));
    daemon.until("the second says it", || {
        fs::read_to_string(&other_log).unwrap().contains(warning)
    });
    let status = stage.said(&["status"]);
    let check = stage.said(&["check"]);
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(status.contains(warning), "{status}");
    assert!(check.contains(warning), "{check}");
    assert!(status.contains(&other.id().to_string()), "{status}");
    daemon.until("it is over", || {
        daemon.log().contains("no other process watches the folder")
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_two_gigabytes() {
    let stage = Stage::new().await.set(|s| {
        s.daemon = "shutdown_grace = \"1s\"\n".into();
        s.main("bytes_per_second = \"20MiB\"");
        s.inbox("duplicates = \"upload\"");
    });
    let beside = stage.path("being-made");
    fs::write(&beside, "%PDF-1.7\n").unwrap();
    let file = File::options().write(true).open(&beside).unwrap();
    file.set_len(2_000_000_000).unwrap();
    // With the end of a PDF: else its end would be waited for.
    file.write_all_at(b"\nstartxref\n9\n%%EOF\n", 1_999_999_900)
        .unwrap();
    drop(file);
    let daemon = stage.start();
    fs::rename(&beside, stage.inbox("huge.pdf")).unwrap();
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    let asked = std::time::Instant::now();
    assert!(daemon.terminate().success());
    // At this rate it would take a minute and a half.
    assert!(asked.elapsed() < Duration::from_secs(60));
    assert_eq!(stage.sandbox.uploads().len(), 0);
    assert_eq!(stage.state("huge.pdf"), "queued");
}
