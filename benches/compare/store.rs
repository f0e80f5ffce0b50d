//! A sink for the others' tools: the parts of S3 and WebDAV that rclone and the
//! AWS command line speak, on loopback. Bodies are counted and thrown away.
//!
//! It is as quick as the sandbox's sink: an ETag is the MD5 that the client sent
//! along (`Content-MD5`), so nothing is hashed here. Nothing is authenticated,
//! and lists are never cut. S3 is at `/BUCKET/KEY`, WebDAV below `/dav`.
//!
//! Must not: listen on anything but loopback, or keep contents.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An object that has come whole.
#[derive(Debug, Clone)]
struct Object {
    size: u64,
    etag: String,
    /// `x-amz-meta-…`, given back as they came.
    meta: Vec<(HeaderName, HeaderValue)>,
    at: Instant,
    date: SystemTime,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<String, Object>,
    /// Uploads in parts: what has come of each so far, and its headers.
    parts: BTreeMap<String, (u64, Vec<(HeaderName, HeaderValue)>)>,
}

#[derive(Debug, Default)]
struct Shared {
    shelf: Mutex<Shelf>,
    complete: AtomicU64,
    next: AtomicU64,
    delay: Duration,
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running sink. Dropping it ends it.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

impl Store {
    /// Listens on a free port; every answer comes so much later.
    pub async fn start(delay: Duration) -> std::io::Result<Store> {
        let shared = Arc::new(Shared {
            delay,
            ..Shared::default()
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let router = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        // As the sandbox does.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Store {
            shared,
            addr,
            server,
        })
    }

    /// For S3 clients, path style.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// For WebDAV clients.
    pub fn dav(&self) -> String {
        format!("http://{}/dav", self.addr)
    }

    /// How many objects have come whole.
    pub fn complete(&self) -> u64 {
        self.shared.complete.load(Ordering::Acquire)
    }

    /// When the object of this name had come.
    pub fn came(&self, name: &str) -> Option<Instant> {
        let shelf = self.shared.shelf();
        let ends = |key: &&String| key.rsplit('/').next() == Some(name);
        let key = shelf.objects.keys().find(ends)?;
        Some(shelf.objects[key].at)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut size = 0;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => size += chunk.len() as u64,
            Err(_) => return plain(StatusCode::BAD_REQUEST),
        }
    }
    let answer = answer(&shared, &parts.method, &parts.uri, &parts.headers, size);
    if !shared.delay.is_zero() {
        tokio::time::sleep(shared.delay).await;
    }
    answer
}

fn answer(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, size: u64) -> Response {
    let path = uri.path();
    let query = uri.query().unwrap_or_default();
    let dav = path == "/dav" || path.starts_with("/dav/");
    // `/BUCKET/KEY`: without a key it is about the bucket.
    let key = path.trim_matches('/').split_once('/').is_some();
    let asked = |name: &str| {
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .into_iter()
            .find(|(k, _)| *k == name)
            .map(|(_, v)| v.to_owned())
    };
    match method.as_str() {
        "PROPFIND" => found(shared, path, headers.get("depth").is_none_or(|d| d != "0")),
        "MKCOL" => plain(StatusCode::CREATED),
        "MOVE" | "DELETE" => plain(StatusCode::NO_CONTENT),
        "PUT" if dav => {
            put(shared, path, size, "d41d8", Vec::new());
            plain(StatusCode::CREATED)
        }
        "PUT" if !key => plain(StatusCode::OK),
        "PUT" => {
            let etag = etag(shared, headers);
            if let Some(id) = asked("uploadId") {
                if let Some((sum, _)) = shared.shelf().parts.get_mut(&id) {
                    *sum += size;
                }
            } else {
                put(shared, path, size, &etag, meta(headers));
            }
            with_etag(StatusCode::OK, &etag, Body::empty())
        }
        "POST" if asked("uploads").is_some() => {
            let id = shared.next.fetch_add(1, Ordering::Relaxed).to_string();
            shared.shelf().parts.insert(id.clone(), (0, meta(headers)));
            xml(format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        "POST" => {
            let parts = asked("uploadId").and_then(|id| shared.shelf().parts.remove(&id));
            let Some((size, meta)) = parts else {
                return plain(StatusCode::NOT_FOUND);
            };
            let etag = format!("{}-1", etag(shared, headers));
            put(shared, path, size, &etag, meta);
            xml(format!(
                "<CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
            ))
        }
        "HEAD" | "GET" if key => match shared.shelf().objects.get(path) {
            None => plain(StatusCode::NOT_FOUND),
            Some(object) => {
                let mut answer = with_etag(StatusCode::OK, &object.etag, Body::empty());
                let headers = answer.headers_mut();
                headers.insert(header::CONTENT_LENGTH, object.size.into());
                if let Ok(date) = httpdate::fmt_http_date(object.date).parse() {
                    headers.insert(header::LAST_MODIFIED, date);
                }
                headers.extend(object.meta.iter().cloned());
                answer
            }
        },
        "GET" => list(shared, path),
        "HEAD" => plain(StatusCode::OK),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn put(shared: &Shared, path: &str, size: u64, etag: &str, meta: Vec<(HeaderName, HeaderValue)>) {
    let object = Object {
        size,
        etag: etag.to_owned(),
        meta,
        at: Instant::now(),
        date: SystemTime::now(),
    };
    shared.shelf().objects.insert(path.to_owned(), object);
    shared.complete.fetch_add(1, Ordering::Release);
}

/// The MD5 that the client computed, as S3 shows it; where it sent none, a
/// number: such clients don't compare.
fn etag(shared: &Shared, headers: &HeaderMap) -> String {
    let sent = headers
        .get("content-md5")
        .and_then(|md5| STANDARD.decode(md5).ok());
    match sent {
        Some(md5) => md5.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => format!("{:032x}", shared.next.fetch_add(1, Ordering::Relaxed)),
    }
}

fn meta(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let all = headers.iter();
    all.filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// S3's list of a bucket, both versions.
fn list(shared: &Shared, path: &str) -> Response {
    let bucket = path.trim_matches('/');
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{bucket}</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>\
         <IsTruncated>false</IsTruncated>"
    );
    let within = format!("/{bucket}/");
    for (key, object) in &shared.shelf().objects {
        let Some(key) = key.strip_prefix(&within) else {
            continue;
        };
        let date = jiff::Timestamp::try_from(object.date).unwrap_or_default();
        text += &format!(
            "<Contents><Key>{key}</Key><LastModified>{date:.3}</LastModified>\
             <ETag>&quot;{}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            object.etag, object.size
        );
    }
    xml(text + "</ListBucketResult>")
}

/// WebDAV's `PROPFIND` (RFC 4918, section 9.1): of a file, or of the folder and
/// what is in it.
fn found(shared: &Shared, path: &str, deep: bool) -> Response {
    let shelf = shared.shelf();
    let mut text =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\">");
    let mut entry = |path: &str, props: String| {
        text += &format!(
            "<D:response><D:href>{path}</D:href><D:propstat><D:prop>{props}</D:prop>\
             <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        );
    };
    let file = |object: &Object| {
        format!(
            "<D:resourcetype/><D:getcontentlength>{}</D:getcontentlength>\
             <D:getlastmodified>{}</D:getlastmodified>",
            object.size,
            httpdate::fmt_http_date(object.date)
        )
    };
    if let Some(object) = shelf.objects.get(path) {
        entry(path, file(object));
    } else if path.trim_matches('/') == "dav" {
        entry(
            "/dav/",
            "<D:resourcetype><D:collection/></D:resourcetype>".into(),
        );
        let children = shelf.objects.iter().filter(|_| deep);
        for (path, object) in children.filter(|(path, _)| path.starts_with("/dav/")) {
            entry(path, file(object));
        }
    } else {
        return plain(StatusCode::NOT_FOUND);
    }
    text += "</D:multistatus>";
    let mut answer = xml(text);
    *answer.status_mut() = StatusCode::MULTI_STATUS;
    answer
}

fn plain(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

fn with_etag(status: StatusCode, etag: &str, body: Body) -> Response {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if let Ok(etag) = format!("\"{etag}\"").parse() {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

fn xml(text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("application/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;
    use reqwest::Client;

    async fn sink() -> (Store, Client) {
        supametas_sync::tls::choose();
        let store = Store::start(Duration::ZERO).await.unwrap();
        (store, Client::builder().no_proxy().build().unwrap())
    }

    #[tokio::test]
    async fn an_object_comes_back_as_s3_shows_it() {
        let (store, client) = sink().await;
        let url = format!("{}/bucket/a.txt", store.endpoint());
        assert_eq!(client.head(&url).send().await.unwrap().status(), 404);
        // The MD5 of "hello".
        let put = client
            .put(&url)
            .header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==");
        let put = put.header("x-amz-meta-mtime", "1.5").body("hello");
        let etag = put.send().await.unwrap().headers()["etag"].clone();
        assert_eq!(etag, "\"5d41402abc4b2a76b9719d911017c592\"");
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], "5");
        assert_eq!(head.headers()["x-amz-meta-mtime"], "1.5");
        assert_eq!(head.headers()["etag"], etag);
        assert_eq!(store.complete(), 1);
        assert!(store.came("a.txt").is_some() && store.came("b.txt").is_none());
        let list = client.get(format!("{}/bucket?list-type=2", store.endpoint()));
        let list = list.send().await.unwrap().text().await.unwrap();
        assert!(list.contains("<Key>a.txt</Key>") && list.contains("<Size>5</Size>"));
    }

    #[tokio::test]
    async fn an_upload_in_parts_is_complete_at_its_end() {
        let (store, client) = sink().await;
        let url = format!("{}/bucket/big", store.endpoint());
        let begun = client.post(format!("{url}?uploads=")).send().await.unwrap();
        let begun = begun.text().await.unwrap();
        let id = begun.split("<UploadId>").nth(1).unwrap();
        let id = id.split('<').next().unwrap();
        for n in 1..=3 {
            let part = client.put(format!("{url}?partNumber={n}&uploadId={id}"));
            assert_eq!(part.body("1234").send().await.unwrap().status(), 200);
        }
        assert_eq!(store.complete(), 0);
        let end = || client.post(format!("{url}?uploadId={id}")).send();
        assert_eq!(end().await.unwrap().status(), 200);
        assert_eq!(end().await.unwrap().status(), 404);
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], "12");
        assert_eq!(store.complete(), 1);
    }

    #[tokio::test]
    async fn webdav_lists_what_was_put() {
        let (store, client) = sink().await;
        let find = |url: String, depth: &'static str| {
            let method = Method::from_bytes(b"PROPFIND").unwrap();
            let request = client.request(method, url).header("depth", depth);
            async move { request.send().await.unwrap() }
        };
        let file = format!("{}/a.txt", store.dav());
        assert_eq!(find(file.clone(), "0").await.status(), 404);
        client.put(&file).body("hello").send().await.unwrap();
        let one = find(file, "0").await;
        assert_eq!(one.status(), 207);
        let one = one.text().await.unwrap();
        assert!(one.contains("<D:getcontentlength>5<"), "{one}");
        let all = find(format!("{}/", store.dav()), "1").await;
        let all = all.text().await.unwrap();
        assert_eq!(all.matches("<D:response>").count(), 2, "{all}");
    }
}
