//! What is so about a path: collected by `gather`, judged by `decide`.
//!
//! Must not: hold an opinion, or a handle on anything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::starting::Starting;
use crate::domain::admit::Gates;
use crate::domain::answer::Code;
use crate::domain::halt::Halts;
use crate::domain::ids::{DatasetName, FileId, FolderName, TaskId};
use crate::domain::media::Media;
use crate::domain::refusal::Refusal;
use crate::domain::resolution::Resolved;
use crate::domain::settle::{Openness, WaitReason};
use crate::domain::state::{State, StateKind};
use crate::domain::time::Timestamp;
use crate::domain::version::FileVersion;
use crate::domain::waiting::{Ahead, Pace};
use crate::ledger::SourceEnd;
use crate::watch::{NotTaken, Offline};

/// Everything.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The path, in full; bytes of strangers.
    pub path: Vec<u8>,
    /// When it was looked at.
    pub now: Timestamp,
    /// Whether a daemon works on the ledger; `None`: it can't be told.
    pub running: Option<bool>,
    /// How a daemon is started here.
    pub starting: Starting,
    /// The user that the daemon is, as far as it can be told.
    pub user: Option<String>,
    /// Why the running daemon can't reach the folder, in its own words.
    pub daemon_offline: Option<String>,
    /// Since when, as it says.
    pub offline_since: Option<Timestamp>,
    /// Why nothing can be recorded.
    pub stopped: Option<String>,
    /// How fast files go, as the running daemon says.
    pub pace: Option<Pace>,
    /// All gates that are not plainly open.
    pub gates: Arc<Gates>,
    /// What operators have paused.
    pub halts: Arc<Halts>,
    /// Where it is.
    pub place: Place,
}

/// What a running daemon says, where one was asked.
#[derive(Debug, Clone, Default)]
pub struct DaemonSays {
    /// Why it can't reach the folder.
    pub offline: Option<String>,
    /// Since when.
    pub offline_since: Option<Timestamp>,
    /// Why nothing can be recorded.
    pub stopped: Option<String>,
    /// How fast files go.
    pub pace: Option<Pace>,
}

/// Where a path is, as the configuration sees it.
#[derive(Debug, Clone)]
pub enum Place {
    /// In no drop folder.
    Outside {
        /// Whether anything is there.
        exists: bool,
        /// The folders that are nearest, nearest first.
        near: Vec<(FolderName, PathBuf)>,
    },
    /// In a folder that the configuration does not have any more.
    Dropped {
        /// The folder.
        folder: FolderName,
        /// The latest version that the ledger has.
        known: Box<Known>,
        /// The folder of the configuration that has its directory now.
        renamed_to: Option<FolderName>,
    },
    /// A file, or what should be one, in a folder.
    File(Box<FileFacts>),
    /// A directory in a folder, or the folder itself.
    Directory(Box<DirFacts>),
}

/// The folder that a path is in.
#[derive(Debug, Clone)]
pub struct InFolder {
    /// Its name.
    pub name: FolderName,
    /// Where it is.
    pub path: PathBuf,
    /// Where its files go.
    pub dataset: DatasetName,
    /// The path in it; empty: the folder itself.
    pub rel: Vec<u8>,
    /// Whether it is there, and can be read by whoever asks.
    pub reachable: Result<(), Offline>,
    /// What the names on the way say.
    pub by_name: Result<(), ByName>,
}

/// A name that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByName {
    /// The part of the path that is refused.
    pub at: Vec<u8>,
    /// Why.
    pub why: NotTaken,
    /// The pattern of `exclude` that it matches; all of `include`, where it
    /// matches none.
    pub patterns: Vec<String>,
}

/// A file.
#[derive(Debug, Clone)]
pub struct FileFacts {
    /// Its folder.
    pub folder: InFolder,
    /// What is there now.
    pub there: Result<There, Hindered>,
    /// The versions that the ledger has, latest first.
    pub known: Vec<Known>,
    /// Nothing has this temporary name any more, and the name that it leads to
    /// is there, or in the ledger.
    pub renamed_to: Option<Vec<u8>>,
}

/// Something on the way that is not to be walked, or the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindered {
    /// The part of the path.
    pub at: Vec<u8>,
    /// Why.
    pub why: NotTaken,
}

/// A regular file.
#[derive(Debug, Clone)]
pub struct There {
    /// What it is recognised by.
    pub version: FileVersion,
    /// Whether whoever asks can read it, and what it looks like inside.
    pub opened: Result<Opened, NotTaken>,
    /// Whether the daemon's user can.
    pub daemon_may: DaemonMay,
}

/// Whether the daemon's user may read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaemonMay {
    /// Whoever asks is that user, so reading it has shown it.
    AsTried,
    /// It may, by the mode of the file and of the folders above it.
    Yes,
    /// It may not.
    No {
        /// The first path that stops it.
        at: Vec<u8>,
        /// What is missing there.
        needs: &'static str,
    },
    /// It can't be told, and why.
    Unknown(&'static str),
}

/// What an open file shows.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Whether a program has it open for writing, as the kernel says.
    pub open: Openness,
    /// Which programs have, as far as they can be seen.
    pub writers: Writers,
    /// How much longer it settles, as a scan would find it now; `None`: it is
    /// finished.
    pub settling: Option<(Duration, WaitReason)>,
    /// What it is.
    pub sorted: Result<Sorted, String>,
}

/// Programs that have a file open for writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writers {
    /// Those that were found.
    pub found: Vec<Writer>,
    /// Processes whose open files could not be looked at.
    pub unseen: u64,
}

/// A process that has a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Its number.
    pub pid: u32,
    /// Its command, as the kernel names it.
    pub command: String,
    /// Whose it is.
    pub user: String,
}

/// What a file is, by content, name and lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorted {
    /// What its bytes are, in words; `None`: it is too large to be looked into.
    pub content: Option<String>,
    /// What its name says.
    pub extension: Option<String>,
    /// Which import takes it, and under what name; or why none does.
    pub import: Result<(Media, String), Refusal>,
    /// Its end seems to be missing.
    pub incomplete: bool,
}

/// A version that the ledger has.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its number.
    pub id: FileId,
    /// What it is recognised by.
    pub version: FileVersion,
    /// Where it goes.
    pub dataset: DatasetName,
    /// Which import.
    pub media: Option<Media>,
    /// Where it is.
    pub state: State,
    /// When that became so.
    pub changed_at: Timestamp,
    /// What the service last said of it, and what can be done about that.
    pub last: Option<(Code, String, &'static str)>,
    /// It waits for `reimport_after`, or did.
    pub changes_often: bool,
    /// How it stopped needing a person, if it has.
    pub resolved: Option<Resolved>,
    /// It was sent again though an earlier body may have been taken.
    pub possible_duplicate: bool,
    /// What became of its source.
    pub source: Option<(SourceEnd, Option<Vec<u8>>)>,
    /// Files of its route that go before it.
    pub ahead: Option<Ahead>,
    /// The file whose content it shares, or that has replaced it.
    pub other: Option<Other>,
}

/// Another file that one depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its number.
    pub id: FileId,
    /// Where it is, as lists show it.
    pub listed: String,
    /// Its state.
    pub state: StateKind,
    /// Its task.
    pub task: Option<TaskId>,
}

/// A directory.
#[derive(Debug, Clone)]
pub struct DirFacts {
    /// Its folder.
    pub folder: InFolder,
    /// How the folder is watched, in words.
    pub watched: String,
    /// Why it can't be walked.
    pub hindered: Option<Hindered>,
    /// What is in it, and below.
    pub tree: Tree,
}

/// What is below a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Directories.
    pub dirs: u64,
    /// Files that the names let through, by their state in the ledger.
    pub states: BTreeMap<StateKind, u64>,
    /// Those of them that need a person.
    pub attention: u64,
    /// Files that the names let through, and the ledger does not have.
    pub unknown: u64,
    /// What is not taken, by the reason: how many, and the first.
    pub refused: BTreeMap<String, (u64, Vec<u8>)>,
    /// False: there is more than was looked at.
    pub complete: bool,
}
