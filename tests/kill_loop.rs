//! Proof by kill: the real daemon on a real folder, with the sandbox in another
//! process, is killed with SIGKILL at random moments and, with the feature
//! `failpoints`, at each named commit point; started again; and at rest what
//! was dropped is compared with the sandbox, the ledger and the folders. What
//! is compared is in `kill/check.rs`, what is dropped in `kill/mix.rs`.
//!
//! ```text
//! cargo test --test kill_loop                   a dozen rounds
//! KILL_ROUNDS=5000 cargo test --release --features failpoints --test kill_loop -- --nocapture
//! KILL_SEED=123 cargo test --test kill_loop     the same drops and moments again
//! ```
//!
//! | variable | means | default |
//! |---|---|---|
//! | `KILL_ROUNDS` | kills in each loop | 12 |
//! | `KILL_JOBS` | lives at once; most of a life is waiting | 4 |
//! | `KILL_SEED` | what chance begins with; each failure says its own | the time |
//! | `KILL_LYING_DISK` | the forgetful disk forgets synced writes as well: the power loop must fail | |
#![allow(clippy::unwrap_used)]

mod kill;
#[path = "support/users.rs"]
mod users;

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kill::check::{self, Tally};
use kill::mix::Register;
use kill::power;
use kill::stage::{Disk, Droppers, Stage};

/// Kills on one ledger before it comes to rest, at most: so that work is
/// carried over from crash to crash.
const CARRY: usize = 8;

/// The loops take turns: each wants the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

fn rounds() -> usize {
    let asked = std::env::var("KILL_ROUNDS").ok();
    asked.map_or(12, |n| n.parse().expect("KILL_ROUNDS is a number"))
}

fn jobs() -> usize {
    let asked = std::env::var("KILL_JOBS").ok();
    asked.map_or(4, |n| n.parse().expect("KILL_JOBS is a number"))
}

fn seed() -> u64 {
    let asked = std::env::var("KILL_SEED").ok();
    asked.map_or_else(
        || fastrand::u64(..),
        |n| n.parse().expect("KILL_SEED is a number"),
    )
}

/// When the daemon is killed in a round.
#[derive(Debug, Clone)]
enum Kill {
    /// After so long.
    At(Duration),
    /// By itself, at a failpoint: `NAME=N`.
    #[cfg_attr(not(feature = "failpoints"), expect(dead_code))]
    Point(String),
}

/// What lives have seen.
#[derive(Default)]
struct Seen {
    kills: usize,
    /// How often the daemon killed itself at each failpoint.
    points: BTreeMap<String, usize>,
    lost_writes: usize,
    tally: Tally,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.kills += other.kills;
        self.lost_writes += other.lost_writes;
        self.tally += other.tally;
        for (name, times) in other.points {
            *self.points.entry(name).or_default() += times;
        }
    }
}

/// Does each piece of work once, [`jobs`] at a time, and puts together what
/// they saw. A life that finds something wrong ends the rest.
fn all_of<W: Send>(works: Vec<W>, one: impl Fn(W) -> Seen + Sync) -> Seen {
    let works = Mutex::new(works.into_iter());
    let seen = Mutex::new(Seen::default());
    let wrong = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..jobs().max(1) {
            scope.spawn(|| {
                let mark = OnPanic(&wrong);
                while !wrong.load(Ordering::Relaxed) {
                    let next = works.lock().unwrap().next();
                    let Some(work) = next else { break };
                    let here = one(work);
                    *seen.lock().unwrap() += here;
                }
                drop(mark);
            });
        }
    });
    seen.into_inner().unwrap()
}

struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// One ledger and one set of folders: a kill for each of `kills`, then rest.
fn life(
    (disk, droppers): (Disk, Droppers),
    seed: u64,
    kills: impl FnOnce(&mut fastrand::Rng) -> Vec<Kill>,
) -> Seen {
    let mut seen = Seen::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let kills = kills(&mut rng);
    let mut stage = Stage::new(disk, droppers);
    let mut register = Register::default();
    let mut done = Vec::new();
    for kill in kills {
        // Some lie there before it starts.
        for _ in 0..rng.usize(0..4) {
            stage.as_dropper(|| register.drop_one(&stage, &mut rng));
        }
        let point = match &kill {
            Kill::Point(point) => Some(point.as_str()),
            Kill::At(_) => None,
        };
        stage.start(point);
        let started = Instant::now();
        let deadline = started
            + match &kill {
                Kill::At(after) => *after,
                Kill::Point(_) => Duration::from_secs(4),
            };
        let mut drops = rng.usize(2..9);
        let ended = loop {
            if drops > 0 {
                drops -= 1;
                stage.as_dropper(|| register.drop_one(&stage, &mut rng));
            }
            let next = Instant::now() + Duration::from_millis(rng.u64(0..120));
            if let Some(status) = stage.ended(next.min(deadline)) {
                break Some(status);
            }
            if Instant::now() >= deadline {
                break None;
            }
        };
        match (ended, point) {
            (None, _) => stage.kill(),
            (Some(status), Some(point)) if killed(status) => {
                let name = point.split('=').next().unwrap();
                *seen.points.entry(name.to_owned()).or_default() += 1;
            }
            (Some(status), _) => {
                panic!(
                    "seed {seed}: the daemon ended by itself, {status}\n{}",
                    stage.said()
                )
            }
        }
        if disk == Disk::Forgetful {
            seen.lost_writes += power::pull(&stage.ledger(), &mut rng);
        }
        seen.kills += 1;
        done.push(kill);
        let wrong = check::after_kill(&stage, &register);
        report(seed, &done, &mut stage, wrong);
    }
    register.all_written();
    let resting = Instant::now();
    stage.start(None);
    let (wrong, tally) = match check::at_rest(&stage, &register) {
        Ok(list) => check::all(&stage, &register, &list),
        Err(busy) => (
            vec![format!("not at rest after 90 s:\n{}", busy.join("\n"))],
            Tally::default(),
        ),
    };
    report(seed, &done, &mut stage, wrong);
    if resting.elapsed() > Duration::from_secs(20) {
        println!("seed {seed}: rest took {:.0?}:", resting.elapsed());
        let said = stage.said();
        let grave = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        said.lines()
            .filter(grave)
            .for_each(|line| println!("  {line}"));
    }
    stage.stop();
    seen.tally = tally;
    seen
}

fn killed(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(9)
}

fn report(seed: u64, done: &[Kill], stage: &mut Stage, wrong: Vec<String>) {
    if !wrong.is_empty() {
        let said = stage.said();
        let kept = stage.keep();
        panic!(
            "seed {seed}, killed {done:?}; kept at {}\n\n{}\n\n{said}",
            kept.display(),
            wrong.join("\n\n"),
        );
    }
}

fn random_kill(rng: &mut fastrand::Rng) -> Kill {
    #[cfg(feature = "failpoints")]
    if rng.bool() {
        use supametas_sync::failpoint::POINTS;
        let name = POINTS[rng.usize(0..POINTS.len())];
        let times = match name {
            "ledger.before_commit" | "ledger.after_commit" => rng.usize(1..40),
            _ => rng.usize(1..5),
        };
        return Kill::Point(format!("{name}={times}"));
    }
    // More of the early ones: that is where a start is.
    let longest = if rng.bool() { 400 } else { 1800 };
    Kill::At(Duration::from_millis(rng.u64(10..longest)))
}

fn run(name: &str, setting: (Disk, Droppers), rounds: usize) {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // The first life's seed is the given one: what a failure says, as
    // `KILL_SEED`, lives that life again.
    let first = seed();
    let mut seeds = fastrand::Rng::with_seed(first);
    println!("{name}: KILL_SEED={first}");
    let lives = (0..rounds).step_by(CARRY).map(|before| {
        let seed = if before == 0 { first } else { seeds.u64(..) };
        (seed, CARRY.min(rounds - before))
    });
    let started = Instant::now();
    let kills_so_far = AtomicUsize::new(0);
    let seen = all_of(lives.collect(), |(seed, kills)| {
        let seen = life(setting, seed, |rng| {
            (0..kills).map(|_| random_kill(rng)).collect()
        });
        let before = kills_so_far.fetch_add(kills, Ordering::Relaxed);
        if before / 100 != (before + kills) / 100 {
            println!(
                "{name}: {} kills, {:.0?}",
                before + kills,
                started.elapsed()
            );
        }
        seen
    });
    println!(
        "{name}: {} kills in {:.0?}, 0 lost, 0 unexplained: {:?}; {} unsynced writes thrown away; at failpoints: {:?}",
        seen.kills,
        started.elapsed(),
        seen.tally,
        seen.lost_writes,
        seen.points
    );
    assert!(seen.tally.uploads > 0, "nothing was uploaded");
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_sent_twice_unsaid() {
    run("kill", (Disk::Real, Droppers::Same), rounds());
}

#[test]
fn with_the_power_pulled_nothing_is_lost_and_nothing_is_sent_twice_unsaid() {
    run("power", (Disk::Forgetful, Droppers::Same), rounds());
}

/// The daemon without rights, the files another user's.
#[test]
fn the_same_holds_for_files_of_other_users() {
    if users::at_hand() {
        run("two users", (Disk::Real, Droppers::Other), rounds());
    }
}

/// Each named commit point, on the plain disk and with the power pulled there.
#[cfg(feature = "failpoints")]
#[test]
fn killed_at_each_commit_point() {
    use supametas_sync::failpoint::POINTS;
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut seeds = fastrand::Rng::with_seed(seed());
    println!("points: KILL_SEED={}", seeds.get_seed());
    let mut works = Vec::new();
    for disk in [Disk::Real, Disk::Forgetful] {
        works.extend(POINTS.iter().map(|point| (disk, *point, seeds.fork())));
    }
    let seen = all_of(works, |(disk, point, mut seeds)| {
        let mut seen = Seen::default();
        // Which files are dropped is chance: a point may need some more.
        for _ in 0..10 {
            let kills = vec![Kill::Point(format!("{point}=1")); 3];
            seen += life((disk, Droppers::Same), seeds.u64(..), |_| kills);
            if seen.points.contains_key(point) {
                return seen;
            }
        }
        panic!("{point} was never reached on {disk:?}");
    });
    println!(
        "points: {} kills, {:?}, {:?}",
        seen.kills, seen.points, seen.tally
    );
}
