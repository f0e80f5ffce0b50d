//! `try`: an emulated service and a daemon on a drop folder, in one process.
//! Everything it writes lies in one place.
//!
//! Must not: send anything off this machine, or touch what it did not make.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::exit::Exit;
use super::progress::Following;
use super::{Failed, Outcome, logging, out, runtime, totals};
use crate::config::Config;
use crate::daemon::{self, Options};
use crate::files::{Dir, FileError};
use crate::ledger::Ledger;
use crate::sandbox::{Sandbox, SandboxConfig};

/// Try it now: an emulated service and a daemon on a fresh drop folder
///
/// Drop files into the folder that it names and see each being taken, uploaded,
/// given a task, followed and finished: here, and on the status page whose
/// address it prints. A few samples are dropped for a start if the folder is
/// empty. Nothing leaves this machine. Ctrl-C stops it, and it says where the
/// ledger is. SUPAMETAS_LOG=info shows the daemon's full log.
///
/// Examples:
///   supametas-sync try
///   supametas-sync try ~/drop
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The drop folder; created if it is not there. Without it:
    /// ./supametas-try/drop. The ledger lies beside it.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How long the emulated service works on a task.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = crate::config::units::time)]
    pending_for: Duration,
    /// Drop no samples.
    #[arg(long)]
    no_samples: bool,
    /// Stop by itself when everything that was dropped is finished.
    #[arg(long)]
    once: bool,
}

/// What is dropped for a start: one of each kind, and one that is not taken.
const SAMPLES: [(&str, &[u8]); 7] = [
    (
        "report.pdf",
        include_bytes!("../../tests/samples/plain.pdf"),
    ),
    (
        "letter.docx",
        include_bytes!("../../tests/samples/pandoc.docx"),
    ),
    (
        "picture.png",
        include_bytes!("../../tests/samples/gradient.png"),
    ),
    ("sound.wav", include_bytes!("../../tests/samples/tone.wav")),
    ("film.mp4", include_bytes!("../../tests/samples/bars.mp4")),
    ("page.url", include_bytes!("../../tests/samples/link.url")),
    ("old.doc", include_bytes!("../../tests/samples/old.doc")),
];

/// Where the word is that lets the page act.
const TOKEN: &str = "token";

struct Place {
    drop: PathBuf,
    /// Ledger, key and configuration.
    beside: PathBuf,
    drop_dir: Dir,
    beside_dir: Dir,
}

/// Runs until a signal, or with `--once` until all is done.
pub fn main(args: Args) -> Outcome {
    let place = place(args.folder.as_deref())?;
    let drop_samples = !args.no_samples && place.drop_dir.is_empty()?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let sandbox = Sandbox::start(SandboxConfig {
            pending_for: args.pending_for,
            ..SandboxConfig::default()
        })
        .await?;
        let config_path = write_config(&place, &sandbox)?;
        let loaded = Config::load(&config_path)?;
        logging::start_compact(&loaded.config.log)?;
        let ledger = loaded.config.ledger.clone();
        out::print(&format!(
            "Drop files into  {}\n\
             The ledger is    {}\n\
             The service is   {} (emulated; nothing leaves this machine)\n\
             The token is in  {} (to retry from the page)",
            place.drop.display(),
            ledger.display(),
            sandbox.base_url(),
            place.beside.join(TOKEN).display()
        ));
        if drop_samples {
            samples(&place)?;
        } else if !args.no_samples && !args.once {
            out::print(
                "The folder is not empty, so no samples are dropped: copy a new file into it.",
            );
        }
        let options = Options {
            config_path: Some(config_path.clone()),
            until_idle: args.once.then_some(Duration::from_secs(60)),
            listening: Some(say_where),
            ..Options::default()
        };
        let following = Following::begin(&ledger);
        let ended = daemon::run(loaded.config, options).await;
        drop(following);
        ended?;
        sandbox.shutdown().await;
        goodbye(&ledger, &config_path).await
    });
    runtime.shutdown_background();
    done.map(|()| Exit::Success)
}

fn place(folder: Option<&Path>) -> Result<Place, Failed> {
    let here = std::env::current_dir()?;
    let (drop, beside) = match folder {
        Some(folder) => {
            let drop = here.join(folder);
            let mut beside = drop.clone().into_os_string();
            beside.push(".supametas");
            (drop, PathBuf::from(beside))
        }
        None => (here.join("supametas-try/drop"), here.join("supametas-try")),
    };
    let drop_dir = Dir::shared_or_made(&drop)?;
    // The ledger is in it, and the token that lets the page act.
    let beside_dir = Dir::private(&beside)?;
    let resolved = |dir: &PathBuf| fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
    Ok(Place {
        drop: resolved(&drop),
        beside: resolved(&beside),
        drop_dir,
        beside_dir,
    })
}

fn write_config(place: &Place, sandbox: &Sandbox) -> Result<PathBuf, Failed> {
    let write = |name: &str, content: &[u8], mode: u32| {
        place.beside_dir.put(name.as_bytes(), content, mode, true)
    };
    write("key", b"an-emulated-key\n", 0o600)?;
    write(TOKEN, random_word()?.as_bytes(), 0o600)?;
    let [key, token, path] = ["key", TOKEN, "config.toml"].map(|name| place.beside.join(name));
    let text = |path: &Path| -> Result<String, Failed> {
        let text = path
            .to_str()
            .with_context(|| format!("{} is not UTF-8: name another folder", path.display()))?;
        Ok(toml::Value::from(text).to_string())
    };
    let config = format!(
        "# Written by `supametas-sync try`; made anew at each start.\n\
         [service]\nbase_url = \"{}\"\n\n\
         [daemon]\nledger = {}\n\n\
         [http]\nlisten = \"127.0.0.1:0\"\ntoken_file = {}\n\n\
         [log]\nfilter = \"info\"\nformat = \"human\"\n\n\
         [[dataset]]\nname = \"try\"\nkey_file = {}\n\n\
         [[folder]]\nname = \"drop\"\npath = {}\ndataset = \"try\"\n",
        sandbox.base_url(),
        text(&place.beside.join("ledger.sqlite"))?,
        text(&token)?,
        text(&key)?,
        text(&place.drop)?,
    );
    write("config.toml", config.as_bytes(), 0o644)?;
    Ok(path)
}

/// Before the samples go: a newcomer can open the page and see them.
fn say_where(page: SocketAddr) {
    out::print(&format!(
        "The page is at   http://{page}/\n\
         Ctrl-C stops it.\n"
    ));
}

/// A token that can't be guessed.
fn random_word() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Dropped as a careful program does it: written aside, then renamed in.
fn samples(place: &Place) -> Result<(), FileError> {
    for (name, content) in SAMPLES {
        place.drop_dir.put(name.as_bytes(), content, 0o644, false)?;
    }
    Ok(())
}

async fn goodbye(ledger: &Path, config: &Path) -> Result<(), Failed> {
    let visitor = Ledger::open_visitor(ledger)?;
    let told: Vec<String> = totals(&visitor.counts().await?)
        .into_iter()
        .map(|(kind, files)| format!("{files} {kind}"))
        .collect();
    visitor.close().await;
    let told = match told.as_slice() {
        [] => "no file was seen".to_owned(),
        told => told.join(", "),
    };
    let program = std::env::args_os().next().unwrap_or_default();
    out::print(&format!(
        "\nStopped: {told}.\n\
         The ledger is    {}\n\
         Look into it:    {} list --config {}",
        ledger.display(),
        quoted(Path::new(&program)),
        quoted(config)
    ));
    Ok(())
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_pasted_into_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.toml")), "/a/b-c.toml");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
