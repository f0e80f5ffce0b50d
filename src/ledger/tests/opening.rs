//! What is opened, what is refused, and how a refusal reads.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::ledger::{Rebuild, schema};

#[tokio::test]
async fn an_onlooker_leaves_no_trace_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // What a URI would take for something else.
    let path = dir.path().join("a?b%20#ledger.sqlite");
    let missing = Ledger::open_onlooker(&path).unwrap_err();
    assert_eq!(missing, LedgerError::Missing(path.clone()));
    let names = || {
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let owner = Ledger::open_owner(&path).unwrap();
    // Beside the daemon what it wrote is seen, though it stands in the log.
    let enqueued = owner
        .enqueue(vec![file("a", 1)], at(0), &by(policy()))
        .await
        .unwrap();
    let beside = Ledger::open_onlooker(&path).unwrap();
    let met = |ledger: Ledger| async move {
        let new = file("a", 1);
        let met = ledger.met(new.folder, vec![new.version]).await.unwrap();
        ledger.close().await;
        met[0].as_ref().map(|met| met.file.id)
    };
    assert_eq!(met(beside).await, Some(enqueued[0].id));
    owner.close().await;

    let before = (names(), fs::read(&path).unwrap());
    let alone = Ledger::open_onlooker(&path).unwrap();
    let refused = alone
        .enqueue(vec![file("b", 2)], at(0), &by(policy()))
        .await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(met(alone).await, Some(enqueued[0].id));
    assert_eq!((names(), fs::read(&path).unwrap()), before);
}

#[tokio::test]
async fn a_new_ledger_is_for_its_owner_alone_and_durable() {
    let bench = Bench::new(policy());
    let mode = fs::metadata(bench.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let settings = bench.ledger.write(1, |work| {
        let ask = |name: &str| {
            work.conn
                .pragma_query_value(None, name, |r| r.get::<_, i64>(0))
        };
        Ok((
            ask("synchronous")?,
            ask("foreign_keys")?,
            ask("application_id")?,
        ))
    });
    assert_eq!(
        settings.await.unwrap(),
        (2, 1, schema::APPLICATION_ID),
        "FULL, on, ours"
    );
    let mode: String = by_hand(&bench.path())
        .pragma_query_value(None, "journal_mode", |r| r.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_ledger_that_others_may_read_is_closed_to_them() {
    let bench = Bench::new(policy());
    let path = bench.path();
    bench.ledger.close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _ledger = Ledger::open_owner(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_second_owner_is_kept_off_until_the_first_has_closed() {
    let bench = Bench::new(policy());
    let error = Ledger::open_owner(&bench.path()).unwrap_err();
    let LedgerError::LockedByAnother { pid, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains("ledger.sqlite.lock"), "{error}");
    let bench = bench.reopened().await;
    assert_eq!(
        bench.ledger.pending(at(0).now).await.unwrap(),
        Pending::default()
    );
}

#[tokio::test]
async fn a_closed_ledger_says_so() {
    let bench = Bench::new(policy());
    bench.ledger.clone().close().await;
    let asked = bench.ledger.resume(|_| true, |_| true, at(0).now).await;
    assert_eq!(asked, Err(LedgerError::Closed));
}

#[test]
fn a_visitor_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    assert_eq!(
        Ledger::open_visitor(&path).unwrap_err(),
        LedgerError::Missing(path.clone())
    );
    assert!(!path.exists());
    let nowhere = dir.path().join("no/ledger.sqlite");
    let error = Ledger::open_owner(&nowhere).unwrap_err();
    assert!(matches!(error, LedgerError::Directory { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let bench = Bench::new(policy());
    let path = bench.path();
    bench.ledger.close().await;
    by_hand(&path)
        .pragma_update(None, "user_version", 99)
        .unwrap();
    for opened in [Ledger::open_owner(&path), Ledger::open_visitor(&path)] {
        let error = opened.unwrap_err();
        let expected = LedgerError::Newer {
            path: path.clone(),
            found: 99,
            known: schema::LATEST,
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn other_peoples_files_are_refused_and_left_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("theirs.sqlite");
    by_hand(&database)
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let text = dir.path().join("text");
    fs::write(
        &text,
        "not a database at all, but long enough to be one".repeat(100),
    )
    .unwrap();
    for path in [database, text] {
        let before = fs::read(&path).unwrap();
        let error = Ledger::open_owner(&path).unwrap_err();
        assert_eq!(error, LedgerError::NotALedger(path.clone()));
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

/// What matters of a ledger of version 8, the last one before the first release.
const VERSION_8: &str = "
CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, place_path BLOB) STRICT;
CREATE TABLE datasets (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folder INTEGER NOT NULL REFERENCES folders(id), path BLOB NOT NULL,
    dev INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    big INTEGER GENERATED ALWAYS AS (size > 67108864) VIRTUAL,
    dataset INTEGER NOT NULL REFERENCES datasets(id), media TEXT, hash BLOB, options BLOB,
    state TEXT NOT NULL, not_before INTEGER, attempt INTEGER, last_byte INTEGER, task TEXT,
    next_poll INTEGER, polls_pending INTEGER, polls_failures INTEGER, polls_missing INTEGER,
    tries_since INTEGER, tries_strikes INTEGER, tries_failures INTEGER, tries_resends INTEGER,
    tries_resubmits INTEGER, reason TEXT, code TEXT, duplicate_of INTEGER, superseded_by INTEGER,
    awaiting INTEGER NOT NULL DEFAULT 0, possible_duplicate INTEGER NOT NULL DEFAULT 0,
    last_code TEXT, last_why TEXT, poll_at INTEGER, poll_code TEXT, poll_message TEXT,
    poll_count INTEGER NOT NULL DEFAULT 0, source_action TEXT, source_due INTEGER,
    source_target BLOB, source_done TEXT, source_note TEXT,
    seen_at INTEGER NOT NULL, changed_at INTEGER NOT NULL, changes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (folder, path, dev, inode, size, mtime_ns)
) STRICT;
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL, probe INTEGER NOT NULL, started_at INTEGER NOT NULL,
    last_byte_at INTEGER, ended_at INTEGER, http_status INTEGER, code TEXT, message TEXT,
    verdict TEXT, bytes INTEGER, task TEXT
) STRICT;
CREATE TABLE history (
    file INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, from_state TEXT NOT NULL,
    to_state TEXT NOT NULL, code TEXT, why TEXT NOT NULL, PRIMARY KEY (file, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE gates (
    key TEXT PRIMARY KEY, status TEXT NOT NULL, probe INTEGER, since INTEGER, until INTEGER,
    level INTEGER, code TEXT, why TEXT, lifts TEXT, fingerprint TEXT, first_ms INTEGER,
    max_ms INTEGER, streak_code TEXT, streak_files TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE halts (
    key TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER, who TEXT NOT NULL, why TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE taken (
    dataset INTEGER NOT NULL REFERENCES datasets(id), size INTEGER NOT NULL, hash BLOB NOT NULL,
    options BLOB NOT NULL, file INTEGER NOT NULL, succeeded INTEGER NOT NULL,
    PRIMARY KEY (dataset, size, hash, options)
) STRICT, WITHOUT ROWID;
INSERT INTO folders (id, name) VALUES (3, 'in');
INSERT INTO datasets VALUES (2, 'books');
INSERT INTO files (folder, path, dev, inode, size, mtime_ns, dataset, media, state,
    not_before, tries_since, tries_strikes, tries_failures, tries_resends, tries_resubmits,
    seen_at, changed_at)
VALUES (3, x'61', 1, 1, 7, -5, 2, 'text', 'queued', 0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO files (folder, path, dev, inode, size, mtime_ns, dataset, media, state, task,
    seen_at, changed_at)
VALUES (3, x'62', 1, 2, 5, -5, 2, 'text', 'succeeded', 't-1', 0, 0);
INSERT INTO files (folder, path, dev, inode, size, mtime_ns, dataset, media, state, code,
    source_action, source_due, source_target, source_done, seen_at, changed_at)
VALUES (3, x'6d', 1, 9, 5, -5, 2, 'text', 'rejected', '413', 'move-rejected', 0, x'72', 'moved',
    0, 0);
INSERT INTO attempts (file, endpoint, probe, started_at, verdict)
VALUES (2, 'text', 0, 0, 'accepted');
INSERT INTO history VALUES (2, 1, 9, 'queued', 'succeeded', NULL, 'it was taken');
INSERT INTO halts VALUES ('all', 1, NULL, 'ops', 'maintenance');
";

fn version_8(path: &std::path::Path) {
    let old = by_hand(path);
    old.execute_batch(VERSION_8).unwrap();
    old.pragma_update(None, "application_id", schema::APPLICATION_ID)
        .unwrap();
    old.pragma_update(None, "user_version", 8).unwrap();
}

#[test]
fn a_ledger_of_before_the_first_release_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    version_8(&path);
    let before = fs::read(&path).unwrap();
    for opened in [
        Ledger::open_owner(&path),
        Ledger::open_visitor(&path),
        Ledger::open_onlooker(&path),
    ] {
        let error = opened.unwrap_err();
        let expected = LedgerError::TooOld {
            path: path.clone(),
            found: 8,
        };
        assert_eq!(error, expected);
        assert!(
            error.to_string().contains("supametas-sync rebuild"),
            "{error}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// In place of itself, and from another path: nothing is lost, and no file whose
/// birth the old ledger did not know is taken for a new one.
#[tokio::test]
async fn a_rebuild_carries_a_ledger_of_before_the_first_release_over() {
    let dir = tempfile::tempdir().unwrap();
    let in_place = dir.path().join("ledger.sqlite");
    version_8(&in_place);
    let old = dir.path().join("old.sqlite");
    version_8(&old);
    let elsewhere = dir.path().join("new.sqlite");
    for (path, from) in [(&in_place, None), (&elsewhere, Some(old.as_path()))] {
        let mut rebuild = Rebuild::begin(path, from, true, at(0).now).unwrap();
        let seen = |name: &str, inode, size| FileVersion {
            size,
            dev: 1,
            born_ns: Some(1_000),
            ..version(name, inode)
        };
        let (folder, dataset) = (FolderName("in".into()), DatasetName("books".into()));
        let lie_there = [seen("a", 1, 7), seen("b", 2, 5), seen("c", 3, 5)];
        rebuild.hold_unknown(&folder, &dataset, &lie_there).unwrap();
        assert_eq!(rebuild.report().unknown, 1, "c alone");
        rebuild.put_in_place().unwrap();

        let ledger = Ledger::open_owner(path).unwrap();
        let mut counts = ledger.counts().await.unwrap();
        counts.sort_by_key(|count| count.state.as_str());
        let shown: Vec<_> = counts.iter().map(|c| (c.state, c.files, c.bytes)).collect();
        assert_eq!(
            shown,
            [
                (StateKind::Queued, 1, 7),
                (StateKind::Rejected, 1, 5),
                (StateKind::Succeeded, 1, 5),
                (StateKind::Unconfirmed, 1, 5)
            ]
        );
        let asked = [lie_there.to_vec(), vec![seen("m", 9, 5)]].concat();
        let known = ledger.known(folder, asked).await.unwrap();
        // The last one was moved away, and is put back.
        assert_eq!(known, [true, true, true, false]);
        let story = ledger.show(FileId(2)).await.unwrap().unwrap();
        assert_eq!(story.file.state.kind(), StateKind::Succeeded);
        assert_eq!((story.attempts.len(), story.history.len()), (1, 1));
        ledger.close().await;
    }
}

/// SQLite fills a table in memory for each `IN` of more than two values, at each
/// row that is written.
#[test]
fn no_rule_about_files_costs_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    drop(Ledger::open_owner(&path).unwrap());
    let conn = by_hand(&path);
    let mut said = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'files' AND sql IS NOT NULL")
        .unwrap();
    let said: Vec<(String, String)> = said
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(said.len() > 10);
    for (name, sql) in said {
        for list in sql.split(" IN (").skip(1) {
            let list = list.split(')').next().unwrap();
            assert!(list.split(',').count() <= 2, "{name}: {list}");
        }
    }
}

#[tokio::test]
async fn a_ledger_deleted_while_in_use_records_nothing_more() {
    let bench = Bench::new(policy());
    fs::remove_file(bench.path()).unwrap();
    let error = bench
        .ledger
        .enqueue(vec![file("a", 1)], at(0), &bench.policies)
        .await
        .unwrap_err();
    assert!(matches!(error, LedgerError::Vanished { .. }), "{error}");
}

#[tokio::test]
async fn a_ledger_deleted_while_in_use_is_saved_and_taken_up_again() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    fs::remove_file(bench.path()).unwrap();
    let _ = fs::remove_file(bench.dir.path().join("ledger.sqlite-wal"));
    let error = bench.ledger.refresh_gates().await.unwrap_err();
    assert!(
        error.to_string().contains("ledger.sqlite.rescued"),
        "{error}"
    );
    assert_eq!(*bench.ledger.trouble().borrow(), Some(error));
    // Bytes 18 and 19 of the header say 2 for WAL (SQLite's file format, 1.3.3):
    // nothing has to be changed through a journal when it is taken up.
    let saved = fs::read(bench.dir.path().join("ledger.sqlite.rescued")).unwrap();
    assert_eq!(saved[18..20], [2, 2]);
    let bench = bench.reopened().await;
    assert_eq!(bench.kind(id).await, StateKind::Queued);
    assert!(!bench.dir.path().join("ledger.sqlite.rescued").exists());
}

#[tokio::test]
async fn what_was_saved_of_a_replaced_ledger_is_not_passed_over() {
    let bench = Bench::new(policy());
    bench.enqueue(file("a", 1)).await;
    fs::rename(bench.path(), bench.dir.path().join("away")).unwrap();
    fs::write(bench.path(), "").unwrap();
    let error = bench.ledger.refresh_gates().await.unwrap_err();
    assert!(matches!(error, LedgerError::Vanished { .. }), "{error}");
    bench.ledger.close().await;
    let error = Ledger::open_owner(&bench.dir.path().join("ledger.sqlite")).unwrap_err();
    assert!(matches!(error, LedgerError::Rescued { .. }), "{error}");
    assert!(error.to_string().contains("rebuild --from"), "{error}");
}

#[tokio::test]
async fn a_log_deleted_while_in_use_loses_nothing() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    fs::remove_file(bench.dir.path().join("ledger.sqlite-wal")).unwrap();
    let error = bench.ledger.refresh_gates().await.unwrap_err();
    assert!(matches!(error, LedgerError::Vanished { .. }), "{error}");
    let bench = bench.reopened().await;
    assert_eq!(bench.kind(id).await, StateKind::Queued);
}

/// What came after the deletion shares a transaction that was begun before it.
#[tokio::test]
async fn a_ledger_deleted_in_a_transaction_records_nothing_of_it() {
    for gone in ["", "-wal", "-shm"] {
        let bench = Bench::new(policy());
        let id = bench.enqueue(file("a", 1)).await;
        let path = bench.dir.path().join(format!("ledger.sqlite{gone}"));
        let asked = bench.ledger.write(1, move |work| {
            work.conn.execute("DELETE FROM files", [])?;
            fs::remove_file(&path).unwrap();
            Ok(())
        });
        let error = asked.await.unwrap_err();
        assert!(matches!(error, LedgerError::Vanished { .. }), "{error}");
        assert!(!error.to_string().contains("could not"), "{error}");
        let bench = bench.reopened().await;
        assert_eq!(bench.kind(id).await, StateKind::Queued, "{gone}");
    }
}

/// The ledger's files as a crash would leave them: copied under its owner, with
/// `n` files committed one by one.
async fn crashed_with(n: u64) -> (TempDir, std::path::PathBuf, Vec<u64>) {
    let bench = Bench::new(policy());
    let wal = bench.dir.path().join("ledger.sqlite-wal");
    // How long the log was after each commit.
    let mut ends = Vec::new();
    for i in 1..=n {
        bench.enqueue(file(&format!("f{i}"), i)).await;
        ends.push(fs::metadata(&wal).unwrap().len());
    }
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("ledger.sqlite");
    fs::copy(bench.path(), &path).unwrap();
    fs::copy(&wal, copy.path().join("ledger.sqlite-wal")).unwrap();
    (copy, path, ends)
}

async fn files_in(path: &std::path::Path) -> u64 {
    let ledger = Ledger::open_owner(path).unwrap();
    let counts = ledger.counts().await.unwrap();
    let files = counts.iter().map(|count| count.files).sum();
    ledger.close().await;
    let sound: String = by_hand(path)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    files
}

#[tokio::test]
async fn garbage_behind_a_log_loses_nothing() {
    let (copy, path, ends) = crashed_with(8).await;
    let wal = copy.path().join("ledger.sqlite-wal");
    let end = *ends.last().unwrap();
    // A crash in the middle of the next commit: half a frame, or frames whose
    // content never came; and what was there before.
    let whole = fs::read(&wal).unwrap();
    let garbage: [Vec<u8>; 4] = [
        vec![0xA5; 10_000],
        vec![0; 3 * 4120],
        whole[32..32 + 4120].to_vec(),
        whole[32..32 + 2000].to_vec(),
    ];
    for more in garbage {
        let mut log = whole[..usize::try_from(end).unwrap()].to_vec();
        log.extend(more);
        fs::write(&wal, &log).unwrap();
        let aside = tempfile::tempdir().unwrap();
        let here = aside.path().join("ledger.sqlite");
        fs::copy(&path, &here).unwrap();
        fs::copy(&wal, aside.path().join("ledger.sqlite-wal")).unwrap();
        assert_eq!(files_in(&here).await, 8);
    }
}

#[tokio::test]
async fn of_a_log_that_is_cut_every_whole_commit_stays() {
    let (copy, path, ends) = crashed_with(8).await;
    let wal = copy.path().join("ledger.sqlite-wal");
    let whole = fs::read(&wal).unwrap();
    for (n, end) in ends.iter().enumerate().skip(3) {
        let end = usize::try_from(*end).unwrap();
        for (cut, kept) in [(end, n + 1), (end - 1, n), (end - 3000, n)] {
            let aside = tempfile::tempdir().unwrap();
            let here = aside.path().join("ledger.sqlite");
            fs::copy(&path, &here).unwrap();
            fs::write(aside.path().join("ledger.sqlite-wal"), &whole[..cut]).unwrap();
            assert_eq!(files_in(&here).await, kept as u64, "cut at {cut}");
        }
    }
}
