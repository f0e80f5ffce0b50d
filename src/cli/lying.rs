//! Whether the file that a row is about still lies in its folder, now.
//!
//! Must not: open a file, or take an unreachable folder for an empty one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::valid::Config;
use crate::domain::ids::FolderName;
use crate::ledger::FileRecord;
use crate::limited::Calls;
use crate::watch::{FolderRoot, NotTaken, Offline};

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
    roots: BTreeMap<FolderName, Arc<FolderRoot>>,
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
        let new = || FolderRoot::new(folder.path.clone(), folder.one_file_system);
        let root = self.roots.entry(file.folder.clone());
        let root = Arc::clone(root.or_insert_with(|| Arc::new(new())));
        let path = file.version.path.clone();
        // Its file system may not answer.
        let looked = Calls::of_process().ask(&folder.path, move || root.look(&path));
        match looked.unwrap_or(Err(NotTaken::Offline(Offline::NotAnswering))) {
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
