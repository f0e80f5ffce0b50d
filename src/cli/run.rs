//! `run`: the daemon.
//!
//! Must not: do the daemon's work; `crate::daemon` does.

use std::path::Path;

use super::exit::Exit;
use super::{Failed, Outcome, logging, runtime};
use crate::config::{Config, Loaded, Severity};
use crate::daemon::{self, Options};
use crate::ledger::IfLost;

/// Run the daemon: watch the folders, upload, follow the tasks
///
/// It stays in the foreground, logs to standard error, and tells systemd when
/// it is ready. SIGTERM and SIGINT stop it, finishing what is on the wire
/// within the grace period; a second one ends it at once. SIGHUP reloads the
/// configuration, SIGUSR1 scans all folders now.
///
/// Examples:
///   supametas-sync run
///   supametas-sync run --config ./config.toml
///   SUPAMETAS_LOG=debug supametas-sync run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Begin a new ledger where the former is gone: what lies in the folders is
    /// sent again. Say it once, by hand, and not in a unit.
    #[arg(long)]
    new_ledger: bool,
}

/// Runs until a signal.
pub fn main(config: &Path, args: Args) -> Outcome {
    let loaded = load(config)?;
    let options = Options {
        config_path: Some(config.to_owned()),
        kept: Some(loaded.kept),
        if_lost: if_lost(args.new_ledger),
        ..Options::default()
    };
    daemon(loaded.config, options)?;
    Ok(Exit::Success)
}

/// What `--new-ledger` means.
pub fn if_lost(new_ledger: bool) -> IfLost {
    if new_ledger {
        IfLost::Begin
    } else {
        IfLost::Refuse
    }
}

/// Loads the configuration, starts logging as it says, and logs its warnings.
pub fn load(config: &Path) -> Result<Loaded, Failed> {
    let loaded = Config::load(config)?;
    logging::start(&loaded.config.log)?;
    for problem in &loaded.warnings {
        match problem.severity {
            // `check` says them; every start need not.
            Severity::Note => tracing::debug!("{problem}"),
            _ => tracing::warn!("{problem}"),
        }
    }
    Ok(loaded)
}

/// Runs the daemon on a runtime of its own.
pub fn daemon(config: Config, options: Options) -> Result<(), Failed> {
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(config, options));
    // A read that hangs on a dead network file system must not hold up the
    // end of the process: everything that matters is in the ledger.
    runtime.shutdown_background();
    Ok(ended?)
}
