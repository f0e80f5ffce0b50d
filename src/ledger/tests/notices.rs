//! Notices are left with the change that they tell of, or not at all.

use super::*;
use crate::domain::notice::{HookName, Listener, Occasion};
use crate::ledger::About;

fn listener(folder: &str, hook: &str, on: &[&str]) -> Listener {
    Listener {
        folder: FolderName(folder.into()),
        dataset: dataset(),
        hook: HookName(hook.into()),
        on: on
            .iter()
            .flat_map(|w| Occasion::meant_by(w).unwrap())
            .collect(),
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new(policy());
    let policies = Policies::clone(&bench.policies).with_listeners(vec![
        listener("in", "all", &["succeeded", "attention", "paused"]),
        listener("in", "ends", &["succeeded"]),
        listener("other", "all", &["succeeded"]),
    ]);
    bench.policies = Arc::new(policies);
    bench
}

async fn left(bench: &Bench, folder: &str, hook: &str) -> Vec<crate::ledger::Notice> {
    let (folder, hook) = (FolderName(folder.into()), HookName(hook.into()));
    bench.ledger.next_notices(folder, hook, 100).await.unwrap()
}

#[tokio::test]
async fn an_end_is_told_to_each_that_listens_until_it_is_settled() {
    let bench = bench();
    let id = bench.sent(file("a", 1), taken("t")).await;
    assert!(!bench.ledger.notices_due(at(9_000).now).await.unwrap());
    let rung = bench.ledger.noticed();
    bench.polled(id, task_is(TaskState::Success)).await;
    rung.await;
    // It is in the file, whatever becomes of this process.
    let bench = bench.reopened().await;
    let all = left(&bench, "in", "all").await;
    assert_eq!((all.len(), left(&bench, "in", "ends").await.len()), (1, 1));
    assert_eq!(left(&bench, "other", "all").await, []);
    let notice = &all[0];
    assert_eq!(notice.occasion, Occasion::Ended(StateKind::Succeeded));
    assert!(matches!(&notice.about, About::File { file, attempts: 1, .. } if file.id == id));
    let event = notice.event_id();
    bench
        .ledger
        .notice_put_off(notice.id, at(60_000).now)
        .await
        .unwrap();
    let again = &left(&bench, "in", "all").await[0];
    assert_eq!(
        (again.tries, again.due, again.event_id()),
        (1, at(60_000).now, event)
    );
    bench.ledger.notice_settled(notice.id).await.unwrap();
    assert_eq!(left(&bench, "in", "all").await, []);
    assert_eq!(bench.ledger.notices_waiting().await.unwrap(), 1);
    let kept = vec![(inbox(), HookName("all".into()))];
    assert_eq!(bench.ledger.keep_notices_of(kept).await.unwrap(), 1);
    assert_eq!(bench.ledger.notices_waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pause_is_told_when_it_begins_and_not_when_a_probe_fails() {
    let bench = bench();
    let id = bench.enqueue(file("a", 1)).await;
    for ms in [0, 4_000_000] {
        let attempt = bench.begin(id, ms).await;
        let refused = judge(&answer(401, "HTTP-401", None));
        let _ = bench.finish(id, attempt, refused, ms).await;
    }
    let all = left(&bench, "in", "all").await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(
        matches!(&all[0].about, About::Gate { gate, .. } if gate == "dataset:books"),
        "{all:?}"
    );
    assert_eq!(all[0].event_id(), format!("dataset:books-{}", at(0).now.0));
}

#[tokio::test]
async fn what_is_taken_back_is_told_to_nobody() {
    let bench = bench();
    let id = bench.sent(file("a", 1), taken("t")).await;
    let policies = bench.policies.clone();
    let spoilt = bench.ledger.write(1, move |work| {
        let mut file = rows::load(work.conn, id)?;
        let end = crate::domain::lifecycle::Event::Judged(task_is(TaskState::Success));
        work.must_change(&mut file, &end, at(1), &policies)?;
        Err::<(), _>(error::Fail::Refused(id, "changed its mind".into()))
    });
    spoilt.await.unwrap_err();
    assert_eq!(bench.kind(id).await, StateKind::Submitted);
    assert_eq!(bench.ledger.notices_waiting().await.unwrap(), 0);
}
