//! `errors`: the error table in force.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::exit::Exit;
use super::{DEFAULT_CONFIG, Outcome, table};
use crate::config::Config;
use crate::domain::error_table::{Calls, ErrorTable, Follow, Lifts, Pause, Row, Rule, Scope, Then};

/// The error table in force: what each answer of the service leads to.
///
/// With a configuration, its overrides are in the table; without one, it is the
/// documented table.
///
/// Examples:
///   supametas-sync errors
///   supametas-sync errors OPS40003
///   supametas-sync errors --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only the rows about this answer: a status, a code or a name of the
    /// table's first column.
    #[arg(value_name = "ANSWER")]
    answer: Option<String>,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Prints the table.
pub fn main(config: &Path, args: Args) -> Outcome {
    let errors = if config.exists() || config != Path::new(DEFAULT_CONFIG) {
        let loaded =
            Config::load_without_keys(config).map_err(|e| super::Failed::with(Exit::Usage, e))?;
        loaded.config.errors
    } else {
        ErrorTable::default().into()
    };
    let wanted = args.answer.as_deref().map(str::to_lowercase);
    let rows: Vec<&Row> = errors
        .rows()
        .iter()
        .filter(|row| {
            wanted
                .as_ref()
                .is_none_or(|w| row.on.to_string().to_lowercase() == *w)
        })
        .collect();
    if rows.is_empty() {
        let asked = args.answer.unwrap_or_default();
        return Err(super::Failed::with(
            Exit::NotFound,
            anyhow::anyhow!(
                "the table has no row of its own for {asked:?}: it falls under its class (`4xx`, `5xx`, `OPS4…`, `other-code`)"
            ),
        ));
    }
    if args.json {
        table::print_json(&rows.iter().map(|row| as_json(row)).collect());
        return Ok(Exit::Success);
    }
    let mut shown = table::table(&[
        "answer",
        "call",
        "for the file",
        "who waits",
        "meaning",
        "what to do",
    ]);
    for row in rows {
        shown.add_row([
            row.on.to_string(),
            calls(row.calls).to_owned(),
            rule(row.rule),
            row.pause.as_ref().map(pause).unwrap_or_default(),
            row.meaning.to_owned(),
            row.advice.to_owned(),
        ]);
    }
    table::print(&shown.to_string());
    Ok(Exit::Success)
}

fn calls(calls: Calls) -> &'static str {
    match calls {
        Calls::Any => "any",
        Calls::Upload => "upload",
        Calls::Query => "query",
    }
}

fn rule(rule: Rule) -> String {
    match rule {
        Rule::Done => "done".into(),
        Rule::Retry { limit: None } => "retry until too old".into(),
        Rule::Retry { limit: Some(limit) } => {
            format!("retry {} times, then {}", limit.times, then(limit.then))
        }
        Rule::Reject => "reject".into(),
        Rule::Hold => "hold".into(),
        Rule::Unconfirmed => "unconfirmed".into(),
        Rule::Follow(Follow::Get) => "follow with GET".into(),
        Rule::Follow(Follow::Same) => "follow, same origin".into(),
        Rule::Unchanged => "as before".into(),
    }
}

fn then(then: Then) -> &'static str {
    match then {
        Then::Rejected => "rejected",
        Then::Exhausted => "exhausted",
        Then::Lost => "lost",
    }
}

fn pause(pause: &Pause) -> String {
    let mut text = pause.scope.to_string();
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
        time(pause.first),
        time(pause.max)
    ));
    text
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        s if s >= 3600 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "answer": row.on.to_string(),
        "call": calls(row.calls),
        "verdict": rule(row.rule),
        "pause": row.pause.map(|pause| json!({
            "scope": pause.scope.to_string(),
            "after": pause.after,
            "first_s": pause.first.as_secs(),
            "max_s": pause.max.as_secs(),
            "lifts": match pause.lifts {
                Lifts::Time => "time",
                Lifts::KeyChange => "key change",
                Lifts::ConfigChange => "configuration change",
            },
        })),
        "meaning": row.meaning,
        "advice": row.advice,
    })
}
