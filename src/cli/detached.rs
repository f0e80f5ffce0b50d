//! Commands that look at folders, run so that they end: a thread that waits for a
//! FUSE file system can't be ended, nor can its process, and whoever called the
//! command would wait with it. So the command runs in a child process, tells its
//! exit code, and is left behind.
//!
//! Must not: be used by a command that reads standard input: the child tells its
//! exit code there.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use super::exit::Exit;

/// Set for the child.
const MARK: &str = "SUPAMETAS_SYNC_DETACHED";

/// Whether this is the child.
pub fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs the same command line in a child, and returns how it ended. `None`: there
/// could be no child, and the command is to run here.
pub fn run() -> Option<Exit> {
    let (mut told, tell) = io::pipe().ok()?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut child = Command::new(std::env::current_exe().ok()?)
        .args(arguments)
        .env(MARK, "1")
        .stdin(Stdio::from(tell))
        .spawn()
        .ok()?;
    let mut code = [0];
    match told.read(&mut code) {
        // It may not end for a long time; all that it had to say is said.
        Ok(1) => Some(Exit::of_code(code[0])),
        // It was ended before that.
        _ => {
            let ended = child.wait().ok()?;
            let code = ended.code().and_then(|code| u8::try_from(code).ok());
            Some(code.map_or(Exit::Failure, Exit::of_code))
        }
    }
}

/// In the child, when all was said: tells the exit code, and lets go of what
/// readers of its output wait for.
pub fn tell(exit: Exit) {
    if let Ok(nowhere) = std::fs::File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
        let _ = rustix::stdio::dup2_stderr(&nowhere);
    }
    let _ = rustix::io::write(io::stdin().as_fd(), &[exit.code()]);
}
