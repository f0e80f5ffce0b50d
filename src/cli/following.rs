//! How far a daemon of this process is, in one line on the terminal: what it waits
//! for, and how long that takes.
//!
//! Must not: show the name of a file, which may be anything, or be more than a line.

use std::io::{self, IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::progress::{Beside, Progress, lines_so_far};
use super::{files, out};
use crate::domain::state::StateKind;
use crate::view::following::thousands;
use crate::view::span;
use crate::view::standing::{FolderView, Standing, UploadView};
use crate::web::client;

/// How often the daemon is asked.
const ASKED: Duration = Duration::from_millis(500);

/// Shows how far a daemon of this process is, until it is dropped.
pub struct Following {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    /// The daemon that works on `ledger`; nothing where nobody looks. `idle`: what
    /// is said while nothing is left to do.
    pub fn begin(ledger: &Path, idle: String) -> Following {
        let (stop, stopped) = mpsc::channel();
        let ledger = ledger.to_owned();
        let follow = move || follow(ledger, &idle, &stopped);
        let thread = io::stderr().is_terminal().then(|| {
            let named = std::thread::Builder::new().name("progress".to_owned());
            named.spawn(follow).ok()
        });
        Following {
            stop: Some(stop),
            thread: thread.flatten(),
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop = None;
        // So that its line is cleared before more is said.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(ledger: PathBuf, idle: &str, stopped: &mpsc::Receiver<()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = runtime.enable_all().build() else {
        return;
    };
    let mut line = None;
    let mut before = None;
    while stopped.recv_timeout(ASKED) == Err(RecvTimeoutError::Timeout) {
        // It may be starting, or ending.
        if let Ok(standing) = runtime.block_on(client::standing(&ledger)) {
            // Only now: what a start says goes to standard output.
            let line = line.get_or_insert_with(|| Progress::begin("starting"));
            let before = *before.get_or_insert_with(|| confirmed(&standing));
            line.say(how_far(&standing, before, idle));
            say_page_again();
        }
    }
}

// ── the page's address ──────────────────────────────────────────────────────

/// Where the page is, and when that was last said.
#[derive(Debug, Clone, Copy)]
struct Said {
    page: SocketAddr,
    at: Instant,
    lines: u64,
}

static SAID: Mutex<Option<Said>> = Mutex::new(None);

/// The page's address was said just now.
pub fn page_is_said(page: SocketAddr) {
    *SAID.lock().unwrap_or_else(PoisonError::into_inner) = Some(Said {
        page,
        at: Instant::now(),
        lines: lines_so_far(),
    });
}

/// Fewest seconds between two times: while lines fly by nobody reads.
const AGAIN: Duration = Duration::from_secs(5);

/// Says it again once the log has pushed it off the terminal.
fn say_page_again() {
    let said = *SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(said) = said else { return };
    let rows = rustix::termios::tcgetwinsize(io::stderr()).map_or(24, |size| size.ws_row);
    if is_out_of_sight(lines_so_far() - said.lines, rows, said.at.elapsed()) {
        // In one piece, since the drawn line comes between two. Whoever can't be
        // told misses nothing.
        let text = format!("The page is at   http://{}/\n", said.page);
        let _ = Beside.write_all(text.as_bytes());
        page_is_said(said.page);
    }
}

fn is_out_of_sight(lines_since: u64, rows: u16, ago: Duration) -> bool {
    // The line that is drawn, and the one that the cursor is on.
    lines_since >= u64::from(rows.max(4)) - 2 && ago >= AGAIN
}

// ── the line ────────────────────────────────────────────────────────────────

/// Tasks that have come to an end, good or bad.
fn confirmed(standing: &Standing) -> u64 {
    use StateKind::{Cancelled, Failed, Lost, Succeeded};
    let ended = [Succeeded, Failed, Cancelled, Lost];
    let files = |state| standing.totals.get(state).map_or(0, |total| total.files);
    ended.iter().map(files).sum()
}

/// In numbers alone: names are for the log. `before`: tasks that had come to an
/// end when it began.
fn how_far(standing: &Standing, before: u64, idle: &str) -> String {
    let pending = &standing.pending;
    let mut parts = held(standing);
    let scanning = |folder: &&FolderView| folder.live.as_ref().is_some_and(|live| live.scanning);
    let scanned = standing.folders.iter().filter(scanning).count();
    if scanned > 0 {
        parts.push(format!("scanning {}", out::count(scanned, "folder")));
    }
    let settling = standing.folders.iter().filter_map(|f| f.live.as_ref());
    let settling: u64 = settling.map(|live| live.settling).sum();
    if settling > 0 {
        parts.push(format!("{} not finished yet", thousands(settling)));
    }
    let waiting = pending.due + pending.later;
    if waiting > 0 {
        parts.push(format!("{} waiting", thousands(waiting)));
    }
    if pending.uploading > 0 {
        parts.push(uploading(standing));
    }
    if pending.submitted > 0 {
        let done = confirmed(standing).saturating_sub(before);
        let all = done + waiting + pending.uploading + pending.submitted;
        let mut told = format!("{} of {} confirmed", thousands(done), thousands(all));
        // Of several datasets the one that takes longest.
        let slowest = standing.following.iter().max_by_key(|some| some.eta_s);
        if let Some(pace) = slowest.and_then(|some| some.pace()) {
            told = format!("{told}, {pace}");
        }
        parts.push(told);
    }
    if parts.is_empty() {
        return idle.to_owned();
    }
    parts.join("; ")
}

/// What holds files back, and how long.
fn held(standing: &Standing) -> Vec<String> {
    let now = standing.now.0;
    let mut parts = Vec::new();
    if standing.stopped.is_some() {
        parts.push("nothing can be recorded".to_owned());
    }
    for gate in &standing.gates {
        let (name, code) = (&gate.gate, &gate.code);
        let wait = span(gate.until.0.since(now));
        parts.push(format!("{name} paused by {code}, tried again in {wait}"));
    }
    for pause in &standing.pauses {
        let ends = pause.until.map(|until| span(until.0.since(now)));
        let ends = ends.map_or_else(|| "until `resume`".to_owned(), |wait| format!("for {wait}"));
        parts.push(format!("{} paused {ends}", pause.scope));
    }
    let offline = standing.folders.iter().filter(|f| f.offline.is_some());
    match offline.count() {
        0 => {}
        some => parts.push(format!("{} off line", out::count(some, "folder"))),
    }
    parts
}

fn uploading(standing: &Standing) -> String {
    let on_the_wire = standing.daemon.as_ref().map(|daemon| &daemon.in_flight);
    let sum =
        |of: fn(&UploadView) -> u64| -> u64 { on_the_wire.into_iter().flatten().map(of).sum() };
    let (sent, size) = (sum(|upload| upload.sent), sum(|upload| upload.size));
    let mut told = format!("{} uploading", standing.pending.uploading);
    if size > 0 {
        let (sent, size) = (files::bytes(sent.min(size)), files::bytes(size));
        told += &format!(" ({sent} of {size})");
    }
    told
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn standing(change: impl FnOnce(&mut Value)) -> Standing {
        let mut told = json!({
            "running": true, "now": "2026-11-23T12:00:00.000Z",
            "service": "https://example.org/", "ledger": "/var/lib/x/ledger.sqlite",
            "pending": {"due": 0, "later": 0, "uploading": 0, "submitted": 0, "sources": 0},
            "attention": 0, "totals": {}, "oldest_waiting": null, "oldest_waiting_s": null,
            "stopped": null, "pauses": [], "gates": [], "folders": [], "left_behind": [],
            "daemon": null,
        });
        change(&mut told);
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn the_line_says_what_it_waits_for_and_how_long() {
        let idle = standing(|_| {});
        assert_eq!(how_far(&idle, 0, "drop files"), "drop files");
        let tasks = standing(|s| {
            s["pending"]["submitted"] = json!(269);
            s["totals"] = json!({"succeeded": {"files": 2_730, "bytes": 1}, "failed": {"files": 1, "bytes": 1}});
            s["following"] = json!([{
                "dataset": "main", "tasks": 269, "polls_per_second": 5.0, "per_second": 5.0,
                "seen": true, "eta_s": 53, "bounded_by": "polls_per_second",
            }]);
        });
        assert_eq!(
            how_far(&tasks, 1_000, ""),
            "1,731 of 2,000 confirmed, 5 a second, about 50 s"
        );
        let held = standing(|s| {
            s["pending"]["due"] = json!(12);
            s["gates"] = json!([{
                "gate": "service", "status": "closed", "code": "HTTP-503", "why": "x",
                "since": "2026-11-23T11:50:00.000Z", "until": "2026-11-23T12:00:40.000Z",
                "lifts": "time", "opens": "later",
            }]);
            s["pauses"] = json!([{
                "scope": "all", "since": "2026-11-23T11:50:00.000Z", "until": null,
                "who": "anna", "why": null, "ends": "x",
            }]);
        });
        assert_eq!(
            how_far(&held, 0, ""),
            "service paused by HTTP-503, tried again in 40 s; all paused until `resume`; 12 waiting"
        );
    }

    #[test]
    fn the_address_is_said_again_when_it_has_left_the_screen() {
        let seconds = Duration::from_secs;
        assert!(!is_out_of_sight(21, 24, seconds(60)));
        assert!(is_out_of_sight(22, 24, seconds(60)));
        assert!(!is_out_of_sight(9_000, 24, seconds(4)), "lines fly by");
        assert!(is_out_of_sight(2, 0, seconds(5)));
    }
}
