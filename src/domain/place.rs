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

/// What a folder's directory is recognised by while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Kind and number of the file system; a remount keeps them.
    pub file_system: String,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Who owns the directory.
    pub owner: u32,
    /// Whether the path itself is a link.
    pub is_link: bool,
    /// Whether it is the root of a mount.
    pub is_mount: bool,
}

/// What is at a folder's path now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// The directory that is known.
    Same,
    /// The mount is gone, and its empty mount point is left.
    Unmounted,
    /// A link, which was none: whoever may write above it can have put it there.
    Link,
    /// A directory of another owner.
    AnotherOwner,
    /// A directory on another file system.
    AnotherFileSystem,
    /// Another directory of the same owner, on the same file system: removed and
    /// made again, or mounted again.
    Another,
}

impl Recognised {
    /// What `now` is to this one. `empty`: nothing is in it.
    pub fn compared_with(&self, now: &Recognised, empty: bool) -> Now {
        if now.is_link && !self.is_link {
            return Now::Link;
        }
        // Both numbers are given again, of file systems in memory at once.
        let same_disk = now.file_system == self.file_system;
        if now.identity == self.identity && same_disk {
            return Now::Same;
        }
        let was_mount = self.is_mount || self.identity.0 != now.identity.0;
        if was_mount && !now.is_mount && empty {
            return Now::Unmounted;
        }
        if now.owner != self.owner {
            Now::AnotherOwner
        } else if !same_disk {
            Now::AnotherFileSystem
        } else {
            Now::Another
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_the_same_owner_and_file_system_takes_a_folders_place() {
        let known = Recognised {
            file_system: "ext4:a".to_owned(),
            identity: (1, 700),
            owner: 50,
            is_link: false,
            is_mount: false,
        };
        let mount = Recognised {
            is_mount: true,
            ..known.clone()
        };
        let with = |change: fn(&mut Recognised)| {
            let mut now = known.clone();
            change(&mut now);
            now
        };
        let table = [
            (&known, with(|_| {}), false, Now::Same),
            (&known, with(|n| n.owner = 51), false, Now::Same),
            (&known, with(|n| n.is_link = true), false, Now::Link),
            (
                &known,
                with(|n| n.file_system = "tmpfs:b".to_owned()),
                true,
                Now::AnotherFileSystem,
            ),
            (&known, with(|n| n.identity.1 = 701), true, Now::Another),
            (
                &known,
                with(|n| (n.identity.1, n.owner) = (701, 51)),
                true,
                Now::AnotherOwner,
            ),
            (
                &known,
                with(|n| (n.identity, n.file_system) = ((2, 2), "xfs:b".to_owned())),
                false,
                Now::AnotherFileSystem,
            ),
            // The same disk, mounted again under another device number.
            (&mount, with(|n| n.identity.0 = 9), false, Now::Another),
            (&mount, with(|n| n.identity = (3, 12)), true, Now::Unmounted),
        ];
        for (known, now, empty, wanted) in table {
            assert_eq!(known.compared_with(&now, empty), wanted, "{now:?}");
        }
    }

    fn place(file_system: &str, inode: u64, is_mount: bool) -> FolderPlace {
        FolderPlace {
            path: b"/srv/in".to_vec(),
            file_system: file_system.to_owned(),
            inode,
            is_mount,
        }
    }

    /// What was at the path, what is there now, whether that is what an unmount
    /// leaves if it is empty, and whether it is another file system.
    type Case = (&'static str, FolderPlace, FolderPlace, bool, bool);

    fn cases() -> Vec<Case> {
        let mount = || place("ext4:a", 2, true);
        let plain = || place("ext4:a", 700, false);
        let now = place;
        vec![
            ("the same mount", mount(), mount(), false, false),
            ("the same folder", plain(), plain(), false, false),
            (
                "a mount is gone",
                mount(),
                now("ext4:r", 900, false),
                true,
                true,
            ),
            (
                "a bind mount is gone",
                mount(),
                now("ext4:a", 900, false),
                true,
                true,
            ),
            (
                "the disk above a folder is gone",
                plain(),
                now("ext4:r", 901, false),
                true,
                true,
            ),
            (
                "made again in place",
                plain(),
                now("ext4:a", 701, false),
                false,
                false,
            ),
            (
                "a new number after a boot",
                plain(),
                now("ext4:b", 700, false),
                false,
                false,
            ),
            (
                "another disk, mounted",
                mount(),
                now("xfs:n", 128, true),
                false,
                true,
            ),
            (
                "a disk came to a plain folder",
                plain(),
                now("xfs:n", 128, true),
                false,
                true,
            ),
        ]
    }

    #[test]
    fn another_file_system_at_the_path_is_told_from_the_same_one() {
        for (what, known, now, _, covered) in cases() {
            assert_eq!(known.is_covered_in(&now), covered, "{what}");
        }
    }

    #[test]
    fn an_empty_mount_point_is_no_empty_folder() {
        for (what, known, now, lost, _) in cases() {
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
