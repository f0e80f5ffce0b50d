//! Lists page by page: every file once, in the order asked for, and how many.

use super::*;
use crate::domain::listing::{Order, Place};

/// Seven states' worth of files, with times and sizes in disorder.
async fn some_files() -> Bench {
    let bench = Bench::new(policy());
    let names = [
        "b.txt",
        "A.txt",
        "報告.txt",
        "sub/a.txt",
        "Ärger.PDF",
        "z%.txt",
        "B.TXT",
        "c.txt",
        "ä.pdf",
        "d.txt",
        "e.txt",
        "f.txt",
    ];
    for (name, n) in names.into_iter().zip(1..) {
        match n % 4 {
            0 => {
                bench.enqueue(file(name, n)).await;
            }
            1 => {
                bench.sent(file(name, n), taken(&format!("t-{n}"))).await;
            }
            2 => {
                bench
                    .sent(file(name, n), judge(&answer(413, "0", None)))
                    .await;
            }
            _ => {
                let odd = NewFile {
                    sorted: NewSorted::Unsupported("a zip".into()),
                    ..file(name, n)
                };
                bench.enqueue(odd).await;
            }
        }
    }
    by_hand(&bench.path())
        .execute_batch(&format!(
            "UPDATE files SET changed_at = {NOW} + id * 7 % 5, size = id * 5 % 7"
        ))
        .unwrap();
    bench
}

/// The numbers of the files of each page, and how many there are said to be.
async fn pages(bench: &Bench, filter: &Filter, order: Order) -> (Vec<Vec<i64>>, u64) {
    let (mut after, mut pages): (Option<Place>, Vec<Vec<i64>>) = (None, Vec::new());
    loop {
        let filter = filter.clone();
        let found = bench.ledger.browse(filter, order, after).await.unwrap();
        pages.push(found.files.iter().map(|file| file.id.0).collect());
        assert!(pages.len() < 20, "no end: {pages:?}");
        after = found.next;
        if after.is_none() {
            return (pages, found.total);
        }
    }
}

fn key(file: &FileRecord, order: &str) -> (i64, String, i64) {
    let number = match order {
        "changed" => file.changed_at.0,
        "size" => file.version.size.cast_signed(),
        _ => 0,
    };
    let name = match order {
        "name" => String::from_utf8_lossy(&file.version.path).to_lowercase(),
        _ => String::new(),
    };
    (number, name, file.id.0)
}

#[tokio::test]
async fn every_order_holds_over_all_pages() {
    let bench = some_files().await;
    let all = bench.ledger.list(Filter::default()).await.unwrap();
    assert_eq!(all.len(), 12);
    for spelled in Order::ALL {
        let mut wanted = all.clone();
        let by = spelled.trim_start_matches('-');
        wanted.sort_by_key(|file| key(file, by));
        if spelled.starts_with('-') {
            wanted.reverse();
        }
        let wanted: Vec<i64> = wanted.iter().map(|file| file.id.0).collect();
        // Counted by the ledger, and counted by looking.
        for since in [None, Some(Timestamp(0))] {
            for limit in [1, 5, 12, 100] {
                let filter = Filter {
                    limit,
                    since,
                    ..Filter::default()
                };
                let (pages, total) = pages(&bench, &filter, spelled.parse().unwrap()).await;
                assert_eq!(
                    pages.concat(),
                    wanted,
                    "{spelled}, {limit} a page, {since:?}"
                );
                assert_eq!(total, 12);
                assert!(pages.iter().all(|page| page.len() <= limit));
                assert_eq!(pages.len(), 12_usize.div_ceil(limit));
            }
        }
    }
}

#[tokio::test]
async fn totals_are_those_of_the_filter() {
    let bench = some_files().await;
    let filter = |name: Option<&str>, any_case, states: &[StateKind]| Filter {
        name: name.map(str::to_owned),
        any_case,
        states: states.to_vec(),
        limit: 2,
        ..Filter::default()
    };
    use StateKind::{Queued, Rejected, Succeeded, Unsupported};
    for (name, any_case, states, total) in [
        (None, false, &[Queued][..], 3),
        (None, false, &[Rejected, Unsupported], 6),
        (None, false, &[Succeeded], 0),
        (Some("B.TXT"), false, &[], 1),
        (Some("B.TXT"), true, &[], 2),
        (Some("ÄRGER"), true, &[], 1),
        (Some("ä*"), true, &[], 2),
        (Some("*.pdf"), true, &[], 2),
        (Some("*.pdf"), false, &[], 1),
        (Some("報"), true, &[], 1),
        (Some("%"), true, &[], 1),
        (Some(".TXT"), true, &[Queued], 3),
    ] {
        let asked = filter(name, any_case, states);
        let (pages, told) = pages(&bench, &asked, Order::default()).await;
        assert_eq!(told, total, "{asked:?}");
        assert_eq!(pages.concat().len() as u64, total, "{asked:?}");
        // Whatever acts on a filter means the files that a list of it shows.
        let mut listed = pages.concat();
        listed.sort_unstable();
        let whole = Filter {
            limit: usize::MAX,
            ..asked
        };
        let meant = bench.ledger.selected(Selection::Matching(whole)).await;
        let meant: Vec<i64> = meant.unwrap().into_iter().map(|id| id.0).collect();
        assert_eq!(listed, meant);
    }
    let other = Filter {
        folder: Some(FolderName("other".into())),
        ..filter(None, false, &[])
    };
    assert_eq!(pages(&bench, &other, Order::default()).await.1, 0);
}

/// More files wait than one look reads.
#[tokio::test]
async fn a_long_queue_is_looked_through_in_parts() {
    let bench = Bench::new(policy());
    let many: Vec<NewFile> = (0..12_000)
        .map(|n| file(&format!("{:05}.txt", n * 7_919 % 12_000), n))
        .collect();
    for some in many.chunks(1_000) {
        let some = some.to_vec();
        let done = bench.ledger.enqueue(some, at(0), &bench.policies).await;
        done.unwrap();
    }
    let filter = Filter {
        limit: 3,
        ..Filter::default()
    };
    let order: Order = "-name".parse().unwrap();
    let first = bench.ledger.browse(filter.clone(), order, None);
    let first = first.await.unwrap();
    let named = |page: &Browsed| {
        let files = page.files.iter();
        files
            .map(|f| String::from_utf8_lossy(&f.version.path).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&first), ["11999.txt", "11998.txt", "11997.txt"]);
    assert_eq!(first.total, 12_000);
    let second = bench.ledger.browse(filter, order, first.next).await;
    assert_eq!(named(&second.unwrap())[0], "11996.txt");
}
