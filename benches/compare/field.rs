//! Where all works take place: the runtime that the sinks live in, directories
//! on the disk, sizes, the slow disk.
//!
//! Must not: run a contestant.

use std::cell::RefCell;
use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supametas_sync::sandbox::{Sandbox, SandboxConfig};

use crate::common;
use crate::slow_disk::SlowDisk;
use crate::store::Store;

/// How much of each work.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Small files that wait.
    pub small: usize,
    /// The same for who takes more than 10 ms for each.
    pub small_few: usize,
    /// Small files where every answer comes late.
    pub late: usize,
    /// The same for who takes more than 10 ms for each.
    pub late_few: usize,
    /// The one large file's bytes.
    pub large: u64,
    /// Each of the several large ones' bytes.
    pub each: u64,
    /// How many those are.
    pub several: usize,
    /// Files one at a time.
    pub singles: usize,
    /// The same for who takes half a second for each.
    pub few: usize,
    /// Files that wait in another folder meanwhile.
    pub backlog: usize,
    /// How many there are to keep it so long.
    pub pool: usize,
    /// Rounds.
    pub rounds: usize,
}

impl Sizes {
    /// What the page shows.
    pub const FULL: Sizes = Sizes {
        small: 10_000,
        small_few: 1_000,
        late: 2_000,
        late_few: 500,
        large: 2 << 30,
        each: 256 << 20,
        several: 8,
        singles: 300,
        few: 30,
        backlog: 10_000,
        pool: 40_000,
        rounds: 5,
    };

    /// To see that it works.
    pub const QUICK: Sizes = Sizes {
        small: 400,
        small_few: 50,
        late: 100,
        late_few: 50,
        large: 64 << 20,
        each: 8 << 20,
        several: 8,
        singles: 10,
        few: 3,
        backlog: 500,
        pool: 2_000,
        rounds: 1,
    };
}

/// See the module.
pub struct Field {
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
    /// How much.
    pub sizes: Sizes,
    /// Who takes part, by key; all, if it is empty.
    pub contestants: Vec<String>,
    /// The slow disk, or why there is none.
    pub slow: Result<SlowDisk, String>,
    /// A synced write on the disk as it is, in ms: it differs from hour to hour.
    fsyncs: RefCell<Vec<f64>>,
}

impl Field {
    /// Makes its directory beside the build.
    pub fn new(sizes: Sizes, fsync: Duration, contestants: Vec<String>) -> Field {
        let dir = tempfile::tempdir_in(common::scratch()).expect("a directory");
        let slow = SlowDisk::make(dir.path(), fsync);
        Field {
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
            slow,
            dir,
            sizes,
            contestants,
            fsyncs: RefCell::default(),
        }
    }

    /// Asks how long a synced write takes now, in ms.
    pub fn ask_disk(&self) -> f64 {
        let ms = common::fsync_ms();
        self.fsyncs.borrow_mut().push(ms);
        ms
    }

    /// From the least to the most that was ever told, in ms.
    pub fn fsync_range(&self) -> String {
        let all = self.fsyncs.borrow();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        format!("{least:.2} to {most:.2}")
    }

    /// Runs what needs the runtime.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A directory for one run.
    pub fn scratch(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.dir.path()).expect("a directory")
    }

    /// A folder with so many files of 4 KiB, each its own content, on the disk
    /// and older than any quiet time.
    pub fn small_files(&self, name: &str, files: usize) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).expect("a directory");
        fill(&dir, files);
        self.sync();
        // Past the quiet time of 1 s, and any second that it is rounded to.
        std::thread::sleep(Duration::from_millis(2200));
        dir
    }

    /// Has the disk rest, so that nobody pays for what others wrote.
    pub fn sync(&self) {
        let dir = File::open(self.dir.path()).expect("the directory");
        rustix::fs::syncfs(dir).expect("synced");
    }

    /// A sink of our own API.
    pub fn sink(&self, config: SandboxConfig) -> Sandbox {
        let config = SandboxConfig {
            sink: true,
            ..config
        };
        self.wait(Sandbox::start(config)).expect("the sink starts")
    }

    /// A sink for S3 and WebDAV.
    pub fn store(&self, delay: Duration) -> Store {
        self.wait(Store::start(delay)).expect("the sink starts")
    }
}

/// Fills a directory with files of 4 KiB.
pub fn fill(dir: &Path, files: usize) {
    let mut content = vec![b'x'; 4096];
    for n in 0..files {
        content[..12].copy_from_slice(format!("{n:012}").as_bytes());
        fs::write(dir.join(format!("{n:06}.txt")), &content).expect("written");
    }
}
