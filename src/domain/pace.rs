//! How many uploads at once a dataset bears: additive increase, multiplicative
//! decrease, as TCP does it (RFC 5681), on answers instead of packets.
//!
//! An answer of "too many requests" halves the number; clean answers let it
//! grow again by about one for each round of uploads. Must not: wait, or count
//! what is in flight.

/// The number of uploads at once, between 1 and what is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    limit: f64,
    max: f64,
}

impl Pace {
    /// Starts at the full number.
    pub fn new(max: usize) -> Pace {
        let max = max.max(1) as f64;
        Pace { limit: max, max }
    }

    /// Uploads at once, now.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Another maximum, after a reload.
    pub fn set_max(&mut self, max: usize) {
        let at_full = self.limit >= self.max;
        self.max = max.max(1) as f64;
        self.limit = if at_full {
            self.max
        } else {
            self.limit.min(self.max)
        };
    }

    /// An upload was taken.
    pub fn clean(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(self.max);
    }

    /// The service is asked too much (429), overloaded (503), or was away:
    /// when it comes back it is not met by everybody at once.
    pub fn strained(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_and_grows_back_slowly() {
        let mut pace = Pace::new(8);
        assert_eq!(pace.limit(), 8);
        pace.strained();
        assert_eq!(pace.limit(), 4);
        for _ in 0..4 {
            pace.clean();
        }
        assert_eq!(
            pace.limit(),
            4,
            "one round of four is just short of one more"
        );
        pace.clean();
        assert_eq!(pace.limit(), 5);
        for _ in 0..1000 {
            pace.clean();
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn it_never_stops_altogether() {
        let mut pace = Pace::new(4);
        for _ in 0..100 {
            pace.strained();
        }
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn a_new_maximum_holds_at_once() {
        let mut pace = Pace::new(8);
        pace.set_max(2);
        assert_eq!(pace.limit(), 2);
        pace.set_max(6);
        assert_eq!(pace.limit(), 6);
        pace.strained();
        pace.set_max(12);
        assert_eq!(pace.limit(), 3, "still recovering");
    }
}
