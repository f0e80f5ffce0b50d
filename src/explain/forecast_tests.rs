//! The fates of files, as a table.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::naming::TemporaryKind;

#[test]
fn each_fate_has_a_word_a_sentence_and_a_count() {
    let now = Timestamp(1_000_000);
    let until = Timestamp(1_060_000);
    let dataset = GateKey::Dataset(DatasetName("main".into()));
    #[rustfmt::skip]
    let table = [
        (Fate::Send(Since::New), "send new", "", "to be sent"),
        (Fate::Send(Since::Queued), "send queued", "", "to be sent"),
        (Fate::Send(Since::Back), "send back", "", "to be sent"),
        (Fate::Wait(Hold::Settling(WaitReason::StillOpen)), "wait open", "open for writing", "open in a program"),
        (Fate::Wait(Hold::Settling(WaitReason::JustSeen)), "wait settling", "quiet time", "not quiet"),
        (Fate::Wait(Hold::Settling(WaitReason::Incomplete)), "wait incomplete", "cut off", "cut off"),
        (Fate::Wait(Hold::NotDue(until)), "wait not-due", "in 60 s", "due later"),
        (Fate::Wait(Hold::Unreadable("no\u{1b}right".into())), "wait unreadable", "no\\x1bright", "unreadable"),
        (Fate::Wait(Hold::Gate(dataset.clone(), Some(until))), "wait gate", "dataset:main is paused; in 60 s", "since dataset:main is paused"),
        (Fate::Wait(Hold::Gate(dataset, None)), "wait gate", "one file is out", "held back"),
        (Fate::Wait(Hold::Paused(Some(until))), "wait paused", "for 60 s more", "by an operator"),
        (Fate::Wait(Hold::Paused(None)), "wait paused", "until `resume`", "by an operator"),
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
    let one = Fate::Wait(Hold::Unreadable("a".into())).counted_as();
    assert_eq!(one, Fate::Wait(Hold::Unreadable("b".into())).counted_as());
}
