//! Rows as a bar chart: plain SVG, readable on a light and on a dark page.
//!
//! Must not: measure text; labels have a column of their own.

use crate::rows::{Row, Who, at};
use crate::table::number;

const WIDTH: usize = 880;
const LABELS: usize = 410;
const VALUES: usize = 120;
const LINE: usize = 26;
const TOP: usize = 44;

/// How long a bar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In proportion.
    Linear,
    /// By its logarithm: where a few values are a hundred times the others.
    Log,
}

/// One bar for each row: the median, with a line from the lowest round to the
/// highest. With [`Scale::Log`] the median of all times, with a line to p99.
pub fn chart(title: &str, rows: &[Row], scale: Scale) -> String {
    let height = TOP + LINE * rows.len() + 14;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" font-size=\"13\" \
         font-family=\"system-ui, sans-serif\">\n<title>{0}</title>\n<style>\n\
         text {{ fill: #24292f }} .ours {{ fill: #0a6e4f }} .tool {{ fill: #8a949e }}\n\
         .reference {{ fill: none; stroke: #8a949e; stroke-dasharray: 4 3 }}\n\
         .range {{ stroke: #24292f; stroke-width: 1.5 }} .absent {{ fill: #6e7781 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #e6edf3 }} .ours {{ fill: #3fb98a }} .tool {{ fill: #6e7681 }}\n\
         .range {{ stroke: #e6edf3 }} .absent {{ fill: #9198a1 }} }}\n</style>\n\
         <text x=\"8\" y=\"24\" font-size=\"15\" font-weight=\"600\">{0}</text>\n",
        escaped(title)
    );
    let shown: Vec<Option<(f64, f64, f64)>> = rows.iter().map(|row| span(row, scale)).collect();
    let all = shown.iter().flatten();
    let most = all.clone().map(|(_, _, high)| *high).fold(1.0, f64::max);
    let room = (WIDTH - LABELS - VALUES) as f64;
    let length = |value: f64| match scale {
        Scale::Linear => room * value / most,
        // From a tenth of a millisecond on.
        Scale::Log => room * (value.max(0.1) / 0.1).log10() / (most / 0.1).log10(),
    };
    for (n, (row, span)) in rows.iter().zip(&shown).enumerate() {
        let y = TOP + LINE * n;
        let middle = y as f64 + LINE as f64 / 2.0;
        let class = match row.who {
            Who::Ours => "ours",
            Who::Tool => "tool",
            Who::Reference => "reference",
        };
        let weight = if row.who == Who::Ours { "600" } else { "400" };
        svg += &format!(
            "<text x=\"{}\" y=\"{:.0}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\n",
            LABELS - 8,
            middle + 4.5,
            escaped(&row.name.replace('`', ""))
        );
        let Some((low, value, high)) = *span else {
            let why = row
                .absent
                .as_deref()
                .unwrap_or("not measured")
                .replace('`', "");
            svg += &format!(
                "<text class=\"absent\" x=\"{}\" y=\"{:.0}\">{}</text>\n",
                LABELS + 4,
                middle + 4.5,
                escaped(&why)
            );
            continue;
        };
        let (from, to) = (LABELS as f64 + length(low), LABELS as f64 + length(high));
        svg += &format!(
            "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>\n\
             <line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.0}\">{}</text>\n",
            y + 4,
            length(value),
            LINE - 8,
            to.max(LABELS as f64 + length(value)) + 6.0,
            middle + 4.5,
            match scale {
                Scale::Linear => number(value),
                Scale::Log => format!("{} / {} ms", number(value), number(high)),
            }
        );
    }
    svg + "</svg>\n"
}

/// Lowest, shown and highest.
fn span(row: &Row, scale: Scale) -> Option<(f64, f64, f64)> {
    match scale {
        Scale::Linear => {
            let values = row.values();
            Some((*values.first()?, row.median()?, *values.last()?))
        }
        Scale::Log => {
            let times = row.times();
            Some((*times.first()?, at(&times, 0.5)?, at(&times, 0.99)?))
        }
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
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

    fn row(name: &str, value: Option<f64>) -> Row {
        let sample = |value: f64| Sample {
            value,
            times: vec![value],
            costs: Costs {
                peak: 1.0,
                idle: None,
                cpu: 1.0,
            },
        };
        Row {
            key: "k",
            name: name.to_owned(),
            who: Who::Tool,
            rounds: value.map(sample).into_iter().collect(),
            absent: value.is_none().then(|| "not installed".to_owned()),
            bars: Vec::new(),
        }
    }

    fn widths(svg: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| line.starts_with("<rect"));
        bars.filter_map(|line| {
            line.split("width=\"")
                .nth(1)?
                .split('"')
                .next()?
                .parse()
                .ok()
        })
        .collect()
    }

    #[test]
    fn bars_are_in_proportion_and_who_is_absent_is_named() {
        let rows = [
            row("a < b", Some(100.0)),
            row("b", Some(50.0)),
            row("c", None),
        ];
        let svg = chart("Files & more", &rows, Scale::Linear);
        let widths = widths(&svg);
        assert_eq!(widths.len(), 2);
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
        assert!(svg.contains("not installed") && svg.contains("a &lt; b"));
        assert!(svg.contains("Files &amp; more") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_log_scale_shows_small_beside_large() {
        let rows = [row("a", Some(1.0)), row("b", Some(1000.0))];
        let widths = widths(&chart("t", &rows, Scale::Log));
        assert!((widths[1] / widths[0] - 4.0).abs() < 0.01, "{widths:?}");
    }
}
