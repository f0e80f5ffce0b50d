//! The sandbox over real connections: what it takes and refuses, how tasks
//! live, and that each fault does what the script's description says.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use supametas_sync::sandbox::{Counts, Fault, Outcome, Sandbox, SandboxConfig, UploadRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "sk-secret-one";
const TEXT: &str = r#"{"getDemandFormat":"1","title":1,"contentDetails":1}"#;
const DEADLINE: Duration = Duration::from_secs(20);

async fn start() -> Sandbox {
    let config = SandboxConfig {
        pending_for: Duration::ZERO,
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.unwrap()
}

async fn with_faults(toml: &str) -> Sandbox {
    let sandbox = start().await;
    sandbox.set_faults(Fault::from_toml(toml).unwrap()).unwrap();
    sandbox
}

fn part_file(name: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn part_data(data: &str) -> Vec<u8> {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"data\"\r\n\
         Content-Type: application/json\r\n\r\n{data}\r\n"
    )
    .into_bytes()
}

fn form(name: &str, content: &[u8], data: &str) -> Vec<u8> {
    [
        part_data(data),
        part_file(name, content),
        b"--XX--\r\n".to_vec(),
    ]
    .concat()
}

fn head(path: &str, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "POST /openapi/open/v1{path} HTTP/1.1\r\nHost: localhost\r\nAccess-Key: {KEY}\r\n\
         Connection: close\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

const MULTIPART: &str = "multipart/form-data; boundary=XX";

/// What a raw client saw: all bytes, and whether the end was a reset.
#[derive(Debug)]
struct Seen {
    text: String,
    reset: bool,
}

impl Seen {
    fn status(&self) -> u16 {
        self.text
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0)
    }
    fn body(&self) -> &str {
        self.text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body)
    }
    fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or(Value::Null)
    }
    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or("").to_owned()
    }
    fn task(&self) -> String {
        self.json()["data"]["taskId"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    }
}

/// Sends bytes and reads until the connection ends.
async fn raw(sandbox: &Sandbox, bytes: &[u8]) -> Seen {
    let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    let sent = stream.write_all(bytes).await;
    let mut got = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut got)).await;
    let read = read.expect("the connection ends");
    Seen {
        text: String::from_utf8_lossy(&got).into_owned(),
        reset: sent.is_err() || read.is_err(),
    }
}

async fn post(sandbox: &Sandbox, path: &str, content_type: &str, body: &[u8]) -> Seen {
    raw(
        sandbox,
        &[&head(path, content_type, body.len()), body].concat(),
    )
    .await
}

async fn upload(sandbox: &Sandbox, name: &str) -> Seen {
    post(
        sandbox,
        "/file-task",
        MULTIPART,
        &form(name, b"some text", TEXT),
    )
    .await
}

async fn call(sandbox: &Sandbox, path: &str, body: Value) -> Seen {
    post(
        sandbox,
        path,
        "application/json",
        body.to_string().as_bytes(),
    )
    .await
}

async fn state(sandbox: &Sandbox, task: &str) -> String {
    let seen = call(sandbox, "/query-task", json!({"taskId": task})).await;
    seen.json()["data"]["state"]
        .as_str()
        .unwrap_or("")
        .to_owned()
}

/// Waits until something holds; fails the test when it never does.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn outcomes(sandbox: &Sandbox) -> Vec<Outcome> {
    sandbox.requests().iter().map(|r| r.status).collect()
}

async fn get(sandbox: &Sandbox, path: &str) -> (u16, Value) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let seen = raw(sandbox, text.as_bytes()).await;
    (seen.status(), seen.json())
}

#[tokio::test]
async fn an_upload_is_recorded_byte_for_byte_in_either_order() {
    let sandbox = start().await;
    let content: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let other_way = [
        part_file("b\\\"ä.md", &content),
        part_data(TEXT),
        b"--XX--\r\n".to_vec(),
    ]
    .concat();
    let one = post(
        &sandbox,
        "/file-task",
        MULTIPART,
        &form("a.txt", &content, TEXT),
    )
    .await;
    let two = post(&sandbox, "/file-task", MULTIPART, &other_way).await;
    assert_eq!(
        (one.status(), one.code().as_str()),
        (200, "0"),
        "{}",
        one.text
    );
    assert_eq!(one.json()["message"], Value::Null);
    let uploads = sandbox.uploads();
    let hash = blake3::hash(&content).to_hex().to_string();
    let short = |u: &UploadRecord| (u.seq, u.file_name.to_string(), u.size, u.blake3.clone());
    assert_eq!(
        short(&uploads[0]),
        (1, "a.txt".into(), 5000, Some(hash.clone()))
    );
    assert_eq!(short(&uploads[1]), (2, "b\"ä.md".into(), 5000, Some(hash)));
    assert_eq!(&*uploads[1].file_name_raw, "b\\\"ä.md");
    assert_eq!(uploads[0].task_id, one.task());
    assert_eq!(uploads[1].task_id, two.task());
    assert_ne!(one.task(), two.task());
    assert_eq!(
        *uploads[0].data,
        serde_json::from_str::<Value>(TEXT).unwrap()
    );
    assert_eq!(uploads[0].status, Outcome::Answered(200));

    let (status, listed) = get(&sandbox, "/_sandbox/uploads?after=1").await;
    assert_eq!((status, listed.as_array().unwrap().len()), (200, 1));
    assert_eq!(listed[0]["file_name"], "b\"ä.md");
    assert_eq!(listed[0]["endpoint"], "text");
    assert_eq!(listed[0]["key"], Sandbox::fingerprint(KEY));
    let (_, requests) = get(&sandbox, "/_sandbox/requests").await;
    assert_eq!(requests[0]["status"], 200);
    assert_eq!(requests[0]["bytes"], form("a.txt", &content, TEXT).len());
    let (_, tasks) = get(&sandbox, "/_sandbox/tasks").await;
    assert_eq!(tasks[0]["state"], "SUCCESS");
    for listing in [&listed, &requests, &tasks] {
        assert!(!listing.to_string().contains(KEY));
    }
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_reqwest_client_streams_32_mib() {
    let sandbox = start().await;
    let chunk: Vec<u8> = (0..1 << 20).map(|n| (n % 251) as u8).collect();
    let mut hash = blake3::Hasher::new();
    for _ in 0..32 {
        hash.update(&chunk);
    }
    let chunks =
        futures_util::stream::iter((0..32).map(move |_| std::io::Result::Ok(chunk.clone())));
    let body = reqwest::Body::wrap_stream(chunks);
    let file = reqwest::multipart::Part::stream_with_length(body, 32 << 20).file_name("big.mp4");
    let data = reqwest::multipart::Part::text(r#"{"getDemandFormat":"2"}"#);
    let data = data.mime_str("application/json").unwrap();
    let form = reqwest::multipart::Form::new()
        .part("file", file)
        .part("data", data);
    supametas_sync::tls::choose();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/video-task", sandbox.base_url());
    let sent = client
        .post(url)
        .header("Access-Key", KEY)
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    let uploads = sandbox.uploads();
    assert_eq!(uploads[0].size, 32 << 20);
    assert_eq!(
        uploads[0].blake3,
        Some(hash.finalize().to_hex().to_string())
    );
}

#[tokio::test]
async fn the_service_refuses_what_deserves_it() {
    let sandbox = start().await;
    let form_of = |name: &str, data: &str| form(name, b"x", data);
    let no_data = [part_file("a.txt", b"x"), b"--XX--\r\n".to_vec()].concat();
    let no_file = [part_data(TEXT), b"--XX--\r\n".to_vec()].concat();
    let plain_data = String::from_utf8(form_of("a.txt", TEXT)).unwrap();
    let plain_data = plain_data
        .replace("application/json", "text/plain")
        .into_bytes();
    let image = r#"{"getDemandFormat":"1"}"#;
    for (path, content_type, body, status, code) in [
        (
            "/file-task",
            MULTIPART,
            form_of("a.txt", r#"{"getDemandFormat":1}"#),
            400,
            "OPS40001",
        ),
        (
            "/file-task",
            MULTIPART,
            form_of("a.exe", TEXT),
            400,
            "OPS40002",
        ),
        ("/file-task", MULTIPART, plain_data, 400, "OPS40002"),
        (
            "/file-task",
            MULTIPART,
            form_of("a.txt", "nonsense"),
            400,
            "OPS40002",
        ),
        ("/file-task", MULTIPART, no_data, 400, "OPS40002"),
        (
            "/file-task",
            "application/json",
            TEXT.into(),
            400,
            "OPS40002",
        ),
        (
            "/file-task",
            MULTIPART,
            form_of("a.txt", image),
            400,
            "OPS40003",
        ),
        (
            "/image-task",
            MULTIPART,
            form_of("a.png", r#"{"getDemandFormat":"1","customKeys":[]}"#),
            400,
            "OPS40003",
        ),
        ("/file-task", MULTIPART, no_file, 400, "OPS40004"),
        ("/file-task", MULTIPART, form_of("", TEXT), 400, "OPS40004"),
        (
            "/file-task",
            "multipart/form-data",
            form_of("a.txt", TEXT),
            400,
            "400",
        ),
        (
            "/web-task",
            "application/json",
            br#"{"getDemandFormat":"1","url":"http://a.example"}"#.to_vec(),
            400,
            "OPS40004",
        ),
        (
            "/web-task",
            "application/json",
            b"[]".to_vec(),
            400,
            "OPS40002",
        ),
        (
            "/set-webhook",
            "application/json",
            br#"{"url":"https://a.example/?q"}"#.to_vec(),
            400,
            "OPS40004",
        ),
        (
            "/query-task",
            "application/json",
            b"{}".to_vec(),
            400,
            "OPS40004",
        ),
        (
            "/query-task",
            "application/json",
            br#"{"taskId":"1"}"#.to_vec(),
            404,
            "404",
        ),
        (
            "/delete-task",
            "application/json",
            br#"{"taskId":"1"}"#.to_vec(),
            404,
            "404",
        ),
        (
            "/other-task",
            "application/json",
            b"{}".to_vec(),
            404,
            "404",
        ),
    ] {
        let seen = post(&sandbox, path, content_type, &body).await;
        let sent = String::from_utf8_lossy(&body);
        assert_eq!(
            (seen.status(), seen.code().as_str()),
            (status, code),
            "{path} {sent}"
        );
    }
    let (status, _) = get(&sandbox, "/openapi/open/v1/file-task").await;
    assert_eq!(status, 405);
    assert_eq!(sandbox.uploads(), []);

    for (path, content_type, body) in [
        ("/image-task", MULTIPART, form_of("a.PNG", image)),
        ("/audio-task", MULTIPART, form_of("a.wav", image)),
        (
            "/web-task",
            "application/json",
            br#"{"getDemandFormat":"1","url":"https://a.example/?x","deep":2}"#.to_vec(),
        ),
        (
            "/set-webhook",
            "application/json",
            br#"{"url":"https://a.example/hook"}"#.to_vec(),
        ),
    ] {
        let seen = post(&sandbox, path, content_type, &body).await;
        assert_eq!((seen.status(), seen.code().as_str()), (200, "0"), "{path}");
    }
    let web = &sandbox.uploads()[2];
    assert_eq!(
        (&*web.file_name, &*web.data),
        (
            "https://a.example/?x",
            &json!({"getDemandFormat": "1", "deep": 2})
        )
    );
}

#[tokio::test]
async fn what_is_cut_short_or_malformed_is_never_an_upload() {
    let sandbox = start().await;
    let whole = form("a.txt", b"some text", TEXT);
    for cut in [1, 60, whole.len() / 2, whole.len() - 12, whole.len() - 5] {
        // The HTTP body is whole, its multipart is not.
        let seen = post(&sandbox, "/file-task", MULTIPART, &whole[..cut]).await;
        assert_eq!(seen.status(), 400, "cut at {cut}");
        // The HTTP body itself ends early.
        let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
        stream
            .write_all(&head("/file-task", MULTIPART, whole.len()))
            .await
            .unwrap();
        stream.write_all(&whole[..cut]).await.unwrap();
        drop(stream);
    }
    // All parts are there, but not all that the head announced.
    let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    stream
        .write_all(&head("/file-task", MULTIPART, whole.len() + 1))
        .await
        .unwrap();
    stream.write_all(&whole).await.unwrap();
    drop(stream);
    until("all requests end", || {
        let all = outcomes(&sandbox);
        all.len() == 11 && !all.contains(&Outcome::Open)
    })
    .await;
    assert_eq!(
        outcomes(&sandbox)
            .iter()
            .filter(|o| **o == Outcome::Left)
            .count(),
        6
    );
    assert_eq!((sandbox.uploads().len(), sandbox.tasks().len()), (0, 0));
    assert_eq!(sandbox.counts().in_flight, 0);
}

#[tokio::test]
async fn keys_are_datasets() {
    let config = SandboxConfig {
        keys: vec![KEY.into(), "other".into()],
        ..Default::default()
    };
    assert!(!format!("{config:?}").contains(KEY));
    let sandbox = Sandbox::start(config).await.unwrap();
    assert!(!format!("{sandbox:?}").contains(KEY));
    let task = upload(&sandbox, "a.txt").await.task();
    assert_eq!(state(&sandbox, &task).await, "PENDING");
    let as_other = |key: &str| {
        let body = json!({"taskId": task}).to_string();
        let head = String::from_utf8(head("/query-task", "application/json", body.len())).unwrap();
        head.replace(KEY, key) + &body
    };
    for (key, status) in [("other", 404), ("wrong", 401), ("", 401), (KEY, 200)] {
        let seen = raw(&sandbox, as_other(key).as_bytes()).await;
        assert_eq!(seen.status(), status, "{key}");
        assert!(seen.json()["code"].is_string());
    }
}

#[tokio::test]
async fn tasks_end_as_decided_and_deleting_cancels() {
    let sandbox = Sandbox::start(SandboxConfig {
        pending_for: Duration::from_millis(150),
        pending_word: "PENGDING".to_owned(),
        fail_names: vec!["bad*".to_owned()],
        faults: Fault::from_toml("[[fault]]\nfile = \"c*\"\noutcome = \"CANCEL\"").unwrap(),
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let mut made = Vec::new();
    for (name, end) in [
        ("a.txt", "SUCCESS"),
        ("bad.txt", "FAIL"),
        ("c.txt", "CANCEL"),
    ] {
        let task = upload(&sandbox, name).await.task();
        made.push((task, end));
    }
    let early = upload(&sandbox, "deleted.txt").await.task();
    assert_eq!(state(&sandbox, &early).await, "PENGDING");
    let deleted = call(&sandbox, "/delete-task", json!({"taskId": early})).await;
    assert_eq!(deleted.json()["data"]["optResult"], "success");
    assert_eq!(state(&sandbox, &early).await, "CANCEL");
    until("the tasks end", || {
        sandbox.tasks().iter().all(|t| t.state != "PENGDING")
    })
    .await;
    for (task, end) in made {
        assert_eq!(state(&sandbox, &task).await, end);
    }
}

#[tokio::test]
async fn answers_made_by_faults() {
    let login = "Log in to use this network";
    for (script, status, shows, taken) in [
        ("status = 500", 500, r#""code":"500""#, false),
        (
            "status = 200\ncode = \"OPS40004\"\nmessage = \"why\"",
            200,
            r#"{"code":"OPS40004","message":"why","data":null}"#,
            false,
        ),
        ("code = \"OPS40002\"", 400, r#""code":"OPS40002""#, false),
        (
            "status = 429\nretry_after = \"3\"",
            429,
            "retry-after: 3\r\n",
            false,
        ),
        (
            "status = 503\nretry_after = \"soon, maybe\"",
            503,
            "retry-after: soon, maybe\r\n",
            false,
        ),
        (
            "status = 307\nlocation = \"http://other.example/x\"",
            307,
            "location: http://other.example/x\r\n",
            false,
        ),
        ("status = 202", 202, "taskId", true),
        ("status = 204\nempty = true", 204, "\r\n\r\n", true),
        ("empty = true", 200, "content-length: 0\r\n", true),
        ("no_task = true", 200, r#""data":{"num":0}"#, true),
        ("html = true", 200, login, false),
        ("html = true\nstatus = 511", 511, login, false),
        (
            "body = \"{\\\"cut\"\ncontent_type = \"text/plain\"",
            200,
            "text/plain\r\n",
            true,
        ),
        ("status = 502\ntaken = true", 502, "Bad Gateway", true),
        ("delay_ms = 1", 200, "taskId", true),
    ] {
        let sandbox = with_faults(&format!("[[fault]]\n{script}")).await;
        let seen = upload(&sandbox, "a.txt").await;
        assert_eq!(seen.status(), status, "{script}");
        assert!(seen.text.contains(shows), "{script}\n{}", seen.text);
        assert_eq!(sandbox.uploads().len(), usize::from(taken), "{script}");
        assert_eq!(sandbox.tasks().len(), usize::from(taken), "{script}");
        assert_eq!(outcomes(&sandbox), [Outcome::Answered(status)], "{script}");
        assert_eq!(
            (sandbox.faults()[0].seen, sandbox.faults()[0].fired),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn a_303_leads_to_the_imports_answer() {
    let script = "[[fault]]\nstatus = 303\nlocation = \"/openapi/open/v1/import-result/{task_id}\"\nroute = \"text\"";
    let sandbox = with_faults(script).await;
    let seen = upload(&sandbox, "a.txt").await;
    let task = sandbox.uploads()[0].task_id.clone();
    let location = format!("location: /openapi/open/v1/import-result/{task}\r\n");
    assert!(
        seen.status() == 303 && seen.text.contains(&location),
        "{}",
        seen.text
    );
    let follow = format!(
        "GET /openapi/open/v1/import-result/{task} HTTP/1.1\r\nHost: x\r\nAccess-Key: {KEY}\r\n\
         Connection: close\r\n\r\n"
    );
    let seen = raw(&sandbox, follow.as_bytes()).await;
    assert_eq!((seen.status(), seen.task()), (200, task));
    assert_eq!(sandbox.uploads().len(), 1);
}

#[tokio::test]
async fn cuts_are_resets_and_record_what_was_whole() {
    let content = vec![b'x'; 8 << 20];
    let big = form("a.txt", &content, TEXT);
    for (matcher, cut, uploads) in [
        ("", "before-body", 0),
        ("file = \"a*\"", "before-body", 0),
        ("", "mid-body", 0),
        ("file = \"a*\"", "mid-body", 0),
        ("", "after-body", 1),
        ("file = \"a*\"", "after-body", 1),
        ("file = \"a*\"", "mid-answer", 1),
    ] {
        let sandbox = with_faults(&format!("[[fault]]\n{matcher}\ncut = \"{cut}\"")).await;
        let seen = post(&sandbox, "/file-task", MULTIPART, &big).await;
        assert!(seen.reset, "{cut} {matcher}");
        assert_eq!(outcomes(&sandbox), [Outcome::Cut], "{cut} {matcher}");
        let read = sandbox.requests()[0].bytes;
        match (cut, matcher) {
            ("before-body", "") => assert_eq!(read, 0),
            ("before-body", _) => assert!(read < (2 << 20), "{read}"),
            ("mid-body", _) => assert!((4 << 20..8 << 20).contains(&read), "{read}"),
            _ => assert_eq!(read, big.len() as u64),
        }
        if cut == "mid-answer" {
            assert!(
                seen.text.starts_with("HTTP/1.1 200 OK\r\n"),
                "{}",
                seen.text
            );
            assert!(
                !seen.body().is_empty() && seen.json() == Value::Null,
                "{}",
                seen.text
            );
        } else {
            assert_eq!(seen.text, "");
        }
        assert_eq!(
            (sandbox.uploads().len(), sandbox.tasks().len()),
            (uploads, uploads)
        );
        assert!(sandbox.uploads().iter().all(|u| u.status == Outcome::Cut));
        assert_eq!(sandbox.counts().in_flight, 0);
    }
}

#[tokio::test]
async fn a_small_body_is_cut_too() {
    for cut in ["before-body", "mid-body", "after-body"] {
        let sandbox = with_faults(&format!(
            "[[fault]]\nfile = \"a*\"\ntimes = 1\ncut = \"{cut}\""
        ))
        .await;
        let seen = upload(&sandbox, "a.txt").await;
        assert!(seen.reset && seen.text.is_empty(), "{cut}");
        assert_eq!(
            sandbox.uploads().len(),
            usize::from(cut == "after-body"),
            "{cut}"
        );
        assert_eq!(upload(&sandbox, "a.txt").await.status(), 200);
    }
}

#[tokio::test]
async fn silence_ends_when_the_client_leaves() {
    let body = form("a.txt", b"some text", TEXT);
    for (when, uploads) in [("true", 1), ("\"after-body\"", 1), ("\"before-body\"", 0)] {
        let sandbox = with_faults(&format!("[[fault]]\nsilence = {when}")).await;
        let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
        stream
            .write_all(&head("/file-task", MULTIPART, body.len()))
            .await
            .unwrap();
        stream.write_all(&body).await.unwrap();
        until("it is silent", || outcomes(&sandbox) == [Outcome::Silent]).await;
        let answer = tokio::time::timeout(Duration::from_millis(120), stream.read_u8()).await;
        assert!(answer.is_err(), "{when}: {answer:?}");
        assert_eq!(sandbox.uploads().len(), uploads, "{when}");
        assert_eq!(sandbox.counts().in_flight, 1);
        drop(stream);
        until("the client's leaving is seen", || {
            sandbox.counts().in_flight == 0
        })
        .await;
        assert_eq!(outcomes(&sandbox), [Outcome::Silent]);
    }
}

#[tokio::test]
async fn silence_before_the_body_makes_the_client_wait() {
    let sandbox = with_faults("[[fault]]\nsilence = \"before-body\"").await;
    let bytes = form("a.txt", &vec![b'x'; 64 << 20], TEXT);
    let bytes = [head("/file-task", MULTIPART, bytes.len()), bytes].concat();
    let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    let sent = tokio::time::timeout(Duration::from_millis(500), stream.write_all(&bytes)).await;
    assert!(sent.is_err(), "{sent:?}");
    assert_eq!(outcomes(&sandbox), [Outcome::Silent]);
    assert_eq!(sandbox.requests()[0].bytes, 0);
    sandbox.shutdown().await;
    assert!(stream.write_all(&bytes).await.is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_the_silent() {
    let sandbox = with_faults("[[fault]]\nroute = \"text\"\nsilence = true").await;
    let bytes = form("a.txt", b"x", TEXT);
    let mut silent = TcpStream::connect(sandbox.addr()).await.unwrap();
    silent
        .write_all(&head("/file-task", MULTIPART, bytes.len()))
        .await
        .unwrap();
    silent.write_all(&bytes).await.unwrap();
    let mut idle = TcpStream::connect(sandbox.addr()).await.unwrap();
    let mut sending = TcpStream::connect(sandbox.addr()).await.unwrap();
    sending
        .write_all(&head("/image-task", MULTIPART, 1 << 20))
        .await
        .unwrap();
    until("both are in flight", || sandbox.counts().in_flight == 2).await;
    let start = Instant::now();
    sandbox.shutdown().await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert!(TcpStream::connect(sandbox.addr()).await.is_err());
    let end = tokio::time::timeout(DEADLINE, silent.read_u8())
        .await
        .unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(
        tokio::time::timeout(DEADLINE, idle.read_u8())
            .await
            .unwrap()
            .is_err()
    );
    assert_eq!(sandbox.uploads().len(), 1);
    sandbox.shutdown().await;
}

#[tokio::test]
async fn early_slow_and_dripping_answers() {
    let sandbox = with_faults("[[fault]]\nroute = \"image\"\nstatus = 413\nearly = true").await;
    let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    // Only the head is sent: the answer comes all the same.
    stream
        .write_all(&head("/image-task", MULTIPART, 1 << 20))
        .await
        .unwrap();
    let mut got = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert!(
        got.starts_with("HTTP/1.1 413 ") && got.contains("connection: close"),
        "{got}"
    );
    assert_eq!(sandbox.requests()[0].bytes, 0);

    for (script, least) in [("delay_ms = 150", 150), ("drip_ms = 3", 100)] {
        let sandbox = with_faults(&format!("[[fault]]\n{script}")).await;
        let start = Instant::now();
        let seen = upload(&sandbox, "a.txt").await;
        assert_eq!(
            (seen.status(), seen.code().as_str()),
            (200, "0"),
            "{}",
            seen.text
        );
        assert!(start.elapsed() >= Duration::from_millis(least), "{script}");
    }
}

#[tokio::test]
async fn an_upload_whose_client_left_before_the_answer_stays() {
    let sandbox = with_faults("[[fault]]\ndelay_ms = 600000").await;
    let body = form("a.txt", b"x", TEXT);
    let mut stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    stream
        .write_all(&head("/file-task", MULTIPART, body.len()))
        .await
        .unwrap();
    stream.write_all(&body).await.unwrap();
    until("it is taken", || sandbox.uploads().len() == 1).await;
    assert_eq!(sandbox.uploads()[0].status, Outcome::Open);
    drop(stream);
    until("the leaving is seen", || {
        outcomes(&sandbox) == [Outcome::Left]
    })
    .await;
    assert_eq!(sandbox.uploads()[0].status, Outcome::Left);
    assert_eq!(sandbox.tasks().len(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_after_each_kind_of_answer() {
    let sandbox = with_faults("[[fault]]\nnth = 2\nstatus = 500").await;
    let body = form("a.txt", b"x", TEXT);
    let head = String::from_utf8(head("/file-task", MULTIPART, body.len())).unwrap();
    let keep = head.replace("Connection: close\r\n", "");
    let one = [keep.as_bytes(), &body].concat();
    let last = [head.as_bytes(), &body].concat();
    let seen = raw(&sandbox, &[one.clone(), one, last].concat()).await;
    let statuses: Vec<&str> = seen.text.matches("HTTP/1.1 ").collect();
    assert_eq!((statuses.len(), seen.reset), (3, false), "{}", seen.text);
    let all = outcomes(&sandbox);
    assert_eq!(all, [200, 500, 200].map(Outcome::Answered));
}

#[tokio::test]
async fn queries_and_deletions_have_faults_too() {
    let sandbox = with_faults(
        "[[fault]]\nroute = \"query\"\nfile = \"odd*\"\ntask_state = \"THINKING\"\n\
         [[fault]]\nroute = \"query\"\nnth = 2\nstatus = 404\n\
         [[fault]]\nroute = \"delete\"\nnth = 1\nstatus = 500\n\
         [[fault]]\nroute = \"delete\"\nnth = 2\ncut = \"after-body\"",
    )
    .await;
    let odd = upload(&sandbox, "odd.txt").await.task();
    let even = upload(&sandbox, "even.txt").await.task();
    assert_eq!(state(&sandbox, &odd).await, "THINKING");
    assert_eq!(
        call(&sandbox, "/query-task", json!({"taskId": even}))
            .await
            .status(),
        404
    );
    assert_eq!(state(&sandbox, &even).await, "SUCCESS");
    assert_eq!(
        call(&sandbox, "/delete-task", json!({"taskId": even}))
            .await
            .status(),
        500
    );
    assert_eq!(state(&sandbox, &even).await, "SUCCESS");
    assert!(
        call(&sandbox, "/delete-task", json!({"taskId": even}))
            .await
            .reset
    );
    assert_eq!(state(&sandbox, &even).await, "CANCEL");
}

#[tokio::test]
async fn the_script_is_set_over_http() {
    let sandbox = start().await;
    let admin = async |method: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "{method} /_sandbox/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        raw(&sandbox, head.as_bytes()).await
    };
    assert_eq!(
        admin("POST", r#"[{"status": 500, "times": 1}]"#)
            .await
            .status(),
        200
    );
    let wrong = admin("POST", r#"[{"statsu": 500}]"#).await;
    assert_eq!(wrong.status(), 400);
    assert!(
        wrong.body().contains("unknown field `statsu`"),
        "{}",
        wrong.text
    );
    assert_eq!(upload(&sandbox, "a.txt").await.status(), 500);
    let listed = admin("GET", "").await.json();
    assert_eq!(
        listed,
        json!([{"status": 500, "times": 1, "seen": 1, "fired": 1}])
    );
    assert_eq!(admin("DELETE", "").await.json(), json!([]));
    assert_eq!(get(&sandbox, "/_sandbox/nothing").await.0, 404);
    // Its own calls are not among the requests.
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn the_sink_counts_and_takes_everything() {
    let config = SandboxConfig {
        sink: true,
        sink_names: true,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let body = form("a.exe", &vec![b'x'; 3 << 20], "no json");
    let one = post(&sandbox, "/file-task", MULTIPART, &body).await;
    let two = post(&sandbox, "/video-task", MULTIPART, &body).await;
    assert!(one.status() == 200 && !one.task().is_empty() && one.task() != two.task());
    assert_eq!(state(&sandbox, &one.task()).await, "SUCCESS");
    let Counts {
        uploads,
        upload_bytes,
        requests,
        ..
    } = sandbox.counts();
    assert_eq!((uploads, upload_bytes), (2, 2 * body.len() as u64));
    assert_eq!(requests["/openapi/open/v1/file-task"], 1);
    assert_eq!(&*sandbox.uploads()[0].file_name, "a.exe");

    let config = SandboxConfig {
        sink: true,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    assert_eq!(upload(&sandbox, "a.txt").await.status(), 200);
    assert_eq!((sandbox.uploads().len(), sandbox.counts().uploads), (0, 1));
}

#[tokio::test]
async fn too_many_at_once_are_told_429() {
    for sink in [false, true] {
        let config = SandboxConfig {
            refuse_above: Some(2),
            answer_delay: Duration::from_secs(1),
            sink,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.unwrap();
        let (a, b, c) = tokio::join!(
            upload(&sandbox, "a.txt"),
            upload(&sandbox, "b.txt"),
            upload(&sandbox, "c.txt")
        );
        let mut all = [a.status(), b.status(), c.status()];
        all.sort_unstable();
        assert_eq!(all, [200, 200, 429], "sink: {sink}");
        let counts = sandbox.counts();
        assert_eq!(
            (counts.max_in_flight, counts.in_flight, counts.uploads),
            (3, 0, 2)
        );
    }
}

#[tokio::test]
async fn a_bad_configuration_is_refused() {
    for (config, words) in [
        (
            SandboxConfig {
                bind: "0.0.0.0".parse().unwrap(),
                ..Default::default()
            },
            "loopback only",
        ),
        (
            SandboxConfig {
                fail_names: vec!["a[".to_owned()],
                ..Default::default()
            },
            "a[",
        ),
        (
            SandboxConfig {
                faults: vec![Fault::default()],
                ..Default::default()
            },
            "does nothing",
        ),
    ] {
        let error = Sandbox::start(config).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
