//! From facts to an explanation: one answer, the checks that led to it, and
//! what the operator can do. Pure.
//!
//! The checks are in the order in which the daemon asks. What the ledger says
//! of the very version that is there outweighs them: it has been taken. Names
//! and words from outside are made visible here, before they get into a text.
//!
//! Must not: look at anything, or know a rule: the facts say what the rules said.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use super::answer::{Answer, Check, Explanation, Said};
use super::checks::{self, check};
use super::facts::{ByName, DaemonMay, Facts, FileFacts, Hindered, InFolder, Opened, Place, There};
use super::{counted, story, waits};
use crate::domain::ids::FolderName;
use crate::domain::naming::{TemporaryKind, finished_path, shown, shown_text};
use crate::domain::settle::{Openness, WaitReason};
pub(super) use crate::domain::time::span;
use crate::domain::waiting::Waiting;
use crate::watch::{NotTaken, Offline};

/// Decides.
pub fn decide(facts: &Facts) -> Explanation {
    match &facts.place {
        Place::Outside { exists, near } => outside(&facts.path, *exists, near),
        Place::Dropped {
            folder,
            known,
            renamed_to,
        } => story::dropped(facts, folder, known, renamed_to.as_ref()),
        Place::File(file) => of_file(facts, file),
        Place::Directory(dir) => counted::of_directory(facts, dir),
    }
}

fn outside(path: &[u8], exists: bool, near: &[(FolderName, std::path::PathBuf)]) -> Explanation {
    let named: Vec<String> = near
        .iter()
        .map(|(name, path)| format!("{name} ({})", shown_path(path)))
        .collect();
    let checks = vec![check(
        "folder",
        Said::No,
        format!(
            "no [[folder]] holds it; the nearest are {}",
            named.join(", ")
        ),
    )];
    let mut explained = if exists {
        Explanation::new(
            Answer::NotTaken,
            "outside",
            "not taken: it lies in no drop folder of the configuration",
        )
        .advised("move it into one of the folders above, or add a [[folder]] for its directory and reload")
    } else {
        Explanation::new(
            Answer::Missing,
            "missing",
            "there is nothing of that name, and the ledger does not know it",
        )
        .advised("look at the spelling: name a path, an id from `supametas-sync list`, or a part of a name")
    };
    // A folder below it may be what was meant.
    let below = near
        .iter()
        .find(|(_, folder)| bytes(folder).starts_with(path) && bytes(folder) != path);
    if let (true, Some((name, _))) = (exists, below) {
        explained
            .to_do
            .insert(0, format!("to see what is in folder {name}, name its path"));
    }
    explained.checks = checks;
    explained
}

fn of_file(facts: &Facts, file: &FileFacts) -> Explanation {
    let checks = checks::all(facts, file);
    let current = file.there.as_ref().ok().and_then(|there| {
        file.known
            .iter()
            .find(|k| k.version.matches(&there.version))
    });
    let gone = matches!(&file.there, Err(h) if h.why.is_gone());
    let offline = file.folder.reachable.is_err();
    let mut explained = match (current, file.known.first()) {
        (Some(known), _) if !story::comes_back(known) => story::of(facts, &file.folder, known),
        // The file is not there (or can't be seen): what is known of it counts.
        (None, Some(latest)) if gone || offline => story::of(facts, &file.folder, latest),
        _ => intake(facts, file),
    };
    explained.checks = checks;
    explained
}

/// Why what is there is not in the ledger: the first check that says no.
fn intake(facts: &Facts, file: &FileFacts) -> Explanation {
    let folder = &file.folder;
    if let Err(offline) = &folder.reachable {
        return offline_folder(folder, *offline);
    }
    if let Some(why) = &facts.daemon_offline {
        return daemon_offline(folder, why);
    }
    if let Some(finished) = &file.renamed_to {
        let now = quoted(finished);
        return Explanation::new(
            Answer::Missing,
            "renamed",
            format!("it has not this name any more: {now} is what it became"),
        )
        .advised(format!(
            "ask about that one: `supametas-sync explain {}`",
            shown_path(&folder.path.join(std::ffi::OsStr::from_bytes(finished)))
        ));
    }
    if matches!(&file.there, Err(h) if h.why.is_gone()) {
        return Explanation::new(
            Answer::Missing,
            "missing",
            "there is nothing of that name, and the ledger does not know it",
        )
        .advised("look at the spelling, and whether the program that should drop it did");
    }
    if let Err(by_name) = &folder.by_name {
        return name_refused(folder, by_name);
    }
    let there = match &file.there {
        Ok(there) => there,
        Err(hindered) => return hindered_by(facts, folder, hindered),
    };
    if let Some(explained) = no_right(facts, there) {
        return explained;
    }
    let opened = match &there.opened {
        Ok(opened) => opened,
        Err(why) => {
            let why = format!("can't be told further: {why}");
            return Explanation::new(Answer::Waiting, "unreadable", why)
                .advised(as_the_user(facts));
        }
    };
    let written = match opened.open {
        Openness::Writing(writing) => Some(WaitReason::BeingWritten {
            since: writing.since,
        }),
        Openness::Yes => Some(WaitReason::StillOpen),
        _ if !opened.writers.found.is_empty() => Some(WaitReason::StillOpen),
        Openness::No | Openness::Unknown => None,
    };
    if let Some(why) = written {
        return settling(facts, folder, why, None)
        .advised(match opened.writers.found.first() {
            Some(writer) => format!(
                "wait until process {} is done with it (`ps -fp {}` says what it is); if it never closes the file, end it",
                writer.pid, writer.pid
            ),
            None => "find the program with `fuser -v FILE` or `lsof FILE` as root; the file is taken once it is closed".to_owned(),
        });
    }
    if let Ok(sorted) = &opened.sorted {
        if sorted.incomplete {
            return settling(facts, folder, WaitReason::Incomplete, None).advised(match &sorted.import {
                Ok(_) => "if its writer is done, copy it into the folder again: its end is missing; if no more of it comes for `incomplete_wait`, it is sent and marked as maybe incomplete",
                Err(_) => "if its writer is done, copy it into the folder again: its end is missing",
            });
        }
        // What still settles may become something else; without a daemon it
        // does not settle.
        if (opened.settling.is_none() || facts.running == Some(false))
            && let Err(why) = &sorted.import
        {
            return Explanation::new(
                Answer::NotTaken,
                "unsupported",
                format!("will end as `unsupported`: {}", shown_text(&why.why, 600)),
            );
        }
    }
    match (&opened.settling, facts.running) {
        (_, Some(false)) => no_daemon(facts, "not taken yet: no daemon is running"),
        (Some((left, why)), _) => {
            settling(facts, folder, *why, Some(*left)).advised(settle_advice(opened.open))
        }
        (None, _) => unseen(facts, folder, opened),
    }
}

/// It may not be finished; and what it would wait for then.
fn settling(
    facts: &Facts,
    folder: &InFolder,
    why: WaitReason,
    left: Option<std::time::Duration>,
) -> Explanation {
    let first = Waiting::Settling(why, left);
    let mut explained = Explanation::new(
        Answer::Waiting,
        first.reason(),
        format!("not taken yet: {}", first.text(facts.now)),
    );
    explained.waiting.push(first);
    explained.waiting.extend(waits::on_way(facts, folder, None));
    explained
}

/// Nothing stands against its being taken; once it is, it may be held back.
fn unseen(facts: &Facts, folder: &InFolder, opened: &Opened) -> Explanation {
    let sorted = opened.sorted.as_ref().ok();
    let import = sorted.and_then(|sorted| sorted.import.as_ref().ok());
    let held = waits::on_way(facts, folder, import.map(|(media, _)| *media));
    if !held.is_empty() {
        let mut explained = waits::explained(facts, held, "");
        explained.headline = format!("is taken, and then {}", explained.headline);
        return explained;
    }
    Explanation::new(
        Answer::Waiting,
        "unseen",
        "nothing stands against it: it is taken at the daemon's next look",
    )
    .advised("if it stays so, have the folders scanned: `systemctl kill -s USR1 supametas-sync`; and see `supametas-sync status`")
}

pub(super) fn no_daemon(facts: &Facts, headline: &str) -> Explanation {
    Explanation::new(Answer::Waiting, "no-daemon", headline).advised(facts.starting.advice())
}

fn settle_advice(open: Openness) -> &'static str {
    match open {
        Openness::Unknown => {
            "wait; to be quicker, write it under a temporary name and rename it into the folder when it is done"
        }
        _ => "wait; a file that is renamed into the folder when it is done is taken at once",
    }
}

pub(super) fn offline_folder(folder: &InFolder, offline: Offline) -> Explanation {
    Explanation::new(
        Answer::Waiting,
        "offline",
        format!(
            "waits: its folder {} can't be reached: {offline}",
            folder.name
        ),
    )
    .advised(format!(
        "bring back {}; the daemon looks for it and goes on by itself",
        shown_path(&folder.path)
    ))
}

/// Whoever asks can reach it, and the daemon can't: it is another user, or in a
/// sandbox.
pub(super) fn daemon_offline(folder: &InFolder, why: &str) -> Explanation {
    let why = shown_text(why, 1_000);
    Explanation::new(
        Answer::Waiting,
        "offline",
        format!(
            "waits: the daemon can't reach its folder {}: {why}",
            folder.name
        ),
    )
    .advised("give the daemon's user the right, or its unit the path; it goes on by itself")
}

pub(super) fn name_refused(folder: &InFolder, by_name: &ByName) -> Explanation {
    if let NotTaken::Temporary(kind) = &by_name.why {
        return temporary(folder, by_name, *kind);
    }
    let to_do = match &by_name.why {
        NotTaken::Excluded => {
            "rename or move it, or change `exclude` or `exclude_also` of the folder and reload"
        }
        NotTaken::ExcludedByDefault(_) => {
            "if it is to be imported, move it under another name; or write an `exclude` of your own, which replaces the default list, and reload"
        }
        NotTaken::NotIncluded => {
            "rename it, or add a pattern for it to `include` of the folder and reload"
        }
        NotTaken::PutAside => "nothing; to have it taken again, move it back into the folder",
        NotTaken::InSubfolder => {
            "move it up into the folder itself, or set `recursive = true` and reload"
        }
        _ => "give it a name that the folder takes",
    };
    Explanation::new(
        Answer::NotTaken,
        word(&by_name.why),
        format!("not taken: {}", refused(folder, by_name)),
    )
    .advised(to_do)
}

/// What can be done depends on who gave it that name: a program renames the file
/// itself when it is done, and only what was left behind is a person's to rename.
fn temporary(folder: &InFolder, by_name: &ByName, kind: TemporaryKind) -> Explanation {
    let explained = Explanation::new(
        Answer::NotTaken,
        word(&by_name.why),
        format!("not taken: {}", refused(folder, by_name)),
    );
    let finished = finished_path(&by_name.at).map(|path| quoted(&path));
    match (kind, finished) {
        (TemporaryKind::OfficeLock, _) => explained.advised(
            "nothing: it is no document. The document itself is taken when it was saved",
        ),
        (TemporaryKind::Backup, Some(name)) => explained.advised(format!(
            "nothing: it is what the file was before it was edited last; to have it taken, rename it to a name without ~ that is free, such as {name}"
        )),
        (TemporaryKind::Dotfile, Some(name)) => {
            explained.advised(format!("if it is to be taken, rename it to {name}"))
        }
        (TemporaryKind::Configured, _) => explained.advised(
            "when it is complete, rename it to a name that the pattern does not match; or take the pattern out of the folder and reload",
        ),
        (_, Some(name)) => explained
            .advised(format!(
                "wait: the program that writes it renames it to {name} when it is done, and that is taken at once"
            ))
            .advised(format!(
                "if it was left behind by a transfer that broke off, begin that again; if it is complete all the same, rename it to {name}"
            )),
        (_, None) => explained.advised(
            "when it is complete, rename it to a name without that mark: it is taken at once",
        ),
    }
}

/// Why something is not taken, in a word that stays.
pub(super) const fn word(why: &NotTaken) -> &'static str {
    match why {
        NotTaken::Temporary(_) => "temporary-name",
        NotTaken::Excluded | NotTaken::ExcludedByDefault(_) => "excluded",
        NotTaken::NotIncluded => "not-included",
        NotTaken::PutAside => "put-aside",
        NotTaken::InSubfolder => "subfolder",
        NotTaken::BadPath => "name",
        NotTaken::Symlink => "symlink",
        NotTaken::HardLink => "hard-link",
        NotTaken::Fifo | NotTaken::Socket | NotTaken::Device | NotTaken::Directory => "not-a-file",
        NotTaken::OtherMount => "other-mount",
        NotTaken::NoRight => "no-right",
        NotTaken::Offline(_) => "offline",
        NotTaken::Gone => "gone",
        NotTaken::Io { .. } => "unreadable",
    }
}

/// A refused name in words: which part of the path, and which pattern.
pub(super) fn refused(folder: &InFolder, by_name: &ByName) -> String {
    let mut text = String::new();
    if by_name.at != folder.rel {
        text = format!("the folder {} above it: ", quoted(&by_name.at));
    }
    text.push_str(&in_words(&by_name.why, &by_name.patterns));
    text
}

/// Why something is not taken, with the patterns that it is for.
pub(super) fn in_words(why: &NotTaken, patterns: &[String]) -> String {
    match (why, patterns) {
        (NotTaken::Excluded, [pattern]) => format!(
            "it matches the pattern {} of `exclude` or `exclude_also`",
            quoted(pattern.as_bytes())
        ),
        (NotTaken::Temporary(TemporaryKind::Configured), [pattern]) => format!(
            "it matches the pattern {} of `temporary` or `temporary_also`",
            quoted(pattern.as_bytes())
        ),
        (NotTaken::NotIncluded, patterns) => {
            let all: Vec<String> = patterns.iter().map(|p| quoted(p.as_bytes())).collect();
            format!(
                "it matches no pattern of `include` ({})",
                shown_text(&all.join(", "), 300)
            )
        }
        (why, _) => why.to_string(),
    }
}

pub(super) fn hindered_by(facts: &Facts, folder: &InFolder, hindered: &Hindered) -> Explanation {
    let at = on_the_way(folder, hindered);
    let explained = |to_do: String| {
        Explanation::new(
            Answer::NotTaken,
            word(&hindered.why),
            format!("not taken: {at}{}", hindered.why),
        )
        .advised(to_do)
    };
    match &hindered.why {
        NotTaken::Symlink => explained(
            "put the file itself into the folder (`cp -L`, or a hard link with `ln`)".to_owned(),
        ),
        NotTaken::Fifo | NotTaken::Socket | NotTaken::Device => explained(
            "write what it gives into a regular file, and drop that".to_owned(),
        ),
        NotTaken::OtherMount => explained(
            "set `one_file_system = false` for the folder and reload, or make what is mounted there a [[folder]] of its own".to_owned(),
        ),
        NotTaken::NoRight => explained(grant(facts)),
        NotTaken::Offline(offline) => offline_folder(folder, *offline),
        _ => explained(as_the_user(facts)),
    }
}

pub(super) fn on_the_way(folder: &InFolder, hindered: &Hindered) -> String {
    if hindered.at == folder.rel || hindered.at.is_empty() {
        String::new()
    } else {
        format!("{} on the way to it: ", quoted(&hindered.at))
    }
}

/// The daemon's user counts; whoever asks may have other rights.
fn no_right(facts: &Facts, there: &There) -> Option<Explanation> {
    let text = match (&there.daemon_may, &there.opened) {
        (DaemonMay::No { at, needs }, _) => format!(
            "not taken: the daemon's user {} may not read it: it needs {needs} on {}",
            user(facts),
            quoted(at)
        ),
        (DaemonMay::AsTried, Err(NotTaken::NoRight)) => {
            format!("not taken: {} has no right to read it", asker(facts))
        }
        _ => return None,
    };
    Some(Explanation::new(Answer::NotTaken, "no-right", text).advised(grant(facts)))
}

fn grant(facts: &Facts) -> String {
    let user = user(facts);
    format!(
        "give the user {user} read on the file and search (x) on the folders above it, by group or ACL, such as `setfacl -m u:{user}:r FILE`"
    )
}

fn as_the_user(facts: &Facts) -> String {
    format!(
        "ask again as the daemon's user: `sudo -u {} supametas-sync explain …`",
        user(facts)
    )
}

pub(super) fn user(facts: &Facts) -> String {
    let user = facts.user.as_deref().unwrap_or("supametas-sync");
    shown_text(user, 64)
}

/// Who asks, where that is the daemon's user, or it is not known who that is.
pub(super) fn asker(facts: &Facts) -> String {
    match &facts.user {
        Some(user) => format!("{}, the daemon's user,", shown_text(user, 64)),
        None => "this user".to_owned(),
    }
}

/// A path or name in quotes, harmless.
pub(super) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", shown(bytes))
}

fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

pub(super) fn shown_path(path: &Path) -> String {
    shown(bytes(path))
}

pub(super) fn bytesize(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}
