//! Keeps the configuration in force beside the ledger, at a start and at each
//! reload, for commands that meet a broken one (`config::LastGood`).
//!
//! Must not: hold up or end a run. Without the copy a command says what is wrong
//! with the file, as it does where no daemon has run.

use std::path::PathBuf;

use crate::config::{LastGood, WithoutSecrets};
use crate::domain::time::Timestamp;
use crate::ledger::{keep_last_good, last_good_path};

/// Keeps `kept`, of the file at `config`, which is in force since `now`.
pub async fn keep(config: PathBuf, kept: WithoutSecrets, ledger: PathBuf, now: Timestamp) {
    let path = last_good_path(&ledger);
    let writing = tokio::task::spawn_blocking(move || {
        let copy = LastGood::new(&config, &kept, &ledger, now);
        keep_last_good(&ledger, &copy.to_bytes()).map_err(|error| error.to_string())
    });
    let written = writing.await.map_err(|error| error.to_string());
    if let Err(error) = written.and_then(|written| written) {
        tracing::warn!(
            path = %path.display(), error,
            "no copy of the configuration could be kept for the commands"
        );
    }
}
