//! The start, up to the ledger: one that another program holds is waited for,
//! and said to be, rather than given up.
//!
//! Must not: wait for anything that does not pass by itself.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Minder;
use super::service_manager;
use super::signals::{Listener, Request};
use crate::ledger::{Ledger, LedgerError};
use crate::ports::World;

/// What systemd gives to a start that says that it still waits; one try takes a
/// few seconds (SQLite's busy timeout).
const EXTENDED: Duration = Duration::from_secs(60);

/// Opens the ledger, and moves its times if the clock was set meanwhile. `None`:
/// asked to stop while it waited.
///
/// # Errors
/// When it can't be opened for a reason that does not pass by itself.
pub async fn open(
    path: &std::path::Path,
    world: &World,
    listener: &mut Listener,
) -> Result<Option<(Ledger, Minder)>, LedgerError> {
    let mut said = false;
    loop {
        let error = match try_open(path, world).await {
            Ok(opened) => return Ok(Some(opened)),
            Err(error @ LedgerError::Busy(_)) => error,
            Err(error) => return Err(error),
        };
        if !said {
            said = true;
            tracing::warn!("waiting with the start: {error}");
        }
        service_manager::starting_late(&format!("waiting with the start: {error}"), EXTENDED);
        while let Ok(request) = listener.requests.try_recv() {
            if request == Request::Stop {
                return Ok(None);
            }
        }
    }
}

async fn try_open(path: &std::path::Path, world: &World) -> Result<(Ledger, Minder), LedgerError> {
    let (owned, at) = (path.to_owned(), Arc::clone(&world.clock));
    // Blocks for as long as it waits for the lock.
    let opening = tokio::task::spawn_blocking(move || Ledger::open_owner(&owned));
    let ledger = opening.await.map_err(|error| LedgerError::Other {
        path: path.to_owned(),
        why: error.to_string(),
    })??;
    match Minder::start(&ledger, &*at).await {
        Ok(minder) => Ok((ledger, minder)),
        Err(error) => {
            // It is opened again: the lock must be free.
            ledger.close().await;
            Err(error)
        }
    }
}
