//! Lists page by page, what went through, and what can be cancelled.

use serde_json::{Value, json};
use supametas_sync::sandbox::SandboxConfig;

use crate::support::http::{address, by_socket, by_tcp, get};
use crate::support::{Stage, words};
use crate::{TOKEN, listening};

const JSON: &str = "Content-Type: application/json\r\n";

/// All pages from an address on: the names of their files, and what each said of
/// the number of all.
fn pages(stage: &Stage, first: &str) -> (Vec<Vec<String>>, Vec<String>) {
    let (mut at, mut pages, mut totals) = (first.to_owned(), Vec::new(), Vec::new());
    loop {
        let answer = get(stage, &at);
        assert_eq!(answer.status, 200, "{at}: {answer:?}");
        totals.push(answer.header("x-total-count").to_owned());
        let files = answer.json();
        let files = files.as_array().unwrap().iter();
        pages.push(
            files
                .map(|file| file["file"].as_str().unwrap().to_owned())
                .collect(),
        );
        let link = answer.header("link");
        if link.is_empty() {
            return (pages, totals);
        }
        let next = link.strip_prefix('<').unwrap();
        let next = next.strip_suffix(">; rel=\"next\"").unwrap();
        next.clone_into(&mut at);
        assert!(pages.len() < 20, "no end: {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_totals_and_an_order() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let names = [
        "b &?.txt",
        "A.txt",
        "報告.txt",
        "ä.txt",
        "Ä2.txt",
        "c.doc",
        "d.doc",
    ];
    for (n, name) in (1..).zip(names) {
        let size = 100 * usize::try_from(n).unwrap();
        let content = match name.ends_with(".doc") {
            true => vec![1; size],
            false => words(n, size),
        };
        stage.drop_file(name, content);
    }
    daemon.until("all have ended", || {
        let states = stage.states();
        states.get("succeeded") == Some(&5) && states.get("unsupported") == Some(&2)
    });
    for (query, wanted) in [
        (
            "sort=name&limit=3",
            "A.txt b &?.txt c.doc|d.doc ä.txt Ä2.txt|報告.txt",
        ),
        (
            "sort=-size&limit=4",
            "d.doc c.doc Ä2.txt ä.txt|報告.txt A.txt b &?.txt",
        ),
        (
            "sort=size&state=succeeded&limit=5",
            "b &?.txt A.txt 報告.txt ä.txt Ä2.txt",
        ),
        (
            "sort=size&name=%C3%A4&any_case=true&limit=1",
            "ä.txt|Ä2.txt",
        ),
        ("sort=size&name=%C3%A4", "ä.txt"),
        ("sort=name&attention=true&limit=1", "c.doc|d.doc"),
        (
            "sort=name&attention=true&state=unsupported&limit=2",
            "c.doc d.doc",
        ),
        ("sort=name&name=%26&limit=1", "b &?.txt"),
        ("name=none", ""),
    ] {
        let (found, totals) = pages(&stage, &format!("/api/files?{query}"));
        let told: Vec<String> = found.iter().map(|page| page.join(" ")).collect();
        assert_eq!(told.join("|"), wanted, "{query}");
        let all = found.concat().len().to_string();
        assert!(
            totals.iter().all(|total| *total == all),
            "{query}: {totals:?}"
        );
    }
    for wrong in [
        "sort=date",
        "after=x",
        "sort=name&after=1.1.1",
        "attention=true&state=queued",
    ] {
        assert_eq!(
            get(&stage, &format!("/api/files?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_counts_while_it_is_sent_and_says_how_long_it_takes() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"512KiB\"");
    });
    let daemon = stage.start();
    let size = 24 << 20;
    stage.drop_file("long.txt", words(1, size));
    let status = || get(&stage, "/api/status").json();
    daemon.until("it is foretold when it is through", || {
        let daemon = &status()["daemon"];
        let (upload, queue) = (&daemon["in_flight"][0], &daemon["queue"]);
        upload["eta_s"].is_u64() && queue["eta_s"].is_u64()
    });
    let status = status();
    let (upload, queue) = (
        &status["daemon"]["in_flight"][0],
        &status["daemon"]["queue"],
    );
    let number = |value: &Value| value.as_u64().unwrap();
    let (pace, eta) = (
        number(&upload["bytes_per_second"]),
        number(&upload["eta_s"]),
    );
    assert!(pace > 1_000 && eta > 1, "{upload:#}");
    let left = size as u64 - number(&upload["sent"]);
    assert_eq!(eta, left / pace, "{upload:#}");
    assert_eq!(queue["files"], 1);
    assert!(number(&queue["bytes"]) <= left, "{queue:#}");
    let rate = &status["daemon"]["rates"][0];
    assert_eq!((&rate["files"], &rate["bytes"]), (&json!(0), &json!(0)));
    assert!(number(&rate["sent_bytes"]) > 0, "{rate:#}");
    let charts = get(&stage, "/api/charts").json();
    for (chart, steps, step) in [("hour", 60, 60), ("day", 96, 900)] {
        let chart = &charts[chart];
        assert_eq!(
            (&chart["steps"], &chart["step_s"]),
            (&json!(steps), &json!(step))
        );
        let sent = chart["sent_bytes"].as_array().unwrap().iter().map(number);
        let sent: u64 = sent.sum();
        assert!(sent > 0 && sent <= size as u64, "{chart:#}");
        assert_eq!(
            chart["files"].as_array().unwrap().len(),
            chart["failed"].as_array().unwrap().len()
        );
    }
    daemon.kill9();
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_cancelled_over_http_and_not_more_than_can_be_answered() {
    let stage = Stage::with(SandboxConfig {
        pending_for: std::time::Duration::from_secs(600),
        ..SandboxConfig::default()
    });
    let stage = stage.await;
    let daemon = stage.start();
    for n in 0..22 {
        stage.drop_file(format!("{n:02}.txt"), format!("words of {n}"));
    }
    stage.drop_file("odd.doc", "x");
    daemon.until("all are at the service", || {
        stage.states().get("submitted") == Some(&22) && stage.state("odd.doc") == "unsupported"
    });
    let cancel = |body: Value| by_socket(&stage, "POST", "/api/cancel", JSON, &body.to_string());
    let odd = stage.file("odd.doc").unwrap()["id"].clone();
    let would = cancel(json!({ "folder": "inbox", "dry_run": true })).json();
    assert_eq!(would["cancelled"].as_array().unwrap().len(), 22);
    assert_eq!(would["dry_run"], true);
    let all = cancel(json!({ "folder": "inbox" }));
    assert_eq!(all.status, 400, "{all:?}");
    assert!(all.body.contains("22 files are meant"), "{all:?}");
    assert_eq!(
        stage.states().get("submitted"),
        Some(&22),
        "nothing was done"
    );
    let done = cancel(json!({ "ids": [would["cancelled"][0], odd, 99_999] })).json();
    assert_eq!(done["cancelled"], json!([would["cancelled"][0]]));
    assert_eq!(done["refused"].as_array().unwrap().len(), 2, "{done:#}");
    assert_eq!(stage.states().get("cancelled"), Some(&1));
    assert_eq!(cancel(json!({})).status, 400);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_from_this_machine_is_told_where_the_token_is() {
    let stage = listening(true).await;
    let daemon = stage.start();
    let answer = by_tcp(&address(&daemon), "POST", "/api/retry", JSON, "{}");
    assert_eq!(answer.status, 401);
    let file = stage.path("token");
    let file = file.to_str().unwrap();
    assert_eq!(answer.json()["token_file"], file);
    assert!(answer.json()["error"].as_str().unwrap().contains(file));
    assert!(!answer.body.contains(TOKEN));
    assert_eq!(daemon.terminate().code(), Some(0));
}
