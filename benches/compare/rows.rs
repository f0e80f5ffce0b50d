//! What was measured: samples, rows, and the bars that our rows are held to.
//!
//! Must not: measure, or know Markdown and SVG.

/// Whose row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// supametas-sync.
    Ours,
    /// What people use.
    Tool,
    /// What the machine allows; nobody could use it.
    Reference,
}

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Peak memory in MiB, of all processes of the contestant together.
    pub peak: f64,
    /// Memory in MiB before the work came, where the contestant idles then.
    pub idle: Option<f64>,
    /// Processor time in seconds, of all of them.
    pub cpu: f64,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Files/s or MB/s; for latencies the median, in ms.
    pub value: f64,
    /// Single times in ms, where it is about latency.
    pub times: Vec<f64>,
    /// What it cost.
    pub costs: Costs,
}

/// A bar of the project, and whether this run meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What was asked and what was measured.
    pub text: String,
    /// Whether it is met.
    pub met: bool,
}

impl Bar {
    /// At least `wanted`.
    pub fn at_least(value: f64, wanted: f64, what: &str) -> Bar {
        Bar {
            text: format!(
                "{:.2} × {what} (bar {wanted})",
                // Down: what falls short is not shown as the bar itself.
                (value * 100.0 + 1e-9).floor() / 100.0
            ),
            met: value >= wanted,
        }
    }
}

/// A contestant's rounds.
#[derive(Debug, Clone)]
pub struct Row {
    /// How the works' code finds it.
    pub key: &'static str,
    /// How it is shown.
    pub name: String,
    /// Whose it is.
    pub who: Who,
    /// One for each round.
    pub rounds: Vec<Sample>,
    /// Why there are none: not installed, or failed.
    pub absent: Option<String>,
    /// What it is held to.
    pub bars: Vec<Bar>,
}

impl Row {
    /// The values, ascending.
    pub fn values(&self) -> Vec<f64> {
        sorted(self.rounds.iter().map(|round| round.value))
    }

    /// The median of the values.
    pub fn median(&self) -> Option<f64> {
        at(&self.values(), 0.5)
    }

    /// All single times, ascending.
    pub fn times(&self) -> Vec<f64> {
        sorted(self.rounds.iter().flat_map(|round| round.times.clone()))
    }

    /// The highest peak of memory, in MiB.
    pub fn peak(&self) -> Option<f64> {
        let peaks = self.rounds.iter().map(|round| round.costs.peak);
        peaks.reduce(f64::max)
    }

    /// The most that memory grew above idle, in MiB.
    pub fn growth(&self) -> Option<f64> {
        let grown = |round: &Sample| Some(round.costs.peak - round.costs.idle?);
        self.rounds.iter().filter_map(grown).reduce(f64::max)
    }

    /// The median of processor time, in seconds.
    pub fn cpu(&self) -> Option<f64> {
        at(
            &sorted(self.rounds.iter().map(|round| round.costs.cpu)),
            0.5,
        )
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value at this share of an ascending list.
pub fn at(values: &[f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    values.get((last as f64 * share).round() as usize).copied()
}

/// The row of this key, if it was measured.
pub fn find<'a>(rows: &'a [Row], key: &str) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.key == key && !row.rounds.is_empty())
}

/// The median over the rounds of our value by the best of the others' in the
/// same round: pairs, since the machine's load changes from round to round.
pub fn ratio(ours: &Row, others: &[&Row]) -> Option<f64> {
    let best = |round: usize| {
        let values = others.iter().filter_map(|row| row.rounds.get(round));
        values.map(|sample| sample.value).reduce(f64::max)
    };
    let pairs = ours.rounds.iter().enumerate();
    let ratios = pairs.filter_map(|(round, sample)| Some(sample.value / best(round)?));
    at(&sorted(ratios), 0.5)
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;

    pub fn row(key: &'static str, values: &[f64]) -> Row {
        let sample = |value: &f64| Sample {
            value: *value,
            times: vec![*value],
            costs: Costs {
                peak: 20.0 + value,
                idle: Some(12.0),
                cpu: 1.0,
            },
        };
        Row {
            key,
            name: key.to_owned(),
            who: Who::Tool,
            rounds: values.iter().map(sample).collect(),
            absent: None,
            bars: Vec::new(),
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round_against_the_best() {
        // The third round ran under load: both are half as fast.
        let ours = row("ours", &[300.0, 330.0, 150.0]);
        let (one, two) = (
            row("one", &[250.0, 110.0, 75.0]),
            row("two", &[100.0, 220.0]),
        );
        assert_eq!(ratio(&ours, &[&one, &two]), Some(1.5));
        assert_eq!(ratio(&ours, &[]), None);
    }

    #[test]
    fn medians_and_shares() {
        let row = row("r", &[3.0, 1.0, 2.0]);
        assert_eq!(row.median(), Some(2.0));
        assert_eq!(row.peak(), Some(23.0));
        assert_eq!(row.growth(), Some(11.0));
        assert_eq!(at(&[], 0.5), None);
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(at(&times, 0.99), Some(99.0));
    }

    #[test]
    fn a_bar_says_what_was_asked() {
        let bar = Bar::at_least(1.4999, 1.5, "rclone");
        assert!(!bar.met);
        assert_eq!(bar.text, "1.49 × rclone (bar 1.5)");
        assert!(Bar::at_least(1.5, 1.5, "rclone").met);
    }
}
