//! What the benchmarks share: a stage with the real binary on a real folder
//! before the sandbox's fast sink, and facts about the machine.
//!
//! Must not: judge, or print.
#![allow(dead_code, reason = "each benchmark uses a part")]

pub mod run;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use supametas_sync::sandbox::{Sandbox, SandboxConfig};

/// The longest that one measurement may take.
pub const DEADLINE: Duration = Duration::from_secs(600);

/// How a stage is set up. [`Default`]: an empty folder `drop`, default settings,
/// a first file sent so that the connection is warm.
pub struct Setup {
    /// Keys of `[[folder]]`, as TOML.
    pub folder: String,
    /// Keys of `[[dataset]]`, as TOML.
    pub dataset: String,
    /// A folder with files that wait; in its place `drop` is made.
    pub waiting: Option<PathBuf>,
    /// Whether there is a second folder, `other`, of the same dataset.
    pub other: bool,
    /// Further variables of the daemon's environment.
    pub env: Vec<(String, String)>,
    /// Where the stage is made; `None`: in [`scratch`].
    pub parent: Option<PathBuf>,
    /// The sink.
    pub sink: SandboxConfig,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            folder: String::new(),
            dataset: String::new(),
            waiting: None,
            other: false,
            env: Vec::new(),
            parent: None,
            sink: SandboxConfig {
                sink: true,
                ..SandboxConfig::default()
            },
        }
    }
}

/// A daemon on a folder of its own, sending to the sink.
pub struct Stage {
    /// Holds `drop`, `aside`, perhaps `other`, and the ledger.
    pub dir: tempfile::TempDir,
    /// What it sends to.
    pub sink: Sandbox,
    /// When the process was started.
    pub started: Instant,
    daemon: Child,
}

impl Stage {
    /// A daemon with an empty folder and a warm connection.
    pub async fn new(folder: &str, dataset: &str) -> Stage {
        let setup = Setup {
            folder: folder.to_owned(),
            dataset: dataset.to_owned(),
            ..Setup::default()
        };
        Stage::set_up(setup).await
    }

    /// A daemon that is just starting, if files wait; else as [`Stage::new`].
    pub async fn set_up(setup: Setup) -> Stage {
        let sink = Sandbox::start(setup.sink).await.expect("the sink starts");
        let dir = tempfile::tempdir_in(setup.parent.unwrap_or_else(scratch));
        let dir = dir.expect("a directory");
        for name in ["drop", "aside", "other"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        let path = |name: &str| dir.path().join(name);
        fs::write(path("key"), "bench").expect("written");
        let waits = setup.waiting.is_some();
        let mut text = format!(
            "[service]\nbase_url = \"{}\"\n[daemon]\nledger = {:?}\n[log]\nfilter = \"warn\"\n\
             [[dataset]]\nname = \"d\"\nkey_file = {:?}\n{}\n\
             [[folder]]\nname = \"f\"\npath = {:?}\ndataset = \"d\"\n{}\n",
            sink.base_url(),
            path("ledger.sqlite"),
            path("key"),
            setup.dataset,
            setup.waiting.unwrap_or_else(|| path("drop")),
            setup.folder,
        );
        if setup.other {
            text += &format!(
                "[[folder]]\nname = \"other\"\npath = {:?}\ndataset = \"d\"\n",
                path("other")
            );
        }
        fs::write(path("config.toml"), text).expect("written");
        let log = File::create(path("log")).expect("a log");
        let started = Instant::now();
        let daemon = Command::new(program())
            .args(["run", "--config"])
            .arg(path("config.toml"))
            .env_remove("SUPAMETAS_LOG")
            .envs(setup.env)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the daemon starts");
        let stage = Stage {
            dir,
            sink,
            started,
            daemon,
        };
        if !waits {
            // A first file through: it is up, and its connection is warm.
            stage.put("warm.txt", b"warm");
            stage.drop_in("warm.txt");
            stage.uploads(1).await;
        }
        stage
    }

    /// Writes a file into `aside`.
    pub fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join("aside").join(name), content).expect("written");
    }

    /// Renames it from there into the folder.
    pub fn drop_in(&self, name: &str) {
        let from = self.dir.path().join("aside").join(name);
        fs::rename(from, self.dir.path().join("drop").join(name)).expect("renamed");
    }

    /// Waits until the sink has so many uploads.
    pub async fn uploads(&self, wanted: u64) {
        let start = Instant::now();
        while self.sink.counts().uploads < wanted {
            assert!(
                start.elapsed() < DEADLINE,
                "it took too long: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The daemon's peak memory so far, in MiB.
    pub fn peak(&self) -> f64 {
        memory(self.daemon.id(), "VmHWM:").unwrap_or(f64::NAN)
    }

    /// The daemon's memory now, in MiB.
    pub fn resident(&self) -> f64 {
        memory(self.daemon.id(), "VmRSS:").unwrap_or(f64::NAN)
    }

    /// Processor time that the daemon has used so far, in seconds.
    pub fn cpu(&self) -> f64 {
        cpu(self.daemon.id(), 2).unwrap_or_default()
    }

    /// Ends the daemon and the sink.
    pub async fn end(mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        self.sink.shutdown().await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What is measured: the program as it is built now, or what `BENCH_PROGRAM` names,
/// such as an earlier build of it.
fn program() -> std::ffi::OsString {
    let ours = || env!("CARGO_BIN_EXE_supametas-sync").into();
    std::env::var_os("BENCH_PROGRAM").unwrap_or_else(ours)
}

/// A line of `/proc/PID/status` in MiB; none for a process that has ended.
pub fn memory(pid: u32, line: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let text = status.lines().find_map(|l| l.strip_prefix(line))?;
    let kib: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Processor time of a process, in seconds. With `fields` 2 its own; with 4
/// that of its children that have ended, too.
pub fn cpu(pid: u32, fields: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name in parentheses; utime, stime, cutime and cstime are the
    // fields 14 to 17 (proc_pid_stat(5)), in hundredths.
    let rest = stat.rsplit(')').next()?;
    let ticks = rest.split_whitespace().skip(11).take(fields);
    Some(ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// Where the files lie: beside the build, so on a disk and not in memory.
pub fn scratch() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// A text of so many whole MiB; each line differs, and `mark` from other texts.
pub fn write_text(path: &Path, bytes: u64, mark: &str) {
    let mut file = File::create(path).expect("created");
    let mut block = Vec::with_capacity(1 << 20);
    while block.len() < 1 << 20 {
        block.extend_from_slice(format!("{:015}\n", block.len()).as_bytes());
    }
    block[..mark.len()].copy_from_slice(mark.as_bytes());
    for _ in 0..bytes >> 20 {
        file.write_all(&block).expect("written");
    }
    file.sync_all().expect("synced");
}

/// The processor's name.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// The median of 50 small synced writes.
pub fn fsync_ms() -> f64 {
    let mut file = tempfile::tempfile_in(scratch()).expect("a file");
    let mut times: Vec<f64> = (0..50)
        .map(|_| {
            let start = Instant::now();
            file.write_all(b"0123456789abcdef").expect("written");
            file.sync_data().expect("synced");
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
