//! `import --folder`, run by root in a folder that others may write to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Output};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{PROGRAM, Stage, words};

/// As root, and not as the daemon's user.
fn import(stage: &Stage, file: &std::path::Path) -> Output {
    Command::new(PROGRAM)
        .args(["import", "--folder", "inbox"])
        .arg(file)
        .arg("--config")
        .arg(stage.config())
        .output()
        .unwrap()
}

fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{words:?} in {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_into_a_folder_follows_nobody_elses_link() {
    let Some(stage) = two_users::stage(Shared::Setgid, |_| {}).await else {
        return;
    };
    let daemon = stage.start();
    let (secret, letter) = (stage.path("secret.txt"), stage.path("letter.txt"));
    fs::write(&secret, words(1, 200)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&letter, words(2, 200)).unwrap();
    fs::set_permissions(&letter, fs::Permissions::from_mode(0o640)).unwrap();

    // The file is a link, or lies below somebody else's link.
    let theirs = stage.path("theirs");
    fs::create_dir(&theirs).unwrap();
    DROPPER.owns(&theirs, 0o755);
    DROPPER.does(|| {
        symlink(&secret, theirs.join("link.txt")).unwrap();
        symlink(stage.path(""), theirs.join("dir")).unwrap();
    });
    refused(&import(&stage, &theirs.join("link.txt")), "link");
    refused(&import(&stage, &theirs.join("dir/secret.txt")), "link");
    // Root's own link is no trap.
    symlink(stage.path(""), stage.path("ours")).unwrap();

    // The name in the folder is a link to a file that root may write.
    let victim = stage.path("state/victim.txt");
    fs::write(&victim, "must stay as it is").unwrap();
    DROPPER.does(|| symlink(&victim, stage.inbox("letter.txt")).unwrap());
    refused(&import(&stage, &letter), "has a file of that name");
    assert_eq!(fs::read(&victim).unwrap(), b"must stay as it is");
    assert!(stage.inbox("letter.txt").is_symlink());
    DROPPER.does(|| fs::remove_file(stage.inbox("letter.txt")).unwrap());

    let output = import(&stage, &stage.path("ours/letter.txt"));
    assert!(output.status.success(), "{output:?}");
    let copy = fs::metadata(stage.inbox("letter.txt")).unwrap();
    assert_eq!(copy.uid(), DAEMON.uid, "the daemon has to read it");
    assert_eq!(
        copy.permissions().mode() & 0o7777 & !0o640,
        0,
        "more readable than its source"
    );
    daemon.until("it is sent", || {
        stage.uploads_of("letter.txt").len() == 1 && stage.state("letter.txt") == "succeeded"
    });
    assert_eq!(stage.sandbox.uploads().len(), 1, "and nothing else");
    assert!(daemon.terminate().success());
}
