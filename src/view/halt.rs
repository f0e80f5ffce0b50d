//! An operator's pauses, to people and to scripts.
//!
//! Must not: begin or end one.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Stamp, span};
use crate::config::valid::Config;
use crate::domain::gate::GateKey;
use crate::domain::halt::{Halt, HaltScope, Halts, NoScope};
use crate::domain::naming::shown_text;
use crate::domain::time::Timestamp;

/// A pause that holds.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PauseView {
    pub scope: String,
    pub since: Stamp,
    pub until: Option<Stamp>,
    pub who: String,
    pub why: Option<String>,
    /// What ends it, in words.
    pub ends: String,
}

impl PauseView {
    /// As scripts see it.
    pub fn of(scope: &HaltScope, halt: &Halt, now: Timestamp) -> PauseView {
        PauseView {
            scope: scope.to_string(),
            since: Stamp(halt.since),
            until: halt.until.map(Stamp),
            who: halt.who.clone(),
            why: halt.why.clone(),
            ends: ends(scope, halt, now),
        }
    }

    /// Those that hold now.
    pub fn all(halts: &Halts, now: Timestamp) -> Vec<PauseView> {
        let holding = halts.iter().filter(|(_, halt)| halt.holds(now));
        holding
            .map(|(scope, halt)| PauseView::of(scope, halt, now))
            .collect()
    }
}

fn ends(scope: &HaltScope, halt: &Halt, now: Timestamp) -> String {
    match halt.until {
        Some(until) => format!(
            "ends by itself in {}, or with `supametas-sync resume {scope}`",
            span(until.since(now))
        ),
        None => format!("until `supametas-sync resume {scope}`"),
    }
}

/// Refuses a scope that the configuration does not have: a mistyped name would
/// pause nothing, and nobody would notice.
///
/// # Errors
/// In words, with the names that there are.
pub fn known(config: &Config, scope: &HaltScope) -> Result<(), String> {
    let folders = || config.folders.keys().map(|name| name.0.as_str()).collect();
    let (what, name, there): (_, _, Vec<&str>) = match scope {
        HaltScope::All => return Ok(()),
        HaltScope::Dataset(name) => (
            "dataset",
            &name.0,
            config.datasets.keys().map(|name| name.0.as_str()).collect(),
        ),
        HaltScope::Folder(name) => ("folder", &name.0, folders()),
        HaltScope::Route(route) => ("folder", &route.folder.0, folders()),
    };
    if there.contains(&name.as_str()) {
        return Ok(());
    }
    Err(format!(
        "the configuration has no {what} {:?}; it has: {}",
        shown_text(name, 100),
        there.join(", ")
    ))
}

/// A scope, with the folders that send to it where it is a dataset.
pub fn within(config: &Config, scope: &HaltScope) -> Vec<HaltScope> {
    let mut scopes = vec![scope.clone()];
    if let HaltScope::Dataset(dataset) = scope {
        let folders = config.folders.values().filter(|f| f.dataset == *dataset);
        scopes.extend(folders.map(|f| HaltScope::Folder(f.name.clone())));
    }
    scopes
}

/// What is to be resumed, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// The service's gate.
    Service,
    /// A scope, and what lies within it.
    Scope(HaltScope),
}

impl FromStr for Resume {
    type Err = NoScope;
    fn from_str(text: &str) -> Result<Resume, NoScope> {
        match text {
            "service" => Ok(Resume::Service),
            scope => scope.parse().map(Resume::Scope),
        }
    }
}

/// Which gates and pauses that is.
#[derive(Debug, Clone)]
pub struct Reach {
    service: bool,
    scopes: Vec<HaltScope>,
}

impl Reach {
    /// With the folders of a dataset, which the configuration knows.
    pub fn of(config: &Config, what: &Resume) -> Reach {
        Reach {
            service: *what == Resume::Service,
            scopes: match what {
                Resume::Service => Vec::new(),
                Resume::Scope(scope) => within(config, scope),
            },
        }
    }

    /// Whether a closed gate is to be opened.
    pub fn opens(&self, gate: &GateKey) -> bool {
        self.service && *gate == GateKey::Service
            || self.scopes.iter().any(|scope| scope.covers_gate(gate))
    }

    /// Whether a pause is to be ended.
    pub fn ends(&self, halt: &HaltScope) -> bool {
        self.scopes.iter().any(|scope| scope.covers(halt))
    }
}
