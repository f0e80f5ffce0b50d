//! `resume`: end pauses and open closed gates by hand.
//!
//! Must not: open one that was not meant.

use std::path::Path;
use std::str::FromStr;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, files, out, runtime};
use crate::config::valid::Config;
use crate::domain::gate::GateKey;
use crate::domain::halt::{HaltScope, NoScope};
use crate::ports::World;

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
    what: What,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// What is to be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// The service's gate.
    Service,
    /// A scope, and what lies within it.
    Scope(HaltScope),
}

impl FromStr for What {
    type Err = NoScope;
    fn from_str(text: &str) -> Result<What, NoScope> {
        match text {
            "service" => Ok(What::Service),
            scope => scope.parse().map(What::Scope),
        }
    }
}

/// Resumes it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let scopes = match &args.what {
        What::Service => Vec::new(),
        What::Scope(scope) => within(&config, scope),
    };
    let service = args.what == What::Service;
    let (resumed, left) = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let (open, end) = (scopes.clone(), scopes);
        let resumed = ledger
            .resume(
                move |gate| {
                    service && *gate == GateKey::Service
                        || open.iter().any(|scope| scope.covers_gate(gate))
                },
                move |halt| end.iter().any(|scope| scope.covers(halt)),
                now,
            )
            .await?;
        let left = ledger.halts();
        ledger.close().await;
        Ok::<_, Failed>((resumed, left))
    })?;
    // A wider pause still holds back what was meant.
    let still: Vec<String> = match &args.what {
        What::Service => Vec::new(),
        What::Scope(meant) => left
            .iter()
            .filter(|(halt, of)| of.holds(now) && wider(&config, halt, meant))
            .map(|(halt, _)| halt.to_string())
            .collect(),
    };
    let opened: Vec<String> = resumed.gates.iter().map(spelled).collect();
    let ended: Vec<String> = resumed.halts.iter().map(ToString::to_string).collect();
    let nothing = opened.is_empty() && ended.is_empty();
    if nothing && still.is_empty() && args.what != What::Scope(HaltScope::All) {
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

/// A scope, with the folders that send to it where it is a dataset.
fn within(config: &Config, scope: &HaltScope) -> Vec<HaltScope> {
    let mut scopes = vec![scope.clone()];
    if let HaltScope::Dataset(dataset) = scope {
        let folders = config.folders.values().filter(|f| f.dataset == *dataset);
        scopes.extend(folders.map(|f| HaltScope::Folder(f.name.clone())));
    }
    scopes
}

/// Whether a pause of `halt` holds back files of `meant`, too.
fn wider(config: &Config, halt: &HaltScope, meant: &HaltScope) -> bool {
    within(config, halt).iter().any(|scope| scope.covers(meant))
}

/// A gate as this command wants it named.
pub fn spelled(gate: &GateKey) -> String {
    match gate {
        GateKey::Service => "service".to_owned(),
        GateKey::Dataset(name) => format!("dataset:{name}"),
        GateKey::Route(route) => format!("route:{route}"),
    }
}
