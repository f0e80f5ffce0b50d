//! File systems that come to a drop folder and go while the daemon runs: files
//! that wait are not gone, and what was imported is not imported again.

use std::fs;

use rustix::process::Signal;
use supametas_sync::sandbox::Fault;

use super::Mounts;
use crate::support::{Daemon, Stage, states, words};

/// Another whole scan, or the folder is off line.
fn looked_again(daemon: &Daemon) {
    let seen = || {
        let log = daemon.log();
        log.matches("scanned the folder").count()
            + log.matches("the folder can't be reached").count()
    };
    let before = seen();
    daemon.signal(Signal::USR1);
    daemon.until("it looks again", || seen() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mounted_over_a_folder_and_unmounted_calls_no_file_gone() {
    let mut stage = Stage::new().await;
    let inbox = stage.inbox("");
    let Some(mounts) = Mounts::made_by("true") else {
        return;
    };
    stage.behind = mounts.behind();
    // Nothing goes for now.
    let refuse = "[[fault]]\nroute = \"import\"\nstatus = 401";
    stage
        .sandbox
        .set_faults(Fault::from_toml(refuse).unwrap())
        .unwrap();
    for n in 0..5 {
        stage.drop_file(format!("n{n}.txt"), words(n, 100));
    }
    let waiting = states(&[("queued", 5)]);
    let over = format!("mount -t tmpfs none {}", inbox.display());
    let off = format!("umount {}", inbox.display());

    let daemon = stage.start();
    daemon.until("all are queued", || stage.states() == waiting);
    mounts.run(&over);
    daemon.until("it is noticed", || {
        daemon.log().contains("another file system is at its path")
    });
    let status = stage.said(&["status"]);
    assert!(
        status.contains("OFFLINE") && status.contains("Mount the former again"),
        "{status}"
    );
    assert_eq!(stage.states(), waiting, "mounted over");
    mounts.run(&off);
    let watched = || daemon.log().matches("watching the folder").count();
    daemon.until("it is back", || {
        daemon.signal(Signal::USR1);
        watched() == 2
    });
    looked_again(&daemon);
    assert_eq!(stage.states(), waiting, "unmounted again");

    // A restart knows the folder by what is recorded of it.
    assert!(daemon.terminate().success());
    mounts.run(&over);
    let _ = stage.cli(&["resume"]);
    stage.sandbox.set_faults(Vec::new()).unwrap();
    let daemon = stage.start();
    daemon.until("the files are looked for", || {
        stage.said(&["show", "n0.txt"]).contains("file system")
            || daemon.log().contains("can't be reached")
    });
    looked_again(&daemon);
    let now = stage.states();
    assert!(!now.contains_key("gone"), "{now:?}\n{}", daemon.log_end());
    assert!(daemon.terminate().success());
    mounts.run(&off);
    let daemon = stage.start();
    let _ = stage.cli(&["retry", "--all"]);
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    assert_eq!(stage.sandbox.uploads().len(), 5, "each once");
    assert!(daemon.terminate().success());
}

/// An ext4 in a file, mounted by a loop device. `None`, said aloud: loop devices
/// can't be had here.
fn loop_mounted(stage: &Stage) -> Option<Mounts> {
    let (image, other) = (stage.path("disk"), stage.path("other-disk"));
    for path in [&image, &other] {
        fs::File::create(path).unwrap().set_len(32 << 20).unwrap();
    }
    let script = format!(
        "mkfs.ext4 -q -F {image}\nmkfs.ext4 -q -F {other}\nmkdir -p {aside}\nmount -o loop {image} {inbox}",
        image = image.display(),
        other = other.display(),
        aside = stage.path("aside").display(),
        inbox = stage.inbox("").display(),
    );
    let mounts = Mounts::made_by(&script);
    if mounts.is_none() {
        eprintln!("SKIPPED: no ext4 on a loop device here");
    }
    mounts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_mounted_again_is_no_new_import() {
    // Where each copy would be sent, so that nothing else keeps it back.
    let mut stage = Stage::new().await.set(|s| {
        s.inbox("duplicates = \"upload\"");
    });
    let Some(mounts) = loop_mounted(&stage) else {
        return;
    };
    stage.behind = mounts.behind();
    let inbox = stage.inbox("");
    let daemon = stage.start();
    for n in 0..5 {
        fs::write(
            mounts.path(&inbox.join(format!("n{n}.txt"))),
            words(n, 3_000),
        )
        .unwrap();
    }
    daemon.until("all are imported", || {
        stage.states() == states(&[("succeeded", 5)])
    });
    let device = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(mounts.path(&inbox)).unwrap().dev()
    };
    let before = device();
    // Another disk takes the first loop device, so that it comes back by a second.
    mounts.run(&format!(
        "umount {inbox}\nmount -o loop {other} {aside}\n",
        inbox = inbox.display(),
        other = stage.path("other-disk").display(),
        aside = stage.path("aside").display(),
    ));
    daemon.until("it is noticed", || {
        daemon.log().contains("the folder can't be reached")
    });
    mounts.run(&format!(
        "mount -o loop {} {}",
        stage.path("disk").display(),
        inbox.display()
    ));
    let watched = || daemon.log().matches("watching the folder").count();
    daemon.until("it is back", || {
        daemon.signal(Signal::USR1);
        watched() == 2
    });
    looked_again(&daemon);
    if device() == before {
        eprintln!("the disk came back under its former device number: only half is shown");
    }
    // What is new goes, and nothing else.
    fs::write(mounts.path(&inbox.join("new.txt")), "new words").unwrap();
    daemon.until("the new one is imported", || {
        stage.state("new.txt") == "succeeded"
    });
    assert_eq!(stage.sandbox.uploads().len(), 6, "{:?}", stage.states());
    assert!(daemon.terminate().success());
}
