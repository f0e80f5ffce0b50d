//! How a daemon is started on this machine, as advice for a person.
//!
//! Must not: advise what harms. A daemon that root starts by hand beside a unit
//! leaves files that the unit's user can't write.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::users::user_name;

/// Where systemd looks for units, as far as packages and administrators put
/// them there (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

const UNIT: &str = "supametas-sync.service";

/// How it is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starting {
    /// A unit starts it.
    unit: bool,
    /// The ledger's user, where whoever asks is another one.
    user: Option<String>,
}

impl Starting {
    /// On this machine, with this ledger.
    pub fn here(ledger: &Path) -> Starting {
        let unit = || UNITS.iter().any(|dir| Path::new(dir).join(UNIT).exists());
        // Where systemd runs; in a container a unit starts nothing (sd_booted(3)).
        let booted = Path::new("/run/systemd/system").is_dir();
        let owner = fs::metadata(ledger).or_else(|_| {
            let above = ledger.parent().unwrap_or(Path::new("/"));
            fs::metadata(above)
        });
        let me = rustix::process::geteuid().as_raw();
        let owner = owner.map(|meta| meta.uid()).ok();
        Starting::of(booted && unit(), owner.filter(|owner| *owner != me))
    }

    fn of(unit: bool, other: Option<u32>) -> Starting {
        let user = other.map(|uid| {
            let name = user_name(uid);
            match name.starts_with("uid ") {
                // As sudo(8) takes a user without a name.
                true => format!("'#{uid}'"),
                false => name,
            }
        });
        Starting { unit, user }
    }

    /// The command that starts the daemon, to be put into backticks.
    pub fn daemon(&self) -> String {
        match self.unit {
            true => "systemctl start supametas-sync".to_owned(),
            false => self.own("run"),
        }
    }

    /// The command that works through the folders once.
    pub fn once(&self) -> String {
        self.own("scan")
    }

    /// What to do where none is running.
    pub fn advice(&self) -> String {
        format!("start it: `{}`; once: `{}`", self.daemon(), self.once())
    }

    fn own(&self, command: &str) -> String {
        match &self.user {
            Some(user) => format!("sudo -u {user} supametas-sync {command}"),
            None => format!("supametas-sync {command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_run_it_as_root_beside_a_unit_or_on_anothers_ledger() {
        for (unit, other, daemon, once) in [
            (false, None, "supametas-sync run", "supametas-sync scan"),
            (
                false,
                Some(0),
                "sudo -u root supametas-sync run",
                "sudo -u root supametas-sync scan",
            ),
            (
                true,
                Some(4_000_000_000),
                "systemctl start supametas-sync",
                "sudo -u '#4000000000' supametas-sync scan",
            ),
            (
                true,
                None,
                "systemctl start supametas-sync",
                "supametas-sync scan",
            ),
        ] {
            let starting = Starting::of(unit, other);
            assert_eq!(starting.daemon(), daemon);
            assert_eq!(starting.once(), once);
        }
    }
}
