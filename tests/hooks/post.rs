//! Notices by HTTP.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{MAIN_KEY, Stage};
use crate::{hook, metric};

/// Answers every request so, and keeps their texts.
fn receiver(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let len = head.to_lowercase();
                let len = len.split("content-length: ").nth(1).unwrap();
                let len: usize = len.lines().next().unwrap().parse().unwrap();
                if body.len() >= len {
                    kept.lock().unwrap().push(text);
                    let _ = stream.write_all(answer.as_bytes());
                    break;
                }
            }
        }
    });
    (at, requests)
}

const OK: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const ELSEWHERE: &str = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_the_facts_and_no_key_and_no_redirect_is_followed() {
    let (good, told) = receiver(OK);
    let (bad, asked) = receiver(ELSEWHERE);
    let stage = Stage::new().await;
    std::fs::write(stage.path("secret"), "s3cret-of-the-chat\n").unwrap();
    let secret = stage.path("secret");
    let stage = stage.set(|s| {
        let good = format!(
            "name = \"good\"\nurl = \"http://{good}/hooks/path-secret\"\nsecret_file = {secret:?}"
        );
        let bad = format!("name = \"bad\"\nurl = \"http://{bad}/path-secret\"");
        s.tail(&hook("[\"succeeded\"]", &good));
        s.tail(&hook("[\"succeeded\"]", &bad));
    });
    stage.drop_file("a.txt", "words");
    let daemon = stage.start();
    let failed = "supametas_hook_calls_total{folder=\"inbox\",hook=\"bad\",result=\"failed\"} ";
    daemon.until("both were tried", || {
        !told.lock().unwrap().is_empty() && metric(&stage, failed) == 1.0
    });
    let request = told.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let lower = head.to_lowercase();
    assert!(
        head.starts_with("POST /hooks/path-secret HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("Bearer s3cret-of-the-chat"), "{head}");
    assert!(lower.contains("content-type: application/json"), "{head}");
    assert!(
        !lower.contains("access-key") && !request.contains(MAIN_KEY),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["file"], &body["state"]),
        (&"a.txt".into(), &"succeeded".into())
    );
    let id = body["event"]["id"].as_str().unwrap();
    assert!(lower.contains(&format!("idempotency-key: {id}")), "{head}");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(
        !asked[0].contains("elsewhere") && !asked[0].contains("Bearer"),
        "{asked:?}"
    );
    let log = daemon.log();
    assert!(log.contains("answered with status 307"), "{log}");
    assert!(
        !log.contains("path-secret") && !log.contains("s3cret"),
        "{log}"
    );
    assert_eq!(stage.state("a.txt"), "succeeded");
    daemon.terminate();
    // What shows the configuration shows neither.
    let shown = stage.said(&["check", "--explain"]);
    assert!(
        !shown.contains("path-secret") && !shown.contains("s3cret"),
        "{shown}"
    );
}
