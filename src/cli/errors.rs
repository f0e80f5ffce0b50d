//! `errors`: the error table in force.
//!
//! Must not: judge an answer; `domain::error_table` does.

use std::path::Path;
use std::sync::Arc;

use super::exit::Exit;
use super::table::Table;
use super::{DEFAULT_CONFIG, Failed, Outcome, files, out};
use crate::domain::error_table::{About, ErrorTable, Row};
use crate::domain::policy::Policy;
use crate::view::errors::{as_json, calls, pause, rule};

/// The error table in force: what each answer of the service leads to
///
/// With a configuration, its overrides are in the table; without one, it is the
/// documented table. `explain-code` says in whole sentences what one answer
/// leads to. With --json, a list of objects: answer, call, verdict, pause
/// (scope, after, first_s, max_s, lifts), meaning, advice.
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

/// The table in force, and what else a row's sentences need.
pub struct InForce {
    /// The table.
    pub table: Arc<ErrorTable>,
    /// The limits that all folders share; `None` without a configuration.
    pub policy: Option<Arc<Policy>>,
}

/// The configuration's; the documented one where there is no configuration.
pub fn in_force(config: &Path) -> Result<InForce, Failed> {
    if !config.exists() && config == Path::new(DEFAULT_CONFIG) {
        return Ok(InForce {
            table: ErrorTable::default().into(),
            policy: None,
        });
    }
    let config = files::config(config)?;
    Ok(InForce {
        table: config.errors,
        policy: config
            .folders
            .into_values()
            .next()
            .map(|f| f.policy.clone()),
    })
}

/// Prints the table.
pub fn main(config: &Path, args: Args) -> Outcome {
    let table = in_force(config)?.table;
    let rows: Vec<&Row> = match &args.answer {
        None => table.rows().iter().collect(),
        Some(asked) => {
            let (rows, how) = about(&table, asked)?;
            if how == How::Class {
                let asked = out::shown_word(asked);
                out::remark(&format!(
                    "{asked} has no row of its own; it falls under this one:"
                ));
            }
            rows
        }
    };
    if args.json {
        out::print_json(&rows.iter().map(|row| as_json(row)).collect());
        return Ok(Exit::Success);
    }
    let mut page = Table::new(&[
        "answer",
        "call",
        "for the file",
        "who waits",
        "meaning",
        "what to do",
    ]);
    page.whole(&[0, 1]);
    for row in rows {
        page.row([
            row.on.to_string(),
            calls(row.calls).to_owned(),
            verdict(row),
            row.pause.as_ref().map(pause).unwrap_or_default(),
            row.meaning.to_owned(),
            row.advice.to_owned(),
        ]);
    }
    out::print(&page.page());
    out::remark("in whole sentences: supametas-sync explain-code ANSWER");
    Ok(Exit::Success)
}

/// What follows for the file, and whether it is marked when it goes again.
fn verdict(row: &Row) -> String {
    let marked = if row.marks { "; marked" } else { "" };
    format!("{}{marked}", rule(row.rule))
}

/// How the rows came to be about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// They are its own.
    Own,
    /// They are those of its class.
    Class,
    /// It is a success, and its body tells which of them it is.
    ByBody,
}

/// The rows about an answer; where it has none of its own, those of its class.
pub fn about<'t>(table: &'t ErrorTable, asked: &str) -> Result<(Vec<&'t Row>, How), Failed> {
    Ok(match table.about(asked) {
        About::Own(rows) => (rows, How::Own),
        About::Class(rows) => (rows, How::Class),
        About::ByBody(rows) => (rows, How::ByBody),
        About::Unknown { near } => {
            let asked = out::shown_word(asked);
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None => "ask for a status (429), a code (OPS40003), a class (4xx) or a name of the table's first column, which `supametas-sync errors` prints".to_owned(),
            };
            return Err(Failed::with(
                Exit::NotFound,
                anyhow::anyhow!("the table has no row for {asked}: {hint}"),
            ));
        }
    })
}
