//! What the wait of files depends on, asked of the ledger and of a running daemon.
//!
//! Must not: look at a folder; `status` and `explain` do.

use crate::config::valid::Config;
use crate::domain::time::Timestamp;
use crate::ledger::{self, FileRecord, Ledger, LedgerError};
use crate::view::Surroundings;
use crate::view::standing::Standing;
use crate::web::client;

use super::lookout;

/// Files of a list whose place in the queue is counted, at most.
const COUNTED: usize = 10_000;

/// Of these files; nobody is asked where none of them waits.
pub async fn around(
    config: &Config,
    ledger: &Ledger,
    files: &[FileRecord],
    now: Timestamp,
) -> Result<Surroundings, LedgerError> {
    let waits = |file: &&FileRecord| !file.state.kind().is_final();
    let waiting: Vec<FileRecord> = files.iter().filter(waits).take(COUNTED).cloned().collect();
    if waiting.is_empty() {
        return Ok(Surroundings::default());
    }
    let ahead = ledger.ahead(waiting).await?;
    let mut standing = match client::standing(&config.ledger).await {
        Ok(standing) => standing,
        Err(_) => {
            let running = ledger::is_owned(&config.ledger).unwrap_or(false);
            let (gates, halts) = (ledger.gates(), ledger.halts());
            Standing::of(
                config,
                &ledger.standing(now).await?,
                &gates,
                &halts,
                running,
                now,
            )
        }
    };
    let full = || lookout::no_room(&config.ledger);
    standing.stopped = standing.stopped.or_else(full);
    Ok(Surroundings::new(config, ledger, &standing, ahead, now))
}
