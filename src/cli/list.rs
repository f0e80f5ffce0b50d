//! `list`: files, newest first.
//!
//! Must not: change anything.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::exit::Exit;
use super::table::{Cell, Table};
use super::tone::Tone;
use super::{Failed, Outcome, attention, files, filter, out, runtime, waiting};
use crate::ledger::{FileRecord, Filter};
use crate::ports::World;
use crate::view;

/// List files, newest first
///
/// Newest is what changed last, by the id where the clock was set back.
/// A row is one version of a file. On a terminal its detail is cut to fit, but
/// not with --attention; `show` has it all. With --attention more than 3 files with
/// the same reason are one line, with the line of configuration that would end it.
/// With --json, a list of objects: id, folder, dataset,
/// route, media, file (in the folder), path (in full), path_escaped (exact,
/// where a name is not UTF-8), size, state, final, needs_attention, resolved (how,
/// at, who, why, by: how it stopped needing attention), seen_at,
/// changed_at, detail, waiting (reason, text, scope, who, why, code, since, until,
/// ahead, estimate_s, also: what it waits for), attempt_count, task, code, why,
/// reason_kind (of what is
/// unsupported: why, in a word that stays), may_be_incomplete and more.
///
/// Examples:
///   supametas-sync list
///   supametas-sync list --attention
///   supametas-sync list --state rejected,exhausted --code OPS40002 --since 2d
///   supametas-sync list --name '*.pdf' --json | jq -r '.[].path'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    filter: filter::Matching,
    /// Only what an operator should look at: failed, untracked, rejected, exhausted,
    /// unconfirmed, lost, unsupported; not what is resolved.
    #[arg(long, conflicts_with = "state")]
    attention: bool,
    /// With --attention: name each file, also where many have the same reason.
    #[arg(long, requires = "attention")]
    each: bool,
    /// Only what somebody has acknowledged.
    #[arg(long, conflicts_with_all = ["state", "attention"])]
    acknowledged: bool,
    /// At most so many; 0: all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// The newest first by their ids, which no clock can turn round.
fn by_number(mut found: Vec<FileRecord>, limit: usize) -> Vec<FileRecord> {
    found.sort_unstable_by_key(|file| Reverse(file.id));
    found.dedup_by_key(|file| file.id);
    found.truncate(limit);
    found
}

/// Prints them.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    args.filter.remark_unknown(&config);
    let mut filter = args.filter.filter(now, limit);
    let only = match (args.attention, args.acknowledged) {
        (true, _) => Some(Filter::needing_attention(now)),
        (_, true) => Some(Filter::acknowledged()),
        _ => None,
    };
    if let Some(only) = only {
        filter.states = only.states;
        filter.unknown_since = only.unknown_since;
        filter.attention = only.attention;
    }
    let grouped = args.attention && !args.json && !args.each;
    if grouped {
        filter.limit = attention::LOOKED_THROUGH;
    }
    let (mut found, attempts, around) = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let mut found = ledger.list(filter.clone()).await?;
        if found.iter().any(|file| file.changed_at > now) {
            // The clock was set back: what changed since then reads as older.
            let since_then = Filter {
                until: Some(filter.until.map_or(now, |until| until.min(now))),
                ..filter
            };
            found.extend(ledger.list(since_then).await?);
            found = by_number(found, limit);
        }
        let attempts = if args.json {
            let ids = found.iter().map(|file| file.id).collect();
            ledger.attempt_counts(ids).await?
        } else {
            BTreeMap::new()
        };
        let around = waiting::around(&config, &ledger, &found, now).await?;
        Ok::<_, Failed>((found, attempts, around))
    })?;
    if args.json {
        let attempts = |file: &FileRecord| attempts.get(&file.id).copied().unwrap_or(0);
        let values = found
            .iter()
            .map(|file| view::as_json(&config, file, attempts(file), &around.of(file), now));
        out::print_json(&values.collect::<Value>());
        return Ok(Exit::Success);
    }
    if found.is_empty() {
        out::remark("no files");
        return Ok(Exit::Success);
    }
    if grouped {
        let groups = view::attention::groups(&config, &found);
        let many = groups.iter().filter(|group| group.files > attention::FEW);
        let many: Vec<_> = many.collect();
        found.retain(|file| !many.iter().any(|group| group.has(file)));
        if !many.is_empty() {
            out::print(&attention::tell(many));
        }
        if found.is_empty() {
            return Ok(Exit::Success);
        }
        found.truncate(limit);
    }
    let full = found.len() == limit;
    let mut table = Table::new(&["id", "state", "file", "size", "since", "detail"]);
    table.whole(&[0, 1, 3, 4]);
    for file in found {
        table.row([
            Cell::from(file.id.to_string()),
            Cell::toned(Tone::of_state(file.state.kind()), file.state.kind()),
            files::listed(&file).into(),
            files::bytes(file.version.size).into(),
            files::age(now.since(file.changed_at)).into(),
            out::with_times(&view::detail(&file, &around.of(&file), now)).into(),
        ]);
    }
    // Whoever asks what needs attention wants the reason, and all of it.
    out::print(&match args.attention {
        true => table.lines(),
        false => table.cut_lines(),
    });
    if full {
        out::remark(&format!(
            "only the first {limit} are shown: --limit 0 shows all"
        ));
    }
    Ok(Exit::Success)
}
