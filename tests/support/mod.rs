//! A stage for whole-program tests: the real binary as a child process, real
//! folders in a directory of its own, and the sandbox on loopback.
//!
//! Everything waits for a condition with a deadline; nothing sleeps and hopes.
//! Its calls block, so a test runs it on tokio's multi-threaded flavour, where
//! the sandbox has threads of its own. Must not: reach into the program; what
//! it knows comes from the sandbox, the commands, the files and the log.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a program of its own and uses a part; a failing unwrap is a failing test"
)]

pub mod http;
pub mod mounts;
pub mod two_users;
pub mod users;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use supametas_sync::sandbox::{Sandbox, SandboxConfig, UploadRecord};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_supametas-sync");

/// The longest wait for anything that a test expects. Generous: two cores may
/// be shared with a build.
pub const SOON: Duration = Duration::from_secs(60);

/// The file by which daemons on one folder learn of each other.
pub const SIGN: &str = supametas_sync::domain::owner_sign::NAME;

/// The Access-Key of the dataset `main`.
pub const MAIN_KEY: &str = "sk-main-7f3a90";

/// The configuration of a stage, in parts that a test can change. Each text is
/// put into its table as it stands, and goes before the default of the same key.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service's address; none: the sandbox's.
    pub base_url: Option<String>,
    /// `[service]`, but for `base_url`.
    pub service: String,
    /// The ledger, below the stage's directory.
    pub ledger: String,
    /// `[daemon]`, but for the ledger.
    pub daemon: String,
    /// `[retry]`.
    pub retry: String,
    /// `[poll]`.
    pub poll: String,
    /// `[log]`.
    pub log: String,
    /// Name, Access-Key, further keys.
    pub datasets: Vec<(String, String, String)>,
    /// Name, dataset, further keys. The directory has the folder's name.
    pub folders: Vec<(String, String, String)>,
    /// Behind everything: `[[error]]` tables, or tables of the last folder.
    pub tail: String,
}

impl Default for Settings {
    /// The dataset `main` and the folder `inbox`, with short times.
    fn default() -> Settings {
        Settings {
            base_url: None,
            service: String::new(),
            ledger: "ledger.sqlite".into(),
            daemon: String::new(),
            retry: String::new(),
            poll: String::new(),
            log: String::new(),
            datasets: vec![("main".into(), MAIN_KEY.into(), String::new())],
            folders: vec![("inbox".into(), "main".into(), String::new())],
            tail: String::new(),
        }
    }
}

impl Settings {
    /// Adds keys to the dataset `main`.
    pub fn main(&mut self, more: &str) -> &mut Settings {
        add(&mut self.datasets[0].2, more);
        self
    }

    /// Adds keys to the folder `inbox`.
    pub fn inbox(&mut self, more: &str) -> &mut Settings {
        add(&mut self.folders[0].2, more);
        self
    }

    /// Adds another dataset.
    pub fn dataset(&mut self, name: &str, key: &str, more: &str) -> &mut Settings {
        self.datasets.push((name.into(), key.into(), more.into()));
        self
    }

    /// Adds another folder.
    pub fn folder(&mut self, name: &str, dataset: &str, more: &str) -> &mut Settings {
        self.folders
            .push((name.into(), dataset.into(), more.into()));
        self
    }

    /// Adds text behind everything.
    pub fn tail(&mut self, more: &str) -> &mut Settings {
        add(&mut self.tail, more);
        self
    }

    fn text(&self, dir: &Path, base_url: &str) -> String {
        let at = |name: &str| format!("{:?}", dir.join(name).to_str().unwrap());
        let mut text = String::new();
        let mut table = |head: &str, own: String, given: &str, usual: &[&str]| {
            text.push_str(&format!("{head}\n{own}{given}\n"));
            for line in usual {
                let key = line.split('=').next().unwrap().trim();
                let is_given = given.lines().any(|l| {
                    let l = l.split('=').next().unwrap_or_default();
                    l.trim() == key
                });
                if !is_given {
                    text.push_str(&format!("{line}\n"));
                }
            }
        };
        let base_url = self.base_url.as_deref().unwrap_or(base_url);
        table(
            "[service]",
            format!("base_url = {base_url:?}\n"),
            &self.service,
            &["connect_timeout = \"5s\"", "answer_timeout = \"20s\""],
        );
        table(
            "[daemon]",
            format!("ledger = {}\n", at(&self.ledger)),
            &self.daemon,
            &["poll_every = \"1s\"", "shutdown_grace = \"10s\""],
        );
        table(
            "[retry]",
            String::new(),
            &self.retry,
            &[
                "backoff_base = \"20ms\"",
                "backoff_cap = \"200ms\"",
                "unconfirmed_wait = \"20ms\"",
            ],
        );
        table(
            "[poll]",
            String::new(),
            &self.poll,
            &["first = \"50ms\"", "max = \"200ms\""],
        );
        table(
            "[log]",
            String::new(),
            &self.log,
            &["filter = \"debug\"", "format = \"human\""],
        );
        for (name, _, more) in &self.datasets {
            let own = format!(
                "name = {name:?}\nkey_file = {}\n",
                at(&format!("keys/{name}"))
            );
            table("[[dataset]]", own, more, &["polls_per_second = 500"]);
        }
        for (name, dataset, more) in &self.folders {
            let own = format!(
                "name = {name:?}\npath = {}\ndataset = {dataset:?}\n",
                at(name)
            );
            table(
                "[[folder]]",
                own,
                more,
                &[
                    "quiet = \"100ms\"",
                    "quiet_unsure = \"1s\"",
                    "reimport_after = \"0s\"",
                ],
            );
        }
        text.push_str(&self.tail);
        text
    }
}

fn add(text: &mut String, more: &str) {
    text.push_str(more);
    text.push('\n');
}

/// A directory with drop folders, keys and a configuration, and a sandbox.
#[derive(Debug)]
pub struct Stage {
    /// The emulated service.
    pub sandbox: Sandbox,
    /// What the next [`Stage::write`] or start puts into the configuration.
    pub settings: Settings,
    /// What every command of the program is put behind: a program that sets a
    /// limit or enters a namespace, and runs the rest of its arguments.
    pub behind: Vec<String>,
    dir: tempfile::TempDir,
    runs: AtomicU32,
}

impl Stage {
    /// With a sandbox whose tasks end at once.
    pub async fn new() -> Stage {
        Stage::with(SandboxConfig {
            pending_for: Duration::ZERO,
            ..SandboxConfig::default()
        })
        .await
    }

    /// With this sandbox.
    pub async fn with(sandbox: SandboxConfig) -> Stage {
        let stage = Stage {
            sandbox: Sandbox::start(sandbox).await.unwrap(),
            settings: Settings::default(),
            behind: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
            runs: AtomicU32::new(0),
        };
        stage.write();
        stage
    }

    /// Changes the settings and writes them.
    pub fn set(mut self, change: impl FnOnce(&mut Settings)) -> Stage {
        change(&mut self.settings);
        self.write();
        self
    }

    /// Makes the folders, the keys and the configuration as the settings say.
    pub fn write(&self) {
        fs::create_dir_all(self.path("keys")).unwrap();
        for (name, key, _) in &self.settings.datasets {
            let file = self.path("keys").join(name);
            fs::write(&file, key).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        for (name, ..) in &self.settings.folders {
            fs::create_dir_all(self.path(name)).unwrap();
        }
        let text = self
            .settings
            .text(self.dir.path(), &self.sandbox.base_url());
        fs::write(self.config(), text).unwrap();
    }

    /// A path in the stage's directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the folder `inbox`.
    pub fn inbox(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path("inbox").join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// Publishes a file in the folder `inbox` as it should be done: written
    /// beside the folders, then renamed into place, which may replace a file.
    pub fn drop_file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let target = self.inbox(name);
        self.publish(&target, content);
        target
    }

    /// The same for any path.
    pub fn publish(&self, target: &Path, content: impl AsRef<[u8]>) {
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let beside = self.path("being-written");
        fs::write(&beside, content).unwrap();
        fs::rename(&beside, target).unwrap();
    }

    /// A command of the program, with the stage's configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut words = self.behind.iter().map(String::as_str).chain([PROGRAM]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(args)
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .env_remove("SUPAMETAS_LOG")
            .env_remove("SUPAMETAS_CONFIG")
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs a command to its end.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its standard output.
    pub fn said(&self, args: &[&str]) -> String {
        let output = self.cli(args);
        assert!(
            output.status.success(),
            "{args:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// All files of the ledger, as `list --json` shows them.
    pub fn list(&self) -> Vec<Value> {
        serde_json::from_str(&self.said(&["list", "--json", "--limit", "0"])).unwrap()
    }

    /// How many files are in each state.
    pub fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for file in self.list() {
            *states.entry(text(&file, "state")).or_default() += 1;
        }
        states
    }

    /// The newest version of a file, by its name as the ledger shows it.
    pub fn file(&self, name: &str) -> Option<Value> {
        let versions = self.list().into_iter().filter(|f| f["file"] == name);
        versions.max_by_key(|file| file["id"].as_i64())
    }

    /// The state of the newest version of a file; empty if there is none.
    pub fn state(&self, name: &str) -> String {
        self.file(name)
            .map(|file| text(&file, "state"))
            .unwrap_or_default()
    }

    /// Uploads whose file had this name, oldest first.
    pub fn uploads_of(&self, name: &str) -> Vec<UploadRecord> {
        let mut uploads = self.sandbox.uploads();
        uploads.retain(|upload| &*upload.file_name == name);
        uploads
    }

    /// Starts the daemon and waits until it says that it runs.
    pub fn start(&self) -> Daemon {
        let daemon = self.spawn(&["run"]);
        daemon.until("the daemon runs", || daemon.log().contains(" running "));
        daemon
    }

    /// Starts a command that goes on, its standard error in a log file.
    pub fn spawn(&self, args: &[&str]) -> Daemon {
        self.spawn_changed(args, |_| {})
    }

    /// The same, with something about the process changed.
    pub fn spawn_changed(&self, args: &[&str], change: impl FnOnce(&mut Command)) -> Daemon {
        let mut command = self.command(args);
        change(&mut command);
        self.spawn_command(command)
    }

    /// The same with a command that may have been wrapped in another.
    pub fn spawn_command(&self, mut command: Command) -> Daemon {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.path(format!("log-{run}.txt"));
        let child = command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Daemon {
            child: std::cell::RefCell::new(child),
            log,
            keys: self
                .settings
                .datasets
                .iter()
                .map(|(_, key, _)| key.clone())
                .collect(),
        }
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: std::cell::RefCell<Child>,
    log: PathBuf,
    keys: Vec<String>,
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.child.borrow_mut().try_wait().unwrap().is_some()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log_bytes()).into_owned()
    }

    /// The same as bytes.
    pub fn log_bytes(&self) -> Vec<u8> {
        fs::read(&self.log).unwrap()
    }

    /// Waits until `cond` holds; fails with the log when it does not within
    /// [`SOON`], or when the program ends.
    pub fn until(&self, what: &str, cond: impl FnMut() -> bool) {
        self.until_within(SOON, what, cond);
    }

    /// The same with another deadline.
    pub fn until_within(&self, deadline: Duration, what: &str, mut cond: impl FnMut() -> bool) {
        let end = Instant::now() + deadline;
        loop {
            if cond() {
                return;
            }
            let ended = self.child.borrow_mut().try_wait().unwrap();
            assert!(
                ended.is_none(),
                "waiting for: {what}; the program ended: {ended:?}\n{}",
                self.log_end()
            );
            assert!(
                Instant::now() < end,
                "waited {deadline:?} for: {what}\n{}",
                self.log_end()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    /// The last lines of the log: failures show it.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits for its end. Its log must tell of no panic
    /// and show no Access-Key.
    pub fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end by itself, with the same checks.
    pub fn wait(self) -> ExitStatus {
        let end = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.borrow_mut().try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end\n{}", self.log_end());
            std::thread::sleep(Duration::from_millis(10));
        };
        let log = self.log();
        assert!(!log.contains("panicked at"), "{}", self.log_end());
        for key in &self.keys {
            assert!(!log.contains(key.as_str()), "a key is in the log:\n{log}");
        }
        status
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(self) {
        let mut child = self.child.borrow_mut();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A number of `/proc/PID/status`, in KiB.
    pub fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Waits until `cond` holds, for what no program has to be alive for.
pub fn until(what: &str, mut cond: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !cond() {
        assert!(Instant::now() < end, "waited {SOON:?} for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A text of a file from `list`; empty if it is none.
pub fn text(file: &Value, key: &str) -> String {
    file[key].as_str().unwrap_or_default().to_owned()
}

/// As the sandbox shows it.
pub fn blake3_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Bytes of a plain text that differ with `seed`, and in every part.
pub fn words(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = Vec::with_capacity(len + 9);
    while bytes.len() < len {
        bytes.extend_from_slice(format!("{:08x}", random.u32(..)).as_bytes());
        bytes.push(b'\n');
    }
    bytes.truncate(len);
    bytes
}

/// Name and content hash of every upload, sorted.
pub fn arrived(stage: &Stage) -> Vec<(String, String)> {
    let uploads = stage.sandbox.uploads().into_iter();
    let mut all: Vec<_> = uploads
        .map(|u| (u.file_name.to_string(), u.blake3.unwrap_or_default()))
        .collect();
    all.sort();
    all
}

/// Name to content, as the sandbox should have them.
pub type Expected = BTreeMap<String, String>;

/// Enters a file that should arrive.
pub fn expect(expected: &mut Expected, name: &str, content: &[u8]) {
    expected.insert(name.to_owned(), blake3_of(content));
}

/// Every expected file arrived exactly once, whole, and nothing else did.
#[track_caller]
pub fn assert_each_once(stage: &Stage, expected: &Expected) {
    let wanted: Vec<(String, String)> = expected.clone().into_iter().collect();
    let got = arrived(stage);
    let missing: Vec<_> = wanted.iter().filter(|w| !got.contains(w)).take(9).collect();
    let more: Vec<_> = got.iter().filter(|g| !wanted.contains(g)).take(9).collect();
    assert!(
        missing.is_empty(),
        "did not arrive: {missing:?}; in their place: {more:?}"
    );
    assert!(more.is_empty(), "arrived, and should not have: {more:?}");
    assert_eq!(got.len(), wanted.len(), "some arrived more than once");
}

/// What [`Stage::states`] gives, written shortly.
pub fn states(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter()
        .map(|(state, n)| ((*state).to_owned(), *n))
        .collect()
}
