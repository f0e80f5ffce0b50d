//! The whole program.
#![allow(clippy::unwrap_used, missing_docs)]
mod support;
use support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_by_rename_becomes_a_finished_task() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("a.txt", words(1, 3000));
    daemon.until("it succeeded", || stage.state("a.txt") == "succeeded");
    let uploads = stage.sandbox.uploads();
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0].blake3, Some(blake3_of(&words(1, 3000))));
    assert!(daemon.terminate().success());
}
