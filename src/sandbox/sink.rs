//! The fast sink, for benchmarks: takes every body as fast as it comes,
//! without parsing or hashing it, so that what is measured is the client.
//!
//! Every import with a key is taken, every query is told `SUCCESS`; there are
//! no faults and no OPS codes. Must not: keep anything that grows with the
//! number of uploads, unless names are asked for.

use std::sync::Arc;

use axum::http::request::Parts;
use futures_util::StreamExt;
use serde_json::Value;

use super::answer::Answer;
use super::app::{App, Key, Ticket};
use super::exchange::{Exchange, Stop, wait};
use super::intake::Source;
use super::record::{Outcome, UploadRecord};
use super::rules::{Call, Refusal};
use super::tasks::End;
use crate::api::wire::{Imported, OptResult, TaskDetails, TaskQuery};

/// How much of a body's beginning is searched for the file's name.
const HEAD: usize = 1024;

/// One request.
pub(super) async fn exchange(
    app: &App,
    parts: &Parts,
    call: Result<Call, Refusal>,
    mut source: Source,
    ticket: &mut Ticket,
) -> Exchange {
    let (mut size, mut head) = (0_u64, Vec::new());
    while let Some(chunk) = source.next().await {
        let chunk = chunk.map_err(|_| Stop::Left)?;
        size += chunk.len() as u64;
        if head.len() < HEAD {
            head.extend_from_slice(&chunk[..chunk.len().min(HEAD - head.len())]);
        }
    }
    let key = Key::of(&parts.headers);
    let answer = match call {
        Err(refusal) => Answer::refusal(&refusal),
        Ok(_) if !app.admits(&key) => Answer::refusal(&Refusal::plain(401, "no valid Access-Key")),
        Ok(_) if ticket.in_flight_above(app.settings.refuse_above) => {
            let mut answer = Answer::refusal(&Refusal::plain(429, "too many uploads at once"));
            answer.header(axum::http::header::RETRY_AFTER, "1");
            answer
        }
        Ok(call) if call.is_import() => {
            let upload = take(app, call, &key, size, &head, ticket);
            let task_id = (app.settings.first_task + upload).to_string();
            Answer::success(&Imported { num: 0, task_id })
        }
        Ok(Call::Query) => match serde_json::from_slice::<TaskQuery>(&head) {
            Ok(asked) => Answer::success(&TaskDetails {
                task_id: asked.task_id,
                task_name: None,
                state: End::Success.to_string(),
            }),
            Err(_) => Answer::refusal(&Refusal::ops("OPS40004", "[taskId] is missing")),
        },
        Ok(_) => Answer::success(&OptResult {
            opt_result: "success".to_owned(),
        }),
    };
    wait(app.settings.answer_delay).await;
    Ok((answer, None))
}

fn take(app: &App, call: Call, key: &Key, size: u64, head: &[u8], ticket: &mut Ticket) -> u64 {
    if !app.settings.sink_names {
        return app.records().count_upload(size);
    }
    let raw: Arc<str> = name_in(head).into();
    let at_ms = app.at_ms();
    let upload = app.records().upload(UploadRecord {
        seq: 0,
        request: ticket.seq(),
        endpoint: call,
        key: key.shared(),
        file_name: Arc::clone(&raw),
        file_name_raw: raw,
        size,
        blake3: None,
        data: Arc::new(Value::Null),
        task_id: String::new(),
        at_ms,
        status: Outcome::Open,
    });
    ticket.made(upload);
    upload
}

/// The first `filename="…"`, as it stands there; empty when there is none.
fn name_in(head: &[u8]) -> String {
    const MARK: &[u8] = b"filename=\"";
    let found = head
        .windows(MARK.len())
        .position(|w| w == MARK)
        .map(|at| &head[at + MARK.len()..]);
    let name = found.and_then(|rest| Some(&rest[..rest.iter().position(|b| *b == b'"')?]));
    String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_the_head() {
        let head =
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a 1.txt\"\r\n";
        assert_eq!(name_in(head), "a 1.txt");
        assert_eq!(name_in(b"{}"), "");
        assert_eq!(name_in(b"filename=\"cut"), "");
    }
}
