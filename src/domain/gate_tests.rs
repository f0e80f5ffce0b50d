//! Gates: what closes, widens and opens them, and who gets the blame. Streaks
//! are in `streaks`, random answers and times in `model`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::answer::TaskState;
use crate::domain::error_table::Limit;
use crate::domain::ids::{FolderName, TaskId};
use crate::domain::media::Media;

#[path = "gate_tests/model.rs"]
mod model;
#[path = "gate_tests/streaks.rs"]
mod streaks;

const T0: i64 = 1_000_000;
const PROBE: FileId = FileId(1);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// So many milliseconds after the start, without spread.
fn at(ms: i64) -> Moment {
    Moment {
        now: Timestamp(T0 + ms),
        chance: 0.0,
    }
}

fn pause(scope: Scope, after: u32) -> Pause {
    Pause {
        scope,
        after,
        first: secs(10),
        max: secs(60),
        lifts: Lifts::Time,
        holds: Holds::Calls,
    }
}

fn said(verdict: Verdict, code: u16, pause: Option<Pause>) -> Judgement {
    let call = match verdict {
        Verdict::Task(_) | Verdict::Unchanged => Call::Query,
        _ => Call::Upload,
    };
    Judgement {
        verdict,
        code: Code::http(code),
        why: format!("why {code}"),
        advice: "",
        pause,
        retry_after: None,
        heard: true,
        call,
        may_be_taken: false,
        probe: false,
    }
}

/// A failure that closes its scope's gate at once.
fn fails(scope: Scope) -> Judgement {
    said(Verdict::Hold, 503, Some(pause(scope, 1)))
}

fn taken() -> Judgement {
    said(Verdict::Done(TaskId::new("t")), 200, None)
}

fn unheard(verdict: Verdict) -> Judgement {
    Judgement {
        heard: false,
        ..said(verdict, 0, None)
    }
}

fn way() -> Way {
    let on = |fingerprint: &str| OnTheWay {
        gate: Gate::default(),
        fingerprint: fingerprint.to_owned(),
    };
    Way {
        service: on("s"),
        dataset: on("d"),
        route: on("r"),
    }
}

const SCOPES: [Scope; 3] = [Scope::Service, Scope::Dataset, Scope::Route];

fn here(way: &mut Way, scope: Scope) -> &mut Gate {
    match scope {
        Scope::Service => &mut way.service.gate,
        Scope::Dataset => &mut way.dataset.gate,
        Scope::Route => &mut way.route.gate,
    }
}

/// A way on which only this gate is closed, since the start, for ten seconds.
fn closed(scope: Scope) -> Way {
    let mut way = way();
    let _ = weigh(&mut way, FileId(99), fails(scope), at(0));
    way
}

/// The same, with the probe out.
fn probing(scope: Scope) -> Way {
    let mut way = closed(scope);
    here(&mut way, scope).probe(PROBE);
    way
}

/// Milliseconds from the start to the probe, and the level.
fn until(gate: &Gate) -> (i64, u32) {
    let closed = gate.closed().expect("it is closed");
    (closed.until.0 - T0, closed.level)
}

#[test]
fn an_answer_closes_the_gate_that_it_names_and_no_other() {
    for scope in SCOPES {
        let mut way = closed(scope);
        for other in SCOPES {
            let open = here(&mut way, other).status == Status::Open;
            assert_eq!(open, other != scope);
        }
        let fingerprint = match scope {
            Scope::Service => "s",
            Scope::Dataset => "d",
            Scope::Route => "r",
        };
        let expected = Closed {
            since: Timestamp(T0),
            until: Timestamp(T0 + 10_000),
            level: 1,
            code: Code::http(503),
            why: "why 503".to_owned(),
            lifts: Lifts::Time,
            fingerprint: fingerprint.to_owned(),
            first: secs(10),
            max: secs(60),
            holds: Holds::Calls,
        };
        let gate = here(&mut way, scope);
        assert_eq!(gate.closed(), Some(&expected));
        assert_eq!(gate.streak, None);
    }
}

#[test]
fn nobody_passes_before_the_time_then_one_probe_does() {
    let mut gate = Gate::default();
    assert_eq!(gate.admits(Timestamp(T0)), Admission::Open);
    gate.probe(PROBE);
    assert_eq!(gate.status, Status::Open, "an open gate needs no probe");

    let mut gate = closed(Scope::Service).service.gate;
    let until = Some(Timestamp(T0 + 10_000));
    assert_eq!(gate.admits(Timestamp(T0)), Admission::Closed { until });
    assert_eq!(
        gate.admits(Timestamp(T0 + 9_999)),
        Admission::Closed { until }
    );
    assert_eq!(gate.admits(Timestamp(T0 + 10_000)), Admission::Probe);
    gate.probe(PROBE);
    assert!(gate.is_probed_by(PROBE) && !gate.is_probed_by(FileId(2)));
    for later in [0, 10_000, i64::MAX / 2] {
        let nobody = Admission::Closed { until: None };
        assert_eq!(gate.admits(Timestamp(T0 + later)), nobody);
    }
    gate.probe(FileId(2));
    assert!(gate.is_probed_by(PROBE), "one at a time");
    assert_eq!(gate.closed().unwrap().level, 1);
}

#[test]
fn a_probe_that_was_not_sent_leaves_the_gate_as_it_was() {
    let mut gate = probing(Scope::Route).route.gate;
    gate.probe_returned(FileId(2));
    assert!(
        gate.is_probed_by(PROBE),
        "another file's return says nothing"
    );
    gate.probe_returned(PROBE);
    assert_eq!(gate, closed(Scope::Route).route.gate);
    assert_eq!(gate.admits(Timestamp(T0 + 10_000)), Admission::Probe);
    let mut open = Gate::default();
    open.probe_returned(PROBE);
    assert_eq!(open, Gate::default());
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_the_longest() {
    for scope in SCOPES {
        let mut way = closed(scope);
        let mut now = 10_000;
        for (level, wait) in [(2, 20), (3, 40), (4, 60), (5, 60)] {
            here(&mut way, scope).probe(PROBE);
            let weighed = weigh(&mut way, PROBE, fails(scope), at(now));
            assert_eq!(weighed.returned, []);
            assert_eq!(until(here(&mut way, scope)), (now + wait * 1_000, level));
            let since = here(&mut way, scope).closed().unwrap().since;
            assert_eq!(since, Timestamp(T0), "closed since the first failure");
            now += wait * 1_000;
        }
    }
    assert_eq!(wait(secs(10), secs(60), u32::MAX), secs(60));
    assert_eq!(wait(secs(10), Duration::MAX, 40).as_secs(), 10 << 31);
    assert_eq!(wait(secs(10), secs(60), 0), secs(10));
}

#[test]
fn a_reopened_gate_starts_with_the_first_wait_again() {
    let mut way = probing(Scope::Service);
    let _ = weigh(&mut way, PROBE, fails(Scope::Service), at(10_000));
    way.service.gate.probe(PROBE);
    let _ = weigh(&mut way, PROBE, taken(), at(30_000));
    assert_eq!(way.service.gate, Gate::default());
    let _ = weigh(&mut way, PROBE, fails(Scope::Service), at(40_000));
    assert_eq!(until(&way.service.gate), (50_000, 1));
}

#[test]
fn retry_after_is_the_wait_a_little_late_and_never_early() {
    for (asked, chance, wait) in [
        (5, 0.0, 5_000),
        (5, 1.0, 5_500),
        (100, 0.0, 100_000),
        (100, 0.5, 101_500),
        (86_400, 1.0, 86_403_000),
    ] {
        let mut way = way();
        let mut judgement = fails(Scope::Dataset);
        judgement.retry_after = Some(secs(asked));
        let moment = Moment { chance, ..at(0) };
        let _ = weigh(&mut way, PROBE, judgement, moment);
        assert_eq!(until(&way.dataset.gate), (wait, 1), "{asked} s");
    }
    let mut spread = way();
    let late = Moment {
        chance: 1.0,
        ..at(0)
    };
    let _ = weigh(&mut spread, PROBE, fails(Scope::Service), late);
    assert_eq!(until(&spread.service.gate).0, 11_000);
}

#[test]
fn answers_of_files_sent_before_it_closed_hold_their_files() {
    let reject = || said(Verdict::Reject, 400, Some(pause(Scope::Route, 5)));
    for mut way in [closed(Scope::Route), probing(Scope::Route)] {
        let before = way.route.gate.clone();
        let weighed = weigh(&mut way, FileId(2), reject(), at(1));
        assert_eq!(weighed.judgement.verdict, Verdict::Hold);
        assert_eq!(weighed.returned, []);
        assert_eq!(way.route.gate, before, "it knew already");
        for verdict in [
            Verdict::Retry(None),
            Verdict::Unconfirmed,
            Verdict::Hold,
            Verdict::Done(None),
        ] {
            let judgement = said(verdict.clone(), 400, Some(pause(Scope::Route, 5)));
            let weighed = weigh(&mut way, FileId(2), judgement, at(1));
            assert_eq!(weighed.judgement.verdict, verdict, "only the blame moves");
        }
        // Another scope's rejection is not this gate's business.
        let plain = said(Verdict::Reject, 413, None);
        let weighed = weigh(&mut way, FileId(2), plain, at(1));
        assert_eq!(weighed.judgement.verdict, Verdict::Reject);
        let weighed = weigh(&mut way, FileId(3), taken(), at(2));
        assert_eq!(weighed.judgement, taken());
        assert_eq!(way.route.gate, before, "only the probe opens it");
    }
}

#[test]
fn a_later_answer_can_only_ask_for_a_longer_wait() {
    for (asked, expected) in [(5, 10_000), (9, 10_000), (10, 11_000), (30, 31_000)] {
        let mut way = closed(Scope::Service);
        let mut judgement = fails(Scope::Service);
        judgement.retry_after = Some(secs(asked));
        let _ = weigh(&mut way, FileId(2), judgement.clone(), at(1_000));
        assert_eq!(until(&way.service.gate), (expected, 1), "{asked} s");
        let mut out = probing(Scope::Service);
        let before = out.service.gate.clone();
        let _ = weigh(&mut out, FileId(2), judgement, at(1_000));
        assert_eq!(out.service.gate, before);
    }
}

/// What the probe's answer does to the gate that it was sent for.
#[test]
fn what_a_probes_answer_says_about_its_gate() {
    use Scope::{Dataset, Route, Service};
    let net = Judgement {
        heard: false,
        ..fails(Service)
    };
    let reject = || said(Verdict::Reject, 413, None);
    let limited = Verdict::Retry(Some(Limit {
        times: 3,
        then: crate::domain::error_table::Then::Rejected,
    }));
    let counted = said(Verdict::Reject, 400, Some(pause(Route, 5)));
    let query = |verdict| said(verdict, 200, None);
    const NOW: i64 = 15_000;
    // Open: `None`. Else when the next probe may go, and the level.
    let kept = Some((10_000, 1));
    let again = Some((NOW + 10_000, 1));
    let wider = Some((NOW + 20_000, 2));
    #[rustfmt::skip]
    let table = [
        // the answer                     service  dataset  route
        (taken(),                         [None,   None,    None]),
        (said(Verdict::Done(None), 204, None), [None, None, None]),
        (reject(),                        [None,   None,    None]),
        (said(limited, 409, None),        [None,   None,    None]),
        (fails(Service),                  [wider,  kept,    kept]),
        (fails(Dataset),                  [None,   wider,   kept]),
        (fails(Route),                    [None,   None,    wider]),
        (counted,                         [None,   None,    wider]),
        (net,                             [wider,  kept,    kept]),
        (unheard(Verdict::Unconfirmed),   [again,  again,   again]),
        (unheard(Verdict::Retry(None)),   [again,  again,   again]),
        (query(Verdict::Task(TaskState::Pending)), [None, None, kept]),
        (query(Verdict::Unchanged),       [None,   None,    kept]),
    ];
    for (judgement, expected) in table {
        for (scope, expected) in SCOPES.into_iter().zip(expected) {
            let mut way = probing(scope);
            let _ = weigh(&mut way, PROBE, judgement.clone(), at(NOW));
            let gate = here(&mut way, scope);
            let got = gate.closed().map(|_| until(gate));
            assert_eq!(got, expected, "{scope}: {judgement:?}");
            assert!(!gate.is_probed_by(PROBE), "the probe is back");
        }
    }
}

#[test]
fn a_rejected_probe_is_held_while_its_route_is_to_blame() {
    let mut way = probing(Scope::Route);
    let counted = said(Verdict::Reject, 400, Some(pause(Scope::Route, 5)));
    let weighed = weigh(&mut way, PROBE, counted, at(10_000));
    assert_eq!(weighed.judgement.verdict, Verdict::Hold);
    assert_eq!(weighed.returned, []);
}

#[test]
fn other_settings_open_what_waits_for_them() {
    for lifts in [Lifts::Time, Lifts::KeyChange, Lifts::ConfigChange] {
        for probe_out in [false, true] {
            let mut way = way();
            let mut judgement = fails(Scope::Dataset);
            judgement.pause = Some(Pause {
                lifts,
                ..pause(Scope::Dataset, 1)
            });
            let _ = weigh(&mut way, FileId(9), judgement, at(0));
            let mut gate = way.dataset.gate;
            if probe_out {
                gate.probe(PROBE);
            }
            let before = gate.clone();
            assert!(!gate.settings_are("d"), "the same settings change nothing");
            assert_eq!(gate, before);
            let lifted = gate.settings_are("other");
            assert_eq!(lifted, lifts != Lifts::Time);
            let expected = if lifted { Gate::default() } else { before };
            assert_eq!(gate, expected);
        }
    }
    assert!(!Gate::default().settings_are("other"));
}

#[test]
fn a_gate_has_a_name_and_a_scope() {
    let route = Route {
        folder: FolderName("in".to_owned()),
        media: Media::ALL[0],
    };
    let name = format!("route:in/{}", Media::ALL[0]);
    #[rustfmt::skip]
    let table = [
        (GateKey::Service, "service".to_owned(), Scope::Service),
        (GateKey::Dataset(DatasetName("main".to_owned())), "dataset:main".to_owned(), Scope::Dataset),
        (GateKey::Route(route), name, Scope::Route),
    ];
    for (key, name, scope) in table {
        assert_eq!((key.to_string(), key.scope()), (name, scope));
    }
}
