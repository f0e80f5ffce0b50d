//! How far long work is, on the terminal of whoever waits for it: one line on
//! standard error, drawn in place and cleared at the end.
//!
//! Nothing is drawn where standard error is no terminal: not for scripts, not
//! for cron, not under systemd. Must not: write to standard output, or show a
//! name from outside.

use std::io::{self, IsTerminal, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{files, out};

/// How often it is drawn anew by itself.
const TICK: Duration = Duration::from_millis(120);

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
        self.bar.finish_and_clear();
    }
}
