//! `--fsync 4ms`: the daemon as on a disk where a commit takes that long,
//! whatever this machine's disk is like.
//!
//! A few lines of C (`slow_disk.c`), compiled with `cc` and loaded into the
//! daemon with `LD_PRELOAD`, make `fsync` and `fdatasync` last that long at
//! least. It waits and burns nothing, as a disk does. The kill loops' forgetful
//! disk (`tests/kill/power.rs`) is an SQLite VFS, but for that the daemon must
//! run inside the test's program; here it is to be the real one.
//!
//! Must not: be used for any other contestant than the daemon, none of which
//! syncs anything, but for sqlite3 behind inotifywait.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The shim, compiled.
#[derive(Debug, Clone)]
pub struct SlowDisk {
    library: PathBuf,
    /// How long a synced write takes at least.
    pub time: Duration,
}

impl SlowDisk {
    /// Compiles it into `dir`; the error is what to say of rows without it.
    pub fn make(dir: &Path, time: Duration) -> Result<SlowDisk, String> {
        let source = dir.join("slow_disk.c");
        std::fs::write(&source, include_str!("slow_disk.c")).map_err(|e| e.to_string())?;
        let library = dir.join("slow_disk.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .map_err(|_| "no C compiler (`gcc`)".to_owned())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(SlowDisk { library, time })
    }

    /// What the daemon's environment needs.
    pub fn env(&self) -> Vec<(String, String)> {
        let library = self.library.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".to_owned(), library),
            ("SLOW_DISK_US".to_owned(), self.time.as_micros().to_string()),
        ]
    }

    /// How long a synced write really takes with it: asked of a process of its
    /// own, by `--measure-fsync`.
    pub fn measured_ms(&self) -> Option<f64> {
        let program = std::env::current_exe().ok()?;
        let output = Command::new(program)
            .arg("--measure-fsync")
            .envs(self.env())
            .output()
            .ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    }
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_synced_write_takes_at_least_so_long() {
        let dir = tempfile::tempdir().unwrap();
        let time = Duration::from_millis(300);
        // SQLite is compiled from C: where this is built there is a compiler.
        let disk = SlowDisk::make(dir.path(), time).unwrap();
        let start = Instant::now();
        let status = Command::new("dd")
            .args([
                "if=/dev/zero",
                "bs=1",
                "count=1",
                "conv=fdatasync",
                "status=none",
            ])
            .arg(format!("of={}", dir.path().join("file").display()))
            .envs(disk.env())
            .status()
            .unwrap();
        assert!(status.success());
        assert!(start.elapsed() >= time, "{:?}", start.elapsed());
    }
}
