//! Whose signs this daemon leaves in its folders.
//!
//! Must not: write one.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::owner_sign::OwnerSign;

/// The sign of a daemon of this process that works on the ledger at `ledger`.
pub fn of(ledger: &Path) -> OwnerSign {
    let pid = std::process::id();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default().as_nanos();
    let own_ledger = ledger_mark(ledger);
    OwnerSign {
        run: hash(&[
            own_ledger.as_bytes(),
            &pid.to_le_bytes(),
            &since.to_le_bytes(),
        ]),
        ledger: own_ledger,
        host: host(),
        pid,
    }
}

/// What tells a ledger from others: its machine and its path. It stays the same
/// from one run to the next, so that a daemon does not take the sign that its
/// former run has left for another's.
pub fn ledger_mark(ledger: &Path) -> String {
    let machine = fs::read("/etc/machine-id").unwrap_or_default();
    let path = fs::canonicalize(ledger).unwrap_or_else(|_| ledger.to_owned());
    hash(&[&machine, host().as_bytes(), path.as_os_str().as_bytes()])
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_differ_and_the_ledgers_mark_stays() {
        let (one, again) = (of(Path::new("/x/a")), of(Path::new("/x/a")));
        assert_eq!(one.ledger, again.ledger);
        assert_ne!(one.run, again.run);
        assert_ne!(one.ledger, of(Path::new("/x/b")).ledger);
        assert_eq!(OwnerSign::parse(one.text().as_bytes()), Some(one));
    }
}
