//! Moves and deletions in a directory of the test's own.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

/// A drop folder, in which `done` is the target.
struct Room {
    dir: tempfile::TempDir,
    fd: File,
    path: PathBuf,
}

fn quiet(_: &File) -> bool {
    false
}

fn busy(_: &File) -> bool {
    true
}

fn room() -> Room {
    let dir = tempfile::tempdir().unwrap();
    let fd = File::open(dir.path()).unwrap();
    let path = dir.path().join("the-file");
    Room { dir, fd, path }
}

impl Room {
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn drop_file(&self, name: &str, content: &str) -> FileVersion {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        let meta = fs::metadata(path).unwrap();
        FileVersion {
            path: name.as_bytes().to_vec(),
            dev: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
            born_ns: None,
        }
    }
    fn place<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place {
            dir: self.fd.as_fd(),
            name: name.as_bytes(),
            path: &self.path,
        }
    }
    fn done(&self) -> Dir {
        Dir::private(&self.at("done")).unwrap()
    }
    fn moved(&self, id: i64, name: &str, version: &FileVersion) -> Result<Disposed, FileError> {
        let dir = self.done();
        let goal = Goal {
            dir: &dir,
            name: name.as_bytes(),
        };
        move_to(FileId(id), &self.place(name), version, &goal, quiet)
    }
    fn deleted(&self, id: i64, name: &str, version: &FileVersion) -> Result<Disposed, FileError> {
        delete(FileId(id), &self.place(name), version, quiet)
    }
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_move_never_overwrites() {
    let room = room();
    for (n, name) in [(1, "a.txt"), (2, "a (2).txt"), (3, "a (3).txt")] {
        let version = room.drop_file("a.txt", &format!("{n}"));
        let moved = room.moved(n, "a.txt", &version).unwrap();
        assert_eq!(moved, Disposed::Moved(room.at("done").join(name)));
        let content = fs::read_to_string(room.at("done").join(name)).unwrap();
        assert_eq!(content, n.to_string());
    }
    assert_eq!(room.names(), ["done"]);
}

#[test]
fn another_version_is_left_alone() {
    let room = room();
    let mut version = room.drop_file("a.txt", "old");
    version.mtime_ns -= 1;
    assert_eq!(room.deleted(1, "a.txt", &version), Ok(Disposed::Changed));
    assert_eq!(room.names(), ["a.txt"]);
}

#[test]
fn what_a_crash_left_aside_is_found_again() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    fs::rename(room.at("a.txt"), room.at(".supametas-7.aside")).unwrap();
    // Somebody has dropped a new file of the same name meanwhile.
    room.drop_file("a.txt", "new");
    assert_eq!(room.deleted(7, "a.txt", &version), Ok(Disposed::Deleted));
    assert_eq!(fs::read_to_string(room.at("a.txt")).unwrap(), "new");
    assert_eq!(room.names(), ["a.txt"]);
}

#[test]
fn a_name_aside_that_somebody_took_holds_up_nothing() {
    let room = room();
    symlink("/nowhere", room.at(".supametas-1.aside")).unwrap();
    fs::create_dir(room.at(".supametas-1-2.aside")).unwrap();
    let version = room.drop_file("a.txt", "x");
    assert_eq!(room.deleted(1, "a.txt", &version), Ok(Disposed::Deleted));
    // What a crash left under a later name is found with gaps before it.
    let version = room.drop_file("b.txt", "x");
    fs::rename(room.at("b.txt"), room.at(".supametas-2-3.aside")).unwrap();
    assert_eq!(room.deleted(2, "b.txt", &version), Ok(Disposed::Deleted));
    assert_eq!(room.names(), [".supametas-1-2.aside", ".supametas-1.aside"]);
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    fs::remove_file(room.at("a.txt")).unwrap();
    assert_eq!(room.deleted(1, "a.txt", &version), Ok(Disposed::Missing));
}

#[test]
fn a_file_that_somebody_writes_to_is_left_alone() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    let done = delete(FileId(1), &room.place("a.txt"), &version, busy);
    assert_eq!(done, Err(FileError::BeingWritten(room.path.clone())));
    assert_eq!(room.names(), ["a.txt"]);
    assert_eq!(room.deleted(1, "a.txt", &version), Ok(Disposed::Deleted));
}

#[test]
fn a_note_is_written_once_whatever_the_length_of_the_name() {
    let room = room();
    let dir = room.done();
    // What a crash has left.
    fs::write(room.at("done/.a.bin.supametas.json.part"), "hal").unwrap();
    write_note(&dir, b"a.bin", "first").unwrap();
    write_note(&dir, b"a.bin", "first").unwrap();
    let note = room.at("done/a.bin.supametas.json");
    assert_eq!(fs::read_to_string(&note).unwrap(), "first");
    assert_eq!(fs::metadata(note).unwrap().mode() & 0o137, 0);
    let long = "\u{e9}".repeat(127);
    write_note(&dir, long.as_bytes(), "long").unwrap();
    assert_eq!(fs::read_dir(room.at("done")).unwrap().count(), 2);
}

#[test]
fn what_has_the_name_of_a_note_is_not_taken_for_it() {
    let room = room();
    let dir = room.done();
    fs::write(room.at("done/a.bin.supametas.json"), "wrong").unwrap();
    symlink("nowhere", room.at("done/a.bin.supametas (2).json")).unwrap();
    fs::create_dir(room.at("done/a.bin.supametas (3).json")).unwrap();
    for _ in 0..2 {
        write_note(&dir, b"a.bin", "right").unwrap();
        let note = room.at("done/a.bin.supametas (4).json");
        assert_eq!(fs::read_to_string(note).unwrap(), "right");
    }
    let kept = fs::read_to_string(room.at("done/a.bin.supametas.json"));
    assert_eq!(kept.unwrap(), "wrong");
    assert_eq!(fs::read_dir(room.at("done")).unwrap().count(), 4);
}

#[test]
fn a_name_of_the_greatest_length_gets_a_number_too() {
    let room = room();
    let name = format!("{}.txt", "n".repeat(251));
    for id in [1, 2] {
        let version = room.drop_file(&name, "x");
        let moved = room.moved(id, &name, &version).unwrap();
        assert!(matches!(moved, Disposed::Moved(_)), "{moved:?}");
    }
    assert_eq!(fs::read_dir(room.at("done")).unwrap().count(), 2);
}

#[test]
fn what_was_moved_is_found_beside_a_name_that_was_taken() {
    let room = room();
    let dir = room.done();
    room.drop_file("done/a.txt", "another");
    let version = room.drop_file("done/a (2).txt", "x");
    let there = room.at("done/a (2).txt");
    assert_eq!(find(&dir, b"a.txt", &version), Ok(Some(there.clone())));
    fs::remove_file(there).unwrap();
    assert_eq!(find(&dir, b"a.txt", &version), Ok(None));
}

#[test]
fn a_target_that_is_a_link_or_open_to_others_is_refused_and_the_source_stays() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    fs::create_dir(room.at("elsewhere")).unwrap();
    symlink(room.at("elsewhere"), room.at("done")).unwrap();
    let refused = Dir::private(&room.at("done")).unwrap_err();
    assert_eq!(refused, FileError::Link(room.at("done")));
    fs::remove_file(room.at("done")).unwrap();
    fs::create_dir(room.at("done")).unwrap();
    for mode in [0o777, 0o775, 0o1777] {
        fs::set_permissions(room.at("done"), fs::Permissions::from_mode(mode)).unwrap();
        let refused = Dir::private(&room.at("done")).unwrap_err();
        assert!(
            matches!(refused, FileError::OpenToOthers { .. }),
            "{mode:o}"
        );
        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
    }
    // A subdirectory is looked at as the target itself is.
    fs::set_permissions(room.at("done"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(room.at("elsewhere"), room.at("done/sub")).unwrap();
    let below = room
        .done()
        .private_below(Path::new("sub/deep"))
        .unwrap_err();
    assert_eq!(below, FileError::Link(room.at("done/sub")));
    assert!(fs::read_dir(room.at("elsewhere")).unwrap().next().is_none());
    assert_eq!(room.deleted(1, "a.txt", &version), Ok(Disposed::Deleted));
}

#[test]
fn what_is_made_can_be_written_by_nobody_else() {
    let room = room();
    let mode = |name: &str| fs::metadata(room.at(name)).unwrap().mode() & 0o777;
    room.done().private_below(Path::new("a/b")).unwrap();
    for dir in ["done", "done/a", "done/a/b"] {
        assert_eq!(mode(dir) & 0o027, 0, "{dir}: {:o}", mode(dir));
    }
}

#[test]
fn something_else_under_the_aside_name_goes_back_and_nothing_is_led_astray() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    let (dir, secret) = (room.done(), room.at("secret"));
    fs::write(&secret, "not to be moved").unwrap();
    let goal = Goal {
        dir: &dir,
        name: b"a.txt",
    };
    // What a swap between the look and the move leaves.
    symlink(&secret, room.at("aside")).unwrap();
    let moved = move_aside_to(&room.place("a.txt"), b"aside", &version, &goal);
    assert_eq!(moved, Ok(None));
    assert_eq!(fs::read_dir(room.at("done")).unwrap().count(), 0);
    assert!(room.at("aside").is_symlink());
    for copied in [b"aside".as_slice(), b"fifo"] {
        if copied == b"fifo" {
            rustix::fs::mknodat(
                &room.fd,
                "fifo",
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap();
        }
        let copied = copy_aside_to(&room.place("a.txt"), copied, &version, &goal);
        assert!(matches!(copied, Err(FileError::Replaced(_))), "{copied:?}");
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "not to be moved");
}

#[test]
fn a_copy_across_file_systems_ends_like_a_move() {
    let room = room();
    let version = room.drop_file("a.txt", "x");
    let place = room.place("a.txt");
    let Aside::There(aside) = set_aside(FileId(1), &place, &version, quiet).unwrap() else {
        panic!("it was there")
    };
    let dir = room.done();
    room.drop_file("done/a.txt", "other");
    let goal = Goal {
        dir: &dir,
        name: b"a.txt",
    };
    let name = copy_aside_to(&place, &aside, &version, &goal).unwrap();
    assert_eq!(name.as_deref(), Some(b"a (2).txt".as_slice()));
    assert_eq!(fs::read_to_string(room.at("done/a (2).txt")).unwrap(), "x");
    assert_eq!(room.names(), ["done"]);
}
