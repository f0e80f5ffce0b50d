//! How far an upload got, and what that means for those after it.
//!
//! Must not: carry a file.

use super::job::Job;
use crate::daemon::report;
use crate::domain::naming;
use crate::ledger::{Concern, LedgerError};

/// How far an upload got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Its end is in the ledger.
    Recorded,
    /// Its row has moved on since it was picked: it is dropped, and others go on.
    MovedOn,
    /// The ledger can't record: nothing new should be begun for a while.
    Unrecorded,
}

/// What an upload's end says of the ledger; trouble is logged.
pub fn recorded(job: &Job, carried: Result<(), LedgerError>) -> Carried {
    let Err(error) = carried else {
        return Carried::Recorded;
    };
    let (file, folder) = (naming::shown(&job.file.version.path), &job.folder.name);
    match error.concerns() {
        Concern::Row(id) => {
            tracing::debug!(%file, %folder, %id, %error, "picked, but it has moved on since");
            Carried::MovedOn
        }
        Concern::Ledger => {
            // The row is as it was at the last commit: queued, or uploading and
            // picked up by the recovery at the next start.
            tracing::debug!(%file, %folder, "this upload goes no further for now");
            report::ledger_trouble(&error, "the ledger could not record an upload's progress");
            Carried::Unrecorded
        }
    }
}
