//! The threads behind the ledger: one that owns it and writes, two that read.
//!
//! The writer takes the requests that wait, and those that come meanwhile, runs
//! them in one transaction, each in a savepoint of its own, and commits once: a
//! wait for the disk is shared by all of them. The longer a commit takes, the more
//! of them there may be. An urgent request goes before the others, also when the
//! transaction is open already, and ends it: it waits for a commit under way and
//! its own, whatever the crowd. Readers have connections of their own, so that a
//! question never waits behind that.
//!
//! Must not: know what a request does.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::error::{Fail, LedgerError};
use super::gates::{self, Gates};
use super::halts;
use super::lock::Lock;
use super::log_size::Keeper;
use super::place::Place;
use super::work::{Kept, Untold, Work};
use crate::domain::halt::Halts;
use crate::failpoint::failpoint;
use crate::live::histogram::Histogram;

/// Rows that one transaction writes, about: so many at least, if they are there,
/// and so many at most, which bounds the ledger's log. A row takes some 15 µs.
const GROUP_WEIGHT: RangeInclusive<usize> = 150..=2_000;
/// In between, so many for each second that the last commit took beyond the time
/// that no disk is waited for.
const WEIGHT_PER_SECOND: f64 = 500_000.0;
const NO_WAIT: Duration = Duration::from_millis(1);
/// Requests taken out of the channel and not worked at yet, at most.
const AT_HAND: usize = 4_096;

/// Answers a request, once its transaction is durable or has failed.
pub(super) type Deliver = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;
/// Does a request's work; an error takes back what it wrote. Without a
/// transaction to work in it only gives the way to its answer.
pub(super) type Run =
    Box<dyn FnOnce(Option<&mut Work<'_>>, &Path) -> (Result<(), LedgerError>, Deliver) + Send>;

/// A share of a transaction.
pub(super) struct Request {
    /// How many rows it writes, about.
    pub weight: usize,
    /// Somebody waits for this one alone.
    pub urgent: bool,
    pub run: Run,
}

/// What the writer is asked.
pub(super) enum Write {
    Run(Request),
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
    /// Looks after the length of the log.
    pub log: Keeper,
    /// Held as long as the thread lives; `None` for a visitor.
    pub lock: Option<Lock>,
    pub commits: Arc<AtomicU64>,
    pub commit_times: Arc<Histogram>,
    pub gates: watch::Sender<Arc<Gates>>,
    pub halts: watch::Sender<Arc<Halts>>,
    /// Rung after a commit that has left a notice.
    pub noticed: Arc<Notify>,
    pub requests: mpsc::Receiver<Write>,
    /// What it has taken of them and not worked at yet.
    pub waiting: Waiting,
    /// How long the last commit took.
    pub commit_took: Duration,
    pub kept: Kept,
    /// Whether the files that were opened are still at their paths.
    pub place: Place,
    /// What is wrong with the ledger, for all to see.
    pub trouble: watch::Sender<Option<LedgerError>>,
    /// What `PRAGMA data_version` said last: it moves when others write.
    pub data_version: i64,
}

/// What was asked and is not done yet.
#[derive(Default)]
pub(super) struct Waiting {
    urgent: VecDeque<Request>,
    others: VecDeque<Request>,
    refreshers: Vec<oneshot::Sender<Result<bool, LedgerError>>>,
    closing: Option<oneshot::Sender<()>>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.others.is_empty()
    }

    fn take(&mut self, asked: Write) {
        match asked {
            Write::Run(request) if request.urgent => self.urgent.push_back(request),
            Write::Run(request) => self.others.push_back(request),
            Write::Refresh(reply) => self.refreshers.push(reply),
            Write::Hello(reply) => drop(reply.send(())),
            Write::Close(reply) => self.closing = Some(reply),
        }
    }

    /// Takes in what has been asked; nothing more after the wish to close.
    fn hear(&mut self, requests: &mut mpsc::Receiver<Write>) {
        while self.closing.is_none()
            && self.urgent.len() + self.others.len() < AT_HAND
            && let Ok(asked) = requests.try_recv()
        {
            self.take(asked);
        }
    }
}

/// A transaction may write more where its commit takes long.
fn most_weight(commit: Duration) -> usize {
    let rows = commit.saturating_sub(NO_WAIT).as_secs_f64() * WEIGHT_PER_SECOND;
    (rows as usize).clamp(*GROUP_WEIGHT.start(), *GROUP_WEIGHT.end())
}

/// What one transaction has taken so far.
struct Group {
    /// Rows, so far and at most.
    weight: usize,
    most: usize,
    urgent: bool,
    /// Those who wait for one alone hear first.
    answers: VecDeque<Deliver>,
}

impl Group {
    fn has_room(&self) -> bool {
        !self.urgent && self.weight < self.most
    }

    /// The next request for it.
    fn next(&mut self, waiting: &mut Waiting) -> Option<Request> {
        let next = match waiting.urgent.pop_front() {
            Some(urgent) => urgent,
            None if self.has_room() => waiting.others.pop_front()?,
            None => return None,
        };
        self.weight += next.weight.max(1);
        self.urgent |= next.urgent;
        Some(next)
    }
}

impl Writer {
    /// Works until it is closed, or nobody can ask any more.
    pub fn run(mut self) {
        let mut failing = false;
        loop {
            self.waiting.hear(&mut self.requests);
            // What is left over does not wait for a request, unless nothing
            // can be recorded just now: that would be a busy loop.
            let left_over = !self.kept.untold.is_empty() && !failing;
            if !self.waiting.is_empty() || left_over {
                failing = !self.transact();
            }
            for reply in std::mem::take(&mut self.waiting.refreshers) {
                let _ = reply.send(self.refresh());
            }
            if !self.waiting.is_empty() {
                continue;
            }
            if self.waiting.closing.is_some() {
                break;
            }
            if self.kept.untold.is_empty() || failing {
                match self.requests.blocking_recv() {
                    Some(asked) => self.waiting.take(asked),
                    None => break,
                }
            }
        }
        // In this order: closed before anyone is told, unlocked last.
        drop(self.conn);
        drop(self.lock);
        if let Some(reply) = self.waiting.closing {
            let _ = reply.send(());
        }
    }

    /// One transaction for a group, then everyone's answer. False: it failed, and
    /// nothing of it was recorded.
    fn transact(&mut self) -> bool {
        let untold = self.kept.untold.pop_front();
        let mut group = Group {
            weight: 0,
            most: most_weight(self.commit_took),
            urgent: false,
            answers: VecDeque::new(),
        };
        let result = self.in_transaction(untold.as_ref(), &mut group);
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
        for deliver in group.answers {
            deliver(result.clone());
        }
        result.is_ok()
    }

    fn in_transaction(
        &mut self,
        untold: Option<&Untold>,
        group: &mut Group,
    ) -> Result<(), LedgerError> {
        let begun = self.begin();
        let path = self.path.as_path();
        if let Err(error) = begun {
            // All that wait hear of it now: they may know better what to do.
            let waiting = &mut self.waiting;
            let all = waiting.urgent.drain(..).chain(waiting.others.drain(..));
            let answers = all.map(|request| (request.run)(None, path).1);
            group.answers.extend(answers);
            return Err(error);
        }
        let mut work = Work {
            conn: &self.conn,
            kept: &mut self.kept,
        };
        if let Some(untold) = untold {
            tell(untold, &mut work, path)?;
        }
        while let Some(request) = group.next(&mut self.waiting) {
            let urgent = request.urgent;
            let worked = member(request.run, &mut work, path, &mut group.answers);
            if urgent {
                // Just put there.
                group.answers.rotate_right(1);
            }
            worked?;
            // Who comes while the transaction is open, shares it.
            self.waiting.hear(&mut self.requests);
        }
        self.still_there()?;
        failpoint!("ledger.before_commit");
        let start = Instant::now();
        exec(&self.conn, "COMMIT").map_err(|fail| fail.at(&self.path))?;
        self.commit_took = start.elapsed();
        self.commit_times.record(self.commit_took);
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

    /// Again before the commit: what has come since the files were deleted may
    /// share a transaction that was begun before. It is taken back, since a saved
    /// copy has no room for what is not committed.
    fn still_there(&mut self) -> Result<(), LedgerError> {
        if self.place.is_there() {
            return Ok(());
        }
        exec(&self.conn, "ROLLBACK").map_err(|fail| fail.at(&self.path))?;
        Err(self.place.save(&self.conn))
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
        self.log.look(&self.conn);
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
    answers: &mut VecDeque<Deliver>,
) -> Result<(), LedgerError> {
    if let Err(fail) = exec(work.conn, "SAVEPOINT member") {
        answers.push_back(run(None, path).1);
        return Err(fail.at(path));
    }
    let left_over = work.kept.untold.len();
    let (worked, deliver) = run(Some(work), path);
    answers.push_back(deliver);
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
