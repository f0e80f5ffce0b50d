//! `try`: an emulated service and a daemon on a drop folder, in one process.
//! Everything it writes lies in one place.
//!
//! Must not: send anything off this machine, or touch what it did not make.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::exit::Exit;
use super::following::{Following, page_is_said};
use super::{Failed, Outcome, logging, out, runtime, totals};
use crate::config::Config;
use crate::daemon::{self, Options};
use crate::domain::naming::shown_text;
use crate::files::{Dir, FileError};
use crate::ledger::{self, Ledger};
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::view::following::thousands;

/// Try it now: an emulated service and a daemon on a fresh drop folder
///
/// Drop files into the folder that it names and see each being taken, uploaded,
/// given a task, followed and finished: here, and on the status page whose
/// address it prints. A few samples are dropped for a start if the folder is
/// empty. Nothing leaves this machine. Ctrl-C stops it, and it says where the
/// ledger is. SUPAMETAS_LOG=info shows the daemon's full log.
///
/// The next `try` in the same folder goes on where this one stopped: the ledger is
/// kept, and so are the tasks of the emulated service. --fresh begins anew: it
/// deletes what `try` has made beside the folder, and nothing else; the files in
/// the folder stay, and are taken again.
///
/// Examples:
///   supametas-sync try
///   supametas-sync try ~/drop
///   supametas-sync try --fresh ~/drop
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
    /// Begin anew: delete the ledger of an earlier `try` and what the emulated
    /// service knew. Files in the folder stay.
    #[arg(long)]
    fresh: bool,
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

/// Where the ledger is.
const LEDGER: &str = "ledger.sqlite";

/// Where the emulated service keeps its tasks.
const TASKS: &str = "emulator.sqlite";

/// Where the configuration is, and how it begins: so `try` knows its own.
const CONFIG: &str = "config.toml";
const OWN: &str = "# Written by `supametas-sync try`";

/// Tasks that the emulated service keeps: about 100 bytes of its file each. It
/// forgets the oldest beyond, which were confirmed long before.
const TASKS_KEPT: usize = 250_000;

/// The first question about a task comes when it may have ended, within these.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(10);

/// Uploads and requests that it can list at `/_sandbox`: these are in memory.
const LISTED: usize = 1_000;

struct Place {
    /// As it was named, if it was.
    named: Option<PathBuf>,
    drop: PathBuf,
    /// Ledger, key and configuration.
    beside: PathBuf,
    drop_dir: Dir,
    beside_dir: Dir,
}

/// Runs until a signal, or with `--once` until all is done.
pub fn main(args: Args) -> Outcome {
    let place = place(args.folder.as_deref())?;
    place.is_free()?;
    if args.fresh {
        place.begin_anew()?;
    }
    let drop_samples = !args.no_samples && place.drop_dir.is_empty()?;
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let sandbox = emulator(&place, args.pending_for).await?;
        let config_path = write_config(&place, &sandbox, args.pending_for)?;
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
        if let Some(left) = left_over(&ledger).await? {
            out::print(&left);
        } else if !drop_samples && !args.no_samples && !args.once {
            out::print(
                "The folder is not empty, so no samples are dropped: copy a new file into it.",
            );
        }
        if drop_samples {
            samples(&place)?;
        }
        let options = Options {
            config_path: Some(config_path.clone()),
            until_idle: args.once.then_some(Duration::from_secs(60)),
            listening: Some(say_where),
            ..Options::default()
        };
        let following = Following::begin(&ledger, place.idle());
        let ended = daemon::run(loaded.config, options).await;
        drop(following);
        ended?;
        sandbox.shutdown().await;
        goodbye(&ledger, &config_path).await
    });
    runtime.shutdown_background();
    done.map(|()| Exit::Success)
}

/// The emulated service, with the tasks that an earlier one has left.
async fn emulator(place: &Place, pending_for: Duration) -> Result<Sandbox, Failed> {
    let tasks = place.beside.join(TASKS);
    if place.beside_dir.look(TASKS.as_bytes())?.is_none() {
        // The names of files are in it, which are nobody else's business.
        place.beside_dir.create_new(TASKS.as_bytes(), 0o600)?;
    }
    let config = SandboxConfig {
        pending_for,
        task_file: Some(tasks.clone()),
        task_cap: TASKS_KEPT,
        upload_cap: LISTED,
        request_cap: LISTED,
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.map_err(|error| {
        let again = place.again();
        match error.kind() {
            io::ErrorKind::ResourceBusy => {
                Failed::with(Exit::Locked, anyhow::anyhow!(place.busy()))
            }
            _ => anyhow::Error::new(error)
                .context(format!(
                    "the emulated service can't keep its tasks in {}: `{again}` begins anew",
                    tasks.display()
                ))
                .into(),
        }
    })
}

/// What an earlier `try` has left to do, in words; `None`: nothing, or there was
/// none.
async fn left_over(ledger: &Path) -> Result<Option<String>, Failed> {
    if !ledger.exists() {
        return Ok(None);
    }
    let visitor = Ledger::open_visitor(ledger)?;
    let totals = totals(&visitor.counts().await?);
    visitor.close().await;
    let open: Vec<String> = totals
        .iter()
        .filter(|(kind, files)| !kind.is_final() && **files > 0)
        .map(|(kind, files)| format!("{} {kind}", thousands(*files)))
        .collect();
    Ok((!open.is_empty()).then(|| {
        format!(
            "It goes on where the last one stopped: {}.",
            open.join(", ")
        )
    }))
}

impl Place {
    /// What is said while nothing is left to do.
    fn idle(&self) -> String {
        let drop = shown_text(&self.drop.display().to_string(), 60);
        format!("all is done; waiting for files in {drop}; Ctrl-C stops it")
    }

    /// The command that begins anew here.
    fn again(&self) -> String {
        let named = self
            .named
            .as_deref()
            .map(|folder| format!(" {}", quoted(folder)));
        format!("supametas-sync try --fresh{}", named.unwrap_or_default())
    }

    fn busy(&self) -> String {
        format!(
            "another `try` works on {}: stop that one first (Ctrl-C), or name another folder",
            self.drop.display()
        )
    }

    /// Refuses a place where another `try` is at work, or that is somebody else's.
    fn is_free(&self) -> Result<(), Failed> {
        if ledger::is_owned(&self.beside.join(LEDGER))? {
            return Err(Failed::with(Exit::Locked, anyhow::anyhow!(self.busy())));
        }
        match self.begins_with_own_mark()? {
            Some(false) => Err(anyhow::anyhow!(
                "{} was not written by `try`, and is left as it is: name another folder",
                self.beside.join(CONFIG).display()
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// `None`: there is no configuration.
    fn begins_with_own_mark(&self) -> Result<Option<bool>, Failed> {
        if self.beside_dir.look(CONFIG.as_bytes())?.is_none() {
            return Ok(None);
        }
        let (file, _) = self.beside_dir.open_file(CONFIG.as_bytes())?;
        let mut start = String::new();
        let read = file.take(OWN.len() as u64).read_to_string(&mut start);
        Ok(Some(read.is_ok() && start == OWN))
    }

    /// Deletes what an earlier `try` has made here, and that alone.
    fn begin_anew(&self) -> Result<(), Failed> {
        let there = self.beside_dir.look(LEDGER.as_bytes())?.is_some();
        if there && self.begins_with_own_mark()? != Some(true) {
            return Err(anyhow::anyhow!(
                "nothing shows that {} is of a `try`: delete it yourself if it is",
                self.beside.join(LEDGER).display()
            )
            .into());
        }
        let beside = ledger::names_beside(LEDGER);
        let tasks = ["", "-wal", "-shm", "-journal"].map(|end| format!("{TASKS}{end}"));
        let own = ["key", TOKEN].map(str::to_owned);
        // The configuration last: until then a second try finds its mark.
        let all = beside.into_iter().chain(tasks).chain(own);
        for name in all.chain([CONFIG.to_owned()]) {
            self.beside_dir.remove(name.as_bytes())?;
        }
        Ok(())
    }
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
        named: folder.map(Path::to_owned),
        drop: resolved(&drop),
        beside: resolved(&beside),
        drop_dir,
        beside_dir,
    })
}

fn write_config(
    place: &Place,
    sandbox: &Sandbox,
    pending_for: Duration,
) -> Result<PathBuf, Failed> {
    let write = |name: &str, content: &[u8], mode: u32| {
        place.beside_dir.put(name.as_bytes(), content, mode, true)
    };
    write("key", b"an-emulated-key\n", 0o600)?;
    write(TOKEN, random_word()?.as_bytes(), 0o600)?;
    let [key, token, path] = ["key", TOKEN, CONFIG].map(|name| place.beside.join(name));
    let text = |path: &Path| -> Result<String, Failed> {
        let text = path
            .to_str()
            .with_context(|| format!("{} is not UTF-8: name another folder", path.display()))?;
        Ok(toml::Value::from(text).to_string())
    };
    // A task is asked about when it may have ended, and as fast as the emulated
    // service bears it.
    let first = pending_for.clamp(SOONEST, LATEST);
    let (first, max) = (
        first.as_millis(),
        (pending_for / 10).clamp(first, 3 * LATEST).as_millis(),
    );
    let config = format!(
        "{OWN}; made anew at each start.\n\
         [service]\nbase_url = \"{}\"\n\n\
         [daemon]\nledger = {}\n\n\
         [poll]\nfirst = \"{first}ms\"\nmax = \"{max}ms\"\n\n\
         [http]\nlisten = \"127.0.0.1:0\"\ntoken_file = {}\n\n\
         [log]\nfilter = \"info\"\nformat = \"human\"\n\n\
         [[dataset]]\nname = \"try\"\nkey_file = {}\npolls_per_second = 10000\n\n\
         [[folder]]\nname = \"drop\"\npath = {}\ndataset = \"try\"\nowner_sign = false\n",
        sandbox.base_url(),
        text(&place.beside.join(LEDGER))?,
        text(&token)?,
        text(&key)?,
        text(&place.drop)?,
    );
    write(CONFIG, config.as_bytes(), 0o644)?;
    Ok(path)
}

/// Before the samples go: a newcomer can open the page and see them.
fn say_where(page: SocketAddr) {
    page_is_said(page);
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
