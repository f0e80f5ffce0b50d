//! What is wrong with a configuration, said so that it can be mended: the
//! file and line, the key, what is wrong, what to write instead.
//!
//! Must not: carry a value out of the file that may be a secret. What is written
//! in a wrong place may well be an Access-Key: `showable` says what can be repeated.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// It can be used, and something in it or on the disk needs a look.
    Warning,
    /// Nothing is wrong; something is assumed that an operator should know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// One thing that is wrong, or worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The configuration file.
    pub file: PathBuf,
    /// The key, such as `folder[2].text.format`; folders, datasets and
    /// overrides are counted from 1. Empty where it is about the whole file.
    pub key: String,
    /// The line that the key is on, from 1; that of its table where the key
    /// is not in the file.
    pub line: Option<usize>,
    /// The folder or dataset that the key is of, in words.
    pub of: Option<String>,
    /// What is written there, as far as it can be shown.
    pub value: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it; may be empty in a note.
    pub remedy: String,
}

impl Problem {
    /// In the order of the file; the worse first on one line.
    pub fn by_place(&self, other: &Problem) -> Ordering {
        (self.line, self.severity, &self.key).cmp(&(other.line, other.severity, &other.key))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: ", self.severity)?;
        if !self.key.is_empty() {
            match &self.value {
                Some(value) => write!(f, "`{} = {value}` ", self.key)?,
                None => write!(f, "`{}` ", self.key)?,
            }
        }
        if let Some(of) = &self.of {
            write!(f, "({of}) ")?;
        }
        f.write_str(&self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Why a configuration was refused: everything that was found, warnings and
/// notes too. At least one is an error. Shown without the notes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// The configuration file.
    pub file: PathBuf,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// How many of the problems are errors.
    pub fn errors(&self) -> usize {
        let error = |p: &&Problem| p.severity == Severity::Error;
        self.problems.iter().filter(error).count()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, file) = (self.errors(), Plain(&self.file));
        let s = if count == 1 { "" } else { "s" };
        write!(f, "{file} can't be used: {count} error{s}")?;
        // Notes would stand between a person and what has to be done.
        let told = |p: &&Problem| p.severity != Severity::Note;
        for problem in self.problems.iter().filter(told) {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

/// A path in a message: control characters made visible, and bounded.
pub(super) struct Plain<'a>(pub &'a Path);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        for c in text.chars().take(400) {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_place_and_remedy() {
        let problem = Problem {
            severity: Severity::Error,
            file: "/etc/x\n.toml".into(),
            key: "folder[2].path".into(),
            line: Some(7),
            of: Some("folder scans".into()),
            value: Some("\"drop\"".into()),
            what: "is not absolute".into(),
            remedy: "begin it with /".into(),
        };
        assert_eq!(
            problem.to_string(),
            "/etc/x\\n.toml:7: error: `folder[2].path = \"drop\"` (folder scans) is not absolute; begin it with /"
        );
    }
}
