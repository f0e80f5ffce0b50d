//! What systemd is told: ready, reloading, stopping, still alive, and a line
//! of status. Nothing happens where it does not listen (`sd_notify(3)`).
//!
//! Must not: decide whether the daemon is well; it is told.

use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon watches its folders and takes files.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// The start takes longer, for the reason in `line`: systemd is to wait for
/// `more` from now on.
pub fn starting_late(line: &str, more: Duration) {
    let usec = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    send(&[
        NotifyState::Status(line),
        NotifyState::ExtendTimeoutUsec(usec),
    ]);
}

/// The daemon finishes what is on the wire.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The daemon reads its configuration again; [`ready`] ends it.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        states.push(now);
    }
    send(&states);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    send(&[NotifyState::Status(line)]);
}

/// Still alive. To be called at least every [`watchdog_interval`].
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// Whether it listens at all.
pub fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Half of the time after which systemd would think the daemon hangs; `None`
/// where it does not watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|time| time / 2)
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
