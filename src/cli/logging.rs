//! Where log lines go and what they look like. Always to standard error (or
//! journald's own socket), so that standard output stays a command's answer.
//!
//! Must not: log anything itself.

use std::io::{self, IsTerminal};

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::valid::{Log, LogFormat};

/// Starts logging for the whole process. The environment variable
/// `SUPAMETAS_LOG` wins over the configured filter.
pub fn start(log: &Log) -> Result<(), LogError> {
    let text = std::env::var("SUPAMETAS_LOG").unwrap_or_else(|_| log.filter.clone());
    let filter = EnvFilter::try_new(&text).map_err(|source| LogError::Filter {
        text: text.clone(),
        source,
    })?;
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match chosen(log.format) {
        LogFormat::Json => Box::new(
            tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(io::stderr),
        ),
        LogFormat::Journald => Box::new(tracing_journald::layer().map_err(LogError::Journald)?),
        LogFormat::Auto | LogFormat::Human => Box::new(
            tracing_subscriber::fmt::layer()
                .with_target(false)
                .with_span_events(FmtSpan::NONE)
                // Escape sequences in a file are noise, or worse.
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr),
        ),
    };
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    Ok(())
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
        "`{text}` is not a log filter ({source}): use for instance `info` or `info,supametas_sync::watch=debug`"
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
