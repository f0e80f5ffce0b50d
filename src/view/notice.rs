//! What a hook is told, as JSON: the object that `list --json` has of a file (or
//! the one that `status --json` has of a gate), with the event added.
//!
//! Must not: hold anything that the other views don't.

use serde_json::{Value, json};

use super::file::as_json;
use crate::config::valid::{Config, Folder, Hook};
use crate::domain::time::Timestamp;
use crate::ledger::{About, Notice};

/// A notice for scripts. Keys may be added; none changes its meaning.
pub fn notice_json(
    config: &Config,
    folder: &Folder,
    hook: &Hook,
    notice: &Notice,
    now: Timestamp,
) -> Value {
    let mut told = match &notice.about {
        About::File { file, attempts, .. } => as_json(config, file, *attempts, &[], now),
        About::Gate {
            gate,
            code,
            why,
            until,
        } => json!({
            "folder": folder.name,
            "dataset": folder.dataset,
            "gate": gate,
            "code": code,
            "why": why,
            "since": notice.at.to_string(),
            "until": until.to_string(),
        }),
    };
    told["event"] = json!({
        "id": notice.event_id(),
        "name": notice.occasion.as_str(),
        "at": notice.at.to_string(),
        "hook": hook.name.0,
        "try": notice.tries + 1,
    });
    told
}
