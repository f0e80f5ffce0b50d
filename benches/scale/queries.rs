//! What the daemon asks its ledger all the time, and people now and then, at
//! ten million rows.
//!
//! Must not: judge.

use std::time::{Duration, Instant};

use supametas_sync::domain::duplicates::DuplicateRule;
use supametas_sync::domain::ids::{DatasetName, FileId, FolderName, Route};
use supametas_sync::domain::media::Media;
use supametas_sync::domain::state::StateKind;
use supametas_sync::domain::time::Timestamp;
use supametas_sync::domain::version::FileVersion;
use supametas_sync::ledger::{Filter, Ledger, LedgerError, PickRequest, SentBefore};

use super::Plan;
use super::daemon::Stage;
use super::rows;

/// How often each is asked.
const ROUNDS: u64 = 2_000;

/// A walk through the numbers that looks like chance, and is the same each time.
struct Numbers {
    at: u64,
    count: u64,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.at = self
            .at
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        1 + (self.at >> 33) % self.count
    }
}

fn version(n: u64) -> FileVersion {
    FileVersion {
        path: format!("d{:05}/f{n:08}.txt", n / 100).into_bytes(),
        dev: 1,
        inode: n,
        size: 1000 + n % 100_000,
        mtime_ns: 1_700_000_000_000_000_000 + n.cast_signed(),
        born_ns: None,
    }
}

/// Times of one question, as a row of the table.
async fn timed<F: Future<Output = Result<(), LedgerError>>>(
    what: &str,
    numbers: &mut Numbers,
    mut ask: impl FnMut(u64) -> F,
) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let n = numbers.next();
        let start = Instant::now();
        ask(n).await.expect("answered");
        times.push(start.elapsed());
        if times.iter().sum::<Duration>() > Duration::from_secs(20) {
            break;
        }
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "| {what} | {:.2} | {:.2} | {:.2} |",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

pub async fn all(plan: &Plan) {
    let counts = match (plan.files, plan.quick) {
        (Some(files), _) => vec![files],
        (None, true) => vec![100_000],
        (None, false) => vec![100_000, 1_000_000, 10_000_000],
    };
    for count in counts {
        let stage = Stage::new("").await;
        let start = Instant::now();
        rows::of_all_states(&stage.ledger(), count);
        println!(
            "{count} rows, {:.2} GB, {:.0} bytes a row; made in {:.0} s\n",
            stage.bytes() as f64 / 1e9,
            stage.bytes() as f64 / count as f64,
            start.elapsed().as_secs_f64()
        );
        println!("| question | p50, ms | p99, ms | most |\n|---|---|---|---|");
        let ledger = Ledger::open_owner(&stage.ledger()).expect("it opens");
        ask(&ledger, count).await;
        ledger.close().await;
        let mut times: Vec<Duration> = (0..20).map(|_| stage.run(&["status"])).collect();
        times.sort();
        println!(
            "| `status`, the whole command, no daemon | {:.0} | {:.0} | {:.0} |",
            times[10].as_secs_f64() * 1e3,
            times[18].as_secs_f64() * 1e3,
            times[19].as_secs_f64() * 1e3
        );
        let daemon = stage.start();
        daemon.scanned(0).await;
        let mut times: Vec<Duration> = (0..20).map(|_| stage.run(&["status"])).collect();
        times.sort();
        println!(
            "| `status`, beside a daemon | {:.0} | {:.0} | {:.0} |\n",
            times[10].as_secs_f64() * 1e3,
            times[18].as_secs_f64() * 1e3,
            times[19].as_secs_f64() * 1e3
        );
    }
}

async fn ask(ledger: &Ledger, count: u64) {
    let mut numbers = Numbers { at: 7, count };
    let n = &mut numbers;
    let now = Timestamp(rows::now_ms());
    let folder = || FolderName("f".to_owned());
    let dataset = || DatasetName("d".to_owned());
    timed("is it known? (one that is)", n, |n| async move {
        assert!(n % 1000 >= 980 || ledger.known(folder(), vec![version(n)]).await?[0]);
        Ok(())
    })
    .await;
    timed("is it known? (one that is not)", n, |n| async move {
        let mut version = version(n);
        version.size += 1;
        ledger.known(folder(), vec![version]).await.map(drop)
    })
    .await;
    timed("are they known? (512 of a scan)", n, |n| async move {
        let all = (n..n + 512).map(version).collect();
        ledger.known(folder(), all).await.map(drop)
    })
    .await;
    timed("what is due on a route? (64)", n, |_| async move {
        let route = Route {
            folder: folder(),
            media: Media::Text,
        };
        let wanted = PickRequest {
            route,
            now,
            limit: 64,
            big: false,
        };
        ledger.pick(wanted).await.map(drop)
    })
    .await;
    timed("is its content on record?", n, |n| async move {
        let wanted = SentBefore {
            id: None,
            folder: folder(),
            dataset: dataset(),
            version: version(n),
            hash: [n as u8; 32],
            options: [0; 16],
            rule: DuplicateRule::SameContent,
        };
        ledger.sent_before(wanted).await.map(drop)
    })
    .await;
    timed("which tasks are due? (32)", n, |n| async move {
        let then = now.plus(Duration::from_millis(n % 600_000));
        ledger.due_polls(dataset(), then, 32).await.map(drop)
    })
    .await;
    timed("when is a task due next?", n, |_| async move {
        ledger.next_poll_at(dataset()).await.map(drop)
    })
    .await;
    timed("when is anything due next?", n, |_| async move {
        ledger.next_due(now).await.map(drop)
    })
    .await;
    timed("which sources are due?", n, |_| async move {
        ledger
            .due_source_actions(now, 64, Vec::new())
            .await
            .map(drop)
    })
    .await;
    timed("what is to be sorted again?", n, |_| async move {
        ledger.unsorted(None, 128).await.map(drop)
    })
    .await;
    timed("how much is there to do?", n, |_| async move {
        ledger.pending(now).await.map(drop)
    })
    .await;
    timed("for people: how things stand", n, |_| async move {
        ledger.standing(now).await.map(drop)
    })
    .await;
    timed("for people: everything of a file", n, |n| async move {
        ledger.show(FileId(n.cast_signed())).await.map(drop)
    })
    .await;
    timed("for people: the last 50 rejected", n, |_| async move {
        let filter = Filter {
            states: vec![StateKind::Rejected],
            limit: 50,
            ..Filter::default()
        };
        ledger.list(filter).await.map(drop)
    })
    .await;
}
