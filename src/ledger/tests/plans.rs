//! No query on the way of a file looks through a table. SQLite is asked for
//! the plan of each, on a ledger without statistics, as a new one is.

use super::*;
use crate::domain::listing::{By, Order};
use crate::ledger::{
    attention, browse, clock, copies, due, enqueue, erase, filter, intake, notices, operator,
    questions, recovery, reimport, rows, sources, tasks, uploads, work,
};
use rusqlite::types::Value;

/// Each step of the plan, as SQLite words it.
fn plan(conn: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, String>(3))
        .unwrap_or_else(|_| panic!("{sql}"));
    rows.collect::<Result<_, _>>().unwrap()
}

fn unbound(conn: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let parameters = conn.prepare(sql).unwrap().parameter_count();
    let mut text = sql.to_owned();
    for n in (1..=parameters).rev() {
        text = text.replace(&format!("?{n}"), "1");
    }
    plan(conn, &text)
}

#[tokio::test]
async fn no_hot_query_looks_through_a_table() {
    let bench = Bench::new(policy());
    let conn = by_hand(&bench.path());
    let one = format!(
        "SELECT {} FROM files AS f {} WHERE f.id = ?1",
        rows::COLUMNS,
        rows::NAMES
    );
    let (pick, sources_due) = (intake::pick_sql(), sources::due_sql());
    let versions = operator::versions_sql();
    let unresolved = attention::unresolved_sql();
    let hot: [(&str, &str); 32] = [
        (
            intake::KNOWN,
            "sqlite_autoindex_files_1 (folder=? AND path=? AND inode=? AND size=? AND mtime_ns=? AND away=?)",
        ),
        (
            enqueue::ANY,
            "USING COVERING INDEX sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (notices::NEXT, "notices_due (folder=? AND hook=?)"),
        (&one, "USING INTEGER PRIMARY KEY"),
        (
            intake::IDENTIFY,
            "USING COVERING INDEX sqlite_autoindex_files_1 (folder=? AND path=? AND inode=? AND size=? AND mtime_ns=? AND away=?)",
        ),
        (intake::AGAIN, "files_again (id=?"),
        (
            enqueue::OLDER,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (intake::UNSORTED, "files_unsorted (id>?)"),
        (
            &pick,
            "files_queue (folder=? AND media=? AND big=? AND not_before<?)",
        ),
        (
            copies::SAME_CONTENT,
            "files_content (dataset=? AND size=? AND hash=?)",
        ),
        (
            reimport::LAST_SENT,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (reimport::WAITING, "files_reimports (folder=? AND path=?)"),
        (
            copies::SAME_INODE,
            "files_content (dataset=? AND size=? AND hash=? AND inode=?)",
        ),
        (
            copies::SAME_PATH,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (
            erase::TAKEN,
            "PRIMARY KEY (dataset=? AND size=? AND hash=? AND options=?)",
        ),
        (erase::TAKEN_SIZE, "PRIMARY KEY (dataset=? AND size=?)"),
        (
            copies::SAME_SIZE,
            "files_content (dataset=? AND size=? AND hash>?)",
        ),
        (
            uploads::NEWER,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (
            work::OLDER_UNRESOLVED,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (
            work::NEWER_GOOD,
            "sqlite_autoindex_files_1 (folder=? AND path=?)",
        ),
        (&unresolved, "files_ended (state=? AND changed_at>?"),
        (work::AWAITING, "files_awaiting (duplicate_of=?)"),
        (work::AWAIT_AGAIN, "files_duplicates (duplicate_of=?)"),
        (tasks::DUE_POLLS, "files_polls (dataset=? AND next_poll<?)"),
        (tasks::NEXT_POLL, "files_polls (dataset=?)"),
        (tasks::POLL_NOW, "files_polls (dataset=? AND next_poll>?)"),
        (&sources_due, "files_sources (source_due<?)"),
        (due::NEXT_QUEUED, "files_waiting (not_before>?)"),
        (
            questions::AHEAD,
            "files_queue (folder=? AND media=? AND big=? AND not_before>? AND not_before<?)",
        ),
        (
            questions::STATE_OF,
            "sqlite_autoindex_files_1 (folder=? AND path=? AND inode=? AND size=? AND mtime_ns=? AND away=?)",
        ),
        (due::NEXT_SOURCE, "files_sources (source_due>?)"),
        (&versions, "sqlite_autoindex_files_1 (folder=? AND path=?)"),
    ];
    for (sql, expected) in hot {
        let steps = unbound(&conn, sql);
        assert!(
            steps.iter().any(|step| step.contains(expected)),
            "{sql}\n{steps:#?}"
        );
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN")),
            "{sql}\n{steps:#?}"
        );
    }
    for sql in [
        notices::NEXT,
        &*pick,
        tasks::DUE_POLLS,
        &*sources_due,
        intake::UNSORTED,
        intake::KNOWN,
        intake::IDENTIFY,
    ] {
        let steps = unbound(&conn, sql);
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE")),
            "{sql}\n{steps:#?}"
        );
    }
}

/// Every statement that stands in the modules that daemons work with, taken
/// from their source: whoever writes a new one need not think of this test.
#[tokio::test]
async fn no_statement_of_the_daemons_modules_looks_through_a_table() {
    const MODULES: &[(&str, &str)] = &[
        ("attention", include_str!("../attention.rs")),
        ("clock", include_str!("../clock.rs")),
        ("copies", include_str!("../copies.rs")),
        ("due", include_str!("../due.rs")),
        ("enqueue", include_str!("../enqueue.rs")),
        ("gates", include_str!("../gates.rs")),
        ("halts", include_str!("../halts.rs")),
        ("intake", include_str!("../intake.rs")),
        ("last_byte", include_str!("../last_byte.rs")),
        ("notices", include_str!("../notices.rs")),
        ("places", include_str!("../places.rs")),
        ("questions", include_str!("../questions.rs")),
        ("recovery", include_str!("../recovery.rs")),
        ("reimport", include_str!("../reimport.rs")),
        ("rows", include_str!("../rows.rs")),
        ("sources", include_str!("../sources.rs")),
        ("standing", include_str!("../standing.rs")),
        ("tasks", include_str!("../tasks.rs")),
        ("uploads", include_str!("../uploads.rs")),
        ("work", include_str!("../work.rs")),
    ];
    // Tables of a few rows, however many files there are; and notices, of which
    // there are as many as hooks are behind.
    const SMALL: &[&str] = &[
        "fo",
        "da",
        "folders",
        "datasets",
        "gates",
        "halts",
        "clock",
        "counts",
        "n",
        "notices",
        "sqlite_sequence",
        "CONSTANT",
    ];
    let bench = Bench::new(policy());
    let conn = by_hand(&bench.path());
    let mut looked_at = 0;
    for (module, source) in MODULES {
        for sql in statements(source) {
            // Those with a hole, and beginnings of others, are asked for by
            // name in the other tests.
            if sql.contains('{') || sql.ends_with(' ') {
                continue;
            }
            looked_at += 1;
            for step in unbound(&conn, &sql) {
                let Some(of) = step.strip_prefix("SCAN ") else {
                    continue;
                };
                let table = of.split_whitespace().next().unwrap_or_default();
                let partial = of.contains("INDEX files_");
                assert!(partial || SMALL.contains(&table), "{module}: {step}: {sql}");
            }
        }
    }
    assert!(looked_at > 40, "only {looked_at} statements were found");
}

/// The literals of a source that begin as statements do.
fn statements(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let source = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    // No literal of these modules holds a quote.
    for literal in source.split('"').skip(1).step_by(2) {
        // A line's end behind a backslash is none.
        let parts = literal.split("\\\n").map(str::trim_start);
        let sql = parts.collect::<String>();
        let begins = ["SELECT ", "UPDATE ", "DELETE ", "INSERT ", "WITH "];
        if begins.iter().any(|word| sql.starts_with(word)) {
            found.push(sql);
        }
    }
    found
}

/// These go through a partial index from end to end, which holds just what
/// they look for, or through the few datasets.
#[tokio::test]
async fn what_looks_through_an_index_looks_through_a_small_one() {
    let bench = Bench::new(policy());
    let conn = by_hand(&bench.path());
    for (sql, expected) in [
        (due::NEXT_POLLS, "files_polls (dataset=? AND next_poll>?)"),
        (due::QUEUED_LATER, "files_waiting (not_before>?)"),
        (due::SOURCES, "files_sources"),
        (recovery::UPLOADING, "files_uploading"),
        (recovery::UNTOLD, "files_awaiting"),
        (
            clock::QUEUED,
            "files_waiting (not_before>? AND not_before<?)",
        ),
        (
            clock::POLLS,
            "files_polls (dataset=? AND next_poll>? AND next_poll<?)",
        ),
        (
            clock::SOURCES,
            "files_sources (source_due>? AND source_due<?)",
        ),
        (clock::QUEUED_AGES, "files_waiting"),
        (clock::UPLOADING_AGES, "files_uploading"),
    ] {
        let steps = unbound(&conn, sql);
        assert!(
            steps.iter().any(|step| step.contains(expected)),
            "{sql}\n{steps:#?}"
        );
        let whole = |step: &String| {
            step.starts_with("SCAN") && !step.contains("INDEX files_") && !step.contains(" da")
        };
        assert!(!steps.iter().any(whole), "{sql}\n{steps:#?}");
    }
}

#[tokio::test]
async fn lists_of_a_state_come_from_its_index_in_its_order() {
    let bench = Bench::new(policy());
    let conn = by_hand(&bench.path());
    for state in StateKind::ALL {
        let (sql, _) = filter::list_sql("f.id", state, &Filter::default());
        let steps = unbound(&conn, &sql);
        let ok = steps.iter().all(|step| {
            !step.contains("TEMP B-TREE")
                && (!step.starts_with("SCAN f") || step.contains("files_"))
        });
        assert!(ok, "{state}\n{steps:#?}");
    }
}

/// Every look of a list, from its beginning and from where another one ended,
/// goes along an index and sorts nothing.
#[tokio::test]
async fn pages_of_lists_go_along_an_index() {
    let bench = Bench::new(policy());
    let conn = by_hand(&bench.path());
    for state in StateKind::ALL {
        for order in Order::ALL {
            let order: Order = order.parse().unwrap();
            let direct = order.by == By::Changed && state.is_final();
            for from in [
                None,
                Some(vec![Value::from(1); 2]),
                Some(vec![Value::from(1); 3]),
            ] {
                let goes_on = from.is_some();
                let (sql, values) =
                    browse::look_sql(state, &Filter::default(), order, direct, from);
                let steps = unbound(&conn, &sql);
                let ok = steps.iter().all(|step| {
                    !step.contains("TEMP B-TREE")
                        && (!step.starts_with("SCAN f") || step.contains("files_"))
                });
                assert!(ok, "{state} by {order}: {sql}\n{steps:#?}");
                // What was met is not read again.
                let bound = |step: &String| step.contains("files_") && step.contains(['<', '>']);
                if goes_on && values.len() > 1 && state != StateKind::Uploading {
                    assert!(
                        steps.iter().any(bound),
                        "{state} by {order}: {sql}\n{steps:#?}"
                    );
                }
            }
        }
    }
}
