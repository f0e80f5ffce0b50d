//! The ledger: every version of every file, every attempt, every task and each
//! change of state, in one SQLite file. It *is* the queue: what is not in it
//! does not happen, and a restart takes the ordinary path.
//!
//! ```text
//!   Ledger (handle, cheap to clone)
//!     ├─ write requests ─► owning thread: one transaction for all that wait,
//!     │                    a savepoint each, one commit, then all answers
//!     └─ questions ──────► two readers: the dispatcher's, and people's
//! ```
//!
//! - An answer to a write means that it is on the disk (`synchronous=FULL`).
//!   An error means that nothing of it was recorded.
//! - Each state change goes through `domain::lifecycle::step` inside the
//!   transaction that writes it; no SQL here names a next state.
//! - [`Ledger::open_owner`] is the daemon's: it holds a lock file.
//!   [`Ledger::open_visitor`] is for commands beside a running daemon,
//!   [`Ledger::open_onlooker`] for those that must not leave a trace.
//! - Time, chance and policies are given with each call.
//!
//! Must not: read a clock, touch a source, or talk to the service.

mod attention;
mod backup;
mod browse;
mod clock;
mod columns;
mod copies;
mod due;
mod enqueue;
mod erase;
mod error;
mod file_checks;
mod filter;
mod foreign;
mod gates;
mod growth;
mod halts;
mod history;
mod intake;
mod last_byte;
mod last_good;
mod list;
mod lock;
mod log_size;
mod notices;
mod open;
mod operator;
mod paths;
mod place;
mod places;
mod policies;
mod questions;
mod rebuild;
mod recovery;
mod reimport;
mod rows;
mod salvage;
mod schema;
mod sources;
mod standing;
mod suspect;
mod tasks;
mod thread;
mod uploads;
mod work;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Builder;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use attention::{Acknowledge, Acknowledged};
pub use backup::{BackupError, backup, compact, unused};
pub use browse::Browsed;
pub use due::Pending;
pub use erase::{Erased, Memory};
pub use error::{Concern, LedgerError};
pub use filter::{Attention, Filter, Selection};
pub use gates::{Fingerprints, Gates};
pub use halts::Resumed;
pub use history::{AttemptRecord, FileStory, HistoryRecord};
pub use intake::{
    Enqueued, NewFile, NewSorted, PickRequest, Queued, UNREADABLE, UNREADABLE_WAIT, Unsorted,
};
pub use last_byte::LastByte;
pub use last_good::{keep_last_good, last_good_path, read_last_good};
pub use lock::{is_owned, owner};
pub use log_size::LongLog;
pub use notices::{About, Notice};
pub use operator::{Count, Retried};
pub use paths::{lock_path, names_beside};
pub use place::{Outside, Seen};
pub use places::Places;
pub use policies::Policies;
pub use questions::{Met, SentBefore};
pub use rebuild::{Rebuild, Rebuilt};
pub use recovery::Recovered;
pub use rows::{ContentHash, FileRecord, LastPoll, OptionsPrint, Source, SourceEnd};
pub use salvage::Salvaged;
pub use schema::BIG_FILE;
pub use sources::{SourceWork, StaysPut};
pub use standing::Standing;
pub use suspect::Suspect;
pub use tasks::{DuePoll, Polled};
pub use uploads::{Begin, Begun, Finish, Finished, NextHop};
pub use work::STREAK_GRACE;

use crate::domain::halt::Halts;
use error::Fail;
use file_checks::{By, There};
use lock::Lock;
use place::Place;
use thread::{Read, Request, Waiting, Write, Writer};
use work::{Kept, Work};

use crate::live::histogram::Histogram;

/// Requests that may wait for the owning thread before callers wait to ask.
const WAITING: usize = 4096;

/// Upper bounds of the buckets of commit times, in seconds.
const COMMITS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0,
];

/// A handle on the ledger. Clones share it; it closes when the last is gone.
#[derive(Clone)]
pub struct Ledger {
    writer: mpsc::Sender<Write>,
    hot: mpsc::Sender<Read>,
    cold: mpsc::Sender<Read>,
    commits: Arc<AtomicU64>,
    commit_times: Arc<Histogram>,
    gates: watch::Receiver<Arc<Gates>>,
    noticed: Arc<Notify>,
    trouble: watch::Sender<Option<LedgerError>>,
    halts: watch::Receiver<Arc<Halts>>,
    long_log: watch::Sender<Option<LongLog>>,
}

/// What shows that a ledger was at `path`, where none is now; empty: nothing
/// does, or one is there.
pub fn signs_of_a_lost_ledger(path: &Path) -> Vec<std::path::PathBuf> {
    let there = path.metadata().is_ok_and(|meta| meta.len() > 0);
    if there || paths::rescued(path).exists() {
        return Vec::new();
    }
    file_checks::signs_of_an_earlier_life(path, lock::is_of_an_earlier_life(path))
}

/// What the owner does where the ledger is gone, or empty, and was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfLost {
    /// Nothing is begun: a new ledger would have all files sent again.
    #[default]
    Refuse,
    /// What is left of the former is moved aside, and a new one is made: an
    /// operator has said so.
    Begin,
}

/// Which reader is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Short questions of the daemon's.
    Hot,
    /// What people ask; may take a while.
    Cold,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger as the daemon that owns it: makes it if it is missing,
    /// brings an older one up to date, and keeps other daemons off through
    /// `<path>.lock`. Blocks for as long as a migration takes.
    ///
    /// # Errors
    /// Another daemon has it, its directory can't hold it, or the file is not
    /// a ledger that this program knows.
    pub fn open_owner(path: &Path) -> Result<Ledger, LedgerError> {
        Ledger::own(path, IfLost::Refuse)
    }

    /// The same, where the operator says what is done if the ledger is gone.
    ///
    /// # Errors
    /// As there.
    pub fn own(path: &Path, if_lost: IfLost) -> Result<Ledger, LedgerError> {
        schema::check_sqlite()?;
        let user = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        Ledger::own_as_it_is(path, if_lost)
            .map_err(|error| file_checks::or_foreign(path, open::or_full_disk(path, error), user))
    }

    fn own_as_it_is(path: &Path, if_lost: IfLost) -> Result<Ledger, LedgerError> {
        file_checks::check(path, By::Owner)?;
        let mut lock = lock::take(path)?;
        place::take_up_rescued(path)?;
        if file_checks::check(path, By::Owner)? != There::File {
            let signs = file_checks::signs_of_an_earlier_life(path, lock.earlier);
            match if_lost {
                IfLost::Refuse if !signs.is_empty() => {
                    let path = path.to_owned();
                    return Err(LedgerError::Lost { path, signs });
                }
                IfLost::Refuse => {}
                IfLost::Begin => open::set_remains_aside(path)?,
            }
            open::begin(path)?;
        }
        open::close_to_others(path)?;
        let conn = open::writer(path, true)?;
        lock.ledger_is_there()
            .map_err(|error| LedgerError::of_io(path, &error))?;
        Ledger::start(path, conn, Some(lock), open::reader)
    }

    /// Opens an existing ledger beside a daemon that may be running: no lock,
    /// no migration, short writes.
    ///
    /// # Errors
    /// There is none, or it is not a ledger of just this schema.
    pub fn open_visitor(path: &Path) -> Result<Ledger, LedgerError> {
        schema::check_sqlite()?;
        if !path.exists() {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        file_checks::check(path, By::Visitor)?;
        let conn = open::writer(path, false)?;
        Ledger::start(path, conn, None, open::reader)
    }

    /// Opens an existing ledger to look at it: nothing is written, not even a
    /// file beside it, and what would be is refused. Beside a daemon or not.
    ///
    /// # Errors
    /// There is none, it can't be read, or it is not a ledger of just this
    /// schema.
    pub fn open_onlooker(path: &Path) -> Result<Ledger, LedgerError> {
        schema::check_sqlite()?;
        if !path.exists() {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        file_checks::check(path, By::Visitor)?;
        Ledger::start(path, open::onlooker(path)?, None, open::onlooker)
    }

    fn start(
        path: &Path,
        conn: Connection,
        lock: Option<Lock>,
        reader: fn(&Path) -> Result<Connection, LedgerError>,
    ) -> Result<Ledger, LedgerError> {
        let wrong = |fail: Fail| fail.at(path);
        let (writer, requests) = mpsc::channel(WAITING);
        let (hot, hot_requests) = mpsc::channel(WAITING);
        let (cold, cold_requests) = mpsc::channel(WAITING);
        let gates_now = gates::load_all(&conn).map_err(wrong)?;
        let (show, gates) = watch::channel(Arc::new(gates_now));
        let halts_now = halts::load_all(&conn).map_err(wrong)?;
        let (show_halts, halts) = watch::channel(Arc::new(halts_now));
        let commits = Arc::new(AtomicU64::new(0));
        let noticed = Arc::new(Notify::new());
        let (trouble, _) = watch::channel(None);
        let (long_log, _) = watch::channel(None);
        let commit_times = Arc::new(Histogram::new(COMMITS));
        let thread = Writer {
            data_version: thread::data_version(&conn).map_err(wrong)?,
            place: Place::now(path, lock.is_some()),
            trouble: trouble.clone(),
            conn,
            path: path.to_owned(),
            log: log_size::Keeper::new(path, lock.is_some(), long_log.clone()),
            lock,
            commits: Arc::clone(&commits),
            commit_times: Arc::clone(&commit_times),
            gates: show,
            halts: show_halts,
            noticed: Arc::clone(&noticed),
            requests,
            waiting: Waiting::default(),
            commit_took: Duration::ZERO,
            kept: Kept::default(),
        };
        for (name, requests) in [("ledger-hot", hot_requests), ("ledger-cold", cold_requests)] {
            let conn = reader(path)?;
            let path = path.to_owned();
            spawn(&thread.path, name, move || {
                thread::read(conn, &path, requests);
            })?;
        }
        spawn(path, "ledger", move || thread.run())?;
        Ok(Ledger {
            writer,
            hot,
            cold,
            commits,
            commit_times,
            gates,
            noticed,
            trouble,
            halts,
            long_log,
        })
    }

    /// What keeps the ledger from recording, if anything: set when it begins,
    /// told once in the log, and taken back when it is over. One that
    /// [`LedgerError::is_final`] stays.
    pub fn trouble(&self) -> watch::Receiver<Option<LedgerError>> {
        self.trouble.subscribe()
    }

    /// The write-ahead log, while it is longer than it should be because another
    /// program keeps reading the ledger.
    pub fn long_log(&self) -> Option<LongLog> {
        *self.long_log.borrow()
    }

    /// Closes the ledger for every clone of this handle: what was asked before
    /// is done first. Returns when the file is closed and the lock is free.
    pub async fn close(self) {
        for reader in [&self.hot, &self.cold] {
            let (reply, closed) = oneshot::channel();
            if reader.send(Read::Close(reply)).await.is_ok() {
                let _ = heard(reader, closed).await;
            }
        }
        let (reply, closed) = oneshot::channel();
        if self.writer.send(Write::Close(reply)).await.is_ok() {
            let _ = heard(&self.writer, closed).await;
        }
    }

    /// Commits so far: how well requests share them.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Looks whether another process (a command beside the daemon) has written
    /// to the ledger, and shows the gates and pauses as they are now. True: it has, and
    /// there may be new work. Cheap; where [`Outside`] is the same, needless.
    pub async fn refresh_gates(&self) -> Result<bool, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.writer
            .send(Write::Refresh(reply))
            .await
            .map_err(|_| LedgerError::Closed)?;
        heard(&self.writer, answer).await?
    }

    /// Does `work` in the next shared transaction, and answers when that is
    /// durable. `weight`: how many rows it writes, about.
    async fn write<T, F>(&self, weight: usize, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, Fail> + Send + 'static,
    {
        self.write_in(weight, false, work).await
    }

    /// Does `work`, gives its answer, and takes back what it wrote: what would be
    /// answered, and what will be, can't differ.
    async fn rehearse<T, F>(&self, weight: usize, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, Fail> + Send + 'static,
    {
        let (tell, told) = std::sync::mpsc::channel();
        let taken_back = self
            .write(weight, move |all| {
                let _ = tell.send(work(all)?);
                // An error is what has the writer take it back.
                let nobody = crate::domain::ids::FileId(0);
                Err::<(), _>(Fail::Refused(nobody, "a rehearsal".to_owned()))
            })
            .await;
        match (told.try_recv(), taken_back) {
            (Ok(answer), Err(LedgerError::Refused { .. })) => Ok(answer),
            (_, Err(error)) => Err(error),
            (_, Ok(())) => Err(LedgerError::Closed),
        }
    }

    /// The same before whatever else waits, in a transaction that takes nothing
    /// more after it: for a few requests, of which each is waited for.
    async fn write_urgently<T, F>(&self, weight: usize, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, Fail> + Send + 'static,
    {
        self.write_in(weight, true, work).await
    }

    async fn write_in<T, F>(&self, weight: usize, urgent: bool, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, Fail> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let run: thread::Run = Box::new(move |tx, path| {
            let result = match tx {
                Some(tx) => work(tx).map_err(|fail| fail.at(path)),
                None => Err(LedgerError::Closed),
            };
            let worked = result.as_ref().map(|_| ()).map_err(Clone::clone);
            let deliver: thread::Deliver = Box::new(move |committed| {
                let result = match (result, committed) {
                    // Its own error says more than that the others' failed too.
                    (Err(LedgerError::Closed), Err(error)) => Err(error),
                    (Err(own), _) => Err(own),
                    (Ok(value), committed) => committed.map(|()| value),
                };
                // Nobody waits any more: it is recorded all the same.
                let _ = reply.send(result);
            });
            (worked, deliver)
        });
        self.writer
            .send(Write::Run(Request {
                weight,
                urgent,
                run,
            }))
            .await
            .map_err(|_| LedgerError::Closed)?;
        heard(&self.writer, answer).await?
    }

    /// Asks a question about what is committed.
    async fn read<T, F>(&self, lane: Lane, ask: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let trouble = self.trouble.clone();
        let run = Box::new(move |conn: &Connection, path: &Path| {
            let answer = ask(conn).map_err(|fail| fail.at(path));
            if let Err(error) = &answer
                && error.is_final()
            {
                tracing::error!("{error}");
                trouble.send_replace(Some(error.clone()));
            }
            let _ = reply.send(answer);
        });
        let reader = match lane {
            Lane::Hot => &self.hot,
            Lane::Cold => &self.cold,
        };
        reader
            .send(Read::Run(run))
            .await
            .map_err(|_| LedgerError::Closed)?;
        heard(reader, answer).await?
    }
}

/// Waits for an answer. A request that was on its way into the channel just as
/// the thread at its other end closed is never looked at, nor dropped while
/// anybody can still ask: so the end of that thread is waited for as well.
async fn heard<T, R>(
    asked: &mpsc::Sender<R>,
    mut answer: oneshot::Receiver<T>,
) -> Result<T, LedgerError> {
    tokio::select! {
        biased;
        heard = &mut answer => heard.map_err(|_| LedgerError::Closed),
        () = asked.closed() => answer.try_recv().map_err(|_| LedgerError::Closed),
    }
}

fn spawn(path: &Path, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), LedgerError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|error| LedgerError::Other {
            path: path.to_owned(),
            why: format!("no thread for it: {error}"),
        })
}
