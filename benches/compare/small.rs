//! Small files that wait, with prompt answers and with late ones.
//!
//! All begin alike: the files lie in the folder, on the disk; the clock starts
//! with the contestant's process and stops when the sink has the last of them
//! whole. So a start counts for everyone, and nobody is ahead by events.
//!
//! Must not: know how a tool is called beyond its flags for this work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use supametas_sync::sandbox::SandboxConfig;

use crate::common::{Setup, Stage};
use crate::field::Field;
use crate::process::Running;
use crate::rounds::{self, Entry};
use crate::rows::{Bar, Costs, Row, Sample, Who, find, ratio};
use crate::slow_disk::SlowDisk;
use crate::tools;

/// A number of files in a folder, and how late answers come.
struct Waiting<'a> {
    field: &'a Field,
    dir: PathBuf,
    files: usize,
    delay: Duration,
}

/// 10,000 files of 4 KiB, eight at once.
pub fn prompt(field: &Field) -> Vec<Row> {
    let work = Waiting::new(field, "small", field.sizes.small, Duration::ZERO);
    let few = Waiting::new(field, "few", field.sizes.small_few, Duration::ZERO);
    let eight = "concurrency = 8";
    let slow = slow_name(field);
    let rclone = || tools::program("rclone", "rclone");
    let entries = vec![
        Entry::new(
            "bare",
            "bare reqwest, 8 at once, no ledger",
            Who::Reference,
            || work.bare(8),
        ),
        Entry::new(
            "ours",
            "supametas-sync, `concurrency = 8`",
            Who::Ours,
            || work.ours(eight, None),
        ),
        Entry::with(
            "ours-slow",
            &format!("supametas-sync, `concurrency = 8`, {slow}"),
            Who::Ours,
            field.slow.clone(),
            |disk| work.ours(eight, Some(disk)),
        ),
        Entry::new(
            "ours-default",
            "supametas-sync, default settings",
            Who::Ours,
            || work.ours("", None),
        ),
        Entry::new(
            "ours-dropped",
            "supametas-sync, `concurrency = 8`, renamed in",
            Who::Ours,
            || work.dropped(eight),
        ),
        Entry::with("rclone", "rclone to S3", Who::Tool, rclone(), |p| {
            work.rclone(p, "s3:bucket", &[])
        }),
        Entry::with(
            "rclone-nohead",
            "rclone to S3, `--s3-no-head`",
            Who::Tool,
            rclone(),
            |p| work.rclone(p, "s3:bucket", &["--s3-no-head"]),
        ),
        Entry::with(
            "rclone-dav",
            &few.named("rclone to WebDAV"),
            Who::Tool,
            rclone(),
            |p| few.rclone(p, "dav:", &[]),
        ),
        Entry::with(
            "python",
            "Python watchdog + requests, 8 threads",
            Who::Tool,
            tools::python("watchdog, requests"),
            |python| work.python(python),
        ),
        Entry::with(
            "aws",
            "`aws s3 sync`, 8 requests",
            Who::Tool,
            tools::program("aws", "awscli"),
            |aws| work.aws(aws),
        ),
        Entry::with(
            "shell",
            &few.named("inotifywait + 8 × curl + sqlite3"),
            Who::Tool,
            tools::shell(),
            |()| few.shell(),
        ),
    ];
    let entries = rounds::chosen(&field.contestants, entries);
    let mut rows = rounds::run("small", field.sizes.rounds, entries);
    against_rclone(&mut rows);
    rows
}

/// The same with every answer 50 ms late, and fewer files.
pub fn late(field: &Field) -> Vec<Row> {
    let delay = Duration::from_millis(50);
    let work = Waiting::new(field, "late", field.sizes.late, delay);
    let few = Waiting::new(field, "late-few", field.sizes.late_few, delay);
    let rclone = || tools::program("rclone", "rclone");
    let slow = slow_name(field);
    let entries = vec![
        Entry::new("bare", "bare reqwest, 8 at once", Who::Reference, || {
            work.bare(8)
        }),
        Entry::new(
            "bare-64",
            "bare reqwest, 64 at once",
            Who::Reference,
            || work.bare(64),
        ),
        Entry::new(
            "ours",
            "supametas-sync, default settings",
            Who::Ours,
            || work.ours("", None),
        ),
        Entry::with(
            "ours-slow",
            &format!("supametas-sync, default settings, {slow}"),
            Who::Ours,
            field.slow.clone(),
            |disk| work.ours("", Some(disk)),
        ),
        Entry::with("rclone", "rclone to S3", Who::Tool, rclone(), |p| {
            work.rclone(p, "s3:bucket", &[])
        }),
        Entry::with(
            "rclone-nohead",
            "rclone to S3, `--s3-no-head`",
            Who::Tool,
            rclone(),
            |p| work.rclone(p, "s3:bucket", &["--s3-no-head"]),
        ),
        Entry::with(
            "rclone-dav",
            &few.named("rclone to WebDAV"),
            Who::Tool,
            rclone(),
            |p| few.rclone(p, "dav:", &[]),
        ),
        Entry::with(
            "python",
            "Python watchdog + requests, 8 threads",
            Who::Tool,
            tools::python("watchdog, requests"),
            |python| work.python(python),
        ),
    ];
    let entries = rounds::chosen(&field.contestants, entries);
    let mut rows = rounds::run("slow", field.sizes.rounds, entries);
    let bare = find(&rows, "bare").cloned();
    for row in rows.iter_mut().filter(|row| row.who == Who::Ours) {
        let ratio = bare.as_ref().and_then(|bare| ratio(row, &[bare]));
        row.bars
            .extend(ratio.map(|r| Bar::at_least(r, 4.0, "8 at once")));
    }
    rows
}

/// How rows with the slow disk are told from the others.
pub fn slow_name(field: &Field) -> String {
    let ms = field.slow.as_ref().map_or(0, |slow| slow.time.as_millis());
    format!("{ms} ms fsync")
}

/// 1.5 × the best of rclone's ways; and 4,000 files/s where a commit takes 4 ms.
fn against_rclone(rows: &mut [Row]) {
    let others = rows.to_vec();
    let keys = ["rclone", "rclone-nohead", "rclone-dav"];
    let rclones: Vec<&Row> = keys.iter().filter_map(|key| find(&others, key)).collect();
    for row in rows.iter_mut().filter(|row| row.who == Who::Ours) {
        let ratio = ratio(row, &rclones);
        row.bars
            .extend(ratio.map(|r| Bar::at_least(r, 1.5, "rclone at its best")));
        if let ("ours-slow", Some(rate)) = (row.key, row.median()) {
            row.bars.push(Bar {
                text: format!("{rate:.0} files/s (bar 4000)"),
                met: rate >= 4000.0,
            });
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(field: &'a Field, name: &str, files: usize, delay: Duration) -> Waiting<'a> {
        Waiting {
            field,
            dir: field.small_files(name, files),
            files,
            delay,
        }
    }

    /// How a contestant is named that has fewer files than the others.
    fn named(&self, name: &str) -> String {
        format!("{name}, {} files", crate::table::number(self.files as f64))
    }

    fn sandbox(&self) -> SandboxConfig {
        SandboxConfig {
            sink: true,
            answer_delay: self.delay,
            ..SandboxConfig::default()
        }
    }

    fn rate(&self, seconds: f64, costs: Costs) -> Sample {
        Sample {
            value: self.files as f64 / seconds,
            times: Vec::new(),
            costs,
        }
    }

    fn ours(&self, dataset: &str, disk: Option<&SlowDisk>) -> Result<Sample, String> {
        let stage = self.field.wait(Stage::set_up(Setup {
            dataset: dataset.to_owned(),
            waiting: Some(self.dir.clone()),
            env: disk.map(SlowDisk::env).unwrap_or_default(),
            sink: self.sandbox(),
            ..Setup::default()
        }));
        self.field.wait(stage.uploads(self.files as u64));
        let seconds = stage.started.elapsed().as_secs_f64();
        let costs = Costs {
            peak: stage.peak(),
            idle: None,
            cpu: stage.cpu(),
        };
        self.field.wait(stage.end());
        Ok(self.rate(seconds, costs))
    }

    /// The other way files come: the daemon runs, and all are renamed in.
    fn dropped(&self, dataset: &str) -> Result<Sample, String> {
        let stage = self.field.wait(Stage::new("", dataset));
        let aside = stage.dir.path().join("aside");
        crate::field::fill(&aside, self.files);
        self.field.sync();
        let (start, cpu, idle) = (Instant::now(), stage.cpu(), stage.resident());
        for n in 0..self.files {
            stage.drop_in(&format!("{n:06}.txt"));
        }
        self.field.wait(stage.uploads(1 + self.files as u64));
        let seconds = start.elapsed().as_secs_f64();
        let costs = Costs {
            peak: stage.peak(),
            idle: Some(idle),
            cpu: stage.cpu() - cpu,
        };
        self.field.wait(stage.end());
        Ok(self.rate(seconds, costs))
    }

    /// A tool that speaks our API; `command` gets the base URL.
    fn by_api(
        &self,
        ends: bool,
        command: impl FnOnce(&str, &Path) -> Command,
    ) -> Result<Sample, String> {
        let sink = self.field.sink(self.sandbox());
        let scratch = self.field.scratch();
        let command = command(&sink.base_url(), scratch.path());
        let mut running = Running::start(command, scratch.path())?;
        let seconds = running.until(|| sink.counts().uploads >= self.files as u64)?;
        let costs = running.costs();
        if ends {
            running.finish()?;
        } else {
            drop(running);
        }
        self.field.wait(sink.shutdown());
        Ok(self.rate(seconds, costs))
    }

    fn bare(&self, at_once: usize) -> Result<Sample, String> {
        self.by_api(true, |url, _| {
            let program = std::env::current_exe().expect("this program");
            let mut command = Command::new(program);
            command.args(["--bare", &format!("{url}/file-task"), "--at-once"]);
            command
                .arg(at_once.to_string())
                .arg("--files")
                .arg(&self.dir);
            command
        })
    }

    fn python(&self, python: &Path) -> Result<Sample, String> {
        self.by_api(false, |url, scratch| {
            let mut command = Command::new(python);
            command.arg(tools::script(scratch, "watch.py"));
            command.arg(url).arg(&self.dir).arg("8");
            command
        })
    }

    fn shell(&self) -> Result<Sample, String> {
        self.by_api(false, |url, scratch| {
            let mut command = Command::new("sh");
            command
                .arg(tools::script(scratch, "watch.sh"))
                .env("URL", url)
                .env("DIR", &self.dir)
                .env("DB", scratch.join("sent.sqlite"))
                .env("POST", tools::script(scratch, "post.sh"));
            command
        })
    }

    /// A tool that speaks S3 or WebDAV.
    fn by_store(
        &self,
        command: impl FnOnce(&crate::store::Store, &Path) -> Command,
    ) -> Result<Sample, String> {
        let store = self.field.store(self.delay);
        let scratch = self.field.scratch();
        let command = command(&store, scratch.path());
        let mut running = Running::start(command, scratch.path())?;
        let seconds = running.until(|| store.complete() >= self.files as u64)?;
        let costs = running.costs();
        running.finish()?;
        Ok(self.rate(seconds, costs))
    }

    fn rclone(&self, program: &Path, to: &str, flags: &[&str]) -> Result<Sample, String> {
        self.by_store(|store, _| {
            let mut command = tools::rclone(program, &store.endpoint(), &store.dav());
            command.arg("copy").arg(&self.dir).arg(to);
            command.args(["--transfers", "8"]).args(flags);
            command
        })
    }

    fn aws(&self, program: &Path) -> Result<Sample, String> {
        self.by_store(|store, scratch| {
            let mut command = tools::aws(program, &store.endpoint(), scratch);
            command.args(["sync", "--only-show-errors"]);
            command.arg(&self.dir).arg("s3://bucket");
            command
        })
    }
}
