//! Mounts of a test's own: a private mount namespace, held by a process that
//! only sleeps, in which the program runs and file systems come and go without
//! anybody else seeing them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a program of its own and uses a part; a failing unwrap is a failing test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount namespace. Dropping it ends its holder, and its mounts with it.
pub struct Mounts {
    holder: Child,
}

impl Mounts {
    /// A namespace in which `script` was run. `None`, with a word on standard
    /// error, where this process may not mount.
    pub fn made_by(script: &str) -> Option<Mounts> {
        let script = format!("set -e\n{script}\necho ready\nexec sleep 600");
        let mut holder = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let this = Mounts { holder };
        if line.trim() == "ready" {
            return Some(this);
        }
        eprintln!("SKIPPED: mounting is not permitted here");
        None
    }

    /// What a command is put behind to run in there.
    pub fn behind(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "-t", &pid, "-m", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Runs a script in there.
    pub fn run(&self, script: &str) {
        let behind = self.behind();
        let status = Command::new(&behind[0])
            .args(&behind[1..])
            .args(["sh", "-ec", script])
            .status()
            .unwrap();
        assert!(status.success(), "{script}");
    }

    /// A path in there, seen from here.
    pub fn path(&self, path: &Path) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(path.strip_prefix("/").unwrap())
    }

    /// Fills the file system that `file` is to lie on, to its last byte.
    pub fn fill(&self, file: &Path) {
        let mut file = std::fs::File::create(self.path(file)).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
