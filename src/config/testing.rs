//! A machine made up for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::keys::Keys;
use super::load::Loaded;
use super::problem::{ConfigErrors, Problem};
use super::surroundings::{KeyFile, Look, Program, Surroundings};
use super::valid::Config;

/// Every path is a writable directory on one file system, but those that are
/// said to be otherwise.
#[derive(Default)]
pub struct Fake {
    vars: BTreeMap<String, String>,
    keys: BTreeMap<PathBuf, (Vec<u8>, bool)>,
    looks: BTreeMap<PathBuf, Look>,
    links: BTreeMap<PathBuf, PathBuf>,
    devices: BTreeMap<PathBuf, u64>,
    programs: BTreeMap<PathBuf, Program>,
}

impl Fake {
    pub fn var(mut self, name: &str, value: &str) -> Fake {
        self.vars.insert(name.into(), value.into());
        self
    }
    pub fn key(mut self, path: &str, content: &str) -> Fake {
        self.keys.insert(path.into(), (content.into(), false));
        self
    }
    pub fn open_key(mut self, path: &str, content: &str) -> Fake {
        self.keys.insert(path.into(), (content.into(), true));
        self
    }
    pub fn bytes(mut self, path: &str, content: &[u8]) -> Fake {
        self.keys.insert(path.into(), (content.into(), false));
        self
    }
    pub fn look(mut self, path: &str, look: Look) -> Fake {
        self.looks.insert(path.into(), look);
        self
    }
    pub fn link(mut self, path: &str, to: &str) -> Fake {
        self.links.insert(path.into(), to.into());
        self
    }
    pub fn program(mut self, path: &str, program: Program) -> Fake {
        self.programs.insert(path.into(), program);
        self
    }
    pub fn device(mut self, path: &str, number: u64) -> Fake {
        self.devices.insert(path.into(), number);
        self
    }
}

impl Surroundings for Fake {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }
    fn look(&self, path: &Path) -> Look {
        self.looks.get(path).cloned().unwrap_or(Look::Directory {
            readable: true,
            writable: true,
            only_owners: false,
        })
    }
    fn resolve(&self, path: &Path) -> PathBuf {
        self.links.get(path).cloned().unwrap_or(path.to_owned())
    }
    fn device(&self, path: &Path) -> Option<u64> {
        let found = |p: &Path| self.devices.get(p).copied();
        path.ancestors().find_map(found).or(Some(1))
    }
    fn program(&self, path: &Path) -> Program {
        self.programs.get(path).copied().unwrap_or(Program::Fine)
    }
    fn authorities(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.key_file(path)?.content)
    }
    fn key_file(&self, path: &Path) -> io::Result<KeyFile> {
        let (content, open) = self
            .keys
            .get(path)
            .ok_or_else(|| io::Error::from_raw_os_error(2))?;
        Ok(KeyFile {
            content: content.clone(),
            open_to_all: *open,
        })
    }
}

/// A dataset `main` and a folder `inbox`, and room for more in front.
pub const BASE: &str = "
[[dataset]]
name = 'main'
key_file = '/etc/key'

[[folder]]
name = 'inbox'
path = '/srv/drop'
dataset = 'main'
";

/// The machine that [`BASE`] is fine on.
pub fn machine() -> Fake {
    Fake::default().key("/etc/key", "k-main\n")
}

pub fn load(text: &str) -> Result<Loaded, ConfigErrors> {
    load_on(text, &machine())
}

pub fn load_on(text: &str, on: &dyn Surroundings) -> Result<Loaded, ConfigErrors> {
    Config::read(Path::new("c.toml"), text, Keys::Read, on)
}

/// Loads [`BASE`] with `more` behind it.
#[track_caller]
pub fn with(more: &str) -> Config {
    match load(&format!("{BASE}{more}")) {
        Ok(loaded) => loaded.config,
        Err(errors) => panic!("{errors}"),
    }
}

/// Everything said about `text`, one line each, without the file's name.
pub fn said(text: &str, on: &dyn Surroundings) -> Vec<String> {
    let line = |p: &Problem| {
        p.to_string()
            .trim_start_matches("c.toml:")
            .trim()
            .to_owned()
    };
    match load_on(text, on) {
        Ok(loaded) => loaded.warnings.iter().map(line).collect(),
        Err(errors) => errors.problems.iter().map(line).collect(),
    }
}

/// What is said beside the notes.
pub fn problems(text: &str, on: &Fake) -> Vec<String> {
    let mut said = said(text, on);
    said.retain(|line| !line.contains("note:"));
    said
}

/// What is said about `BASE` with `more` behind it, which begins on line 10.
#[track_caller]
pub fn says(more: &str, expected: &[&str]) {
    let text = format!("{BASE}{more}");
    assert_eq!(problems(&text, &machine()), expected, "{more}");
}
