//! What a finished file is: by its size, its content, its name and the
//! folder's lists. Asked when a file is taken up, and by whoever explains one.
//!
//! Must not: wait for a file's end, or record what it is.

use std::fs::File;
use std::io;

use crate::config::valid::Folder;
use crate::domain::media::{Content, Sorted, UnsupportedReason, sort, still_incomplete};
use crate::domain::version::FileVersion;
use crate::ledger::NewSorted;
use crate::media;

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorting {
    /// What its bytes are; `None`: it is too large to be looked into.
    pub content: Option<Content>,
    /// What is appended to its name when it is sent, without the dot.
    pub extension_fix: Option<String>,
    /// What follows.
    pub found: Found,
}

/// What follows from what a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It can be recorded.
    New(NewSorted),
    /// Its end seems to be missing; what is recorded if it never comes.
    Incomplete(NewSorted),
}

/// Looks into an open file.
///
/// # Errors
/// Those of reading.
pub fn sort_file(folder: &Folder, file: &mut File, version: &FileVersion) -> io::Result<Sorting> {
    if version.size > folder.max_size {
        let reason = UnsupportedReason::TooLarge {
            size: version.size,
            max: folder.max_size,
        };
        return Ok(Sorting {
            content: None,
            extension_fix: None,
            found: Found::New(NewSorted::Unsupported(reason.into())),
        });
    }
    let detected = media::detect(file, version.name(), version.size)?;
    let mut fix = None;
    let found = match sort(&detected.content, version.name(), &folder.types) {
        Sorted::Route {
            media,
            extension_fix,
        } => {
            fix = extension_fix;
            if detected.is_cut {
                Found::Incomplete(NewSorted::Incomplete(media))
            } else {
                Found::New(NewSorted::Media(media))
            }
        }
        Sorted::Unsupported(reason) => Found::New(NewSorted::Unsupported(reason.into())),
        Sorted::Incomplete => Found::Incomplete(NewSorted::Unsupported(
            still_incomplete(&detected.content).into(),
        )),
    };
    Ok(Sorting {
        content: Some(detected.content),
        extension_fix: fix,
        found,
    })
}
