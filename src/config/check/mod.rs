//! From what is written to what can be used, with all problems at once.
//!
//! Each part is checked on its own, as far as it can be, whatever is wrong
//! with the others; a part that is wrong gets a stand-in, so that what depends
//! on it is checked too. The stand-ins never leave: one error, and no
//! configuration comes out.
//!
//! Must not: repeat what is written by itself (a problem has the value, where
//! [`super::showable`] lets it), or touch the
//! machine but through [`Surroundings`].

mod dataset;
mod errors;
mod folder;
mod hook;
mod http;
mod options;
mod overlap;
mod proxy;
mod pushes;
mod secret_file;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::keys::Keys;
use super::problem::{Problem, Severity};
use super::raw::{Raw, RawDaemon, RawLog};
use super::showable;
use super::source::{Flaw, Lines, Source, UNKNOWN};
use super::surroundings::Surroundings;
use super::units;
use super::valid::{Config, Log, LogFormat};
use crate::domain::spelling::did_you_mean;

/// The ledger's file where neither the configuration nor systemd names a place.
const LEDGER: &str = "/var/lib/supametas-sync/ledger.sqlite";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Problems of shape, as problems, where nothing else could be read.
pub(super) fn flaws(file: &Path, flaws: Vec<Flaw>) -> Vec<Problem> {
    let (lines, names) = (Lines::default(), Names::default());
    let problem = |flaw| of_shape(file, flaw, &lines, &names);
    flaws.into_iter().map(problem).collect()
}

fn of_shape(file: &Path, flaw: Flaw, lines: &Lines, names: &Names) -> Problem {
    let value = lines.value(&flaw.key).filter(|_| flaw.what != UNKNOWN);
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        of: names.of(&flaw.key),
        value: value.map(str::to_owned),
        key: flaw.key,
        line: flaw.line,
        what: flaw.what,
        remedy: flaw.remedy,
    }
}

/// What the folders and datasets are called, in the order of the file: people
/// know them by their names, and not by their numbers.
#[derive(Debug, Default)]
struct Names {
    folders: Vec<Option<String>>,
    datasets: Vec<Option<String>>,
}

impl Names {
    fn new(raw: &Raw) -> Names {
        let can_be_said = |name: &Option<String>| {
            let name = name.as_ref();
            let name = name.filter(|name| usable(name) && showable::may_be_shown(name));
            name.cloned()
        };
        Names {
            folders: raw.folder.iter().map(|f| can_be_said(&f.name)).collect(),
            datasets: raw.dataset.iter().map(|d| can_be_said(&d.name)).collect(),
        }
    }

    /// Whose key it is, in words.
    fn of(&self, key: &str) -> Option<String> {
        let (kind, rest) = key.split_once('[')?;
        let (n, rest) = rest.split_once(']')?;
        let names = match kind {
            "folder" => &self.folders,
            "dataset" => &self.datasets,
            _ => return None,
        };
        let at = n.parse::<usize>().ok()?.checked_sub(1)?;
        let name = names.get(at)?.as_ref().filter(|_| rest != ".name")?;
        Some(format!("{kind} {name}"))
    }
}

/// Checks everything. `None` or an error among the problems: it can't be used.
pub(super) fn check(
    file: &Path,
    source: Source,
    keys: Keys,
    on: &dyn Surroundings,
) -> (Option<Config>, Vec<Problem>) {
    let names = Names::new(&source.raw);
    let mut report = Report {
        file,
        problems: {
            let shaped = source.flaws.into_iter();
            let problem = |flaw| of_shape(file, flaw, &source.lines, &names);
            shaped.map(problem).collect()
        },
        lines: source.lines,
        names,
        cut: source.cut,
    };
    let to = &mut report;
    let raw = source.raw;

    let service = service::check(&raw.service, keys, on, to);
    let daemon = daemon(&raw.daemon, on, to);
    let log = log(&raw.log, to);
    let going = folder::going(&raw.retry, &raw.poll, to);
    let (http, token_files) = http::check(&raw.http, keys, on, to);
    let (datasets, mut key_files) = dataset::check(&raw.dataset, keys, on, to);
    pushes::can_come(&datasets, &http, to);
    let with = hook::With {
        keys,
        plain_hosts: &raw.service.allow_http_hosts,
        datasets: &datasets,
    };
    let folders = folder::check(&raw.folder, &raw.dataset, &going, with, on, to);
    key_files.extend(token_files);
    key_files.extend(proxy::login_file(&raw.service));
    key_files.extend(hook::secret_files(&raw.folder));
    overlap::check(&folders, &daemon.ledger, &key_files, on, to);
    overlap::results(&folders, &datasets, on, to);
    dataset::unused(&raw.dataset, &raw.folder, to);
    let errors = errors::check(&raw.error, to);

    let service = service.map(|service| Config {
        service,
        ledger: daemon.ledger,
        shutdown_grace: daemon.shutdown_grace,
        rescan_every: daemon.rescan_every,
        poll_every: daemon.poll_every,
        log,
        http,
        datasets: named(datasets, |d| d.name.clone()),
        folders: named(folders, |f| f.folder.name.clone())
            .into_iter()
            .map(|(name, found)| (name, Arc::new(found.folder.clone())))
            .collect(),
        errors: Arc::new(errors),
    });
    (service, report.problems)
}

fn named<K: Ord, V>(list: Vec<V>, name: impl Fn(&V) -> K) -> BTreeMap<K, Arc<V>> {
    let pair = |value: V| (name(&value), Arc::new(value));
    list.into_iter().map(pair).collect()
}

struct Daemon {
    ledger: PathBuf,
    shutdown_grace: Duration,
    rescan_every: Duration,
    poll_every: Duration,
}

/// Where the ledger is if the configuration does not say so.
pub(super) fn usual_ledger(on: &dyn Surroundings) -> PathBuf {
    on.var("STATE_DIRECTORY")
        // systemd lists several with colons; the unit's own comes first.
        .and_then(|dirs| dirs.split(':').next().map(PathBuf::from))
        .filter(|dir| dir.is_absolute())
        .map_or(PathBuf::from(LEDGER), |dir| dir.join("ledger.sqlite"))
}

fn daemon(raw: &RawDaemon, on: &dyn Surroundings, to: &mut Report<'_>) -> Daemon {
    let usual = usual_ledger(on);
    let secs = Duration::from_secs;
    Daemon {
        ledger: to.path("daemon.ledger", &raw.ledger).unwrap_or(usual),
        shutdown_grace: to.time(
            "daemon.shutdown_grace",
            &raw.shutdown_grace,
            secs(60),
            secs(0),
            DAY,
        ),
        rescan_every: to.time(
            "daemon.rescan_every",
            &raw.rescan_every,
            HOUR,
            secs(1),
            7 * DAY,
        ),
        poll_every: to.time("daemon.poll_every", &raw.poll_every, secs(30), secs(1), DAY),
    }
}

fn log(raw: &RawLog, to: &mut Report<'_>) -> Log {
    let filter = raw.filter.clone().unwrap_or_else(|| "info".to_owned());
    let parsed = tracing_subscriber::EnvFilter::builder().parse(&filter);
    if parsed.is_err() {
        to.error(
            "log.filter",
            "is not a log filter",
            "write a level (error, warn, info, debug, trace), or \"info,supametas_sync::watch=debug\"",
        );
    }
    Log {
        filter,
        format: to.choice(
            "log.format",
            &raw.format,
            LogFormat::Auto,
            &[
                ("auto", LogFormat::Auto),
                ("human", LogFormat::Human),
                ("json", LogFormat::Json),
                ("journald", LogFormat::Journald),
            ],
        ),
    }
}

/// Where problems are gathered, and the checks that every part needs.
struct Report<'f> {
    file: &'f Path,
    lines: Lines,
    names: Names,
    cut: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Report<'_> {
    fn error(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, key, what.into(), remedy.into());
    }

    fn warning(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, key, what.into(), remedy.into());
    }

    fn note(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Note, key, what.into(), remedy.into());
    }

    fn add(&mut self, severity: Severity, key: &str, what: String, remedy: String) {
        // What was cut out for its shape has been spoken of.
        let spoken = |cut: &String| {
            key.strip_prefix(cut.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if self.cut.iter().any(spoken) {
            return;
        }
        self.problems.push(Problem {
            severity,
            file: self.file.to_owned(),
            of: self.names.of(key),
            value: self.lines.value(key).map(str::to_owned),
            key: key.to_owned(),
            line: self.lines.of(key),
            what,
            remedy,
        });
    }

    /// Whether the file itself has `key`.
    fn has(&self, key: &str) -> bool {
        self.lines.has(key)
    }

    fn time(
        &mut self,
        key: &str,
        text: &Option<String>,
        usual: Duration,
        min: Duration,
        max: Duration,
    ) -> Duration {
        let Some(text) = text else { return usual };
        match units::time(text) {
            Err(why) => self.error(key, why.to_string(), units::TIME_HINT),
            Ok(time) if time < min => {
                let least = format!("write at least \"{}\"", units::show_time(min));
                self.error(key, "is too short", least);
            }
            Ok(time) if time > max => {
                let most = format!("write at most \"{}\"", units::show_time(max));
                self.error(key, "is too long", most);
            }
            Ok(time) => return time,
        }
        usual
    }

    fn size(&mut self, key: &str, text: &Option<String>) -> Option<u64> {
        match units::size(text.as_deref()?) {
            Err(why) => self.error(key, why.to_string(), units::SIZE_HINT),
            Ok(0) => self.error(key, "is nothing at all", "write a size above zero"),
            Ok(size) => return Some(size),
        }
        None
    }

    fn rate(&mut self, key: &str, rate: Option<f64>) -> Option<f64> {
        let rate = rate?;
        if rate.is_finite() && (0.001..=10_000.0).contains(&rate) {
            return Some(rate);
        }
        self.error(
            key,
            "is not a usable rate",
            "write a number a second between 0.001 and 10000",
        );
        None
    }

    fn choice<T: Copy>(
        &mut self,
        key: &str,
        text: &Option<String>,
        usual: T,
        from: &[(&str, T)],
    ) -> T {
        let Some(text) = text else { return usual };
        if let Some((_, chosen)) = from.iter().find(|(word, _)| word == text) {
            return *chosen;
        }
        let words = || from.iter().map(|(word, _)| *word);
        let remedy = match did_you_mean(text, words()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                let all: Vec<String> = words().map(|w| format!("\"{w}\"")).collect();
                format!("write one of {}", all.join(", "))
            }
        };
        self.error(key, "is not one of the words that belong here", remedy);
        usual
    }

    /// An absolute path without `.` and `..`.
    fn path(&mut self, key: &str, text: &Option<String>) -> Option<PathBuf> {
        let path = Path::new(text.as_deref()?);
        if !path.is_absolute() {
            let remedy =
                "write the full path, beginning with / (`~` and variables are not resolved)";
            self.error(key, "is not an absolute path", remedy);
            return None;
        }
        if path.components().any(|c| c == Component::ParentDir)
            || text.iter().any(|t| t.contains('\0'))
        {
            self.error(key, "leads through `..`", "write the path without it");
            return None;
        }
        // Taken apart and put together again, so that `//` and `/./` are gone.
        Some(path.components().collect())
    }

    /// A name that can be a label everywhere: in the ledger, logs and paths.
    fn name(&mut self, key: &str, name: &Option<String>) -> Option<String> {
        match name {
            None => self.error(key, "is missing", "give it a short name of your own"),
            Some(name) if usable(name) => return Some(name.clone()),
            Some(_) => self.error(
                key,
                "is not a usable name",
                "use 1 to 64 of the characters a-z, 0-9, - and _",
            ),
        }
        None
    }
}

/// Whether it can be the name of a folder or dataset.
fn usable(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(part)
}
