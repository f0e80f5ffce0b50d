//! Large files: one, and eight at once.
//!
//! The files are in the page cache. A tool's clock starts with its process; the
//! daemon's, which runs already, with the rename that brings the file in. Both
//! stop when the sink has the last byte.
//!
//! Must not: know how a tool is called beyond its flags for this work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use supametas_sync::sandbox::SandboxConfig;

use crate::common::{Stage, write_text};
use crate::field::Field;
use crate::process::Running;
use crate::rounds::{self, Entry};
use crate::rows::{Bar, Costs, Row, Sample, Who, find, ratio};
use crate::tools;

/// Files to be sent, in a directory of their own.
struct Large<'a> {
    field: &'a Field,
    dir: PathBuf,
    files: Vec<PathBuf>,
    megabytes: f64,
}

/// One file of 2 GiB.
pub fn one(field: &Field) -> Vec<Row> {
    run(field, "one", 1, field.sizes.large)
}

/// Eight of 256 MiB.
pub fn several(field: &Field) -> Vec<Row> {
    run(field, "several", field.sizes.several, field.sizes.each)
}

fn run(field: &Field, work: &str, count: usize, bytes: u64) -> Vec<Row> {
    let dir = field.scratch();
    let files: Vec<PathBuf> = (0..count)
        .map(|n| dir.path().join(format!("large-{n}.txt")))
        .collect();
    for (n, file) in files.iter().enumerate() {
        write_text(file, bytes, &format!("{work}-{n}"));
    }
    let large = Large {
        field,
        dir: dir.path().to_owned(),
        megabytes: (bytes * count as u64) as f64 / 1e6,
        files,
    };
    let rclone = || tools::program("rclone", "rclone");
    let curl = if count == 1 {
        "`curl -F`"
    } else {
        "8 × `curl -F`"
    };
    let entries = vec![
        Entry::with(
            "curl",
            curl,
            Who::Tool,
            tools::program("curl", "curl"),
            |p| large.curl(p),
        ),
        Entry::new(
            "skip",
            "supametas-sync, `duplicates = \"skip\"`",
            Who::Ours,
            || large.ours("skip"),
        ),
        Entry::new(
            "upload",
            "supametas-sync, `duplicates = \"upload\"`",
            Who::Ours,
            || large.ours("upload"),
        ),
        Entry::with("rclone", "rclone to S3", Who::Tool, rclone(), |p| {
            large.rclone(p, "s3:bucket")
        }),
        Entry::with("rclone-dav", "rclone to WebDAV", Who::Tool, rclone(), |p| {
            large.rclone(p, "dav:")
        }),
        Entry::with(
            "aws",
            "`aws s3 cp`, 8 requests",
            Who::Tool,
            tools::program("aws", "awscli"),
            |p| large.aws(p),
        ),
        Entry::with(
            "python",
            "Python requests, streaming",
            Who::Tool,
            tools::python("requests"),
            |p| large.python(p),
        ),
    ];
    let entries = rounds::chosen(&field.contestants, entries);
    let mut rows = rounds::run(work, field.sizes.rounds, entries);
    against_curl(&mut rows);
    rows
}

/// 0.7 × curl with the hash, 0.9 × without; above all others; 24 MiB.
fn against_curl(rows: &mut [Row]) {
    let others = rows.to_vec();
    let curl = find(&others, "curl");
    let rest: Vec<&Row> = ["rclone", "rclone-dav", "aws", "python"]
        .iter()
        .filter_map(|key| find(&others, key))
        .collect();
    for row in rows.iter_mut().filter(|row| row.who == Who::Ours) {
        let wanted = if row.key == "skip" { 0.7 } else { 0.9 };
        let by_curl = curl.and_then(|curl| ratio(row, &[curl]));
        row.bars
            .extend(by_curl.map(|r| Bar::at_least(r, wanted, "curl")));
        let by_rest = ratio(row, &rest);
        row.bars
            .extend(by_rest.map(|r| Bar::at_least(r, 1.0, "the next best")));
        row.bars.extend(row.growth().map(|mib| Bar {
            text: format!("{mib:.0} MiB above idle (bar 24)"),
            met: mib <= 24.0,
        }));
    }
}

impl Large<'_> {
    fn rate(&self, seconds: f64, costs: Costs) -> Sample {
        Sample {
            value: self.megabytes / seconds,
            times: Vec::new(),
            costs,
        }
    }

    fn ours(&self, duplicates: &str) -> Result<Sample, String> {
        let folder = format!("max_size = \"4GiB\"\nduplicates = \"{duplicates}\"");
        let dataset = if self.files.len() > 1 {
            "concurrency = 8"
        } else {
            ""
        };
        let stage = self.field.wait(Stage::new(&folder, dataset));
        let into = stage.dir.path().join("drop");
        let there = |file: &PathBuf| into.join(file.file_name().unwrap_or_default());
        let (idle, cpu) = (stage.resident(), stage.cpu());
        let before = stage.sink.counts().uploads;
        let start = Instant::now();
        for file in &self.files {
            fs::rename(file, there(file)).map_err(|error| error.to_string())?;
        }
        self.field
            .wait(stage.uploads(before + self.files.len() as u64));
        let seconds = start.elapsed().as_secs_f64();
        let costs = Costs {
            peak: stage.peak(),
            idle: Some(idle),
            cpu: stage.cpu() - cpu,
        };
        for file in &self.files {
            fs::rename(there(file), file).map_err(|error| error.to_string())?;
        }
        self.field.wait(stage.end());
        Ok(self.rate(seconds, costs))
    }

    fn by_api(&self, command: impl FnOnce(&str, &Path) -> Command) -> Result<Sample, String> {
        let sink = self.field.sink(SandboxConfig::default());
        let scratch = self.field.scratch();
        let command = command(&sink.base_url(), scratch.path());
        let mut running = Running::start(command, scratch.path())?;
        let seconds = running.until(|| sink.counts().uploads >= self.files.len() as u64)?;
        let costs = running.costs();
        running.finish()?;
        self.field.wait(sink.shutdown());
        Ok(self.rate(seconds, costs))
    }

    fn curl(&self, program: &Path) -> Result<Sample, String> {
        self.by_api(|url, _| tools::curl(program, url, &self.files))
    }

    fn python(&self, python: &Path) -> Result<Sample, String> {
        self.by_api(|url, scratch| {
            let mut command = Command::new(python);
            command.arg(tools::script(scratch, "stream.py"));
            command.arg(url).args(&self.files);
            command
        })
    }

    fn by_store(
        &self,
        command: impl FnOnce(&crate::store::Store, &Path) -> Command,
    ) -> Result<Sample, String> {
        let store = self.field.store(Duration::ZERO);
        let scratch = self.field.scratch();
        let command = command(&store, scratch.path());
        let mut running = Running::start(command, scratch.path())?;
        let seconds = running.until(|| store.complete() >= self.files.len() as u64)?;
        let costs = running.costs();
        running.finish()?;
        Ok(self.rate(seconds, costs))
    }

    fn rclone(&self, program: &Path, to: &str) -> Result<Sample, String> {
        self.by_store(|store, _| {
            let mut command = tools::rclone(program, &store.endpoint(), &store.dav());
            command.arg("copy").arg(&self.dir).arg(to);
            command.args(["--transfers", "8"]);
            command
        })
    }

    fn aws(&self, program: &Path) -> Result<Sample, String> {
        self.by_store(|store, scratch| {
            let mut command = tools::aws(program, &store.endpoint(), scratch);
            command.args(["cp", "--recursive", "--only-show-errors"]);
            command.arg(&self.dir).arg("s3://bucket");
            command
        })
    }
}
