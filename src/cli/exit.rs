//! The exit codes, documented in the README and in `--help`.
//!
//! Must not: print.
//!
//! One code is not here: a second stop signal ends the process with
//! [`crate::daemon::signals::EXIT_CUT_SHORT`].

use std::process::ExitCode;

use crate::domain::health::Level;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// It could not be done; standard error says why.
    Failure,
    /// The command line or the configuration is wrong; nothing was done.
    Usage,
    /// `scan`: done, but files came to a bad end, are still waiting, or a
    /// folder could not be reached.
    Attention,
    /// Another daemon works on this ledger.
    Locked,
    /// What was asked for is not in the ledger.
    NotFound,
    /// The ledger is gone, and was there before: nothing was begun.
    LedgerLost,
    /// `status --check`: how well all is. These codes are monitoring plugins'.
    Health(Level),
}

impl Exit {
    const ALL: [Exit; 7] = [
        Exit::Success,
        Exit::Failure,
        Exit::Usage,
        Exit::Attention,
        Exit::Locked,
        Exit::NotFound,
        Exit::LedgerLost,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Health(level) => level.code(),
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Attention => 3,
            Exit::Locked => 4,
            Exit::NotFound => 5,
            Exit::LedgerLost => 6,
        }
    }

    /// What a number means; one that is not ours is a failure.
    pub fn of_code(code: u8) -> Exit {
        let found = Exit::ALL.into_iter().find(|exit| exit.code() == code);
        found.unwrap_or(Exit::Failure)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
