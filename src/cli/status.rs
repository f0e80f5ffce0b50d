//! `status`: how things stand, once or again and again.
//!
//! A daemon that runs is asked through its socket; without one the ledger is.
//! Must not: change anything.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::screen::Screen;
use super::status_look::look;
use super::{Outcome, attention, files, out, runtime, standing, status_check};
use crate::config::units;
use crate::explain::Starting;
use crate::view::standing::Standing;

/// How things stand: folders, uploads in flight, what waits, closed gates
///
/// A running daemon says what is live: which folders are there and watched, how
/// far each upload is, what went through lately. Without one, the ledger and a
/// look at the folders say the rest. --watch shows it anew every second, until
/// Ctrl-C.
///
/// With --check it prints one line as monitoring plugins do, and exits with 0
/// (well), 1 (a person should look: files that need attention, a file that waits
/// for long, a forgotten pause), 2 (files do not go on: no daemon runs or answers,
/// a gate is closed, a folder is off line, nothing can be recorded) or 3 (it could
/// not be found out). `/healthz?deep` says the same over HTTP.
///
/// With --json: running, now, service, ledger, pending (due, later, uploading,
/// submitted, sources), attention, attention_groups (the latest 1,000 of them by
/// what they have in common: folder, state, reason_kind, code, files, bytes, text,
/// extensions, configuration, newest), resolved (how many need nobody any more, by
/// how that came), totals, oldest_waiting, oldest_waiting_s, oldest_unpaused_s,
/// changing (files that wait for `reimport_after`: id, folder, file, due_at), stopped (null, or why nothing can be recorded), pauses (scope, since, until,
/// who, why, ends), gates (gate, status, code, why, since, until, lifts, opens),
/// following (dataset, tasks, polls_per_second, per_second, seen, eta_s,
/// bounded_by), folders (folder, dataset, path, configured,
/// files and bytes by state, offline and shared: null, or why, live), left_behind
/// (folders with work that the configuration does not have: folder, queued, out)
/// and daemon (version, started_at, in_flight, rates, queue, watches, doors,
/// long_log_bytes); docs/http.md has each key. With --watch too, one such object a line.
///
/// Examples:
///   supametas-sync status
///   supametas-sync status --attention
///   supametas-sync status --watch
///   supametas-sync status --watch --every 10s
///   supametas-sync status --json | jq .daemon.in_flight
///   supametas-sync status --check
///   supametas-sync status --check --gate-critical 10m --oldest-critical 2h
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Show it again and again, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// How often, with --watch: at least 100ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every, requires = "watch")]
    every: Duration,
    /// Only what needs attention, told once for many, with the line of configuration
    /// that would end it.
    #[arg(long, conflicts_with = "watch")]
    attention: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
    /// One line and an exit code, for a monitoring system.
    #[arg(long, conflicts_with_all = ["watch", "attention"])]
    check: bool,
    #[command(flatten)]
    thresholds: status_check::Thresholds,
}

impl Args {
    /// Whether it goes on until Ctrl-C.
    pub fn watches(&self) -> bool {
        self.watch
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let time = units::time(text).map_err(|why| why.to_string())?;
    if time < Duration::from_millis(100) {
        return Err("it is too often: at least 100ms".to_owned());
    }
    Ok(time)
}

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    if args.check {
        return status_check::main(config, &args.thresholds, args.json);
    }
    let config = files::config(config)?;
    let ledger = files::ledger(&config)?;
    let starting = Starting::here(&config.ledger);
    runtime()?.block_on(async {
        if !args.watch {
            let look = look(&config, &ledger).await?;
            if args.attention {
                tell_attention(&look.standing, args.json);
            } else if args.json {
                out::print_json(&json!(look.standing));
            } else {
                let told = standing::tell(&look.standing, &starting);
                out::print(&out::with_times(&told));
            }
            if let Some(remark) = look.remark() {
                out::remark(&remark);
            }
            return Ok(Exit::Success);
        }
        let mut screen = Screen::open(!args.json)?;
        loop {
            let shown = match look(&config, &ledger).await {
                Ok(look) if args.json => format!("{}\n", json!(look.standing)),
                Ok(look) => {
                    let remark = look.remark().map(|text| format!("\n{text}\n"));
                    let told = standing::tell(&look.standing, &starting);
                    out::with_times(&told) + &remark.unwrap_or_default()
                }
                // It may pass: a ledger that is busy, or is being moved.
                Err(failed) => format!("{:#}\n", failed.error),
            };
            if screen.show(&shown).is_err() || screen.wait(args.every).await.is_break() {
                return Ok(Exit::Success);
            }
        }
    })
}

fn tell_attention(standing: &Standing, for_scripts: bool) {
    let groups = &standing.attention_groups;
    let told: u64 = groups.iter().map(|group| group.files).sum();
    if for_scripts {
        out::print_json(&json!({
            "attention": standing.attention,
            "resolved": standing.resolved,
            "groups": groups,
        }));
        return;
    }
    if groups.is_empty() {
        out::remark("no file needs attention");
        return;
    }
    out::print(&attention::tell(groups));
    if told < standing.attention {
        out::remark(&format!(
            "these are the latest {told} of {}: `list --attention` looks through more",
            standing.attention
        ));
    }
}
