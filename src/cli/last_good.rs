//! The configuration that a daemon took over last, in place of a file that can't
//! be used: a mistake in an editor, or a file that is just being written, must
//! not take the commands away from whoever looks after a healthy daemon.
//!
//! Must not: be used silently, or for a run: a daemon starts by the file alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::{Failed, out};
use crate::config::valid::Config;
use crate::config::{ConfigErrors, Keys, LastGood, Machine, Severity, ledgers};
use crate::files::FileError;
use crate::ledger::{is_owned, last_good_path, read_last_good};

/// What is read of a configuration to find its ledger. Bytes.
const LONGEST: u64 = 4 << 20;

/// The configuration that was in force last, with a remark on standard error; or
/// `errors`, where there is none that can be used.
pub fn instead(path: &Path, errors: ConfigErrors, keys: Keys) -> Result<Config, Failed> {
    let closed = match find(path, keys) {
        Ok((copy, config)) => {
            out::remark(&told(&errors, &copy, &config));
            return Ok(config);
        }
        Err(closed) => closed,
    };
    let failed = Failed::with(Exit::Usage, errors);
    let Some(ledger) = closed else {
        return Err(failed);
    };
    Err(Failed {
        error: failed.error.context(format!(
            "if a daemon runs, its user and root can ask all the same (`sudo -u supametas-sync …`): \
             what it works with is kept beside {}, where this user may not look",
            ledger.display()
        )),
        ..failed
    })
}

/// The same without a word. `Err`: a ledger beside which this user may not look.
pub fn find(path: &Path, keys: Keys) -> Result<(LastGood, Config), Option<PathBuf>> {
    let mut closed = None;
    for ledger in ledgers(&text(path), &Machine) {
        let bytes = match read_last_good(&ledger) {
            Ok(bytes) => bytes,
            Err(FileError::NoRight { .. }) => {
                closed.get_or_insert(ledger);
                continue;
            }
            Err(_) => continue,
        };
        let Some(copy) = LastGood::read(&bytes, path) else {
            continue;
        };
        if let Ok(config) = copy.config(keys) {
            return Ok((copy, config));
        }
    }
    Err(closed)
}

fn text(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    // What can't be read leaves the usual places.
    if path.metadata().is_ok_and(|meta| meta.is_file())
        && let Ok(file) = File::open(path)
    {
        let _ = file.take(LONGEST).read_to_end(&mut text);
    }
    text
}

fn told(errors: &ConfigErrors, copy: &LastGood, config: &Config) -> String {
    let first = errors
        .problems
        .iter()
        .find(|problem| problem.severity == Severity::Error)
        .map_or_else(|| errors.file.display().to_string(), ToString::to_string);
    let more = match errors.errors() {
        0 | 1 => String::new(),
        n => format!(" (and {})", out::count(n - 1, "more error")),
    };
    let running = match is_owned(&config.ledger) {
        Ok(false) => "No daemon is running, and none starts until the file is mended",
        _ => "The daemon goes on with it; a restart would fail until the file is mended",
    };
    format!(
        "{first}{more}\n\
         The file can't be used, so this goes by the configuration that was taken over at {} ({}). \
         {running}: `supametas-sync check` says all that is wrong.",
        out::remarked_time(copy.at()),
        last_good_path(&config.ledger).display()
    )
}
