//! `status`, with a daemon and without one, once and watching.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::support::{MAIN_KEY, SOON, Stage, until};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_daemon_it_says_what_is_live() {
    let stage = Stage::new().await.set(|s| {
        s.folder("away", "main", "");
    });
    fs::remove_dir(stage.path("away")).unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("all is told", || {
        let status = stage.said(&["status"]);
        status.contains("1 succeeded")
            && status.contains("OFFLINE for ")
            && status.contains("watched")
    });
    let status = stage.said(&["status"]);
    for part in [
        "running for ",
        ", version ",
        "lately     1 file and 5",
        " ago ",
        "nothing at its path",
    ] {
        assert!(status.contains(part), "{part:?}\n{status}");
    }
    assert!(!status.contains(MAIN_KEY));
    let json: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    assert_eq!(json["running"], true);
    assert_eq!(json["daemon"]["rates"][0]["files"], 1);
    assert_eq!(daemon.terminate().code(), Some(0));

    let status = stage.said(&["status"]);
    assert!(
        status.contains("not running: `supametas-sync run` starts it")
            && !status.contains("watched"),
        "{status}"
    );
    assert!(status.contains("1 succeeded"), "{status}");
    let json: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    assert_eq!(json["running"], false);
    assert!(
        json["daemon"].is_null() && json["folders"][0]["live"].is_null(),
        "{json:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_into_a_pipe_repeats_and_ends_well() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let out = stage.path("watched.txt");
    let mut child = stage
        .command(&["status", "--watch", "--every", "100ms"])
        .stdout(File::create(&out).unwrap())
        .spawn()
        .unwrap();
    let shown = || fs::read_to_string(&out).unwrap();
    until("several pictures", || {
        shown().matches("daemon     running for").count() >= 3
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!shown().contains('\u{1b}'), "no terminal, no sequences");

    let lines = stage.path("watched.json");
    let mut child = stage
        .command(&["status", "--watch", "--json", "--every", "100ms"])
        .stdout(File::create(&lines).unwrap())
        .spawn()
        .unwrap();
    until("several lines", || {
        fs::read_to_string(&lines).unwrap().lines().count() >= 3
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for line in fs::read_to_string(&lines).unwrap().lines() {
        let told: Value = serde_json::from_str(line).unwrap();
        assert_eq!(told["running"], true);
    }
    // A reader that has gone away ends it, too.
    let mut child = stage
        .command(&["status", "--watch", "--every", "100ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_on_a_terminal_draws_in_place_and_gives_it_back() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut child = stage
        .command(&["status", "--watch", "--every", "100ms"])
        .stdout(terminal)
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let mut master = File::from(master);
    let mut seen = String::new();
    let mut asked = false;
    let end = Instant::now() + SOON;
    let mut bytes = [0; 4096];
    loop {
        // An error: the other side is closed.
        match master.read(&mut bytes) {
            Ok(n) if n > 0 => seen.push_str(&String::from_utf8_lossy(&bytes[..n])),
            _ => break,
        }
        if !asked && seen.matches("\u{1b}[H").count() >= 3 {
            asked = true;
            kill_process(pid, Signal::INT).unwrap();
        }
        assert!(Instant::now() < end, "{seen:?}");
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let _ = master.flush();
    assert!(seen.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{seen:?}");
    assert!(seen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{seen:?}");
    assert!(seen.contains("running for"), "{seen:?}");
    assert_eq!(daemon.terminate().code(), Some(0));
}
