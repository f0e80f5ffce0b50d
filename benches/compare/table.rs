//! Rows as Markdown.
//!
//! Must not: decide whether a bar is met (`rows`).

use crate::rows::{Bar, Row, Who, at};

/// A number as people read it: `10,000`, `3,114`, `1.53`.
pub fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 && digits.as_bytes()[n - 1] != b'-' {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Files/s or MB/s.
pub fn rates(rows: &[Row], unit: &str) -> String {
    let mut text = format!(
        "| | {unit} | lowest – highest | peak memory | CPU | against the bar |\n\
         |---|---:|---:|---:|---:|---|\n"
    );
    for row in rows {
        let (Some(median), Some(peak), Some(cpu)) = (row.median(), row.peak(), row.cpu()) else {
            text += &absent(row, 6);
            continue;
        };
        let values = row.values();
        text += &format!(
            "| {} | {} | {} – {} | {} MiB | {cpu:.1} s | {} |\n",
            name(row),
            number(median),
            number(values[0]),
            number(values[values.len() - 1]),
            number(peak.round()),
            bars(&row.bars)
        );
    }
    text
}

/// Latencies.
pub fn latencies(rows: &[Row]) -> String {
    let mut text = "| | p50, ms | p99, ms | lowest – highest | files | peak memory | CPU | \
                    against the bar |\n|---|---:|---:|---:|---:|---:|---:|---|\n"
        .to_owned();
    for row in rows {
        let times = row.times();
        let shares = (at(&times, 0.5), at(&times, 0.99), row.peak(), row.cpu());
        let (Some(p50), Some(p99), Some(peak), Some(cpu)) = shares else {
            text += &absent(row, 8);
            continue;
        };
        text += &format!(
            "| {} | {p50:.1} | {p99:.1} | {:.1} – {:.1} | {} | {} MiB | {cpu:.1} s | {} |\n",
            name(row),
            times[0],
            times[times.len() - 1],
            number(times.len() as f64),
            number(peak.round()),
            bars(&row.bars)
        );
    }
    text
}

fn name(row: &Row) -> String {
    let rounds = row.rounds.len();
    match row.who {
        Who::Ours => format!("**{}**", row.name),
        Who::Tool => row.name.clone(),
        Who::Reference => format!("*{}*", row.name),
    }
    .to_owned()
        + &if rounds == 0 {
            String::new()
        } else {
            format!(" ({rounds})")
        }
}

fn absent(row: &Row, columns: usize) -> String {
    let why = row.absent.as_deref().unwrap_or("not measured");
    let why = why.replace(['\n', '|'], " ");
    format!("| {} | {why} |{}\n", name(row), " |".repeat(columns - 2))
}

fn bars(bars: &[Bar]) -> String {
    let one = |bar: &Bar| {
        let said = if bar.met { "met" } else { "**missed**" };
        format!("{}: {said}", bar.text)
    };
    bars.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;
    use crate::rows::{Costs, Sample};

    fn row(values: &[f64], absent: Option<&str>) -> Row {
        let sample = |value: &f64| Sample {
            value: *value,
            times: vec![*value],
            costs: Costs {
                peak: 20.0,
                idle: None,
                cpu: 1.04,
            },
        };
        Row {
            key: "k",
            name: "a tool".to_owned(),
            who: Who::Ours,
            rounds: values.iter().map(sample).collect(),
            absent: absent.map(str::to_owned),
            bars: vec![
                Bar::at_least(1.2, 1.5, "rclone"),
                Bar::at_least(2.0, 1.0, "the next best"),
            ],
        }
    }

    #[test]
    fn numbers_are_read_by_people() {
        let shown = [3.25, 10.0, 999.6, 12_345.4, 1_000_000.0, 0.0].map(number);
        assert_eq!(shown, ["3.2", "10", "1,000", "12,345", "1,000,000", "0"]);
    }

    #[test]
    fn a_row_says_what_was_measured_and_which_bar_is_missed() {
        let text = rates(&[row(&[4000.0, 5000.0, 4500.0], None)], "files/s");
        let line = text.lines().last().unwrap_or_default();
        assert_eq!(
            line,
            "| **a tool** (3) | 4,500 | 4,000 – 5,000 | 20 MiB | 1.0 s | \
             1.20 × rclone (bar 1.5): **missed**; 2.00 × the next best (bar 1): met |"
        );
    }

    #[test]
    fn who_is_absent_has_a_row_of_the_same_width() {
        for text in [
            rates(&[row(&[], Some("not installed (`x|y`)"))], "files/s"),
            latencies(&[row(&[], None)]),
        ] {
            let columns = |line: &str| line.matches('|').count();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(columns(lines[2]), columns(lines[0]), "{text}");
            assert!(lines[2].contains("not "), "{text}");
        }
        assert!(latencies(&[row(&[2.5], None)]).contains("| 2.5 | 2.5 | 2.5 – 2.5 | 1 |"));
    }
}
