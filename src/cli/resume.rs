//! `resume`: end pauses and open closed gates by hand.
//!
//! Must not: open one that was not meant.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, files, out, runtime};
use crate::config::valid::Config;
use crate::domain::halt::HaltScope;
use crate::ports::World;
use crate::view::halt::{Reach, Resume, within};

/// End pauses and open closed gates: let files go again that wait for them
///
/// Ends what `pause` has paused, and opens gates that answers have closed, in
/// the scope and in what lies within it: a dataset has its folders, a folder
/// its routes. Without an argument, everywhere; `status` names what is paused.
/// `service` means that gate alone. A gate whose cause is still there closes
/// again with the next answer. A pause that is wider than the scope stays, and
/// is named.
///
/// With --json: {"opened": [GATE...], "ended": [SCOPE...], "still": [SCOPE...]}.
///
/// Examples:
///   supametas-sync resume
///   supametas-sync resume all
///   supametas-sync resume service
///   supametas-sync resume dataset:invoices
///   supametas-sync resume folder:scans
///   supametas-sync resume route:scans/text
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// all, service, dataset:NAME, folder:NAME or route:FOLDER/MEDIA.
    #[arg(value_name = "SCOPE", default_value = "all", hide_default_value = true)]
    what: Resume,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Resumes it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let reach = Reach::of(&config, &args.what);
    let (resumed, left) = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let (open, end) = (reach.clone(), reach);
        let resumed = ledger
            .resume(
                move |gate| open.opens(gate),
                move |halt| end.ends(halt),
                now,
            )
            .await?;
        let left = ledger.halts();
        ledger.close().await;
        Ok::<_, Failed>((resumed, left))
    })?;
    // A wider pause still holds back what was meant.
    let still: Vec<String> = match &args.what {
        Resume::Service => Vec::new(),
        Resume::Scope(meant) => left
            .iter()
            .filter(|(halt, of)| of.holds(now) && wider(&config, halt, meant))
            .map(|(halt, _)| halt.to_string())
            .collect(),
    };
    let opened: Vec<String> = resumed.gates.iter().map(ToString::to_string).collect();
    let ended: Vec<String> = resumed.halts.iter().map(ToString::to_string).collect();
    let nothing = opened.is_empty() && ended.is_empty();
    if nothing && still.is_empty() && args.what != Resume::Scope(HaltScope::All) {
        return Err(Failed::with(
            Exit::NotFound,
            anyhow::anyhow!(
                "no gate is closed there, and nothing is paused: `supametas-sync status` names what is"
            ),
        ));
    }
    if args.json {
        out::print_json(&json!({ "opened": opened, "ended": ended, "still": still }));
        return Ok(Exit::Success);
    }
    if nothing {
        out::print("no gate was closed, and nothing was paused");
    }
    if !ended.is_empty() {
        out::print(&format!("pause ended: {}", ended.join(", ")));
    }
    if !opened.is_empty() {
        out::print(&format!("open again: {}", opened.join(", ")));
    }
    for scope in still {
        out::remark(&format!(
            "still held back by the pause of {scope}: `supametas-sync resume {scope}` ends it"
        ));
    }
    if !nothing {
        files::remark_no_daemon(&config);
    }
    Ok(Exit::Success)
}

/// Whether a pause of `halt` holds back files of `meant`, too.
fn wider(config: &Config, halt: &HaltScope, meant: &HaltScope) -> bool {
    within(config, halt).iter().any(|scope| scope.covers(meant))
}
