//! What the calls of the API do, once a request was read whole: imports make
//! tasks and are recorded, queries and deletions find them.
//!
//! Must not: read bodies, or know of connections; of a fault it takes only
//! what concerns the task.

use std::sync::Arc;

use axum::http::Method;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, from_value};
use tokio::time::Instant;
use url::Url;

use super::answer::Answer;
use super::app::{App, Key, Ticket};
use super::faults::Fault;
use super::intake::Form;
use super::push;
use super::record::{Outcome, UploadRecord};
use super::rules::{self, Call, Refusal};
use super::tasks::End;
use crate::api::wire::{Imported, OptResult, TaskDetails, TaskQuery, WebImport, WebhookUrl};

/// A body that was read whole.
pub(super) enum Whole {
    Form(Form),
    Json(Result<Vec<u8>, Refusal>),
}

/// A request that was carried out.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) task: Option<String>,
}

impl Default for Done {
    fn default() -> Done {
        Done {
            answer: Answer::success(&Value::Null),
            task: None,
        }
    }
}

/// What carrying out a request takes.
pub(super) struct Job<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) key: &'a Key,
    pub(super) fault: Option<&'a Fault>,
    pub(super) now: Instant,
}

impl Job<'_> {
    /// Does what the call asks for, or says why the API refuses it.
    pub(super) fn carry_out(
        &self,
        call: Call,
        body: Whole,
        ticket: &mut Ticket,
    ) -> Result<Done, Refusal> {
        if !self.app.admits(self.key) {
            return Err(Refusal::plain(
                401,
                "the Access-Key is missing or not valid",
            ));
        }
        match body {
            Whole::Form(form) => self.import_file(call, form, ticket),
            Whole::Json(bytes) => self.json_call(call, &bytes?, ticket),
        }
    }

    fn import_file(&self, call: Call, form: Form, ticket: &mut Ticket) -> Result<Done, Refusal> {
        if let Some(problem) = form.problem {
            return Err(problem);
        }
        let missing = Refusal::ops("OPS40002", "[contentType] the part `data` is missing");
        let data = form.data.ok_or(missing)?;
        let value = rules::parse_object(&data.bytes);
        let options = value
            .as_ref()
            .map_or(Ok(()), |value| rules::check_options(call, value));
        // The smallest code first.
        if let Err(refusal) = &options
            && refusal.code == "OPS40001"
        {
            return Err(refusal.clone());
        }
        rules::check_content_type(data.content_type.as_deref(), "application/json")?;
        let value = value?;
        let no_file = Refusal::ops("OPS40004", "[file] the part `file` is missing");
        let file = form.file.ok_or(no_file)?;
        if self.app.settings.check_types {
            rules::check_file_name(call, &file.name)?;
        }
        options?;
        let task_id = self.make_task(&file.name)?;
        let data = self.app.records().share(value);
        let record = self.record(call, &task_id, data, ticket);
        ticket.made(self.app.records().upload(UploadRecord {
            file_name: file.name,
            file_name_raw: file.raw_name,
            size: file.size,
            blake3: Some(file.blake3),
            ..record
        }));
        Ok(imported(task_id))
    }

    fn json_call(&self, call: Call, bytes: &[u8], ticket: &mut Ticket) -> Result<Done, Refusal> {
        let value = rules::parse_object(bytes)?;
        let wrong = |what: &str| Refusal::ops("OPS40004", format!("[{what}] is missing or wrong"));
        match call {
            Call::Web => {
                let web: WebImport = from_value(value).map_err(|_| wrong("url"))?;
                let options = Value::Object(web.options);
                rules::check_options(call, &options)?;
                rules::check_https(&web.url, true)?;
                let name: Arc<str> = web.url.into();
                let task_id = self.make_task(&name)?;
                let data = self.app.records().share(options);
                let record = self.record(call, &task_id, data, ticket);
                ticket.made(self.app.records().upload(UploadRecord {
                    file_name: Arc::clone(&name),
                    file_name_raw: name,
                    ..record
                }));
                Ok(imported(task_id))
            }
            Call::Query => {
                let asked: TaskQuery = from_value(value).map_err(|_| wrong("taskId"))?;
                let found = self
                    .app
                    .tasks()
                    .look(&asked.task_id, self.key.shown(), self.now);
                let (name, state) = found.map_err(out_of_order)?.ok_or_else(no_such_task)?;
                let told = self.fault.and_then(|f| f.task_state.clone());
                Ok(plain(&TaskDetails {
                    task_id: asked.task_id,
                    task_name: Some(name),
                    state: told.unwrap_or(state),
                }))
            }
            Call::Delete => {
                let asked: TaskQuery = from_value(value).map_err(|_| wrong("taskId"))?;
                let deleted = self.app.tasks().delete(&asked.task_id, self.key.shown());
                match deleted.map_err(out_of_order)? {
                    true => Ok(plain(&OptResult {
                        opt_result: "success".to_owned(),
                    })),
                    false => Err(no_such_task()),
                }
            }
            Call::Webhook => {
                let hook: WebhookUrl = from_value(value).map_err(|_| wrong("url"))?;
                // The one thing that is otherwise here: plain http to this machine.
                let url = Url::parse(&hook.url).map_err(|_| wrong("url"))?;
                if url.query().is_some() || push::here(&url).is_none() {
                    rules::check_https(&hook.url, false)?;
                }
                self.app.webhooks().insert(self.key.shared(), url);
                Ok(plain(&OptResult {
                    opt_result: "success".to_owned(),
                }))
            }
            Call::Text | Call::Image | Call::Audio | Call::Video => Err(Refusal::plain(400, "")),
        }
    }

    /// The answer of an earlier import, for redirects that lead to it.
    pub(super) fn import_result(&self, parts: &Parts) -> Option<Done> {
        let id = parts
            .uri
            .path()
            .strip_prefix(rules::PREFIX)?
            .strip_prefix("/import-result/")?;
        let found = self.app.tasks().look(id, self.key.shown(), self.now);
        found
            .ok()?
            .filter(|_| parts.method == Method::GET)
            .map(|_| imported(id.to_owned()))
    }

    /// The record of an import, but for its file.
    fn record(&self, call: Call, task: &str, data: Arc<Value>, ticket: &Ticket) -> UploadRecord {
        UploadRecord {
            seq: 0,
            request: ticket.seq(),
            endpoint: call,
            key: self.key.shared(),
            file_name: "".into(),
            file_name_raw: "".into(),
            size: 0,
            blake3: None,
            data,
            task_id: task.to_owned(),
            at_ms: self.app.at_ms(),
            status: Outcome::Open,
        }
    }

    fn make_task(&self, name: &str) -> Result<String, Refusal> {
        let by_name = || self.app.settings.end_of(name);
        let end: End = self.fault.and_then(|f| f.outcome).unwrap_or_else(by_name);
        let key = self.key.shared();
        let made = self.app.tasks().make(&key, name, end, self.now);
        let task = made.map_err(out_of_order)?;
        let webhook = self.app.webhooks().get(&key).cloned();
        if let Some(url) = webhook {
            let pending_for = self.app.settings.pending_for;
            push::later(self.app, key, url, task.clone(), pending_for);
        }
        Ok(task)
    }
}

fn imported(task_id: String) -> Done {
    let answer = Answer::success(&Imported {
        num: 0,
        task_id: task_id.clone(),
    });
    Done {
        answer,
        task: Some(task_id),
    }
}

fn plain(data: &impl Serialize) -> Done {
    Done {
        answer: Answer::success(data),
        task: None,
    }
}

/// The disk under the tasks' file is full, or failed.
fn out_of_order(error: rusqlite::Error) -> Refusal {
    Refusal::plain(500, format!("the emulator can't keep its tasks: {error}"))
}

fn no_such_task() -> Refusal {
    Refusal::plain(404, "no such task")
}
