//! Answers that may close a gate, between their arrival and their commit.
//!
//! A gate is closed in the ledger, which takes a commit. Whatever would be sent
//! in those milliseconds would slip through behind the answer that stops it, so
//! a request waits while such an answer is being recorded.
//!
//! Must not: know which gate, or for how long it closes.

use tokio::sync::watch;

/// How many such answers are being recorded.
#[derive(Debug, Default)]
pub struct Pausing(watch::Sender<usize>);

/// One of them; over when dropped.
#[derive(Debug)]
pub struct Recording<'a>(&'a Pausing);

impl Pausing {
    /// An answer that may close a gate has come.
    pub fn begin(&self) -> Recording<'_> {
        self.0.send_modify(|count| *count += 1);
        Recording(self)
    }

    /// Waits until none is being recorded. What is asked of the gates after
    /// that, without a wait in between, has heard of all of them.
    pub async fn none(&self) {
        // The sender is `self`: it can't be gone.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn nothing_goes_while_an_answer_that_may_close_a_gate_is_being_recorded() {
        let pausing = Pausing::default();
        assert!(
            pausing.none().now_or_never().is_some(),
            "nothing to wait for"
        );
        let first = pausing.begin();
        let second = pausing.begin();
        let mut waits = Box::pin(pausing.none());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(first);
        assert!(waits.as_mut().now_or_never().is_none(), "one is still open");
        drop(second);
        assert!(waits.now_or_never().is_some());
    }
}
