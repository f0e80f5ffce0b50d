//! Commands: what they are told, and that none can do harm by how it ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use supametas_sync::sandbox::Fault;

use crate::support::{Stage, text, until, words};
use crate::{hook, metric, noted, noting, script};

/// A name that would do harm to whoever trusts it.
const HOSTILE: &[u8] = b"a \"b\"\n$(touch pwned);`id`\xff\xe2\x80\xae.txt";

/// The variables of the only call that was noted.
fn variables(stage: &Stage) -> BTreeMap<String, Vec<u8>> {
    let mut files = fs::read_dir(stage.path("told")).unwrap();
    let env = files.find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|e| e == "env").then_some(path)
    });
    let bytes = fs::read(env.unwrap()).unwrap();
    let one = |var: &[u8]| {
        let at = var.iter().position(|b| *b == b'=').unwrap();
        let name = String::from_utf8(var[..at].to_vec()).unwrap();
        (name, var[at + 1..].to_vec())
    };
    bytes
        .split(|b| *b == 0)
        .filter(|v| !v.is_empty())
        .map(one)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_gets_the_facts_and_nothing_else() {
    let stage = Stage::new().await;
    let command = noting(&stage, "");
    let stage = stage.set(|s| {
        s.tail(&hook(
            "[\"succeeded\"]",
            &format!("name = \"note\"\ncommand = [{command:?}]"),
        ));
    });
    let name = OsStr::from_bytes(HOSTILE);
    let path = stage.drop_file(name, "some words");
    let daemon = stage.spawn_changed(&["run"], |command| {
        command
            .env("CREDENTIALS_DIRECTORY", "/run/credentials/x")
            .env("SOME_KEY", "sk-secret");
    });
    daemon.until("the hook was told", || noted(&stage).len() == 1);
    let told = noted(&stage).remove(0);
    let listed = stage.list().remove(0);
    for key in [
        "id",
        "file",
        "path_escaped",
        "state",
        "task",
        "size",
        "blake3",
        "dataset",
    ] {
        assert_eq!(told[key], listed[key], "{key}");
    }
    assert_eq!(told["event"]["name"], "succeeded");
    assert_eq!(
        (&told["event"]["try"], &told["event"]["hook"]),
        (&1.into(), &"note".into())
    );

    let env = variables(&stage);
    let var = |name: &str| String::from_utf8(env[name].clone()).unwrap();
    assert_eq!(env["SUPAMETAS_FILE"], HOSTILE);
    assert_eq!(env["SUPAMETAS_PATH"], path.as_os_str().as_bytes());
    assert_eq!(var("SUPAMETAS_FILE_SHOWN"), text(&listed, "file"));
    assert!(
        var("SUPAMETAS_FILE_SHOWN").contains("\\n$(touch pwned)"),
        "{env:?}"
    );
    for (name, value) in [
        ("SUPAMETAS_EVENT", "succeeded".to_owned()),
        ("SUPAMETAS_STATE", "succeeded".to_owned()),
        ("SUPAMETAS_EVENT_ID", text(&told["event"], "id")),
        ("SUPAMETAS_FOLDER", "inbox".to_owned()),
        ("SUPAMETAS_DATASET", "main".to_owned()),
        ("SUPAMETAS_TASK", text(&listed, "task")),
        ("SUPAMETAS_CODE", text(&listed, "code")),
        ("SUPAMETAS_MEDIA", "text".to_owned()),
        ("SUPAMETAS_SIZE", "10".to_owned()),
        ("SUPAMETAS_GATE", String::new()),
    ] {
        assert_eq!(var(name), value, "{name}");
    }
    // `sh` itself adds what it needs.
    let ours = |name: &&String| {
        !name.starts_with("SUPAMETAS_")
            && ![
                "PATH", "TZ", "LANG", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_",
            ]
            .contains(&name.as_str())
    };
    assert_eq!(
        env.keys().filter(ours).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let noted_in = |kind: &str| {
        let at = stage
            .path("told")
            .join(format!("{}.1.{kind}", var("SUPAMETAS_EVENT_ID")));
        fs::read_to_string(at).unwrap()
    };
    assert_eq!(noted_in("pwd"), "/\n");
    // What the test itself was given may be there, nothing of the daemon's.
    let files = noted_in("fds");
    assert!(files.contains("pipe:"), "{files}");
    for ours in ["ledger", "socket:", "anon_inode", "inbox"] {
        assert!(!files.contains(ours), "{ours}: {files}");
    }
    assert!(!stage.path("pwned").exists() && !Path::new("/pwned").exists());
    daemon.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_is_killed_with_its_children_and_holds_up_nobody() {
    let stage = Stage::new().await;
    let pids = stage.path("pids");
    let hang = format!(
        "sleep 3600 &\necho $! >> {0}\necho $$ >> {0}\nsleep 3600",
        pids.display()
    );
    let command = script(&stage, "hang", &hang);
    let stage = stage.set(|s| {
        let slow = format!("command = [{command:?}]\ntimeout = \"1h\"");
        let short = format!("command = [{command:?}]\ntimeout = \"1s\"");
        s.tail(&hook("[\"succeeded\"]", &slow));
        s.tail(&hook("[\"unsupported\"]", &short));
    });
    let daemon = stage.start();
    for n in 0..20 {
        stage.drop_file(format!("{n}.txt"), words(n, 100));
    }
    stage.drop_file("no.doc", "x");
    daemon.until("all have ended, and one hook was killed", || {
        stage.states().get("succeeded") == Some(&20)
            && daemon.log().contains("it had not ended after 1 s")
    });
    assert!(metric(&stage, "supametas_hook_notices ") >= 20.0);
    let failed = "supametas_hook_calls_total{folder=\"inbox\",hook=\"2\",result=\"failed\"} ";
    assert_eq!(metric(&stage, failed), 1.0);
    // At most two calls of a hook at a time.
    let started = || {
        fs::read_to_string(&pids)
            .unwrap_or_default()
            .lines()
            .count()
    };
    assert!(started() <= 2 * (2 + 1), "{}", started());
    let all = fs::read_to_string(&pids).unwrap();
    daemon.terminate();
    until("all that the hooks had started is gone", || {
        all.lines().all(is_gone)
    });
}

/// Whether a process has ended; one that nobody has reaped has, too.
fn is_gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => true,
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with(['Z', 'X']),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_or_floods_is_counted_told_again_and_changes_no_state() {
    let stage = Stage::new().await;
    let failing = noting(
        &stage,
        "printf 'no \\033[31mway' >&2; [ $SUPAMETAS_TRY -gt 1 ]",
    );
    let flooding = script(&stage, "flood", "exec yes");
    let stage = stage.set(|s| {
        s.tail(&hook(
            "[\"succeeded\"]",
            &format!("name = \"fails\"\ncommand = [{failing:?}]"),
        ));
        s.tail(&hook(
            "[\"succeeded\"]",
            &format!("name = \"floods\"\ncommand = [{flooding:?}]"),
        ));
        s.tail(&hook(
            "[\"succeeded\"]",
            "name = \"missing\"\ncommand = [\"/no/such/program\"]",
        ));
    });
    stage.drop_file("a.txt", "words");
    let daemon = stage.start();
    let count = |hook: &str, result: &str| {
        let line = "supametas_hook_calls_total{folder=\"inbox\",hook=";
        metric(&stage, &format!("{line}\"{hook}\",result=\"{result}\"}} "))
    };
    daemon.until("all three have failed", || {
        ["fails", "floods", "missing"]
            .iter()
            .all(|hook| count(hook, "failed") >= 1.0)
    });
    assert_eq!(stage.state("a.txt"), "succeeded");
    daemon.until("it is told again", || count("fails", "told") == 1.0);
    let told = noted(&stage);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["event"]["id"], told[1]["event"]["id"]);
    let log = daemon.log();
    for said in [
        "it ended with code 1; it said: no \\x1b[31mway",
        "it wrote more than 1024 KiB",
        "it can't be run: No such file",
    ] {
        assert!(log.contains(said), "{said}\n{log}");
    }
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 4_000, "a line of {longest}");
    assert_eq!(stage.states().get("succeeded"), Some(&1));
    daemon.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_notice_is_lost_when_the_daemon_dies() {
    let stage = Stage::new().await;
    let go = stage.path("go");
    let command = noting(
        &stage,
        &format!("while [ ! -e {} ]; do sleep 0.1; done", go.display()),
    );
    let stage = stage.set(|s| {
        s.tail(&hook(
            "[\"succeeded\", \"unsupported\"]",
            &format!("command = [{command:?}]"),
        ));
    });
    for n in 0..6 {
        stage.drop_file(format!("{n}.txt"), words(n, 50));
    }
    stage.drop_file("no.doc", "x");
    let daemon = stage.start();
    daemon.until("all have ended, and the first are told", || {
        stage.states().get("succeeded") == Some(&6) && noted(&stage).len() == 2
    });
    daemon.kill9();
    fs::write(&go, "").unwrap();
    let daemon = stage.start();
    daemon.until("all were told", || {
        noted(&stage).len() == 7 && metric(&stage, "supametas_hook_notices ") == 0.0
    });
    daemon.terminate();
    // And a run that ends by itself tells before it does.
    stage.drop_file("late.txt", "late");
    let done = stage.cli(&["scan"]);
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(noted(&stage).len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_told_once_and_a_former_hook_takes_its_notices_along() {
    let stage = Stage::new().await;
    let command = noting(&stage, "");
    let mut stage = stage.set(|s| {
        s.tail(&hook("[\"paused\"]", &format!("command = [{command:?}]")));
        s.tail(&hook(
            "[\"unsupported\"]",
            "name = \"late\"\ncommand = [\"/no/such\"]",
        ));
    });
    stage
        .sandbox
        .set_faults(vec![Fault {
            status: Some(401),
            ..Fault::default()
        }])
        .unwrap();
    for n in 0..5 {
        stage.drop_file(format!("{n}.txt"), words(n, 50));
    }
    stage.drop_file("no.doc", "x");
    let daemon = stage.start();
    daemon.until("the pause is told", || !noted(&stage).is_empty());
    let told = noted(&stage).remove(0);
    assert_eq!(told["event"]["name"], "paused");
    assert_eq!(
        (&told["gate"], &told["folder"]),
        (&"dataset:main".into(), &"inbox".into())
    );
    assert_eq!(text(&told, "code"), "HTTP-401");
    daemon.until("the other one has failed", || {
        daemon.log().contains("a hook failed")
    });
    daemon.terminate();
    assert_eq!(noted(&stage).len(), 1, "a pause is told once");
    stage.settings.tail = hook("[\"paused\"]", &format!("command = [{command:?}]"));
    stage.write();
    let daemon = stage.start();
    daemon.until("it is said", || {
        daemon
            .log()
            .contains("their hooks are not in the configuration")
    });
    daemon.terminate();
}
