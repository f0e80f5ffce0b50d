//! The whole watch, on real folders. All waits have a condition and a deadline.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;

use super::settings::How;
use super::testing::{folder, sign};
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn setup() -> Setup {
    Setup {
        rescan_every: Duration::from_secs(3_600),
        poll_every: Duration::from_secs(3_600),
        hints: DEFAULT_HINTS,
        world: World::real(),
        sign: Arc::new(sign("aa", "1")),
        sign_every: Duration::from_secs(3_600),
    }
}

/// A watched temporary folder, and all that was sighted.
struct Rig {
    _dir: TempDir,
    path: PathBuf,
    watch: Option<FolderWatch>,
    seen: Arc<Mutex<Vec<Sighting>>>,
}

impl Rig {
    /// Watching, its first scan done.
    async fn new() -> Rig {
        Rig::with(|_| {}, |_| {}, setup()).await
    }

    async fn with(
        before: impl FnOnce(&Path),
        change: impl FnOnce(&mut Watched),
        setup: Setup,
    ) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        std::fs::create_dir(&path).unwrap();
        before(&path);
        let folder = folder(&path, change);
        let root = Arc::new(FolderRoot::new(path.clone(), true));
        let (events, mut from_events) = mpsc::channel(8);
        let (scans, mut from_scans) = mpsc::channel(8);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let batch: Vec<Sighting> = tokio::select! {
                    Some(batch) = from_events.recv() => batch,
                    Some(batch) = from_scans.recv() => batch,
                    else => return,
                };
                assert!(!batch.is_empty() && batch.len() <= BATCH);
                all.lock().unwrap().extend(batch);
            }
        });
        let outlets = Outlets {
            single: None,
            events,
            scans,
        };
        let watch = FolderWatch::start(folder, root, outlets, setup).unwrap();
        let status = watch.first_scan_done().await;
        assert!(status.online && status.scans == 1, "{status:?}");
        Rig {
            _dir: dir,
            path,
            watch: Some(watch),
            seen,
        }
    }

    fn watch(&self) -> &FolderWatch {
        self.watch.as_ref().unwrap()
    }

    fn put(&self, rel: &str) {
        let path = self.path.join(rel);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn names(&self) -> BTreeSet<Vec<u8>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|s| s.version.path.clone()).collect()
    }

    fn was(&self, rel: &[u8], how: Sighted) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.iter().any(|s| s.version.path == rel && s.how == how)
    }

    async fn until(&self, what: &str, condition: impl Fn(&Rig) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(
                Instant::now() < end,
                "not in time: {what}; {:?}, {} sightings",
                *self.watch().status().borrow(),
                self.count()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Everything that was done before has been heard and handed over.
    async fn caught_up(&self) {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("caught-up-{n}");
        self.put(&name);
        self.until("the mark", |r| r.was(name.as_bytes(), Sighted::Closed))
            .await;
    }

    async fn stop(mut self) {
        let watch = self.watch.take().unwrap();
        let well = tokio::task::spawn_blocking(move || watch.stop())
            .await
            .unwrap();
        assert!(well, "no thread panicked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_putting_a_file_is_told_apart() {
    let rig = Rig::with(
        |dir| std::fs::write(dir.join("before"), b"x").unwrap(),
        |_| {},
        setup(),
    )
    .await;
    rig.until("the backlog", |r| r.was(b"before", Sighted::Scan))
        .await;
    let outside = rig.path.parent().unwrap().join("outside");
    std::fs::write(&outside, b"x").unwrap();
    std::fs::hard_link(&outside, rig.path.join("linked")).unwrap();
    rig.until("a hard link", |r| r.was(b"linked", Sighted::Created))
        .await;
    std::fs::rename(&outside, rig.path.join("renamed")).unwrap();
    rig.until("renamed in", |r| r.was(b"renamed", Sighted::RenamedIn))
        .await;
    // From a temporary name, which itself is never sighted.
    rig.put("movie.part");
    std::fs::rename(rig.path.join("movie.part"), rig.path.join("movie")).unwrap();
    rig.until("published", |r| r.was(b"movie", Sighted::RenamedIn))
        .await;
    assert!(!rig.names().contains(&b"movie.part"[..]));
    // A slow writer.
    let mut writer = std::fs::File::create(rig.path.join("slow")).unwrap();
    rig.until("created", |r| r.was(b"slow", Sighted::Created))
        .await;
    let opened = rig.watch().root().open_file(b"slow").unwrap();
    assert_eq!(
        open_for_writing(&opened.file),
        crate::domain::settle::Openness::Yes
    );
    writer.write_all(b"more").unwrap();
    rig.until("written", |r| r.was(b"slow", Sighted::Modified))
        .await;
    assert!(!rig.was(b"slow", Sighted::Closed));
    drop(writer);
    rig.until("closed", |r| r.was(b"slow", Sighted::Closed))
        .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_nested_folders_never_lose_a_file() {
    let rig = Rig::new().await;
    let mut expected = BTreeSet::new();
    for i in 0..500 {
        let deep = format!("n{i}/m/l");
        std::fs::create_dir_all(rig.path.join(&deep)).unwrap();
        for at in [format!("n{i}/a"), format!("n{i}/m/b"), format!("{deep}/c")] {
            std::fs::write(rig.path.join(&at), b"x").unwrap();
            expected.insert(at.into_bytes());
        }
    }
    rig.until("all 1,500 files", |r| r.names() == expected)
        .await;
    // And they are watched: what comes later is heard without a scan.
    std::fs::write(rig.path.join("n499/m/l/later"), b"x").unwrap();
    std::fs::write(rig.path.join("n0/later"), b"x").unwrap();
    rig.until("later ones", |r| {
        r.was(b"n499/m/l/later", Sighted::Closed) && r.was(b"n0/later", Sighted::Closed)
    })
    .await;
    assert_eq!(rig.watch().status().borrow().scans, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_tree_and_a_moved_in_tree_are_found_whole() {
    let rig = Rig::new().await;
    let tree = rig.path.parent().unwrap().join("tree");
    let mut expected = BTreeSet::new();
    for i in 0..40 {
        let rel = format!("d{}/e{}/f{i}", i % 4, i % 3);
        let path = tree.join(&rel);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
        expected.insert(format!("copied/{rel}").into_bytes());
        expected.insert(format!("moved/{rel}").into_bytes());
    }
    let cp = std::process::Command::new("cp")
        .args([
            "-r".as_ref(),
            tree.as_os_str(),
            rig.path.join("copied").as_os_str(),
        ])
        .status()
        .unwrap();
    assert!(cp.success());
    std::fs::rename(&tree, rig.path.join("moved")).unwrap();
    rig.until("both trees", |r| r.names() == expected).await;
    // Moved within the folder: heard under its new name, also afterwards.
    rig.caught_up().await;
    std::fs::rename(rig.path.join("moved"), rig.path.join("again")).unwrap();
    rig.until("moved again", |r| {
        let names = r.names();
        names.iter().filter(|n| n.starts_with(b"again/")).count() == 40
    })
    .await;
    rig.put("again/d0/e0/new");
    rig.until("a new one there", |r| {
        r.was(b"again/d0/e0/new", Sighted::Closed)
    })
    .await;
    // Removed and made again at once.
    std::fs::remove_dir_all(rig.path.join("again")).unwrap();
    rig.put("again/d0/e0/reborn");
    rig.until("made again", |r| {
        r.names().contains(&b"again/d0/e0/reborn"[..])
    })
    .await;
    rig.caught_up().await;
    rig.put("again/d0/e0/reborn2");
    rig.until("heard again", |r| {
        r.was(b"again/d0/e0/reborn2", Sighted::Closed)
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_reads_do_not_come_back() {
    let rig = Rig::new().await;
    rig.put("x/a");
    rig.until("the file", |r| r.names().contains(&b"x/a"[..]))
        .await;
    rig.caught_up().await;
    let before = rig.count();
    let root = rig.watch().root();
    for _ in 0..50 {
        let mut opened = root.open_file(b"x/a").unwrap();
        std::io::copy(&mut opened.file, &mut std::io::sink()).unwrap();
        open_for_writing(&opened.file);
        assert_eq!(root.look(b"x/a").as_ref(), Ok(&opened.version));
    }
    rig.caught_up().await;
    let mut after = rig.seen.lock().unwrap().split_off(before);
    after.retain(|s| s.version.path == b"x/a");
    assert!(after.is_empty(), "{after:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_events_end_as_a_scan() {
    // No hint fits: each event is lost.
    let rig = Rig::with(
        |_| {},
        |_| {},
        Setup {
            hints: 0,
            ..setup()
        },
    )
    .await;
    let mut expected = BTreeSet::new();
    for i in 0..300 {
        rig.put(&format!("d{}/f{i}", i % 7));
        expected.insert(format!("d{}/f{i}", i % 7).into_bytes());
    }
    rig.until("all of them", |r| r.names() == expected).await;
    assert!(
        rig.seen
            .lock()
            .unwrap()
            .iter()
            .all(|s| s.how == Sighted::Scan)
    );
    assert!(rig.watch().status().borrow().scans >= 2);
    rig.stop().await;

    // The kernel's own overflow, and an error of the event source.
    let rig = Rig::new().await;
    for (n, signal) in [(2, "overflow"), (3, "error")] {
        let why = signal.to_owned();
        rig.watch().shared.signal(events::Signal::Rescan(why));
        let status = rig.watch().scans_done(n).await;
        assert!(status.scans >= n, "{status:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_never_sighted_and_odd_names_are() {
    let rig = Rig::new().await;
    let at = |name: &[u8]| rig.path.join(OsStr::from_bytes(name));
    let long = [b'n'; 255];
    let odd: [&[u8]; 5] = [
        b"new\nline",
        b"not\xffutf8",
        b"quote\"'\\",
        "\u{202e}bidi".as_bytes(),
        &long,
    ];
    std::fs::create_dir(at(b"d")).unwrap();
    symlink(&rig.path, at(b"d/loop")).unwrap();
    symlink("/etc/hostname", at(b"link")).unwrap();
    symlink("/etc", at(b"linked")).unwrap();
    let _socket = UnixListener::bind(at(b"socket")).unwrap();
    let fifo = at(b"fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for name in odd {
        std::fs::write(at(name), b"x").unwrap();
    }
    let expected: BTreeSet<Vec<u8>> = odd.iter().map(|n| n.to_vec()).collect();
    rig.until("odd names", |r| r.names() == expected).await;
    // By a scan, too.
    rig.watch().request_rescan();
    rig.watch().scans_done(2).await;
    rig.until("a scan's", |r| odd.iter().all(|n| r.was(n, Sighted::Scan)))
        .await;
    assert_eq!(rig.names(), expected);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_removed_and_made_again_is_watched_again() {
    let rig = Rig::new().await;
    rig.put("a");
    rig.until("before", |r| r.names().contains(&b"a"[..])).await;
    std::fs::remove_dir_all(&rig.path).unwrap();
    rig.until("off line", |r| {
        let status = r.watch().status();
        let status = status.borrow();
        !status.online && status.problem.is_some()
    })
    .await;
    std::fs::create_dir(&rig.path).unwrap();
    rig.put("b");
    rig.until("found again", |r| r.names().contains(&b"b"[..]))
        .await;
    rig.until("on line", |r| {
        let status = r.watch().status();
        let status = status.borrow();
        status.online && status.problem.is_none() && status.scans >= 2
    })
    .await;
    rig.caught_up().await;
    // So quickly that it is never seen missing.
    std::fs::remove_dir_all(&rig.path).unwrap();
    std::fs::create_dir(&rig.path).unwrap();
    rig.put("x/c");
    rig.until("found once more", |r| r.names().contains(&b"x/c"[..]))
        .await;
    rig.caught_up().await;
    // Another directory is moved to its place.
    std::fs::rename(&rig.path, rig.path.with_file_name("away")).unwrap();
    std::fs::create_dir(rig.path.with_file_name("next")).unwrap();
    std::fs::rename(rig.path.with_file_name("next"), &rig.path).unwrap();
    rig.put("d");
    rig.until("found in the next", |r| r.names().contains(&b"d"[..]))
        .await;
    rig.caught_up().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_events_it_is_scanned_often() {
    let quick = Setup {
        poll_every: Duration::from_millis(30),
        ..setup()
    };
    let rig = Rig::with(|_| {}, |f| f.how = How::Poll, quick.clone()).await;
    assert_eq!(rig.watch().status().borrow().mode, Mode::Polling);
    rig.put("x/a");
    rig.until("polled", |r| r.was(b"x/a", Sighted::Scan)).await;
    rig.stop().await;

    // No watch left: it falls back, says so, and finds all the same.
    let rig = Rig::with(|_| {}, |_| {}, quick).await;
    assert_eq!(rig.watch().status().borrow().mode, Mode::Events);
    rig.watch().shared.signal(events::Signal::NoWatchLeft);
    rig.until("polling", |r| {
        r.watch().status().borrow().mode == Mode::Polling
    })
    .await;
    let problem = rig.watch().status().borrow().problem.clone().unwrap();
    assert!(problem.contains("fs.inotify.max_user_watches"), "{problem}");
    rig.put("x/a");
    rig.until("polled", |r| r.was(b"x/a", Sighted::Scan)).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_does_not_wait_behind_a_scan_and_a_stop_behind_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..(3 * BATCH) {
        std::fs::write(dir.path().join(format!("old{i}")), b"x").unwrap();
    }
    let (events, mut from_events) = mpsc::channel(1);
    // Never read: the scan is stuck.
    let (scans, from_scans) = mpsc::channel(1);
    let root = Arc::new(FolderRoot::new(dir.path().to_owned(), true));
    let outlets = Outlets {
        single: None,
        events,
        scans,
    };
    let watch = FolderWatch::start(folder(dir.path(), |_| {}), root, outlets, setup()).unwrap();
    let mut status = watch.status();
    status.wait_for(|s| s.scanning && s.online).await.unwrap();
    let end = Instant::now() + DEADLINE;
    while from_scans.is_empty() {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // In a new subfolder: found by a walk in the middle of the other.
    std::fs::create_dir_all(dir.path().join("new/deep")).unwrap();
    std::fs::write(dir.path().join("new/deep/file"), b"x").unwrap();
    let mut found = false;
    while !found {
        let batch = tokio::time::timeout(DEADLINE, from_events.recv())
            .await
            .unwrap()
            .unwrap();
        found = batch.iter().any(|s| s.version.path == b"new/deep/file");
    }
    assert!(watch.status().borrow().scanning);
    let start = Instant::now();
    assert!(
        tokio::task::spawn_blocking(move || watch.stop())
            .await
            .unwrap()
    );
    assert!(start.elapsed() < DEADLINE);
    drop(from_scans);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_no_reason_to_wait_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later");
    let (events, from_events) = mpsc::channel(1);
    let (scans, mut from_scans) = mpsc::channel(1);
    let root = Arc::new(FolderRoot::new(path.clone(), true));
    let outlets = Outlets {
        single: None,
        events,
        scans,
    };
    let watch = FolderWatch::start(folder(&path, |_| {}), root, outlets, setup()).unwrap();
    let status = watch.first_scan_done().await;
    assert!(status.checked && !status.online);
    assert!(
        status
            .problem
            .unwrap()
            .contains("there is nothing at its path")
    );
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), b"x").unwrap();
    let batch = tokio::time::timeout(DEADLINE, from_scans.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(batch[0].version.path, b"a");
    // Nobody listens any more: it ends by itself, and says so.
    drop((from_scans, from_events));
    std::fs::write(path.join("b"), b"x").unwrap();
    watch.request_rescan();
    tokio::time::timeout(DEADLINE, watch.ended()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_counts_what_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    for sub in ["a/b/c", "done/x", ".hidden/x", "d"] {
        std::fs::create_dir_all(dir.path().join(sub)).unwrap();
    }
    let watched = folder(dir.path(), |_| {});
    let polled = folder(dir.path(), |f| f.how = How::Poll);
    let missing = folder(&dir.path().join("none"), |_| {});
    let budget = budget::watch_budget([&watched, &polled, &missing]);
    let counts: Vec<_> = budget.folders.iter().map(|(_, n)| n.clone()).collect();
    let offline = NotTaken::Offline(Offline::Missing);
    assert_eq!(counts, [Ok(5), Ok(0), Err(offline)]);
    assert_eq!(budget.needed(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_for_now_is_scanned_for_soon() {
    let rig = Rig::new().await;
    // As after a walk that had no file descriptor left.
    rig.watch().shared.walked(true, false);
    let again = tokio::time::timeout(DEADLINE, rig.watch().scans_done(2)).await;
    assert!(again.unwrap().scans >= 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_leaves_a_sign_is_told_of_until_it_is_old() {
    use crate::domain::owner_sign::NAME;
    let often = Setup {
        sign_every: Duration::from_millis(30),
        ..setup()
    };
    let rig = Rig::with(|_| {}, |f| f.owner_sign = true, often).await;
    let path = rig.path.join(NAME);
    let own = |path: &Path| std::fs::read_to_string(path).is_ok_and(|t| t.contains("run 1\n"));
    rig.until("its own sign", |_| own(&path)).await;
    // As a daemon does that shares nothing with this one but the folder.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, sign("bb", "2").text()).unwrap();
    rig.watch().shared.ask_root_check();
    let told = |r: &Rig| r.watch().status().borrow().shared.clone();
    let asked = |r: &Rig| {
        r.watch().shared.ask_root_check();
        told(r)
    };
    rig.until("it is told", |r| {
        asked(r).is_some_and(|text| text.contains("process 7 on \"host-2\""))
    })
    .await;
    rig.until("it is over", |r| asked(r).is_none()).await;
    assert!(own(&path));
    rig.caught_up().await;
    assert!(
        !rig.names().contains(NAME.as_bytes()),
        "no file of people's"
    );
    let sign = rig.path.join(NAME);
    let dir = rig._dir.path().to_owned();
    let mut rig = rig;
    let watch = rig.watch.take().unwrap();
    assert!(tokio::task::spawn_blocking(|| watch.stop()).await.unwrap());
    assert!(!sign.exists() && dir.exists(), "it goes with its watch");
}
