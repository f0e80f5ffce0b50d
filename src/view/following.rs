//! Tasks that are followed: how many, how fast, until when, and what bounds it.
//!
//! Must not: say how fast they are asked about; [`crate::domain::poll_rate`] does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::valid::Config;
use crate::domain::ids::DatasetName;
use crate::domain::poll_rate::{Bound, Lately, estimate};
use crate::domain::state::StateKind;
use crate::ledger;

/// Questions about tasks of each dataset lately, in windows of time.
pub type Asked = BTreeMap<DatasetName, Vec<Lately>>;

/// Tasks of a dataset that are at the service.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FollowingView {
    pub dataset: DatasetName,
    pub tasks: u64,
    pub polls_per_second: f64,
    /// Confirmed a second; `None` without a daemon.
    pub per_second: Option<f64>,
    /// Whether that was seen; else it is what the rate of questions allows.
    pub seen: bool,
    pub eta_s: Option<u64>,
    /// The key that bounds it: `polls_per_second`, or `None` where the service
    /// takes its time.
    pub bounded_by: Option<String>,
}

impl FollowingView {
    /// Adds what a daemon has seen lately.
    pub(super) fn estimated(&mut self, lately: &[Lately]) {
        let Some(found) = estimate(self.tasks, self.polls_per_second, lately) else {
            return;
        };
        self.per_second = Some(found.per_second);
        self.seen = found.seen;
        self.eta_s = Some(found.left.as_secs());
        self.bounded_by = match found.bound {
            Bound::PollsPerSecond => Some("polls_per_second".to_owned()),
            Bound::Service => None,
        };
    }

    /// How fast, and how long it takes: `5 a second, about 50 s`.
    pub fn pace(&self) -> Option<String> {
        let (per_second, eta) = (self.per_second?, self.eta_s?);
        let (speed, eta) = (a_second(per_second), about(Duration::from_secs(eta)));
        Some(match self.seen {
            true => format!("{speed}, {eta}"),
            false => format!("at most {speed}, {eta} at least"),
        })
    }
}

/// Tasks by dataset, from the ledger's counts.
pub(super) fn of(config: &Config, counts: &[ledger::Count]) -> Vec<FollowingView> {
    let mut tasks: BTreeMap<&DatasetName, u64> = BTreeMap::new();
    for count in counts.iter().filter(|c| c.state == StateKind::Submitted) {
        if let Some(folder) = config.folders.get(&count.folder) {
            *tasks.entry(&folder.dataset).or_default() += count.files;
        }
    }
    let with_tasks = tasks.into_iter().filter(|(_, tasks)| *tasks > 0);
    with_tasks
        .filter_map(|(name, tasks)| {
            Some(FollowingView {
                dataset: name.clone(),
                tasks,
                polls_per_second: config.datasets.get(name)?.polls_per_second,
                per_second: None,
                seen: false,
                eta_s: None,
                bounded_by: None,
            })
        })
        .collect()
}

/// A rate as people say it: `5 a second`, `3 a minute`, `2 an hour`.
pub fn a_second(rate: f64) -> String {
    let (value, unit) = if rate >= 0.95 {
        (rate, "a second")
    } else if rate * 60.0 >= 0.95 {
        (rate * 60.0, "a minute")
    } else {
        (rate * 3_600.0, "an hour")
    };
    format!("{value:.0} {unit}")
}

/// A length of time that is not known well: `about 50 s`, `about 7 min`.
pub fn about(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..=9 => "a few seconds".to_owned(),
        10..=99 => format!("about {} s", (s + 5) / 10 * 10),
        100..=5_399 => format!("about {} min", (s + 30) / 60),
        5_400..=172_799 => format!("about {} h", (s + 1_800) / 3_600),
        s => format!("about {} d", (s + 43_200) / 86_400),
    }
}

/// A number of things with its thousands apart: `1,731`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn view(tasks: u64) -> FollowingView {
        FollowingView {
            dataset: DatasetName("main".into()),
            tasks,
            polls_per_second: 5.0,
            per_second: None,
            seen: false,
            eta_s: None,
            bounded_by: None,
        }
    }

    #[test]
    fn an_estimate_reads_as_a_person_would_say_it() {
        let mut some = view(269);
        assert_eq!(some.pace(), None);
        some.estimated(&[Lately {
            over: Duration::from_secs(10),
            asked: 50,
            ended: 50,
        }]);
        assert_eq!(some.pace().unwrap(), "5 a second, about 50 s");
        assert_eq!(some.bounded_by.unwrap(), "polls_per_second");
        let mut none = view(2);
        none.estimated(&[]);
        assert_eq!(
            none.pace().unwrap(),
            "at most 1 a second, a few seconds at least"
        );
        assert_eq!(none.bounded_by, None);
    }

    #[test]
    fn numbers_are_short() {
        for (n, text) in [
            (7, "7"),
            (999, "999"),
            (1_731, "1,731"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(thousands(n), text);
        }
        for (rate, text) in [
            (5.2, "5 a second"),
            (0.96, "1 a second"),
            (0.05, "3 a minute"),
            (0.0005, "2 an hour"),
        ] {
            assert_eq!(a_second(rate), text);
        }
        for (s, text) in [
            (3, "a few seconds"),
            (54, "about 50 s"),
            (99, "about 100 s"),
            (400, "about 7 min"),
            (20_000, "about 6 h"),
            (400_000, "about 5 d"),
        ] {
            assert_eq!(about(Duration::from_secs(s)), text);
        }
    }
}
