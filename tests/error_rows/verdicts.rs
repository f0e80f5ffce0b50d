//! Rows about one file: how often it is sent, and how it ends. No gate closes,
//! and a file beside it on the same route is not held up.

use crate::play::{all, all_in, drop_in, faults, gates, queries, sent, stage};
use crate::support::{text, words};

/// What is played.
struct Row {
    /// The row of the table.
    on: &'static str,
    /// What is tried.
    name: &'static str,
    /// The faults, as JSON; each is about `f.txt` alone.
    faults: &'static [&'static str],
    /// Further configuration.
    with: With,
    /// How often `f.txt` is sent, redirects counted.
    requests: usize,
    /// How often the sandbox took it.
    taken: usize,
    /// How it ends.
    state: &'static str,
    /// With which code; empty: not looked at.
    code: &'static str,
    /// It may be there twice, and the ledger says so.
    twice: bool,
}

/// Further configuration.
#[derive(Default, Clone, Copy)]
struct With {
    /// `[[error]]` tables.
    errors: &'static str,
    /// Keys of the folder.
    folder: &'static str,
    /// Keys of `[service]`.
    service: &'static str,
    /// Keys of `[retry]`.
    retry: &'static str,
    /// Bytes of `f.txt`; 0: few.
    size: usize,
}

const PLAIN: With = With {
    errors: "",
    folder: "",
    service: "",
    retry: "unconfirmed_resends = 30",
    size: 0,
};
const HOLD: With = With {
    folder: "unconfirmed = \"hold\"",
    ..PLAIN
};
const LARGE: With = With {
    size: 24 << 20,
    ..PLAIN
};

const fn row(
    on: &'static str,
    name: &'static str,
    faults: &'static [&'static str],
    requests: usize,
    state: &'static str,
    code: &'static str,
) -> Row {
    Row {
        on,
        name,
        faults,
        with: PLAIN,
        requests,
        taken: 0,
        state,
        code,
        twice: false,
    }
}

impl Row {
    const fn taken(mut self, times: usize) -> Row {
        self.taken = times;
        self
    }
    /// It goes again, or went, after an answer that proves nothing.
    const fn marked(mut self) -> Row {
        self.twice = true;
        self
    }
    const fn twice(mut self) -> Row {
        self.taken = 2;
        self.twice = true;
        self
    }
    const fn with(mut self, with: With) -> Row {
        self.with = with;
        self
    }
    const fn errors(mut self, errors: &'static str) -> Row {
        self.with.errors = errors;
        self
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // ── taken ──────────────────────────────────────────────────────────────
    row("success", "200 with a task", &[], 1, "succeeded", "").taken(1),
    row("success", "202", &[r#"{"status":202}"#], 1, "succeeded", "").taken(1),
    row("success", "206 with a whole envelope", &[r#"{"status":206}"#], 1, "succeeded", "").taken(1),
    row("no-task-id", "204", &[r#"{"status":204,"empty":true}"#], 1, "untracked", "").taken(1),
    row("no-task-id", "200 without a task", &[r#"{"no_task":true}"#], 1, "untracked", "").taken(1),
    row("no-task-id", "200 without a body", &[r#"{"empty":true}"#], 1, "untracked", "").taken(1),
    row("304", "304", &[r#"{"status":304,"empty":true}"#], 1, "untracked", "").taken(1),
    // ── may have been taken ────────────────────────────────────────────────
    row("206", "206 cut, resend", &[r#"{"status":206,"body":"{\"code\":\"0\",","times":1}"#], 2, "succeeded", "").twice(),
    row("206", "206 cut, hold", &[r#"{"status":206,"body":"{\"code\":\"0\","}"#], 1, "unconfirmed", "HTTP-206").taken(1).with(HOLD),
    row("not-envelope", "HTML, resend", &[r#"{"html":true,"times":1}"#], 2, "succeeded", "").taken(1),
    row("not-envelope", "HTML, hold", &[r#"{"html":true}"#], 1, "unconfirmed", "NOT-THE-SERVICE").with(HOLD),
    row("not-envelope", "answer cut half way", &[r#"{"cut":"mid-answer","times":1}"#], 2, "succeeded", "").twice(),
    row("not-envelope", "answer too large", &[r#"{"body":"{big}"}"#], 1, "unconfirmed", "NOT-THE-SERVICE").taken(1).with(HOLD),
    row("broken-after-last-byte", "cut after the body, resend", &[r#"{"cut":"after-body","times":1}"#], 2, "succeeded", "").twice(),
    row("broken-after-last-byte", "cut after the body, hold", &[r#"{"cut":"after-body"}"#], 1, "unconfirmed", "NO-ANSWER").taken(1).with(HOLD),
    row("broken-after-last-byte", "cut after the body, every time", &[r#"{"cut":"after-body"}"#], 4, "unconfirmed", "NO-ANSWER").taken(4)
        .with(With { retry: "unconfirmed_resends = 3", errors: FILE_LOST, ..PLAIN }),
    row("504", "504, resend", &[r#"{"status":504,"times":1}"#], 2, "succeeded", "").taken(1).marked(),
    row("504", "504 though taken, resend", &[r#"{"status":504,"taken":true,"times":1}"#], 2, "succeeded", "").twice(),
    row("504", "504 though taken, hold", &[r#"{"status":504,"taken":true}"#], 1, "unconfirmed", "HTTP-504").taken(1).with(HOLD),
    row("520", "520, hold", &[r#"{"status":520}"#], 1, "unconfirmed", "HTTP-520").with(HOLD),
    row("524", "524, hold", &[r#"{"status":524}"#], 1, "unconfirmed", "HTTP-524").with(HOLD),
    row("504", "504 before the last byte, hold", &[r#"{"status":504,"early":true,"times":1}"#], 2, "succeeded", "").taken(1)
        .with(With { folder: HOLD.folder, ..LARGE }),
    row("broken-after-last-byte", "silence, resend", &[r#"{"silence":true,"times":1}"#], 2, "succeeded", "").twice()
        .with(With { service: "answer_timeout = \"1s\"", ..PLAIN }),
    row("broken-after-last-byte", "silence, hold", &[r#"{"silence":true}"#], 1, "unconfirmed", "NO-ANSWER").taken(1)
        .with(With { service: "answer_timeout = \"1s\"", ..HOLD }),
    // ── not taken for sure ─────────────────────────────────────────────────
    row("broken-before-last-byte", "cut before the content", &[r#"{"cut":"before-body","times":1}"#], 2, "succeeded", "").taken(1).with(LARGE),
    row("broken-before-last-byte", "cut half way, twice, hold", &[r#"{"cut":"mid-body","times":2}"#], 3, "succeeded", "").taken(1)
        .with(With { folder: HOLD.folder, ..LARGE }),
    // ── redirects ──────────────────────────────────────────────────────────
    row("303", "303 to the result", &[r#"{"status":303,"location":"/openapi/open/v1/import-result/{task_id}","times":1}"#], 2, "succeeded", "").taken(1),
    row("303", "303 to nothing, hold", &[r#"{"status":303,"location":"/openapi/open/v1/import-result/1"}"#], 2, "unconfirmed", "HTTP-404").taken(1)
        .with(With { errors: FILE_404, ..HOLD }),
    row("307", "307 to the same", &[r#"{"status":307,"location":"/openapi/open/v1/file-task","times":1}"#], 2, "succeeded", "").taken(1),
    row("307", "307 three times", &[r#"{"status":307,"location":"file-task","times":3}"#], 4, "succeeded", "").taken(1),
    // ── rejected ───────────────────────────────────────────────────────────
    row("OPS40002", "OPS40002", &[r#"{"code":"OPS40002"}"#], 1, "rejected", "OPS40002"),
    row("OPS40002", "OPS40002 under 200", &[r#"{"code":"OPS40002","status":200}"#], 1, "rejected", "OPS40002"),
    row("OPS40004", "OPS40004", &[r#"{"code":"OPS40004"}"#], 1, "rejected", "OPS40004"),
    row("OPS4…", "OPS49999", &[r#"{"code":"OPS49999"}"#], 1, "rejected", "OPS49999"),
    row("other-code", "1234 under 200", &[r#"{"code":"1234","status":200}"#], 1, "rejected", "1234"),
    row("400", "400 without a code", &[r#"{"status":400}"#], 1, "rejected", "HTTP-400"),
    row("406", "406", &[r#"{"status":406}"#], 1, "rejected", "HTTP-406"),
    row("413", "413", &[r#"{"status":413}"#], 1, "rejected", "HTTP-413"),
    row("415", "415", &[r#"{"status":415}"#], 1, "rejected", "HTTP-415"),
    row("422", "422", &[r#"{"status":422}"#], 1, "rejected", "HTTP-422"),
    row("4xx", "418", &[r#"{"status":418}"#], 1, "rejected", "HTTP-418"),
    // ── again ──────────────────────────────────────────────────────────────
    row("408", "408 twice", &[r#"{"status":408,"times":2}"#], 3, "succeeded", "").taken(1).marked(),
    row("408", "408 though taken, hold", &[r#"{"status":408,"taken":true,"times":1}"#], 2, "succeeded", "").twice().with(HOLD),
    row("425", "425 twice", &[r#"{"status":425,"times":2}"#], 3, "succeeded", "").taken(1),
    row("409", "409 three times", &[r#"{"status":409,"times":3}"#], 4, "succeeded", "").taken(1),
    row("409", "409 for good", &[r#"{"status":409}"#], 4, "rejected", "HTTP-409"),
    row("500", "500 eight times", &[r#"{"status":500,"times":8}"#], 9, "succeeded", "").taken(1).marked().errors(FILE_500),
    row("500", "500 for good", &[r#"{"status":500}"#], 9, "exhausted", "HTTP-500").marked().errors(FILE_500),
    row("5xx", "599 for good", &[r#"{"status":599}"#], 9, "exhausted", "HTTP-599").marked().errors("[[error]]\non = \"5xx\"\npause = \"file\""),
    row("OPS5…", "OPS59999 for good", &[r#"{"code":"OPS59999"}"#], 9, "exhausted", "OPS59999").errors("[[error]]\non = \"OPS5*\"\npause = \"file\""),
    // ── overridden ─────────────────────────────────────────────────────────
    row("409", "409 overridden to reject", &[r#"{"status":409}"#], 1, "rejected", "HTTP-409").errors("[[error]]\non = \"409\"\nverdict = \"reject\""),
    row("4xx", "418 overridden to retry once", &[r#"{"status":418}"#], 2, "exhausted", "HTTP-418")
        .errors("[[error]]\non = \"418\"\nverdict = \"retry\"\nlimit = 1\nthen = \"exhausted\"\npause = \"file\""),
    row("404", "404 overridden to reject", &[r#"{"status":404}"#], 1, "rejected", "HTTP-404")
        .errors("[[error]]\non = \"404\"\ncalls = \"upload\"\nverdict = \"reject\"\npause = \"file\""),
    row("OPS40004", "OPS40004 overridden to retry", &[r#"{"code":"OPS40004","times":4}"#], 5, "succeeded", "").taken(1)
        .errors("[[error]]\non = \"OPS40004\"\nverdict = \"retry\"\npause = \"file\""),
];

const FILE_404: &str =
    "[[error]]\non = \"404\"\ncalls = \"upload\"\nverdict = \"reject\"\npause = \"file\"";
/// One file that fails must be seen to be given up, not to pause the service.
const FILE_LOST: &str =
    "[[error]]\non = \"broken-after-last-byte\"\ncalls = \"upload\"\npause = \"file\"";
/// One file that fails must be seen to be given up, not to pause the service.
const FILE_500: &str = "[[error]]\non = \"500\"\npause = \"file\"";

/// What is played with a query.
struct Query {
    on: &'static str,
    name: &'static str,
    fault: &'static str,
    /// How often the task is asked about.
    asked: usize,
    state: &'static str,
}

const fn query(
    on: &'static str,
    name: &'static str,
    fault: &'static str,
    asked: usize,
    state: &'static str,
) -> Query {
    Query {
        on,
        name,
        fault,
        asked,
        state,
    }
}

#[rustfmt::skip]
const QUERIES: &[Query] = &[
    query("304", "query: 304", r#"{"status":304,"empty":true,"times":2}"#, 3, "succeeded"),
    query("no-task-id", "query: no state", r#"{"body":"{\"code\":\"0\",\"data\":{}}","times":2}"#, 3, "succeeded"),
    query("success", "query: a state nobody knows", r#"{"task_state":"THINKING","times":2}"#, 3, "succeeded"),
    query("success", "query: the other spelling of pending", r#"{"task_state":"PENGDING","times":2}"#, 3, "succeeded"),
    query("other-task", "query: another task's state", r#"{"body":"{\"code\":\"0\",\"data\":{\"taskId\":\"other\",\"state\":\"SUCCESS\"}}","times":2}"#, 3, "succeeded"),
    query("520", "query: 520", r#"{"status":520,"times":1}"#, 2, "succeeded"),
    query("404", "query: 404 three times", r#"{"status":404,"times":3}"#, 4, "succeeded"),
    query("404", "query: 404 for good", r#"{"status":404}"#, 4, "lost"),
    query("400", "query: 400 for good", r#"{"status":400}"#, 4, "lost"),
    query("not-envelope", "query: HTML twice", r#"{"html":true,"times":2}"#, 3, "succeeded"),
    query("broken-after-last-byte", "query: cut", r#"{"cut":"after-body","times":4}"#, 5, "succeeded"),
    query("408", "query: 408", r#"{"status":408,"times":2}"#, 3, "succeeded"),
    query("409", "query: 409, more often than an upload may", r#"{"status":409,"times":5}"#, 6, "succeeded"),
    query("OPS40001", "query: OPS40001 pauses no route", r#"{"code":"OPS40001","times":2}"#, 3, "succeeded"),
    query("405", "query: 405 pauses no route", r#"{"status":405,"times":2}"#, 3, "succeeded"),
    query("500", "query: 500 four times", r#"{"status":500,"times":4}"#, 5, "succeeded"),
];

/// Which rows this file plays; true: for a query.
pub fn played() -> impl Iterator<Item = (bool, &'static str)> {
    let own_row = |q: &&Query| {
        matches!(
            q.on,
            "304"
                | "404"
                | "520"
                | "not-envelope"
                | "other-task"
                | "no-task-id"
                | "broken-after-last-byte"
        )
    };
    let queries = QUERIES.iter().filter(own_row).map(|q| (true, q.on));
    ROWS.iter().map(|row| (false, row.on)).chain(queries)
}

#[test]
fn uploads() {
    all(ROWS, |row| row.name, play);
}

fn play(row: &Row) {
    let stage = stage(|settings| {
        settings.inbox(row.with.folder).tail(row.with.errors);
        settings.service = row.with.service.into();
        settings.retry = row.with.retry.into();
    });
    let script: Vec<String> = row.faults.iter().map(|f| about("f.txt", f)).collect();
    faults(&stage, &format!("[{}]", script.join(",")));
    stage.drop_file("f.txt", words(7, row.with.size.max(40)));
    let daemon = stage.start();
    all_in(&stage, &daemon, row.state, &["f.txt".into()]);
    // Not held up, and proof that the daemon has gone on: what would be sent
    // too often has had its chance.
    drop_in(&stage, "inbox", "out-after.txt");
    all_in(&stage, &daemon, "succeeded", &["out-after.txt".into()]);

    let file = stage.file("f.txt").unwrap();
    if !row.code.is_empty() {
        assert_eq!(file["code"], row.code, "{file:#}");
    }
    let twice = row.twice || row.taken > 1 || (row.requests == 2 && row.on == "not-envelope");
    assert_eq!(file["possible_duplicate"], twice, "{file:#}");
    assert_eq!(stage.uploads_of("f.txt").len(), row.taken);
    let requests = sent(&stage);
    assert_eq!(requests.len(), row.requests, "{requests:#?}");
    assert!(gates(&stage).is_empty(), "{:#?}", gates(&stage));
    if row.state == "unconfirmed" {
        faults(&stage, "[]");
        stage.said(&["retry", "f.txt"]);
        all_in(&stage, &daemon, "succeeded", &["f.txt".into()]);
        assert_eq!(stage.uploads_of("f.txt").len(), row.taken + 1);
        let file = stage.file("f.txt").unwrap();
        assert_eq!(file["possible_duplicate"], true, "{file:#}");
    }
    assert!(daemon.terminate().success());
}

#[test]
fn about_tasks() {
    all(QUERIES, |row| row.name, play_query);
}

fn play_query(row: &Query) {
    let stage = stage(|_| {});
    let fault = row.fault.replacen('{', r#"{"route":"query","#, 1);
    faults(&stage, &format!("[{}]", about("f.txt", &fault)));
    drop_in(&stage, "inbox", "f.txt");
    let daemon = stage.start();
    all_in(&stage, &daemon, row.state, &["f.txt".into()]);
    let asked = queries(&stage);
    assert_eq!(asked.len(), row.asked, "{asked:#?}");
    assert!(gates(&stage).is_empty(), "{:#?}", gates(&stage));
    assert_eq!(sent(&stage).len(), 1);
    if row.state == "lost" {
        faults(&stage, "[]");
        stage.said(&["retry", "--state", "lost"]);
        all_in(&stage, &daemon, "succeeded", &["f.txt".into()]);
        assert_eq!(stage.uploads_of("f.txt").len(), 2);
        assert_eq!(text(&stage.file("f.txt").unwrap(), "state"), "succeeded");
        assert_eq!(stage.file("f.txt").unwrap()["possible_duplicate"], true);
    }
    assert!(daemon.terminate().success());
}

/// A fault about this file, with what stands for something long put in.
fn about(file: &str, fault: &str) -> String {
    fault
        .replacen('{', &format!(r#"{{"file":"{file}","#), 1)
        .replace("{big}", &"x".repeat(300_000))
}
