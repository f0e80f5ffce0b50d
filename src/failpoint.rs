//! Named places at which a test may have the process killed: just before or
//! after a commit or an act that a crash must not come between.
//!
//! Only with the cargo feature `failpoints`; without it [`failpoint!`] leaves
//! no code behind. With it, and with `SUPAMETAS_FAILPOINT=NAME=N` in the
//! environment, the process sends itself SIGKILL when it comes to NAME for the
//! N-th time: nothing is unwound, flushed or said, as with a crash.
//!
//! Not the `fail` crate: what is needed of it is this, and a name that is not
//! in [`POINTS`] is refused when the process starts using them.
//!
//! Must not: do anything but end the process.

/// Ends the process here if a test asked for it; nothing without the feature.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}
pub(crate) use failpoint;

/// Every name, in the order of a file's way.
#[cfg(feature = "failpoints")]
pub const POINTS: &[&str] = &[
    "intake.settled",
    "intake.enqueued",
    "express.settled",
    "upload.picked",
    "upload.begun",
    "body.chunk",
    "last_byte.before",
    "last_byte.after",
    "upload.answered",
    "upload.finished",
    "poll.answered",
    "poll.recorded",
    "source.intended",
    "source.aside",
    "source.done",
    "source.recorded",
    "ledger.before_commit",
    "ledger.after_commit",
];

/// The process has come to the point of this name.
#[cfg(feature = "failpoints")]
pub fn reached(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ASKED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);

    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("SUPAMETAS_FAILPOINT").ok()?;
        let (point, times) = text.split_once('=').unwrap_or((&text, "1"));
        let times = times.parse().unwrap_or(1);
        assert!(POINTS.contains(&point), "there is no failpoint {point:?}");
        Some((point.to_owned(), times))
    });
    assert!(POINTS.contains(&name), "{name:?} is not in POINTS");
    if let Some((point, times)) = asked
        && point == name
        && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == *times
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way to every thread: nothing more happens here.
        loop {
            std::thread::park();
        }
    }
}
