//! The checks on a file, in words: each question that the daemon asks, in its
//! order, and what it came to. Pure.
//!
//! Must not: choose the answer among them; `decide` does.

use super::decide::{
    Check, Said, asker, bytesize, on_the_way, quoted, refused, shown_path, span, user,
};
use super::facts::{DaemonMay, Facts, FileFacts, InFolder, Opened, There, Writers};
use super::story;
use crate::domain::naming::shown_text;
use crate::domain::settle::{Openness, WaitReason};
use crate::watch::NotTaken;

pub(super) fn check(what: &'static str, said: Said, found: impl Into<String>) -> Check {
    Check {
        what,
        said,
        found: found.into(),
    }
}

pub(super) fn folder_check(folder: &InFolder) -> Check {
    let found = format!(
        "{} ({}), for dataset {}",
        folder.name,
        shown_path(&folder.path),
        folder.dataset
    );
    match &folder.reachable {
        Ok(()) => check("folder", Said::Yes, found),
        Err(why) => check("folder", Said::NotYet, format!("{found}: {why}")),
    }
}

pub(super) fn name_check(folder: &InFolder) -> Check {
    match &folder.by_name {
        Ok(()) => check("name", Said::Yes, "no rule of the folder is against it"),
        Err(by_name) => check("name", Said::No, refused(folder, by_name)),
    }
}

/// All of them.
pub(super) fn all(facts: &Facts, file: &FileFacts) -> Vec<Check> {
    let folder = &file.folder;
    let mut all = vec![folder_check(folder), name_check(folder)];
    match &file.there {
        Err(hindered) => {
            let said = if hindered.why.is_passing() || matches!(hindered.why, NotTaken::Offline(_))
            {
                Said::Unknown
            } else {
                Said::No
            };
            let found = format!("{}{}", on_the_way(folder, hindered), hindered.why);
            all.push(check("file", said, found));
        }
        Ok(there) => {
            let size = bytesize(there.version.size);
            all.push(check(
                "file",
                Said::Yes,
                format!("a regular file of {size}"),
            ));
            all.push(right_check(facts, there));
            match &there.opened {
                Ok(opened) => all.extend(opened_checks(opened)),
                Err(why) => all.push(check("content", Said::Unknown, why.to_string())),
            }
        }
    }
    all.push(check_running(facts));
    all.extend(story::checks(facts, file));
    all
}

pub(super) fn check_running(facts: &Facts) -> Check {
    match facts.running {
        Some(true) => match &facts.daemon_offline {
            Some(why) => check(
                "daemon",
                Said::No,
                format!(
                    "running, and it can't reach the folder: {}",
                    shown_text(why, 1_000)
                ),
            ),
            None => check("daemon", Said::Yes, "running"),
        },
        Some(false) => check("daemon", Said::NotYet, "not running"),
        None => check("daemon", Said::Unknown, "this user can't look at its lock"),
    }
}

fn right_check(facts: &Facts, there: &There) -> Check {
    let user = user(facts);
    match (&there.daemon_may, &there.opened) {
        (DaemonMay::No { at, needs }, _) => check(
            "right",
            Said::No,
            format!("{user}, the daemon's user, lacks {needs} on {}", quoted(at)),
        ),
        (DaemonMay::Unknown(why), _) => check(
            "right",
            Said::Unknown,
            format!("whether {user} may read it: {why}"),
        ),
        (DaemonMay::Yes, _) => check(
            "right",
            Said::Yes,
            format!("{user}, the daemon's user, may read it, by its mode and access list"),
        ),
        (DaemonMay::AsTried, Err(NotTaken::NoRight)) => check(
            "right",
            Said::No,
            format!("{} may not read it", asker(facts)),
        ),
        (DaemonMay::AsTried, _) => {
            check("right", Said::Yes, format!("{} may read it", asker(facts)))
        }
    }
}

fn opened_checks(opened: &Opened) -> Vec<Check> {
    let mut all = vec![writer_check(opened.open, &opened.writers)];
    all.push(match &opened.settling {
        None => check(
            "settled",
            Said::Yes,
            "nothing has touched it for its quiet time",
        ),
        Some((_, why @ (WaitReason::StillOpen | WaitReason::BeingWritten { .. }))) => {
            check("settled", Said::NotYet, why.to_string())
        }
        Some((left, why)) => check(
            "settled",
            Said::NotYet,
            format!("{why}; {} left, if nothing touches it", span(*left)),
        ),
    });
    let sorted = match &opened.sorted {
        Ok(sorted) => sorted,
        Err(why) => {
            all.push(check("type", Said::Unknown, shown_text(why, 200)));
            return all;
        }
    };
    let content = sorted.content.as_deref().unwrap_or("not looked into");
    let extension = match &sorted.extension {
        Some(extension) => format!("its name says .{extension}"),
        None => "its name says nothing".to_owned(),
    };
    let found = format!("its content is {}, {extension}", shown_text(content, 200));
    all.push(match &sorted.import {
        Ok((media, name)) => check(
            "type",
            Said::Yes,
            format!(
                "{found}: the {media} import, sent as {}",
                quoted(name.as_bytes())
            ),
        ),
        Err(why) => {
            let said = if sorted.incomplete {
                Said::NotYet
            } else {
                Said::No
            };
            check(
                "type",
                said,
                format!("{found}: {}", shown_text(&why.why, 600)),
            )
        }
    });
    all
}

fn writer_check(open: Openness, writers: &Writers) -> Check {
    let named: Vec<String> = writers
        .found
        .iter()
        .map(|w| {
            let (command, user) = (shown_text(&w.command, 64), shown_text(&w.user, 64));
            format!("process {} ({command}, of {user})", w.pid)
        })
        .collect();
    let unseen = match writers.unseen {
        0 => String::new(),
        n => format!("; {n} processes of others can't be looked at, ask as root"),
    };
    match (open, named.as_slice()) {
        (Openness::No, _) => check("writer", Said::Yes, "no program has it open for writing"),
        (_, [_, ..]) => check(
            "writer",
            Said::NotYet,
            format!("open for writing in {}", named.join(", ")),
        ),
        (Openness::Writing(writing), []) => check(
            "writer",
            Said::NotYet,
            format!(
                "being written since {}: a program opened it and has not closed it; which one can't be told{unseen}",
                writing.since
            ),
        ),
        (Openness::Yes, []) => check(
            "writer",
            Said::NotYet,
            format!("a program has it open for writing; which one can't be told{unseen}"),
        ),
        (Openness::Unknown, []) => check(
            "writer",
            Said::Unknown,
            format!(
                "none was found, but the kernel does not say here (another user's file, or a network file system){unseen}"
            ),
        ),
    }
}
