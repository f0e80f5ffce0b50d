//! `retry`: send files again that came to a bad end.
//!
//! Must not: decide which may be; the lifecycle does.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::table::Table;
use super::{Failed, Outcome, ask, files, filter, find, out, runtime};
use crate::config::valid::Config;
use crate::domain::ids::FileId;
use crate::ledger::{FileRecord, Ledger, Retried};
use crate::ports::World;

/// Send files again that came to a bad end
///
/// By id, path or name, or by filter. Without a state, a filter means the
/// files that need attention (none that was acknowledged); on a terminal more than
/// 20 are counted first, and asked about. A running daemon takes them up within a
/// second.
/// Of a path with several versions the latest is meant.
///
/// What was unsupported or rejected is sorted anew: mend the file or its
/// settings first, and reload the daemon. A file that the service may have
/// already (unconfirmed, lost) is sent again too, since you asked for it, and
/// noted as a possible duplicate; `acknowledge --arrived` says that it is there.
///
/// With --json: {"retried": [ID...], "refused": [{"id", "why"}...], "dry_run"}.
///
/// Examples:
///   supametas-sync retry 42
///   supametas-sync retry /srv/scans/invoice.pdf
///   supametas-sync retry --code OPS40002
///   supametas-sync retry --state unsupported --folder scans
///   supametas-sync retry --dataset invoices --since 2d
///   supametas-sync retry --all --older-than 1h --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    which: filter::Which,
    /// Everything that needs attention.
    #[arg(long, conflicts_with = "files")]
    all: bool,
    /// Say what would be retried, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask, however many there are.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Sends them round again.
pub fn main(config: &Path, args: Args) -> Outcome {
    if args.which.is_empty() && !args.all {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "say which files: by id or path, by --state, --code, --folder …, or --all; see `supametas-sync retry --help`"
            ),
        ));
    }
    let config = files::config(config)?;
    let world = World::real();
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        // Without states the ledger knows which are meant.
        let selection = find::select(&config, &ledger, &args.which, []).await?;
        let retried = if args.dry_run {
            ledger.rehearse_retry(selection, world.moment()).await?
        } else {
            if !args.yes && ask::somebody_is_there() {
                let would = ledger
                    .rehearse_retry(selection.clone(), world.moment())
                    .await?;
                let files = would.retried.len();
                let question = format!("Send {} again?", out::count(files, "file"));
                if files > MANY && !ask::agreed(&question)? {
                    return Err(anyhow::anyhow!("nothing was done").into());
                }
            }
            ledger.retry(selection, world.moment()).await?
        };
        if args.json {
            out::print_json(&json!({
                "retried": retried.retried,
                "refused": retried.refused.iter()
                    .map(|(id, why)| json!({ "id": id, "why": why }))
                    .collect::<Vec<_>>(),
                "dry_run": args.dry_run,
            }));
        } else {
            tell(&config, &ledger, &retried, args.dry_run).await?;
        }
        ledger.close().await;
        let nothing = retried.retried.is_empty() && !retried.refused.is_empty();
        Ok(if nothing {
            Exit::Failure
        } else {
            Exit::Success
        })
    })
}

/// More files than these are asked about on a terminal.
const MANY: usize = 20;

/// Files shown by name, at most.
const SHOWN: usize = 20;

async fn tell(
    config: &Config,
    ledger: &Ledger,
    retried: &Retried,
    dry_run: bool,
) -> Result<(), Failed> {
    let files = out::count(retried.retried.len(), "file");
    let one = retried.retried.len() == 1;
    let mut text = match (retried.retried.is_empty(), dry_run) {
        (true, _) if retried.refused.is_empty() => "no file fits: nothing was done".to_owned(),
        (true, _) => "no file is tried again".to_owned(),
        (false, true) => format!("{files} would be tried again"),
        (false, false) if one => format!("{files} is in the queue again"),
        (false, false) => format!("{files} are in the queue again"),
    };
    let mut records: BTreeMap<FileId, FileRecord> = BTreeMap::new();
    let refused = retried.refused.iter().map(|(id, _)| id);
    for id in retried
        .retried
        .iter()
        .take(SHOWN)
        .chain(refused.take(SHOWN))
    {
        if let Some(story) = ledger.show(*id).await? {
            records.insert(*id, story.file);
        }
    }
    let name = |id: &FileId| records.get(id).map(files::listed).unwrap_or_default();
    if !retried.retried.is_empty() {
        let mut table = Table::new(&["id", "file"]);
        table.whole(&[0]);
        for id in retried.retried.iter().take(SHOWN) {
            table.row([id.to_string(), name(id)]);
        }
        text.push_str(":\n");
        text.push_str(&table.lines());
        if let Some(more) = more(retried.retried.len()) {
            text.push_str(&more);
        }
    }
    out::print(&text);
    for (id, why) in retried.refused.iter().take(SHOWN) {
        out::remark(&format!("id {id} ({}) stays as it is: {why}", name(id)));
    }
    if let Some(more) = more(retried.refused.len()) {
        out::remark(&format!("{} that stay as they are", more.trim_start()));
    }
    if !dry_run && !retried.retried.is_empty() {
        files::remark_no_daemon(config);
    }
    Ok(())
}

fn more(files: usize) -> Option<String> {
    let more = files.checked_sub(SHOWN).filter(|more| *more > 0)?;
    Some(format!("\n… and {more} more"))
}
