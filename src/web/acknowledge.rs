//! `POST /api/acknowledge`: somebody says that files need nobody any more.
//!
//! Must not: decide which may be acknowledged; the ledger does.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Site;
use super::act::{WHO, Which, asked};
use super::refusal::Refusal;
use crate::domain::ids::TaskId;
use crate::ledger::{Acknowledge, Selection};

/// The body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    why: Option<String>,
    arrived: bool,
    task: Option<String>,
    dry_run: bool,
    #[serde(flatten)]
    which: Which,
}

/// Acknowledges files.
pub async fn acknowledge(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked: Asked = asked(&site, request).await?;
    let at = site.back.world().moment();
    let selection = asked.which.selection(at.now)?;
    let how = Acknowledge {
        who: WHO.to_owned(),
        why: asked.why,
        arrived: arrived(asked.arrived, asked.task.as_deref(), &selection)?,
    };
    let ledger = site.back.ledger();
    let done = match asked.dry_run {
        true => ledger.rehearse_acknowledge(selection, how, at).await,
        false => ledger.acknowledge(selection, how, at).await,
    };
    let done = done.map_err(|error| Refusal::ledger(&error))?;
    if !asked.dry_run {
        let files = done.acknowledged.len();
        tracing::info!(files, "acknowledged by hand, over HTTP");
        site.back.wake();
    }
    let refused = done.refused.iter();
    Ok(Json(json!({
        "acknowledged": done.acknowledged,
        "refused": refused.map(|(id, why)| json!({ "id": id, "why": why })).collect::<Vec<_>>(),
        "dry_run": asked.dry_run,
    })))
}

/// Whether they say that it has arrived, and with which task.
fn arrived(
    arrived: bool,
    task: Option<&str>,
    which: &Selection,
) -> Result<Option<Option<TaskId>>, Refusal> {
    let Some(task) = task else {
        return Ok(arrived.then_some(None));
    };
    if !matches!(which, Selection::Ids(ids) if ids.len() == 1) {
        return Err(Refusal::bad(
            "a `task` is that of one file: name it in `ids`",
        ));
    }
    let task = TaskId::new(task).ok_or_else(|| {
        Refusal::bad("`task` is no task ID: printable characters without a space, as the service's console shows it")
    })?;
    Ok(Some(Some(task)))
}
