//! Mounts laid over the folder and its targets while the daemon moves. Only root
//! can do that, and it happens by mistake: nothing is lost by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::mounts::Mounts;
use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{blake3_of, words};

/// Files that are dropped at least, and at most, in each of two directories.
const FILES: (u64, u64) = (100, 1_500);

/// The least time for which it is mounted and unmounted.
const FOR: Duration = Duration::from_secs(6);

/// The files below a directory, by their path there, with the hash of each.
fn files_below(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                left.push(entry.path());
                continue;
            }
            assert!(kind.is_file(), "{entry:?}");
            let name = entry.path().strip_prefix(dir).unwrap().to_owned();
            let hash = blake3_of(&fs::read(entry.path()).unwrap());
            found.insert(name.to_str().unwrap().to_owned(), hash);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mounted_over_a_folder_or_a_target_loses_no_file() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"move\"\nquiet = \"0s\"\nunclosed_wait = \"1s\"");
        s.daemon = "poll_every = \"1s\"\n".into();
    });
    let Some(mut stage) = stage.await else { return };
    let Some(mounts) = Mounts::made_by("true") else {
        return;
    };
    stage.behind = [mounts.behind(), stage.behind.clone()].concat();
    let (done, other) = (stage.inbox(".supametas-done"), stage.path("other"));
    for dir in [&done, &other] {
        fs::create_dir(dir).unwrap();
        DAEMON.owns(dir, 0o750);
    }
    fs::create_dir(stage.inbox("sub")).unwrap();
    DROPPER.owns(stage.inbox("sub"), 0o2777);
    let state = fs::read_dir(stage.path("state")).unwrap().count();
    assert_eq!(state, 0);
    let daemon = stage.start();
    let stop = AtomicBool::new(false);
    let going = || !stop.load(Ordering::Relaxed);
    let dropped = std::thread::scope(|scope| {
        let dropping = scope.spawn(|| {
            DROPPER.does(|| {
                let mut n = 0;
                while n < FILES.0 || (n < FILES.1 && going()) {
                    for dir in ["", "sub/"] {
                        let seed = n + 1_000 * dir.len() as u64;
                        let (part, name) = (format!("{dir}.{n}"), format!("{dir}{n}.txt"));
                        fs::write(stage.inbox(&part), words(seed, 150)).unwrap();
                        fs::rename(stage.inbox(part), stage.inbox(name)).unwrap();
                    }
                    n += 1;
                    std::thread::sleep(Duration::from_millis(30));
                }
                n
            })
        });
        scope.spawn(|| {
            let mount = |what: &str, at: &Path| {
                let at = at.to_str().unwrap();
                mounts.run(&format!("mount {what} {at:?}; sleep 0.1; umount -l {at:?}"));
            };
            let other = format!("--bind {:?}", other.to_str().unwrap());
            while going() {
                // A directory of the daemon's, one of root's, and other folders.
                mount(&other, &done);
                mount("-t tmpfs -o mode=755 none", &done);
                mount("-t tmpfs -o mode=777 none", &stage.inbox("sub"));
                mount("-t tmpfs -o mode=777 none", &stage.inbox(""));
            }
        });
        // For its time, and until it has met the moves.
        let (end, last) = (Instant::now() + FOR, Instant::now() + 8 * FOR);
        let met = || !files_below(&done).is_empty() && !files_below(&other).is_empty();
        while (Instant::now() < end || (Instant::now() < last && !met())) && !daemon.has_ended() {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(met(), "nothing was moved while something was mounted");
        stop.store(true, Ordering::Relaxed);
        dropping.join().unwrap()
    });
    let all = 2 * usize::try_from(dropped).unwrap();
    daemon.until("all are sent", || {
        stage.states().get("succeeded") == Some(&all)
    });
    assert!(daemon.terminate().success());
    assert_eq!(stage.sandbox.uploads().len(), all, "each once");
    // What could not be moved is tried again after a minute: let it be over.
    let ledger = rusqlite::Connection::open(stage.path("state/ledger.sqlite")).unwrap();
    let due =
        "UPDATE files SET source_due = 0 WHERE source_due IS NOT NULL AND source_done IS NULL";
    ledger.execute(due, []).unwrap();
    drop(ledger);
    let daemon = stage.start();
    let moved = || files_below(&done).len() + files_below(&other).len();
    daemon.until("all are moved", || moved() == all);
    assert!(daemon.terminate().success());
    let (done, other) = (files_below(&done), files_below(&other));
    for n in 0..dropped {
        for dir in ["", "sub/"] {
            let name = format!("{dir}{n}.txt");
            let hash = blake3_of(&words(n + 1_000 * dir.len() as u64, 150));
            let there = [done.get(&name), other.get(&name)];
            let there: Vec<_> = there.into_iter().flatten().collect();
            assert_eq!(there, [&hash], "{name}");
            assert!(!stage.inbox(name).exists());
        }
    }
}
