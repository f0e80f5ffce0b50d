//! A contestant's processes: started, looked at while they work, ended.
//!
//! Memory is the sum of `VmHWM` over the processes of the tree that are alive at
//! the same time, looked at again and again; shared pages count in each.
//! Processor time is that of all of them, the ended ones too.
//!
//! Must not: know which tool it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::common::{DEADLINE, cpu, memory};
use crate::rows::Costs;

/// Between two looks at the memory, but for the first few.
const LOOK: Duration = Duration::from_millis(20);
/// The first looks are closer together: some work is done in a moment.
const EARLY: Duration = Duration::from_millis(4);

/// A tool at work.
pub struct Running {
    child: Child,
    log: PathBuf,
    start: Instant,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    looks: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it. What it says goes to a file in `dir`.
    pub fn start(mut command: Command, dir: &Path) -> Result<Running, String> {
        let log = dir.join("said");
        let open = || File::create(&log).map_err(|error| error.to_string());
        let out = open()?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
            command.env_remove(name);
        }
        let start = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let peak = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let looks = {
            let (root, peak, stop) = (child.id(), Arc::clone(&peak), Arc::clone(&stop));
            std::thread::spawn(move || look(root, &peak, &stop))
        };
        Ok(Running {
            child,
            log,
            start,
            peak,
            stop,
            looks: Some(looks),
        })
    }

    /// Waits until `done`; gives the seconds since the start.
    pub fn until(&mut self, done: impl Fn() -> bool) -> Result<f64, String> {
        let mut looked = Instant::now();
        loop {
            if done() {
                return Ok(self.start.elapsed().as_secs_f64());
            }
            if looked.elapsed() > Duration::from_millis(50) {
                looked = Instant::now();
                // What it sent may still be on its way through the sink.
                if self.ended() && !within(Duration::from_secs(2), &done) {
                    return Err(format!("it ended before all was sent: {}", self.said()));
                }
                if self.start.elapsed() > DEADLINE {
                    return Err(format!("it took too long: {}", self.said()));
                }
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Whether the first process has ended; it stays to be asked.
    fn ended(&self) -> bool {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(pid(&self.child)), how), Ok(Some(_)))
    }

    /// What it has cost so far.
    pub fn costs(&self) -> Costs {
        let tree = tree(self.child.id());
        Costs {
            peak: self.peak.load(Ordering::Relaxed) as f64 / 1024.0,
            idle: None,
            cpu: tree.iter().filter_map(|pid| cpu(*pid, 4)).sum(),
        }
    }

    /// Waits for a tool that ends by itself, which must say that all is well.
    pub fn finish(mut self) -> Result<(), String> {
        if !within(Duration::from_secs(60), || self.ended()) {
            return Err(format!("it does not end: {}", self.said()));
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{status}: {}", self.said()))
    }

    fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.chars().take(2000).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(looks) = self.looks.take() {
            let _ = looks.join();
        }
        // Already waited for: its number may be another's by now.
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        for pid in tree(self.child.id()) {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn within(limit: Duration, done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

fn look(root: u32, peak: &AtomicU64, stop: &AtomicBool) {
    let mut looks = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let all = tree(root).into_iter();
        let sum: f64 = all.filter_map(|pid| memory(pid, "VmHWM:")).sum();
        peak.fetch_max((sum * 1024.0) as u64, Ordering::Relaxed);
        looks += 1;
        std::thread::sleep(if looks < 25 { EARLY } else { LOOK });
    }
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        all.extend(
            children
                .split_whitespace()
                .filter_map(|c| c.parse::<u32>().ok()),
        );
        next += 1;
    }
    all
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_costs_are_those_of_the_whole_tree() {
        let dir = tempfile::tempdir().unwrap();
        let (go, done) = (dir.path().join("go"), dir.path().join("done"));
        let script = format!(
            "sh -c 'n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done'; : > {}; \
             until [ -e {} ]; do sleep 0.01; done",
            done.display(),
            go.display()
        );
        let mut running = Running::start(shell(&script), dir.path()).unwrap();
        let seconds = running.until(|| done.exists()).unwrap();
        let costs = running.costs();
        assert!(seconds > 0.0 && costs.peak > 0.1, "{costs:?}");
        // The counting was done by a child that has ended.
        assert!(costs.cpu >= 0.03, "{costs:?}");
        fs::write(go, "").unwrap();
        running.finish().unwrap();
    }

    #[test]
    fn an_early_end_and_a_bad_one_are_told_with_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut running = Running::start(shell("echo why >&2"), dir.path()).unwrap();
        let error = running.until(|| false).unwrap_err();
        assert!(error.contains("why"), "{error}");
        let running = Running::start(shell("echo bad; exit 3"), dir.path()).unwrap();
        let error = running.finish().unwrap_err();
        assert!(error.contains('3') && error.contains("bad"), "{error}");
    }

    #[test]
    fn what_is_dropped_is_ended_with_all_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start(shell("sleep 600 & wait"), dir.path()).unwrap();
        let all = || tree(running.child.id());
        assert!(within(Duration::from_secs(20), || all().len() > 1));
        let all = all();
        drop(running);
        let gone = |pid: &u32| memory(*pid, "VmRSS:").is_none();
        assert!(within(Duration::from_secs(20), || all.iter().all(gone)));
    }
}
