//! Reads an answer: the envelope or what there is instead, `Retry-After`, and
//! where a redirect points.
//!
//! It takes what it can: a code as text or number, a byte order mark, bytes
//! that are not UTF-8. What it can't take is described, in bounded words. The
//! key is removed from all of it.
//!
//! Must not: decide what the answer means.

use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::mask::Mask;
use super::raw::{Fetched, Raw};
use super::{retry_after, text};
use crate::domain::answer::{Answer, Body, Location, TaskState};
use crate::domain::ids::TaskId;
use crate::domain::time::Timestamp;

/// Longest error code that is kept, in characters.
const MAX_CODE: usize = 64;
/// Longest message that is kept, in bytes.
const MAX_MESSAGE: usize = 1024;
/// Longest address of a redirect that is followed, in bytes.
const MAX_ADDRESS: usize = 2048;
/// Longest address that is shown, in characters.
const MAX_SHOWN: usize = 200;
/// How much of a strange body is quoted, in characters.
const MAX_QUOTE: usize = 80;

/// What an answer is read against.
pub struct Asked<'a> {
    /// Where the request went.
    pub url: &'a Url,
    /// The service's base URL.
    pub base: &'a Url,
    /// When the answer came.
    pub now: Timestamp,
    /// The key that must not show.
    pub key: &'a str,
    /// The task that was asked about, where one was.
    pub task: Option<&'a TaskId>,
    /// The proxy on the way, without its log-in.
    pub proxy: Option<&'a str>,
}

/// Reads an answer.
pub fn read(raw: &Raw, asked: &Asked<'_>) -> Answer {
    // A date is meant on the clock of whoever wrote it, which need not be right.
    let date = raw.headers.get(DATE);
    let now = date
        .and_then(|date| retry_after::date(date.as_bytes()))
        .unwrap_or(asked.now);
    let retry_after = raw
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| retry_after::read(value.as_bytes(), now));
    let key = Mask::new(asked.key);
    let location = (300..400)
        .contains(&raw.status)
        .then(|| raw.headers.get(LOCATION))
        .flatten()
        .map(|value| location(&String::from_utf8_lossy(value.as_bytes()), asked, &key));
    Answer {
        status: raw.status,
        body: about(body(raw, &key), asked.task),
        retry_after,
        location,
        whole: raw.whole,
        proxy: asked.proxy.map(str::to_owned),
    }
}

/// An answer about a task must be about the one that was asked about: a cache, or
/// a proxy that mixes answers up, would end another file's way.
fn about(body: Body, asked: Option<&TaskId>) -> Body {
    let (
        Some(asked),
        Body::Envelope {
            code,
            task: Some(named),
            task_state,
            ..
        },
    ) = (asked, &body)
    else {
        return body;
    };
    if code != "0" || named == asked {
        return body;
    }
    let state = match task_state {
        Some(state) => format!(" (in the state {})", state.as_str()),
        None => String::new(),
    };
    Body::OtherTask {
        what: format!("it names the task {named}{state}, and {asked} was asked about"),
    }
}

fn body(raw: &Raw, key: &Mask) -> Body {
    let bytes = match &raw.body {
        _ if matches!(raw.status, 204 | 304) => return Body::Empty,
        Fetched::Whole(bytes) if bytes.is_empty() => return Body::Empty,
        Fetched::Whole(bytes) => bytes,
        Fetched::Unsaid => return strange("nothing: the connection closed instead of a body"),
        Fetched::Cut(why) => return strange(why),
    };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return strange(&describe(text, &error, &raw.headers, key)),
    };
    envelope(&value, key)
}

fn envelope(value: &Value, key: &Mask) -> Body {
    let code = match value.get("code") {
        Some(Value::String(code)) if !code.is_empty() => code.clone(),
        Some(Value::Number(code)) => code.to_string(),
        _ => return strange("JSON, but not the service's envelope: it has no `code`"),
    };
    let message = match value.get("message") {
        None | Some(Value::Null) => None,
        Some(Value::String(message)) => Some(message.clone()),
        Some(other) => Some(other.to_string()),
    };
    let data = value.get("data");
    let task = match data.and_then(|data| data.get("taskId")) {
        Some(Value::String(id)) => TaskId::new(&key.hide(id)),
        // A number beyond 64 bits has lost digits: it names no task.
        Some(Value::Number(id)) if id.is_u64() || id.is_i64() => TaskId::new(&id.to_string()),
        _ => None,
    };
    let task_state = data
        .and_then(|data| data.get("state"))
        .and_then(Value::as_str)
        .map(|state| TaskState::parse(&key.hide(state)));
    let opt_result = data
        .and_then(|data| data.get("optResult"))
        .filter(|result| !result.is_null())
        .map(|result| match result {
            Value::String(text) => text::visible(&key.hide(text), MAX_CODE),
            other => text::visible(&key.hide(&other.to_string()), MAX_CODE),
        });
    Body::Envelope {
        code: key.hide(&code).chars().take(MAX_CODE).collect(),
        message: message.map(|m| text::cut(key.hide(&m), MAX_MESSAGE)),
        task,
        task_state,
        opt_result,
    }
}

fn strange(what: &str) -> Body {
    Body::NotEnvelope {
        what: what.to_owned(),
    }
}

/// What a body that is not JSON seems to be, with its first words.
fn describe(body: &str, error: &serde_json::Error, headers: &HeaderMap, key: &Mask) -> String {
    let named = |name, needle: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains(needle))
    };
    let what = if headers.contains_key(CONTENT_ENCODING) && !named(CONTENT_ENCODING, "identity") {
        return format!("a compressed body of {} bytes, not asked for", body.len());
    } else if named(CONTENT_TYPE, "html") || body.trim_start().starts_with('<') {
        "a web page"
    } else if error.is_eof() {
        "JSON that breaks off"
    } else if body.trim_start().starts_with(['{', '[']) {
        "JSON that can't be read"
    } else {
        "no JSON"
    };
    // The key is looked for before the text is cut: half of it would remain.
    let quote = key.hide(body.trim());
    format!("{what}: “{}”", text::visible(&quote, MAX_QUOTE))
}

/// Whether both have the same scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host().is_some()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Where a redirect points. It is resolved against the address that was asked,
/// as RFC 9110 has it; a login in it is not ours to use.
fn location(value: &str, asked: &Asked<'_>, key: &Mask) -> Location {
    let elsewhere = |text: &str| Location::Elsewhere(text::visible(text, MAX_SHOWN));
    // Before it is read: an address has its own ways of writing a character.
    // One that has none is a tab, which is left out (WHATWG URL, 4.4).
    let value = key.hide(&value.replace('\t', ""));
    let Ok(mut url) = asked.url.join(&value) else {
        return elsewhere(without_login(&value));
    };
    // Refused only by schemes that have no login.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_fragment(None);
    if same_origin(&url, asked.base) && url.as_str().len() <= MAX_ADDRESS {
        Location::SameOrigin(url.into())
    } else {
        elsewhere(url.as_str())
    }
}

/// What can't be read as an address may still hold a login before its `@`.
fn without_login(value: &str) -> &str {
    value.rsplit_once('@').map_or(value, |(_, rest)| rest)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
