//! [`HttpApi`]: the service over HTTP. One call is one request.
//!
//! What it does not do, on purpose: retry, follow a redirect, keep cookies,
//! ask for or unpack compressed answers, send `Referer`. The error table is the
//! only place that decides about a second request.
//!
//! Choices:
//! - **HTTP/1.1 only.** An upload has its connection for itself: "the last
//!   byte was handed over" then means that one connection's, and one stalled
//!   upload holds up no other.
//! - **The key** goes to the base URL's scheme, host and port and nowhere else:
//!   each address is checked here again, whoever made it.
//! - **Proxies** of the settings, or of the environment (`HTTPS_PROXY`,
//!   `NO_PROXY`), are used for `https`, where they see a tunnel. For `http` those
//!   of the environment are not: they would see the key.
//! - **Plain `http`** is for loopback; elsewhere only where it was allowed.
//! - **The wait for the answer** begins when the last byte is handed over. Up
//!   to a few MiB of it may then still lie in the system's buffers, so
//!   `answer_timeout` must cover their way over a slow line too.
//! - **An early refusal** (413, 401) whose sender closes at once may be lost:
//!   the reset can overtake it, as far as this library lets one see. Then it
//!   is `Broken` with the last byte not sent, and the next try has a new chance.
//!   Measured with 32 MiB on loopback, the worst case: 18 of 20 are seen, 15
//!   without what `valve` does about it. Over a network the client mostly waits
//!   for room to write, and reads first when it wakes. A service that goes on
//!   reading until the client closes is always understood.
//! - **A service that hangs up just as a connection is reused**: a small body
//!   goes out in one piece, so its last byte is handed over by then, and the
//!   outcome says so (`unconfirmed` for the error table). `idle_timeout` well
//!   below the service's own keeps that rare, and `reuse` says who takes the
//!   risk; zero rules it out, for the price of a handshake for each request.
//!
//! Must not: judge an answer, or read files.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Body, Client, Method, Request, Url};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::answer::{self, Asked, same_origin};
use super::exchange::{Failed, exchange};
use super::multipart;
use super::raw::Raw;
use super::reuse::{End, Reuse};
use super::valve::{Limits, Source, Valve};
use super::wire;
use crate::domain::answer::Outcome;
use crate::domain::ids::TaskId;
use crate::ports::{
    AccessKey, BoxFuture, Connection, Import, ImportApi, Progress, Target, UploadBody, World,
};

/// How the service is spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What every path is put behind: `http` or `https`, with no login, query
    /// or fragment.
    pub base_url: Url,
    /// Path of the task query, with a slash in front.
    pub query_path: String,
    /// Path of the task deletion, with a slash in front.
    pub delete_path: String,
    /// Whether `http` may be spoken to a host that is not this machine.
    pub allow_plain_http: bool,
    /// More certificate authorities, in PEM, beside the system's.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// How the service is reached.
    pub proxy: Proxying,
    /// Longest wait for a connection: name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest time in which the connection takes nothing while there is
    /// something to take. A wait for the content itself does not count.
    pub stall_timeout: Duration,
    /// Longest wait for the answer after the last byte, and again for the
    /// answer's body to end.
    pub answer_timeout: Duration,
    /// How long an unused connection is kept; zero: each request has its own.
    pub idle_timeout: Duration,
}

/// How the service is reached.
#[derive(Clone, Default)]
pub enum Proxying {
    /// As the environment says, if the base URL is `https`.
    #[default]
    Environment,
    /// Straight.
    Straight,
    /// Through this proxy; a log-in may be in it.
    Through(Url),
}

impl fmt::Debug for Proxying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proxying::Environment => f.write_str("Environment"),
            Proxying::Straight => f.write_str("Straight"),
            Proxying::Through(url) => write!(f, "Through({})", without_login(url.clone())),
        }
    }
}

/// Why the client can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Neither `http` nor `https`.
    #[error("the base URL's scheme is `{0}`: it must be https (or http on this machine)")]
    Scheme(String),
    /// A login, query or fragment in the base URL.
    #[error("the base URL must have no user name, password, `?` or `#`: leave it at the path")]
    Extras,
    /// `http` to another machine.
    #[error(
        "the base URL is plain http and `{0}` is not this machine: the Access-Key would be \
         readable on the way. Use https, or allow it by name"
    )]
    PlainHttp(String),
    /// The additional authorities can't be read.
    #[error("the additional certificate authorities are not readable PEM: {0}")]
    Authorities(String),
    /// The proxy's address can't be used.
    #[error("the proxy {0} can't be used: {1}")]
    Proxy(String, String),
    /// The TLS set-up failed.
    #[error(
        "HTTPS can't be set up: {0}. If it says that no certificates were found, install the \
         system's certificate authorities (package `ca-certificates`)"
    )]
    Client(String),
}

/// The service over HTTP. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct HttpApi {
    /// Uses connections again.
    client: Client,
    /// Makes a connection for each request; made when it is needed first.
    apart: Arc<OnceLock<Client>>,
    reuse: Arc<Mutex<Reuse>>,
    /// The proxy on the way, without its log-in.
    proxy: Option<Arc<str>>,
    settings: Arc<Settings>,
    /// Where tasks are asked about: read once, since that is done all the time.
    query: Result<Url, String>,
    world: World,
}

impl fmt::Debug for HttpApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpApi")
            .field("base_url", &self.settings.base_url.as_str())
            .finish_non_exhaustive()
    }
}

impl HttpApi {
    /// Sets the client up; nothing is sent. The world's clock dates answers, for
    /// a `Retry-After` that is a date.
    ///
    /// # Errors
    /// If the base URL is not one to send a key to, or TLS can't be set up.
    pub fn new(settings: Settings, world: World) -> Result<HttpApi, SetupError> {
        let base = &settings.base_url;
        let plain = match base.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(SetupError::Scheme(other.to_owned())),
        };
        let login = !base.username().is_empty() || base.password().is_some();
        if login || base.query().is_some() || base.fragment().is_some() {
            return Err(SetupError::Extras);
        }
        if plain && !settings.allow_plain_http && !is_loopback(base) {
            let host = base.host_str().unwrap_or_default().to_owned();
            return Err(SetupError::PlainHttp(host));
        }
        let client = build(&settings, plain, settings.idle_timeout)?;
        let mut api = HttpApi {
            client,
            apart: Arc::default(),
            reuse: Arc::default(),
            proxy: proxy_of(&settings, plain).map(Arc::from),
            query: Err(String::new()),
            settings: Arc::new(settings),
            world,
        };
        api.query = api.behind_base(&api.settings.query_path);
        Ok(api)
    }

    /// Sends one request and reads its answer.
    async fn send(&self, key: &AccessKey, url: Result<Url, String>, what: Payload) -> Outcome {
        self.send_about(key, url, what, None, Connection::Any).await
    }

    /// The same; the answer is to be about this task.
    async fn send_about(
        &self,
        key: &AccessKey,
        url: Result<Url, String>,
        what: Payload,
        task: Option<&TaskId>,
        connection: Connection,
    ) -> Outcome {
        let prepared = url.and_then(|url| Ok((url, self.headers(key)?)));
        let (url, mut headers) = match prepared {
            Ok(prepared) => prepared,
            Err(detail) => return Outcome::NoConnection { detail },
        };
        let (method, valve, body) = match what {
            Payload::Nothing => (Method::GET, None, None),
            Payload::Content(kind, source) => {
                headers.insert(CONTENT_TYPE, kind);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(source.total()));
                let (valve, outlet) = Valve::new(source);
                (Method::POST, Some(valve), Some(Body::wrap_stream(outlet)))
            }
        };
        let mut request = Request::new(method, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = body;
        let shared = self.takes_shared(connection);
        let client = match shared {
            Some(_) => &self.client,
            None => self.apart(),
        };
        let proxy = self.proxy.as_deref();
        let answered = exchange(client, request, valve, self.limits(), proxy).await;
        if let Some(shared) = shared {
            shared.end(ending(connection, &answered));
        }
        match answered {
            Err(failed) => failed.outcome,
            Ok(raw) => Outcome::Answer(answer::read(
                &raw,
                &Asked {
                    url: &url,
                    base: &self.settings.base_url,
                    now: self.world.clock.now(),
                    key: key.expose(),
                    task,
                    proxy,
                },
            )),
        }
    }

    /// Whether a request takes a connection that may have been used before.
    fn takes_shared(&self, connection: Connection) -> Option<Shared> {
        let mut reuse = lock(&self.reuse);
        let shared = match connection {
            Connection::Any => true,
            Connection::IfKept => reuse.allows(Instant::now()),
            Connection::Own => false,
        };
        shared.then(|| {
            reuse.begin();
            Shared(Some(Arc::clone(&self.reuse)))
        })
    }

    /// The client of connections that are used once. Made like the other, which
    /// could be made; should it fail all the same, that one is used.
    fn apart(&self) -> &Client {
        self.apart.get_or_init(|| {
            let plain = self.settings.base_url.scheme() == "http";
            build(&self.settings, plain, Duration::ZERO).unwrap_or_else(|_| self.client.clone())
        })
    }

    fn limits(&self) -> Limits {
        Limits {
            connect: self.settings.connect_timeout,
            stall: self.settings.stall_timeout,
            answer: self.settings.answer_timeout,
        }
    }

    fn headers(&self, key: &AccessKey) -> Result<HeaderMap, String> {
        let mut value = HeaderValue::from_str(key.expose()).map_err(
            |_| "the Access-Key holds characters that can't go into a header: nothing was sent",
        )?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(wire::ACCESS_KEY.as_bytes())
            .expect("the documented header name is a valid one");
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(headers)
    }

    fn behind_base(&self, path: &str) -> Result<Url, String> {
        let base = self.settings.base_url.as_str().trim_end_matches('/');
        self.checked(&format!("{base}{path}"))
    }

    /// The last look at an address before the key goes there.
    fn checked(&self, address: &str) -> Result<Url, String> {
        let url = Url::parse(address)
            .map_err(|_| "the address can't be read: nothing was sent".to_owned())?;
        let login = !url.username().is_empty() || url.password().is_some();
        if login || !same_origin(&url, &self.settings.base_url) {
            return Err(
                "the address is not on the base URL's host: nothing was sent, the Access-Key \
                 goes nowhere else"
                    .to_owned(),
            );
        }
        Ok(url)
    }

    fn target(&self, to: Target<'_>) -> Result<Url, String> {
        match to {
            Target::Path(path) => self.behind_base(path),
            Target::Address(address) => self.checked(address),
        }
    }
}

impl ImportApi for HttpApi {
    fn upload<'a>(
        &'a self,
        key: &'a AccessKey,
        to: Target<'a>,
        what: Import,
    ) -> BoxFuture<'a, Outcome> {
        // Zero: each request has a connection of its own anyway.
        let connection = match what.connection() {
            _ if self.settings.idle_timeout.is_zero() => Connection::Any,
            connection => connection,
        };
        let payload = match what {
            Import::File {
                name,
                options,
                body,
                ..
            } => file(&name, &options, body),
            Import::Web {
                url,
                options,
                progress,
                ..
            } => json(&wire::WebImport { url, options }, progress),
        };
        Box::pin(self.send_about(key, self.target(to), payload, None, connection))
    }

    fn query<'a>(
        &'a self,
        key: &'a AccessKey,
        task: &'a TaskId,
        to: Option<&'a str>,
    ) -> BoxFuture<'a, Outcome> {
        let url = match to {
            Some(address) => self.checked(address),
            None => self.query.clone(),
        };
        let ask = wire::TaskQuery {
            task_id: task.as_str().to_owned(),
        };
        let payload = json(&ask, Arc::default());
        Box::pin(self.send_about(key, url, payload, Some(task), Connection::Any))
    }

    fn delete<'a>(&'a self, key: &'a AccessKey, task: &'a TaskId) -> BoxFuture<'a, Outcome> {
        let url = self.behind_base(&self.settings.delete_path);
        let ask = wire::TaskQuery {
            task_id: task.as_str().to_owned(),
        };
        Box::pin(self.send(key, url, json(&ask, Arc::default())))
    }

    fn set_webhook<'a>(
        &'a self,
        key: &'a AccessKey,
        path: &'a str,
        url: &'a str,
    ) -> BoxFuture<'a, Outcome> {
        let tell = wire::WebhookUrl {
            url: url.to_owned(),
        };
        Box::pin(self.send(key, self.behind_base(path), json(&tell, Arc::default())))
    }

    fn see_other<'a>(&'a self, key: &'a AccessKey, at: &'a str) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(key, self.checked(at), Payload::Nothing))
    }
}

/// What a request carries.
enum Payload {
    /// Nothing: a GET.
    Nothing,
    /// A body of this type: a POST.
    Content(HeaderValue, Source),
}

fn file(name: &str, options: &Map<String, Value>, body: UploadBody) -> Payload {
    let frame = multipart::frame(name, options);
    let kind = HeaderValue::from_str(&frame.content_type)
        .expect("a boundary of hex digits fits into a header");
    Payload::Content(
        kind,
        Source {
            head: frame.head,
            content: body.chunks,
            len: body.len,
            tail: frame.tail,
            progress: body.progress,
        },
    )
}

fn json(what: &impl serde::Serialize, progress: Arc<Progress>) -> Payload {
    let bytes = serde_json::to_vec(what).expect("text keys and plain values always serialize");
    Payload::Content(
        HeaderValue::from_static("application/json"),
        Source::chunk(Bytes::from(bytes), progress),
    )
}

/// A request on a connection that may be used again; over when dropped.
struct Shared(Option<Arc<Mutex<Reuse>>>);

impl Shared {
    fn end(mut self, end: End) {
        if let Some(reuse) = self.0.take() {
            lock(&reuse).end(end, Instant::now());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(reuse) = self.0.take() {
            lock(&reuse).end(End::Other, Instant::now());
        }
    }
}

fn lock(reuse: &Mutex<Reuse>) -> MutexGuard<'_, Reuse> {
    // A panic while it is held leaves counts that are good enough.
    reuse.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ending(connection: Connection, answered: &Result<Raw, Failed>) -> End {
    match answered {
        Ok(raw) => End::Answered(raw.local),
        Err(Failed {
            outcome:
                Outcome::Broken {
                    last_byte_sent: true,
                    ..
                },
            closed: true,
        }) if connection == Connection::IfKept => End::Closed,
        Err(_) => End::Other,
    }
}

/// The proxy on the way to the base URL, without its log-in.
fn proxy_of(settings: &Settings, plain: bool) -> Option<String> {
    match &settings.proxy {
        Proxying::Straight => None,
        Proxying::Through(url) => Some(without_login(url.clone())),
        Proxying::Environment if plain => None,
        Proxying::Environment => {
            let to = settings.base_url.as_str().parse().ok()?;
            let proxy = Matcher::from_system().intercept(&to)?;
            let url = Url::parse(&proxy.uri().to_string()).ok()?;
            Some(without_login(url))
        }
    }
}

fn without_login(mut url: Url) -> String {
    // Refused only by addresses without a host, which have no log-in.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn build(settings: &Settings, plain: bool, idle_timeout: Duration) -> Result<Client, SetupError> {
    let pooled = if idle_timeout.is_zero() {
        0
    } else {
        usize::MAX
    };
    crate::tls::choose();
    let mut builder = Client::builder()
        .user_agent(concat!("supametas-sync/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(pooled);
    #[cfg(target_os = "linux")]
    {
        // The kernel's own limit on unacknowledged bytes. It comes after ours,
        // whose words say more.
        builder = builder.tcp_user_timeout(settings.stall_timeout + Duration::from_secs(10));
    }
    match &settings.proxy {
        Proxying::Environment if !plain => {}
        Proxying::Environment | Proxying::Straight => builder = builder.no_proxy(),
        Proxying::Through(url) => {
            let named = without_login(url.clone());
            let proxy = reqwest::Proxy::all(url.clone())
                .map_err(|error| SetupError::Proxy(named, innermost(&error)))?;
            builder = builder.proxy(proxy);
        }
    }
    if let Some(pem) = &settings.extra_ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|error| SetupError::Authorities(innermost(&error)))?;
        if certificates.is_empty() {
            return Err(SetupError::Authorities("it holds no certificate".into()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder
        .build()
        .map_err(|error| SetupError::Client(innermost(&error)))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    at.to_string()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
