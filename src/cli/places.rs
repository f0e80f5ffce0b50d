//! What `check` says of the places that a configuration names: the ledger and
//! its directory, and the file systems of the folders.
//!
//! Must not: create or mend anything.

use std::collections::BTreeMap;
use std::path::Path;

use super::finding::Finding;
use super::lookout;
use crate::config::valid::{Config, Folder, WatchMode};
use crate::config::{Look, Machine, Severity, Surroundings};
use crate::domain::ids::FolderName;
use crate::domain::owner_sign;
use crate::domain::sandbox_effects::HiddenBy;
use crate::ledger::{self, Ledger, LedgerError};
use crate::limited::Calls;
use crate::watch::Offline;
use crate::watch::fstype::{self, FsKind};
use crate::watch::hard_links;
use crate::web::client;

/// Where the ledger is if nothing is said: systemd makes it.
const STATE_DIRECTORY: &str = "/var/lib/supametas-sync";

/// What is to be said of the ledger and the folders.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = ledger_findings(&config.ledger);
    findings.extend(links(hard_links::are_guarded()));
    for folder in config.folders.values() {
        let path = folder.path.clone();
        let asked = Calls::of_process().ask(&folder.path, move || fstype::of_path(&path));
        let kind = match asked {
            Ok(Ok(kind)) => kind,
            // It is not there, or does not answer; that is said elsewhere.
            Ok(Err(_)) | Err(_) => FsKind::Local,
        };
        let called = format!("{}, {},", folder.name, folder.path.display());
        findings.extend(on_network(&called, folder.watch, kind));
    }
    findings.extend(config.folders.values().filter_map(|folder| hidden(folder)));
    findings.extend(folders(config));
    if let Some(why) = lookout::no_room(&config.ledger) {
        findings.push(Finding::new(Severity::Warning, why, ""));
    }
    findings
}

/// What the shipped unit hides can't be seen by hand.
fn hidden(folder: &Folder) -> Option<Finding> {
    let hidden = HiddenBy::of(&folder.path)?;
    let text = format!(
        "folder {}, {}, lies where the service can't see it",
        folder.name,
        folder.path.display()
    );
    Some(Finding::new(
        Severity::Note,
        text,
        hidden.remedy(&folder.path),
    ))
}

/// What hard links in the folders could carry out.
fn links(guarded: bool) -> Option<Finding> {
    (!guarded).then(|| {
        Finding::new(
            Severity::Warning,
            "this kernel lets users link files that they may not read: files with more than one name are not taken",
            "set `sysctl fs.protected_hardlinks=1`",
        )
    })
}

/// Events don't tell of what other machines do.
fn on_network(folder: &str, watch: WatchMode, kind: FsKind) -> Option<Finding> {
    let FsKind::Network(name) = kind else {
        return None;
    };
    match watch {
        WatchMode::Events => Some(Finding::new(
            Severity::Warning,
            format!(
                "folder {folder} is on {name}, whose events don't tell of other machines' files"
            ),
            "set its `watch`, which is \"events\", to \"auto\" or \"poll\"",
        )),
        WatchMode::Auto | WatchMode::Poll => Some(Finding::new(
            Severity::Note,
            format!("folder {folder} is on {name}: it is scanned every `poll_every`"),
            "",
        )),
    }
}

fn ledger_findings(path: &Path) -> Vec<Finding> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let finding = |severity, what: &str, remedy: &str| {
        let text = format!("the ledger's directory {} {what}", directory.display());
        vec![Finding::new(severity, text, remedy)]
    };
    let mut findings = match Machine.look(directory) {
        Look::Missing if directory == Path::new(STATE_DIRECTORY) => {
            return finding(
                Severity::Warning,
                "does not exist",
                "systemd makes it when the service starts (`StateDirectory=`); without systemd create it, owned by the daemon's user",
            );
        }
        Look::Missing => {
            return finding(
                Severity::Error,
                "does not exist",
                "create it, owned by the daemon's user, or change `daemon.ledger`",
            );
        }
        Look::Refused(why) => {
            return finding(
                Severity::Error,
                &format!("can't be looked at: {why}"),
                "let the daemon's user enter the directories above it",
            );
        }
        Look::NoAnswer => {
            return finding(
                Severity::Error,
                "does not answer: its file system hangs",
                "keep the ledger on a local disk",
            );
        }
        Look::NotADirectory => {
            return finding(
                Severity::Error,
                "is not a directory",
                "name a file in a directory in `daemon.ledger`",
            );
        }
        Look::Directory {
            writable: false, ..
        } => {
            return finding(
                Severity::Error,
                "can't be written by this user",
                "give it to the daemon's user, or run the check as that user; under systemd use `StateDirectory=` or name it in `ReadWritePaths=`",
            );
        }
        Look::Directory { .. } => Vec::new(),
    };
    if let Ok(FsKind::Network(name)) = fstype::of_path(directory) {
        findings.extend(finding(
            Severity::Warning,
            &format!("is on {name}: its write-ahead log needs memory shared with one machine"),
            "keep the ledger on a local disk",
        ));
    }
    findings.extend(content(path));
    findings
}

/// What the ledger and the machine know of the folders: whether one looks like
/// an empty mount point, or is watched by another process, too.
fn folders(config: &Config) -> Vec<Finding> {
    // Before the first start there is none.
    let ledger = Ledger::open_visitor(&config.ledger).ok();
    // A daemon that runs knows more of who else does.
    let asked = super::runtime().map(|runtime| {
        runtime.block_on(async {
            let Some(ledger) = ledger else {
                return Default::default();
            };
            let places = ledger.places().await.unwrap_or_default();
            (places, client::standing(&config.ledger).await.ok())
        })
    });
    let (places, live) = asked.unwrap_or_default();
    let live: BTreeMap<_, _> = live
        .into_iter()
        .flat_map(|standing| standing.folders)
        .map(|folder| (folder.folder, folder.shared))
        .collect();
    let seen = lookout::folders(config, places);
    let mut notes = Vec::new();
    let findings = seen.into_iter().flat_map(|(name, seen)| {
        if seen.may_not_sign {
            notes.push(unsigned(&name));
        }
        // The rest the configuration's own check has told.
        let offline = seen
            .offline
            .filter(|why| matches!(why, Offline::EmptyMountPoint | Offline::Replaced))
            .map(|why| {
                let folder = config.folders.get(&name);
                let path = folder.map(|folder| folder.path.display().to_string());
                let path = path.unwrap_or_default();
                format!("folder {name}, {path}, is off line: {why}")
            });
        let told = live.get(&name).cloned().flatten();
        let shared = told.or(seen.shared);
        let shared = shared.map(|why| format!("folder {name}: {why}"));
        offline.into_iter().chain(shared)
    });
    let mut findings: Vec<Finding> = findings
        .map(|text| Finding::new(Severity::Warning, text, ""))
        .collect();
    findings.extend(notes);
    findings
}

/// Nothing is amiss without a sign, but for what nobody then learns.
fn unsigned(name: &FolderName) -> Finding {
    Finding::new(
        Severity::Note,
        format!(
            "folder {name}: this user may not leave the file {} there: a daemon on another machine or in another container that watches the folder is not told of this one",
            owner_sign::NAME
        ),
        "grant the daemon's user write (w) on the folder, or set `owner_sign = false` for it",
    )
}

/// The ledger itself: whether a daemon can open it.
fn content(path: &Path) -> Option<Finding> {
    let note = |text: String| Some(Finding::new(Severity::Note, text, ""));
    let signs = ledger::signs_of_a_lost_ledger(path);
    if !signs.is_empty() {
        let path = path.to_owned();
        let lost = LedgerError::Lost { path, signs };
        return Some(Finding::new(Severity::Error, lost.to_string(), ""));
    }
    match Ledger::open_visitor(path) {
        Ok(_) => match ledger::is_owned(path) {
            Ok(true) => note(format!(
                "a daemon works on the ledger {} now",
                path.display()
            )),
            _ => None,
        },
        Err(LedgerError::Missing(path)) => note(format!(
            "the ledger {} is not there yet: the daemon makes it",
            path.display()
        )),
        Err(LedgerError::Older { path, found: 0, .. }) => note(format!(
            "the ledger {} is empty: the daemon makes it one",
            path.display()
        )),
        Err(LedgerError::Older { path, found, known }) => note(format!(
            "the ledger {} has schema {found}: the daemon brings it up to {known} when it starts",
            path.display()
        )),
        // Another program has it open for longer; a start would wait, too.
        Err(error) if error.is_passing() && !matches!(error, LedgerError::ReadOnly { .. }) => {
            Some(Finding::new(Severity::Warning, error.to_string(), ""))
        }
        Err(error) => Some(Finding::new(Severity::Error, error.to_string(), "")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_folder_is_warned_of_only_where_events_are_demanded() {
        let nfs = FsKind::Network("NFS");
        let severity = |watch| on_network("f", watch, nfs).unwrap().severity;
        assert_eq!(severity(WatchMode::Events), Severity::Warning);
        assert_eq!(severity(WatchMode::Auto), Severity::Note);
        assert!(on_network("f", WatchMode::Events, FsKind::Local).is_none());
    }

    #[test]
    fn the_ledgers_directory_must_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| {
            let found = ledger_findings(path).remove(0);
            (found.severity, found.text)
        };
        let (severity, text) = said(&dir.path().join("no/ledger"));
        assert_eq!(severity, Severity::Error);
        assert!(text.contains("does not exist"), "{text}");
        std::fs::write(dir.path().join("file"), "").unwrap();
        let (_, text) = said(&dir.path().join("file/ledger"));
        assert!(text.contains("is not a directory"), "{text}");
        let (severity, text) = said(&dir.path().join("ledger"));
        assert_eq!(severity, Severity::Note);
        assert!(text.contains("not there yet"), "{text}");
        let (severity, text) = said(&dir.path().join("file"));
        assert_eq!(severity, Severity::Note);
        assert!(text.contains("is empty"), "{text}");
        std::fs::write(dir.path().join("file"), "a letter, and no ledger").unwrap();
        let (severity, text) = said(&dir.path().join("file"));
        assert_eq!(severity, Severity::Error, "{text}");
    }
}
