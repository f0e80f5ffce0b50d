//! Trees of files, made and walked as plainly as can be.
//!
//! Must not: know the program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Files in a directory.
pub const IN_ONE: u64 = 100;

/// Where the `n`-th file lies, relative to the tree.
pub fn name(n: u64) -> String {
    format!("d{:05}/f{n:08}.txt", n / IN_ONE)
}

/// Makes the files, an hour old. `content`: each its own, or none at all.
pub fn make(root: &Path, files: u64, content: bool) {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let old = SystemTime::now() - Duration::from_secs(3600);
    std::thread::scope(|scope| {
        for part in 0..threads {
            scope.spawn(move || {
                for dir in (0..files.div_ceil(IN_ONE)).filter(|dir| dir % threads == part) {
                    let first = dir * IN_ONE;
                    let parent = root.join(name(first));
                    fs::create_dir_all(parent.parent().expect("it has one")).expect("made");
                    for n in first..files.min(first + IN_ONE) {
                        put(&root.join(name(n)), n, content, old);
                    }
                }
            });
        }
    });
}

fn put(path: &Path, n: u64, content: bool, modified: SystemTime) {
    use std::io::Write;
    let mut file = fs::File::create(path).expect("created");
    if content {
        writeln!(file, "file number {n}").expect("written");
    }
    file.set_modified(modified).expect("set");
}

/// One new file that has lain there for an hour.
pub fn plant(to: &Path, n: u64) {
    put(to, n, true, SystemTime::now() - Duration::from_secs(3600));
}

/// One new file, made aside and renamed in.
pub fn drop_in(aside: &Path, to: &Path, n: u64) {
    let made = aside.join(format!("new-{n}"));
    fs::write(&made, format!("new file number {n}\n")).expect("written");
    fs::rename(made, to).expect("renamed");
}

/// A file and what it is known by.
pub struct Seen {
    pub path: PathBuf,
    pub facts: fs::Metadata,
}

/// Walks and stats, one call for each name, and tells of each file.
pub fn walk(root: &Path, seen: &mut impl FnMut(Seen)) {
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).expect("listed") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a kind").is_dir() {
                todo.push(entry.path());
            } else {
                // Relative to the directory's handle, as fast as it can be.
                let facts = entry.metadata().expect("there");
                seen(Seen {
                    path: entry.path(),
                    facts,
                });
            }
        }
    }
}

/// How long a plain walk takes that stats each file; the median of three.
pub fn walk_and_stat(root: &Path) -> Duration {
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            let (start, mut bytes) = (Instant::now(), 0);
            walk(root, &mut |seen| bytes += seen.facts.size());
            std::hint::black_box(bytes);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[1]
}
