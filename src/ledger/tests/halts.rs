//! An operator's pauses.

use super::*;
use crate::domain::halt::{Halt, HaltScope};

fn halt(until: Option<i64>) -> Halt {
    Halt {
        since: at(0).now,
        until: until.map(|ms| at(ms).now),
        who: "anna".into(),
        why: Some("maintenance".into()),
    }
}

#[tokio::test]
async fn a_visitors_pause_holds_from_its_commit_on() {
    let bench = Bench::new(policy());
    let on_the_wire = bench.enqueue(file("a.txt", 1)).await;
    let attempt = bench.begin(on_the_wire, 0).await;
    let waits = bench.enqueue(file("b.txt", 2)).await;
    let visitor = Ledger::open_visitor(&bench.path()).unwrap();
    let scope = HaltScope::Folder(inbox());
    assert_eq!(visitor.halt(scope.clone(), halt(None)).await.unwrap(), None);

    // The owner has not looked yet, and is held back all the same.
    assert!(bench.ledger.halts().is_empty());
    assert_eq!(
        bench.begin_with(waits, 2, 1).await,
        Begun::Held { until: None }
    );
    assert_eq!(bench.kind(waits).await, StateKind::Queued);
    assert!(bench.ledger.refresh_gates().await.unwrap());
    assert_eq!(bench.ledger.halts()[&scope], halt(None));

    // What was on the wire ends, and its task is followed.
    let finished = bench.finish(on_the_wire, attempt, taken("t-1"), 2).await;
    assert_eq!(finished.state.kind(), StateKind::Submitted);
    assert!(bench.ledger.poll_may_go(on_the_wire, at(3)).await.unwrap());
    let ended = bench.polled(on_the_wire, task_is(TaskState::Success)).await;
    assert_eq!(ended.state.kind(), StateKind::Succeeded);

    let bench = bench.reopened().await;
    assert_eq!(
        bench.ledger.halts()[&scope],
        halt(None),
        "kept over a restart"
    );
    let was = bench
        .ledger
        .halt(scope.clone(), halt(Some(50)))
        .await
        .unwrap();
    assert_eq!(was, Some(halt(None)));
    let until = Some(at(50).now);
    assert_eq!(bench.begin_with(waits, 2, 49).await, Begun::Held { until });
    assert!(matches!(
        bench.begin_with(waits, 2, 50).await,
        Begun::Attempt { .. }
    ));
}

#[tokio::test]
async fn a_pause_lets_no_probe_through() {
    let bench = Bench::new(policy());
    bench
        .sent(file("a.txt", 1), judge(&answer(401, "0", None)))
        .await;
    let waits = bench.enqueue(file("b.txt", 2)).await;
    bench.ledger.halt(HaltScope::All, halt(None)).await.unwrap();
    // Long after the gate would let one through.
    let later = 30 * 24 * 3_600_000;
    assert_eq!(
        bench.begin_with(waits, 2, later).await,
        Begun::Held { until: None }
    );
    let resumed = bench
        .ledger
        .resume(|_| false, |_| true, at(later).now)
        .await
        .unwrap();
    assert_eq!(
        (resumed.gates.len(), resumed.halts),
        (0, vec![HaltScope::All])
    );
    let begun = bench.begin_with(waits, 2, later).await;
    assert!(
        matches!(begun, Begun::Attempt { probe: true, .. }),
        "{begun:?}"
    );
}

#[tokio::test]
async fn a_resume_ends_what_is_meant_and_clears_what_is_over() {
    let bench = Bench::new(policy());
    let (folder, data) = (HaltScope::Folder(inbox()), HaltScope::Dataset(dataset()));
    let route = HaltScope::Route(route());
    for (scope, until) in [(&folder, None), (&data, Some(10)), (&route, None)] {
        bench.ledger.halt(scope.clone(), halt(until)).await.unwrap();
    }
    let meant = folder.clone();
    let resumed = bench
        .ledger
        .resume(|_| true, move |scope| *scope == meant, at(10).now)
        .await
        .unwrap();
    assert_eq!(resumed.halts, [folder]);
    let left: Vec<_> = bench.ledger.halts().keys().cloned().collect();
    assert_eq!(left, [route]);
}
