//! `prune`: keep the ledger small.
//!
//! Must not: let a file be sent again that has been.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::lying::{Looker, Source};
use super::progress::Progress;
use super::{Failed, Outcome, ask, files, out, runtime};
use crate::config::units;
use crate::domain::ids::FolderName;
use crate::domain::state::StateKind;
use crate::ledger::{self, FileRecord, Filter, Memory, Selection};
use crate::ports::World;

/// Take old ended files out of the ledger, and keep what they teach
///
/// A file goes, with its attempts and history, when it ended longer ago than
/// --older-than and does not lie in its folder any more. What still lies there
/// stays, or it would be taken and sent again; so does everything of a folder
/// that can't be reached or is not in the configuration (see `forget --folder`).
/// Files in doubt (unconfirmed, lost) stay until you `retry` or `forget` them.
///
/// The content hash of what the service has taken is kept, in about a hundred
/// bytes: a later copy is still a duplicate, of an id that `show` does not
/// know any more. --forget-content drops it, too: then a later copy is sent.
///
/// It works in short steps beside a running daemon. The room that becomes free
/// inside the ledger is used again; to give it back to the disk, stop the
/// daemon and run it with --compact, which needs as much room for a moment.
///
/// With --json: {"pruned", "kept", "unused_bytes", "dry_run"}.
///
/// Examples:
///   supametas-sync prune --older-than 90d --dry-run
///   supametas-sync prune --older-than 90d --yes
///   supametas-sync prune --older-than 1d --folder scans --compact
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What ended longer ago than this: 90d …
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    older_than: Duration,
    /// Of this folder alone.
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// Drop the content hashes, too: later copies are sent again.
    #[arg(long)]
    forget_content: bool,
    /// Give the room back to the disk; the daemon must be stopped.
    #[arg(long)]
    compact: bool,
    /// Say what would go, and do nothing.
    #[arg(long, conflicts_with = "compact")]
    dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Files looked at together.
const AT_ONCE: usize = 500;

/// Prunes.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let age = i64::try_from(args.older_than.as_millis()).unwrap_or(i64::MAX);
    let filter = Filter {
        states: StateKind::ALL
            .into_iter()
            .filter(|kind| goes(*kind))
            .collect(),
        folder: args.folder.clone().map(FolderName),
        until: Some(crate::domain::time::Timestamp(now.0.saturating_sub(age))),
        ..Filter::default()
    };
    let memory = if args.forget_content {
        Memory::Nothing
    } else {
        Memory::Content
    };
    let (pruned, kept) = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let ids = ledger.selected(Selection::Matching(filter)).await?;
        let asks = !args.yes && !args.dry_run && !ids.is_empty();
        if asks && ask::somebody_is_there() {
            let files = out::count(ids.len(), "file");
            let question = format!("{files} ended long enough ago. Prune those that do not lie in their folder any more?");
            if !ask::agreed(&question)? {
                return Err(Failed::from(anyhow::anyhow!("nothing was done")));
            }
        }
        let progress = Progress::of(ids.len() as u64, "pruning");
        let mut looker = Looker::new(&config);
        let (mut pruned, mut kept) = (0_usize, 0_usize);
        // From the latest on: duplicates leave before their originals.
        for ids in ids.rchunks(AT_ONCE) {
            let seen = ledger.records(ids.to_vec()).await?;
            let found = seen.len();
            let may: Vec<FileRecord> = seen
                .into_iter()
                .filter(|file| looker.look(file) == Source::NotThere)
                .collect();
            let erased = if args.dry_run {
                ledger.rehearse_erase(may).await?
            } else {
                ledger.erase(may, memory).await?
            };
            pruned += erased.erased.len();
            kept += found - erased.erased.len();
            progress.done(ids.len());
        }
        ledger.close().await;
        Ok::<_, Failed>((pruned, kept))
    })?;
    if args.compact {
        let _progress = Progress::begin("compacting the ledger");
        ledger::compact(&config.ledger)?;
    }
    let unused = ledger::unused(&config.ledger)?;
    if args.json {
        out::print_json(&json!({
            "pruned": pruned, "kept": kept, "unused_bytes": unused, "dry_run": args.dry_run,
        }));
        return Ok(Exit::Success);
    }
    let would = if args.dry_run { " would be" } else { "" };
    out::print(&format!(
        "{}{would} pruned; {kept} of that age stay: they lie in their folder, it can't be reached, or others wait for them",
        out::count(pruned, "file")
    ));
    if unused > 0 {
        out::remark(&format!(
            "{} inside the ledger are free and will be used again; --compact gives them to the disk while no daemon runs",
            files::bytes(unused)
        ));
    }
    Ok(Exit::Success)
}

/// Whether files in this state are pruned.
const fn goes(kind: StateKind) -> bool {
    kind.is_final() && !matches!(kind, StateKind::Unconfirmed | StateKind::Lost)
}
