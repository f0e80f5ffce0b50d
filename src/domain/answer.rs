//! What came back from the service, or what did not: the facts that the error
//! table judges.
//!
//! Must not: judge (that is `error_table`), or read a socket (that is `api`).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::TaskId;

/// Which call was made. The same status means different things to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// One of the imports: it costs money and must not happen twice.
    Upload,
    /// `query-task`: harmless, can be repeated at will.
    Query,
}

/// How an exchange with the service ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An HTTP answer came.
    Answer(Answer),
    /// Nothing was sent: no connection, no address, no TLS.
    NoConnection {
        /// What went wrong, without the address or the key.
        detail: String,
    },
    /// The connection broke, or nothing came in time.
    Broken {
        /// Whether the last chunk of the body had been handed to the socket.
        /// `false`: the service cannot have a whole request.
        last_byte_sent: bool,
        /// What went wrong, without the address or the key.
        detail: String,
    },
}

impl Outcome {
    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<u16> {
        match self {
            Outcome::Answer(answer) => Some(answer.status),
            Outcome::NoConnection { .. } | Outcome::Broken { .. } => None,
        }
    }

    /// Whether the service itself says that it did what was asked: 2xx, and its
    /// envelope with the code 0, and no `optResult` that says otherwise. For
    /// calls without a row of the error table.
    pub fn is_done(&self) -> bool {
        let Outcome::Answer(answer) = self else {
            return false;
        };
        let zero = matches!(&answer.body, Body::Envelope { code, .. } if code == "0");
        zero && (200..300).contains(&answer.status) && self.opt_refused().is_none()
    }

    /// The `optResult` by which the service says that it did not do what was
    /// asked, though its code is a success.
    pub fn opt_refused(&self) -> Option<&str> {
        match self {
            Outcome::Answer(Answer {
                body:
                    Body::Envelope {
                        opt_result: Some(result),
                        ..
                    },
                ..
            }) if !result.eq_ignore_ascii_case("success") => Some(result),
            _ => None,
        }
    }
}

/// An HTTP answer, reduced to what matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body was.
    pub body: Body,
    /// `Retry-After`, as a wait from now; not yet clamped.
    pub retry_after: Option<Duration>,
    /// `Location`, where the status redirects.
    pub location: Option<Location>,
    /// The whole request had been handed over when it came. `false`: the
    /// service answered early, and cannot have the whole file.
    pub whole: bool,
    /// The proxy that the request went through, without its log-in.
    pub proxy: Option<String>,
}

impl Default for Answer {
    /// An empty 200 to a whole request.
    fn default() -> Answer {
        Answer {
            status: 200,
            body: Body::Empty,
            retry_after: None,
            location: None,
            whole: true,
            proxy: None,
        }
    }
}

/// Where a redirect points, seen from the base URL. The other host's address
/// is kept for the operator to read, never to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Same scheme, host and port: a full address.
    SameOrigin(String),
    /// Another origin, or nothing that is an `http(s)` address; bounded text.
    Elsewhere(String),
}

/// What an answer's body was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The service's own envelope.
    Envelope {
        /// `"0"` or an error code, bounded.
        code: String,
        /// The service's words, bounded; control characters still inside.
        message: Option<String>,
        /// `data.taskId`, where it is there and can be believed.
        task: Option<TaskId>,
        /// `data.state` of a query.
        task_state: Option<TaskState>,
        /// `data.optResult` of a deletion or a new webhook, bounded.
        opt_result: Option<String>,
    },
    /// The service's envelope about another task than the one asked about.
    OtherTask {
        /// Which, and what it says of it, in words, bounded.
        what: String,
    },
    /// No body at all.
    Empty,
    /// Something else: HTML, a cut or oversized body.
    NotEnvelope {
        /// What it was, in words, bounded.
        what: String,
    },
}

/// How far a task is, as `query-task` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// `PENDING`; the service's own table spells it `PENGDING`.
    Pending,
    /// `SUCCESS`.
    Success,
    /// `FAIL`.
    Fail,
    /// `CANCEL`: the task was deleted.
    Cancel,
    /// Anything else: kept as text, treated as still processing.
    Unknown(String),
}

impl TaskState {
    /// The service's word.
    pub fn as_str(&self) -> &str {
        match self {
            TaskState::Pending => "PENDING",
            TaskState::Success => "SUCCESS",
            TaskState::Fail => "FAIL",
            TaskState::Cancel => "CANCEL",
            TaskState::Unknown(word) => word,
        }
    }

    /// Reads the service's word.
    pub fn parse(text: &str) -> TaskState {
        match text {
            "PENDING" | "PENGDING" => TaskState::Pending,
            "SUCCESS" => TaskState::Success,
            "FAIL" => TaskState::Fail,
            "CANCEL" => TaskState::Cancel,
            other => TaskState::Unknown(other.chars().take(64).collect()),
        }
    }
}

/// The short label of how an exchange ended: `OPS40001`, `HTTP-503`,
/// `NO-CONNECTION`. It is what people filter by, so it is one word of
/// printable ASCII, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(String);

impl Code {
    /// The label of an HTTP status.
    pub fn http(status: u16) -> Code {
        Code(format!("HTTP-{status}"))
    }

    /// The service's own code; characters that don't belong into a label
    /// become `_`.
    pub fn service(text: &str) -> Code {
        let clean: String = text
            .chars()
            .take(32)
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Code(if clean.is_empty() {
            "_".to_owned()
        } else {
            clean
        })
    }

    /// The labels that a person means, in capitals: `403`, `http-403` and
    /// `HTTP-403` are the same, whether the service sent it as a status or as its
    /// own code.
    pub fn meant_by(text: &str) -> Vec<String> {
        let upper = text.trim().to_ascii_uppercase();
        let status = upper.strip_prefix("HTTP-").unwrap_or(&upper);
        let is_status = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
        match is_status {
            true => vec![format!("HTTP-{status}"), status.to_owned()],
            false => vec![upper],
        }
    }

    /// A label of our own, such as `NO-CONNECTION`.
    pub fn own(text: &'static str) -> Code {
        Code(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_meant_however_it_is_written() {
        for text in ["403", "http-403", "HTTP-403", " Http-403 "] {
            assert_eq!(Code::meant_by(text), ["HTTP-403", "403"], "{text:?}");
        }
        for (text, label) in [
            ("ops40002", "OPS40002"),
            ("no-answer", "NO-ANSWER"),
            ("0", "0"),
        ] {
            assert_eq!(Code::meant_by(text), [label]);
        }
    }

    #[test]
    fn a_label_is_one_short_printable_word() {
        #[rustfmt::skip]
        let table = [
            ("OPS40001", "OPS40001"), ("a-b", "a-b"), ("", "_"), ("a b", "a_b"),
            ("\u{1b}[31m", "__31m"), ("é", "_"), ("-1", "-1"),
        ];
        for (text, label) in table {
            assert_eq!(Code::service(text).as_str(), label, "{text:?}");
        }
        assert_eq!(Code::service(&"x".repeat(99)).as_str(), "x".repeat(32));
        assert_eq!(Code::service(&"é".repeat(99)).as_str().len(), 32);
        assert_eq!(Code::http(503).to_string(), "HTTP-503");
        assert_eq!(format!("{:<9}|", Code::own("NO")), "NO       |");
    }

    #[test]
    fn only_an_answer_has_a_status() {
        let answer = Answer {
            status: 503,
            ..Answer::default()
        };
        let detail = String::new();
        let broken = Outcome::Broken {
            last_byte_sent: true,
            detail: detail.clone(),
        };
        assert_eq!(Outcome::Answer(answer).status(), Some(503));
        assert_eq!(Outcome::NoConnection { detail }.status(), None);
        assert_eq!(broken.status(), None);
    }

    #[test]
    fn done_is_what_the_service_itself_calls_so() {
        let envelope = |code: &str| Body::Envelope {
            code: code.to_owned(),
            message: None,
            task: None,
            task_state: None,
            opt_result: None,
        };
        let told = |result: &str| Body::Envelope {
            code: "0".to_owned(),
            message: None,
            task: None,
            task_state: None,
            opt_result: Some(result.to_owned()),
        };
        let table = [
            (200, told("success"), true),
            (200, told("Success"), true),
            (200, told("fail"), false),
            (200, told(""), false),
            (200, envelope("0"), true),
            (299, envelope("0"), true),
            (302, envelope("0"), false),
            (500, envelope("0"), false),
            (200, envelope("OPS40001"), false),
            (200, Body::Empty, false),
        ];
        for (status, body, done) in table {
            let outcome = Outcome::Answer(Answer {
                status,
                body,
                ..Answer::default()
            });
            assert_eq!(outcome.is_done(), done, "{outcome:?}");
        }
        let detail = String::new();
        assert!(!Outcome::NoConnection { detail }.is_done());
    }

    #[test]
    fn the_services_words_for_a_task() {
        #[rustfmt::skip]
        let table = [
            ("PENDING", TaskState::Pending), ("PENGDING", TaskState::Pending),
            ("SUCCESS", TaskState::Success), ("FAIL", TaskState::Fail),
            ("CANCEL", TaskState::Cancel), ("success", TaskState::Unknown("success".to_owned())),
            ("", TaskState::Unknown(String::new())),
        ];
        for (text, state) in table {
            assert_eq!(TaskState::parse(text), state, "{text:?}");
        }
        let long = TaskState::parse(&"é".repeat(999));
        assert_eq!(long, TaskState::Unknown("é".repeat(64)));
    }
}
