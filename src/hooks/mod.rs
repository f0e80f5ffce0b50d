//! Telling a hook: a [`command`] that is run, or a receiver that is sent a
//! [`post`]. One call is one try.
//!
//! Must not: try twice, decide what is told, or hold an Access-Key.

pub mod command;
pub mod post;

use std::io;

/// Why a try came to nothing. The words hold nothing of the receiver's address
/// but what the configuration's own log lines name.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command could not be run.
    #[error("it can't be run: {0}")]
    NotRun(io::Error),
    /// It ended with a code other than 0.
    #[error("it ended with code {code}{said}")]
    Code {
        /// The code.
        code: i32,
        /// What it wrote last, harmless.
        said: String,
    },
    /// It was ended by a signal.
    #[error("it was ended by signal {signal}{said}")]
    Signal {
        /// The signal.
        signal: i32,
        /// What it wrote last, harmless.
        said: String,
    },
    /// It did not end in time.
    #[error(
        "it had not ended after {seconds} s, and was killed with all that it had started{said}"
    )]
    Late {
        /// The limit.
        seconds: u64,
        /// What it wrote last, harmless.
        said: String,
    },
    /// It wrote without end.
    #[error("it wrote more than {} KiB, and was killed with all that it had started{said}", command::MOST_OUTPUT >> 10)]
    Flood {
        /// What it wrote last, harmless.
        said: String,
    },
    /// The receiver answered with this status.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// There was no answer.
    #[error("the receiver could not be told: {0}")]
    Unanswered(String),
}
