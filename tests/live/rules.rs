//! Who may look, who may act, and that nobody is held up by anybody.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use serde_json::json;
use supametas_sync::sandbox::Fault;

use crate::support::http::{address, by_socket, by_tcp, exchange, get, request, socket};
use crate::support::{MAIN_KEY, SOON, Stage};
use crate::{TOKEN, listening};

const JSON: &str = "Content-Type: application/json\r\n";

fn with_token(token: &str) -> String {
    format!("{JSON}Authorization: Bearer {token}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_or_the_socket_may_act() {
    let stage = listening(true).await;
    stage.drop_file("broken.doc", "x");
    let daemon = stage.start();
    daemon.until("it has ended", || {
        stage.state("broken.doc") == "unsupported"
    });
    let at = address(&daemon);
    let id = stage.file("broken.doc").unwrap()["id"].clone();
    let body = json!({ "ids": [id], "dry_run": true }).to_string();
    let good = with_token(TOKEN);
    for (more, body, wanted) in [
        (JSON.to_owned(), body.as_str(), 401),
        (with_token("tok-51b7e2c09a6f4d84"), &body, 401),
        (with_token(""), &body, 401),
        (with_token(MAIN_KEY), &body, 401),
        (format!("{JSON}Authorization: {TOKEN}\r\n"), &body, 401),
        // What a form of another web site can send.
        (good.replace("application/json", "text/plain"), &body, 415),
        (format!("Authorization: Bearer {TOKEN}\r\n"), &body, 415),
        (good.clone(), "{", 400),
        (good.clone(), "{}", 400),
        (good.clone(), r#"{"ids": [1], "all": true}"#, 400),
        (good.clone(), r#"{"folders": "inbox"}"#, 400),
        (good.clone(), r#"{"state": ["broken"]}"#, 400),
        (good.clone(), &body, 200),
        (good.clone(), r#"{"all": true, "dry_run": true}"#, 200),
        (
            good.clone(),
            r#"{"state": ["unsupported"], "name": "*.doc", "dry_run": true}"#,
            200,
        ),
    ] {
        let answer = by_tcp(&at, "POST", "/api/retry", &more, body);
        assert_eq!(answer.status, wanted, "{more}{body}: {answer:?}");
        if wanted == 200 {
            let done = json!({ "retried": [id], "refused": [], "dry_run": true });
            assert_eq!(answer.json(), done);
        }
    }
    assert_eq!(by_tcp(&at, "GET", "/api/retry", &good, "").status, 405);
    assert_eq!(
        by_tcp(&at, "GET", "/api/status", "", "").json()["daemon"]["may_act"],
        true
    );
    assert_eq!(
        by_socket(&stage, "POST", "/api/retry", JSON, &body).status,
        200
    );
    assert_eq!(
        by_socket(&stage, "POST", "/api/retry", "", &body).status,
        415
    );
    let large = format!("{{\"ids\": [{}1]}}", "1,".repeat(40_000));
    assert_eq!(
        by_socket(&stage, "POST", "/api/retry", JSON, &large).status,
        413
    );

    // Neither secret is in anything that is told.
    for path in [
        "/",
        "/api/status",
        "/api/files",
        "/api/charts",
        "/api/errors",
        "/metrics",
        "/readyz",
    ] {
        let told = by_tcp(&at, "GET", path, "", "");
        let told = format!("{}{}", told.head, told.body);
        assert!(!told.contains(TOKEN) && !told.contains(MAIN_KEY), "{path}");
    }
    assert!(!daemon.log().contains(TOKEN));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_acts_on_the_port() {
    let stage = listening(false).await;
    let daemon = stage.start();
    let at = address(&daemon);
    for more in [JSON.to_owned(), with_token(""), with_token(TOKEN)] {
        for path in [
            "/api/retry",
            "/api/acknowledge",
            "/api/resume",
            "/api/reload",
        ] {
            let answer = by_tcp(&at, "POST", path, &more, "{}");
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }
    assert_eq!(
        by_tcp(&at, "GET", "/api/status", "", "").json()["daemon"]["may_act"],
        false
    );
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_told_and_opened_through_the_socket() {
    let stage = Stage::new().await;
    let fault = "[[fault]]\nroute = \"import\"\ntimes = 1\nstatus = 403\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(fault).unwrap())
        .unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    let gates = || get(&stage, "/api/status").json()["gates"].clone();
    daemon.until("the gate is closed", || {
        gates()[0]["gate"] == "dataset:main"
    });
    let gate = &gates()[0];
    assert_eq!(
        (&gate["status"], &gate["code"]),
        (&json!("closed"), &json!("HTTP-403"))
    );
    assert!(
        gate["opens"]
            .as_str()
            .unwrap()
            .contains("resume dataset:main"),
        "{gate:#}"
    );
    assert_eq!(
        get(&stage, "/api/status").json()["oldest_waiting"]["file"],
        "a.txt"
    );
    let status = stage.said(&["status"]);
    assert!(
        status.contains("PAUSED     dataset:main") && status.contains("until 20"),
        "{status}"
    );

    let resume = |body| by_socket(&stage, "POST", "/api/resume", JSON, body);
    assert_eq!(resume(r#"{"gate": "dataset:other"}"#).status, 404);
    assert_eq!(resume(r#"{"gates": "dataset:main"}"#).status, 400);
    assert_eq!(
        resume(r#"{"gate": "dataset:main"}"#).json(),
        json!({ "opened": ["dataset:main"], "ended": [] })
    );
    daemon.until("the file goes", || stage.state("a.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_holds_back_uploads_until_it_is_resumed() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let ask = |path, body| by_socket(&stage, "POST", path, JSON, body);
    let unknown = ask("/api/pause", r#"{"scope": "folder:nowhere"}"#);
    assert_eq!(unknown.status, 400);
    assert!(
        unknown.json()["error"].as_str().unwrap().contains("inbox"),
        "{unknown:?}"
    );
    assert_eq!(ask("/api/pause", r#"{"scope": "inbox"}"#).status, 400);
    let told = ask(
        "/api/pause",
        r#"{"scope": "folder:inbox", "why": "a test"}"#,
    )
    .json();
    assert_eq!(told["paused"]["scope"], "folder:inbox");
    stage.drop_file("a.txt", "words");
    daemon.until("it is queued", || stage.state("a.txt") == "queued");
    let pauses = || get(&stage, "/api/status").json()["pauses"].clone();
    assert_eq!(pauses()[0]["why"], "a test");
    assert!(stage.said(&["status"]).contains("PAUSED     folder:inbox"));
    assert_eq!(stage.sandbox.uploads().len(), 0);

    assert_eq!(ask("/api/resume", r#"{"scope": "service"}"#).status, 404);
    assert_eq!(
        ask("/api/resume", "{}").json(),
        json!({ "opened": [], "ended": ["folder:inbox"] })
    );
    assert_eq!(pauses(), json!([]));
    daemon.until("the file goes", || stage.state("a.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_taken_up_at_once() {
    let stage = Stage::new().await;
    let fault = "[[fault]]\nroute = \"import\"\ntimes = 1\nstatus = 413\n";
    stage
        .sandbox
        .set_faults(Fault::from_toml(fault).unwrap())
        .unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("it is rejected", || stage.state("a.txt") == "rejected");
    let answer = by_socket(
        &stage,
        "POST",
        "/api/retry",
        JSON,
        r#"{"code": "HTTP-413"}"#,
    );
    assert_eq!(
        answer.json()["retried"].as_array().unwrap().len(),
        1,
        "{answer:?}"
    );
    daemon.until("it goes", || stage.state("a.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_gets_nothing() {
    let stage = listening(false).await;
    let daemon = stage.start();
    let at = address(&daemon);
    let port = at.rsplit(':').next().unwrap();
    let status = |host: &str| {
        let stream = TcpStream::connect(&at).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let answer = exchange(stream, &request(host, "GET", "/api/status", "", ""));
        assert!(answer.status == 200 || !answer.body.contains("folders"));
        answer.status
    };
    for host in [
        at.clone(),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(status(&host), 200, "{host}");
    }
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1:1",
        "",
    ] {
        assert_eq!(status(host), 421, "{host}");
    }
    let answer = by_tcp(&at, "GET", "/", "Origin: http://evil.example\r\n", "");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), value, "{answer:?}");
        // Errors have them, too.
        assert_eq!(by_tcp(&at, "GET", "/none", "", "").header(name), value);
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_hold_up_nobody() {
    let stage = listening(false).await;
    let daemon = stage.start();
    let at = address(&daemon);
    // As many as are let in: some say nothing, some only half.
    let idle: Vec<TcpStream> = (0..32)
        .map(|n| {
            let mut stream = TcpStream::connect(&at).unwrap();
            if n % 2 == 0 {
                stream
                    .write_all(b"GET /api/status HTTP/1.1\r\nHost: ")
                    .unwrap();
            }
            stream
        })
        .collect();
    assert_eq!(
        get(&stage, "/api/status").status,
        200,
        "the other door is open"
    );
    stage.drop_file("a.txt", "words");
    daemon.until("files go on", || stage.state("a.txt") == "succeeded");
    assert_eq!(
        by_tcp(&at, "GET", "/healthz", "", "").status,
        200,
        "in the end"
    );
    drop(idle);
    let lines = format!("X-Long: {}\r\n", "x".repeat(32 << 10));
    let refused = by_tcp(&at, "GET", "/healthz", &lines, "");
    assert_eq!(refused.status, 431, "{refused:?}");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_the_users_alone_and_outlives_no_daemon() {
    let stage = Stage::new().await;
    let at = socket(&stage);
    let first = stage.start();
    let meta = fs::metadata(&at).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    first.kill9();
    assert!(UnixStream::connect(&at).is_err(), "a dead daemon's");
    assert!(stage.said(&["status"]).contains("not running"));
    let second = stage.start();
    assert_eq!(get(&stage, "/healthz").status, 200);
    assert_eq!(
        fs::metadata(&at).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(second.terminate().code(), Some(0));
    assert!(!at.exists());

    // What is no socket is left alone, and the files go all the same.
    fs::write(&at, "a letter").unwrap();
    let third = stage.start();
    assert!(third.log().contains("no socket"), "{}", third.log_end());
    stage.drop_file("a.txt", "words");
    third.until("files go on", || stage.state("a.txt") == "succeeded");
    let status = stage.cli(&["status"]);
    let said = String::from_utf8_lossy(&status.stderr).into_owned();
    assert!(said.contains("can't be asked"), "{said}");
    assert_eq!(third.terminate().code(), Some(0));
    assert_eq!(fs::read(&at).unwrap(), b"a letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_too_long_for_a_socket_is_a_warning() {
    let stage = Stage::new().await;
    let deep = stage.path("d".repeat(110));
    fs::create_dir(&deep).unwrap();
    let text = fs::read_to_string(stage.config()).unwrap();
    let ledger = deep.join("l");
    let text = text.replace(
        stage.path("ledger.sqlite").to_str().unwrap(),
        ledger.to_str().unwrap(),
    );
    fs::write(stage.config(), text).unwrap();
    let daemon = stage.start();
    assert!(
        daemon.log().contains("give the ledger a shorter one"),
        "{}",
        daemon.log_end()
    );
    stage.drop_file("a.txt", "words");
    daemon.until("files go all the same", || {
        stage.state("a.txt") == "succeeded"
    });
    assert!(stage.said(&["status"]).contains("1 succeeded"));
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_stops_no_file() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stage = Stage::new().await.set(|s| {
        s.tail(&format!(
            "[http]\nlisten = \"{}\"\n",
            taken.local_addr().unwrap()
        ));
    });
    let daemon = stage.start();
    assert!(
        daemon.log().contains("can't listen"),
        "{}",
        daemon.log_end()
    );
    stage.drop_file("a.txt", "words");
    daemon.until("files go on", || stage.state("a.txt") == "succeeded");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_open_it_to_others_are_refused() {
    for (http, said) in [
        ("listen = \"0.0.0.0:8398\"", "other machines"),
        ("listen = \"[::]:8398\"", "other machines"),
        ("listen = \"192.0.2.1:8398\"", "other machines"),
        ("listen = \"localhost:8398\"", "in numbers"),
        ("listen = \"8398\"", "in numbers"),
        ("token_file = \"token\"", "not an absolute path"),
        ("token_file = \"/nonexistent/token\"", "can't be read"),
    ] {
        let stage = Stage::new().await.set(|s| {
            s.tail(&format!("[http]\n{http}\n"));
        });
        let output = stage.cli(&["check"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(2), "{http}: {text}");
        assert!(text.contains(said), "{http}: {text}");
    }
    let stage = Stage::new().await;
    let file = stage.path("short");
    fs::write(&file, "tooshort").unwrap();
    let stage = stage.set(|s| {
        s.tail(&format!(
            "[http]\ntoken_file = {:?}\n",
            file.to_str().unwrap()
        ));
    });
    let text = String::from_utf8_lossy(&stage.cli(&["check"]).stdout).into_owned();
    assert!(
        text.contains("too short") && !text.contains("tooshort"),
        "{text}"
    );
}
