//! What people ask, and change, beside a running daemon.

use super::*;
use crate::domain::answer::Code;
use crate::domain::gate::GateKey;

async fn names(ledger: &Ledger, filter: Filter) -> Vec<String> {
    let found = ledger.list(filter).await.unwrap();
    let mut names: Vec<_> = found
        .into_iter()
        .map(|file| String::from_utf8(file.version.path).unwrap())
        .collect();
    names.sort();
    names
}

/// One waits, one was taken, one rejected, one is nothing for the service.
async fn some_files() -> Bench {
    let bench = Bench::new(policy());
    bench.sent(file("sub/taken.txt", 1), taken("t-1")).await;
    bench
        .sent(file("rejected.txt", 2), judge(&answer(413, "0", None)))
        .await;
    let odd = NewFile {
        sorted: NewSorted::Unsupported("a zip".into()),
        ..file("odd.zip", 3)
    };
    bench.enqueue(odd).await;
    bench.enqueue(file("queued.txt", 4)).await;
    bench
}

#[tokio::test]
async fn counts_follow_every_change() {
    let bench = some_files().await;
    let counts = bench.ledger.counts().await.unwrap();
    let shown: Vec<_> = counts.iter().map(|c| (c.state, c.files, c.bytes)).collect();
    use StateKind::{Queued, Rejected, Submitted, Unsupported};
    assert_eq!(
        shown,
        [Queued, Submitted, Rejected, Unsupported].map(|state| (state, 1, 100))
    );
    let wrong: i64 = by_hand(&bench.path())
        .query_row(
            "SELECT count(*) FROM (SELECT folder, state, ifnull(resolved, ''), count(*), \
             sum(size) FROM files GROUP BY 1, 2, 3 EXCEPT SELECT * FROM counts)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(wrong, 0);
}

#[tokio::test]
async fn lists_show_what_matches() {
    let bench = some_files().await;
    let ledger = &bench.ledger;
    let all = Filter::default();
    assert_eq!(names(ledger, all.clone()).await.len(), 4);
    let name = |name: &str| Filter {
        name: Some(name.into()),
        ..Filter::default()
    };
    assert_eq!(
        names(ledger, name("ed.txt")).await,
        ["queued.txt", "rejected.txt"]
    );
    assert_eq!(names(ledger, name("sub/*")).await, ["sub/taken.txt"]);
    assert_eq!(names(ledger, name("%")).await, [""; 0]);
    let states = vec![StateKind::Unsupported, StateKind::Rejected];
    let attention = Filter {
        states,
        ..all.clone()
    };
    assert_eq!(names(ledger, attention).await, ["odd.zip", "rejected.txt"]);
    let code = Filter {
        codes: Code::meant_by("413"),
        ..all.clone()
    };
    assert_eq!(names(ledger, code).await, ["rejected.txt"]);
    let other = Filter {
        folder: Some(FolderName("other".into())),
        ..all.clone()
    };
    assert!(names(ledger, other).await.is_empty());
    let books = Filter {
        dataset: Some(dataset()),
        limit: 2,
        ..all.clone()
    };
    assert_eq!(names(ledger, books).await.len(), 2);
    let since = Filter {
        since: Some(at(1).now),
        ..all
    };
    assert!(names(ledger, since).await.is_empty());
    let versions = ledger.versions(inbox(), b"odd.zip".to_vec()).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].media, None);
    assert_eq!(ledger.show(FileId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn a_visitor_changes_what_the_owner_then_sees() {
    let bench = some_files().await;
    bench
        .sent(file("e.txt", 5), judge(&answer(401, "0", None)))
        .await;
    let key = GateKey::Dataset(dataset());
    assert!(bench.ledger.gates()[&key].closed().is_some());
    assert!(
        !bench.ledger.refresh_gates().await.unwrap(),
        "nobody else wrote"
    );

    let visitor = Ledger::open_visitor(&bench.path()).unwrap();
    let all = Selection::Matching(Filter::default());
    let retried = visitor.retry(all, at(9)).await.unwrap();
    assert_eq!((retried.retried.len(), retried.refused.len()), (2, 0));
    let busy = Selection::Ids(vec![FileId(1), FileId(99)]);
    assert_eq!(visitor.retry(busy, at(9)).await.unwrap().refused.len(), 2);
    let meant = move |gate: &GateKey| *gate == key;
    let resumed = visitor.resume(meant, |_| false, at(9).now).await.unwrap();
    assert_eq!(resumed.gates.len(), 1);
    visitor.close().await;

    assert!(bench.ledger.refresh_gates().await.unwrap());
    assert!(bench.ledger.gates().is_empty());
    let unsorted = bench.ledger.unsorted(None, 9).await.unwrap();
    let ids: Vec<_> = unsorted.iter().map(|file| file.id).collect();
    assert_eq!(
        ids,
        [FileId(2), FileId(3)],
        "what is retried is sorted anew"
    );
    let behind = bench.ledger.unsorted(Some(ids[0]), 9).await.unwrap();
    assert_eq!(behind.len(), 1);
    let sorted = NewSorted::Media(Media::Text);
    bench
        .ledger
        .sorted(ids[0], sorted, at(9), &bench.policies)
        .await
        .unwrap();
    let still = NewSorted::Unsupported("a zip, still".into());
    bench
        .ledger
        .sorted(ids[1], still, at(9), &bench.policies)
        .await
        .unwrap();
    assert_eq!(bench.kind(ids[1]).await, StateKind::Unsupported);
    assert!(bench.pick(9).await.iter().any(|file| file.id == ids[0]));
}

#[tokio::test]
async fn big_files_are_picked_apart() {
    let bench = Bench::new(policy());
    let mut big = file("big", 1);
    big.version.size = BIG_FILE + 1;
    let big = bench.enqueue(big).await;
    let mut edge = file("edge", 2);
    edge.version.size = BIG_FILE;
    let edge = bench.enqueue(edge).await;
    for (which, expected) in [(true, big), (false, edge)] {
        let wanted = PickRequest {
            route: route(),
            now: at(0).now,
            limit: 9,
            big: which,
        };
        let found = bench.ledger.pick(wanted).await.unwrap();
        assert_eq!(found.iter().map(|f| f.id).collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_queued_with_its_reason() {
    let bench = Bench::new(policy());
    let new = NewFile {
        sorted: NewSorted::Unreadable("grant read".into()),
        ..file("a.txt", 1)
    };
    let id = bench.enqueue(new).await;
    let record = bench.record(id).await;
    assert_eq!(record.last_code.unwrap().as_str(), UNREADABLE);
    assert_eq!(record.last_why.as_deref(), Some("grant read"));
    let unsorted = bench.ledger.unsorted(None, 9).await.unwrap();
    assert_eq!((unsorted.len(), unsorted[0].not_before), (1, at(2_000).now));
    assert!(bench.pick(70_000).await.is_empty(), "it is not sorted");

    // Readable at last: its place in the queue is what it was.
    let sorted = NewSorted::Media(Media::Text);
    let policies = &bench.policies;
    bench
        .ledger
        .sorted(id, sorted, at(70_000), policies)
        .await
        .unwrap();
    let record = bench.record(id).await;
    assert_eq!((record.last_code, record.last_why), (None, None));
    assert_eq!(bench.pick(70_000).await.len(), 1);

    // And not readable again.
    let why = "I/O error".to_owned();
    bench.ledger.unreadable(id, why, at(70_000)).await.unwrap();
    assert!(bench.pick(129_999).await.is_empty());
    assert_eq!(bench.pick(130_000).await.len(), 1);
    assert_eq!(
        bench.record(id).await.last_why.as_deref(),
        Some("I/O error")
    );
}

#[tokio::test]
async fn the_files_before_one_are_those_of_its_route_that_are_picked_earlier() {
    let bench = Bench::new(policy());
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(bench.enqueue(file(&format!("{n}.txt"), n)).await);
    }
    // Another route, another size class, and one that is not sorted.
    let mut image = file("a.png", 6);
    image.sorted = NewSorted::Media(Media::Image);
    let image = bench.enqueue(image).await;
    let mut big = file("big", 7);
    big.version.size = BIG_FILE + 1;
    let big = bench.enqueue(big).await;
    let unsorted = NewFile {
        sorted: NewSorted::Unreadable("no right".into()),
        ..file("unsorted", 8)
    };
    let unsorted = bench.enqueue(unsorted).await;
    let mut asked = Vec::new();
    // In whatever order, and not all of them.
    for id in [ids[4], unsorted, ids[0], big, ids[2], image] {
        asked.push(bench.record(id).await);
    }
    let ahead = bench.ledger.ahead(asked).await.unwrap();
    let said: Vec<_> = ahead.iter().map(|(id, a)| (*id, a.files, a.more)).collect();
    assert_eq!(
        said,
        [
            (ids[0], 0, false),
            (ids[2], 2, false),
            (ids[4], 4, false),
            (image, 0, false),
            (big, 0, false),
        ]
    );
}

#[tokio::test]
async fn the_oldest_that_nobody_holds_back_on_purpose_is_told_apart() {
    let bench = Bench::new(policy());
    let first = bench.enqueue(file("a.txt", 1)).await;
    let standing = bench.ledger.standing(at(5).now).await.unwrap();
    assert_eq!(standing.oldest.map(|file| file.id), Some(first));
    assert_eq!(standing.oldest_unpaused, Some(at(0).now));
    let halt = crate::domain::halt::Halt {
        since: at(1).now,
        until: None,
        who: "anna".into(),
        why: None,
    };
    let scope = "route:in/text".parse().unwrap();
    bench.ledger.halt(scope, halt).await.unwrap();
    let standing = bench.ledger.standing(at(5).now).await.unwrap();
    assert_eq!(standing.oldest.map(|file| file.id), Some(first));
    assert_eq!(standing.oldest_unpaused, None);
    let mut image = file("a.png", 2);
    image.sorted = NewSorted::Media(Media::Image);
    let _ = bench.enqueue(image).await;
    let standing = bench.ledger.standing(at(5).now).await.unwrap();
    assert_eq!(standing.oldest_unpaused, Some(at(0).now));
}
