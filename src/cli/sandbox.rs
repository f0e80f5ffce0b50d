//! `sandbox`: an emulated service on this machine.
//!
//! Must not: listen on anything but loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::exit::Exit;
use super::{Failed, Outcome, out, runtime};
use crate::config::units;
use crate::daemon::signals::{self, Request};
use crate::sandbox::{Fault, FaultError, Sandbox, SandboxConfig};

/// An emulated service on this machine, to try things on
///
/// It speaks the documented API on loopback, keeps every upload's name, size
/// and hash, and lists them at /_sandbox/uploads, /_sandbox/requests and
/// /_sandbox/tasks. A fault script makes it misbehave; its format is described
/// in the README.
///
/// Examples:
///   supametas-sync sandbox --port 8399
///   supametas-sync sandbox --faults faults.toml --pending-for 10s
///   curl http://127.0.0.1:8399/_sandbox/uploads
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 8399)]
    port: u16,
    /// Loopback address.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// A fault script, TOML or JSON.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long a task is PENDING.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::time)]
    pending_for: Duration,
    /// Accept only this Access-Key; may be given several times. Without it,
    /// every key that is not empty is accepted.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Files of these names end as FAIL; a glob.
    #[arg(long, value_name = "GLOB")]
    fail: Vec<String>,
    /// Every answer late by this much.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::time)]
    delay: Duration,
    /// Answer 429 while more than this many uploads are under way.
    #[arg(long, value_name = "N")]
    refuse_above: Option<usize>,
    /// A fast sink for benchmarks: counts, and keeps nothing.
    #[arg(long)]
    sink: bool,
}

/// Runs until a signal.
pub fn main(args: Args) -> Outcome {
    let faults = match &args.faults {
        Some(path) => Fault::load(path).map_err(|error| match error {
            // This one names the file itself.
            FaultError::Read { .. } => Failed::from(error),
            error => anyhow::Error::new(error)
                .context(path.display().to_string())
                .into(),
        })?,
        None => Vec::new(),
    };
    let config = SandboxConfig {
        bind: args.bind,
        port: args.port,
        faults,
        pending_for: args.pending_for,
        keys: args.keys.into_iter().map(Into::into).collect(),
        fail_names: args.fail,
        answer_delay: args.delay,
        refuse_above: args.refuse_above,
        sink: args.sink,
        ..SandboxConfig::default()
    };
    let runtime = runtime()?;
    runtime.block_on(async {
        // Before it says that it is there, so that whoever waits for that may
        // end it at once.
        let mut signals = signals::listen()?;
        let sandbox = Sandbox::start(config)
            .await
            .map_err(|error| cannot_start(error, args.bind, args.port))?;
        out::print(&format!("base_url = \"{}\"", sandbox.base_url()));
        out::remark(&format!(
            "an emulated service; Ctrl-C ends it. What it has seen: http://{}/_sandbox/uploads",
            sandbox.addr()
        ));
        while let Some(request) = signals.requests.recv().await {
            if request == Request::Stop {
                break;
            }
        }
        sandbox.shutdown().await;
        let counts = sandbox.counts();
        out::remark(&format!(
            "{}, {}",
            out::count(counts.uploads, "upload"),
            out::count(counts.upload_bytes, "byte")
        ));
        Ok(Exit::Success)
    })
}

fn cannot_start(error: io::Error, bind: IpAddr, port: u16) -> Failed {
    match error.kind() {
        // A glob or an address that it does not take; the text says which.
        io::ErrorKind::InvalidInput => Failed::with(Exit::Usage, error),
        _ => anyhow::Error::new(error)
            .context(format!(
                "the sandbox can't listen on {bind}, port {port}: choose another with --port, or 0 for a free one"
            ))
            .into(),
    }
}
