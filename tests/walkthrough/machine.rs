//! The machine that the walk takes place on: a mount namespace with the paths
//! of an installation, three users, the emulated service, and the daemon.
//!
//! Must not: know what the walk does, or write the page.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::mounts::Mounts;
use crate::support::users::{self, DAEMON, DROP_GROUP, DROPPER};
use crate::support::{MAIN_KEY, PROGRAM, SOON};

/// Who types a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// root, in a checkout that was built.
    Admin,
    /// The user that the daemon runs as.
    Service,
    /// Somebody who drops files.
    Anna,
}

/// What a command printed, both streams as a terminal shows them, and its exit
/// code.
#[derive(Debug)]
pub struct Said {
    pub text: String,
    pub code: Option<i32>,
}

/// The machine. Dropping it ends all that runs on it.
pub struct Machine {
    service: Option<Child>,
    /// Of the emulated service, which keeps it over an outage.
    port: u16,
    daemon: Option<Child>,
    mounts: Mounts,
    dir: tempfile::TempDir,
}

/// The ledger's file system: small, so that it can be filled.
const LEDGER_DISK: &str = "4m";

impl Machine {
    /// With the service running, and nothing installed. `None` where this
    /// process can't become other users, or can't mount.
    pub fn new() -> Option<Machine> {
        if !users::at_hand() {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let checkout = dir.path().join("checkout");
        fs::create_dir_all(checkout.join("target/release")).unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::copy(PROGRAM, checkout.join("target/release/supametas-sync")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["config.example.toml", "tests/samples"] {
            std::os::unix::fs::symlink(root.join(name), checkout.join(file_name(name))).unwrap();
        }
        let mounts = Mounts::made_by(&mounting(dir.path()))?;
        let mut machine = Machine {
            service: None,
            port: 0,
            daemon: None,
            mounts,
            dir,
        };
        machine.start_service();
        Some(machine)
    }

    /// Starts the emulated service, on the port that it had before.
    pub fn start_service(&mut self) {
        let mut child = Command::new(PROGRAM)
            .args(["sandbox", "--pending-for", "300ms", "--key", MAIN_KEY])
            .args(["--port", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let rest = line.split("127.0.0.1:").nth(1).expect("it names its port");
        self.port = rest.split('/').next().unwrap().parse().unwrap();
        self.service = Some(child);
    }

    /// Ends the service: nobody listens on its port any more.
    pub fn stop_service(&mut self) {
        end(&mut self.service);
    }

    /// `127.0.0.1:PORT` of the service.
    pub fn service_address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command line to its end.
    pub fn run(&self, who: Who, command: &str) -> Said {
        let mut words = self.behind(who);
        let (at, name) = match who {
            Who::Admin => (self.dir.path().join("checkout"), "root"),
            Who::Service => ("/".into(), "supametas-sync"),
            Who::Anna => ("/srv/anna".into(), "anna"),
        };
        let script = format!("cd {} && {{ {command}; }} 2>&1", at.display());
        words.extend(["sh", "-c", &script].map(str::to_owned));
        let output = command_of(&words).env("USER", name).output().unwrap();
        Said {
            text: String::from_utf8(output.stdout).unwrap(),
            code: output.status.code(),
        }
    }

    /// Starts the daemon, and waits until it says that it runs.
    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none(), "one at a time");
        let mut words = self.behind(Who::Service);
        words.extend(["/usr/local/bin/supametas-sync", "run"].map(str::to_owned));
        let before = self.log().len();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let child = command_of(&words)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        self.until("the daemon runs", || {
            self.log()[before..].contains(" running ")
        });
    }

    /// Stops it as systemd does, and waits for its end.
    pub fn stop_daemon(&mut self) {
        let mut child = self.daemon.take().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.until("the daemon ends", || child.try_wait().unwrap().is_some());
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// All that the daemon logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// A path of the machine, as this process can open it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.mounts.path(Path::new(path))
    }

    /// Fills the file system of a path, with a file of that name.
    pub fn fill(&self, path: &str) {
        self.mounts.fill(Path::new(path));
    }

    /// Waits until `cond` holds; fails with the log when it does not.
    pub fn until(&self, what: &str, mut cond: impl FnMut() -> bool) {
        let end = Instant::now() + SOON;
        while !cond() {
            let late = Instant::now() >= end;
            assert!(!late, "waited {SOON:?} for: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log.txt")
    }

    /// What a command of this user is put behind.
    fn behind(&self, who: Who) -> Vec<String> {
        let mut words = self.mounts.behind();
        match who {
            Who::Admin => {}
            Who::Service => words.extend(DAEMON.behind()),
            Who::Anna => words.extend(DROPPER.behind()),
        }
        words
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.daemon);
        end(&mut self.service);
    }
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn command_of(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// The script that makes the paths of an installation in a namespace of its
/// own. `/etc` is a copy of what programs need of it, with two more users.
fn mounting(dir: &Path) -> String {
    let (daemon, anna) = (DAEMON.uid, DROPPER.uid);
    let bin = dir.join("bin");
    format!(
        "chmod 755 {dir}
         mount -t tmpfs -o mode=755 none /srv
         install -d -o {anna} -g {DROP_GROUP} /srv/anna
         mount -t tmpfs -o mode=755 none /mnt
         mkdir /mnt/etc
         for name in passwd group nsswitch.conf hosts ssl ld.so.cache ld.so.conf ld.so.conf.d \
             alternatives; do
             [ ! -e /etc/$name ] || cp -a /etc/$name /mnt/etc/
         done
         echo 'supametas-sync:x:{daemon}:{DROP_GROUP}::/:/bin/sh' >> /mnt/etc/passwd
         echo 'anna:x:{anna}:{DROP_GROUP}::/:/bin/sh' >> /mnt/etc/passwd
         echo 'droppers:x:{DROP_GROUP}:' >> /mnt/etc/group
         mount --bind /mnt/etc /etc
         mount --bind {bin} /usr/local/bin
         mount -t tmpfs -o mode=755 none /var/lib
         mkdir /var/lib/supametas-sync
         mount -t tmpfs -o size={LEDGER_DISK},mode=700,uid={daemon},gid={DROP_GROUP} none \
             /var/lib/supametas-sync",
        dir = dir.display(),
        bin = bin.display(),
    )
}
