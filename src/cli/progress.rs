//! How far long work is, on the terminal of whoever waits for it: one line on
//! standard error, drawn in place and cleared at the end.
//!
//! Nothing is drawn where standard error is no terminal: not for scripts, not
//! for cron, not under systemd. Must not: write to standard output, or show a
//! name from outside.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{files, out};

/// How often it is drawn anew by itself.
const TICK: Duration = Duration::from_millis(120);

/// The line that is drawn now, for what else goes to the terminal.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Lines that went to standard error beside it.
static LINES: AtomicU64 = AtomicU64::new(0);

/// How many lines of log went by so far: what was on a terminal before as many as
/// it has rows is out of sight.
pub fn lines_so_far() -> u64 {
    LINES.load(Ordering::Relaxed)
}

/// Standard error for what is written beside a line: that is cleared, and drawn
/// again below.
pub struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        LINES.fetch_add(lines as u64, Ordering::Relaxed);
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

    /// Says how far it is.
    pub fn say(&self, how_far: String) {
        self.bar.set_message(how_far);
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
