//! What is answered when something is not answered: a status and one sentence.
//!
//! Must not: say more of the inside than a person can use.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::door::Entry;
use crate::domain::naming::shown;
use crate::ledger::LedgerError;

/// A request that is not done.
#[derive(Debug)]
pub struct Refusal {
    /// Of the answer.
    pub status: StatusCode,
    /// What happened, and what to do.
    pub error: String,
    /// The file that holds the token which is wanted.
    pub token_file: Option<String>,
}

impl Refusal {
    /// With these words.
    pub fn new(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal {
            status,
            error: error.into(),
            token_file: None,
        }
    }

    /// A token is wanted: the one in the file that `key` names. Who comes from
    /// this machine is told which file that is; a proxy may have let in anybody.
    pub fn token(entry: Entry, key: &str, file: Option<&Path>) -> Refusal {
        let here = file.filter(|_| entry != Entry::Proxy);
        let file = here.map(|path| shown(path.as_os_str().as_bytes()));
        let which = match &file {
            Some(file) => format!("that is in {file} (`{key}`)"),
            None => format!("of `{key}`"),
        };
        let error = format!("send the token {which}, as `Authorization: Bearer TOKEN`");
        Refusal {
            token_file: file,
            ..Refusal::new(StatusCode::UNAUTHORIZED, error)
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
        let mut told = json!({ "error": self.error });
        if let Some(file) = self.token_file {
            told["token_file"] = file.into();
        }
        (self.status, Json(told)).into_response()
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
