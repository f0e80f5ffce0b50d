//! The lanes of a dataset: how many of its uploads are on the wire at once,
//! and at what rates.
//!
//! Workers may prepare and record ahead of the wire; they enter a lane only to
//! send. Must not: pick files, or know gates.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::bucket::Bucket;
use crate::config::valid::Dataset;
use crate::domain::error_table::Judgement;
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
    /// Small files between their pick and their answer, and their bytes.
    small: usize,
    small_bytes: u64,
    /// Big files likewise.
    big: usize,
}

/// A size class. One lane stays free of big files, so that small files are not
/// stuck behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// Up to [`crate::ledger::BIG_FILE`].
    Small,
    /// Larger.
    Big,
}

/// The most bytes of small files under way: each may be held in memory.
const SMALL_BYTES: u64 = 8 << 20;

/// A place among the files under way, from pick to answer; given back when
/// dropped.
#[derive(Debug)]
pub struct Slot {
    lanes: Arc<Lanes>,
    size: Size,
    bytes: u64,
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
                small: 0,
                small_bytes: 0,
                big: 0,
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

    /// A place for one more file of `bytes`, if there is one. `ahead`: it may
    /// be recorded before a lane is free for it.
    pub fn slot(self: &Arc<Lanes>, size: Size, bytes: u64, ahead: bool) -> Option<Slot> {
        let mut state = self.lock();
        let lanes = state.pace.limit();
        let room = match size {
            Size::Big => state.big < lanes.saturating_sub(1).max(1),
            Size::Small if !ahead => state.small < lanes,
            Size::Small => {
                state.small < state.pace.under_way()
                    && (state.small < lanes || state.small_bytes + bytes <= SMALL_BYTES)
            }
        };
        if !room {
            return None;
        }
        match size {
            Size::Small => {
                state.small += 1;
                state.small_bytes += bytes;
            }
            Size::Big => state.big += 1,
        }
        drop(state);
        Some(Slot {
            lanes: self.clone(),
            size,
            bytes,
        })
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

    /// A small file took so long from its pick to its record, and from the wire
    /// to its answer.
    pub fn timed(&self, ready: Duration, wire: Duration) {
        self.lock().pace.timed(ready, wire);
    }

    /// Takes in what an upload was answered: there may be more lanes now, or
    /// fewer.
    pub fn heed(&self, judgement: &Judgement) {
        self.lock().pace.heed(judgement);
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves a count that `Lane`'s drop mends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        match self.size {
            Size::Small => {
                state.small -= 1;
                state.small_bytes -= self.bytes;
            }
            Size::Big => state.big -= 1,
        }
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

    fn lanes(concurrency: usize) -> Arc<Lanes> {
        Lanes::new(&Dataset {
            name: DatasetName("d".into()),
            key: AccessKey::new("k".into()),
            concurrency,
            polls_per_second: 1.0,
            requests_per_second: None,
            bytes_per_second: None,
            pushes: None,
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
        assert_eq!(lanes.limit(), 4);
        lanes.lock().pace.strained();
        lanes.lock().pace.strained();
        assert_eq!(lanes.limit(), 1);
        let inside = lanes.enter().await;
        for _ in 0..4 {
            lanes.lock().pace.clean();
        }
        assert!(lanes.limit() >= 2);
        let second = tokio::time::timeout(Duration::from_secs(1), lanes.enter()).await;
        assert!(second.is_ok());
        drop(inside);
    }

    #[test]
    fn one_lane_stays_free_of_big_files() {
        let lanes = lanes(3);
        let big = || lanes.slot(Size::Big, 1 << 30, true);
        let held = [big(), big()];
        assert!(held.iter().all(Option::is_some) && big().is_none());
        assert!(lanes.slot(Size::Small, 1, true).is_some());
        drop(held);
        assert!(big().is_some());
    }

    #[test]
    fn files_ahead_of_the_wire_are_bounded_in_number_and_bytes() {
        let lanes = lanes(4);
        let tiny: Vec<Slot> = std::iter::from_fn(|| lanes.slot(Size::Small, 1, true)).collect();
        assert_eq!(tiny.len(), 8);
        drop(tiny);
        let half = std::iter::from_fn(|| lanes.slot(Size::Small, SMALL_BYTES / 2, true));
        assert_eq!(
            half.collect::<Vec<Slot>>().len(),
            4,
            "one for each lane goes all the same"
        );
        let certain = std::iter::from_fn(|| lanes.slot(Size::Small, 1, false));
        assert_eq!(certain.collect::<Vec<Slot>>().len(), 4, "none ahead");
    }
}
