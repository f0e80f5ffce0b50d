//! One version of a file, as the file system tells it.
//!
//! Must not: look at a file. It is told.

/// What makes two looks at a path looks at the same content: the same place,
/// the same inode, the same size and modification time.
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
}

impl FileVersion {
    /// The file's own name: the last component of its path.
    pub fn name(&self) -> &[u8] {
        self.path
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_last_component() {
        for (path, name) in [("a.pdf", "a.pdf"), ("x/y/a.pdf", "a.pdf"), ("x/", "")] {
            let version = FileVersion {
                path: path.as_bytes().to_vec(),
                dev: 1,
                inode: 2,
                size: 3,
                mtime_ns: 4,
            };
            assert_eq!(version.name(), name.as_bytes(), "{path}");
        }
    }
}
