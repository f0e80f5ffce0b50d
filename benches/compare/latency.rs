//! From a file's rename into the folder to its complete request at the sink,
//! one file at a time, with nothing else to do and behind a backlog.
//!
//! The sink notes when a request was whole; that is compared with the moment
//! just before the rename, on one clock.
//!
//! Must not: know how a tool is called beyond its flags for this work.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use supametas_sync::sandbox::{Sandbox, SandboxConfig};

use crate::common::{DEADLINE, Setup, Stage};
use crate::field::{Field, fill};
use crate::process::Running;
use crate::rounds::{self, Entry};
use crate::rows::{Bar, Costs, Row, Sample, Who, at};
use crate::slow_disk::SlowDisk;
use crate::small::slow_name;
use crate::tools;

/// Between two files.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest that the part with a backlog goes on.
const LONGEST: Duration = Duration::from_secs(30);

/// All of them.
pub fn run(field: &Field) -> Vec<Row> {
    let slow = slow_name(field);
    let disk = || field.slow.clone();
    let backlog = crate::table::number(field.sizes.backlog as f64);
    let behind = format!("supametas-sync, {backlog} files before it");
    // As the disk is just before each round of ours.
    let fsyncs = RefCell::new(Vec::new());
    let entries = vec![
        Entry::new("ours", "supametas-sync, idle", Who::Ours, || {
            fsyncs.borrow_mut().push(field.ask_disk());
            idle(field, None)
        }),
        Entry::with(
            "ours-slow",
            &format!("supametas-sync, idle, {slow}"),
            Who::Ours,
            disk(),
            |disk| idle(field, Some(disk)),
        ),
        Entry::new("busy", &behind, Who::Ours, || busy(field, None)),
        Entry::with(
            "busy-slow",
            &format!("{behind}, {slow}"),
            Who::Ours,
            disk(),
            |disk| busy(field, Some(disk)),
        ),
        Entry::with(
            "python",
            "Python watchdog + requests",
            Who::Tool,
            tools::python("watchdog, requests"),
            |python| watchdog(field, python),
        ),
        Entry::with(
            "shell",
            "inotifywait + curl",
            Who::Tool,
            tools::shell(),
            |()| shell(field),
        ),
        Entry::with(
            "rclone",
            "rclone to S3, every second",
            Who::Tool,
            tools::program("rclone", "rclone"),
            |program| rclone(field, program),
        ),
    ];
    let entries = rounds::chosen(&field.contestants, entries);
    let mut rows = rounds::run("latency", field.sizes.rounds, entries);
    let mut fsyncs = fsyncs.into_inner();
    fsyncs.sort_by(f64::total_cmp);
    let asked = at(&fsyncs, 0.5);
    let slow_ms = field.slow.as_ref().ok().and_then(SlowDisk::measured_ms);
    for row in rows.iter_mut().filter(|row| row.who == Who::Ours) {
        let fsync = match row.key.ends_with("slow") {
            true => slow_ms,
            false => asked,
        };
        hold(row, fsync);
    }
    rows
}

/// p50 within one fsync and 3 ms, p99 under 25 ms.
fn hold(row: &mut Row, fsync: Option<f64>) {
    let times = row.times();
    if let (Some(p50), Some(fsync)) = (at(&times, 0.5), fsync) {
        row.bars.push(Bar {
            text: format!("p50 {p50:.1} ms (bar {fsync:.1} + 3)"),
            met: p50 <= fsync + 3.0,
        });
    }
    if let Some(p99) = at(&times, 0.99) {
        row.bars.push(Bar {
            text: format!("p99 {p99:.1} ms (bar 25)"),
            met: p99 < 25.0,
        });
    }
}

fn sample(times: Vec<f64>, costs: Costs) -> Result<Sample, String> {
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let value = at(&sorted, 0.5).ok_or("no file came through")?;
    Ok(Sample {
        value,
        times,
        costs,
    })
}

/// A sink that keeps names and times.
fn noting() -> SandboxConfig {
    SandboxConfig {
        sink: true,
        sink_names: true,
        ..SandboxConfig::default()
    }
}

/// When each upload was whole, as far as it was looked at.
struct Came<'a> {
    sink: &'a Sandbox,
    seen: u64,
    at: HashMap<String, Instant>,
}

impl<'a> Came<'a> {
    fn new(sink: &'a Sandbox) -> Came<'a> {
        Came {
            sink,
            seen: 0,
            at: HashMap::new(),
        }
    }

    fn when(&mut self, name: &str) -> Option<Instant> {
        for upload in self.sink.uploads_after(self.seen) {
            self.seen = upload.seq;
            // The files of a backlog are nobody's to ask for.
            if upload.file_name_raw.starts_with("single") {
                let at = self.sink.started().into_std();
                let at = at + Duration::from_secs_f64(upload.at_ms / 1e3);
                self.at.insert(upload.file_name_raw.to_string(), at);
            }
        }
        self.at.get(name).copied()
    }
}

/// Renames one file after another from `aside` into `folder`; gives the times
/// in ms. `between` is called after each and says whether to go on.
fn one_by_one(
    (aside, folder): (&Path, &Path),
    files: usize,
    mut came: impl FnMut(&str) -> Option<Instant>,
    mut between: impl FnMut() -> bool,
) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for n in 0..files {
        let name = format!("single-{n}.txt");
        let from = aside.join(&name);
        fs::write(&from, format!("file number {n}")).map_err(|error| error.to_string())?;
        let start = Instant::now();
        fs::rename(&from, folder.join(&name)).map_err(|error| error.to_string())?;
        let at = loop {
            if let Some(at) = came(&name) {
                break at;
            }
            if start.elapsed() > DEADLINE {
                return Err(format!("{name} does not arrive"));
            }
            std::thread::sleep(Duration::from_micros(500));
        };
        times.push(at.saturating_duration_since(start).as_secs_f64() * 1e3);
        if !between() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(times)
}

fn idle(field: &Field, disk: Option<&SlowDisk>) -> Result<Sample, String> {
    let stage = field.wait(Stage::set_up(Setup {
        sink: noting(),
        env: disk.map(SlowDisk::env).unwrap_or_default(),
        ..Setup::default()
    }));
    let cpu = stage.cpu();
    let mut came = Came::new(&stage.sink);
    let paths = (
        stage.dir.path().join("aside"),
        stage.dir.path().join("drop"),
    );
    let times = one_by_one(
        (&paths.0, &paths.1),
        field.sizes.singles,
        |name| came.when(name),
        || true,
    )?;
    let costs = costs(&stage, cpu);
    field.wait(stage.end());
    sample(times, costs)
}

fn costs(stage: &Stage, cpu: f64) -> Costs {
    Costs {
        peak: stage.peak(),
        idle: None,
        cpu: stage.cpu() - cpu,
    }
}

/// As many files as the backlog wait in `other` all the time: what is sent of
/// them is made up for. It ends with the pool, or after [`LONGEST`].
fn busy(field: &Field, disk: Option<&SlowDisk>) -> Result<Sample, String> {
    let stage = field.wait(Stage::set_up(Setup {
        sink: noting(),
        env: disk.map(SlowDisk::env).unwrap_or_default(),
        other: true,
        ..Setup::default()
    }));
    let (pool, other) = (
        stage.dir.path().join("pool"),
        stage.dir.path().join("other"),
    );
    fs::create_dir(&pool).map_err(|error| error.to_string())?;
    fill(&pool, field.sizes.pool);
    field.sync();
    let cpu = stage.cpu();
    let mut moved = 0;
    let mut move_up_to = |wanted: usize| {
        let wanted = wanted.min(field.sizes.pool);
        while moved < wanted {
            let name = format!("{moved:06}.txt");
            fs::rename(pool.join(&name), other.join(&name)).expect("renamed");
            moved += 1;
        }
        moved
    };
    move_up_to(field.sizes.backlog);
    let start = Instant::now();
    let mut came = Came::new(&stage.sink);
    let paths = (
        stage.dir.path().join("aside"),
        stage.dir.path().join("drop"),
    );
    let mut done = 0;
    let times = one_by_one(
        (&paths.0, &paths.1),
        field.sizes.singles,
        |name| came.when(name),
        || {
            done += 1;
            // Beside the first, warm one and the single ones.
            let sent = stage.sink.counts().uploads as usize - 1 - done;
            let there = move_up_to(sent + field.sizes.backlog);
            there - sent >= field.sizes.backlog / 2 && start.elapsed() < LONGEST
        },
    )?;
    let costs = costs(&stage, cpu);
    field.wait(stage.end());
    sample(times, costs)
}

/// A tool that speaks our API and watches `folder`.
fn by_api(
    field: &Field,
    command: impl FnOnce(&str, &Path, &Path) -> Command,
) -> Result<Sample, String> {
    let sink = field.sink(noting());
    let scratch = field.scratch();
    let (aside, folder) = places(scratch.path())?;
    let command = command(&sink.base_url(), &folder, scratch.path());
    let running = Running::start(command, scratch.path())?;
    let mut came = Came::new(&sink);
    up((&aside, &folder), || sink.counts().uploads > 0)?;
    let times = one_by_one(
        (&aside, &folder),
        field.sizes.singles,
        |name| came.when(name),
        || true,
    )?;
    let costs = running.costs();
    drop(running);
    field.wait(sink.shutdown());
    sample(times, costs)
}

fn places(dir: &Path) -> Result<(PathBuf, PathBuf), String> {
    let places = (dir.join("aside"), dir.join("folder"));
    for dir in [&places.0, &places.1] {
        fs::create_dir(dir).map_err(|error| error.to_string())?;
    }
    Ok(places)
}

/// Waits until it watches: files come until one of them arrives.
fn up((aside, folder): (&Path, &Path), arrived: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    let mut n = 0;
    while !arrived() {
        if start.elapsed() > Duration::from_secs(30) {
            return Err("it sends nothing".to_owned());
        }
        let name = format!("warm-{n}.txt");
        n += 1;
        fs::write(aside.join(&name), "warm").map_err(|error| error.to_string())?;
        fs::rename(aside.join(&name), folder.join(&name)).map_err(|error| error.to_string())?;
        std::thread::sleep(Duration::from_millis(200));
    }
    // Let the others of them through as well.
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

fn watchdog(field: &Field, python: &Path) -> Result<Sample, String> {
    by_api(field, |url, folder, scratch| {
        let mut command = Command::new(python);
        command.arg(tools::script(scratch, "watch.py"));
        command.arg(url).arg(folder).arg("8");
        command
    })
}

fn shell(field: &Field) -> Result<Sample, String> {
    by_api(field, |url, folder, scratch| {
        let mut command = Command::new("sh");
        command
            .arg(tools::script(scratch, "loop.sh"))
            .env("URL", url)
            .env("DIR", folder);
        command
    })
}

fn rclone(field: &Field, program: &Path) -> Result<Sample, String> {
    let store = field.store(Duration::ZERO);
    let scratch = field.scratch();
    let (aside, folder) = places(scratch.path())?;
    let tool = tools::rclone(program, &store.endpoint(), &store.dav());
    let mut command = Command::new("sh");
    let script = "while :; do \"$RCLONE\" --config '' move \"$DIR\" s3:bucket --transfers 8; \
                  sleep 1; done";
    command.args(["-c", script]);
    for (name, value) in tool.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("RCLONE", program).env("DIR", &folder);
    let running = Running::start(command, scratch.path())?;
    up((&aside, &folder), || store.complete() > 0)?;
    // Not always at the same moment of its second.
    let mut n = 0_u32;
    let times = one_by_one(
        (&aside, &folder),
        field.sizes.few,
        |name| store.came(name),
        || {
            n += 1;
            std::thread::sleep(Duration::from_millis(u64::from(n * 379 % 1000)));
            true
        },
    )?;
    let costs = running.costs();
    drop(running);
    sample(times, costs)
}
