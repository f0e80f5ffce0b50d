//! Hard links to files that whoever drops may not read, with the kernel's guard
//! (`fs.protected_hardlinks`) and without it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::two_users::{self, Shared};
use crate::support::users::{DAEMON, DROPPER, DROPPER_TOO};
use crate::support::words;

const SETTING: &str = "/proc/sys/fs/protected_hardlinks";

/// How long the links are swapped.
const FOR: Duration = Duration::from_secs(3);

/// The guard as the test has set it; as it was before when dropped.
struct Guard(String);

impl Guard {
    /// `None`, with a word on standard error, where it can't be set.
    fn set(value: &str) -> Option<Guard> {
        let before = fs::read_to_string(SETTING).unwrap();
        if let Err(error) = fs::write(SETTING, value) {
            eprintln!("SKIPPED: {SETTING} can't be set to {value}: {error}");
            return None;
        }
        Some(Guard(before))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing more can be done for it.
        let _ = fs::write(SETTING, &self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hard_link_to_another_users_file_is_neither_sent_nor_touched() {
    for value in ["1", "0"] {
        // The setting is the machine's: it is changed for as short as can be.
        let Some(stage) = two_users::stage(Shared::Setgid, |s| {
            s.inbox("after = \"delete\"\nquiet = \"0s\"\nunclosed_wait = \"1s\"");
            s.daemon = "poll_every = \"1s\"\n".into();
        })
        .await
        else {
            return;
        };
        let victim = stage.path("victim.txt");
        let secret = b"what only the daemon may read";
        fs::write(&victim, secret).unwrap();
        DAEMON.owns(&victim, 0o600);
        let Some(_guard) = Guard::set(value) else {
            return;
        };
        let guarded = value == "1";
        let (evil, own) = (stage.inbox("evil.txt"), stage.inbox("own.txt"));
        DROPPER.does(|| {
            let linked = fs::hard_link(&victim, &evil);
            assert_eq!(linked.is_err(), guarded, "{linked:?}");
            fs::write(stage.inbox(".other-name"), words(1, 200)).unwrap();
            fs::hard_link(stage.inbox(".other-name"), &own).unwrap();
        });
        let checked = stage.cli(&["check"]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        let warned = said.contains("sysctl fs.protected_hardlinks=1");
        assert_eq!(warned, !guarded, "{said}");
        let daemon = stage.start();
        DROPPER.does(|| fs::write(stage.inbox("plain.txt"), words(2, 200)).unwrap());
        daemon.until("a plain file is sent and deleted", || {
            !stage.inbox("plain.txt").exists()
        });
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // A file at one moment, and a link to the victim at the next.
                DROPPER_TOO.does(|| {
                    let (link, at) = (stage.inbox(".link"), stage.inbox("swapped.txt"));
                    let mut n = 10;
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        let _ = fs::write(stage.inbox(".part"), words(n, 200));
                        let _ = fs::rename(stage.inbox(".part"), &at);
                        let _ = fs::hard_link(&victim, &link);
                        for _ in 0..4 {
                            let flags = RenameFlags::EXCHANGE;
                            let _ = renameat_with(CWD, &link, CWD, &at, flags);
                        }
                        let _ = fs::remove_file(&link);
                        let aside = stage.inbox(format!(".supametas-{}.aside", n % 50));
                        let _ = fs::hard_link(&victim, &aside);
                    }
                });
            });
            let end = Instant::now() + FOR;
            while Instant::now() < end && !daemon.has_ended() {
                std::thread::sleep(Duration::from_millis(50));
            }
            stop.store(true, Ordering::Relaxed);
        });
        if guarded {
            daemon.until("a link to one's own file is a way to drop it", || {
                stage.uploads_of("own.txt").len() == 1 && !own.exists()
            });
        } else {
            assert!(own.exists() && stage.uploads_of("own.txt").is_empty());
            assert!(evil.exists());
        }
        let hash = blake3::hash(secret).to_hex().to_string();
        let mut sent = stage.sandbox.uploads().into_iter();
        assert!(
            !sent.any(|upload| upload.blake3.as_deref() == Some(&hash)),
            "sent with the guard at {value}"
        );
        let there = fs::metadata(&victim).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), secret);
        assert_eq!(there.permissions().mode() & 0o777, 0o600);
        assert_eq!(there.uid(), DAEMON.uid);
        assert!(daemon.terminate().success());
    }
}
