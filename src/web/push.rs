//! The path that the service's pushes come by: `/webhook/SECRET`.
//!
//! It is reached from outside, through the operator's proxy, so it is the one
//! path that takes any `Host`; and whoever does not know the secret is answered
//! as at an address that there is not. Must not: tell by answer or by time how
//! near a guess was, or read a body before the secret was right.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};

use super::connections::{Connection, PUSHES};
use super::refusal::{self, Refusal};
use super::{Site, Unstored};
use crate::config::valid::{Config, Dataset};

/// What the path begins with.
pub const PREFIX: &str = "/webhook/";

/// Pushes whose bodies are read at a time: each is held in memory. Others wait
/// on places of their own ([`PUSHES`]).
pub(super) const AT_ONCE: usize = 2;

/// Pushes at a time, at one door.
pub(super) const PLACES: usize = PUSHES;

/// Takes a push.
pub async fn push(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<StatusCode, Refusal> {
    let config = site.back.config();
    let given = request.uri().path().strip_prefix(PREFIX);
    let found = given.and_then(|given| whose(&config, given));
    let Some(dataset) = found.filter(|_| request.method() == Method::POST) else {
        return Err(refusal::unknown().await);
    };
    let most = config.http.push_max;
    let too_large = || {
        let error = format!("the body is larger than {most} bytes, or was cut short");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > most as u64) {
        return Err(too_large());
    }
    let Ok(_place) = site.push_places.try_acquire() else {
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pushes at a time: push it again later",
        ));
    };
    if let Some(connection) = request.extensions().get::<Arc<Connection>>() {
        connection.takes_a_push();
    }
    let _turn = site.pushes.acquire().await;
    let body = axum::body::to_bytes(request.into_body(), most).await;
    let body = body.map_err(|_| too_large())?;
    match site.back.pushed(dataset, body).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Unstored::Full) => Err(Refusal::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "there is no room for it just now: push it again later",
        )),
        Err(Unstored::Other) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it could not be stored: push it again later",
        )),
    }
}

/// The dataset whose secret this is. All are compared, each in constant time.
fn whose<'c>(config: &'c Config, given: &str) -> Option<&'c Arc<Dataset>> {
    let mut found = None;
    for dataset in config.datasets.values() {
        let is = dataset.pushes.as_ref().is_some_and(|p| p.secret.is(given));
        found = if is { Some(dataset) } else { found };
    }
    found
}
