//! The data that goes with each step of an upload: counters, waits, flags and
//! what becomes of the source.

use super::*;
use crate::domain::error_table::{Holds, Lifts, Scope};
use crate::domain::refusal::ReasonKind;

pub(super) fn went(state: &State, event: &Event, at: Moment, policy: &Policy) -> Go {
    match step(state, event, at, policy) {
        Step::Go(go) => go,
        other => panic!("{state:?} and {event:?} gave {other:?}"),
    }
}

/// The wait from now and the tries of a file that went back to the queue.
fn back(go: &Go) -> (i64, Tries) {
    match go.next {
        State::Queued { not_before, tries } => (not_before.0 - NOW, tries),
        ref other => panic!("not queued: {other:?}"),
    }
}

fn answer(verdict: Verdict) -> Event {
    Event::Judged(judged(verdict))
}

fn limit(times: u32, then: Then) -> Verdict {
    Verdict::Retry(Some(Limit { times, then }))
}

fn fresh(since: i64) -> State {
    State::Uploading {
        attempt: AttemptId(7),
        last_byte_sent: true,
        tries: Tries::new(Timestamp(since)),
    }
}

fn with(tries: Tries) -> State {
    State::Uploading {
        attempt: AttemptId(7),
        last_byte_sent: true,
        tries,
    }
}

const ONCE: Pause = Pause {
    scope: Scope::Route,
    after: 1,
    first: Duration::from_secs(60),
    max: Duration::from_secs(600),
    lifts: Lifts::Time,
    holds: Holds::Calls,
};

#[test]
fn an_attempt_is_recorded_with_its_number_and_its_last_byte() {
    let queued = &states()[0].1;
    for one_chunk in [false, true] {
        let attempt = AttemptId(8);
        let begun = Event::Begun { attempt, one_chunk };
        let expected = State::Uploading {
            attempt,
            last_byte_sent: one_chunk,
            tries: tries(),
        };
        // The next hop of a 307 sends the body again: its own last byte counts.
        for from in [queued, &uploading(false), &uploading(true)] {
            let go = went(from, &begun, at(0.5), &policy());
            assert_eq!(go.next, expected);
            assert!(!go.possible_duplicate);
        }
    }
    let go = went(&uploading(false), &Event::LastByte, at(0.5), &policy());
    assert_eq!(go.next, uploading(true));
}

#[test]
fn what_leaves_the_file_alone_keeps_what_it_has_behind_it() {
    let queued = &states()[0].1;
    for (from, event, wait) in [
        (queued, Event::Released, 0),
        (&uploading(false), Event::Released, 0),
        (&uploading(true), Event::Released, 0),
        (&uploading(false), Event::Recovered, 0),
        (queued, Event::Changed { newer: None }, 10_000),
        (&uploading(false), Event::Changed { newer: None }, 10_000),
    ] {
        let go = went(from, &event, at(0.5), &policy());
        assert_eq!(back(&go), (wait, tries()), "{event:?}");
        assert!(!go.possible_duplicate, "{event:?}");
    }
}

#[test]
fn an_operators_retry_starts_anew() {
    for (name, state) in states() {
        let Step::Go(go) = step(&state, &Event::Retry, at(0.5), &policy()) else {
            continue;
        };
        assert_eq!(back(&go), (0, Tries::new(Timestamp(NOW))), "{name}");
        // Only where the service may have it already.
        let may = matches!(name, "unconfirmed" | "lost" | "untracked");
        assert_eq!(go.possible_duplicate, may, "{name}");
        assert_eq!(go.source, None);
    }
}

#[test]
fn a_file_that_the_route_was_to_blame_for_starts_anew() {
    let rejected = State::Rejected {
        code: Code::http(400),
    };
    let go = went(&rejected, &Event::Returned, at(0.5), &policy());
    assert_eq!(back(&go), (0, Tries::new(Timestamp(NOW))));
    assert!(!go.possible_duplicate);
}

#[test]
fn a_taken_file_is_asked_about_after_the_first_wait() {
    for chance in [0.0, 0.99] {
        let taken = answer(Verdict::Done(Some(task())));
        let go = went(&uploading(true), &taken, at(chance), &policy());
        let expected = State::Submitted {
            task: task(),
            next_poll: Timestamp(NOW + 2_000),
            polls: Polls::default(),
            tries: Tries {
                since: tries().since,
                resubmits: 1,
                strikes: 0,
                failures: 0,
                resends: 0,
            },
        };
        assert_eq!(go.next, expected);
        assert_eq!((go.source, go.possible_duplicate), (None, false));
    }
}

#[test]
fn retries_back_off_with_each_failure() {
    for (failures, ceiling) in [(0, 1), (1, 2), (2, 4), (9, 512), (10, 900), (u32::MAX, 900)] {
        let from = with(Tries {
            failures,
            ..tries()
        });
        let go = went(&from, &answer(Verdict::Retry(None)), at(0.5), &policy());
        let (wait, tries) = back(&go);
        assert_eq!(wait, ceiling * 500, "after {failures}");
        assert_eq!(tries.failures, failures.saturating_add(1));
        assert_eq!((tries.strikes, tries.resends, tries.resubmits), (1, 1, 1));
    }
}

#[test]
fn retry_after_is_honoured_and_never_early() {
    for verdict in [
        Verdict::Retry(None),
        limit(8, Then::Exhausted),
        limit(3, Then::Rejected),
    ] {
        let mut judgement = judged(verdict);
        judgement.retry_after = Some(secs(120));
        let event = Event::Judged(judgement.clone());
        for (chance, wait) in [(0.0, 120_000), (0.5, 120_500)] {
            let go = went(&uploading(true), &event, at(chance), &policy());
            assert_eq!(back(&go).0, wait, "{event:?}");
        }
        judgement.retry_after = Some(Duration::MAX);
        let event = Event::Judged(judgement);
        let go = went(&uploading(true), &event, at(0.5), &policy());
        assert!(back(&go).0 > 1 << 60, "held at the end of time");
    }
}

/// How many retries a file gets that always fails alike, and the waits.
fn until_given_up(verdict: Verdict, chance: f64) -> (Vec<i64>, Go) {
    let mut waits = Vec::new();
    let mut from = fresh(NOW);
    loop {
        let go = went(&from, &answer(verdict.clone()), at(chance), &policy());
        let State::Queued { not_before, tries } = go.next else {
            return (waits, go);
        };
        waits.push((not_before.0 - NOW) / 1_000);
        assert_eq!(tries.strikes as usize, waits.len());
        assert_eq!(tries.failures as usize, waits.len());
        assert!(waits.len() < 100, "never given up");
        from = with(tries);
    }
}

#[test]
fn a_conflict_is_tried_again_three_times_then_rejected() {
    let (waits, go) = until_given_up(limit(3, Then::Rejected), 1.0);
    assert_eq!(waits, [1, 2, 4]);
    let code = Code::http(418);
    assert_eq!(go.next, State::Rejected { code });
}

#[test]
fn a_server_error_is_tried_again_eight_times_over_an_hour_and_more() {
    let (waits, go) = until_given_up(limit(8, Then::Exhausted), 1.0);
    assert_eq!(waits, [4, 32, 256, 900, 900, 900, 900, 900]);
    let code = Code::http(418);
    assert_eq!(go.next, State::Exhausted { code });
    let (least, _) = until_given_up(limit(8, Then::Exhausted), 0.0);
    assert_eq!(least, [3, 25, 204, 720, 720, 720, 720, 720]);
    assert!(least.iter().sum::<i64>() > 3_600);
}

#[test]
fn an_upload_cannot_be_lost() {
    let (waits, go) = until_given_up(limit(2, Then::Lost), 1.0);
    assert_eq!(waits.len(), 2);
    assert_eq!(go.next.kind(), StateKind::Exhausted);
}

#[test]
fn age_ends_retries_without_a_limit_and_no_others() {
    let failing = |ago: u64| {
        with(Tries {
            since: Timestamp(NOW - i64::try_from(ago).unwrap()),
            ..tries()
        })
    };
    let limit_ms = 72 * HOUR * 1_000;
    let kind = |from: &State, verdict: Verdict| {
        went(from, &answer(verdict), at(0.5), &policy()).next.kind()
    };
    let retry = || Verdict::Retry(None);
    assert_eq!(kind(&failing(limit_ms), retry()), StateKind::Queued);
    assert_eq!(kind(&failing(limit_ms + 1), retry()), StateKind::Exhausted);
    let counted = limit(8, Then::Exhausted);
    assert_eq!(kind(&failing(limit_ms * 2), counted), StateKind::Queued);
    assert_eq!(
        kind(&failing(limit_ms * 2), Verdict::Hold),
        StateKind::Queued
    );
}

#[test]
fn age_counts_from_the_first_failure_and_not_from_waiting() {
    // Queued a month ago, behind a closed gate ever since.
    let waited = fresh(NOW - 30 * 24 * 3_600_000);
    for verdict in [
        Verdict::Retry(None),
        limit(8, Then::Exhausted),
        Verdict::Unconfirmed,
    ] {
        let go = went(&waited, &answer(verdict), at(0.5), &policy());
        let (_, tries) = back(&go);
        assert_eq!((tries.since, tries.failures), (Timestamp(NOW), 1));
        let later = Moment {
            now: Timestamp(NOW + 60_000),
            chance: 0.5,
        };
        let go = went(
            &with(tries),
            &answer(Verdict::Retry(None)),
            later,
            &policy(),
        );
        let (_, tries) = back(&go);
        assert_eq!((tries.since, tries.failures), (Timestamp(NOW), 2));
    }
}

#[test]
fn a_held_file_is_unharmed_and_due_when_the_gate_opens() {
    let mut judgement = judged(Verdict::Hold);
    judgement.pause = Some(ONCE);
    judgement.retry_after = Some(secs(500));
    let go = went(
        &uploading(true),
        &Event::Judged(judgement),
        at(0.5),
        &policy(),
    );
    assert_eq!(back(&go), (0, tries()));
    assert!(!go.possible_duplicate);
}

#[test]
fn a_file_that_no_gate_holds_waits_by_itself() {
    for pause in [None, Some(Pause { after: 2, ..ONCE })] {
        let mut judgement = judged(Verdict::Hold);
        judgement.pause = pause;
        let event = Event::Judged(judgement);
        let (wait, after) = back(&went(&uploading(true), &event, at(0.5), &policy()));
        assert_eq!((wait, after), (16_000, tries()), "and is not blamed");
    }
}

#[test]
fn a_lost_answer_is_settled_by_policy() {
    // After a crash as after any failure; after a lost answer a minute at least,
    // and twice as long each time.
    for (event, expected) in [
        (Event::Recovered, 2_000),
        (answer(Verdict::Unconfirmed), 132_000),
    ] {
        let go = went(&uploading(true), &event, at(0.5), &policy());
        let (wait, after) = back(&go);
        assert_eq!(wait, expected);
        assert_eq!(
            after,
            Tries {
                failures: 3,
                resends: 2,
                ..tries()
            }
        );
        assert!(go.possible_duplicate, "it is recorded as such");

        let often = with(Tries {
            resends: 3,
            ..tries()
        });
        let hold = Policy {
            unconfirmed: OnUnconfirmed::Hold,
            ..policy()
        };
        for (from, policy) in [(&often, policy()), (&uploading(true), hold)] {
            let go = went(from, &event, at(0.5), &policy);
            let attempt = AttemptId(7);
            assert_eq!(go.next, State::Unconfirmed { attempt });
            assert!(!go.possible_duplicate && go.source.is_none());
        }
    }
}

#[test]
fn each_resend_waits_longer_and_none_less_than_the_first_wait() {
    let mut state = with(Tries::new(Timestamp(NOW)));
    let mut waits = Vec::new();
    for chance in [0.0, 0.0, 0.99] {
        let event = answer(Verdict::Unconfirmed);
        let (wait, tries) = back(&went(&state, &event, at(chance), &policy()));
        waits.push(wait);
        state = with(tries);
    }
    assert_eq!(waits, [60_000, 120_000, 287_520]);
}

/// A probe goes while all others wait: what comes of it is its gate's matter.
#[test]
fn a_probe_costs_its_file_nothing() {
    let probe = |verdict| {
        let judgement = Judgement {
            probe: true,
            ..judged(verdict)
        };
        went(
            &uploading(true),
            &Event::Judged(judgement),
            at(0.5),
            &policy(),
        )
    };
    for verdict in [
        Verdict::Retry(None),
        limit(1, Then::Exhausted),
        limit(1, Then::Rejected),
        Verdict::Unconfirmed,
    ] {
        let doubt = verdict == Verdict::Unconfirmed;
        let go = probe(verdict);
        assert_eq!(back(&go).1, tries(), "nothing is counted");
        assert_eq!(go.possible_duplicate, doubt);
    }
    let old = with(Tries {
        since: Timestamp(NOW - 1_000_000_000),
        resends: 3,
        ..tries()
    });
    for verdict in [Verdict::Retry(None), Verdict::Unconfirmed] {
        let judgement = Judgement {
            probe: true,
            ..judged(verdict)
        };
        let go = went(&old, &Event::Judged(judgement), at(0.5), &policy());
        assert_eq!(go.next.kind(), StateKind::Queued);
    }
}

#[test]
fn what_may_be_there_is_marked_when_it_goes_again() {
    for may_be_taken in [false, true] {
        for verdict in [Verdict::Retry(None), limit(8, Then::Exhausted)] {
            let judgement = Judgement {
                may_be_taken,
                ..judged(verdict)
            };
            let go = went(
                &uploading(true),
                &Event::Judged(judgement),
                at(0.5),
                &policy(),
            );
            assert_eq!(go.possible_duplicate, may_be_taken);
        }
    }
}

#[test]
fn what_ends_without_a_request_says_why() {
    let queued = &states()[0].1;
    for (event, next) in [
        (
            Event::Unsupported("a zip".into()),
            State::Unsupported {
                kind: ReasonKind::Unlisted,
                reason: "a zip".to_owned(),
            },
        ),
        (
            Event::Changed {
                newer: Some(FileId(6)),
            },
            State::Superseded { by: FileId(6) },
        ),
        (
            Event::Replaced { by: FileId(9) },
            State::Superseded { by: FileId(9) },
        ),
    ] {
        assert_eq!(went(queued, &event, at(0.5), &policy()).next, next);
    }
    for imported in [false, true] {
        let same = Event::SameAs {
            of: FileId(5),
            imported,
        };
        let go = went(queued, &same, at(0.5), &policy());
        assert_eq!(go.next, State::Duplicate { of: FileId(5) });
    }
    let newer = Event::Changed {
        newer: Some(FileId(6)),
    };
    let go = went(&uploading(false), &newer, at(0.5), &policy());
    assert_eq!(go.next, State::Superseded { by: FileId(6) });
}

#[test]
fn a_duplicate_whose_original_never_got_through_gets_its_own_try() {
    let duplicate = State::Duplicate { of: FileId(3) };
    let ended = Event::OriginalEnded {
        how: OriginalEnd::NotImported,
    };
    let go = went(&duplicate, &ended, at(0.5), &policy());
    assert_eq!(back(&go), (0, Tries::new(Timestamp(NOW))));
    assert!(!go.possible_duplicate);
}
