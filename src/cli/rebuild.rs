//! `rebuild`: a new ledger in place of one that is damaged or lost.
//!
//! Must not: delete an old ledger, or let anything be sent again unasked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::exit::Exit;
use super::progress::Progress;
use super::{Failed, Outcome, files, out};
use crate::config::valid::{Config, Folder};
use crate::daemon::folders::watched;
use crate::domain::version::FileVersion;
use crate::ledger::{IfLost, Ledger, Rebuild, Rebuilt, Salvaged};
use crate::ports::World;
use crate::watch::rules::TakeRules;
use crate::watch::scan::{Go, Visit, walk};
use crate::watch::{Offline, reached};

/// Make a new ledger of what is left of a damaged or lost one
///
/// What can still be read of the ledger comes first, then what the backup
/// knows beyond that. The old file is moved aside and kept. Stop the daemon
/// before.
///
/// Nothing is sent again unasked: a file that waited when the backup was made,
/// one of which only the name can be read, and one that lies in a folder and
/// is in neither, may have been sent since. Such files are held as
/// `unconfirmed`; `list --state unconfirmed` shows them, `retry --state
/// unconfirmed` sends them. With --send-unknown they go into the queue instead.
///
/// With --json: {"done", "ledger", "backup" (each null, or files, named,
/// lost), "held", "unknown", "sent_unknown", "aside", "not_scanned":
/// [{"folder", "why"}...]}.
///
/// Examples:
///   supametas-sync rebuild --dry-run
///   supametas-sync rebuild
///   supametas-sync rebuild --from /var/backups/ledger.sqlite
///   supametas-sync rebuild --new-ledger
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A backup of the ledger, or what was saved of it.
    #[arg(long, value_name = "BACKUP")]
    from: Option<PathBuf>,
    /// Let files be sent whose fate is not known.
    #[arg(long)]
    send_unknown: bool,
    /// Begin a new ledger where the former is gone and no backup is there: what
    /// lies in the folders is sent again. What is left of it is moved aside.
    #[arg(long, conflicts_with_all = ["from", "send_unknown", "dry_run", "json"])]
    new_ledger: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Files that are entered together.
const BATCH: usize = 1_000;

/// Folders that could not be looked through, and why.
type NotScanned = Vec<(String, String)>;

/// Makes it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config_on_disk(config)?;
    if args.new_ledger {
        return begin(&config);
    }
    let now = World::real().clock.now();
    if !config.ledger.exists() && args.from.is_none() {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "there is no ledger at {}, and no backup is named: name one with --from, or begin a new one with --new-ledger, after which all that lies in the folders is sent",
                config.ledger.display()
            ),
        ));
    }
    let progress = Progress::begin("reading what is left of the ledger");
    let mut rebuild = Rebuild::begin(&config.ledger, args.from.as_deref(), args.send_unknown, now)?;
    let mut not_scanned = NotScanned::new();
    if !args.send_unknown {
        for folder in config.folders.values() {
            if let Err(why) = hold_unknown(&mut rebuild, folder, &progress)? {
                not_scanned.push((folder.name.to_string(), why.to_string()));
            }
        }
    }
    let report = if args.dry_run {
        rebuild.report().clone()
    } else {
        rebuild.put_in_place()?
    };
    drop(progress);
    if args.json {
        out::print_json(&json!({
            "done": !args.dry_run,
            "ledger": report.ledger.as_ref().map(as_json),
            "backup": report.backup.as_ref().map(as_json),
            "held": report.held,
            "unknown": report.unknown,
            "sent_unknown": args.send_unknown,
            "aside": report.aside.as_ref().map(|path| path.to_string_lossy()),
            "not_scanned": not_scanned.iter()
                .map(|(folder, why)| json!({ "folder": folder, "why": why }))
                .collect::<Vec<_>>(),
        }));
    } else {
        out::print(&tell(&config, &args, &report));
    }
    for (folder, why) in &not_scanned {
        out::remark(&format!(
            "folder {folder} was not looked through ({why}): what lies there and is in neither will be sent when it is back. Mount it and rebuild again if that must not be"
        ));
    }
    Ok(Exit::Success)
}

/// Makes an empty ledger where none is left.
fn begin(config: &Config) -> Outcome {
    if config.ledger.metadata().is_ok_and(|meta| meta.len() > 0) {
        return Err(Failed::with(
            Exit::Usage,
            anyhow::anyhow!(
                "there is a ledger at {}: it is left as it is; move it away if a new one is wanted in its place",
                config.ledger.display()
            ),
        ));
    }
    super::runtime()?.block_on(async {
        let ledger = Ledger::own(&config.ledger, IfLost::Begin)?;
        ledger.close().await;
        Ok::<_, Failed>(())
    })?;
    out::print(&format!(
        "new ledger        {}\nstart the daemon: what lies in the folders is sent",
        config.ledger.display()
    ));
    Ok(Exit::Success)
}

/// Holds what lies in a folder and is in neither source.
fn hold_unknown(
    rebuild: &mut Rebuild,
    folder: &Arc<Folder>,
    progress: &Progress,
) -> Result<Result<(), Offline>, Failed> {
    struct Hold<'a> {
        rebuild: &'a mut Rebuild,
        folder: &'a Folder,
        progress: &'a Progress,
        dirs: u64,
        files: u64,
        batch: Vec<FileVersion>,
        failed: Option<crate::ledger::LedgerError>,
    }
    impl Hold<'_> {
        fn flush(&mut self) -> Go {
            let batch = std::mem::take(&mut self.batch);
            let held = self
                .rebuild
                .hold_unknown(&self.folder.name, &self.folder.dataset, &batch);
            match held {
                Ok(()) => Go::On,
                Err(error) => {
                    self.failed = Some(error);
                    Go::Stop
                }
            }
        }
    }
    impl Visit for Hold<'_> {
        fn enter(&mut self, _: &[u8]) -> Go {
            self.dirs += 1;
            Go::On
        }
        fn file(&mut self, version: FileVersion) -> Go {
            self.files += 1;
            self.progress.walked(self.dirs, self.files);
            self.batch.push(version);
            if self.batch.len() < BATCH {
                return Go::On;
            }
            self.flush()
        }
    }
    let handle = match reached(&folder.path, folder.one_file_system, None) {
        Ok((_, handle)) => handle,
        Err(why) => return Ok(Err(why)),
    };
    let mut hold = Hold {
        rebuild,
        folder,
        progress,
        dirs: 0,
        files: 0,
        batch: Vec::new(),
        failed: None,
    };
    walk(&handle, &TakeRules::new(watched(folder)), b"", &mut hold);
    hold.flush();
    match hold.failed {
        Some(error) => Err(error.into()),
        None => Ok(Ok(())),
    }
}

fn as_json(salvaged: &Salvaged) -> serde_json::Value {
    json!({ "files": salvaged.files, "named": salvaged.named, "lost": salvaged.lost })
}

fn tell(config: &Config, args: &Args, report: &Rebuilt) -> String {
    let mut text = String::new();
    let from = |salvaged: &Option<Salvaged>, nothing: &str| match salvaged {
        None => nothing.to_owned(),
        Some(s) => {
            let mut said = out::count(s.files, "file");
            if s.named > 0 {
                let _ = write!(said, ", and {} by name alone", s.named);
            }
            if s.lost > 0 {
                let _ = write!(said, "; {} could not be read", out::count(s.lost, "row"));
            }
            said
        }
    };
    let _ = writeln!(
        text,
        "from the ledger   {}",
        from(&report.ledger, "nothing of it can be read")
    );
    if args.from.is_some() {
        let _ = writeln!(
            text,
            "from the backup   {} more",
            from(&report.backup, "nothing")
        );
    }
    let _ = writeln!(
        text,
        "held              {} whose fate is not known, {} in the folders that neither knows",
        report.held, report.unknown
    );
    if args.dry_run {
        let _ = writeln!(text, "\nnothing was changed (--dry-run)");
        return text;
    }
    if let Some(aside) = &report.aside {
        let _ = writeln!(text, "old ledger        {}", aside.display());
    }
    let _ = writeln!(text, "new ledger        {}", config.ledger.display());
    if report.held + report.unknown > 0 {
        let _ = writeln!(
            text,
            "\nheld files are not sent by themselves: `supametas-sync list --state unconfirmed` shows them,\nthe service's console says whether it has them, `supametas-sync retry --state unconfirmed` sends them"
        );
    }
    text
}
