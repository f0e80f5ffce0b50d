//! `show`: everything known about one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::exit::Exit;
use super::{Failed, Outcome, files, runtime, table};
use crate::config::valid::Config;
use crate::domain::naming::{shown, shown_text};
use crate::domain::time::Timestamp;
use crate::ledger::FileStory;
use crate::ports::World;

/// Everything known about one file: every attempt, answer and change.
///
/// FILE is its number (see `list`), its path, or a part of its name. Where a
/// path has had several versions, all are shown, latest first.
///
/// Examples:
///   supametas-sync show 42
///   supametas-sync show /srv/scans/invoice.pdf
///   supametas-sync show invoice --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Number, path, or a part of the name.
    file: PathBuf,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Versions shown at most.
const VERSIONS: usize = 10;

/// Prints it.
pub fn main(config: &Path, args: Args) -> Outcome {
    let config = files::config(config)?;
    let now = World::real().clock.now();
    let stories = runtime()?.block_on(async {
        let ledger = files::ledger(&config)?;
        let mut stories = Vec::new();
        for file in files::find(&config, &ledger, &args.file)
            .await?
            .into_iter()
            .take(VERSIONS)
        {
            stories.extend(ledger.show(file.id).await?);
        }
        Ok::<_, Failed>(stories)
    })?;
    if args.json {
        table::print_json(
            &stories
                .iter()
                .map(|story| as_json(story, now))
                .collect::<Value>(),
        );
    } else {
        let told: Vec<String> = stories
            .iter()
            .map(|story| tell(&config, story, now))
            .collect();
        table::print(&told.join("\n"));
    }
    Ok(Exit::Success)
}

fn tell(config: &Config, story: &FileStory, now: Timestamp) -> String {
    let file = &story.file;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    line(
        "file",
        shown(std::os::unix::ffi::OsStrExt::as_bytes(
            files::path_of(config, file).as_os_str(),
        )),
    );
    line("number", file.id.to_string());
    let media = file.media.map_or("unsorted", |media| media.as_str());
    line(
        "goes to",
        format!("{} as {media}, from folder {}", file.dataset, file.folder),
    );
    line(
        "size",
        format!(
            "{} ({} bytes)",
            files::bytes(file.version.size),
            file.version.size
        ),
    );
    line(
        "state",
        format!("{}: {}", file.state.kind(), files::detail(file, now)),
    );
    if file.possible_duplicate {
        line("note", "it was sent again though an earlier body may have been taken: look for a duplicate in the console".into());
    }
    if let Some(source) = files::source(file) {
        line("source", source);
    }
    if let Some(poll) = &file.poll {
        line(
            "polled",
            format!(
                "{} times, last {} ago: {} {}",
                poll.count,
                files::span(now.since(poll.at)),
                poll.code,
                shown_text(&poll.message, 200)
            ),
        );
    }
    line("history", format!("{}  seen", file.seen_at));
    for change in &story.history {
        let code = change
            .code
            .as_ref()
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        line(
            "",
            format!(
                "{}  {} → {}{code}: {}",
                change.at,
                change.from,
                change.to,
                shown_text(&change.why, 300)
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
                "{}  {}, {} bytes, {}, {} {}{}",
                attempt.started_at,
                attempt.endpoint,
                attempt.bytes.unwrap_or(0),
                ended,
                attempt.verdict.as_deref().unwrap_or("under way"),
                attempt
                    .code
                    .as_ref()
                    .map(ToString::to_string)
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

fn as_json(story: &FileStory, now: Timestamp) -> Value {
    let mut file = files::as_json(&story.file, now);
    file["history"] = story
        .history
        .iter()
        .map(|change| {
            json!({
                "at": change.at.to_string(), "from": change.from, "to": change.to,
                "code": change.code, "why": change.why,
            })
        })
        .collect();
    file["attempts"] = story
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "id": attempt.id, "endpoint": attempt.endpoint, "probe": attempt.probe,
                "started_at": attempt.started_at.to_string(),
                "last_byte_at": attempt.last_byte_at.map(|at| at.to_string()),
                "ended_at": attempt.ended_at.map(|at| at.to_string()),
                "http_status": attempt.http_status, "code": attempt.code,
                "message": attempt.message, "verdict": attempt.verdict,
                "bytes": attempt.bytes, "task": attempt.task,
            })
        })
        .collect();
    file
}
