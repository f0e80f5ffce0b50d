//! A table of what is a jump, and a model: whatever is done to the clock, no
//! wait is much longer than it was meant to be, and nothing grows old.

use super::*;

const S: i64 = 1000;
const HOUR: i64 = 3600 * S;
const YEAR: i64 = 365 * 24 * HOUR;
const NOW: i64 = 50 * YEAR;

fn look(wall: i64, ticks_s: u64) -> Look {
    Look {
        wall: Timestamp(wall),
        ticks: Duration::from_secs(ticks_s),
    }
}

fn set(from: i64, to: i64) -> Jump {
    Jump::Set {
        from: Timestamp(from),
        to: Timestamp(to),
    }
}

#[test]
fn what_is_a_jump() {
    let before = look(NOW, 100);
    for (what, now, expected) in [
        ("a second", look(NOW + S, 101), None),
        ("a slew", look(NOW + S + 60 * S, 101), None),
        ("and back", look(NOW + S - 60 * S, 101), None),
        ("an hour's sleep", look(NOW + HOUR, 3_700), None),
        (
            "a minute on",
            look(NOW + S + 60 * S + 1, 101),
            Some(set(NOW + S, NOW + 61 * S + 1)),
        ),
        (
            "a minute back",
            look(NOW - 59 * S - 1, 101),
            Some(set(NOW + S, NOW - 59 * S - 1)),
        ),
        (
            "a year back, asleep",
            look(NOW - YEAR, 3_700),
            Some(set(NOW + HOUR, NOW - YEAR)),
        ),
    ] {
        assert_eq!(between(before, now), expected, "{what}");
    }
}

#[test]
fn what_is_a_jump_at_a_start() {
    let away = |from: i64, to: i64| {
        Some(Jump::Away {
            from: Timestamp(from),
            to: Timestamp(to),
        })
    };
    for (now, expected) in [
        (NOW, None),
        (NOW - 60 * S, None),
        (NOW - 60 * S - 1, Some(set(NOW, NOW - 60 * S - 1))),
        (NOW + HOUR, None),
        (NOW + HOUR + 1, away(NOW, NOW + HOUR + 1)),
        (NOW + YEAR, away(NOW, NOW + YEAR)),
    ] {
        assert_eq!(at_start(Timestamp(NOW), Timestamp(now)), expected, "{now}");
    }
}

#[test]
fn what_moves_and_what_does_not() {
    let back = set(NOW, NOW - YEAR);
    let on = set(NOW, NOW + YEAR);
    let away = at_start(Timestamp(NOW), Timestamp(NOW + YEAR));
    let wait = |jump: Jump, at: i64| {
        let at = Timestamp(at);
        jump.waits().map_or(at, |waits| waits.moved(at)).0
    };
    let age = |jump: Jump, at: i64| jump.ages().moved(Timestamp(at)).0;
    for (what, got, expected) in [
        ("back, ahead", wait(back, NOW + HOUR), NOW - YEAR + HOUR),
        ("back, due", wait(back, NOW - HOUR), NOW - YEAR - HOUR),
        ("back, past", wait(back, NOW - 2 * YEAR), NOW - 2 * YEAR),
        ("back, new", wait(back, NOW - YEAR + S), NOW - YEAR + S),
        ("on, ahead", wait(on, NOW + HOUR), NOW + YEAR + HOUR),
        ("on, due", wait(on, NOW), NOW),
        ("on, new", wait(on, NOW + YEAR + S), NOW + YEAR + S),
        ("on, far", wait(on, NOW + 2 * YEAR), NOW + 2 * YEAR),
        ("back, age", age(back, NOW - HOUR), NOW - YEAR - HOUR),
        ("back, new age", age(back, NOW - YEAR + S), NOW - YEAR + S),
        ("on, age", age(on, NOW - HOUR), NOW + YEAR - HOUR),
        ("on, new age", age(on, NOW + YEAR), NOW + YEAR),
    ] {
        assert_eq!(got, expected, "{what}");
    }
    let away = away.expect("a year is long");
    assert_eq!(away.waits(), None);
    assert_eq!(age(away, NOW - HOUR), NOW + YEAR - HOUR);
    let span = |jump: Jump, since: i64, until: Option<i64>| {
        let (since, until) = jump.span(Timestamp(since), until.map(Timestamp));
        (since.0, until.map(|until| until.0))
    };
    let until = Some(NOW + HOUR);
    let moved = |by: i64| (NOW - HOUR + by, Some(NOW + HOUR + by));
    assert_eq!(span(back, NOW - HOUR, until), moved(-YEAR));
    assert_eq!(span(on, NOW - HOUR, until), moved(YEAR));
    assert_eq!(span(away, NOW - HOUR, until), moved(0));
    assert_eq!(span(back, NOW - HOUR, None), (NOW - YEAR - HOUR, None));
    // Closed since the jump.
    let new = (NOW + YEAR, Some(NOW + YEAR + HOUR));
    assert_eq!(span(on, new.0, new.1), new);
    // Of a day's length, half over, and a jump of an hour.
    let day = set(NOW, NOW - HOUR);
    let (since, until) = (NOW - 12 * HOUR, Some(NOW + 12 * HOUR));
    assert_eq!(
        span(day, since, until),
        (NOW - 13 * HOUR, Some(NOW + 11 * HOUR))
    );
}

#[test]
fn no_wait_grows_and_nothing_gets_old_whatever_the_clock_does() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..20_000 {
        // A life: looks a second apart, the clock set at times, waits and ages
        // begun at any moment, before and after a jump too.
        let mut offset = NOW;
        let mut ticks = 0;
        let mut last = Look {
            wall: Timestamp(NOW),
            ticks: Duration::ZERO,
        };
        // Begun at this tick; the length; where it ends; since when it is old.
        let mut kept: Vec<(i64, i64, Timestamp, Timestamp)> = Vec::new();
        for _ in 0..random.usize(1..6) {
            let jump_at = ticks + random.i64(0..S);
            let mut jumped = false;
            for _ in 0..3 {
                let begun = random.i64(ticks..ticks + S);
                if begun >= jump_at && !jumped {
                    jumped = true;
                    offset += match random.u8(0..4) {
                        0 => 0,
                        1 => random.i64(-YEAR..YEAR),
                        2 => random.i64(-2 * HOUR..2 * HOUR),
                        _ => random.i64(-120 * S..120 * S),
                    };
                }
                let length = random.i64(0..24 * HOUR);
                let now = offset + begun;
                kept.push((begun, length, Timestamp(now + length), Timestamp(now)));
            }
            ticks += S;
            let now = Look {
                wall: Timestamp(offset + ticks),
                ticks: Duration::from_millis(ticks.unsigned_abs()),
            };
            if let Some(jump) = between(last, now) {
                for (_, _, until, since) in &mut kept {
                    if let Some(waits) = jump.waits() {
                        *until = waits.moved(*until);
                    }
                    *since = jump.ages().moved(*since);
                }
            }
            last = now;
        }
        // Every jump that is let pass, and every second between two looks.
        let slack = 6 * 61 * S;
        let now = offset + ticks;
        for (begun, length, until, since) in kept {
            let left = until.0 - now;
            let meant = begun + length - ticks;
            assert!(
                left <= meant.max(0) + slack,
                "round {round}: {left} ms left of a wait that has {meant} to go"
            );
            let age = now - since.0;
            let real = ticks - begun;
            assert!(
                age <= real + slack,
                "round {round}: {age} ms old, after {real}"
            );
        }
    }
}

#[test]
fn a_gate_that_a_probe_closed_anew_since_the_jump_is_not_moved_twice() {
    let jump = |from, to| Jump::Set {
        from: Timestamp(from),
        to: Timestamp(to),
    };
    let gate = |jump: Jump, since: i64, until: i64| {
        let (since, until) = jump.gate(Timestamp(since), Timestamp(until));
        (since.0, until.0)
    };
    let (on, back) = (jump(NOW, NOW + YEAR), jump(NOW, NOW - YEAR));
    // Written before the jump: both are moved.
    let kept = gate(on, NOW - HOUR, NOW + HOUR);
    assert_eq!(kept, (NOW + YEAR - HOUR, NOW + YEAR + HOUR));
    let kept = gate(back, NOW - HOUR, NOW + HOUR);
    assert_eq!(kept, (NOW - YEAR - HOUR, NOW - YEAR + HOUR));
    // Its end is of after the jump.
    let anew = gate(on, NOW - HOUR, NOW + YEAR + S);
    assert_eq!(anew, (NOW + YEAR - HOUR, NOW + YEAR + S));
    // Set back it opens early, never late.
    assert!(gate(back, NOW - HOUR, NOW - YEAR + S).1 <= NOW - YEAR + S);
}
