//! `status --check`: one line and an exit code for a monitoring system.
//!
//! Must not: decide what is well (`domain::health` does), or say more than a line.

use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::status_look::{Look, look};
use super::{Failed, Outcome, files, out, runtime};
use crate::config::units;
use crate::domain::health::{Level, Limits};
use crate::ledger::LedgerError;
use crate::view::health;

/// From where on something is reported.
#[derive(Debug, clap::Args)]
pub struct Thresholds {
    /// With --check, exit 1 where more files than that need attention.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "check")]
    attention_warning: u64,
    /// With --check, exit 2 where more files than that need attention.
    #[arg(long, value_name = "N", requires = "check")]
    attention_critical: Option<u64>,
    /// With --check, exit 1 where a file waits for longer.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = units::time, requires = "check")]
    oldest_warning: Duration,
    /// With --check, exit 2 where a file waits for longer.
    #[arg(long, value_name = "TIME", value_parser = units::time, requires = "check")]
    oldest_critical: Option<Duration>,
    /// With --check, a gate may be closed for so long before that is exit 2.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::time, requires = "check")]
    gate_critical: Duration,
    /// With --check, a folder may be off line for so long before that is exit 2.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::time, requires = "check")]
    folder_critical: Duration,
    /// With --check, exit 1 where an operator's pause without an end holds for longer.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = units::time, requires = "check")]
    pause_warning: Duration,
    /// With --check, no daemon has to run: cron starts `scan`.
    #[arg(long, requires = "check")]
    without_daemon: bool,
}

impl Thresholds {
    fn limits(&self) -> Limits {
        Limits {
            attention_warning: self.attention_warning,
            attention_critical: self.attention_critical,
            oldest_warning: Some(self.oldest_warning),
            oldest_critical: self.oldest_critical,
            gate_critical: self.gate_critical,
            folder_critical: self.folder_critical,
            pause_warning: self.pause_warning,
            daemon_runs: !self.without_daemon,
        }
    }
}

/// Prints the line. It does not fail: what can't be found out is a level, too.
pub fn main(path: &Path, thresholds: &Thresholds, as_json: bool) -> Outcome {
    let limits = thresholds.limits();
    let (level, line, json) = match looked(path) {
        Ok(seen) => {
            let health = health::health(&seen.standing, seen.is_silent(), &limits);
            let line = health::line(&health, &seen.standing, &limits);
            let json = health::as_json(&health, &seen.standing, &limits);
            (health.level, line, json)
        }
        Err(failed) => {
            let (level, why) = (level_of(&failed.error), super::told(&failed.error));
            let line = health::line_of_failure(level, &why);
            (level, line, health::failure_as_json(level, &why))
        }
    };
    if as_json {
        out::print_json(&json);
    } else {
        out::print(&line);
    }
    Ok(Exit::Health(level))
}

fn looked(path: &Path) -> Result<Look, Failed> {
    let config = files::config(path)?;
    let ledger = files::ledger(&config)?;
    runtime()?.block_on(look(&config, &ledger))
}

/// A ledger in trouble is trouble; one that this user may not look at, or a
/// configuration that can't be read, says nothing about the daemon.
fn level_of(error: &anyhow::Error) -> Level {
    let ledger = error.chain().find_map(|e| e.downcast_ref::<LedgerError>());
    match ledger {
        None
        | Some(
            LedgerError::ReadOnly { .. }
            | LedgerError::Directory { .. }
            | LedgerError::Busy(_)
            | LedgerError::Newer { .. }
            | LedgerError::OldSqlite(_),
        ) => Level::Unknown,
        Some(_) => Level::Trouble,
    }
}

/// Whether the command line asks for a check. One that is not understood tells
/// a monitoring system nothing about the daemon: exit 3, not the 2 of a wrong
/// command line.
pub fn is_asked_for(mut args: impl Iterator<Item = std::ffi::OsString>) -> bool {
    args.by_ref().any(|arg| arg == "status") && args.any(|arg| arg == "--check")
}
