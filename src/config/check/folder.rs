//! `[[folder]]`, and what `[retry]` and `[poll]` say about how its files go on.
//!
//! Must not: refuse the configuration for what is on the disk now. A folder that
//! is not there may be mounted later, so that is a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{DAY, HOUR, MINUTE, Report, hook, options};
use crate::config::raw::{RawDataset, RawFolder, RawPoll, RawRetry};
use crate::config::surroundings::{Look, Surroundings};
use crate::config::valid::{Duplicates, Folder, Patterns, Waits, WatchMode, Writers};
use crate::domain::backoff::Backoff;
use crate::domain::ids::{DatasetName, FolderName};
use crate::domain::lifecycle::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};
use crate::domain::naming::left_out;
use crate::domain::spelling::did_you_mean;

/// Files larger than this are not tried if nothing else is said. Bytes.
const MAX_SIZE: u64 = 2 << 30;

/// What holds for all folders.
pub(super) struct Going {
    backoff: Backoff,
    give_up_after: Duration,
    resends: u32,
    resend_wait: Duration,
    pace: PollPace,
}

impl Going {
    const fn resend(&self) -> OnUnconfirmed {
        OnUnconfirmed::Resend {
            times: self.resends,
            first: self.resend_wait,
        }
    }
}

/// A folder, and the key that names it in the file.
pub(super) struct Found {
    pub folder: Folder,
    pub key: String,
}

impl Found {
    /// What people know it by.
    pub fn called(&self) -> String {
        match self.folder.name.0.as_str() {
            "" => self.key.clone(),
            name => format!("folder {name}"),
        }
    }
}

/// `[retry]` and `[poll]`.
pub(super) fn going(retry: &RawRetry, poll: &RawPoll, to: &mut Report<'_>) -> Going {
    let secs = Duration::from_secs;
    let ms = Duration::from_millis;
    let usual = (secs(1), 15 * MINUTE);
    let base = to.time(
        "retry.backoff_base",
        &retry.backoff_base,
        usual.0,
        ms(1),
        DAY,
    );
    let cap = to.time(
        "retry.backoff_cap",
        &retry.backoff_cap,
        usual.1,
        ms(1),
        7 * DAY,
    );
    let backoff = Backoff::new(base, cap).unwrap_or_else(|_| {
        let key = if to.has("retry.backoff_cap") {
            "retry.backoff_cap"
        } else {
            "retry.backoff_base"
        };
        to.error(
            key,
            "makes the longest wait shorter than the first",
            "make `backoff_cap` at least as long as `backoff_base`",
        );
        Backoff::new(usual.0, usual.1).expect("a second is less than a quarter of an hour")
    });
    let first = to.time("poll.first", &poll.first, secs(2), ms(10), HOUR);
    let max = to.time("poll.max", &poll.max, 5 * MINUTE, ms(10), DAY);
    if first > max {
        let key = if to.has("poll.max") {
            "poll.max"
        } else {
            "poll.first"
        };
        to.error(
            key,
            "makes the longest wait shorter than the first",
            "make `max` at least as long as `first`",
        );
    }
    let resends = retry.unconfirmed_resends.unwrap_or(3);
    if resends > 100 {
        to.error(
            "retry.unconfirmed_resends",
            "would send a file over and over, at a price each time",
            "write a number up to 100",
        );
    }
    Going {
        backoff,
        give_up_after: to.time(
            "retry.give_up_after",
            &retry.give_up_after,
            30 * DAY,
            MINUTE,
            3650 * DAY,
        ),
        resends,
        resend_wait: to.time(
            "retry.unconfirmed_wait",
            &retry.unconfirmed_wait,
            MINUTE,
            ms(10),
            DAY,
        ),
        pace: PollPace {
            first,
            max: max.max(first),
        },
    }
}

/// The folders, as far as each can be used.
pub(super) fn check(
    raw: &[RawFolder],
    datasets: &[RawDataset],
    going: &Going,
    with: hook::With<'_>,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Vec<Found> {
    if raw.is_empty() {
        to.error(
            "folder",
            "is missing: nothing says which files to take",
            "add a [[folder]] with `name`, `path` and `dataset`",
        );
    }
    let paths = raw.iter().filter_map(|folder| folder.path.as_ref());
    on.prepare(&paths.map(PathBuf::from).collect::<Vec<_>>());
    // By what is written, so that one bad name is one problem, not two.
    let names: Vec<&str> = datasets.iter().filter_map(|d| d.name.as_deref()).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (at, raw) in raw.iter().enumerate() {
        let here = format!("folder[{}]", at + 1);
        if let Some(first) = raw.name.clone().and_then(|n| seen.insert(n, at + 1)) {
            let what = format!("is the name of folder[{first}] already");
            to.error(
                &format!("{here}.name"),
                what,
                "give each folder a name of its own",
            );
        }
        found.extend(one(here, raw, &names, going, with, on, to));
    }
    found
}

fn one(
    here: String,
    raw: &RawFolder,
    datasets: &[&str],
    going: &Going,
    with: hook::With<'_>,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<Found> {
    let at = |name: &str| format!("{here}.{name}");

    let name = to.name(&at("name"), &raw.name);
    let path = to.path(&at("path"), &raw.path);
    if raw.path.is_none() {
        to.error(
            &at("path"),
            "is missing",
            "write the full path of the directory that files are dropped into",
        );
    }
    let dataset = dataset(&at("dataset"), &raw.dataset, datasets, to);
    let (writers, waits) = waits(&here, raw, to);
    let quiet = waits.quiet;
    let policy = Policy {
        backoff: going.backoff,
        give_up_after: going.give_up_after,
        unconfirmed: to.choice(
            &at("unconfirmed"),
            &raw.unconfirmed,
            going.resend(),
            &[("resend", going.resend()), ("hold", OnUnconfirmed::Hold)],
        ),
        resubmit_failed: raw.resubmit_failed.unwrap_or(0),
        poll: going.pace,
        quiet,
        reimport_after: to.time(
            &at("reimport_after"),
            &raw.reimport_after,
            Duration::from_secs(600),
            Duration::ZERO,
            30 * DAY,
        ),
        after: to.choice(
            &at("after"),
            &raw.after,
            AfterSuccess::Keep,
            &[
                ("keep", AfterSuccess::Keep),
                ("move", AfterSuccess::Move),
                ("delete", AfterSuccess::Delete),
            ],
        ),
        on_reject: to.choice(
            &at("on_reject"),
            &raw.on_reject,
            OnReject::Keep,
            &[("keep", OnReject::Keep), ("move", OnReject::Move)],
        ),
    };
    if policy.resubmit_failed > 100 {
        to.error(
            &at("resubmit_failed"),
            "would import a file over and over, at a price each time",
            "write a number up to 100",
        );
    }
    let (patterns, sets) = patterns(&at, raw, to);
    let [include, exclude, temporary] = sets;
    let watch = to.choice(
        &at("watch"),
        &raw.watch,
        WatchMode::Auto,
        &[
            ("auto", WatchMode::Auto),
            ("events", WatchMode::Events),
            ("poll", WatchMode::Poll),
        ],
    );
    let duplicates = to.choice(
        &at("duplicates"),
        &raw.duplicates,
        Duplicates::Skip,
        &[("skip", Duplicates::Skip), ("upload", Duplicates::Upload)],
    );
    let max_size = to.size(&at("max_size"), &raw.max_size).unwrap_or(MAX_SIZE);
    let (options, types) = options::check(&here, raw, to);
    let done_dir = to.path(&at("done_dir"), &raw.done_dir);
    let rejected_dir = to.path(&at("rejected_dir"), &raw.rejected_dir);

    let hooks = hook::check(&here, raw, with, on, to);

    let path = path?;
    // Inside the folder, so that a move is a rename on one file system; and
    // hidden, so that it is never taken for new files.
    let done_dir = done_dir.unwrap_or_else(|| path.join(".supametas-done"));
    let rejected_dir = rejected_dir.unwrap_or_else(|| path.join(".supametas-rejected"));
    on_disk(&at("path"), &path, &policy, on, to);
    if policy.after == AfterSuccess::Move {
        same_device(&at("done_dir"), &path, &done_dir, on, to);
    }
    if policy.on_reject == OnReject::Move {
        same_device(&at("rejected_dir"), &path, &rejected_dir, on, to);
    }
    Some(Found {
        folder: Folder {
            name: FolderName(name.unwrap_or_default()),
            path,
            dataset: DatasetName(dataset.unwrap_or_default()),
            recursive: raw.recursive.unwrap_or(true),
            include: (!raw.include.is_empty()).then_some(include),
            exclude,
            temporary,
            patterns,
            watch,
            one_file_system: raw.one_file_system.unwrap_or(true),
            owner_sign: raw.owner_sign.unwrap_or(true),
            max_size,
            writers,
            quiet,
            quiet_unsure: waits.quiet_unsure,
            unclosed_wait: waits.unclosed_wait,
            incomplete_wait: waits.incomplete_wait,
            types,
            options,
            duplicates,
            policy: Arc::new(policy),
            done_dir,
            rejected_dir,
            hooks,
        },
        key: here,
    })
}

/// Who writes the files, and how long they are waited for.
fn waits(here: &str, raw: &RawFolder, to: &mut Report<'_>) -> (Writers, Waits) {
    let at = |name: &str| format!("{here}.{name}");
    let none = Duration::ZERO;
    let writers = to.choice(
        &at("writers"),
        &raw.writers,
        Writers::Local,
        &[
            ("local", Writers::Local),
            ("scanner", Writers::Scanner),
            ("share", Writers::Share),
        ],
    );
    let usual = writers.waits();
    let quiet = to.time(&at("quiet"), &raw.quiet, usual.quiet, none, HOUR);
    let quiet_unsure = to.time(
        &at("quiet_unsure"),
        &raw.quiet_unsure,
        usual.quiet_unsure.max(quiet),
        none,
        DAY,
    );
    if quiet_unsure < quiet {
        to.warning(
            &at("quiet_unsure"),
            "is shorter than `quiet`, though less is known about such files",
            "make it at least as long as `quiet`",
        );
    }
    let unclosed_wait = to.time(
        &at("unclosed_wait"),
        &raw.unclosed_wait,
        usual.unclosed_wait.max(quiet_unsure),
        Duration::from_secs(1),
        30 * DAY,
    );
    if unclosed_wait < quiet_unsure {
        to.warning(
            &at("unclosed_wait"),
            "is shorter than `quiet_unsure`, though such a file is known to be written",
            "make it at least as long as `quiet_unsure`",
        );
    }
    let incomplete_wait = to.time(
        &at("incomplete_wait"),
        &raw.incomplete_wait,
        usual.incomplete_wait,
        none,
        DAY,
    );
    let waits = Waits {
        quiet,
        quiet_unsure,
        unclosed_wait,
        incomplete_wait,
    };
    (writers, waits)
}

fn dataset(
    key: &str,
    written: &Option<String>,
    known: &[&str],
    to: &mut Report<'_>,
) -> Option<String> {
    let Some(name) = written else {
        to.error(
            key,
            "is missing",
            "write the `name` of the [[dataset]] that the files go to",
        );
        return None;
    };
    if !known.contains(&name.as_str()) {
        // What was refused as a name is not repeated: it may be anything.
        let names = known.iter().copied().filter(|name| super::usable(name));
        let remedy = match did_you_mean(name, names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "write the `name` of one of the [[dataset]]s".to_owned(),
        };
        to.error(key, "is not the name of a dataset", remedy);
        return None;
    }
    Some(name.clone())
}

/// The patterns on names, as written and to be matched: what is taken, what is
/// excluded, what is temporary.
fn patterns(
    at: &dyn Fn(&str) -> String,
    raw: &RawFolder,
    to: &mut Report<'_>,
) -> (Patterns, [GlobSet; 3]) {
    let none = Vec::new();
    // Who writes the default list down means the default list.
    let own =
        |list: &Option<Vec<String>>, default: &[&str]| list.clone().filter(|list| list != default);
    let own_exclude = own(&raw.exclude, left_out::EXCLUDED);
    let own_temporary = own(&raw.temporary, left_out::TEMPORARY);
    let include = globs([(at("include"), &raw.include), (String::new(), &none)], to);
    let exclude = globs(
        [
            (at("exclude"), own_exclude.as_ref().unwrap_or(&none)),
            (at("exclude_also"), &raw.exclude_also),
        ],
        to,
    );
    let temporary = globs(
        [
            (at("temporary"), own_temporary.as_ref().unwrap_or(&none)),
            (at("temporary_also"), &raw.temporary_also),
        ],
        to,
    );
    let patterns = Patterns {
        include: raw.include.clone(),
        exclude: own_exclude,
        exclude_also: raw.exclude_also.clone(),
        temporary: own_temporary,
        temporary_also: raw.temporary_also.clone(),
    };
    (patterns, [include, exclude, temporary])
}

/// Globs as people mean them: one without a slash is about names at any depth,
/// one that ends in a slash about all that is below.
fn globs(lists: [(String, &Vec<String>); 2], to: &mut Report<'_>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    let first = lists[0].0.clone();
    let each = lists.into_iter().flat_map(|(key, written)| {
        let named = move |(at, text)| (format!("{key}[{}]", at + 1), text);
        written.iter().enumerate().map(named)
    });
    for (key, text) in each {
        let text = text.as_str();
        if text.is_empty() || text.starts_with('/') {
            to.error(
                &key,
                "is not a pattern for paths inside the folder",
                "write it relative to the folder, such as \"*.pdf\" or \"drafts/**\"",
            );
            continue;
        }
        let (stem, below) = match text.strip_suffix('/') {
            Some(stem) => (stem, "/**"),
            None => (text, ""),
        };
        let depth = if stem.contains('/') { "" } else { "**/" };
        let glob = GlobBuilder::new(&format!("{depth}{stem}{below}"))
            .literal_separator(true)
            .build();
        match glob {
            Ok(glob) => {
                set.add(glob);
            }
            Err(why) => to.error(
                &key,
                format!("is not a pattern: {}", why.kind()),
                "use *, ?, [abc], {a,b} and **; put a backslash before one that is meant as itself",
            ),
        }
    }
    set.build().unwrap_or_else(|_| {
        to.error(
            &first,
            "is more than can be matched",
            "use fewer or simpler patterns",
        );
        GlobSet::empty()
    })
}

/// Warnings only: a folder may be mounted later, and the daemon goes on with
/// the others meanwhile.
fn on_disk(key: &str, path: &Path, policy: &Policy, on: &dyn Surroundings, to: &mut Report<'_>) {
    let later = "the folder counts as offline until then";
    let look = on.look(path);
    let real = on.resolve(path);
    if matches!(look, Look::Directory { .. }) && real != path {
        to.note(
            key,
            format!(
                "is a symbolic link, or lies below one: files are taken from {}",
                real.display()
            ),
            "write that path, so that nothing changes when somebody changes the link; one that is neither root's nor the daemon user's is not followed",
        );
    }
    match look {
        Look::Missing => to.warning(
            key,
            "does not exist",
            format!("create it, mount it or correct the path; {later}"),
        ),
        Look::Refused(why) => to.warning(
            key,
            format!("can't be looked at: {why}"),
            format!("let the daemon's user enter the directories above it; {later}"),
        ),
        Look::NoAnswer => to.warning(
            key,
            "does not answer: its file system hangs",
            format!("look at the mount and its server or device; {later}"),
        ),
        Look::NotADirectory => to.warning(
            key,
            "is not a directory",
            format!("name the directory that files are dropped into; {later}"),
        ),
        Look::Directory {
            readable: false, ..
        } => to.warning(
            key,
            "can't be read by this user",
            format!("let the daemon's user list and enter it, by group or ACL; {later}"),
        ),
        Look::Directory {
            writable,
            only_owners,
            ..
        } => {
            let moves = policy.after != AfterSuccess::Keep || policy.on_reject != OnReject::Keep;
            if moves && !writable {
                to.warning(
                    key,
                    "can't be written by this user, and files are to be moved or deleted",
                    "give the daemon's user write right; under systemd name the folder in `ReadWritePaths=` too",
                );
            }
            if moves && writable && only_owners {
                to.warning(
                    key,
                    "has the sticky bit and belongs to another user, and files are to be moved or deleted: only each file's owner may do that",
                    "give the folder to the daemon's user (chown), or take the sticky bit away (`chmod -t`)",
                );
            }
        }
    }
}

fn same_device(key: &str, path: &Path, target: &Path, on: &dyn Surroundings, to: &mut Report<'_>) {
    if let (Some(a), Some(b)) = (on.device(path), on.device(target))
        && a != b
    {
        to.warning(
            key,
            "is on another file system than the folder: a file can't be moved there in one step",
            "choose a directory on the folder's own file system, or leave it out",
        );
    }
}
