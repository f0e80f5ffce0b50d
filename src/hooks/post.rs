//! Sending a notice by HTTP: one POST of JSON, with a client of its own that
//! knows no Access-Key and follows no redirect.
//!
//! Must not: read an answer's body, or put an address into words: its path may
//! be a secret.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Url};

use super::Failure;
use crate::ports::Secret;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The header that carries the event's id.
const EVENT_ID: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends notices. Its clients are made when they are first needed.
#[derive(Debug, Default)]
pub struct Poster {
    clients: [OnceLock<Client>; 2],
}

impl Poster {
    /// Sends `body` to `url`, `timeout` at most for all of it.
    ///
    /// # Errors
    /// There was no answer, or one that is no 2xx.
    pub async fn send(
        &self,
        url: &Url,
        secret: Option<&Secret>,
        event_id: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let client = self.client(url.scheme() == "http")?;
        let mut request = client
            .post(url.clone())
            .timeout(timeout)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if !event_id.is_empty()
            && let Ok(id) = HeaderValue::from_str(event_id)
        {
            request = request.header(EVENT_ID, id);
        }
        if let Some(secret) = secret {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose()))
                .map_err(|_| Failure::Unanswered("its secret can't go into a header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let answer = request.send().await.map_err(|error| unanswered(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(Failure::Status(status.as_u16()))
    }

    /// For `http` no proxy is asked: it would see all.
    fn client(&self, plain: bool) -> Result<&Client, Failure> {
        let made = &self.clients[usize::from(plain)];
        if let Some(client) = made.get() {
            return Ok(client);
        }
        crate::tls::choose();
        let mut builder = Client::builder()
            .user_agent(concat!("supametas-sync/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT)
            // No connection is kept: a reused one may be closed just then.
            .pool_max_idle_per_host(0);
        if plain {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| unanswered(&error))?;
        Ok(made.get_or_init(|| client))
    }
}

/// The innermost cause says it best, and none but the outermost has the address.
fn unanswered(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Unanswered("no answer in time".into());
    }
    let mut words = "the request could not be made".to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    Failure::Unanswered(crate::domain::naming::shown_text(&words, 200))
}
