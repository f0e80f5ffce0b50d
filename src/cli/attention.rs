//! Files that need a person, told once for many, with the line of configuration
//! that would end it.
//!
//! Must not: find them (`list` and `status` do), or show anything from outside that
//! was not made harmless.

use std::fmt::Write as _;

use crate::domain::naming::shown_text;
use crate::view::attention::GroupView;

/// Files with the same reason that are named one by one, at most.
pub const FEW: u64 = 3;

/// Files that are looked through, at most.
pub const LOOKED_THROUGH: usize = 100_000;

/// A line for each, and below it the configuration that would end it.
pub fn tell<'a>(groups: impl IntoIterator<Item = &'a GroupView>) -> String {
    let mut text = String::new();
    for group in groups {
        let folder = shown_text(&group.folder.0, 100);
        let _ = write!(
            text,
            "{}\n    in folder {folder}; the newest is {} (id {})\n",
            shown_text(&group.text, 400),
            shown_text(&group.newest.file, 200),
            group.newest.id
        );
        if let Some(line) = &group.configuration {
            let line = shown_text(line, 2_000);
            let _ = writeln!(
                text,
                "    to leave such files out, in [[folder]] {folder}: {line}"
            );
        }
    }
    text
}
