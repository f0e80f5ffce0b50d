//! Files that need a person, told once for many: to people and to scripts.
//!
//! Must not: ask the ledger, or change a configuration.

use serde::{Deserialize, Serialize};

use crate::config::valid::Config;
use crate::domain::ids::FolderName;
use crate::domain::naming::shown;
use crate::domain::reasons::{Group, Groups, Reason, exclude_also};
use crate::domain::refusal::ReasonKind;
use crate::domain::state::StateKind;
use crate::ledger::FileRecord;

/// Files with the same reason.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    pub folder: FolderName,
    pub state: StateKind,
    pub reason_kind: Option<ReasonKind>,
    pub code: Option<String>,
    pub files: u64,
    pub bytes: u64,
    /// "9 × not a taken type: .csv, .xlsx".
    pub text: String,
    pub extensions: Vec<String>,
    /// The line of the folder's configuration that would end it.
    pub configuration: Option<String>,
    pub newest: Newest,
}

/// The file of a group that changed last.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Newest {
    pub id: i64,
    pub file: String,
}

/// What a file is counted under.
pub fn groups(config: &Config, files: &[FileRecord]) -> Vec<GroupView> {
    let mut groups = Groups::default();
    for file in files {
        let (path, size) = (&file.version.path, file.version.size);
        groups.add(&file.folder, file.id, path, size, &file.state);
    }
    let all = groups.by_size().into_iter();
    all.map(|(reason, group)| GroupView::of(config, &reason, &group))
        .collect()
}

impl GroupView {
    fn of(config: &Config, reason: &Reason, group: &Group) -> GroupView {
        let folder = config.folders.get(&reason.folder);
        let patterns = folder.map(|folder| {
            let patterns = group.patterns(reason, &folder.types);
            (&folder.patterns.exclude_also, patterns)
        });
        let configuration = patterns
            .filter(|(_, patterns)| !patterns.is_empty())
            .map(|(has, patterns)| exclude_also(has, &patterns));
        let newest = group.newest.as_ref();
        GroupView {
            folder: reason.folder.clone(),
            state: reason.state,
            reason_kind: reason.kind,
            code: reason.code.as_ref().map(ToString::to_string),
            files: group.files,
            bytes: group.bytes,
            text: group.line(reason),
            extensions: group.extensions.iter().cloned().collect(),
            configuration,
            newest: Newest {
                id: newest.map_or(0, |(id, _)| id.0),
                file: newest.map(|(_, path)| shown(path)).unwrap_or_default(),
            },
        }
    }

    /// Whether a file is one of them.
    pub fn has(&self, file: &FileRecord) -> bool {
        let mut alone = Groups::default();
        let (path, size) = (&file.version.path, file.version.size);
        alone.add(&file.folder, file.id, path, size, &file.state);
        alone.by_size().first().is_some_and(|(reason, _)| {
            reason.folder == self.folder
                && reason.state == self.state
                && reason.kind == self.reason_kind
                && reason.code.as_ref().map(ToString::to_string) == self.code
        })
    }
}
