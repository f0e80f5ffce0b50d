//! The whole program: large files and their copies. A file of a new size is read
//! once, and yet none is sent twice.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::{self, File};
use std::io::{Seek, Write};

use supametas_sync::sandbox::Fault;

use support::{Daemon, Stage, blake3_of, states, text, words};

/// More than one chunk.
const LARGE: usize = 3_000_000;

/// Bytes that the process has read, wherever from.
fn bytes_read(daemon: &Daemon) -> u64 {
    let io = fs::read_to_string(format!("/proc/{}/io", daemon.pid())).unwrap();
    let line = io.lines().find(|line| line.starts_with("rchar:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn imports(stage: &Stage) -> u64 {
    let requests = stage.sandbox.counts().requests;
    let of = |path: &str| path.ends_with("file-task");
    requests.iter().filter(|(p, _)| of(p)).map(|(_, n)| n).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_read_twice_only_where_one_of_its_size_is_known() {
    const MIB: usize = 16 << 20;
    let stage = Stage::new().await;
    let daemon = stage.start();
    stage.drop_file("first.txt", "everything was used once");
    let done = |name: &str| stage.state(name) == "succeeded";
    daemon.until("the small one is done", || done("first.txt"));
    let contents = [words(1, MIB), words(2, MIB)];
    // What it reads besides: the ledger's files, sockets, /proc.
    for (name, content, times) in [
        ("new.txt", &contents[0], 1.0..1.6),
        ("same-size.txt", &contents[1], 2.0..2.6),
    ] {
        let before = bytes_read(&daemon);
        stage.drop_file(name, content);
        daemon.until("it is done", || done(name));
        let read = (bytes_read(&daemon) - before) as f64 / MIB as f64;
        assert!(times.contains(&read), "{name} was read {read} times");
        let row = stage.file(name).unwrap();
        assert_eq!(text(&row, "blake3"), blake3_of(content));
        assert_eq!(stage.uploads_of(name)[0].blake3, Some(blake3_of(content)));
    }
    // And a copy is known by what was taken on the way.
    stage.drop_file("copy.txt", &contents[0]);
    daemon.until("it is known", || stage.state("copy.txt") == "duplicate");
    assert_eq!(imports(&stage), 3);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_large_files_dropped_at_once_are_one_upload_and_duplicates() {
    // In one folder, and in two folders of one dataset, each first once.
    for places in [["inbox", "inbox"], ["inbox", "other"], ["other", "inbox"]] {
        let stage = Stage::new().await.set(|s| {
            s.folder("other", "main", "");
        });
        let daemon = stage.start();
        let mut beside = Vec::new();
        for (n, place) in places.iter().enumerate() {
            let to = stage.path(place).join(format!("{place}-{n}.txt"));
            beside.push((stage.path(format!("beside-{n}")), to));
            fs::write(&beside[n].0, words(1, LARGE)).unwrap();
        }
        for (from, to) in &beside {
            fs::rename(from, to).unwrap();
        }
        let expected = states(&[("succeeded", 1), ("duplicate", 1)]);
        daemon.until("both have ended", || stage.states() == expected);
        // The second did not even begin: nothing of it went over the line.
        assert_eq!((stage.sandbox.uploads().len(), imports(&stage)), (1, 1));
        assert!(daemon.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_of_one_size_that_differ_are_sent_at_once() {
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 4\nbytes_per_second = \"2MiB\"");
    });
    let daemon = stage.start();
    for n in 0..4 {
        stage.drop_file(format!("{n}.txt"), words(n, LARGE));
    }
    daemon.until("all are on the wire", || {
        stage.sandbox.counts().in_flight == 4
    });
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 4)])
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_when_the_one_that_it_waited_for_does_not_get_through() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"1MiB\"");
    });
    let refuse = "[[fault]]\nfile = \"first.txt\"\nstatus = 400\ncode = \"OPS40002\"";
    let refuse = Fault::from_toml(refuse).unwrap();
    stage.sandbox.set_faults(refuse).unwrap();
    let daemon = stage.start();
    stage.drop_file("first.txt", words(1, LARGE));
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    stage.drop_file("copy.txt", words(1, LARGE));
    daemon.until("one was refused, the other taken", || {
        stage.state("first.txt") == "rejected" && stage.state("copy.txt") == "succeeded"
    });
    assert!(daemon.terminate().success());
}

/// The ledger's own look, behind the one at the first chunk: here the content
/// becomes the other's after that, under the same size and time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_shows_only_on_the_wire_is_cut_off_before_its_last_byte() {
    let stage = Stage::new().await.set(|s| {
        s.main("concurrency = 1\nmax_concurrent = 1\nbytes_per_second = \"1MiB\"");
    });
    let content = words(1, LARGE);
    let mut masked = content.clone();
    masked[..9].copy_from_slice(b"different");
    let daemon = stage.start();
    stage.drop_file("first.txt", &content);
    daemon.until("it is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    stage.drop_file("masked.txt", &masked);
    daemon.until("it is recorded ahead of the wire", || {
        stage.state("masked.txt") == "uploading"
    });
    let path = stage.inbox("masked.txt");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.rewind().unwrap();
    file.write_all(&content[..9]).unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    daemon.until("it was seen to be the same", || {
        stage.state("masked.txt") == "duplicate"
    });
    assert_eq!(stage.sandbox.uploads().len(), 1);
    assert_eq!(imports(&stage), 2, "the second was on the wire");
    daemon.until("the first is done", || {
        stage.state("first.txt") == "succeeded"
    });
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_the_wire_leaves_no_large_file_in_doubt_and_none_twice() {
    let stage = Stage::new().await.set(|s| {
        s.main("bytes_per_second = \"1MiB\"");
        s.inbox("unconfirmed = \"hold\"");
    });
    stage.drop_file("a.txt", words(1, LARGE));
    stage.drop_file("b.txt", words(1, LARGE));
    let daemon = stage.start();
    daemon.until("one is on the wire", || {
        stage.sandbox.counts().in_flight == 1
    });
    daemon.kill9();
    let daemon = stage.start();
    let expected = states(&[("succeeded", 1), ("duplicate", 1)]);
    daemon.until("both have ended", || stage.states() == expected);
    assert_eq!(stage.sandbox.uploads().len(), 1);
    assert!(daemon.terminate().success());
}

/// Its answer was lost, with `hold`: a copy waits for who decides, as one of a
/// small file does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_large_file_in_doubt_is_not_sent() {
    let stage = Stage::new().await.set(|s| {
        s.inbox("unconfirmed = \"hold\"");
    });
    let cut = Fault::from_toml("[[fault]]\nfile = \"a.txt\"\ncut = \"after-body\"").unwrap();
    stage.sandbox.set_faults(cut).unwrap();
    let daemon = stage.start();
    stage.drop_file("a.txt", words(1, LARGE));
    daemon.until("it is in doubt", || stage.state("a.txt") == "unconfirmed");
    stage.drop_file("copy.txt", words(1, LARGE));
    daemon.until("it waits", || stage.state("copy.txt") == "duplicate");
    assert_eq!(imports(&stage), 1);
    assert!(daemon.terminate().success());
}
