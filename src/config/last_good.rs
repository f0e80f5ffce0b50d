//! The configuration that a daemon took over last, for the commands beside it:
//! a file that somebody is just editing must not take `status` or `pause` away.
//!
//! How a command finds it, where the configuration itself can't be used: the
//! copy lies beside the ledger, so the question is where the ledger is. The
//! file is read leniently for `daemon.ledger` ([`ledgers`]): by a parser that
//! goes on after an error, then by its lines alone, and then the usual places
//! are tried. A wrong guess does no harm: a copy says which configuration file
//! it is of, and one of another file is not used.
//!
//! Must not: hold a secret. What the copy is made of was accepted, so each
//! value is where it belongs; comments, where anything may stand, are not in
//! it, and neither are hooks, whose addresses and arguments may be secrets.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::check::usual_ledger;
use super::keys::Keys;
use super::problem::ConfigErrors;
use super::surroundings::{Surroundings, Unseen};
use super::valid::Config;
use crate::domain::time::Timestamp;

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastGood {
    /// The configuration file that it is of.
    config: String,
    /// When it was taken over, in milliseconds since the Unix epoch.
    at: Timestamp,
    /// It, without secrets, as TOML.
    toml: String,
}

/// What of a configuration's text goes into the copy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WithoutSecrets(toml::Table);

impl WithoutSecrets {
    /// Of a text that was accepted.
    pub(super) fn of(text: &str) -> WithoutSecrets {
        let mut table: toml::Table = text.parse().unwrap_or_default();
        if let Some(toml::Value::Array(folders)) = table.get_mut("folder") {
            let tables = folders.iter_mut().filter_map(toml::Value::as_table_mut);
            tables.for_each(|folder| drop(folder.remove("hook")));
        }
        WithoutSecrets(table)
    }
}

impl LastGood {
    /// The copy for `config`, whose daemon works on `ledger` since `now`.
    pub fn new(config: &Path, text: &WithoutSecrets, ledger: &Path, now: Timestamp) -> LastGood {
        let mut table = text.0.clone();
        let daemon = table
            .entry("daemon")
            .or_insert_with(|| toml::Table::new().into());
        if let Some(daemon) = daemon.as_table_mut() {
            // The one in use, wherever its path is from.
            let ledger = std::path::absolute(ledger).unwrap_or(ledger.to_owned());
            daemon.insert("ledger".into(), ledger.to_string_lossy().as_ref().into());
        }
        LastGood {
            config: named(config),
            at: now,
            toml: table.to_string(),
        }
    }

    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// What was written, if it is of `config`.
    pub fn read(bytes: &[u8], config: &Path) -> Option<LastGood> {
        let copy: LastGood = serde_json::from_slice(bytes).ok()?;
        (copy.config == named(config)).then_some(copy)
    }

    /// When it was taken over.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The configuration. Keys are read where `keys` says so.
    ///
    /// # Errors
    /// A program of another version wrote it, or a key can't be read.
    pub fn config(&self, keys: Keys) -> Result<Config, ConfigErrors> {
        let path = Path::new(&self.config);
        let loaded = Config::read(path, &self.toml, keys, &Unseen)?;
        Ok(loaded.config)
    }
}

/// One name for one file: what is above it is resolved, but not the file
/// itself, which may be gone just now.
fn named(config: &Path) -> String {
    let whole = std::path::absolute(config).unwrap_or(config.to_owned());
    let resolved = match (whole.parent(), whole.file_name()) {
        (Some(above), Some(name)) => above
            .canonicalize()
            .map_or(whole.clone(), |above| above.join(name)),
        _ => whole,
    };
    resolved.to_string_lossy().into_owned()
}

/// Where the ledger of a configuration may be that can't be used, best first.
/// `text`: what is in the file, as far as it can be read.
pub fn ledgers(text: &[u8], on: &dyn Surroundings) -> Vec<PathBuf> {
    let text = String::from_utf8_lossy(text);
    let mut found: Vec<PathBuf> = Vec::new();
    let (tree, _) = DeTable::parse_recoverable(&text);
    if let Some(DeValue::Table(daemon)) = tree.get_ref().get("daemon").map(|t| t.get_ref())
        && let Some(DeValue::String(ledger)) = daemon.get("ledger").map(|l| l.get_ref())
    {
        found.push(PathBuf::from(ledger.as_ref()));
    }
    found.extend(text.lines().filter_map(by_line));
    found.push(usual_ledger(on));
    found.retain(|path| path.is_absolute());
    let mut known = std::collections::BTreeSet::new();
    found.retain(|path| known.insert(path.clone()));
    found
}

/// `ledger = "/…"`, whatever is around it, and with or without its quotes.
fn by_line(line: &str) -> Option<PathBuf> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    if name != "ledger" && name != "daemon.ledger" {
        return None;
    }
    let value = value.split('#').next()?.trim();
    let value = value.trim_matches(|c| c == '"' || c == '\'');
    Some(PathBuf::from(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::testing::{BASE, Fake, load, machine};

    #[test]
    fn what_is_kept_can_be_used_and_holds_no_secret() {
        let text = format!(
            "# sk-in-a-comment\n{BASE}# and sk-in-another\n[[folder.hook]]\non = ['failed']\n\
             url = 'https://chat.example/sk-in-an-address'\n\
             [[folder.hook]]\non = ['failed']\ncommand = ['/bin/tell', 'sk-in-an-argument']\n"
        );
        let loaded = load(&text).unwrap();
        let path = Path::new("/etc/no-such-place/c.toml");
        let ledger = Path::new("/var/lib/x/ledger.sqlite");
        let copy = LastGood::new(path, &loaded.kept, ledger, Timestamp(7));
        let bytes = copy.to_bytes();
        let written = String::from_utf8(bytes.clone()).unwrap();
        assert!(!written.contains("sk-"), "{written}");
        assert!(!written.contains("k-main"), "{written}");

        let read = LastGood::read(&bytes, path).unwrap();
        assert_eq!(read.at(), Timestamp(7));
        let config = read.config(Keys::NotNeeded).unwrap();
        assert_eq!(config.ledger, ledger);
        assert_eq!(config.folders.len(), 1);
        let folder = config.folders.values().next().unwrap();
        assert_eq!(folder.path, Path::new("/srv/drop"));
        // One of another file is not used, and neither is anything else.
        assert!(LastGood::read(&bytes, Path::new("/etc/no-such-place/d.toml")).is_none());
        assert!(LastGood::read(b"{}", path).is_none());
        assert!(LastGood::read(b"\xff", path).is_none());
    }

    #[test]
    fn the_ledger_is_found_in_what_can_hardly_be_read() {
        let on = Fake::default().var("STATE_DIRECTORY", "/var/lib/state");
        let usual = "/var/lib/state/ledger.sqlite";
        for (text, wanted) in [
            ("", vec![usual]),
            ("[daemon]\nledger = '/a/l'\n[log\n", vec!["/a/l", usual]),
            (
                "[service]\nx = y\n[daemon]\nledger = \"/a/l\" # here\n",
                vec!["/a/l", usual],
            ),
            ("[daemon]\nledger = /a/l\n", vec!["/a/l", usual]),
            ("daemon.ledger = '/a/l'\n= 3\n", vec!["/a/l", usual]),
            ("ledger = 'not absolute'\n", vec![usual]),
            ("\u{feff}[daemon]\nledger = '/a/l'\n", vec!["/a/l", usual]),
        ] {
            let wanted: Vec<PathBuf> = wanted.into_iter().map(PathBuf::from).collect();
            assert_eq!(ledgers(text.as_bytes(), &on), wanted, "{text}");
        }
        let latin = b"# caf\xe9\n[daemon]\nledger = '/a/l'\n";
        assert_eq!(ledgers(latin, &machine())[0], Path::new("/a/l"));
    }
}
