//! An emulator of the import API on loopback: for whole-program tests, for
//! `try` and `sandbox`, and for benchmarks.
//!
//! It answers the calls of the real service under the same path prefix, makes
//! tasks that go from pending to their end, refuses what the service says it
//! refuses ([`rules`]), remembers every request and every complete upload with
//! its size and hash ([`record`]), and does wrong what a script tells it to
//! ([`faults`]). Its own calls are below `/_sandbox` (`admin.rs` lists them).
//!
//! Where a file lands is decided by the Access-Key alone, so each key is a
//! dataset of its own; listings show a key's fingerprint (the first 8 hex
//! digits of its blake3) and nothing else of it.
//!
//! Must not: listen on anything but loopback, keep what was uploaded, or share
//! more with the product than the wire types, since it would then agree with
//! the client's mistakes.

mod admin;
mod answer;
mod app;
mod calls;
mod check;
mod connection;
mod exchange;
pub mod faults;
mod intake;
mod names;
mod push;
pub mod record;
pub mod rules;
mod script;
mod server;
mod sink;
mod tasks;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use rustix::net::sockopt;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use faults::{Cut, Fault, FaultError, FaultRoute, Silence};
pub use record::{Counts, Outcome, RequestRecord, UploadRecord};
pub use rules::Call;
pub use script::FaultStatus;
pub use tasks::{End, TaskRecord};

use app::{App, Settings};
use connection::{Hold, Loopback, Open};
use record::Recorder;
use script::Script;
use tasks::{CannotOpen, Life, Tasks};

/// How long a shutdown lets answers finish before connections are reset.
const GRACE: Duration = Duration::from_millis(250);

/// Bytes that the kernel takes from a client before they are read, about.
const RECEIVED_AHEAD: usize = 256 << 10;

/// How a sandbox behaves. [`Default`] is what a user who tries things wants.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The address to listen on; anything but loopback is refused. Default
    /// 127.0.0.1.
    pub bind: IpAddr,
    /// The TCP port; 0 (default) takes a free one.
    pub port: u16,
    /// The Access-Keys that are accepted. Empty (default): any key that is not
    /// empty. Kept as hashes only once the sandbox runs.
    pub keys: Vec<SecretString>,
    /// How long a task is pending. Default 2 s.
    pub pending_for: Duration,
    /// The word for pending. Default `PENDING`; the service's value table
    /// spells it `PENGDING`.
    pub pending_word: String,
    /// Tasks of files whose name fits one of these globs end as `FAIL`; a
    /// fault's `outcome` comes first. Default none.
    pub fail_names: Vec<String>,
    /// The same for `CANCEL`. Default none.
    pub cancel_names: Vec<String>,
    /// Whether files with an extension that the import does not document are
    /// refused with OPS40002. Default true.
    pub check_types: bool,
    /// The fault script. Default none.
    pub faults: Vec<Fault>,
    /// Uploads that are kept in the listing; beyond, the oldest are forgotten
    /// and only counted. Default 1,000,000 (roughly 600 bytes of memory each).
    pub upload_cap: usize,
    /// Tasks that are kept; beyond, the oldest are forgotten and no longer found.
    /// Default 1,000,000 (roughly 100 bytes each, of the file or of memory).
    pub task_cap: usize,
    /// Where tasks are kept, so that the next sandbox with this file knows them:
    /// an SQLite database that one sandbox at a time can use. Default none: in
    /// memory.
    pub task_file: Option<PathBuf>,
    /// Requests that are kept in the listing. Default 100,000.
    pub request_cap: usize,
    /// Every answer comes so much later; a fault's `delay_ms` comes in its
    /// place. Default 0.
    pub answer_delay: Duration,
    /// With more imports than this in flight, further ones are answered 429
    /// with `Retry-After: 1`. Default none.
    pub refuse_above: Option<usize>,
    /// Fast sink: bodies are counted, not parsed or hashed; no faults, no OPS
    /// codes, every task succeeds at once. For benchmarks. Default false.
    pub sink: bool,
    /// In sink mode, keep a record of every upload with the file's name as
    /// received and the time; otherwise uploads are only counted. Default false.
    pub sink_names: bool,
}

impl Default for SandboxConfig {
    fn default() -> SandboxConfig {
        SandboxConfig {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            keys: Vec::new(),
            pending_for: Duration::from_secs(2),
            pending_word: "PENDING".to_owned(),
            fail_names: Vec::new(),
            cancel_names: Vec::new(),
            check_types: true,
            faults: Vec::new(),
            upload_cap: 1_000_000,
            task_cap: 1_000_000,
            task_file: None,
            request_cap: 100_000,
            answer_delay: Duration::ZERO,
            refuse_above: None,
            sink: false,
            sink_names: false,
        }
    }
}

/// A running sandbox. Dropping it ends it without waiting.
#[derive(Debug)]
pub struct Sandbox {
    app: Arc<App>,
    addr: SocketAddr,
    open: Open,
    stop: CancellationToken,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Sandbox {
    /// Listens and serves, in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// When the address is not loopback, the port is taken, or a glob or fault
    /// of the configuration is not valid; the text says which. When the tasks'
    /// file can't be used: `ResourceBusy` where another sandbox has it.
    pub async fn start(config: SandboxConfig) -> io::Result<Sandbox> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        if !config.bind.is_loopback() {
            return Err(invalid(format!(
                "the sandbox listens on loopback only, not on {}: use 127.0.0.1",
                config.bind
            )));
        }
        let globs = |patterns: &[String]| {
            let all = patterns.iter().map(|p| faults::glob(p).map_err(invalid));
            all.collect::<io::Result<Vec<_>>>()
        };
        let first_task = first_task(SystemTime::now());
        let settings = Settings {
            check_types: config.check_types,
            answer_delay: config.answer_delay,
            refuse_above: config.refuse_above,
            sink: config.sink,
            sink_names: config.sink_names,
            fail: globs(&config.fail_names)?,
            cancel: globs(&config.cancel_names)?,
            keys: config
                .keys
                .iter()
                .map(|key| *blake3::hash(key.expose_secret().as_bytes()).as_bytes())
                .collect(),
            first_task,
            pending_for: config.pending_for,
        };
        let script = Script::new(config.faults).map_err(|e| invalid(e.to_string()))?;
        let records = Recorder::new(config.request_cap, config.upload_cap);
        let life = Life {
            first: first_task,
            cap: config.task_cap,
            pending_for: config.pending_for,
            pending: config.pending_word,
        };
        let tasks = kept_tasks(config.task_file.as_deref(), life)?;

        let listener = TcpListener::bind((config.bind, config.port)).await?;
        if !config.sink {
            // A fault in the middle of a body means what it says only if not all
            // of the rest fits into the kernel's buffer, which may grow to 32 MiB.
            sockopt::set_socket_recv_buffer_size(&listener, RECEIVED_AHEAD)?;
        }
        let addr = listener.local_addr()?;
        let app = Arc::new(App::new(settings, script, records, tasks));
        let open = Open::default();
        let stop = CancellationToken::new();
        let router = Router::new()
            .fallback(server::handle)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&app));
        let serve = axum::serve(
            Loopback::new(listener, open.clone()),
            router.into_make_service_with_connect_info::<Hold>(),
        )
        .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            // axum's own error type here is never made: accepting goes on
            // after every error.
            let _ = serve.await;
        });
        Ok(Sandbox {
            app,
            addr,
            open,
            stop,
            server: Mutex::new(Some(server)),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What a client takes as the service's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.addr, rules::PREFIX)
    }

    /// The time that every `at_ms` counts from.
    pub fn started(&self) -> Instant {
        self.app.started()
    }

    /// The uploads that were taken, oldest first.
    pub fn uploads(&self) -> Vec<UploadRecord> {
        self.app.records().uploads(0, usize::MAX)
    }

    /// The uploads with a number above `after`, oldest first: what has come
    /// since the last look.
    pub fn uploads_after(&self, after: u64) -> Vec<UploadRecord> {
        self.app.records().uploads(after, usize::MAX)
    }

    /// The requests, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.app.records().requests(0, usize::MAX)
    }

    /// The tasks, oldest first.
    pub fn tasks(&self) -> Vec<TaskRecord> {
        self.app.tasks().list(Instant::now()).unwrap_or_default()
    }

    /// Numbers over the whole run, the peak of concurrent uploads among them.
    pub fn counts(&self) -> Counts {
        self.app.records().counts()
    }

    /// Replaces the fault script; all counts start again.
    ///
    /// # Errors
    /// When a fault is not valid; the old script then stays.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), FaultError> {
        let script = Script::new(faults)?;
        *self.app.script() = script;
        Ok(())
    }

    /// The script in force, and how often each fault was seen and acted.
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.app.script().list()
    }

    /// How a key is shown in the listings, and named in a fault's `key`.
    pub fn fingerprint(key: &str) -> String {
        app::fingerprint(key.as_bytes())
    }

    /// Ends the sandbox: no new connections, a quarter of a second for answers
    /// that are on their way, then every connection is reset. The records stay
    /// readable. A second call does nothing.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut server) = server else { return };
        if timeout(GRACE, &mut server).await.is_err() {
            self.open.reset_all();
            if timeout(GRACE * 4, &mut server).await.is_err() {
                server.abort();
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
        self.open.reset_all();
    }
}

fn kept_tasks(file: Option<&Path>, life: Life) -> io::Result<Tasks> {
    let today = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = today.map_or(0, |since| since.as_millis() as i64);
    Tasks::open(file, life, Instant::now(), today).map_err(|error| {
        let kind = match error {
            CannotOpen::InUse => io::ErrorKind::ResourceBusy,
            CannotOpen::Foreign => io::ErrorKind::InvalidData,
            CannotOpen::Sql(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    })
}

/// Task numbers look like the service's, and a restarted sandbox does not give
/// the same ones again: a task of an earlier one is then unknown, not another.
fn first_task(now: SystemTime) -> u64 {
    let millis = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    millis.saturating_mul(1_000_000).saturating_add(1)
}
