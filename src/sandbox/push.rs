//! Pushing results, as the service does once a webhook is set and the push was
//! started in its console: here it is started at once.
//!
//! What a push holds is documented nowhere; this one is made up. Must not: send
//! anything to another machine, or wait for who is slow.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::app::App;

/// The longest time for a push.
const PUSH: Duration = Duration::from_secs(10);

/// Where a webhook on this machine is; `None`: it is elsewhere, or https.
pub(super) fn here(url: &Url) -> Option<SocketAddr> {
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::from(ip),
        Host::Ipv6(ip) => IpAddr::from(ip),
        Host::Domain(_) => return None,
    };
    let port = url.port_or_known_default()?;
    (url.scheme() == "http" && ip.is_loopback()).then(|| SocketAddr::new(ip, port))
}

/// Pushes the result of a task when it has ended well.
pub(super) fn later(app: &Arc<App>, key: Arc<str>, url: Url, task: String, pending_for: Duration) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        tokio::time::sleep(pending_for).await;
        let found = app.tasks().look(&task, &key, tokio::time::Instant::now());
        let found = found.ok().flatten();
        let Some((name, state)) = found.filter(|(_, state)| state == "SUCCESS") else {
            return;
        };
        let told = json!({
            "taskId": task,
            "taskName": name,
            "state": state,
            "data": [{ "title": name }],
        });
        // Nobody is told of one that fails: the service says nothing of it.
        let _ = tokio::time::timeout(PUSH, send(&url, told.to_string())).await;
    });
}

async fn send(url: &Url, body: String) -> Option<()> {
    let at = here(url)?;
    let stream = TcpStream::connect(at).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::post(url.path())
        // As a proxy in front of the receiver passes it on.
        .header(header::HOST, "sync.example.com")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .ok()?;
    tokio::select! {
        answer = sender.send_request(request) => drop(answer),
        _ = connection => {}
    }
    Some(())
}
