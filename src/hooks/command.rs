//! Running a command: never through a shell, with nothing of the daemon's
//! about it (environment, directory, files), in a process group of its own
//! that is killed as a whole when its time is up or its leader has ended.
//!
//! The end of the leader is heard from a pidfd (pidfd_open(2), Linux 5.3), so
//! that the group is killed *before* the leader is reaped: until then no other
//! process can have its number. Must not: hold more of the output than is
//! shown, or wait for anything without a limit.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use super::Failure;
use crate::domain::naming::shown_text;

/// Bytes that a command may write before it is killed.
pub const MOST_OUTPUT: usize = 1 << 20;

/// Bytes of the end of its output that are shown.
const SHOWN: usize = 300;

/// How long is waited for output that is still in a pipe, and for a process
/// that was killed.
const LEFT_OVER: Duration = Duration::from_secs(1);

/// Where programs are looked for by the command itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is passed on of the daemon's environment: how dates and words are
/// written. Nothing that may be, or lead to, a key.
const PASSED_ON: [&str; 3] = ["TZ", "LANG", "LC_ALL"];

/// A command that runs. Dropped, it is killed with all that it has started.
#[derive(Debug)]
pub struct Started {
    child: Child,
    group: Pid,
    reaped: bool,
}

/// Starts `argv`. Waits until the program is loaded, which a slow disk can make
/// long: for a thread that may wait.
///
/// # Errors
/// It can't be run.
pub fn start(argv: &[String], facts: &[(&'static str, OsString)]) -> Result<Started, Failure> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| Failure::NotRun(io::ErrorKind::InvalidInput.into()))?;
    let passed_on = PASSED_ON
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .envs(passed_on)
        .envs(facts.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(Failure::NotRun)?;
    let group = Pid::from_child(&child);
    Ok(Started {
        child,
        group,
        reaped: false,
    })
}

impl Started {
    /// Gives it `input`, and waits for its end, `timeout` at most.
    ///
    /// # Errors
    /// It did not end well, or not in time.
    pub async fn finish(mut self, input: &[u8], timeout: Duration) -> Result<(), Failure> {
        let pipes = self.pipes().map_err(Failure::NotRun)?;
        let ended = pidfd_open(self.group, PidfdFlags::NONBLOCK)
            .map_err(io::Error::from)
            // No pipe, but all that is asked of it is when it becomes readable.
            .and_then(pipe::Receiver::from_owned_fd_unchecked)
            .map_err(Failure::NotRun)?;
        let (stdin, mut stdout, mut stderr) = pipes;
        let written = AtomicUsize::new(0);
        let (mut out, mut err) = (Tail::default(), Tail::default());
        let over = {
            // A command that does not read is none that failed.
            let mut give = std::pin::pin!(give(stdin, input));
            let mut hear = std::pin::pin!(async {
                tokio::try_join!(
                    out.follow(&mut stdout, &written),
                    err.follow(&mut stderr, &written)
                )
            });
            let mut late = std::pin::pin!(tokio::time::sleep(timeout));
            let (mut given, mut heard) = (false, false);
            let over = loop {
                tokio::select! {
                    ready = ended.readable() => break ready.err().map(Over::Lost),
                    () = &mut late => break Some(Over::Late),
                    () = &mut give, if !given => given = true,
                    all = &mut hear, if !heard => {
                        heard = true;
                        if all.is_err() {
                            break Some(Over::Flood);
                        }
                    }
                }
            };
            self.kill();
            if !heard {
                // What it wrote last may still be in the pipes.
                let _ = tokio::time::timeout(LEFT_OVER, hear).await;
            }
            over
        };
        let _ = tokio::time::timeout(LEFT_OVER, ended.readable()).await;
        let status = self.reap();
        let said = said(&err, &out);
        match over {
            Some(Over::Late) => Err(Failure::Late {
                seconds: timeout.as_secs(),
                said,
            }),
            Some(Over::Flood) => Err(Failure::Flood { said }),
            Some(Over::Lost(error)) => Err(Failure::NotRun(error)),
            None => judge(status, said),
        }
    }

    fn pipes(&mut self) -> io::Result<(pipe::Sender, pipe::Receiver, pipe::Receiver)> {
        let gone = || io::Error::other("a pipe to it is missing");
        let stdin = OwnedFd::from(self.child.stdin.take().ok_or_else(gone)?);
        let stdout = OwnedFd::from(self.child.stdout.take().ok_or_else(gone)?);
        let stderr = OwnedFd::from(self.child.stderr.take().ok_or_else(gone)?);
        Ok((
            pipe::Sender::from_owned_fd(stdin)?,
            pipe::Receiver::from_owned_fd(stdout)?,
            pipe::Receiver::from_owned_fd(stderr)?,
        ))
    }

    /// Kills the whole group, while its number is still its own.
    fn kill(&self) {
        if !self.reaped {
            // All of it may have ended already.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait();
        self.reaped = matches!(status, Ok(Some(_)));
        status
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.kill();
        let _ = self.reap();
    }
}

/// Why it was not waited for any longer.
enum Over {
    Late,
    Flood,
    Lost(io::Error),
}

fn judge(status: io::Result<Option<ExitStatus>>, said: String) -> Result<(), Failure> {
    match status {
        Ok(Some(status)) => match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(Failure::Code { code, said }),
            (None, signal) => Err(Failure::Signal {
                signal: signal.unwrap_or_default(),
                said,
            }),
        },
        Ok(None) => Err(Failure::NotRun(io::Error::other("its end is not known"))),
        Err(error) => Err(Failure::NotRun(error)),
    }
}

async fn give(mut stdin: pipe::Sender, input: &[u8]) {
    let _ = stdin.write_all(input).await;
}

/// What it wrote, for a log line: errors before the rest.
fn said(err: &Tail, out: &Tail) -> String {
    let tail = if err.bytes.is_empty() { out } else { err };
    let bytes: Vec<u8> = tail.bytes.iter().copied().collect();
    let text = String::from_utf8_lossy(&bytes);
    match text.trim() {
        "" => String::new(),
        text => format!("; it said: {}", shown_text(text, SHOWN)),
    }
}

/// More was written than may be.
struct TooMuch;

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    /// Reads to the end, keeping the last of it; `written` counts for both
    /// outputs.
    async fn follow(
        &mut self,
        from: &mut pipe::Receiver,
        written: &AtomicUsize,
    ) -> Result<(), TooMuch> {
        let mut buffer = [0; 4096];
        loop {
            let Ok(n @ 1..) = from.read(&mut buffer).await else {
                return Ok(());
            };
            self.bytes.extend(&buffer[..n]);
            let excess = self.bytes.len().saturating_sub(SHOWN);
            self.bytes.drain(..excess);
            if written.fetch_add(n, Ordering::Relaxed) + n > MOST_OUTPUT {
                return Err(TooMuch);
            }
        }
    }
}
