//! A drop folder on a mount that stops answering: the other folders are served,
//! every command answers, a start and a stop go on without it, and `status`
//! says since when. Needs root and FUSE; says that it was skipped without.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/silent_mount.rs"]
mod mount;
mod support;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mount::SilentMount;
use support::two_users::{self, Shared};
use support::users::DROPPER;
use support::{Daemon, Stage, words};

/// The program asks for at most 5 s; the rest is for a busy machine.
const ANSWER: Duration = Duration::from_secs(20);

async fn stage() -> Option<(Stage, SilentMount)> {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.daemon = "poll_every = \"1s\"\nshutdown_grace = \"5s\"\n".into();
        s.folder("nas", "main", "");
    })
    .await?;
    let mount = SilentMount::at(&stage.path("nas"))?;
    Some((stage, mount))
}

fn drop_and_wait(stage: &Stage, daemon: &Daemon, name: &str, seed: u64) {
    DROPPER.does(|| fs::write(stage.inbox(name), words(seed, 300)).unwrap());
    daemon.until("the other folder's file is sent", || {
        stage.uploads_of(name).len() == 1
    });
}

/// What a command says, which must end by itself in time.
fn answers(stage: &Stage, args: &[&str]) -> String {
    let said = stage.path("said.txt");
    let out = fs::File::create(&said).unwrap();
    let mut command = stage.command(args);
    let both = (out.try_clone().unwrap(), out);
    let mut child = command
        .stdout(Stdio::from(both.0))
        .stderr(both.1)
        .spawn()
        .unwrap();
    let end = Instant::now() + ANSWER;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{args:?} does not answer: {}",
                fs::read_to_string(&said).unwrap()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::read_to_string(said).unwrap()
}

fn each_command_answers(stage: &Stage) {
    for args in [
        &["list"][..],
        &["check"],
        &["explain", stage.inbox("a.txt").to_str().unwrap()],
        &["explain", stage.path("nas/nas.txt").to_str().unwrap()],
        &["status"],
        &["scan", "--dry-run"],
        &["retry", "--dry-run", "--name", "nas.txt"],
        &["forget", "--dry-run", "--name", "nas.txt"],
        &["cancel", "--dry-run", "--name", "nas.txt"],
        &["prune", "--dry-run", "--older-than", "0s"],
        &["import", stage.path("nas/nas.txt").to_str().unwrap()],
    ] {
        answers(stage, args);
    }
}

fn ends_in_time(daemon: Daemon) {
    let begun = Instant::now();
    assert!(daemon.terminate().success());
    assert!(
        begun.elapsed() < ANSWER,
        "it took {:?} to stop",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_that_falls_silent_holds_up_nobody_else() {
    let Some((stage, mount)) = stage().await else {
        return;
    };
    let daemon = stage.start();
    daemon.until("the file on the mount is sent", || {
        stage.uploads_of(mount::NAME).len() == 1
    });
    mount.silent(true);
    drop_and_wait(&stage, &daemon, "a.txt", 1);
    daemon.until("`status` says so", || {
        answers(&stage, &["status"]).contains("not answering")
    });
    each_command_answers(&stage);
    answers(&stage, &["reload"]);
    drop_and_wait(&stage, &daemon, "b.txt", 2);
    mount.silent(false);
    daemon.until("`status` says so no more", || {
        !answers(&stage, &["status"]).contains("not answering")
    });
    // Nothing on it was taken for gone, and nothing is sent again.
    assert_eq!(stage.state(mount::NAME), "succeeded");
    assert_eq!(stage.uploads_of(mount::NAME).len(), 1);
    mount.silent(true);
    drop_and_wait(&stage, &daemon, "c.txt", 3);
    ends_in_time(daemon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_while_a_mount_is_silent_serves_the_others() {
    let Some((stage, mount)) = stage().await else {
        return;
    };
    mount.silent(true);
    let daemon = stage.start();
    drop_and_wait(&stage, &daemon, "a.txt", 1);
    each_command_answers(&stage);
    assert!(answers(&stage, &["status"]).contains("not answering"));
    mount.silent(false);
    daemon.until("the file on the mount is sent", || {
        stage.uploads_of(mount::NAME).len() == 1
    });
    ends_in_time(daemon);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_comes_before_a_reload_that_waits_for_a_mount() {
    let Some((stage, mount)) = stage().await else {
        return;
    };
    let daemon = stage.start();
    mount.silent(true);
    daemon.signal(rustix::process::Signal::HUP);
    ends_in_time(daemon);
}

/// Where imported files of one folder go lies on a mount that is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_target_holds_up_the_sources_of_its_folder_alone() {
    let Some((stage, mount)) = stage().await else {
        return;
    };
    let target = stage.path("nas/.done");
    let stage = stage.set(|s| {
        s.inbox("after = \"move\"");
        s.folder(
            "other",
            "main",
            &format!("after = \"move\"\ndone_dir = {target:?}"),
        );
    });
    let other = stage.path("other");
    fs::create_dir_all(&other).unwrap();
    support::users::DAEMON.owns(&other, 0o755);
    let daemon = stage.start();
    mount.silent(true);
    let held = other.join("held.txt");
    fs::write(&held, words(50, 300)).unwrap();
    daemon.until("it is sent", || stage.uploads_of("held.txt").len() == 1);
    for (seed, name) in [(51, "a.txt"), (52, "b.txt"), (53, "c.txt")] {
        drop_and_wait(&stage, &daemon, name, seed);
        let moved = stage.inbox(".supametas-done").join(name);
        daemon.until("the source of the other folder is moved", || moved.exists());
    }
    assert!(held.exists());
    ends_in_time(daemon);
    // Before the stage, whose directory it lies in, is taken away.
    drop(mount);
}
