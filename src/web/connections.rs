//! Who is connected at a door, and who has to go when places run out.
//!
//! A connection that waits for a request, or for its client to read, can be
//! closed at any time; one that is being answered only after a while. Pushes
//! have places of their own, so that neither they nor other requests keep the
//! others out. Must not: read or write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Connections at a time, for each door.
pub(super) const PLACES: usize = 64;

/// Pushes at a time, beside those.
pub(super) const PUSHES: usize = 16;

/// A request that takes longer may lose its place to another.
const SLOW: Duration = Duration::from_secs(2);

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It waits for its client: for a request, or to read an answer.
    Waits,
    /// A request is being read or answered.
    Answers,
    /// A push, whose secret was right, is being taken.
    Takes,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    doing: Mutex<(Doing, Instant)>,
    /// Cancelled when it has to go.
    pub leave: CancellationToken,
}

impl Connection {
    fn new(now: Instant) -> Connection {
        Connection {
            doing: Mutex::new((Doing::Waits, now)),
            leave: CancellationToken::new(),
        }
    }

    /// A request has come.
    pub fn answers(&self) {
        *self.doing() = (Doing::Answers, Instant::now());
    }

    /// Its request is a push that is taken.
    pub fn takes_a_push(&self) {
        self.doing().0 = Doing::Takes;
    }

    /// Its request was answered.
    pub fn waits(&self) {
        *self.doing() = (Doing::Waits, Instant::now());
    }

    fn doing(&self) -> MutexGuard<'_, (Doing, Instant)> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All connections of a door.
#[derive(Debug, Default)]
pub(super) struct Connections {
    known: BTreeMap<u64, Arc<Connection>>,
    next: u64,
}

impl Connections {
    /// Whether one more can be let in, be it in the place of another.
    pub fn has_room(&self, now: Instant) -> bool {
        !self.is_full() || self.to_leave(now).is_some()
    }

    /// One more; where all places are taken, another has to go.
    pub fn enter(&mut self, now: Instant) -> (u64, Arc<Connection>) {
        if self.is_full()
            && let Some(id) = self.to_leave(now)
            && let Some(gone) = self.known.remove(&id)
        {
            gone.leave.cancel();
        }
        let (id, new) = (self.next, Arc::new(Connection::new(now)));
        self.next += 1;
        self.known.insert(id, new.clone());
        (id, new)
    }

    /// It is closed.
    pub fn left(&mut self, id: u64) {
        self.known.remove(&id);
    }

    fn is_full(&self) -> bool {
        let push = |one: &&Arc<Connection>| one.doing().0 == Doing::Takes;
        let pushes = self.known.values().filter(push).count();
        self.known.len() - pushes.min(PUSHES) >= PLACES
    }

    fn to_leave(&self, now: Instant) -> Option<u64> {
        let all = self.known.iter().map(|(id, one)| {
            let (doing, since) = *one.doing();
            (*id, doing, now.saturating_duration_since(since))
        });
        who_leaves(all)
    }
}

/// Who waits longest for its client; else the slowest request.
fn who_leaves(all: impl Iterator<Item = (u64, Doing, Duration)>) -> Option<u64> {
    let (mut idle, mut slow) = (None, None);
    for (id, doing, time) in all {
        let longest = match doing {
            Doing::Waits => &mut idle,
            Doing::Answers if time >= SLOW => &mut slow,
            Doing::Answers | Doing::Takes => continue,
        };
        if longest.is_none_or(|(_, before)| time > before) {
            *longest = Some((id, time));
        }
    }
    idle.or(slow).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_ones_leave_first_then_slow_ones_and_pushes_never() {
        let s = Duration::from_secs;
        let leaves = |all: &[_]| who_leaves(all.iter().copied());
        let (waits, answers, takes) = (Doing::Waits, Doing::Answers, Doing::Takes);
        assert_eq!(leaves(&[]), None);
        let all = [
            (1, answers, s(9)),
            (2, waits, s(1)),
            (3, waits, s(5)),
            (4, takes, s(99)),
        ];
        assert_eq!(leaves(&all), Some(3));
        let all = [(1, answers, s(3)), (2, answers, s(9)), (4, takes, s(99))];
        assert_eq!(leaves(&all), Some(2));
        assert_eq!(leaves(&[(1, answers, s(1)), (4, takes, s(99))]), None);
    }

    #[test]
    fn a_newcomer_takes_the_place_of_who_waits_and_pushes_take_none() {
        let now = Instant::now();
        let mut door = Connections::default();
        let all: Vec<_> = (0..PLACES).map(|_| door.enter(now)).collect();
        for (_, one) in &all[1..] {
            one.answers();
        }
        assert!(door.has_room(now));
        door.enter(now).1.answers();
        assert!(all[0].1.leave.is_cancelled());
        assert!(!door.has_room(now), "all are being answered");
        assert!(door.has_room(now + SLOW * 2), "but not for ever");
        for (_, one) in &all[1..=PUSHES] {
            one.takes_a_push();
        }
        for n in 0..PUSHES {
            assert!(door.has_room(now), "{n}");
            door.enter(now).1.answers();
        }
        assert!(!door.has_room(now));
        let last = door.next - 1;
        door.left(last);
        assert!(door.has_room(now));
    }
}
