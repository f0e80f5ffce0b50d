//! `backup`: a copy of the ledger while it is in use.
//!
//! Must not: copy the file as files are copied; its log belongs to it.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::Exit;
use super::progress::Progress;
use super::{Outcome, files, out};
use crate::ledger;

/// Copy the ledger into a file, while the daemon runs or not
///
/// The copy is one moment of the whole ledger. It is written under a temporary
/// name beside FILE, checked, synced and only then renamed; its owner alone may
/// read it. A file that is there is not overwritten without --force.
///
/// To restore: stop the daemon; `rebuild --from FILE`; start the daemon. Don't
/// copy the backup back by hand: what happened after it is unknown to it, and
/// files that were sent since and still lie in their folder would be sent again.
/// `rebuild` holds those, and keeps the ledger that is there, aside.
///
/// With --json: {"backup", "bytes"}.
///
/// Examples:
///   supametas-sync backup /var/backups/supametas.sqlite
///   supametas-sync backup --force /var/backups/supametas.sqlite
///   supametas-sync backup "/var/backups/supametas-$(date +%F).sqlite"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The copy.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Copies it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let progress = Progress::begin("copying and checking the ledger");
    let bytes = ledger::backup(&config.ledger, &args.file, args.force)?;
    drop(progress);
    if args.json {
        out::print_json(&json!({ "backup": args.file.to_string_lossy(), "bytes": bytes }));
    } else {
        out::print(&format!(
            "{}: {}, checked",
            args.file.display(),
            files::bytes(bytes)
        ));
    }
    Ok(Exit::Success)
}
