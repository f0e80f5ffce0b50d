//! New files by the hundred, many in a statement.

use super::*;
use crate::domain::state::Tries;

fn many(count: usize) -> Vec<NewFile> {
    (0..count)
        .map(|n| file(&format!("{n}.txt"), n as u64))
        .collect()
}

async fn enqueue(bench: &Bench, files: Vec<NewFile>) -> Result<Vec<Enqueued>, LedgerError> {
    bench.ledger.enqueue(files, at(0), &bench.policies).await
}

fn rows(bench: &Bench) -> i64 {
    let sql = "SELECT count(*) FROM files";
    by_hand(&bench.path())
        .query_row(sql, [], |r| r.get(0))
        .unwrap()
}

#[tokio::test]
async fn each_of_a_batch_is_told_its_own_number_whatever_the_batchs_length() {
    for count in [1, 2, 7, 8, 9, 63, 64, 65, 128, 512, 1_001] {
        let bench = Bench::new(policy());
        // Numbers that are in use, and one that was.
        bench.enqueue(file("before.txt", 9_000)).await;
        let files = many(count);
        let done = enqueue(&bench, files.clone()).await.unwrap();
        assert_eq!(done.len(), count);
        assert!(done.iter().all(|one| one.new), "{count}");
        assert_eq!(rows(&bench), count as i64 + 1);
        for (file, done) in files.iter().zip(&done) {
            let record = bench.record(done.id).await;
            assert_eq!(record.version, file.version, "of {count}");
            assert_eq!(record.state.kind(), StateKind::Queued);
            assert_eq!(record.media, Some(Media::Text));
        }
        // Asked again, all are known, by the same numbers.
        let again = enqueue(&bench, files).await.unwrap();
        for (again, first) in again.iter().zip(&done) {
            assert_eq!((again.id, again.new), (first.id, false));
        }
        assert_eq!(rows(&bench), count as i64 + 1);
    }
}

#[tokio::test]
async fn a_batch_may_hold_a_file_twice_and_a_newer_version_of_one_of_its_own() {
    // The odd ones at each edge of a statement of 64.
    for place in [1, 62, 63, 64, 65, 99] {
        let bench = Bench::new(policy());
        let mut files = many(100);
        files.insert(place, files[0].clone());
        let newer = file("0.txt", 7_777);
        files.push(newer.clone());
        let mut odd = file("odd.bin", 8_888);
        odd.sorted = NewSorted::Unsupported("no type".into());
        files.insert(place, odd.clone());
        let done = enqueue(&bench, files.clone()).await.unwrap();
        assert_eq!(done.len(), 103);
        assert_eq!(rows(&bench), 102, "at {place}");
        assert!(!done[place + 1].new);
        assert_eq!(done[place + 1].id, done[0].id);
        for (file, done) in files.iter().zip(&done) {
            let record = bench.record(done.id).await;
            assert_eq!(record.version, file.version, "at {place}");
            let state = match () {
                () if *file == odd => StateKind::Unsupported,
                () if file.version == files[0].version => StateKind::Superseded,
                () => StateKind::Queued,
            };
            assert_eq!(record.state.kind(), state, "at {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_refused_takes_its_own_batch_back_and_no_other() {
    let bench = Bench::new(policy());
    let kept = bench.enqueue(file("kept.txt", 9_000)).await;
    by_hand(&bench.path())
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON files WHEN NEW.path = CAST('60.txt' AS BLOB)
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .unwrap();
    // Before it seven statements of 8 have been written.
    let other = enqueue(&bench, vec![file("other.txt", 9_001)]);
    let (refused, other) = tokio::join!(enqueue(&bench, many(63)), other);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("not this one"), "{error}");
    assert!(other.unwrap()[0].new);
    assert_eq!(rows(&bench), 2, "nothing is half-recorded");
    assert_eq!(bench.kind(kept).await, StateKind::Queued);

    by_hand(&bench.path())
        .execute_batch("DROP TRIGGER refuse")
        .unwrap();
    let done = enqueue(&bench, many(100)).await.unwrap();
    assert!(done.iter().all(|one| one.new));
    assert_eq!(rows(&bench), 102);
    let numbers: std::collections::BTreeSet<FileId> = done.iter().map(|one| one.id).collect();
    assert_eq!(numbers.len(), 100);
}

fn intent() -> Begin {
    Begin {
        dataset: dataset(),
        hash: Some([1; 32]),
        options: [9; 16],
        duplicates: DuplicateRule::SameContent,
        one_chunk: true,
        endpoint: "/file-task".into(),
    }
}

async fn at_once(bench: &Bench, new: NewFile) -> (FileId, Option<Begun>) {
    let done = bench
        .ledger
        .enqueue_and_begin(new, intent(), at(0), &bench.policies);
    done.await.unwrap()
}

#[tokio::test]
async fn a_file_comes_in_and_its_attempt_begins_in_one_commit() {
    let bench = Bench::new(policy());
    let before = bench.ledger.commits();
    let (id, begun) = at_once(&bench, file("a.txt", 1)).await;
    assert_eq!(bench.ledger.commits() - before, 1);
    let Some(Begun::Attempt { attempt, probe }) = begun else {
        panic!("{begun:?}");
    };
    assert!(!probe);
    let uploading = State::Uploading {
        attempt,
        last_byte_sent: true,
        tries: Tries::new(at(0).now),
    };
    assert_eq!(bench.state(id).await, uploading);
    let story = bench.ledger.show(id).await.unwrap().unwrap();
    let changes: Vec<_> = story.history.iter().map(|h| (h.from, h.to)).collect();
    assert_eq!(changes, [(StateKind::Queued, StateKind::Uploading)]);
    // Sighted again: it is known, and nothing is begun.
    assert_eq!(at_once(&bench, file("a.txt", 1)).await, (id, None));
    assert_eq!(bench.state(id).await, uploading);
}

#[tokio::test]
async fn what_may_not_go_at_once_is_queued_and_a_copy_ends() {
    let bench = Bench::new(policy());
    let (first, _) = at_once(&bench, file("a.txt", 1)).await;
    let (copy, begun) = at_once(&bench, file("b.txt", 2)).await;
    assert_eq!(begun, Some(Begun::Duplicate(first)));
    assert_eq!(bench.kind(copy).await, StateKind::Duplicate);
    // A newer version of a path replaces the one that waits.
    let old = bench.enqueue(file("c.txt", 3)).await;
    let (new, begun) = at_once(&bench, file("c.txt", 4)).await;
    assert!(matches!(begun, Some(Begun::Duplicate(_))), "{begun:?}");
    assert_eq!(bench.state(old).await, State::Superseded { by: new });

    let bench = Bench::new(policy());
    let id = bench.enqueue(file("x.txt", 5)).await;
    let attempt = bench.begin(id, 0).await;
    let stop = judge(&answer(503, "", None));
    bench.finish(id, attempt, stop, 1).await;
    let (held, begun) = at_once(&bench, file("d.txt", 6)).await;
    assert!(matches!(begun, Some(Begun::Held { .. })), "{begun:?}");
    assert_eq!(bench.kind(held).await, StateKind::Queued);
}
