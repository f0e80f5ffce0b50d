//! `retry`: send files again that came to a bad end.

use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::{Failed, Outcome, files, filter, runtime, table};
use crate::domain::state::StateKind;
use crate::ledger::Selection;
use crate::ports::World;

/// Send files again that came to a bad end.
///
/// By number, path or name, or by filter. Without a state, those are meant that
/// need attention. A running daemon takes them up within a second.
///
/// A file that the service may have already (unconfirmed, lost) is sent again
/// too, since you asked for it, and noted as a possible duplicate.
///
/// Examples:
///   supametas-sync retry 42
///   supametas-sync retry --code OPS40002
///   supametas-sync retry --state unsupported --folder scans
///   supametas-sync retry --all
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Numbers, paths, or parts of names.
    files: Vec<PathBuf>,
    #[command(flatten)]
    filter: filter::Matching,
    /// Everything that needs attention.
    #[arg(long)]
    all: bool,
    /// Say what would be retried, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Sends them round again.
pub fn main(config: &Path, args: Args) -> Outcome {
    if args.files.is_empty() && args.filter.is_empty() && !args.all {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "say which files: by number or path, by --state, --code, --folder …, or --all"
            ),
        ));
    }
    let config = files::config(config)?;
    let world = World::real();
    let now = world.clock.now();
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let selection = if args.files.is_empty() {
            let mut filter = args.filter.filter(now, usize::MAX);
            if filter.states.is_empty() {
                filter.states = StateKind::ALL
                    .into_iter()
                    .filter(|k| k.needs_attention())
                    .collect();
            }
            Selection::Matching(filter)
        } else {
            let mut ids = Vec::new();
            for asked in &args.files {
                ids.extend(
                    files::find(&config, &ledger, asked)
                        .await?
                        .first()
                        .map(|file| file.id),
                );
            }
            Selection::Ids(ids)
        };
        if args.dry_run {
            let count = match selection {
                Selection::Ids(ids) => ids.len(),
                Selection::Matching(filter) => ledger.list(filter).await?.len(),
            };
            table::print(&format!("{count} files would be tried again"));
            return Ok(Exit::Success);
        }
        let retried = ledger.retry(selection, world.moment()).await?;
        for (id, why) in &retried.refused {
            eprintln!("file {id} stays as it is: {why}");
        }
        table::print(&format!(
            "{} files are in the queue again",
            retried.retried.len()
        ));
        ledger.close().await;
        let nothing = retried.retried.is_empty() && !retried.refused.is_empty();
        Ok(if nothing {
            Exit::Failure
        } else {
            Exit::Success
        })
    })
}
