//! What the rows share: a stage with two datasets and three folders, rows
//! played a few at a time, and what the sandbox saw.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;
use supametas_sync::sandbox::{Fault, RequestRecord, Sandbox};
use tokio::runtime::Handle;

use crate::support::{Daemon, MAIN_KEY, Settings, Stage};

/// The Access-Key of the dataset `other`.
pub const OTHER_KEY: &str = "sk-other-91c2d4";

/// Stages at once: more only slow each other down on two cores.
const AT_ONCE: usize = 4;

/// Plays all rows, and fails with the names of those that failed.
pub fn all<R: Sync>(rows: &[R], name: impl Fn(&R) -> &str + Sync, play: impl Fn(&R) + Sync) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // `ERROR_ROWS=429` plays those with 429 in their name, for whoever works on
    // them.
    let only = std::env::var("ERROR_ROWS").unwrap_or_default();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let _inside = runtime.enter();
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !name(row).contains(&only) {
                        continue;
                    }
                    let start = Instant::now();
                    let played = catch_unwind(AssertUnwindSafe(|| play(row)));
                    println!("{:6.1?} {}", start.elapsed(), name(row));
                    if let Err(panic) = played {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).into()));
                        let text = text.unwrap_or_default();
                        failed
                            .lock()
                            .unwrap()
                            .push(format!("=== {}\n{text}", name(row)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} rows failed\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// The folders `inbox` and `beside` go to the dataset `main`, `far` to `other`;
/// one upload at a time in each, so that what is sent can be counted.
pub fn stage(change: impl FnOnce(&mut Settings)) -> Stage {
    let stage = Handle::current().block_on(Stage::new());
    stage.set(|settings| {
        settings.main("concurrency = 1");
        settings
            .dataset("other", OTHER_KEY, "concurrency = 1")
            .folder("beside", "main", "")
            .folder("far", "other", "");
        settings.retry = "unconfirmed_resends = 30\n".into();
        change(settings);
    })
}

/// Puts a fault script in force.
pub fn faults(stage: &Stage, json: &str) {
    stage
        .sandbox
        .set_faults(Fault::from_json(json).unwrap())
        .unwrap();
}

/// How faults name the key of the dataset `main`.
pub fn main_key() -> String {
    Sandbox::fingerprint(MAIN_KEY)
}

/// Requests for anything but the state of a task, without those that took a
/// file whose name begins with `out-`.
pub fn sent(stage: &Stage) -> Vec<RequestRecord> {
    let uploads = stage.sandbox.uploads();
    let out = |seq: u64| {
        uploads
            .iter()
            .any(|u| u.request == seq && u.file_name.starts_with("out-"))
    };
    let mut requests = stage.sandbox.requests();
    requests.retain(|r| !r.path.ends_with("/query-task") && !out(r.seq));
    requests
}

/// Requests for the state of a task.
pub fn queries(stage: &Stage) -> Vec<RequestRecord> {
    let mut requests = stage.sandbox.requests();
    requests.retain(|r| r.path.ends_with("/query-task"));
    requests
}

/// The closed gates, as `status --json` shows them.
pub fn gates(stage: &Stage) -> Vec<Value> {
    let status: Value = serde_json::from_str(&stage.said(&["status", "--json"])).unwrap();
    status["gates"].as_array().unwrap().clone()
}

/// Waits until exactly this gate is closed; gives it as `status` shows it.
pub fn closed(stage: &Stage, daemon: &Daemon, gate: &str) -> Value {
    let mut found = Vec::new();
    daemon.until(&format!("the gate {gate} is closed"), || {
        found = gates(stage);
        !found.is_empty()
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["gate"], gate, "{found:#?}");
    found.remove(0)
}

/// Waits until all of these files, named without their folder, are in `state`.
pub fn all_in(stage: &Stage, daemon: &Daemon, state: &str, names: &[String]) {
    let mut listed = Vec::new();
    let reached = |listed: &[Value]| {
        names.iter().all(|name| {
            listed
                .iter()
                .any(|f| f["file"] == *name && f["state"] == state)
        })
    };
    let what = format!("{names:?} are {state}");
    let waited = catch_unwind(AssertUnwindSafe(|| {
        daemon.until(&what, || {
            listed = stage.list();
            reached(&listed)
        });
    }));
    if waited.is_err() {
        panic!("never: {what}\n{listed:#?}\n{}", daemon.log_end());
    }
}

/// Publishes a small text whose content is its name.
pub fn drop_in(stage: &Stage, folder: &str, name: &str) {
    stage.publish(&stage.path(folder).join(name), format!("text of {name}\n"));
}

/// Publishes a small picture.
pub fn drop_picture(stage: &Stage, folder: &str, name: &str) {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/gradient.png");
    let bytes = std::fs::read(sample).unwrap();
    stage.publish(&stage.path(folder).join(name), bytes);
}
