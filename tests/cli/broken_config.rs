//! A configuration that can't be used, beside a daemon that is well: the commands
//! go by what the daemon works with, and say so.

use std::fs;
use std::os::unix::fs::symlink;

use crate::commands::{code, err, json, out};
use crate::support::{PROGRAM, Stage};

/// What somebody has just made of the file: no TOML, a wrong value, half a file.
const BROKEN: [fn(&str) -> Vec<u8>; 4] = [
    |good| format!("{good}\n[log\n").into_bytes(),
    |good| {
        good.replace("[daemon]", "[daemon]\nrescan_every = 'soon'")
            .into_bytes()
    },
    |good| {
        format!("# caf\u{e9}\n{good}")
            .chars()
            .map(|c| c as u8)
            .collect()
    },
    |good| good.as_bytes()[..good.find("[[folder]]").unwrap()].to_vec(),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_takes_no_command_away() {
    let stage = Stage::new().await;
    let good = fs::read_to_string(stage.config()).unwrap();
    let good = format!("# sk-in-a-comment\n{good}");
    fs::write(stage.config(), &good).unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    stage.drop_file("b.doc", "no document");
    daemon.until("both have ended", || {
        let states = stage.states();
        states.contains_key("succeeded") && states.contains_key("unsupported")
    });
    let copy = stage.path("ledger.sqlite.last-good.json");
    assert!(!fs::read_to_string(&copy).unwrap().contains("sk-"));
    let a = stage.inbox("a.txt");
    let a = a.to_str().unwrap();
    for broken in BROKEN {
        fs::write(stage.config(), broken(&good)).unwrap();
        for (args, answer) in [
            (&["status"][..], "running for"),
            (&["list"], "succeeded"),
            (&["list", "--attention", "--json"], "\"unsupported\""),
            (&["show", "1"], "id "),
            (&["explain", a], "taken: imported"),
            (&["pause", "all", "--why", "look"], "paused: all"),
            (&["resume", "all"], "pause ended: all"),
            (&["retry", "--all", "--dry-run"], "would be tried again"),
            (&["errors", "429"], "429"),
        ] {
            let output = stage.cli(args);
            code(&output, 0);
            assert!(out(&output).contains(answer), "{args:?}: {}", out(&output));
            let said = err(&output);
            assert!(
                said.contains("this goes by the configuration that was taken over at"),
                "{args:?}: {said}"
            );
            assert!(said.contains("a restart would fail"), "{args:?}: {said}");
        }
        // What is about the file itself goes by the file.
        for args in [
            &["check"][..],
            &["scan", "--dry-run"],
            &["reload"],
            &["run"],
        ] {
            code(&stage.cli(args), 2);
        }
        assert!(json(&stage.cli(&["list", "--json"])).is_array());
    }

    // Another file is not answered with this one's copy.
    let other = stage.path("other.toml");
    fs::write(&other, BROKEN[0](&good)).unwrap();
    let mut command = std::process::Command::new(PROGRAM);
    let output = command.arg("status").arg("--config").arg(&other).output();
    let output = output.unwrap();
    code(&output, 2);
    let said = err(&output);
    assert!(said.contains("other.toml can't be used"), "{said}");
    // Neither is a copy believed that may be somebody else's.
    let kept = fs::read(&copy).unwrap();
    fs::rename(&copy, stage.path("kept")).unwrap();
    symlink(stage.path("kept"), &copy).unwrap();
    code(&stage.cli(&["status"]), 2);
    fs::remove_file(&copy).unwrap();
    code(&stage.cli(&["status"]), 2);

    // A reload keeps what it takes over.
    fs::write(
        stage.config(),
        good.replace("[retry]", "[retry]\ngive_up_after = '9d'"),
    )
    .unwrap();
    code(&stage.cli(&["reload"]), 0);
    assert!(fs::read_to_string(&copy).unwrap().contains("9d"));
    assert!(!String::from_utf8(kept).unwrap().contains("9d"));
    assert_eq!(daemon.terminate().code(), Some(0));

    fs::write(stage.config(), BROKEN[0](&good)).unwrap();
    let output = stage.cli(&["status"]);
    code(&output, 0);
    assert!(
        err(&output).contains("none starts until the file is mended"),
        "{}",
        err(&output)
    );
}
