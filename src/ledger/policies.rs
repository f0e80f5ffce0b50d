//! Which folder's files go on how.
//!
//! Must not: fail for a folder it does not know: the ledger outlives the
//! configuration, and its files must have a policy that does no harm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::ids::FolderName;
use crate::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};
use crate::domain::notice::Listener;

/// The policy of every folder. One answer can move files of several folders
/// (a success settles its duplicates elsewhere), so calls take them all.
#[derive(Debug, Clone)]
pub struct Policies {
    by_folder: BTreeMap<FolderName, Arc<Policy>>,
    dropped: Policy,
    listeners: Vec<Listener>,
}

impl Policies {
    /// The configured folders' policies. A folder that is in the ledger and
    /// not in the configuration any more gets one that sends nothing twice and
    /// leaves every source where it is.
    pub fn new(by_folder: BTreeMap<FolderName, Arc<Policy>>) -> Policies {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(900))
            .expect("one second is not longer than fifteen minutes");
        Policies {
            by_folder,
            dropped: Policy {
                backoff,
                give_up_after: Duration::from_secs(7 * 24 * 3600),
                unconfirmed: OnUnconfirmed::Hold,
                resubmit_failed: 0,
                poll: PollPace {
                    first: Duration::from_secs(2),
                    max: Duration::from_secs(300),
                },
                quiet: Duration::from_secs(10),
                reimport_after: Duration::ZERO,
                after: AfterSuccess::Keep,
                on_reject: OnReject::Keep,
            },
            listeners: Vec::new(),
        }
    }

    /// With these to be told of ends and pauses.
    #[must_use]
    pub fn with_listeners(self, listeners: Vec<Listener>) -> Policies {
        Policies { listeners, ..self }
    }

    /// Who is told of ends and pauses.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What holds for a folder's files.
    pub fn of(&self, folder: &FolderName) -> &Policy {
        self.by_folder
            .get(folder)
            .map_or(&self.dropped, |policy| policy)
    }
}
