//! `generate`: what belongs to the program but is no program, for packages and
//! for whoever installed with `cargo install`.
//!
//! Everything is made from what the program itself uses: the description of
//! the command line, and the configuration's reference.
//!
//! Must not: write anywhere but below the directory that it is given.

mod configuration;
mod man;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::Exit;
use super::{Cli, Outcome, out};
use crate::files::Dir;

/// Write the man pages, shell completions and the configuration's reference
///
/// Packages bring them; this is for other ways to install. Below the directory,
/// which is created, it writes:
///
///   man/               supametas-sync(1), a page for each command,
///                      and supametas-sync.toml(5)
///   completions/       for bash, zsh and fish
///   configuration.md   supametas-sync.toml(5), to read elsewhere
///
/// Examples:
///   supametas-sync generate /tmp/papers
///   man /tmp/papers/man/supametas-sync.1
///   . /tmp/papers/completions/supametas-sync
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Where to; files of the same names are written anew.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Where bash, zsh and fish look for it, by name.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "supametas-sync"),
    (Shell::Zsh, "_supametas-sync"),
    (Shell::Fish, "supametas-sync.fish"),
];

/// Writes all of it.
pub fn main(args: Args) -> Outcome {
    let mut files = Vec::new();
    for (name, page) in man::pages(Cli::command())? {
        files.push((Path::new("man").join(name), page));
    }
    for (shell, name) in SHELLS {
        // Into memory first: it panics where it can't write.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "supametas-sync", &mut script);
        files.push((Path::new("completions").join(name), script));
    }
    let reference = configuration::markdown().into_bytes();
    files.push((PathBuf::from("configuration.md"), reference));
    for (name, content) in &files {
        write(&args.dir.join(name), content)?;
    }
    out::print(&format!(
        "{}: {}",
        args.dir.display(),
        out::count(files.len(), "file")
    ));
    Ok(Exit::Success)
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let (dir, name) = (path.parent().unwrap_or(path), path.file_name());
    let name = name.unwrap_or_default().as_bytes();
    let dir = Dir::shared_or_made(&std::env::current_dir()?.join(dir))?;
    dir.put(name, content, 0o644, true)?;
    Ok(())
}
