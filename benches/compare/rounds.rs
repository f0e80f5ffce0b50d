//! The contestants of one work, each in turn, round by round.
//!
//! Must not: know what the work is.

use std::time::{Duration, Instant};

use crate::rows::{Row, Sample, Who};

/// Who needs longer than this for a round is run [`SLOW_ROUNDS`] times at most.
const SLOW: Duration = Duration::from_secs(20);
/// See [`SLOW`].
const SLOW_ROUNDS: usize = 3;

type Run<'a> = Box<dyn FnMut() -> Result<Sample, String> + 'a>;

/// A contestant.
pub struct Entry<'a> {
    key: &'static str,
    name: String,
    who: Who,
    run: Result<Run<'a>, String>,
}

impl<'a> Entry<'a> {
    /// One that can run.
    pub fn new(
        key: &'static str,
        name: &str,
        who: Who,
        run: impl FnMut() -> Result<Sample, String> + 'a,
    ) -> Entry<'a> {
        Entry {
            key,
            name: name.to_owned(),
            who,
            run: Ok(Box::new(run)),
        }
    }

    /// One that runs if `has` says where its tool is, and else is named as
    /// what is missing.
    pub fn with<T: 'a>(
        key: &'static str,
        name: &str,
        who: Who,
        has: Result<T, String>,
        mut run: impl FnMut(&T) -> Result<Sample, String> + 'a,
    ) -> Entry<'a> {
        Entry {
            key,
            name: name.to_owned(),
            who,
            run: has.map(|tool| -> Run<'a> { Box::new(move || run(&tool)) }),
        }
    }
}

/// Those with these keys; all, if there are none.
pub fn chosen<'a>(keys: &[String], mut entries: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
    entries.retain(|entry| keys.is_empty() || keys.iter().any(|key| key == entry.key));
    entries
}

/// Runs them all. Each round begins with another contestant, so that none
/// always follows the same neighbour. One that fails is out, and says why.
pub fn run(work: &str, rounds: usize, mut entries: Vec<Entry<'_>>) -> Vec<Row> {
    let mut rows: Vec<Row> = entries
        .iter()
        .map(|entry| Row {
            key: entry.key,
            name: entry.name.clone(),
            who: entry.who,
            rounds: Vec::new(),
            absent: entry.run.as_ref().err().cloned(),
            bars: Vec::new(),
        })
        .collect();
    let mut slow = vec![false; entries.len()];
    for round in 0..rounds {
        for turn in 0..entries.len() {
            let n = (turn + round) % entries.len();
            let row = &mut rows[n];
            let Ok(run) = &mut entries[n].run else {
                continue;
            };
            if row.absent.is_some() || (slow[n] && round >= SLOW_ROUNDS) {
                continue;
            }
            let start = Instant::now();
            match run() {
                Ok(sample) => {
                    eprintln!(
                        "{work}, round {}: {}: {:.1} ({:.0} MiB, {:.1} s of CPU)",
                        round + 1,
                        row.name,
                        sample.value,
                        sample.costs.peak,
                        sample.costs.cpu,
                    );
                    row.rounds.push(sample);
                }
                Err(error) => {
                    eprintln!("{work}, round {}: {} failed: {error}", round + 1, row.name);
                    row.rounds.clear();
                    row.absent = Some("failed".to_owned());
                }
            }
            slow[n] |= start.elapsed() > SLOW;
        }
    }
    rows
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;
    use crate::rows::Costs;

    fn sample(value: f64) -> Sample {
        Sample {
            value,
            times: Vec::new(),
            costs: Costs {
                peak: 1.0,
                idle: None,
                cpu: 1.0,
            },
        }
    }

    #[test]
    fn all_run_in_turn_and_none_is_left_out_in_silence() {
        let order = std::cell::RefCell::new(Vec::new());
        let note = |name: &'static str| {
            order.borrow_mut().push(name);
            Ok(sample(order.borrow().len() as f64))
        };
        let missing: Result<(), _> = Err("not installed".to_owned());
        let rows = run(
            "w",
            2,
            vec![
                Entry::new("a", "a", Who::Ours, || note("a")),
                Entry::new("b", "b", Who::Tool, || note("b")),
                Entry::with("c", "c", Who::Tool, missing, |()| note("c")),
                Entry::new("d", "d", Who::Tool, || Err("no".to_owned())),
            ],
        );
        assert_eq!(*order.borrow(), ["a", "b", "b", "a"]);
        assert_eq!(rows[0].rounds.len(), 2);
        assert_eq!(rows[2].absent.as_deref(), Some("not installed"));
        assert_eq!(rows[3].absent.as_deref(), Some("failed"));
    }
}
