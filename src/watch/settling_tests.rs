#![allow(clippy::unwrap_used)]
use super::*;
use crate::domain::settle::{Openness, Sighted};
use crate::domain::version::FileVersion;

const RULES: SettleRules = SettleRules {
    quiet: Duration::from_secs(1),
    quiet_unsure: Duration::from_secs(10),
    unclosed_wait: Duration::from_secs(3600),
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn version(name: &str) -> FileVersion {
    FileVersion {
        path: name.as_bytes().to_vec(),
        dev: 1,
        inode: 1,
        size: 1,
        mtime_ns: 0,
        born_ns: None,
    }
}

fn sighting(folder: &str, name: &str, how: Sighted) -> Sighting {
    Sighting {
        folder: FolderName(folder.to_owned()),
        how,
        version: version(name),
    }
}

fn look(key: &Key, now: Duration) -> Look {
    Look {
        version: version(std::str::from_utf8(&key.path).unwrap()),
        now,
        wall: None,
        ctime_ns: 0,
        open_for_writing: Openness::No,
    }
}

#[test]
fn files_come_up_by_time_and_go_when_finished() {
    let mut set = SettlingSet::new(10);
    assert_eq!(set.next_due(), None);
    assert_eq!(
        set.sight(sighting("f", "a", Sighted::Closed), ms(0)),
        Taken::New
    );
    assert_eq!(
        set.sight(sighting("f", "b", Sighted::RenamedIn), ms(5)),
        Taken::New
    );
    assert_eq!(set.next_due(), Some(ms(0)));
    let due = set.due(ms(5), 10);
    assert_eq!(due.len(), 2);
    assert!(set.due(ms(5), 10).is_empty(), "each is given out once");
    let (a, b) = (&due[0], &due[1]);
    let d = set.looked(a, &look(a, ms(5)), &RULES).unwrap();
    assert_eq!(d, Decision::Wait(ms(1_000), WaitReason::JustClosed));
    assert_eq!(set.reason(a), Some(WaitReason::JustClosed));
    assert_eq!(
        set.looked(b, &look(b, ms(5)), &RULES),
        Some(Decision::Finished)
    );
    assert!(set.forget(b, ms(5)));
    assert_eq!(set.next_due(), Some(ms(1_000)));
    assert!(set.due(ms(999), 10).is_empty());
    let due = set.due(ms(1_000), 10);
    assert_eq!(
        set.looked(&due[0], &look(a, ms(1_000)), &RULES),
        Some(Decision::Finished)
    );
    assert!(set.forget(&due[0], ms(1_000)));
    assert!(set.is_empty());
    assert_eq!(set.next_due(), None);
}

#[test]
fn what_is_sighted_during_a_look_is_not_lost() {
    let mut set = SettlingSet::new(10);
    set.sight(sighting("f", "a", Sighted::RenamedIn), ms(0));
    let key = set.due(ms(0), 1).remove(0);
    assert_eq!(
        set.sight(sighting("f", "a", Sighted::Closed), ms(1)),
        Taken::Known
    );
    // The look was made before, and its outcome is overtaken.
    let d = set.looked(&key, &look(&key, ms(0)), &RULES).unwrap();
    assert_eq!(d, Decision::Wait(ms(1_001), WaitReason::JustClosed));
    assert_eq!(
        set.next_due(),
        Some(ms(0)),
        "and it is looked at again at once"
    );
    // The same when it was finished and is being handed on.
    let key = set.due(ms(2_000), 1).remove(0);
    assert_eq!(
        set.looked(&key, &look(&key, ms(2_000)), &RULES),
        Some(Decision::Finished)
    );
    set.sight(sighting("f", "a", Sighted::Closed), ms(2_001));
    assert!(!set.forget(&key, ms(2_002)), "it stays");
    assert_eq!(set.due(ms(2_002), 1).len(), 1);
}

#[test]
fn a_full_set_refuses_and_asks_for_a_scan_later() {
    let mut set = SettlingSet::new(4);
    for name in ["a", "b", "c"] {
        assert!(set.has_room());
        set.sight(sighting("f", name, Sighted::RenamedIn), ms(0));
    }
    assert!(!set.has_room(), "the rest is for events");
    set.sight(sighting("f", "d", Sighted::RenamedIn), ms(0));
    assert_eq!(
        set.sight(sighting("g", "e", Sighted::Closed), ms(0)),
        Taken::Refused
    );
    assert_eq!(
        set.sight(sighting("f", "a", Sighted::Closed), ms(0)),
        Taken::Known
    );
    assert_eq!(set.len(), 4);
    assert!(set.take_rescans().is_empty(), "not while it is full");
    for key in set.due(ms(0), 2) {
        set.forget(&key, ms(0));
    }
    let g = FolderName("g".to_owned());
    assert_eq!(set.take_rescans().into_iter().collect::<Vec<_>>(), [g]);
    assert!(set.take_rescans().is_empty(), "once");
    set.forget_folder(&FolderName("f".to_owned()));
    assert!(set.is_empty());
    assert_eq!(set.next_due(), None);
}

#[test]
fn a_cut_file_waits_once() {
    let mut set = SettlingSet::new(4);
    set.sight(sighting("f", "a", Sighted::RenamedIn), ms(0));
    let key = set.due(ms(0), 1).remove(0);
    assert_eq!(
        set.looked(&key, &look(&key, ms(0)), &RULES),
        Some(Decision::Finished)
    );
    assert!(set.looks_incomplete(&key, ms(0), ms(2_000)));
    let key = set.due(ms(0), 1).remove(0);
    let d = set.looked(&key, &look(&key, ms(0)), &RULES);
    assert_eq!(d, Some(Decision::Wait(ms(2_000), WaitReason::Incomplete)));
    let key = set.due(ms(2_000), 1).remove(0);
    assert_eq!(
        set.looked(&key, &look(&key, ms(2_000)), &RULES),
        Some(Decision::Finished)
    );
    assert!(!set.looks_incomplete(&key, ms(2_000), ms(2_000)));
    assert!(set.forget(&key, ms(2_000)));
}

#[test]
fn files_that_are_being_written_are_told_from_the_others() {
    let mut set = SettlingSet::new(4);
    assert!(set.only_written());
    set.sight(sighting("a", "x", Sighted::Modified), ms(0));
    assert!(!set.only_written(), "it was not looked at");
    let keys = set.due(ms(0), 4);
    let mut written = look(&keys[0], ms(0));
    written.open_for_writing = Openness::Yes;
    set.looked(&keys[0], &written, &RULES);
    assert!(set.only_written());
    set.sight(sighting("a", "y", Sighted::Closed), ms(0));
    assert!(!set.only_written());
}

#[test]
fn what_could_not_be_looked_at_is_due_again() {
    let mut set = SettlingSet::new(4);
    set.sight(sighting("f", "a", Sighted::RenamedIn), ms(0));
    let key = set.due(ms(0), 1).remove(0);
    set.postpone(&key, ms(500));
    assert!(set.due(ms(499), 1).is_empty());
    assert_eq!(set.due(ms(500), 1), [key]);
}
