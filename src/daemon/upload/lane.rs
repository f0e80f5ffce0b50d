//! The lanes of a dataset: how many of its uploads are on the wire at once,
//! and at what rates.
//!
//! Workers may prepare and record ahead of the wire; they enter a lane only to
//! send. Must not: pick files, or know gates.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bucket::Bucket;
use crate::config::valid::Dataset;
use crate::domain::pace::Pace;

/// The lanes of one dataset.
#[derive(Debug)]
pub struct Lanes {
    state: Mutex<State>,
    freed: Notify,
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    on_the_wire: usize,
}

/// A lane that is in use; freed when dropped.
#[derive(Debug)]
pub struct Lane {
    lanes: Arc<Lanes>,
}

impl Lanes {
    /// As the dataset's settings say.
    pub fn new(dataset: &Dataset) -> Arc<Lanes> {
        Arc::new(Lanes {
            state: Mutex::new(State {
                pace: Pace::new(dataset.concurrency),
                on_the_wire: 0,
            }),
            freed: Notify::new(),
            requests: dataset
                .requests_per_second
                .map(|rate| Bucket::new(rate, rate.max(1.0))),
            bytes: dataset.bytes_per_second.map(|rate| {
                let rate = rate.max(1) as f64;
                Bucket::new(rate, rate / 4.0)
            }),
        })
    }

    /// Uploads at once that the dataset bears now.
    pub fn limit(&self) -> usize {
        self.lock().pace.limit()
    }

    /// Big files that may be under way at once: one lane stays free of them,
    /// so that small files are not stuck behind big ones.
    pub fn big_limit(&self) -> usize {
        self.limit().saturating_sub(1).max(1)
    }

    /// Waits for a free lane, and for the request rate.
    pub async fn enter(self: &Arc<Lanes>) -> Lane {
        loop {
            // Armed before the look, so that a lane freed in between is seen.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.on_the_wire < state.pace.limit() {
                    state.on_the_wire += 1;
                    break;
                }
            }
            freed.await;
        }
        let lane = Lane {
            lanes: self.clone(),
        };
        if let Some(requests) = &self.requests {
            requests.take(1.0).await;
        }
        lane
    }

    /// Waits until `bytes` more may go out.
    pub async fn pay(&self, bytes: u64) {
        if let Some(bucket) = &self.bytes {
            bucket.take(bytes as f64).await;
        }
    }

    /// An upload was taken.
    pub fn clean(&self) {
        self.lock().pace.clean();
        self.freed.notify_one();
    }

    /// The service is asked too much.
    pub fn strained(&self) {
        self.lock().pace.strained();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves a count that `Lane`'s drop mends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.lock().on_the_wire -= 1;
        self.lanes.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DatasetName;
    use crate::ports::AccessKey;
    use std::time::Duration;

    fn lanes(concurrency: usize) -> Arc<Lanes> {
        Lanes::new(&Dataset {
            name: DatasetName("d".into()),
            key: AccessKey::new("k".into()),
            concurrency,
            polls_per_second: 1.0,
            requests_per_second: None,
            bytes_per_second: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_limit_are_inside() {
        let lanes = lanes(2);
        let first = lanes.enter().await;
        let _second = lanes.enter().await;
        let third = tokio::time::timeout(Duration::from_secs(1), lanes.enter()).await;
        assert!(third.is_err(), "a third came in");
        drop(first);
        let third = tokio::time::timeout(Duration::from_secs(1), lanes.enter()).await;
        assert!(third.is_ok(), "a freed lane was not seen");
    }

    #[tokio::test(start_paused = true)]
    async fn strain_closes_lanes_and_clean_answers_open_them() {
        let lanes = lanes(4);
        assert_eq!((lanes.limit(), lanes.big_limit()), (4, 3));
        lanes.strained();
        lanes.strained();
        assert_eq!((lanes.limit(), lanes.big_limit()), (1, 1));
        let inside = lanes.enter().await;
        for _ in 0..4 {
            lanes.clean();
        }
        assert!(lanes.limit() >= 2);
        let second = tokio::time::timeout(Duration::from_secs(1), lanes.enter()).await;
        assert!(second.is_ok());
        drop(inside);
    }
}
