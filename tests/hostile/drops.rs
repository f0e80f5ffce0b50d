//! What is dropped is no plain file, or not the dropper's own.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER};
use crate::support::{MAIN_KEY, words};

fn fifo(path: &Path) {
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a C string and a mode.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o666) }, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipes_sockets_devices_and_links_are_neither_sent_nor_touched() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("unclosed_wait = \"2s\"\nafter = \"delete\"\non_reject = \"move\"");
    });
    let Some(stage) = stage.await else { return };
    DROPPER.does(|| {
        fifo(&stage.inbox("pipe.txt"));
        UnixListener::bind(stage.inbox("socket.txt")).unwrap();
        symlink(stage.path("keys/main"), stage.inbox("key.txt")).unwrap();
        symlink(stage.path("state"), stage.inbox("state")).unwrap();
        symlink("/etc/passwd", stage.inbox("passwd.txt")).unwrap();
        symlink("good.txt", stage.inbox("link-to-good.txt")).unwrap();
    });
    let device = CString::new(stage.inbox("zero.txt").to_str().unwrap()).unwrap();
    // SAFETY: a C string, a mode and a number: /dev/zero once more.
    let made = unsafe { libc::mknod(device.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 5)) };
    let odd = [
        "pipe.txt",
        "socket.txt",
        "key.txt",
        "state",
        "passwd.txt",
        "link-to-good.txt",
    ];
    let daemon = stage.start();
    DROPPER.does(|| fs::write(stage.inbox("good.txt"), words(1, 300)).unwrap());
    daemon.until("the good one is sent and deleted", || {
        stage.sandbox.uploads().len() == 1 && !stage.inbox("good.txt").exists()
    });
    // As a scan sees them, too.
    let scans = || daemon.log().matches("scanned the folder").count();
    let before = scans();
    daemon.signal(Signal::USR1);
    daemon.until("it has been scanned", || scans() > before);
    assert_eq!(stage.list().len(), 1);
    for name in odd {
        assert!(
            stage.inbox(name).symlink_metadata().is_ok(),
            "{name} was touched"
        );
    }
    assert!(made != 0 || stage.inbox("zero.txt").exists());
    assert!(daemon.terminate().success());
}

/// A file that is a link at one moment and a file at the next: what arrives is
/// never what the link leads to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_swapped_for_a_link_sends_and_deletes_nothing_else() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("unclosed_wait = \"2s\"\nafter = \"delete\"\nquiet = \"0s\"");
        s.daemon = "poll_every = \"1s\"\n".into();
    });
    let Some(stage) = stage.await else { return };
    // The daemon may read it, and delete it: only the link would lead there.
    let secret = stage.path("state/secret.txt");
    fs::write(&secret, "what must not leave").unwrap();
    DAEMON.owns(&secret, 0o600);
    let daemon = stage.start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            DROPPER.does(|| {
                let (link, at) = (stage.inbox(".link"), stage.inbox("swapped.txt"));
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let part = stage.inbox(".part");
                    fs::write(&part, words(n, 200)).unwrap();
                    fs::rename(&part, &at).unwrap();
                    let _ = symlink(&secret, &link);
                    let _ = fs::rename(&link, &at);
                    // A directory that is a link at the next moment.
                    let _ = fs::create_dir(stage.inbox("dir"));
                    let _ = fs::write(stage.inbox("dir/secret.txt"), words(n + 1_000_000, 50));
                    let _ = fs::rename(stage.inbox("dir"), stage.inbox(".dir"));
                    let _ = symlink(stage.path("state"), stage.inbox("dir"));
                    let _ = fs::remove_file(stage.inbox("dir"));
                    let _ = fs::remove_dir_all(stage.inbox(".dir"));
                }
            });
        });
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end && !daemon.has_ended() {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let own = blake3::hash(b"what must not leave").to_hex().to_string();
    let leaked = stage
        .sandbox
        .uploads()
        .into_iter()
        .any(|u| u.blake3.as_deref() == Some(&own));
    assert!(!leaked, "the link was followed");
    assert_eq!(fs::read(&secret).unwrap(), b"what must not leave");
    // It goes on.
    let last = stage.inbox("last.txt");
    DROPPER.does(|| fs::write(&last, words(7, 300)).unwrap());
    daemon.until("what comes later is sent and deleted", || {
        stage.uploads_of("last.txt").len() == 1 && !last.exists()
    });
    assert!(daemon.terminate().success());
}

/// Whoever drops files reads nothing of what the daemon keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_daemon_keeps_is_closed_to_those_who_drop() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("after = \"move\"\nunclosed_wait = \"2s\"");
    });
    let Some(stage) = stage.await else { return };
    let daemon = stage.start();
    let private = stage.inbox("private.txt");
    DAEMON.does(|| {
        fs::write(&private, words(1, 300)).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
    });
    let moved = stage.inbox(".supametas-done/private.txt");
    daemon.until("it is moved", || moved.exists());
    // The move has not made it readable.
    assert_eq!(
        fs::metadata(&moved).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let own = format!("/proc/{}", daemon.pid());
    DROPPER.does(|| {
        assert!(fs::read_dir(stage.path("state")).is_err());
        assert!(fs::read(stage.path("state/ledger.sqlite")).is_err());
        assert!(fs::read(stage.path("keys/main")).is_err());
        assert!(fs::read(&moved).is_err());
        for what in ["environ", "mem", "maps", "fd"] {
            let path = Path::new(&own).join(what);
            assert!(
                fs::read(&path).is_err() && fs::read_dir(&path).is_err(),
                "{what}"
            );
        }
    });
    assert!(!daemon.log().contains(MAIN_KEY));
    assert!(daemon.terminate().success());
}
