//! Every file of `tests/samples/`, made with real tools, is sorted as the table
//! says; a sample that the table misses fails the test, and so does a row whose
//! sample is gone.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/samples.rs"]
mod samples;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use supametas_sync::domain::media::{Content, Media, Sorted, default_lists, sort};
use supametas_sync::domain::naming::upload_name;
use supametas_sync::media::{detect, link::read_link};

use samples::Want::{Incomplete, No, Page, To};
use samples::{BESIDE, TABLE, folder};

fn look(path: &Path) -> (Content, Sorted) {
    let name = path.file_name().unwrap().as_bytes();
    let mut file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let content = detect(&mut file, name, size).unwrap().content;
    let sorted = sort(&content, name, &default_lists());
    (content, sorted)
}

#[test]
fn every_sample_is_in_the_table_and_small() {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(
            entry.metadata().unwrap().len() < 50_000,
            "{name} is too large"
        );
        if !BESIDE.contains(&name.as_str()) {
            there.insert(name);
        }
    }
    let table: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        table.len(),
        TABLE.len(),
        "a sample stands in the table twice"
    );
    assert_eq!(there, table);
}

#[test]
fn every_sample_is_sorted_as_the_table_says() {
    let mut wrong = Vec::new();
    for (name, want) in TABLE {
        let path = folder().join(name);
        let (content, sorted) = look(&path);
        let fits = match (want, &sorted) {
            (
                To(media, sent),
                Sorted::Route {
                    media: got,
                    extension_fix,
                },
            ) => media == got && upload_name(name.as_bytes(), extension_fix.as_deref()) == *sent,
            (
                Page(page),
                Sorted::Route {
                    media: Media::Web,
                    extension_fix: None,
                },
            ) => read_link(&fs::read(&path).unwrap(), name.as_bytes()).as_deref() == Ok(*page),
            (No(words), Sorted::Unsupported(why)) => why.to_string().contains(words),
            (Incomplete, Sorted::Incomplete) => true,
            _ => false,
        };
        if !fits {
            wrong.push(format!("{name}: {content:?}: {sorted:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Content decides, so under another type's name (or none) a sample goes to the
/// same import.
#[test]
fn a_wrong_name_changes_nothing_for_sure_content() {
    for (name, want) in TABLE {
        let To(media, _) = want else { continue };
        let (content, _) = look(&folder().join(name));
        if content.sure_media().is_none() || content == Content::MpegVideo {
            continue;
        }
        for wrong in ["x.gif", "x.txt", "x.zip", "x"] {
            let sorted = sort(&content, wrong.as_bytes(), &default_lists());
            let Sorted::Route {
                media: got,
                extension_fix: Some(_),
            } = sorted
            else {
                panic!("{name} as {wrong}: {sorted:?}");
            };
            assert_eq!(got, *media, "{name} as {wrong}");
        }
    }
}

/// Real files cut short or damaged: no panic, no error, and a cut Word document
/// is never taken for a whole one.
#[test]
fn cut_and_damaged_samples_are_survived() {
    for (name, _) in TABLE {
        let bytes = fs::read(folder().join(name)).unwrap();
        let look = |bytes: &[u8]| {
            let size = bytes.len() as u64;
            detect(&mut Cursor::new(bytes), name.as_bytes(), size)
                .unwrap()
                .content
        };
        // Some 150 places in every file, the ends closely.
        let step = (bytes.len() / 100).max(1);
        let ends = (0..25).chain(bytes.len().saturating_sub(25)..bytes.len());
        for at in (0..bytes.len())
            .step_by(step)
            .chain(ends)
            .filter(|at| *at < bytes.len())
        {
            let cut = look(&bytes[..at]);
            if name.ends_with(".docx") && at >= 4 {
                assert_eq!(cut, Content::IncompleteZip, "{name} cut at {at}");
            }
            for damage in [0x00, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = damage;
                look(&damaged);
                // Whatever comes out, it is an address or a reason.
                if let Ok(page) = read_link(&damaged, name.as_bytes()) {
                    assert!(
                        page.starts_with("https://"),
                        "{name} damaged at {at}: {page}"
                    );
                }
            }
        }
    }
}
