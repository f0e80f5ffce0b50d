//! Says to other processes that a folder is being watched, and hears whether
//! another one watches it, too: two ledgers on one folder send each file twice.
//!
//! The sign is an abstract socket, named by the directory's device and inode:
//! it holds no handle on the folder, so it can be unmounted, and ends with the
//! process. It reaches as far as a network namespace does, see unix(7).
//!
//! Any user can make such a socket. So one counts only where the process that its
//! name says is alive, is this program, and runs as the same user or as root.
//!
//! Must not: keep anyone off; it is a warning.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};

use super::root::Identity;

/// As a process shows that it watches a directory; dropped, it does no more.
#[derive(Debug)]
pub(super) struct Claim {
    directory: Identity,
    /// `None`: the system gives no socket, and others are not told.
    _socket: Option<UnixDatagram>,
}

/// Tells the claims of one process apart: a reload may overlap.
static NUMBER: AtomicU64 = AtomicU64::new(0);

fn prefix(directory: Identity) -> String {
    format!(
        "supametas-sync/watch/{:x}/{:x}/",
        directory.dev, directory.inode
    )
}

impl Claim {
    /// Claims a directory.
    pub fn of(directory: Identity) -> Claim {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}/{number}", prefix(directory), std::process::id());
        let socket = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixDatagram::bind_addr(&address));
        Claim {
            directory,
            _socket: socket.ok(),
        }
    }

    /// Whether it is a claim on this directory.
    pub fn is_of(&self, directory: Identity) -> bool {
        self.directory == directory
    }

    /// Other processes that watch it.
    pub fn others(&self) -> Vec<u32> {
        let mut all = watchers(self.directory, None);
        all.retain(|pid| *pid != std::process::id());
        all
    }
}

/// The processes that watch a directory now. `daemon`: one whose user is trusted
/// like the own one, for commands that are run by another.
pub fn watchers(directory: Identity, daemon: Option<u32>) -> Vec<u32> {
    // Below the process's own directory, which every /proc has.
    let table = fs::read("/proc/self/net/unix").unwrap_or_default();
    let mut all = in_table(&String::from_utf8_lossy(&table), directory);
    if all.is_empty() {
        return all;
    }
    let mut trusted = vec![0, rustix::process::geteuid().as_raw()];
    trusted.extend(daemon.and_then(user_of));
    let name = name_of(std::process::id());
    all.retain(|pid| {
        user_of(*pid).is_some_and(|user| trusted.contains(&user)) && name_of(*pid) == name
    });
    all
}

/// The effective user of a living process.
fn user_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

fn name_of(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

fn in_table(table: &str, directory: Identity) -> Vec<u32> {
    let wanted = format!("@{}", prefix(directory));
    let names = table
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    let mut pids: Vec<u32> = names
        .filter_map(|name| name.strip_prefix(&wanted)?.split('/').next()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_claim_is_seen_while_it_lasts() {
        let directory = Identity {
            dev: u64::MAX - u64::from(std::process::id()),
            inode: 7,
        };
        assert!(watchers(directory, None).is_empty());
        let claim = Claim::of(directory);
        let _again = Claim::of(directory);
        assert_eq!(watchers(directory, None), [std::process::id()]);
        assert!(claim.others().is_empty(), "oneself is no other");
        drop((claim, _again));
        assert!(watchers(directory, None).is_empty());
    }

    /// A name that a stranger has made up.
    fn forged(directory: Identity, pid: u32) -> UnixDatagram {
        let name = format!("{}{pid}/0", prefix(directory));
        let address = SocketAddr::from_abstract_name(name).unwrap();
        UnixDatagram::bind_addr(&address).unwrap()
    }

    #[test]
    fn a_claim_of_nobody_or_of_another_program_counts_for_nothing() {
        let directory = Identity {
            dev: u64::MAX - u64::from(std::process::id()),
            inode: 8,
        };
        // No process has so high a number; the first one is another program's.
        let _all = [forged(directory, u32::MAX), forged(directory, 1)];
        assert!(watchers(directory, None).is_empty());
        let _own = forged(directory, std::process::id());
        assert_eq!(watchers(directory, None), [std::process::id()]);
    }

    #[test]
    fn the_systems_table_is_read() {
        let directory = Identity {
            dev: 0x1f,
            inode: 0x2a,
        };
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000: 00000002 00000000 00000000 0002 01 11 @supametas-sync/watch/1f/2a/17/0\n\
             0000: 00000002 00000000 00000000 0002 01 12 @supametas-sync/watch/1f/2b/18/0\n\
             0000: 00000002 00000000 00000000 0002 01 13 /run/systemd/notify\n\
             0000: 00000002 00000000 00000000 0002 01 14\n";
        assert_eq!(in_table(table, directory), [17]);
    }
}
