#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

const KEY: &str = "k3y-that-must-not-show";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

fn answered(status: u16, with: &[(&'static str, &str)], body: Fetched) -> Answer {
    let raw = Raw {
        status,
        headers: headers(with),
        body,
        whole: true,
        local: None,
    };
    let asked = Asked {
        url: &Url::parse("https://api.example/open/v1/file-task").unwrap(),
        base: &Url::parse("https://api.example/open/v1").unwrap(),
        now: Timestamp(784_111_777_000),
        key: KEY,
        task: None,
        proxy: None,
    };
    read(&raw, &asked)
}

fn text(body: &str) -> Body {
    answered(200, &[], Fetched::Whole(body.into())).body
}

fn words(body: Body) -> String {
    match body {
        Body::NotEnvelope { what } => what,
        other => panic!("{other:?}"),
    }
}

type Short = (String, Option<String>, Option<String>, Option<TaskState>);

fn parts(body: Body) -> Short {
    match body {
        Body::Envelope {
            code,
            message,
            task,
            task_state,
            ..
        } => (code, message, task.map(|t| t.to_string()), task_state),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_documented_answers() {
    let ok = r#"{"code":"0","message":null,"data":{"num":0,"taskId":"1848302845201"}}"#;
    let task = Some("1848302845201".to_owned());
    assert_eq!(parts(text(ok)), ("0".to_owned(), None, task, None));
    let details = r#"{"code":"0","data":{"taskId":"1","taskName":"n","state":"PENGDING"}}"#;
    assert_eq!(parts(text(details)).3, Some(TaskState::Pending));
    let refused = r#"{"code":"OPS40001","message":"getDemandFormat"}"#;
    let (code, message, task, _) = parts(text(refused));
    assert_eq!(
        (code.as_str(), message.as_deref(), task),
        ("OPS40001", Some("getDemandFormat"), None)
    );
}

#[test]
fn what_is_nearly_the_envelope_is_read() {
    assert_eq!(parts(text("{\"code\":0}")).0, "0");
    assert_eq!(parts(text("\u{feff} {\"code\":40001}")).0, "40001");
    assert_eq!(parts(text(r#"{"code":"0","data":[]}"#)).2, None);
    assert_eq!(
        parts(text(r#"{"code":"0","message":{"a":1}}"#)).1.unwrap(),
        r#"{"a":1}"#
    );
    let latin = b"{\"code\":\"OPS1\",\"message\":\"caf\xe9\"}".to_vec();
    let latin = answered(400, &[], Fetched::Whole(latin)).body;
    assert_eq!(parts(latin).1.unwrap(), "caf\u{fffd}");
    // Labelled as compressed, and not: the label is what is wrong.
    let label = [("content-encoding", "gzip")];
    let labelled = answered(200, &label, Fetched::Whole(b"{\"code\":\"0\"}".to_vec()));
    assert_eq!(parts(labelled.body).0, "0");
}

#[test]
fn task_ids() {
    let long = "9".repeat(1 << 17);
    for (json, id) in [
        (r#""abc-1""#, Some("abc-1")),
        ("1848302845201", Some("1848302845201")),
        ("-5", Some("-5")),
        ("18446744073709551615", Some("18446744073709551615")),
        ("18446744073709551616", None),
        ("1.5", None),
        (r#""""#, None),
        (r#""a b""#, None),
        (r#""a\u001b[31mb""#, None),
        (r#""a\nb""#, None),
        ("null", None),
        ("true", None),
        (r#"{"id":1}"#, None),
        (&format!("\"{long}\"") as &str, None),
        (&long[..300], None),
    ] {
        let body = text(&format!(r#"{{"code":"0","data":{{"taskId":{json}}}}}"#));
        assert_eq!(parts(body).2.as_deref(), id, "{:.40}", json);
    }
}

#[test]
fn code_and_message_are_bounded() {
    let long = "ü".repeat(5000);
    let (code, message, _, state) = parts(text(&format!(
        r#"{{"code":"{long}","message":"x{long}","data":{{"state":"{long}"}}}}"#
    )));
    assert_eq!(code.chars().count(), 64);
    assert_eq!(message.unwrap().len(), 1023);
    assert_eq!(state, Some(TaskState::Unknown("ü".repeat(64))));
}

#[test]
fn what_is_no_envelope_is_described() {
    for (body, begin) in [
        (
            "<!DOCTYPE html><html>\u{1b}[2J",
            "a web page: “<!DOCTYPE html><html>\\x1b[2J”",
        ),
        (
            r#"{"code":"0","data":{"ta"#,
            "JSON that breaks off: “{\"code\"",
        ),
        (r#"{"code":"0" oops}"#, "JSON that can't be read: “"),
        (
            r#"{"data":{"taskId":"1"}}"#,
            "JSON, but not the service's envelope",
        ),
        (r#"{"code":null}"#, "JSON, but not the service's envelope"),
        (r#"{"code":""}"#, "JSON, but not the service's envelope"),
        ("[]", "JSON, but not the service's envelope"),
        ("\"0\"", "JSON, but not the service's envelope"),
        ("OK", "no JSON: “OK”"),
        ("\n", "JSON that breaks off: “”"),
    ] {
        let what = words(text(body));
        assert!(what.starts_with(begin), "{what}");
    }
    let html = [("content-type", "Text/HTML")];
    let what = words(answered(200, &html, Fetched::Whole(b"Login".to_vec())).body);
    assert_eq!(what, "a web page: “Login”");
    let gzip = [("content-encoding", "gzip")];
    let what = words(answered(200, &gzip, Fetched::Whole(b"\x1f\x8b\x08\0\0".to_vec())).body);
    assert!(what.starts_with("a compressed body"), "{what}");
    let what = words(text(&"[".repeat(200_000)));
    assert!(what.starts_with("JSON that can't be read"), "{what}");
    let deep = format!(
        "{{\"code\":\"0\",\"data\":{}{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert!(words(text(&deep)).starts_with("JSON that can't be read"));
}

#[test]
fn nothing_is_only_empty_where_that_was_said() {
    assert_eq!(answered(200, &[], Fetched::Whole(vec![])).body, Body::Empty);
    assert_eq!(answered(204, &[], Fetched::Unsaid).body, Body::Empty);
    assert_eq!(
        answered(304, &[], Fetched::Cut("x".into())).body,
        Body::Empty
    );
    assert!(words(answered(200, &[], Fetched::Unsaid).body).starts_with("nothing: "));
    let cut = answered(503, &[], Fetched::Cut("a body that broke off".into()));
    assert_eq!(
        (cut.status, words(cut.body).as_str()),
        (503, "a body that broke off")
    );
}

#[test]
fn redirects() {
    let same = |url: &str| Some(Location::SameOrigin(url.to_owned()));
    let other = |url: &str| Some(Location::Elsewhere(url.to_owned()));
    for (to, read) in [
        ("/x?y=1", same("https://api.example/x?y=1")),
        (
            "file-task-2",
            same("https://api.example/open/v1/file-task-2"),
        ),
        ("", same("https://api.example/open/v1/file-task")),
        ("https://api.example:443/x#f", same("https://api.example/x")),
        ("HTTPS://API.EXAMPLE/x", same("https://api.example/x")),
        ("https://me:pw@api.example/x", same("https://api.example/x")),
        ("http://api.example/x", other("http://api.example/x")),
        (
            "https://api.example:8443/x",
            other("https://api.example:8443/x"),
        ),
        (
            "https://api.example.evil/x",
            other("https://api.example.evil/x"),
        ),
        ("https://api.example@evil/x", other("https://evil/x")),
        ("//evil/x", other("https://evil/x")),
        ("\\\\evil/x", other("https://evil/x")),
        ("https://me:pw@evil/", other("https://evil/")),
        ("file:///etc/passwd", other("file:///etc/passwd")),
        ("javascript:alert(1)", other("javascript:alert(1)")),
        ("https://me:pw@[bad", other("[bad")),
    ] {
        let answer = answered(307, &[("location", to)], Fetched::Whole(vec![]));
        assert_eq!(answer.location, read, "{to:?}");
    }
    let long = format!("https://evil/{}", "a".repeat(100_000));
    let answer = answered(301, &[("location", &long)], Fetched::Whole(vec![]));
    let Some(Location::Elsewhere(shown)) = answer.location else {
        panic!("{answer:?}")
    };
    assert_eq!(shown.chars().count(), MAX_SHOWN + 1);
    let long = format!("/{}", "a".repeat(3000));
    let answer = answered(301, &[("location", &long)], Fetched::Whole(vec![]));
    assert!(matches!(answer.location, Some(Location::Elsewhere(_))));
    // Only a redirect has one.
    let created = answered(201, &[("location", "/x")], Fetched::Whole(vec![]));
    assert_eq!(created.location, None);
    assert_eq!(answered(307, &[], Fetched::Whole(vec![])).location, None);
}

#[test]
fn a_wait_is_read_under_every_status() {
    for status in [200, 307, 403, 429, 503] {
        let answer = answered(status, &[("retry-after", "7")], Fetched::Whole(vec![]));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    }
}

#[test]
fn the_key_is_in_none_of_it() {
    let echo = format!(
        r#"{{"code":"{KEY}","message":"bad key {KEY}","data":{{"taskId":"{KEY}","state":"{KEY}"}}}}"#
    );
    let page = format!("<pre>Access-Key: {KEY}</pre>");
    // At the edge of the quote, too: half a key is still a secret.
    let edge = format!("{}{KEY}", "x".repeat(MAX_QUOTE - 8));
    let to = format!("https://evil/?k={KEY}");
    // A tab in an address is none, so that this is the key, too.
    let parted = to.replace('-', "\t-");
    let answers = [
        (echo, &to),
        (page, &to),
        (edge, &to),
        (String::new(), &parted),
    ];
    for (body, to) in answers {
        let answer = answered(307, &[("location", to)], Fetched::Whole(body.into()));
        let shown = format!("{answer:?}");
        assert!(
            !shown.contains(KEY) && !shown.contains("k3y-that"),
            "{shown}"
        );
    }
}

proptest! {
    #[test]
    fn any_answer_is_read_and_stays_small(
        status in 200u16..1000,
        body in proptest::collection::vec(any::<u8>(), 0..400),
        location in "[ -~]{0,60}",
        wait in "[ -~]{0,30}",
    ) {
        let with = [("location", location.as_str()), ("retry-after", wait.as_str())];
        let answer = answered(status, &with, Fetched::Whole(body));
        let shown = format!("{answer:?}");
        prop_assert!(shown.len() < 20_000);
    }
}
