//! The whole program: files whose end is missing wait for it, on every way in; then
//! they are sent and marked, or end as unsupported where nothing can open them.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/samples.rs"]
mod samples;
mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use support::{Stage, text};

fn sample(name: &str) -> Vec<u8> {
    fs::read(samples::folder().join(name)).unwrap()
}

fn note(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

async fn stage(more: &str) -> Stage {
    Stage::new().await.set(|s| {
        s.inbox(more);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_more_comes_of_is_sent_and_marked_or_refused() {
    let stage = stage("incomplete_wait = \"1s\"\non_reject = \"move\"").await;
    let told = stage.path("told");
    let hook = format!(
        "[[folder.hook]]\non = [\"succeeded\", \"unsupported\"]\ncommand = [\"/bin/sh\", \"-c\", \
         'echo \"$SUPAMETAS_FILE $SUPAMETAS_REASON_KIND/$SUPAMETAS_MAY_BE_INCOMPLETE\" >> {}']",
        told.display()
    );
    let stage = stage.set(|s| {
        s.tail(&hook);
    });
    let png = sample("gradient.png");
    // What lies there at the start, what is renamed in and what is written.
    stage.publish(&stage.inbox("a.png"), &png[..png.len() - 20]);
    let daemon = stage.start();
    stage.publish(&stage.inbox("b.png"), &png[..png.len() - 30]);
    fs::write(stage.inbox("c.png"), &png[..png.len() - 40]).unwrap();
    stage.publish(&stage.inbox("half.docx"), sample("cut.docx"));
    stage.publish(&stage.inbox("notes.doc"), sample("old.doc"));
    stage.publish(&stage.inbox("whole.png"), &png);
    daemon.until("all have ended", || {
        let all = stage.list();
        all.len() == 6 && all.iter().all(|file| file["final"] == true)
    });
    for (name, state, marked, kind) in [
        ("a.png", "succeeded", true, Value::Null),
        ("b.png", "succeeded", true, Value::Null),
        ("c.png", "succeeded", true, Value::Null),
        ("whole.png", "succeeded", false, Value::Null),
        ("half.docx", "unsupported", false, "cut".into()),
        ("notes.doc", "unsupported", false, "unlisted".into()),
    ] {
        let file = stage.file(name).unwrap();
        assert_eq!(text(&file, "state"), state, "{name}");
        assert_eq!(file["may_be_incomplete"], marked, "{name}");
        assert_eq!(file["reason_kind"], kind, "{name}");
        assert_eq!(
            stage.said(&["show", name]).contains("may be incomplete"),
            marked,
            "{name}"
        );
    }
    let rejected = stage.inbox(".supametas-rejected");
    daemon.until("the refused are put aside", || {
        rejected.join("half.docx.supametas.json").exists()
            && rejected.join("notes.doc.supametas.json").exists()
    });
    let told = note(&rejected.join("half.docx.supametas.json"));
    assert_eq!(
        (&told["reason_kind"], &told["may_be_incomplete"]),
        (&"cut".into(), &false.into())
    );
    daemon.until("the hook was told of all", || {
        let told = fs::read_to_string(stage.path("told")).unwrap_or_default();
        [
            "a.png /1",
            "whole.png /\n",
            "half.docx cut/\n",
            "notes.doc unlisted/\n",
        ]
        .iter()
        .all(|line| told.contains(line))
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_completed_in_time_is_sent_whole_and_once() {
    let stage = stage("incomplete_wait = \"1h\"").await;
    let daemon = stage.start();
    let png = sample("gradient.png");
    let (beginning, end) = png.split_at(png.len() - 20);
    let path = stage.drop_file("a.png", beginning);
    // A whole file that comes later goes first.
    stage.drop_file("b.txt", "words");
    daemon.until("the other is done", || stage.state("b.txt") == "succeeded");
    let held = || stage.said(&["explain", path.to_str().unwrap()]);
    daemon.until("it is held for its end", || held().contains("cut off"));
    assert!(stage.file("a.png").is_none());
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    writer.write_all(end).unwrap();
    drop(writer);
    daemon.until("it is done", || stage.state("a.png") == "succeeded");
    assert_eq!(stage.file("a.png").unwrap()["may_be_incomplete"], false);
    let uploads = stage.uploads_of("a.png");
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].size, png.len() as u64);
    assert!(daemon.terminate().success());
}
