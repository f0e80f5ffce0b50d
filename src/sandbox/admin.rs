//! The sandbox's own calls, below `/_sandbox`: what it saw, and its faults.
//! They need no key, are not recorded and meet no faults.
//!
//! | call | answer |
//! |---|---|
//! | `GET /_sandbox/uploads` | the uploads that were taken, oldest first |
//! | `GET /_sandbox/requests` | the requests, oldest first |
//! | `GET /_sandbox/tasks` | the tasks and their states |
//! | `GET /_sandbox/counts` | numbers over the whole run |
//! | `GET /_sandbox/faults` | the script, and how often each fault was seen and acted |
//! | `POST /_sandbox/faults` | replaces the script by a JSON list; 400 with the reason if it is not valid, and then the old one stays |
//! | `DELETE /_sandbox/faults` | no more faults |
//!
//! `uploads` and `requests` take `?after=SEQ&limit=N` to read a long list in
//! pieces.
//!
//! Must not: change what was recorded, or show an Access-Key.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::response::Response;
use serde_json::json;
use tokio::time::Instant;

use super::answer::Answer;
use super::app::App;
use super::faults::Fault;
use super::script::Script;

/// Where these calls live.
pub(super) const PREFIX: &str = "/_sandbox";

/// Longest script that is taken, in bytes.
const MAX_SCRIPT: usize = 1024 * 1024;

/// Answers one of these calls.
pub(super) async fn handle(app: &App, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let what = parts
        .uri
        .path()
        .strip_prefix(PREFIX)
        .unwrap_or("")
        .trim_matches('/')
        .to_owned();
    let answer = match (&parts.method, what.as_str()) {
        (&Method::GET, "uploads") => {
            let (after, limit) = page(&parts.uri);
            let list = app.records().uploads(after, limit);
            Answer::json(200, &list)
        }
        (&Method::GET, "requests") => {
            let (after, limit) = page(&parts.uri);
            let list = app.records().requests(after, limit);
            Answer::json(200, &list)
        }
        (&Method::GET, "tasks") => {
            let listed = app.tasks().list(Instant::now());
            match listed {
                Ok(list) => Answer::json(200, &list),
                Err(error) => Answer::json(500, &json!({"error": error.to_string()})),
            }
        }
        (&Method::GET, "counts") => {
            let counts = app.records().counts();
            Answer::json(200, &counts)
        }
        (&Method::GET, "faults") => faults(app),
        (&Method::DELETE, "faults") => {
            *app.script() = Script::default();
            faults(app)
        }
        (&Method::POST, "faults") => match to_bytes(body, MAX_SCRIPT).await {
            Err(_) => Answer::json(
                413,
                &json!({"error": "the script is too long or cut short"}),
            ),
            Ok(bytes) => {
                let script = Fault::from_json(&String::from_utf8_lossy(&bytes));
                match script.and_then(Script::new) {
                    Ok(script) => {
                        *app.script() = script;
                        faults(app)
                    }
                    Err(error) => Answer::json(400, &json!({"error": error.to_string()})),
                }
            }
        },
        _ => Answer::json(
            404,
            &json!({"error": "use GET uploads, requests, tasks, counts or faults, \
                     or POST or DELETE faults"}),
        ),
    };
    answer.respond(None)
}

fn faults(app: &App) -> Answer {
    let list = app.script().list();
    Answer::json(200, &list)
}

/// `after` and `limit` of a query string; all of the list without them.
fn page(uri: &Uri) -> (u64, usize) {
    let (mut after, mut limit) = (0, usize::MAX);
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match name.as_ref() {
            "after" => after = value.parse().unwrap_or(after),
            "limit" => limit = value.parse().unwrap_or(limit),
            _ => {}
        }
    }
    (after, limit)
}
