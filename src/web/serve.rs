//! Connections, and their bounds: how many, how long, how large.
//!
//! All of a door is one future: its requests never take more than one thread,
//! and a connection that is slow, or panics, is alone in that. Where places run
//! out, `connections` says who has to go. Must not: know what is asked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;

use super::connections::{Connection, Connections};
use super::door::{Door, Stream};

/// The longest time for a request's headers, and for the pause before them.
const HEADERS: Duration = Duration::from_secs(10);

/// The longest life of a connection: also for a client that reads slowly.
const CONNECTION: Duration = Duration::from_secs(60);

/// Bytes of a request's head, and what is read ahead of a body.
const HEAD: usize = 16 << 10;

/// Header lines.
const LINES: usize = 64;

/// How long nobody is accepted when that can't be done, such as for want of
/// file handles.
const TROUBLE: Duration = Duration::from_millis(100);

/// Answers those who come in by this door.
pub async fn serve(door: Door, app: Router) {
    let mut open = FuturesUnordered::new();
    let mut known = Connections::default();
    loop {
        let room = known.has_room(Instant::now());
        tokio::select! {
            Some(id) = open.next(), if !open.is_empty() => known.left(id),
            // Whoever is slow has to go in a while.
            () = tokio::time::sleep(TROUBLE), if !room => {}
            accepted = door.accept(), if room => match accepted {
                Ok(stream) => {
                    let (id, one) = known.enter(Instant::now());
                    let served = connection(stream, app.clone(), one);
                    open.push(served.map(move |()| id));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(TROUBLE).await;
                }
            }
        }
    }
}

async fn connection(stream: Stream, app: Router, known: Arc<Connection>) {
    let app = TowerToHyperService::new(app);
    let here = &known;
    let answered = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        here.answers();
        request.extensions_mut().insert(here.clone());
        let answer = app.call(request);
        async move {
            let answer = answer.await;
            here.waits();
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEAD)
        .max_headers(LINES)
        .serve_connection(TokioIo::new(stream), answered);
    let served = tokio::time::timeout(CONNECTION, served);
    let served = async {
        tokio::select! {
            served = served => served,
            // Another needs its place.
            () = known.leave.cancelled() => Ok(Ok(())),
        }
    };
    // A fault here must not stop uploads; the panic itself is in the log.
    match AssertUnwindSafe(served).catch_unwind().await {
        Ok(Ok(Err(error))) => tracing::trace!(%error, "a connection broke off"),
        Ok(_) => {}
        Err(_) => tracing::error!("a request panicked: a fault of the program, report it"),
    }
}
