//! Loading a configuration: the file is read once, everything is checked, and
//! the outcome is a [`Config`] or all that stands in its way.
//!
//! Must not: check anything itself.

use std::fs;
use std::io;
use std::path::Path;

use super::check;
use super::keys::Keys;
use super::last_good::WithoutSecrets;
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
    /// What of it is kept for when the file can't be used.
    pub kept: WithoutSecrets,
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
        let bytes = fs::read(path).map_err(|e| unreadable(path, &e))?;
        let text = text_of(path, &bytes)?;
        Config::read(path, text, keys, on)
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
                kept: WithoutSecrets::of(text),
            }),
            _ => Err(ConfigErrors {
                file: path.to_owned(),
                problems,
            }),
        }
    }
}

/// The text, without the mark that some editors put in front of it. What is not
/// UTF-8 is told by its line and its place there.
pub(super) fn text_of<'b>(path: &Path, bytes: &'b [u8]) -> Result<&'b str, ConfigErrors> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let what = "is UTF-16 text, as some editors of Windows write it";
        return Err(whole(path, None, what.to_owned(), UTF_8));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, after) = bytes.split_at(error.valid_up_to());
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let byte = after.first().copied().unwrap_or_default();
        let place = before.len() - start + 1;
        let what = format!("is not UTF-8: byte {place} of this line is 0x{byte:02X}");
        whole(path, Some(line), what, UTF_8)
    })
}

const UTF_8: &str = "save the file as UTF-8 (the editor's \"Save as\" has the encoding), or write the letter without its accent";

fn unreadable(path: &Path, why: &io::Error) -> ConfigErrors {
    let remedy = "name the file with `--config`, and let the daemon's user read it";
    whole(path, None, format!("can't be read: {why}"), remedy)
}

/// About the file as a whole.
fn whole(path: &Path, line: Option<usize>, what: String, remedy: &str) -> ConfigErrors {
    ConfigErrors {
        file: path.to_owned(),
        problems: vec![Problem {
            severity: Severity::Error,
            file: path.to_owned(),
            key: String::new(),
            line,
            of: None,
            value: None,
            what,
            remedy: remedy.to_owned(),
        }],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wrong_encoding_is_told_with_line_and_byte() {
        let path = Path::new("c.toml");
        let said = |bytes: &[u8]| text_of(path, bytes).unwrap_err().problems[0].to_string();
        let latin = said(b"[log]\n# gr\xfc\xdfe\n");
        assert!(
            latin.starts_with("c.toml:2: error: is not UTF-8: byte 5 of this line is 0xFC; save"),
            "{latin}"
        );
        let cut = said("# 报".as_bytes().split_last().unwrap().1);
        assert!(
            cut.contains("c.toml:1: error: is not UTF-8: byte 3 of this line is 0xE6"),
            "{cut}"
        );
        assert!(said(b"\xff\xfe[\0").contains("is UTF-16"));
        assert_eq!(text_of(path, b"\xef\xbb\xbf[log]").unwrap(), "[log]");
        assert_eq!(text_of(path, "# 报".as_bytes()).unwrap(), "# 报");
    }
}
