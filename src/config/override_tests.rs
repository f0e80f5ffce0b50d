//! `[[error]]`: what an override does, and which are refused.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::testing::{BASE, machine, problems, says, with};
use crate::domain::answer::Call;
use crate::domain::error_table::{Calls, Limit, On, Rule, Scope, Then};

#[test]
fn overrides_change_the_row_they_name() {
    let table = with(
        "\
[[error]]
on = '409'
verdict = 'retry'
limit = 5
then = 'exhausted'
[[error]]
on = '429'
pause_max = '1h'
[[error]]
on = 'OPS41234'
verdict = 'hold'
pause = 'dataset'
pause_first = '5s'
pause_after = 2
[[error]]
on = '5xx'
pause = 'file'
[[error]]
on = 'not-envelope'
calls = 'query'
limit = 3
",
    )
    .errors;
    let row = |call, on| table.row(call, &on).clone();
    let conflict = row(Call::Upload, On::Status(409));
    assert_eq!(
        conflict.rule,
        Rule::Retry {
            limit: Some(Limit {
                times: 5,
                then: Then::Exhausted
            })
        }
    );
    let busy = row(Call::Upload, On::Status(429));
    let pause = busy.pause.unwrap();
    assert_eq!(
        (busy.rule, pause.scope, pause.first, pause.max),
        (
            Rule::Retry { limit: None },
            Scope::Dataset,
            Duration::from_secs(1),
            Duration::from_secs(3600)
        )
    );
    let code = row(Call::Upload, On::Code("OPS41234".into()));
    let pause = code.pause.unwrap();
    assert_eq!(
        (code.rule, pause.scope, pause.after, pause.first),
        (Rule::Hold, Scope::Dataset, 2, Duration::from_secs(5))
    );
    assert_eq!(row(Call::Upload, On::Status(599)).pause, None);
    let query = row(Call::Query, On::NotEnvelope);
    assert_eq!(
        (query.calls, query.rule),
        (
            Calls::Query,
            Rule::Retry {
                limit: Some(Limit {
                    times: 3,
                    then: Then::Lost
                })
            }
        )
    );
    assert_eq!(
        row(Call::Upload, On::NotEnvelope).rule,
        Rule::Unconfirmed,
        "the other call keeps its row"
    );
    // What is not named stays as it was.
    assert_eq!(row(Call::Upload, On::Status(413)).rule, Rule::Reject);
}

#[test]
fn overrides_that_make_no_sense() {
    let cases = [
        (
            "on = 'success'\nverdict = 'retry'\ncalls = 'upload'",
            "would change what a success means",
        ),
        (
            "on = 'no-connection'\nverdict = 'done'",
            "would count files as imported",
        ),
        (
            "on = '503'\nverdict = 'done'",
            "would count files as imported",
        ),
        (
            "on = '307'\nverdict = 'hold'\npause = 'file'",
            "holds a file without pausing anything",
        ),
        (
            "on = 'no-connection'\nverdict = 'reject'",
            "would reject every file while the network is down",
        ),
        (
            "on = 'broken-before-last-byte'\nverdict = 'unconfirmed'",
            "calls uncertain what is known",
        ),
        (
            "on = 'broken-after-last-byte'\ncalls = 'upload'\nverdict = 'retry'",
            "would decide what nobody can know",
        ),
        (
            "on = 'no-task-id'\ncalls = 'upload'\nverdict = 'retry'",
            "would send again, or drop",
        ),
        (
            "on = '404'\ncalls = 'query'\nverdict = 'unconfirmed'",
            "is about a query",
        ),
        (
            "on = '404'\nverdict = 'reject'",
            "means one thing to an upload and another to a query",
        ),
        ("on = '200'", "is a status that says too little"),
        ("on = '99'", "is no answer that is known"),
        ("verdict = 'retry'", "is missing"),
        ("on = '409'\nthen = 'lost'", "stands without `limit`"),
        (
            "on = '409'\nlimit = 1\nthen = 'lost'",
            "does not fit these calls",
        ),
        (
            "on = '413'\nlimit = 2",
            "limits retries, and there are none",
        ),
        ("on = '409'\npause_first = '1s'", "stands without a pause"),
        (
            "on = '429'\npause_first = '2s'\npause_max = '1s'",
            "makes the longest pause shorter",
        ),
        ("on = '429'\npause_after = 0", "is out of range"),
        (
            "on = '422'\nverdict = 'done'",
            "pauses on what counts as a success",
        ),
    ];
    for (case, what) in cases {
        let said = problems(&format!("{BASE}[[error]]\n{case}\n"), &machine());
        assert_eq!(said.len(), 1, "{case}: {said:?}");
        assert!(
            said[0].contains("error: `error[1]") && said[0].contains(what),
            "{case}: {said:?}"
        );
    }
    says(
        "[[error]]\non = '429'\npause_max = '2h'\ncalls = 'upload'\n[[error]]\non = '429'\npause_max = '1h'\n",
        &[
            "14: error: `error[2]` is about an answer that another override is about; write one [[error]] for both",
        ],
    );
    says(
        "[[error]]\non = '409'\nverdict = 'done'\n",
        &[
            "10: warning: `error[1]` counts files as imported though the service answered with an error; make sure that this answer really means so",
        ],
    );
}
