//! `config.example.toml` loads, names every key, and tells the truth about the
//! defaults.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::raw::*;
use super::source::keys_of;
use super::testing::{Fake, load_on};
use crate::config::valid::Config;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Takes the comment sign off every `#key = value` and `#[[table]]`. Prose has
/// a space behind its sign.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(|l| line(l) + "\n").collect()
}

fn machine() -> Fake {
    Fake::default()
        .key("/etc/supametas-sync/keys/main", "k\n")
        .var("CREDENTIALS_DIRECTORY", "/run/creds")
        .var("SUPAMETAS_KEY", "k")
        .key("/run/creds/main-key", "k")
        .key("/etc/supametas-sync/main-webhook", "0123456789abcdef\n")
        .key("/etc/supametas-sync/keys/chat", "s\n")
        .key(
            "/etc/supametas-sync/ca.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .key("/etc/supametas-sync/proxy-login", "me:pw\n")
        .key("/etc/supametas-sync/token", "0123456789abcdef\n")
        .key("/etc/supametas-sync/read-token", "0123456789abcdef\n")
}

fn load(text: &str) -> Config {
    load_on(text, &machine())
        .map(|l| l.config)
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Every `table.key` of a TOML text, lists of tables without their numbers.
fn keys(text: &str) -> BTreeSet<String> {
    fn walk(value: &toml::Value, prefix: &str, into: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let key = if prefix.is_empty() {
                        name.clone()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    into.insert(key.clone());
                    walk(value, &key, into);
                }
            }
            toml::Value::Array(list) => list.iter().for_each(|v| walk(v, prefix, into)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(&toml::Value::Table(text.parse().unwrap()), "", &mut found);
    found
}

/// Every key that the program knows, by asking serde.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = keys_of::<Raw>().into_iter().collect();
    let mut add = |table: &str, keys: Vec<String>| {
        assert!(!keys.is_empty(), "{table} refuses no unknown key");
        known.extend(keys.into_iter().map(|key| format!("{table}.{key}")));
    };
    add("service", keys_of::<RawService>());
    add("service.paths", keys_of::<RawPaths>());
    add("daemon", keys_of::<RawDaemon>());
    add("retry", keys_of::<RawRetry>());
    add("poll", keys_of::<RawPoll>());
    add("log", keys_of::<RawLog>());
    add("http", keys_of::<RawHttp>());
    add("dataset", keys_of::<RawDataset>());
    add("folder", keys_of::<RawFolder>());
    add("folder.hook", keys_of::<RawHook>());
    add("error", keys_of::<RawError>());
    for media in ["text", "image", "audio", "video", "web"] {
        let table = format!("folder.{media}");
        let mut route = keys_of::<RawRoute>();
        route.retain(|key| match key.as_str() {
            "title" | "content_details" => media == "text",
            "get_image_text" => media == "image",
            _ => true,
        });
        add(&table, route);
        add(&format!("{table}.custom_keys"), keys_of::<RawCustomKey>());
    }
    // Known only to be refused.
    assert!(known.remove("dataset.key"));
    known
}

#[test]
fn it_loads_as_it_stands() {
    let config = load(EXAMPLE);
    assert_eq!(config.folders.len(), 1);
    assert_eq!(config.datasets.len(), 1);
}

#[test]
fn it_names_every_key_and_no_other() {
    let named = keys(&uncommented());
    let missing: Vec<_> = known().difference(&named).cloned().collect();
    assert!(
        missing.is_empty(),
        "not in config.example.toml: {missing:?}"
    );
    let strange: Vec<String> = named
        .difference(&known())
        .filter(|key| !key.ends_with("someOption"))
        .cloned()
        .collect();
    assert!(
        strange.is_empty(),
        "in config.example.toml, but no key: {strange:?}"
    );
}

#[test]
fn every_line_of_it_can_be_taken_as_it_is() {
    // A dataset names one place for its key, so the two others go.
    let text = uncommented()
        .lines()
        .filter(|l| !l.starts_with("credential") && !l.starts_with("key_env"))
        .map(|l| l.to_owned() + "\n")
        .collect::<String>();
    let loaded = load_on(&text, &machine()).unwrap_or_else(|e| panic!("{e}"));
    assert!(loaded.config.errors != Default::default());
    for (ours, other) in [("credential", "key_env"), ("key_env", "credential")] {
        let text: String = uncommented()
            .lines()
            .filter(|l| !l.starts_with("key_file") && !l.starts_with(other))
            .map(|l| l.to_owned() + "\n")
            .collect();
        assert!(text.contains(ours));
        load(&text);
    }
}

#[test]
fn what_it_calls_a_default_is_one() {
    // Taken away: examples whose default is to be absent.
    let examples = [
        "ca_file",
        "proxy",
        "custom_keys",
        "someOption",
        "requests_per_second",
        "bytes_per_second",
        "credential",
        "key_env",
        "listen",
        "token_file",
        "read_token_file",
        "webhook_path_file",
        "results_dir",
        "[[folder.hook]]",
        "name = \"mail\"",
        "name = \"chat\"",
        "command",
        "url",
        "secret_file",
        "timeout",
        "[[error]]",
        "on =",
        "calls",
        "verdict",
        "limit",
        "then",
        "pause",
    ];
    let text: String = uncommented()
        .lines()
        .filter(|l| !examples.iter().any(|e| l.starts_with(e)))
        .map(|l| l.to_owned() + "\n")
        .collect();
    let (written, bare) = (load(&text), load(EXAMPLE));
    assert_eq!(super::diff(&bare, &written), Vec::<String>::new());
    assert_eq!(format!("{bare:?}"), format!("{written:?}"));
}
