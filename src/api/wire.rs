//! The JSON of the service, as it goes over the wire: shared by the client and
//! the sandbox, so that neither can drift from the other. What the service
//! documents and what is assumed about it is said at each item.
//!
//! Must not: decide anything (that is `domain`), or do I/O.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name of the header that carries the key (documented).
pub const ACCESS_KEY: &str = "Access-Key";

/// `code` of a success (documented).
pub const SUCCESS: &str = "0";

/// The frame of every JSON answer: `{"code": "0", "message": null, "data": …}`
/// (documented). An error code may come under any HTTP status (assumed).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// `"0"` or an error code such as `OPS40001`. A number is read as its text.
    #[serde(deserialize_with = "text_or_number")]
    pub code: String,
    /// What the service says about the error; `null` on success.
    #[serde(default)]
    pub message: Option<String>,
    /// The payload; its shape depends on the call.
    #[serde(default)]
    pub data: Value,
}

/// `data` of an import's answer (documented).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Files processed; the samples show 0.
    #[serde(default)]
    pub num: i64,
    /// The task to follow.
    pub task_id: String,
}

/// Body of `query-task` (documented) and `delete-task` (assumed).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskQuery {
    /// As it came from the import.
    pub task_id: String,
}

/// `data` of `query-task`'s answer (documented).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDetails {
    /// The task asked about.
    pub task_id: String,
    /// A name the service gave it.
    #[serde(default)]
    pub task_name: Option<String>,
    /// `PENDING` (also spelt `PENGDING`), `SUCCESS`, `FAIL`, `CANCEL`.
    pub state: String,
}

/// Body of a web page import (fields assumed): the address, and beside it the
/// route's options at the same level.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebImport {
    /// An `https://` address.
    pub url: String,
    /// The route's options.
    #[serde(flatten)]
    pub options: serde_json::Map<String, Value>,
}

/// `data` of the answer to `set-webhook` (documented) and `delete-task` (assumed).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OptResult {
    /// `success`.
    pub opt_result: String,
}

/// Body of `set-webhook` (documented).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookUrl {
    /// An `https://` address without a query string.
    pub url: String,
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    match Value::deserialize(d)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom(
            "`code` is neither a text nor a number",
        )),
    }
}
