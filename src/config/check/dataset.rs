//! `[[dataset]]`: names, keys and rates.
//!
//! Must not: put a key, or a piece of one, into a problem; or read one when only
//! the rest of the configuration is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Report, pushes};
use crate::config::keys::{self, KeyError, KeySource, Keys};
use crate::config::raw::{RawDataset, RawFolder};
use crate::config::source::KEY_REMEDY;
use crate::config::surroundings::Surroundings;
use crate::config::valid::Dataset;
use crate::domain::ids::DatasetName;
use crate::ports::AccessKey;

/// The datasets that can be used, and the key files with the key that names
/// each.
pub(super) fn check(
    raw: &[RawDataset],
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> (Vec<Dataset>, Vec<(String, PathBuf)>) {
    if raw.is_empty() {
        to.error(
            "dataset",
            "is missing: nothing says where files go",
            "add a [[dataset]] with a `name` and a `key_file`",
        );
    }
    let mut found: Vec<Dataset> = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut key_files = Vec::new();
    for (at, raw) in raw.iter().enumerate() {
        let here = format!("dataset[{}]", at + 1);
        let name = to.name(&format!("{here}.name"), &raw.name);
        if let Some(first) = raw.name.clone().and_then(|n| seen.insert(n, at + 1)) {
            let what = format!("is the name of dataset[{first}] already");
            to.error(
                &format!("{here}.name"),
                what,
                "give each dataset a name of its own",
            );
        }
        if let Some(path) = raw.key_file.as_deref().filter(|p| p.starts_with('/')) {
            key_files.push((format!("{here}.key_file"), PathBuf::from(path)));
        }
        if let Some(path) = raw
            .webhook_path_file
            .as_deref()
            .filter(|p| p.starts_with('/'))
        {
            key_files.push((format!("{here}.webhook_path_file"), PathBuf::from(path)));
        }
        let key = key(&here, raw, keys, on, to);
        let (concurrency, max_concurrent) = at_once(&here, raw, to);
        let rest = Dataset {
            name: DatasetName(name.clone().unwrap_or_default()),
            key: key.clone().unwrap_or_else(|| AccessKey::new(String::new())),
            key_file: raw.key_file.as_ref().map(PathBuf::from),
            concurrency,
            max_concurrent,
            polls_per_second: to
                .rate(&format!("{here}.polls_per_second"), raw.polls_per_second)
                .unwrap_or(5.0),
            requests_per_second: to.rate(
                &format!("{here}.requests_per_second"),
                raw.requests_per_second,
            ),
            bytes_per_second: bytes_per_second(&here, raw, to),
            pushes: pushes::check(&here, raw, keys, on, to),
        };
        if let (Some(_), Some(key)) = (name, key) {
            let same = |other: &&Dataset| {
                let known = keys != Keys::NotNeeded && !key.expose().is_empty();
                known && other.key.fingerprint() == key.fingerprint()
            };
            if let Some(other) = found.iter().find(same) {
                to.warning(
                    &here,
                    format!("has the same Access-Key as the dataset {}", other.name),
                    "use one [[dataset]] for both: the service sees one, and limits and pauses count for each",
                );
            }
            let secret = |dataset: &Dataset| dataset.pushes.as_ref().map(|p| p.secret.clone());
            let taken = |other: &Dataset| match (secret(other), secret(&rest)) {
                (Some(other), Some(secret)) => keys != Keys::NotNeeded && other.is(secret.expose()),
                _ => false,
            };
            if let Some(other) = found.iter().find(|other| taken(other)) {
                to.error(
                    &format!("{here}.webhook_path_file"),
                    format!(
                        "leads to the same path as that of the dataset {}",
                        other.name
                    ),
                    "give each dataset a path of its own: it is what tells whose a push is",
                );
            }
            found.push(rest);
        }
    }
    (found, key_files)
}

fn key(
    here: &str,
    raw: &RawDataset,
    keys: Keys,
    on: &dyn Surroundings,
    to: &mut Report<'_>,
) -> Option<AccessKey> {
    if raw.key.is_some() {
        to.error(
            &format!("{here}.key"),
            "holds the Access-Key itself",
            KEY_REMEDY,
        );
    }
    let places: Vec<(&str, KeySource<'_>)> = [
        ("key_file", raw.key_file.as_deref().map(KeySource::File)),
        ("key_env", raw.key_env.as_deref().map(KeySource::Env)),
        (
            "credential",
            raw.credential.as_deref().map(KeySource::Credential),
        ),
    ]
    .into_iter()
    .filter_map(|(name, place)| place.map(|place| (name, place)))
    .collect();
    let [(name, place)] = places.as_slice() else {
        let one = "name the key's place with exactly one of `key_file`, `key_env` and `credential`";
        if places.len() > 1 {
            to.error(here, "names more than one place for its Access-Key", one);
        } else if raw.key.is_none() && !cut_key(here, to) {
            to.error(here, "names no place for its Access-Key", one);
        }
        return None;
    };
    if keys == Keys::NotNeeded {
        return Some(AccessKey::new(String::new()));
    }
    let at = format!("{here}.{name}");
    match keys::read(*place, on) {
        Err(KeyError::NoCredentials) if keys == Keys::ReadByHand => {
            to.note(
                &at,
                "is given by systemd when it starts the daemon, so by hand it can't be known whether the key is there and right",
                "",
            );
            Some(AccessKey::new(String::new()))
        }
        Err(why) => {
            to.error(&at, why.to_string(), why.remedy());
            None
        }
        Ok(read) => {
            if let Some(why) = keys::wrapped(&read.key) {
                to.error(&at, why.to_string(), why.remedy());
                return None;
            }
            Some(to.kept_close(&at, read))
        }
    }
}

/// Datasets that no folder sends to. Nothing is said of them while a folder names
/// none, or one that is not there: it may be the one that was meant.
pub(super) fn unused(raw: &[RawDataset], folders: &[RawFolder], to: &mut Report<'_>) {
    let named: Vec<_> = folders.iter().map(|folder| &folder.dataset).collect();
    let known = |name: &&Option<String>| name.is_some() && raw.iter().any(|d| d.name == **name);
    if named.is_empty() || !named.iter().all(known) {
        return;
    }
    for (at, dataset) in (1..).zip(raw) {
        if dataset.name.is_some() && !named.contains(&&dataset.name) {
            to.warning(
                &format!("dataset[{at}]"),
                "is used by no folder: nothing is sent to it",
                "name it in the `dataset` of a [[folder]], or take it out",
            );
        }
    }
}

/// Whether a place was named, but in a shape that was refused already.
fn cut_key(here: &str, to: &Report<'_>) -> bool {
    ["key_file", "key_env", "credential"]
        .iter()
        .any(|name| to.cut.contains(&format!("{here}.{name}")))
}

/// How many uploads at once to begin with, and at most. Where only the first is
/// written it is both: whoever wrote it before there was the second meant so.
fn at_once(here: &str, raw: &RawDataset, to: &mut Report<'_>) -> (usize, usize) {
    const START: usize = 8;
    // Four times as many as at first, and some more: 32 would have to be there from
    // the first moment to do four times the work.
    const MOST: usize = 40;
    let mut number = |name: &str, written: Option<u32>| match written {
        Some(n @ 1..=64) => usize::try_from(n).ok(),
        None => None,
        Some(_) => {
            let key = format!("{here}.{name}");
            to.error(&key, "is out of range", "write a number from 1 to 64");
            None
        }
    };
    let start = number("concurrency", raw.concurrency);
    let most = number("max_concurrent", raw.max_concurrent);
    match (start, most) {
        (Some(start), Some(most)) if start > most => {
            to.error(
                &format!("{here}.concurrency"),
                "is more than `max_concurrent`",
                "lower it, or raise `max_concurrent`: it is what uploads begin with",
            );
            (most, most)
        }
        (Some(start), most) => (start, most.unwrap_or(start)),
        (None, most) => {
            let most = most.unwrap_or(MOST);
            (START.min(most), most)
        }
    }
}

fn bytes_per_second(here: &str, raw: &RawDataset, to: &mut Report<'_>) -> Option<u64> {
    let key = format!("{here}.bytes_per_second");
    let rate = to.size(&key, &raw.bytes_per_second)?;
    if rate < 1024 {
        to.error(
            &key,
            "is too little to work with",
            "write at least \"1KiB\", or leave it out for no limit",
        );
        return None;
    }
    Some(rate)
}
