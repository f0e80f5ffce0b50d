//! What stands before every request: its `Host`, the time it may take, and the
//! headers of its answer.
//!
//! The TCP port is open to any browser of this machine, and so to any page that
//! one shows. Such a page can't read an answer without CORS, unless its name is
//! made to lead to this machine (DNS rebinding): then the `Host` gives it away.
//! Must not: let anything through that has not passed it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Site;
use super::act::may_look;
use super::door::Entry;
use super::health;
use super::page;
use super::push;
use super::refusal::Refusal;

/// The longest time for a request.
const REQUEST: Duration = Duration::from_secs(10);

/// Scripts, styles, pictures and questions of this server alone; in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The middleware.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    // A proxy in front passes its own name on, and a secret guards that path.
    let any_host = request.uri().path().starts_with(push::PREFIX);
    let refused = if !any_host && !host_is_ours(site.entry, request.headers()) {
        Some(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the request is for another host: use a loopback address, such as 127.0.0.1, and the port of `http.listen`",
        ))
    } else if !is_for_all(request.uri()) && !may_look(&site, request.headers()) {
        let config = site.back.config();
        let file = config.http.read_token_file.as_deref();
        Some(Refusal::token(site.entry, "http.read_token_file", file))
    } else {
        None
    };
    let mut answer = match refused {
        Some(refused) => refused.into_response(),
        None => match tokio::time::timeout(REQUEST, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the answer took too long: ask for less, or later",
            )
            .into_response(),
        },
    };
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let own = header::HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(own, HeaderValue::from_static("same-origin"));
    answer
}

/// Whether no token is wanted: the page's own files are the same everywhere, a
/// push has a secret of its own, and `/healthz` says that the process works; asked
/// deeply it names folders.
fn is_for_all(uri: &Uri) -> bool {
    let path = uri.path();
    (path == "/healthz" && !health::is_deep(uri.query()))
        || path.starts_with(push::PREFIX)
        || page::is_one(path)
}

/// Whether a request is meant for this server, by what it calls it.
fn host_is_ours(entry: Entry, headers: &HeaderMap) -> bool {
    let Entry::Tcp(address) = entry else {
        // No browser can open a socket; a proxy passes its own name on.
        return true;
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
        (Some(Ok(host)), None) => names_loopback(host, address),
        _ => false,
    }
}

fn names_loopback(host: &str, address: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The last colon of `[::1]` is no port's.
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, Some(80)),
    };
    let ip = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_loopback && port == Some(address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_loopback_with_our_port_is_us() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        for host in [
            "127.0.0.1:8398",
            "localhost:8398",
            "LOCALHOST:8398",
            "[::1]:8398",
            "127.0.0.2:8398",
        ] {
            assert!(names_loopback(host, at(8398)), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:8399",
            "localhost:",
            "localhost:x",
            "localhost.:8398",
            "evil.example:8398",
            "localhost.evil.example:8398",
            "127.0.0.1.evil.example:8398",
            "evil.example@127.0.0.1:8398",
            "10.0.0.1:8398",
            "0.0.0.0:8398",
            "[::1]",
            "[::]:8398",
            "::1:8398x",
        ] {
            assert!(!names_loopback(host, at(8398)), "{host}");
        }
        assert!(names_loopback("localhost", at(80)) && names_loopback("[::1]", at(80)));
    }

    #[test]
    fn a_host_must_be_given_once() {
        let tcp = Entry::Tcp(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut headers = HeaderMap::new();
        assert!(!host_is_ours(tcp, &headers));
        assert!(host_is_ours(Entry::Socket, &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost:1"));
        assert!(host_is_ours(tcp, &headers));
        headers.append(header::HOST, HeaderValue::from_static("localhost:1"));
        assert!(!host_is_ours(tcp, &headers));
    }
}
