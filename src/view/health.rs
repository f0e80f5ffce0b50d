//! How well all is, from how things stand: as the line of a monitoring plugin,
//! and as JSON.
//!
//! The line has the form that Nagios and its like read: a word, a dash, what is
//! known, a bar, and figures (`'label'=value;warning;critical`); see
//! <https://www.monitoring-plugins.org/doc/guidelines.html>.
//!
//! Must not: decide what is well; [`crate::domain::health`] does.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::standing::Standing;
use super::{lifts, span};
use crate::domain::error_table::Lifts;
use crate::domain::health::{
    ClosedGate, Daemon, Facts, Finding, Health, Level, Limits, LostFolder, Pause, What, judge,
};
use crate::domain::naming::shown_text;

/// Findings that are named in a line, at most.
const NAMED: usize = 5;

/// Characters of one finding in a line, at most.
const LONGEST: usize = 300;

/// How well all is. `silent`: a daemon holds the ledger and gives no answer.
pub fn health(standing: &Standing, silent: bool, limits: &Limits) -> Health {
    judge(&facts(standing, silent), limits)
}

fn facts(standing: &Standing, silent: bool) -> Facts {
    let now = standing.now.0;
    let daemon = match (silent, standing.running) {
        (true, _) => Daemon::Silent,
        (false, true) => Daemon::Works,
        (false, false) => Daemon::Absent,
    };
    let gates = standing.gates.iter().map(|gate| ClosedGate {
        gate: gate.gate.clone(),
        code: gate.code.clone(),
        lasts: now.since(gate.since.0),
        by_time: gate.lifts == lifts(Lifts::Time),
    });
    let pauses = standing.pauses.iter().map(|pause| Pause {
        scope: pause.scope.clone(),
        who: pause.who.clone(),
        lasts: now.since(pause.since.0),
        ends: pause.until.is_some(),
    });
    let folders = standing.folders.iter().filter_map(|folder| {
        let since = folder.live.as_ref().and_then(|live| live.since);
        Some(LostFolder {
            folder: folder.folder.clone(),
            why: folder.offline.clone()?,
            lasts: since.map(|since| now.since(since.0)),
        })
    });
    Facts {
        daemon,
        stopped: standing.stopped.clone(),
        attention: standing.attention,
        waiting: standing.pending.due + standing.pending.later + standing.pending.submitted,
        // What is held back on purpose waits as it should.
        oldest: standing.oldest_unpaused_s.map(Duration::from_secs),
        gates: gates.collect(),
        pauses: pauses.collect(),
        folders: folders.collect(),
        remarks: remarks(standing),
    }
}

/// What else a person has to see to.
fn remarks(standing: &Standing) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    if let Some(daemon) = &standing.daemon {
        told.extend(daemon.stale_keys.iter().map(|dataset| {
            format!("the key file of dataset {dataset} changed: `supametas-sync reload`")
        }));
        let closed = daemon.doors.iter().filter(|door| !door.open);
        told.extend(closed.map(|door| format!("{} is not open", door.at)));
        if daemon.long_log_bytes.is_some() {
            told.push("a program keeps reading the ledger, and its log grows".to_owned());
        }
    }
    told.extend(standing.stay.iter().map(|stay| {
        format!(
            "{} sources of folder {} could not be moved or deleted: {}",
            stay.files, stay.folder, stay.why
        )
    }));
    told.extend(standing.folders.iter().filter_map(|folder| {
        let why = folder.shared.as_ref()?;
        Some(format!("folder {}: {why}", folder.folder))
    }));
    told.extend(standing.left_behind.iter().map(|left| left.why.clone()));
    told
}

/// The line, without a line break.
pub fn line(health: &Health, standing: &Standing, limits: &Limits) -> String {
    let mut told: Vec<String> = health.findings.iter().map(words).collect();
    if let Some(more @ 1..) = told.len().checked_sub(NAMED) {
        told.truncate(NAMED);
        told.push(format!("and {more} more"));
    }
    if told.is_empty() {
        let pending = &standing.pending;
        told.push(format!(
            "{} due, {} later, {} uploading, {} at the service",
            pending.due, pending.later, pending.uploading, pending.submitted
        ));
    }
    let (word, told) = (health.level.plugin_word(), told.join("; "));
    format!(
        "SUPAMETAS {word} - {told} | {}",
        figures(standing, limits).trim_end()
    )
}

/// The line of a check that could not find out, or not all of it.
pub fn line_of_failure(level: Level, why: &str) -> String {
    format!("SUPAMETAS {} - {}", level.plugin_word(), one_line(why))
}

/// The same as JSON.
pub fn as_json(health: &Health, standing: &Standing, limits: &Limits) -> Value {
    let findings: Vec<Value> = health
        .findings
        .iter()
        .map(|finding| {
            json!({
                "level": finding.level.as_str(),
                "kind": finding.what.kind(),
                "what": words(finding),
            })
        })
        .collect();
    json!({
        "ok": matches!(health.level, Level::Well | Level::Attention),
        "level": health.level.as_str(),
        "exit": health.level.code(),
        "line": line(health, standing, limits),
        "findings": findings,
    })
}

/// The same of a check that could not find out.
pub fn failure_as_json(level: Level, why: &str) -> Value {
    json!({
        "ok": false,
        "level": level.as_str(),
        "exit": level.code(),
        "line": line_of_failure(level, why),
        "findings": [{
            "level": level.as_str(), "kind": "failed", "what": one_line(why),
        }],
    })
}

/// A finding in words, in one line.
fn words(finding: &Finding) -> String {
    let said = match &finding.what {
        What::NotRunning => "no daemon runs: start it".to_owned(),
        What::NotAnswering => {
            "the daemon holds the ledger and gives no answer: look at its disk and its log"
                .to_owned()
        }
        What::Stopped(why) => why.clone(),
        What::Gate(gate) => format!(
            "gate {} is closed for {}: {}",
            gate.gate,
            span(gate.lasts),
            gate.code
        ),
        What::Folder(folder) => {
            let lasts = folder.lasts.map(|lasts| format!(" for {}", span(lasts)));
            let lasts = lasts.unwrap_or_default();
            format!(
                "folder {} is off line{lasts}: {}",
                folder.folder, folder.why
            )
        }
        What::Paused(pause) => {
            let lasts = span(pause.lasts);
            format!("{} is paused by {} for {lasts}", pause.scope, pause.who)
        }
        What::Attention(1) => "1 file needs attention".to_owned(),
        What::Attention(files) => format!("{files} files need attention"),
        What::Waits(oldest) => format!("a file waits for {}", span(*oldest)),
        What::Remark(remark) => remark.clone(),
    };
    one_line(&said)
}

/// In a line of a plugin a bar begins the figures, and a line break long text.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    shown_text(&words.join(" ").replace('|', "/"), LONGEST)
}

fn figures(standing: &Standing, limits: &Limits) -> String {
    let mut text = String::new();
    let mut figure = |label: &str, value: u64, unit: &str, warn: String, crit: String| {
        let mut one = format!("{label}={value}{unit};{warn};{crit}");
        while one.ends_with(';') {
            one.pop();
        }
        let _ = write!(text, "{one} ");
    };
    let seconds =
        |limit: Option<Duration>| limit.map_or(String::new(), |l| l.as_secs().to_string());
    let number = |limit: Option<u64>| limit.map_or(String::new(), |l| l.to_string());
    let none = String::new;
    let offline = standing.folders.iter().filter(|f| f.offline.is_some());
    figure(
        "attention",
        standing.attention,
        "",
        number(Some(limits.attention_warning)),
        number(limits.attention_critical),
    );
    figure(
        "oldest",
        standing.oldest_unpaused_s.unwrap_or(0),
        "s",
        seconds(limits.oldest_warning),
        seconds(limits.oldest_critical),
    );
    let pending = &standing.pending;
    for (label, value) in [
        ("gates", standing.gates.len() as u64),
        ("offline", offline.count() as u64),
        ("due", pending.due),
        ("later", pending.later),
        ("uploading", pending.uploading),
        ("submitted", pending.submitted),
    ] {
        figure(label, value, "", none(), none());
    }
    text
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
