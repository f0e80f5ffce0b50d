//! Gates, in words.
//!
//! Must not: open one.

use super::span;
use crate::domain::error_table::Lifts;
use crate::domain::gate::{Gate, GateKey};
use crate::domain::time::Timestamp;

/// When a closed gate opens, and how.
pub fn opens(key: &GateKey, gate: &Gate, now: Timestamp) -> String {
    let Some(closed) = gate.closed() else {
        return String::new();
    };
    let wait = closed.until.since(now);
    let probe = if wait.is_zero() {
        "a probe goes out with the next file".to_owned()
    } else {
        format!("a probe goes out in {}", span(wait))
    };
    let also = match closed.lifts {
        Lifts::Time => "",
        Lifts::KeyChange => "; a new key and a reload open it at once",
        Lifts::ConfigChange => "; a changed configuration and a reload open it at once",
    };
    let name = key.spelled();
    format!("{probe}{also}; `supametas-sync resume {name}` opens it by hand")
}

/// What opens a gate beside a probe, in a word or two.
pub const fn lifts(lifts: Lifts) -> &'static str {
    match lifts {
        Lifts::Time => "time",
        Lifts::KeyChange => "key change",
        Lifts::ConfigChange => "configuration change",
    }
}
