//! What came of a reload: what the daemon logs, answers over its socket, and
//! `reload` prints.
//!
//! Must not: load a configuration, or show a key.

use serde::{Deserialize, Serialize};

use super::standing::LeftBehind;

/// What came of it.
#[allow(missing_docs, reason = "docs/http.md has each key")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reloaded {
    /// Whether what the file says now is in force.
    pub done: bool,
    /// The configuration file.
    pub config: String,
    /// What changed, and is in force.
    pub changed: Vec<String>,
    /// What changed, and waits for a restart.
    pub at_restart: Vec<String>,
    /// Gates that opened, since their settings have changed.
    pub opened: Vec<String>,
    /// Folders with work that the configuration does not have.
    pub left_behind: Vec<LeftBehind>,
    /// What needs a look all the same.
    pub warnings: Vec<String>,
    /// Why it was refused: everything that has to be mended.
    pub problems: Vec<String>,
}

impl Reloaded {
    /// Refused for one reason: the former configuration stays in force.
    pub fn refused(config: String, why: impl Into<String>) -> Reloaded {
        Reloaded {
            config,
            problems: vec![why.into()],
            ..Reloaded::default()
        }
    }

    /// For people.
    pub fn tell(&self) -> String {
        if !self.done {
            return format!(
                "refused; the former configuration stays in force:\n{}\n",
                self.problems.join("\n")
            );
        }
        let mut text = format!("reloaded: {}\n", self.config);
        let mut list = |head: &str, lines: &mut dyn Iterator<Item = String>| {
            for (at, line) in lines.enumerate() {
                if at == 0 {
                    text.push_str(&format!("\n{head}:\n"));
                }
                text.push_str(&format!("  - {line}\n"));
            }
        };
        let nothing = self.changed.is_empty() && self.at_restart.is_empty();
        list("in force now", &mut self.changed.iter().cloned());
        list("at a restart only", &mut self.at_restart.iter().cloned());
        list("gates that opened", &mut self.opened.iter().cloned());
        let left = self.left_behind.iter().map(|left| left.why.clone());
        list("left behind", &mut { left });
        list("warnings", &mut self.warnings.iter().cloned());
        if nothing {
            text.push_str("nothing has changed\n");
        }
        text
    }
}
