//! The lock file beside a ledger: it keeps a second daemon off, and it is the
//! sign that a ledger was there.
//!
//! It holds the number of the process that has it. Until the first ledger is
//! there a second line says so: a lock without that line, and without a ledger,
//! is left of an earlier life. Must not: write to a file of somebody else's.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::error::LedgerError;
use super::file_checks;
use super::paths::lock_path;
use super::suspect::Suspect;

/// What the second line of a lock says whose ledger is not made yet.
const BEGINNING: &str = "no ledger yet";

/// More is in no lock of this program. Bytes.
const LONGEST: u64 = 64;

/// The lock, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// It is this user's, so its content may be written.
    ours: bool,
    /// It was there, and did not say that its ledger is not made yet.
    pub earlier: bool,
}

/// Takes the lock beside the ledger at `path`.
///
/// # Errors
/// Another process has it, or the lock file can't be this program's.
pub(super) fn take(path: &Path) -> Result<Lock, LedgerError> {
    let lock = lock_path(path);
    let flags = OFlags::RDWR | common();
    let (mut file, new) = match open(&lock, flags) {
        Ok(file) => (file, false),
        Err(Errno::NOENT) => match open(&lock, flags | OFlags::CREATE) {
            Ok(file) => (file, true),
            Err(e) => return Err(not_opened(path, &lock, e)),
        },
        Err(e) => return Err(not_opened(path, &lock, e)),
    };
    let ours = file_checks::lock_is_ours(&file, &lock)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = said(&mut file).and_then(|(pid, _)| pid);
            let path = path.to_owned();
            return Err(LedgerError::LockedByAnother { path, lock, pid });
        }
        Err(TryLockError::Error(error)) => return Err(LedgerError::of_io(path, &error)),
    }
    let earlier = !new && !said(&mut file).is_some_and(|(_, beginning)| beginning);
    let mut lock = Lock {
        file,
        ours,
        earlier,
    };
    if let Err(error) = lock.write(!earlier) {
        if new {
            // Else the next start would take it for one of an earlier life.
            let _ = std::fs::remove_file(lock_path(path));
        }
        return Err(LedgerError::of_io(path, &error));
    }
    Ok(lock)
}

impl Lock {
    /// From now on a ledger that is missing was lost.
    pub fn ledger_is_there(&mut self) -> io::Result<()> {
        self.write(false)
    }

    fn write(&mut self, beginning: bool) -> io::Result<()> {
        if !self.ours {
            return Ok(());
        }
        let mut text = format!("{}\n", std::process::id());
        if beginning {
            text.push_str(BEGINNING);
            text.push('\n');
        }
        // In place, then cut: a full disk leaves what was there.
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }
}

/// Whether a daemon works on the ledger at `path` now.
///
/// # Errors
/// The lock file is there and can't be looked at.
pub fn is_owned(path: &Path) -> Result<bool, LedgerError> {
    let lock = lock_path(path);
    let file = match open(&lock, OFlags::RDONLY | common()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(e) => return Err(not_opened(path, &lock, e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(LedgerError::of_io(path, &error)),
    }
}

/// Whether the lock beside the ledger at `path` shows that a ledger was there.
pub(super) fn is_of_an_earlier_life(path: &Path) -> bool {
    let lock = open(&lock_path(path), OFlags::RDONLY | common());
    lock.is_ok_and(|mut lock| !said(&mut lock).is_some_and(|(_, beginning)| beginning))
}

/// The number of the process that works on the ledger at `path` now, as it
/// says itself; `None` if none does, or it can't be told. Whoever would act on
/// it has to see for himself that this process holds the lock.
pub fn owner(path: &Path) -> Option<u32> {
    if !is_owned(path).ok()? {
        return None;
    }
    let mut lock = open(&lock_path(path), OFlags::RDONLY | common()).ok()?;
    said(&mut lock)?.0
}

/// The process that it names, and whether it says that there was no ledger.
fn said(file: &mut File) -> Option<(Option<u32>, bool)> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.trim().parse().ok());
    Some((pid, lines.next() == Some(BEGINNING)))
}

fn common() -> OFlags {
    OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

fn open(lock: &Path, flags: OFlags) -> Result<File, Errno> {
    let fd = rustix::fs::openat(CWD, lock, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(fd))
}

fn not_opened(path: &Path, lock: &Path, errno: Errno) -> LedgerError {
    let why = match errno {
        Errno::LOOP => Suspect::Link,
        Errno::ISDIR | Errno::NXIO => Suspect::NotAFile,
        errno => return LedgerError::of_io(path, &io::Error::from(errno)),
    };
    LedgerError::NotOurs {
        path: lock.to_owned(),
        why,
    }
}
