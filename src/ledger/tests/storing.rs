//! States to rows and back, and rows that can't be.

use super::*;
use crate::domain::answer::Code;
use crate::domain::error_table::{Holds, Lifts};
use crate::domain::gate::{Closed, Gate, GateKey, Status, Streak};
use crate::domain::refusal::ReasonKind;
use crate::domain::state::{Polls, Tries};
use crate::ledger::{gates, rows};

fn tries() -> Tries {
    Tries {
        since: Timestamp(-1),
        strikes: 1,
        failures: 2,
        resends: 3,
        resubmits: u32::MAX,
    }
}

fn every_state() -> Vec<State> {
    let task = TaskId::new("t-1").unwrap();
    let code = Code::service("OPS40002");
    let reason = "é ☃ why".to_owned();
    vec![
        State::Queued {
            not_before: Timestamp(5),
            tries: tries(),
        },
        State::Uploading {
            attempt: AttemptId(4),
            last_byte_sent: false,
            tries: tries(),
        },
        State::Uploading {
            attempt: AttemptId(4),
            last_byte_sent: true,
            tries: tries(),
        },
        State::Submitted {
            task: task.clone(),
            next_poll: Timestamp(7),
            polls: Polls {
                pending: 1,
                failures: 2,
                missing: 3,
            },
            tries: tries(),
        },
        State::Succeeded { task: task.clone() },
        State::Failed {
            task: task.clone(),
            reason: reason.clone(),
        },
        State::Cancelled { task: task.clone() },
        State::Untracked,
        State::Rejected { code: code.clone() },
        State::Exhausted {
            code: Code::http(503),
        },
        State::Unconfirmed {
            attempt: AttemptId(4),
        },
        State::Lost { task },
        State::Unsupported {
            kind: ReasonKind::Unlisted,
            reason,
        },
        State::Duplicate { of: FileId(77) },
        State::Superseded { by: FileId(78) },
        State::Gone,
    ]
}

#[tokio::test]
async fn every_state_comes_back_as_it_went() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let states = every_state();
    for kind in StateKind::ALL {
        assert!(states.iter().any(|state| state.kind() == kind), "{kind}");
    }
    for state in states {
        let written = state.clone();
        let back = bench.ledger.write(1, move |work| {
            let mut file = rows::load(work.conn, id)?;
            file.state = written;
            work.store(&file)?;
            let back = rows::load(work.conn, id)?;
            assert_eq!(back, file);
            Ok(back.state)
        });
        assert_eq!(back.await.unwrap(), state);
    }
}

#[tokio::test]
async fn a_state_owns_exactly_its_data() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let conn = by_hand(&bench.path());
    // Queued, with more or less than a queued file has.
    for wrong in [
        "task = 't'",
        "not_before = NULL",
        "attempt = 1",
        "last_byte = 0",
        "tries_since = NULL",
        "tries_resubmits = NULL",
        "polls_pending = 0",
        "reason = 'x'",
        "code = 'x'",
        "duplicate_of = 1",
        "superseded_by = 1",
        "awaiting = 1",
        "state = 'gone'",
        "state = 'nonsense'",
        "state = 'uploading', attempt = 1, last_byte = 0",
        "state = 'succeeded', task = 't'",
        "media = 'film'",
        "hash = x'00'",
        "source_done = 'moved'",
        "source_action = 'delete'",
        "not_before = 'soon'",
    ] {
        let changed = conn.execute(&format!("UPDATE files SET {wrong} WHERE id = {id}"), []);
        assert!(changed.is_err(), "{wrong}");
    }
    assert_eq!(bench.kind(id).await, StateKind::Queued);
}

#[tokio::test]
async fn gates_come_back_as_they_went_and_after_a_restart() {
    let closed = Closed {
        since: Timestamp(1),
        until: Timestamp(2),
        level: 3,
        code: Code::http(503),
        why: "busy".into(),
        lifts: Lifts::KeyChange,
        fingerprint: "f".into(),
        first: Duration::from_millis(1500),
        max: Duration::from_secs(6),
        holds: Holds::Calls,
    };
    let streak = Some(Streak {
        code: Code::service("OPS40002"),
        files: vec![FileId(1), FileId(2)],
    });
    let all = BTreeMap::from([
        (
            GateKey::Service,
            Gate {
                status: Status::Closed(closed.clone()),
                streak: None,
            },
        ),
        (
            GateKey::Route(route()),
            Gate {
                status: Status::Open,
                streak: streak.clone(),
            },
        ),
        (
            GateKey::Dataset(dataset()),
            Gate {
                status: Status::Probing {
                    file: FileId(5),
                    closed,
                },
                streak,
            },
        ),
    ]);
    let bench = Bench::new(policy());
    let mut watch = bench.ledger.gates_watch();
    let written = all.clone();
    bench
        .ledger
        .write(3, move |work| {
            for (key, gate) in &written {
                gates::save(work, key, gate)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    assert!(watch.has_changed().unwrap());
    assert_eq!(**watch.borrow_and_update(), all);
    let bench = bench.reopened().await;
    assert_eq!(*bench.ledger.gates(), all);

    // At start-up nothing is on its way: the probe is given back.
    bench.ledger.recover(at(0), &bench.policies).await.unwrap();
    let probed = bench.ledger.gates()[&GateKey::Dataset(dataset())].clone();
    assert!(matches!(probed.status, Status::Closed(_)), "{probed:?}");

    // Other settings open what waited for them, and nothing else.
    let settings = vec![
        (GateKey::Service, "f".to_owned()),
        (GateKey::Dataset(dataset()), "other".to_owned()),
    ];
    let opened = bench.ledger.settings_are(settings).await.unwrap();
    assert_eq!(opened, [GateKey::Dataset(dataset())]);
    let resumed = bench.ledger.resume(|_| true, |_| true, at(0).now).await;
    assert_eq!(resumed.unwrap().gates, [GateKey::Service]);
    let left: Vec<_> = bench.ledger.gates().keys().cloned().collect();
    assert_eq!(
        left,
        [GateKey::Route(route())],
        "an open gate keeps its streak"
    );
}
