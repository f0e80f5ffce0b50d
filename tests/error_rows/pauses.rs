//! Rows that make others wait: which gate closes, who waits and who does not,
//! that probes go out one at a time and not before their time, and that all is
//! finished once the fault is over.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use supametas_sync::sandbox::{Outcome, RequestRecord};

use crate::play::{
    all, all_in, closed, drop_in, drop_picture, faults, gates, main_key, sent, stage,
};
use crate::support::Stage;

/// The first pause of most rows, in milliseconds; the longest is twice that.
const FIRST: u64 = 600;

/// Milliseconds that a clock may be off: the daemon's has whole ones.
const SLACK: f64 = 3.0;

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Route,
    Dataset,
    Service,
}
use Scope::{Dataset, Route, Service};

/// What is played.
struct Row {
    /// The row of the table.
    on: &'static str,
    /// What is tried.
    name: &'static str,
    /// The answer, as JSON; given to everything in the scope.
    fault: &'static str,
    /// Who has to wait.
    scope: Scope,
    /// After how many such answers.
    after: usize,
    /// The code that the gate and the ledger show.
    code: &'static str,
    /// The answers are to queries: the upload before them went well.
    query: bool,
    /// What the overrides that shorten the pause call the answer.
    on_override: &'static str,
    /// Requests that one try takes: more than one where redirects are followed.
    hops: usize,
    /// The waits before the first and the second probe, in milliseconds.
    waits: [u64; 2],
    /// The service takes the file all the same.
    takes: bool,
    /// No row of the table: the configuration names it as a quota.
    quota: bool,
}

const fn row(
    on: &'static str,
    name: &'static str,
    fault: &'static str,
    scope: Scope,
    after: usize,
    code: &'static str,
) -> Row {
    Row {
        on,
        name,
        fault,
        scope,
        after,
        code,
        query: false,
        on_override: on,
        hops: 1,
        waits: [FIRST, 2 * FIRST],
        takes: false,
        quota: false,
    }
}

impl Row {
    const fn query(mut self) -> Row {
        self.query = true;
        self
    }
    const fn overriding(mut self, on: &'static str) -> Row {
        self.on_override = on;
        self
    }
    const fn hops(mut self, requests: usize) -> Row {
        self.hops = requests;
        self
    }
    const fn waits(mut self, first: u64, second: u64) -> Row {
        self.waits = [first, second];
        self
    }
    const fn quota(mut self) -> Row {
        self.quota = true;
        self
    }
    const fn takes(mut self) -> Row {
        self.takes = true;
        self
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // ── the service's own codes ────────────────────────────────────────────
    row("OPS40001", "OPS40001", r#"{"code":"OPS40001"}"#, Route, 1, "OPS40001"),
    row("OPS40002", "OPS40002 five times", r#"{"code":"OPS40002"}"#, Route, 5, "OPS40002"),
    row("OPS40003", "OPS40003 under 200", r#"{"code":"OPS40003","status":200}"#, Route, 1, "OPS40003"),
    row("OPS40004", "OPS40004 five times", r#"{"code":"OPS40004"}"#, Route, 5, "OPS40004"),
    row("OPS4…", "OPS49999 five times", r#"{"code":"OPS49999"}"#, Route, 5, "OPS49999").overriding("OPS4*"),
    row("OPS5…", "OPS59999 five times", r#"{"code":"OPS59999"}"#, Service, 5, "OPS59999").overriding("OPS5*"),
    row("other-code", "1234 under 200, five times", r#"{"code":"1234","status":200}"#, Route, 5, "1234"),
    // ── 2xx ────────────────────────────────────────────────────────────────
    row("not-envelope", "HTML three times", r#"{"html":true}"#, Service, 3, "NOT-THE-SERVICE"),
    // ── 3xx ────────────────────────────────────────────────────────────────
    row("301", "301 elsewhere", r#"{"status":301,"location":"{other}"}"#, Service, 1, "HTTP-301"),
    row("308", "308 elsewhere", r#"{"status":308,"location":"{other}"}"#, Service, 1, "HTTP-308"),
    row("308", "308 with Retry-After", r#"{"status":308,"location":"/moved","retry_after":"1"}"#, Service, 1, "HTTP-308").waits(1000, 1000),
    row("redirect-elsewhere", "307 elsewhere", r#"{"status":307,"location":"{other}"}"#, Service, 1, "HTTP-307"),
    row("redirect-elsewhere", "307 to nowhere", r#"{"status":307}"#, Service, 1, "HTTP-307"),
    row("redirect-elsewhere", "303 elsewhere", r#"{"status":303,"location":"{other}"}"#, Service, 1, "HTTP-303").takes(),
    row("redirect-loop", "307 in a circle", r#"{"status":307,"location":"/openapi/open/v1/file-task"}"#, Service, 1, "HTTP-307").hops(4),
    row("3xx", "302", r#"{"status":302,"location":"{other}"}"#, Service, 1, "HTTP-302"),
    // ── 4xx ────────────────────────────────────────────────────────────────
    row("400", "400 five times", r#"{"status":400}"#, Route, 5, "HTTP-400"),
    row("401", "401", r#"{"status":401}"#, Dataset, 1, "HTTP-401"),
    row("403", "403", r#"{"status":403}"#, Dataset, 1, "HTTP-403"),
    row("403", "403 with Retry-After", r#"{"status":403,"retry_after":"1"}"#, Dataset, 1, "HTTP-403").waits(1000, 1000),
    row("402", "402", r#"{"status":402,"message":"insufficient balance"}"#, Dataset, 1, "HTTP-402"),
    row("OPS40301", "a quota by its code", r#"{"status":200,"code":"OPS40301"}"#, Dataset, 1, "OPS40301").quota(),
    row("message: used up", "a quota by its message", r#"{"status":200,"code":"1234","message":"quota USED UP"}"#, Dataset, 1, "1234").quota(),
    row("407", "407", r#"{"status":407}"#, Service, 1, "HTTP-407"),
    row("421", "421", r#"{"status":421}"#, Service, 1, "HTTP-421"),
    row("431", "431", r#"{"status":431}"#, Service, 1, "HTTP-431"),
    row("404", "404", r#"{"status":404}"#, Route, 1, "HTTP-404"),
    row("405", "405", r#"{"status":405}"#, Route, 1, "HTTP-405"),
    row("422", "422 five times", r#"{"status":422}"#, Route, 5, "HTTP-422"),
    row("4xx", "418 five times", r#"{"status":418}"#, Route, 5, "HTTP-418"),
    row("429", "429", r#"{"status":429}"#, Dataset, 1, "HTTP-429"),
    row("429", "429 with Retry-After", r#"{"status":429,"retry_after":"1"}"#, Dataset, 1, "HTTP-429").waits(1000, 1000),
    row("429", "429 until a date", r#"{"status":429,"retry_after":"{date}"}"#, Dataset, 1, "HTTP-429").waits(1900, 0),
    row("429", "429 with Retry-After: 0", r#"{"status":429,"retry_after":"0"}"#, Dataset, 1, "HTTP-429"),
    // ── 5xx ────────────────────────────────────────────────────────────────
    row("500", "500 five times", r#"{"status":500}"#, Service, 5, "HTTP-500"),
    row("502", "502", r#"{"status":502}"#, Service, 1, "HTTP-502"),
    row("503", "503", r#"{"status":503}"#, Service, 1, "HTTP-503"),
    row("503", "503 with Retry-After", r#"{"status":503,"retry_after":"1"}"#, Service, 1, "HTTP-503").waits(1000, 1000),
    row("504", "504 three times", r#"{"status":504}"#, Service, 3, "HTTP-504"),
    row("520", "520 three times", r#"{"status":520}"#, Service, 3, "HTTP-520"),
    row("524", "524 three times", r#"{"status":524}"#, Service, 3, "HTTP-524"),
    row("511", "511", r#"{"status":511}"#, Service, 1, "HTTP-511"),
    row("521", "521", r#"{"status":521}"#, Service, 1, "HTTP-521"),
    row("522", "522", r#"{"status":522}"#, Service, 1, "HTTP-522"),
    row("523", "523", r#"{"status":523}"#, Service, 1, "HTTP-523"),
    row("525", "525", r#"{"status":525}"#, Service, 1, "HTTP-525"),
    row("526", "526", r#"{"status":526}"#, Service, 1, "HTTP-526"),
    row("530", "530", r#"{"status":530}"#, Service, 1, "HTTP-530"),
    row("5xx", "599 five times", r#"{"status":599}"#, Service, 5, "HTTP-599"),
    // ── queries ────────────────────────────────────────────────────────────
    row("401", "query: 401", r#"{"status":401}"#, Dataset, 1, "HTTP-401").query(),
    row("403", "query: 403", r#"{"status":403}"#, Dataset, 1, "HTTP-403").query(),
    row("429", "query: 429 with Retry-After", r#"{"status":429,"retry_after":"1"}"#, Dataset, 1, "HTTP-429").query().waits(1000, 1000),
    row("503", "query: 503", r#"{"status":503}"#, Service, 1, "HTTP-503").query(),
    row("504", "query: 504", r#"{"status":504}"#, Service, 1, "HTTP-504").query(),
    row("524", "query: 524", r#"{"status":524}"#, Service, 1, "HTTP-524").query(),
    row("301", "query: 301 elsewhere", r#"{"status":301,"location":"{other}"}"#, Service, 1, "HTTP-301").query(),
    row("500", "query: 500 five times", r#"{"status":500}"#, Service, 5, "HTTP-500").query(),
    row("not-envelope", "query: HTML three times", r#"{"html":true}"#, Service, 3, "NOT-THE-SERVICE").query(),
];

/// Which rows this file plays; true: for a query.
pub fn played() -> impl Iterator<Item = (bool, &'static str)> {
    ROWS.iter().filter(|row| !row.quota).map(|row| {
        let query = row.query && matches!(row.on, "not-envelope" | "504" | "524");
        (query, row.on)
    })
}

#[test]
fn pauses() {
    all(ROWS, |row| row.name, play);
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

fn play(row: &Row) {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let other = format!("http://{}/elsewhere", elsewhere.local_addr().unwrap());
    let stage = stage(|settings| {
        // The same for both calls: what pauses is asked about by either.
        for calls in ["upload", "query"] {
            // A query never pauses a route.
            if calls == "upload" || row.scope != Route {
                let quota = match row.quota {
                    true => "verdict = \"quota\"\n",
                    false => "",
                };
                settings.tail(&format!(
                    "[[error]]\non = {:?}\ncalls = {calls:?}\n{quota}pause_first = \"{FIRST}ms\"\n\
                     pause_max = \"{}ms\"",
                    row.on_override,
                    2 * FIRST
                ));
            }
        }
    });
    faults(&stage, &script(row, &other));
    // As many files as close the gate, and one more.
    let files: Vec<String> = match row.query {
        true => names(&["f-0.txt"]),
        false => (0..=row.after).map(|n| format!("f-{n}.txt")).collect(),
    };
    for name in &files {
        drop_in(&stage, "inbox", name);
    }
    let daemon = stage.start();

    // Who paused.
    let gate = match row.scope {
        Route => "route:inbox/text",
        Dataset => "dataset:main",
        Service => "service",
    };
    let shown = closed(&stage, &daemon, gate);
    assert_eq!(shown["code"], row.code, "{shown:#}");
    if row.fault.contains("{other}") {
        let why = shown["why"].as_str().unwrap();
        assert!(why.contains(&other), "{why}");
    }

    // Who waits and who does not.
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    let mut witness = |folder: &str, scope_waits: bool, picture: bool| {
        let prefix = if scope_waits { "in" } else { "out" };
        let end = if picture { "png" } else { "txt" };
        let name = format!("{prefix}-{folder}.{end}");
        match picture {
            true => drop_picture(&stage, folder, &name),
            false => drop_in(&stage, folder, &name),
        }
        if scope_waits {
            inside.push(name);
        } else {
            outside.push(name);
        }
    };
    witness("inbox", row.scope != Route, true);
    witness("beside", row.scope != Route, false);
    witness("far", row.scope == Service, false);
    all_in(&stage, &daemon, "succeeded", &outside);
    daemon.until("those that wait are in the ledger", || {
        let listed = stage.list();
        inside
            .iter()
            .all(|name| listed.iter().any(|file| file["file"] == *name))
    });
    // One probe at least fails: the pause goes on, and longer.
    daemon.until("a probe has failed", || {
        failed(&stage, row).len() >= (row.after + 1) * row.hops
    });
    // No file is blamed, and the ledger has the code.
    let unharmed = if row.query { "submitted" } else { "queued" };
    all_in(&stage, &daemon, unharmed, &files);
    let listed = stage.list();
    if !row.query {
        let has_code = listed.iter().any(|f| f["code"] == row.code);
        assert!(has_code, "{listed:#?}");
    }
    assert!(
        inside
            .iter()
            .all(|name| stage.uploads_of(name).is_empty() || row.takes),
        "sent behind a closed gate"
    );
    assert_eq!(gates(&stage).len(), 1);

    // And when it goes on.
    faults(&stage, "[]");
    let everything = [files, outside, inside].concat();
    all_in(&stage, &daemon, "succeeded", &everything);
    assert!(gates(&stage).is_empty(), "{:#?}", gates(&stage));
    waits(&stage, row);
    for name in &everything {
        let uploads = stage.uploads_of(name).len();
        let twice = stage.file(name).unwrap()["possible_duplicate"] == true;
        assert!(
            uploads == 1 || (row.takes && uploads > 1 && twice),
            "{name} was taken {uploads} times"
        );
    }
    let came = elsewhere.accept().map(|(_, from)| from);
    assert!(came.is_err(), "the other host was called: {came:?}");
    assert!(daemon.terminate().success());
}

/// The fault, for everything in the row's scope.
fn script(row: &Row, other: &str) -> String {
    let mut keys = match row.scope {
        Route => r#""file":"f-*""#.to_owned(),
        Dataset => format!(r#""key":"{}""#, main_key()),
        Service => r#""name":"all""#.to_owned(),
    };
    keys.push_str(if row.query { r#","from":2,"# } else { "," });
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4));
    let fault = row.fault.replacen('{', &format!("{{{keys}"), 1);
    let fault = fault.replace("{other}", other).replace("{date}", &date);
    format!("[{fault}]")
}

/// Requests that met the fault, in the order of arrival.
fn failed(stage: &Stage, row: &Row) -> Vec<RequestRecord> {
    let ok = |r: &RequestRecord| {
        let taken = stage.sandbox.uploads().iter().any(|u| u.request == r.seq);
        let read = r.path.ends_with("/query-task") && r.status == Outcome::Answered(200);
        let html = row.code == "NOT-THE-SERVICE" && r.bytes > 0;
        (taken && !row.takes) || (read && !html)
    };
    let mut requests = match row.query {
        true => stage.sandbox.requests(),
        false => sent(stage),
    };
    requests.retain(|r| !ok(r) && !matches!(r.status, Outcome::Open));
    requests
}

/// What was sent in the scope came in the right numbers, and not too early.
fn waits(stage: &Stage, row: &Row) {
    if row.query {
        // What is not about the fault can't be told from other queries.
        let failed = failed(stage, row);
        let came: Vec<f64> = failed.iter().map(|r| r.at_ms).collect();
        let gap = came[row.after] - came[row.after - 1];
        assert!(gap + SLACK >= row.waits[0] as f64, "{gap} ms\n{failed:#?}");
        return;
    }
    let requests = sent(stage);
    let came: Vec<f64> = requests.iter().map(|r| r.at_ms).collect();
    let burst = row.after * row.hops;
    let failed = if row.takes {
        requests
            .iter()
            .filter(|r| r.status == Outcome::Answered(303))
            .count()
    } else {
        failed(stage, row).len()
    };
    assert!(failed > burst, "{requests:#?}");
    // The last is the probe that found the fault gone.
    let probes = (burst..=failed).step_by(row.hops);
    for (n, at) in probes.enumerate() {
        let wait = row.waits[n.min(1)] as f64;
        let gap = came[at] - came[at - 1];
        assert!(
            gap + SLACK >= wait,
            "probe {n} after {gap} ms, not {wait}\n{requests:#?}"
        );
    }
    // The others followed only when that one had been answered.
    let uploads = stage.sandbox.uploads();
    let probe = uploads.iter().find(|u| u.request == requests[failed].seq);
    assert!(came[failed + 1] >= probe.unwrap().at_ms, "{requests:#?}");
}
