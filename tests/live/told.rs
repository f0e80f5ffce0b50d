//! Each endpoint, and what it says of files, folders and uploads.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde_json::{Value, json};
use supametas_sync::sandbox::SandboxConfig;

use crate::listening;
use crate::support::http::{address, by_tcp, get};
use crate::support::{Stage, words};

#[tokio::test(flavor = "multi_thread")]
async fn files_are_told_as_the_commands_tell_them() {
    let stage = listening(false).await;
    let daemon = stage.start();
    stage.drop_file("report.txt", "words");
    stage.drop_file("old.doc", "\u{1}");
    daemon.until("both have ended", || {
        stage.state("report.txt") == "succeeded" && stage.state("old.doc") == "unsupported"
    });
    let at = address(&daemon);
    for ask in [
        &(|path: &str| get(&stage, path)) as &dyn Fn(&str) -> _,
        &|path: &str| by_tcp(&at, "GET", path, "", ""),
    ] {
        let listed: Value = serde_json::from_str(&stage.said(&["list", "--json"])).unwrap();
        let told = ask("/api/files");
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(told.header("content-type"), "application/json");
        assert_eq!(told.json(), listed);
        assert_eq!(
            ask("/api/files?state=unsupported").json()[0]["file"],
            "old.doc"
        );
        assert_eq!(
            ask("/api/files?attention=true")
                .json()
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            ask("/api/files?limit=1").json().as_array().unwrap().len(),
            1
        );
        assert_eq!(
            ask("/api/files?name=report&since=1h&folder=inbox").json()[0]["file"],
            "report.txt"
        );
        assert_eq!(ask("/api/files?folder=none").json(), json!([]));
        assert_eq!(ask("/api/files?limit=many").status, 400);

        let id = stage.file("report.txt").unwrap()["id"].to_string();
        let shown: Value = serde_json::from_str(&stage.said(&["show", &id, "--json"])).unwrap();
        assert_eq!(ask(&format!("/api/files/{id}")).json(), shown[0]);
        for none in ["/api/files/999999", "/api/files/x", "/api/files/-1"] {
            assert_eq!(ask(none).status, 404, "{none}");
        }
        let errors: Value = serde_json::from_str(&stage.said(&["errors", "--json"])).unwrap();
        assert_eq!(ask("/api/errors").json(), errors);
        assert_eq!(ask("/api/none").status, 404);
        assert_eq!(ask("/healthz").json(), json!({ "ok": true }));
        let page = ask("/");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.body.contains("supametas-sync"), "{page:?}");
        assert!(!page.body.contains("style="), "the policy would refuse it");
        assert!(
            ask("/page.css")
                .header("content-type")
                .starts_with("text/css")
        );
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_totals_are_told() {
    let stage = Stage::new().await.set(|s| {
        s.folder("away", "main", "")
            .folder("polled", "main", "watch = \"poll\"");
    });
    fs::remove_dir(stage.path("away")).unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", "words");
    daemon.until("ready, and the file is through", || {
        get(&stage, "/readyz").status == 200 && stage.state("a.txt") == "succeeded"
    });
    let ready = get(&stage, "/readyz").json();
    assert_eq!(
        (&ready["ready"], &ready["reasons"]),
        (&json!(true), &json!([]))
    );
    // What is off line is named, and makes the daemon no less ready.
    assert_eq!(ready["offline"][0]["folder"], "away");
    let told = get(&stage, "/api/status").json();
    assert_eq!(told["running"], true);
    assert_eq!(
        told["totals"]["succeeded"],
        json!({ "files": 1, "bytes": 5 })
    );
    assert_eq!(told["attention"], 0);
    let folder = |name: &str| {
        let folders = told["folders"].as_array().unwrap();
        folders
            .iter()
            .find(|f| f["folder"] == name)
            .unwrap()
            .clone()
    };
    let inbox = folder("inbox");
    assert_eq!(inbox["files"], json!({ "succeeded": 1 }));
    assert_eq!(inbox["live"]["online"], true);
    assert_eq!(inbox["live"]["watch"], "events");
    assert!(inbox["live"]["last_scan"]["at"].is_string(), "{inbox:#}");
    assert!(inbox["live"]["since"].is_string() && inbox["live"]["offline_why"].is_null());
    assert_eq!(folder("polled")["live"]["watch"], "polling");
    let away = folder("away");
    assert_eq!(away["live"]["online"], false);
    assert!(away["live"]["since"].is_string(), "{away:#}");
    let why = away["live"]["offline_why"].as_str().unwrap();
    assert!(why.contains("nothing at its path"), "{why}");
    let daemon_told = &told["daemon"];
    assert_eq!(daemon_told["rates"][0]["files"], 1, "{daemon_told:#}");
    assert_eq!(daemon_told["rates"][1]["bytes"], 5);
    assert_eq!(daemon_told["may_act"], true);
    assert!(daemon_told["watches"]["used"].as_u64().unwrap() >= 1);

    let since = away["live"]["since"].clone();
    fs::create_dir(stage.path("away")).unwrap();
    daemon.until("the folder is back", || {
        let told = get(&stage, "/api/status").json();
        let away = &told["folders"][0];
        assert_eq!(away["folder"], "away");
        away["live"]["online"] == true && away["live"]["since"] != since
    });
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_told_while_it_goes() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"256KiB\"");
    });
    let daemon = stage.start();
    stage.drop_file("large.txt", words(1, 8 << 20));
    let upload = || get(&stage, "/api/status").json()["daemon"]["in_flight"][0].clone();
    daemon.until("it is part of the way", || {
        upload()["sent"].as_u64().is_some_and(|sent| sent > 0)
    });
    let told = upload();
    assert_eq!(told["file"], "large.txt");
    assert_eq!(
        (&told["folder"], &told["dataset"]),
        (&json!("inbox"), &json!("main"))
    );
    assert_eq!(
        (&told["media"], &told["size"]),
        (&json!("text"), &json!(8 << 20))
    );
    assert_eq!(told["probe"], false);
    assert_eq!(told["id"], stage.file("large.txt").unwrap()["id"]);
    let before = told["sent"].as_u64().unwrap();
    assert!(before < 8 << 20, "{told:#}");
    daemon.until("it goes on", || upload()["sent"].as_u64().unwrap() > before);
    let status = stage.said(&["status"]);
    assert!(
        status.contains("inbox/large.txt") && status.contains(" %"),
        "{status}"
    );
    daemon.kill9();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_settles_is_counted() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let open = fs::File::create(stage.inbox("growing.txt")).unwrap();
    let settling = || get(&stage, "/api/status").json()["folders"][0]["live"]["settling"].clone();
    daemon.until("it settles", || settling() == 1);
    drop(open);
    fs::remove_file(stage.inbox("growing.txt")).unwrap();
    daemon.until("it is forgotten", || settling() == 0);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_told_harmlessly() {
    let stage = Stage::with(SandboxConfig {
        answer_delay: Duration::from_secs(600),
        ..SandboxConfig::default()
    })
    .await;
    let daemon = stage.start();
    let name = std::ffi::OsStr::from_bytes(b"\x1b[31m<script>\xff\n\xe2\x80\xaex.txt");
    stage.drop_file(std::path::Path::new(name), "words");
    // Before that it is named among what is being written.
    daemon.until("it is on the wire", || {
        get(&stage, "/api/status").json()["daemon"]["in_flight"][0]["file"].is_string()
    });
    let shown = "\\x1b[31m<script>\\xff\\n\\u{202e}x.txt";
    let status = get(&stage, "/api/status");
    assert_eq!(status.json()["daemon"]["in_flight"][0]["file"], shown);
    assert_eq!(get(&stage, "/api/files").json()[0]["file"], shown);
    let printed = stage.said(&["status"]);
    assert!(printed.contains(shown), "{printed}");
    for text in [status.body, printed, get(&stage, "/metrics").body] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    daemon.kill9();
}
