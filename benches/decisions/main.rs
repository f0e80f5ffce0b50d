//! What single decisions cost, in process: the state machine, settling,
//! sorting, globs, a request's head, and the ledger's shared transactions.
//!
//! `cargo bench --bench decisions`; one of them: `-- sort`. Between two versions
//! of the program it says which step has become slower; what a file costs as a
//! whole is for the other benchmarks. `cargo test --benches` runs each once.
//!
//! Must not: judge, or go through the network.

mod ledger;

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use supametas_sync::api::multipart::frame;
use supametas_sync::domain::answer::{Answer, Body, Call, Outcome, TaskState};
use supametas_sync::domain::backoff::Backoff;
use supametas_sync::domain::error_table::{ErrorTable, Judgement, Trail};
use supametas_sync::domain::ids::{AttemptId, FolderName, TaskId};
use supametas_sync::domain::lifecycle::{
    AfterSuccess, Event, OnReject, OnUnconfirmed, Policy, PollPace, step,
};
use supametas_sync::domain::media::{default_lists, sort};
use supametas_sync::domain::settle::{Look, Openness, SettleRules, Settling, Sighted};
use supametas_sync::domain::state::{Polls, State, Tries};
use supametas_sync::domain::time::{Moment, Timestamp};
use supametas_sync::domain::version::FileVersion;
use supametas_sync::media::detect;
use supametas_sync::watch::rules::TakeRules;
use supametas_sync::watch::settings::{How, Watched};

const NOW: Moment = Moment {
    now: Timestamp(1_750_000_000_000),
    chance: 0.5,
};

fn policy() -> Policy {
    let secs = Duration::from_secs;
    Policy {
        backoff: Backoff::new(secs(1), secs(900)).expect("a backoff"),
        give_up_after: secs(72 * 3600),
        unconfirmed: OnUnconfirmed::Resend {
            times: 3,
            first: Duration::from_secs(60),
        },
        resubmit_failed: 0,
        poll: PollPace {
            first: secs(2),
            max: secs(300),
        },
        quiet: secs(1),
        reimport_after: Duration::ZERO,
        after: AfterSuccess::Keep,
        on_reject: OnReject::Keep,
    }
}

fn task() -> TaskId {
    TaskId::new("1900000000000000001").expect("a task ID")
}

/// What the service says when it takes a file, or of a task.
fn judged(call: Call, task_state: Option<TaskState>) -> Judgement {
    let outcome = Outcome::Answer(Answer {
        status: 200,
        body: Body::Envelope {
            code: "0".to_owned(),
            message: Some("success".to_owned()),
            task: Some(task()),
            task_state,
            opt_result: None,
        },
        ..Answer::default()
    });
    ErrorTable::default().judge(call, &outcome, Trail::default())
}

fn version(path: &str) -> FileVersion {
    FileVersion {
        path: path.as_bytes().to_vec(),
        dev: 1,
        inode: 2,
        size: 20_000,
        mtime_ns: 1_740_000_000_000_000_000,
        born_ns: None,
    }
}

/// The ordinary way of a file through the state machine.
fn lifecycle(c: &mut Criterion) {
    let policy = policy();
    let tries = Tries::new(NOW.now);
    let uploading = State::Uploading {
        attempt: AttemptId(7),
        last_byte_sent: true,
        tries,
    };
    let submitted = State::Submitted {
        task: task(),
        next_poll: NOW.now,
        polls: Polls::default(),
        tries,
    };
    let queued = State::Queued {
        not_before: NOW.now,
        tries,
    };
    let begun = Event::Begun {
        attempt: AttemptId(7),
        one_chunk: true,
    };
    let way = [
        (queued, begun),
        (uploading, Event::Judged(judged(Call::Upload, None))),
        (
            submitted.clone(),
            Event::Judged(judged(Call::Query, Some(TaskState::Pending))),
        ),
        (
            submitted,
            Event::Judged(judged(Call::Query, Some(TaskState::Success))),
        ),
    ];
    c.bench_function("lifecycle: step, from the queue to success", |b| {
        b.iter(|| {
            for (state, event) in &way {
                let _ = black_box(step(black_box(state), event, NOW, &policy));
            }
        });
    });
    c.bench_function("error table: judge an answer", |b| {
        b.iter(|| judged(Call::Query, Some(TaskState::Pending)));
    });
}

fn settle(c: &mut Criterion) {
    let rules = SettleRules {
        quiet: Duration::from_secs(1),
        quiet_unsure: Duration::from_secs(10),
        unclosed_wait: Duration::from_secs(3600),
    };
    let sighted = [
        (Sighted::RenamedIn, Openness::No),
        (Sighted::Closed, Openness::No),
        (Sighted::Scan, Openness::No),
        (Sighted::Modified, Openness::Yes),
        (Sighted::Scan, Openness::Unknown),
    ];
    let version = version("in/a.txt");
    c.bench_function("settle: five files sighted and looked at", |b| {
        b.iter(|| {
            for (how, open_for_writing) in sighted {
                let mut file = Settling::new(how, version.clone(), Duration::ZERO);
                let look = Look {
                    version: version.clone(),
                    now: Duration::from_secs(5),
                    wall: Some(NOW.now),
                    ctime_ns: version.mtime_ns,
                    open_for_writing,
                };
                black_box(file.look(&look, &rules));
            }
        });
    });
}

/// What is in a file, and where it goes: bytes in memory.
fn sorting(c: &mut Criterion) {
    let lists = default_lists();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut group = c.benchmark_group("sort");
    for name in [
        "text-utf8.txt",
        "plain.pdf",
        "python-docx.docx",
        "gradient.jpg",
        "fragmented.mp4",
    ] {
        let bytes = std::fs::read(samples.join(name)).expect("a sample");
        let size = bytes.len() as u64;
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut file = Cursor::new(&bytes);
                let content = detect(&mut file, name.as_bytes(), size)
                    .expect("read")
                    .content;
                black_box(sort(&content, name.as_bytes(), &lists));
            });
        });
    }
}

fn globs(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.expect("a pattern"));
    }
    set.build().expect("a set")
}

/// Whether a name is taken: `include`, `exclude`, temporary names.
fn names(c: &mut Criterion) {
    let rules = TakeRules::new(Arc::new(Watched {
        name: FolderName("inbox".to_owned()),
        path: "/srv/inbox".into(),
        recursive: true,
        include: Some(globs(&[
            "**/*.pdf",
            "**/*.docx",
            "**/*.txt",
            "**/*.{jpg,png}",
        ])),
        exclude: globs(&["**/node_modules/**", "drafts/**", "**/*.bak", "**/~*"]),
        exclude_by_default: true,
        temporary: GlobSet::empty(),
        temporary_by_default: true,
        how: How::Events,
        one_file_system: true,
        owner_sign: false,
        aside: vec!["/srv/inbox/done".into(), "/srv/inbox/rejected".into()],
    }));
    let names: [&[u8]; 6] = [
        b"2026/11/report-final.pdf",
        b"scan 0001.jpg",
        b"drafts/letter.docx",
        b"a/b/c/d/e/f/notes.txt",
        b"2026/.part.pdf.crdownload",
        b"data.bin",
    ];
    let mut group = c.benchmark_group("take by name");
    group.throughput(Throughput::Elements(names.len() as u64));
    group.bench_function("six names, eight globs", |b| {
        b.iter(|| {
            for name in names {
                let _ = black_box(rules.taken_by_name(black_box(name)));
            }
        });
    });
}

fn head(c: &mut Criterion) {
    let options = serde_json::json!({"chunk": {"size": 512, "overlap": 64}, "ocr": true});
    let options = options.as_object().expect("an object");
    c.bench_function("multipart: the frame of a request", |b| {
        b.iter(|| black_box(frame(black_box("报告 \"final\".pdf"), options)));
    });
}

criterion_group!(
    decisions,
    lifecycle,
    settle,
    sorting,
    names,
    head,
    ledger::groups
);
criterion_main!(decisions);
