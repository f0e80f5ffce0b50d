//! Rates on tokio's time: a token bucket, for poll rates and bandwidth.
//!
//! It may run into debt: whoever takes more than there is waits until the debt
//! is paid, and those after it wait behind. So a chunk larger than the bucket
//! still passes, and the rate holds on average. Must not: decide what is
//! limited.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Hands out tokens at a steady rate.
#[derive(Debug)]
pub struct Bucket {
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// `rate` tokens a second, at most `burst` saved up. Both above zero.
    pub fn new(rate: f64, burst: f64) -> Bucket {
        debug_assert!(rate > 0.0 && burst > 0.0);
        Bucket {
            burst,
            state: Mutex::new(State {
                rate,
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

    /// From now on `rate` tokens a second. Whoever waits already waits as long as
    /// he was told.
    pub fn set_rate(&self, rate: f64) {
        debug_assert!(rate > 0.0);
        self.lock().rate = rate;
    }

    fn book(&self, tokens: f64) -> Duration {
        let mut state = self.lock();
        state.tokens -= tokens;
        let missing = -state.tokens;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / state.rate).unwrap_or(Duration::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while it is held leaves two numbers, both of them usable.
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.saturating_duration_since(state.at).as_secs_f64() * state.rate;
        state.tokens = (state.tokens + earned).min(self.burst);
        state.at = now;
        state
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

    #[tokio::test(start_paused = true)]
    async fn another_rate_holds_from_then_on() {
        let bucket = Bucket::new(10.0, 1.0);
        bucket.take(1.0).await;
        bucket.set_rate(100.0);
        let start = Instant::now();
        for _ in 0..100 {
            bucket.take(1.0).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((0.9..1.2).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_big_bite_is_paid_for_afterwards() {
        let bucket = Bucket::new(100.0, 100.0);
        let start = Instant::now();
        bucket.take(600.0).await;
        assert!((4.9..5.1).contains(&start.elapsed().as_secs_f64()));
    }
}
