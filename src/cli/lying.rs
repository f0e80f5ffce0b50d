//! Whether the file that a row is about still lies in its folder, now.
//!
//! Must not: open a file, or take an unreachable folder for an empty one.

use std::collections::BTreeMap;

use crate::config::valid::Config;
use crate::domain::ids::FolderName;
use crate::ledger::FileRecord;
use crate::watch::{FolderRoot, NotTaken};

/// What a look says about the source of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This very version lies there: without its row it is a new file.
    There,
    /// It does not.
    NotThere,
    /// Its folder is not in the configuration: nothing takes it.
    Unwatched,
    /// It can't be told, for this reason.
    Unknown(String),
}

/// Looks into the folders; each is opened once.
pub struct Looker<'a> {
    config: &'a Config,
    roots: BTreeMap<FolderName, FolderRoot>,
}

impl<'a> Looker<'a> {
    /// Of the folders of a configuration.
    pub fn new(config: &'a Config) -> Looker<'a> {
        Looker {
            config,
            roots: BTreeMap::new(),
        }
    }

    /// Looks for a row's source.
    pub fn look(&mut self, file: &FileRecord) -> Source {
        let Some(folder) = self.config.folders.get(&file.folder) else {
            return Source::Unwatched;
        };
        let root = self
            .roots
            .entry(file.folder.clone())
            .or_insert_with(|| FolderRoot::new(folder.path.clone(), folder.one_file_system));
        match root.look(&file.version.path) {
            Ok(now) if now == file.version => Source::There,
            Ok(_) | Err(NotTaken::Gone) => Source::NotThere,
            Err(why @ (NotTaken::NoRight | NotTaken::Offline(_) | NotTaken::Io { .. })) => {
                Source::Unknown(why.to_string())
            }
            // A link or a directory is in its place.
            Err(_) => Source::NotThere,
        }
    }
}
