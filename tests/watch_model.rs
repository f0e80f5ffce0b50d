//! The model test of watching: random acts of several writers at speed, on a
//! real folder under the real daemon; at rest folder, ledger and service agree.
//! What is done is in `watch_model/ops.rs`, what must hold in
//! `watch_model/check.rs`. A list that fails is made smaller before it is shown.
//!
//! ```text
//! cargo test --test watch_model                           a few seeds of each weather
//! WATCH_SEEDS=300 cargo test --test watch_model -- --nocapture
//! WATCH_SEED=123 WATCH_OPS=400 cargo test --test watch_model overflow
//! ```
//!
//! | variable | means | default |
//! |---|---|---|
//! | `WATCH_SEEDS` | lives in each weather | 2 |
//! | `WATCH_SEED` | the first life's seed; each failure says its own | the time |
//! | `WATCH_OPS` | acts in each life | 300 |
//! | `WATCH_PATIENCE` | seconds that it may take to come to rest | 120 |
//! | `WATCH_LOG` | where the log of a daemon that failed is put | |
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[path = "watch_model/mod.rs"]
mod model;
mod support;

use std::time::{Duration, Instant};

use model::life::{Seen, Weather, live};
use model::ops::{At, Op, Step, steps};
use model::shrink::smallest;

/// How long it may take to come to rest: a file that is shut when it is its
/// turn waits for a minute, and the machine may be busy.
fn patience() -> Duration {
    Duration::from_secs(number("WATCH_PATIENCE").unwrap_or(120))
}

/// The same while a failing list is made smaller, and how long that may take.
const SHRINK_PATIENCE: Duration = Duration::from_secs(12);
const SHRINK_TIME: Duration = Duration::from_secs(300);

fn number(name: &str) -> Option<u64> {
    let given = std::env::var(name).ok()?;
    Some(
        given
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

async fn run(weather: Weather) {
    if !weather.possible() {
        return;
    }
    let count = usize::try_from(number("WATCH_OPS").unwrap_or(300)).unwrap();
    let mut seed = number("WATCH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut seeds = fastrand::Rng::with_seed(seed);
    let lives = number("WATCH_SEEDS").unwrap_or(2);
    let mut all = Seen::default();
    let started = Instant::now();
    for life in 1..=lives {
        println!("{weather:?}: WATCH_SEED={seed}");
        let list = steps(seed, count, weather == Weather::Overflow);
        match live(weather, &list, patience()).await {
            Ok(seen) => all += seen,
            Err(wrong) => fail(weather, seed, &list, &wrong),
        }
        if life % 10 == 0 {
            println!(
                "{weather:?}: {life} lives, {:.0?}, {all:?}",
                started.elapsed()
            );
        }
        seed = seeds.u64(..);
    }
    println!(
        "{weather:?}: {lives} lives in {:.0?}: {all:?}",
        started.elapsed()
    );
    assert!(all.uploads > 0, "nothing was uploaded");
}

/// Makes the list smaller, and fails with what is left.
fn fail(weather: Weather, seed: u64, list: &[Step], wrong: &[String]) -> ! {
    println!("{weather:?}: WATCH_SEED={seed} fails; making it smaller");
    println!("{}", wrong.join("\n"));
    let runtime = tokio::runtime::Handle::current();
    let mut last = wrong.to_vec();
    let end = Instant::now() + SHRINK_TIME;
    let fails = |part: &[Step]| {
        let lived = live(weather, part, SHRINK_PATIENCE);
        match tokio::task::block_in_place(|| runtime.block_on(lived)) {
            Ok(_) => false,
            Err(wrong) => {
                last = wrong;
                true
            }
        }
    };
    let left = smallest(list, fails, || Instant::now() >= end);
    let shown: Vec<String> = left.iter().map(|step| format!("  {step:?}")).collect();
    panic!(
        "{weather:?}, WATCH_SEED={seed} WATCH_OPS={}\n{}\n\n{} of its steps, the same way:\n{}\n{}",
        list.len(),
        wrong.join("\n"),
        left.len(),
        shown.join("\n"),
        last.join("\n"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_events_alone_tell_of_it() {
    run(Weather::Events).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_overflow_nothing_is_missing() {
    run(Weather::Overflow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_watches_enough_it_is_scanned() {
    run(Weather::FewWatches).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_inotify_instance_it_is_scanned() {
    run(Weather::NoInstance).await;
}

/// The steps of a list in one lane, each with its pause in milliseconds.
fn in_one_lane(list: &[(u16, Op)]) -> Vec<Step> {
    let step = |(number, (pause, op)): (u32, &(u16, Op))| Step {
        lane: 0,
        pause: *pause,
        number,
        op: *op,
    };
    (1..).zip(list).map(step).collect()
}

/// notify takes the watch off a path that is removed; of a directory whose move
/// it was not told it still knows the former path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_moved_while_events_are_lost_is_heard_afterwards() {
    let (a, d) = (1, 4);
    let mut list = vec![
        (0, Op::TreeIn { dir: a, new: true }),
        (1_500, Op::Deaf { ms: 400 }),
        (0, Op::MoveTree { from: a, to: d }),
    ];
    // The scan for what was lost has come and gone.
    let mut pause = 3_000;
    for _ in 0..5 {
        list.push((pause, Op::MakeDir { dir: a }));
        list.push((0, Op::RemoveTree { dir: a }));
        pause = 0;
    }
    list.push((1_000, Op::Publish { at: At(d, 0) }));
    let lived = live(Weather::Overflow, &in_one_lane(&list), patience()).await;
    lived.unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
}

/// The worker finds a file gone, and it is back before that is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_away_for_a_moment_is_not_gone() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut list = Vec::new();
    for n in 0..150 {
        let at = At(n % 5, n % 5);
        list.push((0, Op::Publish { at }));
        for _ in 0..4 {
            list.push((rng.u16(0..12), Op::OutAndBack { at }));
        }
    }
    let lived = live(Weather::Events, &in_one_lane(&list), patience()).await;
    lived.unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
}
