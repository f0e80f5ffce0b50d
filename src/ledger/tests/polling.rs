//! What a query's answer leaves on a file.

use super::*;
use crate::domain::state::{Polls, Tries};

/// A submitted file with something in every column that a query leaves alone.
async fn followed(bench: &Bench) -> FileId {
    let id = bench.enqueue(file("a.txt", 1)).await;
    let attempt = bench.begin(id, 0).await;
    let no_answer = judge(&Outcome::Broken {
        last_byte_sent: true,
        detail: "reset".into(),
    });
    // Sent again after no answer: a possible duplicate, with a try behind it.
    let _ = bench.finish(id, attempt, no_answer, 0).await;
    let due = 3_600_000;
    let attempt = bench.begin(id, due).await;
    let finished = bench.finish(id, attempt, taken("t-1"), due).await;
    assert_eq!(finished.state.kind(), StateKind::Submitted);
    assert!(bench.record(id).await.possible_duplicate);
    id
}

#[tokio::test]
async fn an_answer_that_leaves_a_task_as_it_is_writes_all_that_has_changed() {
    let bench = Bench::new(policy());
    let id = followed(&bench).await;
    let nothing = judge_query(&Outcome::NoConnection {
        detail: "refused".into(),
    });
    let unknown = judge_query(&answer(404, "40405", None));
    let answers = [
        task_is(TaskState::Pending),
        nothing,
        task_is(TaskState::Pending),
        unknown,
        task_is(TaskState::Pending),
    ];
    for (n, judgement) in answers.into_iter().enumerate() {
        let before = bench.record(id).await;
        let finished = bench.polled(id, judgement.clone()).await;
        let after = bench.record(id).await;
        assert_eq!(finished.state, after.state, "told and recorded, {n}");
        let State::Submitted { polls, tries, .. } = &after.state else {
            panic!("{after:?}");
        };
        let (was_polls, was_tries) = polls_of(&before);
        assert_eq!(*tries, was_tries);
        assert_ne!(*polls, was_polls, "{n}");
        let poll = after.poll.clone().unwrap();
        assert_eq!(usize::try_from(poll.count).unwrap(), n + 1);
        assert_eq!((poll.at, &poll.code), (at(5000).now, &judgement.code));
        assert_eq!(after.changed_at, at(5000).now);
        assert_eq!(after.last_code.as_ref(), Some(&judgement.code));
        assert_eq!(after.last_why.as_ref(), Some(&judgement.why));
        // And nothing else.
        let same = FileRecord {
            state: before.state.clone(),
            poll: before.poll.clone(),
            changed_at: before.changed_at,
            last_code: before.last_code.clone(),
            last_why: before.last_why.clone(),
            ..after
        };
        assert_eq!(same, before, "{n}");
    }
    let ended = bench.polled(id, task_is(TaskState::Success)).await;
    assert_eq!(ended.state.kind(), StateKind::Succeeded);
    let record = bench.record(id).await;
    assert_eq!(record.poll.unwrap().count, 6);
    assert!(record.possible_duplicate);
}

#[tokio::test]
async fn the_pace_and_the_queue_of_polls_follow_each_answer() {
    let bench = Bench::new(policy());
    let id = followed(&bench).await;
    for pending in 1..=4 {
        let finished = bench.polled(id, task_is(TaskState::Pending)).await;
        let State::Submitted { next_poll, .. } = finished.state else {
            panic!("{finished:?}");
        };
        let (polls, _) = polls_of(&bench.record(id).await);
        assert_eq!(polls.pending, pending);
        // The index that the poller asks goes along.
        let next = bench.ledger.next_poll_at(dataset()).await.unwrap();
        assert_eq!(next, Some(next_poll));
        let due = |at| bench.ledger.due_polls(dataset(), at, 9);
        assert!(due(Timestamp(next_poll.0 - 1)).await.unwrap().is_empty());
        assert_eq!(due(next_poll).await.unwrap()[0].id, id);
    }
}

#[tokio::test]
async fn each_write_of_another_process_is_seen_once_and_own_writes_never() {
    let bench = Bench::new(policy());
    let visitor = Ledger::open_visitor(&bench.path()).unwrap();
    for round in 0..5 {
        bench.enqueue(file(&format!("{round}.txt"), round)).await;
        assert!(!bench.ledger.refresh_gates().await.unwrap(), "{round}");
        visitor
            .poll_now(dataset(), at(0).now)
            .await
            .expect("nothing is followed");
        let files = vec![file(&format!("other-{round}.txt"), 100 + round)];
        let done = visitor.enqueue(files, at(0), &bench.policies).await;
        assert!(done.unwrap()[0].new);
        assert!(bench.ledger.refresh_gates().await.unwrap(), "{round}");
        assert!(!bench.ledger.refresh_gates().await.unwrap(), "{round}");
    }
}

fn judge_query(outcome: &Outcome) -> Judgement {
    ErrorTable::default().judge(Call::Query, outcome, Trail::default())
}

fn polls_of(file: &FileRecord) -> (Polls, Tries) {
    match &file.state {
        State::Submitted { polls, tries, .. } => (*polls, *tries),
        other => panic!("{other:?}"),
    }
}

/// A task in a state that nobody knows counts as still processing; after a day an
/// operator is told. A query that fails in between changes nothing.
#[tokio::test]
async fn a_state_that_is_not_documented_needs_attention_after_a_day() {
    let bench = Bench::new(policy());
    let id = followed(&bench).await;
    let unknown = || task_is(TaskState::Unknown("COMPLETED".into()));
    assert!(!bench.polled(id, unknown()).await.repeated);
    assert!(bench.polled(id, unknown()).await.repeated);
    let refused = judge_query(&Outcome::NoConnection {
        detail: "refused".into(),
    });
    let _ = bench.polled(id, refused).await;
    let since = bench.record(id).await.poll.unwrap().unknown_since;
    assert_eq!(since, Some(at(5000).now));
    let day = crate::domain::state::UNKNOWN_FOR;
    let needy = |after: Duration| {
        let now = at(5000).now.plus(after);
        let filter = Filter {
            states: vec![StateKind::Failed],
            unknown_since: Some(now.minus(day)),
            ..Filter::default()
        };
        let ledger = &bench.ledger;
        async move {
            let listed = ledger.list(filter).await.unwrap().len();
            (listed, ledger.standing(now).await.unwrap().unknown)
        }
    };
    assert_eq!(needy(day - Duration::from_secs(1)).await, (0, 0));
    assert_eq!(needy(day).await, (1, 1));
    let _ = bench.polled(id, task_is(TaskState::Pending)).await;
    assert_eq!(needy(day).await, (0, 0));
}
