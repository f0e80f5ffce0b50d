//! Those who write: one thread for each lane, each in a subfolder of its own.
//! After each step a writer notes what lies in its subfolder, so that it is
//! known which versions there ever were, and which contents were ever whole.
//!
//! Must not: look at the daemon; it only stops it for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::SIGN;

use super::ops::{At, DIRS, FILES, LANES, Op, Step};

/// A version of a file, as the ledger knows it; the path is in the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub path: Vec<u8>,
    pub inode: u64,
    pub size: u64,
    pub mtime_ns: i64,
}

impl Version {
    pub fn of(path: &Path, below: &Path) -> io::Result<Version> {
        let meta = fs::symlink_metadata(path)?;
        let rel = path.strip_prefix(below).expect("a path in the folder");
        Ok(Version {
            path: rel.as_os_str().as_encoded_bytes().to_vec(),
            inode: meta.ino(),
            size: meta.size(),
            mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
        })
    }
}

/// All that ever was.
#[derive(Debug, Default)]
pub struct Past {
    /// Versions that lay there between two steps.
    pub versions: BTreeSet<Version>,
    /// blake3 of each content that was ever finished.
    pub contents: BTreeSet<String>,
}

/// Where the writers work.
pub struct Place {
    /// The drop folder.
    pub folder: PathBuf,
    /// Beside it, on the same file system.
    pub outside: PathBuf,
    /// The daemon.
    pub pid: u32,
    /// One at a time stops the daemon.
    deaf: Mutex<()>,
    past: Mutex<Past>,
}

impl Place {
    pub fn new(folder: PathBuf, outside: PathBuf, pid: u32) -> Place {
        for n in 0..2 {
            // Never taken: hidden. Opening it is what fills the kernel's queue.
            fs::write(folder.join(format!(".noise-{n}")), "x").unwrap();
        }
        Place {
            folder,
            outside,
            pid,
            deaf: Mutex::new(()),
            past: Mutex::default(),
        }
    }

    /// Plays the steps, each lane's in a thread of its own; what ever was.
    pub fn play(self: Arc<Place>, steps: &[Step]) -> Past {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let mine = |s: &&Step| usize::from(s.lane) == lane;
                let steps: Vec<Step> = steps.iter().filter(mine).copied().collect();
                let place = Arc::clone(&self);
                std::thread::spawn(move || Writer::new(&place, lane).play(&steps))
            })
            .collect();
        for lane in lanes {
            lane.join().expect("a writer does not fail");
        }
        // The daemon is not left stopped.
        drop(self.deaf.lock());
        std::mem::take(&mut self.past.lock().unwrap())
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        // It may have ended: then the test fails for that.
        let _ = kill_process(pid, signal);
    }

    /// Stops the daemon, fills the kernel's queue, and wakes it after `ms`.
    fn deafen(self: &Arc<Place>, ms: u16) {
        let place = Arc::clone(self);
        let (filled, is_filled) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _one = place.deaf.lock().unwrap();
            place.signal(Signal::STOP);
            // It may still be at work for a moment, and would take some away.
            let stat = format!("/proc/{}/stat", place.pid);
            let stopped =
                |stat: String| stat.rsplit(')').next().is_some_and(|s| s.starts_with(" T"));
            while fs::read_to_string(&stat).is_ok_and(|stat| !stopped(stat)) {
                std::thread::yield_now();
            }
            let noise = [0, 1].map(|n| place.folder.join(format!(".noise-{n}")));
            // In turn: two events running that are the same become one.
            for n in 0..queue_length() + 100 {
                let _ = File::open(&noise[n % 2]);
            }
            let _ = filled.send(());
            std::thread::sleep(Duration::from_millis(ms.into()));
            place.signal(Signal::CONT);
        });
        let _ = is_filled.recv();
    }
}

fn queue_length() -> usize {
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    text.trim().parse().unwrap()
}

struct Writer<'a> {
    place: &'a Arc<Place>,
    here: PathBuf,
    outside: PathBuf,
    /// What is outside, last in last out: files and trees.
    files: Vec<PathBuf>,
    trees: Vec<PathBuf>,
    number: u32,
    made: u32,
}

impl Writer<'_> {
    fn new(place: &Arc<Place>, lane: usize) -> Writer<'_> {
        let name = format!("lane-{lane}");
        let (here, outside) = (place.folder.join(&name), place.outside.join(&name));
        fs::create_dir_all(&here).unwrap();
        fs::create_dir_all(&outside).unwrap();
        Writer {
            place,
            here,
            outside,
            files: Vec::new(),
            trees: Vec::new(),
            number: 0,
            made: 0,
        }
    }

    fn play(mut self, steps: &[Step]) {
        for step in steps {
            std::thread::sleep(Duration::from_millis(step.pause.into()));
            self.number = step.number;
            // What is not there is not moved: any part of a list can be played.
            let _ = self.act(step.op);
            self.note();
        }
    }

    fn dir(&self, dir: u8) -> PathBuf {
        self.here.join(DIRS[usize::from(dir)])
    }

    fn path(&self, At(dir, file): At) -> PathBuf {
        self.dir(dir).join(FILES[usize::from(file)])
    }

    /// A file that is there: this one, or another in its place.
    fn there(&self, at: At) -> io::Result<PathBuf> {
        let path = self.path(at);
        if path.is_file() {
            return Ok(path);
        }
        let mut all = Vec::new();
        files_below(&self.here, &mut all);
        pick(all, usize::from(at.0) * FILES.len() + usize::from(at.1))
    }

    /// A subfolder that is there, the lane's own left out.
    fn dir_there(&self, dir: u8) -> io::Result<PathBuf> {
        let path = self.dir(dir);
        if path.is_dir() {
            return Ok(path);
        }
        let is_dir = |dir: &PathBuf| dir.is_dir();
        let all = DIRS[1..].iter().map(|dir| self.here.join(dir));
        pick(all.filter(is_dir).collect(), dir.into())
    }

    /// A name outside that nobody has.
    fn beside(&mut self) -> PathBuf {
        self.made += 1;
        self.outside.join(format!("{}-{}", self.number, self.made))
    }

    fn act(&mut self, op: Op) -> io::Result<()> {
        match op {
            Op::Create { at, pieces, slow } => {
                let path = self.path(at);
                parents(&path)?;
                // In place of a link it would write into what others see.
                let fresh = OpenOptions::new().write(true).create_new(true).open(&path);
                self.write(fresh?, &path, pieces, slow)
            }
            Op::Append { at, pieces, slow } => {
                let path = alone(self.there(at)?)?;
                let file = OpenOptions::new().append(true).open(&path)?;
                self.write(file, &path, pieces, slow)
            }
            Op::Truncate { at } => {
                let path = alone(self.there(at)?)?;
                let mut content = fs::read(&path)?;
                content.truncate((content.len() / 2).max(1));
                self.finished(&content);
                truncate(&path, content.len() as u64)
            }
            Op::Rewrite { at } => {
                let path = alone(self.there(at)?)?;
                let file = OpenOptions::new().write(true).truncate(true).open(&path)?;
                self.write(file, &path, 1, false)
            }
            Op::Publish { at } => {
                let beside = self.beside();
                self.write(File::create(&beside)?, &beside, 1, false)?;
                let path = self.path(at);
                parents(&path)?;
                fs::rename(beside, path)
            }
            Op::Early { at } => {
                let path = self.path(at);
                parents(&path)?;
                let partial = path.with_extension("tmp");
                let mut file = File::create(&partial)?;
                file.write_all(&self.text())?;
                fs::rename(&partial, &path)?;
                std::thread::sleep(Duration::from_millis(5));
                self.write(file, &path, 1, false)
            }
            Op::Rename { from, to } => {
                let to = self.path(to);
                parents(&to)?;
                fs::rename(self.there(from)?, to)
            }
            Op::Out { at } => {
                let beside = self.beside();
                fs::rename(self.there(at)?, &beside)?;
                self.files.push(beside);
                Ok(())
            }
            Op::Back { at, grown } => {
                let Some(beside) = self.files.pop() else {
                    return Ok(());
                };
                if grown && let Ok(beside) = alone(beside.clone()) {
                    let file = OpenOptions::new().append(true).open(&beside)?;
                    self.write(file, &beside, 1, false)?;
                }
                let path = self.path(at);
                parents(&path)?;
                fs::rename(beside, path)
            }
            Op::OutAndBack { at } => {
                let (path, beside) = (self.there(at)?, self.beside());
                fs::rename(&path, &beside)?;
                std::thread::sleep(Duration::from_millis(u64::from(self.number % 4)));
                fs::rename(beside, path)
            }
            Op::Link { from, to } => {
                let to = self.path(to);
                parents(&to)?;
                fs::hard_link(self.there(from)?, to)
            }
            Op::Delete { at } => fs::remove_file(self.there(at)?),
            Op::MakeDir { dir } => fs::create_dir_all(self.dir(dir)),
            Op::RemoveTree { dir } => fs::remove_dir_all(self.dir_there(dir)?),
            Op::Remake { at } => {
                let path = self.path(At(at.0.max(1), at.1));
                let _ = fs::remove_dir_all(path.parent().unwrap());
                parents(&path)?;
                self.write(File::create(&path)?, &path, 1, false)
            }
            Op::MoveTree { from, to } => {
                let to = self.dir(to);
                parents(&to)?;
                fs::rename(self.dir_there(from)?, to)
            }
            Op::TreeOut { dir } => {
                let beside = self.beside();
                fs::rename(self.dir_there(dir)?, &beside)?;
                self.trees.push(beside);
                Ok(())
            }
            Op::TreeIn { dir, new } => {
                let tree = if new { None } else { self.trees.pop() };
                let tree = match tree {
                    Some(tree) => tree,
                    None => self.new_tree()?,
                };
                let to = self.dir(dir);
                parents(&to)?;
                fs::rename(&tree, to).inspect_err(|_| self.trees.push(tree))
            }
            Op::Shut { at, ms } => shut(&self.there(at)?, ms),
            Op::ShutDir { dir, ms } => shut(&self.dir_there(dir)?, ms),
            Op::Touch { at } => {
                let path = alone(self.there(at)?)?;
                File::open(path)?.set_modified(SystemTime::now())
            }
            Op::Deaf { ms } => {
                self.place.deafen(ms);
                Ok(())
            }
        }
    }

    fn new_tree(&mut self) -> io::Result<PathBuf> {
        let tree = self.beside();
        for (dir, file) in [("", 0), ("", 5), ("b", 1), ("b/c", 2), ("x/y", 3)] {
            let path = tree.join(dir).join(FILES[file]);
            parents(&path)?;
            self.write(File::create(&path)?, &path, 1, false)?;
        }
        Ok(tree)
    }

    /// Text that nobody else has.
    fn text(&mut self) -> Vec<u8> {
        self.made += 1;
        let mut text = format!("step {} text {} of ", self.number, self.made).into_bytes();
        text.extend_from_slice(self.here.file_name().unwrap().as_encoded_bytes());
        // Some more than one chunk of an upload, so that it is read as it is sent.
        let lines = if self.number.is_multiple_of(23) {
            30_000
        } else {
            20
        };
        for n in 0..lines {
            text.extend_from_slice(format!("\nline {n} of text {}", self.made).as_bytes());
        }
        text
    }

    /// Writes on, in pieces, and closes. Whole it is only then.
    fn write(&mut self, mut file: File, path: &Path, pieces: u8, slow: bool) -> io::Result<()> {
        for piece in 0..pieces {
            if piece > 0 && slow {
                std::thread::sleep(Duration::from_millis(40));
            }
            file.write_all(&self.text())?;
        }
        // Before it is closed: afterwards it may be taken at once.
        let content = fs::read(path)?;
        self.finished(&content);
        Ok(())
    }

    fn finished(&self, content: &[u8]) {
        let hash = blake3::hash(content).to_hex().to_string();
        self.place.past.lock().unwrap().contents.insert(hash);
    }

    fn note(&self) {
        let mut found = Vec::new();
        files_below(&self.here, &mut found);
        let found: Vec<Version> = found
            .iter()
            .filter_map(|path| Version::of(path, &self.place.folder).ok())
            .collect();
        self.place.past.lock().unwrap().versions.extend(found);
    }
}

/// Regular files below a directory, but for the daemon's own sign.
pub fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), found),
            Ok(kind) if kind.is_file() && entry.file_name() != SIGN => found.push(entry.path()),
            _ => {}
        }
    }
}

/// What lies in the folder at rest, each with its content.
pub fn lying(folder: &Path) -> BTreeMap<Version, String> {
    let mut found = Vec::new();
    files_below(folder, &mut found);
    let hash = |path: &Path| blake3::hash(&fs::read(path).unwrap()).to_hex().to_string();
    found
        .iter()
        .map(|path| (Version::of(path, folder).unwrap(), hash(path)))
        .collect()
}

/// One of them, the same each time.
fn pick(mut all: Vec<PathBuf>, number: usize) -> io::Result<PathBuf> {
    all.sort();
    let at = number
        .checked_rem(all.len())
        .ok_or(io::ErrorKind::NotFound)?;
    Ok(all.swap_remove(at))
}

fn parents(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("a path in a folder"))
}

/// Who writes to a file by one of its names is not heard under the others: that
/// only a scan finds, and is left out here.
fn alone(path: PathBuf) -> io::Result<PathBuf> {
    let meta = fs::symlink_metadata(&path)?;
    if meta.is_file() && meta.nlink() == 1 {
        Ok(path)
    } else {
        Err(io::ErrorKind::Other.into())
    }
}

fn shut(path: &Path, ms: u8) -> io::Result<()> {
    let before = fs::symlink_metadata(path)?.permissions();
    fs::set_permissions(path, Permissions::from_mode(0o000))?;
    std::thread::sleep(Duration::from_millis(ms.into()));
    fs::set_permissions(path, before)
}

fn truncate(path: &Path, len: u64) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let len = i64::try_from(len).map_err(io::Error::other)?;
    // SAFETY: the path is a string that ends in NUL and lives through the call.
    match unsafe { libc::truncate(path.as_ptr(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
