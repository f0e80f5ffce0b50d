//! What is answered when something is not answered: a status and one sentence.
//!
//! Must not: say more of the inside than a person can use.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::ledger::LedgerError;

/// A request that is not done.
#[derive(Debug)]
pub struct Refusal {
    /// Of the answer.
    pub status: StatusCode,
    /// What happened, and what to do.
    pub error: String,
}

impl Refusal {
    /// With these words.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal {
            status,
            error: error.into(),
        }
    }

    /// The request makes no sense.
    pub fn bad(error: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, error)
    }

    /// The ledger could not be asked.
    pub fn ledger(error: &LedgerError) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error }))).into_response()
    }
}

/// No such address.
pub async fn unknown() -> Refusal {
    let error = "there is nothing at this address: docs/http.md has those that there are";
    Refusal::new(StatusCode::NOT_FOUND, error)
}

/// The address is there, the method is not for it.
pub async fn wrong_method() -> Refusal {
    let error = "this address does not take this method: GET looks, POST acts";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}
