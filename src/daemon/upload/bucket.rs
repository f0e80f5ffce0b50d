//! Rates on tokio's time: a token bucket for poll rates and bandwidth, and a
//! window for requests, which may not be exceeded in any second.
//!
//! The bucket may run into debt: whoever takes more than there is waits until the debt
//! is paid, and those after it wait behind. So a chunk larger than the bucket
//! still passes, and the rate holds on average. Must not: decide what is
//! limited.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Hands out tokens at a steady rate.
#[derive(Debug)]
pub struct Bucket {
    rate: f64,
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// `rate` tokens a second, at most `burst` saved up. Both above zero.
    pub fn new(rate: f64, burst: f64) -> Bucket {
        debug_assert!(rate > 0.0 && burst > 0.0);
        Bucket {
            rate,
            burst,
            state: Mutex::new(State {
                tokens: burst,
                at: Instant::now(),
            }),
        }
    }

    /// Takes `tokens` and waits as long as that costs.
    pub async fn take(&self, tokens: f64) {
        let wait = self.book(tokens);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn book(&self, tokens: f64) -> Duration {
        let mut state = self.lock();
        state.tokens -= tokens;
        self.until(-state.tokens)
    }

    fn until(&self, missing: f64) -> Duration {
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.rate).unwrap_or(Duration::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while it is held leaves two numbers, both of them usable.
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.saturating_duration_since(state.at).as_secs_f64() * self.rate;
        state.tokens = (state.tokens + earned).min(self.burst);
        state.at = now;
        state
    }
}

/// How much longer than a second the window is: what departs a second apart may
/// arrive closer together, where the first had to make its connection, or either
/// machine was busy. It covers a TLS handshake over 50 ms of way.
const MARGIN: Duration = Duration::from_millis(150);

/// Lets so many go in any second. A bucket that saves up a second's worth lets
/// nearly twice as many go in the second after a rest.
#[derive(Debug)]
pub struct Window {
    most: usize,
    span: Duration,
    /// When the latest went, oldest first; at most `most`.
    gone: tokio::sync::Mutex<VecDeque<Instant>>,
}

impl Window {
    /// `rate` in a second, above zero; below one, one in `1 / rate` seconds. Of
    /// a broken number above one the whole part counts.
    pub fn new(rate: f64) -> Window {
        debug_assert!(rate > 0.0);
        let most = rate.max(1.0) as usize;
        let span = Duration::try_from_secs_f64(1.0 / rate.min(1.0)).unwrap_or(Duration::MAX);
        Window {
            most,
            span: span.saturating_add(MARGIN),
            gone: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for its turn; those after it wait behind.
    pub async fn enter(&self) {
        let mut gone = self.gone.lock().await;
        if gone.len() >= self.most
            && let Some(first) = gone.front()
        {
            match first.checked_add(self.span) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
            gone.pop_front();
        }
        gone.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_on_average() {
        let bucket = Bucket::new(10.0, 1.0);
        let start = Instant::now();
        for _ in 0..101 {
            bucket.take(1.0).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((9.9..10.2).contains(&took), "{took}");
    }

    /// Whatever rests there were: no second has more than the rate.
    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_the_rate() {
        for (rate, most, span) in [(10.0, 10, 1.0), (2.5, 2, 1.0), (1.0, 1, 1.0), (0.5, 1, 2.0)] {
            let window = Window::new(rate);
            let mut gone: Vec<Instant> = Vec::new();
            for n in 0..100 {
                if n % 17 == 0 {
                    tokio::time::sleep(Duration::from_millis(n * 31)).await;
                }
                window.enter().await;
                gone.push(Instant::now());
            }
            for some in gone.windows(most + 1) {
                let took = some[most] - some[0];
                assert!(took > Duration::from_secs_f64(span), "{rate}: {took:?}");
            }
            let slowest = Duration::from_secs_f64(100.0 * (span + 0.15) / most as f64 + 8.0);
            assert!(gone[99] - gone[0] <= slowest, "{rate}");
        }
    }

    /// One that gives up waiting takes nobody's turn, and gives none away.
    #[tokio::test(start_paused = true)]
    async fn who_gives_up_waiting_changes_nothing() {
        let window = Window::new(1.0);
        window.enter().await;
        let first = Instant::now();
        let given_up = tokio::time::timeout(Duration::from_millis(300), window.enter()).await;
        assert!(given_up.is_err());
        window.enter().await;
        assert!(first.elapsed() > Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_big_bite_is_paid_for_afterwards() {
        let bucket = Bucket::new(100.0, 100.0);
        let start = Instant::now();
        bucket.take(600.0).await;
        assert!((4.9..5.1).contains(&start.elapsed().as_secs_f64()));
    }
}
