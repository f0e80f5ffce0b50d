//! Which file a person means: an id, a path, or a part of a name; and which
//! files, by name or by what they have in common.
//!
//! Must not: change anything, or guess between files of different paths.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::filter::Which;
use super::table::{Cell, Table};
use super::tone::Tone;
use super::{Failed, files};
use crate::config::valid::Config;
use crate::config::{Machine, tidy};
use crate::domain::ids::{FileId, FolderName};
use crate::domain::naming::shown;
use crate::domain::state::StateKind;
use crate::ledger::{FileRecord, Filter, Ledger, Selection};
use crate::ports::World;

/// Files looked through for a part of a name, at most.
const LOOKED_THROUGH: usize = 500;

/// What an argument means.
#[derive(Debug)]
pub enum Found {
    /// One path: its versions, latest first. Never empty.
    One(Vec<FileRecord>),
    /// Several paths: the latest version of each, latest first.
    Several(Vec<FileRecord>),
}

/// Looks for what is meant, in this order: an id; a path below a drop
/// folder; a path as `list` shows it, or relative to a folder; a part of a
/// name, or a pattern.
pub async fn find(config: &Config, ledger: &Ledger, asked: &Path) -> Result<Found, Failed> {
    if let Some(id) = asked.to_str().and_then(|text| text.parse().ok())
        && let Some(story) = ledger.show(FileId(id)).await?
    {
        return Ok(Found::One(vec![story.file]));
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let below_folders = config.places_of(&cwd, asked, &Machine);
    for places in [below_folders, as_listed(config, asked)] {
        let mut found = Vec::new();
        for (folder, path) in places {
            found.extend(ledger.versions(folder, path).await?);
        }
        if !found.is_empty() {
            return Ok(sorted_out(found));
        }
    }
    if let Some(name) = asked.to_str().filter(|name| !name.is_empty()) {
        let filter = Filter {
            name: Some(name.to_owned()),
            limit: LOOKED_THROUGH,
            ..Filter::default()
        };
        let found = ledger.list(filter).await?;
        if !found.is_empty() {
            return Ok(sorted_out(found));
        }
    }
    Err(Failed::with(
        Exit::NotFound,
        anyhow::anyhow!(
            "{} is not in the ledger: name a file by its id (see `list`), its path, or a part of its name. \
             A file that is still being written, or that no folder takes, is not in there",
            shown(asked.as_os_str().as_bytes())
        ),
    ))
}

/// The files that are named, the latest version of each.
async fn named(config: &Config, ledger: &Ledger, asked: &[PathBuf]) -> Result<Vec<FileId>, Failed> {
    let mut ids = Vec::new();
    for asked in asked {
        match find(config, ledger, asked).await? {
            Found::One(versions) => ids.extend(versions.first().map(|file| file.id)),
            Found::Several(files) => {
                return Err(Failed::with(
                    Exit::Usage,
                    anyhow::anyhow!(
                        "several files fit {}; nothing was done. Name each by its id or path, or all of them with --name:\n{}",
                        crate::domain::naming::shown_text(&asked.to_string_lossy(), 200),
                        choice(&files)
                    ),
                ));
            }
        }
    }
    // Twice the same file is once the same file.
    let mut known = std::collections::BTreeSet::new();
    ids.retain(|id| known.insert(*id));
    Ok(ids)
}

/// What the arguments mean: the files that are named, or those that match;
/// where they ask for no state, those in one of `states`, or in any if there are
/// none.
pub async fn select(
    config: &Config,
    ledger: &Ledger,
    which: &Which,
    states: impl IntoIterator<Item = StateKind>,
) -> Result<Selection, Failed> {
    if !which.files.is_empty() {
        return Ok(Selection::Ids(named(config, ledger, &which.files).await?));
    }
    which.filter.remark_unknown(config);
    let now = World::real().clock.now();
    let mut filter = which.filter.clone().filter(now, usize::MAX);
    if filter.states.is_empty() {
        filter.states = states.into_iter().collect();
    }
    Ok(Selection::Matching(filter))
}

/// The files of several paths, for a person to choose from.
pub fn choice(found: &[FileRecord]) -> String {
    let mut table = Table::new(&["id", "state", "file"]);
    table.whole(&[0, 1]);
    for file in found {
        table.row([
            Cell::from(file.id.to_string()),
            Cell::toned(Tone::of_state(file.state.kind()), file.state.kind()),
            files::listed(file).into(),
        ]);
    }
    table.lines()
}

/// Folder and path in it for `folder/path`, as `list` shows it, and for a path
/// relative to any folder.
pub fn as_listed(config: &Config, asked: &Path) -> Vec<(FolderName, Vec<u8>)> {
    if asked.is_absolute() {
        return Vec::new();
    }
    let asked = tidy(asked);
    let named = config.folders.keys().filter_map(|name| {
        let below = asked.strip_prefix(&name.0).ok()?;
        Some((name.clone(), bytes(below)))
    });
    let relative = config
        .folders
        .keys()
        .map(|name| (name.clone(), bytes(&asked)));
    named.chain(relative).collect()
}

fn bytes(path: &Path) -> Vec<u8> {
    let text: &OsStr = path.as_os_str();
    text.as_bytes().to_vec()
}

fn sorted_out(mut found: Vec<FileRecord>) -> Found {
    // By id: a clock that was set back turns times round.
    found.sort_by_key(|file| std::cmp::Reverse(file.id));
    found.dedup_by_key(|file| file.id);
    let mut paths = BTreeSet::new();
    let latest: Vec<FileRecord> = found
        .iter()
        .filter(|file| paths.insert((file.folder.clone(), file.version.path.clone())))
        .cloned()
        .collect();
    if latest.len() > 1 {
        Found::Several(latest)
    } else {
        Found::One(found)
    }
}
