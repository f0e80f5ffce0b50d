//! What a great many files cost: the real binary on real folders, a ledger
//! that is filled by hand, and the sandbox's fast sink.
//!
//! `cargo bench --bench scale` prints tables in Markdown; it takes a quarter of
//! an hour and 20 GB. Smaller: `cargo bench --bench scale -- --quick`, or only
//! a part: `-- --only startup,first,idle,poll,queries,rest --files 100000`.
//! `--only model` and `--only cost` print tables of docs/scale.md as they stand
//! there (a minute; with `--files 10000`, seconds).
//!
//! Must not: judge. It prints what it measured.

#[path = "../common/mod.rs"]
mod common;
mod cost;
mod daemon;
mod files;
mod model;
mod queries;
mod rows;
#[path = "../compare/slow_disk.rs"]
#[allow(dead_code, reason = "made for the comparison; a part is of use here")]
mod slow_disk;
mod works;

use std::time::Duration;

use common::run::Run;

/// What is to be measured, and how much of it.
pub struct Plan {
    only: Vec<String>,
    /// Files, where `--files` says so.
    files: Option<u64>,
    quick: bool,
}

impl Plan {
    /// `None`: it was not asked for (`common::run`).
    fn of_arguments() -> Option<Plan> {
        let mut plan = Plan {
            only: Vec::new(),
            files: None,
            quick: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" | "--test" => plan.quick = true,
                "--only" => {
                    let list = arguments.next().expect("--only wants a list");
                    plan.only = list.split(',').map(str::to_owned).collect();
                }
                "--files" => {
                    let number = arguments.next().expect("--files wants a number");
                    plan.files = Some(number.parse().expect("a number"));
                }
                // What cargo adds.
                _ => {}
            }
        }
        let asked = Run::of_arguments() != Run::Nothing;
        (asked || !plan.only.is_empty()).then_some(plan)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// The sizes to go through: those of `--files`, a small one, or `all`.
    fn sizes(&self, all: &[u64]) -> Vec<u64> {
        match (self.files, self.quick) {
            (Some(files), _) => vec![files],
            (None, true) => vec![10_000],
            (None, false) => all.to_vec(),
        }
    }

    /// How long something is watched that should be quiet, or steady.
    fn watch(&self) -> Duration {
        Duration::from_secs(if self.quick { 10 } else { 60 })
    }
}

fn main() {
    let Some(plan) = Plan::of_arguments() else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        daemon::machine();
        if plan.wants("startup") || plan.wants("idle") {
            works::startup(&plan).await;
        }
        if plan.wants("first") {
            works::first(&plan).await;
        }
        if plan.wants("poll") {
            works::poll(&plan).await;
        }
        if plan.wants("rest") {
            works::at_rest(&plan).await;
        }
        if plan.wants("model") {
            model::table(&plan).await;
        }
        if plan.only.iter().any(|only| only == "cost") {
            // Made of other parts: not once more when all are wanted.
            cost::table(&plan).await;
        }
        if plan.wants("queries") {
            queries::all(&plan).await;
        }
    });
}
