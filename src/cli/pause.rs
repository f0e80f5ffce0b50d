//! `pause`: hold back new uploads, by an operator's will.
//!
//! Must not: close a gate; those are the error table's.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Exit;
use super::{Failed, Outcome, files, out, runtime};
use crate::config::units;
use crate::config::valid::Config;
use crate::domain::halt::{Halt, HaltScope, Halts};
use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;
use crate::ports::World;

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
/// With --json: {"paused": {"scope", "since", "until", "who", "why"}}; until is
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
    known(&config, &args.scope)?;
    let now = World::real().clock.now();
    let halt = Halt {
        since: now,
        until: args.time.map(|time| now.plus(time)),
        who: operator(),
        why: args.why,
    };
    let scope = args.scope;
    let before = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let before = ledger.halt(scope.clone(), halt.clone()).await?;
        ledger.close().await;
        Ok::<_, Failed>(before)
    })?;
    if args.json {
        out::print_json(&json!({ "paused": as_json(&scope, &halt) }));
        return Ok(Exit::Success);
    }
    let mut text = format!("paused: {scope}, {}", ends(&scope, &halt, now));
    if before.is_some() {
        text.push_str("; in place of the pause that was there");
    }
    out::print(&text);
    Ok(Exit::Success)
}

/// Refuses a scope that the configuration does not have: a mistyped name would
/// pause nothing, and nobody would notice.
fn known(config: &Config, scope: &HaltScope) -> Result<(), Failed> {
    let folders = || config.folders.keys().map(|name| name.0.as_str()).collect();
    let (what, name, there): (_, _, Vec<&str>) = match scope {
        HaltScope::All => return Ok(()),
        HaltScope::Dataset(name) => (
            "dataset",
            &name.0,
            config.datasets.keys().map(|name| name.0.as_str()).collect(),
        ),
        HaltScope::Folder(name) => ("folder", &name.0, folders()),
        HaltScope::Route(route) => ("folder", &route.folder.0, folders()),
    };
    if there.contains(&name.as_str()) {
        return Ok(());
    }
    Err(Failed::with(
        Exit::Usage,
        anyhow::anyhow!(
            "nothing was paused: the configuration has no {what} {:?}; it has: {}",
            shown_text(name, 100),
            there.join(", ")
        ),
    ))
}

/// Who asks: for people to read, no proof of anything.
fn operator() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|who| !who.is_empty());
    named("SUDO_USER")
        .or_else(|| named("USER"))
        .or_else(|| named("LOGNAME"))
        .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

fn ends(scope: &HaltScope, halt: &Halt, now: Timestamp) -> String {
    match halt.until {
        Some(until) => format!(
            "ends by itself in {}, or with `supametas-sync resume {scope}`",
            files::span(until.since(now))
        ),
        None => format!("until `supametas-sync resume {scope}`"),
    }
}

/// The pauses that hold, as lines of `status`.
pub fn lines(halts: &Halts, now: Timestamp) -> String {
    let mut text = String::new();
    for (scope, halt) in halts.iter().filter(|(_, halt)| halt.holds(now)) {
        let why = halt.why.as_deref().unwrap_or("no reason given");
        let _ = writeln!(
            text,
            "PAUSED     {scope}, {} ago by {}: {}\n           {}",
            files::span(now.since(halt.since)),
            shown_text(&halt.who, 60),
            shown_text(why, 300),
            ends(scope, halt, now)
        );
    }
    text
}

/// The same for scripts.
pub fn list_json(halts: &Halts, now: Timestamp) -> Value {
    halts
        .iter()
        .filter(|(_, halt)| halt.holds(now))
        .map(|(scope, halt)| as_json(scope, halt))
        .collect()
}

fn as_json(scope: &HaltScope, halt: &Halt) -> Value {
    json!({
        "scope": scope.to_string(),
        "since": halt.since.to_string(),
        "until": halt.until.map(|until| until.to_string()),
        "who": halt.who,
        "why": halt.why,
    })
}
