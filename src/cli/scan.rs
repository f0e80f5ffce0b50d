//! `scan`: one run of the daemon, for cron. What it would do, `dry_run` says.
//!
//! Must not: decide when the daemon is done; `daemon::idle` does.

use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::following::Following;
use super::table::{Cell, Table};
use super::tone::Tone;
use super::{Failed, Outcome, dry_run, files, out, run, runtime, totals};
use crate::config::units;
use crate::config::valid::Config;
use crate::daemon::Options;
use crate::domain::time::Timestamp;
use crate::ledger::{FileRecord, Filter, Ledger};
use crate::ports::World;
use crate::watch::reached;

/// Work until nothing is due or waiting, then exit: for cron
///
/// Files that wait for a closed gate, or a long backoff, are left for the next
/// run. Exit code 3 says that in this run files came to a bad end, that some
/// are still waiting, or that a folder could not be reached; standard error
/// says which. What came to a bad end in an earlier run is not said again:
/// `list --attention` has it all.
///
/// With --dry-run nothing is sent and nothing is written: it says what would be
/// sent where, under which name, and of the rest why not, by the daemon's own
/// rules, as a scan would find the files now. It works beside a daemon, and
/// before there is a ledger; it needs the right to read both, and no keys. The
/// gates are as the ledger has them: a changed key or setting opens some at a
/// start. Contents are looked up among those that were sent before where their
/// hash is known; --hash reads every file that may be a duplicate. Copies among
/// the new files are not seen. It always exits with 0 when it could look.
///
/// With --dry-run --json, one object a line for each file: folder, file, path,
/// size, id, would (send, wait, known, duplicate, unsupported, not-taken;
/// not-scanned for a folder that can't be reached, file being null), reason (a
/// word that stays), reason_kind (of what is unsupported: why, in such a word),
/// why (null, or words), dataset, media, route, endpoint, sent_as, same_size (a
/// file of this size was sent before: it may be a duplicate). What is not known,
/// or was not asked, is null.
///
/// Examples:
///   supametas-sync scan
///   supametas-sync scan --patience 10m
///   supametas-sync scan --dry-run
///   supametas-sync scan --dry-run --hash --json | jq 'select(.would == "send")'
///   */10 * * * *  supametas-sync scan       (in a crontab)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What can't go on within this time is left for the next run.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = units::time)]
    patience: Duration,
    /// Say what would be sent and what not, and why; do nothing.
    #[arg(long, conflicts_with = "patience")]
    dry_run: bool,
    /// Begin a new ledger where the former is gone: what lies in the folders is
    /// sent again. Say it once, by hand, and not in a crontab.
    #[arg(long, conflicts_with = "dry_run")]
    new_ledger: bool,
    #[command(flatten)]
    dry: dry_run::DryRun,
}

impl Args {
    /// Whether it says what would be done, and does nothing.
    pub fn only_tells(&self) -> bool {
        self.dry_run
    }
}

/// Files that came to a bad end and are shown, at most.
const SHOWN: usize = 50;

/// Runs until nothing is left to do.
pub fn main(path: &Path, args: Args) -> Outcome {
    if args.dry_run {
        return dry_run::main(path, &args.dry);
    }
    let loaded = run::load(path)?;
    let config = loaded.config.clone();
    let began = World::real().clock.now();
    let options = Options {
        config_path: Some(path.to_owned()),
        kept: Some(loaded.kept),
        until_idle: Some(args.patience),
        if_lost: run::if_lost(args.new_ledger),
        ..Options::default()
    };
    let following = Following::begin(&config.ledger, "looking for more".to_owned());
    let ended = run::daemon(loaded.config, options);
    drop(following);
    ended?;
    runtime()?.block_on(tell(&config, began))
}

async fn tell(config: &Config, began: Timestamp) -> Outcome {
    let ledger = Ledger::open_visitor(&config.ledger)?;
    let totals = totals(&ledger.counts().await?);
    let bad = bad_ends(&ledger, began).await?;
    let mut places = ledger.places().await?;
    ledger.close().await;
    let now = World::real().clock.now();

    let mut table = Table::new(&["files", "state"]);
    for (kind, files) in &totals {
        table.row([
            Cell::from(files.to_string()),
            Cell::toned(Tone::of_state(*kind), kind),
        ]);
    }
    if totals.is_empty() {
        out::print("no files");
    } else {
        out::print(&table.lines());
    }

    let mut good = true;
    for file in bad.iter().take(SHOWN) {
        good = false;
        out::remark(&format!(
            "{}  {}: {}",
            file.state.kind(),
            files::listed(file),
            crate::view::detail(file, &[], now)
        ));
    }
    if bad.len() > SHOWN {
        out::remark("… and more: supametas-sync list --attention");
    }
    let waiting: u64 = totals
        .iter()
        .filter(|(kind, _)| !kind.is_final())
        .map(|(_, files)| files)
        .sum();
    if waiting > 0 {
        good = false;
        out::remark(&format!(
            "left for the next run: {}; `supametas-sync status` says what for",
            out::count(waiting, "file")
        ));
    }
    for folder in config.folders.values() {
        let before = places.remove(&folder.name);
        if let Err(why) = reached(&folder.path, folder.one_file_system, before) {
            good = false;
            out::remark(&format!("folder {} was not scanned: {why}", folder.name));
        }
    }
    Ok(if good { Exit::Success } else { Exit::Attention })
}

/// What came to a bad end since the run began.
async fn bad_ends(ledger: &Ledger, began: Timestamp) -> Result<Vec<FileRecord>, Failed> {
    let filter = Filter {
        unknown_since: None,
        since: Some(began),
        limit: SHOWN + 1,
        ..Filter::needing_attention(began)
    };
    Ok(ledger.list(filter).await?)
}
