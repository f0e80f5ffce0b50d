//! `pause`: hold back new uploads, by an operator's will.
//!
//! Must not: close a gate; those are the error table's.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, files, out, runtime, who};
use crate::config::units;
use crate::domain::halt::{Halt, HaltScope};
use crate::ports::World;
use crate::view::halt::{PauseView, known};

/// Hold back new uploads, of everything or of a part
///
/// A running daemon notices within a second; without one it holds for the next
/// start. What is on the wire is finished, tasks are followed, and files that
/// are dropped are queued. It ends with `resume`, or after --for, and by
/// nothing else: unlike a gate's pause it sends no probe. A scope that is
/// paused already gets the new time and reason.
///
/// Scopes: all, dataset:NAME, folder:NAME, route:FOLDER/MEDIA (media: text,
/// image, audio, video, web).
///
/// With --json: {"paused": {"scope", "since", "until", "who", "why", "ends"}}; until is
/// null without --for.
///
/// Examples:
///   supametas-sync pause all --for 2h --why "service maintenance"
///   supametas-sync pause dataset:invoices
///   supametas-sync pause folder:scans --why "wrong scanner settings"
///   supametas-sync pause route:scans/video --for 1d
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// all, dataset:NAME, folder:NAME or route:FOLDER/MEDIA.
    #[arg(value_name = "SCOPE")]
    scope: HaltScope,
    /// End it by itself after this time: 30m, 2h, 1d …
    #[arg(long = "for", value_name = "TIME", value_parser = units::time)]
    time: Option<Duration>,
    /// What for: `status` and the log say it.
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Pauses it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    known(&config, &args.scope)
        .map_err(|why| Failed::with(Exit::Usage, anyhow::anyhow!("nothing was paused: {why}")))?;
    let now = World::real().clock.now();
    let halt = Halt {
        since: now,
        until: args.time.map(|time| now.plus(time)),
        who: who::asks(),
        why: args.why,
    };
    let scope = args.scope;
    let before = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let before = ledger.halt(scope.clone(), halt.clone()).await?;
        ledger.close().await;
        Ok::<_, Failed>(before)
    })?;
    let paused = PauseView::of(&scope, &halt, now);
    if args.json {
        out::print_json(&json!({ "paused": paused }));
        return Ok(Exit::Success);
    }
    let mut text = format!("paused: {scope}, {}", paused.ends);
    if before.is_some() {
        text.push_str("; in place of the pause that was there");
    }
    out::print(&text);
    Ok(Exit::Success)
}
