//! How many uploads at once a dataset bears, learnt from its answers.
//!
//! The number starts as configured and grows for as long as that helps and is
//! borne. It halves on "too many requests" (429), on an overloaded or absent
//! service (503 and its like) and on answers that do not come. What TCP does
//! about packets (RFC 5681: halve, come back quickly to what was borne, then feel
//! one's way) is done here about answers; but a refusal costs more than a lost
//! packet, since it pauses the whole dataset. So:
//!
//! - More is *tried*, not taken: a few requests go on top of the number, and until
//!   they are answered nothing else goes above it. A refusal then hits those few.
//!   The first steps double; after any strain each step is one.
//! - The level that was refused is remembered (a *wall*). It is tried again by one
//!   request, after 30 s or 20 times the pause that it costs, and each time that
//!   it still stands after twice as long. So walls cost at most 5 % of the time.
//! - More is kept only if it helps: where answers get slower in proportion (a busy
//!   service, a full line), the step is taken back, and tried again ever later.
//!   Only files of one chunk are timed: the time of others is that of their bytes.
//!
//! And how many more are made ready ahead of the wire: as many as keep it busy
//! (Little's law), since each that is on record and not sent is in doubt after
//! a crash. Where the service answers within a commit's time that is several
//! for each lane; where it takes longer, one.
//!
//! Must not: wait, read the clock, or count what is in flight.

use std::time::Duration;

use super::answer::Code;
use super::error_table::{Judgement, On, Scope, Verdict};

/// The most that are made ready for each lane, and in all: a crash leaves them
/// as possible duplicates though they were not sent. They share the waits for the
/// disk: where a commit takes 4 ms, eight lanes send 4,200 small files a second
/// with up to 31 each, and 2,800 with up to 7.
const AHEAD_MOST: f64 = 31.0;
const AHEAD_IN_ALL: usize = 256;

/// How much the latest time counts.
const WEIGHT: f64 = 0.1;

/// The first wait before a refused level is tried again.
const WALL_FIRST: Duration = Duration::from_secs(30);

/// It doubles up to here, unless one pause alone asks for more.
const WALL_MOST: Duration = Duration::from_secs(3600);

/// A refused level waits at least so many times the pause that trying it costs.
const PAUSE_SHARE: u32 = 20;

/// The longest wait for a wall.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A step that did not help is tried again after so many rounds of answers, …
const USELESS_ROUNDS: f64 = 8.0;

/// … then after twice as many each time, up to this time.
const USELESS_MOST: Duration = Duration::from_secs(60);

/// Fewest answers that say how long answers take.
const SAMPLES: usize = 4;

/// The number of uploads at once, between 1 and what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    limit: usize,
    start: usize,
    max: usize,
    /// Borne lately: up to here each clean answer allows one more.
    easy: usize,
    /// There was strain before: more is tried by ones.
    wary: bool,
    wall: Option<Wall>,
    trial: Option<Trial>,
    /// Requests sent so far.
    sent: u64,
    /// Requests numbered below this were sent before the last halving: what
    /// they say of strain has been heeded.
    heeded: u64,
    measure: Measure,
    /// The number that the latest step started from.
    before: usize,
    /// A number, and the mean time of an answer in seconds with so many at once.
    known: Option<(usize, f64)>,
    /// After a step that did not help: when the next may be tried, and how many
    /// such there were running.
    useless: (Duration, u32),
    /// From pick to record, and from the wire to the answer: running means, in
    /// seconds. `None`: nothing was timed yet.
    times: Option<(f64, f64)>,
}

/// A level that was refused.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Wall {
    level: usize,
    wait: Duration,
    until: Duration,
}

/// A few requests on top of the number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Trial {
    /// The first of them.
    first: u64,
    wanted: usize,
    sent: usize,
    out: usize,
    clean: usize,
    refused: usize,
    /// The most that were on the wire with one of them.
    peak: usize,
    /// One has ended: no more of them.
    closed: bool,
}

/// Answers at the present number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Measure {
    /// Only requests from this number on count.
    from: u64,
    answers: usize,
    timed: usize,
    seconds: f64,
}

/// A request's place on the wire.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Ticket {
    number: u64,
    /// On the wire with it, itself included.
    at: usize,
    trial: bool,
}

/// What a request's end says about the number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sign {
    /// Taken; so many seconds, if that tells of the service.
    Clean(Option<f64>),
    /// Asked too much, and this pause follows.
    Strained(Duration),
    /// Nothing.
    None,
}

impl Pace {
    /// Begins with `start` at once, and may grow to `max`.
    pub fn new(start: usize, max: usize) -> Pace {
        let start = start.max(1);
        Pace {
            limit: start,
            start,
            max: max.max(start),
            easy: start,
            wary: false,
            wall: None,
            trial: None,
            sent: 0,
            heeded: 0,
            // The first round makes its connections: its times say little.
            measure: Measure {
                from: start as u64,
                ..Measure::default()
            },
            before: start,
            known: None,
            useless: (Duration::ZERO, 0),
            times: None,
        }
    }

    /// Uploads at once, now; a trial goes on top.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The same with those of a trial.
    pub fn room(&self) -> usize {
        let trial = self.trial.filter(|trial| !trial.closed);
        self.limit + trial.map_or(0, |trial| trial.wanted)
    }

    /// A request wants to go while `on_the_wire` others are there.
    pub fn enter(&mut self, on_the_wire: usize) -> Option<Ticket> {
        let mut ticket = Ticket {
            number: self.sent,
            at: on_the_wire + 1,
            trial: false,
        };
        if on_the_wire >= self.limit {
            let trial = self.trial.as_mut().filter(|trial| !trial.closed)?;
            if trial.sent == trial.wanted {
                return None;
            }
            if trial.sent == 0 {
                trial.first = ticket.number;
            }
            trial.sent += 1;
            trial.out += 1;
            trial.peak = trial.peak.max(ticket.at);
            ticket.trial = true;
        }
        self.sent += 1;
        Some(ticket)
    }

    /// Takes in what an upload was answered, and how long that took if it was a
    /// file of one chunk. `now`: any clock that only goes on.
    pub fn heed(
        &mut self,
        ticket: Ticket,
        judgement: &Judgement,
        took: Option<Duration>,
        now: Duration,
    ) {
        self.ended(&ticket, sign(judgement, took), now);
    }

    /// A request ended without an answer, or was never sent.
    pub fn left(&mut self, ticket: Ticket, now: Duration) {
        self.ended(&ticket, Sign::None, now);
    }

    fn ended(&mut self, ticket: &Ticket, sign: Sign, now: Duration) {
        let of_trial = ticket.trial
            && self
                .trial
                .is_some_and(|trial| trial.sent > 0 && ticket.number >= trial.first);
        if let Sign::Strained(pause) = sign {
            self.strained(ticket, of_trial, pause, now);
        }
        if of_trial {
            self.tried(sign);
        } else if let Sign::Clean(seconds) = sign {
            self.clean(ticket, seconds, now);
        }
    }

    /// An answer to one that was sent while about as many as allowed were there:
    /// others say nothing about how many could be.
    fn clean(&mut self, ticket: &Ticket, seconds: Option<f64>, now: Duration) {
        if ticket.at * 2 <= self.limit || ticket.number < self.heeded {
            return;
        }
        if self.limit < self.easy.min(self.max) {
            self.limit += 1;
            self.measure_anew();
            return;
        }
        if ticket.number < self.measure.from {
            return;
        }
        self.measure.answers += 1;
        if let Some(seconds) = seconds {
            self.measure.timed += 1;
            self.measure.seconds += seconds;
        }
        if self.measure.answers >= self.limit.max(SAMPLES) && self.trial.is_none() {
            self.round(now);
        }
    }

    /// A round of answers is in: did the last step help, and may there be more?
    fn round(&mut self, now: Duration) {
        let Measure { timed, seconds, .. } = self.measure;
        self.measure_anew();
        let mean = (timed * 2 >= self.limit.min(SAMPLES)).then(|| seconds / timed as f64);
        if let (Some((level, then)), Some(mean)) = (self.known, mean)
            && self.limit > level.max(self.start)
            && self.before < self.limit
            && !helps(level, then, self.limit, mean)
        {
            let rounds = USELESS_ROUNDS * f64::from(2u32.saturating_pow(self.useless.1.min(20)));
            let wait = Duration::from_secs_f64((mean * rounds).min(USELESS_MOST.as_secs_f64()));
            self.useless = (now + wait, self.useless.1 + 1);
            self.limit = self.before.max(self.start.min(self.limit));
            self.easy = self.limit;
            return;
        }
        let step = self.step(mean, now);
        if let Some(mean) = mean {
            let level = self.known.map_or(0, |(level, _)| level);
            if self.limit > level {
                self.useless = (self.useless.0, 0);
            }
            // While it grows by ones, many of them are measured by one measure:
            // else each could be a little slower than the one before.
            if self.limit == level || self.limit >= level * 2 || step == 0 || self.limit < level {
                self.known = Some((self.limit, mean));
            }
        }
        self.before = self.limit;
        if step > 0 {
            self.trial = Some(Trial {
                wanted: step,
                ..Trial::default()
            });
        }
    }

    /// How many more are to be tried.
    fn step(&self, mean: Option<f64>, now: Duration) -> usize {
        // Nothing was timed, so nothing could show that more helps.
        let timed = mean.is_some() || self.limit < self.start;
        if !timed || now < self.useless.0 {
            return 0;
        }
        let top = match self.wall {
            Some(wall) if now < wall.until => wall.level - 1,
            _ => self.max,
        };
        let most = if self.wary { 1 } else { self.limit };
        most.min(top.min(self.max).saturating_sub(self.limit))
    }

    fn strained(&mut self, ticket: &Ticket, of_trial: bool, pause: Duration, now: Duration) {
        if ticket.number < self.heeded {
            // The same strain, seen by another; it may say where it begins.
            if !of_trial
                && self.trial.is_none()
                && let Some(wall) = &mut self.wall
                && now < wall.until
            {
                wall.level = wall.level.min(ticket.at).max(self.limit + 1);
            }
            return;
        }
        let borne = self.limit;
        self.limit = (borne / 2).max(1);
        self.heeded = self.sent;
        self.wary = true;
        // What stood for a round before the trial can be borne.
        self.easy = if of_trial { borne } else { self.limit };
        self.before = self.limit;
        self.known = None;
        self.measure_anew();
        if !of_trial {
            self.trial = None;
        }
        // One alone that is refused was not too many at once.
        if ticket.at > 1 {
            let level = if of_trial { borne + 1 } else { ticket.at };
            self.raise_wall(level.max(self.limit + 1), pause, now);
        }
    }

    fn raise_wall(&mut self, level: usize, pause: Duration, now: Duration) {
        let first = pause.saturating_mul(PAUSE_SHARE).clamp(WALL_FIRST, DAY);
        let wait = match self.wall {
            Some(wall) if wall.level.abs_diff(level) <= 1 => {
                (wall.wait * 2).min(WALL_MOST).max(first)
            }
            _ => first,
        };
        self.wall = Some(Wall {
            level,
            wait,
            until: now + wait,
        });
    }

    /// One of the trial has ended.
    fn tried(&mut self, sign: Sign) {
        let Some(trial) = &mut self.trial else { return };
        trial.closed = true;
        trial.out -= 1;
        match sign {
            Sign::Clean(_) => trial.clean += 1,
            Sign::Strained(_) => trial.refused += 1,
            Sign::None => {}
        }
        if trial.out > 0 {
            return;
        }
        let trial = *trial;
        self.trial = None;
        self.measure_anew();
        if trial.refused > 0 {
            // Of those that were there, so many were too many.
            if let Some(wall) = &mut self.wall {
                wall.level = wall
                    .level
                    .max((trial.peak + 1).saturating_sub(trial.refused));
            }
        } else if trial.clean > 0 {
            self.limit = self.limit.max(trial.peak).min(self.max);
            self.easy = self.easy.max(self.limit);
            // The next round still finds the old one before it.
            self.measure.from += self.limit as u64;
            if self.wall.is_some_and(|wall| wall.level <= self.limit) {
                self.wall = None;
            }
        }
    }

    fn measure_anew(&mut self) {
        self.measure = Measure {
            from: self.sent,
            ..Measure::default()
        };
    }

    /// Takes in how long a small file took from its pick to its record, and from
    /// the wire to its answer.
    pub fn timed(&mut self, ready: Duration, wire: Duration) {
        let (ready, wire) = (ready.as_secs_f64(), wire.as_secs_f64());
        let mean = |old: f64, new: f64| old + WEIGHT * (new - old);
        self.times = Some(match self.times {
            None => (ready, wire),
            Some((r, w)) => (mean(r, ready), mean(w, wire)),
        });
    }

    /// Small files that may be under way, on the wire and ahead of it.
    pub fn under_way(&self) -> usize {
        let ahead = match self.times {
            None => 1.0,
            Some((ready, wire)) => (ready / wire.max(1e-6)).ceil().clamp(1.0, AHEAD_MOST),
        };
        self.room() + ((self.limit as f64 * ahead) as usize).min(AHEAD_IN_ALL)
    }
}

/// Whether so many more do more than half of what so many more could do. A
/// tenth is chance.
fn helps(fewer: usize, then: f64, more: usize, now: f64) -> bool {
    let grown = more as f64 / fewer.max(1) as f64 - 1.0;
    now <= then * (1.1 + grown / 2.0)
}

fn sign(judgement: &Judgement, took: Option<Duration>) -> Sign {
    let scope = judgement.pause.map(|pause| pause.scope);
    match (&judgement.verdict, scope) {
        (Verdict::Done(_), _) => Sign::Clean(took.map(|took| took.as_secs_f64())),
        _ if broken_off(&judgement.code) || gateway_gave_up(judgement) => {
            Sign::Strained(Duration::ZERO)
        }
        (Verdict::Retry(_), Some(Scope::Service | Scope::Dataset)) => {
            let first = judgement.pause.map_or(Duration::ZERO, |pause| pause.first);
            Sign::Strained(judgement.retry_after.unwrap_or(first))
        }
        _ => Sign::None,
    }
}

/// A gateway had the file and no answer in time.
fn gateway_gave_up(judgement: &Judgement) -> bool {
    let codes = [504, 520, 524].map(Code::http);
    judgement.verdict == Verdict::Unconfirmed && codes.contains(&judgement.code)
}

/// The connection broke, or no answer came in time.
fn broken_off(code: &Code) -> bool {
    [On::BrokenBefore, On::BrokenAfter]
        .iter()
        .any(|on| on.own_label() == Some(code.as_str()))
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
