//! What ends a pause other than its time, and what does not: another key,
//! other settings, a person, a crash. And a service that is not there.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use supametas_sync::sandbox::{Sandbox, SandboxConfig};
use tokio::runtime::Handle;

use crate::play::{all, all_in, closed, drop_in, faults, gates, main_key, sent, stage};
use crate::support::{Stage, until};

/// Which rows are played here only; true: for a query.
pub const PLAYED: &[(bool, &str)] = &[(false, "no-connection")];

const CASES: &[(&str, fn())] = &[
    ("another key ends a 401", another_key),
    (
        "a 401 that comes when the key is another already",
        late_answer,
    ),
    ("a person ends a 401", resumed),
    ("other options end an OPS40003", other_options),
    ("another path ends a 404", another_path),
    ("a pause outlives a crash", crash),
    ("no connection", no_connection),
    ("HTML, nothing is sent twice", html_hold),
    ("lost answers close the gate", lost_answers),
    ("lost answers, nothing is sent twice", lost_hold),
    ("successes without a task close the gate", untracked),
    ("a quota is held and filled up", quota),
    ("the smallest file is the probe", smallest_probe),
    (
        "a failing probe costs its file nothing",
        probe_costs_nothing,
    ),
    ("four at once stop at once", four_at_once),
    ("a success between keeps a route open", success_between),
];

#[test]
fn recovery() {
    all(CASES, |case| case.0, |case| (case.1)());
}

fn files(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("f-{n}.txt")).collect()
}

fn drop_all(stage: &Stage, files: &[String]) {
    for name in files {
        drop_in(stage, "inbox", name);
    }
}

fn once_each(stage: &Stage, files: &[String]) {
    for name in files {
        assert_eq!(stage.uploads_of(name).len(), 1, "{name}");
    }
}

fn only_main(fault: &str) -> String {
    let key = format!(r#"{{"key":"{}","#, main_key());
    format!("[{}]", fault.replacen('{', &key, 1))
}

/// Paused for an hour; the key file is written anew, and SIGHUP.
fn another_key() {
    let mut stage = stage(|_| {});
    faults(&stage, &only_main(r#"{"status":401}"#));
    let files = files(3);
    drop_all(&stage, &files);
    let daemon = stage.start();
    closed(&stage, &daemon, "dataset:main");
    // A reload with the same key changes nothing.
    daemon.signal(Signal::HUP);
    daemon.until("the reload is through", || {
        daemon.log().contains("configuration reloaded")
    });
    closed(&stage, &daemon, "dataset:main");
    assert_eq!(sent(&stage).len(), 1);

    stage.settings.datasets[0].1 = "sk-main-the-new-one".into();
    stage.write();
    daemon.signal(Signal::HUP);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    let key = Sandbox::fingerprint("sk-main-the-new-one");
    assert!(stage.sandbox.uploads().iter().all(|u| *u.key == *key));
    assert!(gates(&stage).is_empty());
    assert!(daemon.terminate().success());
}

/// The reload finds no gate to open; the answer to the old key comes after it.
fn late_answer() {
    let mut stage = stage(|_| {});
    faults(&stage, &only_main(r#"{"status":401,"delay_ms":3000}"#));
    let files = files(2);
    drop_all(&stage, &files);
    let daemon = stage.start();
    daemon.until("it is on the wire", || sent(&stage).len() == 1);
    stage.settings.datasets[0].1 = "sk-main-the-new-one".into();
    stage.write();
    daemon.signal(Signal::HUP);
    daemon.until("the reload is through", || {
        daemon.log().contains("the Access-Key changed")
    });
    assert_eq!(format!("{:?}", sent(&stage)[0].status), "Open");
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    assert!(gates(&stage).is_empty());
    assert!(daemon.terminate().success());
}

fn resumed() {
    let stage = stage(|_| {});
    faults(&stage, &only_main(r#"{"status":401}"#));
    let files = files(3);
    drop_all(&stage, &files);
    let daemon = stage.start();
    closed(&stage, &daemon, "dataset:main");
    // Too early: it closes again with the next answer.
    stage.said(&["resume", "dataset:main"]);
    daemon.until("it was tried", || sent(&stage).len() == 2);
    closed(&stage, &daemon, "dataset:main");
    faults(&stage, "[]");
    let said = stage.said(&["resume"]);
    assert!(said.contains("dataset:main"), "{said}");
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    assert_eq!(sent(&stage).len(), 2 + files.len());
    assert!(daemon.terminate().success());
}

/// Paused for an hour until the route's options are other ones.
fn other_options() {
    let mut stage = stage(|_| {});
    let fault = r#"[{"file":"f-*","code":"OPS40003"}]"#;
    faults(&stage, fault);
    let files = files(2);
    drop_all(&stage, &files);
    let daemon = stage.start();
    closed(&stage, &daemon, "route:inbox/text");
    faults(&stage, "[]");
    // The last folder is `far`, so these are not the route's options.
    stage.settings.tail("[folder.text]\ntitle = false");
    stage.write();
    daemon.signal(Signal::HUP);
    daemon.until("the reload is through", || {
        daemon.log().contains("configuration reloaded")
    });
    closed(&stage, &daemon, "route:inbox/text");
    assert_eq!(sent(&stage).len(), 1);

    stage
        .settings
        .inbox("text = { title = true, content_details = false }");
    stage.write();
    daemon.signal(Signal::HUP);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    let uploads = stage.sandbox.uploads();
    assert!(uploads.iter().all(|u| u.data["contentDetails"] == 0));
    assert!(daemon.terminate().success());
}

/// A path that this service does not have; no fault script is needed.
fn another_path() {
    let mut stage = stage(|settings| settings.service = "paths.text = \"/wrong\"\n".into());
    let files = files(2);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "route:inbox/text");
    assert_eq!(gate["code"], "HTTP-404");
    assert_eq!(sent(&stage).len(), 1);
    stage.settings.service.clear();
    stage.write();
    daemon.signal(Signal::HUP);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    assert!(daemon.terminate().success());
}

/// Milliseconds of a time that `status` shows, from the sandbox's start.
fn at_ms(stage: &Stage, time: &Value) -> f64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    let ahead = time.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    stage.sandbox.started().elapsed().as_secs_f64() * 1000.0 + ahead as f64
}

fn crash() {
    let stage = stage(|settings| {
        settings.tail("[[error]]\non = \"403\"\npause_first = \"6s\"");
    });
    faults(&stage, &only_main(r#"{"status":403,"times":1}"#));
    let files = files(3);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "dataset:main");
    let until = at_ms(&stage, &gate["until"]);
    daemon.kill9();
    let daemon = stage.start();
    drop_in(&stage, "far", "out-far.txt");
    all_in(&stage, &daemon, "succeeded", &["out-far.txt".into()]);
    let after = closed(&stage, &daemon, "dataset:main");
    assert_eq!(after["until"], gate["until"]);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    let came: Vec<f64> = sent(&stage).iter().map(|r| r.at_ms).collect();
    assert_eq!(came.len(), 1 + files.len());
    assert!(came[1] + 5.0 >= until, "{} before {until}", came[1]);
    assert!(daemon.terminate().success());
}

fn no_connection() {
    let mut stage = stage(|settings| {
        settings
            .tail("[[error]]\non = \"no-connection\"\npause_first = \"300ms\"\npause_max = \"1s\"");
    });
    let port = stage.sandbox.addr().port();
    Handle::current().block_on(stage.sandbox.shutdown());
    let files = files(4);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "service");
    assert_eq!(gate["code"], "NO-CONNECTION");
    all_in(&stage, &daemon, "queued", &files);
    let config = SandboxConfig {
        port,
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    };
    stage.sandbox = Handle::current().block_on(Sandbox::start(config)).unwrap();
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    for name in &files {
        assert_eq!(stage.file(name).unwrap()["possible_duplicate"], false);
    }
    assert_eq!(sent(&stage).len(), files.len());
    assert!(gates(&stage).is_empty());
    assert!(daemon.terminate().success());
}

/// Three files are in doubt, the others keep their place.
fn html_hold() {
    let stage = stage(|settings| {
        settings.inbox("unconfirmed = \"hold\"");
    });
    faults(&stage, r#"[{"html":true}]"#);
    let files = files(6);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "service");
    assert_eq!(gate["code"], "NOT-THE-SERVICE");
    assert_eq!(sent(&stage).len(), 3);
    let states = stage.states();
    assert_eq!((states["unconfirmed"], states["queued"]), (3, 3));
    faults(&stage, "[]");
    stage.said(&["resume", "service"]);
    until("the others are through", || {
        stage.states().get("succeeded") == Some(&3)
    });
    assert_eq!(stage.states()["unconfirmed"], 3);
    stage.said(&["retry", "--state", "unconfirmed"]);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    assert_eq!(sent(&stage).len(), 9);
    assert!(daemon.terminate().success());
}

/// The balancer takes each body and breaks off. Three files are in doubt, all
/// others keep their place, and each second import is on record.
fn lost_answers() {
    let stage = stage(|settings| {
        settings.tail(
            "[[error]]\non = \"broken-after-last-byte\"\ncalls = \"upload\"\n\
             pause_first = \"3s\"",
        );
    });
    faults(&stage, r#"[{"route":"import","cut":"after-body"}]"#);
    let files = files(12);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "service");
    assert_eq!(gate["code"], "NO-ANSWER");
    all_in(&stage, &daemon, "queued", &files);
    assert_eq!(sent(&stage).len(), 3, "no resend while the gate is closed");
    faults(&stage, "[]");
    all_in(&stage, &daemon, "succeeded", &files);
    assert!(gates(&stage).is_empty());
    assert!(sent(&stage).len() <= files.len() + 4);
    for name in &files {
        let twice = stage.uploads_of(name).len() > 1;
        let file = stage.file(name).unwrap();
        assert_eq!(file["possible_duplicate"], twice, "{file:#}");
    }
    assert!(daemon.terminate().success());
}

fn lost_hold() {
    let stage = stage(|settings| {
        settings.inbox("unconfirmed = \"hold\"");
    });
    faults(&stage, r#"[{"route":"import","cut":"after-body"}]"#);
    let files = files(6);
    drop_all(&stage, &files);
    let daemon = stage.start();
    closed(&stage, &daemon, "service");
    let states = stage.states();
    assert_eq!((states["unconfirmed"], states["queued"]), (3, 3));
    faults(&stage, "[]");
    stage.said(&["resume", "service"]);
    until("the others are through", || {
        stage.states().get("succeeded") == Some(&3)
    });
    once_each(&stage, &files);
    assert!(daemon.terminate().success());
}

/// The service says that all is well and names no task. Tasks that it had named
/// before are followed all the while; what is untracked needs attention and is
/// sent again only by name.
fn untracked() {
    let stage = stage(|settings| {
        settings.tail("[[error]]\non = \"no-task-id\"\ncalls = \"upload\"\npause_first = \"1h\"");
    });
    let before = r#"{"file":"before.txt","route":"query","task_state":"PENDING"}"#;
    let fault = r#"{"route":"import","empty":true,"file":"f-*"}"#;
    faults(&stage, &format!("[{before},{fault}]"));
    let daemon = stage.start();
    drop_in(&stage, "inbox", "before.txt");
    all_in(&stage, &daemon, "submitted", &["before.txt".into()]);
    let files = files(6);
    drop_all(&stage, &files);
    let gate = closed(&stage, &daemon, "service");
    assert_eq!(gate["code"], "NO-TASK-ID");
    assert_eq!(stage.states()["untracked"], 3);
    let listed = stage.said(&["list", "--attention"]);
    assert_eq!(listed.matches("untracked").count(), 3, "{listed}");
    // A query passes, and does not open the gate.
    faults(&stage, &format!("[{fault}]"));
    all_in(&stage, &daemon, "succeeded", &["before.txt".into()]);
    assert_eq!(gates(&stage).len(), 1);
    faults(&stage, "[]");
    stage.said(&["resume", "service"]);
    daemon.until("the others are through", || {
        !stage.states().contains_key("queued") && stage.states().get("succeeded") == Some(&4)
    });
    assert_eq!(stage.states()["untracked"], 3);
    once_each(&stage, &files);
    // Everything that needs attention: not what is known to be there.
    let said = stage.cli(&["retry", "--all"]);
    assert_eq!(stage.states()["untracked"], 3, "{said:?}");
    stage.said(&["retry", "--state", "untracked"]);
    all_in(&stage, &daemon, "succeeded", &files);
    for name in &files {
        let twice = stage.uploads_of(name).len() == 2;
        assert_eq!(stage.file(name).unwrap()["possible_duplicate"], twice);
    }
    assert!(daemon.terminate().success());
}

fn quota() {
    let stage = stage(|_| {});
    let fault = r#"{"status":402,"route":"import","message":"insufficient balance"}"#;
    faults(&stage, &only_main(fault));
    let files = files(3);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "dataset:main");
    assert_eq!(gate["code"], "HTTP-402");
    let wait = at_ms(&stage, &gate["until"]) - at_ms(&stage, &gate["since"]);
    assert!((3_600_000.0..3_700_000.0).contains(&wait), "{wait}");
    all_in(&stage, &daemon, "queued", &files);
    faults(&stage, "[]");
    stage.said(&["resume", "dataset:main"]);
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    assert!(daemon.terminate().success());
}

/// While the probe is out everything else waits, whatever its dataset.
fn smallest_probe() {
    let stage = stage(|settings| {
        settings.tail("[[error]]\non = \"503\"\npause_first = \"2s\"");
    });
    faults(&stage, r#"[{"route":"import","status":503}]"#);
    let daemon = stage.start();
    drop_in(&stage, "inbox", "first.txt");
    closed(&stage, &daemon, "service");
    let sizes = [
        ("inbox", 900_000),
        ("inbox", 300),
        ("beside", 9_000),
        ("far", 5),
        ("far", 80),
    ];
    let mut names = vec!["first.txt".to_owned()];
    for (folder, size) in sizes {
        let name = format!("s-{size}.txt");
        stage.publish(&stage.path(folder).join(&name), "x".repeat(size));
        names.push(name);
    }
    all_in(&stage, &daemon, "queued", &names);
    faults(&stage, "[]");
    all_in(&stage, &daemon, "succeeded", &names);
    let order: Vec<String> = stage
        .sandbox
        .uploads()
        .iter()
        .map(|u| u.file_name.to_string())
        .collect();
    assert_eq!(order[0], "s-5.txt", "{order:?}");
    assert!(daemon.terminate().success());
}

/// More failing probes than a file may fail.
fn probe_costs_nothing() {
    let stage = stage(|settings| {
        settings.tail(
            "[[error]]\non = \"500\"\nverdict = \"retry\"\nlimit = 2\nthen = \"exhausted\"\n\
             pause = \"service\"\npause_after = 1\npause_first = \"20ms\"\npause_max = \"20ms\"",
        );
    });
    faults(&stage, r#"[{"route":"import","status":500}]"#);
    drop_in(&stage, "inbox", "f-0.txt");
    let daemon = stage.start();
    daemon.until("it was tried more often than the limit", || {
        sent(&stage).len() > 5
    });
    all_in(&stage, &daemon, "queued", &["f-0.txt".into()]);
    faults(&stage, "[]");
    all_in(&stage, &daemon, "succeeded", &["f-0.txt".into()]);
    assert!(daemon.terminate().success());
}

/// What is on the wire when the first answer comes is all that is sent.
fn four_at_once() {
    let stage = stage(|settings| {
        settings.datasets[0].2 = "concurrency = 4".into();
        settings.tail("[[error]]\non = \"503\"\npause_first = \"1500ms\"");
    });
    faults(&stage, r#"[{"status":503,"times":4,"delay_ms":100}]"#);
    let files = files(20);
    drop_all(&stage, &files);
    let daemon = stage.start();
    let gate = closed(&stage, &daemon, "service");
    assert_eq!(gate["code"], "HTTP-503");
    all_in(&stage, &daemon, "succeeded", &files);
    once_each(&stage, &files);
    let came: Vec<f64> = sent(&stage).iter().map(|r| r.at_ms).collect();
    assert_eq!(came.len(), 24);
    assert!(came[4] - came[3] >= 1400.0, "{came:?}");
    assert!(daemon.terminate().success());
}

/// Four files of five are rejected for good where others get through.
fn success_between() {
    let stage = stage(|_| {});
    let fault = r#"[{"file":"bad-*","code":"OPS40002"}]"#;
    faults(&stage, fault);
    let bad: Vec<String> = (0..8).map(|n| format!("bad-{n}.txt")).collect();
    let daemon = stage.start();
    for (n, name) in bad.iter().enumerate() {
        drop_in(&stage, "inbox", name);
        all_in(&stage, &daemon, "rejected", std::slice::from_ref(name));
        if n % 4 == 3 {
            let good = format!("good-{n}.txt");
            drop_in(&stage, "inbox", &good);
            all_in(&stage, &daemon, "succeeded", &[good]);
        }
    }
    assert!(gates(&stage).is_empty());
    all_in(&stage, &daemon, "rejected", &bad);
    assert_eq!(sent(&stage).len(), 10);
    assert!(daemon.terminate().success());
}
