#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::super::root::FolderRoot;
use super::super::settings::Watched;
use super::super::testing::{folder, globs};
use super::*;

#[derive(Default)]
struct Seen {
    files: BTreeSet<Vec<u8>>,
    dirs: Vec<Vec<u8>>,
    stop_after: Option<usize>,
}

impl Visit for Seen {
    fn enter(&mut self, rel: &[u8]) -> Go {
        self.dirs.push(rel.to_vec());
        Go::On
    }
    fn file(&mut self, version: FileVersion) -> Go {
        assert!(self.files.insert(version.path), "each once");
        if self.stop_after == Some(self.files.len()) {
            Go::Stop
        } else {
            Go::On
        }
    }
}

fn scan(
    dir: &Path,
    start: &[u8],
    seen: &mut Seen,
    change: impl FnOnce(&mut Watched),
) -> WalkReport {
    let root = FolderRoot::new(dir.to_owned(), true);
    let rules = TakeRules::new(folder(dir, change));
    walk(&root.handle().unwrap(), &rules, start, seen)
}

fn paths(list: &[&str]) -> BTreeSet<Vec<u8>> {
    list.iter().map(|p| p.as_bytes().to_vec()).collect()
}

fn put(dir: &Path, files: &[&str]) {
    for f in files {
        let path = dir.join(f);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"x").unwrap();
    }
}

#[test]
fn it_finds_what_is_taken_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let taken = ["a.txt", "x/b.txt", "x/y/z/c.txt", "x/done/d.txt"];
    let not = [
        "x/.hidden",
        "x/a.part",
        "done/a.txt",
        "rejected/a.txt",
        ".git/a.txt",
        "no/a.txt",
        "x/no.pdf",
    ];
    put(dir.path(), &taken);
    put(dir.path(), &not);
    symlink(dir.path(), dir.path().join("x/loop")).unwrap();
    symlink("a.txt", dir.path().join("link.txt")).unwrap();
    let mut seen = Seen::default();
    let report = scan(dir.path(), b"", &mut seen, |f| {
        f.exclude = globs(&["no", "**/*.pdf"]);
    });
    assert_eq!(seen.files, paths(&taken));
    assert!(report.complete);
    assert_eq!((report.files, report.dirs, report.troubles), (4, 5, 0));
    // Three hidden or temporary, two put aside, two excluded, two links.
    assert_eq!(report.skipped, 9);
    // Only a part of it.
    let mut seen = Seen::default();
    scan(dir.path(), b"x/y", &mut seen, |_| {});
    assert_eq!(seen.files, paths(&["x/y/z/c.txt"]));
    assert_eq!(seen.dirs, [b"x/y".to_vec(), b"x/y/z".to_vec()]);
    // Not below it.
    let mut seen = Seen::default();
    scan(dir.path(), b"", &mut seen, |f| f.recursive = false);
    assert_eq!(seen.files, paths(&["a.txt"]));
}

#[test]
fn it_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &["a", "b", "c", "d/e"]);
    let mut seen = Seen {
        stop_after: Some(2),
        ..Seen::default()
    };
    let report = scan(dir.path(), b"", &mut seen, |_| {});
    assert_eq!(seen.files.len(), 2);
    assert!(!report.complete);
}

#[test]
fn many_names_and_many_levels() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    for i in 0..3_000 {
        std::fs::write(dir.path().join(format!("f{i}")), b"").unwrap();
        expected.insert(format!("f{i}").into_bytes());
    }
    // Longer than PATH_MAX, and deeper than listings are held open; two
    // subfolders at each level.
    let name = vec![b'd'; 60];
    let mkdir = |at: &OwnedFd, name: &[u8]| {
        let name = std::ffi::CString::new(name).unwrap();
        rustix::fs::mkdirat(at, &name, Mode::RWXU).unwrap();
        rustix::fs::openat(at, &name, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap()
    };
    let mut at: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
    let mut path = Vec::new();
    for _ in 0..(MAX_STREAMS + 16) {
        let side = mkdir(&at, b"side");
        let create = OFlags::CREATE | OFlags::WRONLY;
        rustix::fs::openat(&side, c"f", create, Mode::RUSR).unwrap();
        let mut file = path.clone();
        push(&mut file, b"side/f");
        expected.insert(file);
        at = mkdir(&at, &name);
        push(&mut path, &name);
    }
    assert!(path.len() > 4_096);
    let mut seen = Seen::default();
    let report = scan(dir.path(), b"", &mut seen, |_| {});
    assert_eq!(report.examples, []);
    assert_eq!(seen.files, expected);
    assert!(report.complete);
}

#[test]
fn a_subfolder_that_cannot_be_read_is_noted_and_the_rest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    put(dir.path(), &["a", "locked/b", "open/c"]);
    let locked = dir.path().join("locked");
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).unwrap();
    let path = dir.path().to_owned();
    let thread = std::thread::spawn(move || {
        // SAFETY: changes what this one thread may do with files; it ends here.
        // Without it, root would be let in.
        unsafe { libc::setfsuid(65_534) };
        let mut seen = Seen::default();
        let report = scan(&path, b"", &mut seen, |_| {});
        (seen.files, report)
    });
    let (files, report) = thread.join().unwrap();
    assert_eq!(files, paths(&["a", "open/c"]));
    assert!(report.complete);
    assert_eq!(report.examples, [(b"locked".to_vec(), NotTaken::NoRight)]);
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn only_what_passes_is_worth_another_walk() {
    let mut report = WalkReport::default();
    report.trouble(b"a", NotTaken::NoRight);
    assert!(!report.hindered);
    report.trouble(b"b", NotTaken::from_errno(rustix::io::Errno::MFILE));
    assert!(report.hindered);
}

/// `depth` directories, each in the one before, with a file in each; told are
/// the paths of the files.
fn nest(dir: &Path, depth: usize) -> Vec<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(dir, flags, Mode::empty()).unwrap();
    let (mut path, mut all) = (Vec::new(), Vec::new());
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
        let made = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&at, "f.txt", made, Mode::RUSR).unwrap();
        push(&mut path, b"d");
        all.push([path.as_slice(), b"/f.txt"].concat());
    }
    all
}

/// Takes them away again: deeper than a recursive removal can go.
fn unnest(dir: &Path, depth: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(dir, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    let none = rustix::fs::AtFlags::empty();
    for _ in 0..depth {
        rustix::fs::unlinkat(&at, "f.txt", none).unwrap();
        at = rustix::fs::openat(&at, "..", flags, Mode::empty()).unwrap();
        rustix::fs::unlinkat(&at, "d", rustix::fs::AtFlags::REMOVEDIR).unwrap();
    }
}

#[test]
fn eight_thousand_nested_directories_take_no_longer_than_as_many_beside_each_other() {
    const DEPTH: usize = 8_000;
    let dir = tempfile::tempdir().unwrap();
    let files = nest(dir.path(), DEPTH);
    let mut seen = Seen::default();
    let begun = std::time::Instant::now();
    let report = scan(dir.path(), b"", &mut seen, |_| {});
    let took = begun.elapsed();
    assert_eq!((report.files, report.dirs), (8_000, 8_001));
    assert!(seen.files.contains(files.last().unwrap()));
    let begun = std::time::Instant::now();
    let root = FolderRoot::new(dir.path().to_owned(), true);
    let mut opened = 0;
    root.handle()
        .unwrap()
        .open_files(files.iter().map(Vec::as_slice), |file| {
            opened += usize::from(file.is_ok());
        });
    let looked = begun.elapsed();
    unnest(dir.path(), DEPTH);
    assert_eq!(opened, DEPTH);
    let bound = std::time::Duration::from_secs(10);
    assert!(took < bound && looked < bound, "{took:?} {looked:?}");
}

#[test]
fn below_the_open_listings_the_walk_finds_its_way_back() {
    let dir = tempfile::tempdir().unwrap();
    // Branches of several lengths at and below the levels that stay open.
    let trunk = "t/".repeat(70);
    let branches = ["a/", "b/b/b/", "c/c/c/c/c/c/c/c/", ""];
    let mut wanted = Vec::new();
    for high in [60, 62, 65, 70] {
        for branch in branches {
            wanted.push(format!("{}{branch}f.txt", &trunk[..high * 2]));
        }
    }
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    put(dir.path(), &wanted);
    let mut seen = Seen::default();
    let report = scan(dir.path(), b"", &mut seen, |_| {});
    assert_eq!(seen.files, paths(&wanted));
    assert!(report.complete && report.troubles == 0);
}
