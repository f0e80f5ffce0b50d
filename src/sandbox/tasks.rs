//! The tasks that imports make, and their life: pending for a while, then the
//! end that was decided when they were made; cancelled when deleted.
//!
//! A task belongs to the key that made it: another key does not find it.
//! Must not: read the clock (`now` is passed in), or speak HTTP.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::record::shared;

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum End {
    /// The file was processed.
    Success,
    /// The file could not be processed.
    Fail,
    /// The task was cancelled by somebody else.
    Cancel,
}

impl End {
    /// The service's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            End::Success => "SUCCESS",
            End::Fail => "FAIL",
            End::Cancel => "CANCEL",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task as the listings show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskRecord {
    /// As the import answered it.
    pub task_id: String,
    /// Fingerprint of the key that made it.
    #[serde(serialize_with = "shared")]
    pub key: Arc<str>,
    /// The file's name, or the address of a web page.
    #[serde(serialize_with = "shared")]
    pub name: Arc<str>,
    /// The state a query would be told now.
    pub state: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Milliseconds since it was made.
    pub age_ms: u64,
}

#[derive(Debug)]
struct Task {
    key: Arc<str>,
    name: Arc<str>,
    made: Instant,
    end: End,
    deleted: bool,
}

/// All tasks of one sandbox, oldest first; at most `cap`, then the oldest are
/// forgotten and no longer found.
#[derive(Debug)]
pub(super) struct Tasks {
    /// The number of the first task that is still kept.
    first: u64,
    kept: VecDeque<Task>,
    cap: usize,
    pending_for: Duration,
    pending: String,
}

impl Tasks {
    /// `first` is the number of the first task.
    pub(super) fn new(first: u64, cap: usize, pending_for: Duration, pending: String) -> Tasks {
        Tasks {
            first,
            kept: VecDeque::new(),
            cap: cap.max(1),
            pending_for,
            pending,
        }
    }

    /// Makes a task and gives its id.
    pub(super) fn make(&mut self, key: Arc<str>, name: Arc<str>, end: End, now: Instant) -> String {
        if self.kept.len() >= self.cap {
            self.kept.pop_front();
            self.first += 1;
        }
        let id = self.first + self.kept.len() as u64;
        self.kept.push_back(Task {
            key,
            name,
            made: now,
            end,
            deleted: false,
        });
        id.to_string()
    }

    /// Name and state of a task of this key.
    pub(super) fn look(&self, id: &str, key: &str, now: Instant) -> Option<(Arc<str>, String)> {
        let task = self.kept.get(self.index(id)?).filter(|t| &*t.key == key)?;
        Some((Arc::clone(&task.name), self.state(task, now)))
    }

    /// Deletes a task of this key; `false` when there is none. Deleting twice
    /// is no error.
    pub(super) fn delete(&mut self, id: &str, key: &str) -> bool {
        let Some(at) = self.index(id) else {
            return false;
        };
        match self.kept.get_mut(at).filter(|t| &*t.key == key) {
            Some(task) => {
                task.deleted = true;
                true
            }
            None => false,
        }
    }

    /// Every task that is kept.
    pub(super) fn list(&self, now: Instant) -> Vec<TaskRecord> {
        (self.first..)
            .zip(&self.kept)
            .map(|(id, task)| TaskRecord {
                task_id: id.to_string(),
                key: Arc::clone(&task.key),
                name: Arc::clone(&task.name),
                state: self.state(task, now),
                deleted: task.deleted,
                age_ms: now.saturating_duration_since(task.made).as_millis() as u64,
            })
            .collect()
    }

    fn state(&self, task: &Task, now: Instant) -> String {
        if task.deleted {
            return End::Cancel.to_string();
        }
        if now.saturating_duration_since(task.made) < self.pending_for {
            return self.pending.clone();
        }
        task.end.to_string()
    }

    fn index(&self, id: &str) -> Option<usize> {
        let number: u64 = id.parse().ok()?;
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tasks(cap: usize) -> Tasks {
        Tasks::new(100, cap, Duration::from_secs(5), "PENGDING".to_owned())
    }

    #[test]
    fn a_task_is_pending_then_ends_as_decided() {
        let (mut all, t0) = (tasks(9), Instant::now());
        for end in [End::Success, End::Fail, End::Cancel] {
            let id = all.make("k".into(), "a.txt".into(), end, t0);
            let state = |secs| {
                all.look(&id, "k", t0 + Duration::from_secs(secs))
                    .unwrap()
                    .1
            };
            assert_eq!(state(4), "PENGDING");
            assert_eq!(state(5), end.as_str());
        }
    }

    #[test]
    fn a_deleted_task_is_cancelled_and_another_key_finds_nothing() {
        let (mut all, t0) = (tasks(9), Instant::now());
        let id = all.make("k".into(), "a.txt".into(), End::Success, t0);
        assert!(all.look(&id, "other", t0).is_none());
        assert!(!all.delete(&id, "other"));
        assert!(all.delete(&id, "k") && all.delete(&id, "k"));
        assert_eq!(all.look(&id, "k", t0).unwrap().1, "CANCEL");
    }

    #[test]
    fn the_oldest_is_forgotten_and_ids_go_on() {
        let (mut all, t0) = (tasks(2), Instant::now());
        let ids: Vec<String> = (0..3)
            .map(|_| all.make("k".into(), "a".into(), End::Success, t0))
            .collect();
        assert_eq!(ids, ["100", "101", "102"]);
        assert!(all.look("100", "k", t0).is_none());
        assert!(all.look("102", "k", t0).is_some());
        for unknown in ["", "99", "103", "x", "-1", "99999999999999999999999"] {
            assert!(all.look(unknown, "k", t0).is_none(), "{unknown}");
        }
    }
}
