//! The files that are settling: a bounded set, ordered by when each is to be
//! looked at next.
//!
//! Its owner (one task of the daemon) goes round: [`SettlingSet::sight`] what
//! the watch reports, take what is [`SettlingSet::due`], look at it (on a
//! blocking thread), and give the outcome back with [`SettlingSet::looked`] or
//! [`SettlingSet::forget`]. A file that is being looked at stays in the set, so
//! that what is sighted meanwhile is not lost, but is not due again until its
//! outcome is given back.
//!
//! When it is full, a sighting is refused and its folder is noted for another
//! scan: nothing is lost, it is found later. Best not to get there: while
//! [`SettlingSet::has_room`] says no, leave the scan's sightings in their
//! channel, where they hold the scan back.
//!
//! Must not: look at a file or a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Sighting;
use crate::domain::ids::FolderName;
use crate::domain::settle::{Decision, Look, SettleRules, Settling, WaitReason};

/// Files that settle at once, at most. About 10 MB.
pub const DEFAULT_CAPACITY: usize = 20_000;

/// A file that is settling: its folder and its path in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The folder.
    pub folder: FolderName,
    /// Relative to it.
    pub path: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    settling: Settling,
    /// When it is due, and its place among those of the same moment; `None`
    /// while it is being looked at.
    at: Option<(Duration, u64)>,
    /// It was sighted while it was being looked at.
    again: bool,
    reason: Option<WaitReason>,
}

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is new and due at once.
    New,
    /// It was settling already, and is due at once again.
    Known,
    /// There was no room; its folder will be scanned again.
    Refused,
}

/// The set.
#[derive(Debug)]
pub struct SettlingSet {
    capacity: usize,
    entries: HashMap<Arc<Key>, Entry>,
    /// How many of them each folder has.
    counts: BTreeMap<FolderName, u64>,
    queue: BTreeMap<(Duration, u64), Arc<Key>>,
    next: u64,
    refused: BTreeSet<FolderName>,
}

impl SettlingSet {
    /// An empty set that will hold up to `capacity` files.
    pub fn new(capacity: usize) -> SettlingSet {
        SettlingSet {
            capacity,
            entries: HashMap::new(),
            counts: BTreeMap::new(),
            queue: BTreeMap::new(),
            next: 0,
            refused: BTreeSet::new(),
        }
    }

    /// Takes a sighting in; the file is due for a look at once.
    pub fn sight(&mut self, sighting: Sighting, now: Duration) -> Taken {
        let Sighting {
            folder,
            how,
            version,
        } = sighting;
        let key = Key {
            folder,
            path: version.path.clone(),
        };
        if let Some((key, _)) = self.entries.get_key_value(&key) {
            let key = Arc::clone(key);
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.settling.sight(how, version, now);
                entry.again = entry.at.is_none();
                if entry.at.is_some() {
                    self.schedule(&key, now);
                }
            }
            return Taken::Known;
        }
        if self.entries.len() >= self.capacity {
            self.refused.insert(key.folder);
            return Taken::Refused;
        }
        let key = Arc::new(key);
        let entry = Entry {
            settling: Settling::new(how, version, now),
            at: None,
            again: false,
            reason: None,
        };
        match self.counts.get_mut(&key.folder) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(key.folder.clone(), 1)),
        }
        self.entries.insert(Arc::clone(&key), entry);
        self.schedule(&key, now);
        Taken::New
    }

    fn schedule(&mut self, key: &Arc<Key>, at: Duration) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if let Some(old) = entry.at.take() {
            self.queue.remove(&old);
        }
        let place = (at, self.next);
        self.next += 1;
        entry.at = Some(place);
        self.queue.insert(place, Arc::clone(key));
    }

    /// Takes up to `max` files that are due. Each must come back, through
    /// [`looked`](Self::looked) or [`forget`](Self::forget).
    pub fn due(&mut self, now: Duration, max: usize) -> Vec<Arc<Key>> {
        let mut out = Vec::new();
        while out.len() < max {
            let Some(first) = self.queue.first_entry() else {
                break;
            };
            if first.key().0 > now {
                break;
            }
            let key = first.remove();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.at = None;
                entry.again = false;
            }
            out.push(key);
        }
        out
    }

    /// When the next file is due; `None` if none waits.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the outcome of a look. On [`Decision::Finished`] the file is still
    /// in the set: hand it on, then [`forget`](Self::forget) it, or call
    /// [`looks_incomplete`](Self::looks_incomplete).
    ///
    /// `None`: it is not in the set (any more).
    pub fn looked(&mut self, key: &Arc<Key>, look: &Look, rules: &SettleRules) -> Option<Decision> {
        let entry = self.entries.get_mut(key)?;
        let decision = entry.settling.look(look, rules);
        if let Decision::Wait(until, reason) = decision {
            entry.reason = Some(reason);
            let at = if entry.again { look.now } else { until };
            self.schedule(key, at);
        }
        Some(decision)
    }

    /// It was finished, but its content looks cut off: see
    /// [`Settling::looks_incomplete`]. `true`: it waits on; `false`: it had its
    /// time, take it as it is and say so.
    pub fn looks_incomplete(&mut self, key: &Arc<Key>, now: Duration, patience: Duration) -> bool {
        let Some(entry) = self.entries.get_mut(key) else {
            return false;
        };
        let waits = entry.settling.looks_incomplete(now, patience);
        if waits {
            entry.reason = Some(WaitReason::Incomplete);
            // It is looked at when it may have been completed; `look` itself
            // says when that is.
            self.schedule(key, now);
        }
        waits
    }

    /// It could not be looked at, for a reason that says nothing of it
    /// ([`super::NotTaken::is_passing`]): it is due again at `until`.
    pub fn postpone(&mut self, key: &Arc<Key>, until: Duration) {
        self.schedule(key, until);
    }

    /// Drops a file: it went on, or is not to be taken. If it was sighted again
    /// since its look, it stays and is due at once: returns `false`.
    pub fn forget(&mut self, key: &Arc<Key>, now: Duration) -> bool {
        match self.entries.get_mut(key) {
            Some(entry) if entry.again => {
                entry.again = false;
                self.schedule(key, now);
                false
            }
            Some(_) => {
                self.drop_entry(key);
                true
            }
            None => true,
        }
    }

    fn drop_entry(&mut self, key: &Arc<Key>) {
        let Some(entry) = self.entries.remove(key) else {
            return;
        };
        if let Some(at) = entry.at {
            self.queue.remove(&at);
        }
        if let Some(count) = self.counts.get_mut(&key.folder) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key.folder);
            }
        }
    }

    /// Drops all files of a folder: it was taken out of the configuration.
    pub fn forget_folder(&mut self, folder: &FolderName) {
        let of_it = |key: &&Arc<Key>| key.folder == *folder;
        let keys: Vec<Arc<Key>> = self.entries.keys().filter(of_it).cloned().collect();
        for key in &keys {
            self.drop_entry(key);
        }
        self.refused.remove(folder);
    }

    /// Why a file that is settling waits; for people.
    pub fn reason(&self, key: &Key) -> Option<WaitReason> {
        self.entries.get(key).and_then(|e| e.reason)
    }

    /// Files of each folder that has any in it.
    pub fn counts(&self) -> &BTreeMap<FolderName, u64> {
        &self.counts
    }

    /// Files in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether nothing is in it but files that their writers have not closed:
    /// nobody can say how long these take.
    pub fn only_written(&self) -> bool {
        let mut entries = self.entries.values();
        entries.all(|entry| {
            matches!(
                entry.reason,
                Some(WaitReason::StillOpen | WaitReason::BeingWritten { .. })
            )
        })
    }

    /// Whether a batch of a scan can be taken without refusing any: a quarter
    /// is kept free for events.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.capacity - self.capacity / 4
    }

    /// The folders whose files were refused, once there is room again: scan
    /// them. Each is named once.
    pub fn take_rescans(&mut self) -> BTreeSet<FolderName> {
        if self.entries.len() > self.capacity / 2 {
            return BTreeSet::new();
        }
        std::mem::take(&mut self.refused)
    }
}

#[cfg(test)]
#[path = "settling_tests.rs"]
mod tests;
