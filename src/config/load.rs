//! Loading a configuration: the file is read once, everything is checked, and
//! the outcome is a [`Config`] or all that stands in its way.
//!
//! Must not: check anything itself.

use std::fs;
use std::io;
use std::path::Path;

use super::check;
use super::keys::Keys;
use super::problem::{ConfigErrors, Problem, Severity};
use super::source;
use super::surroundings::{Machine, Surroundings, Unseen};
use super::valid::Config;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// What needs a look all the same, and what is assumed (severity
    /// [`Severity::Note`]), in the order of the file.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks the file at `path`, the keys that it names, and what
    /// its paths lead to on this machine.
    pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
        Config::load_with(path, Keys::Read, &Machine)
    }

    /// As [`Config::load`], for `check`: a key that systemd alone can give is
    /// noted where it is not there, and empty.
    pub fn load_by_hand(path: &Path) -> Result<Loaded, ConfigErrors> {
        Config::load_with(path, Keys::ReadByHand, &Machine)
    }

    /// As [`Config::load`], for commands that never call the service: no key
    /// is read, so the fingerprints of datasets mean nothing, and no folder is
    /// looked at, so that one on a mount that hangs holds nobody up.
    pub fn load_without_keys(path: &Path) -> Result<Loaded, ConfigErrors> {
        Config::load_with(path, Keys::NotNeeded, &Unseen)
    }

    fn load_with(path: &Path, keys: Keys, on: &dyn Surroundings) -> Result<Loaded, ConfigErrors> {
        match fs::read_to_string(path) {
            Ok(text) => Config::read(path, &text, keys, on),
            Err(e) => Err(unreadable(path, &e)),
        }
    }

    /// Checks `text`, which is said to come from `path`, against a machine.
    pub fn read(
        path: &Path,
        text: &str,
        keys: Keys,
        on: &dyn Surroundings,
    ) -> Result<Loaded, ConfigErrors> {
        let (config, mut problems) = match source::read(text) {
            Err(flaws) => (None, check::flaws(path, flaws)),
            Ok(source) => check::check(path, source, keys, on),
        };
        problems.sort_by(Problem::by_place);
        let refused = problems.iter().any(|p| p.severity == Severity::Error);
        match config {
            Some(config) if !refused => Ok(Loaded {
                config,
                warnings: problems,
            }),
            _ => Err(ConfigErrors {
                file: path.to_owned(),
                problems,
            }),
        }
    }
}

fn unreadable(path: &Path, why: &io::Error) -> ConfigErrors {
    let what = match why.kind() {
        io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        _ => format!("can't be read: {why}"),
    };
    ConfigErrors {
        file: path.to_owned(),
        problems: vec![Problem {
            severity: Severity::Error,
            file: path.to_owned(),
            key: String::new(),
            line: None,
            what,
            remedy: "name the file with `--config`, and let the daemon's user read it".to_owned(),
        }],
    }
}
