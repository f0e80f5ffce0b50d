//! Whole-process figures: the real binary, a real folder, and the sandbox's
//! fast sink on loopback.
//!
//! `cargo bench --bench daemon` prints a table in Markdown. Smaller runs:
//! `cargo bench --bench daemon -- --quick`. Where `curl` is installed, the
//! large file is sent by it as well, in turn with the daemon, since these
//! figures mean something only side by side.
//!
//! Must not: judge. It prints what it measured.

#[path = "common/mod.rs"]
mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::run::Run;
use common::{Setup, Stage, write_text};
use supametas_sync::sandbox::SandboxConfig;

struct Sizes {
    small_files: usize,
    large_bytes: u64,
    latencies: usize,
    rounds: usize,
}

fn main() {
    let sizes = match Run::of_arguments() {
        Run::Nothing => return,
        Run::Quick => Sizes {
            small_files: 500,
            large_bytes: 64 << 20,
            latencies: 20,
            rounds: 1,
        },
        Run::Whole => Sizes {
            small_files: 10_000,
            large_bytes: 2 << 30,
            latencies: 300,
            rounds: 3,
        },
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        machine();
        println!("| work | median | min | max | peak memory | CPU of the daemon |");
        println!("|---|---|---|---|---|---|");
        small_files(&sizes, 4).await;
        small_files(&sizes, 8).await;
        large_file(&sizes, "skip").await;
        large_file(&sizes, "upload").await;
        latency(&sizes).await;
        slow_service(&sizes).await;
        limited_service(&sizes).await;
    });
}

async fn small_files(sizes: &Sizes, concurrency: usize) {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        let stage = Stage::new("", &format!("concurrency = {concurrency}")).await;
        let mut content = vec![b'x'; 4096];
        for n in 0..sizes.small_files {
            // Each its own content: none is a duplicate of another.
            content[..12].copy_from_slice(format!("{n:012}").as_bytes());
            stage.put(&format!("{n}.txt"), &content);
        }
        let start = Instant::now();
        for n in 0..sizes.small_files {
            stage.drop_in(&format!("{n}.txt"));
        }
        stage.uploads(1 + sizes.small_files as u64).await;
        rates.push(sizes.small_files as f64 / start.elapsed().as_secs_f64());
        costs.push((stage.peak(), stage.cpu()));
        stage.end().await;
    }
    let work = format!(
        "{} files of 4 KiB dropped at once, {concurrency} at once on the wire, files/s",
        sizes.small_files
    );
    row(&work, &mut rates, 0, &costs);
}

/// Every answer 50 ms late.
fn late(refuse_above: Option<usize>) -> SandboxConfig {
    SandboxConfig {
        sink: true,
        answer_delay: Duration::from_millis(50),
        refuse_above,
        ..SandboxConfig::default()
    }
}

/// Small files to a late service, files/s; and how many imports were refused.
async fn late_files(sizes: &Sizes, dataset: &str, sink: SandboxConfig) -> (f64, u64, (f64, f64)) {
    let setup = Setup {
        dataset: dataset.to_owned(),
        sink,
        ..Setup::default()
    };
    let stage = Stage::set_up(setup).await;
    for n in 0..sizes.small_files {
        stage.put(&format!("{n}.txt"), format!("{n:04096}").as_bytes());
    }
    let start = Instant::now();
    for n in 0..sizes.small_files {
        stage.drop_in(&format!("{n}.txt"));
    }
    stage.uploads(1 + sizes.small_files as u64).await;
    let rate = sizes.small_files as f64 / start.elapsed().as_secs_f64();
    let requests = stage.sink.requests();
    let imports = requests.iter().filter(|r| r.path.ends_with("/file-task"));
    let refused = imports.count().saturating_sub(1 + sizes.small_files) as u64;
    let cost = (stage.peak(), stage.cpu());
    stage.end().await;
    (rate, refused, cost)
}

/// What 8 at once do, and what it does without being told.
async fn slow_service(sizes: &Sizes) {
    let (mut eight, mut grown, mut ratios, mut costs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..sizes.rounds {
        let (fixed, ..) = late_files(sizes, "concurrency = 8", late(None)).await;
        let (rate, _, cost) = late_files(sizes, "", late(None)).await;
        eight.push(fixed);
        grown.push(rate);
        ratios.push(rate / fixed);
        costs.push(cost);
    }
    row("answers 50 ms late, 8 at once, files/s", &mut eight, 0, &[]);
    row("… without being told", &mut grown, 0, &costs);
    row("… ratio", &mut ratios, 2, &[]);
}

/// A service that refuses above 20 at once: 20 at once, and without being told.
async fn limited_service(sizes: &Sizes) {
    let (mut best, mut found, mut shares, mut refusals) = (vec![], vec![], vec![], vec![]);
    for _ in 0..sizes.rounds {
        let (fixed, ..) = late_files(sizes, "concurrency = 20", late(Some(20))).await;
        let (rate, refused, _) = late_files(sizes, "", late(Some(20))).await;
        best.push(fixed);
        found.push(rate);
        shares.push(rate / fixed);
        refusals.push(refused as f64 * 100.0 / sizes.small_files as f64);
    }
    row(
        "the same, 429 above 20 at once: 20 at once, files/s",
        &mut best,
        0,
        &[],
    );
    row("… without being told", &mut found, 0, &[]);
    row("… share of the best", &mut shares, 2, &[]);
    row("… refused, %", &mut refusals, 2, &[]);
}

async fn large_file(sizes: &Sizes, duplicates: &str) {
    let (mut rates, mut curls, mut ratios, mut costs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..sizes.rounds {
        let folder = format!("max_size = \"4GiB\"\nduplicates = \"{duplicates}\"");
        let stage = Stage::new(&folder, "").await;
        let aside = stage.dir.path().join("aside/large.txt");
        write_text(&aside, sizes.large_bytes, "");
        let mb = sizes.large_bytes as f64 / 1e6;
        // curl first, so that both read from the page cache.
        let curl = curl(&stage, &aside).await.map(|seconds| mb / seconds);
        let before = stage.sink.counts().uploads;
        let start = Instant::now();
        stage.drop_in("large.txt");
        stage.uploads(before + 1).await;
        let rate = mb / start.elapsed().as_secs_f64();
        rates.push(rate);
        costs.push((stage.peak(), stage.cpu()));
        if let Some(curl) = curl {
            curls.push(curl);
            ratios.push(rate / curl);
        }
        stage.end().await;
    }
    let size = sizes.large_bytes >> 20;
    row(
        &format!("one file of {size} MiB, duplicates = {duplicates:?}, MB/s"),
        &mut rates,
        0,
        &costs,
    );
    if !curls.is_empty() {
        row(
            "… `curl -F` of the same file in the same run, MB/s",
            &mut curls,
            0,
            &[],
        );
        row("… ratio to curl, pair by pair", &mut ratios, 2, &[]);
    }
}

async fn curl(stage: &Stage, file: &Path) -> Option<f64> {
    let url = format!("{}/file-task", stage.sink.base_url());
    let form = format!("file=@{}", file.display());
    let start = Instant::now();
    let status = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args([
                "-sS",
                "-f",
                "-o",
                "/dev/null",
                "-H",
                "Access-Key: bench",
                "-H",
                "Expect:",
            ])
            .args(["-F", "data={};type=application/json", "-F", &form, &url])
            .status()
    });
    let status = status.await.expect("no panic").ok()?;
    status.success().then(|| start.elapsed().as_secs_f64())
}

async fn latency(sizes: &Sizes) {
    let stage = Stage::new("", "").await;
    let mut times = Vec::new();
    for n in 0..sizes.latencies {
        let name = format!("{n}.txt");
        stage.put(&name, format!("file number {n}").as_bytes());
        let before = stage.sink.counts().uploads;
        let start = Instant::now();
        stage.drop_in(&name);
        stage.uploads(before + 1).await;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (peak, cpu) = (stage.peak(), stage.cpu());
    stage.end().await;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "| rename to complete request, idle, {} files, ms | p50 {:.1}, p99 {:.1} | {:.1} | {:.1} | {:.0} MiB | {:.1} s |",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.0),
        at(1.0),
        peak,
        cpu
    );
}

fn row(work: &str, values: &mut [f64], digits: usize, costs: &[(f64, f64)]) {
    values.sort_by(f64::total_cmp);
    let peak = costs.iter().map(|(peak, _)| *peak).fold(f64::NAN, f64::max);
    let mut cpu: Vec<f64> = costs.iter().map(|(_, cpu)| *cpu).collect();
    cpu.sort_by(f64::total_cmp);
    let cpu = cpu
        .get(cpu.len() / 2)
        .map_or(String::new(), |cpu| format!("{cpu:.1} s"));
    let peak = if peak.is_nan() {
        String::new()
    } else {
        format!("{peak:.0} MiB")
    };
    println!(
        "| {work} | {:.digits$} | {:.digits$} | {:.digits$} | {peak} | {cpu} |",
        values[values.len() / 2],
        values[0],
        values[values.len() - 1]
    );
}

fn machine() {
    println!(
        "{} cores ({}); one fsync takes {:.1} ms\n",
        common::cores(),
        common::processor(),
        common::fsync_ms()
    );
}
