//! The same work done by supametas-sync and by what people use today.
//!
//! `cargo bench --bench compare` prints tables in Markdown; with `-- --write` it
//! writes `docs/benchmarks.md` and its pictures, too. `-- --help` has the rest.
//! It installs nothing, uses the tools that are there, and names those that are
//! not. What each file is for stands at its top; the pages' words are in
//! `page.md`.
//!
//! Must not: judge by anything but this run's own figures.

#[path = "../common/mod.rs"]
mod common;

mod bare;
mod chart;
mod facts;
mod field;
mod large;
mod latency;
mod page;
mod process;
mod rounds;
mod rows;
mod slow_disk;
mod small;
mod store;
mod table;
mod tools;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use supametas_sync::config::units;

use field::{Field, Sizes};
use page::{Page, Part};

/// The same work done by supametas-sync and by what people use today
///
/// Examples:
///   cargo bench --bench compare -- --quick
///   cargo bench --bench compare -- --only small,latency --rounds 3
///   cargo bench --bench compare -- --write
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench compare --", verbatim_doc_comment)]
struct Options {
    /// Little of everything, one round: to see that it works.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// Only these contestants, by their keys in the code, such as `ours,rclone`.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "KEY",
        conflicts_with = "write"
    )]
    contestants: Vec<String>,
    /// How often each contestant does its work.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How long a synced write takes in the rows with a slower disk.
    #[arg(long, value_name = "TIME", default_value = "4ms", value_parser = units::time)]
    fsync: Duration,
    /// Writes benchmarks.md and its pictures, into docs/ unless told otherwise.
    #[arg(long, value_name = "DIR", num_args = 0..=1,
          default_missing_value = concat!(env!("CARGO_MANIFEST_DIR"), "/docs"))]
    write: Option<PathBuf>,
    /// A remark for the top of the page, such as what else the machine did.
    #[arg(long, value_name = "TEXT", requires = "write")]
    note: Option<String>,
    /// What cargo says to a benchmark; without it this is a test run.
    #[arg(long, hide = true)]
    bench: bool,
    /// What cargo says to a test.
    #[arg(long, hide = true)]
    test: bool,
    /// This process is the bare client, and posts to this address.
    #[arg(long, hide = true, requires = "files")]
    bare: Option<String>,
    #[arg(long, hide = true, default_value_t = 8)]
    at_once: usize,
    #[arg(long, hide = true)]
    files: Option<PathBuf>,
    /// This process says how long a synced write takes.
    #[arg(long, hide = true)]
    measure_fsync: bool,
}

fn main() {
    let options = Options::parse();
    if let (Some(url), Some(files)) = (&options.bare, &options.files) {
        return bare::run(url, files, options.at_once);
    }
    if options.measure_fsync {
        return println!("{}", common::fsync_ms());
    }
    if options.test || !options.bench {
        return println!("nothing to test here (tests/benchmarks.rs does): use cargo bench");
    }
    let mut sizes = if options.quick {
        Sizes::QUICK
    } else {
        Sizes::FULL
    };
    sizes.rounds = options.rounds.unwrap_or(sizes.rounds).max(1);
    let (load, commit) = (facts::load().unwrap_or_default(), facts::commit());
    let field = Field::new(sizes, options.fsync, options.contestants);
    let mut parts = Vec::new();
    for part in Part::ALL {
        if !options.only.is_empty() && !options.only.contains(&part) {
            continue;
        }
        field.ask_disk();
        let rows = match part {
            Part::Small => small::prompt(&field),
            Part::Slow => small::late(&field),
            Part::Large => large::one(&field),
            Part::Several => large::several(&field),
            Part::Latency => latency::run(&field),
        };
        println!(
            "## {}: {}\n\n{}",
            part.name(),
            part.work(&sizes),
            part.table(&rows)
        );
        parts.push((part, rows));
    }
    let facts = facts::facts(&field, sizes.rounds, &load, &commit);
    println!("{facts}");
    let Some(docs) = &options.write else { return };
    let note = match (&options.note, options.quick) {
        (Some(note), _) => format!("**{note}**\n\n"),
        (None, true) => {
            "**A quick run, to see that it works: the figures mean nothing.**\n\n".into()
        }
        (None, false) => String::new(),
    };
    let page = Page {
        facts,
        note,
        sizes: &sizes,
        parts: &parts,
    };
    match page.write(docs) {
        Ok(()) => println!("written: {}", docs.join("benchmarks.md").display()),
        Err(error) => {
            eprintln!("{}: {error}", docs.display());
            std::process::exit(1);
        }
    }
}
