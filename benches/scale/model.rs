//! The model of docs/scale.md against what is measured: small files, by how
//! long a synced write and an answer take.
//!
//! Everything lies in memory, and `compare/slow_disk.c` makes a synced write
//! last as long as each row says: so the rows do not depend on this machine's
//! disk. Must not: judge.

use std::path::Path;
use std::time::{Duration, Instant};

use supametas_sync::sandbox::SandboxConfig;

use super::Plan;
use super::common::{Setup, Stage};
use super::slow_disk::SlowDisk;

/// Uploads at once: the number is held, so that the model has one to go by.
const LANES: usize = 32;
/// Files that share one wait for the disk, about, while hundreds are under way:
/// measured, not derived.
const SHARED: f64 = 110.0;
/// What a file's turn on the wire takes beside the answer's delay: two timers'
/// rounding, and the work of both ends.
const OWN: Duration = Duration::from_micros(2_500);

/// What the model says, files/s. `bound`: what this machine does where nobody
/// has to be waited for.
fn model(bound: f64, fsync: Duration, answer: Duration) -> f64 {
    let files = 1.0 / (1.0 / bound + fsync.as_secs_f64() / SHARED);
    if answer.is_zero() {
        return files;
    }
    files.min(LANES as f64 / (answer + OWN).as_secs_f64())
}

pub async fn table(plan: &Plan) {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir_in(super::daemon::scratch()),
    };
    let dir = dir.expect("a directory");
    println!(
        "| one fsync | answer after | files/s by the model | measured, of {LANES} at once | measured / model |"
    );
    println!("|---|---|---|---|---|");
    let mut bound = None;
    let fsyncs: &[u64] = if plan.quick { &[0, 4] } else { &[0, 1, 4, 10] };
    for answer in [0, 50] {
        for fsync in fsyncs {
            let (fsync, answer) = (Duration::from_millis(*fsync), Duration::from_millis(answer));
            let count = match (plan.quick, answer.is_zero()) {
                (true, _) => 500,
                (false, true) => 8_000,
                (false, false) => 4_000,
            };
            let rate = measured(dir.path(), fsync, answer, plan.files.unwrap_or(count)).await;
            let bound = *bound.get_or_insert(rate);
            let said = model(bound, fsync, answer);
            println!(
                "| {} ms | {} ms | {said:.0} | {rate:.0} | {:.2} |",
                fsync.as_millis(),
                answer.as_millis(),
                rate / said,
            );
        }
    }
    println!();
}

/// Small files dropped at once, files/s.
async fn measured(dir: &Path, fsync: Duration, answer: Duration, count: u64) -> f64 {
    let disk = SlowDisk::make(dir, fsync).expect("a C compiler");
    let setup = Setup {
        dataset: format!("concurrency = {LANES}\nmax_concurrent = {LANES}"),
        env: disk.env(),
        parent: Some(dir.to_owned()),
        sink: SandboxConfig {
            sink: true,
            answer_delay: answer,
            ..SandboxConfig::default()
        },
        ..Setup::default()
    };
    let stage = Stage::set_up(setup).await;
    for n in 0..count {
        stage.put(&format!("{n}.txt"), format!("{n:04096}").as_bytes());
    }
    let start = Instant::now();
    for n in 0..count {
        stage.drop_in(&format!("{n}.txt"));
    }
    stage.uploads(1 + count).await;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    stage.end().await;
    rate
}
