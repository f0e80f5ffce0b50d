//! `try`: an emulated service and a daemon on a drop folder, in one process.
//! Everything it writes lies in one place, and nothing leaves this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::exit::Exit;
use super::{Failed, Outcome, logging, runtime, totals};
use crate::config::Config;
use crate::daemon::{self, Options};
use crate::ledger::Ledger;
use crate::sandbox::{Sandbox, SandboxConfig};

/// Try it now: an emulated service and a daemon on a fresh drop folder.
///
/// Drop files into the folder that it names and see each being taken, uploaded,
/// given a task, followed and finished. A few samples are dropped for a start.
/// Nothing leaves this machine. Ctrl-C stops it.
///
/// Examples:
///   supametas-sync try
///   supametas-sync try ~/drop
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The drop folder; created if it is not there. Without it:
    /// ./supametas-try/drop.
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

struct Place {
    drop: PathBuf,
    /// Ledger, key and configuration.
    beside: PathBuf,
}

/// Runs until a signal, or with `--once` until all is done.
pub fn main(args: Args) -> Outcome {
    let place = place(args.folder.as_deref())?;
    let drop_samples = !args.no_samples && is_empty(&place.drop)?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let sandbox = Sandbox::start(SandboxConfig {
            pending_for: args.pending_for,
            ..SandboxConfig::default()
        })
        .await?;
        let config_path = write_config(&place, &sandbox)?;
        let loaded = Config::load(&config_path)?;
        logging::start(&loaded.config.log)?;
        let ledger = loaded.config.ledger.clone();
        println!("drop files into  {}", place.drop.display());
        println!("the ledger is    {}", ledger.display());
        println!("the service is   {} (emulated)", sandbox.base_url());
        println!("Ctrl-C stops it.");
        println!();
        if drop_samples {
            samples(&place)?;
        }
        let options = Options {
            config_path: Some(config_path.clone()),
            until_idle: args.once.then_some(Duration::from_secs(60)),
            ..Options::default()
        };
        daemon::run(loaded.config, options).await?;
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
    for dir in [&drop, &beside] {
        fs::create_dir_all(dir).with_context(|| {
            format!(
                "{} can't be created: name a folder that you may write to",
                dir.display()
            )
        })?;
    }
    let resolved = |dir: PathBuf| fs::canonicalize(&dir).unwrap_or(dir);
    Ok(Place {
        drop: resolved(drop),
        beside: resolved(beside),
    })
}

fn is_empty(dir: &Path) -> std::io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

fn write_config(place: &Place, sandbox: &Sandbox) -> Result<PathBuf, Failed> {
    let key = place.beside.join("key");
    fs::write(&key, "an-emulated-key\n")?;
    private(&key)?;
    let path = place.beside.join("config.toml");
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
         [log]\nfilter = \"info\"\nformat = \"human\"\n\n\
         [[dataset]]\nname = \"try\"\nkey_file = {}\n\n\
         [[folder]]\nname = \"drop\"\npath = {}\ndataset = \"try\"\n",
        sandbox.base_url(),
        text(&place.beside.join("ledger.sqlite"))?,
        text(&key)?,
        text(&place.drop)?,
    );
    fs::write(&path, config)?;
    Ok(path)
}

fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Dropped as a careful program does it: written aside, then renamed in.
fn samples(place: &Place) -> std::io::Result<()> {
    for (name, content) in SAMPLES {
        let aside = place.drop.join(format!(".{name}.part"));
        fs::write(&aside, content)?;
        fs::rename(&aside, place.drop.join(name))?;
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
    println!();
    println!(
        "stopped. {}",
        if told.is_empty() {
            "No file was seen.".to_owned()
        } else {
            told.join(", ") + "."
        }
    );
    println!("the ledger is    {}", ledger.display());
    println!(
        "look into it:    supametas-sync list --config {}",
        config.display()
    );
    Ok(())
}
