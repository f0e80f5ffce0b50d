//! Files on their way: in, out, answered, and what an answer does to others.

use super::*;
use crate::domain::answer::Code;
use crate::domain::gate::{GateKey, Status};

#[tokio::test]
async fn a_newer_version_takes_the_place_of_one_that_waits() {
    let bench = Bench::new(policy());
    let old = bench.enqueue(file("a", 1)).await;
    let new = bench.enqueue(file("a", 2)).await;
    assert_eq!(bench.state(old).await, State::Superseded { by: new });
    // The old one is there again, as a rename back makes it.
    assert_eq!(
        bench
            .ledger
            .known(inbox(), vec![version("a", 1)])
            .await
            .unwrap(),
        [false]
    );
    let back = bench
        .ledger
        .enqueue(vec![file("a", 1)], at(9), &bench.policies)
        .await
        .unwrap();
    assert_eq!(back, [Enqueued { id: old, new: true }]);
    assert_eq!(bench.kind(old).await, StateKind::Queued);
    assert_eq!(bench.state(new).await, State::Superseded { by: old });
}

#[tokio::test]
async fn a_file_that_had_gone_comes_back() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let state = bench
        .ledger
        .vanished(id, None, at(1), &bench.policies)
        .await
        .unwrap();
    assert_eq!(state, State::Gone);
    assert_eq!(
        bench
            .ledger
            .known(inbox(), vec![version("a", 1)])
            .await
            .unwrap(),
        [false]
    );
    assert_eq!(bench.enqueue(file("a", 1)).await, id);
    assert_eq!(bench.kind(id).await, StateKind::Queued);
}

#[tokio::test]
async fn a_file_changed_under_way_gives_way_to_its_newer_version_if_there_is_one() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let attempt = bench.begin(id, 0).await;
    let state = bench
        .ledger
        .changed(id, Some(attempt), at(1), &bench.policies)
        .await
        .unwrap();
    assert_eq!(state.kind(), StateKind::Queued);
    assert!(
        bench.pick(9_000).await.is_empty(),
        "left alone for the quiet time"
    );
    assert_eq!(bench.pick(10_001).await.len(), 1);

    let attempt = bench.begin(id, 0).await;
    let newer = bench.enqueue(file("a", 2)).await;
    assert_eq!(
        bench.kind(id).await,
        StateKind::Uploading,
        "its worker finds out"
    );
    let state = bench
        .ledger
        .changed(id, Some(attempt), at(1), &bench.policies)
        .await
        .unwrap();
    assert_eq!(state, State::Superseded { by: newer });
}

#[tokio::test]
async fn from_the_queue_to_the_end_everything_is_on_record() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let first = bench.begin(id, 10).await;
    let at_once = bench.begin_with(id, 1, 11).await;
    assert_eq!(at_once, Begun::NotQueued(StateKind::Uploading));
    let hop = NextHop {
        id,
        attempt: first,
        judgement: judge(&answer(307, "0", None)),
        http_status: 307,
        bytes: 100,
        endpoint: "http://h/elsewhere".into(),
        one_chunk: false,
    };
    let second = bench
        .ledger
        .next_hop(hop, at(20), &bench.policies)
        .await
        .unwrap();
    let late = bench
        .ledger
        .last_byte(
            id,
            first,
            None,
            DuplicateRule::SameContent,
            at(21),
            &bench.policies,
        )
        .await;
    assert!(matches!(late, Err(LedgerError::Refused { .. })), "{late:?}");
    bench
        .ledger
        .last_byte(
            id,
            second,
            Some([7; 32]),
            DuplicateRule::SameContent,
            at(30),
            &bench.policies,
        )
        .await
        .unwrap();
    let finished = bench.finish(id, second, taken("t-1"), 40).await;
    assert_eq!(finished.state.kind(), StateKind::Submitted);

    let due = bench.ledger.next_poll_at(dataset()).await.unwrap();
    assert_eq!(due, Some(at(2040).now));
    assert!(
        bench
            .ledger
            .due_polls(dataset(), at(2039).now, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let polls = bench
        .ledger
        .due_polls(dataset(), at(2040).now, 9)
        .await
        .unwrap();
    assert_eq!((polls[0].id, polls[0].task.as_str()), (id, "t-1"));
    let pending = bench.polled(id, task_is(TaskState::Pending)).await;
    assert_eq!(pending.state.kind(), StateKind::Submitted);
    let done = bench.polled(id, task_is(TaskState::Success)).await;
    assert_eq!(done.state.kind(), StateKind::Succeeded);
    assert_eq!(done.source, None);

    let story = bench.ledger.show(id).await.unwrap().unwrap();
    assert_eq!(story.file.hash, Some([7; 32]));
    assert_eq!(story.file.poll.unwrap().count, 2);
    let ways: Vec<_> = story.history.iter().map(|h| (h.from, h.to)).collect();
    use StateKind::{Queued, Submitted, Succeeded, Uploading};
    assert_eq!(
        ways,
        [
            (Queued, Uploading),
            (Uploading, Submitted),
            (Submitted, Succeeded)
        ]
    );
    let [a, b] = &story.attempts[..] else {
        panic!("{:?}", story.attempts)
    };
    assert_eq!((a.http_status, a.last_byte_at), (Some(307), None));
    assert_eq!(
        (b.last_byte_at, b.ended_at),
        (Some(at(30).now), Some(at(40).now))
    );
    assert_eq!(b.verdict.as_deref(), Some("done"));
    assert_eq!(b.task, TaskId::new("t-1"));
    let pending = bench.ledger.pending(at(0).now).await.unwrap();
    assert!(pending.is_empty(), "{pending:?}");
}

#[tokio::test]
async fn what_becomes_due_next() {
    let bench = Bench::new(policy());
    assert_eq!(bench.ledger.next_due(at(0).now).await.unwrap(), None);
    let a = bench.sent(file("a", 1), taken("t-1")).await;
    bench
        .sent(file("b", 2), judge(&answer(409, "0", None)))
        .await;
    bench
        .ledger
        .postpone(FileId(2), Duration::from_secs(60), at(0))
        .await
        .unwrap();
    assert_eq!(
        bench.ledger.next_due(at(0).now).await.unwrap(),
        Some(at(2000).now)
    );
    assert_eq!(
        bench.ledger.next_due(at(2000).now).await.unwrap(),
        Some(at(60_000).now)
    );
    assert_eq!(bench.ledger.next_due(at(60_000).now).await.unwrap(), None);
    assert_eq!(
        bench.ledger.poll_now(dataset(), at(1).now).await.unwrap(),
        1
    );
    assert_eq!(
        bench
            .ledger
            .due_polls(dataset(), at(1).now, 9)
            .await
            .unwrap()[0]
            .id,
        a
    );
    let pending = bench.ledger.pending(at(0).now).await.unwrap();
    assert_eq!(
        (pending.queued_due, pending.queued_later, pending.submitted),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn the_same_content_is_sent_once() {
    let bench = Bench::new(Policy {
        after: AfterSuccess::Move,
        ..policy()
    });
    let original = bench.enqueue(file("a", 1)).await;
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 0).await else {
        panic!()
    };
    let copy = bench.enqueue(file("b", 2)).await;
    assert_eq!(
        bench.begin_with(copy, 1, 0).await,
        Begun::Duplicate(original)
    );
    assert!(
        bench
            .ledger
            .same_size(dataset(), 100, Some(copy))
            .await
            .unwrap()
    );
    assert!(
        !bench
            .ledger
            .same_size(dataset(), 101, Some(copy))
            .await
            .unwrap()
    );
    // Other content goes out.
    let other = bench.enqueue(file("c", 3)).await;
    assert!(matches!(
        bench.begin_with(other, 2, 0).await,
        Begun::Attempt { .. }
    ));

    let _ = bench.finish(original, attempt, taken("t-1"), 0).await;
    assert_eq!(bench.record(copy).await.source, None, "not imported yet");
    let _ = bench.polled(original, task_is(TaskState::Success)).await;
    assert_eq!(bench.state(copy).await, State::Duplicate { of: original });
    assert!(
        bench.record(copy).await.source.is_some(),
        "as good as imported: moved"
    );
    let late = bench.enqueue(file("d", 4)).await;
    assert_eq!(
        bench.begin_with(late, 1, 0).await,
        Begun::Duplicate(original)
    );
    assert!(bench.record(late).await.source.is_some());
}

#[tokio::test]
async fn a_copy_waits_for_an_original_in_doubt() {
    let bench = Bench::new(Policy {
        unconfirmed: OnUnconfirmed::Hold,
        ..policy()
    });
    let original = bench.enqueue(file("a", 1)).await;
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 0).await else {
        panic!()
    };
    bench
        .ledger
        .last_byte(
            original,
            attempt,
            None,
            DuplicateRule::SameContent,
            at(1),
            &bench.policies,
        )
        .await
        .unwrap();
    let bench = bench.reopened().await;
    bench.ledger.recover(at(2), &bench.policies).await.unwrap();
    let unconfirmed = State::Unconfirmed { attempt };
    assert_eq!(bench.state(original).await, unconfirmed);
    // Dropped only now: it is not sent behind the operator's back.
    let copy = bench.enqueue(file("b", 2)).await;
    assert_eq!(
        bench.begin_with(copy, 1, 3).await,
        Begun::Duplicate(original)
    );
    assert_eq!(bench.record(copy).await.source, None, "not imported yet");
}

#[tokio::test]
async fn duplicates_get_their_own_try_when_the_original_does_not_get_through() {
    let bench = Bench::new(policy());
    let original = bench.enqueue(file("a", 1)).await;
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 0).await else {
        panic!()
    };
    // More than are told in one transaction.
    let copies = 600;
    for n in 0..copies {
        let copy = bench.enqueue(file(&format!("b{n}"), 10 + n)).await;
        assert_eq!(
            bench.begin_with(copy, 1, 0).await,
            Begun::Duplicate(original)
        );
    }
    let _ = bench
        .finish(original, attempt, judge(&answer(413, "0", None)), 0)
        .await;
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        // Any request lets the leftovers be seen.
        let pending = bench.ledger.pending(at(0).now).await.unwrap();
        if pending.queued_due == copies {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{pending:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn duplicates_untold_at_a_crash_are_told_at_the_start() {
    let bench = Bench::new(policy());
    let original = bench.enqueue(file("a", 1)).await;
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 0).await else {
        panic!()
    };
    let copy = bench.enqueue(file("b", 2)).await;
    assert_eq!(
        bench.begin_with(copy, 1, 0).await,
        Begun::Duplicate(original)
    );
    let _ = bench
        .finish(original, attempt, judge(&answer(413, "0", None)), 0)
        .await;
    assert_eq!(bench.kind(copy).await, StateKind::Queued);
    by_hand(&bench.path())
        .execute(
            "UPDATE files SET state = 'duplicate', duplicate_of = 1, awaiting = 1, \
             not_before = NULL, tries_since = NULL, tries_strikes = NULL, tries_failures = NULL, \
             tries_resends = NULL, tries_resubmits = NULL WHERE id = ?1",
            [copy.0],
        )
        .unwrap();
    bench.ledger.recover(at(0), &bench.policies).await.unwrap();
    assert_eq!(bench.kind(copy).await, StateKind::Queued);
}

#[tokio::test]
async fn a_duplicate_hears_of_an_original_that_an_operator_sends_round_again() {
    let bench = Bench::new(Policy {
        after: AfterSuccess::Move,
        ..policy()
    });
    let original = bench.enqueue(file("a", 1)).await;
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 0).await else {
        panic!()
    };
    let copy = bench.enqueue(file("b", 2)).await;
    assert_eq!(
        bench.begin_with(copy, 1, 0).await,
        Begun::Duplicate(original)
    );
    let _ = bench.finish(original, attempt, taken("t-1"), 0).await;
    let _ = bench.polled(original, task_is(TaskState::Fail)).await;
    assert_eq!(bench.state(copy).await, State::Duplicate { of: original });
    let retried = bench
        .ledger
        .retry(Selection::Ids(vec![original]), at(9))
        .await
        .unwrap();
    assert_eq!(retried.retried, [original]);
    let Begun::Attempt { attempt, .. } = bench.begin_with(original, 1, 9).await else {
        panic!()
    };
    let _ = bench.finish(original, attempt, taken("t-2"), 9).await;
    let _ = bench.polled(original, task_is(TaskState::Success)).await;
    assert!(bench.record(copy).await.source.is_some());
}

#[tokio::test]
async fn five_rejections_running_are_the_routes_fault() {
    let bench = Bench::new(Policy {
        on_reject: OnReject::Move,
        ..policy()
    });
    let mut rejected = Vec::new();
    for n in 1..=4 {
        rejected.push(
            bench
                .sent(file(&format!("f{n}"), n), refused("OPS40002"))
                .await,
        );
    }
    for id in &rejected {
        assert_eq!(bench.kind(*id).await, StateKind::Rejected);
    }
    let soon = bench
        .ledger
        .due_source_actions(at(60_000).now, 9, Vec::new())
        .await
        .unwrap();
    assert!(soon.is_empty(), "sources stay while the blame is open");
    let later = at(15 * 60_000).now;
    assert_eq!(
        bench
            .ledger
            .due_source_actions(later, 9, Vec::new())
            .await
            .unwrap()
            .len(),
        4
    );

    let fifth = bench.enqueue(file("f5", 5)).await;
    let attempt = bench.begin(fifth, 0).await;
    let finished = bench.finish(fifth, attempt, refused("OPS40002"), 0).await;
    assert_eq!(finished.returned, rejected);
    for id in rejected.iter().chain([&fifth]) {
        assert_eq!(bench.kind(*id).await, StateKind::Queued);
    }
    assert!(
        bench
            .ledger
            .due_source_actions(later, 9, Vec::new())
            .await
            .unwrap()
            .is_empty()
    );

    let gate = bench.ledger.gates()[&GateKey::Route(route())].clone();
    let until = gate.closed().unwrap().until;
    let held = bench.begin_with(fifth, 5, 1).await;
    assert_eq!(held, Begun::Held { until: Some(until) });

    // Then one goes, as the probe, and survives a restart as a closed gate.
    let ms = until.0 - NOW;
    let probe = bench.begin_with(fifth, 5, ms).await;
    let Begun::Attempt {
        attempt,
        probe: true,
    } = probe
    else {
        panic!("{probe:?}")
    };
    assert_eq!(
        bench.begin_with(rejected[0], 1, ms).await,
        Begun::Held { until: None }
    );
    bench
        .ledger
        .release(fifth, attempt, at(ms), &bench.policies)
        .await
        .unwrap();
    let gates = bench.ledger.gates();
    assert!(matches!(
        gates[&GateKey::Route(route())].status,
        Status::Closed(_)
    ));
    let attempt = bench.begin(fifth, ms).await;
    let bench = bench.reopened().await;
    assert!(bench.ledger.gates()[&GateKey::Route(route())].is_probed_by(fifth));
    bench.ledger.recover(at(ms), &bench.policies).await.unwrap();
    assert_ne!(bench.begin(fifth, ms).await, attempt);
    let attempt = match bench.state(fifth).await {
        State::Uploading { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    };
    let _ = bench.finish(fifth, attempt, taken("t-5"), ms).await;
    assert!(bench.ledger.gates().is_empty(), "the probe opened it");
}

#[tokio::test]
async fn a_poll_can_be_the_probe() {
    let bench = Bench::new(policy());
    let id = bench.sent(file("a", 1), taken("t-1")).await;
    assert!(
        bench.ledger.poll_may_go(id, at(0)).await.unwrap(),
        "nothing is closed"
    );
    bench
        .sent(file("b", 2), judge(&answer(503, "0", None)))
        .await;
    let gates = bench.ledger.gates();
    let until = gates[&GateKey::Service].closed().unwrap().until;
    assert!(!bench.ledger.poll_may_go(id, at(0)).await.unwrap());
    let due = Moment {
        now: until,
        chance: 0.0,
    };
    assert!(bench.ledger.poll_may_go(id, due).await.unwrap());
    assert!(bench.ledger.gates()[&GateKey::Service].is_probed_by(id));
    assert!(bench.ledger.poll_may_go(id, due).await.unwrap());
    let _ = bench.polled(id, task_is(TaskState::Pending)).await;
    assert!(bench.ledger.gates().is_empty());
}

#[tokio::test]
async fn a_crash_is_settled_by_what_was_sent_and_by_policy() {
    for (unconfirmed, last_byte, expected) in [
        (
            OnUnconfirmed::Resend {
                times: 3,
                first: Duration::from_secs(60),
            },
            false,
            (StateKind::Queued, false),
        ),
        (
            OnUnconfirmed::Resend {
                times: 3,
                first: Duration::from_secs(60),
            },
            true,
            (StateKind::Queued, true),
        ),
        (OnUnconfirmed::Hold, false, (StateKind::Queued, false)),
        (OnUnconfirmed::Hold, true, (StateKind::Unconfirmed, false)),
    ] {
        let bench = Bench::new(Policy {
            unconfirmed,
            ..policy()
        });
        let id = bench.enqueue(file("a", 1)).await;
        let attempt = bench.begin(id, 0).await;
        if last_byte {
            bench
                .ledger
                .last_byte(
                    id,
                    attempt,
                    None,
                    DuplicateRule::SameContent,
                    at(1),
                    &bench.policies,
                )
                .await
                .unwrap();
        }
        let bench = bench.reopened().await;
        let recovered = bench.ledger.recover(at(2), &bench.policies).await.unwrap();
        assert_eq!(recovered.queued + recovered.unconfirmed, 1);
        let file = bench.record(id).await;
        let found = (file.state.kind(), file.possible_duplicate);
        assert_eq!(
            found, expected,
            "{unconfirmed:?}, last byte sent: {last_byte}"
        );
        let story = bench.ledger.show(id).await.unwrap().unwrap();
        assert_eq!(story.attempts[0].verdict.as_deref(), Some("interrupted"));
        let again = bench.ledger.recover(at(3), &bench.policies).await.unwrap();
        assert_eq!(again, Recovered::default());
    }
}

#[tokio::test]
async fn only_the_answer_that_raises_the_doubt_is_said_to() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let attempt = bench.begin(id, 0).await;
    let lost = judge(&Outcome::Broken {
        last_byte_sent: true,
        detail: "cut".into(),
    });
    let finished = bench.finish(id, attempt, lost, 0).await;
    assert!(finished.possible_duplicate);
    let attempt = bench.begin(id, 5_000).await;
    let finished = bench.finish(id, attempt, taken("t"), 5_000).await;
    assert!(!finished.possible_duplicate);
    let file = bench.record(id).await;
    assert!(file.possible_duplicate, "the mark stays with the file");
    assert_eq!(file.last_code, Some(Code::own("0")));
}
