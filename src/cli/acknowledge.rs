//! `acknowledge`: files that came to a bad end need nobody any more.
//!
//! Must not: decide which may be acknowledged; the ledger does.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, ask, files, filter, find, out, runtime, who};
use crate::domain::ids::TaskId;
use crate::ledger::{Acknowledge, Acknowledged, Selection};
use crate::ports::World;

/// Say that files that came to a bad end need nobody any more
///
/// By id, path or name, or by filter (the files of it that need attention). They
/// stay in the ledger as they ended, with who said so, when and why, and `list
/// --acknowledged` has them; `list --attention`, `status` and the alerts leave them
/// out. Copies of their content are known as before. A `retry` takes it back.
///
/// A file also stops needing attention by itself: when a newer version of its path
/// is imported, when its source is gone, and when the configuration excludes its
/// name.
///
/// --arrived is for what the service may have (unconfirmed, lost, untracked) and you
/// have found in its console: it is not sent again, and counts as untracked. With
/// --task its task is asked about from here on, to its end. If it is not there:
/// `retry`.
///
/// With --json: {"acknowledged": [ID...], "refused": [{"id", "why"}...], "dry_run"}.
///
/// Examples:
///   supametas-sync acknowledge 42 --why "the customer sends it anew"
///   supametas-sync acknowledge --state unsupported --folder scans --dry-run
///   supametas-sync acknowledge --all --why "migrated by hand"
///   supametas-sync acknowledge 42 --arrived
///   supametas-sync acknowledge 42 --arrived --task 66f0c1
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    which: filter::Which,
    /// Everything that needs attention.
    #[arg(long, conflicts_with = "files")]
    all: bool,
    /// Why: `show` and the status page say it.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// The service has it: you have found it there.
    #[arg(long)]
    arrived: bool,
    /// Its task at the service, of one file.
    #[arg(long, value_name = "ID", value_parser = task, requires = "arrived")]
    task: Option<TaskId>,
    /// Say what would be acknowledged, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask, however many there are.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

fn task(text: &str) -> Result<TaskId, String> {
    TaskId::new(text).ok_or_else(|| {
        "a task ID has printable characters and no space, as the service's console shows it"
            .to_owned()
    })
}

/// More files than these are asked about on a terminal.
const MANY: usize = 20;

/// Refusals that are shown one by one.
const SHOWN: usize = 20;

/// Acknowledges them.
pub fn main(config: &Path, args: Args) -> Outcome {
    let usage = |why: &str| Err(Failed::with(Exit::Usage, anyhow::anyhow!("{why}")));
    if args.which.is_empty() && !args.all {
        return usage(
            "say which files: by id or path, by --state, --code, --folder …, or --all; see `supametas-sync acknowledge --help`",
        );
    }
    let config = files::config(config)?;
    let world = World::real();
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let selection = find::select(&config, &ledger, &args.which, []).await?;
        if args.task.is_some() && !matches!(&selection, Selection::Ids(ids) if ids.len() == 1) {
            return usage("--task is the task of one file: name that file alone");
        }
        let how = Acknowledge {
            who: who::asks(),
            why: args.why.clone(),
            arrived: args.arrived.then(|| args.task.clone()),
        };
        let asks = !args.yes && !args.dry_run && ask::somebody_is_there();
        let done = if args.dry_run || asks {
            let would = ledger
                .rehearse_acknowledge(selection.clone(), how.clone(), world.moment())
                .await?;
            let files = would.acknowledged.len();
            let question = format!("Acknowledge {}?", out::count(files, "file"));
            if asks && files > MANY && !ask::agreed(&question)? {
                return Err(anyhow::anyhow!("nothing was done").into());
            }
            would
        } else {
            Acknowledged::default()
        };
        let done = match args.dry_run {
            true => done,
            false => ledger.acknowledge(selection, how, world.moment()).await?,
        };
        ledger.close().await;
        tell(&done, &args);
        let nothing = done.acknowledged.is_empty() && !done.refused.is_empty();
        Ok(if nothing {
            Exit::Failure
        } else {
            Exit::Success
        })
    })
}

fn tell(done: &Acknowledged, args: &Args) {
    if args.json {
        let refused = done.refused.iter();
        out::print_json(&json!({
            "acknowledged": done.acknowledged,
            "refused": refused.map(|(id, why)| json!({ "id": id, "why": why })).collect::<Vec<_>>(),
            "dry_run": args.dry_run,
        }));
        return;
    }
    let files = out::count(done.acknowledged.len(), "file");
    out::print(&match (done.acknowledged.len(), args.dry_run) {
        (0, _) if done.refused.is_empty() => "no file fits: nothing was done".to_owned(),
        (0, _) => "no file is acknowledged".to_owned(),
        (_, true) => format!("{files} would be acknowledged"),
        (1, false) if args.task.is_some() => {
            "1 file is followed by its task from here on".to_owned()
        }
        (_, false) => format!("{files} acknowledged"),
    });
    for (id, why) in done.refused.iter().take(SHOWN) {
        out::remark(&format!("id {id} stays as it is: {why}"));
    }
    if let Some(more) = done
        .refused
        .len()
        .checked_sub(SHOWN)
        .filter(|more| *more > 0)
    {
        out::remark(&format!("… and {more} more that stay as they are"));
    }
}
