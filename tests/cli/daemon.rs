//! The daemon from outside: signals, logs, the service manager, the key.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use supametas_sync::sandbox::{Fault, SandboxConfig};

use crate::support::{Daemon, MAIN_KEY, Stage, until, words};

/// A stage whose imports are answered so late.
async fn late(ms: u64) -> Stage {
    let fault = format!("[[fault]]\nroute = \"import\"\ndelay_ms = {ms}\n");
    Stage::with(SandboxConfig {
        faults: Fault::from_toml(&fault).unwrap(),
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await
}

fn on_the_wire(stage: &Stage, daemon: &Daemon) {
    daemon.until("an upload on the wire", || {
        stage.sandbox.counts().uploads > 0 || stage.state("slow.txt") == "uploading"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_on_the_wire() {
    let stage = late(2_000).await;
    let daemon = stage.start();
    stage.drop_file("slow.txt", "words");
    on_the_wire(&stage, &daemon);
    assert_eq!(stage.state("slow.txt"), "uploading");
    assert_eq!(daemon.terminate().code(), Some(0));
    assert_eq!(stage.state("slow.txt"), "submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cuts_what_takes_longer_than_the_grace() {
    let stage = late(60_000).await.set(|s| {
        s.daemon = "shutdown_grace = \"300ms\"".into();
    });
    let daemon = stage.start();
    stage.drop_file("slow.txt", "words");
    on_the_wire(&stage, &daemon);
    let began = Instant::now();
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // The service may have it: it is not simply queued again.
    let file = stage.file("slow.txt").unwrap();
    let doubted = file["possible_duplicate"] == true
        || file["state"] == "uploading"
        || file["state"] == "unconfirmed";
    assert!(doubted, "{file:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let stage = late(60_000).await.set(|s| {
        s.daemon = "shutdown_grace = \"60s\"".into();
    });
    let daemon = stage.start();
    stage.drop_file("slow.txt", "words");
    on_the_wire(&stage, &daemon);
    daemon.signal(Signal::INT);
    daemon.until("the first signal", || daemon.log().contains("stopping"));
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_new_folders_and_keys_and_drops_no_upload() {
    let stage = late(1_500).await;
    let daemon = stage.start();
    stage.drop_file("slow.txt", "words");
    on_the_wire(&stage, &daemon);
    let stage = stage.set(|s| {
        s.folder("second", "main", "");
        s.datasets[0].1 = "sk-the-new-key".into();
    });
    daemon.signal(Signal::HUP);
    daemon.until("the reload", || {
        daemon.log().contains("configuration reloaded")
    });
    stage.publish(&stage.path("second/new.txt"), "other words");
    daemon.until("both uploads", || stage.sandbox.uploads().len() == 2);
    daemon.until("the new end", || stage.state("new.txt") == "succeeded");
    // Taken under the old key; whether the new one may ask for its task is the
    // service's to say, and the sandbox says no.
    assert!(daemon.log().contains("uploaded file=slow.txt"));
    assert_eq!(stage.uploads_of("slow.txt").len(), 1);
    let keys: BTreeSet<String> = stage
        .sandbox
        .uploads()
        .iter()
        .map(|upload| upload.key.to_string())
        .collect();
    assert_eq!(keys.len(), 2, "the new key was not used: {keys:?}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_and_the_old_one_stays() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let good = fs::read_to_string(stage.config()).unwrap();
    let line = good.lines().count() + 2;
    fs::write(
        stage.config(),
        format!("{good}\n[[dataset]]\nname = \"x\"\nconcurency = 3\nkey_env = \"NO_SUCH_KEY\"\n"),
    )
    .unwrap();
    daemon.signal(Signal::HUP);
    daemon.until("the refusal", || {
        daemon.log().contains("the old one stays in force")
    });
    let log = daemon.log();
    let place = format!("config.toml:{}: error: ", line + 2);
    assert!(log.contains(&place), "no {place:?} in\n{log}");
    stage.drop_file("still.txt", "words");
    daemon.until("work that goes on", || {
        stage.uploads_of("still.txt").len() == 1
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sigusr1_scans_all_folders() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    daemon.signal(Signal::USR1);
    daemon.until("the scan", || daemon.log().contains("scanning all folders"));
    assert!(daemon.terminate().success());
}

/// Whether `needle` is in any file of a directory.
fn holds(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = fs::read(&path).unwrap();
            if content
                .windows(needle.len())
                .any(|w| w == needle.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_nowhere_to_be_seen() {
    // One upload that succeeds, one answer that is an error, one redirect.
    let stage = Stage::with(SandboxConfig {
        faults: Fault::from_toml(
            "[[fault]]\nfile = \"bad*\"\nstatus = 400\ncode = \"OPS40002\"\n\
             [[fault]]\nfile = \"moved*\"\nstatus = 301\nlocation = \"http://127.0.0.1:1/\"\n",
        )
        .unwrap(),
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await;
    let log = stage.path("trace.txt");
    let mut child = stage
        .command(&["run"])
        .env("SUPAMETAS_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    stage.drop_file("good.txt", "words");
    until("the good end", || {
        stage.path("ledger.sqlite").exists()
            && stage.cli(&["list", "--json"]).status.success()
            && stage.state("good.txt") == "succeeded"
    });
    stage.drop_file("bad.txt", "more words");
    until("the bad end", || stage.state("bad.txt") == "rejected");
    stage.drop_file("moved.txt", "yet more words");
    until("the redirect", || {
        stage.said(&["status"]).contains("PAUSED     service")
    });
    let cmdline = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&cmdline).contains(MAIN_KEY));
    // The log, the ledger and what lies beside it.
    assert_eq!(holds(&stage.path(""), MAIN_KEY), Vec::<String>::new());
    let traced = fs::read_to_string(&log).unwrap();
    assert!(traced.contains("TRACE"), "nothing was traced");
    assert!(!traced.contains('\u{1b}'), "colours in a file");
    for args in [
        &["status"][..],
        &["list", "--json"],
        &["show", "bad.txt"],
        &["check", "--online"],
    ] {
        let output = stage.cli(args);
        for said in [output.stdout, output.stderr] {
            assert!(
                !String::from_utf8_lossy(&said).contains(MAIN_KEY),
                "{args:?}"
            );
        }
    }
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(holds(&stage.path(""), MAIN_KEY), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_log_tells_a_files_way_in_fields() {
    let stage = Stage::new().await.set(|s| {
        s.log = "format = \"json\"".into();
    });
    let daemon = stage.spawn(&["run"]);
    daemon.until("the start", || daemon.log().contains("\"running\""));
    stage.drop_file("a.txt", "words");
    daemon.until("its end", || daemon.log().contains("\"succeeded\""));
    let log = daemon.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let of = |state: &str| {
        lines
            .iter()
            .find(|line| line["state"] == state && line["file"] == "a.txt")
            .unwrap_or_else(|| panic!("no line of {state}:\n{log}"))
    };
    let uploaded = of("submitted");
    for key in [
        "timestamp",
        "level",
        "dataset",
        "route",
        "attempt",
        "task",
        "ms",
    ] {
        assert!(!uploaded[key].is_null(), "{key}: {uploaded:#}");
    }
    assert_eq!(of("queued")["route"], "inbox/text");
    let succeeded = of("succeeded");
    for key in ["dataset", "route", "attempt", "task"] {
        assert_eq!(
            succeeded[key],
            uploaded[key].clone(),
            "{key}: {succeeded:#}"
        );
    }
    assert!(uploaded["ms"].is_u64(), "{uploaded:#}");
    assert!(succeeded["ms"].is_u64(), "{succeeded:#}");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_journald_its_format_is_refused() {
    if Path::new("/run/systemd/journal/socket").exists() {
        return;
    }
    let stage = Stage::new()
        .await
        .set(|s| s.log = "format = \"journald\"".into());
    let output = stage.cli(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("set `log.format` to"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_does_not_end_it() {
    let stage = Stage::new().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = stage
        .command(&["scan"])
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    stage.drop_file("a.txt", "words");
    assert!(child.wait().unwrap().success());
    // The file may have come after the scan: what counts is that it worked.
    assert!(stage.cli(&["scan"]).status.success());
    assert_eq!(stage.state("a.txt"), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_how_it_is() {
    let stage = Stage::new().await;
    let path = stage.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut child = stage
        .command(&["run"])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(fs::File::create(stage.path("log.txt")).unwrap())
        .spawn()
        .unwrap();
    let hear = || {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).expect("systemd hears nothing");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    let hear_until = |word: &str| {
        let mut heard = Vec::new();
        while !heard
            .last()
            .is_some_and(|said: &String| said.contains(word))
        {
            assert!(heard.len() < 1_000, "no {word} in {heard:?}");
            heard.push(hear());
        }
        heard
    };
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();

    assert_eq!(
        hear_until("READY=1").len(),
        1,
        "something came before READY"
    );
    let mut heard = hear_until("STATUS=");
    heard.extend(hear_until("WATCHDOG=1"));
    // Two in a row, well within the time that systemd gives.
    let first = Instant::now();
    hear_until("WATCHDOG=1");
    assert!(first.elapsed() < Duration::from_secs(5));
    assert!(
        heard.iter().any(|said| said.contains("STATUS=0 queued")),
        "{heard:?}"
    );

    signal(Signal::HUP);
    let reloading = hear_until("RELOADING=1").pop().unwrap();
    let since: u64 = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse().ok())
        .unwrap_or_else(|| panic!("{reloading}"));
    assert!(since > 0);
    hear_until("READY=1");

    signal(Signal::TERM);
    hear_until("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_shows_odd_names_harmlessly() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("evil\u{1b}[31m\nname.txt", words(3, 64));
    daemon.until("its end", || stage.states().get("succeeded") == Some(&1));
    let log = daemon.log();
    assert!(log.contains("evil\\x1b[31m\\nname.txt"), "{log}");
    assert!(!log.contains('\u{1b}'));
    assert!(daemon.terminate().success());
}
