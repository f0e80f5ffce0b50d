//! What the sandbox of the shipped unit does to a path, in the terms of systemd:
//! a folder that it hides looks as if rights were missing, or the folder itself.
//!
//! Must not: look at a path.

use std::path::Path;

/// A directive of the unit that hides a part of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenBy {
    /// `ProtectHome=`: /home, /root and /run/user can't be entered.
    ProtectHome,
    /// `PrivateTmp=`: /tmp and /var/tmp are private, empty ones.
    PrivateTmp,
}

impl HiddenBy {
    /// What hides a path from the service.
    pub fn of(path: &Path) -> Option<HiddenBy> {
        let below = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
        if below(&["/home", "/root", "/run/user"]) {
            Some(HiddenBy::ProtectHome)
        } else if below(&["/tmp", "/var/tmp"]) {
            Some(HiddenBy::PrivateTmp)
        } else {
            None
        }
    }

    /// What to do, with the lines for a drop-in (`systemctl edit`).
    pub fn remedy(self, path: &Path) -> String {
        let path = path.display();
        match self {
            HiddenBy::ProtectHome => format!(
                "`ProtectHome=yes` of the unit hides /home, /root and /run/user: `systemctl edit supametas-sync`, [Service], `ProtectHome=tmpfs` and `BindPaths=-{path}` (`BindReadOnlyPaths=` where files stay)"
            ),
            HiddenBy::PrivateTmp => "`PrivateTmp=yes` of the unit replaces /tmp and /var/tmp: keep the folder elsewhere, or `systemctl edit supametas-sync`, [Service], `PrivateTmp=no`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_places_are_known_with_the_lines_that_show_them() {
        for (path, hidden) in [
            ("/home/anna/drop", Some(HiddenBy::ProtectHome)),
            ("/root", Some(HiddenBy::ProtectHome)),
            ("/run/user/1000/in", Some(HiddenBy::ProtectHome)),
            ("/var/tmp/in", Some(HiddenBy::PrivateTmp)),
            ("/tmp", Some(HiddenBy::PrivateTmp)),
            ("/homes/in", None),
            ("/srv/drop", None),
        ] {
            assert_eq!(HiddenBy::of(Path::new(path)), hidden, "{path}");
        }
        let remedy = HiddenBy::ProtectHome.remedy(Path::new("/home/anna/drop"));
        assert!(remedy.contains("BindPaths=-/home/anna/drop"), "{remedy}");
    }
}
