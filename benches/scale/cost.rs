//! The table "How cost grows" of docs/scale.md: what a start costs, by the
//! number of files. Prints its rows as they stand there.
//!
//! Must not: judge.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Plan;
use super::daemon::{DEADLINE, Stage};
use super::{files, rows};

/// Three digits at most, as people write it.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.1 => format!("{s:.3} s"),
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 10.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// 12345678 as 12,345,678.
fn number(n: u64) -> String {
    let digits = n.to_string();
    let parts: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|part| std::str::from_utf8(part).expect("digits"))
        .collect();
    parts.join(",")
}

pub async fn table(plan: &Plan) {
    println!(
        "| files | known, at a start: walk and stat | ready | first start: all queued, uploads paused | peak memory at a start | at a first start |"
    );
    println!("|---|---|---|---|---|---|");
    for count in plan.sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
        let (walked, ready, peak) = known(count).await;
        let (queued, first_peak) = first(count).await;
        println!(
            "| {} in {} folders | {} | {} | {} | {peak:.0} MiB | {first_peak:.0} MiB |",
            number(count),
            number(count.div_ceil(files::IN_ONE)),
            seconds(walked),
            seconds(ready),
            seconds(queued),
        );
    }
    println!();
}

/// A start where all is known.
async fn known(count: u64) -> (Duration, Duration, f64) {
    let stage = Stage::new("").await;
    let root = stage.path("drop");
    files::make(&root, count, false);
    rows::known(&stage.ledger(), &root);
    let walked = files::walk_and_stat(&root);
    let daemon = stage.start();
    let ready = daemon.scanned(count).await;
    (walked, ready, daemon.peak())
}

/// A start with an empty ledger and operators who have paused everything.
async fn first(count: u64) -> (Duration, f64) {
    let stage = Stage::new("").await;
    files::make(&stage.path("drop"), count, true);
    rows::settle(&rows::open(&stage.ledger()));
    stage.run(&["pause", "all"]);
    let conn = Connection::open(stage.ledger()).expect("it opens");
    conn.busy_timeout(Duration::from_secs(5)).expect("set");
    let sql = "SELECT coalesce(sum(files), 0) FROM counts";
    let daemon = stage.start();
    let start = Instant::now();
    loop {
        let queued: i64 = conn.query_row(sql, [], |row| row.get(0)).expect("counted");
        if queued.unsigned_abs() >= count {
            return (daemon.started.elapsed(), daemon.peak());
        }
        assert!(start.elapsed() < DEADLINE, "it took too long");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
