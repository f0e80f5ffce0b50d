//! What stands between the last chunk of a body and the socket.
//!
//! Must not: decide what becomes of a file whose last chunk was held back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::body::{Hanging, Release};
use super::job::Job;
use super::prepare::{self, NotReady};
use super::twins::Turn;
use crate::domain::ids::{AttemptId, FileId};
use crate::domain::naming::shown;
use crate::failpoint::failpoint;
use crate::ledger::{LastByte, LedgerError};

/// A read that has not come back for so long is said.
const SAID_AFTER: Duration = Duration::from_secs(30);

/// Why the last chunk was held back.
pub enum HeldBack {
    /// The file is not what it was.
    File(NotReady),
    /// It could not be recorded.
    Ledger(LedgerError),
    /// This file has the same content, or is the same, and was there first.
    Same(FileId),
}

/// What stands between the last chunk and the socket: another look at the
/// file, and, unless the beginning said so already, the record.
pub fn check(
    job: &Job,
    attempt: Option<AttemptId>,
    held_back: Arc<Mutex<Option<HeldBack>>>,
    turn: Turn,
) -> Release {
    let (ctx, root, local) = (job.ctx.clone(), job.root.clone(), job.local);
    let (id, version) = (job.file.id, job.file.version.clone());
    let folder = job.folder.name.clone();
    let policies = job.running.policies.clone();
    let duplicates = job.folder.duplicates.rule();
    Box::new(move |hash| {
        Box::pin(async move {
            // Over when this is: its content is on record, or it is not sent.
            let _turn = turn;
            let hold = |why: HeldBack, words: &str| {
                *held_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                Err(io::Error::other(words.to_owned()))
            };
            let look = move || prepare::still_there(&root, &version);
            let looked = if local {
                look()
            } else {
                match ctx.folders.ask(&folder, look).await {
                    Some(looked) => looked.unwrap_or(Ok(false)),
                    None => Err(NotReady::Offline),
                }
            };
            match looked {
                Ok(true) => {}
                Ok(false) => {
                    let why = HeldBack::File(NotReady::Changed);
                    return hold(why, "the file changed while it was sent");
                }
                Err(why) => {
                    return hold(HeldBack::File(why), "the file can't be looked at any more");
                }
            }
            if let Some(attempt) = attempt {
                failpoint!("last_byte.before");
                let at = ctx.world.moment();
                let recorded = ctx
                    .ledger
                    .last_byte(id, attempt, hash, duplicates, at, &policies);
                match recorded.await {
                    Ok(LastByte::Recorded) => {}
                    Ok(LastByte::Same(of)) => {
                        return hold(HeldBack::Same(of), "the same content went first");
                    }
                    Err(error) => {
                        return hold(HeldBack::Ledger(error), "the ledger could not record");
                    }
                }
            }
            failpoint!("last_byte.after");
            Ok(())
        })
    })
}

/// What is to be done about a read that does not come back: it is said, once; and
/// where the folder does not answer any more, the file waits for that.
pub fn hanging(job: &Job, held_back: Arc<Mutex<Option<HeldBack>>>) -> Hanging {
    let (ctx, folder) = (job.ctx.clone(), job.folder.name.clone());
    let (id, file) = (job.file.id, shown(&job.file.version.path));
    let said = AtomicBool::new(false);
    Box::new(move |waited| {
        if waited >= SAID_AFTER && !said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %file, %id, %folder,
                "reading it has not come on for {} s: its disk or server does not answer. The upload waits; look at the file system",
                waited.as_secs()
            );
        }
        if !ctx.folders.is_not_answering(&folder) {
            return None;
        }
        *held_back.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(HeldBack::File(NotReady::Offline));
        Some(io::Error::other(
            "the file system of the folder does not answer",
        ))
    })
}
