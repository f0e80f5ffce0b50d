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
use crate::ledger::Count;

/// A folder with work that the configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub folder: FolderName,
    /// Files in the queue.
    pub queued: u64,
    /// Files on the wire or at the service.
    pub out: u64,
}

/// What can be done about it.
pub const REMEDY: &str = "put a [[folder]] of that name back and reload, and they go on; else they stay where they are (a folder under a new name is another one)";

/// The folders that `config` leaves behind, by name.
pub fn dropped(config: &Config, counts: &[Count]) -> Vec<Dropped> {
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
        write!(
            f,
            "folder {} is not in the configuration any more",
            self.folder
        )?;
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
