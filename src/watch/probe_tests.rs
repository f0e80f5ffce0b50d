#![allow(clippy::unwrap_used)]
use std::time::Duration;

use super::*;
use Told::{ClosedByWriter, Created, Opened, Removed, RenamedFrom, RenamedTo, Written};

struct Ear {
    probe: Probe,
    source: Source,
    start: Instant,
}

impl Ear {
    fn new() -> Ear {
        let probe = Probe::default();
        let source = probe.begin();
        Ear {
            probe,
            source,
            start: Instant::now(),
        }
    }

    fn at(&self, second: u64) -> At {
        At {
            instant: self.start + Duration::from_secs(second),
            wall: Timestamp(i64::try_from(second).unwrap() * 1_000),
        }
    }

    fn hear(&self, rel: &str, told: &[Told]) {
        for told in told {
            self.probe
                .hear(self.source, rel.as_bytes(), *told, self.at(1));
        }
    }

    fn heard(&self, rel: &str) -> Heard {
        self.probe.heard(rel.as_bytes(), self.at(4).instant)
    }
}

/// Being written since second 1; it is second 4.
const WRITING: Heard = Heard::Writing(Writing {
    since: Timestamp(1_000),
    still: Duration::from_secs(3),
});

#[test]
fn what_each_course_of_events_says() {
    let cases: &[(&str, &[Told], Heard)] = &[
        ("nothing", &[], Heard::Unknown),
        ("a new file", &[Created, Opened], WRITING),
        ("written to", &[Created, Opened, Written], WRITING),
        (
            "closed",
            &[Created, Opened, Written, ClosedByWriter],
            Heard::Closed,
        ),
        (
            "created empty",
            &[Created, Opened, ClosedByWriter],
            Heard::Closed,
        ),
        // Opened before its directory was watched.
        ("written to only", &[Written], WRITING),
        ("closed only", &[ClosedByWriter], Heard::Closed),
        ("readers only", &[Opened], Heard::Unknown),
        // A hard link is never opened.
        ("a hard link", &[Created], Heard::Unknown),
        (
            "read while it is written",
            &[Created, Opened, Written, Opened],
            WRITING,
        ),
        (
            "opened again",
            &[Created, Opened, Written, ClosedByWriter, Opened],
            Heard::Closed,
        ),
        (
            "opened again and written to",
            &[Created, Opened, Written, ClosedByWriter, Opened, Written],
            WRITING,
        ),
        (
            "two writers, one closes, the other writes",
            &[Created, Opened, Opened, Written, ClosedByWriter, Written],
            WRITING,
        ),
        (
            "removed",
            &[Created, Opened, Written, Removed],
            Heard::Unknown,
        ),
        (
            "renamed away",
            &[Created, Opened, Written, RenamedFrom(1)],
            Heard::Unknown,
        ),
        (
            "replaced from outside",
            &[Created, Opened, ClosedByWriter, RenamedTo(5)],
            Heard::Unknown,
        ),
    ];
    for (what, told, expected) in cases {
        let ear = Ear::new();
        ear.hear("a", told);
        assert_eq!(ear.heard("a"), *expected, "{what}");
    }
}

/// Our own look at a hard link is no writer.
#[test]
fn a_hard_link_that_is_looked_at_is_not_being_written() {
    let ear = Ear::new();
    ear.hear("a", &[Created]);
    assert_eq!(ear.heard("a"), Heard::Unknown);
    ear.hear("a", &[Opened]);
    assert_eq!(ear.heard("a"), Heard::Unknown);
    ear.hear("a", &[Written]);
    assert_eq!(ear.heard("a"), WRITING);
}

#[test]
fn a_rename_carries_it_along() {
    let ear = Ear::new();
    ear.hear("x.part", &[Created, Opened, Written]);
    ear.hear("done.part", &[Created, Opened, Written, ClosedByWriter]);
    ear.hear("x", &[ClosedByWriter]);
    ear.hear("x.part", &[RenamedFrom(7)]);
    ear.hear("x", &[RenamedTo(7)]);
    assert_eq!(
        (ear.heard("x.part"), ear.heard("x")),
        (Heard::Unknown, WRITING)
    );
    ear.hear("done.part", &[RenamedFrom(8)]);
    ear.hear("done", &[RenamedTo(8)]);
    assert_eq!(ear.heard("done"), Heard::Closed);
    // Another rename: the two ends do not belong together.
    ear.hear("x", &[RenamedFrom(9)]);
    ear.hear("y", &[RenamedTo(10)]);
    assert_eq!(ear.heard("y"), Heard::Unknown);
}

#[test]
fn a_renamed_directory_takes_what_is_written_in_it_along() {
    let ear = Ear::new();
    ear.hear("in/a", &[Created, Opened, Written]);
    ear.hear("in/b", &[Created, Opened, ClosedByWriter]);
    ear.hear("in.old/c", &[Written]);
    ear.hear("in", &[RenamedFrom(3)]);
    ear.hear("out", &[RenamedTo(3)]);
    assert_eq!(ear.heard("out/a"), WRITING);
    assert_eq!(ear.heard("out/b"), Heard::Unknown);
    assert_eq!(ear.heard("in/a"), Heard::Unknown);
    assert_eq!(ear.heard("in.old/c"), WRITING);
    ear.hear("out", &[Removed]);
    assert_eq!(ear.heard("out/a"), Heard::Unknown);
}

/// Lost events make it void, and so does a new source; what a former one still
/// says counts for nothing.
#[test]
fn void_is_not_closed() {
    let ear = Ear::new();
    ear.hear("a", &[Written]);
    ear.hear("b", &[ClosedByWriter]);
    ear.probe.lost(ear.source);
    assert_eq!(
        (ear.heard("a"), ear.heard("b")),
        (Heard::Unknown, Heard::Unknown)
    );
    ear.hear("a", &[Written]);
    let next = ear.probe.begin();
    assert_eq!(ear.heard("a"), Heard::Unknown);
    ear.hear("a", &[Written]);
    ear.probe.lost(ear.source);
    assert_eq!(ear.heard("a"), Heard::Unknown, "of a former source");
    ear.probe.hear(next, b"a", Written, ear.at(1));
    assert_eq!(ear.heard("a"), WRITING);
}

/// Closed files make room for others, oldest first; what is being written is
/// kept, and what finds no room is unknown.
#[test]
fn it_is_bounded() {
    let ear = Ear::new();
    ear.hear("kept", &[Written]);
    for n in 0..3 * MOST {
        ear.hear(&format!("{n}"), &[Created, Opened, Written, ClosedByWriter]);
        assert!(ear.probe.table().files.len() <= MOST);
    }
    let table = ear.probe.table();
    assert_eq!(table.bytes, table.files.keys().map(Vec::len).sum::<usize>());
    let closed = table.files.values().filter(|e| e.state == State::Closed);
    assert_eq!(table.closed, closed.count());
    drop(table);
    assert_eq!(ear.heard("kept"), WRITING);
    assert_eq!(ear.heard("0"), Heard::Unknown);
    assert_eq!(ear.heard(&format!("{}", 3 * MOST - 1)), Heard::Closed);
    for n in 0..2 * MOST {
        ear.hear(&format!("w{n}"), &[Written]);
    }
    let table = ear.probe.table();
    assert!(table.files.len() <= MOST);
    drop(table);
    assert_eq!(ear.heard("kept"), WRITING);
    assert_eq!(ear.heard(&format!("w{}", 2 * MOST - 1)), Heard::Unknown);
    // Paths of 4 KiB fill it sooner.
    let ear = Ear::new();
    for n in 0..2_000 {
        ear.hear(&format!("{n:04096}"), &[Written]);
    }
    assert!(ear.probe.table().bytes <= MOST_BYTES);
}

#[test]
fn those_being_written_are_listed() {
    let ear = Ear::new();
    ear.hear("a", &[Written]);
    ear.hear("b.part", &[Written]);
    ear.hear("c", &[Created, Opened]);
    ear.hear("d", &[ClosedByWriter]);
    let list = |most| ear.probe.written(most, |path| !path.ends_with(b".part"));
    let since = Timestamp(1_000);
    assert_eq!(list(9), [(b"a".to_vec(), since), (b"c".to_vec(), since)]);
    assert_eq!(list(1).len(), 1);
}
