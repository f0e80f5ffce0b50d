//! What a configuration leaves behind: folders that it does not have any more,
//! and that the ledger has work of.
//!
//! Nothing of it is lost: what is queued stays in the queue, unsent, until a
//! folder of that name is back. Must not: end or change any of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::valid::Config;
use crate::domain::ids::FolderName;
use crate::domain::state::StateKind;
use crate::ledger::{Count, Places};

/// A folder with work that the configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub folder: FolderName,
    /// Files in the queue.
    pub queued: u64,
    /// Files on the wire or at the service.
    pub out: u64,
    /// The folder of the configuration that has its directory now: it was renamed.
    pub renamed_to: Option<FolderName>,
}

impl Dropped {
    /// What can be done about it.
    pub fn remedy(&self) -> String {
        let name = &self.folder;
        match &self.renamed_to {
            None => "put a [[folder]] of that name back and reload, and they go on; else they stay where they are".to_owned(),
            Some(to) => format!(
                "give the folder {to} its former name {name} back and reload, and they go on: the ledger knows files by the name of their folder. As {to} it begins anew: what lies there is queued again, and what was sent before ends as a duplicate by its content"
            ),
        }
    }
}

/// The folder of the configuration that has the directory of the former `name`.
pub fn renamed_to(config: &Config, places: &Places, name: &FolderName) -> Option<FolderName> {
    let was = places.get(name)?;
    let same = |path: &std::path::Path| path.as_os_str().as_encoded_bytes() == was.path;
    let now = config.folders.values().find(|folder| same(&folder.path))?;
    Some(now.name.clone())
}

/// The folders that `config` leaves behind, by name.
pub fn dropped(config: &Config, counts: &[Count], places: &Places) -> Vec<Dropped> {
    let mut found: BTreeMap<&FolderName, Dropped> = BTreeMap::new();
    for count in counts {
        if config.folders.contains_key(&count.folder) || count.state.is_final() || count.files == 0
        {
            continue;
        }
        let of = found.entry(&count.folder).or_insert_with(|| Dropped {
            folder: count.folder.clone(),
            queued: 0,
            out: 0,
            renamed_to: renamed_to(config, places, &count.folder),
        });
        match count.state {
            StateKind::Queued => of.queued += count.files,
            _ => of.out += count.files,
        }
    }
    found.into_values().collect()
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = |n: u64| {
            if n == 1 {
                "1 file".to_owned()
            } else {
                format!("{n} files")
            }
        };
        match &self.renamed_to {
            None => write!(
                f,
                "folder {} is not in the configuration any more",
                self.folder
            )?,
            Some(to) => write!(f, "folder {} is called {to} now", self.folder)?,
        }
        if self.queued > 0 {
            let is = if self.queued == 1 { "is" } else { "are" };
            let files = files(self.queued);
            write!(f, ": {files} of it in the queue {is} kept, and not sent")?;
        }
        if self.out > 0 {
            let files = files(self.out);
            write!(
                f,
                ": {files} of it at the service, followed while the dataset is configured"
            )?;
        }
        Ok(())
    }
}
