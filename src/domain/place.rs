//! Where a folder is: what its directory is recognised by over a restart, and
//! over a mount that goes away.
//!
//! Device numbers change from one boot to the next, so a file system is told
//! by its kind and its own number (`f_fsid` of statfs(2)), which some kinds
//! make of the device number again; hence several signs together decide.
//!
//! Must not: look at a directory; it is told.

/// A folder's directory, as it was when it was last worked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPlace {
    /// The path that the configuration gave.
    pub path: Vec<u8>,
    /// Kind and number of the file system.
    pub file_system: String,
    /// The directory's number on it.
    pub inode: u64,
    /// Whether it is the root of a mount.
    pub is_mount: bool,
}

impl FolderPlace {
    /// Whether `now` looks like what is left at the path when a mount is gone:
    /// an empty directory (`empty`) in place of a mount, or on another file
    /// system. Its files are then not deleted but out of reach.
    pub fn is_lost_in(&self, now: &FolderPlace, empty: bool) -> bool {
        let elsewhere = self.file_system != now.file_system && self.inode != now.inode;
        empty && self.path == now.path && !now.is_mount && (self.is_mount || elsewhere)
    }

    /// Whether `now` is another file system at the same path: something was
    /// mounted there, or unmounted. A file that is missing from it says nothing
    /// of the one that was seen before.
    pub fn is_covered_in(&self, now: &FolderPlace) -> bool {
        let elsewhere = self.file_system != now.file_system && self.inode != now.inode;
        self.path == now.path && (self.is_mount != now.is_mount || elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file_system: &str, inode: u64, is_mount: bool) -> FolderPlace {
        FolderPlace {
            path: b"/srv/in".to_vec(),
            file_system: file_system.to_owned(),
            inode,
            is_mount,
        }
    }

    #[test]
    fn another_file_system_at_the_path_is_told_from_the_same_one() {
        let mount = place("ext4:a", 2, true);
        let plain = place("ext4:a", 700, false);
        for (what, known, now, covered) in [
            ("the same mount", &mount, mount.clone(), false),
            ("the same folder", &plain, plain.clone(), false),
            (
                "made again in place",
                &plain,
                place("ext4:a", 701, false),
                false,
            ),
            (
                "a new number after a boot",
                &plain,
                place("xfs:b", 700, false),
                false,
            ),
            (
                "unmounted, with files below",
                &mount,
                place("ext4:r", 900, false),
                true,
            ),
            ("mounted over", &plain, place("xfs:n", 128, true), true),
            (
                "the disk above it is away",
                &plain,
                place("ext4:r", 55, false),
                true,
            ),
        ] {
            assert_eq!(known.is_covered_in(&now), covered, "{what}");
        }
    }

    #[test]
    fn an_empty_mount_point_is_no_empty_folder() {
        let mount = place("ext4:a", 2, true);
        let plain = place("ext4:a", 700, false);
        let table = [
            ("a mount is gone", &mount, place("ext4:r", 900, false), true),
            (
                "a bind mount is gone",
                &mount,
                place("ext4:a", 900, false),
                true,
            ),
            (
                "a folder within a mount",
                &plain,
                place("ext4:r", 901, false),
                true,
            ),
            ("the same mount, emptied", &mount, mount.clone(), false),
            ("the same folder, emptied", &plain, plain.clone(), false),
            (
                "made again in place",
                &plain,
                place("ext4:a", 701, false),
                false,
            ),
            (
                "a new number after a boot",
                &plain,
                place("ext4:b", 700, false),
                false,
            ),
            (
                "another disk, mounted",
                &mount,
                place("xfs:n", 128, true),
                false,
            ),
            (
                "a disk came to a plain folder",
                &plain,
                place("xfs:n", 128, true),
                false,
            ),
        ];
        for (what, known, now, lost) in table {
            assert_eq!(known.is_lost_in(&now, true), lost, "{what}");
            assert!(!known.is_lost_in(&now, false), "{what}: something is in it");
            let moved = FolderPlace {
                path: b"/srv/other".to_vec(),
                ..now
            };
            assert!(
                !known.is_lost_in(&moved, true),
                "{what}: configured elsewhere"
            );
        }
    }
}
