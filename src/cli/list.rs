//! `list`: files, newest first.

use std::path::Path;

use serde_json::Value;

use super::exit::Exit;
use super::{Outcome, files, filter, runtime, table};
use crate::domain::naming::shown;
use crate::domain::state::StateKind;
use crate::ports::World;

/// List files, newest first.
///
/// Examples:
///   supametas-sync list
///   supametas-sync list --attention
///   supametas-sync list --state rejected,exhausted --code OPS40002 --since 2d
///   supametas-sync list --name '*.pdf' --json | jq '.[].file'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    filter: filter::Matching,
    /// Only what an operator should look at: failed, rejected, exhausted,
    /// unconfirmed, lost, unsupported.
    #[arg(long, conflicts_with = "state")]
    attention: bool,
    /// At most so many; 0: all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// For scripts.
    #[arg(long)]
    json: bool,
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
    let mut filter = args.filter.filter(now, limit);
    if args.attention {
        filter.states = StateKind::ALL
            .into_iter()
            .filter(|k| k.needs_attention())
            .collect();
    }
    let found = runtime()?
        .block_on(async { Ok::<_, super::Failed>(files::ledger(&config)?.list(filter).await?) })?;
    if args.json {
        table::print_json(
            &found
                .iter()
                .map(|f| files::as_json(f, now))
                .collect::<Value>(),
        );
        return Ok(Exit::Success);
    }
    if found.is_empty() {
        table::print("no files");
        return Ok(Exit::Success);
    }
    let full = found.len() == limit;
    let mut shown_files = table::table(&["id", "state", "file", "size", "since", "detail"]);
    for file in found {
        shown_files.add_row([
            file.id.to_string(),
            file.state.kind().to_string(),
            format!("{}/{}", file.folder, shown(&file.version.path)),
            files::bytes(file.version.size),
            files::span(now.since(file.changed_at)),
            files::detail(&file, now),
        ]);
    }
    table::print(&shown_files.to_string());
    if full {
        table::print(&format!("the first {limit}; --limit 0 shows all"));
    }
    Ok(Exit::Success)
}
