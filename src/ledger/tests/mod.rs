//! Tests, on real ledgers in directories of their own.
#![allow(clippy::unwrap_used)]

mod attention;
mod browsing;
mod copies;
mod enqueue;
mod erasing;
mod groups;
mod growth;
mod halts;
mod identity;
mod notices;
mod opening;
mod people;
mod plans;
mod polling;
mod provenance;
mod sources;
mod storing;
mod uploads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::answer::{Answer, Body, Call, Outcome, TaskState};
use crate::domain::backoff::Backoff;
use crate::domain::duplicates::DuplicateRule;
use crate::domain::error_table::{ErrorTable, Judgement, Trail};
use crate::domain::ids::{AttemptId, DatasetName, FileId, FolderName, Route, TaskId};
use crate::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};
use crate::domain::media::Media;
use crate::domain::state::{State, StateKind};
use crate::domain::time::{Moment, Timestamp};
use crate::domain::version::FileVersion;

const NOW: i64 = 1_000_000_000;

fn at(ms: i64) -> Moment {
    Moment {
        now: Timestamp(NOW + ms),
        chance: 0.0,
    }
}

fn policy() -> Policy {
    let secs = Duration::from_secs;
    Policy {
        backoff: Backoff::new(secs(1), secs(900)).unwrap(),
        give_up_after: secs(72 * 3600),
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

/// The folder `in` goes by `policy`.
fn by(policy: Policy) -> Arc<Policies> {
    Arc::new(Policies::new(BTreeMap::from([(inbox(), Arc::new(policy))])))
}

fn inbox() -> FolderName {
    FolderName("in".into())
}

fn dataset() -> DatasetName {
    DatasetName("books".into())
}

fn route() -> Route {
    Route {
        folder: inbox(),
        media: Media::Text,
    }
}

fn version(path: &str, inode: u64) -> FileVersion {
    FileVersion {
        path: path.as_bytes().to_vec(),
        dev: u64::MAX,
        inode,
        size: 100,
        mtime_ns: -5,
        born_ns: None,
    }
}

fn file(path: &str, inode: u64) -> NewFile {
    NewFile {
        folder: inbox(),
        dataset: dataset(),
        version: version(path, inode),
        sorted: NewSorted::Media(Media::Text),
    }
}

fn answer(status: u16, code: &str, task: Option<&str>) -> Outcome {
    Outcome::Answer(Answer {
        status,
        body: Body::Envelope {
            code: code.into(),
            message: None,
            task: task.and_then(TaskId::new),
            task_state: None,
            opt_result: None,
        },
        ..Answer::default()
    })
}

fn judge(outcome: &Outcome) -> Judgement {
    ErrorTable::default().judge(Call::Upload, outcome, Trail::default())
}

fn taken(task: &str) -> Judgement {
    judge(&answer(200, "0", Some(task)))
}

fn refused(code: &str) -> Judgement {
    judge(&answer(400, code, None))
}

fn task_is(state: TaskState) -> Judgement {
    let outcome = Outcome::Answer(Answer {
        status: 200,
        body: Body::Envelope {
            code: "0".into(),
            message: None,
            task: None,
            task_state: Some(state),
            opt_result: None,
        },
        ..Answer::default()
    });
    ErrorTable::default().judge(Call::Query, &outcome, Trail::default())
}

/// A ledger in a directory of its own, and the settings it is used with.
struct Bench {
    dir: TempDir,
    ledger: Ledger,
    policies: Arc<Policies>,
}

impl Bench {
    fn new(policy: Policy) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open_owner(&dir.path().join("ledger.sqlite")).unwrap();
        Bench {
            dir,
            ledger,
            policies: by(policy),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("ledger.sqlite")
    }

    /// As after a restart.
    async fn reopened(self) -> Bench {
        self.ledger.close().await;
        let ledger = Ledger::open_owner(&self.dir.path().join("ledger.sqlite")).unwrap();
        Bench {
            dir: self.dir,
            ledger,
            policies: self.policies,
        }
    }

    async fn enqueue(&self, new: NewFile) -> FileId {
        let done = self
            .ledger
            .enqueue(vec![new], at(0), &self.policies)
            .await
            .unwrap();
        done[0].id
    }

    async fn state(&self, id: FileId) -> State {
        self.record(id).await.state
    }

    async fn kind(&self, id: FileId) -> StateKind {
        self.state(id).await.kind()
    }

    async fn record(&self, id: FileId) -> FileRecord {
        self.ledger.show(id).await.unwrap().unwrap().file
    }

    async fn begin_with(&self, id: FileId, hash: u8, ms: i64) -> Begun {
        self.begin_by(DuplicateRule::SameContent, id, hash, ms)
            .await
    }

    async fn begin_by(&self, duplicates: DuplicateRule, id: FileId, hash: u8, ms: i64) -> Begun {
        let begin = Begin {
            dataset: dataset(),
            hash: Some([hash; 32]),
            options: [9; 16],
            duplicates,
            one_chunk: false,
            endpoint: "/file-task".into(),
        };
        self.ledger
            .begin(id, begin, at(ms), &self.policies)
            .await
            .unwrap()
    }

    /// Begins with content of its own.
    async fn begin(&self, id: FileId, ms: i64) -> AttemptId {
        let hash = u8::try_from(id.0).unwrap();
        match self.begin_with(id, hash, ms).await {
            Begun::Attempt { attempt, .. } => attempt,
            other => panic!("{other:?}"),
        }
    }

    async fn finish(
        &self,
        id: FileId,
        attempt: AttemptId,
        judgement: Judgement,
        ms: i64,
    ) -> Finished {
        let finish = Finish {
            id,
            attempt,
            judgement,
            http_status: Some(200),
            bytes: 100,
            hash: None,
            fingerprints: Arc::default(),
        };
        self.ledger
            .finish(finish, at(ms), &self.policies)
            .await
            .unwrap()
    }

    /// Queued, sent and answered.
    async fn sent(&self, new: NewFile, judgement: Judgement) -> FileId {
        let id = self.enqueue(new).await;
        let attempt = self.begin(id, 0).await;
        let _ = self.finish(id, attempt, judgement, 0).await;
        id
    }

    async fn polled(&self, id: FileId, judgement: Judgement) -> Finished {
        let polled = Polled {
            id,
            judgement,
            fingerprints: Arc::default(),
        };
        self.ledger
            .polled(polled, at(5000), &self.policies)
            .await
            .unwrap()
    }

    async fn pick(&self, ms: i64) -> Vec<Queued> {
        let mut found = Vec::new();
        for big in [false, true] {
            let wanted = PickRequest {
                route: route(),
                now: at(ms).now,
                limit: 100,
                big,
            };
            found.extend(self.ledger.pick(wanted).await.unwrap());
        }
        found
    }
}

/// Another connection, as another hand would have.
fn by_hand(path: &std::path::Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}
