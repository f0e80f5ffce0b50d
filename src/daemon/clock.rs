//! Minds the clock of the day: whether it was set, while this process runs and
//! before it began, and has the ledger's times moved then.
//!
//! While it runs, the time of day is compared with the clock that nobody can
//! set (`sentry` does so each second, and has it looked at here then). Over a restart there is only the last time that was recorded
//! as seen: a clock that reads less was set back, and one that reads more may
//! only have been waited for.
//!
//! Must not: decide what moves; `domain::clock` does.

use std::time::Duration;

use crate::domain::clock::{Jump, Look, at_start, between};
use crate::ledger::{Ledger, LedgerError};
use crate::ports::Clock;

/// Between two records of the time; none is made while nothing else is
/// recorded.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What the clocks read when they were last looked at.
#[derive(Debug)]
pub struct Minder {
    last: Look,
    noted_at: Duration,
    noted_commits: u64,
}

impl Minder {
    /// To be called before anything in the ledger is acted on.
    ///
    /// # Errors
    /// When the ledger can't be read or written.
    pub async fn start(ledger: &Ledger, clock: &dyn Clock) -> Result<Minder, LedgerError> {
        let now = look(clock);
        match ledger
            .last_seen()
            .await?
            .and_then(|last| at_start(last, now.wall))
        {
            Some(jump) => moved(ledger, jump).await?,
            None => ledger.seen_at(now.wall).await?,
        }
        Ok(Minder {
            last: now,
            noted_at: now.ticks,
            noted_commits: ledger.commits(),
        })
    }

    /// To be called in each round of housekeeping. True: times were moved, and whoever
    /// waits for one has to look again. After an error the next look sees the
    /// same jump.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub async fn look(&mut self, ledger: &Ledger, clock: &dyn Clock) -> Result<bool, LedgerError> {
        let now = look(clock);
        if let Some(jump) = between(self.last, now) {
            moved(ledger, jump).await?;
            self.last = now;
            return Ok(true);
        }
        self.last = now;
        let commits = ledger.commits();
        if now.ticks.saturating_sub(self.noted_at) >= NOTE_EVERY && commits != self.noted_commits {
            self.noted_at = now.ticks;
            ledger.seen_at(now.wall).await?;
            self.noted_commits = ledger.commits();
        }
        Ok(false)
    }
}

fn look(clock: &dyn Clock) -> Look {
    Look {
        wall: clock.now(),
        ticks: clock.ticks(),
    }
}

async fn moved(ledger: &Ledger, jump: Jump) -> Result<(), LedgerError> {
    let rows = ledger.clock_jumped(jump).await?;
    match jump {
        Jump::Set { from, to } => tracing::warn!(
            %from, %to, rows,
            "the clock was set: what waits goes on waiting for as long as it was meant to"
        ),
        Jump::Away { from, to } => tracing::debug!(
            %from, %to, rows,
            "not running for a while: that time makes no file older"
        ),
    }
    Ok(())
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
