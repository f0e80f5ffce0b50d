//! What all requests of one sandbox share, and the ticket that follows one
//! request from its head to its end.
//!
//! Must not: hold an Access-Key as text (hashes only), or speak HTTP beyond
//! reading the key's header.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use globset::GlobMatcher;
use tokio::time::Instant;
use url::Url;

use super::record::{Outcome, Recorder};
use super::script::Script;
use super::tasks::{End, Tasks};
use crate::api::wire::ACCESS_KEY;

/// The part of the configuration that requests look at.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) check_types: bool,
    pub(super) answer_delay: Duration,
    pub(super) refuse_above: Option<usize>,
    pub(super) sink: bool,
    pub(super) sink_names: bool,
    pub(super) fail: Vec<GlobMatcher>,
    pub(super) cancel: Vec<GlobMatcher>,
    /// Hashes of the keys that are accepted; empty: any key.
    pub(super) keys: HashSet<[u8; 32]>,
    /// The number of the first task.
    pub(super) first_task: u64,
    /// How long a task is pending.
    pub(super) pending_for: Duration,
}

impl Settings {
    /// How the task of a file of this name ends.
    pub(super) fn end_of(&self, name: &str) -> End {
        if self.fail.iter().any(|glob| glob.is_match(name)) {
            return End::Fail;
        }
        if self.cancel.iter().any(|glob| glob.is_match(name)) {
            return End::Cancel;
        }
        End::Success
    }
}

/// The shared state.
#[derive(Debug)]
pub(super) struct App {
    pub(super) settings: Settings,
    started: Instant,
    script: Mutex<Script>,
    records: Mutex<Recorder>,
    tasks: Mutex<Tasks>,
    /// Where each key's results are pushed.
    webhooks: Mutex<HashMap<Arc<str>, Url>>,
}

impl App {
    /// Starts the clock of all records.
    pub(super) fn new(settings: Settings, script: Script, records: Recorder, tasks: Tasks) -> App {
        App {
            settings,
            started: Instant::now(),
            script: Mutex::new(script),
            records: Mutex::new(records),
            tasks: Mutex::new(tasks),
            webhooks: Mutex::default(),
        }
    }

    /// The fault script in force. None of the locks is held while
    /// another is taken, or across an await.
    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests, uploads and counts.
    pub(super) fn records(&self) -> MutexGuard<'_, Recorder> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tasks.
    pub(super) fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where each key's results are pushed.
    pub(super) fn webhooks(&self) -> MutexGuard<'_, HashMap<Arc<str>, Url>> {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the sandbox was started.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Milliseconds since then.
    pub(super) fn at_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }

    /// Whether this key may call the API.
    pub(super) fn admits(&self, key: &Key) -> bool {
        let known = &self.settings.keys;
        key.hash
            .is_some_and(|hash| known.is_empty() || known.contains(&hash))
    }

    /// Enters a request whose head has come.
    pub(super) fn open(self: &Arc<App>, parts: &Parts, import: bool) -> Ticket {
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let (seq, in_flight) = self.records().open(method, path, import, self.at_ms());
        Ticket {
            app: Arc::clone(self),
            seq,
            upload: None,
            bytes: Arc::new(AtomicU64::new(0)),
            in_flight: import.then_some(in_flight),
            closed: false,
        }
    }
}

/// Who calls: a key's hash and its fingerprint, never the key.
#[derive(Debug)]
pub(super) struct Key {
    hash: Option<[u8; 32]>,
    fingerprint: Arc<str>,
}

impl Key {
    /// The key of a request; an empty one counts as none.
    pub(super) fn of(headers: &HeaderMap) -> Key {
        let key = headers
            .get(ACCESS_KEY)
            .map(|value| value.as_bytes())
            .unwrap_or_default();
        if key.is_empty() {
            return Key {
                hash: None,
                fingerprint: "".into(),
            };
        }
        Key {
            hash: Some(*blake3::hash(key).as_bytes()),
            fingerprint: fingerprint(key).into(),
        }
    }

    /// The fingerprint; empty without a key.
    pub(super) fn shown(&self) -> &str {
        &self.fingerprint
    }

    /// The fingerprint, for a record.
    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.fingerprint)
    }
}

/// The first 8 hex digits of a key's blake3.
pub(super) fn fingerprint(key: &[u8]) -> String {
    blake3::hash(key).to_hex()[..8].to_owned()
}

/// One request's entry in the records. Dropped without having been closed, it
/// says that the client left: that is when a handler is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    app: Arc<App>,
    seq: u64,
    upload: Option<u64>,
    bytes: Arc<AtomicU64>,
    /// Imports in flight when it came, itself among them; none for other calls.
    in_flight: Option<usize>,
    closed: bool,
}

impl Ticket {
    /// The request's number.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Where the bytes of its body are counted.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// It made this upload, whose outcome is the request's.
    pub(super) fn made(&mut self, upload: u64) {
        self.upload = Some(upload);
    }

    /// Whether it is an import, and more than `limit` were in flight with it.
    pub(super) fn in_flight_above(&self, limit: Option<usize>) -> bool {
        self.in_flight
            .is_some_and(|now| limit.is_some_and(|limit| now > limit))
    }

    /// Enters how it ended. The client can't know yet: what is asked of the
    /// records after it has its answer is there.
    pub(super) fn close(&mut self, outcome: Outcome) {
        self.closed = true;
        let bytes = self.bytes.load(Ordering::Relaxed);
        // A silent import stays in flight until its client leaves.
        let lands = outcome != Outcome::Silent && self.in_flight.take().is_some();
        let mut records = self.app.records();
        records.close(self.seq, self.upload, outcome, bytes);
        if lands {
            records.left_flight();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.closed {
            self.close(Outcome::Left);
        }
        if self.in_flight.take().is_some() {
            self.app.records().left_flight();
        }
    }
}
