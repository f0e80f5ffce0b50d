//! `explain`: why a file was not taken, or where it is, and what to do.
//!
//! Must not: decide; `crate::explain` does.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Exit;
use super::find::{self, Found};
use super::tone::Tone;
use super::{Failed, Outcome, files, lookout, out, runtime};
use crate::config::valid::Config;
use crate::config::{Machine, tidy};
use crate::domain::ids::FolderName;
use crate::domain::naming::shown;
use crate::domain::writers::{Openness, Writing};
use crate::explain::facts::Place;
use crate::explain::{Answer, Asked, DaemonSays, Explanation, Facts, Said, decide, gather};
use crate::ledger::{Ledger, LedgerError};
use crate::limited::Calls;
use crate::ports::World;
use crate::view::Surroundings;
use crate::view::standing::Standing;
use crate::view::waiting::WaitingView;
use crate::web::client;

/// Why was this file not taken, and what can I do?
///
/// FILE is a path, or what `show` takes: an id, or a part of a name. The
/// ledger need not know it, and no daemon need be running. The first line is
/// the answer; below it are all checks in the order in which the daemon asks,
/// and what can be done. Of a directory it says to which folder it belongs,
/// and how many files in it are taken or not, and why. It changes nothing. Run
/// it as root to see which program has a file open.
///
/// With --json: path, answer (done, underway, waiting, attention, not-taken,
/// missing, counted), reason (a word that stays), text, checks (a list of
/// what, said (ok, no, not-yet, unknown), found), to_do, waiting (as `list --json`
/// has it). Exit code 5: there is no such file, here or in
/// the ledger.
///
/// Examples:
///   supametas-sync explain /srv/drop/report.docx
///   supametas-sync explain /srv/drop/scans
///   supametas-sync explain 42 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A file or folder: its path, its id, or a part of its name.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    runtime()?.block_on(async {
        let ledger = match Ledger::open_visitor(&config.ledger) {
            Ok(ledger) => Some(ledger),
            // No daemon has run yet: what is known without one is told.
            Err(LedgerError::Missing(_) | LedgerError::Older { found: 0, .. }) => None,
            Err(error) => {
                out::remark(&format!(
                    "what the ledger knows is left out, since this user can't read it: {error}"
                ));
                None
            }
        };
        let asked = match meant(&config, ledger.as_ref(), &args.file).await? {
            Ok(asked) => asked,
            Err(choice) => {
                out::print(&choice);
                out::remark("several files fit: name one by its id or its path");
                return Ok(Exit::Success);
            }
        };
        let standing = client::standing(&config.ledger).await.ok();
        let mut says = says(standing.as_ref(), &asked);
        says.stopped = says.stopped.or_else(|| lookout::no_room(&config.ledger));
        let mut facts = gather(&config, ledger.as_ref(), &asked, says, now).await?;
        heard(standing.as_ref(), &mut facts);
        let explained = decide(&facts);
        if args.json {
            out::print_json(&as_json(&facts, &explained));
        } else {
            out::print(&out::with_times(&tell(&facts.path, &explained)));
        }
        Ok(match explained.answer {
            Answer::Missing => Exit::NotFound,
            _ => Exit::Success,
        })
    })
}

/// What the events of a running daemon say of a file's writers goes into the
/// facts; who asks hears no events. A daemon that does not answer says nothing.
fn heard(standing: Option<&Standing>, facts: &mut Facts) {
    let Place::File(file) = &mut facts.place else {
        return;
    };
    let Ok(opened) = file.there.as_mut().map(|there| &mut there.opened) else {
        return;
    };
    let (Ok(opened), Some(true)) = (opened, facts.running) else {
        return;
    };
    if opened.open == Openness::Yes {
        return;
    }
    let Some(standing) = standing else {
        return;
    };
    let name = shown(&file.folder.rel);
    let written = standing
        .folders
        .iter()
        .filter(|folder| folder.folder == file.folder.name)
        .filter_map(|folder| folder.live.as_ref())
        .flat_map(|live| &live.being_written)
        .find(|written| written.file == name);
    if let Some(written) = written {
        opened.open = Openness::Writing(Writing {
            since: written.since.0,
            still: Duration::ZERO,
        });
    }
}

/// What the daemon says of itself and of the folder: it may be another user, or in
/// a sandbox that hides the folder.
fn says(standing: Option<&Standing>, asked: &Asked) -> DaemonSays {
    let Some(standing) = standing else {
        return DaemonSays::default();
    };
    let theirs = standing.folders.iter().find(|theirs| match asked {
        Asked::In { folder, .. } => theirs.folder == *folder,
        Asked::Outside(_) => false,
    });
    let offline = theirs.and_then(|folder| folder.offline.clone());
    let live = theirs.and_then(|folder| folder.live.as_ref());
    DaemonSays {
        offline_since: live
            .filter(|_| offline.is_some())
            .and_then(|live| live.since)
            .map(|since| since.0),
        offline,
        stopped: standing.stopped.clone(),
        pace: Surroundings::pace(standing),
    }
}

/// What the argument means; `Err`: several files, for a person to choose from.
async fn meant(
    config: &Config,
    ledger: Option<&Ledger>,
    asked: &Path,
) -> Result<Result<Asked, String>, Failed> {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    if let Some((folder, rel)) = config.places_of(&cwd, asked, &Machine).into_iter().next() {
        return Ok(Ok(Asked::In { folder, rel }));
    }
    let full = tidy(&cwd.join(asked));
    if is_there(&full) {
        return Ok(Ok(Asked::Outside(full)));
    }
    if let Some(ledger) = ledger {
        match find::find(config, ledger, asked).await {
            Ok(Found::One(files)) => {
                if let Some(file) = files.into_iter().next() {
                    return Ok(Ok(Asked::In {
                        folder: file.folder,
                        rel: file.version.path,
                    }));
                }
            }
            Ok(Found::Several(files)) => return Ok(Err(find::choice(&files))),
            Err(failed) if failed.exit == Exit::NotFound => {}
            Err(failed) => return Err(failed),
        }
    }
    // As `list` shows files: FOLDER/PATH; the configuration may not have the
    // folder any more.
    let mut parts = asked.components();
    let first = parts
        .next()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    if let (Some(ledger), Some(first)) = (ledger, first) {
        let (folder, rel) = (
            FolderName(first),
            parts.as_path().as_os_str().as_bytes().to_vec(),
        );
        let dropped = !config.folders.contains_key(&folder);
        if dropped
            && !ledger
                .versions(folder.clone(), rel.clone())
                .await?
                .is_empty()
        {
            return Ok(Ok(Asked::In { folder, rel }));
        }
    }
    let there = find::as_listed(config, asked)
        .into_iter()
        .find(|(name, rel)| {
            let rel = std::ffi::OsStr::from_bytes(rel);
            let folder = config.folders.get(name);
            folder.is_some_and(|f| is_there(&f.path.join(rel)))
        });
    Ok(Ok(match there {
        Some((folder, rel)) => Asked::In { folder, rel },
        None => Asked::Outside(full),
    }))
}

/// What does not answer is there.
fn is_there(path: &Path) -> bool {
    let asked = path.to_owned();
    Calls::of_process()
        .ask(path, move || std::fs::symlink_metadata(asked).is_ok())
        .unwrap_or(true)
}

fn tell(path: &[u8], explained: &Explanation) -> String {
    let mut text = format!("{}: {}\n\n", shown(path), explained.headline);
    let width = explained.checks.iter().map(|c| c.what.len()).max();
    let width = width.unwrap_or(0);
    for check in &explained.checks {
        text.push_str(&format!(
            "  {:<width$}  {}: {}\n",
            check.what,
            tone(check.said).paint(check.said.words()),
            check.found
        ));
    }
    if !explained.to_do.is_empty() {
        text.push_str("\nWhat you can do:\n");
        for what in &explained.to_do {
            text.push_str(&format!("  - {what}\n"));
        }
    }
    text
}

const fn tone(said: Said) -> Tone {
    match said {
        Said::Yes => Tone::Good,
        Said::No => Tone::Bad,
        Said::NotYet => Tone::Warn,
        Said::Unknown => Tone::Quiet,
    }
}

fn as_json(facts: &Facts, explained: &Explanation) -> Value {
    let checks = explained.checks.iter().map(
        |check| json!({ "what": check.what, "said": check.said.as_str(), "found": check.found }),
    );
    json!({
        "path": shown(&facts.path),
        "answer": explained.answer.as_str(),
        "reason": explained.reason,
        "text": explained.headline,
        "checks": checks.collect::<Vec<_>>(),
        "to_do": explained.to_do,
        "waiting": WaitingView::of(&explained.waiting, facts.now),
    })
}
