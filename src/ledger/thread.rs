//! The threads behind the ledger: one that owns it and writes, two that read.
//!
//! The writer takes all requests that wait, runs them in one transaction, each
//! in a savepoint of its own, and commits once: a wait for the disk is shared
//! by everyone who came meanwhile. Readers have connections of their own, so
//! that a question never waits behind that.
//!
//! Must not: know what a request does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::error::{Fail, LedgerError};
use super::gates::{self, Gates};
use super::halts;
use super::place::Place;
use super::work::{Kept, Untold, Work};
use crate::domain::halt::Halts;
use crate::failpoint::failpoint;
use crate::live::histogram::Histogram;

/// Requests in one transaction, at most.
const GROUP: usize = 512;
/// Rows that one transaction writes, about: it bounds how long a small request
/// waits behind a crowd of new files.
const GROUP_WEIGHT: usize = 1_000;

/// Answers a request, once its transaction is durable or has failed.
pub(super) type Deliver = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;
/// Does a request's work; an error takes back what it wrote. Without a
/// transaction to work in it only gives the way to its answer.
pub(super) type Run =
    Box<dyn FnOnce(Option<&mut Work<'_>>, &Path) -> (Result<(), LedgerError>, Deliver) + Send>;

/// What the writer is asked.
pub(super) enum Write {
    Run {
        /// How many rows it writes, about.
        weight: usize,
        run: Run,
    },
    /// Look whether another process has written. True: it has.
    Refresh(oneshot::Sender<Result<bool, LedgerError>>),
    /// Say that the thread works.
    Hello(oneshot::Sender<()>),
    /// End, and say so once the file is closed and the lock given back.
    Close(oneshot::Sender<()>),
}

/// Asks a question and gives its answer.
pub(super) type Ask = Box<dyn FnOnce(&Connection, &Path) + Send>;

/// What a reader is asked.
pub(super) enum Read {
    Run(Ask),
    Close(oneshot::Sender<()>),
}

/// The owning thread's belongings.
pub(super) struct Writer {
    pub conn: Connection,
    pub path: PathBuf,
    /// Held as long as the thread lives; `None` for a visitor.
    pub lock: Option<File>,
    pub commits: Arc<AtomicU64>,
    pub commit_times: Arc<Histogram>,
    pub gates: watch::Sender<Arc<Gates>>,
    pub halts: watch::Sender<Arc<Halts>>,
    /// Rung after a commit that has left a notice.
    pub noticed: Arc<Notify>,
    pub requests: mpsc::Receiver<Write>,
    pub kept: Kept,
    /// Whether the files that were opened are still at their paths.
    pub place: Place,
    /// What is wrong with the ledger, for all to see.
    pub trouble: watch::Sender<Option<LedgerError>>,
    /// What `PRAGMA data_version` said last: it moves when others write.
    pub data_version: i64,
}

impl Writer {
    /// Works until it is closed, or nobody can ask any more.
    pub fn run(mut self) {
        let mut closing = None;
        let mut failing = false;
        while closing.is_none() {
            let mut group = Vec::new();
            let mut refreshers = Vec::new();
            let mut weight = 0;
            // What is left over does not wait for a request, unless nothing
            // can be recorded just now: that would be a busy loop.
            let mut next = if self.kept.untold.is_empty() || failing {
                match self.requests.blocking_recv() {
                    Some(request) => Some(request),
                    None => break,
                }
            } else {
                self.requests.try_recv().ok()
            };
            while let Some(request) = next.take() {
                match request {
                    Write::Run { weight: rows, run } => {
                        weight += rows;
                        group.push(run);
                    }
                    Write::Refresh(reply) => refreshers.push(reply),
                    Write::Hello(reply) => drop(reply.send(())),
                    Write::Close(reply) => {
                        closing = Some(reply);
                        break;
                    }
                }
                if group.len() < GROUP && weight < GROUP_WEIGHT {
                    next = self.requests.try_recv().ok();
                }
            }
            if !group.is_empty() || !self.kept.untold.is_empty() {
                failing = !self.transact(group);
            }
            for reply in refreshers {
                let _ = reply.send(self.refresh());
            }
        }
        // In this order: closed before anyone is told, unlocked last.
        drop(self.conn);
        drop(self.lock);
        if let Some(reply) = closing {
            let _ = reply.send(());
        }
    }

    /// One transaction for the whole group, then everyone's answer. False: it
    /// failed, and nothing of it was recorded.
    fn transact(&mut self, group: Vec<Run>) -> bool {
        let untold = self.kept.untold.pop_front();
        let mut answers = Vec::with_capacity(group.len());
        let result = self.in_transaction(untold.as_ref(), group, &mut answers);
        self.tell_trouble(result.as_ref().err());
        if let Some(error) = self.kept.found_damaged.take() {
            self.tell_trouble(Some(&error));
        }
        if result.is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
            if std::mem::take(&mut self.kept.gates_changed) {
                self.show_gates();
            }
            if std::mem::take(&mut self.kept.noticed) {
                self.noticed.notify_one();
            }
        } else {
            if !self.conn.is_autocommit() {
                // Nothing to do about a failure here: the next BEGIN reports
                // what is wrong.
                let _ = self.conn.execute_batch("ROLLBACK");
            }
            self.kept.forget();
            self.kept.untold.clear();
            self.kept.untold.extend(untold);
        }
        for deliver in answers {
            deliver(result.clone());
        }
        result.is_ok()
    }

    fn in_transaction(
        &mut self,
        untold: Option<&Untold>,
        group: Vec<Run>,
        answers: &mut Vec<Deliver>,
    ) -> Result<(), LedgerError> {
        let mut broken = self.begin().err();
        let path = self.path.as_path();
        let mut work = Work {
            conn: &self.conn,
            kept: &mut self.kept,
        };
        if let (Some(untold), None) = (untold, &broken) {
            broken = tell(untold, &mut work, path).err();
        }
        for run in group {
            if broken.is_none() {
                broken = member(run, &mut work, path, answers).err();
            } else {
                answers.push(run(None, path).1);
            }
        }
        if let Some(error) = broken {
            return Err(error);
        }
        failpoint!("ledger.before_commit");
        let start = Instant::now();
        exec(&self.conn, "COMMIT").map_err(|fail| fail.at(path))?;
        self.commit_times.record(start.elapsed());
        failpoint!("ledger.after_commit");
        Ok(())
    }

    fn begin(&mut self) -> Result<(), LedgerError> {
        // A file that was deleted can still be written, and is lost at the end.
        self.place.check(&self.conn)?;
        let begun = exec(&self.conn, "BEGIN IMMEDIATE").and_then(|()| data_version(&self.conn));
        self.kept.begins(begun.map_err(|fail| fail.at(&self.path))?);
        Ok(())
    }

    /// Says once what is wrong, and once that it is right again: everyone who
    /// shares a transaction that fails hears of it, and many try again.
    fn tell_trouble(&self, now: Option<&LedgerError>) {
        self.trouble.send_if_modified(|known| {
            // What can't be mended stays.
            if known.as_ref() == now || known.as_ref().is_some_and(LedgerError::is_final) {
                return false;
            }
            match now {
                Some(error) if error.is_passing() => {
                    tracing::error!("{error}; until then no file is sent");
                }
                Some(error) => tracing::error!("{error}"),
                None => tracing::info!(ledger = %self.path.display(), "the ledger records again"),
            }
            *known = now.cloned();
            true
        });
    }

    fn refresh(&mut self) -> Result<bool, LedgerError> {
        if let Err(error) = self.place.check(&self.conn) {
            self.tell_trouble(Some(&error));
            return Err(error);
        }
        let version = data_version(&self.conn).map_err(|fail| fail.at(&self.path))?;
        let others_wrote = version != self.data_version;
        if others_wrote {
            self.data_version = version;
            self.kept.forget();
            self.show_gates();
        }
        Ok(others_wrote)
    }

    fn show_gates(&mut self) {
        match gates::load_all(&self.conn) {
            Ok(now) => {
                self.gates.send_if_modified(|shown| {
                    let differs = **shown != now;
                    if differs {
                        *shown = Arc::new(now);
                    }
                    differs
                });
            }
            // What is shown stays as it was; shown again after the next commit.
            Err(_) => self.kept.gates_changed = true,
        }
        match halts::load_all(&self.conn) {
            Ok(now) => {
                self.halts.send_if_modified(|shown| {
                    let differs = **shown != now;
                    if differs {
                        *shown = Arc::new(now);
                    }
                    differs
                });
            }
            Err(_) => self.kept.gates_changed = true,
        }
    }
}

fn exec(conn: &Connection, sql: &str) -> Result<(), Fail> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Runs one request in a savepoint. `Err`: the whole transaction is spoilt.
fn member(
    run: Run,
    work: &mut Work<'_>,
    path: &Path,
    answers: &mut Vec<Deliver>,
) -> Result<(), LedgerError> {
    if let Err(fail) = exec(work.conn, "SAVEPOINT member") {
        answers.push(run(None, path).1);
        return Err(fail.at(path));
    }
    let left_over = work.kept.untold.len();
    let (worked, deliver) = run(Some(work), path);
    answers.push(deliver);
    if let Err(error) = worked {
        if error.is_final() {
            work.kept.found_damaged = Some(error.clone());
        }
        take_back(work, left_over, error, path)?;
    }
    exec(work.conn, "RELEASE member").map_err(|fail| fail.at(path))
}

/// Tells some more duplicates. What fails for good is left to the next start,
/// rather than failing everyone's requests until then.
fn tell(untold: &Untold, work: &mut Work<'_>, path: &Path) -> Result<(), LedgerError> {
    exec(work.conn, "SAVEPOINT member").map_err(|fail| fail.at(path))?;
    let left_over = work.kept.untold.len();
    if let Err(fail) = work.tell_duplicates(untold.original, untold.at, &untold.policies) {
        let error = fail.at(path);
        if error.is_passing() {
            return Err(error);
        }
        tracing::error!(file = %untold.original, %error, "its duplicates can't be told how it ended; tried again at the next start");
        take_back(work, left_over, error, path)?;
    }
    exec(work.conn, "RELEASE member").map_err(|fail| fail.at(path))
}

/// Takes back what was written since the savepoint. SQLite takes back the
/// whole transaction by itself where it is in trouble, such as on a full disk:
/// then nobody's share of it is left.
fn take_back(
    work: &mut Work<'_>,
    left_over: usize,
    error: LedgerError,
    path: &Path,
) -> Result<(), LedgerError> {
    if work.conn.is_autocommit() {
        return Err(error);
    }
    work.kept.untold.truncate(left_over);
    work.kept.forget();
    exec(work.conn, "ROLLBACK TO member").map_err(|fail| fail.at(path))
}

/// Moves when another connection has committed.
pub(super) fn data_version(conn: &Connection) -> Result<i64, Fail> {
    // Kept compiled: it is asked all the time.
    Ok(conn
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?)
}

/// Answers questions until closed, or until nobody can ask any more.
pub(super) fn read(conn: Connection, path: &Path, mut requests: mpsc::Receiver<Read>) {
    while let Some(request) = requests.blocking_recv() {
        match request {
            Read::Run(run) => run(&conn, path),
            Read::Close(reply) => {
                drop(conn);
                let _ = reply.send(());
                return;
            }
        }
    }
}
