//! One daemon on one folder: the steps are played while it runs, then it comes
//! to rest, and what must hold is looked at; after another scan it must hold
//! still, with nothing new.
//!
//! Must not: fail by panic where a step list is to blame; it says what is wrong.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::check::{self, Picture};
use super::ops::Step;
use super::writers::{Past, Place, lying};
use crate::support::{Daemon, PROGRAM, Stage};

/// What the daemon has to live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Events, and no scan after the first: what they miss is missing.
    Events,
    /// The same, and the kernel's queue runs over.
    Overflow,
    /// Fewer inotify watches than folders.
    FewWatches,
    /// No inotify instance at all.
    NoInstance,
}

/// What was seen, for the summary.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub versions: usize,
    pub rows: usize,
    pub uploads: usize,
    pub overflows: usize,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Seen) {
        self.versions += more.versions;
        self.rows += more.rows;
        self.uploads += more.uploads;
        self.overflows += more.overflows;
    }
}

impl Weather {
    /// What must run before the daemon is started; `None`: not possible here.
    fn command(self, stage: &Stage) -> Command {
        let daemon = stage.command(&["run"]);
        let limit = match self {
            // Root reads what nobody may: without that power, rights matter.
            Weather::Events | Weather::Overflow if rustix::process::getuid().is_root() => {
                return wrapped(
                    &daemon,
                    &[
                        "setpriv",
                        "--bounding-set",
                        "-dac_override,-dac_read_search",
                        "--",
                    ],
                );
            }
            Weather::Events | Weather::Overflow => return daemon,
            Weather::FewWatches => "echo 5 > /proc/sys/user/max_inotify_watches",
            Weather::NoInstance => "echo 0 > /proc/sys/user/max_inotify_instances",
        };
        // Limits of a user namespace: nobody else has them.
        let script = format!("{limit} && exec \"$@\"");
        wrapped(&daemon, &["unshare", "-Ur", "sh", "-c", &script, "sh"])
    }

    /// Whether this machine lets us make it so; says so if not.
    pub fn possible(self) -> bool {
        let limit = match self {
            Weather::Events | Weather::Overflow => return true,
            Weather::FewWatches => "max_inotify_watches",
            Weather::NoInstance => "max_inotify_instances",
        };
        let script = format!("echo 5 > /proc/sys/user/{limit}");
        let tried = Command::new("unshare")
            .args(["-Ur", "sh", "-c", &script])
            .output();
        let possible = tried.as_ref().is_ok_and(|o| o.status.success());
        if !possible {
            eprintln!("SKIPPED, no user namespace with a {limit} of its own: {tried:?}");
        }
        possible
    }

    /// What the daemon must have said.
    fn said(self) -> Option<&'static str> {
        match self {
            Weather::Events => None,
            Weather::Overflow => Some(OVERFLOW),
            Weather::FewWatches => Some("no inotify watch is left"),
            Weather::NoInstance => Some("no inotify instance or no open file is left"),
        }
    }
}

const OVERFLOW: &str = "more happened at once than the kernel keeps events for";

/// `command`, run by what `by` ends with.
fn wrapped(command: &Command, by: &[&str]) -> Command {
    let mut outer = Command::new(by[0]);
    outer
        .args(&by[1..])
        .arg(PROGRAM)
        .args(command.get_args())
        .stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Plays the steps on a stage of their own. What is wrong, once it must have
/// been right for `patience`.
pub async fn live(
    weather: Weather,
    steps: &[Step],
    patience: Duration,
) -> Result<Seen, Vec<String>> {
    let stage = Stage::new().await;
    let daemon = stage.spawn_command(weather.command(&stage));
    daemon.until("the daemon runs", || daemon.log().contains(" running "));
    let outside = stage.path("outside");
    let place = Arc::new(Place::new(stage.path("inbox"), outside, daemon.pid()));
    let past = place.play(steps);
    let rest = at_rest(&stage, &daemon, &past, patience).map_err(|wrong| say(&daemon, wrong))?;
    // The truth, compared with the hints: it finds nothing that is new.
    let scans = |daemon: &Daemon| daemon.log().matches("scanned the folder").count();
    let before = scans(&daemon);
    daemon.signal(Signal::USR1);
    daemon.until("another scan", || scans(&daemon) > before);
    let again = at_rest(&stage, &daemon, &past, patience).map_err(|wrong| say(&daemon, wrong))?;
    let mut wrong = Vec::new();
    if (again.rows.len(), again.uploads.len()) != (rest.rows.len(), rest.uploads.len()) {
        wrong.push("a scan at rest found something new".to_owned());
    }
    let log = daemon.log();
    if let Some(said) = weather.said()
        && (weather != Weather::Overflow || steps.iter().any(Step::is_deaf))
        && !log.contains(said)
    {
        wrong.push(format!("the daemon does not say {said:?}"));
    }
    if !wrong.is_empty() {
        return Err(say(&daemon, wrong));
    }
    let seen = Seen {
        versions: past.versions.len(),
        rows: again.rows.len(),
        uploads: again.uploads.len(),
        overflows: log.matches(OVERFLOW).count(),
    };
    if daemon.terminate().success() {
        Ok(seen)
    } else {
        Err(vec!["the daemon did not end well".to_owned()])
    }
}

fn picture(stage: &Stage) -> Picture {
    Picture {
        lying: lying(&stage.path("inbox")),
        rows: check::rows(&stage.path("ledger.sqlite")),
        uploads: stage.sandbox.uploads(),
    }
}

/// Waits until all that must hold does; the picture then, or what is wrong.
fn at_rest(
    stage: &Stage,
    daemon: &Daemon,
    past: &Past,
    patience: Duration,
) -> Result<Picture, Vec<String>> {
    let end = Instant::now() + patience;
    loop {
        let now = picture(stage);
        let never = check::never(&now, past);
        if !never.is_empty() {
            return Err(never);
        }
        let not_yet = check::not_yet(&now);
        if not_yet.is_empty() {
            return Ok(now);
        }
        if let Some(ended) = daemon.ended() {
            return Err(vec![format!("the daemon ended: {ended}")]);
        }
        if Instant::now() >= end {
            return Err(not_yet);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn say(daemon: &Daemon, mut wrong: Vec<String>) -> Vec<String> {
    wrong.truncate(12);
    if let Ok(to) = std::env::var("WATCH_LOG") {
        let to = Path::new(&to);
        std::fs::write(to, daemon.log_bytes()).unwrap();
        wrong.push(format!("the daemon's log is in {}", to.display()));
    }
    wrong
}
