//! `forget`: take rows out of the ledger.
//!
//! Must not: touch a file, or let one be sent again unasked.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::lying::{Looker, Source};
use super::{Failed, Outcome, ask, files, filter, find, out, runtime};
use crate::domain::state::StateKind;
use crate::ledger::{Erased, FileRecord, Memory};

/// Take files out of the ledger, with their attempts and history
///
/// For what has ended, and for what is queued though its file is not there any
/// more. By id, path or name (of a path with several versions the latest),
/// or by filter. Nothing at the service and no file is touched.
///
/// What the ledger does not know is new: a file that still lies in its folder
/// would be taken at the next scan and SENT AGAIN, so it stays unless you say
/// --send-again. The same goes for later copies of its content, which are no
/// duplicates any more. To keep the knowledge and lose the rows, use `prune`.
///
/// Refused, with the reason: what is being uploaded or worked on by the service
/// (see `cancel`), what is queued and lies there, what is still to be moved or
/// deleted, and an original whose duplicates wait for its end. Other duplicates
/// go on naming an original that was forgotten; ids are not used again.
///
/// On a terminal it says how many and asks when there is more than one.
///
/// With --json: {"forgotten": [ID...], "refused": [{"id", "why"}...]}.
///
/// Examples:
///   supametas-sync forget 42
///   supametas-sync forget --state gone,superseded --older-than 30d
///   supametas-sync forget --folder old-scanner --dry-run
///   supametas-sync forget /srv/scans/invoice.pdf --send-again
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    which: filter::Which,
    /// Also what lies in its folder, which is taken and sent again.
    #[arg(long)]
    send_again: bool,
    /// Say what would be forgotten, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Forgets them.
pub fn main(config: &Path, args: Args) -> Outcome {
    if args.which.is_empty() {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "say which files: by id or path, by --state, --folder, --older-than …; see `supametas-sync forget --help`"
            ),
        ));
    }
    let config = files::config(config)?;
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let selection = find::select(&config, &ledger, &args.which, []).await?;
        let ids = ledger.selected(selection).await?;
        let mut looker = Looker::new(&config);
        let mut refused = Vec::new();
        let mut may = Vec::new();
        for file in ledger.records(ids).await? {
            match held(&file, &looker.look(&file), args.send_again) {
                Some(why) => refused.push((file.id, why)),
                None => may.push(file),
            }
        }
        let mut would = ledger.rehearse_erase(may.clone()).await?;
        let asks = !args.yes && !args.dry_run && would.erased.len() > 1;
        if asks && ask::somebody_is_there() {
            let files = out::count(would.erased.len(), "file");
            if !ask::agreed(&format!("Forget {files}?"))? {
                return Err(anyhow::anyhow!("nothing was done").into());
            }
        }
        if !args.dry_run {
            would = ledger.erase(may, Memory::Nothing).await?;
        }
        ledger.close().await;
        would.refused.extend(refused);
        tell(&would, &args);
        let nothing = would.erased.is_empty() && !would.refused.is_empty();
        Ok(if nothing {
            Exit::Failure
        } else {
            Exit::Success
        })
    })
}

/// Why a file stays, as far as its source tells.
fn held(file: &FileRecord, source: &Source, send_again: bool) -> Option<String> {
    let kind = file.state.kind();
    match (kind, source) {
        // The ledger refuses these, and says why.
        (StateKind::Uploading | StateKind::Submitted, _) => None,
        (_, Source::NotThere | Source::Unwatched) => None,
        (StateKind::Queued, Source::There) => Some(
            "it is queued and its file lies in the folder, so it would be queued again: take the file out, or `pause`"
                .to_owned(),
        ),
        (_, Source::There | Source::Unknown(_)) if send_again => None,
        (_, Source::There) => Some(
            "its file still lies in the folder: forgotten, it is taken and sent again; say --send-again if that is meant"
                .to_owned(),
        ),
        (_, Source::Unknown(why)) => Some(format!(
            "whether its file still lies in the folder can't be told ({why}): say --send-again if it may be sent again"
        )),
    }
}

/// Refusals that are shown one by one.
const SHOWN: usize = 20;

fn tell(erased: &Erased, args: &Args) {
    if args.json {
        let refused = erased.refused.iter();
        out::print_json(&json!({
            "forgotten": erased.erased,
            "refused": refused.map(|(id, why)| json!({ "id": id, "why": why })).collect::<Vec<_>>(),
        }));
        return;
    }
    let files = out::count(erased.erased.len(), "file");
    out::print(&match (erased.erased.len(), args.dry_run) {
        (0, _) if erased.refused.is_empty() => "no file fits: nothing was done".to_owned(),
        (0, _) => "no file is forgotten".to_owned(),
        (_, true) => format!("{files} would be forgotten"),
        (_, false) => format!("{files} forgotten"),
    });
    for (id, why) in erased.refused.iter().take(SHOWN) {
        out::remark(&format!("id {id} stays: {why}"));
    }
    if let Some(more) = erased.refused.len().checked_sub(SHOWN + 1) {
        out::remark(&format!("… and {} more that stay", more + 1));
    }
    if args.send_again && !args.dry_run && !erased.erased.is_empty() {
        out::remark(
            "what lies there is sent again when its folder is scanned next: SIGUSR1 has a running daemon scan now",
        );
    }
}
