//! Collects what is so about a path: from the configuration, the file system,
//! `/proc` and the ledger.
//!
//! Must not: judge what it finds, follow a link, or open what is no regular
//! file ([`RootHandle`] sees to both).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::facts::{
    ByName, DaemonMay, DaemonSays, DirFacts, Facts, FileFacts, Hindered, InFolder, Known, Other,
    Place, There, Tree,
};
use super::{Starting, opened, process, tree};
use crate::config::units;
use crate::config::valid::{Config, Folder};
use crate::daemon::folders::watched;
use crate::domain::answer::Call;
use crate::domain::error_table::About;
use crate::domain::ids::FolderName;
use crate::domain::naming::{TemporaryKind, finished_path, shown};
use crate::domain::state::State;
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::ledger::{self, FileRecord, Ledger, LedgerError};
use crate::limited::Calls;
use crate::watch::root::{Found as At, RootHandle};
use crate::watch::rules::{Refused, TakeRules};
use crate::watch::{FolderRoot, NotTaken, Offline, fstype};

/// Versions of a path that are told of, at most.
const VERSIONS: usize = 10;

/// Folders that are named when a path is in none, at most.
const NEAR: usize = 3;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A path in no drop folder, in full.
    Outside(PathBuf),
    /// A path in a folder, which the configuration may not have any more.
    In {
        /// The folder.
        folder: FolderName,
        /// The path in it; empty: the folder itself.
        rel: Vec<u8>,
    },
}

/// Who works on the ledger, and as whom.
#[derive(Clone, Copy)]
struct Owner {
    running: Option<bool>,
    pid: Option<u32>,
    uid: Option<u32>,
}

/// Collects everything. `ledger`: `None` if there is none yet. Blocks on the file
/// system, and walks a directory (bounded).
///
/// # Errors
/// When the ledger can't be read.
pub async fn gather(
    config: &Config,
    ledger: Option<&Ledger>,
    asked: &Asked,
    says: DaemonSays,
    now: Timestamp,
) -> Result<Facts, LedgerError> {
    let owner = owner(&config.ledger);
    let facts = |path: &Path, place: Place| Facts {
        path: path.as_os_str().as_bytes().to_vec(),
        now,
        running: owner.running,
        starting: Starting::here(&config.ledger),
        user: owner.uid.map(super::users::user_name),
        daemon_offline: says.offline.clone(),
        offline_since: says.offline_since,
        stopped: says.stopped.clone(),
        pace: says.pace,
        gates: ledger.map(Ledger::gates).unwrap_or_default(),
        halts: ledger.map(Ledger::halts).unwrap_or_default(),
        place,
    };
    let (name, rel) = match asked {
        Asked::Outside(path) => return Ok(facts(path, outside(config, path))),
        Asked::In { folder, rel } => (folder, rel),
    };
    let Some(folder) = config.folders.get(name) else {
        let known = known(config, ledger, name, rel).await?.into_iter().next();
        let path = Path::new(&name.0).join(OsStr::from_bytes(rel));
        return Ok(match known {
            Some(known) => facts(
                &path,
                Place::Dropped {
                    folder: name.clone(),
                    known: Box::new(known),
                    renamed_to: has_directory_of(config, ledger, name).await?,
                },
            ),
            None => facts(&path, outside(config, &path)),
        });
    };
    let path = if rel.is_empty() {
        folder.path.clone()
    } else {
        folder.path.join(OsStr::from_bytes(rel))
    };
    let looked = look_in_time(folder, rel).await;
    let place = match looked.there {
        Ok(At::Directory) => {
            let (mut counted, versions) = match (&looked.handle, &looked.folder.by_name) {
                (Some(handle), Ok(())) => tree::look(handle, &looked.rules, rel),
                _ => (Tree::default(), Vec::new()),
            };
            tree::ask(&mut counted, versions, name, ledger).await?;
            Place::Directory(Box::new(DirFacts {
                watched: how_watched(config, looked.events),
                folder: looked.folder,
                hindered: None,
                tree: counted,
            }))
        }
        Err(hindered) if rel.is_empty() => Place::Directory(Box::new(DirFacts {
            watched: how_watched(config, looked.events),
            folder: looked.folder,
            hindered: Some(hindered),
            tree: Tree::default(),
        })),
        there => {
            let there = match (there, looked.handle) {
                (Ok(At::File(version)), Some(handle)) => {
                    Ok(open_in_time(folder, handle, version, owner, now).await)
                }
                (Err(hindered), _) => Err(hindered),
                (Ok(_), _) => Err(Hindered {
                    at: rel.clone(),
                    why: NotTaken::Gone,
                }),
            };
            let known = known(config, ledger, name, rel).await?;
            let renamed_to = match (&there, &looked.folder.by_name) {
                (Err(hindered), Err(by_name))
                    if hindered.why.is_gone() && matches!(by_name.why, NotTaken::Temporary(_)) =>
                {
                    renamed_to(folder, ledger, rel).await?
                }
                _ => None,
            };
            Place::File(Box::new(FileFacts {
                folder: looked.folder,
                there,
                known,
                renamed_to,
            }))
        }
    };
    Ok(facts(&path, place))
}

/// The folder of the configuration that has the directory of a former one.
async fn has_directory_of(
    config: &Config,
    ledger: Option<&Ledger>,
    name: &FolderName,
) -> Result<Option<FolderName>, LedgerError> {
    let Some(ledger) = ledger else {
        return Ok(None);
    };
    let places = ledger.places().await?;
    let Some(was) = places.get(name) else {
        return Ok(None);
    };
    let mut folders = config.folders.values();
    let now = folders.find(|folder| folder.path.as_os_str().as_bytes() == was.path);
    Ok(now.map(|folder| folder.name.clone()))
}

/// The path that a temporary one leads to, if it is there or was taken.
async fn renamed_to(
    folder: &Arc<Folder>,
    ledger: Option<&Ledger>,
    rel: &[u8],
) -> Result<Option<Vec<u8>>, LedgerError> {
    let Some(finished) = finished_path(rel) else {
        return Ok(None);
    };
    let path = folder.path.join(OsStr::from_bytes(&finished));
    let is_there = Calls::of_process()
        .ask_async(&folder.path, move || path.symlink_metadata().is_ok())
        .await;
    let is_known = match ledger {
        Some(ledger) => {
            let versions = ledger.versions(folder.name.clone(), finished.clone());
            !versions.await?.is_empty()
        }
        None => false,
    };
    Ok((is_known || is_there.unwrap_or(false)).then_some(finished))
}

fn owner(ledger: &Path) -> Owner {
    let pid = ledger::owner(ledger);
    let uid = pid
        .and_then(process::process_user)
        .or_else(|| Some(fs::metadata(ledger).ok()?.uid()));
    Owner {
        running: ledger::is_owned(ledger).ok(),
        pid,
        uid,
    }
}

/// The folder may be on a mount that hangs.
async fn look_in_time(folder: &Arc<Folder>, rel: &[u8]) -> Looked {
    let (asked, below) = (Arc::clone(folder), rel.to_vec());
    let looked = Calls::of_process()
        .ask_async(&folder.path, move || look(&asked, &below))
        .await;
    looked.unwrap_or_else(|_| not_answering(folder, rel))
}

/// The same of the file in it.
async fn open_in_time(
    folder: &Arc<Folder>,
    handle: RootHandle,
    version: FileVersion,
    owner: Owner,
    now: Timestamp,
) -> There {
    let (asked, rel) = (Arc::clone(folder), version.path.clone());
    let path = folder.path.join(OsStr::from_bytes(&rel));
    let opened = Calls::of_process()
        .ask_async(&folder.path, move || {
            let opened = opened::open(&asked, &handle, &rel, now);
            (opened, daemon_may(&owner, &path))
        })
        .await;
    let (opened, daemon_may) = opened.unwrap_or((
        Err(NotTaken::Offline(Offline::NotAnswering)),
        DaemonMay::Unknown("its file system does not answer"),
    ));
    There {
        opened,
        daemon_may,
        version,
    }
}

/// The folders whose paths share most with `path`.
fn outside(config: &Config, path: &Path) -> Place {
    let shared = |folder: &Path| {
        let parts = path.components().zip(folder.components());
        parts.take_while(|(a, b)| a == b).count()
    };
    let mut near: Vec<(FolderName, PathBuf)> = config
        .folders
        .values()
        .map(|folder| (folder.name.clone(), folder.path.clone()))
        .collect();
    near.sort_by_key(|(_, folder)| (std::cmp::Reverse(shared(folder)), folder.clone()));
    near.truncate(NEAR);
    let asked = path.to_owned();
    let exists = Calls::of_process().ask(path, move || fs::symlink_metadata(asked).is_ok());
    Place::Outside {
        // What does not answer is there.
        exists: exists.unwrap_or(true),
        near,
    }
}

struct Looked {
    folder: InFolder,
    /// Whether it is watched by events; `None`: it can't be told.
    events: Option<bool>,
    rules: TakeRules,
    handle: Option<RootHandle>,
    there: Result<At, Hindered>,
}

fn look(folder: &Folder, rel: &[u8]) -> Looked {
    let watched = watched(folder);
    let rules = TakeRules::new(watched.clone());
    let root = FolderRoot::new(folder.path.clone(), folder.one_file_system);
    let reachable = root.check().map(drop);
    let handle = root.handle();
    let there = match &handle {
        Err(offline) => Err(Hindered {
            at: Vec::new(),
            why: NotTaken::Offline(*offline),
        }),
        Ok(_) if rel.is_empty() => Ok(At::Directory),
        Ok(handle) => find(handle, rel),
    };
    let judged = match there {
        _ if rel.is_empty() => Ok(()),
        Ok(At::Directory) => rules.judged_folder(rel),
        _ => rules.judged(rel),
    };
    Looked {
        folder: InFolder {
            name: folder.name.clone(),
            path: folder.path.clone(),
            dataset: folder.dataset.clone(),
            rel: rel.to_vec(),
            reachable,
            by_name: judged.map_err(|refused| by_name(folder, &rules, &refused)),
        },
        events: Some(fstype::wants_events(watched.how, &folder.path)),
        handle: handle.ok(),
        there,
        rules,
    }
}

fn not_answering(folder: &Folder, rel: &[u8]) -> Looked {
    let rules = TakeRules::new(watched(folder));
    Looked {
        folder: InFolder {
            name: folder.name.clone(),
            path: folder.path.clone(),
            dataset: folder.dataset.clone(),
            rel: rel.to_vec(),
            reachable: Err(Offline::NotAnswering),
            by_name: rules
                .judged(rel)
                .map_err(|refused| by_name(folder, &rules, &refused)),
        },
        events: None,
        handle: None,
        there: Err(Hindered {
            at: Vec::new(),
            why: NotTaken::Offline(Offline::NotAnswering),
        }),
        rules,
    }
}

fn by_name(folder: &Folder, rules: &TakeRules, refused: &Refused<'_>) -> ByName {
    ByName {
        at: refused.at.to_vec(),
        why: refused.why.clone(),
        patterns: patterns(folder, rules, refused.at, &refused.why),
    }
}

/// The patterns that a refusal by name is for: see [`ByName`].
pub(super) fn patterns(
    folder: &Folder,
    rules: &TakeRules,
    at: &[u8],
    why: &NotTaken,
) -> Vec<String> {
    let patterns = &folder.patterns;
    let one = |pattern: Option<&String>| pattern.cloned().into_iter().collect();
    match why {
        NotTaken::Excluded => {
            let at = rules.excluding(at);
            one(at.and_then(|at| patterns.excluded().nth(at)))
        }
        NotTaken::Temporary(TemporaryKind::Configured) => {
            let at = rules.calling_temporary(at);
            one(at.and_then(|at| patterns.temporary().nth(at)))
        }
        NotTaken::NotIncluded => patterns.include.clone(),
        _ => Vec::new(),
    }
}

/// What is at `rel`, and else the first part of it that is in the way.
fn find(handle: &RootHandle, rel: &[u8]) -> Result<At, Hindered> {
    let slashes = rel.iter().enumerate().filter(|(_, b)| **b == b'/');
    for part in slashes.map(|(at, _)| &rel[..at]) {
        let hindered = |why| Hindered {
            at: part.to_vec(),
            why,
        };
        match handle.find(part) {
            Ok(At::Directory) => {}
            // A file on the way: the path leads nowhere.
            Ok(At::File(_)) => return Err(hindered(NotTaken::Gone)),
            Err(why) => return Err(hindered(why)),
        }
    }
    handle.find(rel).map_err(|why| Hindered {
        at: rel.to_vec(),
        why,
    })
}

fn daemon_may(owner: &Owner, path: &Path) -> DaemonMay {
    let me = rustix::process::geteuid().as_raw();
    match owner.uid {
        Some(uid) if uid != me => process::may_read(&process::identify(owner.pid, uid), path),
        _ => DaemonMay::AsTried,
    }
}

fn how_watched(config: &Config, events: Option<bool>) -> String {
    let (scans, polls) = (
        units::show_time(config.rescan_every),
        units::show_time(config.poll_every),
    );
    match events {
        Some(true) => format!("watched by events, and scanned every {scans}"),
        Some(false) => format!("scanned every {polls}, without events"),
        None => "its file system does not answer".to_owned(),
    }
}

async fn known(
    config: &Config,
    ledger: Option<&Ledger>,
    folder: &FolderName,
    rel: &[u8],
) -> Result<Vec<Known>, LedgerError> {
    let Some(ledger) = ledger else {
        return Ok(Vec::new());
    };
    let versions = ledger.versions(folder.clone(), rel.to_vec()).await?;
    let mut known = Vec::new();
    for record in versions.into_iter().take(VERSIONS) {
        known.push(one(config, ledger, record).await?);
    }
    Ok(known)
}

async fn one(config: &Config, ledger: &Ledger, record: FileRecord) -> Result<Known, LedgerError> {
    let call = match record.state {
        State::Submitted { .. } | State::Lost { .. } => Call::Query,
        _ => Call::Upload,
    };
    let last = record.last_code.clone().map(|code| {
        let advice = advice(config, code.as_str(), call);
        (code, record.last_why.clone().unwrap_or_default(), advice)
    });
    let other = match record.state {
        State::Duplicate { of } => Some(of),
        State::Superseded { by } => Some(by),
        _ => None,
    };
    let other = match other {
        Some(id) => ledger.show(id).await?.map(|story| other_of(&story.file)),
        None => None,
    };
    Ok(Known {
        ahead: ledger.ahead(vec![record.clone()]).await?.remove(&record.id),
        other,
        last,
        id: record.id,
        version: record.version,
        dataset: record.dataset,
        media: record.media,
        state: record.state,
        changed_at: record.changed_at,
        changes_often: record.reimports > 0,
        possible_duplicate: record.possible_duplicate,
        resolved: record.resolved,
        source: record
            .source
            .and_then(|source| Some((source.done?, source.target))),
    })
}

fn other_of(file: &FileRecord) -> Other {
    Other {
        id: file.id,
        listed: format!("{}/{}", file.folder, shown(&file.version.path)),
        state: file.state.kind(),
        task: file.state.task().cloned(),
    }
}

fn advice(config: &Config, code: &str, call: Call) -> &'static str {
    let (About::Own(rows) | About::Class(rows) | About::ByBody(rows)) = config.errors.about(code)
    else {
        return "";
    };
    let mine = match call {
        Call::Upload => rows.first(),
        Call::Query => rows.last(),
    };
    mine.map_or("", |row| row.advice)
}
