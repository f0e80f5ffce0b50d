//! Who, other than root and this user, may rename or replace what a path names.
//!
//! Must not: change anything, or refuse; it only says.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::domain::naming::shown;

/// Somebody who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A user, by number.
    User(u32),
    /// A group, by number.
    Group(u32),
    /// Every user of the machine.
    Everyone,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(uid) => write!(f, "uid {uid}"),
            Who::Group(gid) => write!(f, "the group {gid}"),
            Who::Everyone => f.write_str("every user"),
        }
    }
}

/// Somebody may rename what is below a directory, and put something else there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The directory that they may write to.
    pub dir: PathBuf,
    /// Who.
    pub who: Who,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = shown(self.dir.as_os_str().as_bytes());
        write!(f, "{} may rename or replace what is in {dir}", self.who)
    }
}

/// What is to be said of a folder that others may replace; `None`: nobody may.
pub fn told(found: &[Exposure]) -> Option<String> {
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        format!(
            "others may put another directory in the folder's place: {}; let root own the directories above it, with no right to write for others",
            all.join("; ")
        )
    })
}

/// Who may put another directory or file in the place of what `path` names: by
/// each directory above it, as it is written and as its links lead. Blocks
/// where a file system does.
pub fn above(path: &Path) -> Vec<Exposure> {
    let mut found = Vec::new();
    let real = fs::canonicalize(path).ok();
    for path in std::iter::once(path).chain(real.as_deref()) {
        let ways = path.ancestors().zip(path.ancestors().skip(1));
        for (child, dir) in ways {
            for who in may_replace(dir, child) {
                let exposure = Exposure {
                    dir: dir.to_owned(),
                    who,
                };
                if !found.contains(&exposure) {
                    found.push(exposure);
                }
            }
        }
    }
    found
}

fn may_replace(dir: &Path, child: &Path) -> Vec<Who> {
    let Ok(above) = fs::metadata(dir) else {
        return Vec::new();
    };
    let below = fs::symlink_metadata(child).ok().map(|meta| meta.uid());
    let me = rustix::process::geteuid().as_raw();
    who(above.mode(), (above.uid(), above.gid()), below, me)
}

/// `mode`, owner and group are those of a directory, `below` is the owner of
/// what is in it.
fn who(mode: u32, (uid, gid): (u32, u32), below: Option<u32>, me: u32) -> Vec<Who> {
    let ours = |uid: u32| uid == 0 || uid == me;
    let sticky = mode & 0o1000 != 0;
    let mut found = Vec::new();
    if !ours(uid) {
        found.push(Who::User(uid));
    }
    if mode & 0o022 == 0 {
        return found;
    }
    match below {
        // In a sticky directory only the owner of a file renames it.
        Some(owner) if sticky && !ours(owner) => found.push(Who::User(owner)),
        _ if sticky => {}
        _ if mode & 0o002 != 0 => found.push(Who::Everyone),
        _ if gid != 0 => found.push(Who::Group(gid)),
        _ => {}
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_replace_what_is_in_a_directory() {
        let root = (0, 0);
        let table = [
            ("root's", 0o755, root, Some(0), vec![]),
            ("the daemon's", 0o700, (7, 7), Some(7), vec![]),
            ("another's", 0o755, (8, 8), Some(0), vec![Who::User(8)]),
            ("open", 0o777, root, Some(0), vec![Who::Everyone]),
            ("open, sticky", 0o1777, root, Some(7), vec![]),
            (
                "sticky, another's",
                0o1777,
                root,
                Some(9),
                vec![Who::User(9)],
            ),
            ("a group's", 0o2775, (0, 50), Some(0), vec![Who::Group(50)]),
            ("root's group", 0o775, root, Some(0), vec![]),
        ];
        for (what, mode, owner, below, wanted) in table {
            assert_eq!(who(mode, owner, below, 7), wanted, "{what}");
        }
    }
}
