//! Which files of a folder are being written, as its events tell.
//!
//! An unprivileged watcher is told of each creation, opening, write and close
//! of any user's file in a watched directory. So a file that was created and
//! opened, or written to, and not closed since, is being written. What is known
//! is positive only: a file that no event told of, or that was renamed in from
//! where nothing is heard, is [`Heard::Unknown`], and so is everything when
//! events were lost or a new source of events begins.
//!
//! The opening of a reader is the same event as that of a writer, and the close
//! of a reader is none (notify does not subscribe to it). So an opening counts
//! only where it follows a creation: that is a writer. A hard link is created
//! and not opened; to not take our own look at one for a writer, a file that is
//! looked at before it was opened is forgotten ([`Probe::heard`]).
//!
//! What it can't tell: who opened a file before its directory was watched; that
//! a second writer has it open, before that one writes; a memory map that is
//! written to; a file that is opened by a name of its own outside the folder. A
//! file that was cut by its path (`truncate(2)`) looks as if it were being
//! written.
//!
//! Must not: look at a file, or grow beyond [`MOST`] files and [`MOST_BYTES`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::domain::time::Timestamp;
use crate::domain::writers::{Heard, Writing};

/// Files that something is known of, at most; of what is beyond, nothing is.
const MOST: usize = 20_000;

/// Bytes of their paths, at most.
const MOST_BYTES: usize = 4 << 20;

/// An event of one path, as far as it says something of writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A file's name appeared: it was created, or linked.
    Created,
    /// A program opened it, to read or to write.
    Opened,
    /// It was written to.
    Written,
    /// A program that could write closed it.
    ClosedByWriter,
    /// The name, of a file or a directory, was renamed away; both ends of one
    /// rename bear the same number.
    RenamedFrom(usize),
    /// The name appeared by a rename.
    RenamedTo(usize),
    /// The name, of a file or a directory, was removed.
    Removed,
}

/// When an event came.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// By the monotonic clock.
    pub instant: Instant,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// One source of events. What comes from an earlier one counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(u64);

/// What is known of a folder's files.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    source: u64,
    files: BTreeMap<Vec<u8>, Entry>,
    bytes: usize,
    /// How many of them are closed.
    closed: usize,
    /// What was renamed away, until it is told where to.
    moving: Option<Moving>,
}

#[derive(Debug)]
struct Moving {
    number: usize,
    from: Vec<u8>,
    files: Vec<(Vec<u8>, Entry)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    /// Since when it is written.
    since: Timestamp,
    last: Instant,
    /// It was closed since the last sweep.
    young: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its name appeared. A hard link stays like this.
    Named,
    /// It was opened after that, and not written to yet.
    Begun,
    /// It was written to and not closed.
    Written,
    /// It was closed.
    Closed,
}

impl Probe {
    /// A new source of events: all that was known is void. Also to be called
    /// when a source ends.
    pub fn begin(&self) -> Source {
        let mut table = self.table();
        *table = Table {
            source: table.source + 1,
            ..Table::default()
        };
        Source(table.source)
    }

    /// Events of this source were lost: all that was known is void.
    pub fn lost(&self, source: Source) {
        let mut table = self.table();
        if table.source == source.0 {
            *table = Table {
                source: source.0,
                ..Table::default()
            };
        }
    }

    /// Takes an event in.
    pub fn hear(&self, source: Source, rel: &[u8], told: Told, at: At) {
        let mut table = self.table();
        if table.source == source.0 {
            table.hear(rel, told, at);
        }
    }

    /// What is known of one file, which is going to be opened for a look.
    pub fn heard(&self, rel: &[u8], now: Instant) -> Heard {
        let mut table = self.table();
        let Some(entry) = table.files.get(rel) else {
            return Heard::Unknown;
        };
        if entry.state == State::Named {
            table.remove(rel);
            return Heard::Unknown;
        }
        entry.heard(now)
    }

    /// The files that are being written, and since when; at most `most` of
    /// those that `wanted` lets through, by their paths.
    pub fn written(
        &self,
        most: usize,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Vec<(Vec<u8>, Timestamp)> {
        self.table()
            .files
            .iter()
            .filter(|(path, entry)| entry.is_written() && wanted(path))
            .map(|(path, entry)| (path.clone(), entry.since))
            .take(most)
            .collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change leaves a whole table.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_written(&self) -> bool {
        matches!(self.state, State::Begun | State::Written)
    }

    fn heard(&self, now: Instant) -> Heard {
        match self.state {
            State::Begun | State::Written => Heard::Writing(Writing {
                since: self.since,
                still: now.saturating_duration_since(self.last),
            }),
            State::Closed => Heard::Closed,
            State::Named => Heard::Unknown,
        }
    }
}

impl Table {
    fn hear(&mut self, rel: &[u8], told: Told, at: At) {
        match told {
            Told::Created => self.put(rel, Entry::new(State::Named, at)),
            Told::Opened => {
                self.change(rel, |entry| {
                    if entry.state == State::Named {
                        *entry = Entry::new(State::Begun, at);
                    }
                });
            }
            Told::Written => {
                let since = match self.files.get(rel) {
                    Some(entry) if entry.is_written() => entry.since,
                    _ => at.wall,
                };
                let entry = Entry {
                    since,
                    ..Entry::new(State::Written, at)
                };
                self.change_or_put(rel, entry);
            }
            Told::ClosedByWriter => self.change_or_put(rel, Entry::new(State::Closed, at)),
            Told::RenamedFrom(number) => {
                let files = self.take(rel);
                self.moving = Some(Moving {
                    number,
                    from: rel.to_vec(),
                    files,
                });
            }
            Told::RenamedTo(number) => self.renamed_to(rel, number),
            Told::Removed => drop(self.take(rel)),
        }
    }

    fn renamed_to(&mut self, rel: &[u8], number: usize) {
        self.take(rel);
        let Some(moving) = self.moving.take_if(|moving| moving.number == number) else {
            return;
        };
        for (path, entry) in moving.files {
            let below = &path[moving.from.len()..];
            // A directory that is moved is not heard until it is watched under
            // its new path: what was closed may have been opened meanwhile.
            if below.is_empty() || entry.is_written() {
                self.put(&[rel, below].concat(), entry);
            }
        }
    }

    /// Changes what is known of a file; `false`: nothing is.
    fn change(&mut self, rel: &[u8], how: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.files.get_mut(rel) else {
            return false;
        };
        let before = entry.state == State::Closed;
        how(entry);
        match (before, entry.state == State::Closed) {
            (false, true) => self.closed += 1,
            (true, false) => self.closed -= 1,
            _ => {}
        }
        true
    }

    fn change_or_put(&mut self, rel: &[u8], now: Entry) {
        if !self.change(rel, |entry| *entry = now) {
            self.put(rel, now);
        }
    }

    /// Replaces what is known of a file, if there is room.
    fn put(&mut self, rel: &[u8], entry: Entry) {
        self.remove(rel);
        let full =
            |table: &Table| table.files.len() >= MOST || table.bytes + rel.len() > MOST_BYTES;
        // What is being written is kept, and only closed files make room: a
        // sweep is worth its while where many of these are.
        if full(self) && self.closed > self.files.len() / 4 {
            self.sweep();
        }
        if full(self) {
            return;
        }
        self.bytes += rel.len();
        self.closed += usize::from(entry.state == State::Closed);
        self.files.insert(rel.to_vec(), entry);
    }

    /// Forgets the files that were closed before the last sweep.
    fn sweep(&mut self) {
        let (mut bytes, mut closed) = (0, 0);
        self.files.retain(|path, entry| {
            let stays = entry.state != State::Closed || std::mem::take(&mut entry.young);
            if stays {
                bytes += path.len();
                closed += usize::from(entry.state == State::Closed);
            }
            stays
        });
        (self.bytes, self.closed) = (bytes, closed);
    }

    fn remove(&mut self, rel: &[u8]) -> Option<Entry> {
        let entry = self.files.remove(rel)?;
        self.bytes -= rel.len();
        self.closed -= usize::from(entry.state == State::Closed);
        Some(entry)
    }

    /// Takes out what is known of a file, and of all files below it if it is a
    /// directory.
    fn take(&mut self, rel: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let mut taken = Vec::new();
        if let Some(entry) = self.remove(rel) {
            taken.push((rel.to_vec(), entry));
        }
        let below = [rel, b"/"].concat();
        while let Some(path) = self
            .files
            .range(below.clone()..)
            .next()
            .map(|(path, _)| path.clone())
            .filter(|path| path.starts_with(&below))
        {
            if let Some(entry) = self.remove(&path) {
                taken.push((path, entry));
            }
        }
        taken
    }
}

impl Entry {
    fn new(state: State, at: At) -> Entry {
        Entry {
            state,
            since: at.wall,
            last: at.instant,
            young: true,
        }
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
