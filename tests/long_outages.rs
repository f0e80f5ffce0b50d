//! Hours and days of trouble, in simulated time: the real ledger, gates, error
//! table and pace, a clock that jumps from one event to the next, and a service
//! that answers by a script.
//!
//! What picks the next file here does as `daemon::upload::dispatch` does, in one
//! thread. The real program meets the same answers in `error_rows.rs`, for as
//! long as a test may take.
//!
//! ```sh
//! OUTAGE_FILES=100000 cargo test --test long_outages    # the full number
//! ```
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Map;
use supametas_sync::domain::admit::{Admit, admit, way};
use supametas_sync::domain::answer::{Answer, Body, Call, Outcome};
use supametas_sync::domain::backoff::Backoff;
use supametas_sync::domain::duplicates::DuplicateRule;
use supametas_sync::domain::error_table::{ErrorTable, Trail};
use supametas_sync::domain::ids::{AttemptId, DatasetName, FileId, FolderName, Route, TaskId};
use supametas_sync::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};
use supametas_sync::domain::media::Media;
use supametas_sync::domain::pace::{Pace, Ticket};
use supametas_sync::domain::state::{State, StateKind};
use supametas_sync::domain::time::{Moment, Timestamp};
use supametas_sync::domain::version::FileVersion;
use supametas_sync::ledger::{
    Begin, Begun, Finish, Ledger, NewFile, NewSorted, PickRequest, Policies, Queued,
};
use supametas_sync::ports::{
    AccessKey, BoxFuture, Connection, Import, ImportApi, Progress, Target,
};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// Uploads at once that the dataset allows.
const LANES: usize = 8;
/// From a request to its answer.
const LATENCY: i64 = 200;

/// A request as the service saw it.
#[derive(Debug, Clone)]
struct Request {
    at: i64,
    file: i64,
    /// It was taken.
    taken: bool,
}

/// The service: says what to answer at a time, and keeps what it was sent.
struct Script {
    now: Mutex<i64>,
    seen: Mutex<Vec<Request>>,
    answer: Box<dyn Fn(i64, usize) -> Outcome + Send + Sync>,
}

fn answered(status: u16, code: &str, retry_after: Option<u64>, task: Option<String>) -> Outcome {
    Outcome::Answer(Answer {
        status,
        body: Body::Envelope {
            code: code.into(),
            message: None,
            task: task.and_then(|task| TaskId::new(&task)),
            task_state: None,
            opt_result: None,
        },
        retry_after: retry_after.map(Duration::from_secs),
        ..Answer::default()
    })
}

fn taken(number: usize) -> Outcome {
    answered(200, "0", None, Some(format!("t{number}")))
}

impl ImportApi for Script {
    fn upload<'a>(
        &'a self,
        _: &'a AccessKey,
        _: Target<'a>,
        what: Import,
    ) -> BoxFuture<'a, Outcome> {
        let Import::Web { url, .. } = what else {
            unreachable!("the simulation sends addresses")
        };
        let at = *self.now.lock().unwrap();
        let mut seen = self.seen.lock().unwrap();
        let outcome = (self.answer)(at, seen.len());
        let taken = matches!(&outcome, Outcome::Answer(answer) if answer.status == 200
            && matches!(&answer.body, Body::Envelope { task: Some(_), .. }));
        let file = url.parse().unwrap();
        seen.push(Request { at, file, taken });
        Box::pin(async move { outcome })
    }

    fn query<'a>(
        &'a self,
        _: &'a AccessKey,
        _: &'a TaskId,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Outcome> {
        unreachable!("no task is followed here")
    }

    fn delete<'a>(&'a self, _: &'a AccessKey, _: &'a TaskId) -> BoxFuture<'a, Outcome> {
        unreachable!("no task is deleted here")
    }

    fn set_webhook<'a>(
        &'a self,
        _: &'a AccessKey,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Outcome> {
        unreachable!("no webhook is set here")
    }

    fn see_other<'a>(&'a self, _: &'a AccessKey, _: &'a str) -> BoxFuture<'a, Outcome> {
        unreachable!("nothing is redirected here")
    }
}

struct Sent {
    ticket: Ticket,
    id: FileId,
    attempt: AttemptId,
    outcome: Outcome,
}

struct World {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    policies: Arc<Policies>,
    service: Script,
    table: ErrorTable,
    pace: Pace,
    chance: fastrand::Rng,
    /// What was picked and waits for its turn.
    shelf: VecDeque<Queued>,
    /// Answers on their way, by their time.
    answers: BTreeMap<i64, Vec<Sent>>,
    files: usize,
    /// The most on the wire, at each time at which something was sent.
    on_the_wire: Vec<(i64, usize)>,
}

fn folder() -> FolderName {
    FolderName("in".into())
}

fn route() -> Route {
    Route {
        folder: folder(),
        media: Media::Web,
    }
}

fn dataset() -> DatasetName {
    DatasetName("d".into())
}

/// As the configuration has it by default.
fn policy() -> Policy {
    let secs = Duration::from_secs;
    Policy {
        backoff: Backoff::new(secs(1), secs(900)).unwrap(),
        give_up_after: secs(30 * 24 * 3600),
        unconfirmed: OnUnconfirmed::Resend {
            times: 3,
            first: Duration::from_secs(60),
        },
        resubmit_failed: 0,
        poll: PollPace {
            first: secs(2),
            max: secs(300),
        },
        quiet: secs(10),
        reimport_after: Duration::ZERO,
        after: AfterSuccess::Keep,
        on_reject: OnReject::Keep,
    }
}

impl World {
    async fn new(
        files: usize,
        answer: impl Fn(i64, usize) -> Outcome + Send + Sync + 'static,
    ) -> World {
        // Its commits are real; a disk in memory only makes them cheap.
        let memory = std::path::Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        let ledger = Ledger::open_owner(&dir.path().join("ledger.sqlite")).unwrap();
        let policies = Arc::new(Policies::new(BTreeMap::from([(
            folder(),
            Arc::new(policy()),
        )])));
        let at = Moment {
            now: Timestamp(0),
            chance: 0.0,
        };
        let new = |n: usize| NewFile {
            folder: folder(),
            dataset: dataset(),
            version: FileVersion {
                path: format!("{n}.url").into_bytes(),
                dev: 1,
                inode: n as u64 + 1,
                size: 100,
                mtime_ns: 0,
                born_ns: None,
            },
            sorted: NewSorted::Media(Media::Web),
        };
        let all = (0..files).map(new).collect();
        ledger.enqueue(all, at, &policies).await.unwrap();
        World {
            _dir: dir,
            ledger,
            policies,
            service: Script {
                now: Mutex::new(0),
                seen: Mutex::default(),
                answer: Box::new(answer),
            },
            table: ErrorTable::default(),
            pace: Pace::new(LANES, LANES),
            chance: fastrand::Rng::with_seed(7),
            shelf: VecDeque::new(),
            answers: BTreeMap::new(),
            files,
            on_the_wire: Vec::new(),
        }
    }

    fn now(&self) -> i64 {
        *self.service.now.lock().unwrap()
    }

    fn moment(&mut self) -> Moment {
        Moment {
            now: Timestamp(self.now()),
            chance: self.chance.f64(),
        }
    }

    fn busy(&self) -> usize {
        self.answers.values().map(Vec::len).sum()
    }

    /// Runs until then, or until nothing is left to do.
    async fn run_until(&mut self, end: i64) {
        loop {
            let next = self.fill().await;
            let answer = self.answers.keys().next().copied();
            let Some(next) = answer.into_iter().chain(next).min() else {
                return;
            };
            if next >= end {
                *self.service.now.lock().unwrap() = end;
                return;
            }
            let now = self.now().max(next);
            *self.service.now.lock().unwrap() = now;
            if let Some(sent) = self.answers.remove(&now) {
                self.finish(sent).await;
            }
        }
    }

    /// Sends what may go now; says when there may be more.
    async fn fill(&mut self) -> Option<i64> {
        loop {
            let free = self.pace.room().saturating_sub(self.busy());
            if free == 0 {
                return None;
            }
            if self.shelf.is_empty() {
                let pick = PickRequest {
                    route: route(),
                    now: Timestamp(self.now()),
                    limit: 256,
                    big: false,
                };
                self.shelf = self.ledger.pick(pick).await.unwrap().into();
            }
            let gates = self.ledger.gates();
            let now = Timestamp(self.now());
            let go = match admit(&way(&route(), &dataset()), &gates, &Default::default(), now) {
                Admit::Go => free,
                Admit::Probe(_) => 1,
                Admit::Wait(until) | Admit::Halted(until) => return until.map(|until| until.0),
            };
            if self.shelf.is_empty() {
                let due = self.ledger.next_due(now).await.unwrap();
                return due.map(|due| due.0.max(now.0 + 1));
            }
            let batch: Vec<Queued> = self.shelf.drain(..go.min(self.shelf.len())).collect();
            let mut begins = Vec::new();
            for file in batch {
                let at = self.moment();
                let begin = Begin {
                    dataset: dataset(),
                    hash: None,
                    options: [0; 16],
                    duplicates: DuplicateRule::SameFile,
                    one_chunk: true,
                    endpoint: "/web-task".into(),
                };
                let (ledger, policies) = (self.ledger.clone(), self.policies.clone());
                begins.push(async move {
                    let begun = ledger.begin(file.id, begin, at, &policies).await.unwrap();
                    (file.id, begun)
                });
            }
            for (id, begun) in join_all(begins).await {
                match begun {
                    Begun::Attempt { attempt, .. } => self.send(id, attempt).await,
                    // Changed since it was picked: it is picked again.
                    Begun::Held { .. } | Begun::TooSoon { .. } | Begun::NotQueued(_) => {}
                    Begun::Duplicate(of) => panic!("a duplicate of {of}"),
                    Begun::HashFirst => panic!("content is not compared here"),
                }
            }
        }
    }

    async fn send(&mut self, id: FileId, attempt: AttemptId) {
        let import = Import::Web {
            url: id.0.to_string(),
            options: Map::new(),
            progress: Arc::<Progress>::default(),
            connection: Connection::Any,
        };
        let key = AccessKey::new("k".into());
        let to = Target::Path("/web-task");
        let outcome = self.service.upload(&key, to, import).await;
        let there = self.busy();
        let ticket = self.pace.enter(there).unwrap();
        let sent = Sent {
            ticket,
            id,
            attempt,
            outcome,
        };
        let at = self.now();
        self.answers.entry(at + LATENCY).or_default().push(sent);
        self.on_the_wire.push((at, self.busy()));
    }

    async fn finish(&mut self, answers: Vec<Sent>) {
        let mut ends = Vec::new();
        for sent in answers {
            let judgement = self
                .table
                .judge(Call::Upload, &sent.outcome, Trail::default());
            let at = self.moment();
            let now = Duration::from_millis(self.now().unsigned_abs());
            let took = Duration::from_millis(LATENCY.unsigned_abs());
            self.pace.heed(sent.ticket, &judgement, Some(took), now);
            let finish = Finish {
                id: sent.id,
                attempt: sent.attempt,
                judgement,
                http_status: sent.outcome.status(),
                bytes: 100,
                hash: None,
                fingerprints: Arc::default(),
            };
            let (ledger, policies) = (self.ledger.clone(), self.policies.clone());
            ends.push(async move { ledger.finish(finish, at, &policies).await.unwrap() });
        }
        let _ = join_all(ends).await;
    }

    async fn states(&self) -> BTreeMap<StateKind, usize> {
        let counts = self.ledger.counts().await.unwrap();
        counts
            .into_iter()
            .map(|count| (count.state, usize::try_from(count.files).unwrap()))
            .collect()
    }

    fn seen(&self) -> Vec<Request> {
        self.service.seen.lock().unwrap().clone()
    }

    /// Every file was taken, and none twice.
    async fn assert_each_once(&self) {
        let seen = self.seen();
        let took: Vec<i64> = seen.iter().filter(|r| r.taken).map(|r| r.file).collect();
        let different: BTreeSet<i64> = took.iter().copied().collect();
        assert_eq!((took.len(), different.len()), (self.files, self.files));
        assert_eq!(
            self.states().await,
            BTreeMap::from([(StateKind::Submitted, self.files)])
        );
    }
}

fn files(usually: usize) -> usize {
    std::env::var("OUTAGE_FILES")
        .ok()
        .map_or(usually, |n| n.parse().expect("OUTAGE_FILES is a number"))
}

#[tokio::test]
async fn a_429_to_every_second_request_for_an_hour_sends_nothing_into_a_pause() {
    const WAIT: u64 = 3;
    let mut world = World::new(2_500, |at, number| {
        if at < HOUR && number % 2 == 1 {
            answered(429, "429", Some(WAIT), None)
        } else {
            taken(number)
        }
    })
    .await;
    world.run_until(HOUR).await;
    let seen = world.seen();
    let pauses: Vec<i64> = seen
        .iter()
        .filter(|r| !r.taken)
        .map(|r| r.at + LATENCY)
        .collect();
    assert!(pauses.len() > 500, "{} pauses", pauses.len());
    for pause in &pauses {
        let until = pause + i64::try_from(WAIT).unwrap() * SECOND;
        let within = seen.iter().filter(|r| (*pause..until).contains(&r.at));
        assert_eq!(within.count(), 0, "sent within the pause from {pause}");
    }
    // Nothing was blamed on a file, and the work went on meanwhile.
    let states = world.states().await;
    let known = [
        StateKind::Queued,
        StateKind::Submitted,
        StateKind::Uploading,
    ];
    assert!(states.keys().all(|s| known.contains(s)), "{states:?}");
    assert!(states[&StateKind::Submitted] > 500, "{states:?}");
    world.run_until(2 * HOUR).await;
    world.assert_each_once().await;
}

#[tokio::test]
async fn a_service_that_is_back_after_three_days_gets_everything_once_and_no_storm() {
    let back = 3 * DAY;
    let mut world = World::new(files(3_000), move |at, number| {
        if at < back {
            Outcome::NoConnection {
                detail: "connection refused".into(),
            }
        } else {
            taken(number)
        }
    })
    .await;

    // The first wave fails at once; when its files may go again is spread.
    world.run_until(LATENCY + 1).await;
    let mut again = BTreeSet::new();
    for request in world.seen() {
        let story = world.ledger.show(FileId(request.file)).await.unwrap();
        if let State::Queued { not_before, .. } = story.unwrap().file.state {
            again.insert(not_before);
        }
    }
    assert!(again.len() >= LANES - 1, "retries in step: {again:?}");

    // While it is away: the first wave, then one probe at a time, at most every
    // five minutes once the waits have grown.
    world.run_until(back).await;
    let away = world.seen().len();
    assert!((800..1_000).contains(&away), "{away} requests in 3 days");
    let later = world.on_the_wire.iter().filter(|(at, _)| *at >= LATENCY);
    assert!(later.clone().count() > 700);
    assert_eq!(later.map(|(_, busy)| *busy).max(), Some(1));
    assert_eq!(
        world.states().await.keys().copied().collect::<Vec<_>>(),
        [StateKind::Queued]
    );

    // And when it is back.
    world.run_until(back + 30 * DAY).await;
    world.assert_each_once().await;
    let sent: Vec<(i64, usize)> = world
        .on_the_wire
        .iter()
        .copied()
        .filter(|(at, _)| *at >= back)
        .collect();
    let probe = sent[0];
    assert_eq!(probe.1, 1, "one probe");
    assert!(
        probe.0 - back <= 6 * 60 * SECOND,
        "it came {} ms late",
        probe.0 - back
    );
    let next = sent[1].0;
    assert!(next >= probe.0 + LATENCY, "sent before the probe was back");
    for (at, busy) in &sent[1..] {
        // One more for each round, as TCP grows after a loss.
        let rounds = usize::try_from((at - next) / LATENCY).unwrap();
        assert!(
            *busy <= (2 + rounds).min(LANES),
            "{busy} at once in round {rounds}"
        );
    }
    assert_eq!(sent.iter().map(|(_, busy)| *busy).max(), Some(LANES));
}

#[tokio::test]
async fn an_option_that_is_refused_for_ten_thousand_files_costs_a_probe_now_and_then() {
    const FILES: usize = 10_000;
    let mut world = World::new(FILES, |_, _| answered(400, "OPS40001", None, None)).await;
    world.run_until(3 * DAY).await;
    // The first wave; then after 1, 2, 4, 8, 16 hours, and every day.
    let requests = world.seen().len();
    assert!((LANES..LANES + 9).contains(&requests), "{requests}");
    assert_eq!(
        world.states().await,
        BTreeMap::from([(StateKind::Queued, FILES)])
    );
}

/// For ten seconds a balancer hands each file on and breaks off before the
/// answer: the service has each file that the balancer was given.
#[tokio::test]
async fn a_balancer_that_breaks_off_for_ten_seconds_costs_ten_second_imports_at_most() {
    const FILES: usize = 600;
    let mut world = World::new(FILES, |at, number| {
        if at < 10 * SECOND {
            Outcome::Broken {
                last_byte_sent: true,
                detail: "the service closed the connection without an answer".into(),
            }
        } else {
            taken(number)
        }
    })
    .await;
    world.run_until(DAY).await;
    let mut imports: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for request in world.seen() {
        imports.entry(request.file).or_default().push(request.at);
    }
    let all: usize = imports.values().map(Vec::len).sum();
    assert!((FILES + 1..=FILES + 10).contains(&all), "{all} imports");
    assert_eq!(
        world.states().await,
        BTreeMap::from([(StateKind::Submitted, FILES)])
    );
    for (file, at) in imports {
        let story = world.ledger.show(FileId(file)).await.unwrap().unwrap();
        assert_eq!(story.file.possible_duplicate, at.len() == 2, "{at:?}");
        match at[..] {
            [_] => {}
            [first, second] => assert!(second - first >= 60 * SECOND, "{at:?}"),
            _ => panic!("file {file} was imported at {at:?}"),
        }
    }
}
