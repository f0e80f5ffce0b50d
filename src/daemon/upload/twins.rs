//! Large files that look alike go one after another.
//!
//! A large file whose size is new to its dataset is sent before its content is
//! known. Two such files may be the same, and then one of them would go over
//! the line for nothing: the ledger stops it at its last chunk, not before. So
//! one whose size, options and first chunk are those of a file that is being
//! sent waits until that one's content is on record, and is then compared with
//! it. Files that differ in their first chunk don't wait. Must not: be what keeps
//! a file from being sent twice; that is `Ledger::last_byte`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::DatasetName;
use crate::ledger::{ContentHash, OptionsPrint};

/// What is known of a large file before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Looks {
    /// Where it goes.
    pub dataset: DatasetName,
    /// Bytes.
    pub size: u64,
    /// Its import options.
    pub options: OptionsPrint,
    /// blake3 of its first chunk.
    pub beginning: ContentHash,
}

/// The looks of the files whose turn it is. As many as there are lanes.
#[derive(Debug, Default)]
pub struct Twins {
    now: Mutex<HashSet<Looks>>,
    over: Notify,
}

/// A file's turn among those that look like it; over when dropped.
#[derive(Debug, Default)]
pub struct Turn(Option<(Arc<Twins>, Looks)>);

impl Twins {
    /// Waits until no file of these looks has its turn; `None`: it has none, and
    /// needs not wait.
    pub async fn turn(self: &Arc<Twins>, looks: Option<Looks>) -> Turn {
        let Some(looks) = looks else {
            return Turn(None);
        };
        loop {
            // Armed before the look, so that a turn that ends in between is seen.
            let mut over = std::pin::pin!(self.over.notified());
            over.as_mut().enable();
            if self.lock().insert(looks.clone()) {
                return Turn(Some((self.clone(), looks)));
            }
            over.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Looks>> {
        // Nothing in here is ever half done.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((twins, looks)) = self.0.take() {
            twins.lock().remove(&looks);
            twins.over.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn looks(beginning: u8) -> Option<Looks> {
        Some(Looks {
            dataset: DatasetName("d".into()),
            size: 1 << 30,
            options: [0; 16],
            beginning: [beginning; 32],
        })
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_look_alike_go_one_after_another_and_others_at_once() {
        let twins = Arc::new(Twins::default());
        let soon = |looks| {
            let twins = twins.clone();
            async move { tokio::time::timeout(Duration::from_secs(1), twins.turn(looks)).await }
        };
        let first = twins.turn(looks(1)).await;
        assert!(soon(looks(1)).await.is_err(), "a twin did not wait");
        let _other = soon(looks(2)).await.expect("it looks different");
        let _small = soon(None).await.expect("it has no looks");
        let waiting = tokio::spawn(soon(looks(1)));
        tokio::task::yield_now().await;
        drop(first);
        let next = waiting.await.expect("it ran").expect("its turn has come");
        assert!(soon(looks(1)).await.is_err(), "two have their turn");
        drop(next);
        assert!(soon(looks(1)).await.is_ok());
    }
}
