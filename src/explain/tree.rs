//! What is below a directory: the daemon's own walk, counted.
//!
//! Must not: open a file, or look at more than a bounded number of them.

use std::time::{Duration, Instant};

use super::facts::Tree;
use crate::domain::ids::FolderName;
use crate::domain::version::FileVersion;
use crate::ledger::{Ledger, LedgerError};
use crate::watch::NotTaken;
use crate::watch::root::RootHandle;
use crate::watch::rules::TakeRules;
use crate::watch::scan::{Go, Visit, walk};

/// Files that are looked at, at most.
pub const MOST: usize = 50_000;

/// How long is looked, at most: a network file system may take its time.
pub const LONGEST: Duration = Duration::from_secs(20);

/// Versions that the ledger is asked about at a time.
const BATCH: usize = 1_000;

struct Count {
    tree: Tree,
    versions: Vec<FileVersion>,
    began: Instant,
}

impl Count {
    fn on(&self) -> Go {
        if self.versions.len() < MOST && self.began.elapsed() < LONGEST {
            Go::On
        } else {
            Go::Stop
        }
    }
}

impl Visit for Count {
    fn enter(&mut self, _: &[u8]) -> Go {
        self.on()
    }

    fn file(&mut self, version: FileVersion) -> Go {
        self.versions.push(version);
        self.on()
    }

    fn not_taken(&mut self, rel: &[u8], why: &NotTaken) {
        let refused = &mut self.tree.refused;
        let (count, _) = refused
            .entry(why.to_string())
            .or_insert_with(|| (0, rel.to_vec()));
        *count += 1;
    }
}

/// Walks the directory at `start`. Blocks.
pub fn look(root: &RootHandle, rules: &TakeRules, start: &[u8]) -> (Tree, Vec<FileVersion>) {
    let mut count = Count {
        tree: Tree::default(),
        versions: Vec::new(),
        began: Instant::now(),
    };
    let report = walk(root, rules, start, &mut count);
    count.tree.dirs = report.dirs;
    count.tree.complete = report.complete;
    (count.tree, count.versions)
}

/// Asks the ledger about what was found.
///
/// # Errors
/// When it can't be read.
pub async fn ask(
    tree: &mut Tree,
    versions: Vec<FileVersion>,
    folder: &FolderName,
    ledger: Option<&Ledger>,
) -> Result<(), LedgerError> {
    let Some(ledger) = ledger else {
        tree.unknown = u64::try_from(versions.len()).unwrap_or(u64::MAX);
        return Ok(());
    };
    for batch in versions.chunks(BATCH) {
        for state in ledger.states_of(folder.clone(), batch.to_vec()).await? {
            match state {
                Some((state, resolved)) => {
                    *tree.states.entry(state).or_insert(0) += 1;
                    tree.attention += u64::from(state.needs_attention() && !resolved);
                }
                None => tree.unknown += 1,
            }
        }
    }
    Ok(())
}
