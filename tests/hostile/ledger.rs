//! What lies beside the ledger, or in its place, is not what the program made.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{Stage, until, words};

const FILES: usize = 20;

/// A stage whose daemon has sent some files and was stopped.
async fn with_a_past() -> Option<Stage> {
    let stage = two_users::stage(Shared::Setgid, |_| {}).await?;
    let daemon = stage.start();
    DROPPER.does(|| {
        for n in 0..FILES {
            fs::write(stage.inbox(format!("{n}.txt")), words(n as u64, 200)).unwrap();
        }
    });
    daemon.until("all are sent", || {
        stage.states().get("succeeded") == Some(&FILES)
    });
    assert!(daemon.terminate().success());
    Some(stage)
}

/// A start that must fail, and what it says.
fn refused(stage: &Stage) -> String {
    let daemon = stage.spawn(&["run"]);
    until("the start is refused", || daemon.has_ended());
    let log = daemon.log();
    let status = daemon.wait();
    assert!(!status.success(), "{log}");
    assert_eq!(stage.sandbox.uploads().len(), FILES, "sent again:\n{log}");
    log
}

fn ledger(stage: &Stage) -> std::path::PathBuf {
    stage.path("state/ledger.sqlite")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_ledger_is_no_new_one() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    File::options()
        .write(true)
        .open(ledger(&stage))
        .unwrap()
        .set_len(0)
        .unwrap();
    let said = refused(&stage);
    assert!(
        said.contains("rebuild") && said.contains("--new-ledger"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_missing_beside_its_lock_is_no_new_one() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    fs::remove_file(ledger(&stage)).unwrap();
    let said = refused(&stage);
    assert!(
        said.contains("rebuild") && said.contains("--new-ledger"),
        "{said}"
    );
    // The operator says that it is meant.
    let daemon = stage.spawn(&["run", "--new-ledger"]);
    daemon.until("it begins anew", || {
        stage.sandbox.uploads().len() == 2 * FILES
    });
    assert!(daemon.terminate().success());
}

/// The same after a crash: the log of SQLite still has what was recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_emptied_after_a_crash_is_no_new_one() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    let daemon = stage.start();
    daemon.kill9();
    File::options()
        .write(true)
        .open(ledger(&stage))
        .unwrap()
        .set_len(0)
        .unwrap();
    refused(&stage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_user_laid_beside_the_ledger_is_never_replayed() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    for suffix in ["-journal", "-wal", ".rescued"] {
        let planted = stage.path(format!("state/ledger.sqlite{suffix}"));
        fs::write(&planted, words(1, 4096)).unwrap();
        DROPPER.owns(&planted, 0o666);
        let said = refused(&stage);
        let name = planted.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name), "{said}");
        assert_eq!(
            fs::read(&planted).unwrap(),
            words(1, 4096),
            "it was changed"
        );
        fs::remove_file(&planted).unwrap();
    }
    // And without them all is as it was.
    let daemon = stage.start();
    assert_eq!(stage.states().get("succeeded"), Some(&FILES));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_or_a_lock_that_is_a_link_is_not_followed() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    let victim = stage.path("victim");
    fs::write(&victim, "of somebody else").unwrap();
    DAEMON.owns(&victim, 0o644);
    for name in ["ledger.sqlite", "ledger.sqlite.lock"] {
        let path = stage.path("state").join(name);
        let away = stage.path("state").join(format!("{name}.put-away"));
        let was = path.exists();
        if was {
            fs::rename(&path, &away).unwrap();
        }
        symlink(&victim, &path).unwrap();
        refused(&stage);
        assert_eq!(fs::read(&victim).unwrap(), b"of somebody else");
        assert_eq!(
            fs::metadata(&victim).unwrap().permissions().mode() & 0o777,
            0o644
        );
        fs::remove_file(&path).unwrap();
        if was {
            fs::rename(&away, &path).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_a_directory_that_others_may_write_is_refused() {
    let Some(stage) = with_a_past().await else {
        return;
    };
    let open = |mode| {
        let state = stage.path("state");
        fs::set_permissions::<&Path>(&state, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o777);
    let said = refused(&stage);
    assert!(
        said.contains(stage.path("state").to_str().unwrap()),
        "{said}"
    );
    open(0o700);
    assert!(stage.start().terminate().success());
}
