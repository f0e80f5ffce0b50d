//! Requests share transactions, and neither spoil nor wait for each other.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ledger::error::Fail;

/// The writing thread, held in a request until all others have asked.
struct Held {
    go: Arc<AtomicBool>,
    held: tokio::task::JoinHandle<Result<(), LedgerError>>,
}

impl Held {
    async fn at(ledger: &Ledger) -> Held {
        let (started, go) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (ledger, began, goes) = (ledger.clone(), Arc::clone(&started), Arc::clone(&go));
        let held = tokio::spawn(async move {
            ledger
                .write(1, move |_| {
                    began.store(true, Ordering::Release);
                    while !goes.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                    Ok(())
                })
                .await
        });
        until("it began", || started.load(Ordering::Acquire)).await;
        Held { go, held }
    }

    /// Lets it go on once so many have asked.
    async fn until_asked(self, ledger: &Ledger, requests: usize) {
        let room = crate::ledger::WAITING - requests;
        until("they asked", || ledger.writer.capacity() <= room).await;
        self.go.store(true, Ordering::Release);
        self.held.await.unwrap().unwrap();
    }
}

async fn until(what: &str, cond: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !cond() {
        assert!(std::time::Instant::now() < deadline, "waited for: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_request_goes_before_all_that_wait_and_ends_the_transaction() {
    let bench = Bench::new(policy());
    let before = bench.ledger.commits();
    let held = Held::at(&bench.ledger).await;
    let done = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut asking = Vec::new();
    for n in 0..20 {
        let (ledger, done) = (bench.ledger.clone(), Arc::clone(&done));
        asking.push(tokio::spawn(async move {
            let note = move |_: &mut crate::ledger::Work<'_>| {
                done.lock().unwrap().push(n);
                Ok(())
            };
            match n {
                19 => ledger.write_urgently(1, note).await,
                _ => ledger.write(1, note).await,
            }
        }));
        // In this order.
        let room = crate::ledger::WAITING - (n + 1);
        until("it asked", || bench.ledger.writer.capacity() <= room).await;
    }
    held.until_asked(&bench.ledger, 20).await;
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    let order: Vec<usize> = std::iter::once(19).chain(0..19).collect();
    assert_eq!(*done.lock().unwrap(), order);
    // The held one with the urgent one, then the others.
    assert_eq!(bench.ledger.commits() - before, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_few_commits() {
    let bench = Bench::new(policy());
    let before = bench.ledger.commits();
    let held = Held::at(&bench.ledger).await;
    let asking: Vec<_> = (0..200)
        .map(|n| {
            let (ledger, policies) = (bench.ledger.clone(), Arc::clone(&bench.policies));
            let new = vec![file(&format!("f{n}"), n)];
            tokio::spawn(async move { ledger.enqueue(new, at(0), &policies).await })
        })
        .collect();
    held.until_asked(&bench.ledger, 200).await;
    for asked in asking {
        assert!(asked.await.unwrap().unwrap()[0].new);
    }
    let commits = bench.ledger.commits() - before;
    assert!(commits <= 3, "{commits} commits for 201 requests");
    assert_eq!(bench.pick(0).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_takes_back_its_own_writes_and_no_others() {
    let bench = Bench::new(policy());
    let enqueue = |name: &'static str| bench.enqueue(file(name, 1));
    let failing = bench.ledger.write(1, |work| {
        // A name that must not be remembered, and a row that must not stay.
        work.folder(&FolderName("ghost".into()))?;
        work.conn.execute(
            "INSERT INTO gates (key, status) VALUES ('service', 'open')",
            [],
        )?;
        Err::<(), _>(Fail::Refused(FileId(1), "no".into()))
    });
    let (a, failed, b) = tokio::join!(enqueue("a"), failing, enqueue("b"));
    assert!(
        matches!(failed, Err(LedgerError::Refused { .. })),
        "{failed:?}"
    );
    assert_eq!(bench.kind(a).await, StateKind::Queued);
    assert_eq!(bench.kind(b).await, StateKind::Queued);
    let left: i64 = by_hand(&bench.path())
        .query_row(
            "SELECT (SELECT count(*) FROM gates) + (SELECT count(*) FROM folders)",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(left, 1, "the folder `in` alone");
    let new = NewFile {
        folder: FolderName("ghost".into()),
        ..file("c", 3)
    };
    let c = bench.enqueue(new).await;
    assert_eq!(bench.record(c).await.folder.0, "ghost");
}

#[tokio::test]
async fn a_full_disk_fails_everyone_and_passes() {
    let bench = Bench::new(policy());
    let first = bench.enqueue(file("a", 1)).await;
    // The ledger may not grow any more.
    bench
        .ledger
        .write(1, |work| {
            let pages: i64 = work
                .conn
                .pragma_query_value(None, "page_count", |r| r.get(0))?;
            Ok(work
                .conn
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)
        })
        .await
        .unwrap();
    let many = (0..2_000)
        .map(|n| file(&format!("a rather long name of a file {n}"), n))
        .collect();
    let error = bench
        .ledger
        .enqueue(many, at(0), &bench.policies)
        .await
        .unwrap_err();
    assert_eq!(error, LedgerError::DiskFull(bench.path()));
    assert!(error.is_passing());
    assert_eq!(bench.pick(0).await.len(), 1, "nothing is half-recorded");

    bench
        .ledger
        .write(1, |work| {
            Ok(work
                .conn
                .pragma_update_and_check(None, "max_page_count", 1 << 30, |_| Ok(()))?)
        })
        .await
        .unwrap();
    assert_ne!(bench.enqueue(file("b", 2)).await, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_do_not_wait_for_the_writer() {
    let bench = Bench::new(policy());
    bench.enqueue(file("a", 1)).await;
    let go = Arc::new(AtomicBool::new(false));
    let writing = {
        let (ledger, go) = (bench.ledger.clone(), Arc::clone(&go));
        tokio::spawn(async move {
            ledger
                .write(1, move |_| {
                    while !go.load(Ordering::Acquire) {
                        std::thread::yield_now();
                    }
                    Ok(())
                })
                .await
        })
    };
    assert_eq!(bench.pick(0).await.len(), 1);
    go.store(true, Ordering::Release);
    writing.await.unwrap().unwrap();
}
