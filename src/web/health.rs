//! Is the daemon well, and is it ready?
//!
//! `/healthz` says whether the process works: that is for whoever restarts it.
//! `/healthz?deep` says whether files go on, as `status --check` does.
//!
//! Must not: call a daemon ill, but to a deep question, for what the service or a
//! folder does.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Site;
use super::refusal::Refusal;
use crate::config::units;
use crate::domain::health::{Level, Limits};
use crate::view::{Stamp, health as words};

/// How long the ledger's thread may take to answer.
const LEDGER: Duration = Duration::from_secs(5);

/// An answer as a probe reads it: by its status, or by its text.
type Told = (StatusCode, Json<Value>);

/// `GET /healthz`.
pub async fn healthy(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Result<Told, Refusal> {
    if is_deep(query.as_deref()) {
        let limits = limits(query.as_deref().unwrap_or_default())?;
        return Ok(deep(&site, &limits).await);
    }
    answers(&site).await?;
    Ok((StatusCode::OK, Json(json!({ "ok": true }))))
}

/// Whether more is asked than whether the process works.
pub fn is_deep(query: Option<&str>) -> bool {
    let mut all = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    all.any(|(key, _)| key == "deep")
}

async fn answers(site: &Site) -> Result<(), Refusal> {
    match tokio::time::timeout(LEDGER, site.back.ledger().answers()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Refusal::ledger(&error)),
        Err(_) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the thread that owns the ledger does not answer: is the disk well?",
        )),
    }
}

/// What a failure is, too: 503, with its line.
async fn deep(site: &Site, limits: &Limits) -> Told {
    let asked = async {
        answers(site).await?;
        site.standing().await
    };
    let told = match asked.await {
        Ok(standing) => {
            let health = words::health(&standing, false, limits);
            words::as_json(&health, &standing, limits)
        }
        Err(refused) => words::failure_as_json(Level::Trouble, &refused.error),
    };
    let status = match told["ok"] {
        Value::Bool(true) => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(told))
}

/// The limits that the address gives, by the names of the options of `status
/// --check`.
fn limits(query: &str) -> Result<Limits, Refusal> {
    let mut limits = Limits::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let time = || {
            units::time(&value)
                .map_err(|why| Refusal::bad(format!("`{}` is no length of time: {why}", &*key)))
        };
        let number = || {
            let wrong = |_| Refusal::bad(format!("`{}` is a number of files", &*key));
            value.parse().map_err(wrong)
        };
        match key.as_ref() {
            "deep" => {}
            "attention-warning" => limits.attention_warning = number()?,
            "attention-critical" => limits.attention_critical = Some(number()?),
            "oldest-warning" => limits.oldest_warning = Some(time()?),
            "oldest-critical" => limits.oldest_critical = Some(time()?),
            "gate-critical" => limits.gate_critical = time()?,
            "folder-critical" => limits.folder_critical = time()?,
            "pause-warning" => limits.pause_warning = time()?,
            _ => {
                return Err(Refusal::bad(
                    "a parameter is not known: those that are: deep, attention-warning, attention-critical, oldest-warning, oldest-critical, gate-critical, folder-critical, pause-warning",
                ));
            }
        }
    }
    Ok(limits)
}

/// `GET /readyz`.
pub async fn ready(State(site): State<Arc<Site>>) -> Told {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_deep_question_is_known_by_its_parameter() {
        for (query, deep) in [
            (None, false),
            (Some(""), false),
            (Some("deeper"), false),
            (Some("deep"), true),
            (Some("deep="), true),
            (Some("x=1&deep=1"), true),
        ] {
            assert_eq!(is_deep(query), deep, "{query:?}");
        }
    }

    #[test]
    fn limits_are_the_options_of_the_command() {
        let given = limits("deep&attention-critical=3&oldest-critical=2h&gate-critical=10m");
        let expected = Limits {
            attention_critical: Some(3),
            oldest_critical: Some(Duration::from_secs(7_200)),
            gate_critical: Duration::from_secs(600),
            ..Limits::default()
        };
        assert_eq!(given.unwrap(), expected);
        for wrong in [
            "deep&x=1",
            "deep&gate-critical=10",
            "deep&attention-warning=-1",
        ] {
            assert_eq!(limits(wrong).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }
}
