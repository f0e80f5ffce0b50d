//! What the ledger's shared transactions cost, on a file system in memory where
//! there is one: the waits for a disk are another matter.
//!
//! Must not: time what sets the stage.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use futures_util::future::join_all;
use supametas_sync::domain::answer::Call;
use supametas_sync::domain::duplicates::DuplicateRule;
use supametas_sync::domain::ids::{AttemptId, DatasetName, FileId, FolderName};
use supametas_sync::domain::media::Media;
use supametas_sync::domain::version::FileVersion;
use supametas_sync::ledger::{
    Begin, Begun, Fingerprints, Finish, Ledger, NewFile, NewSorted, Policies,
};
use tokio::runtime::Runtime;

use super::{NOW, judged, policy};

/// New files that are recorded together, as the intake does.
const BATCH: u64 = 512;
/// Uploads that begin and end together.
const AT_ONCE: u64 = 64;

struct Bench {
    runtime: Runtime,
    ledger: Ledger,
    policies: Arc<Policies>,
    /// Files so far: each has a path of its own.
    files: u64,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let memory = Path::new("/dev/shm");
        let dir = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let dir = dir.expect("a directory");
        let path = dir.path().join("ledger.sqlite");
        let policies = BTreeMap::from([(folder(), Arc::new(policy()))]);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Bench {
            runtime: runtime.expect("a runtime"),
            ledger: Ledger::open_owner(&path).expect("a ledger"),
            policies: Arc::new(Policies::new(policies)),
            files: 0,
            _dir: dir,
        }
    }

    fn new_files(&mut self, count: u64) -> Vec<NewFile> {
        let from = self.files;
        self.files += count;
        let file = |n: u64| NewFile {
            folder: folder(),
            dataset: dataset(),
            version: FileVersion {
                path: format!("d{:05}/f{n:08}.txt", n / 100).into_bytes(),
                dev: 1,
                inode: n,
                size: 20_000,
                mtime_ns: 1_740_000_000_000_000_000,
                born_ns: None,
            },
            sorted: NewSorted::Media(Media::Text),
        };
        (from..self.files).map(file).collect()
    }

    /// How long it takes to put so many into the queue.
    fn enqueue(&mut self, count: u64) -> (Vec<FileId>, Duration) {
        let files = self.new_files(count);
        let start = Instant::now();
        let queued = self.ledger.enqueue(files, NOW, &self.policies);
        let queued = self.runtime.block_on(queued).expect("recorded");
        let took = start.elapsed();
        (queued.iter().map(|one| one.id).collect(), took)
    }

    async fn sent(&self, id: FileId) {
        let attempt = self.begun(id).await;
        let finish = Finish {
            id,
            attempt,
            judgement: judged(Call::Upload, None),
            http_status: Some(200),
            bytes: 20_000,
            hash: None,
            fingerprints: Arc::new(Fingerprints::default()),
        };
        let finished = self.ledger.finish(finish, NOW, &self.policies).await;
        finished.expect("recorded");
    }

    async fn begun(&self, id: FileId) -> AttemptId {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&id.0.to_le_bytes());
        let begin = Begin {
            dataset: dataset(),
            hash: Some(hash),
            options: [9; 16],
            duplicates: DuplicateRule::SameContent,
            one_chunk: true,
            endpoint: "/file-task".to_owned(),
        };
        match self.ledger.begin(id, begin, NOW, &self.policies).await {
            Ok(Begun::Attempt { attempt, .. }) => attempt,
            other => panic!("{other:?}"),
        }
    }
}

fn folder() -> FolderName {
    FolderName("f".to_owned())
}

fn dataset() -> DatasetName {
    DatasetName("d".to_owned())
}

pub fn groups(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(3));
    let mut bench = Bench::new();
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("512 new files in a group", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| bench.enqueue(BATCH).1).sum());
    });
    group.throughput(Throughput::Elements(AT_ONCE));
    group.bench_function("64 attempts begun and ended together", |b| {
        b.iter_custom(|rounds| {
            let round = |bench: &mut Bench| {
                let (ids, _) = bench.enqueue(AT_ONCE);
                let start = Instant::now();
                bench
                    .runtime
                    .block_on(join_all(ids.into_iter().map(|id| bench.sent(id))));
                start.elapsed()
            };
            (0..rounds).map(|_| round(&mut bench)).sum()
        });
    });
    group.finish();
}
