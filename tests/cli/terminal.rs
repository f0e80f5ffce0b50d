//! On a real terminal: questions are asked and answered, and long work shows
//! how far it is, on standard error alone.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use supametas_sync::sandbox::{Fault, SandboxConfig};
use unicode_width::UnicodeWidthStr;

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

/// Runs a command at a terminal, and types `answer` once it asks. Its standard
/// output goes into a pipe.
fn at_a_terminal(stage: &Stage, args: &[&str], answer: &[u8]) -> Sat {
    run_at(stage, args, answer, None, &[])
}

/// What a command shows on a terminal of so many columns in the time zone CET.
fn on_a_screen(stage: &Stage, args: &[&str], columns: u16, more: &[(&str, &str)]) -> String {
    let env = [
        &[("TZ", "CET-1"), ("TERM", "xterm"), ("NO_COLOR", "")],
        more,
    ]
    .concat();
    let sat = run_at(stage, args, b"", Some(columns), &env);
    assert_eq!(sat.code, Some(0), "{sat:?}");
    sat.terminal.replace("\r\n", "\n")
}

/// `columns`: standard output goes to the terminal, too, which has so many.
fn run_at(
    stage: &Stage,
    args: &[&str],
    answer: &[u8],
    columns: Option<u16>,
    env: &[(&str, &str)],
) -> Sat {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = name.to_str().unwrap();
    let open = || File::options().read(true).write(true).open(name).unwrap();
    // Some systems forget the size with the last one who has it open.
    let size = columns.map(|columns| {
        let terminal = open();
        let size = Winsize {
            ws_row: 40,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        terminal
    });
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
    session.envs(env.iter().copied());
    let to_a_pipe = columns.is_none();
    session.stdout(match to_a_pipe {
        true => Stdio::piped(),
        false => open().into(),
    });
    let mut child = session.stdin(open()).stderr(open()).spawn().unwrap();
    // The command holds the terminal now, and alone.
    drop((session, size));
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
    if let Some(mut piped) = child.stdout.take() {
        piped.read_to_string(&mut out).unwrap();
    }
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

/// Without its colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

fn widest(text: &str) -> usize {
    text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// Without spaces and line ends: whatever was wrapped is one again.
fn joined(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Dropped and taken, or not: with names of every width.
async fn with_files() -> Stage {
    let stage = Stage::new().await;
    stage.drop_file("季度报告-二零二六年第四季度-最终版本-请勿修改.txt", "words");
    stage.drop_file("👩‍🔬🎉 party.txt", "more words");
    stage.drop_file(
        "a name that is rather long for what it is.doc",
        "no document",
    );
    let output = stage.cli(&["scan"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_a_terminal_of_60_columns_whatever_the_names() {
    let stage = with_files().await;
    for args in [&["list"][..], &["list", "--attention"]] {
        let screen = plain(&on_a_screen(&stage, args, 60, &[]));
        assert!(widest(&screen) <= 60, "{screen}");
        assert!(screen.contains("unsupported"), "{screen}");
    }
    let list = joined(&plain(&on_a_screen(&stage, &["list"], 60, &[])));
    for part in ["季度报告-二零二六年第四季度", "👩‍🔬🎉party.txt"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    // The reason is whole where it is asked for.
    let listed = stage.cli(&["list", "--attention", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let reason = joined(listed[0]["detail"].as_str().unwrap());
    let attention = joined(&plain(&on_a_screen(
        &stage,
        &["list", "--attention"],
        60,
        &[],
    )));
    assert!(
        reason.len() > 60 && attention.contains(&reason),
        "{reason}\n{attention}"
    );
    // What comes before the table is sentences, which the terminal wraps.
    let status = plain(&on_a_screen(&stage, &["status"], 60, &[]));
    let table = status.split("\n\n").nth(1).unwrap();
    assert!(
        table.contains("unsupported") && widest(table) <= 60,
        "{status}"
    );
    let errors = plain(&on_a_screen(&stage, &["errors"], 80, &[]));
    assert!(widest(&errors) <= 80, "{errors}");
    let of_429 = errors.split("\n429").nth(1).unwrap();
    for heading in ["for the file", "who waits", "meaning", "what to do"] {
        assert!(of_429.contains(heading), "{heading}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn states_have_colours_on_a_terminal_unless_no_color_says_no() {
    let stage = with_files().await;
    let path = stage.inbox("a name that is rather long for what it is.doc");
    let explain = ["explain", path.to_str().unwrap()];
    for (args, painted) in [
        (&["list"][..], "unsupported\u{1b}["),
        (&["show", "party"], "\u{1b}[32msucceeded\u{1b}[0m"),
        (&explain, "\u{1b}[32mok\u{1b}[0m"),
        (&["check"], "\u{1b}[2mnote: \u{1b}[0m"),
    ] {
        let screen = on_a_screen(&stage, args, 120, &[]);
        assert!(screen.contains(painted), "{args:?}: {screen:?}");
        for no in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let screen = on_a_screen(&stage, args, 120, &[no]);
            assert!(!screen.contains('\u{1b}'), "{args:?}: {screen:?}");
        }
        let piped = stage.cli(args);
        assert!(!piped.stdout.contains(&0x1b), "{args:?}: {piped:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_local_on_a_terminal_and_utc_elsewhere() {
    let stage = with_files().await;
    let show = ["show", "1"];
    let screen = plain(&on_a_screen(&stage, &show, 120, &[]));
    assert!(screen.contains(" CET  seen"), "{screen}");
    assert!(!screen.contains("Z  seen"), "{screen}");
    let piped = String::from_utf8(stage.cli(&show).stdout).unwrap();
    assert!(
        piped.contains("Z  seen") && !piped.contains("CET"),
        "{piped}"
    );
    // For scripts there is one time, whoever looks.
    let json = plain(&on_a_screen(&stage, &["show", "1", "--json"], 120, &[]));
    assert!(json.contains("Z\"") && !json.contains("CET"), "{json}");
}

/// What a newcomer sees who stays: how long it takes, and the page's address again
/// after the log has pushed it off the terminal.
#[tokio::test(flavor = "multi_thread")]
async fn try_says_how_long_it_takes_and_where_the_page_is_again() {
    let stage = Stage::new().await;
    let folder = stage.path("drop");
    let folder = folder.to_str().unwrap();
    let args = ["try", folder, "--once", "--pending-for", "8s"];
    let sat = at_a_terminal(&stage, &args, b"");
    assert_eq!(sat.code, Some(0), "{sat:?}");
    let page = sat.out.lines().find(|l| l.starts_with("The page is at"));
    let page = page.unwrap();
    assert!(sat.terminal.contains(page), "not said again: {sat:?}");
    assert!(sat.terminal.contains("0 of 6 confirmed, "), "{sat:?}");
    assert!(sat.terminal.contains(" a second, "), "{sat:?}");
}
