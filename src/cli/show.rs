//! `show`: everything known about one file.
//!
//! Must not: change anything.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::exit::Exit;
use super::find::{self, Found};
use super::tone::Tone;
use super::{Outcome, files, out, runtime, waiting};
use crate::config::valid::Config;
use crate::domain::naming::{shown, shown_text};
use crate::domain::time::Timestamp;
use crate::domain::waiting::Waiting;
use crate::ledger::FileStory;
use crate::ports::World;
use crate::view;

/// Everything known about one file: every attempt, answer and change
///
/// FILE is its id (see `list`), its path, or a part of its name. A file
/// that is called 42 is ./42. Where a path has had several versions, all are
/// shown, latest first; where several files fit, they are listed.
///
/// With --json, a list of objects as `list --json` has them, each with its
/// history (at, from, to, code, why) and attempts (id, endpoint, started_at,
/// last_byte_at, ended_at, http_status, code, message, verdict, bytes, task): the
/// first and the last ones, left_out says how many (attempts, changes) are not.
///
/// Examples:
///   supametas-sync show 42
///   supametas-sync show /srv/scans/invoice.pdf
///   supametas-sync show invoice --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Id, path, or a part of the name.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Files or versions of one that are shown at most.
const SHOWN: usize = 50;

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let files = match find::find(&config, &ledger, &args.file).await? {
            Found::Several(files) if !args.json => {
                out::print(&find::choice(&files));
                out::remark("several files fit: name one by its id or its path");
                return Ok(Exit::Success);
            }
            Found::One(files) | Found::Several(files) => files,
        };
        let left_out = files.len().saturating_sub(SHOWN);
        let mut stories = Vec::new();
        for file in files.into_iter().take(SHOWN) {
            stories.extend(ledger.show(file.id).await?);
        }
        let records: Vec<_> = stories.iter().map(|story| story.file.clone()).collect();
        let around = waiting::around(&config, &ledger, &records, now).await?;
        if args.json {
            let values = stories
                .iter()
                .map(|story| view::story_json(&config, story, &around.of(&story.file), now));
            out::print_json(&values.collect::<Value>());
        } else {
            let told = stories
                .iter()
                .map(|story| tell(&config, story, &around.of(&story.file), now));
            out::print(&told.collect::<Vec<_>>().join("\n"));
        }
        if left_out > 0 {
            out::remark(&format!("{left_out} more are not shown"));
        }
        Ok(Exit::Success)
    })
}

fn tell(config: &Config, story: &FileStory, waiting: &[Waiting], now: Timestamp) -> String {
    let file = &story.file;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line(
        "file",
        shown(std::os::unix::ffi::OsStrExt::as_bytes(
            view::path_of(config, file).as_os_str(),
        )),
    );
    line("id", file.id.to_string());
    let media = file.media.map_or("unsorted", |media| media.as_str());
    line(
        "goes to",
        format!("{} as {media}, from folder {}", file.dataset, file.folder),
    );
    line(
        "size",
        format!(
            "{} ({})",
            files::bytes(file.version.size),
            out::count(file.version.size, "byte")
        ),
    );
    line(
        "state",
        format!(
            "{}: {}",
            Tone::of_state(file.state.kind()).paint(file.state.kind().as_str()),
            out::with_times(&view::detail(file, waiting, now))
        ),
    );
    for also in waiting.iter().skip(1) {
        line("also", out::with_times(&also.text(now)));
    }
    if let Some(resolved) = &file.resolved {
        line(
            "resolved",
            format!("{}  {}", out::time(resolved.at), resolved.how),
        );
    }
    if file.possible_duplicate {
        line("note", "it was sent again though an earlier body may have been taken: look for a duplicate in the console".into());
    }
    if file.may_be_incomplete {
        line("note", "its end seemed to be missing, and no more came while it was waited for: it may be incomplete".into());
    }
    if let Some(source) = view::source(file) {
        line("source", out::with_times(&source));
    }
    if let Some(poll) = &file.poll {
        line(
            "polled",
            format!(
                "{}, last {} ago: {} {}",
                out::count(poll.count, "time"),
                view::span(now.since(poll.at)),
                poll.code,
                shown_text(&poll.message, 200)
            ),
        );
    }
    line("history", format!("{}  seen", out::time(file.seen_at)));
    for change in &story.history {
        let code = change
            .code
            .as_ref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        let states = match change.from == change.to {
            // What is said of a file changes no state.
            true => change.to.to_string(),
            false => format!("{} → {}", change.from, change.to),
        };
        let why = shown_text(&change.why, 300);
        line(
            "",
            format!("{}  {states}{code}: {why}", out::time(change.at)),
        );
    }
    let (attempts, changes) = story.left_out();
    if attempts > 0 || changes > 0 {
        line(
            "left out",
            format!(
                "{} and {} between the first and the last ones",
                out::count(changes, "change"),
                out::count(attempts, "attempt")
            ),
        );
    }
    for attempt in &story.attempts {
        let ended = attempt.ended_at.map_or("not ended".to_owned(), |at| {
            format!("{} ms", at.since(attempt.started_at).as_millis())
        });
        line(
            &format!("attempt {}", attempt.id),
            format!(
                "{}  {}{}, {}, {}, {}{}{}{}",
                out::time(attempt.started_at),
                shown_text(&attempt.endpoint, 200),
                if attempt.probe { " (probe)" } else { "" },
                out::count(attempt.bytes.unwrap_or(0), "byte"),
                ended,
                attempt.verdict.as_deref().unwrap_or("under way"),
                attempt
                    .http_status
                    .map(|status| format!(", HTTP {status}"))
                    .unwrap_or_default(),
                attempt
                    .code
                    .as_ref()
                    .map(|code| format!(", code {code}"))
                    .unwrap_or_default(),
                if attempt.last_byte_at.is_some() {
                    ""
                } else {
                    " (last byte held back)"
                },
            ),
        );
        if let Some(message) = attempt.message.as_deref().filter(|m| !m.is_empty()) {
            line("", shown_text(message, 300));
        }
    }
    text
}
