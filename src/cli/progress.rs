//! How far long work is, on the terminal of whoever waits for it: one line on
//! standard error, drawn in place and cleared at the end.
//!
//! Nothing is drawn where standard error is no terminal: not for scripts, not
//! for cron, not under systemd. Must not: write to standard output, or show a
//! name from outside.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{files, out};
use crate::view::standing::Standing;
use crate::web::client;

/// How often it is drawn anew by itself.
const TICK: Duration = Duration::from_millis(120);

/// How often a running daemon is asked.
const ASKED: Duration = Duration::from_millis(500);

/// The line that is drawn now, for what else goes to the terminal.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Standard error for what is written beside a line: that is cleared, and drawn
/// again below.
pub struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match drawn {
            Some(line) => line.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A line on the terminal. Dropping it clears the line.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of work of unknown length.
    pub fn begin(what: &'static str) -> Progress {
        Progress::with(None, what)
    }

    /// Of work on so many things.
    pub fn of(total: u64, what: &'static str) -> Progress {
        Progress::with(Some(total), what)
    }

    fn with(total: Option<u64>, what: &'static str) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => "{spinner} {msg} [{bar:24}] {percent} %, {eta} left",
            None => "{spinner} {msg} ({elapsed})",
        };
        // A template that is wrong costs its look, nothing else.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.tick_chars("|/-\\ ").progress_chars("=> "));
        }
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Progress { bar }
    }

    /// A walk has come so far.
    pub fn walked(&self, dirs: u64, files: u64) {
        // A message is a text; a million of them for nobody would cost.
        if self.bar.is_hidden() || !files.is_multiple_of(64) {
            return;
        }
        let (dirs, files) = (out::count(dirs, "folder"), out::count(files, "file"));
        self.bar.set_message(format!("walked {dirs}, {files}"));
    }

    /// So many more are done.
    pub fn done(&self, more: usize) {
        self.bar.inc(u64::try_from(more).unwrap_or(0));
    }

    /// Counts the bytes that are read through it.
    pub fn reading<R: Read>(&self, from: R) -> impl Read {
        self.bar.wrap_read(from)
    }

    /// Of the copy of a file of this length.
    pub fn copying(bytes: u64) -> Progress {
        let progress = Progress::of(bytes, "");
        if !progress.bar.is_hidden() {
            let what = format!("copying {}", files::bytes(bytes));
            progress.bar.set_message(what);
        }
        progress
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.bar.finish_and_clear();
    }
}

/// Shows how far a daemon of this process is, until it is dropped.
pub struct Following {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    /// The daemon that works on `ledger`; nothing where nobody looks.
    pub fn begin(ledger: &Path) -> Following {
        let (stop, stopped) = mpsc::channel();
        let ledger = ledger.to_owned();
        let follow = move || follow(ledger, &stopped);
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

fn follow(ledger: PathBuf, stopped: &mpsc::Receiver<()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = runtime.enable_all().build() else {
        return;
    };
    let mut line = None;
    while stopped.recv_timeout(ASKED) == Err(RecvTimeoutError::Timeout) {
        // It may be starting, or ending.
        if let Ok(standing) = runtime.block_on(client::standing(&ledger)) {
            // Only now: what a start says goes to standard output.
            let line = line.get_or_insert_with(|| Progress::begin("starting"));
            line.bar.set_message(how_far(&standing));
        }
    }
}

/// In numbers alone: names are for the log.
fn how_far(standing: &Standing) -> String {
    let pending = &standing.pending;
    let mut parts = Vec::new();
    let scanning = |folder: &&_| {
        let folder: &crate::view::standing::FolderView = folder;
        folder.live.as_ref().is_some_and(|live| live.scanning)
    };
    let scanned = standing.folders.iter().filter(scanning).count();
    if scanned > 0 {
        parts.push(format!("scanning {}", out::count(scanned as u64, "folder")));
    }
    let waiting = pending.due + pending.later;
    if waiting > 0 {
        parts.push(format!("{waiting} waiting"));
    }
    if pending.uploading > 0 {
        let on_the_wire = standing.daemon.as_ref().map(|daemon| &daemon.in_flight);
        let sum = |of: fn(&crate::view::standing::UploadView) -> u64| -> u64 {
            on_the_wire.into_iter().flatten().map(of).sum()
        };
        let (sent, size) = (sum(|upload| upload.sent), sum(|upload| upload.size));
        let mut told = format!("{} uploading", pending.uploading);
        if size > 0 {
            told += &format!(
                " ({} of {})",
                files::bytes(sent.min(size)),
                files::bytes(size)
            );
        }
        parts.push(told);
    }
    if pending.submitted > 0 {
        parts.push(format!("{} at the service", pending.submitted));
    }
    if parts.is_empty() {
        return "looking for more".to_owned();
    }
    parts.join(", ")
}
