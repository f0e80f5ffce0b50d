//! `import`: take a file now, whatever the watch makes of it.
//!
//! Must not: take half a file, or send anything; the daemon sends.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::exit::Exit;
use super::progress::Progress;
use super::{Failed, Outcome, files, out, runtime};
use crate::config::Machine;
use crate::config::valid::{Config, Folder};
use crate::daemon::sorting::{self, Found};
use crate::domain::ids::FolderName;
use crate::domain::naming::shown;
use crate::domain::refusal::{ReasonKind, Refusal};
use crate::domain::settle::Openness;
use crate::domain::time::Timestamp;
use crate::files::{Dir, FileError, Owner, copy_in};
use crate::ledger::{Ledger, NewFile, NewSorted, Policies};
use crate::ports::World;
use crate::view;
use crate::watch::{lease, reached};

/// Put files into the queue now, without waiting for them to settle
///
/// A FILE inside a drop folder is queued at once, even if the folder's
/// `exclude`, `include` or the rules about temporary names would leave it. A
/// running daemon sends it within a second; without one it goes with the next
/// `run` or `scan`. What no import takes is refused with the reason.
///
/// Never half a file: one that a program has open for writing is refused unless
/// you say --even-if-open, and one whose end seems to be missing is refused
/// anyway. Where nobody can tell who has it open (network file systems), it must
/// have rested for the folder's `quiet_unsure`.
///
/// A FILE outside every drop folder is refused, unless --folder says into which
/// it is to be copied: under a temporary name, synced, then renamed, and nothing
/// there is overwritten.
///
/// With --json: {"queued": [{"id", "file", "folder"}...], "refused": [{"file",
/// "why", "reason_kind"}...]}; reason_kind, a word that stays, where it is for what
/// the file is.
///
/// Examples:
///   supametas-sync import /srv/scans/urgent.pdf
///   supametas-sync import --folder scans ~/letter.pdf
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Copy the files into this folder first.
    #[arg(long, value_name = "NAME")]
    folder: Option<String>,
    /// Even if a program has it open for writing.
    #[arg(long)]
    even_if_open: bool,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Queues them.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let into = match &args.folder {
        None => None,
        Some(name) => Some(folder_named(&config, name)?),
    };
    let policies = config.folders.values();
    let policies = policies.map(|f| (f.name.clone(), f.policy.clone()));
    let policies = Arc::new(Policies::new(policies.collect()));
    let world = World::real();
    let (mut queued, mut refused): (Vec<Value>, Vec<(String, NotQueued)>) = Default::default();
    runtime()?.block_on(async {
        // Without one, a first import begins it, as the daemon would.
        let ledger = if config.ledger.exists() {
            files::ledger(&config)?
        } else {
            Ledger::open_owner(&config.ledger)?
        };
        for asked in &args.files {
            let name = shown(asked.as_os_str().as_bytes());
            let new = match take(&config, into, asked, args.even_if_open, &world) {
                Ok(new) => new,
                Err(why) => {
                    refused.push((name, why));
                    continue;
                }
            };
            let folder = new.folder.clone();
            let done = ledger.enqueue(vec![new], world.moment(), &policies).await?;
            for done in done {
                let state = ledger.show(done.id).await?.map(|story| story.file.state.kind());
                match state {
                    Some(state) if !done.new && state.is_final() => refused.push((
                        name.clone(),
                        format!("this version is file {} already, {state}: `retry {}`, or `forget {} --send-again` and import it again", done.id, done.id, done.id).into(),
                    )),
                    _ => queued.push(json!({ "id": done.id, "file": name, "folder": folder })),
                }
            }
        }
        ledger.close().await;
        Ok::<_, Failed>(())
    })?;
    if args.json {
        let refused = refused
            .iter()
            .map(|(file, not)| json!({ "file": file, "why": not.why, "reason_kind": not.kind }));
        out::print_json(&json!({ "queued": queued, "refused": refused.collect::<Vec<_>>() }));
    } else {
        for file in &queued {
            out::print(&format!(
                "queued as id {}: {}",
                file["id"],
                file["file"].as_str().unwrap_or_default()
            ));
        }
        for (file, not) in &refused {
            out::remark(&format!("{file} is not taken: {}", not.why));
        }
        if !queued.is_empty() {
            files::remark_no_daemon(&config);
        }
    }
    Ok(if refused.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

/// Why a file is not queued.
struct NotQueued {
    why: String,
    /// The word that stays, where it is for what the file is.
    kind: Option<ReasonKind>,
}

impl From<String> for NotQueued {
    fn from(why: String) -> NotQueued {
        NotQueued { why, kind: None }
    }
}

impl From<&str> for NotQueued {
    fn from(why: &str) -> NotQueued {
        why.to_owned().into()
    }
}

impl From<Refusal> for NotQueued {
    fn from(refusal: Refusal) -> NotQueued {
        NotQueued {
            why: refusal.why,
            kind: Some(refusal.kind),
        }
    }
}

fn folder_named<'a>(config: &'a Config, name: &str) -> Result<&'a Arc<Folder>, Failed> {
    config
        .folders
        .get(&FolderName(name.to_owned()))
        .ok_or_else(|| {
            let known: Vec<_> = config.folders.keys().map(|name| name.0.as_str()).collect();
            Failed::with(
                Exit::Usage,
                anyhow::anyhow!(
                    "the configuration has no folder {name:?}; it has: {}",
                    known.join(", ")
                ),
            )
        })
}

/// Looks at a file as the intake would; an error says why it is not taken.
fn take(
    config: &Config,
    into: Option<&Arc<Folder>>,
    asked: &Path,
    even_if_open: bool,
    world: &World,
) -> Result<NewFile, NotQueued> {
    let cwd = std::env::current_dir().map_err(|error| error.to_string())?;
    let (folder, rel) = match into {
        Some(folder) => (
            folder,
            copy(folder, &config.ledger, &cwd.join(asked), even_if_open)?,
        ),
        None => {
            let place = config.places_of(&cwd, asked, &Machine).into_iter().next();
            let (name, rel) = place.ok_or_else(|| {
                let folders: Vec<_> = config.folders.values().map(|f| f.path.display().to_string()).collect();
                format!("it is in no drop folder: copy it into one of {}, or say --folder NAME to have it copied", folders.join(", "))
            })?;
            let folder = config
                .folders
                .get(&name)
                .ok_or("its folder is not configured")?;
            (folder, rel)
        }
    };
    let here = folder
        .path
        .join(Path::new(std::ffi::OsStr::from_bytes(&rel)));
    if here.starts_with(&folder.done_dir) || here.starts_with(&folder.rejected_dir) {
        return Err("it was put aside by the daemon: move it out of there first".into());
    }
    let (root, _) =
        reached(&folder.path, folder.one_file_system, None).map_err(|why| why.to_string())?;
    let mut opened = root.open_file(&rel).map_err(|why| why.to_string())?;
    if !even_if_open {
        let changed = Timestamp(opened.ctime_ns / 1_000_000);
        let rested = world.clock.now().since(changed);
        match lease::open_for_writing(&opened.file) {
            Openness::No => {}
            Openness::Unknown if rested >= folder.quiet_unsure => {}
            Openness::Unknown => {
                return Err(format!(
                    "whether a program still writes it can't be told, and it was changed {} ago: wait until it has rested for {}, or say --even-if-open",
                    view::span(rested),
                    view::span(folder.quiet_unsure)
                )
                .into());
            }
            Openness::Yes | Openness::Writing(_) => return Err(OPEN.into()),
        }
    }
    let sorting = sorting::sort_file(folder, &mut opened.file, &opened.version)
        .map_err(|error| format!("it can't be read: {error}"))?;
    let media = match sorting.found {
        Found::New(NewSorted::Media(media) | NewSorted::Incomplete(media)) => media,
        Found::New(NewSorted::Unsupported(refusal))
        | Found::Incomplete(NewSorted::Unsupported(refusal)) => return Err(refusal.into()),
        Found::New(NewSorted::Unreadable(why)) | Found::Incomplete(NewSorted::Unreadable(why)) => {
            return Err(why.into());
        }
        // Cut off: no answer of the service would be about the whole file.
        Found::Incomplete(_) => {
            return Err(Refusal::new(ReasonKind::Cut, INCOMPLETE).into());
        }
    };
    match root.look(&rel) {
        Ok(now) if now == opened.version => {}
        _ => return Err("it changes right now: import it when it is written".into()),
    }
    Ok(NewFile {
        folder: folder.name.clone(),
        dataset: folder.dataset.clone(),
        version: opened.version,
        sorted: NewSorted::Media(media),
    })
}

const INCOMPLETE: &str = "its end seems to be missing: copy it into the folder again; or leave it there, and it is sent after `incomplete_wait` and marked as maybe incomplete";

const OPEN: &str =
    "a program has it open for writing: import it when that is done, or say --even-if-open";

/// Copies a file into a folder; returns its path in there.
fn copy(
    folder: &Folder,
    ledger: &Path,
    from: &Path,
    even_if_open: bool,
) -> Result<Vec<u8>, String> {
    let name = from.file_name().ok_or("it names no file")?.as_bytes();
    let (source, seen) = Dir::shared(from.parent().unwrap_or(from))
        .and_then(|dir| dir.open_file(name))
        .map_err(|error| match error {
            FileError::Replaced(_) => {
                "it is not a regular file; of a link name the file that it leads to".to_owned()
            }
            error => error.to_string(),
        })?;
    if !even_if_open && lease::open_for_writing(&source) == Openness::Yes {
        return Err(OPEN.to_owned());
    }
    // The daemon reads the copy, and what root imports may be root's alone.
    let owner = match fs::metadata(ledger) {
        Ok(meta) => Owner::Reader(meta.uid(), meta.gid()),
        Err(_) => Owner::Source,
    };
    let placed = Dir::shared(&folder.path).and_then(|to| {
        let progress = Progress::copying(seen.size());
        let mut through = progress.reading(&source);
        copy_in((&source, &seen), &mut through, &to, name, owner)
    });
    placed.map_err(|error| match error {
        FileError::Exists(_) => format!(
            "the folder {} has a file of that name: import that one, or copy yours under another name",
            folder.name
        ),
        error => format!("it can't be copied into the folder {}: {error}", folder.name),
    })?;
    Ok(name.to_vec())
}
