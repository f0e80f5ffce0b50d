//! What the commands about files share: opening the ledger beside a daemon, and
//! columns of tables. What a file says of itself is in `view`.
//!
//! Must not: change anything.

use std::path::Path;

use super::exit::Exit;
use super::{Failed, last_good, out};
use crate::config::Keys;
use crate::config::valid::Config;
use crate::domain::naming::shown;
use crate::explain::Starting;
use crate::ledger::{FileRecord, Ledger, LedgerError};

/// The configuration, without keys: these commands send nothing. Where the file
/// can't be used, it is the one that a daemon took over last, which is said.
pub fn config(path: &Path) -> Result<Config, Failed> {
    Config::load_without_keys(path)
        .map(|loaded| loaded.config)
        .or_else(|errors| last_good::instead(path, errors, Keys::NotNeeded))
}

/// The same with keys, for commands that call the service.
pub fn config_with_keys(path: &Path) -> Result<Config, Failed> {
    Config::load(path)
        .map(|loaded| loaded.config)
        .or_else(|errors| last_good::instead(path, errors, Keys::Read))
}

/// The configuration as it is on the disk, for what is about that alone.
pub fn config_on_disk(path: &Path) -> Result<Config, Failed> {
    let loaded = Config::load_without_keys(path).map_err(|e| Failed::with(Exit::Usage, e))?;
    Ok(loaded.config)
}

/// The ledger of the configuration, beside a daemon that may be running.
pub fn ledger(config: &Config) -> Result<Ledger, Failed> {
    Ledger::open_visitor(&config.ledger).map_err(|error| match error {
        // Even to look takes a hand on the log beside the ledger.
        LedgerError::ReadOnly { .. } | LedgerError::Directory { .. } => anyhow::Error::new(error)
            .context("this user can't use the ledger: run the command as the daemon's user, such as `sudo -u supametas-sync …`")
            .into(),
        error => error.into(),
    })
}

/// The ledger to look at, without a trace; `None`: there is none yet.
pub fn onlooker(config: &Config) -> Result<Option<Ledger>, Failed> {
    match Ledger::open_onlooker(&config.ledger) {
        Ok(ledger) => Ok(Some(ledger)),
        Err(LedgerError::Missing(_) | LedgerError::Older { found: 0, .. }) => Ok(None),
        Err(error) => Err(anyhow::Error::new(error)
            .context("without the ledger it can't be said what was sent before: run the command as the daemon's user, such as `sudo -u supametas-sync …`")
            .into()),
    }
}

/// Where a file is as tables show it: its folder's name and its path in there.
pub fn listed(file: &FileRecord) -> String {
    format!("{}/{}", file.folder, shown(&file.version.path))
}

/// Whether a daemon takes up what is changed now; remarks on it if not.
pub fn remark_no_daemon(config: &Config) {
    // Whoever can't look at the lock is none the wiser, and need not be told.
    if let Ok(false) = crate::ledger::is_owned(&config.ledger) {
        let starting = Starting::here(&config.ledger);
        out::remark(&format!(
            "no daemon is running: they go when one is started (`{}`), or with `{}`",
            starting.daemon(),
            starting.once()
        ));
    }
}

/// A length of time in a narrow column: its largest unit alone.
pub fn age(time: std::time::Duration) -> String {
    match time.as_secs() {
        s @ 0..=59 => format!("{s} s"),
        s @ 60..=3_599 => format!("{} min", s / 60),
        s @ 3_600..=86_399 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ages_are_short() {
        let old = |s| age(Duration::from_secs(s));
        assert_eq!((old(59), old(3_661)), ("59 s".into(), "1 h".into()));
        assert_eq!((old(119), old(90_000)), ("1 min".into(), "1 d".into()));
    }
}
