//! One exchange: a request goes out, under watch, and what comes back is
//! fetched to its end, in bounded time and space.
//!
//! The limits are not the library's: its `timeout` counts the upload in and
//! its `read_timeout` runs while the body is sent, so either would kill a long
//! upload that goes well.
//!
//! Must not: read the answer's meaning (that is `answer`).

use std::sync::Arc;

use hyper_util::client::legacy::connect::HttpInfo;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Client, Request, Response};
use tokio::time::Instant;

use super::failure;
use super::raw::{Coming, Fetched, Raw};
use super::text;
use super::valve::{Limits, Overrun, Valve, last_look};
use crate::domain::answer::{Answer, Outcome};

/// An exchange without an answer.
pub(super) struct Failed {
    /// How it ended.
    pub outcome: Outcome,
    /// The service closed the connection.
    pub closed: bool,
}

impl From<Outcome> for Failed {
    fn from(outcome: Outcome) -> Failed {
        Failed {
            outcome,
            closed: false,
        }
    }
}

/// Shuts the valve however the exchange ends, also when it is dropped.
struct ShutOnDrop(Option<Arc<Valve>>);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        if let Some(valve) = &self.0 {
            valve.shut();
        }
    }
}

/// Sends a request whose body comes through `valve`; `None`: it has no body.
///
/// # Errors
/// How it ended, when there was no answer.
pub(super) async fn exchange(
    client: &Client,
    request: Request,
    valve: Option<Arc<Valve>>,
    limits: Limits,
    proxy: Option<&str>,
) -> Result<Raw, Failed> {
    let guard = ShutOnDrop(valve);
    let valve = guard.0.as_deref();
    let response = tokio::select! {
        biased;
        response = client.execute(request) => response,
        over = watch(valve, limits) => return Err(overrun(over, valve, limits).into()),
    };
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            let closed = failure::closed(&error);
            let outcome = broken(&error, valve, limits, proxy);
            return Err(Failed { outcome, closed });
        }
    };
    if let Some(valve) = valve {
        valve.freeze();
    }
    let status = response.status().as_u16();
    let whole = valve.is_none_or(Valve::last_byte_sent);
    if status < 200 || (!whole && status < 300) {
        let detail = if status < 200 {
            format!("the service answered {status}, which is no final answer")
        } else {
            format!("the service answered {status} before it had the whole file")
        };
        let last_byte_sent = whole;
        let outcome = Outcome::Broken {
            last_byte_sent,
            detail,
        };
        return Err(outcome.into());
    }
    let local = response
        .extensions()
        .get::<HttpInfo>()
        .map(HttpInfo::local_addr);
    let headers = response.headers().clone();
    let body = fetch(response, limits).await;
    Ok(Raw {
        status,
        headers,
        body,
        whole,
        local,
    })
}

async fn watch(valve: Option<&Valve>, limits: Limits) -> Overrun {
    if let Some(valve) = valve {
        valve.overrun(limits).await
    } else {
        let until = Instant::now() + limits.connect + limits.answer;
        tokio::time::sleep_until(until).await;
        tokio::time::sleep(last_look(until.elapsed())).await;
        Overrun::Unanswered
    }
}

fn overrun(over: Overrun, valve: Option<&Valve>, limits: Limits) -> Outcome {
    // Nothing may be given out any more before it is asked what was.
    let last_byte_sent = valve.is_none_or(|valve| {
        valve.shut();
        valve.last_byte_sent()
    });
    let detail = match over {
        Overrun::Unasked => {
            let limit = failure::seconds(limits.connect + limits.stall);
            let detail = format!("no connection within {limit}");
            // It may have come, and taken all, in the moment of giving up.
            if !last_byte_sent {
                return Outcome::NoConnection { detail };
            }
            detail
        }
        Overrun::Stalled => {
            let limit = failure::seconds(limits.stall);
            format!("the service stopped taking the content: nothing went out for {limit}")
        }
        Overrun::Unanswered => {
            let limit = failure::seconds(limits.answer);
            format!("no answer within {limit} after the last byte")
        }
    };
    Outcome::Broken {
        last_byte_sent,
        detail,
    }
}

fn broken(
    error: &reqwest::Error,
    valve: Option<&Valve>,
    limits: Limits,
    proxy: Option<&str>,
) -> Outcome {
    let fault = valve.and_then(|valve| {
        valve.shut();
        valve.fault()
    });
    if let Some(fault) = fault {
        let fault = text::visible(&fault, 200);
        return Outcome::Broken {
            // The content failed in the place of its next chunk.
            last_byte_sent: valve.is_some_and(Valve::last_byte_sent),
            detail: format!("the content could not be sent: {fault}"),
        };
    }
    if let Some(proxy) = proxy
        && failure::proxy_wants_login(error)
    {
        // What the proxy answers to the request for a tunnel: nothing of ours
        // was sent.
        return Outcome::Answer(Answer {
            status: 407,
            whole: false,
            proxy: Some(proxy.to_owned()),
            ..Answer::default()
        });
    }
    let detail = failure::words(error, limits, proxy);
    if failure::unsent(error) {
        return Outcome::NoConnection { detail };
    }
    Outcome::Broken {
        last_byte_sent: valve.is_none_or(Valve::last_byte_sent),
        detail,
    }
}

async fn fetch(mut response: Response, limits: Limits) -> Fetched {
    let status = response.status().as_u16();
    let said = matches!(status, 204 | 304)
        || response.headers().contains_key(CONTENT_LENGTH)
        || response.headers().contains_key(TRANSFER_ENCODING);
    let mut until = Instant::now() + limits.answer;
    let mut looked = false;
    let mut body = Coming::default();
    loop {
        match tokio::time::timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                if let Err(too_much) = body.take(&chunk) {
                    return too_much;
                }
            }
            Ok(Ok(None)) => return body.end(said),
            Ok(Err(_)) => return body.broken(),
            // Once, and for all that is still to come: see `last_look`.
            Err(_) if !looked => {
                looked = true;
                until = Instant::now() + last_look(until.elapsed());
            }
            Err(_) => {
                let limit = failure::seconds(limits.answer);
                return Fetched::Cut(format!("a body that had not ended after {limit}"));
            }
        }
    }
}
