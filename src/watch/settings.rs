//! What a watch needs to know of its folder, and no more than that. Whoever
//! starts the watch fills it in; where the values come from is not known here.
//!
//! Must not: hold what becomes of a file after it was sighted (its import, its
//! tries, its end).

use std::path::PathBuf;

use globset::GlobSet;

use crate::domain::ids::FolderName;

/// A folder that is to be watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name: sightings and log lines carry it.
    pub name: FolderName,
    /// Absolute.
    pub path: PathBuf,
    /// Whether subfolders belong to it.
    pub recursive: bool,
    /// What is taken; matches paths relative to the folder. `None`: everything.
    pub include: Option<GlobSet>,
    /// What is not, and which subfolders are not walked, beside the default list.
    pub exclude: GlobSet,
    /// The default list of excluded names is in force.
    pub exclude_by_default: bool,
    /// Names of files that are still being written, beside the default list.
    pub temporary: GlobSet,
    /// The default list of temporary names is in force.
    pub temporary_by_default: bool,
    /// How it is watched.
    pub how: How,
    /// Files on other mounts below it are not taken.
    pub one_file_system: bool,
    /// A sign for other daemons is left in the folder.
    pub owner_sign: bool,
    /// Directories that finished files are put into: absolute, and not looked
    /// into where they lie inside the folder.
    pub aside: Vec<PathBuf>,
}

/// How a folder is to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Events on a local file system, scans on a network one.
    Auto,
    /// Events, and scans now and then.
    Events,
    /// Scans only.
    Poll,
}
