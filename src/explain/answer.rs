//! What is said of a path that somebody asks about: an answer, the checks that led
//! to it, and what can be done.
//!
//! Must not: decide it.

use crate::domain::waiting::Waiting;

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was taken, and is at its end.
    Done,
    /// It was taken, and goes on by itself.
    Underway,
    /// It is not taken yet, or waits: for a time, a program, a gate, a daemon.
    Waiting,
    /// It was taken, and came to an end that somebody should look at.
    Attention,
    /// It is not taken.
    NotTaken,
    /// There is nothing to explain: no such file, here or in the ledger.
    Missing,
    /// A directory was counted.
    Counted,
}

impl Answer {
    /// The word that scripts see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Answer::Done => "done",
            Answer::Underway => "underway",
            Answer::Waiting => "waiting",
            Answer::Attention => "attention",
            Answer::NotTaken => "not-taken",
            Answer::Missing => "missing",
            Answer::Counted => "counted",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing stands against it.
    Yes,
    /// It is not taken for this.
    No,
    /// Not yet.
    NotYet,
    /// It can't be told.
    Unknown,
}

impl Said {
    /// The word that scripts see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Said::Yes => "ok",
            Said::No => "no",
            Said::NotYet => "not-yet",
            Said::Unknown => "unknown",
        }
    }

    /// The words that people see before what was found.
    pub const fn words(self) -> &'static str {
        match self {
            Said::Yes => "ok",
            Said::No => "no",
            Said::NotYet => "not yet",
            Said::Unknown => "can't tell",
        }
    }
}

/// One question, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was asked about.
    pub what: &'static str,
    /// Whether it stands against the file.
    pub said: Said,
    /// What was found.
    pub found: String,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// In a word.
    pub answer: Answer,
    /// What it is for, in a word that stays: scripts may go by it.
    pub reason: &'static str,
    /// In a sentence, to be said after the path.
    pub headline: String,
    /// The checks, in the order in which the daemon asks.
    pub checks: Vec<Check>,
    /// What can be done, best first; empty where nothing need be.
    pub to_do: Vec<String>,
    /// What it waits for, what holds it longest in front.
    pub waiting: Vec<Waiting>,
}

impl Explanation {
    pub(super) fn new(
        answer: Answer,
        reason: &'static str,
        headline: impl Into<String>,
    ) -> Explanation {
        Explanation {
            answer,
            reason,
            headline: headline.into(),
            checks: Vec::new(),
            to_do: Vec::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) fn advised(mut self, what: impl Into<String>) -> Explanation {
        self.to_do.push(what.into());
        self
    }
}
