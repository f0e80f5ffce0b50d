//! The file beside a ledger that holds the configuration last in force: where it
//! is, and writing and reading it so that it can be believed.
//!
//! Must not: know what is in it.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::paths::{above, named};
use crate::files::{Dir, Doing, FileError};

/// What is longer is no copy of a configuration. Bytes.
const LONGEST: u64 = 4 << 20;

/// Where it is.
pub fn last_good_path(ledger: &Path) -> PathBuf {
    named(ledger, ".last-good.json")
}

fn directory(ledger: &Path) -> Result<(Dir, PathBuf), FileError> {
    let path = last_good_path(ledger);
    let path = std::path::absolute(&path).unwrap_or(path);
    Ok((Dir::shared(&above(&path))?, path))
}

/// Writes it whole, for its owner alone; what was there gives way.
///
/// # Errors
/// What was there before is there still.
pub fn keep_last_good(ledger: &Path, content: &[u8]) -> Result<(), FileError> {
    let (dir, path) = directory(ledger)?;
    let name = path.file_name().unwrap_or_default();
    dir.put(name.as_bytes(), content, 0o600, true)
}

/// What is there. The directory and the file have to be of one user, of root or
/// of whoever asks, and nobody else's to change; a link is not followed.
///
/// # Errors
/// Nothing is there, or it can't be believed.
pub fn read_last_good(ledger: &Path) -> Result<Vec<u8>, FileError> {
    let (dir, path) = directory(ledger)?;
    let name = path.file_name().unwrap_or_default();
    let (file, seen) = dir.open_file(name.as_bytes())?;
    let mut users = vec![0, rustix::process::geteuid().as_raw()];
    // The daemon's user: root asks on its ledger, too.
    users.extend(dir.owner().ok());
    dir.owned_by(&users)?;
    seen.is_only_of(&users, &path)?;
    let mut content = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut content)
        .map_err(|error| FileError::of_io(&path, Doing::Read, &error))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn it_is_written_whole_and_what_others_could_change_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        let path = last_good_path(&ledger);
        assert!(read_last_good(&ledger).is_err());
        for content in [b"one".as_slice(), b"another"] {
            keep_last_good(&ledger, content).unwrap();
            assert_eq!(read_last_good(&ledger).unwrap(), content);
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "nothing half written is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(read_last_good(&ledger).is_err(), "others may write to it");
        fs::remove_file(&path).unwrap();
        fs::write(dir.path().join("other"), "x").unwrap();
        symlink(dir.path().join("other"), &path).unwrap();
        assert!(read_last_good(&ledger).is_err(), "it is a link");
        // Written anew, the link gives way, and what it led to is as it was.
        keep_last_good(&ledger, b"new").unwrap();
        assert_eq!(read_last_good(&ledger).unwrap(), b"new");
        assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"x");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(read_last_good(&ledger).is_err(), "others may replace it");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(read_last_good(&ledger).is_err(), "it is somebody else's");
        }
    }
}
