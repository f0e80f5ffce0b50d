//! What happens to one request, from its head to its answer.
//!
//! The order is always the same: ask the faults, read the whole body (asking
//! the faults with `file` on the way), carry the request out if it deserves
//! it, then delay, cut, fall silent or answer. Must not: know how a fault is
//! matched (`script`) or what a call does (`calls`, `rules`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use tokio::time::Instant;

use super::admin;
use super::answer::Answer;
use super::app::{App, Key, Ticket};
use super::calls::{Done, Job, Whole};
use super::connection::Hold;
use super::exchange::{Exchange, Stop, wait};
use super::faults::{Cut, Fault, Silence};
use super::intake::{Broken, Source, read_form};
use super::record::Outcome;
use super::rules::{Call, Refusal};
use super::script::Head;
use super::sink;
use crate::api::wire::{TaskQuery, WebImport};

/// How often a silent handler looks whether its client is still there.
const SILENT_TICK: Duration = Duration::from_millis(50);

/// Serves every request of the sandbox.
pub(super) async fn handle(
    State(app): State<Arc<App>>,
    ConnectInfo(hold): ConnectInfo<Hold>,
    request: Request,
) -> Response {
    if request.uri().path().starts_with(admin::PREFIX) {
        return admin::handle(&app, request).await;
    }
    let (parts, body) = request.into_parts();
    let call = Call::of(&parts.method, parts.uri.path());
    let mut ticket = app.open(&parts, call.as_ref().is_ok_and(|call| call.is_import()));
    let source = Source::new(body, &parts.headers, ticket.bytes());
    // An unread body that is dropped would be drained; held, it makes the
    // client wait, which is what silence before the body means.
    let _unread = source.clone();
    let done = if app.settings.sink {
        sink::exchange(&app, &parts, call, source, &mut ticket).await
    } else {
        exchange(&app, &parts, call, source, &mut ticket).await
    };
    match done {
        Ok((answer, drip)) => {
            ticket.close(Outcome::Answered(answer.status));
            answer.respond(drip)
        }
        Err(Stop::Left) => Answer::refusal(&Refusal::plain(400, "the body was cut short"))
            .closing()
            .respond(None),
        Err(Stop::CutAnswer(answer)) => {
            ticket.close(Outcome::Cut);
            hold.cut_next_answer();
            answer.respond(None)
        }
        Err(Stop::Cut) => {
            ticket.close(Outcome::Cut);
            hold.reset();
            std::future::pending().await
        }
        Err(Stop::Silent) => {
            ticket.close(Outcome::Silent);
            hold.watch_leave();
            // Ends by being dropped: the client leaves, or a shutdown resets
            // the connection.
            loop {
                tokio::time::sleep(SILENT_TICK).await;
            }
        }
    }
}

/// Ends the reading of a body before its end.
enum Early {
    Stop(Stop),
    Answer(Arc<Fault>),
}

impl From<Broken> for Early {
    fn from(broken: Broken) -> Early {
        Early::Stop(broken.into())
    }
}

async fn exchange(
    app: &Arc<App>,
    parts: &Parts,
    call: Result<Call, Refusal>,
    mut source: Source,
    ticket: &mut Ticket,
) -> Exchange {
    let key = Key::of(&parts.headers);
    let head = Head {
        call: call.as_ref().ok().copied(),
        path: parts.uri.path(),
        key: key.shown(),
    };
    let mut fault = app.script().at_head(&head);
    let read = read(app, parts, &call, &head, &mut source, &mut fault).await;
    let body = match read {
        Ok(body) => body,
        Err(Early::Stop(stop)) => return Err(stop),
        Err(Early::Answer(fault)) => {
            let ordinary = Answer::refusal(&Refusal::plain(fault.answer_status(), ""));
            return Ok((Answer::of_fault(&fault, ordinary, None).closing(), None));
        }
    };
    let fault = fault.as_deref();
    if matches!(
        fault.and_then(|f| f.cut),
        Some(Cut::BeforeBody | Cut::MidBody)
    ) {
        return Err(Stop::Cut);
    }
    if fault.and_then(|f| f.silence) == Some(Silence::BeforeBody) {
        return Err(Stop::Silent);
    }

    let job = Job {
        app,
        key: &key,
        fault,
        now: Instant::now(),
    };
    let carried_out = fault.is_none_or(Fault::takes);
    let done = match &call {
        Err(refusal) => job.import_result(parts).ok_or_else(|| refusal.clone()),
        Ok(_) if !carried_out => Ok(Done::default()),
        Ok(_) if ticket.in_flight_above(app.settings.refuse_above) => {
            Err(Refusal::plain(429, "too many uploads at once"))
        }
        Ok(call) => job.carry_out(*call, body, ticket),
    };
    let answer = match (done, fault) {
        // The API's own refusal stands where the fault would have said yes.
        (Err(refusal), Some(fault)) if !carried_out => {
            Answer::of_fault(fault, Answer::refusal(&refusal), None)
        }
        (Err(refusal), _) => {
            let mut answer = Answer::refusal(&refusal);
            if refusal.status == 429 {
                answer.header(axum::http::header::RETRY_AFTER, "1");
            }
            answer
        }
        (Ok(done), Some(fault)) => Answer::of_fault(fault, done.answer, done.task.as_deref()),
        (Ok(done), None) => done.answer,
    };

    let delay = fault.and_then(|f| f.delay_ms).map(Duration::from_millis);
    wait(delay.unwrap_or(app.settings.answer_delay)).await;
    let Some(fault) = fault else {
        return Ok((answer, None));
    };
    match (fault.cut, fault.silence) {
        (Some(Cut::MidAnswer), _) => Err(Stop::CutAnswer(Box::new(answer))),
        (Some(_), _) => Err(Stop::Cut),
        (_, Some(_)) => Err(Stop::Silent),
        _ => Ok((answer, fault.drip_ms.map(Duration::from_millis))),
    }
}

async fn read(
    app: &App,
    parts: &Parts,
    call: &Result<Call, Refusal>,
    head: &Head<'_>,
    source: &mut Source,
    fault: &mut Option<Arc<Fault>>,
) -> Result<Whole, Early> {
    if let Some(fault) = fault.as_ref() {
        before_body(fault, source)?;
    }
    if call.as_ref().is_ok_and(|call| call.takes_file()) {
        let cutter = source.clone();
        let form = read_form(parts, source, |name| {
            if fault.is_none() {
                *fault = app.script().at_name(head, name);
                if let Some(fault) = fault.as_ref() {
                    before_body(fault, &cutter)?;
                }
            }
            Ok(())
        });
        return form.await.map(Whole::Form);
    }
    let bytes = source.small().await?;
    if let (None, Ok(bytes)) = (&fault, &bytes)
        && let Some(name) = named_in(app, head, bytes)
    {
        *fault = app.script().at_name(head, &name);
        if let Some(fault) = fault.as_ref() {
            before_body(fault, source)?;
        }
    }
    Ok(Whole::Json(bytes))
}

/// What a fault does before the body is read.
fn before_body(fault: &Arc<Fault>, source: &Source) -> Result<(), Early> {
    match (fault.cut, fault.silence) {
        (Some(Cut::BeforeBody), _) => return Err(Early::Stop(Stop::Cut)),
        (_, Some(Silence::BeforeBody)) => return Err(Early::Stop(Stop::Silent)),
        (Some(Cut::MidBody), _) => source.cut_half_way(),
        _ => {}
    }
    if fault.early {
        Err(Early::Answer(Arc::clone(fault)))
    } else {
        Ok(())
    }
}

/// The name that a JSON body is about, for faults with `file`.
fn named_in(app: &App, head: &Head<'_>, bytes: &[u8]) -> Option<String> {
    match head.call? {
        Call::Web => serde_json::from_slice::<WebImport>(bytes)
            .ok()
            .map(|web| web.url),
        Call::Query | Call::Delete => {
            let asked: TaskQuery = serde_json::from_slice(bytes).ok()?;
            let found = app.tasks().look(&asked.task_id, head.key, Instant::now());
            found.ok()?.map(|(name, _)| name)
        }
        _ => None,
    }
}
