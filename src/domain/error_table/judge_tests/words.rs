//! The words and labels that people get, and the table's own completeness.

use super::*;

fn why(outcome: &Outcome) -> String {
    judge(UP, outcome).why
}

#[test]
fn the_services_own_words_follow_the_tables() {
    let said = |status, message: &str| {
        let body = Body::Envelope {
            code: "0".to_owned(),
            message: Some(message.to_owned()),
            task: None,
            task_state: None,
            opt_result: None,
        };
        Outcome::Answer(answer(status, body))
    };
    assert_eq!(why(&said(409, "busy")), "state conflict: busy");
    assert_eq!(why(&said(409, "")), "state conflict");
    assert_eq!(why(&status(409)), "state conflict");
    assert_eq!(why(&with(409, html())), "state conflict: HTML");
    assert_eq!(why(&with(409, Body::Empty)), "state conflict");
    let moved = "moved for good: https://evil/";
    assert_eq!(why(&to(301, abroad())), moved);
    assert_eq!(why(&to(301, here())), "moved for good: https://s/x");
    let html = Outcome::Answer(Answer {
        location: abroad(),
        ..answer(301, html())
    });
    assert_eq!(why(&html), moved);
    let Outcome::Answer(said) = said(301, "gone west") else {
        unreachable!()
    };
    let said = Outcome::Answer(Answer {
        location: abroad(),
        ..said
    });
    assert_eq!(why(&said), "moved for good: gone west: https://evil/");
    assert!(why(&no_connection()).ends_with("nothing was sent: no address"));
    assert!(why(&broken(true)).ends_with("may have it: reset"));
}

#[test]
fn every_outcome_has_its_label() {
    #[rustfmt::skip]
    let table = [
        (with(200, success()),     "0"),
        (with(204, Body::Empty),   "NO-TASK-ID"),
        (status(200),              "NO-TASK-ID"),
        (with(200, html()),        "NOT-THE-SERVICE"),
        (with(206, html()),        "HTTP-206"),
        (code(200, "OPS40001"),    "OPS40001"),
        (code(400, "OPS49999"),    "OPS49999"),
        (code(400, "E17"),         "HTTP-400"),
        (code(422, "OPS40004"),    "HTTP-422"),
        (code(200, "a b\n"),       "a_b_"),
        (code(200, ""),            "_"),
        (to(307, abroad()),        "HTTP-307"),
        (status(503),              "HTTP-503"),
        (no_connection(),          "NO-CONNECTION"),
        (broken(false),            "BROKEN-OFF"),
        (broken(true),             "NO-ANSWER"),
    ];
    for (outcome, label) in table {
        assert_eq!(judge(UP, &outcome).code.as_str(), label, "{outcome:?}");
    }
    // What a success is depends on what was asked for.
    let stateless = judge(ASK, &status(200));
    assert_eq!(stateless.code.as_str(), "HTTP-200");
    assert_eq!(stateless.why, "an answer without a state");
}

#[test]
fn advice_comes_from_the_row() {
    let judged = judge(UP, &status(405));
    assert!(judged.advice.contains("endpoint path"));
    assert_eq!(judge(UP, &status(409)).advice, "");
}

/// An outcome for each row: none is there for nothing.
#[test]
fn every_row_decides_about_something() {
    let table = ErrorTable::default();
    let outcome = |on: &On| match on {
        On::Success => with(200, success()),
        On::NoTask => with(204, Body::Empty),
        On::NotEnvelope => with(200, html()),
        On::OtherTask => with(200, other_task()),
        On::Message(_) => unreachable!("only the configuration has such a row"),
        On::Elsewhere => to(307, abroad()),
        On::TooManyHops => to(307, here()),
        On::Status(status @ (303 | 307)) => to(*status, here()),
        On::Status(status) => with(*status, Body::Empty),
        On::Class(hundred) => status(hundred * 100 + 77),
        On::Code(known) => code(200, known),
        On::CodeClass(prefix) => code(200, &format!("{prefix}9999")),
        On::OtherCode => code(200, "X"),
        On::NoConnection => no_connection(),
        On::BrokenBefore => broken(false),
        On::BrokenAfter => broken(true),
    };
    for row in TABLE {
        assert!(!row.meaning.is_empty(), "{}", row.on);
        let calls = match row.calls {
            Calls::Any => vec![UP, ASK],
            Calls::Upload => vec![UP],
            Calls::Query => vec![ASK],
        };
        for call in calls {
            assert_eq!(table.row(call, &row.on), row, "{}", row.on);
            let hops = if row.on == On::TooManyHops { 3 } else { 0 };
            let trail = Trail {
                hops,
                see_other: false,
            };
            let judged = table.judge(call, &outcome(&row.on), trail);
            assert!(
                judged.why.starts_with(row.meaning),
                "{}: {judged:?}",
                row.on
            );
        }
        if let Some(pause) = row.pause {
            assert!(pause.after >= 1 && !pause.first.is_zero() && pause.first <= pause.max);
            let protects = row.rule == Rule::Reject;
            assert_eq!(
                protects,
                pause.scope == Scope::Route && pause.after == 5,
                "only rejections are counted before a route is closed: {}",
                row.on
            );
        }
        let held = row.rule == Rule::Hold;
        assert!(
            !held || row.pause.is_some_and(|p| p.after == 1),
            "{}",
            row.on
        );
    }
}

#[test]
fn every_match_has_a_name_of_its_own() {
    #[rustfmt::skip]
    let names = [
        (On::Success, "success"), (On::NoTask, "no-task-id"), (On::NotEnvelope, "not-envelope"),
        (On::Elsewhere, "redirect-elsewhere"), (On::TooManyHops, "redirect-loop"),
        (On::Status(404), "404"), (On::Class(4), "4xx"), (On::Code("OPS40001".into()), "OPS40001"),
        (On::CodeClass("OPS4"), "OPS4…"), (On::OtherCode, "other-code"),
        (On::NoConnection, "no-connection"), (On::BrokenBefore, "broken-before-last-byte"),
        (On::BrokenAfter, "broken-after-last-byte"),
    ];
    for (on, name) in names {
        assert_eq!(on.to_string(), name);
    }
    let scopes = [Scope::Route, Scope::Dataset, Scope::Service].map(|s| format!("{s:>8}"));
    assert_eq!(scopes, ["   route", " dataset", " service"]);
}
