//! Copies of large files, whose content is not known before they are sent.

use super::*;

/// Begins without a hash.
async fn begin_unread(bench: &Bench, id: FileId) -> Begun {
    let begin = Begin {
        dataset: dataset(),
        hash: None,
        options: [9; 16],
        duplicates: DuplicateRule::SameContent,
        one_chunk: false,
        endpoint: "/file-task".into(),
    };
    bench
        .ledger
        .begin(id, begin, at(0), &bench.policies)
        .await
        .unwrap()
}

async fn on_the_wire(bench: &Bench, id: FileId) -> AttemptId {
    match begin_unread(bench, id).await {
        Begun::Attempt { attempt, .. } => attempt,
        other => panic!("{other:?}"),
    }
}

async fn last_byte(bench: &Bench, id: FileId, attempt: AttemptId, hash: u8) -> LastByte {
    bench
        .ledger
        .last_byte(
            id,
            attempt,
            Some([hash; 32]),
            DuplicateRule::SameContent,
            at(1),
            &bench.policies,
        )
        .await
        .unwrap()
}

fn hold() -> Policy {
    Policy {
        unconfirmed: OnUnconfirmed::Hold,
        ..policy()
    }
}

#[tokio::test]
async fn of_two_on_the_wire_with_one_content_the_first_to_its_last_byte_goes() {
    for first_begun_is_first_read in [true, false] {
        let bench = Bench::new(policy());
        let a = bench.enqueue(file("a", 1)).await;
        let b = bench.enqueue(file("b", 2)).await;
        let (first, second) = (
            (a, on_the_wire(&bench, a).await),
            (b, on_the_wire(&bench, b).await),
        );
        let (first, second) = if first_begun_is_first_read {
            (first, second)
        } else {
            (second, first)
        };
        let go = last_byte(&bench, first.0, first.1, 7).await;
        assert_eq!(go, LastByte::Recorded);
        let stop = last_byte(&bench, second.0, second.1, 7).await;
        assert_eq!(stop, LastByte::Same(first.0));
        // What it read stays known: once released it ends without a request.
        bench
            .ledger
            .release(second.0, second.1, at(2), &bench.policies)
            .await
            .unwrap();
        assert_eq!(
            begin_unread(&bench, second.0).await,
            Begun::Duplicate(first.0)
        );
        let _ = bench.finish(first.0, first.1, taken("t"), 3).await;
        assert_eq!(bench.record(first.0).await.hash, Some([7; 32]));
        assert_eq!(bench.record(second.0).await.hash, Some([7; 32]));
    }
}

#[tokio::test]
async fn one_that_was_read_before_and_one_that_was_not_meet_at_the_last_byte() {
    // `read` is begun with its hash; whoever comes first to its last byte goes.
    for read_first in [true, false] {
        let bench = Bench::new(policy());
        let (a, b) = (
            bench.enqueue(file("a", 1)).await,
            bench.enqueue(file("b", 2)).await,
        );
        let unread = (a, on_the_wire(&bench, a).await);
        let Begun::Attempt { attempt, .. } = bench.begin_with(b, 7, 0).await else {
            panic!("nothing is known of the other's content yet")
        };
        let read = (b, attempt);
        let (first, second) = if read_first {
            (read, unread)
        } else {
            (unread, read)
        };
        let go = last_byte(&bench, first.0, first.1, 7).await;
        assert_eq!(go, LastByte::Recorded);
        let stop = last_byte(&bench, second.0, second.1, 7).await;
        assert_eq!(stop, LastByte::Same(first.0));
    }
}

#[tokio::test]
async fn one_that_is_behind_does_not_hide_one_that_went() {
    let bench = Bench::new(policy());
    let ids = [
        bench.enqueue(file("behind", 1)).await,
        bench.enqueue(file("went", 2)).await,
        bench.enqueue(file("late", 3)).await,
    ];
    let (went, late) = (
        on_the_wire(&bench, ids[1]).await,
        on_the_wire(&bench, ids[2]).await,
    );
    // Begun with its hash, and with the lowest number, so the index has it first.
    let behind = bench.begin_with(ids[0], 7, 0).await;
    assert!(matches!(behind, Begun::Attempt { .. }), "{behind:?}");
    assert_eq!(last_byte(&bench, ids[1], went, 7).await, LastByte::Recorded);
    assert_eq!(
        last_byte(&bench, ids[2], late, 7).await,
        LastByte::Same(ids[1])
    );
}

#[tokio::test]
async fn a_size_that_is_known_asks_for_the_hash_first() {
    let bench = Bench::new(policy());
    let a = bench.enqueue(file("a", 1)).await;
    let attempt = on_the_wire(&bench, a).await;
    // One on the wire whose content nobody knows yet can't be compared with.
    let b = bench.enqueue(file("b", 2)).await;
    let other = on_the_wire(&bench, b).await;
    assert_eq!(last_byte(&bench, a, attempt, 1).await, LastByte::Recorded);
    assert_eq!(last_byte(&bench, b, other, 2).await, LastByte::Recorded);
    let c = bench.enqueue(file("c", 3)).await;
    assert_eq!(begin_unread(&bench, c).await, Begun::HashFirst);
    assert_eq!(bench.kind(c).await, StateKind::Queued);
    assert_eq!(bench.begin_with(c, 1, 0).await, Begun::Duplicate(a));
    // Also once the rows have gone.
    let _ = bench.finish(a, attempt, taken("t-1"), 2).await;
    let _ = bench.polled(a, task_is(TaskState::Success)).await;
    let _ = bench.finish(b, other, refused("OPS40002"), 2).await;
    let rows = bench.ledger.records(vec![c, a, b]).await.unwrap();
    let erased = bench.ledger.erase(rows, Memory::Content).await.unwrap();
    assert_eq!(erased.erased.len(), 3, "{erased:?}");
    let d = bench.enqueue(file("d", 4)).await;
    assert_eq!(begin_unread(&bench, d).await, Begun::HashFirst);
    assert_eq!(bench.begin_with(d, 1, 0).await, Begun::Duplicate(a));
}

/// Of an older ledger, where `duplicates = "upload"` hashed nothing.
#[tokio::test]
async fn what_was_sent_without_a_hash_is_compared_with_nothing() {
    let bench = Bench::new(policy());
    let a = bench.enqueue(file("a", 1)).await;
    let attempt = on_the_wire(&bench, a).await;
    let sent = bench
        .ledger
        .last_byte(
            a,
            attempt,
            None,
            DuplicateRule::SameContent,
            at(1),
            &bench.policies,
        )
        .await
        .unwrap();
    assert_eq!(sent, LastByte::Recorded);
    let _ = bench.finish(a, attempt, taken("t-1"), 2).await;
    let _ = bench.polled(a, task_is(TaskState::Success)).await;
    let b = bench.enqueue(file("b", 2)).await;
    let attempt = on_the_wire(&bench, b).await;
    assert_eq!(last_byte(&bench, b, attempt, 1).await, LastByte::Recorded);
}

#[tokio::test]
async fn nothing_in_doubt_is_without_its_hash() {
    let bench = Bench::new(hold());
    let (a, b) = (
        bench.enqueue(file("a", 1)).await,
        bench.enqueue(file("b", 2)).await,
    );
    let (first, _second) = (on_the_wire(&bench, a).await, on_the_wire(&bench, b).await);
    assert_eq!(last_byte(&bench, a, first, 7).await, LastByte::Recorded);
    let bench = bench.reopened().await;
    bench.ledger.recover(at(2), &bench.policies).await.unwrap();
    // One may have been taken, and waits for a person; the other can't have been.
    let held = bench.record(a).await;
    assert_eq!(
        (held.state.kind(), held.hash),
        (StateKind::Unconfirmed, Some([7; 32]))
    );
    assert_eq!(bench.kind(b).await, StateKind::Queued);
    // It is not sent behind that person's back.
    assert_eq!(begin_unread(&bench, b).await, Begun::HashFirst);
    assert_eq!(bench.begin_with(b, 7, 3).await, Begun::Duplicate(a));
    assert_eq!(bench.record(b).await.source, None, "not imported yet");
}

#[tokio::test]
async fn an_answer_before_the_last_byte_brings_its_hash_along() {
    let bench = Bench::new(policy());
    let a = bench.enqueue(file("a", 1)).await;
    let attempt = on_the_wire(&bench, a).await;
    let finish = Finish {
        id: a,
        attempt,
        judgement: judge(&answer(304, "304", None)),
        http_status: Some(304),
        bytes: 10,
        hash: Some([7; 32]),
        fingerprints: Arc::default(),
    };
    let finished = bench
        .ledger
        .finish(finish, at(1), &bench.policies)
        .await
        .unwrap();
    assert_eq!(finished.state, State::Untracked);
    let b = bench.enqueue(file("b", 2)).await;
    assert_eq!(begin_unread(&bench, b).await, Begun::HashFirst);
    assert_eq!(bench.begin_with(b, 7, 0).await, Begun::Duplicate(a));
}
