//! `reload`: has the running daemon read its configuration again.
//!
//! Must not: put anything in force itself; the daemon does, as for SIGHUP.

use std::path::Path;

use serde_json::json;

use super::exit::Exit;
use super::{Failed, Outcome, files, last_good, out, runtime};
use crate::config::Keys;
use crate::domain::naming::shown;
use crate::ledger;
use crate::web::client;

/// Have the running daemon reload its configuration, and see what came of it
///
/// The same as SIGHUP, with an answer: what changed and is in force, what takes
/// effect at a restart only (the ledger, the log settings, `http.listen`), gates
/// that opened, and folders that were taken out while files of theirs wait. A
/// configuration with errors is refused as a whole, with all of them, and the
/// former one stays in force: exit code 2. Uploads under way go on.
///
/// The daemon is asked through the socket beside the ledger that the
/// configuration names. After `daemon.ledger` was changed nobody is there until
/// the daemon is restarted.
///
/// With --json: done, config, changed, at_restart, opened, left_behind (folder,
/// queued, out, why), warnings, problems.
///
/// Examples:
///   supametas-sync reload
///   supametas-sync check && supametas-sync reload
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// Asks for it.
pub fn main(path: &Path, args: Args) -> Outcome {
    use std::os::unix::ffi::OsStrExt;
    let config = match files::config_on_disk(path) {
        Ok(config) => config,
        // The daemon refuses it, and says all that is wrong with it.
        Err(failed) => match last_good::find(path, Keys::NotNeeded) {
            Ok((_, config)) => config,
            Err(_) => {
                let context = "nothing was reloaded; a daemon that runs goes on with what it has";
                return Err(Failed {
                    error: failed.error.context(context),
                    ..failed
                });
            }
        },
    };
    let place = shown(config.ledger.as_os_str().as_bytes());
    let outcome = match runtime()?.block_on(client::reload(&config.ledger)) {
        Ok(outcome) => outcome,
        Err(why) if ledger::is_owned(&config.ledger).unwrap_or(true) => {
            return Err(anyhow::anyhow!(
                "the daemon on the ledger {place} can't be asked ({why}): ask as its user, such as `sudo -u supametas-sync …`, or send it SIGHUP and read its log"
            )
            .into());
        }
        Err(_) => {
            return Err(anyhow::anyhow!(
                "no daemon runs on the ledger {place}: a start reads the configuration anyway. If `daemon.ledger` was changed while one runs, restart that one"
            )
            .into());
        }
    };
    let exit = match outcome.done {
        true => Exit::Success,
        false => Exit::Usage,
    };
    if args.json {
        out::print_json(&json!(outcome));
    } else if outcome.done {
        out::print(&outcome.tell());
    } else {
        out::remark(&outcome.tell());
    }
    Ok(exit)
}
