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
    let also = at_once(closed.lifts);
    let name = key;
    format!("{probe}{also}; `supametas-sync resume {name}` opens it by hand")
}

/// What opens a gate at once, for the end of a sentence; empty where only time does.
pub const fn at_once(lifts: Lifts) -> &'static str {
    match lifts {
        Lifts::Time => "",
        // systemd hands credentials over at a start alone.
        Lifts::KeyChange => {
            "; a new key and a reload (a restart, where it is a `credential`) open it at once"
        }
        Lifts::ConfigChange => "; a changed configuration and a reload open it at once",
    }
}

/// What opens a gate beside a probe, in a word or two.
pub const fn lifts(lifts: Lifts) -> &'static str {
    match lifts {
        Lifts::Time => "time",
        Lifts::KeyChange => "key change",
        Lifts::ConfigChange => "configuration change",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_that_systemd_hands_over_takes_a_restart() {
        assert!(at_once(Lifts::KeyChange).contains("a restart, where it is a `credential`"));
        assert_eq!(at_once(Lifts::Time), "");
    }
}
