//! Advice that fits: what is told to do is what helps, in the case at hand.

use std::fs;
use std::time::Duration;

use supametas_sync::sandbox::SandboxConfig;

use crate::commands::{code, err, json, out};
use crate::support::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_name_is_told_by_what_it_is_to_become() {
    let stage = Stage::new().await;
    for (name, wanted) in [
        ("report.pdf.part", "renames it to \"report.pdf\""),
        (".letter.txt.Xy12ab", "renames it to \"letter.txt\""),
        (".notes.txt", "rename it to \"notes.txt\""),
        ("notes.txt~", "what the file was before it was edited"),
        ("~$letter.docx", "it is no document"),
    ] {
        stage.drop_file(name, "words");
        let path = stage.inbox(name);
        let output = stage.cli(&["explain", path.to_str().unwrap()]);
        code(&output, 0);
        assert!(out(&output).contains(wanted), "{name}: {}", out(&output));
    }
    // Its writer has renamed it since: the question is about the other one now.
    fs::rename(stage.inbox("report.pdf.part"), stage.inbox("report.pdf")).unwrap();
    let path = stage.inbox("report.pdf.part");
    let path = path.to_str().unwrap();
    let output = stage.cli(&["explain", path, "--json"]);
    code(&output, 5);
    let told = json(&output);
    assert_eq!(told["reason"], "renamed");
    let to_do = told["to_do"][0].as_str().unwrap();
    assert!(
        to_do.contains("supametas-sync explain ") && to_do.contains("report.pdf`"),
        "{to_do}"
    );
    // A name that leads nowhere is a name that is not there.
    fs::remove_file(stage.inbox("report.pdf")).unwrap();
    let output = stage.cli(&["explain", path, "--json"]);
    assert_eq!(json(&output)["reason"], "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_renamed_is_told_by_its_directory() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    code(&stage.cli(&["pause", "all"]), 0);
    stage.drop_file("a.txt", "words");
    daemon.until("it is queued", || stage.state("a.txt") == "queued");
    assert_eq!(daemon.terminate().code(), Some(0));
    let config = fs::read_to_string(stage.config()).unwrap();
    let renamed = config.replace("name = \"inbox\"", "name = \"post\"");
    assert_ne!(config, renamed);
    fs::write(stage.config(), renamed).unwrap();
    let left = "folder inbox is called post now: 1 file of it in the queue is kept, and not sent";
    let status = stage.said(&["status"]);
    assert!(
        status.contains(left) && status.contains("give the folder post its former name inbox back"),
        "{status}"
    );
    let check = stage.said(&["check"]);
    assert!(check.contains(left), "{check}");
    let output = stage.cli(&["explain", "inbox/a.txt", "--json"]);
    code(&output, 0);
    assert_eq!(json(&output)["reason"], "folder-renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_says_what_can_be_done_where_there_is_no_task() {
    let stage = Stage::with(SandboxConfig {
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    })
    .await;
    stage.drop_file("done.txt", "words");
    stage.drop_file("bad.doc", "no document");
    code(&stage.cli(&["scan"]), 3);
    code(&stage.cli(&["pause", "all"]), 0);
    let daemon = stage.start();
    stage.drop_file("queued.txt", "more words");
    daemon.until("it is queued", || stage.state("queued.txt") == "queued");
    for (name, wanted) in [
        ("done.txt", "deleted in the service's console"),
        ("bad.doc", "it has ended as unsupported"),
        (
            "queued.txt",
            "`supametas-sync pause folder:inbox` holds it back",
        ),
    ] {
        let output = stage.cli(&["cancel", name]);
        code(&output, 1);
        assert!(err(&output).contains(wanted), "{name}: {}", err(&output));
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_to_run_it_on_another_users_ledger() {
    let stage = Stage::new().await;
    stage.drop_file("a.txt", "words");
    code(&stage.cli(&["scan"]), 0);
    let said = |words: &str| {
        let status = stage.said(&["status"]);
        assert!(status.contains(words), "{words}: {status}");
    };
    if fs::exists("/run/systemd/system").unwrap() {
        eprintln!("skipped: systemd runs here, and may have the unit");
        return;
    }
    said("not running: `supametas-sync run` starts it");
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: without root no ledger of another user");
        return;
    }
    let ledger = stage.path("ledger.sqlite");
    std::os::unix::fs::chown(&ledger, Some(4_000_000), None).unwrap();
    said("not running: `sudo -u '#4000000' supametas-sync run` starts it");
}
