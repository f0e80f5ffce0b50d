//! What the sandbox saw: every request and every complete upload, in bounded
//! memory, for the listings and for tests.
//!
//! Must not: hold a key (only fingerprints come in), or keep file contents.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::rules::Call;

/// Different paths that are counted one by one; further ones count as `other`.
const MAX_PATHS: usize = 64;
/// Different `data` texts that are kept once and shared by their uploads.
const MAX_SHARED: usize = 64;
/// Longest path, in bytes, that is kept in a record.
const MAX_TEXT: usize = 256;

/// How a request ended. In JSON: the status as a number, or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not ended yet: `"open"`.
    Open,
    /// Answered with this HTTP status.
    Answered(u16),
    /// The sandbox reset the connection: `"cut"`.
    Cut,
    /// The sandbox never answers: `"silent"`.
    Silent,
    /// The client went away before it had an answer: `"left"`.
    Left,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Outcome::Answered(status) => s.serialize_u16(*status),
            Outcome::Open => s.serialize_str("open"),
            Outcome::Cut => s.serialize_str("cut"),
            Outcome::Silent => s.serialize_str("silent"),
            Outcome::Left => s.serialize_str("left"),
        }
    }
}

/// One request for the API (the sandbox's own `/_sandbox` calls are not kept).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestRecord {
    /// Counted from 1 in the order of arrival.
    pub seq: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query string, at most 256 bytes.
    pub path: String,
    /// How it ended.
    pub status: Outcome,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// Milliseconds from the sandbox's start to the request's head.
    pub at_ms: f64,
}

/// One import that was received whole and taken: a task was made for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UploadRecord {
    /// Counted from 1 in the order of completion.
    pub seq: u64,
    /// `seq` of its request.
    pub request: u64,
    /// The import it came through.
    pub endpoint: Call,
    /// Fingerprint of the key: the first 8 hex digits of its blake3.
    #[serde(serialize_with = "shared")]
    pub key: Arc<str>,
    /// The file's name with every encoding undone; the address of a web page.
    #[serde(serialize_with = "shared")]
    pub file_name: Arc<str>,
    /// The file's name just as it stood in the request.
    #[serde(serialize_with = "shared")]
    pub file_name_raw: Arc<str>,
    /// The file's bytes; 0 for a web page. In sink mode the whole body's.
    pub size: u64,
    /// Hash of the file in lower-case hex; none for a web page and in sink mode.
    pub blake3: Option<String>,
    /// The `data` part, or the options of a web page; null in sink mode.
    #[serde(serialize_with = "shared")]
    pub data: Arc<Value>,
    /// The task that was made.
    pub task_id: String,
    /// Milliseconds from the sandbox's start to the end of the body.
    pub at_ms: f64,
    /// What the client was answered.
    pub status: Outcome,
}

/// Numbers over the whole run; never cut down by the caps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests for each path, whatever came of them.
    pub requests: BTreeMap<String, u64>,
    /// Complete uploads.
    pub uploads: u64,
    /// Their bytes, as in [`UploadRecord::size`].
    pub upload_bytes: u64,
    /// Imports being received or answered now.
    pub in_flight: usize,
    /// The most that ever were at the same time.
    pub max_in_flight: usize,
}

/// The lists behind the listings.
#[derive(Debug)]
pub(super) struct Recorder {
    requests: VecDeque<RequestRecord>,
    uploads: VecDeque<UploadRecord>,
    request_cap: usize,
    upload_cap: usize,
    last_request: u64,
    shared: HashMap<String, Arc<Value>>,
    counts: Counts,
}

impl Recorder {
    /// Keeps at most so many of each; the oldest go first.
    pub(super) fn new(request_cap: usize, upload_cap: usize) -> Recorder {
        Recorder {
            requests: VecDeque::new(),
            uploads: VecDeque::new(),
            request_cap: request_cap.max(1),
            upload_cap,
            last_request: 0,
            shared: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// A request's head has come. Gives its number and the imports in flight.
    pub(super) fn open(
        &mut self,
        method: &str,
        path: &str,
        import: bool,
        at_ms: f64,
    ) -> (u64, usize) {
        self.last_request += 1;
        let path = bounded(path);
        let known = self.counts.requests.len() < MAX_PATHS;
        match self.counts.requests.get_mut(&path) {
            Some(count) => *count += 1,
            None if known => drop(self.counts.requests.insert(path.clone(), 1)),
            None => *self.counts.requests.entry("other".to_owned()).or_default() += 1,
        }
        if import {
            self.counts.in_flight += 1;
            self.counts.max_in_flight = self.counts.max_in_flight.max(self.counts.in_flight);
        }
        if self.requests.len() >= self.request_cap {
            self.requests.pop_front();
        }
        self.requests.push_back(RequestRecord {
            seq: self.last_request,
            method: bounded(method),
            path,
            status: Outcome::Open,
            bytes: 0,
            at_ms,
        });
        (self.last_request, self.counts.in_flight)
    }

    /// A request has ended this way, and the upload that it made with it.
    pub(super) fn close(
        &mut self,
        request: u64,
        upload: Option<u64>,
        outcome: Outcome,
        bytes: u64,
    ) {
        if let Some(record) = by_seq(&mut self.requests, request, |r| r.seq) {
            record.status = outcome;
            record.bytes = bytes;
        }
        if let Some(record) = upload.and_then(|seq| by_seq(&mut self.uploads, seq, |u| u.seq)) {
            record.status = outcome;
        }
    }

    /// An import's handler is gone, however its request ended.
    pub(super) fn left_flight(&mut self) {
        self.counts.in_flight = self.counts.in_flight.saturating_sub(1);
    }

    /// Enters a complete upload and gives its number; `record.seq` is set here.
    pub(super) fn upload(&mut self, mut record: UploadRecord) -> u64 {
        let seq = self.count_upload(record.size);
        record.seq = seq;
        if self.upload_cap > 0 {
            if self.uploads.len() >= self.upload_cap {
                self.uploads.pop_front();
            }
            self.uploads.push_back(record);
        }
        seq
    }

    /// Counts a complete upload without keeping it.
    pub(super) fn count_upload(&mut self, size: u64) -> u64 {
        self.counts.uploads += 1;
        self.counts.upload_bytes += size;
        self.counts.uploads
    }

    /// The same `data` for all uploads that sent the same text: a hundred
    /// thousand files of one folder share one value.
    pub(super) fn share(&mut self, value: Value) -> Arc<Value> {
        let text = value.to_string();
        if let Some(known) = self.shared.get(&text) {
            return Arc::clone(known);
        }
        if self.shared.len() >= MAX_SHARED {
            self.shared.clear();
        }
        let value = Arc::new(value);
        self.shared.insert(text, Arc::clone(&value));
        value
    }

    /// Requests with a number above `after`, oldest first.
    pub(super) fn requests(&self, after: u64, limit: usize) -> Vec<RequestRecord> {
        let skip = self.requests.partition_point(|r| r.seq <= after);
        self.requests
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect()
    }

    /// Uploads with a number above `after`, oldest first.
    pub(super) fn uploads(&self, after: u64, limit: usize) -> Vec<UploadRecord> {
        let skip = self.uploads.partition_point(|u| u.seq <= after);
        self.uploads
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect()
    }

    /// The numbers so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts.clone()
    }
}

/// Writes what an `Arc` holds.
pub(super) fn shared<T: Serialize + ?Sized, S: Serializer>(
    value: &Arc<T>,
    s: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().serialize(s)
}

/// Records are numbered without gaps, so a number is a place.
fn by_seq<T>(list: &mut VecDeque<T>, seq: u64, of: impl Fn(&T) -> u64) -> Option<&mut T> {
    let first = of(list.front()?);
    list.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
}

fn bounded(text: &str) -> String {
    match text
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= MAX_TEXT)
        .last()
    {
        Some(end) => text[..end].to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_forgets_the_oldest_and_still_finds_the_rest() {
        let mut all = Recorder::new(2, 10);
        for _ in 0..3 {
            all.open("POST", "/a", true, 0.0);
        }
        all.close(1, None, Outcome::Cut, 1);
        all.close(3, None, Outcome::Answered(200), 9);
        let kept = all.requests(0, usize::MAX);
        assert_eq!(kept.iter().map(|r| r.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            (kept[0].status, kept[1].status),
            (Outcome::Open, Outcome::Answered(200))
        );
        assert_eq!(all.requests(2, 5).len(), 1);
        assert_eq!(all.counts().requests["/a"], 3);
        assert_eq!(all.counts().max_in_flight, 3);
    }

    #[test]
    fn paths_are_bounded_in_length_and_number() {
        let mut all = Recorder::new(10, 10);
        for n in 0..100 {
            all.open("GET", &format!("/{n}/{}", "ä".repeat(500)), false, 0.0);
        }
        let counts = all.counts().requests;
        assert_eq!(counts.len(), MAX_PATHS + 1);
        assert_eq!(counts.values().sum::<u64>(), 100);
        assert!(counts.keys().all(|path| path.len() <= MAX_TEXT));
    }

    #[test]
    fn the_same_data_is_kept_once() {
        let mut all = Recorder::new(1, 1);
        let one = all.share(serde_json::json!({"title": 1}));
        let two = all.share(serde_json::json!({"title": 1}));
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn outcomes_are_numbers_or_words() {
        let text = serde_json::to_string(&[Outcome::Answered(429), Outcome::Cut, Outcome::Left]);
        assert_eq!(text.unwrap(), r#"[429,"cut","left"]"#);
    }
}
