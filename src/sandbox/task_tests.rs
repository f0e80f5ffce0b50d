//! How tasks live, in memory and in a file.
#![allow(clippy::unwrap_used)]

use super::*;

const TODAY: i64 = 1_700_000_000_000;

fn life(cap: usize) -> Life {
    Life {
        first: 100,
        cap,
        pending_for: Duration::from_secs(5),
        pending: "PENGDING".to_owned(),
    }
}

fn tasks(cap: usize) -> Tasks {
    Tasks::open(None, life(cap), Instant::now(), TODAY).unwrap()
}

fn state(all: &Tasks, id: &str, now: Instant) -> Option<String> {
    Some(all.look(id, "k", now).unwrap()?.1)
}

#[test]
fn a_task_is_pending_then_ends_as_decided() {
    let (mut all, t0) = (tasks(9), Instant::now());
    for end in [End::Success, End::Fail, End::Cancel] {
        let id = all.make("k", "a.txt", end, t0).unwrap();
        let at = |secs| state(&all, &id, t0 + Duration::from_secs(secs)).unwrap();
        assert_eq!(at(4), "PENGDING");
        assert_eq!(at(5), end.as_str());
    }
}

#[test]
fn a_deleted_task_is_cancelled_and_another_key_finds_nothing() {
    let (mut all, t0) = (tasks(9), Instant::now());
    let id = all.make("k", "a.txt", End::Success, t0).unwrap();
    assert_eq!(all.look(&id, "other", t0).unwrap(), None);
    assert!(!all.delete(&id, "other").unwrap());
    assert!(all.delete(&id, "k").unwrap() && all.delete(&id, "k").unwrap());
    assert_eq!(state(&all, &id, t0).unwrap(), "CANCEL");
}

#[test]
fn the_oldest_is_forgotten_and_ids_go_on() {
    let (mut all, t0) = (tasks(2), Instant::now());
    let make = |all: &mut Tasks| all.make("k", "a", End::Success, t0).unwrap();
    let ids = [make(&mut all), make(&mut all), make(&mut all)];
    assert_eq!(ids, ["100", "101", "102"]);
    assert_eq!(state(&all, "100", t0), None);
    assert!(state(&all, "102", t0).is_some());
    let listed: Vec<String> = all
        .list(t0)
        .unwrap()
        .into_iter()
        .map(|task| task.task_id)
        .collect();
    assert_eq!(listed, ["101", "102"]);
    for unknown in ["", "99", "103", "x", "-1", "99999999999999999999999"] {
        assert_eq!(state(&all, unknown, t0), None, "{unknown}");
    }
}

#[test]
fn a_file_outlives_the_emulator() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("emulator.sqlite");
    let open = |first, today| {
        let life = Life { first, ..life(9) };
        Tasks::open(Some(&file), life, Instant::now(), today)
    };
    let mut first = open(100, TODAY).unwrap();
    let t0 = Instant::now();
    let done = first.make("k", "a.txt", End::Fail, t0).unwrap();
    let gone = first.make("k", "b.txt", End::Success, t0).unwrap();
    first.delete(&gone, "k").unwrap();
    // Two would answer the same query differently.
    assert!(matches!(open(7, TODAY), Err(CannotOpen::InUse)));
    drop(first);

    // A task goes on getting older while no emulator runs.
    let mut second = open(7, TODAY + 3_000).unwrap();
    let t1 = Instant::now();
    assert_eq!(state(&second, &done, t1).unwrap(), "PENGDING");
    let later = t1 + Duration::from_secs(3);
    assert_eq!(state(&second, &done, later).unwrap(), "FAIL");
    assert_eq!(state(&second, &gone, t1).unwrap(), "CANCEL");
    // A number is given once, whatever the clock says.
    assert_eq!(second.make("k", "c", End::Success, t1).unwrap(), "102");
    drop(second);

    // The time of day was set back: nothing is pending for ever.
    let third = open(7, TODAY - 3_600_000).unwrap();
    assert_eq!(state(&third, &done, Instant::now()).unwrap(), "FAIL");
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("emulator.sqlite");
    let open = || Tasks::open(Some(&file), life(9), Instant::now(), TODAY).map(drop);
    std::fs::write(
        &file,
        "a letter that is long enough to be no header of SQLite".repeat(9),
    )
    .unwrap();
    assert!(matches!(open(), Err(CannotOpen::Foreign)), "{:?}", open());
    std::fs::remove_file(&file).unwrap();
    let other = Connection::open(&file).unwrap();
    other
        .execute_batch("CREATE TABLE notes (text TEXT)")
        .unwrap();
    drop(other);
    assert!(matches!(open(), Err(CannotOpen::Foreign)), "{:?}", open());
}

/// What a file holds is bounded, and so is the file.
#[test]
fn a_file_does_not_grow_beyond_its_cap() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("emulator.sqlite");
    let mut all = Tasks::open(Some(&file), life(500), Instant::now(), TODAY).unwrap();
    let t0 = Instant::now();
    let fill = |all: &mut Tasks| {
        for _ in 0..2_000 {
            all.make("k", &"n".repeat(200), End::Success, t0).unwrap();
        }
        let size = |end: &str| {
            let path = dir.path().join(format!("emulator.sqlite{end}"));
            std::fs::metadata(path).map_or(0, |meta| meta.len())
        };
        size("") + size("-wal")
    };
    // SQLite's log is begun anew at four megabytes.
    let sizes: Vec<u64> = (0..9).map(|_| fill(&mut all)).collect();
    assert!(sizes.iter().all(|size| *size < 6 << 20), "{sizes:?}");
    assert_eq!(all.list(t0).unwrap().len(), 500);
}
