//! What `/proc` tells: which programs have a file open for writing, who a user
//! is, and whether the daemon's user may read a path.
//!
//! Must not: wait (a descriptor may lead to a dead network file system), or
//! take a process that can't be looked at for one that does nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::acl::{Acl, Identified, Verdict};
use super::facts::{DaemonMay, Writer, Writers};
use super::users::user_name;

/// Writers that are named, at most.
const NAMED: usize = 8;

/// Where the kernel keeps a file's access list (acl(5)).
const ACL: &str = "system.posix_acl_access";

/// The processes that have `file` open for writing. Its own process counts not.
pub fn writers_of(file: &File) -> Writers {
    let mut writers = Writers::default();
    let Some(wanted) = identity(file.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH) else {
        return writers;
    };
    for pid in processes() {
        if pid == std::process::id() || writers.found.len() >= NAMED {
            continue;
        }
        match has_open_for_writing(pid, wanted) {
            Some(true) => writers.found.push(Writer {
                pid,
                command: command(pid),
                user: process_user(pid).map_or("?".to_owned(), user_name),
            }),
            Some(false) => {}
            // One that has ended meanwhile has nothing open.
            None if Path::new(&format!("/proc/{pid}")).exists() => writers.unseen += 1,
            None => {}
        }
    }
    writers
}

type Identity = (u32, u32, u64);

fn identity(dir: impl AsFd, name: &OsStr, flags: AtFlags) -> Option<Identity> {
    // What is cached will do: the identity of an open file never changes, and
    // a file system that does not answer must not hold this up.
    let flags = flags | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(dir, name, flags, StatxFlags::INO).ok()?;
    Some((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").ok().into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn has_open_for_writing(pid: u32, wanted: Identity) -> Option<bool> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    for fd in open.filter_map(Result::ok) {
        let is_it = identity(CWD, fd.path().as_os_str(), AtFlags::empty()) == Some(wanted);
        if is_it && writes(pid, &fd.file_name()) {
            return Some(true);
        }
    }
    Some(false)
}

/// The flags of an open file are octal, and the last two bits say what it is
/// open for (proc_pid_fdinfo(5), open(2)).
fn writes(pid: u32, fd: &OsStr) -> bool {
    let path = Path::new("/proc")
        .join(pid.to_string())
        .join("fdinfo")
        .join(fd);
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| matches!(flags & 3, 1 | 2))
}

fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// Whose a process is.
pub fn process_user(pid: u32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|m| m.uid())
}

/// The user of a running process, or else one by its number, with the groups
/// that the machine's own lists give it.
pub fn identify(pid: Option<u32>, uid: u32) -> Identified {
    let running = pid.and_then(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = |field: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let words = line.unwrap_or_default().split_whitespace();
            words.filter_map(|word| word.parse().ok()).collect()
        };
        let gids = [numbers("Gid:"), numbers("Groups:")].concat();
        Some(Identified { uid, gids })
    });
    running.unwrap_or_else(|| Identified {
        uid,
        gids: listed_groups(uid),
    })
}

fn listed_groups(uid: u32) -> Vec<u32> {
    let name = user_name(uid);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(2)?.parse().ok()
    });
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let others = groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let members = fields.get(3)?;
        members
            .split(',')
            .any(|member| member == name)
            .then_some(())?;
        fields.get(2)?.parse().ok()
    });
    own.into_iter().chain(others).collect()
}

/// Whether `who` may read the file at `path` and search each folder above it,
/// by owner, group and mode, and by access lists. Blind to what a security module forbids.
pub fn may_read(who: &Identified, path: &Path) -> DaemonMay {
    if who.uid == 0 {
        return DaemonMay::Yes;
    }
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    for part in parts {
        let Ok(meta) = fs::metadata(part) else {
            return DaemonMay::Unknown("this user can't look at all folders above it either");
        };
        let (bit, needs) = if part == path && !meta.is_dir() {
            (0o4, "read (r)")
        } else {
            (0o1, "search (x)")
        };
        let verdict = match acl_of(part) {
            // The mode is what is left of it: its group bits are the mask.
            Some(value) => match Acl::parse(&value) {
                Some(acl) => acl.lets(who, meta.uid(), meta.gid(), bit),
                None => return DaemonMay::Unknown("an access list (ACL) on the way decides"),
            },
            None if may(who, meta.uid(), meta.gid(), meta.mode(), bit) => Verdict::May,
            None => Verdict::MayNot,
        };
        let needs = match (verdict, needs) {
            (Verdict::May, _) => continue,
            (Verdict::MayNot, needs) => needs,
            (Verdict::Masked, "read (r)") => {
                "read (r), which its ACL gives and the ACL's mask takes away (`setfacl -m m::rX` gives it back),"
            }
            (Verdict::Masked, _) => {
                "search (x), which its ACL gives and the ACL's mask takes away (`setfacl -m m::rX` gives it back),"
            }
        };
        return DaemonMay::No {
            at: part.as_os_str().as_bytes().to_vec(),
            needs,
        };
    }
    DaemonMay::Yes
}

/// The access list of a path; `None`: it has none, or none that can be read.
/// Into memory of a size: asked with an empty buffer, rustix answers 0.
fn acl_of(path: &Path) -> Option<Vec<u8>> {
    // Entries are 8 bytes each; the kernel's limit of a value is 64 KiB.
    let mut value = vec![0; 64 << 10];
    let size = rustix::fs::getxattr(path, ACL, &mut value[..]).ok()?;
    value.truncate(size);
    (size > 0).then_some(value)
}

/// path_resolution(7): the first of owner, group and others that fits decides.
fn may(who: &Identified, uid: u32, gid: u32, mode: u32, bit: u32) -> bool {
    let shift = if who.uid == uid {
        6
    } else if who.gids.contains(&gid) {
        3
    } else {
        0
    };
    mode >> shift & bit == bit
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    #[test]
    fn another_process_that_writes_is_found_and_a_reader_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let hold = |file: File| {
            let mut sleep = Command::new("sleep");
            sleep.arg("60").stdin(Stdio::from(file)).spawn().unwrap()
        };
        let file = File::open(&path).unwrap();
        let mut reader = hold(File::open(&path).unwrap());
        assert_eq!(writers_of(&file).found, []);
        let mut writer = hold(File::options().append(true).open(&path).unwrap());
        let found = writers_of(&file).found;
        for child in [&mut reader, &mut writer] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].pid, writer.id());
        assert!(!found[0].user.is_empty());
    }

    /// uid, gid and mode of a file; whether user 7 of the groups 8 and 9 may.
    #[rustfmt::skip]
    const MODES: [(u32, u32, u32, bool); 6] = [
        (7, 1, 0o400, true), (7, 8, 0o044, false), (1, 9, 0o040, true),
        (1, 9, 0o404, false), (1, 1, 0o004, true), (1, 1, 0o770, false),
    ];

    #[test]
    fn the_first_class_that_fits_decides() {
        let who = Identified {
            uid: 7,
            gids: vec![8, 9],
        };
        for (uid, gid, mode, wanted) in MODES {
            assert_eq!(
                may(&who, uid, gid, mode, 0o4),
                wanted,
                "{uid} {gid} {mode:o}"
            );
        }
    }

    /// With an access list that gives user 54321 read, and with its mask lost, as
    /// a `chmod g=` leaves it.
    #[test]
    fn an_access_list_decides_and_a_lost_mask_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let daemon = Identified {
            uid: 54_321,
            gids: vec![],
        };
        let set = |acl: &str| {
            let set = Command::new("setfacl")
                .args(["-m", acl])
                .arg(&path)
                .status();
            set.is_ok_and(|status| status.success())
        };
        if !set("u:54321:r") {
            eprintln!("SKIPPED: no setfacl, or a file system without access lists");
            return;
        }
        assert_eq!(may_read(&daemon, &path), DaemonMay::Yes);
        assert!(set("m::---"));
        let DaemonMay::No { needs, .. } = may_read(&daemon, &path) else {
            panic!("the mask was not heeded");
        };
        assert!(needs.contains("mask"), "{needs}");
    }

    #[test]
    fn the_path_that_stops_a_user_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in/a");
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::write(&path, "x").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(dir.path(), 0o755);
        mode(&dir.path().join("in"), 0o755);
        let stranger = Identified {
            uid: 54_321,
            gids: vec![],
        };
        mode(&path, 0o600);
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        assert_eq!(
            may_read(&stranger, &path),
            DaemonMay::No {
                at: bytes(&path),
                needs: "read (r)"
            }
        );
        mode(&path, 0o604);
        assert_eq!(may_read(&stranger, &path), DaemonMay::Yes);
        mode(&dir.path().join("in"), 0o700);
        let at = bytes(&dir.path().join("in"));
        assert_eq!(
            may_read(&stranger, &path),
            DaemonMay::No {
                at,
                needs: "search (x)"
            }
        );
    }
}
