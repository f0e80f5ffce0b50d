//! The errors by which Linux says that a limit is reached, in words that name the
//! limit: "Too many open files" leads nobody to it.
//!
//! Must not: ask the system.

/// `EMFILE` and `ENFILE`, the same on every architecture of Linux.
const OF_THE_PROCESS: i32 = 24;
const OF_THE_MACHINE: i32 = 23;

/// What is said for an error number; `None`: it is of no limit.
pub const fn said(errno: i32) -> Option<&'static str> {
    match errno {
        OF_THE_PROCESS => Some(
            "no file descriptor is left for this process; raise `LimitNOFILE=` (or `ulimit -n`)",
        ),
        OF_THE_MACHINE => Some("no file descriptor is left on this machine; raise `fs.file-max`"),
        _ => None,
    }
}
