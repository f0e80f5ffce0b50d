//! What is said of a directory: whose it is, and what is in it, counted. Pure.
//!
//! Must not: say of a single file what `decide` says.

use super::checks::{check, check_running, folder_check, name_check};
use super::decide::{
    Answer, Check, Explanation, Said, daemon_offline, hindered_by, name_refused, no_daemon,
    offline_folder, quoted, refused,
};
use super::facts::{DirFacts, Facts};
use super::waits;

/// Explains it.
pub(super) fn of_directory(facts: &Facts, dir: &DirFacts) -> Explanation {
    let folder = &dir.folder;
    let mut held = Vec::new();
    let mut checks = vec![folder_check(folder)];
    if !folder.rel.is_empty() {
        checks.push(name_check(folder));
    }
    let mut explained = match (&folder.reachable, &folder.by_name, &dir.hindered) {
        (Err(offline), ..) => offline_folder(folder, *offline),
        _ if facts.daemon_offline.is_some() => {
            daemon_offline(folder, facts.daemon_offline.as_deref().unwrap_or_default())
        }
        (_, Err(by_name), _) => {
            let mut explained = name_refused(folder, by_name);
            explained.headline = format!("nothing in it is taken: {}", refused(folder, by_name));
            explained
        }
        (_, _, Some(hindered)) => hindered_by(facts, folder, hindered),
        _ => {
            held = waits::on_way(facts, folder, None);
            checks.push(check("watched", Said::Yes, dir.watched.clone()));
            checks.extend(counted(dir));
            totals(facts, dir)
        }
    };
    checks.push(check_running(facts));
    checks.extend(waits::checks(facts, &held));
    if let Some(first) = held.first() {
        explained.headline = format!("{}; {}", explained.headline, first.text(facts.now));
        explained.to_do.extend(first.advice());
    }
    explained.waiting = held;
    explained.checks = checks;
    explained
}

fn totals(facts: &Facts, dir: &DirFacts) -> Explanation {
    let tree = &dir.tree;
    let known: u64 = tree.states.values().sum();
    let refused: u64 = tree.refused.values().map(|(n, _)| n).sum();
    let more = if tree.complete {
        ""
    } else {
        ", and more that was not looked at"
    };
    let mut explained = Explanation::new(
        Answer::Counted,
        "counted",
        format!(
            "in folder {}: {known} in the ledger, {} not there yet, {refused} not taken{more}",
            dir.folder.name, tree.unknown
        ),
    );
    let attention = tree.attention;
    if attention > 0 {
        explained = explained.advised(format!(
            "{} attention: `supametas-sync list --attention --folder {}`",
            if attention == 1 {
                "1 file needs".to_owned()
            } else {
                format!("{attention} files need")
            },
            dir.folder.name
        ));
    }
    if tree.unknown > 0 && facts.running == Some(false) {
        explained.to_do.extend(no_daemon(facts, "").to_do);
    } else if tree.unknown > 0 {
        explained = explained
            .advised("`supametas-sync explain FILE` says of each that is not in the ledger what it waits for");
    }
    explained
}

fn counted(dir: &DirFacts) -> Vec<Check> {
    let mut all = Vec::new();
    for (state, n) in &dir.tree.states {
        let said = if state.needs_attention() && dir.tree.attention > 0 {
            Said::No
        } else {
            Said::Yes
        };
        all.push(check("ledger", said, format!("{n} {state}")));
    }
    if dir.tree.unknown > 0 {
        let found = format!(
            "{} not in the ledger: new, or still settling",
            dir.tree.unknown
        );
        all.push(check("ledger", Said::NotYet, found));
    }
    for (why, (n, first)) in &dir.tree.refused {
        let found = format!("{n}: {why} (such as {})", quoted(first));
        all.push(check("not taken", Said::No, found));
    }
    all
}
