//! The doors themselves: taken ones, sockets for proxies, crowds, and looking
//! behind a token.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{address, by_socket, by_tcp, exchange, get, request};
use crate::support::{SOON, Stage};
use crate::{TOKEN, listening};

const JSON: &str = "Content-Type: application/json\r\n";

/// A word that lets its bearer look.
const READ: &str = "look-2b1f7cd09a6f4d83";

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_and_sixty_idle_connections_hold_up_nobody() {
    let stage = listening(false).await;
    let daemon = stage.start();
    let at = address(&daemon);
    let mut idle = Vec::new();
    for n in 0..160 {
        let mut stream = TcpStream::connect(&at).unwrap();
        match n % 3 {
            0 => stream
                .write_all(b"GET /api/status HTTP/1.1\r\nHost: ")
                .unwrap(),
            // One that was answered, and is kept open.
            1 => write!(stream, "GET /healthz HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap(),
            _ => {}
        }
        idle.push(stream);
    }
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(by_tcp(&at, "GET", "/healthz", "", "").status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    drop(idle);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_lose_their_places_and_pushes_keep_theirs() {
    let secret = "path-4f1d0c77a2b94e6d";
    let stage = listening(true).await;
    let (path, results) = (stage.path("path"), stage.path("results"));
    fs::write(&path, secret).unwrap();
    fs::create_dir(&results).unwrap();
    let stage = stage.set(|s| {
        s.main(&format!(
            "webhook_path_file = {:?}\nresults_dir = {:?}\n",
            path.to_str().unwrap(),
            results.to_str().unwrap()
        ));
    });
    let daemon = stage.start();
    let at = address(&daemon);
    // Pushes that never end their bodies, and requests that never do.
    let begin = |path: &str, more: &str| {
        let mut stream = TcpStream::connect(&at).unwrap();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {at}\r\n{more}Content-Length: 9\r\n\r\n{{");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let hook = format!("/webhook/{secret}");
    let pushes: Vec<_> = (0..40).map(|_| begin(&hook, "")).collect();
    let acting = format!("{JSON}{}", bearer(TOKEN));
    let slow: Vec<_> = (0..100).map(|_| begin("/api/retry", &acting)).collect();
    let begun = Instant::now();
    assert_eq!(by_tcp(&at, "GET", "/healthz", "", "").status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop((pushes, slow));
    daemon.until("a push is taken", || {
        by_tcp(&at, "POST", &hook, "", "{}").status == 204
    });
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_and_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let stage = Stage::new().await.set(|s| {
        s.tail(&format!("[http]\nlisten = \"{at}\"\n"));
    });
    let daemon = stage.start();
    let door = || get(&stage, "/api/status").json()["daemon"]["doors"][1].clone();
    assert_eq!(
        (&door()["at"], &door()["open"]),
        (&json!(at), &json!(false))
    );
    let status = stage.said(&["status"]);
    assert!(
        status.contains("NOT OPEN") && status.contains("in use") && status.contains(&at),
        "{status}"
    );
    drop(taken);
    daemon.until("it is opened", || door()["open"] == true);
    assert_eq!(by_tcp(&at, "GET", "/healthz", "", "").status, 200);
    assert!(!stage.said(&["status"]).contains("NOT OPEN"));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_for_a_proxy_takes_any_host_and_acts_by_token_alone() {
    let stage = Stage::new().await;
    let (path, token) = (stage.path("web.sock"), stage.path("token"));
    fs::write(&token, TOKEN).unwrap();
    let stage = stage.set(|s| {
        s.tail(&format!(
            "[http]\nlisten = {:?}\ntoken_file = {:?}\n",
            path.to_str().unwrap(),
            token.to_str().unwrap()
        ));
    });
    let daemon = stage.start();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let told = |method: &str, at: &str, more: &str, body: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        exchange(stream, &request("sync.example.com", method, at, more, body))
    };
    let ask = |method: &str, at: &str, more: &str, body: &str| told(method, at, more, body).status;
    assert_eq!(ask("GET", "/api/status", "", ""), 200);
    let all = r#"{"all": true, "dry_run": true}"#;
    assert_eq!(ask("POST", "/api/retry", JSON, all), 401);
    // Whom a proxy lets in is not told where a token lies.
    let refused = told("POST", "/api/retry", JSON, all);
    assert!(
        !refused.body.contains(token.to_str().unwrap()),
        "{refused:?}"
    );
    let good = format!("{JSON}{}", bearer(TOKEN));
    assert_eq!(ask("POST", "/api/retry", &good, all), 200);
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_can_be_put_behind_a_token() {
    let stage = listening(true).await;
    let file = stage.path("read");
    fs::write(&file, READ).unwrap();
    let text = fs::read_to_string(stage.config()).unwrap();
    let keys = format!("[http]\nread_token_file = {:?}\n", file.to_str().unwrap());
    fs::write(stage.config(), text.replace("[http]\n", &keys)).unwrap();
    let daemon = stage.start();
    let at = address(&daemon);
    for path in [
        "/api/status",
        "/api/files",
        "/api/charts",
        "/api/errors",
        "/metrics",
        "/readyz",
        "/none",
    ] {
        let status = |more: &str| by_tcp(&at, "GET", path, more, "").status;
        let there = if path == "/none" { 404 } else { 200 };
        assert_eq!(
            (status(""), status(&bearer("look-2b1f7cd09a6f4d84"))),
            (401, 401),
            "{path}"
        );
        assert_eq!(
            (status(&bearer(READ)), status(&bearer(TOKEN))),
            (there, there),
            "{path}"
        );
        assert_eq!(
            get(&stage, path).status,
            there,
            "the daemon's own user needs none"
        );
    }
    for path in ["/healthz", "/", "/page.js"] {
        assert_eq!(by_tcp(&at, "GET", path, "", "").status, 200, "{path}");
    }
    // Who may look may not act.
    let more = format!("{JSON}{}", bearer(READ));
    let refused = by_tcp(&at, "POST", "/api/retry", &more, r#"{"all": true}"#);
    assert_eq!(refused.status, 401);
    assert!(!daemon.log().contains(READ));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_ages_is_refused() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    for for_s in ["18446744073709551615", "31622401", "0"] {
        let body = format!("{{\"scope\": \"all\", \"for_s\": {for_s}}}");
        let refused = by_socket(&stage, "POST", "/api/pause", JSON, &body);
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(get(&stage, "/api/status").json()["pauses"], json!([]));
    let body = r#"{"scope": "all", "for_s": 31622400}"#;
    assert_eq!(
        by_socket(&stage, "POST", "/api/pause", JSON, body).status,
        200
    );
    assert_eq!(daemon.terminate().code(), Some(0));
}
