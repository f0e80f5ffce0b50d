//! The processes of a loop: the sandbox in one of its own, and a daemon that is
//! started and killed again and again on the same folders and ledger.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::users::{self, DAEMON, DROPPER};

/// The daemon's program, as Cargo built it for this test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_supametas-sync");

/// A drop folder: its name says its dataset's policy and what it does with
/// sources.
pub struct Folder {
    pub name: &'static str,
    pub hold: bool,
    pub after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Keep,
    Move,
    Delete,
}

#[rustfmt::skip]
pub const FOLDERS: [Folder; 6] = [
    Folder { name: "resend-keep", hold: false, after: After::Keep },
    Folder { name: "resend-move", hold: false, after: After::Move },
    Folder { name: "resend-delete", hold: false, after: After::Delete },
    Folder { name: "hold-keep", hold: true, after: After::Keep },
    Folder { name: "hold-move", hold: true, after: After::Move },
    Folder { name: "hold-delete", hold: true, after: After::Delete },
];

pub const fn dataset(hold: bool) -> &'static str {
    if hold { "hold" } else { "resend" }
}

/// Who drops the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Droppers {
    /// The daemon's own user, who is whoever runs the test.
    Same,
    /// Another user; the daemon's has no rights beyond its ledger and the drop
    /// folders. Needs root.
    Other,
}

/// What the daemon's ledger lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// The real program on the real disk.
    Real,
    /// The same daemon on a disk from which the power can be pulled.
    Forgetful,
}

pub struct Stage {
    dir: tempfile::TempDir,
    sandbox: Child,
    address: String,
    daemon: Option<Child>,
    disk: Disk,
    droppers: Droppers,
    /// The program, where its user can run it.
    program: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.daemon.iter_mut().chain([&mut self.sandbox]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stage {
    pub fn new(disk: Disk, droppers: Droppers) -> Stage {
        let dir = tempfile::Builder::new()
            .prefix("kill-loop-")
            .tempdir()
            .unwrap();
        let program = match droppers {
            Droppers::Same => PROGRAM.into(),
            Droppers::Other => {
                users::program_for_all(Path::new(PROGRAM), &dir.path().join("program"))
            }
        };
        let mut sandbox = Command::new(PROGRAM)
            .args(["sandbox", "--port", "0", "--pending-for", "150ms"])
            .args(["--key", "key-resend", "--key", "key-hold"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(sandbox.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line
            .split('"')
            .nth(1)
            .expect("base_url = \"...\"")
            .to_owned();
        let address = base
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let stage = Stage {
            dir,
            sandbox,
            address,
            daemon: None,
            disk,
            droppers,
            program,
        };
        stage.write_config(&base);
        if droppers == Droppers::Other {
            stage.hand_over();
        }
        stage
    }

    /// Gives the daemon its ledger, keys and folders, and nothing else.
    fn hand_over(&self) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755)).unwrap();
        DAEMON.owns(self.ledger().parent().unwrap(), 0o700);
        for hold in [false, true] {
            DAEMON.owns(self.path().join(format!("{}.key", dataset(hold))), 0o600);
        }
        for folder in &FOLDERS {
            DAEMON.owns(self.folder(folder), 0o2777);
        }
        DROPPER.owns(self.outside(), 0o755);
    }

    /// Runs a closure as who drops the files.
    pub fn as_dropper<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        match self.droppers {
            Droppers::Same => what(),
            Droppers::Other => DROPPER.does(what),
        }
    }

    /// How long a writer may pause with its file half written. Where nothing
    /// tells that it is open, a pause as long as `quiet_unsure` *is* the end of
    /// the file: that is documented. So it is after a start for another user's
    /// file, since nobody heard it being opened.
    pub fn longest_pause(&self) -> u64 {
        match self.droppers {
            Droppers::Same => 1200,
            Droppers::Other => 600,
        }
    }

    /// A command of the program, as the daemon's user.
    fn command(&self) -> Command {
        match self.droppers {
            Droppers::Same => Command::new(&self.program),
            Droppers::Other => {
                let behind = DAEMON.behind();
                let mut command = Command::new(&behind[0]);
                command.args(&behind[1..]).arg(&self.program);
                command
            }
        }
    }

    fn write_config(&self, base: &str) {
        let root = self.path();
        fs::create_dir(self.outside()).unwrap();
        fs::create_dir(self.ledger().parent().unwrap()).unwrap();
        let settle = match self.droppers {
            Droppers::Same => "quiet = \"150ms\"\nquiet_unsure = \"500ms\"\n",
            // After a start nothing tells that nobody is writing another user's
            // file: its source waits for `unclosed_wait`.
            Droppers::Other => {
                "quiet = \"150ms\"\nquiet_unsure = \"1500ms\"\nunclosed_wait = \"2s\"\n"
            }
        };
        let mut text = format!(
            "[service]\nbase_url = {base:?}\nanswer_timeout = \"10s\"\n\
             [daemon]\nledger = {:?}\nshutdown_grace = \"10s\"\nrescan_every = \"5m\"\n\
             [retry]\nbackoff_base = \"20ms\"\nbackoff_cap = \"200ms\"\nunconfirmed_resends = 100\nunconfirmed_wait = \"20ms\"\n\
             [poll]\nfirst = \"100ms\"\nmax = \"400ms\"\n\
             [log]\nformat = \"human\"\n",
            self.ledger()
        );
        for hold in [false, true] {
            let name = dataset(hold);
            let key = root.join(format!("{name}.key"));
            fs::write(&key, format!("key-{name}\n")).unwrap();
            private(&key);
            text += &format!(
                "[[dataset]]\nname = {name:?}\nkey_file = {key:?}\npolls_per_second = 100\n"
            );
        }
        for folder in &FOLDERS {
            let path = self.folder(folder);
            fs::create_dir(&path).unwrap();
            let after = match folder.after {
                After::Keep => "keep",
                After::Move => "move",
                After::Delete => "delete",
            };
            let on_reject = if folder.after == After::Move {
                "move"
            } else {
                "keep"
            };
            text += &format!(
                "[[folder]]\nname = {:?}\npath = {path:?}\ndataset = {:?}\nunconfirmed = {:?}\n\
                 after = {after:?}\non_reject = {on_reject:?}\nreimport_after = \"0s\"\n{settle}",
                folder.name,
                dataset(folder.hold),
                dataset(folder.hold),
            );
        }
        fs::write(self.config(), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn folder(&self, folder: &Folder) -> PathBuf {
        self.path().join(folder.name)
    }

    pub fn ledger(&self) -> PathBuf {
        self.path().join("state/ledger.sqlite")
    }

    /// A directory beside the folders, where what is renamed in is made.
    pub fn outside(&self) -> PathBuf {
        self.path().join("outside")
    }

    fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// The last lines that the daemons have said.
    pub fn said(&self) -> String {
        let log = fs::read(self.path().join("daemon.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(120)..].join("\n")
    }

    /// Starts the daemon; `failpoint`: where it is to kill itself, `NAME=N`.
    pub fn start(&mut self, failpoint: Option<&str>) {
        let log: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path().join("daemon.log"))
            .unwrap();
        writeln!(&log, "---- started, failpoint {failpoint:?}").unwrap();
        let mut command = match self.disk {
            Disk::Real => {
                let mut command = self.command();
                command.arg("run").arg("--config").arg(self.config());
                command
            }
            Disk::Forgetful => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command
                    .args(["--ignored", "--exact", "--nocapture"])
                    .arg("kill::power::daemon_on_a_forgetful_disk")
                    .env("KILL_CHILD_CONFIG", self.config());
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .env_remove("SUPAMETAS_LOG")
            .env_remove("SUPAMETAS_FAILPOINT");
        if let Some(failpoint) = failpoint {
            command.env("SUPAMETAS_FAILPOINT", failpoint);
        }
        self.daemon = Some(command.spawn().unwrap());
    }

    /// Waits until the daemon ends by itself, at most until `deadline`.
    pub fn ended(&mut self, deadline: Instant) -> Option<ExitStatus> {
        let daemon = self.daemon.as_mut().expect("it was started");
        loop {
            if let Some(status) = daemon.try_wait().unwrap() {
                self.daemon = None;
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// SIGTERM; the daemon must end by itself and without an error.
    pub fn stop(&mut self) {
        // Before it listens to signals, one ends it as it does any program.
        let deadline = Instant::now() + Duration::from_secs(30);
        let ran = |said: &str| match said.rsplit_once("---- started") {
            Some((_, since)) => since.contains(" running "),
            // It has said so much that its start is not shown any more.
            None => true,
        };
        while !ran(&self.said()) {
            assert!(Instant::now() < deadline, "it never ran\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = self.daemon.as_ref().expect("it was started").id();
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.ended(Instant::now() + Duration::from_secs(30));
        let status = status.expect("the daemon ends within 30 s of SIGTERM");
        assert!(status.success(), "stopped with {status}\n{}", self.said());
    }

    /// What a command of the program says, as JSON.
    pub fn ask(&self, args: &[&str]) -> Value {
        let output = self
            .command()
            .args(args)
            .arg("--config")
            .arg(self.config())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{args:?} said {error}: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// A listing of the sandbox.
    pub fn sandbox(&self, what: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET /_sandbox/{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let body = answer
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("an HTTP answer")
            + 4;
        serde_json::from_slice(&answer[body..]).unwrap()
    }

    /// Keeps what is on the stage for a look.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

fn private(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
