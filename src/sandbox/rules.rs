//! What the API takes and refuses: its calls, and the service's own error codes
//! OPS40001 to OPS40004. Pure.
//!
//! | code | when the sandbox answers it (always with HTTP 400) |
//! |---|---|
//! | OPS40001 | `getDemandFormat` is not the text `"1"` or `"2"`; absent counts as wrong |
//! | OPS40002 | the request's or the `data` part's content type is not the one the call takes; `data` is missing or not a JSON object; the file's extension is not on the import's list |
//! | OPS40003 | text: `title`, `contentDetails` and `customKeys` together ask for nothing. Other imports: `customKeys` is there but empty or malformed; without it nothing has to be asked for, since no page says what counts as a field there |
//! | OPS40004 | another wrong value: `title`, `contentDetails` or `getImageText` not the integers 0 or 1; text with only one of the two required fields; malformed `customKeys` of a text; no `file` part, two of them, or one without a name; a web page or webhook that is not `https://`; no `taskId` |
//!
//! When several apply, the smallest code wins, but a wrong option of a text
//! (OPS40004) comes before "nothing is asked for" (OPS40003). Fields that are not named
//! here pass: the pages for audio, video and web are not public.
//!
//! Must not: read a body or make an answer.

use axum::http::Method;
use serde::Serialize;
use serde_json::Value;

/// Everything of the API is below this path, as with the real service.
pub const PREFIX: &str = "/openapi/open/v1";

/// The calls of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// `/file-task`
    Text,
    /// `/image-task`
    Image,
    /// `/audio-task`
    Audio,
    /// `/video-task`
    Video,
    /// `/web-task`
    Web,
    /// `/query-task`
    Query,
    /// `/delete-task`
    Delete,
    /// `/set-webhook`
    Webhook,
}

impl Call {
    const PATHS: [(Call, &'static str); 8] = [
        (Call::Text, "/file-task"),
        (Call::Image, "/image-task"),
        (Call::Audio, "/audio-task"),
        (Call::Video, "/video-task"),
        (Call::Web, "/web-task"),
        (Call::Query, "/query-task"),
        (Call::Delete, "/delete-task"),
        (Call::Webhook, "/set-webhook"),
    ];

    /// Which call a request line means; else the refusal, 404 or 405.
    pub(super) fn of(method: &Method, path: &str) -> Result<Call, Refusal> {
        let found = path
            .strip_prefix(PREFIX)
            .and_then(|rest| Call::PATHS.iter().find(|(_, path)| *path == rest));
        match found {
            None => Err(Refusal::plain(404, "no such path in this API")),
            Some(_) if method != Method::POST => Err(Refusal::plain(405, "use POST")),
            Some((call, _)) => Ok(*call),
        }
    }

    /// Whether it makes a task: the five imports.
    pub fn is_import(self) -> bool {
        self.takes_file() || self == Call::Web
    }

    /// Whether it is a multipart upload of a file.
    pub fn takes_file(self) -> bool {
        matches!(self, Call::Text | Call::Image | Call::Audio | Call::Video)
    }

    /// The extensions that the service documents for an import.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Call::Text => &["docx", "pdf", "txt", "md", "json"],
            Call::Image => &["jpg", "jpeg", "png"],
            Call::Audio => &["mp3", "wav"],
            Call::Video => &["mp4", "mov", "mpv"],
            Call::Web | Call::Query | Call::Delete | Call::Webhook => &[],
        }
    }
}

/// An error answer: HTTP status, code of the envelope, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    /// One of the service's own codes, under HTTP 400.
    pub(super) fn ops(code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            status: 400,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// A status without a code of its own: the envelope repeats the status.
    pub(super) fn plain(status: u16, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: status.to_string(),
            message: message.into(),
        }
    }
}

/// OPS40002 unless the import takes files of this name's extension.
pub(super) fn check_file_name(call: Call, name: &str) -> Result<(), Refusal> {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    match extension {
        Some(e) if call.extensions().contains(&e.as_str()) => Ok(()),
        _ => Err(Refusal::ops(
            "OPS40002",
            format!(
                "[contentType] this import takes {}",
                call.extensions().join(", ")
            ),
        )),
    }
}

/// OPS40002 unless a content type is the wanted one; parameters are ignored.
pub(super) fn check_content_type(is: Option<&str>, wanted: &str) -> Result<(), Refusal> {
    let essence = is.map(|text| text.split(';').next().unwrap_or(text).trim());
    match essence {
        Some(text) if text.eq_ignore_ascii_case(wanted) => Ok(()),
        _ => Err(Refusal::ops(
            "OPS40002",
            format!("[contentType] must be {wanted}"),
        )),
    }
}

/// Reads JSON that must be an object, or says OPS40002.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Value, Refusal> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.is_object() => Ok(value),
        _ => Err(Refusal::ops(
            "OPS40002",
            "[contentType] this is not a JSON object",
        )),
    }
}

/// Checks the options of an import.
pub(super) fn check_options(call: Call, data: &Value) -> Result<(), Refusal> {
    if !matches!(
        data.get("getDemandFormat").and_then(Value::as_str),
        Some("1" | "2")
    ) {
        return Err(Refusal::ops(
            "OPS40001",
            "[getDemandFormat] must be the text \"1\" or \"2\"",
        ));
    }
    let keys = data.get("customKeys").map(count_keys);
    if call != Call::Text {
        if call == Call::Image {
            flag(data, "getImageText")?;
        }
        return match keys {
            None | Some(Some(1..)) => Ok(()),
            Some(_) => Err(nothing_asked()),
        };
    }
    let (title, details) = (flag(data, "title")?, flag(data, "contentDetails")?);
    let keys = match keys {
        Some(None) => {
            let shape = "[customKeys] must be a list of {\"key\": …, \"desc\": …}";
            return Err(Refusal::ops("OPS40004", shape));
        }
        Some(Some(count)) => count,
        None => 0,
    };
    if title.unwrap_or(0) == 0 && details.unwrap_or(0) == 0 && keys == 0 {
        return Err(nothing_asked());
    }
    match (title, details) {
        (None, _) => Err(Refusal::ops("OPS40004", "[title] is required")),
        (_, None) => Err(Refusal::ops("OPS40004", "[contentDetails] is required")),
        _ => Ok(()),
    }
}

/// OPS40004 unless it is an `https://` address with a host.
pub(super) fn check_https(text: &str, query_allowed: bool) -> Result<(), Refusal> {
    let wrong = |why| Err(Refusal::ops("OPS40004", format!("[url] {why}")));
    match url::Url::parse(text) {
        Ok(url) if url.scheme() != "https" || url.host_str().is_none() => wrong("must be https://"),
        Ok(url) if url.query().is_some() && !query_allowed => wrong("must not have a query string"),
        Ok(_) => Ok(()),
        Err(_) => wrong("is not an address"),
    }
}

fn nothing_asked() -> Refusal {
    Refusal::ops(
        "OPS40003",
        "at least one field or one of customKeys is needed",
    )
}

/// An optional integer that is 0 or 1.
fn flag(data: &Value, name: &str) -> Result<Option<u64>, Refusal> {
    match data.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(flag @ (0 | 1)) => Ok(Some(flag)),
            _ => Err(Refusal::ops("OPS40004", format!("[{name}] must be 0 or 1"))),
        },
    }
}

/// How many custom keys; `None` when they are malformed.
fn count_keys(keys: &Value) -> Option<usize> {
    let keys = keys.as_array()?;
    let fits = |key: &Value| {
        let named = key
            .get("key")
            .and_then(Value::as_str)
            .is_some_and(|k| !k.trim().is_empty());
        named && key.get("desc").is_some_and(Value::is_string)
    };
    keys.iter().all(fits).then_some(keys.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_earn_the_code_they_deserve() {
        let keys = json!([{"key": "k", "desc": "d"}]);
        for (call, data, code) in [
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 1, "contentDetails": 0}),
                None,
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "2", "title": 0, "contentDetails": 0, "customKeys": keys}),
                None,
            ),
            (
                Call::Text,
                json!({"getDemandFormat": 1, "title": 1, "contentDetails": 1}),
                Some("OPS40001"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "3", "title": 1, "contentDetails": 1}),
                Some("OPS40001"),
            ),
            (
                Call::Text,
                json!({"title": 1, "contentDetails": 1}),
                Some("OPS40001"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 0, "contentDetails": 0}),
                Some("OPS40003"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1"}),
                Some("OPS40003"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 0, "contentDetails": 0, "customKeys": []}),
                Some("OPS40003"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 2, "contentDetails": 0}),
                Some("OPS40004"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": "1", "contentDetails": 0}),
                Some("OPS40004"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 1}),
                Some("OPS40004"),
            ),
            (
                Call::Text,
                json!({"getDemandFormat": "1", "title": 1, "contentDetails": 1, "customKeys": [{"key": ""}]}),
                Some("OPS40004"),
            ),
            (Call::Image, json!({"getDemandFormat": "1"}), None),
            (
                Call::Image,
                json!({"getDemandFormat": "1", "getImageText": 1, "other": [1]}),
                None,
            ),
            (
                Call::Image,
                json!({"getDemandFormat": "1", "getImageText": true}),
                Some("OPS40004"),
            ),
            (
                Call::Audio,
                json!({"getDemandFormat": "1", "customKeys": []}),
                Some("OPS40003"),
            ),
            (
                Call::Video,
                json!({"getDemandFormat": "1", "customKeys": "x"}),
                Some("OPS40003"),
            ),
            (
                Call::Web,
                json!({"getDemandFormat": "2", "customKeys": keys}),
                None,
            ),
        ] {
            let got = check_options(call, &data).err().map(|r| r.code);
            assert_eq!(got.as_deref(), code, "{call:?} {data}");
        }
    }

    #[test]
    fn extensions_and_content_types() {
        assert!(check_file_name(Call::Image, "A.JPEG").is_ok());
        for (call, name) in [
            (Call::Image, "a.pdf"),
            (Call::Text, "pdf"),
            (Call::Audio, "a.mp4"),
        ] {
            assert_eq!(check_file_name(call, name).unwrap_err().code, "OPS40002");
        }
        assert!(
            check_content_type(Some("application/json; charset=utf-8"), "application/json").is_ok()
        );
        assert!(check_content_type(None, "application/json").is_err());
    }

    #[test]
    fn only_https_addresses() {
        assert!(check_https("https://a.example/x?y=1", true).is_ok());
        for bad in [
            "http://a.example",
            "ftp://a",
            "a.example",
            "",
            "https://a.example/?q",
        ] {
            assert_eq!(
                check_https(bad, false).unwrap_err().code,
                "OPS40004",
                "{bad}"
            );
        }
    }

    #[test]
    fn calls_by_path_and_method() {
        assert_eq!(
            Call::of(&Method::POST, "/openapi/open/v1/web-task"),
            Ok(Call::Web)
        );
        assert_eq!(
            Call::of(&Method::GET, "/openapi/open/v1/web-task")
                .unwrap_err()
                .status,
            405
        );
        assert_eq!(
            Call::of(&Method::POST, "/web-task").unwrap_err().status,
            404
        );
    }
}
