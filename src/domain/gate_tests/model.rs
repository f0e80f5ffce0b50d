//! Random answers at random times for several files on one way: what must
//! hold for the gates whatever the service says.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    /// Time goes by.
    Wait(u64),
    /// This file would like to be sent.
    Send(i64),
    /// One of those under way is answered.
    Answer(usize, Judgement),
    /// One of those under way comes back unsent.
    Release(usize),
    /// The settings of everything change.
    Settings(u8),
}

fn judgement() -> impl Strategy<Value = Judgement> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Reject),
        2 => Just(Verdict::Hold),
        2 => Just(Verdict::Retry(None)),
        1 => Just(Verdict::Unconfirmed),
        1 => Just(Verdict::Task(TaskState::Pending)),
        2 => Just(Verdict::Done(None)),
    ];
    let scope = prop::sample::select(SCOPES.to_vec());
    let after = prop::sample::select(vec![1u32, 1, 3, 5]);
    let lifts = prop::sample::select(vec![Lifts::Time, Lifts::KeyChange, Lifts::ConfigChange]);
    let pause = (scope, after, lifts, 1u64..100, 1u64..10).prop_map(
        |(scope, after, lifts, first, times)| Pause {
            scope,
            after,
            first: secs(first),
            max: secs(first * times),
            lifts,
            holds: Holds::Calls,
        },
    );
    let asked = prop::option::weighted(0.2, (1u64..86_400).prop_map(secs));
    let pause = prop::option::weighted(0.7, pause);
    (verdict, 400u16..403, pause, asked, any::<bool>()).prop_map(
        |(verdict, code, pause, retry_after, heard)| {
            let success = matches!(verdict, Verdict::Done(_) | Verdict::Task(_));
            Judgement {
                retry_after,
                heard: heard || success,
                ..said(verdict, code, pause.filter(|_| !success))
            }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0u64..200_000).prop_map(Act::Wait),
        4 => (1i64..9).prop_map(Act::Send),
        4 => (any::<usize>(), judgement()).prop_map(|(n, j)| Act::Answer(n, j)),
        1 => any::<usize>().prop_map(Act::Release),
        1 => (0u8..2).prop_map(Act::Settings),
    ]
}

/// What an answer did to one gate that was so before.
fn check(
    scope: Scope,
    before: &Gate,
    after: &Gate,
    file: FileId,
    judgement: &Judgement,
    at: Moment,
) -> Result<(), TestCaseError> {
    let named = judgement.pause.filter(|p| p.scope == scope);
    prop_assert!(!after.is_probed_by(file), "an answered probe is back");
    match (before.closed(), after.closed()) {
        (None, None) => {
            if let Some(streak) = &after.streak {
                prop_assert!(streak.files.len() < 5);
            }
        }
        (None, Some(now)) => {
            prop_assert!(named.is_some(), "closed by an answer that names it");
            prop_assert_eq!((now.level, now.since), (1, at.now));
            prop_assert_eq!(&now.code, &judgement.code);
        }
        (Some(_), None) => {
            prop_assert!(before.is_probed_by(file), "only the probe opens");
            prop_assert!(judgement.heard && named.is_none());
        }
        (Some(was), Some(now)) if before.is_probed_by(file) && named.is_some() => {
            prop_assert_eq!((now.level, now.since), (was.level + 1, was.since));
        }
        (Some(was), Some(now)) => {
            prop_assert_eq!(now.level, was.level, "only a failed probe widens");
            prop_assert!(now.until >= was.until, "nothing shortens a wait");
            if before.is_probed_by(file) {
                let success = matches!(judgement.verdict, Verdict::Done(_));
                prop_assert!(!success, "a probe that was taken opens");
            }
        }
    }
    if let (Some(now), Some(pause)) = (after.closed(), named)
        && (before.closed().is_none() || before.is_probed_by(file))
    {
        let waited = now.until.since(at.now);
        match judgement.retry_after {
            Some(asked) => {
                prop_assert!(waited >= asked && waited <= asked + secs(3));
            }
            None => {
                let doubled = pause.first * 2u32.pow((now.level - 1).min(10));
                let wait = doubled.min(pause.max);
                prop_assert!(waited >= wait && waited <= wait + secs(3));
            }
        }
    }
    Ok(())
}

fn gates(way: &Way) -> [(Scope, Gate); 3] {
    [
        (Scope::Service, way.service.gate.clone()),
        (Scope::Dataset, way.dataset.gate.clone()),
        (Scope::Route, way.route.gate.clone()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_whatever_the_service_says(
        acts in prop::collection::vec((act(), 0.0f64..1.0), 1..120),
    ) {
        let mut way = way();
        let mut out: Vec<FileId> = Vec::new();
        let mut now = Timestamp(T0);
        for (act, chance) in acts {
            let at = Moment { now, chance };
            match act {
                Act::Wait(ms) => now = now.plus(Duration::from_millis(ms)),
                Act::Send(n) => {
                    let file = FileId(n);
                    let admitted = |gate: &Gate| !matches!(gate.admits(now), Admission::Closed { .. });
                    if out.contains(&file) || !gates(&way).iter().all(|(_, g)| admitted(g)) {
                        continue;
                    }
                    for scope in SCOPES {
                        let gate = here(&mut way, scope);
                        if let Some(closed) = gate.closed() {
                            prop_assert!(closed.until <= now, "nobody before the time");
                        }
                        gate.probe(file);
                    }
                    out.push(file);
                }
                Act::Release(n) if !out.is_empty() => {
                    let file = out.remove(n % out.len());
                    for scope in SCOPES {
                        let gate = here(&mut way, scope);
                        let was = gate.closed().cloned();
                        gate.probe_returned(file);
                        prop_assert_eq!(gate.closed(), was.as_ref());
                    }
                }
                Act::Answer(n, judgement) if !out.is_empty() => {
                    let file = out.remove(n % out.len());
                    let before = gates(&way);
                    let weighed = weigh(&mut way, file, judgement.clone(), at);
                    for ((scope, before), (_, after)) in before.iter().zip(gates(&way)) {
                        check(*scope, before, &after, file, &judgement, at)?;
                    }
                    let named = judgement.pause.map(|p| here(&mut way, p.scope).closed().is_some());
                    if judgement.verdict == Verdict::Reject && named == Some(true) {
                        prop_assert_eq!(&weighed.judgement.verdict, &Verdict::Hold);
                    } else {
                        let probe = weighed.judgement.probe;
                        prop_assert_eq!(&weighed.judgement, &Judgement { probe, ..judgement });
                        prop_assert!(weighed.returned.is_empty());
                    }
                    prop_assert!(weighed.returned.len() < 5);
                    prop_assert!(!weighed.returned.contains(&file));
                }
                Act::Settings(n) => {
                    for here in [&mut way.service, &mut way.dataset, &mut way.route] {
                        here.fingerprint = n.to_string();
                        let waits = here.gate.closed().is_some_and(|c| c.lifts != Lifts::Time && c.fingerprint != here.fingerprint);
                        prop_assert_eq!(here.gate.settings_are(&here.fingerprint), waits);
                        prop_assert!(!waits || here.gate == Gate::default());
                    }
                }
                Act::Release(_) | Act::Answer(..) => {}
            }
            // A gate that is probed waits for a file that is on its way: none
            // can be stuck, and no two are out.
            for (_, gate) in gates(&way) {
                if let Status::Probing { file, .. } = gate.status {
                    prop_assert!(out.contains(&file));
                    prop_assert_eq!(gate.admits(Timestamp(i64::MAX)), Admission::Closed { until: None });
                }
            }
        }
    }
}
