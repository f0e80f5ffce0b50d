//! The targets, and what lies in a folder, are swapped without end while the
//! daemon moves, copies and writes notes.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER, DROPPER_TOO};
use crate::support::{blake3_of, words};

/// How long it is swapped.
const FOR: Duration = Duration::from_secs(5);

fn names_in(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What is neither a regular file nor a directory of the daemon's.
fn odd_below(dir: &Path) -> Vec<PathBuf> {
    let mut odd = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() && meta.uid() == DAEMON.uid {
            odd.extend(odd_below(&path));
        } else if !meta.is_file() {
            odd.push(path);
        }
    }
    odd
}

fn swap(from: &Path, to: &Path) {
    let name = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (from, to) = (name(from), name(to));
    let cwd = libc::AT_FDCWD;
    // SAFETY: two C strings and numbers.
    unsafe { libc::renameat2(cwd, from.as_ptr(), cwd, to.as_ptr(), libc::RENAME_EXCHANGE) };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_swapped_nothing_is_led_out_of_the_folder() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"move\"\non_reject = \"move\"\nquiet = \"0s\"\nunclosed_wait = \"1s\"");
        s.daemon = "poll_every = \"1s\"\n".into();
    });
    let Some(stage) = stage.await else { return };
    let victim = stage.path("state/victim.txt");
    fs::write(&victim, "must stay as it is").unwrap();
    DAEMON.owns(&victim, 0o600);
    // Nobody but root can make one; whoever may write to its directory can put it
    // anywhere there.
    let device = stage.inbox(".device");
    let zero = CString::new(device.to_str().unwrap()).unwrap();
    // SAFETY: a C string, a mode and a number: /dev/zero once more.
    let made = unsafe { libc::mknod(zero.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 5)) };
    if made != 0 {
        eprintln!("SKIPPED: no device can be made here, so none is swapped");
    }
    let daemon = stage.start();
    let state = stage.path("state");
    let own = names_in(&state);
    let stop = AtomicBool::new(false);
    let going = || !stop.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        // One drops files of both kinds, in the folder and below it.
        scope.spawn(|| {
            DROPPER.does(|| {
                let _ = fs::create_dir(stage.inbox("sub"));
                let mut n = 0;
                while going() && n < 400 {
                    n += 1;
                    for dir in ["", "sub/"] {
                        let _ = fs::write(stage.inbox(format!("{dir}{n}.txt")), words(n, 100));
                    }
                    let _ = fs::write(stage.inbox(format!("{n}.bin")), [0, 1, 2, n as u8, 0xff]);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        });
        // Another swaps the targets and the subdirectory for links, and puts
        // links, pipes and hard links under the names that the daemon uses.
        scope.spawn(|| {
            DROPPER_TOO.does(|| {
                let mut id = 0_u64;
                for name in ["done", "rejected", "sub"] {
                    let _ = symlink(&state, stage.inbox(format!(".link-{name}")));
                }
                while going() {
                    id = id % 600 + 1;
                    for (link, dir) in [
                        (".link-done", ".supametas-done"),
                        (".link-rejected", ".supametas-rejected"),
                        (".link-sub", "sub"),
                    ] {
                        let (link, dir) = (stage.inbox(link), stage.inbox(dir));
                        swap(&link, &dir);
                        swap(&link, &dir);
                    }
                    let aside = stage.inbox(format!(".supametas-{id}.aside"));
                    for name in [&stage.inbox(format!("{id}.txt")), &aside] {
                        swap(&device, name);
                        swap(&device, name);
                    }
                    let taken = stage.inbox(".taken");
                    let _ = fs::rename(&aside, &taken);
                    match id % 3 {
                        0 => drop(symlink(&victim, &aside)),
                        1 => drop(fs::hard_link(&taken, &aside)),
                        _ => {
                            let name = CString::new(aside.to_str().unwrap()).unwrap();
                            // SAFETY: a C string and a mode.
                            unsafe { libc::mkfifo(name.as_ptr(), 0o666) };
                        }
                    }
                }
            });
        });
        // For its time, and until something was moved, on a busy machine.
        let (end, last) = (Instant::now() + FOR, Instant::now() + 12 * FOR);
        let moved = || daemon.log().contains("source moved");
        while (Instant::now() < end || (Instant::now() < last && !moved())) && !daemon.has_ended() {
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read(&victim).unwrap(), b"must stay as it is");
    let sqlites = ["ledger.sqlite-wal", "ledger.sqlite-shm"];
    let more: Vec<String> = names_in(&state).difference(&own).cloned().collect();
    let planted: Vec<&String> = more
        .iter()
        .filter(|name| !sqlites.contains(&name.as_str()))
        .collect();
    assert!(planted.is_empty(), "led out of the folder: {planted:?}");
    // Each upload is a file that was dropped, byte for byte.
    let dropped: BTreeSet<String> = (1..=400).map(|n| blake3_of(&words(n, 100))).collect();
    for upload in stage.sandbox.uploads() {
        let hash = upload.blake3.unwrap();
        assert!(dropped.contains(&hash), "{}", upload.file_name);
    }
    let moved_to = ["done", "rejected"].map(|name| {
        let (dir, link) = (format!(".supametas-{name}"), format!(".link-{name}"));
        let dir = [dir, link].map(|name| stage.inbox(name));
        dir.into_iter().find(|path| !path.is_symlink()).unwrap()
    });
    let odd: Vec<_> = moved_to.iter().flat_map(|dir| odd_below(dir)).collect();
    assert!(odd.is_empty(), "moved, and no files: {odd:?}");
    // It goes on: what comes later is moved.
    let (done, link) = (stage.inbox(".supametas-done"), stage.inbox(".link-done"));
    if done.is_symlink() {
        swap(&link, &done);
    }
    let last = stage.inbox("last.txt");
    DROPPER.does(|| fs::write(&last, words(7_777, 300)).unwrap());
    daemon.until("what comes later is moved", || {
        done.join("last.txt").exists()
    });
    assert!(daemon.terminate().success());
}
