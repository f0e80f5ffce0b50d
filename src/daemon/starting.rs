//! The start, up to the ledger: one that another program holds, or that has no
//! room, is waited for, and said to be, rather than given up.
//!
//! Must not: wait for anything that does not pass by itself.

use std::sync::Arc;
use std::time::Duration;

use super::clock::Minder;
use super::service_manager;
use super::signals::{Listener, Request};
use crate::ledger::{IfLost, Ledger, LedgerError};
use crate::ports::World;

/// What systemd gives to a start that says that it still waits; one try takes a
/// few seconds (SQLite's busy timeout).
const EXTENDED: Duration = Duration::from_secs(60);

/// Between two tries while a disk is full.
const ROOM: Duration = Duration::from_secs(1);

/// A start that waits for a ledger which can't be written for now.
pub struct Waiting<'a> {
    listener: &'a mut Listener,
    said: bool,
}

impl Waiting<'_> {
    /// For a start that hears requests from `listener`.
    pub fn new(listener: &mut Listener) -> Waiting<'_> {
        Waiting {
            listener,
            said: false,
        }
    }

    /// Does `work` until it succeeds. `None`: asked to stop meanwhile.
    ///
    /// # Errors
    /// When it fails for a reason that does not pass by itself.
    pub async fn until<T>(
        &mut self,
        mut work: impl AsyncFnMut() -> Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        loop {
            match work().await {
                Ok(done) => return Ok(Some(done)),
                // Its own wait for the lock took a few seconds.
                Err(error @ LedgerError::Busy(_)) => self.tell(&error),
                Err(error @ LedgerError::DiskFull(_)) => {
                    self.tell(&error);
                    tokio::time::sleep(ROOM).await;
                }
                Err(error) => return Err(error),
            }
            while let Ok(request) = self.listener.requests.try_recv() {
                if request == Request::Stop {
                    return Ok(None);
                }
            }
        }
    }

    fn tell(&mut self, error: &LedgerError) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!("waiting with the start: {error}");
        }
        service_manager::starting_late(&format!("waiting with the start: {error}"), EXTENDED);
    }
}

/// Opens the ledger, and moves its times if the clock was set meanwhile.
///
/// # Errors
/// When it can't be opened.
pub async fn open(
    path: &std::path::Path,
    if_lost: IfLost,
    world: &World,
) -> Result<(Ledger, Minder), LedgerError> {
    let (owned, at) = (path.to_owned(), Arc::clone(&world.clock));
    // Blocks for as long as it waits for the lock.
    let opening = tokio::task::spawn_blocking(move || Ledger::own(&owned, if_lost));
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
