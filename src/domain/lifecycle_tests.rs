//! Every pair of state and event, as a table that people can check; the data
//! that goes with it is in `data`, random sequences are in `model`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::answer::{Call, Code};
use crate::domain::backoff::Backoff;
use crate::domain::error_table::Pause;
use crate::domain::ids::FileId;
use crate::domain::refusal::ReasonKind;
use crate::domain::state::StateKind;

#[path = "lifecycle_tests/data.rs"]
mod data;
#[path = "lifecycle_tests/model.rs"]
mod model;
#[path = "lifecycle_tests/tasks.rs"]
mod tasks;

const NOW: i64 = 1_000_000_000;
const HOUR: u64 = 3600;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn at(chance: f64) -> Moment {
    Moment {
        now: Timestamp(NOW),
        chance,
    }
}

fn policy() -> Policy {
    Policy {
        backoff: Backoff::new(secs(1), secs(900)).unwrap(),
        give_up_after: secs(72 * HOUR),
        unconfirmed: OnUnconfirmed::Resend {
            times: 3,
            first: Duration::from_secs(60),
        },
        resubmit_failed: 0,
        poll: PollPace {
            first: secs(2),
            max: secs(300),
        },
        quiet: secs(10),
        reimport_after: Duration::ZERO,
        after: AfterSuccess::Keep,
        on_reject: OnReject::Keep,
    }
}

fn task() -> TaskId {
    TaskId::new("t-1").unwrap()
}

/// Something behind it, so that what is kept and what is reset can be told.
fn tries() -> Tries {
    Tries {
        since: Timestamp(NOW - 5_000),
        strikes: 1,
        failures: 2,
        resends: 1,
        resubmits: 1,
    }
}

fn judged(verdict: Verdict) -> Judgement {
    Judgement {
        verdict,
        code: Code::http(418),
        why: "words".to_owned(),
        advice: "",
        pause: None,
        retry_after: None,
        heard: true,
        call: Call::Upload,
        may_be_taken: false,
        probe: false,
    }
}

fn uploading(last_byte_sent: bool) -> State {
    State::Uploading {
        attempt: AttemptId(7),
        last_byte_sent,
        tries: tries(),
    }
}

fn submitted() -> State {
    State::Submitted {
        task: task(),
        next_poll: Timestamp(NOW),
        polls: Polls {
            pending: 4,
            failures: 2,
            missing: 1,
        },
        tries: tries(),
    }
}

fn states() -> Vec<(&'static str, State)> {
    let code = Code::http(413);
    vec![
        (
            "queued",
            State::Queued {
                not_before: Timestamp(NOW),
                tries: tries(),
            },
        ),
        ("uploading", uploading(false)),
        ("last byte", uploading(true)),
        ("submitted", submitted()),
        ("succeeded", State::Succeeded { task: task() }),
        (
            "failed",
            State::Failed {
                task: task(),
                reason: "r".to_owned(),
            },
        ),
        ("cancelled", State::Cancelled { task: task() }),
        ("untracked", State::Untracked),
        ("rejected", State::Rejected { code: code.clone() }),
        ("exhausted", State::Exhausted { code }),
        (
            "unconfirmed",
            State::Unconfirmed {
                attempt: AttemptId(7),
            },
        ),
        ("lost", State::Lost { task: task() }),
        (
            "unsupported",
            State::Unsupported {
                kind: ReasonKind::Unlisted,
                reason: "r".to_owned(),
            },
        ),
        ("duplicate", State::Duplicate { of: FileId(3) }),
        ("superseded", State::Superseded { by: FileId(4) }),
        ("gone", State::Gone),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    let ended = |how| Event::OriginalEnded { how };
    let same = |imported| Event::SameAs {
        of: FileId(5),
        imported,
    };
    vec![
        (
            "begun",
            Event::Begun {
                attempt: AttemptId(8),
                one_chunk: false,
            },
        ),
        ("last-byte", Event::LastByte),
        ("taken", Event::Judged(judged(Verdict::Done(Some(task()))))),
        (
            "task-done",
            Event::Judged(judged(Verdict::Task(TaskState::Success))),
        ),
        ("released", Event::Released),
        ("recovered", Event::Recovered),
        (
            "newer",
            Event::Changed {
                newer: Some(FileId(6)),
            },
        ),
        ("changed", Event::Changed { newer: None }),
        ("vanished", Event::Vanished),
        ("replaced", Event::Replaced { by: FileId(6) }),
        ("unsupported", Event::Unsupported("why".into())),
        ("same:done", same(true)),
        ("same:way", same(false)),
        ("orig:done", ended(OriginalEnd::Imported)),
        ("orig:bad", ended(OriginalEnd::SettledOtherwise)),
        ("orig:not", ended(OriginalEnd::NotImported)),
        ("returned", Event::Returned),
        ("retry", Event::Retry),
        ("deleted", Event::Deleted),
        ("arrived", Event::Arrived { task: None }),
        ("with-task", Event::Arrived { task: Some(task()) }),
    ]
}

/// `.` stays, `x` is refused, else the next state by the letter of
/// [`letter`]. The columns are the events in the order of [`events`].
#[rustfmt::skip]
const MATRIX: &[(&str, &str)] = &[
    //               begun
    //               | last-byte
    //               | | taken
    //               | | | task-done
    //               | | | | released
    //               | | | | | recovered
    //               | | | | | | newer
    //               | | | | | | | changed
    //               | | | | | | | | vanished
    //               | | | | | | | | | replaced
    //               | | | | | | | | | | unsupported
    //               | | | | | | | | | | | same:done
    //               | | | | | | | | | | | | same:way
    //               | | | | | | | | | | | | | orig:done
    //               | | | | | | | | | | | | | | orig:bad
    //               | | | | | | | | | | | | | | | orig:not
    //               | | | | | | | | | | | | | | | | returned
    //               | | | | | | | | | | | | | | | | | retry
    //               | | | | | | | | | | | | | | | | | | deleted
    //               | | | | | | | | | | | | | | | | | | | arrived
    //               | | | | | | | | | | | | | | | | | | | | with-task
    ("queued",      "U x x x Q . V Q G V N D D x x x x Q x x x"),
    ("uploading",   "U U S x Q Q V Q G . x x x x x x x x x x x"),
    ("last byte",   "U U S x Q Q V Q G . x x x x x x x x x x x"),
    ("submitted",   "x x x + x . x x . . x x x x x x x x C x x"),
    ("succeeded",   "x x x x x . x x . . x x x . . . . x x x x"),
    ("failed",      "x x x x x . x x . . x x x . . . . Q x x x"),
    ("cancelled",   "x x x x x . x x . . x x x . . . . Q . x x"),
    ("untracked",   "x x x x x . x x . . x x x . . . . Q x . S"),
    ("rejected",    "x x x x x . x x . . x x x . . . Q Q x x x"),
    ("exhausted",   "x x x x x . x x . . x x x . . . . Q x x x"),
    ("unconfirmed", "x x x x x . x x . . x x x . . . . Q x T S"),
    ("lost",        "x x x x x . x x . . x x x . . . . Q x T S"),
    ("unsupported", "x x x x x . x x . . x x x . . . . Q x x x"),
    ("duplicate",   "x x x x x . x x . . x x x D . Q . Q x x x"),
    ("superseded",  "x x x x x . x x . . x x x . . . . x x x x"),
    ("gone",        "x x x x x . x x . . x x x . . . . x x x x"),
];

fn letter(step: &Step) -> char {
    let go = match step {
        Step::Stay => return '.',
        Step::Refused(why) => {
            assert!(!why.is_empty());
            return 'x';
        }
        Step::Go(go) => go,
    };
    match go.next.kind() {
        StateKind::Queued => 'Q',
        StateKind::Uploading => 'U',
        StateKind::Submitted => 'S',
        StateKind::Succeeded => '+',
        StateKind::Failed => 'F',
        StateKind::Cancelled => 'C',
        StateKind::Untracked => 'T',
        StateKind::Rejected => 'R',
        StateKind::Exhausted => 'E',
        StateKind::Unconfirmed => '?',
        StateKind::Lost => 'L',
        StateKind::Unsupported => 'N',
        StateKind::Duplicate => 'D',
        StateKind::Superseded => 'V',
        StateKind::Gone => 'G',
    }
}

#[test]
fn every_pair_of_state_and_event() {
    let states = states();
    assert_eq!(states.len(), MATRIX.len());
    for ((name, state), (row, cells)) in states.iter().zip(MATRIX) {
        assert_eq!(name, row);
        let got: Vec<String> = events()
            .iter()
            .map(|(_, event)| letter(&step(state, event, at(0.5), &policy())).to_string())
            .collect();
        assert_eq!(&got.join(" "), cells, "{name}");
    }
}

#[test]
fn the_matrix_has_every_state() {
    let mut kinds: Vec<StateKind> = states().iter().map(|(_, s)| s.kind()).collect();
    kinds.dedup();
    assert_eq!(kinds, StateKind::ALL);
}

#[test]
fn a_file_keeps_the_task_that_it_had() {
    use StateKind::{Cancelled, Failed, Lost, Submitted, Succeeded};
    for (name, state) in states() {
        let has = [Submitted, Succeeded, Failed, Cancelled, Lost].contains(&state.kind());
        assert_eq!(state.task(), has.then_some(&task()), "{name}");
    }
}

/// Verdict, then what follows for `uploading` and for `submitted`.
#[test]
fn every_verdict_for_an_upload_and_a_query() {
    let limit = |then| Verdict::Retry(Some(Limit { times: 9, then }));
    let follow = |how| Verdict::Follow(how, "https://x/".to_owned());
    use crate::domain::error_table::Follow;
    #[rustfmt::skip]
    let table = [
        (Verdict::Done(Some(task())),                      'S', 'x'),
        (Verdict::Done(None),                              'T', 'x'),
        (Verdict::Task(TaskState::Pending),                'x', 'S'),
        (Verdict::Task(TaskState::Unknown("?".into())),    'x', 'S'),
        (Verdict::Task(TaskState::Success),                'x', '+'),
        (Verdict::Task(TaskState::Fail),                   'x', 'F'),
        (Verdict::Task(TaskState::Cancel),                 'x', 'C'),
        (Verdict::Unchanged,                               'x', 'S'),
        (Verdict::Retry(None),                             'Q', 'S'),
        (limit(Then::Rejected),                            'Q', 'S'),
        (limit(Then::Exhausted),                           'Q', 'S'),
        (limit(Then::Lost),                                'Q', 'S'),
        (Verdict::Reject,                                  'R', 'S'),
        (Verdict::Hold,                                    'Q', 'S'),
        (Verdict::Unconfirmed,                             'Q', 'S'),
        (follow(Follow::Get),                              'x', 'x'),
        (follow(Follow::Same),                             'x', 'x'),
    ];
    for (verdict, upload, query) in table {
        let event = Event::Judged(judged(verdict.clone()));
        for sent in [false, true] {
            let got = letter(&step(&uploading(sent), &event, at(0.5), &policy()));
            assert_eq!(got, upload, "upload: {verdict:?}");
        }
        let got = letter(&step(&submitted(), &event, at(0.5), &policy()));
        assert_eq!(got, query, "query: {verdict:?}");
    }
}

#[test]
fn how_an_original_looks_to_its_duplicates() {
    #[rustfmt::skip]
    let table = [
        ("queued", None), ("uploading", None), ("last byte", None), ("submitted", None),
        ("succeeded", Some(OriginalEnd::Imported)),
        ("failed", Some(OriginalEnd::SettledOtherwise)),
        ("cancelled", Some(OriginalEnd::SettledOtherwise)),
        ("untracked", Some(OriginalEnd::SettledOtherwise)),
        ("rejected", Some(OriginalEnd::NotImported)),
        ("exhausted", Some(OriginalEnd::NotImported)),
        // The service may have it: a copy must not be sent behind the
        // operator's back.
        ("unconfirmed", None),
        ("lost", None),
        ("unsupported", Some(OriginalEnd::NotImported)),
        ("duplicate", Some(OriginalEnd::NotImported)),
        ("superseded", Some(OriginalEnd::NotImported)),
        ("gone", Some(OriginalEnd::NotImported)),
    ];
    for ((name, state), (row, end)) in states().iter().zip(table) {
        assert_eq!(*name, row);
        assert_eq!(original_end(state), end, "{name}");
    }
}

#[test]
fn only_two_states_carry_a_code() {
    for (name, state) in states() {
        let code = code_of(&state).map(Code::as_str);
        let expected = matches!(name, "rejected" | "exhausted").then_some("HTTP-413");
        assert_eq!(code, expected, "{name}");
    }
}

/// The code that a state carries.
fn code_of(state: &State) -> Option<&Code> {
    match state {
        State::Rejected { code } | State::Exhausted { code } => Some(code),
        _ => None,
    }
}
