//! How a request ends: with an answer, or otherwise.
//!
//! Must not: serve one.

use std::time::Duration;

use super::answer::Answer;
use super::intake::Broken;

/// An answer, and how far apart its bytes come.
pub(super) type Exchange = Result<(Answer, Option<Duration>), Stop>;

/// How a request ends without an ordinary answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client broke off.
    Left,
    /// Reset now.
    Cut,
    /// Reset in the middle of this answer.
    CutAnswer(Box<Answer>),
    /// Never answer.
    Silent,
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        match broken {
            Broken::Left => Stop::Left,
            Broken::Cut => Stop::Cut,
        }
    }
}

/// Waits, but not even a tick for nothing.
pub(super) async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
