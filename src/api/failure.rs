//! Why no answer came, in words, and whether anything was sent at all.
//!
//! Must not: show an address or the key. The library's errors hold the URL and
//! are taken apart here; no text of theirs is passed on but the innermost.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::text;
use super::valve::Limits;

/// Longest text of a library that is passed on, in characters.
const MAX_DETAIL: usize = 200;

/// Whether there was no connection, so that nothing can have been sent.
pub(super) fn unsent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// What went wrong.
pub(super) fn words(error: &reqwest::Error, limits: Limits) -> String {
    if error.is_connect() && error.is_timeout() {
        return format!("no connection within {}", seconds(limits.connect));
    }
    let mut innermost = None;
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(tls) = tls_error(cause) {
            return tls_words(tls);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && let Some(words) = io_words(io.kind())
            && !error.is_dns()
        {
            return words.to_owned();
        }
        innermost = Some(cause);
        next = cause.source();
    }
    let innermost = innermost.map_or_else(|| "no reason given".to_owned(), ToString::to_string);
    let innermost = text::visible(&innermost, MAX_DETAIL);
    if error.is_dns() {
        format!("the host's name could not be resolved ({innermost})")
    } else if error.is_connect() {
        format!("no connection ({innermost})")
    } else {
        innermost
    }
}

/// A time limit as people read it.
pub(super) fn seconds(limit: Duration) -> String {
    if limit.subsec_millis() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{:.1} s", limit.as_secs_f64())
    }
}

/// TLS errors travel as themselves, or inside I/O errors, which don't name what
/// they hold as their source, and sometimes inside each other.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    tls_error(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

fn tls_words(error: &rustls::Error) -> String {
    let what = match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired (or this machine's clock is wrong)"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet (or this machine's clock is wrong)"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is not valid for this host name"
            }
            CertificateError::UnknownIssuer => {
                "its certificate is self-signed, or from an authority that this machine does not \
                 know"
            }
            CertificateError::Revoked => "its certificate has been revoked",
            other => return tls_other(&format!("its certificate is not accepted: {other}")),
        },
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS",
        rustls::Error::AlertReceived(alert) => {
            return tls_other(&format!("it refused the connection ({alert:?})"));
        }
        other => return tls_other(&other.to_string()),
    };
    tls_other(what)
}

fn tls_other(what: &str) -> String {
    text::visible(&format!("no TLS connection: {what}"), MAX_DETAIL)
}

fn io_words(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there",
        io::ErrorKind::ConnectionReset => "the service reset the connection",
        io::ErrorKind::ConnectionAborted => "the connection was aborted",
        io::ErrorKind::BrokenPipe => "the service closed the connection while it was written to",
        io::ErrorKind::UnexpectedEof => "the service closed the connection without an answer",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        io::ErrorKind::HostUnreachable => "the host is unreachable",
        io::ErrorKind::NetworkDown => "the network is down",
        io::ErrorKind::TimedOut => "the network gave up on the connection",
        _ => return None,
    })
}
