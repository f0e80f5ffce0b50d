//! The request rate of a dataset: no second has more requests than the rate.
//!
//! A request counts from its admission until a second after it went on the wire,
//! and not after it was admitted. A connection that is still being made would
//! else arrive together with requests that were admitted a second later: behind
//! a TLS handshake of 750 ms a burst of twice the rate reached the service.
//!
//! Must not: know what a request is.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How much longer than a second the window is. Requests that go on the wire a
/// second apart can arrive closer together: the network delays the first of them
/// more than the last, and this process may be interrupted between its look at
/// the clock and its write to the socket. A rate of 10 is 9.5 over a long time.
const MARGIN: Duration = Duration::from_millis(50);

/// Lets at most so many requests go in any second.
#[derive(Debug)]
pub struct Window {
    most: usize,
    span: Duration,
    /// Held by the first of those who wait; the others wait behind it.
    turn: tokio::sync::Mutex<()>,
    requests: Mutex<Requests>,
    /// A request went on the wire.
    departed: Notify,
}

#[derive(Debug, Default)]
struct Requests {
    /// Admitted, and not on the wire yet.
    admitted: usize,
    /// When the others went on the wire, within the last window.
    gone: VecDeque<Instant>,
}

/// When there may be room.
enum Full {
    /// Then, or when a request departs.
    Until(Instant),
    /// When a request departs.
    UntilDeparture,
}

impl Window {
    /// `rate` in a second, above zero; below one, one in `1 / rate` seconds. Of
    /// a broken number above one the whole part counts.
    pub fn new(rate: f64) -> Arc<Window> {
        debug_assert!(rate > 0.0);
        let most = rate.max(1.0) as usize;
        let span = Duration::try_from_secs_f64(1.0 / rate.min(1.0)).unwrap_or(Duration::MAX);
        Arc::new(Window {
            most,
            span: span.saturating_add(MARGIN),
            turn: tokio::sync::Mutex::default(),
            requests: Mutex::default(),
            departed: Notify::new(),
        })
    }

    /// Waits until one more request may go; those that come later wait behind.
    pub async fn enter(self: &Arc<Window>) -> Departure {
        let _turn = self.turn.lock().await;
        loop {
            // Armed before the look, so that a departure in between is seen.
            let mut departed = pin!(self.departed.notified());
            departed.as_mut().enable();
            match self.admit() {
                Ok(()) => return Departure(Some(Arc::clone(self))),
                Err(Full::UntilDeparture) => departed.await,
                Err(Full::Until(at)) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = departed => {}
                },
            }
        }
    }

    fn admit(&self) -> Result<(), Full> {
        let mut requests = self.lock();
        let now = Instant::now();
        // A sum beyond the clock's range never comes.
        let leaves = |gone: &Instant| gone.checked_add(self.span);
        while let Some(at) = requests.gone.front().map(leaves) {
            if at.is_none_or(|at| now < at) {
                break;
            }
            requests.gone.pop_front();
        }
        if requests.admitted + requests.gone.len() < self.most {
            requests.admitted += 1;
            return Ok(());
        }
        let next = requests.gone.front().and_then(leaves);
        Err(next.map_or(Full::UntilDeparture, Full::Until))
    }

    fn depart(&self) {
        let mut requests = self.lock();
        requests.admitted -= 1;
        requests.gone.push_back(Instant::now());
        drop(requests);
        self.departed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // Nothing in here is ever half done.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an admitted request. Dropped when the request is on the wire, or
/// will not go any more: the window counts it for a second from then on.
#[derive(Debug)]
#[must_use = "dropped, the request counts as gone"]
pub struct Departure(Option<Arc<Window>>);

impl Drop for Departure {
    fn drop(&mut self) {
        if let Some(window) = self.0.take() {
            window.depart();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The least time within which one more than `most` came.
    fn closest(mut came: Vec<Instant>, most: usize) -> Duration {
        came.sort_unstable();
        let spans = came.windows(most + 1).map(|some| some[most] - some[0]);
        spans.min().unwrap()
    }

    /// Whatever rests there were.
    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_the_rate() {
        for (rate, most, span) in [(10.0, 10, 1.0), (2.5, 2, 1.0), (1.0, 1, 1.0), (0.5, 1, 2.0)] {
            let window = Window::new(rate);
            let mut gone: Vec<Instant> = Vec::new();
            for n in 0..100 {
                if n % 17 == 0 {
                    tokio::time::sleep(Duration::from_millis(n * 31)).await;
                }
                drop(window.enter().await);
                gone.push(Instant::now());
            }
            let slowest = Duration::from_secs_f64(100.0 * (span + 0.05) / most as f64 + 8.0);
            assert!(gone[99] - gone[0] <= slowest, "{rate}");
            assert!(
                closest(gone, most) > Duration::from_secs_f64(span),
                "{rate}"
            );
        }
    }

    /// When 2,000 requests arrive at the service, 40 at a time: `connecting` is
    /// how long a connection may take, `way` how long a packet does, in
    /// milliseconds.
    async fn arrivals(connecting: u64, way: std::ops::Range<u64>) -> Vec<Instant> {
        let window = Window::new(10.0);
        let lanes = Arc::new(tokio::sync::Semaphore::new(40));
        let chance = Arc::new(Mutex::new(fastrand::Rng::with_seed(11)));
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..2_000 {
            let lane = lanes.clone().acquire_owned().await.unwrap();
            let (window, chance, way) = (window.clone(), chance.clone(), way.clone());
            requests.spawn(async move {
                let departure = window.enter().await;
                let (handshake, way) = {
                    let mut chance = chance.lock().unwrap();
                    // Every third has a connection that was used before.
                    let handshake = match chance.u8(..) % 3 {
                        0 => 0,
                        _ => chance.u64(0..=connecting),
                    };
                    (handshake, chance.u64(way))
                };
                tokio::time::sleep(Duration::from_millis(handshake)).await;
                drop((departure, lane));
                Instant::now() + Duration::from_millis(way)
            });
        }
        requests.join_all().await
    }

    /// Handshakes of any length, and packets that are delayed by up to 49 ms.
    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_at_the_service_either() {
        for connecting in [0, 80, 800, 3_000] {
            let came = arrivals(connecting, 20..69).await;
            let closest = closest(came, 10);
            assert!(
                closest >= Duration::from_secs(1),
                "{connecting}: {closest:?}"
            );
        }
    }

    /// Where connections are kept nothing but the margin is lost.
    #[tokio::test(start_paused = true)]
    async fn over_a_long_time_the_rate_is_a_twentieth_lower() {
        let came = arrivals(0, 0..1).await;
        let took = (came[came.len() - 1] - came[0]).as_secs_f64();
        let rate = came.len() as f64 / took;
        assert!((9.4..=10.0).contains(&rate), "{rate}");
    }

    /// A connection that is not made for minutes takes one place, and no more.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_get_away_takes_one_place() {
        let window = Window::new(3.0);
        let stuck = window.enter().await;
        let start = Instant::now();
        for _ in 0..20 {
            drop(window.enter().await);
        }
        let rate = 20.0 / start.elapsed().as_secs_f64();
        assert!((1.9..2.3).contains(&rate), "{rate}");
        // With nothing else in the window its departure is waited for.
        let all = [window.enter().await, window.enter().await];
        let waits = tokio::spawn({
            let window = window.clone();
            async move { drop(window.enter().await) }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waits.is_finished(), "three are on their way");
        drop(all);
        waits.await.unwrap();
        drop(stuck);
    }

    /// One that gives up waiting takes nobody's turn, and gives none away.
    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_changes_nothing() {
        let window = Window::new(1.0);
        drop(window.enter().await);
        let first = Instant::now();
        let given_up = tokio::time::timeout(Duration::from_millis(300), window.enter()).await;
        assert!(given_up.is_err());
        drop(window.enter().await);
        assert!(first.elapsed() > Duration::from_secs(1));
    }
}
