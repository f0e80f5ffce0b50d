//! Is the daemon well, and is it ready?
//!
//! Must not: call a daemon ill for what the service or a folder does.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Site;
use super::refusal::Refusal;
use crate::view::Stamp;

/// How long the ledger's thread may take to answer.
const LEDGER: Duration = Duration::from_secs(5);

/// `GET /healthz`.
pub async fn alive(State(site): State<Arc<Site>>) -> Result<Json<Value>, Refusal> {
    match tokio::time::timeout(LEDGER, site.back.ledger().answers()).await {
        Ok(Ok(())) => Ok(Json(json!({ "ok": true }))),
        Ok(Err(error)) => Err(Refusal::ledger(&error)),
        Err(_) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the thread that owns the ledger does not answer: is the disk well?",
        )),
    }
}

/// `GET /readyz`.
pub async fn ready(State(site): State<Arc<Site>>) -> (StatusCode, Json<Value>) {
    let folders = site.back.folders();
    let mut reasons = Vec::new();
    let mut offline = Vec::new();
    for (name, folder) in &folders {
        if !folder.checked {
            reasons.push(format!("folder {name}: it was not looked for yet"));
        } else if folder.online && folder.scans == 0 {
            reasons.push(format!("folder {name}: the first scan is not done yet"));
        }
        if let Some(why) = &folder.offline_why {
            offline.push(json!({
                "folder": name, "kind": folder.offline_kind, "why": why,
                "since": folder.since.map(Stamp),
            }));
        }
    }
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let told = json!({ "ready": ready, "reasons": reasons, "offline": offline });
    (status, Json(told))
}
