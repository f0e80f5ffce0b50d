//! What a file waits for, to scripts: `domain::waiting` has the words.
//!
//! Must not: add a reason of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::domain::time::Timestamp;
use crate::domain::waiting::Waiting;

/// What a file waits for.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingView {
    pub reason: String,
    pub text: String,
    /// What holds it, as `pause` and `resume` spell it.
    pub scope: Option<String>,
    pub who: Option<String>,
    pub why: Option<String>,
    pub code: Option<String>,
    pub since: Option<Stamp>,
    pub until: Option<Stamp>,
    pub ahead: Option<u64>,
    pub estimate_s: Option<u64>,
    /// What holds it beside that, in words.
    pub also: Vec<String>,
}

impl WaitingView {
    /// What holds it longest, and the rest in words; `None`: it does not wait.
    pub fn of(waiting: &[Waiting], now: Timestamp) -> Option<WaitingView> {
        let (first, rest) = waiting.split_first()?;
        let (mut who, mut why, mut code): (Option<String>, Option<String>, Option<String>) =
            Default::default();
        let (mut ahead, mut estimate) = (None, None);
        match first {
            Waiting::Paused { halt, .. } => {
                who = Some(halt.who.clone());
                why.clone_from(&halt.why);
            }
            Waiting::Gate { closed, .. } => {
                code = Some(closed.code.to_string());
                why = Some(closed.why.clone());
            }
            Waiting::Retry {
                last: Some((last, said)),
                ..
            } => {
                code = Some(last.to_string());
                why = Some(said.clone());
            }
            Waiting::Stopped { why: said }
            | Waiting::Offline { why: said, .. }
            | Waiting::Unreadable { why: said, .. } => why = Some(said.clone()),
            Waiting::Turn {
                ahead: counted,
                estimate: takes,
            } => {
                ahead = counted.map(|ahead| ahead.files);
                estimate = takes.map(|takes: Duration| takes.as_secs());
            }
            _ => {}
        }
        Some(WaitingView {
            reason: first.reason().to_owned(),
            text: first.text(now),
            scope: first.scope(),
            who,
            why,
            code,
            since: first.since().map(Stamp),
            until: first.until().map(Stamp),
            ahead,
            estimate_s: estimate,
            also: rest.iter().map(|waiting| waiting.text(now)).collect(),
        })
    }
}
