//! Random ways of a file: whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;
use crate::domain::error_table::{Follow, Holds, Lifts, Scope};

fn verdict() -> impl Strategy<Value = Verdict> {
    let then = prop_oneof![
        Just(Then::Rejected),
        Just(Then::Exhausted),
        Just(Then::Lost)
    ];
    let limit = (0u32..4, then).prop_map(|(times, then)| Limit { times, then });
    let state = prop_oneof![
        Just(TaskState::Pending),
        Just(TaskState::Success),
        Just(TaskState::Fail),
        Just(TaskState::Cancel),
        Just(TaskState::Unknown("?".to_owned())),
    ];
    prop_oneof![
        Just(Verdict::Done(Some(task()))),
        Just(Verdict::Done(None)),
        state.prop_map(Verdict::Task),
        Just(Verdict::Unchanged),
        prop::option::of(limit).prop_map(Verdict::Retry),
        Just(Verdict::Reject),
        Just(Verdict::Hold),
        Just(Verdict::Unconfirmed),
        Just(Verdict::Follow(Follow::Get, "https://x/".to_owned())),
    ]
}

fn judgement() -> impl Strategy<Value = Judgement> {
    let pause = (1u32..6).prop_map(|after| Pause {
        scope: Scope::Route,
        after,
        first: secs(1),
        max: secs(60),
        lifts: Lifts::Time,
        holds: Holds::Calls,
    });
    let wait = prop_oneof![(0u64..90_000).prop_map(secs), Just(Duration::MAX)];
    let flags = (any::<bool>(), any::<bool>());
    let parts = (
        verdict(),
        prop::option::of(pause),
        prop::option::of(wait),
        flags,
    );
    parts.prop_map(|(verdict, pause, retry_after, (probe, marks))| Judgement {
        pause,
        retry_after,
        probe,
        may_be_taken: marks && matches!(verdict, Verdict::Retry(_)),
        ..judged(verdict)
    })
}

fn event() -> impl Strategy<Value = Event> {
    let plain: Vec<Event> = events().into_iter().map(|(_, event)| event).collect();
    let begun = (0i64..1_000, any::<bool>()).prop_map(|(n, one_chunk)| Event::Begun {
        attempt: AttemptId(n),
        one_chunk,
    });
    prop_oneof![
        prop::sample::select(plain),
        begun,
        Just(Event::LastByte),
        judgement().prop_map(Event::Judged),
        judgement().prop_map(Event::Judged),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let unconfirmed = prop_oneof![
        (0u32..3, 1u64..100).prop_map(|(times, first)| OnUnconfirmed::Resend {
            times,
            first: secs(first),
        }),
        Just(OnUnconfirmed::Hold),
    ];
    (unconfirmed, 0u32..3).prop_map(|(unconfirmed, resubmit_failed)| Policy {
        unconfirmed,
        resubmit_failed,
        ..policy()
    })
}

fn moment() -> impl Strategy<Value = Moment> {
    let now = prop_oneof![
        0..2 * NOW,
        Just(i64::MAX),
        Just(i64::MIN),
        NOW..NOW + 86_400_000
    ];
    (now, 0.0f64..1.0).prop_map(|(now, chance)| Moment {
        now: Timestamp(now),
        chance,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        policy in policies(),
        way in prop::collection::vec((event(), moment()), 1..60),
    ) {
        let mut state = State::Queued { not_before: Timestamp(0), tries: Tries::new(Timestamp(0)) };
        for (event, at) in way {
            let kind = state.kind();
            let Step::Go(go) = step(&state, &event, at, &policy) else { continue };
            let next = go.next.kind();
            prop_assert!(
                !matches!(kind, StateKind::Succeeded | StateKind::Superseded | StateKind::Gone),
                "{kind} led to {next} by {event:?}"
            );
            // What ended moves on only by an operator, or because the blame,
            // or the original, turned out to be another's.
            if kind.is_final() {
                let may = match &event {
                    Event::Retry => true,
                    Event::Arrived { .. } => matches!(
                        kind,
                        StateKind::Unconfirmed | StateKind::Lost | StateKind::Untracked
                    ),
                    Event::Returned => kind == StateKind::Rejected,
                    Event::OriginalEnded { .. } => kind == StateKind::Duplicate,
                    _ => false,
                };
                prop_assert!(may, "{kind} led to {next} by {event:?}");
            }
            let may_be_taken = matches!(state, State::Uploading { last_byte_sent: true, .. });
            let lost_answer = match &event {
                Event::Recovered => true,
                Event::Judged(judgement) => judgement.verdict == Verdict::Unconfirmed,
                _ => false,
            };
            if policy.unconfirmed == OnUnconfirmed::Hold && may_be_taken && lost_answer {
                prop_assert_eq!(next, StateKind::Unconfirmed);
            }
            if may_be_taken && lost_answer && next == StateKind::Queued {
                prop_assert!(go.possible_duplicate);
            }
            if go.possible_duplicate {
                prop_assert_eq!(next, StateKind::Queued);
                prop_assert!(go.source.is_none(), "what goes out again must stay");
            }
            if let State::Queued { not_before, tries } = &go.next {
                if let OnUnconfirmed::Resend { times, .. } = policy.unconfirmed {
                    prop_assert!(tries.resends <= times);
                }
                prop_assert!(tries.resubmits <= policy.resubmit_failed);
                prop_assert!(*not_before >= at.now, "nothing is due in the past");
            }
            if let State::Submitted { next_poll, polls, .. } = &go.next {
                let asked_at_once = matches!(event, Event::Arrived { .. });
                let later = *next_poll > at.now || asked_at_once && *next_poll == at.now;
                prop_assert!(at.now == Timestamp(i64::MAX) || later);
                prop_assert!(polls.missing <= 4);
            }
            state = go.next;
        }
    }
}
