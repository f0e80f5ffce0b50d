//! One version of a file, as the file system tells it.
//!
//! Must not: look at a file. It is told.

/// What makes two looks at a path looks at the same content: the same place,
/// the same inode since the same birth, the same size and modification time.
///
/// Two looks are compared with `==`, since both know the birth or neither does.
/// What the ledger has is compared with a look by [`FileVersion::matches`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileVersion {
    /// Relative to the folder, components separated by `/`. Any bytes but NUL.
    pub path: Vec<u8>,
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// When the inode was made, nanoseconds since the Unix epoch: tells a file
    /// from a later one that was given the same inode. `None` where the file
    /// system does not say.
    pub born_ns: Option<i64>,
}

impl FileVersion {
    /// The file's own name: the last component of its path.
    pub fn name(&self) -> &[u8] {
        self.path
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or(&self.path)
    }

    /// Whether `other` is the same version. Where both know the inode's birth it
    /// tells the file, and a mount under another device number changes nothing;
    /// else the device does.
    pub fn matches(&self, other: &FileVersion) -> bool {
        let same_inode = match self.born_ns.zip(other.born_ns) {
            Some((a, b)) => a == b,
            None => self.dev == other.dev,
        };
        same_inode
            && (&self.path, self.inode, self.size, self.mtime_ns)
                == (&other.path, other.inode, other.size, other.mtime_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(path: &str, born_ns: Option<i64>) -> FileVersion {
        FileVersion {
            path: path.as_bytes().to_vec(),
            dev: 1,
            inode: 2,
            size: 3,
            mtime_ns: 4,
            born_ns,
        }
    }

    #[test]
    fn a_birth_tells_files_apart_where_both_know_it() {
        let of = |born| version("a", born);
        assert!(of(Some(5)).matches(&of(Some(5))));
        assert!(!of(Some(5)).matches(&of(Some(6))));
        assert!(of(Some(5)).matches(&of(None)) && of(None).matches(&of(Some(5))));
        assert!(!of(None).matches(&version("b", None)));
        let remounted = |born| FileVersion { dev: 9, ..of(born) };
        assert!(of(Some(5)).matches(&remounted(Some(5))));
        assert!(!of(None).matches(&remounted(None)));
    }

    #[test]
    fn a_name_is_the_last_component() {
        for (path, name) in [("a.pdf", "a.pdf"), ("x/y/a.pdf", "a.pdf"), ("x/", "")] {
            let version = version(path, None);
            assert_eq!(version.name(), name.as_bytes(), "{path}");
        }
    }
}
