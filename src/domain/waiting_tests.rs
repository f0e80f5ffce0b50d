//! What holds a file, as a table: every scope, alone and together.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::domain::error_table::{Holds, Lifts};
use crate::domain::gate::Streak;
use crate::domain::ids::{AttemptId, FileId};
use crate::domain::state::{Polls, Tries};

const NOW: Timestamp = Timestamp(1_000_000);

fn folder() -> FolderName {
    FolderName("inbox".into())
}

fn dataset() -> DatasetName {
    DatasetName("main".into())
}

fn route(media: Media) -> GateKey {
    GateKey::Route(Route {
        folder: folder(),
        media,
    })
}

fn gate(holds: Holds) -> Gate {
    Gate {
        status: Status::Closed(Closed {
            since: Timestamp(940_000),
            until: Timestamp(1_090_000),
            level: 1,
            code: Code::http(503),
            why: "over\u{1b}loaded".into(),
            lifts: Lifts::Time,
            fingerprint: String::new(),
            first: Duration::from_secs(1),
            max: Duration::from_secs(2),
            holds,
        }),
        streak: None::<Streak>,
    }
}

fn halts(of: &[(&str, Option<i64>)]) -> Halts {
    let halt = |until: Option<i64>| Halt {
        since: Timestamp(880_000),
        until: until.map(Timestamp),
        who: "an\u{1b}na".into(),
        why: Some("new scanner".into()),
    };
    of.iter()
        .map(|(scope, until)| (scope.parse().unwrap(), halt(*until)))
        .collect()
}

fn queued(not_before: i64, failures: u32) -> State {
    let mut tries = Tries::new(Timestamp(0));
    tries.failures = failures;
    State::Queued {
        not_before: Timestamp(not_before),
        tries,
    }
}

fn submitted() -> State {
    State::Submitted {
        task: TaskId::new("t-1").unwrap(),
        next_poll: Timestamp(1_005_000),
        polls: Polls::default(),
        tries: Tries::new(NOW),
    }
}

struct Case {
    gates: Gates,
    halts: Halts,
    running: Option<bool>,
    stopped: Option<&'static str>,
    folder: FolderIs,
    ahead: Option<Ahead>,
    pace: Option<Pace>,
    media: Option<Media>,
    state: State,
    last: Option<(Code, &'static str)>,
    changes_often: bool,
}

impl Default for Case {
    fn default() -> Case {
        Case {
            gates: BTreeMap::new(),
            halts: BTreeMap::new(),
            running: Some(true),
            stopped: None,
            folder: FolderIs::There,
            ahead: None,
            pace: None,
            media: Some(Media::Text),
            state: queued(0, 0),
            last: None,
            changes_often: false,
        }
    }
}

impl Case {
    fn all(&self) -> Vec<Waiting> {
        let (folder, dataset) = (folder(), dataset());
        let row = Row {
            folder: &folder,
            dataset: &dataset,
            media: self.media,
            state: &self.state,
            last: self.last.as_ref().map(|(code, why)| (code, *why)),
            changes_often: self.changes_often,
        };
        of_row(
            &row,
            &Around {
                now: NOW,
                gates: &self.gates,
                halts: &self.halts,
                running: self.running,
                stopped: self.stopped,
                folder: &self.folder,
                ahead: self.ahead,
                pace: self.pace,
            },
        )
    }

    fn reasons(&self) -> Vec<&'static str> {
        self.all().iter().map(Waiting::reason).collect()
    }
}

/// Pauses with their ends, what is asked about, and the pauses that hold it.
type Paused = (
    &'static [(&'static str, Option<i64>)],
    Option<Media>,
    &'static [&'static str],
);

#[test]
fn each_scope_of_a_pause_holds_what_lies_within_and_is_named() {
    #[rustfmt::skip]
    let table: [Paused; 10] = [
        (&[("all", None)], Some(Media::Text), &["all"]),
        (&[("dataset:main", None)], Some(Media::Text), &["dataset:main"]),
        (&[("dataset:other", None)], Some(Media::Text), &[]),
        (&[("folder:inbox", None)], None, &["folder:inbox"]),
        (&[("folder:other", None)], Some(Media::Text), &[]),
        (&[("route:inbox/text", None)], Some(Media::Text), &["route:inbox/text"]),
        (&[("route:inbox/image", None)], Some(Media::Text), &[]),
        // Not sorted: no pause of a route counts.
        (&[("route:inbox/text", None)], None, &[]),
        // Over.
        (&[("all", Some(999_999))], Some(Media::Text), &[]),
        // What ends last is in front.
        (&[("all", Some(1_100_000)), ("folder:inbox", None), ("dataset:main", Some(1_200_000))],
            Some(Media::Text), &["folder:inbox", "dataset:main", "all"]),
    ];
    for (of, media, scopes) in table {
        let case = Case {
            halts: halts(of),
            media,
            ..Case::default()
        };
        let all = case.all();
        let named: Vec<String> = all.iter().filter_map(Waiting::scope).collect();
        assert_eq!(named, scopes, "{of:?}");
        if let (Some(first), [_, ..]) = (all.first(), scopes) {
            assert_eq!(first.reason(), "paused");
            assert_eq!(first.since(), Some(Timestamp(880_000)));
            let text = first.text(NOW);
            let said = format!(
                "{} is paused by an\\x1bna since 2 min ago (new scanner)",
                scopes[0]
            );
            assert!(text.starts_with(&said), "{text}");
            assert!(first.is_wanted());
            let resume = format!("resume {}`", scopes[0]);
            assert!(first.advice().iter().any(|line| line.ends_with(&resume)));
        }
    }
}

#[test]
fn each_gate_holds_its_way_and_is_named_with_its_code() {
    let other = GateKey::Dataset(DatasetName("other".into()));
    for (key, holds) in [
        (GateKey::Service, true),
        (GateKey::Dataset(dataset()), true),
        (route(Media::Text), true),
        (route(Media::Image), false),
        (other, false),
    ] {
        let case = Case {
            gates: BTreeMap::from([(key.clone(), gate(Holds::Calls))]),
            ..Case::default()
        };
        let all = case.all();
        let first = &all[0];
        assert_eq!(first.reason() == "gate", holds, "{key}");
        if holds {
            assert_eq!(first.scope(), Some(key.to_string()));
            assert_eq!(first.until(), Some(Timestamp(1_090_000)));
            let text = first.text(NOW);
            let begins = format!("the gate {} is closed since 1 min ago (HTTP-503 over", key);
            assert!(text.starts_with(&begins), "{text}");
            assert!(
                text.ends_with("in 1 min 30 s one file goes out to see"),
                "{text}"
            );
            assert!(!text.contains('\u{1b}') && !first.is_wanted());
        }
    }
    // A task is asked about unless its gate holds all calls; no pause holds that.
    for (holds, reasons) in [
        (Holds::Calls, &["gate", "submitted"][..]),
        (Holds::Uploads, &["submitted"]),
    ] {
        let case = Case {
            gates: BTreeMap::from([(GateKey::Service, gate(holds))]),
            halts: halts(&[("all", None)]),
            state: submitted(),
            ..Case::default()
        };
        assert_eq!(case.reasons(), reasons);
    }
}

#[test]
fn what_nothing_else_ends_comes_first() {
    let everything = Case {
        gates: BTreeMap::from([(GateKey::Service, gate(Holds::Calls))]),
        halts: halts(&[("folder:inbox", None)]),
        running: Some(false),
        stopped: Some("the disk is full"),
        folder: FolderIs::Offline {
            why: "unmounted".into(),
            since: Some(Timestamp(0)),
        },
        state: queued(1_030_000, 2),
        last: Some((Code::http(503), "busy")),
        ..Case::default()
    };
    let all = ["stopped", "paused", "gate", "no-daemon", "offline", "retry"];
    assert_eq!(everything.reasons(), all);
    let dropped = Case {
        folder: FolderIs::Dropped,
        ..Case::default()
    };
    assert_eq!(dropped.reasons(), ["folder-dropped"]);
}

#[test]
fn what_holds_the_file_alone_is_told_with_its_time() {
    let unreadable = || Some((Code::own(UNREADABLE), "no right"));
    #[rustfmt::skip]
    let table = [
        (Case { state: queued(1_090_000, 0), ..Case::default() }, "postponed", "due in 1 min 30 s"),
        (Case { state: queued(1_030_000, 2), last: Some((Code::http(503), "busy")), ..Case::default() },
            "retry", "for its next try, in 30 s; 2 failures so far, the last: HTTP-503 busy"),
        (Case { state: queued(1_600_000, 0), changes_often: true, ..Case::default() },
            "changes-often", "its newest version goes in 10 min"),
        (Case { state: queued(1_002_000, 0), last: unreadable(), ..Case::default() },
            "unreadable", "no right (UNREADABLE); tried again in 2 s"),
        (Case { media: None, ..Case::default() }, "unsorted", "sorted anew"),
        (Case::default(), "queue", "its turn"),
        (Case { state: submitted(), ..Case::default() }, "submitted", "asked about again in 5 s"),
        (Case { running: Some(false), ..Case::default() }, "no-daemon", "no daemon"),
        (Case { stopped: Some("disk full"), ..Case::default() }, "stopped", "nothing can be recorded: disk full"),
    ];
    for (case, reason, words) in table {
        let all = case.all();
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].reason(), reason);
        let text = all[0].text(NOW);
        assert!(text.contains(words), "{words:?}: {text}");
    }
    for state in [
        State::Gone,
        State::Untracked,
        State::Duplicate { of: FileId(1) },
        State::Uploading {
            attempt: AttemptId(1),
            last_byte_sent: true,
            tries: Tries::new(NOW),
        },
    ] {
        let case = Case {
            state,
            ..Case::default()
        };
        assert_eq!(case.all(), []);
    }
}

#[test]
fn a_turn_says_how_many_go_before_and_how_long_that_takes() {
    let turn = |files, more, done| Case {
        ahead: Some(Ahead { files, more }),
        pace: Some(Pace {
            files: done,
            over: Duration::from_secs(60),
        }),
        ..Case::default()
    };
    for (case, words) in [
        (turn(0, false, 60), "its turn: it is the next of its route"),
        (
            turn(1, false, 60),
            "its turn: 1 file of its route goes before it, about 2 s",
        ),
        (
            turn(119, false, 60),
            "its turn: 119 files of its route go before it, about 2 min",
        ),
        (
            turn(119, false, 0),
            "its turn: 119 files of its route go before it",
        ),
        (
            turn(10_000, true, 60),
            "its turn: more than 10000 files of its route go before it",
        ),
    ] {
        assert_eq!(case.all()[0].text(NOW), words);
    }
    // What holds it comes before its turn, and nobody knows how long that lasts.
    let held = Case {
        halts: halts(&[("all", None)]),
        ..turn(119, false, 60)
    };
    assert_eq!(held.reasons(), ["paused", "queue"]);
    let last = held.all()[1].text(NOW);
    assert_eq!(last, "its turn: 119 files of its route go before it");
}
