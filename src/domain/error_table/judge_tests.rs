//! The error table, row by row, as it is written down for people; every
//! status and odd code; redirects and overrides are in files of their own.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::error_table::{Holds, Lifts, Then};

#[path = "judge_tests/overrides.rs"]
mod overrides;
#[path = "judge_tests/redirects.rs"]
mod redirects;
#[path = "judge_tests/words.rs"]
mod words;

const UP: Call = Call::Upload;
const ASK: Call = Call::Query;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn task() -> TaskId {
    TaskId::new("t-1").unwrap()
}

fn answer(status: u16, body: Body) -> Answer {
    Answer {
        status,
        body,
        ..Answer::default()
    }
}

fn envelope(code: &str) -> Body {
    Body::Envelope {
        code: code.to_owned(),
        message: None,
        task: None,
        task_state: None,
        opt_result: None,
    }
}

/// The service speaks of a task that was not asked about.
fn other_task() -> Body {
    Body::OtherTask {
        what: "it names t-2".to_owned(),
    }
}

/// The body of a full success: a task for an upload, a state for a query.
fn success() -> Body {
    Body::Envelope {
        code: "0".to_owned(),
        message: Some("success".to_owned()),
        task: Some(task()),
        task_state: Some(TaskState::Pending),
        opt_result: None,
    }
}

fn html() -> Body {
    Body::NotEnvelope {
        what: "HTML".to_owned(),
    }
}

/// A status with the code `"0"` and no data, as the service's errors have it.
fn status(status: u16) -> Outcome {
    Outcome::Answer(answer(status, envelope("0")))
}

fn code(status: u16, code: &str) -> Outcome {
    Outcome::Answer(answer(status, envelope(code)))
}

fn with(status: u16, body: Body) -> Outcome {
    Outcome::Answer(answer(status, body))
}

fn to(status: u16, location: Option<Location>) -> Outcome {
    Outcome::Answer(Answer {
        location,
        ..answer(status, Body::Empty)
    })
}

fn here() -> Option<Location> {
    Some(Location::SameOrigin("https://s/x".to_owned()))
}

fn abroad() -> Option<Location> {
    Some(Location::Elsewhere("https://evil/".to_owned()))
}

fn broken(last_byte_sent: bool) -> Outcome {
    Outcome::Broken {
        last_byte_sent,
        detail: "reset".to_owned(),
    }
}

fn no_connection() -> Outcome {
    Outcome::NoConnection {
        detail: "no address".to_owned(),
    }
}

fn judge(call: Call, outcome: &Outcome) -> Judgement {
    ErrorTable::default().judge(call, outcome, Trail::default())
}

/// One line for a judgement: `verdict`, then `| scope xN first..max lifts`.
fn line(judgement: &Judgement) -> String {
    let limited = |limit: &Limit| {
        let then = match limit.then {
            Then::Rejected => "rejected",
            Then::Exhausted => "exhausted",
            Then::Lost => "lost",
        };
        format!("retry {} then {then}", limit.times)
    };
    let verdict = match &judgement.verdict {
        Verdict::Done(Some(_)) => "done".to_owned(),
        Verdict::Done(None) => "done, untracked".to_owned(),
        Verdict::Task(_) => "task".to_owned(),
        Verdict::Unchanged => "unchanged".to_owned(),
        Verdict::Retry(None) => "retry".to_owned(),
        Verdict::Retry(Some(limit)) => limited(limit),
        Verdict::Reject => "reject".to_owned(),
        Verdict::Hold => "hold".to_owned(),
        Verdict::Unconfirmed => "unconfirmed".to_owned(),
        Verdict::Follow(Follow::Get, _) => "follow by GET".to_owned(),
        Verdict::Follow(Follow::Same, _) => "follow".to_owned(),
    };
    let marked = if judgement.may_be_taken {
        ", marked"
    } else {
        ""
    };
    let Some(pause) = judgement.pause else {
        return verdict + marked;
    };
    let lifts = match pause.lifts {
        Lifts::Time => "",
        Lifts::KeyChange => " or another key",
        Lifts::ConfigChange => " or other settings",
    };
    let span = |d: Duration| match d.as_secs() {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    };
    let (first, max) = (span(pause.first), span(pause.max));
    let (scope, after) = (pause.scope, pause.after);
    let uploads = match pause.holds {
        Holds::Calls => "",
        Holds::Uploads => " uploads",
    };
    format!("{verdict}{marked} | {scope} x{after} {first}..{max}{lifts}{uploads}")
}

/// Every row of the written table, in its order, for an upload and a query.
#[test]
fn the_written_table() {
    const MOVED: &str = "hold | service x1 1h..24h or other settings";
    const PATH: &str = "hold | route x1 1h..24h or other settings";
    const FILE_OR_ROUTE: &str = "reject | route x5 15m..6h or other settings";
    const SERVER: &str = "retry 8 then exhausted | service x5 30s..15m";
    const SERVER_MARKED: &str = "retry 8 then exhausted, marked | service x5 30s..15m";
    const DOWN_MARKED: &str = "retry, marked | service x1 2s..15m";
    const DOUBT: &str = "unconfirmed | service x3 1m..1h uploads";
    const UNTRACKED: &str = "done, untracked | service x3 1m..1h uploads";
    const QUOTA: &str = "hold | dataset x1 1h..24h or another key uploads";
    const PROXY: &str = "hold | service x1 1m..1h or other settings";
    const DOWN: &str = "retry | service x1 2s..15m";
    const KEY: &str = "hold | dataset x1 1h..24h or another key";
    const REFUSED: &str = "hold | dataset x1 15m..6h or another key";
    const STRANGE: &str = "hold | service x1 15m..6h or other settings";
    const PORTAL: &str = "unconfirmed | service x3 1m..1h";
    const NET: &str = "retry | service x1 1s..5m";
    const MANY: &str = "retry | dataset x1 1s..15m";
    #[rustfmt::skip]
    let table = [
        ("200, code 0, task",      with(200, success()),            "done",            "task"),
        ("202",                    with(202, success()),            "done",            "task"),
        ("204",                    with(204, Body::Empty),          UNTRACKED,         "unchanged"),
        ("200, empty",             with(200, Body::Empty),          UNTRACKED,         "unchanged"),
        ("202, empty",             with(202, Body::Empty),          UNTRACKED,         "unchanged"),
        ("200, no task ID",        status(200),                     UNTRACKED,         "unchanged"),
        ("202, no task ID",        status(202),                     UNTRACKED,         "unchanged"),
        ("206, whole",             with(206, success()),            "done",            "task"),
        ("206, whole, no task",    status(206),                     UNTRACKED,         "unchanged"),
        ("206, cut",               with(206, html()),               "unconfirmed",     "retry | service x3 1m..1h"),
        ("206, empty",             with(206, Body::Empty),          "unconfirmed",     "retry | service x3 1m..1h"),
        ("200, HTML",              with(200, html()),               PORTAL,            "retry | service x3 1m..1h"),
        ("299, HTML",              with(299, html()),               PORTAL,            "retry | service x3 1m..1h"),
        ("301",                    to(301, here()),                 MOVED,             MOVED),
        ("308",                    to(308, abroad()),               MOVED,             MOVED),
        ("303",                    to(303, here()),                 "follow by GET",   "follow by GET"),
        ("303, abroad",            to(303, abroad()),               "unconfirmed | service x1 1h..24h or other settings", MOVED),
        ("304",                    with(304, Body::Empty),          UNTRACKED,         "unchanged"),
        ("307",                    to(307, here()),                 "follow",          "follow"),
        ("307, abroad",            to(307, abroad()),               MOVED,             MOVED),
        ("307, nowhere",           to(307, None),                   MOVED,             MOVED),
        ("302, other 3xx",         to(302, here()),                 STRANGE,           STRANGE),
        ("300",                    to(300, None),                   STRANGE,           STRANGE),
        ("400, OPS code",          code(400, "OPS40001"),           PATH,              "hold"),
        ("400",                    status(400),                     FILE_OR_ROUTE,     "reject"),
        ("400, another's code",    code(400, "E17"),                FILE_OR_ROUTE,     "reject"),
        ("400, HTML",              with(400, html()),               FILE_OR_ROUTE,     "reject"),
        ("401",                    status(401),                     KEY,               KEY),
        ("401, OPS code",          code(401, "OPS40004"),           KEY,               KEY),
        ("403",                    status(403),                     REFUSED,           REFUSED),
        ("404",                    status(404),                     PATH,              "retry 3 then lost"),
        ("405",                    status(405),                     PATH,              "hold"),
        ("406",                    status(406),                     "reject",          "reject"),
        ("409",                    status(409),                     "retry 3 then rejected", "retry 3 then rejected"),
        ("413",                    status(413),                     "reject",          "reject"),
        ("415",                    status(415),                     "reject",          "reject"),
        ("422",                    status(422),                     FILE_OR_ROUTE,     "reject"),
        ("418, other 4xx",         status(418),                     FILE_OR_ROUTE,     "reject"),
        ("408",                    status(408),                     "retry, marked",   "retry"),
        ("402",                    status(402),                     QUOTA,             QUOTA),
        ("407",                    status(407),                     PROXY,             PROXY),
        ("421",                    status(421),                     PROXY,             PROXY),
        ("431",                    status(431),                     PROXY,             PROXY),
        ("511",                    status(511),                     PROXY,             PROXY),
        ("425",                    status(425),                     "retry",           "retry"),
        ("429",                    status(429),                     MANY,              MANY),
        ("500",                    status(500),                     SERVER_MARKED, SERVER),
        ("502",                    status(502),                     DOWN_MARKED, DOWN),
        ("503",                    with(503, html()),               DOWN_MARKED,       DOWN),
        ("504",                    status(504),                     DOUBT,             DOWN),
        ("520",                    status(520),                     DOUBT,             DOWN),
        ("521",                    status(521),                     DOWN,              DOWN),
        ("522",                    status(522),                     DOWN,              DOWN),
        ("523",                    status(523),                     DOWN,              DOWN),
        ("524",                    status(524),                     DOUBT,             DOWN),
        ("525",                    status(525),                     DOWN,              DOWN),
        ("526",                    status(526),                     DOWN,              DOWN),
        ("530",                    status(530),                     DOWN,              DOWN),
        ("599, other 5xx",         status(599),                     SERVER_MARKED,     SERVER),
        ("no connection",          no_connection(),                 NET,               NET),
        ("broken before",          broken(false),                   "retry",           "retry"),
        ("broken after",           broken(true),                    DOUBT,             "retry"),
        ("OPS40001",               code(200, "OPS40001"),           PATH,              "hold"),
        ("OPS40002",               code(200, "OPS40002"),           FILE_OR_ROUTE,     "reject"),
        ("OPS40003",               code(200, "OPS40003"),           PATH,              "hold"),
        ("OPS40004",               code(400, "OPS40004"),           FILE_OR_ROUTE,     "reject"),
        ("other OPS4",             code(400, "OPS49999"),           FILE_OR_ROUTE,     "reject"),
        ("other OPS5",             code(200, "OPS50001"),           SERVER,            SERVER),
        ("other code",             code(200, "E17"),                FILE_OR_ROUTE,     "reject"),
        ("empty code",             code(200, ""),                   FILE_OR_ROUTE,     "reject"),
    ];
    for (name, outcome, upload, query) in table {
        assert_eq!(line(&judge(UP, &outcome)), upload, "upload: {name}");
        assert_eq!(line(&judge(ASK, &outcome)), query, "query: {name}");
    }
    let other = with(200, other_task());
    assert_eq!(line(&judge(ASK, &other)), "retry | service x3 1m..1h");
    assert!(!judge(ASK, &other).heard, "nothing is concluded");
}

#[test]
fn a_success_carries_what_the_call_asked_for() {
    let done = judge(UP, &with(200, success()));
    assert_eq!(done.verdict, Verdict::Done(Some(task())));
    let answered = judge(ASK, &with(200, success()));
    assert_eq!(answered.verdict, Verdict::Task(TaskState::Pending));
    // The other call's half is none.
    let only_task = Body::Envelope {
        code: "0".to_owned(),
        message: None,
        task: Some(task()),
        task_state: None,
        opt_result: None,
    };
    let unchanged = judge(ASK, &with(200, only_task)).verdict;
    assert_eq!(unchanged, Verdict::Unchanged);
    let only_state = Body::Envelope {
        code: "0".to_owned(),
        message: None,
        task: None,
        task_state: Some(TaskState::Success),
        opt_result: None,
    };
    let untracked = judge(UP, &with(200, only_state)).verdict;
    assert_eq!(untracked, Verdict::Done(None));
}

/// Before the last byte the service cannot have the file, whatever answers.
#[test]
fn an_early_answer_leaves_nothing_in_doubt() {
    for status in [200, 206, 408, 429, 500, 502, 503, 504, 520, 524, 599] {
        let early = Outcome::Answer(Answer {
            whole: false,
            ..answer(status, Body::Empty)
        });
        let judged = judge(UP, &early);
        assert!(!judged.may_be_taken, "{status}");
        assert_ne!(judged.verdict, Verdict::Unconfirmed, "{status}");
    }
    let late = |status| judge(UP, &with(status, Body::Empty)).may_be_taken;
    assert!([408, 500, 502, 503, 599].into_iter().all(late));
    assert!(![425, 429, 521, 522, 409].into_iter().any(late));
}

/// What an account that is used up is called differs; the operator says it.
#[test]
fn a_message_can_be_named() {
    let mut table = ErrorTable::default();
    let quota = table.row(UP, &On::Status(402)).clone();
    table.override_row(Row {
        on: On::parse("Message: Insufficient Balance").unwrap(),
        ..quota
    });
    let said = |status, code: &str, message: &str| {
        let body = Body::Envelope {
            code: code.to_owned(),
            message: Some(message.to_owned()),
            task: Some(task()),
            task_state: None,
            opt_result: None,
        };
        table.judge(UP, &with(status, body), Trail::default())
    };
    for (status, code) in [(400, "E17"), (200, "OPS40301"), (429, "429"), (403, "0")] {
        let judged = said(status, code, "monthly: INSUFFICIENT balance");
        assert_eq!(judged.verdict, Verdict::Hold, "{status} {code}");
        assert_eq!(judged.pause, quota_pause(), "{status} {code}");
        assert!(judged.code.as_str() == code || judged.code == Code::http(status));
    }
    assert_eq!(said(400, "E17", "no such thing").verdict, Verdict::Reject);
    let done = said(200, "0", "insufficient balance soon");
    assert_eq!(
        done.verdict,
        Verdict::Done(Some(task())),
        "a success is one"
    );
}

fn quota_pause() -> Option<Pause> {
    ErrorTable::default().row(UP, &On::Status(402)).pause
}

/// 407 and 511 are said by something on the way: it is named.
#[test]
fn the_proxy_is_named() {
    for status in [407, 511] {
        let outcome = Outcome::Answer(Answer {
            proxy: Some("http://proxy:3128".to_owned()),
            ..answer(status, Body::Empty)
        });
        let why = judge(UP, &outcome).why;
        assert!(why.contains("http://proxy:3128"), "{why}");
    }
}

#[test]
fn a_state_that_is_not_documented_is_said() {
    let body = Body::Envelope {
        code: "0".to_owned(),
        message: None,
        task: Some(task()),
        task_state: Some(TaskState::Unknown("COMPLETED".to_owned())),
        opt_result: None,
    };
    let judged = judge(ASK, &with(200, body));
    assert_eq!(judged.code.as_str(), UNKNOWN_STATE);
    assert!(judged.why.contains("\"COMPLETED\""), "{}", judged.why);
}

fn codes() -> Vec<String> {
    let odd = [
        "",
        "0",
        "00",
        "OPS",
        "OPS4",
        "OPS5",
        "OPS6",
        "ops40001",
        "OPS40001 ",
        "é\u{1b}",
        "-1",
    ];
    let long = "OPS4".repeat(1_000);
    odd.iter().map(|c| (*c).to_owned()).chain([long]).collect()
}

#[test]
fn every_answer_has_a_judgement() {
    let table = ErrorTable::default();
    let mut bodies: Vec<Body> = codes().iter().map(|code| envelope(code)).collect();
    bodies.extend([success(), Body::Empty, html()]);
    for status in (100..=999).chain([0, 1, 99, u16::MAX]) {
        for body in &bodies {
            for location in [None, here(), abroad()] {
                let outcome = Outcome::Answer(Answer {
                    location,
                    ..answer(status, body.clone())
                });
                for call in [UP, ASK] {
                    for (hops, see_other) in [(0, false), (1, true), (3, false), (u8::MAX, true)] {
                        let judged = table.judge(call, &outcome, Trail { hops, see_other });
                        check(call, &judged, hops, see_other);
                    }
                }
            }
        }
    }
}

/// What holds for every judgement whatsoever.
fn check(call: Call, judged: &Judgement, hops: u8, see_other: bool) {
    let Judgement { verdict, pause, .. } = judged;
    match call {
        Call::Upload => assert!(!matches!(verdict, Verdict::Task(_) | Verdict::Unchanged)),
        Call::Query => {
            assert!(!matches!(verdict, Verdict::Done(_) | Verdict::Unconfirmed));
            assert!(pause.is_none_or(|p| p.scope != Scope::Route), "{judged:?}");
        }
    }
    if see_other && call == Call::Upload {
        let may = matches!(
            verdict,
            Verdict::Done(_) | Verdict::Unconfirmed | Verdict::Follow(Follow::Get, _)
        );
        assert!(may, "{judged:?}");
    }
    if let Verdict::Follow(_, to) = verdict {
        assert!(hops < 3);
        assert_eq!(to, "https://s/x");
    }
    if *verdict == Verdict::Hold && call == Call::Upload {
        assert!(pause.is_some(), "a held file is held by a gate: {judged:?}");
    }
    assert!(!judged.why.is_empty());
    let label = judged.code.as_str();
    assert!((1..=32).contains(&label.len()), "{label:?}");
    assert!(label.bytes().all(|b| b.is_ascii_graphic()), "{label:?}");
}

#[test]
fn an_unknown_status_or_code_falls_into_its_class() {
    let table = ErrorTable::default();
    let class = |on: &On| table.row(UP, on).on.clone();
    let known: Vec<u16> = table
        .rows()
        .iter()
        .filter_map(|row| match row.on {
            On::Status(status) => Some(status),
            _ => None,
        })
        .collect();
    for status in (100..=999).filter(|s| !known.contains(s)) {
        let expected = match status {
            300..=399 => On::Class(3),
            400..=499 => On::Class(4),
            _ => On::Class(5),
        };
        assert_eq!(class(&On::Status(status)), expected, "{status}");
    }
    for code in codes() {
        let expected = match code.get(..4) {
            Some("OPS4") => On::CodeClass("OPS4"),
            Some("OPS5") => On::CodeClass("OPS5"),
            _ => On::OtherCode,
        };
        let expected = if code == "OPS40001" {
            On::Code(code.clone().into())
        } else {
            expected
        };
        assert_eq!(class(&On::Code(code.clone().into())), expected, "{code:?}");
    }
}

#[test]
fn retry_after_is_clamped_and_nothing_is_no_wait() {
    let asked = |wait: Option<Duration>, status: u16| {
        let outcome = Outcome::Answer(Answer {
            retry_after: wait,
            ..answer(status, Body::Empty)
        });
        judge(UP, &outcome).retry_after
    };
    let day = secs(24 * 3600);
    for status in [429, 503, 403, 301, 500] {
        assert_eq!(asked(None, status), None);
        assert_eq!(asked(Some(secs(1)), status), Some(secs(1)));
        assert_eq!(asked(Some(day), status), Some(day));
        assert_eq!(asked(Some(day + secs(1)), status), Some(day));
        assert_eq!(asked(Some(Duration::MAX), status), Some(day));
        assert_eq!(asked(Some(Duration::ZERO), status), None);
    }
    assert_eq!(judge(UP, &no_connection()).retry_after, None);
}

#[test]
fn the_service_is_heard_only_in_its_own_words() {
    #[rustfmt::skip]
    let table = [
        (with(200, success()), true), (with(204, Body::Empty), true), (status(500), true),
        (code(200, "OPS40001"), true), (with(503, html()), true), (status(206), true),
        (with(200, html()), false), (with(206, html()), false), (with(206, Body::Empty), false),
        (no_connection(), false), (broken(false), false), (broken(true), false),
    ];
    for (outcome, heard) in table {
        for call in [UP, ASK] {
            assert_eq!(judge(call, &outcome).heard, heard, "{outcome:?}");
        }
    }
}

#[test]
fn a_404_to_a_query_in_other_words_than_the_services_gives_up_no_task() {
    let judged = judge(ASK, &with(404, html()));
    assert_eq!(judged.verdict, Verdict::Hold);
    assert_eq!(judged.pause, None, "uploads go on");
    for own in [envelope("404"), Body::Empty] {
        let verdict = judge(ASK, &with(404, own)).verdict;
        assert!(gives_up_task(&verdict), "{verdict:?}");
    }
}
