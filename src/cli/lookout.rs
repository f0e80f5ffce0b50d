//! What `status` and `check` see of the folders from outside the daemon:
//! whether each is there, whether another process watches it, too, and whether
//! the ledger's disk has room.
//!
//! Must not: change anything, or wait long for a mount that hangs.

use crate::config::valid::Config;
use crate::daemon::owner_sign::ledger_mark;
use crate::domain::ids::FolderName;
use crate::domain::place::FolderPlace;
use crate::ledger;
use crate::limited::Calls;
use crate::ports::World;
use crate::watch::claim::watchers;
use crate::watch::owner_sign::{self, is_forbidden};
use crate::watch::{FolderRoot, Offline, shared_with};
use std::collections::BTreeMap;
use std::path::Path;

/// Less than this on the ledger's disk is as good as nothing: SQLite writes
/// whole pages to two files.
const ROOM: u64 = 256 * 1024;

/// What was seen of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Why it can't be worked with.
    pub offline: Option<Offline>,
    /// Who else watches it, in words.
    pub shared: Option<String>,
    /// This user may not leave a sign in it, as its settings want.
    pub may_not_sign: bool,
}

/// Looks at all folders. `places`: what they were when last worked with.
pub fn folders(
    config: &Config,
    mut places: BTreeMap<FolderName, FolderPlace>,
) -> BTreeMap<FolderName, Seen> {
    let own = ledger::owner(&config.ledger);
    let mark = ledger_mark(&config.ledger);
    let looks = config.folders.values().map(|folder| {
        let before = places.remove(&folder.name);
        let root =
            FolderRoot::new(folder.path.clone(), folder.one_file_system).known_before(before);
        let (mark, signs) = (mark.clone(), folder.owner_sign);
        (folder.path.clone(), move || Seen {
            may_not_sign: signs && is_forbidden(&root),
            ..look(&root, own, &mark)
        })
    });
    let seen = Calls::of_process().ask_all(looks);
    let hangs = Seen {
        offline: Some(Offline::NotAnswering),
        ..Seen::default()
    };
    let names = config.folders.keys().cloned();
    let seen = seen.into_iter().map(|seen| seen.unwrap_or(hangs.clone()));
    names.zip(seen).collect()
}

/// `own`: this ledger's daemon; `mark`: what its sign has for the ledger.
fn look(root: &FolderRoot, own: Option<u32>, mark: &str) -> Seen {
    if let Err(why) = root.check() {
        return Seen {
            offline: Some(why),
            ..Seen::default()
        };
    }
    let others = root.identity().map(|directory| watchers(directory, own));
    let mut others = others.unwrap_or_default();
    others.retain(|pid| own.is_some() && Some(*pid) != own);
    // Nothing is written here that the file system would put its own time on.
    let now = World::real().clock.now().0.saturating_mul(1_000_000);
    let signer = owner_sign::look(root).filter(|found| found.is_of_another(mark, now));
    let signer = signer
        .map(|found| found.sign)
        .filter(|sign| !others.contains(&sign.pid));
    Seen {
        shared: shared_with(&others, signer.as_ref()),
        ..Seen::default()
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
