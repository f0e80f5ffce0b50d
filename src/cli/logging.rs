//! Where log lines go and what they look like. Always to standard error (or
//! journald's own socket), so that standard output stays a command's answer.
//!
//! Must not: log anything itself.

use std::io::{self, IsTerminal};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::compact::Compact;
use super::journal::Journal;
use super::log_fields::Fields;
use super::progress::Beside;
use crate::config::valid::{Log, LogFormat};

/// notify warns of each watch that it takes off a folder that was removed: the
/// kernel has done so before. What it has to tell us comes as an error.
const QUIET: &str = "notify=error";

/// Wins over the configured filter.
const FILTER: &str = "SUPAMETAS_LOG";

/// Starts logging for the whole process. The environment variable
/// `SUPAMETAS_LOG` wins over the configured filter.
pub fn start(log: &Log) -> Result<(), LogError> {
    let layer: Shape = match chosen(log.format) {
        LogFormat::Json => Box::new(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .log_internal_errors(false)
                .with_writer(|| Beside),
        ),
        LogFormat::Journald => Box::new(Journal::open().map_err(LogError::Journald)?),
        LogFormat::Auto | LogFormat::Human => Box::new(
            tracing_subscriber::fmt::layer()
                .fmt_fields(Fields)
                .with_target(false)
                // Escape sequences in a file are noise, or worse.
                .with_ansi(colours())
                // It would say with a panic that nobody reads standard error.
                .log_internal_errors(false)
                .with_writer(|| Beside),
        ),
    };
    begin(layer, &log.filter)
}

/// Starts logging for somebody who watches: one short line for each change of
/// a file. Whoever names a filter in the environment gets the full lines.
pub fn start_compact(log: &Log) -> Result<(), LogError> {
    if asked().is_some() {
        return start(log);
    }
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(colours())
        .log_internal_errors(false)
        .with_writer(|| Beside)
        .event_format(Compact);
    begin(Box::new(layer), "info,supametas_sync::daemon=debug")
}

type Shape = Box<dyn Layer<Registry> + Send + Sync>;

fn begin(layer: Shape, filter: &str) -> Result<(), LogError> {
    let text = asked().unwrap_or_else(|| filter.to_owned());
    // Before what was asked for, which may so name notify, too.
    let filter =
        EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|source| LogError::Filter {
            text: text.clone(),
            source,
        })?;
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    Ok(())
}

fn asked() -> Option<String> {
    std::env::var(FILTER)
        .ok()
        .filter(|text| !text.trim().is_empty())
}

/// On a terminal only, and not where `NO_COLOR` says no (no-color.org).
fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// systemd sets `JOURNAL_STREAM` where standard error is journald's socket
/// (systemd.exec(5)).
fn chosen(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Human,
        other => other,
    }
}

/// Logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error(
        "`{text}` is not a log filter ({source}): set SUPAMETAS_LOG or `log.filter` to, for instance, `info` or `info,supametas_sync::watch=debug`"
    )]
    Filter {
        /// As given.
        text: String,
        /// Why not.
        source: tracing_subscriber::filter::ParseError,
    },
    /// journald is not there.
    #[error("journald can't be reached ({0}): set `log.format` to \"human\" or \"json\"")]
    Journald(io::Error),
}
