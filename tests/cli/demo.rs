//! `try` and `sandbox`: what a newcomer starts with.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::http::by_tcp;
use crate::support::{PROGRAM, until};

fn program(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .env_remove("SUPAMETAS_LOG")
        // Neither asks for a configuration.
        .env("SUPAMETAS_CONFIG", "/no/such/config.toml");
    command
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn try_shows_files_going_and_ends_by_itself_twice() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["try", "--once", "--pending-for", "200ms"];
    let output = program(&args, dir.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{shown}");
    assert!(
        said.contains("Stopped: 6 succeeded, 1 unsupported."),
        "{said}"
    );
    assert!(said.contains("supametas-try/ledger.sqlite"), "{said}");
    assert!(!shown.contains('\u{1b}'), "colours in a pipe:\n{shown}");
    for state in [
        "queued       as text",
        "submitted    task ",
        "succeeded    task ",
    ] {
        let line = format!("  report.pdf            {state}");
        assert!(shown.contains(&line), "no {line:?} in\n{shown}");
    }
    assert!(
        shown.contains("  old.doc               unsupported  "),
        "{shown}"
    );
    assert!(shown.lines().count() <= 25, "not short:\n{shown}");

    let output = program(&args, dir.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Stopped: 6 succeeded, 1 unsupported."),
        "{said}"
    );

    // What it says to look with works.
    let config = dir.path().join("supametas-try/config.toml");
    let list = program(&["list", "--config"], dir.path())
        .arg(config)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&list.stdout).contains("drop/report.pdf"));
}

#[test]
fn try_takes_a_folder_and_stops_at_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut child = program(&["try", "some folder", "--no-samples"], dir.path())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("Drop files into") && line.contains("some folder"),
        "{line}"
    );
    fs::write(dir.path().join("some folder/mine.txt"), "words").unwrap();
    until("the upload of mine.txt", || {
        fs::read_to_string(&log).unwrap().contains("submitted")
    });
    while !line.starts_with("The page is at") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it names no page");
    }
    let page = line.split("http://").nth(1).unwrap().split('/').next();
    let page = by_tcp(page.unwrap(), "GET", "/", "", "");
    assert!(page.body.contains("supametas-sync"), "{page:?}");
    let token = dir.path().join("some folder.supametas/token");
    let token = fs::metadata(token).unwrap();
    assert_eq!((token.len(), token.mode() & 0o777), (32, 0o600));
    signal(&child, Signal::INT);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        rest.contains("some folder.supametas/ledger.sqlite"),
        "{rest}"
    );
    assert!(
        rest.contains("Look into it:") && rest.contains("some folder.supametas/config.toml'"),
        "{rest}"
    );
}

/// A `try` that runs, its log in a file.
fn begun(dir: &Path, more: &[&str], log: &Path) -> Child {
    program(&[&["try", "drop"], more].concat(), dir)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log).unwrap())
        .spawn()
        .unwrap()
}

/// A `try` that ends by itself: what it said, and its exit code.
fn ended(dir: &Path, more: &[&str]) -> (String, i32) {
    let output = program(&[&["try", "drop"], more].concat(), dir)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (said, output.status.code().unwrap())
}

#[test]
fn the_next_try_goes_on_where_the_last_one_stopped_however_that_was() {
    const FILES: usize = 40;
    for stop in [Signal::INT, Signal::KILL] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir(dir.join("drop")).unwrap();
        for n in 0..FILES {
            fs::write(dir.join(format!("drop/{n}.txt")), format!("words {n}")).unwrap();
        }
        let log = dir.join("log");
        let mut first = begun(dir, &["--pending-for", "1h"], &log);
        until("all are at the service", || {
            let log = fs::read_to_string(&log).unwrap();
            log.matches(" submitted ").count() == FILES
        });
        signal(&first, stop);
        first.wait().unwrap();

        let (said, code) = ended(dir, &["--once", "--pending-for", "100ms"]);
        assert_eq!(code, 0, "{said}");
        let goes_on = "It goes on where the last one stopped: 40 submitted.";
        assert!(said.contains(goes_on), "{stop:?}: {said}");
        let tasks = fs::metadata(dir.join("drop.supametas/emulator.sqlite")).unwrap();
        assert_eq!(tasks.mode() & 0o777, 0o600);
        assert!(said.contains("Stopped: 40 succeeded."), "{stop:?}: {said}");
        assert!(!said.contains(" submitted "), "sent again: {said}");
        // Nothing is left to go on with.
        let (said, code) = ended(dir, &["--once"]);
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains("It goes on"), "{said}");
    }
}

#[test]
fn begun_anew_it_deletes_what_try_has_made_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let beside = dir.join("drop.supametas");
    let once = ["--once", "--pending-for", "100ms"];
    fs::create_dir(dir.join("drop")).unwrap();
    fs::write(dir.join("drop/mine.txt"), "words").unwrap();
    let (said, _) = ended(dir, &once);
    assert!(said.contains("Stopped: 1 succeeded."), "{said}");
    for name in ["notes.txt", "ledger.sqlite.mine", "emulator.sqlite.mine"] {
        fs::write(beside.join(name), name).unwrap();
    }
    let token = fs::read(beside.join("token")).unwrap();
    let (said, code) = ended(dir, &[&once[..], &["--fresh"]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("mine.txt"), "it is taken again: {said}");
    assert!(said.contains("Stopped: 1 succeeded."), "{said}");
    assert!(dir.join("drop/mine.txt").exists());
    assert_ne!(fs::read(beside.join("token")).unwrap(), token);
    for name in ["notes.txt", "ledger.sqlite.mine", "emulator.sqlite.mine"] {
        assert_eq!(fs::read_to_string(beside.join(name)).unwrap(), name);
    }

    // What is not of a `try` is not touched, with or without the option.
    fs::write(beside.join("config.toml"), "# mine\n").unwrap();
    for more in [&once[..], &["--fresh"]] {
        let (said, code) = ended(dir, more);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("was not written by `try`"), "{said}");
    }
    assert_eq!(fs::read(beside.join("config.toml")).unwrap(), b"# mine\n");
    fs::remove_file(beside.join("config.toml")).unwrap();
    let (said, code) = ended(dir, &["--fresh"]);
    assert_eq!(code, 1, "{said}");
    assert!(beside.join("ledger.sqlite").exists(), "{said}");
}

#[test]
fn two_at_once_in_one_folder_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = dir.join("log");
    let mut first = begun(dir, &[], &log);
    until("the samples are at the service", || {
        fs::read_to_string(&log).unwrap().contains(" submitted ")
    });
    let own = |name: &str| fs::read(dir.join("drop.supametas").join(name)).unwrap();
    let before = (own("config.toml"), own("token"));
    for more in [&["--once"][..], &["--fresh"]] {
        let (said, code) = ended(dir, more);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains("another `try` works on"), "{said}");
    }
    assert_eq!((own("config.toml"), own("token")), before);
    signal(&first, Signal::INT);
    assert!(first.wait().unwrap().success());
}

#[test]
fn the_sandbox_names_its_address_and_ends_at_either_signal() {
    let dir = tempfile::tempdir().unwrap();
    for end in [Signal::INT, Signal::TERM] {
        let mut child = program(&["sandbox", "--port", "0"], dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("base_url = \"http://127.0.0.1:"), "{line}");
        signal(&child, end);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{end:?}");
    }
}
