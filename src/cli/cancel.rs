//! `cancel`: have the service delete the tasks of files.
//!
//! Must not: call a file cancelled that the service has not said so about.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, ask, files, filter, find, out, runtime};
use crate::daemon;
use crate::daemon::cancel::{cancel, task_of};
use crate::domain::ids::FileId;
use crate::domain::state::StateKind;
use crate::ports::World;

/// Have the service delete the tasks of files that it works on
///
/// The service is asked for each, and where it says that it has deleted the
/// task, the file is `cancelled`: for good, unless you `retry` it. Where it says
/// anything else, what it said is told and nothing changes. What it has made of
/// the content by then is its own.
///
/// Only what is `submitted` has a task to delete. A queued file is not
/// cancelled: `pause` its folder, or take the file out of it (it ends as
/// `gone`). An upload under way gets its task first. A filter means submitted
/// files. Works beside a running daemon. On a terminal it asks when there is
/// more than one.
///
/// It needs the datasets' keys; one given by `credential` only systemd has. The
/// call is assumed to be POST /delete-task: `service.paths.delete` changes it.
///
/// With --json: {"cancelled": [ID...], "refused": [{"id", "why"}...]}.
///
/// Examples:
///   supametas-sync cancel 42
///   supametas-sync cancel /srv/scans/invoice.pdf
///   supametas-sync cancel --folder scans --since 1h --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    which: filter::Which,
    /// Say what would be cancelled, and ask nobody.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Cancels them.
pub fn main(config: &Path, args: Args) -> Outcome {
    if args.which.is_empty() {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "say which files: by id or path, by --folder, --since …; see `supametas-sync cancel --help`"
            ),
        ));
    }
    let config = if args.dry_run {
        files::config(config)?
    } else {
        files::config_with_keys(config)?
    };
    let world = World::real();
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let submitted = [StateKind::Submitted];
        let selection = find::select(&config, &ledger, &args.which, submitted).await?;
        let ids = ledger.selected(selection).await?;
        let mut refused = Vec::new();
        let mut tasks = Vec::new();
        for file in ledger.records(ids).await? {
            match task_of(&file, &world) {
                Ok(task) => tasks.push((file, task)),
                Err(why) => refused.push((file.id, why)),
            }
        }
        let asks = !args.yes && !args.dry_run && tasks.len() > 1;
        if asks && ask::somebody_is_there() {
            let files = out::count(tasks.len(), "task");
            if !ask::agreed(&format!("Have {files} deleted?"))? {
                return Err(anyhow::anyhow!("nothing was done").into());
            }
        }
        let mut cancelled = Vec::new();
        if args.dry_run {
            cancelled = tasks.iter().map(|(file, _)| file.id).collect();
        } else {
            let api = daemon::api(&config.service, &world)?;
            for (file, task) in tasks {
                match cancel(&config, &*api, &ledger, &file, task, &world).await? {
                    None => cancelled.push(file.id),
                    Some(why) => refused.push((file.id, why)),
                }
            }
        }
        ledger.close().await;
        tell(&cancelled, &refused, &args);
        Ok(if refused.is_empty() {
            Exit::Success
        } else {
            Exit::Failure
        })
    })
}

fn tell(cancelled: &[FileId], refused: &[(FileId, String)], args: &Args) {
    if args.json {
        let why = refused
            .iter()
            .map(|(id, why)| json!({ "id": id, "why": why }));
        out::print_json(&json!({ "cancelled": cancelled, "refused": why.collect::<Vec<_>>() }));
        return;
    }
    let files = out::count(cancelled.len(), "file");
    out::print(&match (cancelled.len(), args.dry_run) {
        (0, _) if refused.is_empty() => "no file fits: nothing was done".to_owned(),
        (0, _) => "no file is cancelled".to_owned(),
        (_, true) => format!("{files} would be cancelled"),
        (_, false) => format!("{files} cancelled"),
    });
    for (id, why) in refused {
        out::remark(&format!("id {id} stays as it is: {why}"));
    }
}
