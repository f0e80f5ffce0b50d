//! How things stand, on one screen.
//!
//! Must not: find it out (`status` does), or show anything from outside that was
//! not made harmless.

use std::fmt::Write as _;
use std::time::Duration;

use super::table::{Cell, Table};
use super::tone::Tone;
use super::{files, out};
use crate::domain::naming::shown_text;
use crate::domain::resolution::ResolutionKind;
use crate::explain::Starting;
use crate::view::following::{FollowingView, thousands};
use crate::view::halt::PauseView;
use crate::view::span;
use crate::view::standing::{DaemonView, FolderView, GateView, Standing, UploadView};
use crate::watch::Offline;

/// Reasons for which files need attention that are shown, at most.
const GROUPS: usize = 5;

/// Uploads that are shown, at most.
const SHOWN: usize = 10;

/// All of it. `starting`: how a daemon is started here.
pub fn tell(standing: &Standing, starting: &Starting) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let name = tone(name).paint(&format!("{name:<10}"));
        let _ = writeln!(text, "{name} {value}");
    };
    line("daemon", &daemon(standing, starting));
    // An older or newer daemon may answer: nothing is taken on trust.
    line("service", &shown_text(&standing.service, 300));
    line("ledger", &shown_text(&standing.ledger, 4_096));
    let pending = &standing.pending;
    line(
        "work",
        &format!(
            "{} due, {} later, {} uploading, {} at the service, {} to move or delete",
            pending.due,
            pending.later,
            pending.uploading,
            pending.submitted,
            out::count(pending.sources, "source")
        ),
    );
    if let Some(daemon) = &standing.daemon {
        line("lately", &lately(daemon));
    }
    for some in &standing.following {
        if let Some(pace) = some.pace() {
            line("following", &following(some, &pace));
        }
    }
    if let Some(oldest) = &standing.oldest_waiting {
        let waiting = span(Duration::from_secs(oldest.waiting_s));
        let file = shown_text(&oldest.file, 300);
        line(
            "oldest",
            &format!("{}/{file}, waiting for {waiting}", oldest.folder),
        );
        // A daemon of an earlier version says nothing of it.
        if let Some(what) = &oldest.waiting {
            line("", &format!("waits: {}", shown_text(&what.text, 1_000)));
        }
    }
    for pause in &standing.pauses {
        let (why, ends) = held(standing, pause);
        line("PAUSED", &why);
        line("", &ends);
    }
    for gate in &standing.gates {
        let (why, opens) = paused(standing, gate);
        line("PAUSED", &why);
        line("", &opens);
    }
    if let Some(why) = &standing.stopped {
        line("STOPPED", &shown_text(why, 1_000));
    }
    for dataset in standing.daemon.iter().flat_map(|daemon| &daemon.stale_keys) {
        line(
            "KEY",
            &format!(
                "the key file of dataset {dataset} changed on disk, and the daemon goes on with the former key: `supametas-sync reload`"
            ),
        );
    }
    for stay in &standing.stay {
        let files = out::count(stay.files, "source");
        let why = shown_text(&stay.why, 1_000);
        let folder = &stay.folder;
        line(
            "STAY",
            &format!(
                "{files} of folder {folder} could not be moved or deleted yet, such as: {why}"
            ),
        );
    }
    for folder in &standing.folders {
        let name = &folder.folder;
        if let Some(why) = &folder.offline {
            let since = offline_since(folder);
            line(
                "OFFLINE",
                &format!("folder {name}{since}: {}", shown_text(why, 1_000)),
            );
        }
        if let Some(why) = &folder.shared {
            line(
                "WARNING",
                &format!("folder {name}: {}", shown_text(why, 1_000)),
            );
        }
    }
    if let Some(bytes) = standing.daemon.as_ref().and_then(|d| d.long_log_bytes) {
        let long = files::bytes(bytes);
        line(
            "WARNING",
            &format!("a program keeps reading the ledger, whose log has grown to {long}: end it"),
        );
    }
    for door in standing.daemon.iter().flat_map(|daemon| &daemon.doors) {
        if let (false, Some(why)) = (door.open, &door.problem) {
            let (at, why) = (shown_text(&door.at, 200), shown_text(why, 300));
            line("NOT OPEN", &format!("{at}: {why}; it is tried again"));
        }
    }
    for file in &standing.changing {
        let (path, wait) = (
            shown_text(&file.file, 200),
            file.due_at.0.since(standing.now.0),
        );
        line(
            "CHANGES",
            &format!(
                "folder {}: {path} changes again and again; its newest version goes in {}",
                file.folder,
                span(wait)
            ),
        );
    }
    if let Some(daemon) = &standing.daemon
        && !daemon.in_flight.is_empty()
    {
        text.push('\n');
        text.push_str(&in_flight(standing, &daemon.in_flight));
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}", folders(standing));
    let problems = standing.folders.iter().filter_map(|folder| {
        let problem = folder.live.as_ref()?.problem.as_deref()?;
        // What is off line is told above.
        folder
            .offline
            .is_none()
            .then_some((&folder.folder, problem))
    });
    for (folder, problem) in problems {
        let _ = writeln!(text, "\nfolder {folder}: {}", shown_text(problem, 400));
    }
    text.push_str(&being_written(standing));
    for left in &standing.left_behind {
        let label = Tone::Warn.paint("LEFT BEHIND");
        let _ = writeln!(text, "\n{label}  {}", shown_text(&left.why, 1_000));
    }
    if standing.attention > 0 {
        let files = if standing.attention == 1 {
            "1 file needs".to_owned()
        } else {
            format!("{} files need", standing.attention)
        };
        let _ = writeln!(text, "\n{files} attention: supametas-sync list --attention");
        for group in standing.attention_groups.iter().take(GROUPS) {
            let _ = writeln!(text, "  {}", shown_text(&group.text, 300));
        }
        if let Some(more @ 1..) = standing.attention_groups.len().checked_sub(GROUPS) {
            let _ = writeln!(text, "  … and for {more} more reasons");
        }
    }
    if let Some(files @ 1..) = standing.resolved.get(&ResolutionKind::Acknowledged) {
        let files = out::count(*files, "file");
        let _ = writeln!(
            text,
            "\n{files} acknowledged: supametas-sync list --acknowledged"
        );
    }
    text
}

/// Of the word that a line begins with.
fn tone(label: &str) -> Tone {
    match label {
        "STOPPED" | "OFFLINE" => Tone::Bad,
        "PAUSED" | "KEY" | "STAY" | "WARNING" | "NOT OPEN" | "CHANGES" => Tone::Warn,
        _ => Tone::Plain,
    }
}

fn daemon(standing: &Standing, starting: &Starting) -> String {
    match (&standing.daemon, standing.running) {
        (Some(daemon), _) => format!(
            "running for {}, version {}",
            span(standing.now.0.since(daemon.started_at.0)),
            shown_text(&daemon.version, 40)
        ),
        (None, true) => "running".to_owned(),
        (None, false) => format!("not running: `{}` starts it", starting.daemon()),
    }
}

/// How fast the tasks of a dataset are confirmed, and the key that would make it
/// faster.
fn following(some: &FollowingView, pace: &str) -> String {
    let tasks = match some.tasks {
        1 => "1 task".to_owned(),
        tasks => format!("{} tasks", thousands(tasks)),
    };
    let dataset = &some.dataset;
    let bound = match some.bounded_by.as_deref() {
        Some(key) => format!(
            "; `{key} = {}` of dataset {dataset} bounds it",
            some.polls_per_second
        ),
        None => "; the service works on them".to_owned(),
    };
    format!(
        "{tasks} of dataset {dataset}: {pace}{}",
        shown_text(&bound, 200)
    )
}

fn lately(daemon: &DaemonView) -> String {
    // A young daemon has seen the same of each window.
    let mut rates = daemon.rates.clone();
    rates.dedup_by_key(|rate| rate.over_s);
    let told = rates.iter().map(|rate| {
        let mut told = format!(
            "{} and {} in {}",
            out::count(rate.files, "file"),
            files::bytes(rate.bytes),
            span(Duration::from_secs(rate.over_s))
        );
        if rate.failed > 0 {
            let _ = write!(told, " ({} failed)", out::count(rate.failed, "attempt"));
        }
        told
    });
    told.collect::<Vec<_>>().join("; ")
}

fn held(standing: &Standing, pause: &PauseView) -> (String, String) {
    let ago = span(standing.now.0.since(pause.since.0));
    let why = pause.why.as_deref().unwrap_or("no reason given");
    let (scope, who) = (shown_text(&pause.scope, 200), shown_text(&pause.who, 60));
    let told = format!("{scope}, {ago} ago by {who}: {}", shown_text(why, 300));
    (told, shown_text(&pause.ends, 400))
}

fn paused(standing: &Standing, gate: &GateView) -> (String, String) {
    let ago = span(standing.now.0.since(gate.since.0));
    let (name, code) = (shown_text(&gate.gate, 200), shown_text(&gate.code, 40));
    let why = format!("{name}, {ago} ago: {code} {}", shown_text(&gate.why, 300));
    let opens = if gate.status == "probing" {
        let by_hand = format!("`supametas-sync resume {name}` opens it by hand");
        format!("one file is out to see; {by_hand}")
    } else {
        format!(
            "until {}: {}",
            out::time(gate.until.0),
            shown_text(&gate.opens, 400)
        )
    };
    (why, opens)
}

fn in_flight(standing: &Standing, uploads: &[UploadView]) -> String {
    let mut table = Table::new(&["id", "in flight", "size", "sent", "for", "to"]);
    table.whole(&[0, 2, 3, 4, 5]);
    for upload in uploads.iter().take(SHOWN) {
        let percent = (upload.sent * 100).checked_div(upload.size).unwrap_or(100);
        let sent = match percent.min(100) {
            100 => "all; awaits the answer".to_owned(),
            percent => format!("{percent} %"),
        };
        let probe = if upload.probe { " (probe)" } else { "" };
        table.row([
            upload.id.to_string(),
            format!("{}/{}{probe}", upload.folder, shown_text(&upload.file, 80)),
            files::bytes(upload.size),
            sent,
            files::age(standing.now.0.since(upload.started_at.0)),
            format!("{} as {}", upload.dataset, upload.media),
        ]);
    }
    let mut text = table.lines();
    if let Some(more @ 1..) = uploads.len().checked_sub(SHOWN) {
        let _ = write!(text, "\n… and {more} more");
    }
    text.push('\n');
    text
}

/// Files that their writers have not closed, a line each.
fn being_written(standing: &Standing) -> String {
    let all = standing.folders.iter().flat_map(|folder| {
        let live = folder.live.iter();
        live.flat_map(|live| &live.being_written)
            .map(move |file| (&folder.folder, file))
    });
    let mut text = String::new();
    for (folder, file) in all.clone().take(SHOWN) {
        let name = shown_text(&file.file, 300);
        let _ = writeln!(
            text,
            "\n{folder}/{name}: being written since {}",
            out::time(file.since.0)
        );
    }
    if let Some(more @ 1..) = all.count().checked_sub(SHOWN) {
        let _ = writeln!(text, "… and {more} more are being written");
    }
    text
}

fn folders(standing: &Standing) -> String {
    let live = standing.daemon.is_some();
    let mut table = if live {
        Table::new(&["folder", "dataset", "is", "last scan", "files", "path"])
    } else {
        Table::new(&["folder", "dataset", "files", "path"])
    };
    table.whole(&[0, 1]);
    for folder in &standing.folders {
        let name = folder.folder.to_string();
        let dataset = folder.dataset.as_ref().map(ToString::to_string);
        let dataset = dataset.unwrap_or_default();
        let path = folder.path.as_deref().map(|path| shown_text(path, 4_096));
        let path = path.unwrap_or("not in the configuration any more".to_owned());
        if live {
            let (is, scan) = (condition(standing, folder), last_scan(standing, folder));
            let tone = match &folder.live {
                Some(live) if !live.online => Tone::Bad,
                _ => Tone::Plain,
            };
            table.row([
                Cell::from(name),
                dataset.into(),
                Cell::toned(tone, is),
                scan.into(),
                counted(folder).into(),
                path.into(),
            ]);
        } else {
            table.row([name, dataset, counted(folder), path]);
        }
    }
    table.lines()
}

fn counted(folder: &FolderView) -> String {
    let mut told: Vec<String> = Vec::new();
    if let Some(settling) = folder.live.as_ref().map(|l| l.settling).filter(|n| *n > 0) {
        told.push(format!("{settling} settling"));
    }
    told.extend(folder.files.iter().map(|(state, n)| format!("{n} {state}")));
    if told.is_empty() {
        return "none yet".to_owned();
    }
    told.join(", ")
}

/// Whether it is there, and how it is watched.
fn condition(standing: &Standing, folder: &FolderView) -> String {
    let Some(live) = &folder.live else {
        let looked_for = folder.configured;
        return if looked_for { "not looked for yet" } else { "" }.to_owned();
    };
    if live.online {
        return match live.watch.as_str() {
            "events" => "watched".to_owned(),
            _ => "polled".to_owned(),
        };
    }
    let since = live.since.map(|since| span(standing.now.0.since(since.0)));
    let is = match is_not_answering(folder) {
        true => "NOT ANSWERING",
        false => "OFFLINE",
    };
    format!("{is} for {}", since.unwrap_or_default())
}

fn is_not_answering(folder: &FolderView) -> bool {
    folder.offline_kind.as_deref() == Some(Offline::NotAnswering.word())
}

/// Behind the name of a folder that is off line: since when, where a daemon knows.
fn offline_since(folder: &FolderView) -> String {
    let since = folder.live.as_ref().and_then(|live| live.since);
    match (since, is_not_answering(folder)) {
        (Some(since), true) => format!(", not answering since {}", out::time(since.0)),
        (Some(since), false) => format!(", since {}", out::time(since.0)),
        (None, true) => ", not answering".to_owned(),
        (None, false) => String::new(),
    }
}

fn last_scan(standing: &Standing, folder: &FolderView) -> String {
    let Some(live) = &folder.live else {
        return String::new();
    };
    if live.scanning {
        return "now".to_owned();
    }
    match &live.last_scan {
        Some(scan) => format!("{} ago", files::age(standing.now.0.since(scan.at.0))),
        None => "none yet".to_owned(),
    }
}
