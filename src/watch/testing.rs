//! For the tests of this module: a folder on a real temporary directory.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::settings::{How, Watched};
use crate::domain::ids::FolderName;
use crate::domain::owner_sign::OwnerSign;

/// Globs as the configuration compiles them.
pub fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for p in patterns {
        set.add(GlobBuilder::new(p).literal_separator(true).build().unwrap());
    }
    set.build().unwrap()
}

/// A folder at `path`, changed as wished.
pub fn folder(path: &Path, change: impl FnOnce(&mut Watched)) -> Arc<Watched> {
    let mut folder = Watched {
        name: FolderName("inbox".to_owned()),
        path: path.to_owned(),
        recursive: true,
        include: None,
        exclude: GlobSet::empty(),
        exclude_by_default: true,
        temporary: GlobSet::empty(),
        temporary_by_default: true,
        how: How::Events,
        one_file_system: true,
        owner_sign: false,
        aside: vec![path.join("done"), path.join("rejected")],
    };
    change(&mut folder);
    Arc::new(folder)
}

/// The sign of a run on a ledger.
pub fn sign(ledger: &str, run: &str) -> OwnerSign {
    OwnerSign {
        ledger: ledger.to_owned(),
        run: run.to_owned(),
        host: format!("host-{run}"),
        pid: 7,
    }
}
