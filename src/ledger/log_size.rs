//! The length of the write-ahead log. SQLite begins it anew once all of it is in
//! the ledger and nobody reads from it; a program that reads for long lets it
//! grow without end. That is said, and the log is cut as soon as it can be.
//!
//! Must not: wait for a reader.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

/// A log that is longer is looked into: four times what is written between two
/// checkpoints.
const LONG: u64 = 64 << 20;

/// The least time between two tries to cut it.
const APART: Duration = Duration::from_secs(5);

/// A log that can't be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongLog {
    /// Its length.
    pub bytes: u64,
}

/// Looks after the log.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    /// A command beside the daemon leaves the log to the daemon.
    owner: bool,
    tried: Option<Instant>,
    /// The length that was last said.
    said: u64,
    now: watch::Sender<Option<LongLog>>,
}

impl Keeper {
    pub fn new(ledger: &Path, owner: bool, now: watch::Sender<Option<LongLog>>) -> Keeper {
        let mut path = ledger.as_os_str().to_owned();
        path.push("-wal");
        Keeper {
            path: PathBuf::from(path),
            owner,
            tried: None,
            said: 0,
            now,
        }
    }

    /// Looks at the log's length, and tries to cut it where it is long. Called
    /// between two transactions.
    pub fn look(&mut self, conn: &Connection) {
        let long = |path: &Path| fs::metadata(path).map_or(0, |log| log.len());
        let soon = self.tried.is_some_and(|tried| tried.elapsed() < APART);
        if !self.owner || soon || (long(&self.path) <= LONG && self.said == 0) {
            return;
        }
        self.tried = Some(Instant::now());
        // What it could not do shows in the length.
        let _ = cut(conn);
        self.tell(long(&self.path));
    }

    fn tell(&mut self, bytes: u64) {
        let is_long = bytes > LONG;
        self.now.send_replace(is_long.then_some(LongLog { bytes }));
        if is_long && bytes >= self.said.saturating_mul(2).max(LONG) {
            tracing::warn!(
                log = %self.path.display(), bytes,
                "the ledger's log has grown to {} MiB, since another program keeps reading the ledger: end it (`fuser` names it), the log is cut then",
                bytes >> 20
            );
            self.said = bytes;
        } else if !is_long && self.said > 0 {
            tracing::info!(log = %self.path.display(), "the ledger's log is cut again");
            self.said = 0;
        }
    }
}

/// Copies what it can into the ledger, and cuts the log if nobody reads from it.
fn cut(conn: &Connection) -> Result<(), rusqlite::Error> {
    let patience = conn.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, i64>(0))?;
    conn.busy_timeout(Duration::ZERO)?;
    let cut = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    conn.busy_timeout(Duration::from_millis(patience.unsigned_abs()))?;
    cut
}
