//! The fuzz targets' corpora as ordinary tests: every file of
//! `fuzz/corpus/TARGET/`, and random changes of them, from a seed that a
//! failure prints. `fuzz_properties` says what must hold, docs/testing.md how
//! to fuzz.
//!
//! ```sh
//! CORPORA_SEED=7 CORPORA_CHANGES=100000 cargo test --test corpora
//! ```
#![allow(clippy::unwrap_used)]

mod fuzz_properties;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz_properties::{Property, TARGETS};

/// Changed inputs for each target, unless `CORPORA_CHANGES` says otherwise.
const CHANGES: u64 = 3000;
/// Longest input that is made, in bytes.
const LONGEST: usize = 96 * 1024;
/// A corpus is to be read by people.
const MOST_FILES: usize = 60;
const MOST_BYTES: usize = 300 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number")),
    )
}

/// The corpus of a target: names and contents.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(root().join("corpus").join(target))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|e| {
            (
                e.file_name().into_string().unwrap(),
                fs::read(e.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

fn run(target: &str, name: &str, bytes: &[u8], property: Property) {
    if catch_unwind(|| property(bytes)).is_err() {
        let head = bytes.get(..2000).unwrap_or(bytes).escape_ascii();
        panic!(
            "{target}, {name}: {} bytes that break it: \"{head}\"",
            bytes.len()
        );
    }
}

#[test]
fn every_file_of_every_corpus() {
    for (target, property) in TARGETS {
        for (name, bytes) in corpus(target) {
            run(target, &name, &bytes, property);
        }
        run(target, "nothing", b"", property);
    }
}

#[test]
fn random_changes_of_them() {
    let seed = number("CORPORA_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let changes = number("CORPORA_CHANGES").unwrap_or(CHANGES);
    println!("CORPORA_SEED={seed}");
    for (target, property) in TARGETS {
        let files = corpus(target);
        let mut chance = fastrand::Rng::with_seed(seed);
        for at in 0..changes {
            let (name, bytes) = &files[chance.usize(..files.len())];
            let mut bytes = bytes.clone();
            for _ in 0..chance.usize(1..=4) {
                let (_, other) = &files[chance.usize(..files.len())];
                change(&mut bytes, other, &mut chance);
            }
            bytes.truncate(LONGEST);
            let name = format!("{name} changed, CORPORA_SEED={seed}, change {at}");
            run(target, &name, &bytes, property);
        }
    }
}

/// What often breaks a reader of text.
const TELLING: [&[u8]; 16] = [
    b"\"",
    b"'",
    b"\\",
    b"\r\n",
    b"\0",
    b"\x1b[31m",
    b"%00",
    b"\xe2\x80\xae",
    b"\xff",
    b"=",
    b"KEY",
    b"99999999999999999999",
    b"-1",
    b"..",
    b"[[",
    b"@",
];

fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut fastrand::Rng) {
    let len = bytes.len();
    let at = chance.usize(..=len);
    let to = at + chance.usize(..=(len - at).min(64));
    match chance.u8(..7) {
        0 if at < len => bytes[at] ^= 1 << chance.u8(..8),
        1 => drop(bytes.drain(at..to)),
        2 => {
            let again = bytes[at..to].repeat(chance.usize(1..40));
            bytes.splice(at..at, again).for_each(drop);
        }
        3 => {
            let from = chance.usize(..=other.len());
            let until = from + chance.usize(..=other.len() - from);
            let part = other[from..until].iter().copied();
            bytes.splice(at..to, part).for_each(drop);
        }
        4 => bytes.truncate(at),
        5 => bytes.insert(at, chance.u8(..)),
        _ => {
            let word = TELLING[chance.usize(..TELLING.len())].iter().copied();
            bytes.splice(at..at, word).for_each(drop);
        }
    }
}

#[test]
fn a_corpus_for_every_target_small_enough_to_read() {
    let names = |folder: &str| -> BTreeSet<String> {
        let name = |e: fs::DirEntry| e.path().file_stem().unwrap().to_str().unwrap().to_owned();
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    };
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("corpus"), known);
    let mut total = 0;
    for target in &known {
        let files = corpus(target);
        assert!(
            (5..=MOST_FILES).contains(&files.len()),
            "{target}: {} files",
            files.len()
        );
        total += files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
    assert!(total <= MOST_BYTES, "{total} bytes");
}
