//! Who may change something on a disk by its path: nobody but the files of a
//! short list. All else goes through `src/files`, which works by handles, so
//! that nobody can lead a change elsewhere by swapping a directory for a link.
//!
//! Must not: know more of the code than the paths that it names.

use super::imports::{self, Path};
use super::{Source, all, source, text};

/// The room whose business it is.
const ROOM: &str = "src/files/";

/// Files of other rooms that may, and why.
const MAY: &[(&str, &str)] = &[
    (
        "src/ledger/open.rs",
        "the ledger and what SQLite lays beside it: in the ledger's own directory, which is \
         looked at before",
    ),
    (
        "src/ledger/lock.rs",
        "the ledger's lock: in the ledger's own directory, which is looked at before",
    ),
    (
        "src/ledger/place.rs",
        "what is saved of a ledger that was deleted: in the ledger's own directory",
    ),
    (
        "src/ledger/rebuild.rs",
        "a new ledger, and the old one moved aside: in the ledger's own directory",
    ),
    (
        "src/web/socket.rs",
        "a socket can only be made by its path; it replaces nothing but a socket",
    ),
];

/// Calls that change something, by the last components of their path.
const CHANGES: &[&[&str]] = &[
    &["fs", "write"],
    &["fs", "rename"],
    &["fs", "copy"],
    &["fs", "remove_file"],
    &["fs", "remove_dir"],
    &["fs", "remove_dir_all"],
    &["fs", "create_dir"],
    &["fs", "create_dir_all"],
    &["fs", "set_permissions"],
    &["fs", "hard_link"],
    &["fs", "soft_link"],
    &["fs", "symlink"],
    &["fs", "chown"],
    &["fs", "lchown"],
    &["File", "create"],
    &["File", "create_new"],
    &["File", "options"],
    &["OpenOptions"],
    &["OpenOptions", "new"],
    &["DirBuilder"],
    &["DirBuilder", "new"],
    &["OFlags", "CREATE"],
    &["OFlags", "TRUNC"],
    &["OFlags", "TMPFILE"],
    &["mkdir"],
    &["mkdirat"],
    &["mknodat"],
    &["unlink"],
    &["unlinkat"],
    &["rmdir"],
    &["rename"],
    &["renameat"],
    &["renameat_with"],
    &["link"],
    &["linkat"],
    &["symlink"],
    &["symlinkat"],
    &["chmod"],
    &["chmodat"],
    &["chown"],
    &["chownat"],
    &["truncate"],
    &["UnixListener", "bind"],
    &["UnixDatagram", "bind"],
];

/// Crates that do it themselves.
const CRATES: &[&str] = &["tempfile", "fs_err", "fs_extra"];

fn rule(source: &Source) -> Vec<String> {
    let name = source.name.as_str();
    if source.is_test() || name.starts_with(ROOM) || MAY.iter().any(|(file, _)| *file == name) {
        return Vec::new();
    }
    imports::of(&text::code(&source.text), &source.module)
        .into_iter()
        .filter_map(|import| match import.path {
            Path::Foreign(path) if changes(&path) => Some((import.line, path)),
            _ => None,
        })
        .map(|(line, path)| {
            format!(
                "{name}:{line}: `{}`. Rule: what is made, renamed or deleted outside the ledger's \
                 directory goes through src/files, by handles. Do: use `files::Dir`; if that \
                 can't be, enter the file in MAY in tests/architecture/writing.rs with the reason",
                path.join("::")
            )
        })
        .collect()
}

fn changes(path: &[String]) -> bool {
    let ends = |with: &[&str]| {
        let system = matches!(path[0].as_str(), "std" | "rustix" | "libc" | "fs" | "tokio");
        // One word is a call of the system only behind the system's name.
        path.len() >= with.len()
            && path[path.len() - with.len()..]
                .iter()
                .zip(with)
                .all(|(a, b)| a == b)
            && (with.len() > 1 || system)
    };
    CRATES.contains(&path[0].as_str()) || CHANGES.iter().any(|with| ends(with))
}

#[test]
fn files_are_changed_by_handles_alone() {
    all(rule);
}

#[test]
fn a_change_by_path_is_found_however_it_is_written() {
    for (file, snippet) in [
        ("daemon/a.rs", "fn f() { std::fs::rename(a, b); }"),
        (
            "daemon/a.rs",
            "use std::fs; fn f() { fs::create_dir_all(a); }",
        ),
        ("cli/a.rs", "use std::fs::{File, remove_file as gone};"),
        ("cli/a.rs", "fn f() { File::create(p); }"),
        ("cli/a.rs", "use std::fs::OpenOptions;"),
        ("watch/a.rs", "use rustix::fs::{unlinkat, AtFlags};"),
        ("watch/a.rs", "let f = OFlags::WRONLY | OFlags::CREATE;"),
        ("web/a.rs", "let l = UnixListener::bind(path);"),
        ("media/a.rs", "let d = tempfile::tempdir();"),
    ] {
        assert_eq!(rule(&source(file, snippet)).len(), 1, "{file}: {snippet}");
    }
    for (file, snippet) in [
        ("files/dir.rs", "fn f() { fs::rename(a, b); }"),
        ("ledger/open.rs", "use std::fs::OpenOptions;"),
        (
            "daemon/a.rs",
            "fn f() { fs::read(p); File::open(p); mem::swap(a, b); }",
        ),
        (
            "daemon/a.rs",
            "#[cfg(test)] mod tests { fn f() { fs::write(a, b); } }",
        ),
    ] {
        assert!(rule(&source(file, snippet)).is_empty(), "{file}: {snippet}");
    }
}

#[test]
fn the_list_names_no_file_that_needs_it_no_more() {
    let sources = super::sources();
    for (file, _) in MAY {
        let there = sources.iter().find(|source| source.name == *file);
        let there = there.unwrap_or_else(|| panic!("{file} is not in src"));
        let uses = imports::of(&text::code(&there.text), &there.module)
            .into_iter()
            .any(|import| matches!(import.path, Path::Foreign(path) if changes(&path)));
        assert!(
            uses,
            "{file} changes nothing by its path: take it out of MAY"
        );
    }
}
