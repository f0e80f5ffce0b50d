//! Making answers: the API's own envelopes, and what a fault puts in their
//! place. Must not: decide whether a request is carried out.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::rules::Refusal;
use crate::api::wire::{Envelope, SUCCESS};

/// What a captive portal would show.
const LOGIN_PAGE: &str = "<!doctype html>\n<html><head><title>Welcome</title></head>\
<body><h1>Log in to use this network</h1><form><input name=\"room\"></form></body></html>\n";

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// HTTP 200 and code `"0"`.
    pub(super) fn success(data: &impl Serialize) -> Answer {
        let data = serde_json::to_value(data).unwrap_or(Value::Null);
        Answer::envelope(200, SUCCESS, None, data)
    }

    /// An error of the API.
    pub(super) fn refusal(refusal: &Refusal) -> Answer {
        let message = Some(refusal.message.clone());
        Answer::envelope(refusal.status, &refusal.code, message, Value::Null)
    }

    /// Any JSON.
    pub(super) fn json(status: u16, value: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Answer::text(status, "application/json", body.into())
    }

    fn envelope(status: u16, code: &str, message: Option<String>, data: Value) -> Answer {
        Answer::json(
            status,
            &Envelope {
                code: code.to_owned(),
                message,
                data,
            },
        )
    }

    fn text(status: u16, content_type: &str, body: Bytes) -> Answer {
        let mut answer = Answer {
            status,
            headers: HeaderMap::new(),
            body,
        };
        answer.header(CONTENT_TYPE, content_type);
        answer
    }

    /// Adds a header; one that can't be sent is left out (faults are checked
    /// for that when the script is set).
    pub(super) fn header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(name, value);
        }
    }

    /// What a fault makes of the ordinary answer. `task` is the one that the
    /// request made.
    pub(super) fn of_fault(fault: &Fault, ordinary: Answer, task: Option<&str>) -> Answer {
        let fill = |text: &str| text.replace("{task_id}", task.unwrap_or(""));
        let mut answer = if fault.replaces_answer() {
            replaced(fault, &ordinary, &fill)
        } else {
            ordinary
        };
        if let Some(text) = &fault.retry_after {
            answer.header(RETRY_AFTER, text);
        }
        if let Some(text) = &fault.location {
            answer.header(LOCATION, &fill(text));
        }
        answer
    }

    /// After this answer the connection is closed.
    pub(super) fn closing(mut self) -> Answer {
        self.header(CONNECTION, "close");
        self
    }

    /// The response; with `drip`, its body comes byte by byte so far apart.
    pub(super) fn respond(self, drip: Option<Duration>) -> Response {
        let length = self.body.len();
        let body = match drip {
            None => Body::from(self.body),
            Some(pause) => Body::from_stream(dripping(self.body, pause)),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if drip.is_some() {
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

fn replaced(fault: &Fault, ordinary: &Answer, fill: &impl Fn(&str) -> String) -> Answer {
    let status = fault.answer_status();
    if fault.html {
        return Answer::text(status, "text/html; charset=utf-8", LOGIN_PAGE.into());
    }
    if fault.empty || matches!(status, 204 | 304) {
        return Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
    }
    if let Some(body) = &fault.body {
        let content_type = fault.content_type.as_deref().unwrap_or("application/json");
        return Answer::text(status, content_type, fill(body).into());
    }
    let success = (200..300).contains(&status);
    let code = match &fault.code {
        Some(code) => code.clone(),
        None if success => SUCCESS.to_owned(),
        None => status.to_string(),
    };
    let data = match serde_json::from_slice::<Envelope>(&ordinary.body) {
        _ if fault.no_task => json!({"num": 0}),
        Ok(envelope) if code == SUCCESS => envelope.data,
        _ => Value::Null,
    };
    let words = || StatusCode::from_u16(status).ok()?.canonical_reason();
    let message = match &fault.message {
        None if code == SUCCESS => None,
        None => words().map(str::to_owned),
        given => given.clone(),
    };
    Answer::envelope(status, &code, message, data)
}

fn dripping(body: Bytes, pause: Duration) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let byte = rest.split_to(1);
        Some((Ok(byte), rest))
    })
}
