//! The fates of files, as a table.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::answer::Code;
use crate::domain::error_table::{Holds, Lifts};
use crate::domain::gate::{Closed, GateKey};
use crate::domain::halt::{Halt, HaltScope};
use crate::domain::naming::TemporaryKind;
use std::time::Duration;

fn gate(probing: bool) -> Waiting {
    Waiting::Gate {
        key: GateKey::Dataset(DatasetName("main".into())),
        closed: Closed {
            since: Timestamp(940_000),
            until: Timestamp(1_060_000),
            level: 1,
            code: Code::http(503),
            why: "overloaded".into(),
            lifts: Lifts::Time,
            fingerprint: String::new(),
            first: Duration::from_secs(1),
            max: Duration::from_secs(2),
            holds: Holds::Calls,
        },
        probing,
    }
}

fn paused(until: Option<Timestamp>) -> Waiting {
    Waiting::Paused {
        scope: HaltScope::All,
        halt: Halt {
            since: Timestamp(0),
            until,
            who: "anna".into(),
            why: None,
        },
    }
}

#[test]
fn each_fate_has_a_word_a_sentence_and_a_count() {
    let now = Timestamp(1_000_000);
    let until = Timestamp(1_060_000);
    #[rustfmt::skip]
    let table = [
        (Fate::Send(Since::New), "send new", "", "to be sent"),
        (Fate::Send(Since::Queued), "send queued", "", "to be sent"),
        (Fate::Send(Since::Back), "send back", "", "to be sent"),
        (Fate::wait(Waiting::Settling(WaitReason::StillOpen, None)), "wait open", "open for writing", "open in a program"),
        (Fate::wait(Waiting::Settling(WaitReason::JustSeen, None)), "wait settling", "quiet time", "not quiet"),
        (Fate::wait(Waiting::Settling(WaitReason::Incomplete, None)), "wait incomplete", "cut off", "cut off"),
        (Fate::wait(Waiting::NotBefore { until }), "wait postponed", "in 1 min", "due later"),
        (Fate::wait(Waiting::Unreadable { why: "no\u{1b}right".into(), until }), "wait unreadable", "no\\x1bright", "unreadable"),
        (Fate::wait(gate(false)), "wait gate", "dataset:main is closed", "since the gate dataset:main is closed"),
        (Fate::wait(gate(true)), "wait gate", "one file is out", "held back"),
        (Fate::wait(paused(Some(until))), "wait paused", "ends by itself in 1 min", "by an operator"),
        (Fate::wait(paused(None)), "wait paused", "until `resume`", "by an operator"),
        (Fate::Known(StateKind::Succeeded), "known succeeded", "has it as succeeded", "succeeded"),
        (Fate::Duplicate(FileId(7)), "duplicate duplicate", "as id 7", "duplicates"),
        (Fate::Unsupported("larger than 5".into()), "unsupported unsupported", "larger than 5", "unsupported"),
        (Fate::NotTaken(NotTaken::Temporary(TemporaryKind::Backup), vec![]), "not-taken temporary-name", "ends in ~", "temporary or hidden names"),
        (Fate::NotTaken(NotTaken::Excluded, vec!["*.bak".into()]), "not-taken excluded", "pattern \"*.bak\"", "excluded by \"*.bak\""),
        (Fate::NotTaken(NotTaken::Fifo, vec![]), "not-taken not-a-file", "pipe", "pipes"),
        (Fate::NotTaken(NotTaken::Symlink, vec![]), "not-taken symlink", "symbolic link", "symbolic links"),
    ];
    for (fate, words, why, counted) in table {
        assert_eq!(format!("{} {}", fate.as_str(), fate.reason()), words);
        let said = fate.why(now).unwrap_or_default();
        assert!(said.contains(why), "{words}: {said}");
        assert_eq!(said.is_empty(), matches!(fate, Fate::Send(_)), "{words}");
        assert!(!said.contains('\u{1b}'), "{words}");
        let count = fate.counted_as();
        assert!(count.contains(counted), "{words}: {count}");
    }
}

#[test]
fn what_would_be_counted_for_each_file_alone_is_counted_together() {
    let one = Fate::Unsupported("1 byte over 0".into()).counted_as();
    assert_eq!(one, Fate::Unsupported("2 bytes over 0".into()).counted_as());
    let unreadable = |why: &str| {
        let (why, until) = (why.to_owned(), Timestamp(0));
        Fate::wait(Waiting::Unreadable { why, until }).counted_as()
    };
    assert_eq!(unreadable("a"), unreadable("b"));
}
