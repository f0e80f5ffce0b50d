//! The patterns on names: what they mean, and how the default lists are extended and
//! replaced.
#![allow(clippy::unwrap_used)]

use super::testing::{says, with};
use crate::domain::ids::FolderName;

#[test]
fn globs_are_what_people_mean() {
    let config = with(
        "include = ['*.pdf', 'in/*.txt']\nexclude = ['drafts/', '/abs']\n"
            .replace(", '/abs'", "")
            .as_str(),
    );
    let folder = &config.folders[&FolderName("inbox".into())];
    let include = folder.include.as_ref().unwrap();
    for (path, taken) in [
        ("a.pdf", true),
        ("x/y/a.pdf", true),
        ("in/a.txt", true),
        ("in/x/a.txt", false),
        ("a.txt", false),
        ("A.PDF", false),
    ] {
        assert_eq!(include.is_match(path), taken, "{path}");
    }
    for (path, out) in [
        ("drafts/a", true),
        ("x/drafts/y/a", true),
        ("drafts", false),
        ("draftsy/a", false),
    ] {
        assert_eq!(folder.exclude.is_match(path), out, "{path}");
    }
    says(
        "include = ['/abs', '']\n",
        &[
            "10: error: `folder[1].include[1] = \"/abs\"` (folder inbox) is not a pattern for paths inside the folder; write it relative to the folder, such as \"*.pdf\" or \"drafts/**\"",
            "10: error: `folder[1].include[2] = \"\"` (folder inbox) is not a pattern for paths inside the folder; write it relative to the folder, such as \"*.pdf\" or \"drafts/**\"",
        ],
    );
}

#[test]
fn the_lists_of_names_are_extended_or_replaced() {
    let of = |text: &str| {
        let config = with(text);
        config.folders[&FolderName("inbox".into())].clone()
    };
    let extended = of("exclude_also = ['*.bak']\ntemporary_also = ['*.writing']\n");
    assert!(extended.exclude.is_match("x/a.bak") && extended.temporary.is_match("a.writing"));
    let watched = crate::daemon::folders::watched(&extended);
    assert!(watched.exclude_by_default && watched.temporary_by_default);
    let replaced = of("exclude = []\ntemporary = ['*.half']\ntemporary_also = ['*.third']\n");
    assert!(replaced.temporary.is_match("a.half") && replaced.temporary.is_match("x/a.third"));
    let watched = crate::daemon::folders::watched(&replaced);
    assert!(!watched.exclude_by_default && !watched.temporary_by_default);
    says(
        "exclude_also = ['ok', '/abs']\ntemporary_also = ['']\n",
        &[
            "10: error: `folder[1].exclude_also[2] = \"/abs\"` (folder inbox) is not a pattern for paths inside the folder; write it relative to the folder, such as \"*.pdf\" or \"drafts/**\"",
            "11: error: `folder[1].temporary_also[1] = \"\"` (folder inbox) is not a pattern for paths inside the folder; write it relative to the folder, such as \"*.pdf\" or \"drafts/**\"",
        ],
    );
}
