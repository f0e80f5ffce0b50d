//! Slow writers of every kind: what arrives is whole, arrives once, and its
//! source is never touched before its writer is done.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DROPPER, DROPPER_TOO};
use crate::support::{Daemon, SOON, Settings, Stage, blake3_of};
use crate::ways::Way;

/// What is done with the source: a folder each.
const AFTER: [&str; 2] = ["delete", "move"];

/// Settles fast, so that the pauses of the writers can be short.
fn settle(settings: &mut Settings, watch: &str, unclosed_wait: &str) {
    settings.daemon = "poll_every = \"1s\"\n".into();
    settings.folders.clear();
    for after in AFTER {
        let keys = format!(
            "after = {after:?}\nwatch = {watch:?}\nquiet = \"300ms\"\nquiet_unsure = \"1s\"\n\
             unclosed_wait = {unclosed_wait:?}\nincomplete_wait = \"20s\"\n"
        );
        settings.folder(after, "main", &keys);
    }
}

/// One file of each way in each folder.
struct Dropped {
    way: Way,
    folder: &'static str,
    content: Vec<u8>,
}

impl Dropped {
    fn path(&self) -> PathBuf {
        self.way.path(self.folder)
    }

    fn place(&self, stage: &Stage) -> PathBuf {
        stage.path(self.folder).join(self.path())
    }

    /// For each upload under its name, whether it had its content.
    fn arrived(&self, stage: &Stage) -> Vec<bool> {
        let own = blake3_of(&self.content);
        let name = self
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let all = stage.uploads_of(&name).into_iter();
        all.map(|upload| upload.blake3.as_ref() == Some(&own))
            .collect()
    }
}

/// A daemon that has set its watches and scanned its folders: what is written
/// from now on is heard.
pub fn watching(stage: &Stage) -> Daemon {
    let daemon = stage.start();
    daemon.until("the folders are watched and scanned", || {
        daemon.log().matches("scanned the folder").count() >= stage.settings.folders.len()
    });
    daemon
}

/// Lets each way write in each folder at once, as two users in turn.
fn write_all(stage: &Stage, ways: &[Way], pause: Duration) -> Vec<Dropped> {
    let mut all = Vec::new();
    let mut writers = Vec::new();
    for (n, folder) in AFTER.into_iter().enumerate() {
        for &way in ways {
            let user = if way as usize % 2 == n {
                DROPPER
            } else {
                DROPPER_TOO
            };
            let content = way.content((n * 100 + way as usize) as u64);
            let beside = stage.path(format!("beside-{folder}-{way:?}"));
            std::fs::create_dir(&beside).unwrap();
            user.owns(&beside, 0o755);
            let (to, written) = (stage.path(folder).join(way.path(folder)), content.clone());
            writers.push(user.starts(move || way.write(&to, &beside, &written, pause)));
            all.push(Dropped {
                way,
                folder,
                content,
            });
        }
    }
    for writer in writers {
        writer.join().unwrap();
    }
    all
}

/// Waits until every file has arrived whole and its source is gone from its
/// place, and says what is wrong.
fn ends_whole(stage: &Stage, daemon: &Daemon, all: &[Dropped]) {
    let missing = || -> Vec<_> {
        let shown = all
            .iter()
            .map(|one| (one.path(), one.arrived(stage), one.place(stage).exists()));
        shown
            .filter(|(_, arrived, there)| *there || !arrived.contains(&true))
            .collect()
    };
    let end = Instant::now() + SOON;
    while !missing().is_empty() {
        assert!(!daemon.has_ended(), "it ended\n{}", daemon.log_end());
        if Instant::now() > end {
            let missing = missing();
            let log = daemon.log();
            let lines = log.lines().filter(|line| {
                missing
                    .iter()
                    .any(|(path, ..)| line.contains(path.to_str().unwrap()))
            });
            let lines: Vec<_> = lines.collect();
            panic!(
                "not whole or not taken away: {missing:#?}\n{}",
                lines.join("\n")
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for dropped in all {
        if dropped.folder == "move" {
            let moved = stage.path("move/.supametas-done").join(dropped.path());
            let content = std::fs::read(&moved).unwrap_or_default();
            assert!(
                content == dropped.content,
                "{} is not whole",
                moved.display()
            );
        }
    }
}

fn each_whole_and_once(stage: &Stage, daemon: &Daemon, all: &[Dropped]) {
    let arrived = all.iter().map(|one| (one.path(), one.arrived(stage)));
    let wrong: Vec<_> = arrived.filter(|(_, arrived)| arrived != &[true]).collect();
    let log = daemon.log_end();
    assert!(wrong.is_empty(), "not once and whole: {wrong:?}\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_heard_folder_a_slow_writers_file_is_sent_whole_and_once() {
    let stage = two_users::stage(Shared::Setgid, |s| settle(s, "auto", "20s"));
    let Some(stage) = stage.await else { return };
    let daemon = watching(&stage);
    // Longer than every quiet time: the clock alone calls it finished.
    let all = write_all(&stage, &Way::HEARD, Duration::from_millis(2500));
    ends_whole(&stage, &daemon, &all);
    each_whole_and_once(&stage, &daemon, &all);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_polled_folder_a_writer_that_pauses_shorter_than_the_quiet_time_is_waited_for() {
    let stage = two_users::stage(Shared::Setgid, |s| settle(s, "poll", "3s"));
    let Some(stage) = stage.await else { return };
    let daemon = watching(&stage);
    let all = write_all(&stage, &Way::ALL, Duration::from_millis(400));
    ends_whole(&stage, &daemon, &all);
    each_whole_and_once(&stage, &daemon, &all);
    assert!(daemon.terminate().success());
}

/// Nobody can know there that a file is open. What is cut by its form waits;
/// else the half may be sent, but the source stays until nobody can be writing
/// any more, and the whole arrives in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_polled_folder_no_source_is_touched_under_a_writer_that_pauses_for_long() {
    let stage = two_users::stage(Shared::Setgid, |s| settle(s, "poll", "6s"));
    let Some(stage) = stage.await else { return };
    let daemon = watching(&stage);
    let all = write_all(&stage, &Way::ALL, Duration::from_millis(2500));
    ends_whole(&stage, &daemon, &all);
    let told_by_form: Vec<_> = all
        .into_iter()
        .filter(|one| one.path().extension().is_some_and(|e| e != "txt"))
        .collect();
    each_whole_and_once(&stage, &daemon, &told_by_form);
    assert!(daemon.terminate().success());
}
