//! Each rule by itself, and all of them against a model of a service: it has a
//! time for an answer, a number of requests that it works on at once, and a
//! number above which it refuses.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::answer::{Answer, Body, Call, Outcome};
use crate::domain::error_table::{ErrorTable, Trail};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn judged(outcome: &Outcome) -> Judgement {
    ErrorTable::default().judge(Call::Upload, outcome, Trail::default())
}

fn answered(status: u16, retry_after: Option<u64>) -> Judgement {
    judged(&Outcome::Answer(Answer {
        status,
        body: Body::Empty,
        retry_after: retry_after.map(Duration::from_secs),
        ..Answer::default()
    }))
}

/// A full number of requests is sent, and all are answered so.
fn round(pace: &mut Pace, judgement: &Judgement, took: Option<Duration>, now: Duration) -> usize {
    let mut out = Vec::new();
    while let Some(ticket) = pace.enter(out.len()) {
        out.push(ticket);
    }
    let sent = out.len();
    for ticket in out {
        pace.heed(ticket, judgement, took, now);
    }
    sent
}

#[test]
fn it_halves_once_a_round_and_comes_back() {
    let (clean, refused) = (answered(204, None), answered(429, Some(1)));
    let mut pace = Pace::new(8, 8);
    let mut out: Vec<Ticket> = (0..8).map(|n| pace.enter(n).unwrap()).collect();
    assert_eq!(pace.enter(8), None);
    pace.heed(out.pop().unwrap(), &refused, None, ms(50));
    assert_eq!(pace.limit(), 4);
    for ticket in out {
        pace.heed(ticket, &clean, None, ms(50));
    }
    assert_eq!(pace.limit(), 4, "what was sent before says nothing now");
    let mut most = Vec::new();
    for n in 2..40 {
        most.push(round(&mut pace, &clean, None, ms(50 * n)));
    }
    assert_eq!(most.iter().max(), Some(&7), "8 had been refused: {most:?}");
    assert!(most.windows(2).all(|two| two[1] <= two[0] + 1), "{most:?}");
    round(&mut pace, &clean, None, ms(40_000));
    for n in 0..3 {
        round(&mut pace, &clean, None, ms(41_000 + n));
    }
    assert_eq!(pace.limit(), 8, "later it is tried again");
    for n in 0..100 {
        round(&mut pace, &clean, None, ms(50_000 + n));
    }
    assert_eq!((pace.limit(), pace.room()), (8, 8), "and no more than 8");
}

#[test]
fn it_never_stops_altogether() {
    let mut pace = Pace::new(4, 32);
    for n in 0..100 {
        round(&mut pace, &answered(503, None), None, ms(n));
    }
    assert_eq!((pace.limit(), pace.room()), (1, 1));
    // An outage is over: one that was refused alone is no wall.
    for n in 0..200 {
        round(
            &mut pace,
            &answered(204, None),
            Some(ms(50)),
            ms(60_000 + n * 50),
        );
    }
    assert_eq!(pace.limit(), 32);
}

#[test]
fn what_asks_for_less_halves_it() {
    // 408, 413 and 401 say nothing about how much is sent.
    for (status, limit) in [
        (204, 8),
        (429, 4),
        (503, 4),
        (500, 4),
        (408, 8),
        (413, 8),
        (401, 8),
    ] {
        let mut pace = Pace::new(8, 8);
        round(&mut pace, &answered(status, None), None, ms(1));
        assert_eq!(pace.limit(), limit, "{status}");
    }
    for last_byte_sent in [false, true] {
        let mut pace = Pace::new(8, 8);
        let detail = "no answer in time".to_owned();
        let broken = judged(&Outcome::Broken {
            last_byte_sent,
            detail,
        });
        round(&mut pace, &broken, None, ms(1));
        assert_eq!(pace.limit(), 4, "last byte sent: {last_byte_sent}");
    }
}

#[test]
fn few_at_once_say_nothing_about_many() {
    let mut pace = Pace::new(8, 32);
    for n in 0..1000 {
        let ticket = pace.enter(2).unwrap();
        pace.heed(ticket, &answered(204, None), Some(ms(5)), ms(n * 5));
    }
    assert_eq!((pace.limit(), pace.room()), (8, 8));
}

#[test]
fn a_trial_that_is_given_up_is_none() {
    let clean = answered(204, None);
    let mut pace = Pace::new(2, 32);
    while pace.room() == 2 {
        round(&mut pace, &clean, Some(ms(50)), ms(1));
    }
    let out: Vec<Ticket> = (0..4).map(|n| pace.enter(n).unwrap()).collect();
    assert_eq!(pace.enter(4), None);
    for ticket in out {
        pace.left(ticket, ms(60));
    }
    assert_eq!((pace.limit(), pace.room()), (2, 2));
}

#[test]
fn no_more_is_made_ready_than_keeps_the_wire_busy() {
    let mut pace = Pace::new(4, 4);
    assert_eq!(pace.under_way(), 8, "one ahead until something is known");
    pace.timed(ms(9), ms(2));
    assert_eq!(pace.under_way(), 4 + 4 * 5);
    for _ in 0..200 {
        pace.timed(ms(9), ms(300));
    }
    assert_eq!(pace.under_way(), 8, "a slow service needs one");
    for _ in 0..200 {
        pace.timed(ms(500), Duration::ZERO);
    }
    assert_eq!(pace.under_way(), 4 + 4 * 31, "and no fast one more than 31");
    let mut pace = Pace::new(32, 32);
    pace.timed(ms(500), Duration::ZERO);
    assert_eq!(pace.under_way(), 32 + 256, "nor more than 256 in all");
}

/// A service, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Service {
    /// From the request to its answer.
    latency: u64,
    /// Work on each, one after the other.
    work: u64,
    /// More in flight than this are refused, with a pause of a second.
    bears: usize,
}

/// How a time with a service went.
#[derive(Debug, Default, PartialEq)]
struct Ran {
    taken: u64,
    refused: u64,
    pauses: u64,
    most: usize,
    /// What the number was at the end.
    limit: usize,
}

/// Work without end for `seconds`. As the daemon does: a refusal stops all for a
/// second; then one goes, and all others when it is back.
fn run(pace: &mut Pace, service: Service, seconds: u64) -> Ran {
    let (clean, refused) = (answered(204, None), answered(429, Some(1)));
    let mut ran = Ran::default();
    let (mut now, end) = (0_u64, seconds * 1_000_000);
    // By the time of the answer; the second number tells those of one time apart.
    let mut out: BTreeMap<(u64, u64), (Ticket, u64, bool)> = BTreeMap::new();
    let (mut count, mut busy_until, mut paused_until, mut probing) = (0, 0, 0, false);
    while now < end {
        while now >= paused_until && (!probing || out.is_empty()) {
            let Some(ticket) = pace.enter(out.len()) else {
                break;
            };
            count += 1;
            ran.most = ran.most.max(out.len() + 1);
            let taken = out.len() < service.bears;
            busy_until = now.max(busy_until) + service.work;
            // A little apart, as connections are.
            let answer = busy_until + service.latency + count % 7;
            out.insert((answer, count), (ticket, now, taken));
        }
        let answer = out.first_key_value().map(|((at, _), _)| *at);
        let wakes = (paused_until > now).then_some(paused_until);
        now = answer.into_iter().chain(wakes).min().unwrap();
        if answer != Some(now) {
            continue;
        }
        let (_, (ticket, sent, taken)) = out.pop_first().unwrap();
        let at = Duration::from_micros(now);
        if taken {
            ran.taken += 1;
            pace.heed(ticket, &clean, Some(Duration::from_micros(now - sent)), at);
            if now >= paused_until {
                probing = false;
            }
        } else {
            ran.refused += 1;
            pace.heed(ticket, &refused, None, at);
            if now >= paused_until {
                (paused_until, probing) = (now + 1_100_000, true);
                ran.pauses += 1;
            }
        }
    }
    ran.limit = pace.limit();
    ran
}

const SLOW: Service = Service {
    latency: 50_000,
    work: 0,
    bears: usize::MAX,
};

#[test]
fn at_a_slow_service_it_grows_to_what_is_allowed_at_once() {
    let best = run(&mut Pace::new(32, 32), SLOW, 10).taken;
    let eight = run(&mut Pace::new(8, 8), SLOW, 10).taken;
    let grown = run(&mut Pace::new(8, 32), SLOW, 10);
    assert_eq!((grown.limit, grown.most), (32, 32));
    assert!(grown.taken * 100 >= best * 97, "{grown:?}, at best {best}");
    assert!(
        grown.taken * 10 >= eight * 38,
        "{grown:?}, eight at once {eight}"
    );
}

#[test]
fn what_the_service_bears_is_found_and_kept() {
    for bears in [5, 9, 13, 20, 31] {
        let service = Service { bears, ..SLOW };
        for seconds in [30, 600] {
            let best = run(&mut Pace::new(bears, bears), service, seconds).taken;
            let mut pace = Pace::new(8, 32);
            let ran = run(&mut pace, service, seconds);
            let all = ran.taken + ran.refused;
            assert!(ran.refused * 100 < all, "{bears} for {seconds} s: {ran:?}");
            let share = if seconds > 60 { 90 } else { 85 };
            assert!(
                ran.taken * 100 >= best * share,
                "{bears} for {seconds} s: {ran:?}, at best {best}"
            );
            assert!(ran.pauses <= 2 + seconds / 30, "{bears}: {ran:?}");
        }
    }
}

#[test]
fn a_service_that_bears_more_again_is_found_out_and_one_that_bears_less_too() {
    let mut pace = Pace::new(8, 32);
    let with = |bears| Service { bears, ..SLOW };
    run(&mut pace, with(20), 30);
    assert_eq!(run(&mut pace, with(6), 60).limit, 6);
    // The clock begins anew, and with it the wall's wait.
    pace.wall = pace.wall.map(|wall| Wall {
        until: wall.wait,
        ..wall
    });
    assert_eq!(run(&mut pace, with(usize::MAX), 600).limit, 32);
}

#[test]
fn where_more_at_once_do_no_more_it_stays() {
    let busy = Service {
        latency: 200,
        work: 100,
        bears: usize::MAX,
    };
    let mut pace = Pace::new(8, 32);
    let ran = run(&mut pace, busy, 20);
    assert_eq!(ran.limit, 8, "{ran:?}");
    assert!(ran.most <= 16, "{ran:?}");
    // As much as goes through 16 at once helps; 32 would not.
    let some = Service {
        latency: 1_400,
        ..busy
    };
    let ran = run(&mut Pace::new(8, 32), some, 20);
    assert_eq!(ran.limit, 16, "{ran:?}");
}

proptest! {
    /// Whatever is answered, in whatever order: it stays in its bounds, a trial
    /// comes to its end, and no answer wakes more than a doubling.
    #[test]
    fn the_number_stays_in_its_bounds(
        start in 1usize..12,
        more in 0usize..40,
        steps in proptest::collection::vec((0u8..8, any::<prop::sample::Index>()), 1..600),
    ) {
        let kinds = [answered(204, None), answered(429, Some(1)), answered(413, None)];
        let max = start + more;
        let mut pace = Pace::new(start, max);
        let mut out: Vec<Ticket> = Vec::new();
        for (n, (what, which)) in steps.into_iter().enumerate() {
            let now = ms(n as u64 * 40);
            while let Some(ticket) = pace.enter(out.len()) {
                out.push(ticket);
                prop_assert!(out.len() <= max);
            }
            prop_assert!(pace.limit() >= 1 && pace.room() <= max, "{:?}", pace);
            prop_assert!(!out.is_empty());
            let before = pace.limit();
            let ticket = out.swap_remove(which.index(out.len()));
            match what {
                0 => pace.left(ticket, now),
                1 => pace.heed(ticket, &kinds[1], None, now),
                2 => pace.heed(ticket, &kinds[2], None, now),
                _ => pace.heed(ticket, &kinds[0], Some(ms(50)), now),
            }
            prop_assert!(pace.limit() <= before * 2 && pace.limit() >= before / 2);
        }
        for ticket in out {
            pace.left(ticket, ms(1_000_000));
        }
        prop_assert!(pace.trial.is_none_or(|trial| trial.sent == 0));
    }
}
