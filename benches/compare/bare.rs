//! The physical reference: a bare `reqwest` client that reads files and posts
//! them, so many at once, with no ledger, no watching, no retries. It runs as a
//! process of its own (this benchmark, started anew), so that it is measured
//! like all others.
//!
//! Must not: do anything for safety; that is what it is the reference for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::multipart::{Form, Part};

/// Posts every file of `dir` to `url`. Ends the process with a panic when one
/// is refused.
pub fn run(url: &str, dir: &Path, at_once: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let all = std::fs::read_dir(dir).expect("the folder");
        let files: Arc<Vec<PathBuf>> = Arc::new(all.flatten().map(|e| e.path()).collect());
        // A client can't be built without, even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.expect("a client");
        let next = Arc::new(AtomicUsize::new(0));
        let lanes = (0..at_once).map(|_| {
            let (client, files, next) = (client.clone(), Arc::clone(&files), Arc::clone(&next));
            let url = url.to_owned();
            tokio::spawn(async move {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    post(&client, &url, file).await;
                }
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            lane.await.expect("no panic");
        }
    });
}

async fn post(client: &reqwest::Client, url: &str, file: &Path) {
    // Small, and in the page cache: a thread for each would only cost.
    let content = std::fs::read(file).expect("the file");
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let data = Part::text("{}")
        .mime_str("application/json")
        .expect("a type");
    let form = Form::new()
        .part("data", data)
        .part("file", Part::bytes(content).file_name(name.into_owned()));
    let answer = client
        .post(url)
        .header("Access-Key", "bench")
        .multipart(form);
    let answer = answer.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.bytes().await.expect("a body");
}
