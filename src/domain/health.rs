//! Is all well? The decision behind `status --check`, `/healthz?deep` and the
//! metric `supametas_health`.
//!
//! Must not: find a fact out, or word what it found.

use std::time::Duration;

use super::ids::FolderName;

/// How well all is. The numbers are the exit codes that Nagios and its like
/// expect of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nobody has to do anything.
    Well,
    /// A person should look; files go on.
    Attention,
    /// Files do not go on.
    Trouble,
    /// It could not be found out.
    Unknown,
}

impl Level {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Level::Well => 0,
            Level::Attention => 1,
            Level::Trouble => 2,
            Level::Unknown => 3,
        }
    }

    /// The word of monitoring plugins.
    pub const fn plugin_word(self) -> &'static str {
        match self {
            Level::Well => "OK",
            Level::Attention => "WARNING",
            Level::Trouble => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        }
    }

    /// The word for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Well => "well",
            Level::Attention => "attention",
            Level::Trouble => "trouble",
            Level::Unknown => "unknown",
        }
    }

    /// What is known to be wrong counts more than what is not known.
    const fn rank(self) -> u8 {
        match self {
            Level::Well => 0,
            Level::Attention => 1,
            Level::Unknown => 2,
            Level::Trouble => 3,
        }
    }
}

/// From where on something is reported. `None`: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// More files than that need attention: attention.
    pub attention_warning: u64,
    /// More files than that need attention: trouble.
    pub attention_critical: Option<u64>,
    /// A file waits for longer than that: attention.
    pub oldest_warning: Option<Duration>,
    /// A file waits for longer than that: trouble.
    pub oldest_critical: Option<Duration>,
    /// A gate is closed for as long as that: trouble. Before, it is only named.
    pub gate_critical: Duration,
    /// A folder can't be reached for as long as that: trouble. Before, it is
    /// only named.
    pub folder_critical: Duration,
    /// An operator's pause without an end holds for longer than that: attention.
    pub pause_warning: Duration,
    /// Whether a daemon has to run: not where `scan` is started from cron.
    pub daemon_runs: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            attention_warning: 0,
            attention_critical: None,
            oldest_warning: Some(Duration::from_secs(3_600)),
            oldest_critical: None,
            gate_critical: Duration::ZERO,
            folder_critical: Duration::ZERO,
            pause_warning: Duration::from_secs(24 * 3_600),
            daemon_runs: true,
        }
    }
}

/// Whether the daemon works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// It does.
    Works,
    /// It holds the ledger and gives no answer.
    Silent,
    /// None runs.
    Absent,
}

/// A gate that is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedGate {
    /// As `resume` wants it named.
    pub gate: String,
    /// The code that closed it.
    pub code: String,
    /// For how long.
    pub lasts: Duration,
    /// Whether it opens by a probe alone, which goes out with the next file.
    pub by_time: bool,
}

/// An operator's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// As `resume` wants it named.
    pub scope: String,
    /// Who began it.
    pub who: String,
    /// For how long.
    pub lasts: Duration,
    /// Whether it ends by itself.
    pub ends: bool,
}

/// A folder that can't be worked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFolder {
    /// Its name.
    pub folder: FolderName,
    /// Why.
    pub why: String,
    /// For how long, where a daemon knows.
    pub lasts: Option<Duration>,
}

/// All that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether the daemon works.
    pub daemon: Daemon,
    /// Why nothing can be recorded, and so nothing is sent.
    pub stopped: Option<String>,
    /// Files that a person should look at.
    pub attention: u64,
    /// Files and tasks that wait.
    pub waiting: u64,
    /// How long the file waits that waits longest.
    pub oldest: Option<Duration>,
    /// Gates that are closed.
    pub gates: Vec<ClosedGate>,
    /// Pauses that hold.
    pub pauses: Vec<Pause>,
    /// Folders that can't be worked with.
    pub folders: Vec<LostFolder>,
    /// What else a person has to see to, a sentence each.
    pub remarks: Vec<String>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is; [`Level::Well`]: good to know.
    pub level: Level,
    /// What it is.
    pub what: What,
}

/// What can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// No daemon runs.
    NotRunning,
    /// The daemon holds the ledger and gives no answer.
    NotAnswering,
    /// Nothing can be recorded.
    Stopped(String),
    /// A gate is closed.
    Gate(ClosedGate),
    /// A folder can't be worked with.
    Folder(LostFolder),
    /// An operator has paused something.
    Paused(Pause),
    /// So many files need attention.
    Attention(u64),
    /// A file waits for so long.
    Waits(Duration),
    /// Something else.
    Remark(String),
}

impl What {
    /// The kind in a word that stays.
    pub const fn kind(&self) -> &'static str {
        match self {
            What::NotRunning => "not-running",
            What::NotAnswering => "not-answering",
            What::Stopped(_) => "stopped",
            What::Gate(_) => "gate",
            What::Folder(_) => "folder",
            What::Paused(_) => "paused",
            What::Attention(_) => "attention",
            What::Waits(_) => "waits",
            What::Remark(_) => "remark",
        }
    }
}

/// How well all is, and what was found, the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// As bad as the worst that was found.
    pub level: Level,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Decides.
pub fn judge(facts: &Facts, limits: &Limits) -> Health {
    let mut findings = Vec::new();
    let mut found = |level, what| findings.push(Finding { level, what });
    let trouble_if = |bad| if bad { Level::Trouble } else { Level::Well };
    match facts.daemon {
        Daemon::Works => {}
        Daemon::Silent => found(Level::Trouble, What::NotAnswering),
        Daemon::Absent if limits.daemon_runs => found(Level::Trouble, What::NotRunning),
        Daemon::Absent => found(Level::Well, What::NotRunning),
    }
    if let Some(why) = &facts.stopped {
        found(Level::Trouble, What::Stopped(why.clone()));
    }
    for gate in &facts.gates {
        // Where nothing waits no probe goes out, and nobody has to do anything.
        let holds_somebody = facts.waiting > 0 || !gate.by_time;
        let level = trouble_if(holds_somebody && gate.lasts >= limits.gate_critical);
        found(level, What::Gate(gate.clone()));
    }
    for folder in &facts.folders {
        // Without a daemon nobody knows since when: it is not there now.
        let long = |lasts| lasts >= limits.folder_critical;
        let level = trouble_if(folder.lasts.is_none_or(long));
        found(level, What::Folder(folder.clone()));
    }
    for pause in &facts.pauses {
        let forgotten = !pause.ends && pause.lasts > limits.pause_warning;
        let level = if forgotten {
            Level::Attention
        } else {
            Level::Well
        };
        found(level, What::Paused(pause.clone()));
    }
    if facts.attention > 0 {
        let warning = Some(limits.attention_warning);
        let level = above(&facts.attention, &warning, &limits.attention_critical);
        found(level, What::Attention(facts.attention));
    }
    if let Some(oldest) = facts.oldest {
        match above(&oldest, &limits.oldest_warning, &limits.oldest_critical) {
            // That files wait is how it should be.
            Level::Well => {}
            level => found(level, What::Waits(oldest)),
        }
    }
    for remark in &facts.remarks {
        found(Level::Attention, What::Remark(remark.clone()));
    }
    // Stable: what is as bad stays in this order.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level.rank()));
    let level = findings.first().map_or(Level::Well, |worst| worst.level);
    Health { level, findings }
}

fn above<T: PartialOrd>(value: &T, warning: &Option<T>, critical: &Option<T>) -> Level {
    let beyond = |limit: &Option<T>| limit.as_ref().is_some_and(|limit| value > limit);
    match (beyond(critical), beyond(warning)) {
        (true, _) => Level::Trouble,
        (false, true) => Level::Attention,
        (false, false) => Level::Well,
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
