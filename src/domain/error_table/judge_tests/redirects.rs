//! Redirects: how far, where to, and what a 303 has proved.

use super::*;

fn by_way(hops: u8, see_other: bool, call: Call, outcome: &Outcome) -> Judgement {
    ErrorTable::default().judge(call, outcome, Trail { hops, see_other })
}

#[test]
fn three_hops_are_followed_and_no_more() {
    for (status, how) in [(303, Follow::Get), (307, Follow::Same)] {
        let outcome = to(status, here());
        for call in [UP, ASK] {
            for hops in 0..3 {
                let judged = by_way(hops, false, call, &outcome);
                let to = "https://s/x".to_owned();
                assert_eq!(judged.verdict, Verdict::Follow(how, to), "hop {hops}");
                assert_eq!(judged.pause, None);
            }
            for hops in [3, 4, u8::MAX] {
                let judged = by_way(hops, false, call, &outcome);
                let taken = status == 303 && call == UP;
                let expected = if taken {
                    Verdict::Unconfirmed
                } else {
                    Verdict::Hold
                };
                assert_eq!(judged.verdict, expected, "hop {hops}");
                let pause = " | service x1 15m..6h or other settings";
                assert!(line(&judged).ends_with(pause), "{judged:?}");
                assert!(judged.why.contains("more than 3 times"), "{}", judged.why);
                assert_eq!(judged.code.as_str(), format!("HTTP-{status}"));
            }
        }
    }
}

#[test]
fn another_origin_is_named_and_never_followed() {
    for status in [303, 307, 301, 308, 302] {
        for hops in [0, 3] {
            for call in [UP, ASK] {
                let judged = by_way(hops, false, call, &to(status, abroad()));
                assert!(!matches!(judged.verdict, Verdict::Follow(..)));
                assert!(judged.why.contains("https://evil/"), "{}", judged.why);
                assert!(judged.pause.is_some());
            }
        }
    }
}

#[test]
fn a_303_has_taken_the_upload_so_nothing_after_it_sends_it_again() {
    #[rustfmt::skip]
    let table = [
        (with(200, success()),      Verdict::Done(Some(task()))),
        (with(204, Body::Empty),    Verdict::Done(None)),
        (with(304, Body::Empty),    Verdict::Done(None)),
        (to(303, here()),           Verdict::Follow(Follow::Get, "https://s/x".to_owned())),
        (to(307, here()),           Verdict::Unconfirmed),
        (to(303, abroad()),         Verdict::Unconfirmed),
        (with(200, html()),         Verdict::Unconfirmed),
        (status(400),               Verdict::Unconfirmed),
        (status(401),               Verdict::Unconfirmed),
        (status(404),               Verdict::Unconfirmed),
        (status(413),               Verdict::Unconfirmed),
        (status(503),               Verdict::Unconfirmed),
        (code(200, "OPS40004"),     Verdict::Unconfirmed),
        (no_connection(),           Verdict::Unconfirmed),
        (broken(false),             Verdict::Unconfirmed),
        (broken(true),              Verdict::Unconfirmed),
    ];
    for (outcome, verdict) in table {
        assert_eq!(
            by_way(1, true, UP, &outcome).verdict,
            verdict,
            "{outcome:?}"
        );
    }
    // A query takes nothing: it is just asked again.
    assert_eq!(
        by_way(1, true, ASK, &status(503)).verdict,
        Verdict::Retry(None)
    );
    // The pause is the row's own all the same.
    let down = by_way(1, true, UP, &status(503));
    assert_eq!(down.pause.unwrap().scope, Scope::Service);
}
