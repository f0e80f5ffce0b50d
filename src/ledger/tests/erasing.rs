//! Rows that leave, what is remembered of them, and copies of the whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

async fn erase(bench: &Bench, id: FileId, memory: Memory) -> Erased {
    let seen = vec![bench.record(id).await];
    let rehearsed = bench.ledger.rehearse_erase(seen.clone()).await.unwrap();
    assert_eq!(bench.ledger.records(vec![id]).await.unwrap().len(), 1);
    let erased = bench.ledger.erase(seen, memory).await.unwrap();
    assert_eq!(erased, rehearsed);
    erased
}

fn count(bench: &Bench, table: &str) -> i64 {
    by_hand(&bench.path())
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

async fn succeeded(bench: &Bench, new: NewFile) -> FileId {
    let id = bench.sent(new, taken("t-1")).await;
    let _ = bench.polled(id, task_is(TaskState::Success)).await;
    id
}

#[tokio::test]
async fn a_row_leaves_with_all_that_belongs_to_it_and_its_number_is_not_used_again() {
    let bench = Bench::new(policy());
    let id = succeeded(&bench, file("a.txt", 1)).await;
    assert_eq!(erase(&bench, id, Memory::Nothing).await.erased, [id]);
    for table in ["files", "attempts", "history", "taken"] {
        assert_eq!(count(&bench, table), 0, "{table}");
    }
    assert!(bench.ledger.counts().await.unwrap().is_empty());
    // New again, and sent again.
    let again = bench.enqueue(file("a.txt", 1)).await;
    assert!(again > id);
    let hash = u8::try_from(id.0).unwrap();
    assert!(matches!(
        bench.begin_with(again, hash, 9).await,
        Begun::Attempt { .. }
    ));
}

#[tokio::test]
async fn what_is_on_its_way_or_has_changed_stays() {
    let bench = Bench::new(policy());
    let uploading = bench.enqueue(file("a.txt", 1)).await;
    let attempt = bench.begin(uploading, 0).await;
    assert!(
        erase(&bench, uploading, Memory::Nothing).await.refused[0]
            .1
            .contains("uploaded")
    );
    let seen = bench.record(uploading).await;
    let _ = bench.finish(uploading, attempt, taken("t-1"), 1).await;
    assert!(
        erase(&bench, uploading, Memory::Nothing).await.refused[0]
            .1
            .contains("cancel")
    );
    let _ = bench.polled(uploading, task_is(TaskState::Fail)).await;
    let stale = bench
        .ledger
        .erase(vec![seen], Memory::Nothing)
        .await
        .unwrap();
    assert!(stale.refused[0].1.contains("changed since"), "{stale:?}");
    // Queued, and its file is gone, as whoever asks has seen.
    let queued = bench.enqueue(file("b.txt", 2)).await;
    assert_eq!(
        erase(&bench, queued, Memory::Nothing).await.erased,
        [queued]
    );
    assert!(bench.pick(1).await.is_empty());
}

#[tokio::test]
async fn an_original_stays_while_a_duplicate_waits_for_it() {
    let bench = Bench::new(policy());
    let original = bench.enqueue(file("a.txt", 1)).await;
    let attempt = bench.begin(original, 0).await;
    let copy = bench.enqueue(file("b.txt", 2)).await;
    assert_eq!(
        bench.begin_with(copy, 1, 1).await,
        Begun::Duplicate(original)
    );
    let _ = bench.finish(original, attempt, taken("t-1"), 2).await;
    // In doubt: its copy waits with it.
    by_hand(&bench.path())
        .execute_batch(
            "UPDATE files SET state = 'lost', next_poll = NULL, polls_pending = NULL, polls_failures = NULL,
             polls_missing = NULL, tries_since = NULL, tries_strikes = NULL, tries_failures = NULL,
             tries_resends = NULL, tries_resubmits = NULL WHERE id = 1",
        )
        .unwrap();
    let refused = erase(&bench, original, Memory::Nothing).await.refused;
    assert!(refused[0].1.contains("waits for its end"), "{refused:?}");
    // Both at once is another matter.
    let both = bench.ledger.records(vec![original, copy]).await.unwrap();
    let erased = bench.ledger.erase(both, Memory::Nothing).await.unwrap();
    assert_eq!(erased.erased, [copy, original]);
}

#[tokio::test]
async fn what_was_taken_is_remembered_when_its_row_is_pruned() {
    let policy = Policy {
        after: AfterSuccess::Delete,
        ..policy()
    };
    let bench = Bench::new(policy);
    let original = bench.sent(file("a.txt", 1), taken("t-1")).await;
    let _ = bench.polled(original, task_is(TaskState::Success)).await;
    let refused = erase(&bench, original, Memory::Content).await.refused;
    assert!(refused[0].1.contains("moved or deleted"), "{refused:?}");
    by_hand(&bench.path())
        .execute_batch("UPDATE files SET source_done = 'deleted'")
        .unwrap();
    assert_eq!(
        erase(&bench, original, Memory::Content).await.erased,
        [original]
    );
    assert_eq!((count(&bench, "files"), count(&bench, "taken")), (0, 1));

    let copy = bench.enqueue(file("b.txt", 2)).await;
    let hash = u8::try_from(original.0).unwrap();
    assert_eq!(
        bench.begin_with(copy, hash, 9).await,
        Begun::Duplicate(original)
    );
    let record = bench.record(copy).await;
    // Imported, so the copy's source goes the same way, and nothing waits.
    assert!(record.source.is_some() && !record.awaiting);
    let other = bench.enqueue(file("c.txt", 3)).await;
    assert!(matches!(
        bench.begin_with(other, 77, 9).await,
        Begun::Attempt { .. }
    ));
    let bench = bench.reopened().await;
    let recovered = bench.ledger.recover(at(10), &bench.policies).await.unwrap();
    assert_eq!(recovered.queued, 1);
}

#[tokio::test]
async fn a_task_is_cancelled_once_and_no_other_is() {
    let bench = Bench::new(policy());
    let task = |id: &str| TaskId::new(id).unwrap();
    let id = bench.sent(file("a.txt", 1), taken("t-1")).await;
    let other = bench
        .ledger
        .deleted(id, task("t-9"), at(1))
        .await
        .unwrap_err();
    assert!(matches!(other, LedgerError::Refused { .. }), "{other}");
    assert_eq!(bench.kind(id).await, StateKind::Submitted);
    for _ in 0..2 {
        bench.ledger.deleted(id, task("t-1"), at(1)).await.unwrap();
        assert_eq!(bench.kind(id).await, StateKind::Cancelled);
    }
    let done = succeeded(&bench, file("b.txt", 2)).await;
    let ended = bench
        .ledger
        .deleted(done, task("t-1"), at(1))
        .await
        .unwrap_err();
    assert!(matches!(ended, LedgerError::Refused { .. }), "{ended}");
}

#[tokio::test]
async fn a_backup_is_a_ledger_of_one_moment() {
    let bench = Bench::new(policy());
    succeeded(&bench, file("a.txt", 1)).await;
    let to = bench.dir.path().join("copy.sqlite");
    let bytes = backup(&bench.path(), &to, false).unwrap();
    assert_eq!(fs::metadata(&to).unwrap().len(), bytes);
    assert_eq!(
        fs::metadata(&to).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let taken_by = backup(&bench.path(), &to, false).unwrap_err();
    assert!(matches!(taken_by, BackupError::Exists(_)), "{taken_by}");
    bench.enqueue(file("b.txt", 2)).await;
    backup(&bench.path(), &to, true).unwrap();
    let nowhere = bench.dir.path().join("nowhere/copy.sqlite");
    let error = backup(&bench.path(), &nowhere, false).unwrap_err();
    assert!(matches!(error, BackupError::CannotWrite { .. }), "{error}");
    let mut names: Vec<_> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("copy"))
        .collect();
    names.sort();
    assert_eq!(names, ["copy.sqlite"], "something is left behind");

    let copy = Ledger::open_owner(&to).unwrap();
    let found = copy.list(Filter::default()).await.unwrap();
    let original = bench.ledger.list(Filter::default()).await.unwrap();
    assert_eq!(found, original);
}

#[tokio::test]
async fn room_is_given_back_while_nobody_works() {
    let bench = Bench::new(policy());
    let many = (1..400).map(|n| file(&format!("{}{n}", "long".repeat(100)), n));
    let ids = bench
        .ledger
        .enqueue(many.collect(), at(0), &bench.policies)
        .await
        .unwrap();
    let ids = ids.into_iter().map(|done| done.id).collect();
    let seen = bench.ledger.records(ids).await.unwrap();
    let erased = bench.ledger.erase(seen, Memory::Content).await.unwrap();
    assert_eq!((erased.erased.len(), erased.refused.len()), (399, 0));
    assert!(unused(&bench.path()).unwrap() > 0);
    let busy = compact(&bench.path()).unwrap_err();
    assert!(
        matches!(busy, LedgerError::LockedByAnother { .. }),
        "{busy}"
    );
    bench.ledger.close().await;
    let path = bench.dir.path().join("ledger.sqlite");
    compact(&path).unwrap();
    assert_eq!(unused(&path).unwrap(), 0);
}
