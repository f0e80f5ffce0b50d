//! What an operator can have done: files tried again, gates opened, the
//! configuration reloaded.
//!
//! Must not: do anything for a request that has not passed [`may`].

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Site;
use super::ask::{MOST, Matching};
use super::door::Entry;
use super::refusal::Refusal;
use crate::domain::halt::{Halt, HaltScope, NoScope};
use crate::domain::ids::FileId;
use crate::domain::time::Timestamp;
use crate::ledger::Selection;
use crate::ports::Token;
use crate::view::halt::{PauseView, Reach, known};
use crate::view::reload::Reloaded;

/// Bytes of a body, at most.
const BODY: usize = 64 << 10;

/// Who did what was done through here.
pub(super) const WHO: &str = "over HTTP";

/// The longest pause with an end: a year. More is a mistyped number; without
/// `for_s` a pause has no end.
const LONGEST_PAUSE_S: u64 = 366 * 86_400;

/// `POST /api/retry`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Retry {
    dry_run: bool,
    #[serde(flatten)]
    which: Which,
}

/// Which files something is to be done with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    ids: Option<Vec<i64>>,
    all: bool,
    #[serde(flatten)]
    matching: serde_json::Map<String, Value>,
}

impl Which {
    /// The files that are meant. A filter without states has none: which states it
    /// means then is for the ledger to say.
    pub(super) fn selection(self, now: Timestamp) -> Result<Selection, Refusal> {
        let matching: Matching = serde_json::from_value(Value::Object(self.matching))
            .map_err(|why| Refusal::bad(format!("the body is not understood: {why}")))?;
        match (self.ids, matching.is_empty(), self.all) {
            (Some(ids), true, false) if ids.len() <= MOST => {
                Ok(Selection::Ids(ids.into_iter().map(FileId).collect()))
            }
            (Some(_), true, false) => Err(Refusal::bad(format!("at most {MOST} `ids` at a time"))),
            (None, empty, all) if empty == all => {
                Ok(Selection::Matching(matching.filter(now, usize::MAX)?))
            }
            _ => Err(Refusal::bad(
                "say which files, in one way: `ids`, a filter such as `state` and `code`, or `\"all\": true`",
            )),
        }
    }
}

/// `POST /api/resume`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ResumeAsked {
    #[serde(alias = "gate")]
    scope: Option<String>,
}

/// `POST /api/pause`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    scope: String,
    for_s: Option<u64>,
    why: Option<String>,
}

/// Sends files again that came to a bad end.
pub async fn retry(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked: Retry = asked(&site, request).await?;
    let at = site.back.world().moment();
    let selection = asked.which.selection(at.now)?;
    let ledger = site.back.ledger();
    let retried = if asked.dry_run {
        ledger.rehearse_retry(selection, at).await
    } else {
        ledger.retry(selection, at).await
    };
    let retried = retried.map_err(|error| Refusal::ledger(&error))?;
    if !asked.dry_run {
        tracing::info!(files = retried.retried.len(), "retried by hand, over HTTP");
        site.back.wake();
    }
    Ok(Json(json!({
        "retried": retried.retried,
        "refused": retried.refused.iter()
            .map(|(id, why)| json!({ "id": id, "why": why }))
            .collect::<Vec<_>>(),
        "dry_run": asked.dry_run,
    })))
}

/// Holds back new uploads.
pub async fn pause(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked: Pause = asked(&site, request).await?;
    let scope: HaltScope = asked.scope.parse().map_err(no_scope)?;
    known(&site.back.config(), &scope).map_err(Refusal::bad)?;
    if asked
        .for_s
        .is_some_and(|s| !(1..=LONGEST_PAUSE_S).contains(&s))
    {
        return Err(Refusal::bad(format!(
            "`for_s` is a number of seconds from 1 to {LONGEST_PAUSE_S}; leave it out for a pause without an end"
        )));
    }
    let now = site.back.world().clock.now();
    let halt = Halt {
        since: now,
        until: asked.for_s.map(|s| now.plus(Duration::from_secs(s))),
        who: WHO.to_owned(),
        why: asked.why,
    };
    let done = site.back.ledger().halt(scope.clone(), halt.clone()).await;
    done.map_err(|error| Refusal::ledger(&error))?;
    site.back.wake();
    Ok(Json(json!({ "paused": PauseView::of(&scope, &halt, now) })))
}

/// Ends pauses and opens closed gates.
pub async fn resume(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked: ResumeAsked = asked(&site, request).await?;
    let what = asked.scope.as_deref().unwrap_or("all");
    let reach = Reach::of(&site.back.config(), &what.parse().map_err(no_scope)?);
    let (open, end) = (reach.clone(), reach);
    let now = site.back.world().clock.now();
    let ledger = site.back.ledger();
    let resumed = ledger
        .resume(
            move |gate| open.opens(gate),
            move |halt| end.ends(halt),
            now,
        )
        .await
        .map_err(|error| Refusal::ledger(&error))?;
    let opened: Vec<String> = resumed.gates.iter().map(ToString::to_string).collect();
    let ended: Vec<String> = resumed.halts.iter().map(ToString::to_string).collect();
    if what != "all" && opened.is_empty() && ended.is_empty() {
        let none = "no gate is closed there, and nothing is paused: /api/status names what is";
        return Err(Refusal::new(StatusCode::NOT_FOUND, none));
    }
    tracing::info!(
        gates = opened.join(", "),
        pauses = ended.join(", "),
        "resumed by hand, over HTTP"
    );
    site.back.wake();
    Ok(Json(json!({ "opened": opened, "ended": ended })))
}

/// `POST /api/reload`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reload {}

/// Reads the configuration again.
pub async fn reload(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<(StatusCode, Json<Reloaded>), Refusal> {
    let Reload {} = asked(&site, request).await?;
    let Some(outcome) = site.back.reload().await else {
        let stopping = "the daemon is stopping: nothing was reloaded";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, stopping));
    };
    let status = match outcome.done {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, Json(outcome)))
}

fn no_scope(error: NoScope) -> Refusal {
    Refusal::bad(error.to_string())
}

/// What is asked, if this request may ask for anything.
pub(super) async fn asked<T: DeserializeOwned>(
    site: &Site,
    request: Request<Body>,
) -> Result<T, Refusal> {
    may(site, request.headers())?;
    let body = axum::body::to_bytes(request.into_body(), BODY).await;
    let body = body.map_err(|_| {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is cut short, or larger than {BODY} bytes"),
        )
    })?;
    serde_json::from_slice(&body)
        .map_err(|why| Refusal::bad(format!("the body is not understood: {why}")))
}

/// Whether who asks may have something done. A form of another web site can
/// send neither this content type nor this header.
fn may(site: &Site, headers: &HeaderMap) -> Result<(), Refusal> {
    if site.entry != Entry::Socket {
        let config = site.back.config();
        let Some(token) = &config.http.token else {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "nothing can be done here without a token: set `http.token_file`, or use the command or the socket",
            ));
        };
        if !bearer(headers).is_some_and(|given| token.is(given)) {
            let file = config.http.token_file.as_deref();
            return Err(Refusal::token(site.entry, "http.token_file", file));
        }
    }
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let kind = value.to_str().unwrap_or_default().split(';').next();
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if !json {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body as `Content-Type: application/json`",
        ));
    }
    Ok(())
}

/// Whether who asks may look. Where no token is set, whoever can connect may.
pub(super) fn may_look(site: &Site, headers: &HeaderMap) -> bool {
    let config = site.back.config();
    let (http, given) = (&config.http, bearer(headers));
    let is = |token: &Option<Token>| {
        let token = token.as_ref().zip(given);
        token.is_some_and(|(token, given)| token.is(given))
    };
    site.entry == Entry::Socket
        || http.read_token.is_none()
        || is(&http.read_token)
        || is(&http.token)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
