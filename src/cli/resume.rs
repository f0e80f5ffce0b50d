//! `resume`: open closed gates by hand.

use std::path::Path;

use super::exit::Exit;
use super::{Failed, Outcome, files, runtime, table};
use crate::domain::gate::GateKey;

/// Open closed gates: let files go again that wait for a pause to end.
///
/// Without an argument, all of them. A gate whose cause is still there closes
/// again with the next answer.
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
    gate: Option<String>,
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
        let told: Vec<String> = opened
            .iter()
            .map(|key| format!("open again: {key}"))
            .collect();
        table::print(&if told.is_empty() {
            "no gate was closed".to_owned()
        } else {
            told.join("\n")
        });
        Ok(Exit::Success)
    })
}

/// The gate that is meant, among those that are there.
fn named<'a>(asked: &str, mut there: impl Iterator<Item = &'a GateKey>) -> Result<GateKey, Failed> {
    let wanted = asked.replacen(':', " ", 1);
    there
        .find(|key| key.to_string() == wanted)
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
