//! `status`: how things stand, once or again and again.
//!
//! A daemon that runs is asked through its socket; without one the ledger is.
//! Must not: change anything.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::lookout;
use super::screen::Screen;
use super::{Failed, Outcome, attention, files, out, runtime, standing};
use crate::config::units;
use crate::config::valid::Config;
use crate::explain::Starting;
use crate::ledger::{self, Ledger};
use crate::ports::World;
use crate::view::Surroundings;
use crate::view::standing::Standing;
use crate::web::client;

/// How things stand: folders, uploads in flight, what waits, closed gates
///
/// A running daemon says what is live: which folders are there and watched, how
/// far each upload is, what went through lately. Without one, the ledger and a
/// look at the folders say the rest. --watch shows it anew every second, until
/// Ctrl-C.
///
/// With --json: running, now, service, ledger, pending (due, later, uploading,
/// submitted, sources), attention, attention_groups (the latest 1,000 of them by
/// what they have in common: folder, state, reason_kind, code, files, bytes, text,
/// extensions, configuration, newest), resolved (how many need nobody any more, by
/// how that came), totals, oldest_waiting, oldest_waiting_s, oldest_unpaused_s,
/// changing (files that wait for `reimport_after`: id, folder, file, due_at), stopped (null, or why nothing can be recorded), pauses (scope, since, until,
/// who, why, ends), gates (gate, status, code, why, since, until, lifts, opens),
/// folders (folder, dataset, path, configured,
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
    let config = files::config(config)?;
    let ledger = files::ledger(&config)?;
    let starting = Starting::here(&config.ledger);
    runtime()?.block_on(async {
        if !args.watch {
            let (standing, remark) = look(&config, &ledger).await?;
            if args.attention {
                tell_attention(&standing, args.json);
            } else if args.json {
                out::print_json(&json!(standing));
            } else {
                out::print(&standing::tell(&standing, &starting));
            }
            if let Some(remark) = remark {
                out::remark(&remark);
            }
            return Ok(Exit::Success);
        }
        let mut screen = Screen::open(!args.json)?;
        loop {
            let shown = match look(&config, &ledger).await {
                Ok((standing, _)) if args.json => format!("{}\n", json!(standing)),
                Ok((standing, remark)) => {
                    let remark = remark.map(|text| format!("\n{text}\n"));
                    standing::tell(&standing, &starting) + &remark.unwrap_or_default()
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

/// How things stand, and what there is to say about asking.
async fn look(config: &Config, ledger: &Ledger) -> Result<(Standing, Option<String>), Failed> {
    let unanswered = match client::standing(&config.ledger).await {
        Ok(mut standing) => {
            standing.stopped = standing
                .stopped
                .or_else(|| lookout::no_room(&config.ledger));
            return Ok((standing, None));
        }
        Err(why) => why,
    };
    let now = World::real().clock.now();
    // A visitor's own look: a daemon that is there writes beside it.
    ledger.refresh_gates().await?;
    let found = ledger.standing(now).await?;
    let running = ledger::is_owned(&config.ledger)?;
    let mut standing = Standing::of(
        config,
        &found,
        &ledger.gates(),
        &ledger.halts(),
        running,
        now,
    );
    standing.stopped = lookout::no_room(&config.ledger);
    let mut seen = lookout::folders(config, ledger.places().await?);
    for folder in &mut standing.folders {
        let seen = seen.remove(&folder.folder).unwrap_or_default();
        folder.offline = seen.offline.map(|why| why.to_string());
        folder.offline_kind = seen.offline.map(|why| why.word().to_owned());
        folder.shared = seen.shared;
    }
    let oldest = found.oldest.as_ref();
    let ahead = ledger.ahead(oldest.cloned().into_iter().collect()).await?;
    let around = Surroundings::new(config, ledger, &standing, ahead, now);
    around.tell_oldest(&mut standing, oldest);
    let remark = running.then(|| {
        format!("the daemon can't be asked what is live ({unanswered}): this is from the ledger")
    });
    Ok((standing, remark))
}
