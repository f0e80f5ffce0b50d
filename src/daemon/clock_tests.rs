//! A year back and a year on, on a real ledger with a clock that is set.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::domain::answer::{Answer, Body, Call, Outcome};
use crate::domain::backoff::Backoff;
use crate::domain::duplicates::DuplicateRule;
use crate::domain::error_table::{ErrorTable, Judgement, Trail};
use crate::domain::gate::GateKey;
use crate::domain::halt::{Halt, HaltScope};
use crate::domain::ids::{DatasetName, FileId, FolderName, TaskId};
use crate::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};
use crate::domain::media::Media;
use crate::domain::state::{State, StateKind};
use crate::domain::time::{Moment, Timestamp};
use crate::domain::version::FileVersion;
use crate::ledger::{Begin, Begun, Finish, NewFile, NewSorted, Policies};

const S: i64 = 1000;
const DAY: i64 = 24 * 3600 * S;
const YEAR: i64 = 365 * DAY;
const START: i64 = 50 * YEAR;

#[derive(Default)]
struct TestClock {
    wall: AtomicI64,
    ticks: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn ticks(&self) -> Duration {
        Duration::from_millis(self.ticks.load(Ordering::SeqCst))
    }
}

struct Rig {
    dir: tempfile::TempDir,
    clock: TestClock,
    ledger: Option<Ledger>,
    minder: Mutex<Option<Minder>>,
    policies: Arc<Policies>,
}

fn folder() -> FolderName {
    FolderName("in".into())
}

fn dataset() -> DatasetName {
    DatasetName("d".into())
}

fn policy() -> Policy {
    let secs = Duration::from_secs;
    Policy {
        backoff: Backoff::new(secs(600), secs(900)).unwrap(),
        give_up_after: secs(30 * 24 * 3600),
        unconfirmed: OnUnconfirmed::Resend {
            times: 3,
            first: Duration::from_secs(60),
        },
        resubmit_failed: 0,
        poll: PollPace {
            first: secs(120),
            max: secs(300),
        },
        quiet: secs(10),
        reimport_after: Duration::ZERO,
        after: AfterSuccess::Delete,
        on_reject: OnReject::Keep,
    }
}

fn answer(status: u16, code: &str, task: Option<&str>) -> Judgement {
    let outcome = Outcome::Answer(Answer {
        status,
        body: Body::Envelope {
            code: code.into(),
            message: None,
            task: task.and_then(TaskId::new),
            task_state: None,
            opt_result: None,
        },
        ..Answer::default()
    });
    ErrorTable::default().judge(Call::Upload, &outcome, Trail::default())
}

impl Rig {
    async fn new() -> Rig {
        let rig = Rig {
            dir: tempfile::tempdir().unwrap(),
            clock: TestClock::default(),
            ledger: None,
            minder: Mutex::new(None),
            policies: Arc::new(Policies::new(BTreeMap::from([(
                folder(),
                Arc::new(policy()),
            )]))),
        };
        rig.clock.wall.store(START, Ordering::SeqCst);
        rig.restarted().await
    }

    /// The daemon begins, on what an earlier one has left.
    async fn restarted(mut self) -> Rig {
        if let Some(ledger) = self.ledger.take() {
            ledger.close().await;
        }
        let ledger = Ledger::open_owner(&self.dir.path().join("ledger.sqlite")).unwrap();
        let minder = Minder::start(&ledger, &self.clock).await.unwrap();
        self.ledger = Some(ledger);
        self.minder = Mutex::new(Some(minder));
        self
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn at(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            chance: 0.9,
        }
    }

    fn set(&self, by: i64) {
        self.clock.wall.fetch_add(by, Ordering::SeqCst);
    }

    /// Time goes by.
    fn pass(&self, ms: i64) {
        self.set(ms);
        self.clock
            .ticks
            .fetch_add(ms.unsigned_abs(), Ordering::SeqCst);
    }

    /// As housekeeping does each second.
    async fn look(&self) -> bool {
        self.pass(S);
        let mut minder = self.minder.lock().unwrap().take().unwrap();
        let moved = minder.look(self.ledger(), &self.clock).await.unwrap();
        *self.minder.lock().unwrap() = Some(minder);
        moved
    }

    async fn enqueue(&self, inode: u64) -> FileId {
        let new = NewFile {
            folder: folder(),
            dataset: dataset(),
            version: FileVersion {
                path: format!("{inode}.txt").into_bytes(),
                dev: 1,
                inode,
                size: 100,
                mtime_ns: 0,
                born_ns: None,
            },
            sorted: NewSorted::Media(Media::Text),
        };
        let queued = self
            .ledger()
            .enqueue(vec![new], self.at(), &self.policies)
            .await
            .unwrap();
        queued[0].id
    }

    /// Sends it, with this answer.
    async fn sent(&self, id: FileId, judgement: Judgement) {
        let begin = Begin {
            dataset: dataset(),
            hash: None,
            options: [0; 16],
            duplicates: DuplicateRule::SameFile,
            one_chunk: false,
            endpoint: "/t".into(),
        };
        let (at, policies) = (self.at(), &self.policies);
        let begun = self.ledger().begin(id, begin, at, policies).await.unwrap();
        let Begun::Attempt { attempt, .. } = begun else {
            panic!("{begun:?}");
        };
        let finish = Finish {
            id,
            attempt,
            judgement,
            http_status: None,
            bytes: 100,
            hash: None,
            fingerprints: Arc::default(),
        };
        self.ledger().finish(finish, at, policies).await.unwrap();
    }

    async fn state(&self, id: FileId) -> State {
        self.ledger().show(id).await.unwrap().unwrap().file.state
    }

    /// Milliseconds until each thing goes on: the file that failed, the task,
    /// the gate, the pause; and the age of the file's failures.
    async fn left(&self, failed: FileId, task: FileId) -> [i64; 5] {
        let now = self.clock.now().0;
        let State::Queued { not_before, tries } = self.state(failed).await else {
            panic!("{:?}", self.state(failed).await);
        };
        let State::Submitted { next_poll, .. } = self.state(task).await else {
            panic!("{:?}", self.state(task).await);
        };
        let gates = self.ledger().gates();
        let gate = gates[&GateKey::Service].closed().unwrap().until;
        let halts = self.ledger().halts();
        let pause = halts[&HaltScope::All].until.unwrap();
        [
            not_before.0 - now,
            next_poll.0 - now,
            gate.0 - now,
            pause.0 - now,
            now - tries.since.0,
        ]
    }

    /// One of each: what waits.
    async fn with_waits(&self) -> (FileId, FileId) {
        let (failed, task) = (self.enqueue(1).await, self.enqueue(2).await);
        self.sent(task, answer(200, "0", Some("t1"))).await;
        self.sent(failed, answer(503, "503", None)).await;
        let halt = Halt {
            since: self.clock.now(),
            until: Some(self.clock.now().plus(Duration::from_secs(7200))),
            who: "me".into(),
            why: None,
        };
        self.ledger().halt(HaltScope::All, halt).await.unwrap();
        let gates = self.ledger().gates();
        assert!(gates.contains_key(&GateKey::Service), "{gates:?}");
        (failed, task)
    }
}

#[tokio::test]
async fn set_by_a_year_while_running_nothing_waits_longer_or_is_given_up() {
    for by in [-YEAR, YEAR, -3600 * S, 3600 * S] {
        let rig = Rig::new().await;
        let (failed, task) = rig.with_waits().await;
        let idle = rig.enqueue(3).await;
        assert!(!rig.look().await);
        let before = rig.left(failed, task).await;
        rig.set(by);
        assert!(rig.look().await, "{by}");
        let after = rig.left(failed, task).await;
        for (what, (before, after)) in ["file", "task", "gate", "pause"]
            .iter()
            .zip(before.iter().zip(&after))
        {
            // A second has gone by. What ends after a small jump forward is
            // left as it is, if it has no beginning, and ends early.
            assert!(
                (before - after - S).abs() <= S,
                "{by}: {what}: {before} {after}"
            );
        }
        assert_eq!(after[4], before[4] + S, "{by}: the age");
        assert!(!rig.look().await, "said once");

        // What was due is due.
        let due = rig.ledger().pending(rig.clock.now()).await.unwrap();
        assert_eq!(due.queued_due, 1, "{by}");
        assert_eq!(rig.state(idle).await.kind(), StateKind::Queued);

        // And another failure gives nothing up.
        rig.pass(1800 * S);
        let _ = rig
            .ledger()
            .resume(|_| true, |_| true, rig.clock.now())
            .await;
        rig.sent(failed, answer(503, "503", None)).await;
        assert_eq!(rig.state(failed).await.kind(), StateKind::Queued, "{by}");
    }
}

#[tokio::test]
async fn set_back_while_not_running_nothing_waits_longer() {
    let rig = Rig::new().await;
    let (failed, task) = rig.with_waits().await;
    rig.pass(61 * S);
    assert!(!rig.look().await);
    assert_eq!(
        rig.ledger().last_seen().await.unwrap(),
        Some(rig.clock.now())
    );
    let before = rig.left(failed, task).await;
    rig.set(-YEAR);
    let rig = rig.restarted().await;
    assert_eq!(rig.left(failed, task).await, before);
    // Once: the next start finds nothing to move.
    let rig = rig.restarted().await;
    assert_eq!(rig.left(failed, task).await, before);
}

#[tokio::test]
async fn a_year_that_passed_at_a_start_gives_nothing_up() {
    let rig = Rig::new().await;
    let (failed, task) = rig.with_waits().await;
    rig.set(YEAR);
    let rig = rig.restarted().await;
    // Whether it was a year or a wrong clock: what waited may go on now.
    let [file, poll, gate, pause, age] = rig.left(failed, task).await;
    assert!(file < 0 && poll < 0 && gate < 0 && pause < 0);
    assert!(age < DAY, "{age}");
    rig.sent(failed, answer(503, "503", None)).await;
    assert_eq!(rig.state(failed).await.kind(), StateKind::Queued);
    // It is given up when it has been tried for that long.
    for _ in 0..31 {
        rig.pass(DAY - S);
        rig.look().await;
        let now = rig.clock.now();
        rig.ledger().resume(|_| true, |_| true, now).await.unwrap();
    }
    rig.sent(failed, answer(503, "503", None)).await;
    assert_eq!(rig.state(failed).await.kind(), StateKind::Exhausted);
}

#[tokio::test]
async fn an_idle_ledger_is_not_written_for_the_time() {
    let rig = Rig::new().await;
    rig.pass(120 * S);
    rig.look().await;
    let commits = rig.ledger().commits();
    for _ in 0..5 {
        rig.pass(61 * S);
        rig.look().await;
    }
    assert_eq!(rig.ledger().commits(), commits);
    assert_eq!(
        rig.ledger().last_seen().await.unwrap(),
        Some(Timestamp(START))
    );
    rig.enqueue(1).await;
    rig.look().await;
    assert_eq!(
        rig.ledger().last_seen().await.unwrap(),
        Some(rig.clock.now())
    );
}
