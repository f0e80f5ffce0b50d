//! Which files a command means: the filters and arguments that `list`,
//! `retry`, `acknowledge`, `cancel`, `forget` and `prune` share.
//!
//! Must not: ask the ledger.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::out;
use crate::config::units;
use crate::config::valid::Config;
use crate::domain::answer::Code;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::state::StateKind;
use crate::domain::time::Timestamp;
use crate::ledger::Filter;

/// Which files are meant; everything that is given must hold.
#[derive(Debug, Clone, clap::Args)]
pub struct Matching {
    /// In this state; may be given several times, or as a list with commas.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = states(), hide_possible_values = true)]
    pub state: Vec<StateKind>,
    /// Of this folder.
    #[arg(long, value_name = "NAME")]
    pub folder: Option<String>,
    /// Of this dataset.
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Whose latest answer had this code: OPS40002, 413 (or HTTP-413), NO-ANSWER …;
    /// may be given several times, or as a list with commas.
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub code: Vec<String>,
    /// Whose state changed within this time: 1h, 2d …
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    pub since: Option<Duration>,
    /// Whose state has not changed for this time: 30d …
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    pub older_than: Option<Duration>,
    /// With this in the path; with * or ? a pattern for all of it.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
}

/// Files by name, or by what they have in common.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Ids, paths, or parts of names.
    #[arg(value_name = "FILE", conflicts_with = "Matching")]
    pub files: Vec<PathBuf>,
    /// Or those that match.
    #[command(flatten)]
    pub filter: Matching,
}

impl Which {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.filter.is_empty()
    }
}

/// Knows all states by name, so that a mistyped one is answered with a better.
fn states() -> impl TypedValueParser<Value = StateKind> {
    PossibleValuesParser::new(StateKind::ALL.map(|kind| kind.as_str()))
        .map(|name| name.parse().expect("it is one of the names above"))
}

impl Matching {
    /// Says on standard error when a folder or dataset is named that the
    /// configuration does not have. The ledger may still have its files.
    pub fn remark_unknown(&self, config: &Config) {
        let folders = config.folders.keys().map(|name| name.0.as_str());
        remark_unknown("folder", self.folder.as_deref(), folders.collect());
        let datasets = config.datasets.keys().map(|name| name.0.as_str());
        remark_unknown("dataset", self.dataset.as_deref(), datasets.collect());
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty()
            && self.folder.is_none()
            && self.dataset.is_none()
            && self.code.is_empty()
            && self.since.is_none()
            && self.older_than.is_none()
            && self.name.is_none()
    }

    /// As the ledger wants it.
    pub fn filter(self, now: Timestamp, limit: usize) -> Filter {
        let ago = |time: Duration| {
            Timestamp(
                now.0
                    .saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
            )
        };
        Filter {
            states: self.state,
            folder: self.folder.map(FolderName),
            dataset: self.dataset.map(DatasetName),
            codes: self
                .code
                .iter()
                .flat_map(|code| Code::meant_by(code))
                .collect(),
            since: self.since.map(ago),
            until: self.older_than.map(ago),
            name: self.name,
            any_case: false,
            unknown_since: None,
            attention: None,
            limit,
        }
    }
}

fn remark_unknown(what: &str, asked: Option<&str>, known: Vec<&str>) {
    let Some(asked) = asked.filter(|asked| !known.contains(asked)) else {
        return;
    };
    out::remark(&format!(
        "the configuration has no {what} {asked:?}; it has: {}",
        known.join(", ")
    ));
}
