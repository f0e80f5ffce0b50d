//! The error table, to people and to scripts.
//!
//! Must not: judge an answer; `domain::error_table` does.

use serde_json::{Value, json};

use super::gate::lifts;
use crate::domain::error_table::{Calls, Follow, Holds, Lifts, Pause, Row, Rule, Scope, advice};

/// The calls that a row is about.
pub const fn calls(calls: Calls) -> &'static str {
    match calls {
        Calls::Any => "any",
        Calls::Upload => "upload",
        Calls::Query => "query",
    }
}

/// What follows for the file.
pub fn rule(rule: Rule) -> String {
    match rule {
        Rule::Done => "done".into(),
        Rule::Retry { limit: None } => "retry until too old".into(),
        Rule::Retry { limit: Some(limit) } => {
            format!(
                "retry {} times, then {}",
                limit.times,
                advice::then(limit.then)
            )
        }
        Rule::Reject => "reject".into(),
        Rule::Hold => "hold".into(),
        Rule::Unconfirmed => "unconfirmed".into(),
        Rule::Follow(Follow::Get) => "follow with GET".into(),
        Rule::Follow(Follow::Same) => "follow, same origin".into(),
        Rule::Unchanged => "as before".into(),
    }
}

/// Who waits, and for how long.
pub fn pause(pause: &Pause) -> String {
    let mut text = pause.scope.to_string();
    if pause.holds == Holds::Uploads {
        text.push_str(", uploads only,");
    }
    if pause.after > 1 {
        let what = if pause.scope == Scope::Route {
            "different files"
        } else {
            "answers"
        };
        text.push_str(&format!(" after {} {what} in a row", pause.after));
    }
    text.push_str(match pause.lifts {
        Lifts::Time => "",
        Lifts::KeyChange => ", until the key changes",
        Lifts::ConfigChange => ", until the configuration changes",
    });
    text.push_str(&format!(
        "; a probe after {}, up to {}",
        advice::time(pause.first),
        advice::time(pause.max)
    ));
    text
}

const fn holds(holds: Holds) -> &'static str {
    match holds {
        Holds::Calls => "calls",
        Holds::Uploads => "uploads",
    }
}

/// A row, for scripts.
pub fn as_json(row: &Row) -> Value {
    json!({
        "answer": row.on.to_string(),
        "call": calls(row.calls),
        "verdict": rule(row.rule),
        "marks": row.marks,
        "pause": row.pause.map(|pause| json!({
            "scope": pause.scope.to_string(),
            "after": pause.after,
            "first_s": pause.first.as_secs(),
            "max_s": pause.max.as_secs(),
            "lifts": lifts(pause.lifts),
            "holds": holds(pause.holds),
        })),
        "meaning": row.meaning,
        "advice": row.advice,
    })
}
