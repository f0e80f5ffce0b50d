//! Files that change while they wait in the queue.

use std::fs;

use crate::slow::watching;
use crate::support::two_users::{self, Shared};
use crate::support::users::DROPPER;
use crate::support::{blake3_of, words};

/// Nothing tells who writes another user's file in a polled folder, so it has to
/// stay unchanged for `quiet_unsure`. Its row is tried again every `quiet`, and each
/// try finds another version: that must not begin its quiet time anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_replaced_in_the_queue_comes_to_rest_though_its_quiet_time_is_the_longer() {
    let stage = two_users::stage(Shared::Setgid, |s| {
        s.inbox("watch = \"poll\"\nquiet = \"200ms\"\nquiet_unsure = \"4s\"");
    });
    let Some(stage) = stage.await else { return };
    let daemon = watching(&stage);
    stage.said(&["pause", "all"]);
    let drop = |content: &[u8]| {
        let (part, path) = (stage.inbox("a.txt.part"), stage.inbox("a.txt"));
        DROPPER.does(|| {
            fs::write(&part, content).unwrap();
            fs::rename(&part, &path).unwrap();
        });
    };
    drop(&words(1, 500));
    daemon.until("it is queued", || stage.state("a.txt") == "queued");
    let newest = words(2, 700);
    drop(&newest);
    stage.said(&["resume"]);
    daemon.until("its newest version is imported", || {
        stage.state("a.txt") == "succeeded"
    });
    let uploads = stage.uploads_of("a.txt");
    assert_eq!(uploads.len(), 1, "{uploads:?}");
    assert_eq!(uploads[0].blake3, Some(blake3_of(&newest)));
    assert!(daemon.terminate().success());
}
