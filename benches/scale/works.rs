//! What the daemon does with many files: starts, takes up, rests, polls.
//!
//! Must not: judge.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Plan;
use super::daemon::{DEADLINE, Stage};
use super::{files, rows};

/// New files that lie there at a start among those that are known.
const PLANTED: u64 = 10;

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

/// Known files at a start, and then nothing to do.
pub async fn startup(plan: &Plan) {
    println!(
        "| known files at a start | walk and stat, ms | ready, ms | ratio | CPU, ms | new files that lay there sent after, ms | dropped in meanwhile, ms | sent again | resident, peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut idle = Vec::new();
    for count in plan.sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
        let stage = Stage::new("").await;
        let root = stage.path("drop");
        files::make(&root, count, false);
        rows::known(&stage.ledger(), &root);
        for n in 0..PLANTED {
            let at = root.join(format!(
                "d{:05}/new-{n}.txt",
                n * (count / files::IN_ONE) / PLANTED
            ));
            files::plant(&at, n);
        }
        let walked = files::walk_and_stat(&root);
        let daemon = stage.start();
        // While it scans, one more now and then.
        let (mut slowest, mut dropped) = (Duration::ZERO, 0);
        let scan = daemon.scanned(count);
        tokio::pin!(scan);
        let ready = loop {
            let one = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let (name, since) = (format!("live-{dropped}.txt"), Instant::now());
                files::drop_in(&stage.path("aside"), &root.join(&name), 1_000 + dropped);
                since
            };
            tokio::select! {
                ready = &mut scan => break ready,
                _ = one => dropped += 1,
            }
        };
        let cpu = daemon.cpu();
        let late = stage.uploaded(PLANTED + dropped, daemon.started).await;
        slowest = slowest.max(late.saturating_sub(ready));
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!(
            "| {count} | {} | {} | {:.1} | {} | {} | {dropped} files, the last {} after the scan | {} | {:.0}, {:.0} |",
            ms(walked),
            ms(ready),
            ready.as_secs_f64() / walked.as_secs_f64(),
            ms(cpu),
            ms(late),
            ms(slowest),
            stage.uploads().saturating_sub(PLANTED + dropped),
            daemon.resident(),
            daemon.peak(),
        );
        if plan.wants("idle") && count <= 100_000 {
            rows::all_ended(&stage.ledger()).await;
            // Connections that nobody uses are closed meanwhile.
            tokio::time::sleep(Duration::from_secs(15)).await;
            let (before, start) = (daemon.cpu(), Instant::now());
            tokio::time::sleep(plan.watch()).await;
            let used = daemon.cpu().saturating_sub(before);
            idle.push(format!(
                "| {count} | {} | {:.0} | {} | {:.1} |",
                count.div_ceil(files::IN_ONE),
                start.elapsed().as_secs_f64(),
                ms(used),
                daemon.resident()
            ));
        }
    }
    if !idle.is_empty() {
        println!("\n| idle: files | folders | watched for, s | CPU, ms | resident, MiB |");
        println!("|---|---|---|---|---|");
        println!("{}", idle.join("\n"));
    }
    println!();
}

/// Files that wait at the first start of all.
pub async fn first(plan: &Plan) {
    println!(
        "| waiting files at a first start | uploads | first upload begun after, ms | all in the ledger after, s | files/s | CPU, s | peak MiB | log, peak MiB | `status`, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for count in plan.sizes(&[10_000, 100_000, 1_000_000]) {
        let stage = Stage::new("").await;
        let root = stage.path("drop");
        files::make(&root, count, true);
        rows::settle(&rows::open(&stage.ledger()));
        let ledger = stage.path("empty");
        std::fs::copy(stage.ledger(), &ledger).expect("copied");
        for paused in [true, false] {
            if paused {
                stage.run(&["pause", "all"]);
            } else {
                for end in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(stage.path(&format!("ledger.sqlite{end}")));
                }
                std::fs::copy(&ledger, stage.ledger()).expect("copied");
            }
            enqueue(&stage, count, paused).await;
        }
    }
    println!();
}

async fn enqueue(stage: &Stage, count: u64, paused: bool) {
    let conn = Connection::open(stage.ledger()).expect("it opens");
    conn.busy_timeout(Duration::from_secs(5)).expect("set");
    let in_ledger = || -> u64 {
        let sql = "SELECT coalesce(sum(files), 0) FROM counts";
        let files: i64 = conn.query_row(sql, [], |row| row.get(0)).expect("counted");
        files.unsigned_abs()
    };
    let before = stage.uploads();
    let daemon = stage.start();
    let (mut first, mut asked, mut log) = (None, Duration::ZERO, 0);
    let mut ask_at = Instant::now() + Duration::from_secs(1);
    let taken = loop {
        if first.is_none() && stage.uploads() > before {
            first = Some(daemon.started.elapsed());
        }
        if in_ledger() >= count {
            break daemon.started.elapsed();
        }
        if ask_at < Instant::now() {
            ask_at = Instant::now() + Duration::from_secs(5);
            asked = asked.max(stage.run(&["status"]));
            log = log.max(stage.log_bytes());
        }
        assert!(daemon.started.elapsed() < DEADLINE, "it took too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let cpu = daemon.cpu();
    asked = asked.max(stage.run(&["status"]));
    println!(
        "| {count} | {} | {} | {:.1} | {:.0} | {:.1} | {:.0} | {:.0} | {} |",
        if paused { "paused" } else { "beside" },
        first.map_or("–".to_owned(), ms),
        taken.as_secs_f64(),
        count as f64 / taken.as_secs_f64(),
        cpu.as_secs_f64(),
        daemon.peak(),
        log.max(stage.log_bytes()) as f64 / f64::from(1 << 20),
        ms(asked),
    );
}

/// Submitted files that are all due.
pub async fn poll(plan: &Plan) {
    const RATE: u64 = 50;
    let count = plan.files.unwrap_or(100_000);
    let stage = Stage::new(&format!("polls_per_second = {RATE}")).await;
    rows::submitted(&stage.ledger(), count);
    let polls = || -> u64 {
        let counts = stage.sink.counts();
        counts.requests.values().sum()
    };
    let daemon = stage.start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (cpu, start, first) = (daemon.cpu(), Instant::now(), polls());
    let (mut last, mut seconds, mut tenths) = (first, Vec::new(), Vec::new());
    let mut of_second = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    tick.tick().await;
    while start.elapsed() < plan.watch() {
        tick.tick().await;
        let now = polls();
        of_second += now - last;
        tenths.push(now - last);
        last = now;
        if tenths.len() % 10 == 0 {
            seconds.push(std::mem::take(&mut of_second));
        }
    }
    let took = start.elapsed().as_secs_f64();
    let used = daemon.cpu().saturating_sub(cpu).as_secs_f64();
    println!(
        "| submitted | polls/s wanted | polls/s | in a second, least and most | in a tenth, most | CPU, % of a core | resident, MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {count} | {RATE} | {:.1} | {} to {} | {} | {:.2} | {:.1} |\n",
        (last - first) as f64 / took,
        seconds.iter().min().unwrap_or(&0),
        seconds.iter().max().unwrap_or(&0),
        tenths.iter().max().unwrap_or(&0),
        used / took * 100.0,
        daemon.resident(),
    );
}

/// What a file takes in the ledger.
pub async fn at_rest(plan: &Plan) {
    println!("| the ledger at rest: files | state | bytes a file |");
    println!("|---|---|---|");
    let count = plan.files.unwrap_or(100_000);
    for state in ["queued", "submitted", "succeeded", "all states"] {
        let stage = Stage::new("").await;
        let empty = stage.bytes();
        let root = stage.path("drop");
        match state {
            "queued" => {
                files::make(&root, count, true);
                stage.run(&["pause", "all"]);
                let daemon = stage.start();
                daemon.scanned(count).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                drop(daemon);
                rows::settle(&rows::open(&stage.ledger()));
            }
            "submitted" => rows::submitted(&stage.ledger(), count),
            "succeeded" => {
                files::make(&root, count, false);
                rows::known(&stage.ledger(), &root);
            }
            _ => rows::of_all_states(&stage.ledger(), count),
        }
        println!(
            "| {count} | {state} | {:.0} |",
            (stage.bytes() - empty) as f64 / count as f64
        );
    }
    println!();
}
