//! Why no answer came, in words, and whether anything was sent at all.
//!
//! Must not: show an address or the key. The library's errors hold the URL and
//! are taken apart here; no text of theirs is passed on but the innermost.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::text;
use super::valve::Limits;
use crate::domain::system_limits;

/// Longest text of a library that is passed on, in characters.
const MAX_DETAIL: usize = 200;

/// Whether there was no connection, so that nothing can have been sent.
pub(super) fn unsent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// What went wrong.
pub(super) fn words(error: &reqwest::Error, limits: Limits, proxy: Option<&str>) -> String {
    let words = plain_words(error, limits);
    let Some(proxy) = proxy.filter(|_| error.is_connect()) else {
        return words;
    };
    if of_tls(error) {
        return format!("{words} (through the proxy {proxy})");
    }
    // There is no other connection than that to the proxy.
    if says(error, "tunnel error: unsuccessful") {
        return format!("the proxy {proxy} did not connect to the service");
    }
    format!("the proxy {proxy} can't be used: {words}")
}

/// Whether the proxy asks for a log-in before it connects to the service.
pub(super) fn proxy_wants_login(error: &reqwest::Error) -> bool {
    error.is_connect() && says(error, "proxy authorization required")
}

/// Whether the service closed the connection, or reset it.
pub(super) fn closed(error: &reqwest::Error) -> bool {
    let closed = |io: &io::Error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let kinds = [
            ConnectionReset,
            ConnectionAborted,
            BrokenPipe,
            UnexpectedEof,
        ];
        kinds.contains(&io.kind())
    };
    causes(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(closed)
            || cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_incomplete_message)
    })
}

fn of_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| tls_error(cause).is_some())
}

/// Whether a cause says this; the types of some are private to their library.
fn says(error: &reqwest::Error, words: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(words))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| {
        (**cause).source()
    })
}

fn plain_words(error: &reqwest::Error, limits: Limits) -> String {
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
            && let Some(words) = limit_words(io).or_else(|| io_words(io.kind()))
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

fn limit_words(error: &io::Error) -> Option<&'static str> {
    system_limits::said(error.raw_os_error()?)
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
                 know (`ca_file` names more)"
            }
            CertificateError::Revoked => "its certificate has been revoked",
            CertificateError::BadEncoding => "its certificate can't be read",
            CertificateError::BadSignature => {
                "its certificate is not signed by the authority of that name that this machine \
                 knows (an old `ca_file`?)"
            }
            CertificateError::UnhandledCriticalExtension => {
                "its certificate asks for a check that this program can't do"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not meant for a server"
            }
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's own, and not a server's"
            }
            other if other.to_string().contains("UnsupportedSignature") => {
                "its certificate is signed in a way that is too old or not known"
            }
            other => return tls_other(&format!("its certificate is not accepted: {other}")),
        },
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS",
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                "it has no way of encrypting in common with this program"
            }
            AlertDescription::ProtocolVersion => "it speaks neither TLS 1.2 nor TLS 1.3",
            AlertDescription::UnrecognisedName => "it does not know this host name",
            AlertDescription::CertificateRequired => {
                "it asks for a certificate of this machine, which this program has none of"
            }
            AlertDescription::AccessDenied => "it refuses this machine",
            AlertDescription::InternalError => "it failed in itself",
            alert => return tls_other(&format!("it refused the connection ({alert:?})")),
        },
        rustls::Error::PeerIncompatible(fault) => match fault {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                "it speaks neither TLS 1.2 nor TLS 1.3"
            }
            _ => "it has no way of encrypting in common with this program",
        },
        rustls::Error::PeerMisbehaved(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "what answers there does not keep to TLS"
        }
        rustls::Error::NoCertificatesPresented => "it shows no certificate",
        rustls::Error::DecryptError => "what it sent was changed on the way",
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
