//! The walk over a folder: what events can't promise, it finds.
//!
//! A directory is opened, then watched, then listed, in this order: what
//! appears before the watch is listed, what appears after it sends an event.
//! Nothing is kept of what was listed, so a million names in one directory cost
//! no more memory than ten; what is kept is one open listing for each level of
//! depth, and below `MAX_STREAMS` levels, where open files would run out, the
//! names of the subfolders of the directories on the way. There the directory
//! that was listed last stays open, and its neighbours are opened from it: from
//! the folder's root 8,000 nested directories would take 32 million steps.
//!
//! One directory that can't be read is noted, and the walk goes on.
//!
//! Must not: follow a link, leave the mount where that is forbidden, or
//! remember what it saw the last time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType};

use super::not_taken::NotTaken;
use super::root::{Found, Identity, RootHandle};
use super::rules::TakeRules;
use crate::domain::version::FileVersion;

/// Levels of depth that are held open while walking.
const MAX_STREAMS: usize = 64;

/// Examples of what went wrong that a report keeps.
const MAX_EXAMPLES: usize = 4;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// On.
    On,
    /// No further.
    Stop,
}

/// Who is told what a walk finds.
pub trait Visit {
    /// A directory was opened and will now be listed; empty: the folder.
    fn enter(&mut self, rel: &[u8]) -> Go;

    /// A file that may be taken.
    fn file(&mut self, version: FileVersion) -> Go;

    /// A name that is not taken, or could not be looked at, and why.
    fn not_taken(&mut self, _rel: &[u8], _why: &NotTaken) {}

    /// Whether files are of interest; if not, only directories are looked at.
    fn wants_files(&self) -> bool {
        true
    }
}

/// What a walk came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalkReport {
    /// Files that may be taken.
    pub files: u64,
    /// Directories that were listed.
    pub dirs: u64,
    /// Names that are not taken, by name or by what they are.
    pub skipped: u64,
    /// Directories or files that could not be looked at.
    pub troubles: u64,
    /// The first few of those.
    pub examples: Vec<(Vec<u8>, NotTaken)>,
    /// Whether something passing was among them, so that another walk is worth
    /// its while.
    pub hindered: bool,
    /// Whether it came to its end.
    pub complete: bool,
}

impl WalkReport {
    /// Adds what went wrong at a path.
    pub(crate) fn trouble(&mut self, rel: &[u8], why: NotTaken) {
        self.troubles += 1;
        self.hindered |= why.is_passing();
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push((rel.to_vec(), why));
        }
    }

    fn not_taken(&mut self, rel: &[u8], why: NotTaken) {
        match why {
            // Deleted between listing and look: nothing to tell.
            NotTaken::Gone => {}
            NotTaken::NoRight | NotTaken::Io { .. } | NotTaken::Offline(_) => {
                self.trouble(rel, why);
            }
            _ => self.skipped += 1,
        }
    }
}

/// Where the subfolders of a level come from.
enum Level {
    /// Straight from the listing.
    Stream(Dir),
    /// From the names that were left when the listing was closed, and what the
    /// directory is recognised by.
    Names(Vec<Vec<u8>>, Option<Identity>),
}

/// What the next step of a level found.
enum Next {
    /// A subfolder, opened.
    Down(Level),
    /// Nothing more here.
    Up,
    /// The visitor has enough.
    Stop,
}

/// Walks the folder, or the part of it below `start` (empty: all of it).
pub fn walk(
    root: &RootHandle,
    rules: &TakeRules,
    start: &[u8],
    visit: &mut impl Visit,
) -> WalkReport {
    let mut walk = Walk {
        root,
        rules,
        visit,
        path: start.to_vec(),
        report: WalkReport::default(),
        last: None,
    };
    let mut lengths = vec![walk.path.len()];
    let mut levels = match walk.open_level(None, 0) {
        Next::Down(level) => vec![level],
        Next::Up => {
            walk.report.complete = true;
            return walk.report;
        }
        Next::Stop => return walk.report,
    };
    while let Some(level) = levels.last_mut() {
        let depth = lengths.len();
        match walk.step(level, depth) {
            Next::Down(below) => {
                levels.push(below);
                lengths.push(walk.path.len());
            }
            Next::Up => {
                levels.pop();
                lengths.pop();
                walk.path.truncate(lengths.last().copied().unwrap_or(0));
            }
            Next::Stop => return walk.report,
        }
    }
    walk.report.complete = true;
    walk.report
}

struct Walk<'a, V> {
    root: &'a RootHandle,
    rules: &'a TakeRules,
    visit: &'a mut V,
    /// The directory, or the name in it, that is being looked at.
    path: Vec<u8>,
    report: WalkReport,
    /// The directory that was listed last of those whose listing is closed, and
    /// its level.
    last: Option<(usize, OwnedFd)>,
}

impl<V: Visit> Walk<'_, V> {
    /// Goes on in one directory until a subfolder comes.
    fn step(&mut self, level: &mut Level, depth: usize) -> Next {
        let base = self.path.len();
        loop {
            self.path.truncate(base);
            let next = match level {
                Level::Names(names, of) => match names.pop() {
                    Some(name) => {
                        let parent = of.and_then(|of| self.come_back(depth - 1, of));
                        push(&mut self.path, &name);
                        let next = self.open_level(parent.as_ref().map(AsFd::as_fd), depth);
                        if self.last.is_none() {
                            self.last = parent.map(|dir| (depth - 1, dir));
                        }
                        next
                    }
                    None => return Next::Up,
                },
                Level::Stream(dir) => match self.entry(dir) {
                    Entry::Subfolder => self.open_level(dir.fd().ok(), depth),
                    Entry::Nothing => continue,
                    Entry::End => {
                        self.path.truncate(base);
                        return Next::Up;
                    }
                    Entry::Stop => return Next::Stop,
                },
            };
            match next {
                Next::Up => {}
                down_or_stop => return down_or_stop,
            }
        }
    }

    /// Reads one entry; its path is left in `self.path`.
    fn entry(&mut self, dir: &mut Dir) -> Entry {
        let entry = match dir.read() {
            None => return Entry::End,
            Some(Ok(entry)) => entry,
            Some(Err(e)) => {
                self.not_taken(NotTaken::from_errno(e));
                return Entry::End;
            }
        };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            return Entry::Nothing;
        }
        push(&mut self.path, name);
        let result = self.judge(dir, name, entry.file_type());
        match result {
            Ok(entry) => entry,
            Err(why) => {
                self.not_taken(why);
                Entry::Nothing
            }
        }
    }

    fn judge(&mut self, dir: &Dir, name: &[u8], kind: FileType) -> Result<Entry, NotTaken> {
        match kind {
            FileType::Directory => return self.subfolder(),
            FileType::RegularFile | FileType::Unknown => {}
            kind => return Err(NotTaken::by_kind(kind)),
        }
        if kind == FileType::RegularFile {
            if !self.visit.wants_files() {
                return Ok(Entry::Nothing);
            }
            // Before the look: a name that is not taken costs no system call.
            self.rules.taken_in_walked(&self.path)?;
        }
        let fd = dir.fd().map_err(NotTaken::from_errno)?;
        match self.root.find_at(fd.as_fd(), name, &self.path)? {
            Found::Directory => self.subfolder(),
            Found::File(version) => {
                self.rules.taken_in_walked(&self.path)?;
                self.report.files += 1;
                Ok(match self.visit.file(version) {
                    Go::On => Entry::Nothing,
                    Go::Stop => Entry::Stop,
                })
            }
        }
    }

    fn subfolder(&self) -> Result<Entry, NotTaken> {
        self.rules.walked_in_walked(&self.path)?;
        Ok(Entry::Subfolder)
    }

    /// Notes that what is at `self.path` is not taken.
    fn not_taken(&mut self, why: NotTaken) {
        self.visit.not_taken(&self.path, &why);
        self.report.not_taken(&self.path, why);
    }

    /// The directory of `level`, from the one that was listed last. `None`: it is
    /// not above that one any more, and is to be looked for from the root.
    fn come_back(&mut self, level: usize, of: Identity) -> Option<OwnedFd> {
        let (mut at, mut dir) = self.last.take()?;
        while at > level {
            dir = RootHandle::above(dir.as_fd())?;
            at -= 1;
        }
        (at == level && RootHandle::identity_of(dir.as_fd()) == Some(of)).then_some(dir)
    }

    /// Opens the directory at `self.path`, whose parent is open as `parent` or
    /// not. `Up`: it can't be, which is noted.
    fn open_level(&mut self, parent: Option<BorrowedFd<'_>>, depth: usize) -> Next {
        let name = self.path.rsplit(|b| *b == b'/').next().unwrap_or(b"");
        let opened = match parent {
            Some(fd) => self.root.list_at(fd, name),
            None => self.root.open_dir(&self.path),
        };
        let mut dir = match opened.and_then(|fd| Dir::new(fd).map_err(NotTaken::from_errno)) {
            Ok(dir) => dir,
            Err(why) => {
                self.not_taken(why);
                return Next::Up;
            }
        };
        self.report.dirs += 1;
        if self.visit.enter(&self.path) == Go::Stop {
            return Next::Stop;
        }
        if depth < MAX_STREAMS {
            return Next::Down(Level::Stream(dir));
        }
        let base = self.path.len();
        let mut names = Vec::new();
        loop {
            let entry = self.entry(&mut dir);
            match entry {
                Entry::Subfolder => {
                    let name = self.path.rsplit(|b| *b == b'/').next().unwrap_or(b"");
                    names.push(name.to_vec());
                }
                Entry::Nothing => {}
                Entry::End => break,
                Entry::Stop => return Next::Stop,
            }
            self.path.truncate(base);
        }
        self.path.truncate(base);
        let mut of = None;
        if !names.is_empty()
            && let Ok(fd) = dir.fd()
        {
            of = RootHandle::identity_of(fd);
            self.last = fd.try_clone_to_owned().ok().map(|fd| (depth, fd));
        }
        Next::Down(Level::Names(names, of))
    }
}

enum Entry {
    Subfolder,
    Nothing,
    End,
    Stop,
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
