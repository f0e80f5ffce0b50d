//! `status`: how things stand.
//!
//! Must not: change anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::exit::Exit;
use super::table::Table;
use super::{Failed, Outcome, files, out, pause, resume, runtime, totals};
use crate::config::valid::Config;
use crate::domain::error_table::Lifts;
use crate::domain::gate::{Gate, GateKey};
use crate::domain::halt::Halts;
use crate::domain::ids::FolderName;
use crate::domain::naming::shown_text;
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::ledger::{Count, Filter, Gates, Pending};
use crate::ports::World;

/// How things stand: counts by folder and state, what is paused, what waits
///
/// Works beside a running daemon and without one. With --json: running,
/// service, ledger, pending (due, later, uploading, submitted, sources),
/// oldest_waiting_s, attention, pauses (scope, since, until, who, why), gates
/// (gate, code, why, since, until, lifts) and folders (folder, dataset, path, configured, files by state).
///
/// Examples:
///   supametas-sync status
///   supametas-sync status --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// For scripts.
    #[arg(long)]
    json: bool,
}

struct Standing {
    counts: Vec<Count>,
    pending: Pending,
    gates: std::sync::Arc<Gates>,
    halts: std::sync::Arc<Halts>,
    running: bool,
    /// The queued file that was seen first among those next in line.
    oldest: Option<(String, Timestamp)>,
}

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let standing = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let queued = Filter {
            states: vec![StateKind::Queued],
            limit: 1000,
            ..Filter::default()
        };
        let oldest = ledger
            .list(queued)
            .await?
            .into_iter()
            .min_by_key(|file| file.seen_at);
        Ok::<_, Failed>(Standing {
            counts: ledger.counts().await?,
            pending: ledger.pending(now).await?,
            gates: ledger.gates(),
            halts: ledger.halts(),
            running: crate::ledger::is_owned(&config.ledger)?,
            oldest: oldest.map(|f| (crate::domain::naming::shown(&f.version.path), f.seen_at)),
        })
    })?;
    if args.json {
        out::print_json(&as_json(&config, &standing, now));
    } else {
        out::print(&tell(&config, &standing, now));
    }
    Ok(Exit::Success)
}

fn tell(config: &Config, standing: &Standing, now: Timestamp) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "daemon     {}",
        if standing.running {
            "running"
        } else {
            "not running: start it with `supametas-sync run`"
        }
    );
    let _ = writeln!(text, "service    {}", config.service.base_url);
    let _ = writeln!(text, "ledger     {}", config.ledger.display());
    let pending = &standing.pending;
    let _ = writeln!(
        text,
        "work       {} due, {} later, {} uploading, {} at the service, {} to move or delete",
        pending.queued_due,
        pending.queued_later,
        pending.uploading,
        pending.submitted,
        out::count(pending.source_actions, "source")
    );
    if let Some((file, seen)) = &standing.oldest {
        let _ = writeln!(
            text,
            "oldest     {file}, waiting for {}",
            files::span(now.since(*seen))
        );
    }
    text.push_str(&pause::lines(&standing.halts, now));
    for (key, gate) in standing.gates.iter() {
        let Some(closed) = gate.closed() else {
            continue;
        };
        let _ = writeln!(
            text,
            "PAUSED     {key}, {} ago: {} {}",
            files::span(now.since(closed.since)),
            closed.code,
            shown_text(&closed.why, 300)
        );
        let _ = writeln!(text, "           {}", opens(key, gate, now));
    }
    let by_folder = by_folder(config, &standing.counts);
    let mut table = Table::new(&["folder", "dataset", "files", "path"]);
    table.whole(&[0, 1]);
    for (name, counts) in &by_folder {
        let folder = config.folders.get(name);
        let told: Vec<String> = counts
            .iter()
            .map(|count| format!("{} {}", count.files, count.state))
            .collect();
        table.row([
            name.to_string(),
            folder.map(|f| f.dataset.to_string()).unwrap_or_default(),
            if told.is_empty() {
                "none yet".to_owned()
            } else {
                told.join(", ")
            },
            folder.map_or("not in the configuration any more".to_owned(), |f| {
                f.path.display().to_string()
            }),
        ]);
    }
    let _ = writeln!(text, "\n{}", table.lines());
    let attention = attention(&standing.counts);
    if attention > 0 {
        let _ = writeln!(
            text,
            "\n{} attention: supametas-sync list --attention",
            if attention == 1 {
                "1 file needs".to_owned()
            } else {
                format!("{attention} files need")
            }
        );
    }
    text
}

fn attention(counts: &[Count]) -> u64 {
    totals(counts)
        .into_iter()
        .filter(|(kind, _)| kind.needs_attention())
        .map(|(_, files)| files)
        .sum()
}

/// When a closed gate opens, and how.
fn opens(key: &GateKey, gate: &Gate, now: Timestamp) -> String {
    let Some(closed) = gate.closed() else {
        return String::new();
    };
    let wait = closed.until.since(now);
    let probe = if wait.is_zero() {
        "a probe goes out with the next file".to_owned()
    } else {
        format!("a probe goes out in {}", files::span(wait))
    };
    let also = match closed.lifts {
        Lifts::Time => "",
        Lifts::KeyChange => "; a new key and a reload open it at once",
        Lifts::ConfigChange => "; a changed configuration and a reload open it at once",
    };
    let name = resume::spelled(key);
    format!("{probe}{also}; `supametas-sync resume {name}` opens it by hand")
}

fn by_folder<'a>(config: &Config, counts: &'a [Count]) -> BTreeMap<FolderName, Vec<&'a Count>> {
    let mut by_folder: BTreeMap<FolderName, Vec<&Count>> = config
        .folders
        .keys()
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for count in counts {
        by_folder
            .entry(count.folder.clone())
            .or_default()
            .push(count);
    }
    by_folder
}

fn as_json(config: &Config, standing: &Standing, now: Timestamp) -> Value {
    let pending = &standing.pending;
    json!({
        "running": standing.running,
        "service": config.service.base_url.as_str(),
        "ledger": config.ledger.to_string_lossy(),
        "pending": {
            "due": pending.queued_due, "later": pending.queued_later,
            "uploading": pending.uploading, "submitted": pending.submitted,
            "sources": pending.source_actions,
        },
        "oldest_waiting_s": standing.oldest.as_ref().map(|(_, seen)| now.since(*seen).as_secs()),
        "attention": attention(&standing.counts),
        "pauses": pause::list_json(&standing.halts, now),
        "gates": standing.gates.iter().filter_map(|(key, gate)| {
            let closed = gate.closed()?;
            Some(json!({
                "gate": resume::spelled(key), "code": closed.code, "why": closed.why,
                "since": closed.since.to_string(), "until": closed.until.to_string(),
                "lifts": match closed.lifts {
                    Lifts::Time => "time",
                    Lifts::KeyChange => "key change",
                    Lifts::ConfigChange => "configuration change",
                },
            }))
        }).collect::<Vec<_>>(),
        "folders": by_folder(config, &standing.counts).into_iter().map(|(name, counts)| {
            let counts: BTreeMap<&str, u64> =
                counts.iter().map(|count| (count.state.as_str(), count.files)).collect();
            let folder = config.folders.get(&name);
            json!({
                "folder": name, "dataset": folder.map(|f| &f.dataset),
                "path": folder.map(|f| f.path.to_string_lossy()),
                "configured": folder.is_some(), "files": counts,
            })
        }).collect::<Vec<_>>(),
    })
}
