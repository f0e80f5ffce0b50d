//! What must not lie inside what: folders, the directories that files are
//! moved to, the ledger and the keys.
//!
//! Must not: compare paths as written, only as they resolve: a symbolic link
//! would let one directory pass for two.

use std::path::{Path, PathBuf};

use super::Report;
use super::folder::Found;
use crate::config::surroundings::Surroundings;
use crate::config::valid::{Dataset, Folder};
use crate::domain::lifecycle::{AfterSuccess, OnReject};

/// Checks each pair.
pub(super) fn check(
    folders: &[Found],
    ledger: &Path,
    key_files: &[(String, PathBuf)],
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) {
    let real: Vec<PathBuf> = folders.iter().map(|f| on.resolve(&f.folder.path)).collect();
    for (at, here) in folders.iter().enumerate() {
        for (before, other) in folders.iter().enumerate().take(at) {
            nested(here, &real[at], other, &real[before], to);
        }
    }
    let ledger_dir = on.resolve(ledger.parent().unwrap_or(ledger));
    for (found, real) in folders.iter().zip(&real) {
        if takes_from(&found.folder, real, &ledger_dir) {
            to.error(
                if to.has("daemon.ledger") {
                    "daemon.ledger"
                } else {
                    &found.key
                },
                format!(
                    "puts the ledger into {}, which would upload it",
                    found.called()
                ),
                "keep the ledger elsewhere, such as /var/lib/supametas-sync/ledger.sqlite",
            );
        }
        for (key, path) in key_files {
            let path = on.resolve(path);
            if takes_from(&found.folder, real, path.parent().unwrap_or(&path)) {
                let secret = if key.starts_with("http.") {
                    "token"
                } else if key.ends_with(".key_file") {
                    "Access-Key"
                } else {
                    "secret"
                };
                to.error(
                    key,
                    format!("lies in {}: the {secret} would be uploaded", found.called()),
                    "keep the key file elsewhere, such as /etc/supametas-sync/keys/",
                );
            }
        }
    }
    for found in folders {
        targets(found, folders, &real, on, to);
    }
}

/// What the service pushes must not be taken for new files, and sent to it.
pub(super) fn results(
    folders: &[Found],
    datasets: &[Dataset],
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) {
    for (at, dataset) in (1..).zip(datasets) {
        let Some(pushes) = &dataset.pushes else {
            continue;
        };
        let results = on.resolve(&pushes.results);
        for found in folders {
            if takes_from(&found.folder, &on.resolve(&found.folder.path), &results) {
                to.error(
                    &format!("dataset[{at}].results_dir"),
                    format!(
                        "lies in the drop folder {}: results would be uploaded",
                        found.folder.name
                    ),
                    "keep results elsewhere, such as /var/lib/supametas-sync/results",
                );
            }
        }
    }
}

fn nested(here: &Found, real: &Path, other: &Found, other_real: &Path, to: &mut Report<'_>) {
    let key = format!("{}.path", here.key);
    if real == other_real {
        to.error(
            &key,
            format!("is the directory of {} too", other.called()),
            "give each folder a directory of its own: a file can't go to two places",
        );
    } else if real.starts_with(other_real) && other.folder.recursive {
        to.error(
            &key,
            format!(
                "lies inside {}: its files would be taken twice",
                other.called()
            ),
            "take it out of there, or set `recursive = false` for the outer one",
        );
    } else if other_real.starts_with(real) && here.folder.recursive {
        to.error(
            &key,
            format!(
                "contains {}: its files would be taken twice",
                other.called()
            ),
            "name another directory, or set `recursive = false` for this one",
        );
    }
}

/// Whether `folder` takes files that lie directly in `dir`. What is hidden is
/// never taken.
fn takes_from(folder: &Folder, real: &Path, dir: &Path) -> bool {
    let Ok(inside) = dir.strip_prefix(real) else {
        return false;
    };
    let hidden = inside
        .components()
        .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
    let reached = folder.recursive || inside.as_os_str().is_empty();
    reached && !hidden
}

fn targets(
    found: &Found,
    all: &[Found],
    real: &[PathBuf],
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) {
    let folder = &found.folder;
    let moved = [
        (
            "done_dir",
            &folder.done_dir,
            folder.policy.after == AfterSuccess::Move,
        ),
        (
            "rejected_dir",
            &folder.rejected_dir,
            folder.policy.on_reject == OnReject::Move,
        ),
    ];
    for (name, dir, used) in moved {
        let key = format!("{}.{name}", found.key);
        if !used {
            if to.has(&key) {
                let switch = if name == "done_dir" {
                    "after"
                } else {
                    "on_reject"
                };
                to.warning(
                    &key,
                    "is not used",
                    format!("set `{switch} = \"move\"` to move files there, or take it out"),
                );
            }
            continue;
        }
        let target = on.resolve(dir);
        let taken_by = all
            .iter()
            .zip(real)
            .find(|(other, real)| takes_from(&other.folder, real, &target));
        if let Some((other, _)) = taken_by {
            to.error(
                &key,
                format!(
                    "lies inside {}, which would take the moved files again",
                    other.called()
                ),
                "choose a directory outside of all folders, or one whose name begins with a dot",
            );
        }
    }
}
