//! On a real terminal: questions are asked and answered, and long work shows
//! how far it is, on standard error alone.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::{SOON, Stage};

/// What a command came to on a terminal.
#[derive(Debug)]
struct Sat {
    code: Option<i32>,
    /// What was on the terminal: standard error, and what was typed.
    terminal: String,
    /// Standard output, which went into a pipe.
    out: String,
}

/// Runs a command at a terminal, and types `answer` once it asks.
fn at_a_terminal(stage: &Stage, args: &[&str], answer: &[u8]) -> Sat {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = name.to_str().unwrap();
    let open = || File::options().read(true).write(true).open(name).unwrap();
    // The terminal of its session, so that Ctrl-C reaches it.
    let command = stage.command(args);
    let mut session = std::process::Command::new("setsid");
    session.args(["--ctty", "--wait"]);
    // Whoever was started in the background ignores Ctrl-C, and hands that on.
    session.args(["env", "--default-signal=INT"]);
    session.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    let mut child = session
        .stdin(open())
        .stderr(open())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The command holds the terminal now, and alone.
    drop(session);
    let (told, heard) = mpsc::channel();
    let mut reader = File::from(OwnedFd::try_clone(&master).unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // An error: the other side is closed.
        while let Ok(n) = reader.read(&mut bytes) {
            if n == 0 || told.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut master = File::from(master);
    let mut terminal = String::new();
    let mut answered = false;
    let end = Instant::now() + SOON;
    loop {
        match heard.recv_timeout(Duration::from_millis(50)) {
            Ok(bytes) => terminal.push_str(&String::from_utf8_lossy(&bytes)),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if !answered && terminal.contains("[y/N] ") {
            answered = true;
            master.write_all(answer).unwrap();
        }
        assert!(Instant::now() < end, "{terminal:?}");
    }
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let status = child.wait().unwrap();
    Sat {
        code: status.code(),
        terminal,
        out,
    }
}

/// What is no yes: a no, an empty line, the end of input, Ctrl-C.
const NO: [&[u8]; 4] = [b"n\n", b"\n", b"\x04", b"\x03"];

/// Asks with every answer; only the last, a yes, may change anything.
fn asked(stage: &Stage, args: &[&str], question: &str, state: impl Fn() -> usize) {
    let before = state();
    for answer in NO {
        let sat = at_a_terminal(stage, args, answer);
        assert!(sat.terminal.contains(question), "{answer:?}: {sat:?}");
        assert_ne!(sat.code, Some(0), "{answer:?}: {sat:?}");
        assert!(sat.out.is_empty(), "{answer:?}: {sat:?}");
        assert_eq!(state(), before, "{answer:?}: {sat:?}");
        // Ctrl-C ends it by its signal; else it says that nothing was done.
        let said = sat.terminal.contains("nothing was done");
        assert_eq!(said, answer != b"\x03", "{answer:?}: {sat:?}");
    }
    let sat = at_a_terminal(stage, args, b"yes\n");
    assert!(sat.terminal.contains(question), "{sat:?}");
    assert_eq!(sat.code, Some(0), "{sat:?}");
    assert_ne!(state(), before, "{sat:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_and_forget_ask_and_take_only_a_yes() {
    let stage = Stage::new().await;
    for n in 0..21 {
        stage.drop_file(format!("{n}.doc"), format!("no document {n}"));
    }
    stage.cli(&["scan"]);
    let count = |state: &str| stage.states().get(state).copied().unwrap_or(0);
    assert_eq!(count("unsupported"), 21);
    asked(&stage, &["retry", "--all"], "Send 21 files again?", || {
        count("unsupported")
    });
    assert_eq!(count("queued"), 21);
    for n in 0..21 {
        fs::remove_file(stage.inbox(format!("{n}.doc"))).unwrap();
    }
    let forget = ["forget", "--state", "queued"];
    asked(&stage, &forget, "Forget 21 files?", || count("queued"));
    assert!(stage.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_asks_and_takes_only_a_yes() {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::from_secs(3_600),
        ..SandboxConfig::default()
    })
    .await;
    stage.drop_file("a.txt", "one");
    stage.drop_file("b.txt", "two");
    let count = || stage.states().get("submitted").copied().unwrap_or(0);
    let daemon = stage.start();
    daemon.until("both are at the service", || count() == 2);
    assert_eq!(daemon.terminate().code(), Some(0));
    let cancel = ["cancel", "--folder", "inbox"];
    asked(&stage, &cancel, "Have 2 tasks deleted?", count);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_drawn_on_a_terminal_alone_and_cleared() {
    let stage = Stage::new().await;
    for n in 0..2_000 {
        fs::write(stage.inbox(format!("{n}\u{1b}]0;evil.txt")), "x").unwrap();
    }
    let args = ["scan", "--dry-run"];
    let sat = at_a_terminal(&stage, &args, b"");
    assert_eq!(sat.code, Some(0), "{sat:?}");
    assert!(sat.terminal.contains("walk"), "{sat:?}");
    assert!(!sat.terminal.contains("evil"), "{sat:?}");
    // The line is gone before anything is said.
    let cleared = sat.terminal.rfind("\u{1b}[2K").unwrap();
    let drawn = sat.terminal.rfind("walk").unwrap();
    assert!(cleared > drawn, "{sat:?}");
    assert!(!sat.out.contains('\u{1b}'), "{}", sat.out);

    for args in [&args[..], &["scan", "--dry-run", "--json"]] {
        let output = stage.cli(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains('\u{1b}') && !said.contains("walk"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_says_how_far_it_is_beside_its_log() {
    let stage = Stage::new().await;
    // Long enough on the wire to be seen there.
    let slow = "[[fault]]\nroute = \"import\"\ndelay_ms = 2500\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(slow).unwrap())
        .unwrap();
    stage.drop_file("a\u{1b}]0;evil.txt", "words");
    let sat = at_a_terminal(&stage, &["scan"], b"");
    assert_eq!(sat.code, Some(0), "{sat:?}");
    assert!(sat.terminal.contains("1 uploading ("), "{sat:?}");
    assert!(!sat.terminal.contains("\u{1b}]0;evil"), "{sat:?}");
    let cleared = sat.terminal.rfind("\u{1b}[2K").unwrap();
    let drawn = sat.terminal.rfind("uploading (").unwrap();
    assert!(cleared > drawn, "{sat:?}");
    assert!(!sat.out.contains('\u{1b}'), "{}", sat.out);

    let said = String::from_utf8_lossy(&stage.cli(&["scan"]).stderr).into_owned();
    assert!(!said.contains('\u{1b}'), "{said}");
}
