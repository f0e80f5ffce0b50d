//! What a file costs that is refused for a month, and what a long reader does.

use super::*;
use crate::domain::answer::Code;
use crate::ledger::growth::{FIRST_ATTEMPTS, LAST_ATTEMPTS};
use rusqlite::Connection;

/// Bytes of the ledger that are in use.
fn in_use(bench: &Bench) -> i64 {
    let conn = Connection::open(bench.path()).unwrap();
    let pragma = |name| -> i64 {
        conn.pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
}

fn busy(message: &str) -> Judgement {
    let mut judgement = judge(&answer(503, "BUSY", None));
    judgement.why = message.to_owned();
    judgement.pause = None;
    judgement
}

#[tokio::test]
async fn thirty_days_of_refusals_cost_kilobytes() {
    let bench = Bench::new(Policy {
        give_up_after: Duration::from_secs(365 * 86_400),
        ..policy()
    });
    let id = bench.enqueue(file("a.txt", 1)).await;
    let before = in_use(&bench);
    let message = "the service says a lot. ".repeat(80);
    let tries = 1_500;
    for n in 0..tries {
        // Half an hour apart.
        let ms = n * 1_800_000;
        let attempt = bench.begin(id, ms).await;
        let _ = bench.finish(id, attempt, busy(&message), ms + 1).await;
    }
    let grown = in_use(&bench) - before;
    assert!(grown < 40_000, "{grown} bytes for {tries} attempts");

    let story = bench.ledger.show(id).await.unwrap().unwrap();
    assert_eq!(story.attempt_count, 1_500);
    assert_eq!(story.attempts.len() as i64, FIRST_ATTEMPTS + LAST_ATTEMPTS);
    assert_eq!(story.attempts[0].started_at, at(0).now);
    let last = story.attempts.last().unwrap();
    assert_eq!(last.started_at, at((tries - 1) * 1_800_000).now);
    for attempt in &story.attempts {
        assert_eq!(attempt.message.as_deref(), Some(message.as_str()));
    }
    assert!(story.history.iter().all(|change| !change.why.is_empty()));
    let (attempts, changes) = story.left_out();
    assert_eq!(attempts, 1_460);
    assert_eq!(changes + story.history.len() as u64, 3_000);
    let counts = bench.ledger.attempt_counts(vec![id]).await.unwrap();
    assert_eq!(counts[&id], 1_500);
}

#[tokio::test]
async fn another_code_has_its_own_message() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a.txt", 1)).await;
    for (n, why) in ["first", "second", "first again"].into_iter().enumerate() {
        let ms = i64::try_from(n).unwrap() * 7_200_000;
        let mut judgement = busy(why);
        if n == 1 {
            judgement.code = Code::service("OTHER");
        }
        let attempt = bench.begin(id, ms).await;
        let _ = bench.finish(id, attempt, judgement, ms + 1).await;
    }
    let story = bench.ledger.show(id).await.unwrap().unwrap();
    let told: Vec<_> = story
        .attempts
        .iter()
        .map(|a| a.message.as_deref())
        .collect();
    assert_eq!(told, [Some("first"), Some("second"), Some("first")]);
    assert_eq!(story.file.last_why.as_deref(), Some("first again"));
}

#[tokio::test]
async fn a_long_list_is_read_in_pages_and_is_whole() {
    let bench = Bench::new(policy());
    let files: Vec<_> = (0..12_001).map(|n| file(&format!("{n}.txt"), n)).collect();
    for chunk in files.chunks(1_000) {
        let all = bench.ledger.enqueue(chunk.to_vec(), at(0), &bench.policies);
        all.await.unwrap();
    }
    let all = bench.ledger.list(Filter::default()).await.unwrap();
    assert_eq!(all.len(), 12_001);
    let some = Filter {
        limit: 6_000,
        ..Filter::default()
    };
    assert_eq!(bench.ledger.list(some).await.unwrap().len(), 6_000);
}

#[tokio::test]
async fn a_long_reader_is_told_and_the_log_is_cut_when_it_has_gone() {
    let bench = Bench::new(policy());
    let mut reader = Connection::open(bench.path()).unwrap();
    let reading = reader.transaction().unwrap();
    let count = "SELECT count(*) FROM files";
    let _: i64 = reading.query_row(count, [], |row| row.get(0)).unwrap();
    let log = bench.dir.path().join("ledger.sqlite-wal");
    let long = || std::fs::metadata(&log).unwrap().len();
    let mut n = 0;
    while long() < 70 << 20 {
        let many: Vec<_> = (0..2_000)
            .map(|_| {
                n += 1;
                file(&format!("{}{n}.txt", "long/".repeat(100)), n)
            })
            .collect();
        let all = bench.ledger.enqueue(many, at(0), &bench.policies);
        all.await.unwrap();
    }
    bench.ledger.refresh_gates().await.unwrap();
    assert!(bench.ledger.long_log().unwrap().bytes > 64 << 20);
    drop(reading);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while bench.ledger.long_log().is_some() {
        assert!(std::time::Instant::now() < deadline, "{} bytes", long());
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.ledger.refresh_gates().await.unwrap();
    }
    assert!(long() < 1 << 20, "{} bytes", long());
}
