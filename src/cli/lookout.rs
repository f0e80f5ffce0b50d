//! What `status` and `check` see of the folders from outside the daemon:
//! whether each is there, whether another process watches it, too, and whether
//! the ledger's disk has room.
//!
//! Must not: change anything, or wait long for a mount that hangs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::config::valid::Config;
use crate::domain::ids::FolderName;
use crate::domain::place::FolderPlace;
use crate::ledger;
use crate::watch::claim::watchers;
use crate::watch::{FolderRoot, shared_with};

/// The longest wait for one folder.
const LOOK: Duration = Duration::from_secs(2);

/// Less than this on the ledger's disk is as good as nothing: SQLite writes
/// whole pages to two files.
const ROOM: u64 = 256 * 1024;

/// What was seen of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Why it can't be worked with.
    pub offline: Option<String>,
    /// Who else watches it, in words.
    pub shared: Option<String>,
}

/// Looks at all folders. `places`: what they were when last worked with.
pub fn folders(
    config: &Config,
    mut places: BTreeMap<FolderName, FolderPlace>,
) -> BTreeMap<FolderName, Seen> {
    let own = ledger::owner(&config.ledger);
    let looks = config.folders.values().map(|folder| {
        let before = places.remove(&folder.name);
        let root =
            FolderRoot::new(folder.path.clone(), folder.one_file_system).known_before(before);
        let (told, answer) = mpsc::channel();
        // Left behind if the mount hangs; the process ends soon.
        std::thread::spawn(move || {
            let _ = told.send(look(&root, own));
        });
        (folder.name.clone(), answer)
    });
    let looks: Vec<_> = looks.collect();
    let wait = |answer: mpsc::Receiver<Seen>| {
        answer.recv_timeout(LOOK).unwrap_or_else(|_| Seen {
            offline: Some(format!("it does not answer within {} s", LOOK.as_secs())),
            shared: None,
        })
    };
    looks.into_iter().map(|(name, a)| (name, wait(a))).collect()
}

fn look(root: &FolderRoot, own: Option<u32>) -> Seen {
    if let Err(why) = root.check() {
        return Seen {
            offline: Some(why.to_string()),
            shared: None,
        };
    }
    let mut others = root.identity().map(watchers).unwrap_or_default();
    others.retain(|pid| Some(*pid) != own);
    Seen {
        offline: None,
        shared: (own.is_some() && !others.is_empty()).then(|| shared_with(&others)),
    }
}

/// What is wrong with the room on the ledger's disk, if anything.
pub fn no_room(ledger: &Path) -> Option<String> {
    let disk = rustix::fs::statvfs(ledger).ok()?;
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    (left < ROOM).then(|| {
        format!(
            "the disk under the ledger {} is full ({left} bytes are left): nothing is sent until there is room; work then goes on by itself",
            ledger.display()
        )
    })
}
