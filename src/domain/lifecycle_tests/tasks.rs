//! Following a task, and what becomes of the source at the end.

use super::data::went;
use super::*;

fn asked(polls: Polls) -> State {
    State::Submitted {
        task: task(),
        next_poll: Timestamp(NOW),
        polls,
        tries: tries(),
    }
}

fn again(go: &Go) -> (i64, Polls) {
    match &go.next {
        State::Submitted {
            task: same,
            next_poll,
            polls,
            tries: kept,
        } => {
            assert_eq!((same, *kept), (&task(), tries()));
            assert_eq!((go.source, go.possible_duplicate), (None, false));
            (next_poll.0 - NOW, *polls)
        }
        other => panic!("not submitted: {other:?}"),
    }
}

fn answer(verdict: Verdict) -> Event {
    Event::Judged(judged(verdict))
}

fn missing() -> Verdict {
    Verdict::Retry(Some(Limit {
        times: 3,
        then: Then::Lost,
    }))
}

#[test]
fn a_task_is_asked_about_ever_slower_up_to_the_longest_wait() {
    let pace = policy().poll;
    let at_middle: Vec<u64> = (0..16).map(|n| pace.wait(n, 0.5).as_secs()).collect();
    assert_eq!(
        at_middle,
        [
            2, 3, 4, 6, 10, 15, 22, 34, 51, 76, 115, 172, 259, 300, 300, 300
        ]
    );
    for n in [0, 1, 7, 12, 13, 60, 61, 10_000, u32::MAX] {
        for chance in [0.0, 0.5, 0.999] {
            let wait = pace.wait(n, chance);
            assert!(wait <= secs(300), "{n}: {wait:?}");
            assert!(wait >= secs(2), "{n}: {wait:?}");
        }
    }
}

#[test]
fn the_pace_is_spread_by_a_fifth_but_never_past_its_bounds() {
    let pace = policy().poll;
    let ms = |n, chance| pace.wait(n, chance).as_millis();
    assert_eq!(
        (ms(0, 0.0), ms(0, 1.0)),
        (2_000, 2_000),
        "the first is exact"
    );
    assert_eq!((ms(1, 0.0), ms(1, 1.0)), (2_700, 3_300));
    assert_eq!((ms(60, 0.0), ms(60, 1.0)), (270_000, 300_000));
    let narrow = PollPace {
        first: secs(20),
        max: secs(5),
    };
    assert_eq!(narrow.wait(0, 0.5), secs(5));
    let endless = PollPace {
        first: Duration::MAX,
        max: secs(300),
    };
    assert_eq!(endless.wait(60, 0.5), secs(300));
}

#[test]
fn an_answer_that_it_is_still_processing_slows_the_pace_and_forgets_failures() {
    let polls = Polls {
        pending: 4,
        failures: 2,
        missing: 2,
    };
    for verdict in [
        Verdict::Task(TaskState::Pending),
        Verdict::Task(TaskState::Unknown("PAUSED".to_owned())),
        Verdict::Unchanged,
    ] {
        let go = went(&asked(polls), &answer(verdict), at(0.5), &policy());
        let (wait, after) = again(&go);
        assert_eq!(wait, 15_187, "2 s, five times half as long again");
        let pending = 5;
        assert_eq!(
            after,
            Polls {
                pending,
                failures: 0,
                missing: 0
            }
        );
    }
}

#[test]
fn a_task_that_is_missing_four_times_running_is_lost() {
    for verdict in [missing(), Verdict::Reject] {
        let mut state = asked(Polls {
            pending: 4,
            failures: 1,
            missing: 0,
        });
        for (n, wait) in [(1, 6_750), (2, 10_125), (3, 15_187)] {
            let go = went(&state, &answer(verdict.clone()), at(0.5), &policy());
            let (waited, polls) = again(&go);
            assert_eq!(waited, wait);
            assert_eq!((polls.pending, polls.failures, polls.missing), (4, 1, n));
            state = go.next;
        }
        let go = went(&state, &answer(verdict), at(0.5), &policy());
        assert_eq!(go.next, State::Lost { task: task() });
        assert_eq!((go.source, go.possible_duplicate), (None, false));
    }
}

#[test]
fn chance_spreads_every_wait_of_a_query() {
    let failed = Verdict::Retry(None);
    let pending = Verdict::Task(TaskState::Pending);
    let polls = Polls {
        failures: 9,
        ..Polls::default()
    };
    for (verdict, first, last) in [
        (missing(), 6_075, 7_425),
        (pending, 2_700, 3_300),
        (failed, 2_000, 512_000),
    ] {
        let event = answer(verdict);
        let wait = |chance| again(&went(&asked(polls), &event, at(chance), &policy())).0;
        assert_eq!((wait(0.0), wait(1.0)), (first, last), "{event:?}");
    }
}

#[test]
fn an_override_can_allow_more_misses() {
    let often = Verdict::Retry(Some(Limit {
        times: u32::MAX,
        then: Then::Lost,
    }));
    let polls = Polls {
        missing: u32::MAX - 1,
        ..Polls::default()
    };
    let go = went(&asked(polls), &answer(often), at(0.5), &policy());
    assert_eq!(again(&go).0, 300_000);
}

#[test]
fn a_query_that_fails_says_nothing_about_the_task() {
    let limit = |then| Verdict::Retry(Some(Limit { times: 0, then }));
    for verdict in [
        Verdict::Retry(None),
        limit(Then::Rejected),
        limit(Then::Exhausted),
        Verdict::Hold,
        Verdict::Unconfirmed,
    ] {
        for (failures, wait) in [(0, 2_000), (1, 2_000), (3, 4_000), (40, 450_000)] {
            let polls = Polls {
                pending: 4,
                failures,
                missing: 2,
            };
            let go = went(&asked(polls), &answer(verdict.clone()), at(0.5), &policy());
            let (waited, after) = again(&go);
            assert_eq!(waited, wait, "{verdict:?} after {failures}");
            let failures = failures + 1;
            assert_eq!(after, Polls { failures, ..polls });
        }
        let mut judgement = judged(verdict);
        judgement.retry_after = Some(secs(60));
        let go = went(&submitted(), &Event::Judged(judgement), at(0.5), &policy());
        assert_eq!(again(&go).0, 60_500);
    }
}

#[test]
fn a_failed_task_is_submitted_again_only_as_often_as_the_folder_says() {
    let fail = answer(Verdict::Task(TaskState::Fail));
    let go = went(
        &submitted(),
        &fail,
        at(0.5),
        &Policy {
            resubmit_failed: 2,
            ..policy()
        },
    );
    let not_before = Timestamp(NOW + 1_000);
    let resubmits = 2;
    let tries = Tries {
        resubmits,
        ..tries()
    };
    assert_eq!(go.next, State::Queued { not_before, tries });
    assert!(
        !go.possible_duplicate,
        "the service says that it has it not"
    );
    let often = Policy {
        resubmit_failed: 2,
        ..policy()
    };
    match went(&submitted(), &fail, at(0.0), &often).next {
        State::Queued { not_before, .. } => assert_eq!(not_before, Timestamp(NOW)),
        other => panic!("{other:?}"),
    }
    for resubmit_failed in [0, 1] {
        let policy = Policy {
            resubmit_failed,
            ..policy()
        };
        match went(&submitted(), &fail, at(0.5), &policy).next {
            State::Failed { task: same, reason } => {
                assert_eq!(same, task());
                assert!(reason.contains("FAIL"));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What becomes of the source: the step, then with the settings keep/keep,
/// move/move and delete/keep.
#[test]
fn the_source_goes_by_policy_and_only_at_the_end() {
    use SourceAction::{Delete, MoveDone, MoveRejected};
    let queued = states()[0].1.clone();
    let duplicate = State::Duplicate { of: FileId(3) };
    let same = |imported| Event::SameAs {
        of: FileId(5),
        imported,
    };
    let imported = Event::OriginalEnded {
        how: OriginalEnd::Imported,
    };
    let on_task = |state| answer(Verdict::Task(state));
    let retry = answer(Verdict::Retry(Some(Limit {
        times: 1,
        then: Then::Rejected,
    })));
    #[rustfmt::skip]
    let table = [
        (submitted(),     on_task(TaskState::Success),         [None, Some(MoveDone), Some(Delete)]),
        (queued.clone(),  same(true),                          [None, Some(MoveDone), Some(Delete)]),
        (duplicate,       imported,                            [None, Some(MoveDone), Some(Delete)]),
        (submitted(),     on_task(TaskState::Fail),            [None, Some(MoveRejected), None]),
        (uploading(true), answer(Verdict::Reject),             [None, Some(MoveRejected), None]),
        (uploading(true), retry,                               [None, Some(MoveRejected), None]),
        (queued.clone(),  Event::Unsupported("w".into()),  [None, Some(MoveRejected), None]),
        (submitted(),     on_task(TaskState::Cancel),          [None, None, None]),
        (queued.clone(),  same(false),                         [None, None, None]),
        (queued,          Event::Vanished,                     [None, None, None]),
        (uploading(true), answer(Verdict::Done(None)),         [None, None, None]),
        (uploading(true), answer(Verdict::Done(Some(task()))), [None, None, None]),
        (uploading(true), answer(Verdict::Retry(None)),        [None, None, None]),
        (uploading(true), answer(Verdict::Unconfirmed),        [None, None, None]),
    ];
    let settings = [
        (AfterSuccess::Keep, OnReject::Keep),
        (AfterSuccess::Move, OnReject::Move),
        (AfterSuccess::Delete, OnReject::Keep),
    ];
    for (state, event, expected) in table {
        for ((after, on_reject), expected) in settings.into_iter().zip(expected) {
            let policy = Policy {
                after,
                on_reject,
                ..policy()
            };
            let go = went(&state, &event, at(0.5), &policy);
            assert_eq!(go.source, expected, "{event:?} with {after:?}");
        }
    }
}
