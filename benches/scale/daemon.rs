//! The real binary on a folder of its own, and what it uses.
//!
//! Must not: know what is measured with it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use supametas_sync::sandbox::{Sandbox, SandboxConfig};

/// The longest that one measurement may take.
pub const DEADLINE: Duration = Duration::from_secs(3600);

/// A directory with a configuration, a drop folder and a ledger, and the sink.
pub struct Stage {
    dir: tempfile::TempDir,
    pub sink: Sandbox,
}

/// A daemon that runs. Dropped, it is ended.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    pub started: Instant,
}

impl Stage {
    pub async fn new(dataset: &str) -> Stage {
        let sink = Sandbox::start(SandboxConfig {
            sink: true,
            ..SandboxConfig::default()
        })
        .await
        .expect("the sink starts");
        let dir = tempfile::tempdir_in(scratch()).expect("a directory");
        let stage = Stage { dir, sink };
        fs::create_dir(stage.path("drop")).expect("a directory");
        fs::create_dir(stage.path("aside")).expect("a directory");
        fs::write(stage.path("key"), "bench").expect("written");
        let text = format!(
            "[service]\nbase_url = \"{}\"\n[daemon]\nledger = {:?}\n\
             [log]\nfilter = \"warn,supametas_sync::watch=debug\"\n\
             [[dataset]]\nname = \"d\"\nkey_file = {:?}\n{dataset}\n\
             [[folder]]\nname = \"f\"\npath = {:?}\ndataset = \"d\"\n",
            stage.sink.base_url(),
            stage.ledger(),
            stage.path("key"),
            stage.path("drop"),
        );
        fs::write(stage.path("config.toml"), text).expect("written");
        // Once on the empty folder: the ledger is made, and knows the folder.
        let daemon = stage.start();
        daemon.scanned(0).await;
        drop(daemon);
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn ledger(&self) -> PathBuf {
        self.path("ledger.sqlite")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supametas-sync"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("config.toml"))
            .env_remove("SUPAMETAS_LOG")
            .stdout(Stdio::null());
        command
    }

    /// Runs a command to its end; how long it took.
    pub fn run(&self, arguments: &[&str]) -> Duration {
        let start = Instant::now();
        let status = self.command(arguments).status().expect("it runs");
        assert!(status.success(), "{arguments:?}");
        start.elapsed()
    }

    pub fn start(&self) -> Daemon {
        let log = self.path("log");
        let file = File::create(&log).expect("a log");
        let started = Instant::now();
        let child = self.command(&["run"]).stderr(file).spawn();
        Daemon {
            child: child.expect("the daemon starts"),
            log,
            started,
        }
    }

    pub fn uploads(&self) -> u64 {
        self.sink.counts().uploads
    }

    /// Waits for uploads; how long after `since` the last came.
    pub async fn uploaded(&self, wanted: u64, since: Instant) -> Duration {
        while self.uploads() < wanted {
            assert!(since.elapsed() < DEADLINE, "it took too long");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        since.elapsed()
    }

    /// What the ledger's files take, its log apart.
    pub fn bytes(&self) -> u64 {
        fs::metadata(self.ledger()).map_or(0, |meta| meta.len())
    }

    /// What the ledger's log takes.
    pub fn log_bytes(&self) -> u64 {
        fs::metadata(self.path("ledger.sqlite-wal")).map_or(0, |meta| meta.len())
    }
}

impl Daemon {
    /// Waits for the end of the first whole scan, which found `files` or more;
    /// how long after the start that was.
    pub async fn scanned(&self, files: u64) -> Duration {
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let found = log
                .lines()
                .filter(|line| line.contains("scanned the folder"))
                .filter_map(|line| line.split("files=").nth(1)?.split_whitespace().next())
                .filter_map(|number| number.parse::<u64>().ok())
                .any(|found| found >= files);
            if found {
                return self.started.elapsed();
            }
            assert!(self.started.elapsed() < DEADLINE, "no scan ended: {log}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn status(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }

    /// Peak of resident memory so far, MiB: of the program's text, too.
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    /// Resident memory now, MiB.
    pub fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// Processor time of all threads so far, to the nanosecond (proc(5),
    /// schedstat): `/proc/PID/stat` counts in hundredths of a second. Threads
    /// that have ended are not in it.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let of = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        let all = tasks.map(|tasks| tasks.filter_map(of).sum());
        Duration::from_nanos(all.unwrap_or(0))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the files lie: beside the build, so on a disk and not in memory.
pub fn scratch() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// What the figures are of.
pub fn machine() {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
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
    println!(
        "{cpus} cores, load {load} before; one fsync takes {:.1} ms\n",
        times[times.len() / 2]
    );
}
