//! Keeps what is in memory, the Access-Keys above all, out of core dumps and
//! away from other processes of the same user.
//!
//! Must not: fail a start. A kernel that refuses leaves it as it was, and the
//! unit's `LimitCORE=0` stands beside it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core from here on, and no debugger but root's.
///
/// Both are needed: where cores go to a program (`core_pattern` with a pipe, as
/// systemd-coredump sets it) the kernel does not ask for the limit (core(5)),
/// and a process that is not dumpable still leaves its limit to its children.
/// Not being dumpable also closes `/proc/PID/mem` and `ptrace` to other
/// processes of the same user (`PR_SET_DUMPABLE` in prctl(2)).
pub fn up() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Refused at most by a sandbox that forbids the call; the other one stands.
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
