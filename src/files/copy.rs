//! A copy of a file on another file system: with the mode and the times of its
//! source, and never more readable than that.
//!
//! Must not: delete the source.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Timestamps, Uid, XattrFlags};

use super::dir::{Dir, Seen};
use super::error::{Doing, FileError};

/// The name under which the kernel keeps a POSIX access list.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Longest access list that is copied. Bytes.
const LONGEST_LIST: usize = 64 * 1024;

/// Who is to own a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Who owns the source, as far as this user may give a file away.
    Source,
    /// This user and group, who are to read it.
    Reader(
        /// The user.
        u32,
        /// The group.
        u32,
    ),
}

/// Copies a file that was opened and looked at into a directory that others may
/// write to, under a name that nothing has there. `through`: what to read it
/// through.
///
/// # Errors
/// The name is taken, or it can't be copied; nothing is left of it.
pub fn copy_in(
    (from, seen): (&File, &Seen),
    through: &mut dyn Read,
    to: &Dir,
    name: &[u8],
    owner: Owner,
) -> Result<(), FileError> {
    // Short, whatever the name; and hidden, so that no watch takes it.
    let part = format!(".supametas-import-{}.part", std::process::id()).into_bytes();
    let mut target = to.create_new(&part, 0o600)?;
    let placed = copy((from, through), seen, &mut target, owner)
        .map_err(|error| FileError::of_io(&to.at(name), Doing::Write, &error))
        .and_then(|()| to.rename_new(&part, to, name))
        .and_then(|()| is_the_one(&target, to, name))
        .and_then(|()| to.sync());
    if placed.is_err() {
        let _ = to.remove(&part);
    }
    placed
}

/// Whoever may write to the directory may have put another file under the
/// temporary name.
fn is_the_one(file: &File, dir: &Dir, name: &[u8]) -> Result<(), FileError> {
    let ours = Seen::of(file.as_fd()).map_err(|e| FileError::of(&dir.at(name), Doing::Open, e))?;
    match dir.look(name)? {
        Some(seen) if seen.identity() == ours.identity() => Ok(()),
        _ => Err(FileError::Replaced(dir.at(name))),
    }
}

/// Copies the content, then who may read it, then the times.
pub(super) fn copy(
    (from, through): (&File, &mut dyn Read),
    seen: &Seen,
    to: &mut File,
    owner: Owner,
) -> io::Result<()> {
    let copied = io::copy(through, to)?;
    let after = Seen::of(from.as_fd())?;
    let ([_, before], [_, now]) = (seen.times(), after.times());
    if before != now || after.size() != seen.size() || copied != seen.size() {
        return Err(io::Error::other("it was written to while it was copied"));
    }
    keep_rights(from, seen, to, owner)?;
    // Of the look before: copying it was a use of the source.
    let [last_access, last_modification] = seen.times();
    let times = Timestamps {
        last_access,
        last_modification,
    };
    rustix::fs::futimens(&*to, &times)?;
    to.sync_all()
}

/// Owner, group and mode of the source as far as this user may set them; what
/// would open the copy to somebody who could not read the source is left out.
fn keep_rights(from: &File, seen: &Seen, to: &File, owner: Owner) -> io::Result<()> {
    // Root may give it to its owner; any other user only to a group of its own.
    let (owner, group) = match owner {
        Owner::Source => (seen.owner(), seen.group()),
        Owner::Reader(uid, gid) => (uid, gid),
    };
    let (owner, group) = (Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)));
    if rustix::fs::fchown(to, owner, group).is_err() {
        let _ = rustix::fs::fchown(to, None, group);
    }
    let same_group = Seen::of(to.as_fd())?.group() == seen.group();
    let list = access_list(from);
    let mode = copied_mode(seen.mode(), same_group);
    match list {
        None => rustix::fs::fchmod(to, Mode::from_raw_mode(mode))?,
        Some(list) => {
            // The group's bits of a file with an access list are its mask, and
            // say nothing of the group.
            rustix::fs::fchmod(to, Mode::from_raw_mode(mode & 0o700))?;
            if same_group {
                // Where the target knows no access lists the copy stays with
                // its owner alone.
                let _ = rustix::fs::fsetxattr(to, ACCESS_LIST, &list, XattrFlags::empty());
            }
        }
    }
    Ok(())
}

/// The mode of a copy. `same_group`: it has the group of its source. Where not,
/// members of either group count with the lesser of both rights.
fn copied_mode(mode: u32, same_group: bool) -> u32 {
    let mode = mode & 0o777;
    if same_group {
        return mode;
    }
    let both = (mode >> 3) & mode & 0o7;
    mode & 0o700 | both << 3 | both
}

fn access_list(file: &File) -> Option<Vec<u8>> {
    let mut list = vec![0; LONGEST_LIST];
    let length = rustix::fs::fgetxattr(file, ACCESS_LIST, list.as_mut_slice()).ok()?;
    list.truncate(length);
    (length > 0).then_some(list)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::FileTimes;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_copy_is_never_more_readable() {
        for (mode, same, wanted) in [
            (0o640, true, 0o640),
            (0o640, false, 0o600),
            (0o644, false, 0o644),
            (0o604, false, 0o600),
            (0o666, false, 0o666),
            (0o4755, true, 0o755),
            (0o600, false, 0o600),
        ] {
            assert_eq!(copied_mode(mode, same), wanted, "{mode:o} {same}");
        }
    }

    #[test]
    fn mode_and_times_come_along() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let from = File::options().read(true).write(true).open(&path).unwrap();
        from.set_times(FileTimes::new().set_modified(old).set_accessed(old))
            .unwrap();
        let seen = Seen::of(from.as_fd()).unwrap();
        let to_path = dir.path().join("b");
        let mut to = File::create(&to_path).unwrap();
        copy((&from, &mut &from), &seen, &mut to, Owner::Source).unwrap();
        let meta = to_path.metadata().unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o604);
        assert_eq!(meta.modified().unwrap(), old);
    }

    /// A list as the kernel keeps it (`posix_acl_xattr.h`): the owner, user 12345,
    /// the group, the mask and all others.
    fn list() -> Vec<u8> {
        let entries: [(u16, u16, u32); 5] = [
            (0x01, 6, u32::MAX),
            (0x02, 4, 12_345),
            (0x04, 0, u32::MAX),
            (0x10, 4, u32::MAX),
            (0x20, 0, u32::MAX),
        ];
        let entries = entries.iter().flat_map(|(tag, rights, id)| {
            let [tag, rights] = [tag.to_le_bytes(), rights.to_le_bytes()];
            [&tag[..], &rights, &id.to_le_bytes()].concat()
        });
        2_u32.to_le_bytes().into_iter().chain(entries).collect()
    }

    #[test]
    fn an_access_list_comes_along() {
        let dir = tempfile::tempdir().unwrap();
        let from = File::create_new(dir.path().join("a")).unwrap();
        let set = rustix::fs::fsetxattr(&from, ACCESS_LIST, &list(), XattrFlags::empty());
        if let Err(error) = set {
            eprintln!("SKIPPED: the file system knows no access lists: {error}");
            return;
        }
        let seen = Seen::of(from.as_fd()).unwrap();
        let copied = |name: &str, seen: &Seen| {
            let mut to = File::create_new(dir.path().join(name)).unwrap();
            copy((&from, &mut io::empty()), seen, &mut to, Owner::Source).unwrap();
            (access_list(&to), to.metadata().unwrap().mode() & 0o777)
        };
        // Its group's bits are the mask now.
        assert_eq!(copied("b", &seen), (Some(list()), 0o640));
    }
}
