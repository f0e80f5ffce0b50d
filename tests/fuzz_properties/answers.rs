//! What the service, or whoever answers in its place, can send.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use supametas_sync::api::answer::{Asked, read};
use supametas_sync::api::raw::{Coming, Fetched, MAX_ANSWER, Raw};
use supametas_sync::domain::answer::{Answer, Body, Call, Code, Location, Outcome};
use supametas_sync::domain::error_table::{ErrorTable, Trail, Verdict};
use supametas_sync::domain::naming::shown_text;
use supametas_sync::domain::time::Timestamp;

use super::{assert_shown, chunks, first_line};

/// The key: with characters that JSON and addresses write otherwise.
const KEY: &str = "k3Y-\"th<at\\-must-not-show";
/// What stands for it in an input, as it is and as a JSON text has it.
const PLACES: [(&str, &str); 2] = [("KEY", KEY), ("JSN", "k3Y-\\\"th<at\\\\-must-not-show")];
/// What of it must show nowhere, however it is written.
const PARTS: [&str; 3] = ["k3y-", "<at", "must-not"];
const BASE: &str = "https://api.example/open/v1";
const DAY: Duration = Duration::from_secs(86_400);

/// A whole answer, as HTTP shows it: a line with the status, lines with
/// headers, an empty line, the body. `KEY` is the key, `JSN` the key in JSON.
///
/// - Read whole or in chunks it is the same answer.
/// - Whatever it is, it is small, and the key is in none of it.
/// - What is shown of it is harmless.
/// - Every call's verdict leads off the origin never.
pub fn answer(bytes: &[u8]) {
    let (status, mut rest) = first_line(bytes);
    let mut headers = HeaderMap::new();
    loop {
        let (line, after) = first_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(line);
        let Some((name, value)) = text.split_once(':') else {
            continue;
        };
        add(&mut headers, name, value.trim());
    }
    let status = String::from_utf8_lossy(status)
        .trim()
        .parse()
        .unwrap_or(200);
    let body = with_key(rest);
    let whole = fetched([body.as_slice()]);
    assert_eq!(whole, fetched(chunks(&body)));
    if let Fetched::Whole(all) = &whole {
        assert!(all.len() <= MAX_ANSWER);
    }
    let raw = Raw {
        status,
        headers,
        body: whole,
        whole: true,
        local: None,
    };
    check(&read_at(&raw, 784_111_777_000, BASE), says_it(bytes));
}

/// The headers alone. A line each: now in milliseconds, where the request
/// went (below the base URL), `Retry-After`, `Location`.
pub fn headers(bytes: &[u8]) {
    let (now, rest) = first_line(bytes);
    let (path, rest) = first_line(rest);
    let (wait, to) = first_line(rest);
    let (to, _) = first_line(to);
    let mut headers = HeaderMap::new();
    add(&mut headers, "retry-after", &String::from_utf8_lossy(wait));
    add(&mut headers, "location", &String::from_utf8_lossy(to));
    let now = String::from_utf8_lossy(now).trim().parse().unwrap_or(0);
    let url = format!("{BASE}/{}", String::from_utf8_lossy(path));
    let raw = Raw {
        status: 307,
        headers,
        body: Fetched::Unsaid,
        whole: true,
        local: None,
    };
    let answer = read_at(&raw, now, &url);
    check(&answer, says_it(bytes));
    // A wait from now is a time that can be written down.
    if let Some(wait) = answer.retry_after {
        let until = Timestamp(now).plus(wait);
        assert!(until >= Timestamp(now) && until.since(Timestamp(now)) <= DAY);
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.trim().as_bytes());
    let value = HeaderValue::from_bytes(&with_key(value.as_bytes()));
    if let (Ok(name), Ok(value)) = (name, value) {
        headers.append(name, value);
    }
}

fn with_key(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let mut places = PLACES.iter();
        let place = places.find(|(place, _)| rest.starts_with(place.as_bytes()));
        if let Some((place, key)) = place {
            out.extend_from_slice(key.as_bytes());
            rest = &rest[place.len()..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// Whether the input itself says a part of the key: it may be said again. In
/// an address tabs are nothing.
fn says_it(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let text = text.replace('\t', "");
    PARTS.iter().any(|part| text.contains(part))
}

fn fetched<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Fetched {
    let mut coming = Coming::default();
    for chunk in chunks {
        if let Err(too_much) = coming.take(chunk) {
            return too_much;
        }
    }
    coming.end(true)
}

fn read_at(raw: &Raw, now: i64, url: &str) -> Answer {
    let base = Url::parse(BASE).unwrap();
    let asked = Asked {
        url: &Url::parse(url).unwrap_or_else(|_| base.clone()),
        base: &base,
        now: Timestamp(now),
        key: KEY,
        task: None,
        proxy: None,
    };
    read(raw, &asked)
}

fn check(answer: &Answer, said: bool) {
    assert!(answer.retry_after.is_none_or(|wait| wait <= DAY));
    let mut all = String::new();
    match &answer.body {
        Body::Envelope {
            code,
            message,
            task,
            task_state,
            opt_result,
        } => {
            assert!(!code.is_empty() && code.chars().count() <= 64);
            let label = Code::service(code).to_string();
            assert!((1..=32).contains(&label.len()));
            assert!(label.bytes().all(|b| b.is_ascii_graphic()));
            let _ = write!(all, "{code}\n{label}\n{task_state:?}\n{opt_result:?}");
            if let Some(message) = message {
                assert!(message.len() <= 1024);
                assert_shown(&shown_text(message, 300), 301);
                let _ = write!(all, "\n{message}");
            }
            if let Some(task) = task {
                let task = task.to_string();
                assert!((1..=256).contains(&task.len()));
                assert!(task.bytes().all(|b| b.is_ascii_graphic()));
                let _ = write!(all, "\n{task}");
            }
        }
        Body::Empty => {}
        Body::NotEnvelope { what } | Body::OtherTask { what } => {
            assert_shown(what, 150);
            all.push_str(what);
        }
    }
    match &answer.location {
        Some(Location::SameOrigin(to)) => {
            assert_shown(to, 2048);
            assert_home(to);
            let _ = write!(all, "\n{to}");
        }
        Some(Location::Elsewhere(to)) => {
            assert_shown(to, 201);
            let _ = write!(all, "\n{to}");
        }
        None => {}
    }
    let table = ErrorTable::default();
    let outcome = Outcome::Answer(answer.clone());
    for call in [Call::Upload, Call::Query] {
        let judged = table.judge(call, &outcome, Trail::default());
        if let Verdict::Follow(_, to) = &judged.verdict {
            assert_home(to);
        }
        let _ = write!(all, "\n{judged:?}");
    }
    assert!(all.len() < 40_000, "{} bytes", all.len());
    let all = all.to_lowercase();
    for part in PARTS {
        assert!(said || !all.contains(part), "the key shows: {answer:?}");
    }
}

/// An address that the key may be sent to: read anew, and by hand.
#[track_caller]
fn assert_home(to: &str) {
    let rest = to.strip_prefix("https://api.example");
    assert!(rest.is_some_and(|r| r.starts_with('/')), "{to}");
    let url = Url::parse(to).unwrap();
    assert_eq!(url.as_str(), to);
    let port = url.port_or_known_default();
    assert_eq!((url.host_str(), port), (Some("api.example"), Some(443)));
    assert_eq!((url.username(), url.password()), ("", None));
}
