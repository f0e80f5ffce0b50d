//! What the configuration is checked against: environment variables, the
//! state of paths, the files that keys are in. A trait, so that tests can say
//! what the machine is like.
//!
//! Must not: change anything, or wait (a FIFO is not opened).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::limited::Calls;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Missing,
    /// It can't be looked at; in words.
    Refused(String),
    /// The file system does not answer.
    NoAnswer,
    /// Something other than a directory.
    NotADirectory,
    /// A directory.
    Directory {
        /// It can be listed and entered.
        readable: bool,
        /// Files can be moved out of it and into it.
        writable: bool,
        /// It has the sticky bit and belongs to another user: only the owner of
        /// a file can move or delete it.
        only_owners: bool,
    },
}

/// What is where a program should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Nothing that this user can look at.
    Missing,
    /// A directory, a device or the like.
    NotAFile,
    /// A file that this user can't run.
    NotExecutable,
    /// One that can be run, and that anybody can change.
    Writable,
    /// One that can be run.
    Fine,
}

/// A file that a key is in.
pub struct KeyFile {
    /// At most `MAX_KEY_FILE` and one byte of it.
    pub content: Vec<u8>,
    /// Any user of the machine can read it.
    pub open_to_all: bool,
}

/// A key file larger than this holds no key. Bytes.
pub const MAX_KEY_FILE: usize = 4096;

/// The most that is read of a file of certificate authorities: four times what
/// systems ship. Bytes.
pub const MAX_AUTHORITIES: usize = 1 << 20;

/// The machine, as far as a configuration depends on it.
pub trait Surroundings {
    /// These paths will be asked about: one that does not answer then holds up
    /// the answers once, and not each of them.
    fn prepare(&self, _: &[PathBuf]) {}
    /// An environment variable; `None` if it is not set or not text.
    fn var(&self, name: &str) -> Option<String>;
    /// What is at a path.
    fn look(&self, path: &Path) -> Look;
    /// The path with its symlinks resolved, as far as it exists.
    fn resolve(&self, path: &Path) -> PathBuf;
    /// The file system that the path is on, or would be on.
    fn device(&self, path: &Path) -> Option<u64>;
    /// What is where a program should be.
    fn program(&self, path: &Path) -> Program;
    /// Reads a file of certificate authorities: at most [`MAX_AUTHORITIES`].
    fn authorities(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads the file that a key is in.
    fn key_file(&self, path: &Path) -> io::Result<KeyFile>;
}

/// The machine that the program runs on. A file system that does not answer
/// within [`crate::limited::LIMIT`] is not waited for any longer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn prepare(&self, paths: &[PathBuf]) {
        let questions = paths.iter().map(|path| {
            let asked = path.clone();
            (path.clone(), move || drop(look(&asked)))
        });
        Calls::of_process().ask_all(questions);
    }

    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn look(&self, path: &Path) -> Look {
        ask(path, look).unwrap_or(Look::NoAnswer)
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        ask(path, resolve).unwrap_or_else(|_| path.to_owned())
    }

    fn device(&self, path: &Path) -> Option<u64> {
        ask(path, device).ok().flatten()
    }

    fn program(&self, path: &Path) -> Program {
        ask(path, program).unwrap_or(Program::Missing)
    }

    fn authorities(&self, path: &Path) -> io::Result<Vec<u8>> {
        ask(path, authorities).unwrap_or_else(|why| Err(io::Error::other(why.to_string())))
    }

    fn key_file(&self, path: &Path) -> io::Result<KeyFile> {
        ask(path, key_file).unwrap_or_else(|why| Err(io::Error::other(why.to_string())))
    }
}

/// A machine of which nothing is looked at: for commands that need the
/// configuration and no folder. Every path counts as it is written, and as a
/// directory that can be used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unseen;

impl Surroundings for Unseen {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn look(&self, _: &Path) -> Look {
        Look::Directory {
            readable: true,
            writable: true,
            only_owners: false,
        }
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn device(&self, _: &Path) -> Option<u64> {
        None
    }

    fn program(&self, _: &Path) -> Program {
        Program::Fine
    }

    fn authorities(&self, path: &Path) -> io::Result<Vec<u8>> {
        Machine.authorities(path)
    }

    fn key_file(&self, path: &Path) -> io::Result<KeyFile> {
        Machine.key_file(path)
    }
}

fn ask<T: Send + 'static>(
    path: &Path,
    question: fn(&Path) -> T,
) -> Result<T, crate::limited::NoAnswer> {
    let asked = path.to_owned();
    Calls::of_process().ask(path, move || question(&asked))
}

fn look(path: &Path) -> Look {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Look::Missing,
        Err(e) => Look::Refused(e.to_string()),
        Ok(about) if !about.is_dir() => Look::NotADirectory,
        Ok(about) => {
            // The effective user is who will open the files.
            let may = |what| accessat(CWD, path, what, AtFlags::EACCESS).is_ok();
            Look::Directory {
                readable: may(Access::READ_OK | Access::EXEC_OK),
                writable: may(Access::WRITE_OK | Access::EXEC_OK),
                only_owners: {
                    let me = rustix::process::geteuid().as_raw();
                    about.mode() & 0o1000 != 0 && me != 0 && about.uid() != me
                },
            }
        }
    }
}

fn resolve(path: &Path) -> PathBuf {
    for base in path.ancestors() {
        if let Ok(real) = base.canonicalize() {
            let rest = path.strip_prefix(base).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}

fn device(path: &Path) -> Option<u64> {
    path.ancestors()
        .find_map(|base| fs::metadata(base).ok())
        .map(|about| about.dev())
}

fn program(path: &Path) -> Program {
    let Ok(about) = fs::metadata(path) else {
        return Program::Missing;
    };
    if !about.is_file() {
        return Program::NotAFile;
    }
    if accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_err() {
        return Program::NotExecutable;
    }
    // Who may write to the directory can put another file in its place;
    // the sticky bit keeps them from that.
    let above = path.parent().and_then(|dir| fs::metadata(dir).ok());
    let open_above = above.is_some_and(|dir| dir.mode() & 0o1002 == 0o002);
    if about.mode() & 0o002 != 0 || open_above {
        return Program::Writable;
    }
    Program::Fine
}

fn authorities(path: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a FIFO would wait.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut pem = Vec::new();
    let most = MAX_AUTHORITIES as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut pem)?;
    if pem.len() > MAX_AUTHORITIES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(pem)
}

fn key_file(path: &Path) -> io::Result<KeyFile> {
    // Looked at before it is opened: opening a FIFO would wait.
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(MAX_KEY_FILE as u64 + 1)
        .read_to_end(&mut content)?;
    Ok(KeyFile {
        content,
        open_to_all: about.mode() & 0o004 != 0,
    })
}
