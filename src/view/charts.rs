//! What went through in the last hour and the last day, step by step: for the
//! charts of the page. This is `/api/charts`; its keys are documented in
//! `docs/http.md`.
//!
//! Must not: say something of the time before the daemon's start.

use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::domain::time::Timestamp;
use crate::live::rates::{Series, Tally};

/// Both charts.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartsView {
    pub now: Stamp,
    pub started_at: Stamp,
    pub hour: SeriesView,
    pub day: SeriesView,
}

/// One chart.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesView {
    pub from: Stamp,
    pub step_s: u64,
    pub steps: u64,
    pub files: Vec<u64>,
    pub sent_bytes: Vec<u64>,
    pub failed: Vec<u64>,
}

impl ChartsView {
    /// As scripts see them.
    pub fn of(hour: &Series, day: &Series, started_at: Timestamp, now: Timestamp) -> ChartsView {
        ChartsView {
            now: Stamp(now),
            started_at: Stamp(started_at),
            hour: SeriesView::of(hour, 60, now),
            day: SeriesView::of(day, 96, now),
        }
    }
}

impl SeriesView {
    fn of(series: &Series, steps: u64, now: Timestamp) -> SeriesView {
        let each = |of: fn(&Tally) -> u64| series.steps.iter().map(of).collect::<Vec<u64>>();
        SeriesView {
            from: Stamp(now.minus(series.ago)),
            step_s: series.step.as_secs(),
            steps,
            files: each(|tally| tally.files),
            sent_bytes: each(|tally| tally.sent),
            failed: each(|tally| tally.failed),
        }
    }
}
