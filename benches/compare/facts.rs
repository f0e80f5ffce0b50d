//! What a figure means nothing without: the machine, the versions, the day.
//!
//! Must not: fail. What can't be learnt is left out or said to be unknown.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common;
use crate::field::Field;
use crate::tools;

/// A list in Markdown.
pub fn facts(field: &Field, rounds: usize, load_before: &str, commit: &str) -> String {
    let mut lines = vec![
        format!(
            "{}, {} cores, {} GiB of memory, Linux {}; files and ledgers on {}",
            common::processor(),
            common::cores(),
            memory_gib(),
            kernel(),
            file_system(&common::scratch()),
        ),
        disk(field),
        format!(
            "load average before: {load_before}; after: {}",
            load().unwrap_or_default()
        ),
        format!(
            "{}, {}, commit {}, {}",
            today(),
            concat!("supametas-sync ", env!("CARGO_PKG_VERSION")),
            commit,
            profile(),
        ),
        format!("rounds: {rounds}"),
    ];
    let versions = tools::versions();
    let versions = versions
        .iter()
        .map(|(name, said)| format!("{name}: {said}"));
    lines.push(versions.collect::<Vec<_>>().join("; "));
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// The load averages of the last 1, 5 and 15 minutes.
pub fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

/// The day, in UTC.
fn today() -> String {
    let now = jiff::Timestamp::now().to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

fn disk(field: &Field) -> String {
    let real = format!(
        "one synced write takes {} ms (median of 50, asked before each part and each round of latencies)",
        field.fsync_range()
    );
    match &field.slow {
        Err(missing) => format!("{real}; rows with a slower disk are not measured: {missing}"),
        Ok(slow) => match slow.measured_ms() {
            Some(ms) => format!("{real}, where it is made slower {ms:.2} ms"),
            None => real,
        },
    }
}

fn memory_gib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).div_ceil(1 << 20)
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or("unknown".into(), |t| t.trim().into())
}

/// The type of the innermost mount that `path` is on.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter(|fields| fields.len() > 2 && path.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len())
        .map_or("unknown".to_owned(), |fields| fields[2].to_owned())
}

/// The commit that is checked out: to be asked at the start, since others may
/// follow while the benchmark runs.
pub fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(args)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    // Papers don't run.
    let changed = git(&[
        "status",
        "--porcelain",
        "--",
        "src",
        "benches",
        "Cargo.lock",
    ]);
    if changed.is_some_and(|text| !text.is_empty()) {
        return format!("{commit} with changes");
    }
    commit
}

/// How it was compiled, where the environment overrules `Cargo.toml`.
fn profile() -> String {
    let overruled = std::env::vars().filter_map(|(name, value)| {
        let key = name
            .strip_prefix("CARGO_PROFILE_RELEASE_")
            .or(name.strip_prefix("CARGO_PROFILE_BENCH_"))?;
        let matters = ["LTO", "CODEGEN_UNITS", "OPT_LEVEL"].contains(&key);
        matters.then(|| format!("{} = {value}", key.to_lowercase().replace('_', "-")))
    });
    let overruled: Vec<String> = overruled.collect();
    if overruled.is_empty() {
        return "release profile".to_owned();
    }
    format!("release profile, but {}", overruled.join(", "))
}
