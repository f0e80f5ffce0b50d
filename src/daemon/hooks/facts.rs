//! What a command is told by its environment.
//!
//! Must not: put a name or word from outside anywhere but into a value, or
//! leave a variable out: a script under `set -u` must find them all.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::valid::{Config, Folder, Hook};
use crate::domain::naming::{shown, shown_text};
use crate::domain::state::State;
use crate::ledger::{About, Notice};
use crate::view;

/// Characters of the service's words, at most.
const WORDS: usize = 1000;

/// All of a command's variables; what there is nothing of is empty. The names
/// of a file are its bytes as they are, and beside them (`…_SHOWN`) a form that
/// does no harm anywhere.
pub fn facts(
    config: &Config,
    folder: &Folder,
    hook: &Hook,
    notice: &Notice,
) -> Vec<(&'static str, OsString)> {
    let mut facts: Vec<(&'static str, OsString)> = Vec::new();
    let mut put = |name, value: &dyn AsRef<OsStr>| facts.push((name, value.as_ref().to_owned()));
    put("SUPAMETAS_EVENT", &notice.occasion.as_str());
    put("SUPAMETAS_EVENT_ID", &notice.event_id());
    put("SUPAMETAS_EVENT_AT", &notice.at.to_string());
    put("SUPAMETAS_TRY", &(notice.tries + 1).to_string());
    put("SUPAMETAS_HOOK", &hook.name.0);
    put("SUPAMETAS_FOLDER", &folder.name.0);
    let (file, gate) = match &notice.about {
        About::File { file, .. } => (Some(file), None),
        About::Gate {
            gate,
            code,
            why,
            until,
        } => (None, Some((gate, code, why, until))),
    };
    let dataset = file.map_or(&folder.dataset, |file| &file.dataset);
    put("SUPAMETAS_DATASET", &dataset.0);
    let text = |value: Option<String>| value.unwrap_or_default();
    put("SUPAMETAS_ID", &text(file.map(|f| f.id.to_string())));
    let state = file.map_or("", |f| f.state.kind().as_str());
    put("SUPAMETAS_STATE", &state);
    let name = file.map_or(&b""[..], |f| &f.version.path);
    put("SUPAMETAS_FILE", &OsStr::from_bytes(name));
    put("SUPAMETAS_FILE_SHOWN", &shown(name));
    let path = file.map(|f| view::path_of(config, f)).unwrap_or_default();
    put("SUPAMETAS_PATH", &path);
    put("SUPAMETAS_PATH_SHOWN", &shown(path.as_os_str().as_bytes()));
    let media = file.and_then(|f| f.media);
    put("SUPAMETAS_MEDIA", &text(media.map(|m| m.to_string())));
    let size = file.map(|f| f.version.size.to_string());
    put("SUPAMETAS_SIZE", &text(size));
    let hash = file.and_then(|f| f.hash).map(blake3::Hash::from_bytes);
    put(
        "SUPAMETAS_BLAKE3",
        &text(hash.map(|h| h.to_hex().to_string())),
    );
    let task = file.and_then(|f| f.state.task());
    put("SUPAMETAS_TASK", &task.map_or("", |task| task.as_str()));
    let code = match (file, gate) {
        (Some(file), _) => file.last_code.as_ref().map(ToString::to_string),
        (_, gate) => gate.map(|(_, code, ..)| code.clone()),
    };
    put("SUPAMETAS_CODE", &shown_text(&text(code), WORDS));
    let why = match (file, gate) {
        (Some(file), _) => file.last_why.clone(),
        (_, gate) => gate.map(|(_, _, why, _)| why.clone()),
    };
    put("SUPAMETAS_WHY", &shown_text(&text(why), WORDS));
    let kind = file.and_then(|f| match &f.state {
        State::Unsupported { kind, .. } => Some(kind.as_str()),
        _ => None,
    });
    put("SUPAMETAS_REASON_KIND", &kind.unwrap_or_default());
    let incomplete = file.is_some_and(|f| f.may_be_incomplete);
    put(
        "SUPAMETAS_MAY_BE_INCOMPLETE",
        &if incomplete { "1" } else { "" },
    );
    put("SUPAMETAS_GATE", &gate.map_or("", |(gate, ..)| gate));
    let until = gate.map(|(.., until)| until.to_string());
    put("SUPAMETAS_UNTIL", &text(until));
    facts
}
