//! What many files have in common is one log line, and their number: the real
//! program with a crowd of files of one kind.
#![allow(clippy::unwrap_used)]

mod support;

use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::{Daemon, Stage};

/// Files of each crowd.
const CROWD: usize = 60;

/// Lines that a log without `debug` has.
fn lines(daemon: &Daemon, with: &str) -> usize {
    daemon
        .log()
        .lines()
        .filter(|line| line.contains(with) && !line.contains(" DEBUG "))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_refused_files_is_one_line() {
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 413\n";
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(fault).unwrap(),
        ..SandboxConfig::default()
    })
    .await;
    for n in 0..CROWD {
        stage.drop_file(format!("{n}.txt"), format!("words {n}"));
        stage.drop_file(format!("{n}.xyz"), [0, 1, 2, n as u8]);
    }
    let daemon = stage.start();
    daemon.until("all have ended", || {
        let states = stage.states();
        let of = |state| states.get(state).copied().unwrap_or(0);
        of("unsupported") == CROWD && of("rejected") + of("queued") == CROWD && of("rejected") > 0
    });
    assert_eq!(lines(&daemon, "not taken: "), 1, "{}", daemon.log());
    assert_eq!(lines(&daemon, "state=rejected"), 1, "{}", daemon.log());
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_files_that_go_away_is_one_line() {
    let fault = "[[fault]]\nroute = \"import\"\nstatus = 503\ntimes = 1\n";
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(fault).unwrap(),
        ..SandboxConfig::default()
    })
    .await;
    for n in 0..CROWD {
        stage.drop_file(format!("{n}.txt"), format!("words {n}"));
    }
    let daemon = stage.start();
    stage.said(&["pause", "all"]);
    daemon.until("all are queued", || {
        stage.states().values().sum::<usize>() == CROWD
    });
    for n in 0..CROWD {
        let _ = std::fs::remove_file(stage.inbox(format!("{n}.txt")));
    }
    stage.said(&["resume", "all"]);
    daemon.until("all that did not go are gone", || {
        !stage.states().contains_key("queued")
    });
    assert!(
        lines(&daemon, "not there any more") <= 1,
        "{}",
        daemon.log()
    );
    assert_eq!(daemon.terminate().code(), Some(0));
}
