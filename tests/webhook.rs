//! The service's pushes, end to end: the address is set, a push becomes a file
//! and a question, and nobody else gets in.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use supametas_sync::sandbox::{Fault, SandboxConfig};

use support::http::{Answer, address, by_tcp, exchange, request};
use support::{SOON, Stage, blake3_of};

const SECRET: &str = "path-4f1d0c77a2b94e6d";

/// A stage whose dataset takes pushes of up to 2 KiB.
async fn stage(sandbox: SandboxConfig) -> Stage {
    let stage = Stage::with(sandbox).await;
    let (secret, results) = (stage.path("keys/webhook"), stage.path("results"));
    fs::create_dir_all(stage.path("keys")).unwrap();
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(&results).unwrap();
    stage.set(|s| {
        s.main(&format!(
            "webhook_path_file = {secret:?}\nresults_dir = {results:?}"
        ));
        s.tail("[http]\nlisten = \"127.0.0.1:0\"\nwebhook_max_size = \"2KiB\"");
    })
}

fn results(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.path("results")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A push as a proxy passes it on, with the name that it is known by outside.
fn push(at: &str, path: &str, body: &str) -> Answer {
    as_host(at, "sync.example.com", "POST", path, body)
}

fn as_host(at: &str, host: &str, method: &str, path: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    exchange(stream, &request(host, method, path, "", body))
}

fn queries(stage: &Stage) -> usize {
    let all = stage.sandbox.requests().into_iter();
    all.filter(|request| request.path.ends_with("/query-task"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_becomes_a_file_and_a_question_and_nothing_more() {
    let mut stage = stage(SandboxConfig {
        pending_for: Duration::from_secs(2),
        ..SandboxConfig::default()
    })
    .await;
    // Nobody would ask by itself for an hour.
    stage.settings.poll = "first = \"1h\"\nmax = \"1h\"".into();
    stage.write();
    let daemon = stage.start();
    let base = format!("http://{}", address(&daemon));
    let said = stage.said(&["webhook", "set", &base, "--dataset", "main"]);
    assert!(
        said.contains("with its secret path") && !said.contains(SECRET),
        "{said}"
    );
    assert_eq!(
        results(&stage),
        Vec::<String>::new(),
        "the proof leaves no file"
    );
    stage.drop_file("a.txt", "words");
    daemon.until("the push led to the question", || {
        stage.state("a.txt") == "succeeded"
    });
    let names = results(&stage);
    assert_eq!(names.len(), 1);
    let body = fs::read(stage.path("results").join(&names[0])).unwrap();
    assert_eq!(names[0], format!("{}.json", blake3_of(&body)));
    assert!(String::from_utf8(body).unwrap().contains("a.txt"));
    assert!(!daemon.log().contains(SECRET));
    daemon.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_secret_path_takes_anything() {
    let stage = stage(SandboxConfig::default()).await;
    let daemon = stage.start();
    let at = address(&daemon);
    let right = format!("/webhook/{SECRET}");
    let unknown = by_tcp(&at, "POST", "/nothing/here", "", "{}");
    assert_eq!(unknown.status, 404);
    for (method, path) in [
        ("POST", "/webhook/".to_owned() + &SECRET[..20]),
        ("POST", "/webhook/path-4f1d0c77a2b94e6e".to_owned()),
        ("POST", format!("/webhook/{SECRET}/")),
        ("POST", format!("/webhook/x/{SECRET}")),
        ("POST", "/webhook/%ff".to_owned()),
        ("POST", "/webhook/..".to_owned()),
        ("GET", right.clone()),
        ("PUT", right.clone()),
        ("OPTIONS", right.clone()),
        ("GET", "/webhook/guess".to_owned()),
    ] {
        let answer = as_host(&at, "sync.example.com", method, &path, "{}");
        assert_eq!(
            (answer.status, &answer.body),
            (404, &unknown.body),
            "{method} {path}"
        );
    }
    // Only this path takes another host's name.
    for path in ["/", "/api/status", "/webhook", "/metrics", "/x/webhook/y"] {
        let answer = as_host(&at, "sync.example.com", "GET", path, "");
        assert_eq!(answer.status, 421, "{path}");
    }
    assert_eq!(results(&stage), Vec::<String>::new());
    // Whatever it holds, names and all, it becomes one file of its own name.
    let body = "{\"file\": \"../../etc/passwd\", \"taskId\": \"1\", \"state\": \"SUCCESS\"}";
    for _ in 0..3 {
        assert_eq!(push(&at, &right, body).status, 204);
    }
    assert_eq!(push(&at, &right, "").status, 204);
    assert_eq!(
        results(&stage),
        [format!("{}.json", blake3_of(body.as_bytes()))]
    );
    let about = fs::metadata(stage.path("results").join(&results(&stage)[0])).unwrap();
    assert_eq!(about.permissions().mode() & 0o137, 0);
    assert_eq!(push(&at, &right, &"x".repeat(2048)).status, 204);
    assert_eq!(push(&at, &right, &"x".repeat(2049)).status, 413);
    let endless = "Transfer-Encoding: chunked\r\n";
    let head = request("sync.example.com", "POST", &right, endless, "");
    let chunked = format!(
        "{}1000\r\n{}\r\n0\r\n\r\n",
        head.replace("Content-Length: 0\r\n", ""),
        "x".repeat(4096)
    );
    assert_eq!(
        exchange(TcpStream::connect(&at).unwrap(), &chunked).status,
        413
    );
    assert_eq!(results(&stage).len(), 2);
    fs::remove_dir_all(stage.path("results")).unwrap();
    let refused = push(&at, &right, "{\"new\": 1}");
    assert_eq!(refused.status, 503);
    assert!(!refused.body.contains("results"), "{refused:?}");
    daemon.until("the log says where", || {
        daemon.log().contains("could not be stored")
    });
    daemon.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pushes_is_no_flood_of_questions() {
    let mut stage = stage(SandboxConfig {
        pending_for: Duration::from_secs(3600),
        ..SandboxConfig::default()
    })
    .await;
    stage.settings.poll = "first = \"1h\"\nmax = \"1h\"".into();
    stage.write();
    stage.drop_file("a.txt", "words");
    let daemon = stage.start();
    daemon.until("it is at the service", || {
        stage.state("a.txt") == "submitted"
    });
    let at = address(&daemon);
    let began = std::time::Instant::now();
    for n in 0..200 {
        assert_eq!(
            push(&at, &format!("/webhook/{SECRET}"), &n.to_string()).status,
            204
        );
    }
    daemon.until("a question came of it", || queries(&stage) > 0);
    // One at once, one behind every five seconds since.
    let most = 2 + usize::try_from(began.elapsed().as_secs() / 5).unwrap();
    assert!(queries(&stage) <= most, "{} of {most}", queries(&stage));
    assert_eq!(results(&stage).len(), 200);
    assert_eq!(stage.state("a.txt"), "submitted", "a push changes no state");
    daemon.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_told_only_what_it_takes() {
    let stage = stage(SandboxConfig::default()).await;
    let told = |stage: &Stage| {
        let all = stage.sandbox.requests().into_iter();
        all.filter(|r| r.path.ends_with("/set-webhook")).count()
    };
    for (args, code, wanted) in [
        (
            &["http://sync.example.com", "--dataset", "main"][..],
            2,
            "https",
        ),
        (
            &["https://sync.example.com/?a=b", "--dataset", "main"],
            2,
            "query string",
        ),
        (
            &["https://sync.example.com", "--dataset", "other"],
            2,
            "no dataset of this name",
        ),
        // Nobody listens there.
        (
            &["http://127.0.0.1:1", "--dataset", "main"],
            1,
            "did not get through",
        ),
    ] {
        let done = stage.cli(&[&["webhook", "set"], args].concat());
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{args:?}: {said}");
        assert!(
            said.contains(wanted) && !said.contains(SECRET),
            "{args:?}: {said}"
        );
        assert_eq!(told(&stage), 0, "{args:?}");
    }
    stage.said(&[
        "webhook",
        "set",
        "https://sync.example.com",
        "--dataset",
        "main",
        "--no-proof",
    ]);
    assert_eq!(told(&stage), 1);

    // It answers with a success that it did not do it.
    let refusal =
        r#"[{"route":"webhook","body":"{\"code\":\"0\",\"data\":{\"optResult\":\"fail\"}}"}]"#;
    let faults = Fault::from_json(refusal).unwrap();
    stage.sandbox.set_faults(faults).unwrap();
    let address = [
        "https://sync.example.com",
        "--dataset",
        "main",
        "--no-proof",
    ];
    let refused = stage.cli(&[&["webhook", "set"], &address[..]].concat());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("it answers \"fail\""), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!(told(&stage), 2);
}
