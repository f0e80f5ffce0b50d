//! `POST /api/cancel`: having the service delete the tasks of files.
//!
//! Must not: have more of it done by one request than the service answers in time.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Site;
use super::act::{Which, asked};
use super::refusal::Refusal;
use crate::domain::state::StateKind;
use crate::ledger::Selection;

/// Tasks of one request: each is a call to the service.
const MOST: usize = 20;

/// The body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Cancel {
    dry_run: bool,
    #[serde(flatten)]
    which: Which,
}

/// Cancels files whose tasks the service works on.
pub async fn cancel(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let wanted: Cancel = asked(&site, request).await?;
    let now = site.back.world().clock.now();
    let mut selection = wanted.which.selection(now)?;
    if let Selection::Matching(filter) = &mut selection
        && filter.states.is_empty()
    {
        filter.states = vec![StateKind::Submitted];
    }
    let ids = site.ask(site.back.ledger().selected(selection)).await?;
    if ids.len() > MOST && !wanted.dry_run {
        let files = ids.len();
        return Err(Refusal::bad(format!(
            "{files} files are meant, and each is a call to the service: name at most {MOST} `ids` at a time"
        )));
    }
    let done = site.back.cancel(ids, wanted.dry_run).await;
    let done = done.map_err(|error| Refusal::ledger(&error))?;
    if !wanted.dry_run {
        tracing::info!(files = done.cancelled.len(), "cancelled by hand, over HTTP");
        site.back.wake();
    }
    let refused = done.refused.iter();
    let refused = refused.map(|(id, why)| json!({ "id": id, "why": why }));
    Ok(Json(json!({
        "cancelled": done.cancelled,
        "refused": refused.collect::<Vec<_>>(),
        "dry_run": wanted.dry_run,
    })))
}
