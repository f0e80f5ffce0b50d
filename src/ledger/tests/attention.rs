//! Files that came to a bad end, and how they stop needing a person.

use super::*;
use crate::domain::resolution::{Resolution, ResolutionKind};
use crate::ledger::{Acknowledge, Acknowledged, Attention};

fn said(why: Option<&str>) -> Acknowledge {
    Acknowledge {
        who: "anna".into(),
        why: why.map(str::to_owned),
        arrived: None,
    }
}

fn arrived(task: Option<&str>) -> Acknowledge {
    Acknowledge {
        arrived: Some(task.and_then(TaskId::new)),
        ..said(None)
    }
}

/// The answer was lost after the last byte.
fn no_answer() -> Judgement {
    judge(&Outcome::Broken {
        last_byte_sent: true,
        detail: "reset".into(),
    })
}

impl Bench {
    async fn acknowledged(&self, ids: &[FileId], how: Acknowledge) -> Acknowledged {
        let which = Selection::Ids(ids.to_vec());
        self.ledger
            .acknowledge(which, how, at(6_000))
            .await
            .unwrap()
    }

    async fn needing(&self) -> Vec<FileId> {
        let found = self.ledger.list(Filter::needing_attention(at(9_000).now));
        let mut ids: Vec<FileId> = found.await.unwrap().iter().map(|f| f.id).collect();
        ids.sort_unstable();
        ids
    }

    /// How many need somebody by the counts, and those that do not, by how.
    async fn counted(&self) -> (u64, BTreeMap<ResolutionKind, u64>) {
        let counts = self.ledger.counts().await.unwrap();
        let mut resolved = BTreeMap::new();
        for (how, files) in counts.iter().flat_map(|count| &count.resolved) {
            *resolved.entry(*how).or_default() += files;
        }
        (counts.iter().map(Count::needing_attention).sum(), resolved)
    }

    async fn how(&self, id: FileId) -> Option<ResolutionKind> {
        let resolved = self.record(id).await.resolved;
        resolved.map(|resolved| resolved.how.kind())
    }

    async fn rejected(&self, path: &str, inode: u64) -> FileId {
        let refused = judge(&answer(413, "0", None));
        self.sent(file(path, inode), refused).await
    }

    async fn imported(&self, path: &str, inode: u64, task: &str) -> FileId {
        let id = self.sent(file(path, inode), taken(task)).await;
        let _ = self.polled(id, task_is(TaskState::Success)).await;
        id
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_kept_with_who_when_and_why_and_counted_apart() {
    let bench = Bench::new(policy());
    let bad = bench.rejected("bad.txt", 1).await;
    let other = bench.rejected("other.txt", 2).await;
    let good = bench.imported("good.txt", 3, "t-1").await;
    assert_eq!(bench.needing().await, [bad, other]);

    let which = Selection::Ids(vec![bad, good, FileId(99)]);
    let rehearsed = bench
        .ledger
        .rehearse_acknowledge(which, said(None), at(6_000))
        .await
        .unwrap();
    assert_eq!(bench.needing().await, [bad, other], "nothing was done");
    let done = bench
        .acknowledged(&[bad, good, FileId(99)], said(Some("sent by mail")))
        .await;
    assert_eq!(done.acknowledged, [bad]);
    assert_eq!(done, rehearsed);
    let refused: Vec<_> = done.refused.iter().map(|(id, why)| (*id, &**why)).collect();
    assert_eq!(
        refused,
        [
            (good, "it needs nobody: it is succeeded"),
            (FileId(99), "there is no such file in the ledger"),
        ]
    );

    let story = bench.ledger.show(bad).await.unwrap().unwrap();
    let resolved = story.file.resolved.unwrap();
    let how = Resolution::Acknowledged {
        who: "anna".into(),
        why: Some("sent by mail".into()),
    };
    assert_eq!((resolved.at, resolved.how), (at(6_000).now, how));
    let last = story.history.last().unwrap();
    assert_eq!(
        (last.from, last.to),
        (StateKind::Rejected, StateKind::Rejected)
    );
    assert_eq!(last.why, "acknowledged by anna: sent by mail");
    assert_eq!(bench.needing().await, [other]);
    let (needing, resolved) = bench.counted().await;
    assert_eq!(needing, 1);
    assert_eq!(
        resolved,
        BTreeMap::from([(ResolutionKind::Acknowledged, 1)])
    );
    let listed = bench.ledger.list(Filter::acknowledged()).await.unwrap();
    assert_eq!(listed.iter().map(|f| f.id).collect::<Vec<_>>(), [bad]);
    let again = bench.acknowledged(&[bad], said(None)).await;
    assert!(
        again.refused[0].1.contains("acknowledged by anna"),
        "{again:?}"
    );

    // After a restart too; and a retry that names no file leaves it alone.
    let bench = bench.reopened().await;
    let all = Selection::Matching(Filter::default());
    let retried = bench.ledger.retry(all, at(7_000)).await.unwrap();
    assert_eq!(retried.retried, [other]);
    let named = Selection::Ids(vec![bad]);
    let retried = bench.ledger.retry(named, at(7_000)).await.unwrap();
    assert_eq!(retried.retried, [bad]);
    assert_eq!(bench.record(bad).await.resolved, None);
}

#[tokio::test]
async fn a_filter_acknowledges_what_needs_somebody_and_no_more() {
    let bench = Bench::new(policy());
    let bad = bench.rejected("bad.txt", 1).await;
    let _ = bench.imported("good.txt", 2, "t-1").await;
    for _ in 0..2 {
        let all = Selection::Matching(Filter::default());
        let done = bench.ledger.acknowledge(all, said(None), at(6_000)).await;
        let done = done.unwrap();
        assert_eq!(done.refused, []);
        assert!(done.acknowledged == [bad] || done.acknowledged.is_empty());
    }
    let states = Filter {
        states: vec![StateKind::Rejected],
        attention: Some(Attention::Acknowledged),
        ..Filter::default()
    };
    assert_eq!(bench.ledger.list(states).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_content_of_what_is_acknowledged_stays_known() {
    let bench = Bench::new(Policy {
        unconfirmed: OnUnconfirmed::Hold,
        ..policy()
    });
    let id = bench.sent(file("a.txt", 1), no_answer()).await;
    assert_eq!(bench.kind(id).await, StateKind::Unconfirmed);
    let copy = bench.enqueue(file("copy.txt", 2)).await;
    let same = bench.begin_with(copy, 1, 10).await;
    assert_eq!(same, Begun::Duplicate(id));
    let done = bench.acknowledged(&[id], said(None)).await;
    assert_eq!(done.acknowledged, [id]);
    let later = bench.enqueue(file("later.txt", 3)).await;
    let same = bench.begin_with(later, 1, 20).await;
    assert_eq!(same, Begun::Duplicate(id));
}

#[tokio::test]
async fn a_newer_version_that_is_imported_ends_it_and_an_older_one_does_not() {
    let bench = Bench::new(policy());
    let first = bench.rejected("a.txt", 1).await;
    let elsewhere = bench.rejected("b.txt", 2).await;
    let newer = bench.imported("a.txt", 3, "t-1").await;
    let by = Resolution::NewerVersion(newer);
    assert_eq!(bench.record(first).await.resolved.unwrap().how, by);
    assert_eq!(bench.needing().await, [elsewhere]);
    let story = bench.ledger.show(first).await.unwrap().unwrap();
    let told = &story.history.last().unwrap().why;
    assert!(told.contains(&format!("id {newer}")), "{told}");

    // The older one ends badly after the newer one has ended well.
    let slow = bench.sent(file("c.txt", 4), taken("t-2")).await;
    let quick = bench.imported("c.txt", 5, "t-3").await;
    let _ = bench.polled(slow, task_is(TaskState::Fail)).await;
    let by = Resolution::NewerVersion(quick);
    assert_eq!(bench.record(slow).await.resolved.unwrap().how, by);

    // An older one that is imported says nothing of a newer one.
    let older = bench.sent(file("d.txt", 6), taken("t-4")).await;
    let bad = bench.rejected("d.txt", 7).await;
    let _ = bench.polled(older, task_is(TaskState::Success)).await;
    assert_eq!(bench.how(bad).await, None);
    assert_eq!(bench.needing().await, [elsewhere, bad]);
}

#[tokio::test]
async fn a_copy_of_what_is_imported_is_a_good_end_once_that_is() {
    let bench = Bench::new(policy());
    let bad = bench.rejected("a.txt", 1).await;
    let original = bench.sent(file("same.txt", 2), taken("t-1")).await;
    let copy = bench.enqueue(file("a.txt", 3)).await;
    let content = u8::try_from(original.0).unwrap();
    let same = bench.begin_with(copy, content, 10).await;
    assert_eq!(same, Begun::Duplicate(original));
    assert_eq!(bench.how(bad).await, None, "its original has not ended");
    let _ = bench.polled(original, task_is(TaskState::Success)).await;
    assert_eq!(bench.how(bad).await, Some(ResolutionKind::NewerVersion));

    // And at once, where the original was imported before.
    let other = bench.rejected("b.txt", 4).await;
    let copy = bench.enqueue(file("b.txt", 5)).await;
    let _ = bench.begin_with(copy, content, 20).await;
    assert_eq!(bench.how(other).await, Some(ResolutionKind::NewerVersion));
}

#[tokio::test]
async fn what_is_gone_or_excluded_needs_nobody_until_it_is_seen_again() {
    let bench = Bench::new(Policy {
        unconfirmed: OnUnconfirmed::Hold,
        ..policy()
    });
    let in_doubt = bench.sent(file("doubt.txt", 1), no_answer()).await;
    let bad = bench.rejected("bad.txt", 2).await;
    let mut seen = Vec::new();
    for state in [StateKind::Unconfirmed, StateKind::Rejected] {
        let found = bench.ledger.unresolved(inbox(), state, None, 10).await;
        seen.extend(found.unwrap());
    }
    assert_eq!(
        seen.iter().map(|f| f.id).collect::<Vec<_>>(),
        [in_doubt, bad]
    );
    let how = [Resolution::SourceGone, Resolution::Excluded];
    let pairs: Vec<_> = seen.iter().cloned().zip(how).collect();
    let done = bench
        .ledger
        .resolve(pairs.clone(), at(1).now)
        .await
        .unwrap();
    assert_eq!(done, [in_doubt, bad]);
    // Of what has changed since it was looked at, nothing is said.
    let done = bench.ledger.resolve(pairs, at(2).now).await.unwrap();
    assert_eq!(done, []);
    assert!(bench.needing().await.is_empty());
    let rest = bench
        .ledger
        .unresolved(inbox(), StateKind::Rejected, None, 10);
    assert!(rest.await.unwrap().is_empty());

    // Back: the one is tried again, of the other somebody is told again.
    let versions = vec![version("doubt.txt", 1), version("bad.txt", 2)];
    let known = bench.ledger.known(inbox(), versions.clone()).await.unwrap();
    assert_eq!(known, [false, false]);
    let files = vec![file("doubt.txt", 1), file("bad.txt", 2)];
    let back = bench.ledger.enqueue(files, at(3), &bench.policies).await;
    let new: Vec<_> = back.unwrap().iter().map(|e| (e.id, e.new)).collect();
    assert_eq!(new, [(in_doubt, false), (bad, true)]);
    assert_eq!(bench.kind(bad).await, StateKind::Queued);
    assert_eq!(bench.needing().await, [in_doubt]);
    let known = bench.ledger.known(inbox(), versions).await.unwrap();
    assert_eq!(known, [true, true]);
}

#[tokio::test]
async fn what_is_in_doubt_is_settled_as_arrived_with_its_task_or_without() {
    let bench = Bench::new(Policy {
        unconfirmed: OnUnconfirmed::Hold,
        after: AfterSuccess::Delete,
        ..policy()
    });
    let one = bench.sent(file("one.txt", 1), no_answer()).await;
    let copy = bench.enqueue(file("copy.txt", 2)).await;
    let _ = bench.begin_with(copy, 1, 10).await;
    let done = bench.acknowledged(&[one], arrived(Some("t-9"))).await;
    assert_eq!((done.acknowledged, done.refused), (vec![one], vec![]));
    let due = bench.ledger.due_polls(dataset(), at(6_000).now, 10).await;
    let due = due.unwrap();
    assert_eq!((due[0].id, due[0].task.as_str()), (one, "t-9"));
    assert_eq!(bench.kind(copy).await, StateKind::Duplicate);
    let _ = bench.polled(one, task_is(TaskState::Success)).await;
    assert_eq!(bench.kind(one).await, StateKind::Succeeded);
    let source = bench.record(one).await.source;
    assert!(source.is_some(), "as after any import");

    let two = bench.sent(file("two.txt", 3), no_answer()).await;
    let done = bench.acknowledged(&[two], arrived(None)).await;
    assert_eq!(done.acknowledged, [two]);
    assert_eq!(bench.kind(two).await, StateKind::Untracked);
    assert_eq!(bench.how(two).await, Some(ResolutionKind::Acknowledged));
    assert!(bench.needing().await.is_empty());
    // Its task turns up later.
    let done = bench.acknowledged(&[two], arrived(Some("t-10"))).await;
    assert_eq!(done.acknowledged, [two]);
    assert_eq!(bench.kind(two).await, StateKind::Submitted);
    let done = bench.acknowledged(&[two], arrived(None)).await;
    assert_eq!(done.refused[0].1, "its task is followed already");

    // What the service has refused has not arrived.
    let bad = bench.rejected("bad.txt", 4).await;
    let done = bench.acknowledged(&[bad], arrived(None)).await;
    assert_eq!(done.refused, [(bad, "it was rejected".to_owned())]);
}

#[tokio::test]
async fn a_task_in_an_unknown_state_is_acknowledged_until_its_state_is_known_again() {
    let bench = Bench::new(policy());
    let id = bench.sent(file("a.txt", 1), taken("t-1")).await;
    let strange = || task_is(TaskState::Unknown("MELTED".into()));
    let _ = bench.polled(id, strange()).await;
    let day_later = at(25 * 3_600_000);
    let needing = |now: Moment| Filter::needing_attention(now.now);
    let listed = bench.ledger.list(needing(day_later)).await.unwrap();
    assert_eq!(listed.len(), 1);
    let which = || Selection::Ids(vec![id]);
    let early = bench
        .ledger
        .acknowledge(which(), said(None), at(6_000))
        .await;
    assert_eq!(early.unwrap().refused.len(), 1, "it needs nobody yet");
    let done = bench
        .ledger
        .acknowledge(which(), said(None), day_later)
        .await;
    assert_eq!(done.unwrap().acknowledged, [id]);
    assert!(
        bench
            .ledger
            .list(needing(day_later))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        bench.ledger.standing(day_later.now).await.unwrap().unknown,
        0
    );
    let _ = bench.polled(id, strange()).await;
    assert_eq!(bench.how(id).await, Some(ResolutionKind::Acknowledged));
    let _ = bench.polled(id, task_is(TaskState::Pending)).await;
    assert_eq!(bench.how(id).await, None);
}
