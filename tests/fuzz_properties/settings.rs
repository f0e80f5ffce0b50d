//! What people write into the configuration.

use std::io;
use std::path::{Path, PathBuf};

use supametas_sync::config::{Config, KeyFile, Keys, Look, Problem, Program, Surroundings};

use super::assert_shown;

/// Stands in an input for a key that was pasted there.
const PLACE: &str = "KEY";
const PASTED: &str = "sk-S3cr3tV4lue-9f8e7d6c";
/// What of it must not be repeated.
const PARTS: [&str; 3] = ["s3cr3t", "v4lue", "9f8e7d6c"];
/// The key that the machine has.
const OWN: &str = "k0wn-9a8b7c6d";

/// A configuration; `KEY` is a key that was pasted there.
///
/// - It can be used, or there is at least one error.
/// - What is said is said on a line that exists, in short and harmless words.
/// - No message repeats the key, pasted or not.
/// - Said twice, it is the same.
pub fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let written = text.to_lowercase();
    let text = text.replace(PLACE, PASTED);
    let lines = text.matches('\n').count() + 1;
    let said = match load(&text) {
        Ok((debug, warnings)) => {
            assert!(!debug.contains(OWN), "the key shows");
            assert!(warnings.iter().all(|p| p.severity != error()));
            warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|p| p.severity == error()));
            problems
        }
    };
    for problem in &said {
        let shown = problem.to_string();
        assert_shown(&shown, 1000);
        assert!(
            problem.line.is_none_or(|at| (1..=lines).contains(&at)),
            "{shown}"
        );
        let all = format!("{shown}{problem:?}").to_lowercase();
        for part in PARTS.into_iter().chain([OWN]) {
            // What the input says by itself is no key.
            let repeated = all.contains(part) && !written.contains(part);
            assert!(!repeated, "a key is repeated: {shown}");
        }
    }
    assert!(said.len() <= text.len() + 20, "{} messages", said.len());
    let again = match load(&text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    assert_eq!(said, again);
}

fn error() -> supametas_sync::config::Severity {
    supametas_sync::config::Severity::Error
}

fn load(text: &str) -> Result<(String, Vec<Problem>), Vec<Problem>> {
    match Config::read(Path::new("c.toml"), text, Keys::Read, &Fine) {
        Ok(loaded) => Ok((format!("{:?}", loaded.config), loaded.warnings)),
        Err(errors) => Err(errors.problems),
    }
}

/// A machine on which every path is a directory and every key is there.
struct Fine;

impl Surroundings for Fine {
    fn var(&self, name: &str) -> Option<String> {
        (name.len() % 2 == 1).then(|| OWN.to_owned())
    }

    fn look(&self, path: &Path) -> Look {
        match path.as_os_str().len() % 7 {
            0 => Look::Missing,
            1 => Look::NotADirectory,
            2 => Look::Refused("permission denied".to_owned()),
            n => Look::Directory {
                readable: n != 3,
                writable: n != 4,
                only_owners: n & 4 == 0,
            },
        }
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn device(&self, path: &Path) -> Option<u64> {
        Some(path.components().count() as u64)
    }

    fn program(&self, path: &Path) -> Program {
        match path.as_os_str().len() % 5 {
            0 => Program::Missing,
            1 => Program::NotAFile,
            2 => Program::NotExecutable,
            3 => Program::Writable,
            _ => Program::Fine,
        }
    }

    fn authorities(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.key_file(path)?.content)
    }
    fn key_file(&self, path: &Path) -> io::Result<KeyFile> {
        if path.as_os_str().len().is_multiple_of(5) {
            return Err(io::Error::from_raw_os_error(13));
        }
        Ok(KeyFile {
            content: OWN.as_bytes().to_vec(),
            open_to_all: path.as_os_str().len() % 5 == 1,
        })
    }
}
