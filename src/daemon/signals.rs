//! What the operating system asks of the daemon, by signal: all of it through
//! signal-hook, on a thread of its own, handed over as plain requests.
//!
//! | signal | request |
//! |---|---|
//! | SIGTERM, SIGINT | stop, finishing what is on the wire within the grace period; a second one ends the process at once |
//! | SIGHUP | reload the configuration |
//! | SIGUSR1 | scan all folders now |
//! | SIGIO | nothing: a lease on a file was broken; unhandled it would end the process |
//!
//! Must not: act on a request itself.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGIO, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};
use tokio::sync::mpsc;

/// The exit code of a stop that was cut short by a second signal: 128 + SIGINT,
/// as shells count it.
pub const EXIT_CUT_SHORT: i32 = 130;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Finish and end.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Scan all folders now.
    Rescan,
}

/// The thread that listens; ends when dropped.
pub struct Listener {
    handle: Handle,
    /// What was asked, in order.
    pub requests: mpsc::UnboundedReceiver<Request>,
}

/// Starts listening. From here on SIGTERM no longer ends the process by itself.
pub fn listen() -> io::Result<Listener> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGIO])?;
    let handle = signals.handle();
    // Unbounded, but a person or a service manager is on the other side.
    let (sender, requests) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let request = match signal {
                SIGTERM | SIGINT if stopping => {
                    tracing::warn!("second stop signal: ending at once; the ledger has all that is needed to go on");
                    std::process::exit(EXIT_CUT_SHORT);
                }
                SIGTERM | SIGINT => {
                    stopping = true;
                    Request::Stop
                }
                SIGHUP => Request::Reload,
                SIGUSR1 => Request::Rescan,
                _ => continue,
            };
            if sender.send(request).is_err() && !stopping {
                return;
            }
        }
    })?;
    Ok(Listener { handle, requests })
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.close();
    }
}
