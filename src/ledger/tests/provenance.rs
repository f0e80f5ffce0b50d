//! What lies at a ledger's path and can't be this program's is refused; a
//! ledger that is gone is not silently begun anew.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::ledger::paths::named;

/// A closed ledger in a directory of its own.
async fn closed() -> (TempDir, PathBuf) {
    let bench = Bench::new(policy());
    bench.enqueue(file("a", 1)).await;
    let path = bench.path();
    bench.ledger.clone().close().await;
    (bench.dir, path)
}

fn refused(path: &Path) -> LedgerError {
    Ledger::open_owner(path).expect_err("it is refused")
}

fn why(path: &Path) -> Suspect {
    match refused(path) {
        LedgerError::NotOurs { why, .. } => why,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_planted_journal_is_refused_and_never_replayed() {
    let (_dir, path) = closed().await;
    let before = fs::read(&path).unwrap();
    let journal = named(&path, "-journal");
    fs::write(&journal, [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]).unwrap();
    for error in [
        Ledger::open_owner(&path).unwrap_err(),
        Ledger::open_visitor(&path).unwrap_err(),
        Ledger::open_onlooker(&path).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(
            said.contains("-journal") && said.contains("move it away"),
            "{said}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(journal.exists());
}

#[tokio::test]
async fn what_is_beside_the_ledger_must_be_its_users_alone() {
    for end in ["-wal", "-shm", ".rescued"] {
        let (_dir, path) = closed().await;
        let (beside, other) = (named(&path, end), named(&path, ".other"));
        fs::write(&other, "x").unwrap();
        symlink(&other, &beside).unwrap();
        assert_eq!(why(&path), Suspect::Link, "{end}");
        fs::remove_file(&beside).unwrap();
        fs::hard_link(&other, &beside).unwrap();
        assert_eq!(why(&path), Suspect::SecondName, "{end}");
        fs::remove_file(&other).unwrap();
        fs::set_permissions(&beside, Permissions::from_mode(0o620)).unwrap();
        assert_eq!(why(&path), Suspect::OpenToOthers(0o620), "{end}");
        fs::set_permissions(&beside, Permissions::from_mode(0o600)).unwrap();
        if chown(&beside, Some(12_345), None).is_ok() {
            assert_eq!(why(&path), Suspect::ForeignOwner(12_345), "{end}");
        }
        fs::remove_file(&beside).unwrap();
        fs::create_dir(&beside).unwrap();
        assert_eq!(why(&path), Suspect::NotAFile, "{end}");
    }
}

#[tokio::test]
async fn the_ledger_and_its_lock_are_not_reached_through_links() {
    for end in ["", ".lock"] {
        let (dir, path) = closed().await;
        let victim = dir.path().join("victim");
        fs::write(&victim, "a letter that must stay as it is").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o644)).unwrap();
        let there = named(&path, end);
        fs::remove_file(&there).unwrap();
        symlink(&victim, &there).unwrap();
        assert_eq!(why(&path), Suspect::Link, "{end:?}");
        fs::remove_file(&there).unwrap();
        fs::hard_link(&victim, &there).unwrap();
        assert_eq!(why(&path), Suspect::SecondName, "{end:?}");
        let meta = fs::metadata(&victim).unwrap();
        assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (32, 0o644));
    }
}

#[tokio::test]
async fn a_directory_that_others_may_write_to_holds_no_ledger() {
    let (dir, path) = closed().await;
    for mode in [0o777, 0o1777, 0o770] {
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let said = refused(&path).to_string();
        assert!(said.contains("chmod go-w"), "{mode:o}: {said}");
    }
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    Ledger::open_owner(&path).unwrap();
}

#[tokio::test]
async fn a_ledger_that_is_gone_or_empty_is_not_begun_anew_unless_it_is_said() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("emptied", |path| fs::write(path, "").unwrap()),
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("deleted, but for its log", |path| {
            fs::remove_file(path).unwrap();
            fs::remove_file(lock_path(path)).unwrap();
            fs::write(named(path, "-wal"), "x").unwrap();
            fs::set_permissions(named(path, "-wal"), Permissions::from_mode(0o600)).unwrap();
        }),
        ("deleted, but for an older one", |path| {
            fs::rename(path, named(path, ".before-2026")).unwrap();
            fs::remove_file(lock_path(path)).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let (_dir, path) = closed().await;
        harm(&path);
        for _ in 0..2 {
            let error = refused(&path);
            assert!(matches!(error, LedgerError::Lost { .. }), "{what}: {error}");
            assert!(error.to_string().contains("rebuild --from"), "{error}");
        }
        assert!(!signs_of_a_lost_ledger(&path).is_empty(), "{what}");
        let ledger = Ledger::own(&path, IfLost::Begin).unwrap();
        assert_eq!(ledger.pending(at(0).now).await.unwrap(), Pending::default());
        ledger.close().await;
        // From then on it is a ledger as any other.
        Ledger::open_owner(&path).unwrap().close().await;
        assert_eq!(signs_of_a_lost_ledger(&path), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_no_earlier_life() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    let mut lock = crate::ledger::lock::take(&path).unwrap();
    fs::write(named(&path, ".new"), "half").unwrap();
    fs::write(named(&path, ".new-journal"), "half").unwrap();
    assert!(signs_of_a_lost_ledger(&path).is_empty());
    drop(lock);
    Ledger::open_owner(&path).unwrap().close().await;
    let left = || fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left(), 2, "the ledger and its lock");
    lock = crate::ledger::lock::take(&path).unwrap();
    assert!(lock.earlier);
}

#[tokio::test]
async fn a_rebuild_of_a_file_made_to_hurt_ends() {
    let (dir, path) = closed().await;
    let made = dir.path().join("made.sqlite");
    by_hand(&made)
        .execute_batch(
            "CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT);
             CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT i AS id FROM n;",
        )
        .unwrap();
    let began = Instant::now();
    let error = Rebuild::begin(&path, Some(&made), false, at(0).now).unwrap_err();
    assert_eq!(error, LedgerError::NotALedger(made.clone()));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    Rebuild::begin(&path, Some(&dir.path().join("pipe")), false, at(0).now).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// The counter of numbers lies on a page of its own; with nonsense in it a
/// search number by number would take years.
#[tokio::test]
async fn a_rebuild_of_a_damaged_last_page_ends_with_what_was_saved() {
    let bench = Bench::new(policy());
    for n in 1..200 {
        bench.enqueue(file(&format!("{n}"), n)).await;
    }
    let path = bench.path();
    bench.ledger.clone().close().await;
    let conn = by_hand(&path);
    conn.execute("UPDATE sqlite_sequence SET seq = 1 << 60", [])
        .unwrap();
    let last: i64 = conn
        .query_row(
            "SELECT max(pageno) FROM dbstat WHERE name = 'files' AND pagetype = 'leaf'",
            [],
            |row| row.get(0),
        )
        .unwrap_or_else(|_| {
            let pages: i64 = conn
                .pragma_query_value(None, "page_count", |row| row.get(0))
                .unwrap();
            pages
        });
    drop(conn);
    let mut bytes = fs::read(&path).unwrap();
    let page = usize::try_from(last - 1).unwrap() * 4096;
    bytes[page..page + 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let began = Instant::now();
    let rebuild = Rebuild::begin(&path, None, false, at(0).now).unwrap();
    let saved = rebuild.report().ledger.unwrap();
    assert!(saved.files + saved.named > 150, "{saved:?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}
