//! `scan`: one run of the daemon, for cron.

use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::{Outcome, run, runtime, totals};
use crate::config::units;
use crate::daemon::Options;
use crate::ledger::Ledger;

/// Work until nothing is due or waiting, then exit: for cron.
///
/// Files that wait for a closed gate, or a long backoff, are left for the next
/// run. Exit code 3 says that files need attention or are still waiting.
///
/// Examples:
///   supametas-sync scan
///   supametas-sync scan --patience 10m
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What can't go on within this time is left for the next run.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::time)]
    patience: Duration,
}

/// Runs until nothing is left to do.
pub fn main(config: &Path, args: Args) -> Outcome {
    let loaded = run::load(config)?;
    let ledger = loaded.config.ledger.clone();
    let options = Options {
        config_path: Some(config.to_owned()),
        until_idle: Some(args.patience),
        ..Options::default()
    };
    run::daemon(loaded.config, options)?;
    let totals = runtime()?.block_on(async {
        let visitor = Ledger::open_visitor(&ledger)?;
        Ok::<_, super::Failed>(totals(&visitor.counts().await?))
    })?;
    let mut attention = 0;
    for (kind, files) in totals {
        println!("{files:>8}  {kind}");
        if kind.needs_attention() || !kind.is_final() {
            attention += files;
        }
    }
    Ok(if attention == 0 {
        Exit::Success
    } else {
        Exit::Attention
    })
}
