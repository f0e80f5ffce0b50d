//! The command line: one file for each command, each with examples in its long
//! help. Standard output is a command's answer, standard error all else.
//!
//! Must not: decide anything about a file. Commands ask the ledger and the
//! configuration, and let the daemon do the work.

mod acknowledge;
mod ask;
mod attention;
mod backup;
mod cancel;
mod check;
mod compact;
mod detached;
mod dry_run;
mod errors;
pub mod exit;
mod explain;
mod explain_code;
mod files;
mod filter;
mod find;
mod finding;
mod following;
mod forget;
mod generate;
mod guard;
mod import;
mod journal;
mod last_good;
mod list;
mod log_fields;
pub mod logging;
mod lookout;
mod lying;
mod online;
mod out;
mod pause;
mod places;
mod progress;
mod prune;
mod rebuild;
mod reload;
mod resume;
mod retry;
mod rights;
mod run;
mod sandbox;
mod scan;
mod screen;
mod show;
mod standing;
mod status;
mod status_check;
mod status_look;
mod table;
mod tone;
mod try_it;
mod waiting;
mod webhook;
mod who;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::exit::Exit;
use self::logging::LogError;
use crate::config::ConfigErrors;
use crate::daemon::DaemonError;
use crate::domain::health::Level;
use crate::domain::state::StateKind;
use crate::ledger::{Count, LedgerError};
use crate::sandbox::FaultError;

/// Where the configuration is looked for.
pub const DEFAULT_CONFIG: &str = "/etc/supametas-sync/config.toml";

/// Uploads what is dropped into local folders to Supametas.AI, each file to the
/// import of its media type, and follows every task to its end.
#[derive(Debug, Parser)]
#[command(name = "supametas-sync", version, after_long_help = AFTER, max_term_width = 100)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, env = "SUPAMETAS_CONFIG", default_value = DEFAULT_CONFIG, value_name = "FILE")]
    pub config: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Exit codes:
  0  done
  1  it could not be done; standard error says why
  2  the command line or the configuration is wrong; nothing was done
  3  `scan`: done, but in this run files came to a bad end (see `list
     --attention`), some are still waiting, or a folder could not be reached
  4  another supametas-sync works on this ledger
  5  what was asked for is not in the ledger
  6  the ledger is gone or empty, and was there before: nothing was begun, since
     a new one would have all files sent again (`rebuild`)
  130  stopped by a second signal, without finishing what was on the wire
`status --check` alone exits as monitoring plugins do: 0 well, 1 attention,
2 trouble, 3 unknown.

Signals, while it runs: SIGTERM and SIGINT stop it, finishing what is on the
wire; SIGHUP reloads the configuration; SIGUSR1 scans all folders now.

First steps:
  supametas-sync try              a daemon and an emulated service, to play with
  supametas-sync check            is my configuration right?
  supametas-sync run              the daemon
  supametas-sync explain FILE     why was this file not taken?";

/// The commands. What each is for stands at its arguments: clap would take a
/// word here for the whole of its help.
#[allow(missing_docs)]
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(run::Args),
    Scan(scan::Args),
    Check(check::Args),
    Status(status::Args),
    List(list::Args),
    Show(show::Args),
    Explain(explain::Args),
    Retry(retry::Args),
    Acknowledge(acknowledge::Args),
    Reload(reload::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Cancel(cancel::Args),
    Import(import::Args),
    Forget(forget::Args),
    Prune(prune::Args),
    Backup(backup::Args),
    Rebuild(rebuild::Args),
    Webhook(webhook::Args),
    Errors(errors::Args),
    ExplainCode(explain_code::Args),
    Sandbox(sandbox::Args),
    Try(try_it::Args),
    Generate(generate::Args),
}

/// Parses the command line and does what it says.
pub fn main() -> Exit {
    guard::up();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; their output may meet a closed
            // pipe, which is none either.
            let exit = if error.use_stderr() && status_check::is_asked_for(std::env::args_os()) {
                Exit::Health(Level::Unknown)
            } else if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            let _ = error.print();
            return exit;
        }
    };
    let looks = cli.command.looks_at_folders();
    if looks
        && !detached::is_child()
        && let Some(exit) = detached::run()
    {
        return exit;
    }
    let exit = done(cli);
    if looks && detached::is_child() {
        detached::tell(exit);
    }
    exit
}

impl Command {
    /// Whether it asks the folders themselves, which may hang, and reads nothing
    /// from a terminal.
    fn looks_at_folders(&self) -> bool {
        match self {
            Command::Check(_) | Command::Explain(_) | Command::Import(_) => true,
            // They ask somebody who is there.
            Command::Forget(_) | Command::Prune(_) => !ask::somebody_is_there(),
            Command::Status(args) => !args.watches(),
            Command::Scan(args) => args.only_tells(),
            _ => false,
        }
    }
}

fn done(cli: Cli) -> Exit {
    let done = match cli.command {
        Command::Run(args) => run::main(&cli.config, args),
        Command::Scan(args) => scan::main(&cli.config, args),
        Command::Check(args) => check::main(&cli.config, args),
        Command::Status(args) => status::main(&cli.config, args),
        Command::List(args) => list::main(&cli.config, args),
        Command::Show(args) => show::main(&cli.config, args),
        Command::Retry(args) => retry::main(&cli.config, args),
        Command::Acknowledge(args) => acknowledge::main(&cli.config, args),
        Command::Reload(args) => reload::main(&cli.config, args),
        Command::Pause(args) => pause::main(&cli.config, args),
        Command::Resume(args) => resume::main(&cli.config, args),
        Command::Cancel(args) => cancel::main(&cli.config, args),
        Command::Import(args) => import::main(&cli.config, args),
        Command::Forget(args) => forget::main(&cli.config, args),
        Command::Prune(args) => prune::main(&cli.config, args),
        Command::Backup(args) => backup::main(&cli.config, args),
        Command::Rebuild(args) => rebuild::main(&cli.config, args),
        Command::Webhook(args) => webhook::main(&cli.config, args),
        Command::Errors(args) => errors::main(&cli.config, args),
        Command::Explain(args) => explain::main(&cli.config, args),
        Command::ExplainCode(args) => explain_code::main(&cli.config, args),
        Command::Sandbox(args) => sandbox::main(args),
        Command::Try(args) => try_it::main(args),
        Command::Generate(args) => generate::main(args),
    };
    done.unwrap_or_else(|failed| {
        out::remark(&format!("supametas-sync: {}", told(&failed.error)));
        failed.exit
    })
}

/// A command that could not be done, and the exit code that says so.
#[derive(Debug)]
pub struct Failed {
    exit: Exit,
    error: anyhow::Error,
}

impl Failed {
    /// With an exit code other than that of a plain failure.
    pub fn with(exit: Exit, error: impl Into<anyhow::Error>) -> Failed {
        Failed {
            exit,
            error: error.into(),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Failed {
        let error = error.into();
        Failed {
            exit: exit_for(&error),
            error,
        }
    }
}

/// What kind of failure it is, by what is at the bottom of it.
fn exit_for(error: &anyhow::Error) -> Exit {
    let mut exit = Exit::Failure;
    for cause in error.chain() {
        // A transparent error is not in the chain, so both are asked.
        let ledger = match cause.downcast_ref::<DaemonError>() {
            Some(DaemonError::Ledger(ledger)) => Some(ledger),
            _ => cause.downcast_ref::<LedgerError>(),
        };
        match ledger {
            Some(LedgerError::LockedByAnother { .. }) => exit = Exit::Locked,
            Some(LedgerError::Lost { .. }) => exit = Exit::LedgerLost,
            _ => {}
        }
        if cause.is::<ConfigErrors>() || cause.is::<FaultError>() || cause.is::<LogError>() {
            exit = Exit::Usage;
        }
    }
    exit
}

/// An error and its causes, each said once: many say theirs themselves.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Two workers are enough: the work is waiting, and hashing has threads of its
/// own.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(128)
        .thread_name("supametas")
        .enable_all()
        .build()
}

/// Files by state, over all folders, in the order of a file's way.
fn totals(counts: &[Count]) -> BTreeMap<StateKind, u64> {
    let mut totals = BTreeMap::new();
    for count in counts {
        *totals.entry(count.state).or_insert(0) += count.files;
    }
    totals
}

/// How a command ends.
pub type Outcome = Result<Exit, Failed>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_command_line() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let said = anyhow::anyhow!("disk full").context("can't write (disk full)");
        assert_eq!(told(&said), "can't write (disk full)");
        let unsaid = anyhow::anyhow!("disk full").context("can't write");
        assert_eq!(told(&unsaid), "can't write: disk full");
    }
}
