//! The whole program: files dropped in every way that files are dropped, and
//! each of them arrives once, byte for byte. Asserted at the sandbox.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/samples.rs"]
mod samples;
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use samples::Want::{Incomplete, No, Page, To};
use serde_json::{Value, json};
use supametas_sync::domain::media::Media;
use supametas_sync::sandbox::Call;

use support::{Expected, Stage, assert_each_once, blake3_of, expect, states, text, words};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_goes_where_it_belongs() {
    let stage = Stage::new().await;
    for (name, want) in samples::TABLE {
        // One whose end is missing gets a minute: a test of its own is below.
        if !matches!(want, Incomplete) {
            fs::copy(samples::folder().join(name), stage.inbox(name)).unwrap();
        }
    }
    // The same content under two names is sent once; here each is to be seen.
    let stage = stage.set(|s| {
        s.inbox("duplicates = \"upload\"");
    });
    let ended = stage.spawn(&["scan"]).wait();
    assert_eq!(ended.code(), Some(3), "unsupported files need attention");

    let uploads = stage.sandbox.uploads();
    let mut sent = 0;
    for (name, want) in samples::TABLE {
        let state = stage.file(name);
        match want {
            To(media, upload_name) => {
                sent += 1;
                assert_eq!(text(&state.unwrap(), "state"), "succeeded", "{name}");
                let content = fs::read(samples::folder().join(name)).unwrap();
                let found: Vec<_> = uploads
                    .iter()
                    .filter(|u| *u.file_name == **upload_name)
                    .collect();
                assert_eq!(found.len(), 1, "{name}");
                let (endpoint, options) = request_of(*media);
                assert_eq!(found[0].endpoint, endpoint, "{name}");
                assert_eq!(*found[0].data, options, "{name}");
                assert_eq!(found[0].size, content.len() as u64, "{name}");
                assert_eq!(found[0].blake3, Some(blake3_of(&content)), "{name}");
            }
            Page(address) => {
                sent += 1;
                assert_eq!(text(&state.unwrap(), "state"), "succeeded", "{name}");
                let pages = uploads.iter().filter(|u| u.endpoint == Call::Web);
                assert!(
                    pages.into_iter().any(|u| *u.file_name == **address),
                    "{name}"
                );
            }
            No(words) => {
                let file = state.unwrap();
                assert_eq!(text(&file, "state"), "unsupported", "{name}");
                assert!(text(&file, "detail").contains(words), "{name}: {file}");
            }
            Incomplete => {}
        }
    }
    assert_eq!(uploads.len(), sent);
    let imports = |path: &String| path.ends_with("-task") && !path.ends_with("query-task");
    let requests = stage.sandbox.counts().requests;
    let imports: u64 = requests
        .iter()
        .filter(|(p, _)| imports(p))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(imports, sent as u64, "what is not taken costs no request");
}

fn request_of(media: Media) -> (Call, Value) {
    match media {
        Media::Text => (
            Call::Text,
            json!({"getDemandFormat": "1", "title": 1, "contentDetails": 1}),
        ),
        Media::Image => (
            Call::Image,
            json!({"getDemandFormat": "1", "getImageText": 1}),
        ),
        Media::Audio => (Call::Audio, json!({"getDemandFormat": "1"})),
        Media::Video => (Call::Video, json!({"getDemandFormat": "1"})),
        Media::Web => (Call::Web, json!({"getDemandFormat": "1"})),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_off_waits_for_its_end() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let (half, whole) = (
        fs::read(samples::folder().join("cut.docx")).unwrap(),
        fs::read(samples::folder().join("pandoc.docx")).unwrap(),
    );
    assert!(whole.starts_with(&half));
    let path = stage.inbox("a.docx");
    fs::write(&path, &half).unwrap();
    // It has been looked at when a later file is done with.
    stage.drop_file("later.txt", "later");
    daemon.until("the later file is done", || {
        stage.state("later.txt") == "succeeded"
    });
    assert_eq!(stage.state("a.docx"), "");
    File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(&whole[half.len()..])
        .unwrap();
    daemon.until("the whole one is done", || {
        stage.state("a.docx") == "succeeded"
    });
    assert_eq!(stage.uploads_of("a.docx").len(), 1);
    assert_eq!(
        stage.uploads_of("a.docx")[0].blake3,
        Some(blake3_of(&whole))
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_being_written_is_left_alone_until_it_is_closed() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let content = words(2, 60_000);
    let mut writer = File::create(stage.inbox("slow.txt")).unwrap();
    for piece in content[..50_000].chunks(2_500) {
        writer.write_all(piece).unwrap();
        // A slow writer: 20 pieces take six times the quiet time.
        std::thread::sleep(Duration::from_millis(30));
    }
    // Then it pauses, for as long as two other files take one after the other.
    for name in ["one.txt", "two.txt"] {
        stage.drop_file(name, name);
        daemon.until("another file is done", || stage.state(name) == "succeeded");
    }
    daemon.signal(Signal::USR1);
    stage.drop_file("three.txt", "three");
    daemon.until("the third is done", || {
        stage.state("three.txt") == "succeeded"
    });
    assert_eq!(stage.state("slow.txt"), "", "it is open for writing");
    writer.write_all(&content[50_000..]).unwrap();
    drop(writer);
    daemon.until("it arrives once closed", || {
        stage.state("slow.txt") == "succeeded"
    });
    assert_eq!(stage.uploads_of("slow.txt").len(), 1);
    assert_eq!(
        stage.uploads_of("slow.txt")[0].blake3,
        Some(blake3_of(&content))
    );
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_copied_in_arrives_whole() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let mut expected = Expected::new();
    for n in 0..60 {
        let name = format!("f{n}.md");
        let content = words(n, 500 + 997 * usize::try_from(n).unwrap());
        expect(&mut expected, &name, &content);
        stage.publish(
            &stage.path(format!("tree/d{}/e{}/{name}", n % 4, n % 3)),
            content,
        );
    }
    let copied = Command::new("cp")
        .arg("-r")
        .arg(stage.path("tree"))
        .arg(stage.inbox(""))
        .status();
    assert!(copied.unwrap().success());
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 60)])
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_names_wait_for_their_final_one() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let mut expected = Expected::new();
    for (n, (temporary, last)) in [
        ("a.txt.part", "a.txt"),
        ("b.tmp", "b.txt"),
        (".c.txt.Xy12aB", "c.txt"),
        ("d.txt~", "d.txt"),
        ("e.pdf.crdownload", "e.txt"),
        ("~$f.txt", "f.txt"),
    ]
    .into_iter()
    .enumerate()
    {
        let content = words(n as u64, 100);
        fs::write(stage.inbox(temporary), &content).unwrap();
        expect(&mut expected, last, &content);
    }
    stage.drop_file("sentinel.txt", "s");
    daemon.until("the sentinel is done", || {
        stage.state("sentinel.txt") == "succeeded"
    });
    assert_eq!(
        stage.list().len(),
        1,
        "none of the temporary names is taken"
    );
    for entry in fs::read_dir(stage.inbox("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(letter) = name.trim_start_matches(['.', '~', '$']).chars().next() else {
            continue;
        };
        if letter != 's' {
            fs::rename(stage.inbox(&name), stage.inbox(format!("{letter}.txt"))).unwrap();
        }
    }
    expect(&mut expected, "sentinel.txt", b"s");
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 7)])
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_deleted_at_once_leave_nothing_behind() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    for n in 0..50 {
        let path = stage.drop_file(format!("brief{n}.txt"), words(n, 2_000));
        if n % 2 == 1 {
            // Half of them have a moment, so that some are already in hand.
            std::thread::sleep(Duration::from_millis(n % 7));
        }
        fs::remove_file(path).unwrap();
    }
    let kept = words(99, 2_000);
    stage.drop_file("kept.txt", &kept);
    daemon.until("the kept one is done, and no other is on its way", || {
        let states = stage.states();
        let ended = ["succeeded", "gone"];
        stage.state("kept.txt") == "succeeded" && states.keys().all(|s| ended.contains(&s.as_str()))
    });
    for upload in stage.sandbox.uploads() {
        let n = upload
            .file_name
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap_or(99);
        assert_eq!(
            upload.blake3,
            Some(blake3_of(&words(n, 2_000))),
            "{}",
            upload.file_name
        );
    }
    assert_eq!(stage.uploads_of("kept.txt").len(), 1);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_files_are_there_at_the_start() {
    let stage = Stage::new().await;
    let mut expected = Expected::new();
    for n in 0..2_000 {
        let (name, content) = (format!("n{n}.txt"), words(n, 300));
        let dir = stage.inbox(format!("d{}", n % 20));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(&name), &content).unwrap();
        expect(&mut expected, &name, &content);
    }
    let daemon = stage.start();
    daemon.until("all have arrived", || {
        stage.sandbox.counts().uploads >= 2_000
    });
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 2_000)])
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_nested_folders_lose_no_file() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    let mut expected = Expected::new();
    // 500 folders, three deep: 10 × (1 + 7 × (1 + 6)), made as fast as it goes,
    // with a file in each as soon as it is there.
    let mut dirs = Vec::new();
    for a in 0..10 {
        dirs.push(format!("a{a}"));
        for b in 0..7 {
            dirs.push(format!("a{a}/b{b}"));
            dirs.extend((0..6).map(|c| format!("a{a}/b{b}/c{c}")));
        }
    }
    assert_eq!(dirs.len(), 500);
    for (n, dir) in dirs.iter().enumerate() {
        let (name, content) = (format!("n{n}.txt"), words(n as u64, 200));
        fs::create_dir(stage.inbox(dir)).unwrap();
        fs::write(stage.inbox(dir).join(&name), &content).unwrap();
        expect(&mut expected, &name, &content);
    }
    daemon.until("all have arrived", || stage.sandbox.counts().uploads >= 500);
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 500)])
    });
    assert_each_once(&stage, &expected);
    // And each is watched: a second file in every one of them is seen.
    for (n, dir) in dirs.iter().enumerate() {
        let (name, content) = (format!("second{n}.txt"), words(n as u64 + 5_000, 200));
        stage.publish(&stage.inbox(dir).join(&name), &content);
        expect(&mut expected, &name, &content);
    }
    daemon.until("all have arrived", || {
        stage.sandbox.counts().uploads >= 1_000
    });
    daemon.until("all are done", || {
        stage.states() == states(&[("succeeded", 1_000)])
    });
    assert_each_once(&stage, &expected);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_never_come_back_as_uploads() {
    let stage = Stage::new().await;
    let daemon = stage.start();
    for n in 0..20 {
        stage.drop_file(format!("dir/n{n}.txt"), words(n, 400_000));
    }
    let done = |n: usize| states(&[("succeeded", n)]);
    daemon.until("all are done", || stage.states() == done(20));
    // Reads by others, and a second full scan.
    for n in 0..20 {
        fs::read(stage.inbox(format!("dir/n{n}.txt"))).unwrap();
    }
    daemon.signal(Signal::USR1);
    stage.drop_file(
        "sentinel.txt",
        "what was sighted before this has been looked through",
    );
    daemon.until("the sentinel is done", || {
        stage.state("sentinel.txt") == "succeeded"
    });
    assert_eq!(stage.states(), done(21));
    assert_eq!(stage.sandbox.uploads().len(), 21);
    assert_eq!(daemon.log().matches(" queued file=").count(), 21);
    assert!(daemon.terminate().success());

    // Nor in the next run, which looks at every file again.
    let before = stage.sandbox.requests().len();
    assert!(stage.spawn(&["scan"]).wait().success());
    assert_eq!(
        stage.sandbox.requests().len(),
        before,
        "nothing was left to ask"
    );
}
