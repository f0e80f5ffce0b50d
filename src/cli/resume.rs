//! `resume`: open closed gates by hand.
//!
//! Must not: open one that was not meant.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, files, out, runtime};
use crate::domain::gate::GateKey;

/// Open closed gates: let files go again that wait for a pause to end
///
/// Without an argument, all of them; `status` names those that are closed. A
/// gate whose cause is still there closes again with the next answer. With
/// --json: {"opened": [GATE...]}.
///
/// Examples:
///   supametas-sync resume
///   supametas-sync resume service
///   supametas-sync resume dataset:invoices
///   supametas-sync resume route:scans/text
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// service, dataset:NAME or route:FOLDER/MEDIA.
    #[arg(value_name = "GATE")]
    gate: Option<String>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Opens them.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let which = match &args.gate {
            Some(asked) => Some(named(asked, ledger.gates().keys())?),
            None => None,
        };
        let opened = ledger.resume(which).await?;
        ledger.close().await;
        let opened: Vec<String> = opened.iter().map(GateKey::spelled).collect();
        if args.json {
            out::print_json(&json!({ "opened": opened }));
        } else if opened.is_empty() {
            out::print("no gate was closed");
        } else {
            out::print(&format!("open again: {}", opened.join(", ")));
            files::remark_no_daemon(&config);
        }
        Ok(Exit::Success)
    })
}

/// The gate that is meant, among those that are there.
fn named<'a>(asked: &str, mut there: impl Iterator<Item = &'a GateKey>) -> Result<GateKey, Failed> {
    there
        .find(|key| key.spelled() == asked)
        .cloned()
        .ok_or_else(|| {
            Failed::with(
                Exit::NotFound,
                anyhow::anyhow!(
                    "no gate `{asked}` is closed: `supametas-sync status` names those that are"
                ),
            )
        })
}
