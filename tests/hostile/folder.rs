//! The folder itself is put away by one who may write above it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{SIGN, words};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_swapped_for_a_link_is_taken_up_only_after_a_reload() {
    let Some(stage) = two_users::stage(Shared::Setgid, |_| {}).await else {
        return;
    };
    // What only the daemon may read, and no dropper.
    let secrets = stage.path("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("secret.txt"), words(1, 300)).unwrap();
    DAEMON.owns(secrets.join("secret.txt"), 0o600);
    DAEMON.owns(&secrets, 0o700);
    let (inbox, away) = (stage.path("inbox"), stage.path("put-away"));
    let daemon = stage.start();
    DROPPER.does(|| fs::write(stage.inbox("first.txt"), words(2, 300)).unwrap());
    daemon.until("the first is sent", || stage.sandbox.uploads().len() == 1);
    // As one does who may write to the directory above.
    fs::rename(&inbox, &away).unwrap();
    symlink(&secrets, &inbox).unwrap();
    daemon.until("it is said", || daemon.log().contains("has become a link"));
    let status = stage.cli(&["status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("has become a link"), "{said}");
    // The former is taken up without a word.
    fs::remove_file(&inbox).unwrap();
    fs::rename(&away, &inbox).unwrap();
    DROPPER.does(|| fs::write(stage.inbox("second.txt"), words(3, 300)).unwrap());
    daemon.until("the second is sent", || stage.sandbox.uploads().len() == 2);
    // And a link when it is confirmed.
    fs::rename(&inbox, &away).unwrap();
    symlink(&away, &inbox).unwrap();
    let twice = || daemon.log().matches("has become a link").count() > 1;
    daemon.until("it is said again", twice);
    assert!(stage.cli(&["reload"]).status.success());
    DROPPER.does(|| fs::write(away.join("third.txt"), words(4, 300)).unwrap());
    daemon.until("the third is sent", || stage.sandbox.uploads().len() == 3);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_put_another_folder_there_is_named() {
    let Some(stage) = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"move\"");
    })
    .await
    else {
        return;
    };
    let above = stage.inbox("").parent().unwrap().to_owned();
    let before = fs::metadata(&above).unwrap().permissions();
    fs::set_permissions(&above, fs::Permissions::from_mode(0o777)).unwrap();
    // The ledger and the keys lie below it: not in it.
    let checked = stage.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("every user may rename or replace"), "{said}");
    let done = stage.inbox(".supametas-done");
    DROPPER.does(|| fs::create_dir(&done).unwrap());
    let checked = stage.cli(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        said.contains("`done_dir`") && said.contains("chown"),
        "{said}"
    );
    let daemon = stage.start();
    let named = "every user may rename or replace";
    daemon.until("the log says it", || daemon.log().contains(named));
    daemon.until("status says it", || {
        let status = stage.cli(&["status"]);
        String::from_utf8_lossy(&status.stdout).contains(named)
    });
    assert!(daemon.terminate().success());
    fs::set_permissions(&above, before).unwrap();
}

/// Whoever may write to the folder may write a sign there as another daemon does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_signs_are_a_warning_that_is_logged_once_and_harmless_to_show() {
    let Some(stage) = two_users::stage(Shared::Setgid, |_| {}).await else {
        return;
    };
    let daemon = stage.start();
    let sign = stage.inbox(SIGN);
    daemon.until("its own sign", || sign.exists());
    let status = || String::from_utf8_lossy(&stage.cli(&["status"]).stdout).into_owned();
    for n in 0..3 {
        let forged = format!(
            "supametas-sync owner 1\nledger b{n}\nrun c{n}\nprocess 7\nhost \u{1b}[31mevil-{n}\n"
        );
        DROPPER.does(|| {
            fs::remove_file(&sign).unwrap();
            fs::write(&sign, forged).unwrap();
        });
        daemon.until("status warns of it", || {
            daemon.signal(rustix::process::Signal::USR1);
            status().contains(&format!("\\x1b[31mevil-{n}"))
        });
        assert!(!status().contains('\u{1b}'), "{}", status());
    }
    DROPPER.does(|| fs::write(stage.inbox("a.txt"), words(1, 300)).unwrap());
    daemon.until("files go on", || stage.sandbox.uploads().len() == 1);
    let log = daemon.log();
    let warnings = log.matches("another supametas-sync watches this folder");
    assert_eq!(warnings.count(), 1, "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(daemon.terminate().success());
}
