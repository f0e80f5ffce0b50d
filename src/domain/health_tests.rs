//! What is well and what is not, a row for each fact.
#![allow(clippy::unwrap_used)]

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn well() -> Facts {
    Facts {
        daemon: Daemon::Works,
        stopped: None,
        attention: 0,
        waiting: 1,
        oldest: None,
        gates: Vec::new(),
        pauses: Vec::new(),
        folders: Vec::new(),
        remarks: Vec::new(),
    }
}

fn gate(lasts: Duration) -> ClosedGate {
    ClosedGate {
        gate: "dataset:main".into(),
        code: "HTTP-401".into(),
        lasts,
        by_time: true,
    }
}

fn folder(lasts: Option<Duration>) -> LostFolder {
    LostFolder {
        folder: FolderName("inbox".into()),
        why: "it is not there".into(),
        lasts,
    }
}

fn pause(lasts: Duration, ends: bool) -> Pause {
    Pause {
        scope: "all".into(),
        who: "anna".into(),
        lasts,
        ends,
    }
}

/// Facts with one change, and limits with another.
fn case(
    change: impl FnOnce(&mut Facts),
    limit: impl FnOnce(&mut Limits),
) -> (Level, Vec<&'static str>) {
    let (mut facts, mut limits) = (well(), Limits::default());
    change(&mut facts);
    limit(&mut limits);
    let health = judge(&facts, &limits);
    let kinds = health.findings.iter().map(|f| f.what.kind()).collect();
    (health.level, kinds)
}

#[test]
fn each_fact_has_its_level() {
    use Level::{Attention, Trouble, Well};
    let usual = |_: &mut Limits| {};
    type Change = fn(&mut Facts);
    let rows: &[(Change, Level, &[&str])] = &[
        (|_| {}, Well, &[]),
        (|f| f.daemon = Daemon::Absent, Trouble, &["not-running"]),
        (|f| f.daemon = Daemon::Silent, Trouble, &["not-answering"]),
        (
            |f| f.stopped = Some("disk full".into()),
            Trouble,
            &["stopped"],
        ),
        (|f| f.gates.push(gate(MINUTE)), Trouble, &["gate"]),
        // Nothing waits for it, …
        (
            |f| {
                f.gates.push(gate(MINUTE));
                f.waiting = 0;
            },
            Well,
            &["gate"],
        ),
        // … but a person has to open this one.
        (
            |f| {
                let by_time = false;
                let lasts = MINUTE;
                f.gates.push(ClosedGate {
                    by_time,
                    ..gate(lasts)
                });
                f.waiting = 0;
            },
            Trouble,
            &["gate"],
        ),
        (
            |f| f.folders.push(folder(Some(MINUTE))),
            Trouble,
            &["folder"],
        ),
        (|f| f.folders.push(folder(None)), Trouble, &["folder"]),
        (|f| f.pauses.push(pause(HOUR, false)), Well, &["paused"]),
        (
            |f| f.pauses.push(pause(25 * HOUR, false)),
            Attention,
            &["paused"],
        ),
        (|f| f.pauses.push(pause(25 * HOUR, true)), Well, &["paused"]),
        (|f| f.attention = 1, Attention, &["attention"]),
        (|f| f.oldest = Some(HOUR), Well, &[]),
        (|f| f.oldest = Some(2 * HOUR), Attention, &["waits"]),
        (
            |f| f.remarks.push("a key file has changed".into()),
            Attention,
            &["remark"],
        ),
    ];
    for (n, (change, level, kinds)) in rows.iter().enumerate() {
        assert_eq!(case(change, usual), (*level, kinds.to_vec()), "row {n}");
    }
}

#[test]
fn limits_move_the_levels() {
    use Level::{Attention, Trouble, Well};
    type Change = fn(&mut Facts);
    type Limit = fn(&mut Limits);
    let rows: &[(Change, Limit, Level)] = &[
        (
            |f| f.daemon = Daemon::Absent,
            |l| l.daemon_runs = false,
            Well,
        ),
        (
            |f| f.gates.push(gate(MINUTE)),
            |l| l.gate_critical = 2 * MINUTE,
            Well,
        ),
        (
            |f| f.gates.push(gate(2 * MINUTE)),
            |l| l.gate_critical = 2 * MINUTE,
            Trouble,
        ),
        (
            |f| f.folders.push(folder(Some(MINUTE))),
            |l| l.folder_critical = HOUR,
            Well,
        ),
        // Nobody knows since when: it counts as long.
        (
            |f| f.folders.push(folder(None)),
            |l| l.folder_critical = HOUR,
            Trouble,
        ),
        (|f| f.attention = 3, |l| l.attention_warning = 3, Well),
        (|f| f.attention = 4, |l| l.attention_warning = 3, Attention),
        (
            |f| f.attention = 4,
            |l| l.attention_critical = Some(3),
            Trouble,
        ),
        (
            |f| f.oldest = Some(3 * HOUR),
            |l| l.oldest_critical = Some(2 * HOUR),
            Trouble,
        ),
        (
            |f| f.oldest = Some(3 * HOUR),
            |l| l.oldest_warning = None,
            Well,
        ),
        (
            |f| f.pauses.push(pause(HOUR, false)),
            |l| l.pause_warning = MINUTE,
            Attention,
        ),
    ];
    for (n, (change, limit, level)) in rows.iter().enumerate() {
        assert_eq!(case(change, limit).0, *level, "row {n}");
    }
}

#[test]
fn the_worst_comes_first_and_gives_the_level() {
    let (level, kinds) = case(
        |f| {
            f.pauses.push(pause(HOUR, false));
            f.attention = 2;
            f.gates.push(gate(MINUTE));
            f.folders.push(folder(None));
        },
        |_| {},
    );
    assert_eq!(level, Level::Trouble);
    assert_eq!(kinds, ["gate", "folder", "attention", "paused"]);
}

#[test]
fn levels_are_the_exit_codes_of_plugins() {
    let all = [
        Level::Well,
        Level::Attention,
        Level::Trouble,
        Level::Unknown,
    ];
    assert_eq!(all.map(Level::code), [0, 1, 2, 3]);
    assert_eq!(
        all.map(Level::plugin_word),
        ["OK", "WARNING", "CRITICAL", "UNKNOWN"]
    );
    assert!(Level::Trouble.rank() > Level::Unknown.rank());
}
