//! Attempts, from the intent to the answer. Each call is one transaction: the
//! attempt, the file, its history, the gates on its way and the files that its
//! answer moves besides are recorded together or not at all.
//!
//! Must not: send anything, or judge an answer.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::copies::{Among, same_as, same_size};
use super::error::{Fail, LedgerError};
use super::gates::{self, Fingerprints};
use super::growth;
use super::policies::Policies;
use super::reimport;
use super::rows::{self, ContentHash, FileRecord, OptionsPrint, bounded, length};
use super::work::{Changed, Work};
use crate::domain::admit::{Admit, admit_upload, way};
use crate::domain::duplicates::DuplicateRule;
use crate::domain::error_table::{Judgement, Verdict};
use crate::domain::ids::{AttemptId, DatasetName, FileId, Route, TaskId};
use crate::domain::lifecycle::{Event, SourceAction};
use crate::domain::state::{State, StateKind};
use crate::domain::time::{Moment, Timestamp};

/// The intent to send a file.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Where it goes: what its folder says now.
    pub dataset: DatasetName,
    /// Its content, if it was hashed beforehand.
    pub hash: Option<ContentHash>,
    /// Its import options.
    pub options: OptionsPrint,
    /// What ends it as a duplicate.
    pub duplicates: DuplicateRule,
    /// The whole body goes out at once: its last byte is recorded with this.
    pub one_chunk: bool,
    /// Where it is sent: a path behind the base URL.
    pub endpoint: String,
}

/// What became of the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is recorded: send.
    Attempt {
        /// The attempt.
        attempt: AttemptId,
        /// It goes out alone, to see whether a gate can be opened.
        probe: bool,
    },
    /// It is this file, or its content is: nothing is to be sent.
    Duplicate(FileId),
    /// It may be a duplicate, since one of its size is known: it stays queued as
    /// it was, and is to be begun again with its hash.
    HashFirst,
    /// Its path was imported a moment ago, and its file changes again and again:
    /// it waits, queued, until then.
    TooSoon {
        /// When it may go.
        until: Timestamp,
        /// No version of the path has waited before: to be said once.
        first: bool,
    },
    /// A gate on its way is closed, or an operator has paused it: it stays
    /// queued as it was.
    Held {
        /// When to look again; `None`: once the probe that is out has ended,
        /// or the pause.
        until: Option<Timestamp>,
    },
    /// It is not queued any more.
    NotQueued(StateKind),
}

/// A redirect that repeats the request elsewhere (307).
#[derive(Debug, Clone)]
pub struct NextHop {
    /// Which file.
    pub id: FileId,
    /// The attempt that was redirected.
    pub attempt: AttemptId,
    /// What it was answered.
    pub judgement: Judgement,
    /// The answer's HTTP status.
    pub http_status: u16,
    /// Bytes of content sent in it.
    pub bytes: u64,
    /// Where the next one goes.
    pub endpoint: String,
    /// The whole body goes out at once.
    pub one_chunk: bool,
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which file.
    pub id: FileId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// What the outcome means.
    pub judgement: Judgement,
    /// The answer's HTTP status, if there was one.
    pub http_status: Option<u16>,
    /// Bytes of content sent.
    pub bytes: u64,
    /// The content, if it was hashed on the way.
    pub hash: Option<ContentHash>,
    /// The settings behind the gates on its way.
    pub fingerprints: Arc<Fingerprints>,
}

/// What an answer led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Where the file is now.
    pub state: State,
    /// The judgement, with the blame where it belongs.
    pub judgement: Judgement,
    /// What is to be done with its source, when it is due.
    pub source: Option<SourceAction>,
    /// Files rejected before that are back in the queue.
    pub returned: Vec<FileId>,
    /// It goes out again though an earlier body may have been taken.
    pub possible_duplicate: bool,
    /// The answer to a query is the same as the one before it.
    pub repeated: bool,
}

/// The version of the same path that was seen last, if that was after this one.
pub(super) const NEWER: &str = "SELECT id FROM files \
    WHERE folder = (SELECT id FROM folders WHERE name = ?1) AND path = ?2 AND id <> ?3 \
    AND state NOT IN ('gone', 'superseded') AND (seen_at, id) > (?4, ?3) \
    ORDER BY seen_at DESC, id DESC LIMIT 1";

impl Ledger {
    /// Records the intent to send a queued file, before the first byte of its
    /// body. Gates are asked once more, in the same transaction; one that is
    /// closed and due lets this file through as its probe.
    pub async fn begin(
        &self,
        id: FileId,
        begin: Begin,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Begun, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(4, move |work| begin_attempt(work, id, begin, at, &policies))
            .await
    }

    /// Records the answer of a redirect and the intent of the next hop.
    /// Returns the new attempt.
    pub async fn next_hop(
        &self,
        hop: NextHop,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<AttemptId, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(4, move |work| {
            let mut file = under_way(work, hop.id, hop.attempt)?;
            let status = Some(hop.http_status);
            end_attempt(
                work,
                &file,
                hop.attempt,
                &hop.judgement,
                status,
                hop.bytes,
                at,
            )?;
            let attempt = insert_attempt(work, hop.id, &hop.endpoint, false, hop.one_chunk, at)?;
            let event = Event::Begun {
                attempt,
                one_chunk: hop.one_chunk,
            };
            work.must_change(&mut file, &event, at, &policies)?;
            Ok(attempt)
        })
        .await
    }

    /// Records how an attempt ended, and everything that follows from it.
    pub async fn finish(
        &self,
        finish: Finish,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<Finished, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(4, move |work| {
            let mut file = under_way(work, finish.id, finish.attempt)?;
            file.hash = finish.hash.or(file.hash);
            let route = file.media.map(|media| Route {
                folder: file.folder.clone(),
                media,
            });
            let (attempt, status, bytes) = (finish.attempt, finish.http_status, finish.bytes);
            let prints = &finish.fingerprints;
            let judgement = finish.judgement;
            let finished = judged(work, &mut file, route, prints, judgement, at, &policies)?;
            end_attempt(work, &file, attempt, &finished.judgement, status, bytes, at)?;
            Ok(finished)
        })
        .await
    }

    /// The attempt ended before its last byte for a reason of ours: a gate
    /// closed, or the daemon stops. The file is back in the queue, unblamed.
    pub async fn release(
        &self,
        id: FileId,
        attempt: AttemptId,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<(), LedgerError> {
        self.stop(id, Some(attempt), Stop::Released, at, policies)
            .await
            .map(drop)
    }

    /// The file is not the version that was settled: replaced by the newer
    /// version if that is in the ledger, else left alone for a while. Returns
    /// where it is now. `attempt`: the one under way; without one, a row that is
    /// not queued any more stays as it is.
    pub async fn changed(
        &self,
        id: FileId,
        attempt: Option<AttemptId>,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<State, LedgerError> {
        self.stop(id, attempt, Stop::Changed, at, policies).await
    }

    /// The file is not there any more, though its folder is.
    pub async fn vanished(
        &self,
        id: FileId,
        attempt: Option<AttemptId>,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<State, LedgerError> {
        self.stop(id, attempt, Stop::Vanished, at, policies).await
    }

    async fn stop(
        &self,
        id: FileId,
        attempt: Option<AttemptId>,
        why: Stop,
        at: Moment,
        policies: &Arc<Policies>,
    ) -> Result<State, LedgerError> {
        let policies = Arc::clone(policies);
        self.write(2, move |work| {
            let mut file = match attempt {
                Some(attempt) => under_way(work, id, attempt)?,
                // Picked, and moved on since: replaced by a newer version, ended
                // by an operator, or taken up by another worker.
                None => match rows::load(work.conn, id)? {
                    file if matches!(file.state, State::Queued { .. }) => file,
                    file => return Ok(file.state),
                },
            };
            let event = match why {
                Stop::Released => Event::Released,
                Stop::Vanished => Event::Vanished,
                Stop::Changed => Event::Changed {
                    newer: newer(work, &file)?,
                },
            };
            work.must_change(&mut file, &event, at, &policies)?;
            if let Some(attempt) = attempt {
                stop_attempt(work, attempt, why.as_str(), at)?;
            }
            gates::give_back_probes(work, id)?;
            Ok(file.state)
        })
        .await
    }
}

/// Why an attempt ended without an answer.
#[derive(Clone, Copy)]
enum Stop {
    Released,
    Changed,
    Vanished,
}

impl Stop {
    const fn as_str(self) -> &'static str {
        match self {
            Stop::Released => "released",
            Stop::Changed => "changed",
            Stop::Vanished => "vanished",
        }
    }
}

pub(super) fn begin_attempt(
    work: &mut Work<'_>,
    id: FileId,
    begin: Begin,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Begun, Fail> {
    let mut file = rows::load(work.conn, id)?;
    if !matches!(file.state, State::Queued { .. }) {
        return Ok(Begun::NotQueued(file.state.kind()));
    }
    let Some(media) = file.media else {
        return Err(Fail::Refused(file.id, "it is not sorted yet".to_owned()));
    };
    file.dataset = begin.dataset;
    file.hash = begin.hash.or(file.hash);
    file.options = Some(begin.options);
    if let Some((of, imported)) = same_as(work.conn, &file, begin.duplicates, Among::Begun)? {
        work.must_change(&mut file, &Event::SameAs { of, imported }, at, policies)?;
        return Ok(Begun::Duplicate(of));
    }
    let policy = policies.of(&file.folder);
    if let Some((until, first)) = reimport::wait(work, &mut file, at, policy)? {
        return Ok(Begun::TooSoon { until, first });
    }
    if file.hash.is_none() && same_size(work.conn, &file.dataset, file.version.size, file.id)? {
        return Ok(Begun::HashFirst);
    }
    let route = Route {
        folder: file.folder.clone(),
        media,
    };
    let way = way(&route, &file.dataset);
    let brakes = work.brakes()?;
    let admitted = admit_upload(&way, &brakes.gates, &brakes.halts, &HashSet::new(), at.now);
    let probed = match admitted {
        Admit::Go => Vec::new(),
        Admit::Probe(keys) => keys,
        Admit::Wait(until) | Admit::Halted(until) => return Ok(Begun::Held { until }),
    };
    let probe = !probed.is_empty();
    for key in probed {
        if let Some(mut gate) = work.brakes()?.gates.get(&key).cloned() {
            gate.probe(file.id);
            gates::save(work, &key, &gate)?;
        }
    }
    growth::before_attempt(work.conn, &file)?;
    let attempt = insert_attempt(work, file.id, &begin.endpoint, probe, begin.one_chunk, at)?;
    let event = Event::Begun {
        attempt,
        one_chunk: begin.one_chunk,
    };
    work.must_change(&mut file, &event, at, policies)?;
    Ok(Begun::Attempt { attempt, probe })
}

/// An answer about `file`: gates weigh it, the file moves on, and so do those
/// that were rejected before it for no fault of theirs.
pub(super) fn judged(
    work: &mut Work<'_>,
    file: &mut FileRecord,
    route: Option<Route>,
    prints: &Fingerprints,
    judgement: Judgement,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<Finished, Fail> {
    let weighed = gates::weigh_answer(work, file, route, prints, judgement, at, policies)?;
    // The flag stays with the file for good; here it is to be said whether
    // this very answer raised it (again).
    let raised_before = std::mem::take(&mut file.possible_duplicate);
    let event = Event::Judged(weighed.judgement.clone());
    work.must_change(file, &event, at, policies)?;
    let possible_duplicate = file.possible_duplicate;
    if raised_before && !possible_duplicate {
        file.possible_duplicate = true;
        work.store(file)?;
    }
    let mut returned = Vec::new();
    for id in weighed.returned {
        if give_back(work, id, at, policies)? {
            returned.push(id);
        }
    }
    Ok(Finished {
        state: file.state.clone(),
        judgement: weighed.judgement,
        source: file.source.as_ref().map(|source| source.action),
        returned,
        possible_duplicate,
        repeated: false,
    })
}

/// A rejected file whose route was to blame. False: it has moved on, or its
/// source was moved away already.
fn give_back(
    work: &mut Work<'_>,
    id: FileId,
    at: Moment,
    policies: &Arc<Policies>,
) -> Result<bool, Fail> {
    let Some(mut file) = rows::find(work.conn, id)? else {
        return Ok(false);
    };
    if file.source_taken() || file.source_moving() {
        return Ok(false);
    }
    Ok(work.change(&mut file, &Event::Returned, at, policies)? == Changed::Went)
}

/// The file, if `attempt` is the one under way.
pub(super) fn under_way(
    work: &Work<'_>,
    id: FileId,
    attempt: AttemptId,
) -> Result<FileRecord, Fail> {
    let file = rows::load(work.conn, id)?;
    match file.state {
        State::Uploading { attempt: now, .. } if now == attempt => Ok(file),
        _ => Err(Fail::Refused(
            id,
            format!(
                "attempt {attempt} is not under way: it is {}",
                file.state.kind()
            ),
        )),
    }
}

fn newer(work: &Work<'_>, file: &FileRecord) -> Result<Option<FileId>, Fail> {
    Ok(work
        .conn
        .prepare_cached(NEWER)?
        .query_row(
            params![file.folder.0, file.version.path, file.id.0, file.seen_at.0],
            |row| row.get(0).map(FileId),
        )
        .optional()?)
}

fn insert_attempt(
    work: &Work<'_>,
    file: FileId,
    endpoint: &str,
    probe: bool,
    one_chunk: bool,
    at: Moment,
) -> Result<AttemptId, Fail> {
    work.conn
        .prepare_cached(
            "INSERT INTO attempts (file, endpoint, probe, started_at, last_byte_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            file.0,
            bounded(endpoint),
            probe,
            at.now.0,
            one_chunk.then_some(at.now.0)
        ])?;
    Ok(AttemptId(work.conn.last_insert_rowid()))
}

fn end_attempt(
    work: &Work<'_>,
    file: &FileRecord,
    attempt: AttemptId,
    judgement: &Judgement,
    http_status: Option<u16>,
    bytes: u64,
    at: Moment,
) -> Result<(), Fail> {
    let task = match &judgement.verdict {
        Verdict::Done(task) => task.as_ref().map(TaskId::as_str),
        _ => None,
    };
    let told = growth::may_be_told(file) && growth::was_told(work.conn, file.id, &judgement.code)?;
    work.conn
        .prepare_cached(
            "UPDATE attempts SET ended_at = ?2, http_status = ?3, code = ?4, message = ?5, \
             verdict = ?6, bytes = ?7, task = ?8 WHERE id = ?1",
        )?
        .execute(params![
            attempt.0,
            at.now.0,
            http_status,
            judgement.code.as_str(),
            (!told).then(|| bounded(&judgement.why)),
            verdict_text(&judgement.verdict),
            length(bytes),
            task,
        ])?;
    Ok(())
}

pub(super) fn stop_attempt(
    work: &Work<'_>,
    attempt: AttemptId,
    verdict: &str,
    at: Moment,
) -> Result<(), Fail> {
    work.conn
        .prepare_cached("UPDATE attempts SET ended_at = ?2, verdict = ?3 WHERE id = ?1")?
        .execute(params![attempt.0, at.now.0, verdict])?;
    Ok(())
}

const fn verdict_text(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done(Some(_)) => "done",
        Verdict::Done(None) => "untracked",
        Verdict::Task(_) => "task",
        Verdict::Unchanged => "unchanged",
        Verdict::Retry(_) => "retry",
        Verdict::Reject => "reject",
        Verdict::Hold => "hold",
        Verdict::Unconfirmed => "unconfirmed",
        Verdict::Follow(..) => "follow",
    }
}
