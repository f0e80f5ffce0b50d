#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn root(dir: &Path) -> FolderRoot {
    FolderRoot::new(dir.to_owned(), true)
}

fn refused(root: &FolderRoot, rel: &[u8]) -> NotTaken {
    let opened = root.open_file(rel).map(|o| o.version);
    let looked = root.look(rel);
    assert_eq!(opened, looked, "opening and looking agree");
    opened.unwrap_err()
}

#[test]
fn regular_files_are_opened_and_versions_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("x/y")).unwrap();
    let root = root(dir.path());
    let long = vec![b'n'; 255];
    for name in [&b"a"[..], b"x/y/b", b"x/new\nline\xff", &long] {
        std::fs::write(dir.path().join(OsStr::from_bytes(name)), b"hello").unwrap();
        let mut opened = root.open_file(name).unwrap();
        let mut text = String::new();
        opened.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert_eq!(opened.version.size, 5);
        assert_eq!(opened.version, root.look(name).unwrap());
        assert_eq!(opened.version, version_of(&opened.file, name).unwrap());
    }
}

#[test]
fn nothing_else_is_opened() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"s").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let root = root(dir.path());
    std::fs::write(at("a"), b"a").unwrap();
    std::fs::create_dir(at("d")).unwrap();
    symlink(outside.path().join("secret"), at("link")).unwrap();
    symlink("a", at("inner")).unwrap();
    symlink(outside.path(), at("linked")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(refused(&root, b"link"), NotTaken::Symlink);
    assert_eq!(refused(&root, b"inner"), NotTaken::Symlink);
    assert_eq!(refused(&root, b"loop"), NotTaken::Symlink);
    assert_eq!(refused(&root, b"linked/secret"), NotTaken::Symlink);
    assert_eq!(refused(&root, b"d"), NotTaken::Directory);
    assert_eq!(refused(&root, b"socket"), NotTaken::Socket);
    assert_eq!(refused(&root, b"fifo"), NotTaken::Fifo);
    assert_eq!(refused(&root, b"none"), NotTaken::Gone);
    assert_eq!(refused(&root, b"none/none"), NotTaken::Gone);
    assert_eq!(refused(&root, b"a/none"), NotTaken::Gone);
    for bad in [
        &b""[..],
        b"/",
        b"/etc/passwd",
        b"../secret",
        b"d/../a",
        b"./a",
        b"d//a",
        b"d/",
        b"a\0b",
    ] {
        assert_eq!(refused(&root, bad), NotTaken::BadPath, "{bad:?}");
    }
    assert_eq!(
        refused(&FolderRoot::new("/dev".into(), true), b"null"),
        NotTaken::Device
    );
}

/// A link to a file that its maker may not read would carry it out.
#[test]
fn a_second_name_is_taken_only_where_the_kernel_guards_links() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("outside"), b"secret").unwrap();
    std::fs::create_dir(at("in")).unwrap();
    std::fs::hard_link(at("outside"), at("in/link")).unwrap();
    std::fs::write(at("in/plain"), b"plain").unwrap();
    let mut root = root(&at("in"));
    root.links_guarded = false;
    assert_eq!(refused(&root, b"link"), NotTaken::HardLink);
    root.open_file(b"plain").unwrap();
    root.links_guarded = true;
    root.open_file(b"link").unwrap();
    // Its last name: nobody else's file any more, or nobody guards it.
    root.links_guarded = false;
    std::fs::remove_file(at("outside")).unwrap();
    root.open_file(b"link").unwrap();
}

#[test]
fn another_mount_is_taken_only_where_allowed() {
    let other = b"proc/version";
    assert_eq!(
        refused(&FolderRoot::new("/".into(), true), other),
        NotTaken::OtherMount
    );
    FolderRoot::new("/".into(), false).open_file(other).unwrap();
}

#[test]
fn a_link_swapped_in_never_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(outside.path().join("d")).unwrap();
    std::fs::write(outside.path().join("d/f"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/f"), b"public").unwrap();
    symlink(outside.path().join("d"), dir.path().join("link")).unwrap();
    let root = root(dir.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (d, link) = (dir.path().join("d"), dir.path().join("link"));
            while !stop.load(Ordering::Relaxed) {
                let flag = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(rustix::fs::CWD, &d, rustix::fs::CWD, &link, flag)
                    .unwrap();
            }
        });
        let (mut opened, mut refused) = (0, 0);
        while opened < 300 || refused < 300 {
            match root.open_file(b"d/f") {
                Ok(mut o) => {
                    let mut text = String::new();
                    o.file.read_to_string(&mut text).unwrap();
                    assert_eq!(text, "public");
                    opened += 1;
                }
                Err(why) => {
                    assert!(matches!(why, NotTaken::Symlink | NotTaken::Gone), "{why:?}");
                    refused += 1;
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_changed_file_is_not_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let root = root(dir.path());
    std::fs::write(&path, b"one").unwrap();
    let o = root.open_file(b"a").unwrap();
    assert!(same_version(&o.file, &o.version));
    assert_eq!(root.look(b"a").as_ref(), Ok(&o.version));
    // Replaced: the open file is what it was, its path leads elsewhere.
    std::fs::write(dir.path().join("b"), b"two").unwrap();
    std::fs::rename(dir.path().join("b"), &path).unwrap();
    assert!(same_version(&o.file, &o.version));
    assert_ne!(root.look(b"a").as_ref(), Ok(&o.version));
    // Appended to.
    let o = root.open_file(b"a").unwrap();
    let mut more = File::options().append(true).open(&path).unwrap();
    more.write_all(b"!").unwrap();
    assert!(!same_version(&o.file, &o.version));
    assert_ne!(root.look(b"a").as_ref(), Ok(&o.version));
    // Deleted.
    let o = root.open_file(b"a").unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(same_version(&o.file, &o.version));
    assert!(root.look(b"a").is_err());
}

/// A file system that gives freed inodes again (ext4) is no reason to take one
/// file for another.
#[test]
fn a_new_file_has_another_birth() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let root = root(dir.path());
    std::fs::write(&path, b"one").unwrap();
    let old = root.look(b"a").unwrap();
    let mtime = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::remove_file(&path).unwrap();
    let file = File::create_new(&path).unwrap();
    (&file).write_all(b"two").unwrap();
    file.set_modified(mtime).unwrap();
    let new = root.look(b"a").unwrap();
    assert_eq!((new.size, new.mtime_ns), (old.size, old.mtime_ns));
    if old.born_ns.is_some() {
        assert_ne!(old.born_ns, new.born_ns);
        assert!(!same_version(&file, &old));
    }
}

#[test]
fn a_folder_that_is_not_there_says_nothing_of_its_files() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("in");
    let root = root(&path);
    assert_eq!(root.check(), Err(Offline::Missing));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), b"a").unwrap();
    root.check().unwrap();
    let known = root.identity();
    std::fs::rename(&path, parent.path().join("away")).unwrap();
    assert_eq!(refused(&root, b"a"), NotTaken::Offline(Offline::Missing));
    std::fs::write(&path, b"a file").unwrap();
    assert_eq!(root.check(), Err(Offline::NotADirectory));
    std::fs::remove_file(&path).unwrap();
    // Another directory: not touched until it is taken up.
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), b"other").unwrap();
    assert_eq!(root.check(), Err(Offline::Replaced));
    assert_eq!(refused(&root, b"a"), NotTaken::Offline(Offline::Replaced));
    assert_eq!(root.identity(), known);
    root.reopen().unwrap();
    assert!(root.check().is_ok());
    assert_eq!(root.look(b"a").unwrap().size, 5);
}

#[test]
fn a_folder_that_becomes_a_link_is_not_taken_up_until_it_is_confirmed() {
    let parent = tempfile::tempdir().unwrap();
    let (path, away) = (parent.path().join("in"), parent.path().join("away"));
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("a"), b"a").unwrap();
    let root = root(&path);
    root.check().unwrap();
    std::fs::rename(&path, &away).unwrap();
    // Even where it leads to the same directory.
    std::os::unix::fs::symlink(&away, &path).unwrap();
    assert_eq!(root.check(), Err(Offline::BecameLink));
    assert_eq!(root.reopen(), Err(Offline::BecameLink));
    assert_eq!(refused(&root, b"a"), NotTaken::Offline(Offline::BecameLink));
    root.confirm();
    assert_eq!(root.check(), Err(Offline::Replaced));
    root.reopen().unwrap();
    assert_eq!(root.look(b"a").unwrap().size, 1);
    // It is a link now, and may go on being one.
    root.check().unwrap();
}

#[test]
fn a_directory_of_another_owner_is_not_taken_up_until_it_is_confirmed() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("in");
    std::fs::create_dir(&path).unwrap();
    let root = root(&path);
    root.check().unwrap();
    std::fs::rename(&path, parent.path().join("away")).unwrap();
    std::fs::create_dir(&path).unwrap();
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        eprintln!("SKIPPED: only root can give a directory away");
        return;
    }
    assert_eq!(root.check(), Err(Offline::AnotherOwner));
    assert_eq!(root.reopen(), Err(Offline::AnotherOwner));
    // A confirmation holds for one look: what comes later is not covered.
    root.confirm();
    root.reopen().unwrap();
    root.check().unwrap();
    std::fs::rename(&path, parent.path().join("away-too")).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(root.check(), Err(Offline::AnotherOwner));
}

/// Mounts a tmpfs, seen by this thread alone. `false`: not allowed here.
fn mount_tmpfs(at: &Path) -> bool {
    let text = |s: &[u8]| std::ffi::CString::new(s).unwrap();
    let at = text(at.as_os_str().as_bytes());
    // SAFETY: gives this thread a mount table of its own; takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return false;
    }
    let (root, tmpfs) = (text(b"/"), text(b"tmpfs"));
    let null = std::ptr::null();
    // SAFETY: all pointers are to strings that outlive the calls, or null where
    // the call takes none.
    unsafe {
        libc::mount(
            null,
            root.as_ptr(),
            null,
            libc::MS_REC | libc::MS_PRIVATE,
            null.cast(),
        ) == 0
            && libc::mount(tmpfs.as_ptr(), at.as_ptr(), tmpfs.as_ptr(), 0, null.cast()) == 0
    }
}

fn umount(at: &Path) {
    let at = std::ffi::CString::new(at.as_os_str().as_bytes()).unwrap();
    // SAFETY: the string outlives the call.
    let rc = unsafe { libc::umount(at.as_ptr()) };
    assert_eq!(rc, 0, "not busy: {}", std::io::Error::last_os_error());
}

#[test]
fn an_empty_mount_point_is_waited_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let thread = std::thread::spawn(move || {
        if !mount_tmpfs(&path) {
            eprintln!("skipped: mounting is not allowed here");
            return;
        }
        std::fs::write(path.join("a"), b"a").unwrap();
        let root = root(&path);
        root.check().unwrap();
        let a = root.look(b"a").unwrap();
        // Where nothing was mounted, a new number of the device means nothing.
        let renumbered = FileVersion {
            dev: a.dev + 1,
            ..a.clone()
        };
        assert_eq!(root.missing(&renumbered), NotTaken::Gone);
        // Nothing of ours holds it.
        umount(&path);
        assert_eq!(root.check(), Err(Offline::EmptyMountPoint));
        assert_eq!(
            refused(&root, b"a"),
            NotTaken::Offline(Offline::EmptyMountPoint)
        );
        // Another file system is not taken up until a person says so.
        assert!(mount_tmpfs(&path));
        assert_eq!(root.check(), Err(Offline::AnotherFileSystem));
        assert_eq!(root.reopen(), Err(Offline::AnotherFileSystem));
        root.confirm();
        assert_eq!(root.check(), Err(Offline::Replaced));
        root.reopen().unwrap();
        assert_eq!(refused(&root, b"a"), NotTaken::Gone);
        // It says nothing of a file that was on another one.
        let mut version = FileVersion {
            dev: root.identity().unwrap().dev,
            ..a.clone()
        };
        assert_eq!(root.missing(&version), NotTaken::Gone);
        version.dev += 1;
        assert_eq!(
            root.missing(&version),
            NotTaken::Offline(Offline::OtherFileSystem)
        );
        umount(&path);
        // A directory with something in it is no forgotten mount point, and on
        // another file system.
        std::fs::write(path.join("b"), b"b").unwrap();
        assert_eq!(root.check(), Err(Offline::AnotherFileSystem));
        std::fs::remove_file(path.join("b")).unwrap();
    });
    thread.join().unwrap();
}

/// Whatever order they come in, each is opened, or refused, as by itself.
#[test]
fn many_are_opened_as_each_by_itself() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("a"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("x/y")).unwrap();
    std::fs::create_dir(at("x/empty")).unwrap();
    for name in ["a", "b", "x/a", "x/b", "x/y/a", "x/y/b"] {
        std::fs::write(at(name), name).unwrap();
    }
    symlink(outside.path(), at("linked")).unwrap();
    symlink("a", at("x/link")).unwrap();
    let handle = root(dir.path()).handle().unwrap();
    let mut names: Vec<&[u8]> = vec![
        b"a",
        b"x/a",
        b"x/b",
        b"x/y/a",
        b"b",
        b"x/y/b",
        b"x/y",
        b"x/link",
        b"x/none",
        b"linked/a",
        b"none/a",
        b"none/b",
        b"x/empty/a",
        b"",
        b"x/",
        b"x/.",
        b"x/..",
        b"x/../a",
        b"x//a",
        b"./a",
        b"x/a\0b",
        b"/x/a",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let mut opened = Vec::new();
        handle.open_files(names.iter().copied(), |one| {
            opened.push(one.map(|mut opened| {
                let mut text = String::new();
                opened.file.read_to_string(&mut text).unwrap();
                (opened.version, text)
            }));
        });
        assert_eq!(opened.len(), names.len());
        for (name, opened) in names.iter().zip(opened) {
            let alone = handle.open_file(name).map(|opened| opened.version);
            let version = opened.as_ref().map(|(version, _)| version.clone());
            let version = version.map_err(Clone::clone);
            let name = String::from_utf8_lossy(name).into_owned();
            assert_eq!(version, alone, "{name:?} in round {round}");
            if let Ok((_, text)) = opened {
                assert_eq!(text, name);
            }
        }
        random.shuffle(&mut names);
    }
}

/// A directory that is swapped for a link while its files are opened leads
/// nowhere else: they are opened in the directory that was walked to.
#[test]
fn many_are_opened_where_the_walk_led() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("b"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("x")).unwrap();
    for name in ["x/a", "x/b"] {
        std::fs::write(at(name), b"own").unwrap();
    }
    let handle = root(dir.path()).handle().unwrap();
    let mut texts = Vec::new();
    handle.open_files([&b"x/a"[..], b"x/b"], |opened| {
        let mut text = String::new();
        opened.unwrap().file.read_to_string(&mut text).unwrap();
        if texts.is_empty() {
            std::fs::rename(at("x"), at("moved")).unwrap();
            symlink(outside.path(), at("x")).unwrap();
        }
        texts.push(text);
    });
    assert_eq!(texts, ["own", "own"]);
    handle.open_files([&b"x/b"[..]], |opened| {
        assert_eq!(opened.map(|o| o.version), Err(NotTaken::Symlink));
    });
}
