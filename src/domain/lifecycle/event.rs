//! What can happen to a file, and what can be done with its source.
//!
//! Must not: say what follows; that is [`step`](super::step).

use crate::domain::error_table::Judgement;
use crate::domain::ids::{AttemptId, FileId, TaskId};
use crate::domain::refusal::Refusal;

/// What happened to a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An attempt begins: recorded before the first byte of its body.
    /// `one_chunk`: the whole body goes out at once, so this is its last byte
    /// too. From `uploading` it is the next hop of a redirect that sends the
    /// body again (307); the GET that follows a 303 has no body and begins
    /// nothing, since the upload before it may have been taken.
    Begun {
        /// The attempt.
        attempt: AttemptId,
        /// The body has only one chunk.
        one_chunk: bool,
    },
    /// The last chunk of the body is about to be handed to the socket.
    LastByte,
    /// The attempt ended with an answer, or with none.
    Judged(Judgement),
    /// The attempt ended before the last byte for a reason of ours: a gate
    /// closed, or the daemon stops.
    Released,
    /// The daemon started and found the file as a crash had left it.
    Recovered,
    /// The file is not the one that was settled. `newer`: its newer version,
    /// where that is in the ledger already.
    Changed {
        /// The newer version.
        newer: Option<FileId>,
    },
    /// The file is not there any more, though its folder is. About a file in
    /// `uploading`, only its own worker says so.
    Vanished,
    /// A newer version of the same path was queued.
    Replaced {
        /// The newer version.
        by: FileId,
    },
    /// Sorted, and not something the service takes.
    Unsupported(Refusal),
    /// The content is another file's.
    SameAs {
        /// The file that was, or is being, sent.
        of: FileId,
        /// Whether that one has succeeded.
        imported: bool,
    },
    /// The file that this one is a duplicate of has ended.
    OriginalEnded {
        /// How.
        how: OriginalEnd,
    },
    /// The route was to blame for the rejection, not the file.
    Returned,
    /// An operator wants it tried again.
    Retry,
    /// An operator has found it at the service.
    Arrived {
        /// Its task, if they know it: it is followed from here on.
        task: Option<TaskId>,
    },
    /// The service has deleted the task, as an operator wanted.
    Deleted,
}

/// How the original of a duplicate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginalEnd {
    /// It succeeded: so has the duplicate.
    Imported,
    /// The service worked on this very content and failed, or the task was
    /// deleted: sending it again would cost money and end alike.
    SettledOtherwise,
    /// It never got through: the duplicate gets a try of its own.
    NotImported,
}

/// What is to be done with the source, once the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceAction {
    /// Move it to the directory for what succeeded.
    MoveDone,
    /// Move it to the directory for what was rejected.
    MoveRejected,
    /// Delete it.
    Delete,
}
