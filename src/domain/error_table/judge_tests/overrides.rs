//! Overrides replace exactly what they name.

use super::*;

fn row(calls: Calls, on: On, rule: Rule) -> Row {
    Row {
        calls,
        on,
        meaning: "overridden",
        rule,
        pause: None,
        marks: false,
        advice: "",
    }
}

fn overridden(calls: Calls, on: On, rule: Rule) -> ErrorTable {
    let mut table = ErrorTable::default();
    table.override_row(row(calls, on, rule));
    table
}

/// The rows about `on`, as (calls, overridden).
fn about(table: &ErrorTable, on: &On) -> Vec<(Calls, bool)> {
    let rows = table.rows().iter().filter(|r| r.on == *on);
    rows.map(|r| (r.calls, r.meaning == "overridden")).collect()
}

#[test]
fn the_rows_of_the_same_answer_and_calls_are_replaced_and_no_others() {
    use Calls::{Any, Query, Upload};
    let (both, split) = (On::Status(409), On::Status(404));
    let (one, none) = (On::Status(206), On::Status(418));
    type Expected = &'static [(Calls, bool)];
    #[rustfmt::skip]
    let table: [(&On, Calls, Expected); 12] = [
        (&both,  Any,    &[(Any, true)]),
        (&both,  Upload, &[(Upload, true), (Query, false)]),
        (&both,  Query,  &[(Query, true), (Upload, false)]),
        (&split, Any,    &[(Any, true)]),
        (&split, Upload, &[(Upload, true), (Query, false)]),
        (&split, Query,  &[(Query, true), (Upload, false)]),
        (&one,   Any,    &[(Any, true)]),
        (&one,   Upload, &[(Upload, true)]),
        (&one,   Query,  &[(Query, true), (Upload, false)]),
        (&none,  Any,    &[(Any, true)]),
        (&none,  Upload, &[(Upload, true)]),
        (&none,  Query,  &[(Query, true)]),
    ];
    for (on, calls, expected) in table {
        let after = overridden(calls, on.clone(), Rule::Reject);
        assert_eq!(about(&after, on), expected, "{on} {calls:?}");
        let others = |t: &ErrorTable| -> Vec<Row> {
            let rows = t.rows().iter().filter(|r| r.on != *on);
            rows.cloned().collect()
        };
        assert_eq!(others(&after), others(&ErrorTable::default()));
        // It stands where the replaced one stood, or at the end.
        let place = |t: &ErrorTable| t.rows().iter().position(|r| r.on == *on);
        let end = TABLE.len();
        let before = place(&ErrorTable::default()).unwrap_or(end);
        assert_eq!(place(&after), Some(before), "{on}");
    }
}

#[test]
fn the_last_override_wins() {
    let on = On::Status(409);
    let mut table = overridden(Calls::Upload, on.clone(), Rule::Reject);
    table.override_row(row(Calls::Upload, on.clone(), Rule::Unconfirmed));
    assert_eq!(table.row(UP, &on).rule, Rule::Unconfirmed);
    assert_eq!(table.row(ASK, &on).meaning, "state conflict");
    assert_eq!(about(&table, &on).len(), 2);
    table.override_row(row(Calls::Any, on.clone(), Rule::Hold));
    assert_eq!(table.row(ASK, &on).rule, Rule::Hold);
    assert_eq!(about(&table, &on), [(Calls::Any, true)]);
}

#[test]
fn an_override_decides_for_its_call_alone() {
    let table = overridden(Calls::Upload, On::Status(500), Rule::Reject);
    let upload = table.judge(UP, &status(500), Trail::default());
    assert_eq!(line(&upload), "reject");
    let query = table.judge(ASK, &status(500), Trail::default());
    assert_eq!(line(&query), line(&judge(ASK, &status(500))));
}

#[test]
fn a_code_or_status_of_a_class_can_be_singled_out() {
    let single = On::Code("OPS41000".into());
    let table = overridden(Calls::Any, single, Rule::Retry { limit: None });
    let judged = |text| table.judge(UP, &code(400, text), Trail::default()).verdict;
    assert_eq!(judged("OPS41000"), Verdict::Retry(None));
    assert_eq!(judged("OPS41001"), Verdict::Reject);
    let table = overridden(Calls::Any, On::Class(4), Rule::Hold);
    let judged = |n| table.judge(UP, &status(n), Trail::default()).verdict;
    assert_eq!((judged(418), judged(413)), (Verdict::Hold, Verdict::Reject));
}

#[test]
fn no_override_can_send_an_upload_in_circles_or_abroad() {
    for how in [Follow::Same, Follow::Get] {
        let table = overridden(Calls::Any, On::Status(302), Rule::Follow(how));
        let judged = |hops, outcome: &Outcome| {
            let see_other = false;
            table.judge(UP, outcome, Trail { hops, see_other })
        };
        let followed = judged(2, &to(302, here())).verdict;
        assert_eq!(followed, Verdict::Follow(how, "https://s/x".to_owned()));
        for (hops, location) in [(3, here()), (0, abroad()), (0, None)] {
            let judged = judged(hops, &to(302, location));
            assert_eq!(judged.verdict, Verdict::Hold);
            assert_eq!(judged.pause.unwrap().scope, Scope::Service);
        }
    }
    let mut table = overridden(Calls::Any, On::Elsewhere, Rule::Follow(Follow::Same));
    let verdict = |table: &ErrorTable| {
        table
            .judge(UP, &to(307, abroad()), Trail::default())
            .verdict
    };
    assert_eq!(verdict(&table), Verdict::Hold);
    table.override_row(row(Calls::Any, On::Status(307), Rule::Reject));
    assert_eq!(
        verdict(&table),
        Verdict::Reject,
        "a 307 is not followed at all"
    );
}

#[test]
fn an_override_cannot_give_an_upload_the_answer_of_a_query() {
    let table = overridden(Calls::Any, On::Status(409), Rule::Unchanged);
    let judged = |call| table.judge(call, &status(409), Trail::default()).verdict;
    assert_eq!(judged(UP), Verdict::Unconfirmed);
    assert_eq!(judged(ASK), Verdict::Unchanged);
    let table = overridden(Calls::Any, On::Status(409), Rule::Done);
    let judged = |call| table.judge(call, &status(409), Trail::default()).verdict;
    assert_eq!(
        (judged(UP), judged(ASK)),
        (Verdict::Done(None), Verdict::Unchanged)
    );
}
