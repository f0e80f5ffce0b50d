//! `docs/benchmarks.md` and its pictures, made of what was measured and of the
//! words of `page.md`.
//!
//! Must not: contain a figure.

use std::fs;
use std::io;
use std::path::Path;

use crate::chart::{Scale, chart};
use crate::field::Sizes;
use crate::rows::Row;
use crate::table::{self, number};

const WORDS: &str = include_str!("page.md");

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Small files that wait.
    Small,
    /// The same with every answer 50 ms late.
    Slow,
    /// One large file.
    Large,
    /// Eight large files.
    Several,
    /// From rename to request.
    Latency,
}

impl Part {
    /// All, in the page's order.
    pub const ALL: [Part; 5] = [
        Part::Small,
        Part::Slow,
        Part::Large,
        Part::Several,
        Part::Latency,
    ];

    /// As on the command line, in the page's words and in the pictures' names.
    pub fn name(self) -> &'static str {
        match self {
            Part::Small => "small",
            Part::Slow => "slow",
            Part::Large => "large",
            Part::Several => "several",
            Part::Latency => "latency",
        }
    }

    /// What is done, for the page.
    pub fn work(self, sizes: &Sizes) -> String {
        let mib = |bytes: u64| match bytes >> 20 {
            mib if mib % 1024 == 0 => format!("{} GiB", mib / 1024),
            mib => format!("{mib} MiB"),
        };
        match self {
            Part::Small => number(sizes.small as f64),
            Part::Slow => number(sizes.late as f64),
            Part::Large => mib(sizes.large),
            Part::Several => format!("{} files of {}", sizes.several, mib(sizes.each)),
            Part::Latency => number(sizes.singles as f64),
        }
    }

    /// The table.
    pub fn table(self, rows: &[Row]) -> String {
        match self {
            Part::Small | Part::Slow => table::rates(rows, "files/s"),
            Part::Large | Part::Several => table::rates(rows, "MB/s"),
            Part::Latency => table::latencies(rows),
        }
    }

    /// The picture.
    pub fn chart(self, rows: &[Row], sizes: &Sizes) -> String {
        let work = self.work(sizes);
        match self {
            Part::Small => {
                let title = format!("{work} files of 4 KiB, files/s (more is better)");
                chart(&title, rows, Scale::Linear)
            }
            Part::Slow => {
                let title = format!("{work} files, answers 50 ms late, files/s (more is better)");
                chart(&title, rows, Scale::Linear)
            }
            Part::Large => {
                let title = format!("One file of {work}, MB/s (more is better)");
                chart(&title, rows, Scale::Linear)
            }
            Part::Several => chart(
                &format!("{work}, MB/s (more is better)"),
                rows,
                Scale::Linear,
            ),
            Part::Latency => {
                let title = "Rename to complete request, p50 / p99, log scale (less is better)";
                chart(title, rows, Scale::Log)
            }
        }
    }
}

/// What the page is made of.
pub struct Page<'a> {
    /// The machine, as a list.
    pub facts: String,
    /// What to say before it, if anything.
    pub note: String,
    /// How much was done.
    pub sizes: &'a Sizes,
    /// What was measured.
    pub parts: &'a [(Part, Vec<Row>)],
}

impl Page<'_> {
    /// The page's text. Parts that were not run say so.
    pub fn text(&self) -> String {
        let mut text = WORDS
            .replace("{{note}}", &self.note)
            .replace("{{facts}}", &self.facts);
        for part in Part::ALL {
            let name = part.name();
            let measured = self.parts.iter().find(|(p, _)| *p == part);
            let table = match measured {
                None => "Not part of this run.\n".to_owned(),
                Some((_, rows)) => format!(
                    "{}\n![The same as bars](images/bench-{name}.svg)\n",
                    part.table(rows)
                ),
            };
            text = text
                .replace(&format!("{{{{{name}}}}}"), &table)
                .replace(&format!("{{{{{name}-work}}}}"), &part.work(self.sizes));
        }
        text
    }

    /// Writes it and its pictures into `docs`.
    pub fn write(&self, docs: &Path) -> io::Result<()> {
        let images = docs.join("images");
        fs::create_dir_all(&images)?;
        for (part, rows) in self.parts {
            let file = images.join(format!("bench-{}.svg", part.name()));
            fs::write(file, part.chart(rows, self.sizes))?;
        }
        fs::write(docs.join("benchmarks.md"), self.text())
    }
}

#[cfg(test)]
#[allow(
    unused,
    clippy::unwrap_used,
    reason = "the benchmark itself has no harness"
)]
mod tests {
    use super::*;

    #[test]
    fn the_words_have_a_place_for_everything_and_nothing_is_left_open() {
        for part in Part::ALL {
            assert!(WORDS.contains(&format!("{{{{{}}}}}", part.name())));
        }
        let parts = [(Part::Slow, Vec::new())];
        let page = Page {
            facts: "- a machine\n".to_owned(),
            note: String::new(),
            sizes: &Sizes::FULL,
            parts: &parts,
        };
        let text = page.text();
        assert!(!text.contains("{{"), "{text}");
        assert!(text.contains("- a machine") && text.contains("10,000 files of 4 KiB"));
        assert!(text.contains("One file of 2 GiB") && text.contains("8 files of 256 MiB"));
        assert_eq!(text.matches("Not part of this run.").count(), 4);
        let dir = tempfile::tempdir().unwrap();
        page.write(dir.path()).unwrap();
        assert!(dir.path().join("images/bench-slow.svg").exists());
        assert!(!dir.path().join("images/bench-small.svg").exists());
    }
}
