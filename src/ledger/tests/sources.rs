//! Sources: ledger first, source second.

use super::*;
use crate::domain::lifecycle::SourceAction;

async fn moved_after_rejection() -> (Bench, FileId) {
    let bench = Bench::new(Policy {
        on_reject: OnReject::Move,
        ..policy()
    });
    let id = bench
        .sent(file("a", 1), judge(&answer(413, "0", None)))
        .await;
    let due = bench
        .ledger
        .due_source_actions(at(0).now, 9, Vec::new())
        .await
        .unwrap();
    assert_eq!(
        (due[0].file.id, due[0].action),
        (id, SourceAction::MoveRejected)
    );
    let intent = bench
        .ledger
        .source_intent(id, SourceAction::MoveRejected, b"/r/a".to_vec());
    assert!(intent.await.unwrap());
    (bench, id)
}

#[tokio::test]
async fn an_intent_is_seen_again_after_a_crash() {
    let (bench, id) = moved_after_rejection().await;
    let bench = bench.reopened().await;
    let due = bench
        .ledger
        .due_source_actions(at(0).now, 9, Vec::new())
        .await
        .unwrap();
    assert_eq!(due[0].target.as_deref(), Some(&b"/r/a"[..]));
    let busy = bench
        .ledger
        .retry(Selection::Ids(vec![id]), at(1))
        .await
        .unwrap();
    assert_eq!(busy.refused.len(), 1, "its source is on its way");
    bench.ledger.source_later(id, at(50).now).await.unwrap();
    assert!(
        bench
            .ledger
            .due_source_actions(at(49).now, 9, Vec::new())
            .await
            .unwrap()
            .is_empty()
    );
    bench
        .ledger
        .source_done(id, SourceEnd::Kept("no room".into()))
        .await
        .unwrap();
    assert!(
        bench
            .ledger
            .due_source_actions(at(50).now, 9, Vec::new())
            .await
            .unwrap()
            .is_empty()
    );
    let twice = bench.ledger.source_done(id, SourceEnd::Moved).await;
    assert!(
        matches!(twice, Err(LedgerError::Refused { .. })),
        "{twice:?}"
    );
    let source = bench.record(id).await.source.unwrap();
    assert_eq!(source.done, Some(SourceEnd::Kept("no room".into())));
}

#[tokio::test]
async fn a_file_that_went_back_to_the_queue_keeps_its_source() {
    let bench = Bench::new(Policy {
        on_reject: OnReject::Move,
        ..policy()
    });
    let id = bench
        .sent(file("a", 1), judge(&answer(413, "0", None)))
        .await;
    let due = bench
        .ledger
        .due_source_actions(at(0).now, 9, Vec::new())
        .await
        .unwrap();
    assert_eq!(due.len(), 1);
    bench
        .ledger
        .retry(Selection::Ids(vec![id]), at(1))
        .await
        .unwrap();
    let intent = bench
        .ledger
        .source_intent(id, due[0].action, b"/r/a".to_vec())
        .await
        .unwrap();
    assert!(!intent, "looked up before, and no longer to be done");
}

#[tokio::test]
async fn a_rejected_file_that_is_put_back_is_tried_again() {
    let (bench, id) = moved_after_rejection().await;
    bench
        .ledger
        .source_done(id, SourceEnd::Moved)
        .await
        .unwrap();
    let refused = bench
        .ledger
        .retry(Selection::Ids(vec![id]), at(1))
        .await
        .unwrap()
        .refused;
    assert!(refused[0].1.contains("/r/a"), "{refused:?}");
    assert_eq!(
        bench
            .ledger
            .known(inbox(), vec![version("a", 1)])
            .await
            .unwrap(),
        [false]
    );
    // Another file than the one that was moved, as far as the ledger is concerned.
    let again = bench.enqueue(file("a", 1)).await;
    assert_ne!(again, id);
    assert_eq!(bench.kind(again).await, StateKind::Queued);
    assert_eq!(bench.kind(id).await, StateKind::Rejected);
    assert_eq!(
        bench
            .ledger
            .known(inbox(), vec![version("a", 1)])
            .await
            .unwrap(),
        [true]
    );
}

#[tokio::test]
async fn a_busy_folders_sources_are_left_out() {
    let (bench, _) = moved_after_rejection().await;
    let due = |busy: &'static [&'static str]| {
        let busy = busy.iter().map(|name| FolderName((*name).into())).collect();
        bench.ledger.due_source_actions(at(0).now, 9, busy)
    };
    assert_eq!(due(&["in"]).await.unwrap().len(), 0);
    assert_eq!(due(&["i", "inn", "other"]).await.unwrap().len(), 1);
}
