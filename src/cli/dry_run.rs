//! `scan --dry-run`: what would be sent where, and why the rest would not.
//!
//! Must not: decide; `crate::explain` does. It writes nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::progress::Progress;
use super::table::Table;
use super::{Outcome, files, out, runtime};
use crate::config::valid::Config;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::media::Media;
use crate::domain::naming::{shown, shown_text};
use crate::domain::time::Timestamp;
use crate::explain::survey::{Audience, Survey};
use crate::explain::{Fate, Forecast};
use crate::ports::World;
use crate::watch::Offline;
use crate::watch::scan::Go;

/// What only `--dry-run` takes.
#[derive(Debug, clap::Args)]
pub struct DryRun {
    /// With --dry-run: read the files that may be duplicates, to be sure.
    #[arg(long, requires = "dry_run")]
    hash: bool,
    /// With --dry-run: name so many files at most; 0: all.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "dry_run")]
    limit: usize,
    /// With --dry-run: for scripts.
    #[arg(long, requires = "dry_run")]
    json: bool,
}

/// Columns of a name in the table; longer ones are cut, and say so.
const NAME: usize = 60;

/// Says it.
pub fn main(path: &Path, args: &DryRun) -> Outcome {
    let config = files::config_on_disk(path)?;
    let now = World::real().clock.now();
    let runtime = runtime()?;
    // Its threads are started within, and outlive no survey.
    let ledger = files::onlooker(&config)?;
    let mut places = match &ledger {
        Some(ledger) => runtime.block_on(ledger.places())?,
        None => BTreeMap::new(),
    };
    let mut survey = Survey::new(
        &config,
        ledger.as_ref(),
        runtime.handle().clone(),
        args.hash,
        now,
    );
    let mut teller = Teller::new(&config, args, now);
    for folder in config.folders.values() {
        let before = places.remove(&folder.name);
        match survey.folder(folder, before, &mut teller)? {
            Ok(Go::On) => {}
            // Nobody reads any more.
            Ok(Go::Stop) => break,
            Err(why) => teller.not_scanned(&folder.name, why),
        }
    }
    teller.tell(ledger.is_some());
    if let Some(ledger) = ledger {
        runtime.block_on(ledger.close());
    }
    Ok(Exit::Success)
}

/// How many files, and of how many bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    files: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, forecast: &Forecast) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(forecast.size.unwrap_or(0));
    }
}

/// Tells of each file at once, or counts them and tells at the end.
struct Teller<'a> {
    config: &'a Config,
    args: &'a DryRun,
    now: Timestamp,
    progress: Option<Progress>,
    /// By dataset, media and endpoint.
    sent: BTreeMap<(DatasetName, Media, String), Sum>,
    same_size: u64,
    /// By the word and the phrase of their fate.
    others: BTreeMap<(&'static str, String), Sum>,
    not_scanned: Vec<(FolderName, Offline)>,
    /// The first of those that would be sent.
    named: Vec<[String; 6]>,
    /// The first of those that would not, and that the ledger does not have.
    why_not: Vec<[String; 3]>,
    more: u64,
}

impl<'a> Teller<'a> {
    fn new(config: &'a Config, args: &'a DryRun, now: Timestamp) -> Teller<'a> {
        Teller {
            config,
            args,
            now,
            // Lines on the same terminal say enough, and would be broken up.
            progress: (!args.json).then(|| Progress::begin("walking")),
            sent: BTreeMap::new(),
            same_size: 0,
            others: BTreeMap::new(),
            not_scanned: Vec::new(),
            named: Vec::new(),
            why_not: Vec::new(),
            more: 0,
        }
    }

    fn room(&mut self, taken: usize) -> bool {
        let room = self.args.limit == 0 || taken < self.args.limit;
        self.more += u64::from(!room);
        room
    }

    fn count(&mut self, forecast: &Forecast) {
        match (&forecast.fate, &forecast.import) {
            (Fate::Send(_), Some(import)) => {
                let to = (
                    import.dataset.clone(),
                    import.media,
                    import.endpoint.clone(),
                );
                self.sent.entry(to).or_default().add(forecast);
                self.same_size += u64::from(import.same_size);
                if self.room(self.named.len()) {
                    self.named.push([
                        listed(forecast),
                        import.dataset.to_string(),
                        format!("{}/{}", forecast.folder, import.media),
                        import.endpoint.clone(),
                        files::bytes(forecast.size.unwrap_or(0)),
                        shown_text(&import.name, NAME),
                    ]);
                }
            }
            (fate, _) => {
                let of = (fate.as_str(), fate.counted_as());
                self.others.entry(of).or_default().add(forecast);
                // What the ledger has, `list` shows.
                if !matches!(fate, Fate::Known(_)) && self.room(self.why_not.len()) {
                    self.why_not.push([
                        listed(forecast),
                        forecast.size.map(files::bytes).unwrap_or_default(),
                        fate.why(self.now).unwrap_or_default(),
                    ]);
                }
            }
        }
    }

    fn not_scanned(&mut self, folder: &FolderName, why: Offline) {
        if self.args.json {
            let _ = write_line(&json!({
                "folder": folder, "file": null, "would": "not-scanned", "reason": "offline",
                "why": why.to_string(),
            }));
        }
        self.not_scanned.push((folder.clone(), why));
    }

    fn tell(mut self, has_ledger: bool) {
        drop(self.progress.take());
        if !self.args.json {
            let mut text = String::new();
            if !self.named.is_empty() {
                let mut table =
                    Table::new(&["file", "dataset", "route", "endpoint", "size", "sent as"]);
                table.whole(&[1, 2, 3, 4]);
                self.named.iter().for_each(|row| table.row(row.clone()));
                text.push_str(&table.lines());
                text.push_str("\n\n");
            }
            if !self.why_not.is_empty() {
                let mut table = Table::new(&["not sent", "size", "why"]);
                table.whole(&[1]);
                self.why_not.iter().for_each(|row| table.row(row.clone()));
                text.push_str(&table.lines());
                text.push_str("\n\n");
            }
            if self.more > 0 {
                text.push_str(&format!(
                    "… and {} more: --limit 0 or --json names them all\n\n",
                    self.more
                ));
            }
            text.push_str(&self.sums());
            out::print(&text);
        }
        for (folder, why) in &self.not_scanned {
            out::remark(&format!("folder {folder} was not scanned: {why}"));
        }
        if !has_ledger {
            out::remark(&format!(
                "there is no ledger at {} yet: every file counts as new",
                shown(self.config.ledger.as_os_str().as_bytes())
            ));
        }
    }

    fn sums(&self) -> String {
        let mut text = String::new();
        let mut line = |head: &str, what: String| {
            text.push_str(&format!("{head:<15}{what}\n"));
        };
        if self.sent.is_empty() {
            line("would be sent:", "nothing".to_owned());
        }
        for (at, ((dataset, media, endpoint), sum)) in self.sent.iter().enumerate() {
            let files = out::count(sum.files, "file");
            let bytes = files::bytes(sum.bytes);
            line(
                if at == 0 { "would be sent:" } else { "" },
                format!("{files}, {bytes} to {dataset} as {media} ({endpoint})"),
            );
        }
        if self.same_size > 0 {
            line(
                "",
                format!(
                    "{} of the size of one that was sent before: --hash says whether of the same content",
                    self.same_size
                ),
            );
        }
        for (word, head) in [
            ("wait", "would wait:"),
            ("duplicate", "not sent:"),
            ("unsupported", "not sent:"),
            ("known", "known:"),
            ("not-taken", "not taken:"),
        ] {
            let all = self.others.iter().filter(|((of, _), _)| *of == word);
            let all: Vec<String> = all
                .map(|((_, what), sum)| match sum.bytes {
                    0 => format!("{} {what}", sum.files),
                    bytes => format!("{} {what} ({})", sum.files, files::bytes(bytes)),
                })
                .collect();
            if !all.is_empty() {
                line(head, all.join(", "));
            }
        }
        text
    }
}

impl Audience for Teller<'_> {
    fn walked(&mut self, dirs: u64, files: u64) {
        if let Some(progress) = &self.progress {
            progress.walked(dirs, files);
        }
    }

    fn file(&mut self, forecast: Forecast) -> Go {
        if !self.args.json {
            self.count(&forecast);
            return Go::On;
        }
        match write_line(&as_json(self.config, &forecast, self.now)) {
            Ok(()) => Go::On,
            Err(_) => Go::Stop,
        }
    }
}

fn listed(forecast: &Forecast) -> String {
    let path = shown_text(&shown(&forecast.path), NAME);
    format!("{}/{path}", forecast.folder)
}

fn as_json(config: &Config, forecast: &Forecast, now: Timestamp) -> serde_json::Value {
    let import = forecast.import.as_ref();
    let folder = config.folders.get(&forecast.folder);
    let path = folder.map(|folder| folder.path.join(OsStr::from_bytes(&forecast.path)));
    json!({
        "folder": forecast.folder,
        "file": shown(&forecast.path),
        "path": path.map(|path| path.to_string_lossy().into_owned()),
        "size": forecast.size,
        "id": forecast.id,
        "would": forecast.fate.as_str(),
        "reason": forecast.fate.reason(),
        "reason_kind": match &forecast.fate {
            Fate::Unsupported(refusal) => Some(refusal.kind),
            _ => None,
        },
        "why": forecast.fate.why(now),
        "dataset": import.map(|import| &import.dataset),
        "media": import.map(|import| import.media.as_str()),
        "route": import.map(|import| format!("{}/{}", forecast.folder, import.media)),
        "endpoint": import.map(|import| &import.endpoint),
        "sent_as": import.map(|import| &import.name),
        "same_size": import.map(|import| import.same_size),
    })
}

/// One line, at once: whoever reads it goes on with it.
fn write_line(value: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{value}")
}
