//! Peers for the client's tests: raw sockets that do as they are told.
#![allow(clippy::unwrap_used, dead_code)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use supametas_sync::api::client::{HttpApi, Proxying, Settings};
use supametas_sync::domain::answer::Outcome;
use supametas_sync::ports::{Connection, Import, Progress, UploadBody, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The key of every test: looked for in everything that comes back.
pub const KEY: &str = "k3y-that-must-not-show";

/// A success, as the service documents it.
const TAKEN: &str = r#"{"code":"0","message":null,"data":{"num":0,"taskId":"t-1"}}"#;

/// A request as it arrived whole: head with its empty line, and body.
pub type Request = (String, Vec<u8>);

/// A listener on loopback.
pub struct Peer {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Serves each connection with `serve`, which is told its number.
    pub async fn spawn<F, S>(serve: F) -> Peer
    where
        F: Fn(TcpStream, usize) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Peer::with(Arc::default(), serve).await
    }

    async fn with<F, S>(requests: Arc<Mutex<Vec<Request>>>, serve: F) -> Peer
    where
        F: Fn(TcpStream, usize) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicUsize::new(0));
        let (count, over) = (Arc::clone(&connections), Arc::clone(&ended));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = serve(socket, count.fetch_add(1, Ordering::SeqCst));
                let over = Arc::clone(&over);
                tokio::spawn(async move {
                    serving.await;
                    over.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Peer {
            address,
            requests,
            connections,
            ended,
            task,
        }
    }

    /// Reads whole requests, keeps them, and answers each with the same bytes.
    pub async fn answering(text: impl Into<Vec<u8>>) -> Peer {
        let text: Arc<Vec<u8>> = Arc::new(text.into());
        let requests = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&requests);
        Peer::with(requests, move |mut socket, _| {
            let (text, kept) = (Arc::clone(&text), Arc::clone(&kept));
            async move {
                while let Some(request) = read_request(&mut socket).await {
                    kept.lock().unwrap().push(request);
                    if socket.write_all(&text).await.is_err() {
                        break;
                    }
                }
            }
        })
        .await
    }

    /// The base URL that leads here.
    pub fn base(&self) -> String {
        format!("http://{}/open/v1", self.address)
    }

    /// Requests that arrived whole.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Connections that were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that are over.
    pub fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

/// One request, by its `Content-Length`; `None` if it ends before.
pub async fn read_request(socket: &mut TcpStream) -> Option<Request> {
    let mut all = Vec::new();
    let end = loop {
        if let Some(at) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut all).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = all.split_off(end);
    let head = String::from_utf8(all).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    while body.len() < length {
        if socket.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    assert_eq!(body.len(), length, "more than one request at once");
    Some((head, body))
}

/// Closes with a reset.
pub fn reset(socket: TcpStream) {
    socket.set_zero_linger().unwrap();
}

/// An answer with a JSON body.
pub fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Settings with waits that fit a busy machine.
pub fn settings(base: &str) -> Settings {
    Settings {
        base_url: base.parse().unwrap(),
        query_path: "/query-task".to_owned(),
        delete_path: "/delete-task".to_owned(),
        allow_plain_http: false,
        extra_ca_pem: None,
        proxy: Proxying::Environment,
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(10),
    }
}

/// A client of this peer.
pub fn api(peer: &Peer) -> HttpApi {
    api_with(peer, |_| {})
}

/// A client of this peer, with other settings.
pub fn api_with(peer: &Peer, change: impl FnOnce(&mut Settings)) -> HttpApi {
    let mut settings = settings(&peer.base());
    change(&mut settings);
    HttpApi::new(settings, World::real()).unwrap()
}

/// The options of every test's import.
pub fn options() -> Map<String, Value> {
    let mut options = Map::new();
    options.insert("getDemandFormat".into(), "1".into());
    options.insert("title".into(), 1.into());
    options
}

/// The import of a file.
pub fn import(name: &str, body: UploadBody) -> Import {
    Import::File {
        name: name.to_owned(),
        options: options(),
        body,
        connection: Connection::Any,
    }
}

/// A file in chunks of this size.
pub fn body(content: &[u8], chunk: usize) -> UploadBody {
    let content = Bytes::copy_from_slice(content);
    let progress = Arc::new(Progress::default());
    let at = Arc::clone(&progress);
    let len = content.len();
    let chunks = stream::iter((0..len).step_by(chunk)).map(move |from| {
        let to = (from + chunk).min(len);
        at.hand_over((to - from) as u64, to == len);
        Ok(content.slice(from..to))
    });
    UploadBody {
        len: len as u64,
        chunks: Box::pin(chunks),
        progress,
    }
}

/// A file of two chunks; the second waits for `go`, and never comes without.
pub fn held(content: &[u8], go: Option<oneshot::Receiver<()>>) -> (UploadBody, Arc<Progress>) {
    let mut first = Bytes::copy_from_slice(content);
    let second = first.split_off(content.len() / 2);
    let progress = Arc::new(Progress::default());
    let (a, b) = (Arc::clone(&progress), Arc::clone(&progress));
    let chunks = stream::once(async move {
        a.hand_over(first.len() as u64, false);
        Ok(first)
    })
    .chain(stream::once(async move {
        if let Some(go) = go {
            go.await.map_err(std::io::Error::other)?;
        }
        b.hand_over(second.len() as u64, true);
        Ok(second)
    }));
    let body = UploadBody {
        len: content.len() as u64,
        chunks: Box::pin(chunks),
        progress: Arc::clone(&progress),
    };
    (body, progress)
}

/// The outcome, after a look for the key in it.
pub fn shown(outcome: Outcome) -> Outcome {
    let text = format!("{outcome:?}");
    assert!(!text.contains(KEY), "the key shows: {text}");
    assert!(!text.contains("k3y-"), "half the key shows: {text}");
    outcome
}

/// Waits for a condition, for five seconds at most.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A TLS server for this name; its certificate is from its own authority, whose
/// PEM comes with it.
pub async fn tls_peer(name: &str, years: std::ops::Range<i32>) -> (Peer, Vec<u8>) {
    tls(name, years, false).await
}

/// One for localhost that keeps its connections.
pub async fn kept_tls_peer() -> (Peer, Vec<u8>) {
    tls("localhost", 2000..2900, true).await
}

async fn tls(name: &str, years: std::ops::Range<i32>, keeps: bool) -> (Peer, Vec<u8>) {
    use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};

    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let mut own = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    own.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    own.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    supametas_sync::tls::choose();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let peer = Peer::spawn(move |socket, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else {
                return;
            };
            loop {
                let mut all = Vec::new();
                while !all.ends_with(b"--\r\n") {
                    if socket.read_buf(&mut all).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let status = if all.starts_with(b"POST /open/v1/file-task HTTP/1.1") {
                    200
                } else {
                    404
                };
                socket
                    .write_all(json(status, TAKEN).as_bytes())
                    .await
                    .unwrap();
                socket.flush().await.unwrap();
                if !keeps {
                    return;
                }
            }
        }
    })
    .await;
    (peer, root.pem().into_bytes())
}
