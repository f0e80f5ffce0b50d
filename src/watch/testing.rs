//! For the tests of this module: a folder on a real temporary directory.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::config::valid::{Duplicates, Folder, WatchMode};
use crate::domain::backoff::Backoff;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};

/// Globs as the configuration compiles them.
pub fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for p in patterns {
        set.add(GlobBuilder::new(p).literal_separator(true).build().unwrap());
    }
    set.build().unwrap()
}

/// A folder at `path`, changed as wished.
pub fn folder(path: &Path, change: impl FnOnce(&mut Folder)) -> Arc<Folder> {
    let s = Duration::from_secs;
    let mut folder = Folder {
        name: FolderName("inbox".to_owned()),
        path: path.to_owned(),
        dataset: DatasetName("d".to_owned()),
        recursive: true,
        include: None,
        exclude: GlobSet::empty(),
        patterns: [Vec::new(), Vec::new()],
        watch: WatchMode::Events,
        one_file_system: true,
        max_size: 1 << 31,
        quiet: s(1),
        quiet_unsure: s(10),
        types: BTreeMap::new(),
        options: BTreeMap::new(),
        duplicates: Duplicates::Skip,
        policy: Arc::new(Policy {
            backoff: Backoff::new(s(1), s(9)).unwrap(),
            give_up_after: s(1),
            unconfirmed: OnUnconfirmed::Hold,
            resubmit_failed: 0,
            poll: PollPace {
                first: s(2),
                max: s(300),
            },
            quiet: s(1),
            after: AfterSuccess::Keep,
            on_reject: OnReject::Keep,
        }),
        done_dir: path.join("done"),
        rejected_dir: path.join("rejected"),
    };
    change(&mut folder);
    Arc::new(folder)
}
