#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::not_taken::Offline;
use super::super::testing::sign;
use super::*;
use crate::domain::place::FolderPlace;

/// A folder, and daemons on it.
struct Folder {
    _dir: TempDir,
    path: PathBuf,
    root: Arc<FolderRoot>,
}

fn folder() -> Folder {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in");
    fs::create_dir(&path).unwrap();
    let root = Arc::new(FolderRoot::new(path.clone(), true));
    Folder {
        _dir: dir,
        path,
        root,
    }
}

impl Folder {
    fn look(&self, signs: &mut Signs) -> Option<String> {
        let directory = self.root.check().unwrap().identity;
        signs.look(&self.root, directory).map(|other| other.run)
    }

    fn sign(&self) -> PathBuf {
        self.path.join(NAME)
    }
}

fn signs(ledger: &str, run: &str) -> Signs {
    Signs::new(Arc::new(sign(ledger, run)))
}

#[test]
fn two_daemons_on_one_folder_find_each_others_sign() {
    let folder = folder();
    let (mut a, mut b) = (signs("aa", "a"), signs("bb", "b"));
    assert_eq!(folder.look(&mut a), None, "nobody else yet");
    let looks: Vec<_> = (0..3)
        .map(|_| (folder.look(&mut b), folder.look(&mut a)))
        .collect();
    let both = (Some("a".to_owned()), Some("b".to_owned()));
    assert_eq!(looks, vec![both; 3]);
    // It takes away its own sign alone.
    b.remove(&folder.root);
    assert_eq!(look(&folder.root).unwrap().sign.run, "a");
    a.remove(&folder.root);
    assert!(!folder.sign().exists());
}

#[test]
fn one_daemon_alone_renews_its_sign_and_makes_no_file_anew() {
    let folder = folder();
    let mut a = signs("aa", "a");
    assert_eq!(folder.look(&mut a), None);
    let first = fs::metadata(folder.sign()).unwrap();
    assert_eq!(folder.look(&mut a), None);
    let second = fs::metadata(folder.sign()).unwrap();
    assert_eq!(first.ino(), second.ino());
    assert!(second.modified().unwrap() >= first.modified().unwrap());
    assert_eq!(second.mode() & 0o7777, 0o644, "another's daemon reads it");
}

#[test]
fn what_strangers_put_in_its_place_leads_nowhere() {
    let folder = folder();
    let victim = folder.path.parent().unwrap().join("victim");
    fs::write(&victim, "words of somebody").unwrap();
    let fifo = |at: &Path| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
    };
    let huge = |at: &Path| fs::File::create(at).unwrap().set_len(1 << 40).unwrap();
    let (of_victim, of_other) = (victim.clone(), victim.clone());
    type Way = Box<dyn Fn(&Path)>;
    let ways: [(&str, Way); 4] = [
        (
            "a link",
            Box::new(move |at| symlink(&of_victim, at).unwrap()),
        ),
        (
            "a second name",
            Box::new(move |at| fs::hard_link(&of_other, at).unwrap()),
        ),
        ("a pipe", Box::new(fifo)),
        ("a terabyte", Box::new(huge)),
    ];
    for (what, put) in ways {
        put(&folder.sign());
        let mut a = signs("aa", "a");
        assert_eq!(folder.look(&mut a), None, "{what}");
        assert_eq!(look(&folder.root).unwrap().sign.run, "a", "{what}");
        assert_eq!(fs::read(&victim).unwrap(), b"words of somebody", "{what}");
        a.remove(&folder.root);
    }
    // Of a directory nothing is taken away, and nothing is said.
    fs::create_dir(folder.sign()).unwrap();
    let mut a = signs("aa", "a");
    assert_eq!(folder.look(&mut a), None);
    assert!(folder.sign().is_dir());
}

#[test]
fn where_nothing_can_be_written_a_sign_that_changes_is_told_of() {
    let folder = folder();
    // A place where this test, run by root, can't write either.
    fs::create_dir(folder.sign()).unwrap();
    let mut a = signs("aa", "a");
    assert_eq!(folder.look(&mut a), None);
    fs::remove_dir(folder.sign()).unwrap();
    let mut b = signs("bb", "b");
    assert_eq!(folder.look(&mut b), None);
    assert_eq!(folder.look(&mut a), Some("b".to_owned()));
}

#[test]
fn a_sign_in_a_bare_mount_point_makes_no_folder_of_it() {
    let folder = folder();
    fs::write(folder.sign(), sign("aa", "a").text()).unwrap();
    let path = folder.path.as_os_str().as_encoded_bytes().to_vec();
    let before = FolderPlace {
        path,
        file_system: "ext4:gone".to_owned(),
        inode: 2,
        is_mount: true,
    };
    let root = FolderRoot::new(folder.path.clone(), true).known_before(Some(before));
    assert_eq!(root.check(), Err(Offline::EmptyMountPoint));
    assert!(look(&root).is_none() || root.identity().is_none());
}
