//! `[[error]]`: rows of the error table that the operator wants otherwise.
//!
//! An override starts from the row that would decide without it, and changes
//! what it says. What would lose files, or send one over and over, is refused.
//!
//! Must not: judge an answer, or build an override on another one: each starts
//! from the documented table, so that their order does not matter.

use std::time::Duration;

use super::{DAY, HOUR, Report};
use crate::config::raw::RawError;
use crate::domain::answer::Call;
use crate::domain::error_table::{
    Calls, ErrorTable, Holds, Lifts, Limit, On, Pause, Row, Rule, Scope, Then, WORDS,
};
use crate::domain::spelling::did_you_mean;

/// The table in force.
pub(super) fn check(raw: &[RawError], to: &mut Report<'_>) -> ErrorTable {
    let documented = ErrorTable::default();
    let mut table = documented.clone();
    let mut seen: Vec<(On, Calls)> = Vec::new();
    for (at, raw) in raw.iter().enumerate() {
        let key = format!("error[{}]", at + 1);
        let Some(row) = row(&key, raw, &documented, to) else {
            continue;
        };
        // One about any call would undo one about some.
        let meets =
            |calls: Calls| calls == row.calls || calls == Calls::Any || row.calls == Calls::Any;
        if seen
            .iter()
            .any(|(on, calls)| *on == row.on && meets(*calls))
        {
            to.error(
                &key,
                "is about an answer that another override is about",
                "write one [[error]] for both",
            );
            continue;
        }
        seen.push((row.on.clone(), row.calls));
        table.override_row(row);
    }
    table
}

fn row(key: &str, raw: &RawError, table: &ErrorTable, to: &mut Report<'_>) -> Option<Row> {
    let at = |name: &str| format!("{key}.{name}");
    let calls = to.choice(
        &at("calls"),
        &raw.calls,
        Calls::Any,
        &[
            ("any", Calls::Any),
            ("upload", Calls::Upload),
            ("query", Calls::Query),
        ],
    );
    let on = on(&at("on"), &raw.on, to)?;
    let before = (table.row(Call::Upload, &on), table.row(Call::Query, &on));
    // An account that is used up is told by the service in words of its own:
    // what is named so is held as the documented answer is.
    let quota = raw.verdict.as_deref() == Some("quota");
    let base = match calls {
        _ if quota => table.row(Call::Upload, &On::Status(402)),
        Calls::Query => before.1,
        Calls::Any | Calls::Upload => before.0,
    };
    if calls == Calls::Any && before.0 != before.1 && !quota {
        to.error(
            key,
            "is about an answer that means one thing to an upload and another to a query",
            "add `calls = \"upload\"` or `calls = \"query\"`",
        );
        return None;
    }
    let rule = rule(key, raw, calls, base.rule, to);
    let pause = pause(key, raw, base.pause, to);
    let row = Row {
        calls,
        on,
        meaning: base.meaning,
        rule,
        pause,
        marks: base.marks,
        advice: base.advice,
    };
    sense(key, &row, to).then_some(row)
}

fn on(key: &str, written: &Option<String>, to: &mut Report<'_>) -> Option<On> {
    let Some(text) = written else {
        to.error(
            key,
            "is missing",
            "say which answer it is about: \"429\", \"5xx\", \"OPS40002\", \"no-connection\"",
        );
        return None;
    };
    match On::parse(text) {
        // Of the 2xx only 206 has a row of its own: the others are told apart
        // by their body.
        Some(On::Status(status)) if status != 206 && !(300..=599).contains(&status) => {
            to.error(
                key,
                "is a status that says too little by itself",
                "for 2xx use \"success\", \"no-task-id\" or \"not-envelope\"; else a status from 300 to 599",
            );
            None
        }
        Some(on) => Some(on),
        None => {
            let remedy = match did_you_mean(text, WORDS.iter().map(|(word, _)| *word)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "write a status (\"429\"), a class (\"5xx\", \"OPS4*\"), a code (\"OPS40002\") or a word \
                         that `supametas-sync errors` shows"
                    .to_owned(),
            };
            to.error(key, "is no answer that is known", remedy);
            None
        }
    }
}

fn rule(key: &str, raw: &RawError, calls: Calls, base: Rule, to: &mut Report<'_>) -> Rule {
    let at = |name: &str| format!("{key}.{name}");
    let chosen = to.choice(
        &at("verdict"),
        &raw.verdict,
        base,
        &[
            ("retry", Rule::Retry { limit: None }),
            ("reject", Rule::Reject),
            ("hold", Rule::Hold),
            ("unconfirmed", Rule::Unconfirmed),
            ("done", Rule::Done),
            ("quota", Rule::Hold),
        ],
    );
    if raw.limit.is_none() && raw.then.is_some() {
        to.error(
            &at("then"),
            "stands without `limit`",
            "say after how many retries",
        );
    }
    let Some(times) = raw.limit else {
        return chosen;
    };
    let usual = if calls == Calls::Query {
        Then::Lost
    } else {
        Then::Rejected
    };
    let then = to.choice(
        &at("then"),
        &raw.then,
        usual,
        &[
            ("rejected", Then::Rejected),
            ("exhausted", Then::Exhausted),
            ("lost", Then::Lost),
        ],
    );
    if (then == Then::Lost) != (calls == Calls::Query) {
        to.error(
            &at("then"),
            "does not fit these calls",
            "\"lost\" is for `calls = \"query\"`; an upload ends \"rejected\" or \"exhausted\"",
        );
    }
    if !matches!(chosen, Rule::Retry { .. }) {
        to.error(
            &at("limit"),
            "limits retries, and there are none",
            "add `verdict = \"retry\"`, or take it out",
        );
        return chosen;
    }
    Rule::Retry {
        limit: Some(Limit { times, then }),
    }
}

fn pause(key: &str, raw: &RawError, base: Option<Pause>, to: &mut Report<'_>) -> Option<Pause> {
    let at = |name: &str| format!("{key}.{name}");
    let scope = to.choice(
        &at("pause"),
        &raw.pause,
        base.map(|p| p.scope),
        &[
            ("file", None),
            ("route", Some(Scope::Route)),
            ("dataset", Some(Scope::Dataset)),
            ("service", Some(Scope::Service)),
        ],
    );
    let Some(scope) = scope else {
        let written = [
            ("pause_first", raw.pause_first.is_some()),
            ("pause_max", raw.pause_max.is_some()),
            ("pause_after", raw.pause_after.is_some()),
        ];
        for (name, _) in written.into_iter().filter(|(_, there)| *there) {
            to.error(
                &at(name),
                "stands without a pause",
                "add `pause = \"route\"`, \"dataset\" or \"service\"",
            );
        }
        return None;
    };
    let ms = Duration::from_millis;
    let base = base.filter(|p| p.scope == scope);
    let first = base.map_or(Duration::from_secs(30), |p| p.first);
    let first = to.time(
        &at("pause_first"),
        &raw.pause_first,
        first,
        ms(10),
        30 * DAY,
    );
    let max = base.map_or(HOUR, |p| p.max);
    let longest = to.time(
        &at("pause_max"),
        &raw.pause_max,
        max.max(first),
        ms(10),
        30 * DAY,
    );
    if first > longest {
        to.error(
            &at(if raw.pause_max.is_some() {
                "pause_max"
            } else {
                "pause_first"
            }),
            "makes the longest pause shorter than the first",
            "make `pause_max` at least as long as `pause_first`",
        );
    }
    let after = raw.pause_after.unwrap_or(base.map_or(1, |p| p.after));
    if !(1..=1000).contains(&after) {
        to.error(
            &at("pause_after"),
            "is out of range",
            "write how many such answers in a row, from 1 to 1000",
        );
    }
    Some(Pause {
        scope,
        after,
        first,
        max: longest,
        lifts: base.map_or(Lifts::Time, |p| p.lifts),
        holds: base.map_or(Holds::Calls, |p| p.holds),
    })
}

/// A success that names no task: it can't be followed, and may pause.
fn is_untracked(on: &On) -> bool {
    matches!(on, On::NoTask | On::Status(304))
}

/// Refuses what would lose files, send one over and over, or say what can't be.
fn sense(key: &str, row: &Row, to: &mut Report<'_>) -> bool {
    let upload = row.calls != Calls::Query;
    let nothing_sent = matches!(row.on, On::NoConnection | On::BrokenBefore);
    let not_taken = nothing_sent
        || matches!(
            row.on,
            On::Elsewhere | On::TooManyHops | On::Class(3 | 5) | On::CodeClass("OPS5")
        )
        || matches!(row.on, On::Status(s) if matches!(s, 300..=303 | 305..=399 | 401 | 403 | 408 | 429 | 500..));
    let wrong = match (&row.on, row.rule) {
        (On::Success, _) => Some((
            "would change what a success means",
            "take it out; to import a file again use `retry`",
        )),
        (On::NoTask, Rule::Retry { .. } | Rule::Reject) if upload => Some((
            "would send again, or drop, what the service says it has taken",
            "use \"done\", \"hold\" or \"unconfirmed\"",
        )),
        (On::BrokenAfter, rule) if upload && rule != Rule::Unconfirmed => Some((
            "would decide what nobody can know: the service may or may not have the file",
            "set `unconfirmed = \"resend\"` or \"hold\" in the folder instead",
        )),
        (_, Rule::Done) if not_taken => Some((
            "would count files as imported that the service does not have",
            "use \"retry\" or \"hold\"",
        )),
        (_, Rule::Reject) if nothing_sent => Some((
            "would reject every file while the network is down",
            "use \"retry\"",
        )),
        (_, Rule::Unconfirmed) if nothing_sent => Some((
            "calls uncertain what is known: the service can't have the file",
            "use \"retry\"",
        )),
        (_, Rule::Unconfirmed) if !upload => Some((
            "is about a query, which changes nothing and can simply be asked again",
            "use \"retry\"",
        )),
        (_, Rule::Hold) if row.pause.is_none() => Some((
            "holds a file without pausing anything: it would be sent again at once, for ever",
            "add `pause = \"route\"`, \"dataset\" or \"service\"",
        )),
        (on, Rule::Done) if row.pause.is_some() && !is_untracked(on) => Some((
            "pauses on what counts as a success",
            "add `pause = \"file\"`, so that nothing else waits",
        )),
        _ => None,
    };
    if let Some((what, remedy)) = wrong {
        to.error(key, what, remedy);
    }
    if !upload && row.pause.is_some_and(|p| p.scope == Scope::Route) {
        to.warning(
            &format!("{key}.pause"),
            "has no effect: a query says nothing about a route",
            "use \"dataset\" or \"service\"",
        );
    }
    if wrong.is_none()
        && row.rule == Rule::Done
        && matches!(
            row.on,
            On::Status(400..) | On::Class(4) | On::Code(_) | On::CodeClass(_) | On::OtherCode
        )
    {
        to.warning(
            key,
            "counts files as imported though the service answered with an error",
            "make sure that this answer really means so",
        );
    }
    wrong.is_none()
}
