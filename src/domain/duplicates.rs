//! When a file that is to be sent is one that was sent before.
//!
//! Its content is compared by hash elsewhere. Here it is decided whether a file
//! of equal content is the very same file: renamed, touched, linked, on a file
//! system that was mounted again, or written once more with the same bytes.
//!
//! Must not: read a file, or decide what becomes of a duplicate.

use super::version::FileVersion;

/// What ends a file as a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateRule {
    /// Its content was sent before, as any file.
    SameContent,
    /// It was sent before itself.
    SameFile,
}

/// What is known of a file that was sent, and whose content is that of a new one.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// As it was then.
    pub version: &'a FileVersion,
    /// It lies in the new one's folder.
    pub same_folder: bool,
    /// The daemon has moved it away since.
    pub moved: bool,
    /// The daemon has deleted it since: its inode may be another file's now.
    pub deleted: bool,
}

/// Whether `new` is the file that was sent; their contents are equal.
///
/// A path whose file the daemon moved or deleted belongs to whoever drops the
/// next one there. An inode since the same birth is the same file wherever it
/// lies; where no birth is known, the modification time stands in for it.
pub fn is_same_file(new: &FileVersion, sent: &Sent<'_>) -> bool {
    let old = sent.version;
    if sent.same_folder && old.path == new.path && !sent.moved && !sent.deleted {
        return true;
    }
    if old.inode != new.inode {
        return false;
    }
    match old.born_ns.zip(new.born_ns) {
        Some((old, new)) => old == new,
        None => !sent.deleted && old.mtime_ns == new.mtime_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(path: &str, inode: u64, mtime_ns: i64, born_ns: Option<i64>) -> FileVersion {
        FileVersion {
            path: path.into(),
            dev: 1,
            inode,
            size: 3,
            mtime_ns,
            born_ns,
        }
    }

    fn sent(version: &FileVersion) -> Sent<'_> {
        Sent {
            version,
            same_folder: true,
            moved: false,
            deleted: false,
        }
    }

    #[test]
    fn a_renamed_touched_or_remounted_file_is_the_same() {
        let old = version("a", 1, 10, Some(5));
        let mut new = version("b", 1, 20, Some(5));
        new.dev = 9;
        assert!(is_same_file(&new, &sent(&old)));
        // Also in another folder of its dataset.
        let elsewhere = Sent {
            same_folder: false,
            ..sent(&old)
        };
        assert!(is_same_file(&new, &elsewhere));
    }

    #[test]
    fn a_copy_is_another_file_and_a_path_written_again_is_not() {
        let old = version("a", 1, 10, Some(5));
        assert!(!is_same_file(&version("b", 2, 10, Some(6)), &sent(&old)));
        assert!(is_same_file(&version("a", 2, 20, Some(6)), &sent(&old)));
        let elsewhere = Sent {
            same_folder: false,
            ..sent(&old)
        };
        assert!(!is_same_file(&version("a", 2, 20, Some(6)), &elsewhere));
    }

    #[test]
    fn where_no_birth_is_known_the_time_stands_in_for_it() {
        let old = version("a", 1, 10, None);
        assert!(is_same_file(&version("b", 1, 10, None), &sent(&old)));
        assert!(is_same_file(&version("b", 1, 10, Some(5)), &sent(&old)));
        assert!(!is_same_file(&version("b", 1, 11, None), &sent(&old)));
    }

    #[test]
    fn what_comes_to_a_path_whose_file_we_took_away_is_another_file() {
        for (moved, deleted) in [(true, false), (false, true)] {
            let old = version("a", 1, 10, Some(5));
            let taken = Sent {
                moved,
                deleted,
                ..sent(&old)
            };
            assert!(!is_same_file(&version("a", 2, 10, Some(6)), &taken));
            assert!(!is_same_file(&version("a", 1, 10, Some(6)), &taken));
            // Moved back, or another name of it.
            assert!(is_same_file(&version("a", 1, 10, Some(5)), &taken));
            let unknown = version("a", 1, 10, None);
            assert_eq!(is_same_file(&unknown, &taken), moved);
        }
    }
}
