//! The whole program: files that are not as files should be, and what people do
//! to a running daemon. docs/guarantees.md has the list, and what is expected.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode};
use rustix::process::Signal;
use supametas_sync::sandbox::{Fault, Outcome, Sandbox};

use support::{Daemon, MAIN_KEY, PROGRAM, Stage, blake3_of, states, text, until, words};

fn faults(stage: &Stage, toml: &str) {
    let faults = Fault::from_toml(toml).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
}

fn close(path: &std::path::Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

fn open(path: &std::path::Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

/// Has the next program that is executed obey the rights of files, as any user
/// but root does.
fn obey_rights(command: &mut Command) {
    let drop = || {
        for capability in [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH] {
            // SAFETY: changes this process alone, takes no pointers. Refused to
            // who is not root, and needs it not.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes two system calls and nothing else.
    unsafe { command.pre_exec(drop) };
}

/// See capability.h.
const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;

/// A daemon that may not read what is closed to it. `None`: not to be had here.
fn start_obeying(stage: &Stage) -> Option<Daemon> {
    let daemon = stage.spawn_changed(&["run"], obey_rights);
    daemon.until("the daemon runs", || daemon.log().contains(" running "));
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|l| l.starts_with("CapEff:")).unwrap();
    let rights = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
    if rights & (1 << CAP_DAC_OVERRIDE) != 0 {
        eprintln!("skipped: root can't give up its right to read everything here");
        return None;
    }
    Some(daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_is_seen_and_goes_when_it_can_be() {
    let stage = Stage::new().await;
    let Some(daemon) = start_obeying(&stage) else {
        return;
    };
    for name in ["closed.txt", "deleted.txt"] {
        fs::write(stage.path("beside"), name).unwrap();
        close(&stage.path("beside"));
        fs::rename(stage.path("beside"), stage.inbox(name)).unwrap();
    }
    daemon.until("both are in the ledger", || {
        stage.states() == states(&[("queued", 2)])
    });
    let file = stage.file("closed.txt").unwrap();
    assert_eq!(file["code"], "UNREADABLE", "{file:#}");
    assert!(text(&file, "why").contains("grant read"), "{file:#}");
    let table = stage.said(&["list"]);
    assert!(table.contains("no right to read it"), "{table}");

    open(&stage.inbox("closed.txt"));
    fs::remove_file(stage.inbox("deleted.txt")).unwrap();
    // Each is looked at again within a minute and a half; this is sooner.
    stage.said(&["retry", "closed.txt"]);
    stage.said(&["retry", "deleted.txt"]);
    daemon.until("one went, and one is gone", || {
        stage.states() == states(&[("succeeded", 1), ("gone", 1)])
    });
    assert_eq!(stage.uploads_of("closed.txt").len(), 1);
    assert!(stage.file("closed.txt").unwrap()["code"] != "UNREADABLE");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_deleted_or_closed_while_it_is_sent() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"1MiB\"");
    });
    let Some(daemon) = start_obeying(&stage) else {
        return;
    };
    for (n, name) in ["deleted.txt", "closed.txt"].iter().enumerate() {
        stage.drop_file(name, words(n as u64, 1_500_000));
    }
    daemon.until("both are on the wire", || {
        stage.sandbox.counts().in_flight == 2
    });
    fs::remove_file(stage.inbox("deleted.txt")).unwrap();
    close(&stage.inbox("closed.txt"));
    daemon.until("both have ended", || {
        stage.state("deleted.txt") == "gone" && stage.state("closed.txt") == "succeeded"
    });
    // The one was never whole at the service; the other was open already, and
    // is what was dropped.
    assert!(stage.uploads_of("deleted.txt").is_empty());
    let sent = stage.uploads_of("closed.txt");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].blake3, Some(blake3_of(&words(1, 1_500_000))));
    assert!(daemon.terminate().success());
}

/// Bytes that the process has read by system calls, of whatever kind.
fn bytes_read(daemon: &Daemon) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", daemon.pid())).unwrap();
    let line = io.lines().find(|l| l.starts_with("rchar:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_no_size_of_every_size_and_no_files_at_all() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("first.txt", "first");
    daemon.until("the first is done", || {
        stage.state("first.txt") == "succeeded"
    });
    let before = bytes_read(&daemon);

    const TIB: u64 = 1 << 40;
    let sparse = File::create(stage.path("beside")).unwrap();
    let holes = sparse.set_len(TIB).is_ok();
    drop(sparse);
    if holes {
        fs::rename(stage.path("beside"), stage.inbox("sparse.txt")).unwrap();
    } else {
        eprintln!("skipped: this file system has no files of 1 TiB");
    }
    stage.drop_file("empty.txt", "");
    let long = format!("{}.txt", "n".repeat(251));
    stage.drop_file(&long, "a name of 255 bytes");

    symlink("/etc/shadow", stage.inbox("shadow.txt")).unwrap();
    let _socket = UnixListener::bind(stage.inbox("socket.txt")).unwrap();
    rustix::fs::mkfifoat(CWD, stage.inbox("fifo.txt"), Mode::RUSR).unwrap();
    let device = rustix::fs::makedev(1, 5);
    let zero = stage.inbox("zero.txt");
    if rustix::fs::mknodat(CWD, &zero, FileType::CharacterDevice, Mode::RUSR, device).is_err() {
        eprintln!("skipped: no device can be made here");
    }
    daemon.signal(Signal::USR1);
    stage.drop_file("last.txt", "last");
    daemon.until("the last is done, and what went before it", || {
        stage.state("last.txt") == "succeeded"
            && stage.state(&long) == "succeeded"
            && stage.state("empty.txt") == "unsupported"
            && (!holes || stage.state("sparse.txt") == "unsupported")
    });
    assert_eq!(stage.list().len(), 4 + usize::from(holes));
    if holes {
        let why = text(&stage.file("sparse.txt").unwrap(), "detail");
        assert!(why.contains("max_size"), "{why}");
    }
    let read = bytes_read(&daemon) - before;
    assert!(read < 64 << 20, "{read} bytes were read");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_written_at_the_start_and_closed_and_opened_again() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("quiet = \"3s\"");
    });
    let content = words(4, 40_000);
    let mut writer = File::create(stage.inbox("half.txt")).unwrap();
    writer.write_all(&content[..20_000]).unwrap();
    let daemon = stage.start();
    // Closed, and opened again within the quiet time.
    fs::write(stage.inbox("again.txt"), &content[..10_000]).unwrap();
    let mut again = File::options()
        .append(true)
        .open(stage.inbox("again.txt"))
        .unwrap();
    // A pause that is longer than the quiet time, with both open.
    std::thread::sleep(Duration::from_secs(5));
    stage.drop_file("between.txt", "between");
    daemon.until("another is done", || {
        stage.state("between.txt") == "succeeded"
    });
    assert_eq!(stage.list().len(), 1, "what is open is not taken");
    writer.write_all(&content[20_000..]).unwrap();
    again.write_all(&content[10_000..]).unwrap();
    drop((writer, again));
    daemon.until("both are done", || {
        stage.state("half.txt") == "succeeded"
            && ["succeeded", "duplicate"].contains(&&*stage.state("again.txt"))
            || stage.state("again.txt") == "succeeded" && stage.state("half.txt") == "duplicate"
    });
    let sent = stage.sandbox.uploads();
    let whole = blake3_of(&content);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[1].blake3, Some(whole));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_leaves_the_configuration_keeps_its_work() {
    let mut stage = Stage::new().await.set(|s| {
        s.folder("second", "main", "");
    });
    faults(&stage, "[[fault]]\nfile = \"s*\"\ncode = \"OPS40001\"");
    let daemon = stage.start();
    for n in 0..3 {
        stage.publish(&stage.path(format!("second/s{n}.txt")), words(n, 90));
    }
    daemon.until("its route is paused", || {
        stage.said(&["status"]).contains("PAUSED     route:second")
            && stage.states() == states(&[("queued", 3)])
    });
    let second = stage.settings.folders.pop().unwrap();
    stage.write();
    daemon.signal(Signal::HUP);
    daemon.until("the reload", || {
        daemon.log().contains("configuration reloaded")
    });
    faults(&stage, "");
    stage.drop_file("other.txt", "other");
    daemon.until("the other folder goes on", || {
        stage.state("other.txt") == "succeeded"
    });
    assert_eq!(
        stage.states(),
        states(&[("queued", 3), ("succeeded", 1)]),
        "nothing of it is sent, and nothing is forgotten"
    );
    let status = stage.said(&["status"]);
    assert!(status.contains("second"), "{status}");

    stage.settings.folders.push(second);
    stage.write();
    daemon.signal(Signal::HUP);
    stage.said(&["resume"]);
    daemon.until("its files go when it is back", || {
        stage.states() == states(&[("succeeded", 4)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 4);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_for_queries_gives_up_no_task() {
    let mut stage = Stage::new().await.set(|s| {
        s.service = "paths.query = \"/wrong\"".into();
    });
    let daemon = stage.start();
    for n in 0..5 {
        stage.drop_file(format!("n{n}.txt"), words(n, 90));
    }
    daemon.until("each was asked about often", || {
        let requests = stage.sandbox.requests();
        requests
            .iter()
            .filter(|r| r.path.ends_with("/wrong"))
            .count()
            >= 40
    });
    assert_eq!(stage.states(), states(&[("submitted", 5)]));
    stage.settings.service.clear();
    stage.write();
    daemon.signal(Signal::HUP);
    daemon.until("all are followed to their end", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_knows_no_task_gives_up_none() {
    let mut stage = Stage::new().await;
    let old = Sandbox::fingerprint(MAIN_KEY);
    faults(
        &stage,
        &format!("[[fault]]\nroute = \"query\"\nkey = \"{old}\"\ntask_state = \"PENDING\""),
    );
    let daemon = stage.start();
    stage.drop_file("a.txt", "a");
    daemon.until("it is submitted", || stage.state("a.txt") == "submitted");
    stage.settings.datasets[0].1 = "sk-of-another-dataset".into();
    stage.write();
    daemon.signal(Signal::HUP);
    let asked = || {
        let requests = stage.sandbox.requests();
        requests
            .iter()
            .filter(|r| r.status == Outcome::Answered(404))
            .count()
    };
    daemon.until("it was asked about often", || asked() >= 8);
    assert_eq!(stage.state("a.txt"), "submitted");
    faults(&stage, "");
    stage.settings.datasets[0].1 = MAIN_KEY.into();
    stage.write();
    daemon.signal(Signal::HUP);
    daemon.until("with its own key it is followed to its end", || {
        stage.state("a.txt") == "succeeded"
    });
    assert_eq!(stage.sandbox.uploads().len(), 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_daemon_writes_is_for_its_user_alone() {
    let stage = Stage::new().await;
    let daemon = stage.spawn_changed(&["run"], |command| {
        let all = || {
            // SAFETY: sets a number of this process; can't fail.
            unsafe { libc::umask(0) };
            Ok(())
        };
        // SAFETY: between fork and exec it makes one system call.
        unsafe { command.pre_exec(all) };
    });
    daemon.until("the daemon runs", || daemon.log().contains(" running "));
    stage.drop_file("a.txt", "a");
    daemon.until("a file is done", || stage.state("a.txt") == "succeeded");
    let mut seen = 0;
    for entry in fs::read_dir(stage.path("")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("ledger") {
            let mode = entry.metadata().unwrap().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "the ledger, its log and its lock: {seen}");
    assert!(daemon.terminate().success());
}

#[test]
fn no_core_is_written_and_no_other_process_looks_in() {
    // By another user's hand, where root is to be had: what it may not look
    // into belongs to root, whoever runs it.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("supametas-sync");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(["sandbox", "--port", "0"]);
    let root = rustix::process::geteuid().is_root();
    if root {
        command.uid(65_534).gid(65_534);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let no_core = |text: &str| {
        let line = text.lines().find(|l| l.starts_with("Max core file size"));
        line.is_some_and(|l| l.split_whitespace().filter(|word| *word == "0").count() == 2)
    };
    until("no core is allowed", || {
        fs::read_to_string(&limits).is_ok_and(|text| no_core(&text))
    });
    if root {
        until("it is not dumpable", || {
            fs::metadata(&limits).is_ok_and(|about| about.uid() == 0)
        });
    } else {
        eprintln!("skipped: whether it is dumpable only root can tell by another user");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
