//! `errors`: the error table in force.
//!
//! Must not: judge an answer; `domain::error_table` does.

use std::path::Path;

use super::exit::Exit;
use super::table::Table;
use super::{DEFAULT_CONFIG, Failed, Outcome, out};
use crate::config::Config;
use crate::domain::error_table::{ErrorTable, Row};
use crate::view::errors::{as_json, calls, pause, rule};

/// The error table in force: what each answer of the service leads to
///
/// With a configuration, its overrides are in the table; without one, it is the
/// documented table. With --json, a list of objects: answer, call, verdict,
/// pause (scope, after, first_s, max_s, lifts), meaning, advice.
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
        let loaded = Config::load_without_keys(config).map_err(|e| Failed::with(Exit::Usage, e))?;
        loaded.config.errors
    } else {
        ErrorTable::default().into()
    };
    let rows: Vec<&Row> = match &args.answer {
        None => errors.rows().iter().collect(),
        Some(asked) => about(errors.rows(), asked)?,
    };
    if args.json {
        out::print_json(&rows.iter().map(|row| as_json(row)).collect());
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&[
        "answer",
        "call",
        "for the file",
        "who waits",
        "meaning",
        "what to do",
    ]);
    table.whole(&[0, 1]);
    for row in rows {
        table.row([
            row.on.to_string(),
            calls(row.calls).to_owned(),
            rule(row.rule),
            row.pause.as_ref().map(pause).unwrap_or_default(),
            row.meaning.to_owned(),
            row.advice.to_owned(),
        ]);
    }
    out::print(&table.page());
    Ok(Exit::Success)
}

/// The rows about an answer; where it has none of its own, those of its class.
fn about<'a>(rows: &'a [Row], asked: &str) -> Result<Vec<&'a Row>, Failed> {
    let wanted = asked.trim().to_lowercase();
    let named = |name: &str| -> Vec<&'a Row> {
        let name = name.to_lowercase();
        rows.iter()
            .filter(|row| row.on.to_string().to_lowercase() == name)
            .collect()
    };
    // As `show` and `list` have it: HTTP-413.
    let wanted = wanted.strip_prefix("http-").unwrap_or(&wanted);
    let own = named(wanted);
    if !own.is_empty() {
        return Ok(own);
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let class = match wanted.strip_prefix("ops") {
        Some(number) if digits(number) => format!("OPS{}…", &number[..1]),
        None if wanted.len() == 3 && digits(wanted) => format!("{}xx", &wanted[..1]),
        _ => String::new(),
    };
    let mut of_class = named(&class);
    if of_class.is_empty() && wanted.starts_with("ops") {
        of_class = named("other-code");
    }
    if of_class.is_empty() {
        return Err(Failed::with(
            Exit::NotFound,
            anyhow::anyhow!(
                "the table has no row for {asked:?}: ask for a status (429), a code (OPS40003) or a name of the table's first column, which `supametas-sync errors` prints"
            ),
        ));
    }
    out::remark(&format!(
        "{asked:?} has no row of its own; it falls under this one:"
    ));
    Ok(of_class)
}
