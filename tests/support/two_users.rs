//! A [`Stage`] as on a server: the daemon runs as an unprivileged user with a
//! ledger directory and keys of its own, and other users drop the files.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a program of its own and uses a part; a failing unwrap is a failing test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::users::{self, DAEMON, DROP_GROUP};
use super::{PROGRAM, Settings, Stage};

/// How a drop folder is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// It belongs to the daemon; the group may write, and what is made in it
    /// gets the group (2777). The daemon can move and delete other users' files.
    Setgid,
    /// It belongs to root, like `/tmp` (1777): nobody can move or delete the
    /// files of another.
    Sticky,
}

/// The stage, or `None` where this process can't become other users.
pub async fn stage(shared: Shared, change: impl FnOnce(&mut Settings)) -> Option<Stage> {
    if !users::at_hand() {
        return None;
    }
    let mut stage = Stage::new().await.set(|settings| {
        settings.ledger = "state/ledger.sqlite".into();
        change(settings);
    });
    fs::create_dir(stage.path("state")).unwrap();
    stage.behind = DAEMON.behind();
    let program = users::program_for_all(Path::new(PROGRAM), &stage.path("program"));
    if program != Path::new(PROGRAM) {
        let instead = format!("shift; exec {:?} \"$@\"", program.to_str().unwrap());
        let through = ["sh", "-c", &instead, "sh"].map(str::to_owned);
        stage.behind.extend(through);
    }
    hand_over(&stage, shared);
    Some(stage)
}

/// Gives the daemon what it needs to own, and shares the folders. To be called
/// again after [`Stage::write`] has made a key or a folder.
pub fn hand_over(stage: &Stage, shared: Shared) {
    fs::set_permissions(stage.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    DAEMON.owns(stage.path("state"), 0o700);
    DAEMON.owns(stage.path("keys"), 0o700);
    for (name, ..) in &stage.settings.datasets {
        DAEMON.owns(stage.path("keys").join(name), 0o600);
    }
    for (name, ..) in &stage.settings.folders {
        let folder = stage.path(name);
        match shared {
            Shared::Setgid => DAEMON.owns(&folder, 0o2777),
            Shared::Sticky => {
                chown(&folder, Some(0), Some(DROP_GROUP)).unwrap();
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
            }
        }
    }
}
