//! Opening and looking, in a directory of the test's own.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn an_administrators_link_above_is_followed_and_any_other_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("disk/data/in")).unwrap();
    symlink("disk/data", at("srv")).unwrap();
    symlink(at("disk"), at("whole")).unwrap();
    symlink("../../srv", at("disk/data/up")).unwrap();
    for good in [
        "srv/in",
        "whole/data/in",
        "whole/data/up/in",
        "srv/../data/in",
    ] {
        Dir::open(&at(good)).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    // At the end none is, and none in a directory that others may write to.
    assert_eq!(
        Dir::open(&at("srv")).unwrap_err(),
        FileError::Link(at("srv"))
    );
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = Dir::open(&at("srv/in")).unwrap_err();
    assert_eq!(refused, FileError::Link(at("srv")));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    Dir::open(&at("srv/in")).unwrap();
    // One that leads to itself ends.
    symlink("b", at("a")).unwrap();
    symlink("a", at("b")).unwrap();
    assert!(matches!(Dir::open(&at("a/x")), Err(FileError::Link(_))));
}

#[test]
fn what_is_missing_is_made_only_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    assert!(matches!(Dir::open(&path), Err(FileError::Missing { .. })));
    Dir::may_be_private(&path).unwrap();
    assert!(!path.exists());
    Dir::private(&path).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let file = Dir::private(&dir.path().join("file/x")).unwrap_err();
    assert_eq!(file, FileError::NotADirectory(dir.path().join("file")));
}

#[test]
fn only_names_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let open = Dir::open(dir.path()).unwrap();
    for name in [b"".as_slice(), b".", b"..", b"a/b", b"a\0"] {
        assert!(matches!(open.look(name), Err(FileError::BadName(_))));
        assert!(open.create_new(name, 0o600).is_err());
    }
}

#[test]
fn a_pipe_and_a_link_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open = Dir::open(dir.path()).unwrap();
    rustix::fs::mknodat(open.fd(), "pipe", FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    for name in [b"pipe".as_slice(), b"link"] {
        assert!(matches!(open.open_file(name), Err(FileError::Replaced(_))));
    }
    assert!(open.create_new(b"link", 0o600).is_err());
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let open = Dir::open(dir.path()).unwrap();
    open.put(b"a", b"1", 0o600, false).unwrap();
    let again = open.put(b"a", b"2", 0o600, false);
    assert_eq!(again, Err(FileError::Exists(dir.path().join("a"))));
    open.put(b"a", b"3", 0o600, true).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"3");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
