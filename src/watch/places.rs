//! Which directory has its watch under which path: each directory one path,
//! each path one directory.
//!
//! The kernel's watch stays on a directory wherever it is moved to; notify
//! knows it by the path that it was set under, and takes the watch off when
//! something of that name is removed or renamed. Where a walk comes upon a moved
//! directory before notify has heard of the move, notify knows it by two paths,
//! and whatever is later removed at the former one takes the watch of the
//! latter with it, in silence. So the former is given up before the latter is
//! set.
//!
//! Must not: set a watch, or look at a directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::root::Identity;

/// Where the watched directories lie, as far as was seen.
#[derive(Debug, Default)]
pub struct Places {
    by_path: HashMap<PathBuf, Identity>,
    by_dir: HashMap<Identity, PathBuf>,
}

impl Places {
    /// `dir` was seen at `path`, and is to be watched there. The paths whose
    /// watches are to be given up before that.
    pub fn put(&mut self, path: &Path, dir: Identity) -> Vec<PathBuf> {
        let mut stale = Vec::new();
        match self.by_path.insert(path.to_owned(), dir) {
            Some(same) if same == dir => return stale,
            Some(other) => {
                self.by_dir.remove(&other);
                stale.push(path.to_owned());
            }
            None => {}
        }
        if let Some(former) = self.by_dir.insert(dir, path.to_owned()) {
            self.by_path.remove(&former);
            stale.push(former);
        }
        stale
    }

    /// Leaves out what does not `lie` there any more: those paths.
    pub fn prune(&mut self, lies: impl Fn(&Path, Identity) -> bool) -> Vec<PathBuf> {
        let gone = self.by_path.extract_if(|path, dir| !lies(path, *dir));
        let gone: Vec<(PathBuf, Identity)> = gone.collect();
        for (_, dir) in &gone {
            self.by_dir.remove(dir);
        }
        gone.into_iter().map(|(path, _)| path).collect()
    }

    /// Directories that have a path.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(inode: u64) -> Identity {
        Identity { dev: 1, inode }
    }

    #[test]
    fn each_directory_has_one_path_and_each_path_one_directory() {
        let (a, b) = (Path::new("/in/a"), Path::new("/in/b"));
        let mut places = Places::default();
        assert!(places.put(a, dir(1)).is_empty());
        assert!(places.put(a, dir(1)).is_empty(), "again is harmless");
        assert_eq!(places.put(b, dir(1)), [a], "moved");
        assert!(places.put(a, dir(2)).is_empty(), "another in its place");
        assert_eq!(places.put(b, dir(2)), [b, a], "moved onto it");
        assert_eq!(places.len(), 1);
        assert!(places.put(a, dir(1)).is_empty());
        assert_eq!(places.prune(|path, _| path == b), [a]);
        assert!(places.put(a, dir(1)).is_empty());
        assert_eq!(places.len(), 2);
    }
}
