//! What the daemon needs from the world, as traits: time, chance and the
//! service. Tests give their own; nothing else may stand between.
//!
//! The ledger is no port: tests use a real one. Must not: hold logic.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use rustix::time::{ClockId, clock_gettime};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::domain::answer::Outcome;
use crate::domain::ids::TaskId;
use crate::domain::time::{Moment, Timestamp};

/// A future that can be sent to another thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time of day. Waiting is tokio's, on the monotonic clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Since the machine was started, suspended time included. Nobody can set
    /// it: what tells that the time of day was set.
    fn ticks(&self) -> Duration;
}

/// Chance.
pub trait Jitter: Send + Sync + 'static {
    /// Uniform in `0.0..1.0`.
    fn chance(&self) -> f64;
}

/// A clock and a source of chance, drawn together.
#[derive(Clone)]
pub struct World {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub jitter: Arc<dyn Jitter>,
}

impl World {
    /// The system's clock and a fast generator.
    pub fn real() -> World {
        World {
            clock: Arc::new(SystemClock),
            jitter: Arc::new(Random),
        }
    }

    /// Now, with a fresh draw.
    pub fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            chance: self.jitter.chance(),
        }
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock set before 1970 reads as 1970.
        Timestamp(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    fn ticks(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::try_from(now).unwrap_or_default()
    }
}

struct Random;

impl Jitter for Random {
    fn chance(&self) -> f64 {
        fastrand::f64()
    }
}

/// The secret that belongs to one dataset. Shows nowhere but in its header.
#[derive(Clone)]
pub struct AccessKey(SecretString);

impl AccessKey {
    /// Holds the key as read, trimmed by whoever read it.
    pub fn new(key: String) -> AccessKey {
        AccessKey(key.into())
    }

    /// The key itself: for the `Access-Key` header, and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Sixteen hex digits that change with the key and don't give it away: a
    /// derived hash, of no use anywhere else.
    pub fn fingerprint(&self) -> String {
        let hash = blake3::derive_key(
            "supametas-sync 2026 key fingerprint",
            self.expose().as_bytes(),
        );
        hash[..8].iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// The secret by which the daemon knows who may have something done over HTTP.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// Holds the token as read.
    pub fn new(token: String) -> Token {
        Token(token.into())
    }

    /// Whether it is `given`. How long that takes says nothing of the token:
    /// hashes are compared, and in constant time.
    pub fn is(&self, given: &str) -> bool {
        let hash = |text: &str| blake3::hash(text.as_bytes());
        hash(self.0.expose_secret()) == hash(given)
    }

    /// Whether both are the same.
    pub fn same(&self, other: &Token) -> bool {
        self.is(other.0.expose_secret())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A secret of a hook's receiver, or of the path that pushes come by. Shows
/// nowhere but there.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Holds the secret as read.
    pub fn new(secret: String) -> Secret {
        Secret(secret.into())
    }

    /// The secret itself: for the `Authorization` header or the path, and
    /// nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is `given`; how long that takes says nothing of it, as with
    /// [`Token::is`].
    pub fn is(&self, given: &str) -> bool {
        blake3::hash(self.expose().as_bytes()) == blake3::hash(given.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The service, as the daemon calls it. One call is one request: it neither
/// retries nor follows a redirect.
pub trait ImportApi: Send + Sync + 'static {
    /// Sends one import.
    fn upload<'a>(
        &'a self,
        key: &'a AccessKey,
        to: Target<'a>,
        what: Import,
    ) -> BoxFuture<'a, Outcome>;

    /// Asks how far a task is.
    fn query<'a>(
        &'a self,
        key: &'a AccessKey,
        task: &'a TaskId,
        to: Option<&'a str>,
    ) -> BoxFuture<'a, Outcome>;

    /// Has a task deleted.
    fn delete<'a>(&'a self, key: &'a AccessKey, task: &'a TaskId) -> BoxFuture<'a, Outcome>;

    /// Tells the service where to push what it has cleaned; `path` is the
    /// call's, behind the base URL.
    fn set_webhook<'a>(
        &'a self,
        key: &'a AccessKey,
        path: &'a str,
        url: &'a str,
    ) -> BoxFuture<'a, Outcome>;

    /// Gets the result of an import that lies at another address (303).
    fn see_other<'a>(&'a self, key: &'a AccessKey, at: &'a str) -> BoxFuture<'a, Outcome>;
}

/// Where an import goes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The endpoint's path behind the base URL, such as `/file-task`.
    Path(&'a str),
    /// The full address of a redirect, already known to be on the same origin.
    Address(&'a str),
}

/// What an import sends.
pub enum Import {
    /// A file and its options, as multipart.
    File {
        /// The file name as the service is to see it: safe in a header.
        name: String,
        /// The route's options, sent as the part `data`.
        options: Map<String, Value>,
        /// The content.
        body: UploadBody,
        /// On which connection it goes.
        connection: Connection,
    },
    /// A web page's address and its options, as JSON: one chunk.
    Web {
        /// An `https://` address.
        url: String,
        /// The route's options.
        options: Map<String, Value>,
        /// Set when the request is handed to the socket.
        progress: Arc<Progress>,
        /// On which connection it goes.
        connection: Connection,
    },
}

impl Import {
    /// On which connection it goes.
    pub fn connection(&self) -> Connection {
        match self {
            Import::File { connection, .. } | Import::Web { connection, .. } => *connection,
        }
    }
}

/// On which connection a request goes. One that was used before may be closed by
/// the service just then, which leaves an upload in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// On whichever there is: a request that can be repeated at will.
    Any,
    /// On one that was used before, if the service is known to keep them.
    IfKept,
    /// On one of its own.
    Own,
}

/// The content of a file on its way: a stream of exactly `len` bytes that
/// itself holds back its last chunk until it may go.
pub struct UploadBody {
    /// Bytes.
    pub len: u64,
    /// The chunks; an error ends the request before its last byte.
    pub chunks: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    /// Advanced by the stream as chunks are taken from it.
    pub progress: Arc<Progress>,
}

/// How far a body is, seen from outside while it is sent.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    last: AtomicBool,
    begun: AtomicBool,
    begins: Notify,
}

impl Progress {
    /// A chunk of `len` bytes is handed over; `last` if none follows. To be
    /// called *before* the chunk is given away.
    pub fn hand_over(&self, len: u64, last: bool) {
        self.bytes.fetch_add(len, Ordering::Relaxed);
        if last {
            self.last.store(true, Ordering::Release);
        }
        if !self.begun.swap(true, Ordering::AcqRel) {
            self.begins.notify_waiters();
        }
    }

    /// Waits until the first chunk is handed over: then there is a connection,
    /// and the request is on it.
    pub async fn begun(&self) {
        // Armed before the look, so that a chunk in between is seen.
        let mut begins = pin!(self.begins.notified());
        begins.as_mut().enable();
        if !self.begun.load(Ordering::Acquire) {
            begins.await;
        }
    }

    /// Bytes of content handed over.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the last chunk was handed over: if not, the service cannot have
    /// a whole request.
    pub fn last_byte_sent(&self) -> bool {
        self.last.load(Ordering::Acquire)
    }
}
