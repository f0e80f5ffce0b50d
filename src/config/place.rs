//! Which drop folder a path lies in, and where in it.
//!
//! Must not: look at the file itself: it may be gone, and a link is never
//! followed. Only what is above it is resolved.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::surroundings::Surroundings;
use super::valid::Config;
use crate::domain::ids::FolderName;

impl Config {
    /// The folders that a path lies in, with its path in there (empty: it is
    /// the folder itself). The best first: the innermost folder, and the path
    /// as it was written before the one that its links lead to. `cwd`: what a
    /// relative path is relative to.
    pub fn places_of(
        &self,
        cwd: &Path,
        asked: &Path,
        on: &dyn Surroundings,
    ) -> Vec<(FolderName, Vec<u8>)> {
        let written = tidy(&cwd.join(asked));
        // The name itself is not resolved: a link is never taken, and the file
        // may be gone. What is above it may well be a link to the folder.
        let real = match (written.parent(), written.file_name()) {
            (Some(parent), Some(name)) => on.resolve(parent).join(name),
            _ => written.clone(),
        };
        let mut found: Vec<(usize, FolderName, Vec<u8>)> = Vec::new();
        for path in [written, real] {
            for folder in self.folders.values() {
                for root in [folder.path.clone(), on.resolve(&folder.path)] {
                    let Ok(below) = path.strip_prefix(&root) else {
                        continue;
                    };
                    let rel = below.as_os_str().as_bytes().to_vec();
                    if !found.iter().any(|(_, f, r)| *f == folder.name && *r == rel) {
                        let depth = root.components().count();
                        found.push((depth, folder.name.clone(), rel));
                    }
                }
            }
        }
        // Stable: of one depth, the path as written comes first.
        found.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
        found
            .into_iter()
            .map(|(_, name, rel)| (name, rel))
            .collect()
    }
}

/// Without `.` and `..`, by the text alone.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::keys::Keys;
    use super::super::surroundings::Machine;
    use super::*;

    #[test]
    fn dots_are_taken_out() {
        let tidied = |text: &str| tidy(Path::new(text)).display().to_string();
        assert_eq!(tidied("/a/./b/../c"), "/a/c");
        assert_eq!(tidied("./x"), "x");
        assert_eq!(tidied("../../x"), "x");
        assert_eq!(tidied("/.."), "/");
    }

    #[test]
    fn the_innermost_folder_and_the_written_path_come_first() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("in/sub")).unwrap();
        std::os::unix::fs::symlink(at("in"), at("alias")).unwrap();
        let text = format!(
            "[[dataset]]\nname = 'd'\nkey_env = 'K'\n\
             [[folder]]\nname = 'outer'\npath = {:?}\ndataset = 'd'\nrecursive = false\n\
             [[folder]]\nname = 'inner'\npath = {:?}\ndataset = 'd'\n",
            at("in"),
            at("in/sub")
        );
        let loaded = Config::read(Path::new("c"), &text, Keys::NotNeeded, &Machine).unwrap();
        let places = |asked: &str| -> Vec<String> {
            let found = loaded
                .config
                .places_of(dir.path(), Path::new(asked), &Machine);
            found
                .into_iter()
                .map(|(folder, rel)| format!("{folder}:{}", String::from_utf8(rel).unwrap()))
                .collect()
        };
        assert_eq!(places("in/a.txt"), ["outer:a.txt"]);
        assert_eq!(
            places("in/sub/x/../a.txt"),
            ["inner:a.txt", "outer:sub/a.txt"]
        );
        assert_eq!(places("alias/a.txt"), ["outer:a.txt"]);
        assert_eq!(places("in"), ["outer:"]);
        assert!(places("elsewhere/a.txt").is_empty());
        assert!(places(".").is_empty());
    }
}
