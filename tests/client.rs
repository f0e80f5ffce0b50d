//! The client against peers that do everything wrong: real sockets, raw bytes.
#![allow(clippy::unwrap_used)]

mod peers;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use peers::{KEY, Peer, api, body, held, import, json, read_request, settings, shown, tls_peer};
use supametas_sync::api::client::{HttpApi, SetupError};
use supametas_sync::domain::answer::{Answer, Body, Location, Outcome, TaskState};
use supametas_sync::domain::ids::TaskId;
use supametas_sync::ports::{
    AccessKey, Connection, Import, ImportApi, Progress, Target, UploadBody, World,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const OK: &str = r#"{"code":"0","message":null,"data":{"num":0,"taskId":"t-1"}}"#;

fn key() -> AccessKey {
    AccessKey::new(KEY.to_owned())
}

/// Sends one file; a test that hangs fails.
async fn upload(api: &HttpApi, body: UploadBody) -> Outcome {
    upload_to(api, Target::Path("/file-task"), body).await
}

async fn upload_to(api: &HttpApi, to: Target<'_>, body: UploadBody) -> Outcome {
    let key = key();
    let call = api.upload(&key, to, import("a.txt", body));
    let outcome = tokio::time::timeout(Duration::from_secs(20), call).await;
    shown(outcome.expect("the call hangs"))
}

fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn broken(outcome: &Outcome) -> (bool, &str) {
    match outcome {
        Outcome::Broken {
            last_byte_sent,
            detail,
        } => (*last_byte_sent, detail),
        other => panic!("{other:?}"),
    }
}

fn unsent(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::NoConnection { detail } => detail,
        other => panic!("{other:?}"),
    }
}

fn not_envelope(outcome: Outcome) -> (u16, String) {
    let answer = answer(outcome);
    match answer.body {
        Body::NotEnvelope { what } => (answer.status, what),
        other => panic!("{other:?}"),
    }
}

// ---- What goes out ----

#[tokio::test]
async fn an_import_on_the_wire() {
    let peer = Peer::answering(json(200, OK)).await;
    let name = "报告 \"ü\" \\ 😀.pdf";
    let content = (0..200_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>();
    let what = import(name, body(&content, 7_000));
    let (api, key) = (api(&peer), key());
    let outcome = shown(api.upload(&key, Target::Path("/file-task"), what).await);
    let Body::Envelope { code, task, .. } = answer(outcome).body else {
        panic!("no envelope")
    };
    assert_eq!((code.as_str(), task), ("0", TaskId::new("t-1")));

    let seen = peer.requests();
    assert_eq!(seen.len(), 1);
    let (head, sent) = &seen[0];
    assert!(
        head.starts_with("POST /open/v1/file-task HTTP/1.1\r\n"),
        "{head}"
    );
    let header = |name: &str| {
        let lines = head.split("\r\n").skip(1);
        let found: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect();
        assert!(found.len() < 2, "{name} came {} times", found.len());
        found.into_iter().next()
    };
    assert_eq!(header("access-key").as_deref(), Some(KEY));
    assert_eq!(header("cache-control").as_deref(), Some("no-cache"));
    assert_eq!(header("content-length"), Some(sent.len().to_string()));
    for absent in [
        "transfer-encoding",
        "referer",
        "cookie",
        "accept-encoding",
        "expect",
    ] {
        assert_eq!(header(absent), None);
    }
    // Compared byte for byte: a parser would forgive.
    let kind = header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected_head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"\r\n\
         Content-Type: application/json\r\n\r\n\
         {{\"getDemandFormat\":\"1\",\"title\":1}}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
         filename=\"报告 %22ü%22 \\ 😀.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    let expected = [expected_head.as_bytes(), &content, end.as_bytes()].concat();
    assert!(
        *sent == expected,
        "{}",
        String::from_utf8_lossy(&sent[..400])
    );
}

/// One write for one small file: speed rests on it.
#[tokio::test]
async fn a_small_file_goes_out_in_one_piece() {
    let peer = Peer::spawn(|mut socket, _| async move {
        let mut piece = vec![0; 64 << 10];
        let size = socket.read(&mut piece).await.unwrap();
        let piece = &piece[..size];
        let status = if piece.ends_with(b"--\r\n") { 200 } else { 500 };
        let answer = json(status, OK);
        socket.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let api = api(&peer);
    let answer = answer(upload(&api, body(&[7; 4096], 4096)).await);
    assert_eq!(answer.status, 200, "the request came in pieces");
}

#[tokio::test]
async fn a_web_page_and_a_query_are_json_and_a_303_is_a_get() {
    let state = r#"{"code":"0","data":{"taskId":"t-1","state":"SUCCESS"}}"#;
    let peer = Peer::answering(json(200, state)).await;
    let (api, key, task) = (api(&peer), key(), TaskId::new("t-1").unwrap());
    let progress = Arc::new(Progress::default());
    let what = Import::Web {
        url: "https://example.org/a?b".to_owned(),
        options: peers::options(),
        progress: Arc::clone(&progress),
        connection: Connection::Any,
    };
    shown(api.upload(&key, Target::Path("/web-task"), what).await);
    assert!(progress.last_byte_sent());
    let outcome = shown(api.query(&key, &task, None).await);
    let Body::Envelope { task_state, .. } = answer(outcome).body else {
        panic!("no envelope")
    };
    assert_eq!(task_state, Some(TaskState::Success));
    let address = format!("{}/elsewhere?x=1", peer.base());
    shown(api.query(&key, &task, Some(&address)).await);
    shown(api.see_other(&key, &address).await);

    let seen = peer.requests();
    let lines: Vec<_> = seen
        .iter()
        .map(|(h, _)| h.lines().next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /open/v1/web-task HTTP/1.1",
            "POST /open/v1/query-task HTTP/1.1",
            "POST /open/v1/elsewhere?x=1 HTTP/1.1",
            "GET /open/v1/elsewhere?x=1 HTTP/1.1",
        ]
    );
    let web: serde_json::Value = serde_json::from_slice(&seen[0].1).unwrap();
    let expected = serde_json::json!({
        "url": "https://example.org/a?b", "getDemandFormat": "1", "title": 1
    });
    assert_eq!(web, expected);
    assert_eq!(seen[1].1, br#"{"taskId":"t-1"}"#);
    assert!(seen[3].1.is_empty());
    for (head, _) in &seen {
        assert!(head.to_ascii_lowercase().contains("access-key: "));
    }
    for (head, _) in &seen[..3] {
        assert!(
            head.contains("content-type: application/json\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn connections_are_used_again_and_not_where_that_is_turned_off() {
    for (idle, connections) in [(10, 1), (0, 5)] {
        let peer = Peer::answering(json(200, OK)).await;
        let api = peers::api_with(&peer, |s| s.idle_timeout = Duration::from_secs(idle));
        for _ in 0..5 {
            answer(upload(&api, body(b"hello", 5)).await);
        }
        assert_eq!(peer.connections(), connections, "idle {idle}");
    }
}

// ---- Where the key must not go ----

#[tokio::test]
async fn no_address_off_the_base_url_gets_a_request() {
    let peer = Peer::answering(json(200, OK)).await;
    let other = Peer::answering(json(200, OK)).await;
    let (api, key, task) = (api(&peer), key(), TaskId::new("t").unwrap());
    let port = peer.address.port();
    for address in [
        format!("{}/x", other.base()),
        format!("https://127.0.0.1:{port}/x"),
        format!("http://localhost:{port}/x"),
        format!("http://me:pw@127.0.0.1:{port}/x"),
        "file:///etc/passwd".to_owned(),
        "http://".to_owned(),
        "/relative".to_owned(),
        String::new(),
    ] {
        let sent = upload_to(&api, Target::Address(&address), body(b"x", 1)).await;
        assert!(unsent(&sent).contains("nothing was sent"), "{address}");
        unsent(&shown(api.see_other(&key, &address).await));
        unsent(&shown(api.query(&key, &task, Some(&address)).await));
    }
    // A path that turns the base URL into a login of another host.
    let base = format!("http://127.0.0.1:{port}");
    let bare = HttpApi::new(settings(&base), World::real()).unwrap();
    let at = format!("@127.0.0.1:{}/x", other.address.port());
    unsent(&upload_to(&bare, Target::Path(&at), body(b"x", 1)).await);
    assert_eq!((peer.connections(), other.connections()), (0, 0));
}

#[tokio::test]
async fn redirects_are_read_and_never_followed() {
    let other = Peer::answering(json(200, OK)).await;
    for (to, same) in [
        (format!("{}/x", other.base()), false),
        ("/open/v1/file-task".to_owned(), true),
        ("file:///etc/passwd".to_owned(), false),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let head =
                format!("HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            let peer = Peer::answering(head).await;
            let answer = answer(upload(&api(&peer), body(b"hello", 5)).await);
            assert_eq!((answer.status, answer.body), (status, Body::Empty));
            let own = format!("{}/file-task", peer.base());
            let expected = if same {
                Location::SameOrigin(own)
            } else {
                Location::Elsewhere(to.clone())
            };
            assert_eq!(answer.location, Some(expected));
            assert_eq!(peer.requests().len(), 1);
        }
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_key_that_fits_no_header_is_not_sent_nor_shown() {
    let peer = Peer::answering(json(200, OK)).await;
    let api = api(&peer);
    let key = AccessKey::new(format!("{KEY}\r\nX-Evil: 1"));
    let what = import("a", body(b"x", 1));
    let outcome = shown(api.upload(&key, Target::Path("/f"), what).await);
    assert!(unsent(&outcome).contains("Access-Key"));
    assert_eq!(peer.connections(), 0);
}

#[test]
fn base_urls_that_no_key_is_sent_to() {
    let try_with = |url: &str, allow: bool| {
        let mut settings = settings(url);
        settings.allow_plain_http = allow;
        HttpApi::new(settings, World::real()).map(|_| ())
    };
    for fine in [
        "https://api.example/v1",
        "http://localhost:1/v1",
        "http://127.8.8.8/",
        "http://[::1]:9/",
    ] {
        try_with(fine, false).unwrap();
    }
    for plain in [
        "http://api.example/v1",
        "http://10.0.0.1/",
        "http://localhost.evil/",
    ] {
        let error = try_with(plain, false).unwrap_err();
        assert!(matches!(error, SetupError::PlainHttp(_)), "{plain}");
        try_with(plain, true).unwrap();
    }
    for (url, begin) in [
        ("ftp://api.example/", "the base URL's scheme is `ftp`"),
        ("file:///x", "the base URL's scheme is `file`"),
        (
            "https://me:pw@api.example/",
            "the base URL must have no user name",
        ),
        (
            "https://api.example/?a=1",
            "the base URL must have no user name",
        ),
        (
            "https://api.example/#a",
            "the base URL must have no user name",
        ),
    ] {
        let error = try_with(url, true).unwrap_err().to_string();
        assert!(error.starts_with(begin), "{error}");
        assert!(!error.contains("pw@"), "{error}");
    }
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let mut bad = settings("https://api.example");
        bad.extra_ca_pem = Some(pem.into());
        assert!(HttpApi::new(bad, World::real()).is_err(), "{pem:?}");
    }
}

// ---- No connection ----

#[tokio::test]
async fn refused_and_unknown_hosts_are_no_connection() {
    // Bound and closed again: nothing listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}/v1", free.local_addr().unwrap());
    drop(free);
    let (file, progress) = held(b"hello", None);
    let refused = HttpApi::new(settings(&gone), World::real()).unwrap();
    let outcome = upload(&refused, file).await;
    assert_eq!(
        unsent(&outcome),
        "connection refused: nothing listens there"
    );
    assert!(!progress.last_byte_sent());
    assert_eq!(progress.bytes(), 0);

    let mut nowhere = settings("http://no-such-host.invalid/v1");
    nowhere.allow_plain_http = true;
    nowhere.connect_timeout = Duration::from_secs(15);
    let nowhere = HttpApi::new(nowhere, World::real()).unwrap();
    let outcome = upload(&nowhere, body(b"hello", 5)).await;
    let detail = unsent(&outcome);
    assert!(
        detail.starts_with("the host's name could not be resolved"),
        "{detail}"
    );
    assert!(!detail.contains("no-such-host"), "{detail}");
}

#[tokio::test]
async fn tls_against_plain_text_and_against_silence_is_no_connection() {
    let peer = Peer::spawn(|mut socket, _| async move {
        let text = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        socket.write_all(text).await.ok();
        socket.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let base = peer.base().replace("http:", "https:");
    let api = HttpApi::new(settings(&base), World::real()).unwrap();
    let outcome = upload(&api, body(b"hello", 5)).await;
    assert_eq!(
        unsent(&outcome),
        "no TLS connection: what answers there does not speak TLS"
    );

    let silent = Peer::spawn(|mut socket, _| async move {
        socket.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let base = silent.base().replace("http:", "https:");
    let mut short = settings(&base);
    short.connect_timeout = Duration::from_millis(300);
    let api = HttpApi::new(short, World::real()).unwrap();
    let outcome = upload(&api, body(b"hello", 5)).await;
    assert_eq!(unsent(&outcome), "no connection within 0.3 s");
}

#[tokio::test]
async fn certificates_are_checked_and_faults_are_named() {
    let known = true;
    for (name, years, trusted, fault) in [
        ("localhost", 2000..2900, known, None),
        (
            "other.example",
            2000..2900,
            known,
            Some("not valid for this host name"),
        ),
        ("localhost", 2000..2001, known, Some("has expired")),
        ("localhost", 2800..2900, known, Some("is not valid yet")),
        (
            "localhost",
            2000..2900,
            !known,
            Some("is self-signed, or from an authority"),
        ),
    ] {
        let (peer, root) = tls_peer(name, years).await;
        let base = format!("https://localhost:{}/open/v1", peer.address.port());
        let mut settings = settings(&base);
        settings.extra_ca_pem = trusted.then_some(root);
        let api = HttpApi::new(settings, World::real()).unwrap();
        let (file, progress) = held(b"hello", None);
        let outcome = upload(&api, file).await;
        match fault {
            None => assert_eq!(answer(outcome).status, 200),
            Some(fault) => {
                let detail = unsent(&outcome);
                assert!(
                    detail.starts_with("no TLS connection: its certificate "),
                    "{detail}"
                );
                assert!(detail.contains(fault), "{detail}");
                assert_eq!(progress.bytes(), 0);
            }
        }
    }
}

// ---- Broken off ----

#[tokio::test]
async fn a_reset_before_the_first_byte() {
    let peer = Peer::spawn(|socket, _| async move { peers::reset(socket) }).await;
    let api = api(&peer);
    for _ in 0..10 {
        // Held back: the last byte can't have been given to the socket.
        let (go, wait) = tokio::sync::oneshot::channel();
        let (file, _) = held(&[7; 100_000], Some(wait));
        let outcome = upload(&api, file).await;
        let (sent, detail) = broken(&outcome);
        assert!(!sent, "{detail}");
        drop(go);
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_the_body() {
    let peer = Peer::spawn(|mut socket, _| async move {
        socket.read_exact(&mut [0; 30_000]).await.unwrap();
        peers::reset(socket);
    })
    .await;
    let outcome = upload(&api(&peer), body(&vec![7; 64 << 20], 256 << 10)).await;
    let (sent, detail) = broken(&outcome);
    assert!(!sent, "{detail}");
}

#[tokio::test]
async fn a_reset_or_a_close_after_the_last_byte_and_in_the_middle_of_the_answer() {
    for half in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Le"] {
        for hard in [true, false] {
            let peer = Peer::spawn(move |mut socket, _| async move {
                read_request(&mut socket).await.unwrap();
                socket.write_all(half.as_bytes()).await.unwrap();
                if hard {
                    peers::reset(socket);
                }
            })
            .await;
            let outcome = upload(&api(&peer), body(b"hello", 2)).await;
            let (sent, detail) = broken(&outcome);
            assert!(sent, "{half:?} {hard} {detail}");
            assert!(!detail.contains("127.0.0.1"), "{detail}");
        }
    }
}

#[tokio::test]
async fn an_answer_whose_body_breaks_off_keeps_its_status() {
    let begun = "Content-Length: 500\r\n\r\n{\"code\":\"0\"";
    for (status, half, what) in [
        (200, begun, "broke off after 11 bytes"),
        (503, begun, "broke off after 11 bytes"),
        (
            200,
            "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"cod\r\n",
            "broke off after 5 bytes",
        ),
        (
            200,
            "Content-Length: 500\r\n\r\n",
            "broke off after 0 bytes",
        ),
        (
            200,
            "Connection: close\r\n\r\n",
            "nothing: the connection closed",
        ),
        (
            200,
            "Connection: close\r\n\r\n{\"code\":\"0\",\"da",
            "JSON that breaks off",
        ),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\n{half}");
        let peer = Peer::spawn(move |mut socket, _| {
            let text = text.clone();
            async move {
                read_request(&mut socket).await.unwrap();
                socket.write_all(text.as_bytes()).await.unwrap();
            }
        })
        .await;
        let (seen, words) = not_envelope(upload(&api(&peer), body(b"hello", 5)).await);
        assert_eq!(seen, status);
        assert!(words.contains(what), "{words}");
    }
}

#[tokio::test]
async fn silence_ends_after_the_answer_timeout() {
    let peer = Peer::spawn(|mut socket, _| async move {
        socket.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let api = peers::api_with(&peer, |s| s.answer_timeout = Duration::from_millis(300));
    let start = Instant::now();
    let outcome = upload(&api, body(b"hello", 5)).await;
    assert_eq!(
        broken(&outcome),
        (true, "no answer within 0.3 s after the last byte")
    );
    assert!(start.elapsed() >= Duration::from_millis(300));
    // A GET has no last byte: it may have arrived.
    let api = peers::api_with(&peer, |s| {
        s.answer_timeout = Duration::from_millis(200);
        s.connect_timeout = Duration::from_millis(100);
    });
    let (key, address) = (key(), format!("{}/x", peer.base()));
    let outcome = shown(api.see_other(&key, &address).await);
    assert!(broken(&outcome).0);
}

#[tokio::test]
async fn a_reader_that_stops_is_a_stall_and_the_rest_is_never_sent() {
    let (seen, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let at = Arc::clone(&seen);
    let ended = Arc::new(tokio::sync::Mutex::new(Some(ended)));
    let peer = Peer::spawn(move |mut socket, _| {
        let (at, ended) = (Arc::clone(&at), Arc::clone(&ended));
        async move {
            socket.read_exact(&mut [0; 10_000]).await.unwrap();
            let ended = ended.lock().await.take().unwrap();
            ended.await.unwrap();
            // The client gave up: what still comes is what was on its way.
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).await.ok();
            at.store(10_000 + rest.len(), Ordering::SeqCst);
        }
    })
    .await;
    let api = peers::api_with(&peer, |s| s.stall_timeout = Duration::from_millis(300));
    let total = 64 << 20;
    let count = Arc::clone(&taken);
    let mut file = body(&vec![7; total], 64 << 10);
    file.chunks = Box::pin(file.chunks.inspect(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let outcome = upload(&api, file).await;
    let at_the_end = taken.load(Ordering::SeqCst);
    let (sent, detail) = broken(&outcome);
    assert!(!sent);
    assert!(
        detail.starts_with("the service stopped taking the content"),
        "{detail}"
    );
    end.send(()).unwrap();
    peers::until("the peer saw the end", || seen.load(Ordering::SeqCst) > 0).await;
    assert!(seen.load(Ordering::SeqCst) < total);
    assert_eq!(
        taken.load(Ordering::SeqCst),
        at_the_end,
        "taken after the end"
    );
}

#[tokio::test]
async fn a_slow_content_is_no_stall() {
    let peer = Peer::answering(json(200, OK)).await;
    let api = peers::api_with(&peer, |s| {
        s.stall_timeout = Duration::from_millis(100);
        s.answer_timeout = Duration::from_millis(500);
    });
    let (go, wait) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        go.send(()).ok();
    });
    let (file, _) = held(&[7; 50_000], Some(wait));
    assert_eq!(answer(upload(&api, file).await).status, 200);
}

#[tokio::test]
async fn a_content_that_fails_is_broken_before_the_last_byte() {
    let peer = Peer::answering(json(200, OK)).await;
    for (chunks, what) in [
        (vec![Ok("abc"), Err("the file changed")], "the file changed"),
        (vec![Ok("abc")], "the content ended before its length"),
        (vec![Ok("abc"), Ok("defghijkl")], "the content is longer"),
        (vec![Ok("abcdefghi")], "did not say that it ended"),
    ] {
        let chunks: Vec<_> = chunks
            .into_iter()
            .map(|c| {
                c.map(|t| Bytes::from_static(t.as_bytes()))
                    .map_err(io::Error::other)
            })
            .collect();
        let file = UploadBody {
            len: 9,
            chunks: Box::pin(futures_util::stream::iter(chunks)),
            progress: Arc::default(),
        };
        let outcome = upload(&api(&peer), file).await;
        let (sent, detail) = broken(&outcome);
        assert!(!sent && detail.contains(what), "{detail}");
        assert!(
            detail.starts_with("the content could not be sent"),
            "{detail}"
        );
    }
    assert!(peer.requests().is_empty(), "a whole request arrived");
}

#[tokio::test]
async fn giving_up_stops_the_body_at_once() {
    let peer = Peer::answering(json(200, OK)).await;
    let api = Arc::new(api(&peer));
    let (go, wait) = tokio::sync::oneshot::channel();
    let (file, progress) = held(&[7; 50_000], Some(wait));
    let call = tokio::spawn(async move { upload(&api, file).await });
    peers::until("the body is under way", || progress.bytes() > 0).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The content went with the call: nobody waits to send its last chunk.
    assert!(go.is_closed());
    peers::until("the peer saw the end", || peer.ended() == 1).await;
    assert!(!progress.last_byte_sent());
    assert!(peer.requests().is_empty(), "a whole request arrived");
}

// ---- Answers that come early ----

/// How many of `runs` early refusals were seen as what they are. The peer
/// answers when the head is there, reads nothing more, and closes.
async fn early_refusals(runs: usize, size: usize, chunk: usize) -> usize {
    let refusal = json(413, r#"{"code":"OPS41300","message":"too large"}"#);
    let peer = Peer::spawn(move |mut socket, _| {
        let text = refusal.clone();
        async move {
            socket.read_exact(&mut [0; 200]).await.unwrap();
            socket.write_all(text.as_bytes()).await.ok();
        }
    })
    .await;
    let api = api(&peer);
    let mut seen = 0;
    for _ in 0..runs {
        match upload(&api, body(&vec![7; size], chunk)).await {
            Outcome::Answer(answer) => {
                assert_eq!(answer.status, 413);
                seen += 1;
            }
            other => assert!(!broken(&other).0, "{other:?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_413_and_close_is_an_answer_or_broken_before_the_last_byte() {
    let seen = early_refusals(20, 32 << 20, 256 << 10).await;
    println!("early 413: {seen} of 20 answers were seen");
}

#[tokio::test]
async fn an_early_refusal_that_stays_open_is_always_read() {
    let text = json(401, r#"{"code":"OPS401","message":"no such key"}"#);
    let peer = Peer::spawn(move |mut socket, _| {
        let text = text.clone();
        async move {
            socket.read_exact(&mut [0; 200]).await.unwrap();
            socket.write_all(text.as_bytes()).await.unwrap();
            // Reads on until the client closes, as a lingering close does.
            socket.read_to_end(&mut Vec::new()).await.ok();
        }
    })
    .await;
    let api = api(&peer);
    for _ in 0..20 {
        let answer = answer(upload(&api, body(&vec![7; 8 << 20], 256 << 10)).await);
        assert_eq!(answer.status, 401);
        assert!(
            matches!(answer.body, Body::Envelope { .. }),
            "{:?}",
            answer.body
        );
    }
    peers::until("all are closed", || peer.ended() == 20).await;
}

/// The early answer must not let the rest of the body go out behind its back.
#[tokio::test]
async fn after_an_early_answer_the_last_byte_is_never_sent() {
    for (status, taken) in [(200, true), (202, true), (503, false)] {
        let text = json(status, OK);
        let peer = Peer::spawn(move |mut socket, _| {
            let text = text.clone();
            async move {
                socket.read_exact(&mut [0; 200]).await.unwrap();
                socket.write_all(text.as_bytes()).await.unwrap();
                socket.read_to_end(&mut Vec::new()).await.ok();
            }
        })
        .await;
        let (go, wait) = tokio::sync::oneshot::channel();
        let (file, progress) = held(&[7; 50_000], Some(wait));
        let outcome = upload(&api(&peer), file).await;
        if taken {
            let text = format!("the service answered {status} before it had the whole file");
            assert_eq!(broken(&outcome), (false, text.as_str()));
        } else {
            assert_eq!(answer(outcome).status, status);
        }
        assert!(go.is_closed(), "the content outlived the call");
        peers::until("the connection ended", || peer.ended() == 1).await;
        assert!(!progress.last_byte_sent());
    }
}

#[tokio::test]
async fn interim_answers_are_no_answers() {
    let games = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let peer = Peer::answering(format!("{games}{}", json(200, OK))).await;
    let outcome = upload(&api(&peer), body(b"hello", 5)).await;
    assert_eq!(answer(outcome).status, 200);

    let peer = Peer::spawn(|mut socket, _| async move {
        read_request(&mut socket).await.unwrap();
        let more = b"HTTP/1.1 100 Continue\r\n\r\n";
        while socket.write_all(more).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let api = peers::api_with(&peer, |s| s.answer_timeout = Duration::from_millis(300));
    assert!(broken(&upload(&api, body(b"hello", 5)).await).0);

    // As fast as they can be written, of two kinds.
    for more in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    ] {
        let peer = Peer::spawn(move |mut socket, _| async move {
            read_request(&mut socket).await.unwrap();
            let many = more.repeat(1000);
            while socket.write_all(many.as_bytes()).await.is_ok() {}
        })
        .await;
        let api = peers::api_with(&peer, |s| s.answer_timeout = Duration::from_millis(300));
        let start = Instant::now();
        assert!(broken(&upload(&api, body(b"hello", 5)).await).0);
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );
        let over = || peer.ended() == 1;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !over() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(over(), "nobody listens any more");
    }

    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let peer = Peer::answering(switch).await;
    let outcome = upload(&peers::api(&peer), body(b"hello", 5)).await;
    assert!(broken(&outcome).0);
}

// ---- Answers that are no answers ----

#[tokio::test]
async fn strange_bodies_are_described() {
    let plain = |headers: &str, body: &[u8]| {
        let len = body.len();
        let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {len}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x56\x4a\xce\x4f\x49\x55\xb2\x52\x32\x50";
    let deep = [b"{\"code\":".to_vec(), vec![b'['; 100_000]].concat();
    let half = b"{\"code\":\"0\",\"data\":{\"taskId\":\"t";
    let page = b"<html>Please log in";
    for (text, what) in [
        (
            plain("Content-Type: text/html\r\n", page),
            "a web page: “<html>Ple",
        ),
        (plain("", half), "JSON that breaks off"),
        (
            plain("Content-Encoding: gzip\r\n", gzip),
            "a compressed body",
        ),
        (plain("", &deep), "JSON that can't be read"),
    ] {
        let peer = Peer::answering(text).await;
        let (_, words) = not_envelope(upload(&api(&peer), body(b"hello", 5)).await);
        assert!(words.contains(what), "{words}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    for head in [
        "Content-Length: 1073741824\r\n\r\n",
        "Connection: close\r\n\r\n",
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let at = Arc::clone(&sent);
        let peer = Peer::spawn(move |mut socket, _| {
            let at = Arc::clone(&at);
            async move {
                read_request(&mut socket).await.unwrap();
                let head = format!("HTTP/1.1 200 OK\r\n{head}");
                socket.write_all(head.as_bytes()).await.unwrap();
                while socket.write_all(&[b' '; 64 << 10]).await.is_ok() {
                    at.fetch_add(64 << 10, Ordering::SeqCst);
                }
            }
        })
        .await;
        let (_, what) = not_envelope(upload(&api(&peer), body(b"hello", 5)).await);
        assert_eq!(what, "a body of more than 256 KiB");
        peers::until("the connection ended", || peer.ended() == 1).await;
        assert!(sent.load(Ordering::SeqCst) < 64 << 20, "{sent:?}");
    }
}

#[tokio::test]
async fn an_answer_of_a_byte_now_and_then_ends() {
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", ""] {
        let peer = Peer::spawn(move |mut socket, _| async move {
            read_request(&mut socket).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            let drip = if head.is_empty() {
                "HTTP/1.1 200 OK\r\nX: "
            } else {
                ""
            };
            for byte in drip.bytes().chain(std::iter::repeat(b'a')) {
                if socket.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let api = peers::api_with(&peer, |s| s.answer_timeout = Duration::from_millis(400));
        let outcome = upload(&api, body(b"hello", 5)).await;
        if head.is_empty() {
            assert!(broken(&outcome).0);
        } else {
            assert_eq!(
                not_envelope(outcome).1,
                "a body that had not ended after 0.4 s"
            );
        }
        peers::until("the connection ended", || peer.ended() == 1).await;
    }
}

#[tokio::test]
async fn headers_that_are_no_http_are_broken_not_a_panic() {
    for text in [
        "garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 abc\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(10 << 20)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(100_000)),
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
    ] {
        let peer = Peer::answering(text).await;
        assert!(broken(&upload(&api(&peer), body(b"hello", 5)).await).0);
    }
}

#[tokio::test]
async fn retry_after_is_read_from_the_wire() {
    let text = "HTTP/1.1 429 Slow down\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n";
    let peer = Peer::answering(text).await;
    let answer = answer(upload(&api(&peer), body(b"hello", 5)).await);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(17)));
}

/// A service whose clock is wrong means its own clock.
#[tokio::test]
async fn a_date_to_retry_after_is_read_on_the_services_own_clock() {
    let at = |seconds: u8| format!("Sun, 06 Nov 1994 08:49:{seconds} GMT");
    let date = format!("Date: {}\r\n", at(10));
    for (date, after, wanted) in [
        (date.as_str(), at(40), Some(30)),
        // Past, by its own clock and by ours.
        (&date, at(10), Some(0)),
        ("", at(40), Some(0)),
        ("Date: today\r\n", at(40), Some(0)),
        (&date, "soon".to_owned(), None),
    ] {
        let head = format!("{date}Retry-After: {after}\r\nContent-Length: 0\r\n");
        let peer = Peer::answering(format!("HTTP/1.1 503 Away\r\n{head}\r\n")).await;
        let answer = answer(upload(&api(&peer), body(b"hello", 5)).await);
        let waits = answer.retry_after.map(|wait| wait.as_secs());
        assert_eq!(waits, wanted, "{head}");
    }
}

#[tokio::test]
async fn a_page_that_shows_the_request_does_not_show_the_key() {
    let page = format!("<pre>access-key: {KEY}</pre>");
    let text = format!(
        "HTTP/1.1 307 {KEY}\r\nLocation: https://evil.example/?k={KEY}\r\n\
         Content-Length: {}\r\n\r\n{page}",
        page.len()
    );
    let peer = Peer::answering(text).await;
    // `shown` looks for the key.
    answer(upload(&api(&peer), body(b"hello", 5)).await);
}

/// A service that closes a connection just as it is used again. Whatever comes
/// of it, no call succeeds that was not taken, and none that was taken is said
/// to have been cut short.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keep_alive_race_loses_nothing() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let peer = Peer::spawn(move |mut socket, n| {
        let count = Arc::clone(&count);
        async move {
            if read_request(&mut socket).await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                socket.write_all(json(200, OK).as_bytes()).await.ok();
                tokio::time::sleep(Duration::from_micros(37 * (n as u64 % 40))).await;
            }
        }
    })
    .await;
    let api = api(&peer);
    let (mut answers, mut before, mut after) = (0, 0, 0);
    for n in 0..200u64 {
        match upload(&api, body(b"hello", 5)).await {
            Outcome::Answer(answer) => {
                assert_eq!(answer.status, 200);
                answers += 1;
            }
            Outcome::Broken {
                last_byte_sent: false,
                ..
            } => before += 1,
            Outcome::Broken {
                last_byte_sent: true,
                ..
            } => after += 1,
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_micros(29 * (n % 50))).await;
    }
    println!("keep-alive race: {answers} answers, {before} broken before, {after} after");
    assert_eq!(taken.load(Ordering::SeqCst), answers);
}
