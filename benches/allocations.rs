//! What is allocated on a file's way: the daemon in this process, with an
//! allocator that counts, before the sandbox's fast sink.
//!
//! `cargo bench --bench allocations` prints a table in Markdown. Such counts are
//! the same under any load, so they tell two versions of the program apart where
//! times do not. What the sink and the measuring allocate is left out, by the
//! thread that does it; SQLite, in C, allocates past this allocator.
//!
//! Must not: judge. It prints what it counted.

#[path = "common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::run::Run;
use common::{DEADLINE, write_text};
use supametas_sync::config::Config;
use supametas_sync::daemon::{self, Options};
use supametas_sync::sandbox::{Sandbox, SandboxConfig};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is the program's, and not the measuring's.
    static COUNTED: Cell<bool> = const { Cell::new(true) };
}

struct Counting;

fn count(bytes: usize) {
    // While a thread ends there is no saying: then it is counted.
    if COUNTED.try_with(Cell::get).unwrap_or(true) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does the work with just these arguments; what
// is counted beside it allocates nothing (a `const` thread-local without a
// destructor, and two atomic numbers).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Stage {
    dir: tempfile::TempDir,
    sink: Sandbox,
    measuring: Runtime,
    stop: CancellationToken,
    daemon: std::thread::JoinHandle<()>,
}

impl Stage {
    fn new() -> Stage {
        let measuring = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(|| COUNTED.set(false))
            .enable_all()
            .build()
            .expect("a runtime");
        let sink = SandboxConfig {
            sink: true,
            ..SandboxConfig::default()
        };
        let sink = measuring
            .block_on(Sandbox::start(sink))
            .expect("the sink starts");
        let dir = tempfile::tempdir_in(common::scratch()).expect("a directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["drop", "aside"] {
            fs::create_dir(path(name)).expect("a directory");
        }
        fs::write(path("key"), "bench").expect("written");
        let text = format!(
            "[service]\nbase_url = \"{}\"\n[daemon]\nledger = {:?}\n\
             [[dataset]]\nname = \"d\"\nkey_file = {:?}\nconcurrency = 8\n\
             [[folder]]\nname = \"f\"\npath = {:?}\ndataset = \"d\"\n",
            sink.base_url(),
            path("ledger.sqlite"),
            path("key"),
            path("drop"),
        );
        fs::write(path("config.toml"), text).expect("written");
        let config = Config::load(&path("config.toml")).expect("a configuration");
        let stop = CancellationToken::new();
        let options = Options {
            stop: stop.clone(),
            ..Options::default()
        };
        // As `cli` runs it.
        let daemon = std::thread::spawn(move || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .max_blocking_threads(128)
                .enable_all()
                .build()
                .expect("a runtime");
            let ended = runtime.block_on(daemon::run(config.config, options));
            runtime.shutdown_background();
            ended.expect("the daemon runs");
        });
        Stage {
            dir,
            sink,
            measuring,
            stop,
            daemon,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Renames all from `aside` into the folder, and waits until the sink has
    /// them; what that allocated.
    fn sent(&self, names: &[String]) -> (u64, u64) {
        let before = self.sink.counts().uploads;
        let wanted = before + names.len() as u64;
        let (calls, bytes) = (CALLS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        for name in names {
            let to = self.path("drop").join(name);
            fs::rename(self.path("aside").join(name), to).expect("renamed");
        }
        let start = Instant::now();
        while self.sink.counts().uploads < wanted {
            assert!(start.elapsed() < DEADLINE, "it took too long");
            std::thread::sleep(Duration::from_millis(1));
        }
        // What follows the last answer: its record.
        std::thread::sleep(Duration::from_millis(300));
        (
            CALLS.load(Ordering::Relaxed) - calls,
            BYTES.load(Ordering::Relaxed) - bytes,
        )
    }

    fn small(&self, count: usize, mark: &str) -> (u64, u64) {
        let names: Vec<String> = (0..count).map(|n| format!("{mark}-{n}.txt")).collect();
        for name in &names {
            let content = format!("{name:>4096}");
            fs::write(self.path("aside").join(name), content).expect("written");
        }
        self.sent(&names)
    }

    fn large(&self, mib: u64, mark: &str) -> (u64, u64) {
        let name = format!("{mark}.txt");
        write_text(&self.path("aside").join(&name), mib << 20, mark);
        self.sent(&[name])
    }

    fn end(self) {
        self.stop.cancel();
        self.daemon.join().expect("it ends well");
        self.measuring.block_on(self.sink.shutdown());
    }
}

fn main() {
    let (files, mib) = match Run::of_arguments() {
        Run::Nothing => return,
        Run::Quick => (500, 32),
        Run::Whole => (10_000, 512),
    };
    COUNTED.set(false);
    let stage = Stage::new();
    // Connections, caches and prepared statements.
    stage.small(500, "warm");
    stage.large(16, "warm-large");
    println!("| work | allocations | bytes allocated |");
    println!("|---|---|---|");
    let (calls, bytes) = stage.small(files, "small");
    let each = |total: u64, by: f64| total as f64 / by;
    println!(
        "| a file of 4 KiB, of {files} dropped at once | {:.0} | {:.0} |",
        each(calls, files as f64),
        each(bytes, files as f64)
    );
    // The kernel's events about all those files are still being gone through.
    std::thread::sleep(Duration::from_secs(3));
    let mut singles: Vec<(u64, u64)> = (0..5)
        .map(|n| stage.small(1, &format!("single-{n}")))
        .collect();
    singles.sort_unstable();
    let (calls, bytes) = singles[2];
    println!("| a file of 4 KiB by itself | {calls} | {bytes} |");
    let (calls, bytes) = stage.large(mib, "large");
    println!(
        "| a MiB of a file of {mib} MiB | {:.1} | {:.0} |",
        each(calls, mib as f64),
        each(bytes, mib as f64)
    );
    stage.end();
}
