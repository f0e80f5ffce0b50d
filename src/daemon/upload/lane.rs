//! The lanes of a dataset: how many of its uploads are on the wire at once,
//! and at what rates.
//!
//! Workers may prepare and record ahead of the wire; they enter a lane only to
//! send. Must not: pick files, or know gates.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::body::IN_MEMORY;
use super::bucket::Bucket;
use super::window::{Departure, Window};
use crate::config::valid::Dataset;
use crate::domain::error_table::Judgement;
use crate::domain::pace::{Pace, Ticket};
use crate::ports::Progress;

/// The lanes of one dataset.
#[derive(Debug)]
pub struct Lanes {
    state: Mutex<State>,
    freed: Notify,
    /// The same for those of the express, who go first.
    freed_for_express: Notify,
    /// What the pace is told the time by.
    since: Instant,
    /// Uploads at once that are allowed whatever their sizes, and the bound for
    /// big files: one of those fills the line by itself.
    start: usize,
    requests: Option<Arc<Window>>,
    bytes: Option<Bucket>,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    on_the_wire: usize,
    /// Small files between their pick and their answer, and what they take of
    /// memory.
    small: usize,
    small_bytes: u64,
    /// Big files likewise.
    big: usize,
    /// Files of the express, and those of them that wait for a lane.
    express: usize,
    express_waits: usize,
}

/// A class of files. One lane stays free of big files, so that small files are
/// not stuck behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// Up to [`crate::ledger::BIG_FILE`].
    Small,
    /// Larger.
    Big,
    /// One chunk, and before all others.
    Express,
}

/// The most memory for small files under way, beyond those that start with.
const SMALL_BYTES: u64 = 16 << 20;

/// Files of the express under way, beside the others, where they may be recorded
/// before a lane is free.
const EXPRESS: usize = 16;

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
    /// `None`: it was answered.
    ticket: Option<Ticket>,
    /// The request's place in the request rate, until it is on the wire.
    departure: Option<Departure>,
}

impl Lanes {
    /// As the dataset's settings say.
    pub fn new(dataset: &Dataset) -> Arc<Lanes> {
        Arc::new(Lanes {
            state: Mutex::new(State {
                pace: Pace::new(dataset.concurrency, dataset.max_concurrent),
                on_the_wire: 0,
                small: 0,
                small_bytes: 0,
                big: 0,
                express: 0,
                express_waits: 0,
            }),
            freed: Notify::new(),
            freed_for_express: Notify::new(),
            since: Instant::now(),
            start: dataset.concurrency.max(1),
            requests: dataset.requests_per_second.map(Window::new),
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
        let lanes = state.pace.room();
        // Whatever is larger is streamed, through as much.
        let bytes = bytes.min(IN_MEMORY);
        let room = match size {
            Size::Big => state.big < lanes.min(self.start).saturating_sub(1).max(1),
            Size::Small => {
                let most = if ahead { state.pace.under_way() } else { lanes };
                state.small < most
                    && (state.small < lanes.min(self.start)
                        || state.small_bytes + bytes <= SMALL_BYTES)
            }
            Size::Express if ahead => state.express < EXPRESS,
            Size::Express => state.small + state.express < lanes,
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
            Size::Express => state.express += 1,
        }
        drop(state);
        Some(Slot {
            lanes: self.clone(),
            size,
            bytes,
        })
    }

    /// Waits for a free lane, and for the request rate. `express`: before all
    /// that are not.
    pub async fn enter(self: &Arc<Lanes>, express: bool) -> Lane {
        let waits = express.then(|| Waits::new(self));
        let bell = match express {
            true => &self.freed_for_express,
            false => &self.freed,
        };
        let ticket = loop {
            // Armed before the look, so that a lane freed in between is seen.
            let mut freed = std::pin::pin!(bell.notified());
            freed.as_mut().enable();
            {
                let mut state = self.lock();
                let there = state.on_the_wire;
                if (express || state.express_waits == 0)
                    && let Some(ticket) = state.pace.enter(there)
                {
                    state.on_the_wire += 1;
                    break ticket;
                }
            }
            freed.await;
        };
        drop(waits);
        let mut lane = Lane {
            lanes: self.clone(),
            ticket: Some(ticket),
            departure: None,
        };
        lane.departure = self.request().await;
        lane
    }

    /// Waits until one more request may go. What it gives is to be dropped when
    /// the request is on the wire.
    pub async fn request(&self) -> Option<Departure> {
        match &self.requests {
            Some(requests) => Some(requests.enter().await),
            None => None,
        }
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves a count that `Lane`'s drop mends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the express that waits for a lane; it does no more when dropped.
struct Waits<'a>(&'a Lanes);

impl<'a> Waits<'a> {
    fn new(lanes: &'a Lanes) -> Waits<'a> {
        lanes.lock().express_waits += 1;
        Waits(lanes)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.lock().express_waits -= 1;
        // There may be more room than it took, and the others were not told.
        self.0.freed.notify_one();
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
            Size::Express => state.express -= 1,
        }
    }
}

impl Lane {
    /// One more request goes in this lane: the next hop of a redirect.
    pub fn again(&mut self, departure: Option<Departure>) {
        self.departure = departure;
    }

    /// Watches a request leave: the request rate counts it from when the
    /// connection takes its body. Never ends.
    pub async fn departs(&mut self, progress: &Progress) -> Infallible {
        if self.departure.is_some() {
            progress.begun().await;
            self.departure = None;
        }
        std::future::pending().await
    }

    /// Takes in what the upload was answered, and how long that took if its body
    /// was one chunk: there may be more lanes now, or fewer.
    pub fn heed(&mut self, judgement: &Judgement, took: Option<Duration>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let now = self.lanes.since.elapsed();
        let more = {
            let mut state = self.lanes.lock();
            let room = state.pace.room();
            state.pace.heed(ticket, judgement, took, now);
            state.pace.room() > room
        };
        if more {
            self.lanes.freed_for_express.notify_waiters();
            self.lanes.freed.notify_waiters();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let now = self.lanes.since.elapsed();
        let mut state = self.lanes.lock();
        state.on_the_wire -= 1;
        if let Some(ticket) = self.ticket.take() {
            state.pace.left(ticket, now);
        }
        let next = match state.express_waits {
            0 => &self.lanes.freed,
            _ => &self.lanes.freed_for_express,
        };
        drop(state);
        next.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::{Answer, Body, Call, Outcome};
    use crate::domain::error_table::{ErrorTable, Trail};
    use crate::domain::ids::DatasetName;
    use crate::ports::AccessKey;

    fn lanes(concurrency: usize, max_concurrent: usize) -> Arc<Lanes> {
        Lanes::new(&Dataset {
            name: DatasetName("d".into()),
            key: AccessKey::new("k".into()),
            concurrency,
            max_concurrent,
            polls_per_second: 1.0,
            requests_per_second: None,
            bytes_per_second: None,
            pushes: None,
            key_file: None,
        })
    }

    fn answered(status: u16) -> Judgement {
        let answer = Answer {
            status,
            body: Body::Empty,
            ..Answer::default()
        };
        ErrorTable::default().judge(Call::Upload, &Outcome::Answer(answer), Trail::default())
    }

    async fn comes_in(lanes: &Arc<Lanes>) -> Option<Lane> {
        let lane = tokio::time::timeout(Duration::from_secs(1), lanes.enter(false));
        lane.await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_limit_are_inside() {
        let lanes = lanes(2, 2);
        let first = lanes.enter(false).await;
        let _second = lanes.enter(false).await;
        assert!(comes_in(&lanes).await.is_none(), "a third came in");
        drop(first);
        assert!(
            comes_in(&lanes).await.is_some(),
            "a freed lane was not seen"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_express_goes_before_those_that_wait_and_holds_nobody_up_after_that() {
        let lanes = lanes(1, 1);
        let inside = lanes.enter(false).await;
        let (come, mut came) = tokio::sync::mpsc::unbounded_channel();
        for (name, express) in [("first", false), ("second", false), ("express", true)] {
            let (lanes, come) = (lanes.clone(), come.clone());
            tokio::spawn(async move {
                let lane = lanes.enter(express).await;
                let _ = come.send(name);
                drop(lane);
            });
            tokio::task::yield_now().await;
        }
        drop((inside, come));
        let mut order = Vec::new();
        while let Ok(Some(name)) = tokio::time::timeout(Duration::from_secs(5), came.recv()).await {
            order.push(name);
        }
        assert_eq!(order, ["express", "first", "second"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_the_express_that_gives_up_waiting_holds_nobody_up() {
        let lanes = lanes(1, 1);
        let inside = lanes.enter(false).await;
        let given_up = tokio::time::timeout(Duration::from_secs(1), lanes.enter(true)).await;
        assert!(given_up.is_err());
        drop(inside);
        assert!(comes_in(&lanes).await.is_some());
    }

    #[test]
    fn the_express_has_places_of_its_own_unless_none_may_go_ahead() {
        let lanes = lanes(2, 2);
        let all = |size, ahead| -> Vec<Slot> {
            std::iter::from_fn(|| lanes.slot(size, 1, ahead)).collect()
        };
        let small = all(Size::Small, true);
        assert_eq!(small.len(), 4);
        assert!(all(Size::Express, false).is_empty(), "all lanes have one");
        assert_eq!(all(Size::Express, true).len(), EXPRESS);
        drop(small);
        assert_eq!(all(Size::Express, false).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn strain_closes_lanes_and_clean_answers_open_them() {
        let lanes = lanes(4, 8);
        let mut inside = vec![lanes.enter(false).await, lanes.enter(false).await];
        inside[0].heed(&answered(429), None);
        assert_eq!(lanes.limit(), 2);
        inside.clear();
        // Who waits comes in as soon as an answer makes room.
        for _ in 0..60 {
            let (mut one, mut other) = (lanes.enter(false).await, lanes.enter(false).await);
            let waiting = tokio::spawn({
                let lanes = lanes.clone();
                async move { comes_in(&lanes).await }
            });
            tokio::task::yield_now().await;
            one.heed(&answered(204), Some(Duration::from_millis(50)));
            other.heed(&answered(204), Some(Duration::from_millis(50)));
            if waiting.await.unwrap_or_default().is_some() {
                return;
            }
        }
        panic!("no third came in");
    }

    #[test]
    fn one_lane_stays_free_of_big_files_and_more_lanes_are_not_for_them() {
        for most in [3, 32] {
            let lanes = lanes(3, most);
            let big = || lanes.slot(Size::Big, 1 << 30, true);
            let held = [big(), big()];
            assert!(held.iter().all(Option::is_some) && big().is_none());
            assert!(lanes.slot(Size::Small, 1, true).is_some());
            drop(held);
            assert!(big().is_some());
        }
    }

    #[test]
    fn files_ahead_of_the_wire_are_bounded_in_number_and_bytes() {
        let lanes = lanes(4, 32);
        let of = |bytes, ahead| -> usize {
            let slots = std::iter::from_fn(|| lanes.slot(Size::Small, bytes, ahead));
            slots.collect::<Vec<Slot>>().len()
        };
        assert_eq!(of(1, true), 8);
        assert_eq!(of(1, false), 4, "none ahead");
        let held: Vec<Slot> = (0..7)
            .filter_map(|_| lanes.slot(Size::Small, IN_MEMORY * 8, true))
            .collect();
        assert_eq!(held.len(), 7, "what is streamed takes no more");
        assert_eq!(of(IN_MEMORY * 8, true), 1);
        drop(held);
        // With all lanes open the bytes bound them.
        lanes.lock().pace = Pace::new(32, 32);
        assert_eq!(of(IN_MEMORY, true) as u64, SMALL_BYTES / IN_MEMORY);
        assert_eq!(of(1000, true), 64);
    }
}
