//! Each row of the error table against the sandbox, with the real program:
//! what was sent, what the ledger says, who paused, and when it went on.
//!
//! `verdicts` has the rows that are about one file, `pauses` those that make
//! others wait, `recovery` what ends a pause other than its time. Pauses are
//! shortened by `[[error]]` overrides, which leave the verdict as it is.
//! Must not: judge an answer with the program's own code.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "error_rows/pauses.rs"]
mod pauses;
#[path = "error_rows/play.rs"]
mod play;
#[path = "error_rows/recovery.rs"]
mod recovery;
mod support;
#[path = "error_rows/verdicts.rs"]
mod verdicts;

use std::collections::BTreeSet;

use supametas_sync::domain::error_table::{Calls, TABLE};

/// Nobody adds a row to the table without playing it.
#[test]
fn every_row_of_the_table_is_played() {
    let played: BTreeSet<(bool, &str)> = pauses::played()
        .chain(verdicts::played())
        .chain(recovery::PLAYED.iter().copied())
        .collect();
    let missing: Vec<String> = TABLE
        .iter()
        .filter(|row| !played.contains(&(row.calls == Calls::Query, row.on.to_string().as_str())))
        .map(|row| format!("{:?} {}", row.calls, row.on))
        .collect();
    assert!(missing.is_empty(), "not played: {missing:#?}");
    for (query, on) in &played {
        let known = TABLE.iter().any(|row| {
            let fits = row.calls == Calls::Any || (row.calls == Calls::Query) == *query;
            fits && row.on.to_string() == *on
        });
        assert!(known, "played, but no row: {on} (query: {query})");
    }
}
