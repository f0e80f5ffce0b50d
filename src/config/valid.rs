//! The configuration as the program uses it: checked, with units resolved,
//! globs compiled and keys read. What is here can be worked with; what can't
//! be was refused by `raw` → `valid`.
//!
//! Must not: hold anything as text that a type could hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use globset::GlobSet;
use serde_json::{Map, Value};
use url::Url;

use super::keys::{self, KeySource};
use super::surroundings::Surroundings;
use crate::domain::duplicates::DuplicateRule;
use crate::domain::error_table::ErrorTable;
use crate::domain::ids::{DatasetName, FolderName, Route};
use crate::domain::lifecycle::Policy;
use crate::domain::media::{Media, TypeLists};
use crate::domain::naming::shown;
use crate::domain::notice::{HookName, Listener, Occasion};
use crate::domain::settle::SettleRules;
use crate::ports::{AccessKey, Secret, Token};

/// Everything.
#[derive(Debug, Clone)]
pub struct Config {
    /// The service and how it is spoken to.
    pub service: Service,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// How long a stop waits for uploads under way.
    pub shutdown_grace: Duration,
    /// The time between two full scans of a folder with events, before jitter.
    pub rescan_every: Duration,
    /// The time between two scans of a folder without events.
    pub poll_every: Duration,
    /// Logging.
    pub log: Log,
    /// What is told over HTTP, beside the socket.
    pub http: Http,
    /// The datasets, by name.
    pub datasets: BTreeMap<DatasetName, Arc<Dataset>>,
    /// The folders, by name.
    pub folders: BTreeMap<FolderName, Arc<Folder>>,
    /// The error table in force.
    pub errors: Arc<ErrorTable>,
}

/// The service and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Service {
    /// With no slash at the end.
    pub base_url: Url,
    /// Somebody knows that some of the paths are assumed.
    pub acknowledge_assumed_paths: bool,
    /// Path of each import behind the base URL, with a slash in front.
    pub paths: BTreeMap<Media, String>,
    /// Path of the query.
    pub query_path: String,
    /// Path of the deletion, which only `cancel` asks for.
    pub delete_path: String,
    /// Path of the call that sets the webhook.
    pub webhook_path: String,
    /// More certificate authorities than the system's.
    pub authorities: Option<Authorities>,
    /// How the service is reached.
    pub proxy: ProxyChoice,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time without a chunk being taken while a body is sent.
    pub stall_timeout: Duration,
    /// Longest wait for the answer after the last byte.
    pub answer_timeout: Duration,
    /// How long an unused connection is kept. Well below what servers keep.
    pub idle_timeout: Duration,
}

/// Certificate authorities of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// Where they are. Absolute.
    pub path: PathBuf,
    /// What is there, in PEM; nothing where no key was read either.
    pub pem: Vec<u8>,
}

/// How the service is reached.
#[derive(Debug, Clone)]
pub enum ProxyChoice {
    /// As the environment says (`HTTPS_PROXY`, `NO_PROXY`).
    Environment,
    /// Straight, whatever the environment says.
    Straight,
    /// Through this one.
    Named(Proxy),
}

/// A proxy that the configuration names.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is, without a log-in.
    pub url: Url,
    /// Its log-in, `user:password`.
    pub login: Option<Secret>,
    /// Where that was read. Absolute.
    pub login_file: Option<PathBuf>,
}

impl Proxy {
    /// The address that the client is given, with the log-in in it. Never shown.
    pub fn with_login(&self) -> Url {
        let mut url = self.url.clone();
        if let Some(login) = &self.login
            && let Some((user, password)) = login.expose().split_once(':')
        {
            // Refused only by addresses without a host: those are no proxies.
            let _ = url.set_username(user);
            let _ = url.set_password(Some(password));
        }
        url
    }
}

/// One dataset of the service: one Access-Key.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name in the configuration.
    pub name: DatasetName,
    /// Its key.
    pub key: AccessKey,
    /// The file that the key was read from, if it is one.
    pub key_file: Option<PathBuf>,
    /// Uploads at once, to begin with.
    pub concurrency: usize,
    /// Uploads at once, at most. Not below `concurrency`.
    pub max_concurrent: usize,
    /// Queries a second, at most.
    pub polls_per_second: f64,
    /// Uploads a second, at most.
    pub requests_per_second: Option<f64>,
    /// Bytes a second, at most, over all its uploads.
    pub bytes_per_second: Option<u64>,
    /// How the service's pushes are taken; `None`: they are not.
    pub pushes: Option<Pushes>,
}

/// How the service's pushes are taken.
#[derive(Debug, Clone)]
pub struct Pushes {
    /// The last part of the path that they come by.
    pub secret: Secret,
    /// Where they are put. Absolute.
    pub results: PathBuf,
}

impl Dataset {
    /// Whether the key's file holds another key than the one that was read. One
    /// that can't be read now says nothing. Blocks on the file.
    pub fn key_has_changed(&self, on: &dyn Surroundings) -> bool {
        let Some(path) = self.key_file.as_ref().and_then(|path| path.to_str()) else {
            return false;
        };
        keys::read(KeySource::File(path), on)
            .is_ok_and(|now| now.key.fingerprint() != self.key.fingerprint())
    }

    /// Whether uploads to both are bounded alike.
    pub fn same_lanes(&self, other: &Dataset) -> bool {
        self.concurrency == other.concurrency
            && self.max_concurrent == other.max_concurrent
            && self.requests_per_second == other.requests_per_second
            && self.bytes_per_second == other.bytes_per_second
    }
}

/// One drop folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its name in the configuration.
    pub name: FolderName,
    /// Absolute.
    pub path: PathBuf,
    /// Where its files go.
    pub dataset: DatasetName,
    /// Whether subfolders belong to it.
    pub recursive: bool,
    /// What is taken; matches paths relative to the folder. `None`: everything.
    pub include: Option<GlobSet>,
    /// What is not, beside the default list: `exclude` and `exclude_also`.
    pub exclude: GlobSet,
    /// Names of files that are still being written, beside the default list:
    /// `temporary` and `temporary_also`.
    pub temporary: GlobSet,
    /// The patterns as they were written.
    pub patterns: Patterns,
    /// How it is watched.
    pub watch: WatchMode,
    /// Files on other mounts below it are not taken.
    pub one_file_system: bool,
    /// A sign for other daemons is left in it.
    pub owner_sign: bool,
    /// Larger files end as unsupported, unread. Bytes.
    pub max_size: u64,
    /// Who writes its files: what the next four are where they are not written.
    pub writers: Writers,
    /// Quiet time of a file that was closed after writing, or seen by a scan.
    pub quiet: Duration,
    /// Quiet time where nothing can tell whether a writer has it open.
    pub quiet_unsure: Duration,
    /// How long a file that was opened for writing and not closed is waited for,
    /// from its last event. Where nothing can tell who has a file open, its
    /// source is left alone until it was unchanged for so long.
    pub unclosed_wait: Duration,
    /// How long a file whose end is missing may take to be completed.
    pub incomplete_wait: Duration,
    /// Which extensions each import takes.
    pub types: TypeLists,
    /// The import options of each media type, as they are sent.
    pub options: BTreeMap<Media, Map<String, Value>>,
    /// What happens to content that was imported before.
    pub duplicates: Duplicates,
    /// How its files go on; includes what becomes of the source.
    pub policy: Arc<Policy>,
    /// Where sources go after success. Absolute.
    pub done_dir: PathBuf,
    /// Where sources go after a rejection. Absolute.
    pub rejected_dir: PathBuf,
    /// Who is told of what becomes of its files.
    pub hooks: Vec<Arc<Hook>>,
}

/// The patterns on names as they were written: to tell whether a reload changed
/// them, and which one matched. Not to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns {
    /// `include`.
    pub include: Vec<String>,
    /// `exclude`; `None`: the default list.
    pub exclude: Option<Vec<String>>,
    /// `exclude_also`.
    pub exclude_also: Vec<String>,
    /// `temporary`; `None`: the default list.
    pub temporary: Option<Vec<String>>,
    /// `temporary_also`.
    pub temporary_also: Vec<String>,
}

impl Patterns {
    /// The folder's own patterns of what is excluded, in the order of
    /// [`Folder::exclude`].
    pub fn excluded(&self) -> impl Iterator<Item = &String> {
        self.exclude.iter().flatten().chain(&self.exclude_also)
    }

    /// The folder's own patterns of temporary names, in the order of
    /// [`Folder::temporary`].
    pub fn temporary(&self) -> impl Iterator<Item = &String> {
        self.temporary.iter().flatten().chain(&self.temporary_also)
    }
}

/// Somebody who is told of ends and pauses.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Unique in its folder.
    pub name: HookName,
    /// What it is told of.
    pub on: BTreeSet<Occasion>,
    /// How it is told.
    pub by: By,
    /// The longest time for one try.
    pub timeout: Duration,
}

/// How a hook is told.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// A program, absolute, and its arguments.
    Command(Vec<String>),
    /// A POST.
    Post(Receiver),
}

/// Where a POST goes.
#[derive(Clone)]
pub struct Receiver {
    /// `https`, or `http` where that is fine. Its path may be a secret.
    pub url: Url,
    /// Goes along as a bearer token.
    pub secret: Option<Secret>,
}

impl PartialEq for Receiver {
    fn eq(&self, other: &Receiver) -> bool {
        let secret = |of: &Receiver| of.secret.as_ref().map(|s| s.expose().to_owned());
        self.url == other.url && secret(self) == secret(other)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({}…)", self.url.origin().ascii_serialization())
    }
}

impl Folder {
    /// The route of this folder's files of one media type.
    pub fn route(&self, media: Media) -> Route {
        Route {
            folder: self.name.clone(),
            media,
        }
    }

    /// Its hooks, as the ledger wants them.
    pub fn listeners(&self) -> impl Iterator<Item = Listener> {
        self.hooks.iter().map(|hook| Listener {
            folder: self.name.clone(),
            dataset: self.dataset.clone(),
            hook: hook.name.clone(),
            on: hook.on.clone(),
        })
    }

    /// How long its files have to be quiet.
    pub fn settle_rules(&self) -> SettleRules {
        SettleRules {
            quiet: self.quiet,
            quiet_unsure: self.quiet_unsure,
            unclosed_wait: self.unclosed_wait,
        }
    }
}

/// Who writes the files of a folder: a preset for how long they are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Programs of this machine, and SFTP or HTTP servers on it.
    Local,
    /// Scanners and multifunction printers, which pause between pages.
    Scanner,
    /// Clients of a network share, whose lines stall.
    Share,
}

/// What a preset stands for; each value can be written as a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// See [`Folder::quiet`].
    pub quiet: Duration,
    /// See [`Folder::quiet_unsure`].
    pub quiet_unsure: Duration,
    /// See [`Folder::unclosed_wait`].
    pub unclosed_wait: Duration,
    /// See [`Folder::incomplete_wait`].
    pub incomplete_wait: Duration,
}

impl Writers {
    /// The preset's values.
    pub const fn waits(self) -> Waits {
        let secs = Duration::from_secs;
        match self {
            Writers::Local => Waits {
                quiet: secs(1),
                quiet_unsure: secs(10),
                unclosed_wait: secs(3600),
                incomplete_wait: secs(600),
            },
            // A page takes up to 15 s, a sheet that jams or a refill of the
            // feeder some minutes; the latter only the content can tell.
            Writers::Scanner => Waits {
                quiet: secs(5),
                quiet_unsure: secs(60),
                unclosed_wait: secs(3600),
                incomplete_wait: secs(1800),
            },
            // A TCP connection that lost its line is given up after 15 minutes
            // (tcp_retries2), and its client may come back and go on.
            Writers::Share => Waits {
                quiet: secs(2),
                quiet_unsure: secs(60),
                unclosed_wait: secs(4 * 3600),
                incomplete_wait: secs(1800),
            },
        }
    }
}

impl fmt::Display for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Writers::Local => "local",
            Writers::Scanner => "scanner",
            Writers::Share => "share",
        })
    }
}

/// How a folder is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// Events on a local file system, scans on a network one.
    Auto,
    /// Events, and scans now and then.
    Events,
    /// Scans only.
    Poll,
}

/// What happens to content that was imported before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It ends as `duplicate`, with no request.
    Skip,
    /// It is uploaded again.
    Upload,
}

impl Duplicates {
    /// What ends a file as a duplicate.
    pub const fn rule(self) -> DuplicateRule {
        match self {
            Duplicates::Skip => DuplicateRule::SameContent,
            Duplicates::Upload => DuplicateRule::SameFile,
        }
    }
}

/// What is told over HTTP.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// Where to listen; `None`: the socket beside the ledger alone.
    pub listen: Option<Listen>,
    /// Who has it may have something done there; `None`: nobody.
    pub token: Option<Token>,
    /// Who has it, or the one above, may look there; `None`: everybody who can
    /// connect.
    pub read_token: Option<Token>,
    /// The files that hold the two, for people: the page names them.
    pub token_file: Option<PathBuf>,
    /// See above.
    pub read_token_file: Option<PathBuf>,
    /// Bytes of a push, at most.
    pub push_max: usize,
}

/// Where the daemon listens, beside the socket at its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A port of this machine.
    Port(SocketAddr),
    /// A Unix socket, for a reverse proxy. Absolute.
    Socket(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Port(address) => write!(f, "{address}"),
            Listen::Socket(path) => f.write_str(&shown(path.as_os_str().as_bytes())),
        }
    }
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `info,supametas_sync::watch=debug`.
    pub filter: String,
    /// The shape of a line.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Journald when its socket is standard error, else human.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// Fields to journald's socket.
    Journald,
}

impl fmt::Display for WatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WatchMode::Auto => "auto",
            WatchMode::Events => "events",
            WatchMode::Poll => "poll",
        })
    }
}
