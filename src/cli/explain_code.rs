//! `explain-code`: one answer of the service in whole sentences.
//!
//! Must not: judge an answer; `domain::error_table` does, and has the words.

use std::path::Path;

use serde_json::{Value, json};

use super::exit::Exit;
use super::{Outcome, errors, out};
use crate::domain::error_table::{ErrorTable, Row, advice};
use crate::domain::policy::Policy;
use crate::view;

/// What an answer means, what the daemon does about it, and what you can do
///
/// CODE is what `list`, `show` and the log have: a code of the service
/// (OPS40003), a status (429, HTTP-413), a word of the table (no-connection), a
/// class (4xx, OPS4*). It says what happens to the file, who else waits and
/// for how long, what to change, and whether the configuration has changed the
/// documented row. Without a configuration the documented table is explained.
///
/// With --json: asked, class (it has no row of its own), rows (as `errors
/// --json` has them, each with for_the_file, for_the_others, ends,
/// overridden, documented).
///
/// Examples:
///   supametas-sync explain-code OPS40003
///   supametas-sync explain-code 429
///   supametas-sync explain-code no-connection --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A code, a status, a word of the table or a class.
    #[arg(value_name = "CODE")]
    code: String,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let in_force = errors::in_force(config)?;
    let policy = in_force.policy.as_deref();
    let (rows, how) = errors::about(&in_force.table, &args.code)?;
    if args.json {
        out::print_json(&json!({
            "asked": args.code,
            "class": how == errors::How::Class,
            "rows": rows.iter().map(|row| as_json(row, policy)).collect::<Vec<_>>(),
        }));
        return Ok(Exit::Success);
    }
    let mut text = match how {
        errors::How::Own => String::new(),
        errors::How::Class => format!(
            "{} has no row of its own; it falls under this one:\n\n",
            out::shown_word(&args.code)
        ),
        errors::How::ByBody => format!(
            "{} is a success; what it means is told by its body:\n\n",
            out::shown_word(&args.code)
        ),
    };
    let told: Vec<String> = rows.iter().map(|row| tell(row, policy)).collect();
    text.push_str(&told.join("\n"));
    out::print(&text);
    Ok(Exit::Success)
}

fn tell(row: &Row, policy: Option<&Policy>) -> String {
    let mut text = format!("{}{}: {}\n", row.on, of_calls(row), row.meaning);
    let mut line = |name: &str, said: &str| {
        text.push_str(&format!("  {name:<12} {said}\n"));
    };
    line("the file", &advice::for_the_file(row, policy));
    line("the others", &advice::for_the_others(row));
    if let Some(ends) = advice::ends(row) {
        line("", ends);
    }
    line("you", advice::to_do(row));
    match ErrorTable::documented(row) {
        None => line("overridden", "no: this is the documented row"),
        Some(was) => {
            line(
                "overridden",
                "yes, by an [[error]] of the configuration; documented is:",
            );
            line(
                "",
                &format!("the file: {}", advice::for_the_file(&was, policy)),
            );
            line("", &format!("the others: {}", advice::for_the_others(&was)));
        }
    }
    text
}

fn of_calls(row: &Row) -> &'static str {
    match view::errors::calls(row.calls) {
        "upload" => " (to an upload)",
        "query" => " (to a query about a task)",
        _ => "",
    }
}

fn as_json(row: &Row, policy: Option<&Policy>) -> Value {
    let mut value = view::errors::as_json(row);
    let was = ErrorTable::documented(row);
    value["for_the_file"] = advice::for_the_file(row, policy).into();
    value["for_the_others"] = advice::for_the_others(row).into();
    value["ends"] = advice::ends(row).into();
    value["to_do"] = advice::to_do(row).into();
    value["overridden"] = was.is_some().into();
    value["documented"] = was.as_ref().map(view::errors::as_json).into();
    value
}
