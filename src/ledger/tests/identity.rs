//! What is the same file, and what is a new one.

use super::*;

#[tokio::test]
async fn an_inode_that_was_given_again_is_a_new_version() {
    let bench = Bench::new(policy());
    let born = |born_ns| FileVersion {
        born_ns,
        ..version("a", 1)
    };
    let first = NewFile {
        version: born(Some(10)),
        ..file("a", 1)
    };
    let id = bench.enqueue(first).await;
    let asked = vec![born(Some(10)), born(Some(20)), born(None)];
    let known = bench.ledger.known(inbox(), asked.clone()).await.unwrap();
    // What does not know its birth may be the same.
    assert_eq!(known, [true, false, true]);
    let states = bench.ledger.states_of(inbox(), asked).await.unwrap();
    assert_eq!(
        states.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true]
    );
    let second = NewFile {
        version: born(Some(20)),
        ..file("a", 1)
    };
    let newer = bench.enqueue(second).await;
    assert_ne!(newer, id);
    assert_eq!(bench.kind(id).await, StateKind::Superseded);
}

#[tokio::test]
async fn a_mount_under_another_device_number_changes_nothing_where_births_are_known() {
    let bench = Bench::new(policy());
    let on = |dev, born_ns| FileVersion {
        dev,
        born_ns,
        ..version("a", 1)
    };
    let first = NewFile {
        version: on(1, Some(10)),
        ..file("a", 1)
    };
    let id = bench.enqueue(first).await;
    let asked = vec![on(2, Some(10)), on(2, None), on(1, None)];
    let known = bench.ledger.known(inbox(), asked).await.unwrap();
    assert_eq!(known, [true, false, true]);
    let again = NewFile {
        version: on(2, Some(10)),
        ..file("a", 1)
    };
    assert_eq!(bench.enqueue(again).await, id);
}

/// A file system without birth times gives the inode, size and time of a file
/// that we deleted to the next one.
#[tokio::test]
async fn what_comes_to_a_path_whose_file_was_taken_away_is_new() {
    for (after, end) in [
        (AfterSuccess::Delete, SourceEnd::Deleted),
        (AfterSuccess::Move, SourceEnd::Moved),
    ] {
        let bench = Bench::new(Policy { after, ..policy() });
        let day = |n: u8| {
            let (bench, end) = (&bench, end.clone());
            async move {
                let id = bench.enqueue(file("report", 1)).await;
                let begun = bench.begin_with(id, n, 0).await;
                let Begun::Attempt { attempt, .. } = begun else {
                    return (id, begun);
                };
                let _ = bench.finish(id, attempt, taken("t"), 1).await;
                let _ = bench.polled(id, task_is(TaskState::Success)).await;
                bench.ledger.source_done(id, end).await.unwrap();
                let known = bench.ledger.known(inbox(), vec![version("report", 1)]);
                assert_eq!(known.await.unwrap(), [false]);
                (id, begun)
            }
        };
        let (first, _) = day(1).await;
        let (second, begun) = day(2).await;
        assert_ne!(first, second);
        assert!(matches!(begun, Begun::Attempt { .. }), "{begun:?}");
        // Its content decides whether it is a duplicate.
        let (third, begun) = day(1).await;
        assert_eq!(begun, Begun::Duplicate(first));
        let known = bench.ledger.known(inbox(), vec![version("report", 1)]);
        assert_eq!(known.await.unwrap(), [true]);
        assert_eq!(bench.kind(third).await, StateKind::Duplicate);
        assert_eq!(bench.kind(first).await, StateKind::Succeeded);
    }
}

/// `duplicates = "upload"` is about other files with the same content.
#[tokio::test]
async fn the_same_file_is_sent_once_whatever_becomes_of_its_name_and_time() {
    for births in [true, false] {
        let bench = Bench::new(policy());
        let seen = |path: &str, inode: u64, mtime_ns| NewFile {
            version: FileVersion {
                mtime_ns,
                born_ns: births.then_some(inode.cast_signed() * 100),
                ..version(path, inode)
            },
            ..file(path, inode)
        };
        let begin = |new: NewFile| {
            let bench = &bench;
            async move {
                let id = bench.enqueue(new).await;
                (id, bench.begin_by(DuplicateRule::SameFile, id, 7, 0).await)
            }
        };
        let first = bench.enqueue(seen("A/d", 1, 10)).await;
        let begun = bench.begin_by(DuplicateRule::SameFile, first, 7, 0).await;
        let Begun::Attempt { attempt, .. } = begun else {
            panic!("{begun:?}");
        };
        let _ = bench.finish(first, attempt, taken("t"), 1).await;
        let _ = bench.polled(first, task_is(TaskState::Success)).await;
        // Renamed; touched there; another name of it; written anew, with the
        // same bytes, where it was and where it is now.
        for again in [
            seen("B/d", 1, 10),
            seen("B/d", 1, 11),
            seen("link", 1, 10),
            seen("A/d", 2, 12),
            seen("B/d", 3, 13),
        ] {
            let what = format!("{births} {again:?}");
            assert_eq!(begin(again).await.1, Begun::Duplicate(first), "{what}");
        }
        let (_, copied) = begin(seen("copy", 4, 10)).await;
        assert!(matches!(copied, Begun::Attempt { .. }), "{copied:?}");
    }
}

#[tokio::test]
async fn a_row_that_moved_on_stays_as_it_is_and_is_no_trouble() {
    let bench = Bench::new(policy());
    let old = bench.enqueue(file("a", 1)).await;
    let new = bench.enqueue(file("a", 2)).await;
    let superseded = State::Superseded { by: new };
    let (at, policies) = (at(1), &bench.policies);
    let changed = bench.ledger.changed(old, None, at, policies).await;
    assert_eq!(changed, Ok(superseded.clone()));
    let vanished = bench.ledger.vanished(old, None, at, policies).await;
    assert_eq!(vanished, Ok(superseded));
    let release = bench.ledger.release(old, AttemptId(9), at, policies).await;
    assert_eq!(release.unwrap_err().concerns(), Concern::Row(old));
}

#[tokio::test]
async fn a_version_is_taken_once() {
    let bench = Bench::new(policy());
    let id = bench.enqueue(file("a", 1)).await;
    let again = bench
        .ledger
        .enqueue(vec![file("a", 1)], at(9), &bench.policies)
        .await
        .unwrap();
    assert_eq!(again, [Enqueued { id, new: false }]);
    let asked = vec![version("a", 1), version("a", 2), version("b", 1)];
    assert_eq!(
        bench.ledger.known(inbox(), asked.clone()).await.unwrap(),
        [true, false, false]
    );
    let elsewhere = FolderName("other".into());
    assert_eq!(
        bench.ledger.known(elsewhere, asked).await.unwrap(),
        [false; 3]
    );
    let picked = bench.pick(0).await;
    assert_eq!(picked.len(), 1);
    assert_eq!(picked[0].version, version("a", 1), "every bit of it");
    assert!(bench.pick(-1).await.is_empty(), "not yet due");
}

fn seldom() -> Policy {
    Policy {
        reimport_after: Duration::from_secs(600),
        ..policy()
    }
}

#[tokio::test]
async fn a_path_that_changes_again_and_again_waits_in_one_row_of_its_newest_version() {
    let bench = Bench::new(seldom());
    let first = bench.sent(file("log.txt", 1), taken("t")).await;
    let second = bench.enqueue(file("log.txt", 2)).await;
    let until = at(600_000).now;
    let begun = bench.begin_with(second, 2, 1_000).await;
    assert_eq!(begun, Begun::TooSoon { until, first: true });
    assert!(bench.pick(599_999).await.is_empty());
    // Newer ones come: still one row, and it is known by the newest.
    for inode in 3..100 {
        let mut new = file("log.txt", inode);
        new.version.size = 100 + inode;
        assert_eq!(bench.enqueue(new).await, second);
    }
    let mut newest = version("log.txt", 99);
    newest.size = 199;
    let known = bench.ledger.known(inbox(), vec![newest.clone()]).await;
    assert_eq!(known.unwrap(), [true]);
    let counts = bench.ledger.counts().await.unwrap();
    let queued = counts.iter().find(|c| c.state == StateKind::Queued);
    assert_eq!(queued.map(|c| (c.files, c.bytes)), Some((1, 199)));
    let standing = bench.ledger.standing(at(2_000).now).await.unwrap();
    assert_eq!(standing.changing[0].id, second);
    // Its time has come.
    let picked = bench.pick(600_000).await;
    assert_eq!((picked[0].id, &picked[0].version), (second, &newest));
    let Begun::Attempt { attempt, .. } = bench.begin_with(second, 3, 600_000).await else {
        panic!("it did not go");
    };
    let _ = bench.finish(second, attempt, taken("u"), 600_001).await;
    // Said once.
    let third = bench.enqueue(file("log.txt", 200)).await;
    let begun = bench.begin_with(third, 4, 600_002).await;
    assert!(
        matches!(begun, Begun::TooSoon { first: false, .. }),
        "{begun:?}"
    );
    assert_eq!(bench.kind(first).await, StateKind::Submitted);
}

#[tokio::test]
async fn what_was_refused_or_taken_away_holds_no_newer_version_back() {
    let bench = Bench::new(Policy {
        after: AfterSuccess::Delete,
        ..seldom()
    });
    bench
        .sent(file("bad", 1), judge(&answer(413, "0", None)))
        .await;
    let mended = bench.enqueue(file("bad", 2)).await;
    let _ = bench.begin(mended, 1).await;

    let id = bench.sent(file("report", 3), taken("t")).await;
    let _ = bench.polled(id, task_is(TaskState::Success)).await;
    let deleted = bench.ledger.source_done(id, SourceEnd::Deleted).await;
    deleted.unwrap();
    let next = bench.enqueue(file("report", 4)).await;
    let _ = bench.begin(next, 2).await;
    // The same content needs no wait: it ends at once.
    let again = bench.enqueue(file("report", 5)).await;
    let same = bench
        .begin_with(again, u8::try_from(next.0).unwrap(), 3)
        .await;
    assert_eq!(same, Begun::Duplicate(next));
}
