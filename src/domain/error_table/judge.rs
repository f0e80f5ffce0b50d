//! From an outcome to its row, and from the row to a judgement.
//!
//! Must not: read the clock, or remember an earlier answer.

use std::time::Duration;

use super::{Calls, Follow, Limit, On, Pause, Row, Rule, Scope, TABLE, Then};
use crate::domain::answer::{Answer, Body, Call, Code, Location, Outcome, TaskState};
use crate::domain::ids::TaskId;

/// The longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The table in force: the documented one, with the configuration's overrides.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorTable {
    rows: Vec<Row>,
}

/// What an outcome means.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// For the file.
    pub verdict: Verdict,
    /// The label that people filter by.
    pub code: Code,
    /// What happened, in words: the table's, then the service's own, which
    /// still hold whatever characters it sent.
    pub why: String,
    /// What an operator can do; may be empty.
    pub advice: &'static str,
    /// Who else has to wait.
    pub pause: Option<Pause>,
    /// What the service asked for, clamped to [`MAX_RETRY_AFTER`].
    pub retry_after: Option<Duration>,
    /// The service itself answered: it is there, whatever it said.
    pub heard: bool,
    /// Which call it was.
    pub call: Call,
    /// The answer does not prove that the file was not taken: see [`Row::marks`].
    pub may_be_taken: bool,
    /// The request was a gate's probe: it went while all others had to wait,
    /// and what came of it is not counted against its file. `gate` says so.
    pub probe: bool,
}

/// The redirects that led to an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trail {
    /// How many.
    pub hops: u8,
    /// One of them was a 303: the upload itself had been taken, only its
    /// result lay elsewhere. Nothing after it can prove that it was not.
    pub see_other: bool,
}

/// A row's rule, with what the answer gave for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An upload was taken; without a task it can't be followed.
    Done(Option<TaskId>),
    /// A query was answered.
    Task(TaskState),
    /// A query was answered: as before.
    Unchanged,
    /// See [`Rule::Retry`].
    Retry(Option<Limit>),
    /// See [`Rule::Reject`].
    Reject,
    /// See [`Rule::Hold`].
    Hold,
    /// See [`Rule::Unconfirmed`].
    Unconfirmed,
    /// See [`Rule::Follow`]; the address is on the base URL's origin.
    Follow(Follow, String),
}

impl Default for ErrorTable {
    fn default() -> ErrorTable {
        ErrorTable {
            rows: TABLE.to_vec(),
        }
    }
}

impl ErrorTable {
    /// The rows in force, in the order in which they are shown.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Puts `row` in the place of the rows that match the same answer for the
    /// same calls, or adds it. A row for every call keeps the other call where
    /// only one is overridden. No row is left that could never decide: what is
    /// printed is what is in force.
    pub fn override_row(&mut self, row: Row) {
        let at = self.rows.iter().position(|r| r.on == row.on);
        let at = at.unwrap_or(self.rows.len());
        self.rows
            .retain(|r| r.on != row.on || (row.calls != Calls::Any && r.calls != row.calls));
        for r in self.rows.iter_mut().filter(|r| r.on == row.on) {
            r.calls = match row.calls {
                Calls::Upload => Calls::Query,
                _ => Calls::Upload,
            };
        }
        self.rows.insert(at, row);
    }

    /// The row that decides about `on` for this call: the exact match, else
    /// the class that it falls into. Every outcome has one.
    pub fn row(&self, call: Call, on: &On) -> &Row {
        self.exact(call, on)
            .or_else(|| {
                class_of(on)
                    .into_iter()
                    .find_map(|wider| self.exact(call, &wider))
            })
            .expect("the table has a row for every class; a test asks for each")
    }

    fn exact(&self, call: Call, on: &On) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.on == *on && row.calls.include(call))
    }

    /// The override that names an error by a part of its message.
    fn by_message(&self, call: Call, answer: Option<&Answer>) -> Option<On> {
        let Body::Envelope {
            message: Some(message),
            code,
            ..
        } = &answer?.body
        else {
            return None;
        };
        let refused = code != "0" || !(200..400).contains(&answer?.status);
        let said = message.to_lowercase();
        let named = |row: &&Row| match &row.on {
            On::Message(part) => refused && said.contains(part.as_str()),
            _ => false,
        };
        let mut rows = self.rows.iter().filter(named);
        let row = rows.find(|row| row.calls.include(call))?;
        Some(row.on.clone())
    }

    /// Judges one outcome that was come to by way of `trail`.
    pub fn judge(&self, call: Call, outcome: &Outcome, trail: Trail) -> Judgement {
        let (answer, detail) = match outcome {
            Outcome::Answer(answer) => (Some(answer), None),
            Outcome::NoConnection { detail } | Outcome::Broken { detail, .. } => {
                (None, Some(detail.as_str()))
            }
        };
        let mut on = classify(call, outcome);
        let label = label(call, &on, answer);
        if let Some(named) = self.by_message(call, answer) {
            on = named;
        }
        let mut row = self.row(call, &on);
        // Asked of the rule and not of the status: an override may have other
        // statuses followed, and those must not go in circles or abroad either.
        if matches!(row.rule, Rule::Follow(_)) {
            let location = answer.and_then(|a| a.location.as_ref());
            if trail.hops >= MAX_HOPS {
                on = On::TooManyHops;
                row = self.row(call, &on);
            } else if !matches!(location, Some(Location::SameOrigin(_))) {
                on = On::Elsewhere;
                row = self.row(call, &on);
            }
        }
        // A query says nothing about a route's options or its endpoint.
        let pause = row
            .pause
            .filter(|p| call == Call::Upload || p.scope != Scope::Route);
        let mut verdict = verdict(call, row.rule, answer);
        // Only the service itself knows which tasks it has: in somebody else's
        // words "not found" is about the address.
        let foreign = answer.is_some_and(|a| matches!(a.body, Body::NotEnvelope { .. }));
        if call == Call::Query && foreign && gives_up_task(&verdict) {
            verdict = Verdict::Hold;
        }
        // An answer that came before the last byte is about a file that the
        // service cannot have.
        let early = call == Call::Upload && answer.is_some_and(|a| !a.whole);
        if early && verdict == Verdict::Unconfirmed {
            verdict = Verdict::Retry(None);
        }
        let settled = matches!(verdict, Verdict::Done(_) | Verdict::Follow(Follow::Get, _));
        // A 303 that can't be followed says "taken" as much as one that can.
        let stranded = matches!(on, On::Elsewhere | On::TooManyHops)
            && answer.is_some_and(|a| a.status == 303);
        if (trail.see_other || stranded) && call == Call::Upload && !settled {
            verdict = Verdict::Unconfirmed;
        }
        let may_be_taken =
            row.marks && call == Call::Upload && !early && matches!(verdict, Verdict::Retry(_));
        let code = match (&on, &verdict) {
            (On::Success, Verdict::Task(TaskState::Unknown(_))) => Code::own(UNKNOWN_STATE),
            _ => label,
        };
        Judgement {
            code,
            why: words(&on, row.meaning, answer, detail),
            advice: row.advice,
            pause,
            // "At once", or a date that has passed, is no wait: the backoff is,
            // else such a service is called without a pause by a whole backlog.
            retry_after: answer
                .and_then(|a| a.retry_after)
                .filter(|w| !w.is_zero())
                .map(|w| w.min(MAX_RETRY_AFTER)),
            // A 206 that gets here as such had no whole envelope.
            heard: answer.is_some()
                && !matches!(on, On::NotEnvelope | On::OtherTask | On::Status(206)),
            verdict,
            call,
            may_be_taken,
            probe: false,
        }
    }
}

/// The classes that a match falls back to, narrowest first.
fn class_of(on: &On) -> Vec<On> {
    match on {
        On::Status(206) | On::OtherTask => vec![On::NotEnvelope],
        On::Message(_) => vec![On::OtherCode],
        On::Status(status) => vec![On::Class(status / 100), On::Class(5)],
        On::Code(code) if code.starts_with("OPS4") => vec![On::CodeClass("OPS4"), On::OtherCode],
        On::Code(code) if code.starts_with("OPS5") => vec![On::CodeClass("OPS5"), On::OtherCode],
        On::Code(_) => vec![On::OtherCode],
        _ => vec![],
    }
}

/// The label of a task whose state is not documented.
pub const UNKNOWN_STATE: &str = "UNKNOWN-STATE";

/// How many redirects in a row are followed.
const MAX_HOPS: u8 = 3;

fn classify(call: Call, outcome: &Outcome) -> On {
    let answer = match outcome {
        Outcome::NoConnection { .. } => return On::NoConnection,
        Outcome::Broken {
            last_byte_sent: false,
            ..
        } => return On::BrokenBefore,
        Outcome::Broken {
            last_byte_sent: true,
            ..
        } => return On::BrokenAfter,
        Outcome::Answer(answer) => answer,
    };
    match (answer.status, &answer.body) {
        // An error code may come under any 2xx; under 400 it says more than
        // the status. Under other statuses the status is the surer word.
        (200..=299 | 400, Body::Envelope { code, .. }) if code != "0" => {
            if answer.status == 400 && !code.starts_with("OPS") {
                On::Status(400)
            } else {
                On::Code(code.clone().into())
            }
        }
        (
            200..=299,
            Body::Envelope {
                task, task_state, ..
            },
        ) => match call {
            Call::Upload if task.is_some() => On::Success,
            Call::Query if task_state.is_some() => On::Success,
            _ => On::NoTask,
        },
        (200..=299, Body::OtherTask { .. }) => On::OtherTask,
        (206, _) => On::Status(206),
        (200..=299, Body::Empty) => On::NoTask,
        (200..=299, Body::NotEnvelope { .. }) => On::NotEnvelope,
        (status, _) => On::Status(status),
    }
}

fn verdict(call: Call, rule: Rule, answer: Option<&Answer>) -> Verdict {
    let envelope = answer.and_then(|a| match &a.body {
        Body::Envelope {
            task, task_state, ..
        } => Some((task.clone(), task_state.clone())),
        _ => None,
    });
    match rule {
        Rule::Done => match (call, envelope) {
            (Call::Upload, envelope) => Verdict::Done(envelope.and_then(|(task, _)| task)),
            (Call::Query, Some((_, Some(state)))) => Verdict::Task(state),
            (Call::Query, _) => Verdict::Unchanged,
        },
        // "As before" is an answer to a query; an override may give it to an
        // upload, which had nothing before.
        Rule::Unchanged => match call {
            Call::Query => Verdict::Unchanged,
            Call::Upload => Verdict::Unconfirmed,
        },
        Rule::Retry { limit } => Verdict::Retry(limit),
        Rule::Reject => Verdict::Reject,
        Rule::Hold => Verdict::Hold,
        Rule::Unconfirmed => Verdict::Unconfirmed,
        Rule::Follow(how) => match answer.and_then(|a| a.location.as_ref()) {
            Some(Location::SameOrigin(to)) => Verdict::Follow(how, to.clone()),
            // Only where the rows for such redirects are overridden to "follow".
            _ => Verdict::Hold,
        },
    }
}

fn gives_up_task(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Retry(Some(limit)) if limit.then == Then::Lost)
}

fn label(call: Call, on: &On, answer: Option<&Answer>) -> Code {
    match (on, on.own_label()) {
        (On::Code(code), _) => Code::service(code),
        (On::NoTask, _) if call == Call::Query => Code::http(answer.map_or(0, |a| a.status)),
        (_, Some(own)) => Code::own(own),
        _ => Code::http(answer.map_or(0, |a| a.status)),
    }
}

fn words(on: &On, meaning: &str, answer: Option<&Answer>, detail: Option<&str>) -> String {
    let mut text = meaning.to_owned();
    let mut add = |more: &str| {
        text.push_str(": ");
        text.push_str(more);
    };
    if let Some(answer) = answer {
        match (&answer.body, &answer.location) {
            (
                Body::Envelope {
                    message: Some(message),
                    ..
                },
                _,
            ) if !message.is_empty() => add(message),
            (Body::NotEnvelope { what } | Body::OtherTask { what }, None) => add(what),
            (
                Body::Envelope {
                    task_state: Some(TaskState::Unknown(state)),
                    ..
                },
                _,
            ) if *on == On::Success => add(&format!(
                "the task's state is {state:?}, which is not documented: it counts as still \
                 processing"
            )),
            _ => {}
        }
        if let (On::Status(407 | 511), Some(proxy)) = (on, &answer.proxy) {
            add(&format!("the request went through the proxy {proxy}"));
        }
        // A redirect's operator needs the address, whatever else was said.
        if let Some(Location::SameOrigin(to) | Location::Elsewhere(to)) = &answer.location {
            add(to);
        }
    }
    if let Some(detail) = detail {
        add(detail);
    }
    text
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
