//! Asking a running daemon, through the socket beside its ledger.
//!
//! Must not: wait for longer than a person would.

use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::socket;
use crate::view::reload::Reloaded;
use crate::view::standing::Standing;

/// The longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Bytes of an answer, at most.
const MOST: usize = 16 << 20;

/// Why a daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// There is no socket, or nobody listens behind it.
    #[error("its socket can't be opened: {0}")]
    Closed(io::Error),
    /// It did not answer in time.
    #[error("it gave no answer within 10 s")]
    Late,
    /// It broke off.
    #[error("its answer broke off: {0}")]
    Broken(String),
    /// It answered that it can't.
    #[error("it answered with status {0}")]
    Refused(u16),
    /// A daemon of another version.
    #[error("its answer is not understood; is it of another version? {0}")]
    Strange(serde_json::Error),
}

/// How things stand, as the daemon that works on `ledger` says.
///
/// # Errors
/// No daemon answers.
pub async fn standing(ledger: &Path) -> Result<Standing, Unanswered> {
    let socket = socket::path(ledger);
    let request = Request::get("/api/status").body(Body::empty());
    let asked = tokio::time::timeout(ANSWER, ask(&socket, request));
    match asked.await.map_err(|_| Unanswered::Late)?? {
        (status, body) if status.is_success() => {
            serde_json::from_slice(&body).map_err(Unanswered::Strange)
        }
        (status, _) => Err(Unanswered::Refused(status.as_u16())),
    }
}

/// Has the daemon that works on `ledger` reload; what came of it, as it says.
///
/// # Errors
/// No daemon answers.
pub async fn reload(ledger: &Path) -> Result<Reloaded, Unanswered> {
    let socket = socket::path(ledger);
    let request = Request::post("/api/reload")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{}"));
    let asked = tokio::time::timeout(ANSWER, ask(&socket, request));
    match asked.await.map_err(|_| Unanswered::Late)?? {
        (StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY, body) => {
            serde_json::from_slice(&body).map_err(Unanswered::Strange)
        }
        (status, _) => Err(Unanswered::Refused(status.as_u16())),
    }
}

async fn ask(
    socket: &Path,
    request: Result<Request<Body>, axum::http::Error>,
) -> Result<(StatusCode, Vec<u8>), Unanswered> {
    let broken = |error: &dyn std::fmt::Display| Unanswered::Broken(error.to_string());
    let stream = UnixStream::connect(socket)
        .await
        .map_err(Unanswered::Closed)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let mut request = request.map_err(|error| broken(&error))?;
    let host = HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    let exchange = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), MOST).await;
        Ok((status, body.map_err(|error| broken(&error))?.to_vec()))
    };
    // The connection is driven by this future, and ends with it.
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        done = &mut exchange => return done,
        ended = &mut connection => if let Err(error) = ended {
            return Err(broken(&error));
        }
    }
    exchange.await
}
