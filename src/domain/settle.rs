//! When is a file finished?
//!
//! A drop folder is written to by programs that know nothing of us: some
//! rename a finished file in, some write slowly, some close and open again,
//! some set an old modification time. Each signal shortens or lengthens the
//! wait; together they decide:
//!
//! - open for writing by any process, as a lease or the folder's events tell:
//!   not finished. What a lease tells holds for as long as it does; what events
//!   tell holds for [`SettleRules::unclosed_wait`] from the last of them, since
//!   a close may be missing (`truncate(2)` sends none);
//! - renamed in, and not open: finished at once, that is what an atomic publish
//!   is. Where nothing can tell whether it is open it gets the quiet time;
//! - anything else: finished once *nothing has happened* for the quiet time,
//!   measured on the monotonic clock between looks. What counts as happening:
//!   a close after writing, a creation, a change of size, times or inode between
//!   two looks, and having been seen open;
//! - seen by a scan (or created as a hard link), never seen open or changing,
//!   and unchanged for longer than the quiet time by its `ctime`: finished at
//!   the first look. `ctime` is set by the kernel alone. The modification time
//!   is anybody's to set and is believed nowhere. This is the one place where
//!   the wall clock has a say, and only when [`SteadyClock`] knows of no step
//!   and the file's times are this machine's.
//!
//! What this cannot see: a writer that keeps a file open, writes nothing for
//! longer than the quiet time, and opened it before its folder was watched.
//!
//! Must not: look at a file or a clock. It is told both.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;
use super::version::FileVersion;
pub use super::writers::{Openness, Writing};

/// Added to the quiet time before age is believed: the kernel stamps files with
/// a coarse clock, up to a tick behind, and a step of the wall clock below
/// [`STEP`] passes unnoticed.
const SLACK: Duration = Duration::from_millis(260);

/// The shortest and the longest time between two looks at a file that a writer
/// has open. A close event brings the look forward; this is for its absence.
const OPEN_LOOK_MIN: Duration = Duration::from_millis(200);
const OPEN_LOOK_MAX: Duration = Duration::from_secs(10);

/// The longest time between two looks at a file whose content seems cut.
const INCOMPLETE_LOOK: Duration = Duration::from_secs(5);

/// How a file came to our notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sighted {
    /// Renamed to this name, from outside the folder or from another name.
    RenamedIn,
    /// A writer closed it.
    Closed,
    /// Its name appeared: a writer has just begun, or it is a hard link, which
    /// never closes.
    Created,
    /// Written to, and not (yet) closed.
    Modified,
    /// Found by a scan, or by an event that says nothing of its content.
    Scan,
}

impl fmt::Display for Sighted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Sighted::RenamedIn => "renamed in",
            Sighted::Closed => "closed after writing",
            Sighted::Created => "created",
            Sighted::Modified => "written to",
            Sighted::Scan => "found by a scan",
        })
    }
}

/// One look at a file.
#[derive(Debug, Clone)]
pub struct Look {
    /// What was there.
    pub version: FileVersion,
    /// When the inode last changed (`ctime`), nanoseconds since the Unix epoch.
    pub ctime_ns: i64,
    /// When, on the monotonic clock, from any fixed start.
    pub now: Duration,
    /// When, by the wall clock; `None` while it can't be trusted
    /// ([`SteadyClock`]), or where another machine's clock sets the file's times.
    pub wall: Option<Timestamp>,
    /// Whether a writer had it open.
    pub open_for_writing: Openness,
}

/// How long is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleRules {
    /// Where openness can be told.
    pub quiet: Duration,
    /// Where it can't.
    pub quiet_unsure: Duration,
    /// How long a file that events say is being written is waited for, from its
    /// last event.
    pub unclosed_wait: Duration,
}

impl SettleRules {
    fn quiet(&self, open: Openness) -> Duration {
        match open {
            Openness::No | Openness::Yes => self.quiet,
            Openness::Writing(_) | Openness::Unknown => self.quiet_unsure,
        }
    }
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The writer is done; it can go on.
    Finished,
    /// Not yet: look again at this time of the monotonic clock.
    Wait(Duration, WaitReason),
}

/// Why a file has to wait; in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// A writer has it open.
    StillOpen,
    /// Events say that a writer has it open.
    BeingWritten {
        /// Since when.
        since: Timestamp,
    },
    /// It was closed a moment ago; some writers open again.
    JustClosed,
    /// It changed a moment ago.
    JustChanged,
    /// It was seen for the first time, too young to be believed.
    JustSeen,
    /// Nothing can tell whether a writer has it open, so it waits longer.
    CannotTell,
    /// Its content looks cut off: probably a writer is not done.
    Incomplete,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitReason::StillOpen => "a program still has it open for writing",
            WaitReason::BeingWritten { since } => {
                return write!(
                    f,
                    "it is being written since {since}: a program opened it and has not closed it"
                );
            }
            WaitReason::JustClosed => {
                "it was closed a moment ago and gets its quiet time, as some programs open a file again"
            }
            WaitReason::JustChanged => "it changed a moment ago and gets its quiet time",
            WaitReason::JustSeen => "it was seen a moment ago and has to stay unchanged for its quiet time",
            WaitReason::CannotTell => {
                "whether a program still writes to it can't be told here, so it has to stay unchanged for the longer quiet time (quiet_unsure)"
            }
            WaitReason::Incomplete => {
                "its content looks cut off; it gets more time to be completed"
            }
        })
    }
}

/// A file that is settling: what is known of it between looks.
#[derive(Debug, Clone)]
pub struct Settling {
    how: Sighted,
    version: FileVersion,
    /// `ctime` at the last look.
    ctime_ns: Option<i64>,
    /// How long it was unchanged at the last look, by its `ctime`.
    unchanged: Option<Duration>,
    /// The last time that anything happened; monotonic.
    since: Duration,
    /// A writer or a change was seen: its age alone is not believed any more.
    restless: bool,
    /// Looks in a row that found it open.
    opens: u32,
    /// Its content looks cut: until when it may be completed, and whether that
    /// time is over.
    incomplete: Option<Duration>,
}

impl Settling {
    /// A file sighted for the first time.
    pub fn new(how: Sighted, version: FileVersion, now: Duration) -> Settling {
        Settling {
            how,
            version,
            ctime_ns: None,
            unchanged: None,
            since: now,
            restless: matches!(how, Sighted::Closed | Sighted::Modified),
            opens: 0,
            incomplete: None,
        }
    }

    /// How it was sighted, as far as that still matters.
    pub fn how(&self) -> Sighted {
        self.how
    }

    /// The version of the last look.
    pub fn version(&self) -> &FileVersion {
        &self.version
    }

    /// It was sighted again. A scan says nothing that a look would not.
    pub fn sight(&mut self, how: Sighted, version: FileVersion, now: Duration) {
        self.notice(version, now);
        match how {
            Sighted::Scan => return,
            Sighted::Closed | Sighted::Modified => self.restless = true,
            Sighted::RenamedIn | Sighted::Created => {}
        }
        self.how = how;
        self.since = self.since.max(now);
        self.opens = 0;
    }

    /// Takes a version in; a change is something that happened.
    fn notice(&mut self, version: FileVersion, now: Duration) {
        if version == self.version {
            return;
        }
        self.version = version;
        self.since = self.since.max(now);
        self.restless = true;
        self.incomplete = None;
        // What was published has been written to, or replaced, since.
        if self.how == Sighted::RenamedIn {
            self.how = Sighted::Modified;
        }
    }

    /// Decides after a look.
    pub fn look(&mut self, look: &Look, rules: &SettleRules) -> Decision {
        self.notice(look.version.clone(), look.now);
        if self
            .ctime_ns
            .replace(look.ctime_ns)
            .is_some_and(|before| before != look.ctime_ns)
        {
            self.since = self.since.max(look.now);
        }
        self.unchanged = age(look);
        match look.open_for_writing {
            Openness::Yes => return self.seen_open(look.now, rules, WaitReason::StillOpen),
            Openness::Writing(writing) if writing.still < rules.unclosed_wait => {
                let why = WaitReason::BeingWritten {
                    since: writing.since,
                };
                return self.seen_open(look.now, rules, why);
            }
            Openness::No | Openness::Writing(_) | Openness::Unknown => {}
        }
        self.opens = 0;
        if let Some(until) = self.incomplete
            && look.now < until
        {
            let next = look.now.saturating_add(INCOMPLETE_LOOK).min(until);
            return Decision::Wait(next, WaitReason::Incomplete);
        }
        let renamed_in = self.how == Sighted::RenamedIn;
        if renamed_in && look.open_for_writing == Openness::No {
            return Decision::Finished;
        }
        let quiet = if renamed_in {
            rules.quiet
        } else {
            rules.quiet(look.open_for_writing)
        };
        let by_looks = self.since.saturating_add(quiet);
        let end = match self.wait_for_age(quiet) {
            Some(wait) => by_looks.min(look.now.saturating_add(wait)),
            None => by_looks,
        };
        if look.now >= end {
            Decision::Finished
        } else {
            Decision::Wait(end, self.reason(look.open_for_writing))
        }
    }

    fn seen_open(&mut self, now: Duration, rules: &SettleRules, why: WaitReason) -> Decision {
        self.since = self.since.max(now);
        self.restless = true;
        if self.how == Sighted::RenamedIn {
            self.how = Sighted::Modified;
        }
        let first = rules.quiet.clamp(OPEN_LOOK_MIN, OPEN_LOOK_MAX);
        let again = first
            .saturating_mul(2u32.saturating_pow(self.opens.min(16)))
            .min(OPEN_LOOK_MAX);
        self.opens = self.opens.saturating_add(1);
        Decision::Wait(now.saturating_add(again), why)
    }

    /// How much longer until its age alone says that it is finished; `None` if
    /// its age says nothing.
    fn wait_for_age(&self, quiet: Duration) -> Option<Duration> {
        if self.restless {
            return None;
        }
        Some(quiet.saturating_add(SLACK).saturating_sub(self.unchanged?))
    }

    fn reason(&self, open: Openness) -> WaitReason {
        match (open, self.how) {
            (_, Sighted::RenamedIn) => WaitReason::JustSeen,
            (Openness::Writing(_) | Openness::Unknown, _) => WaitReason::CannotTell,
            (_, Sighted::Closed) => WaitReason::JustClosed,
            _ if self.restless => WaitReason::JustChanged,
            _ => WaitReason::JustSeen,
        }
    }

    /// The content turned out to look cut off (a docx that is half a zip): give
    /// it until it was unchanged for `patience`, once. If it changes meanwhile it
    /// settles anew. Returns `false` if it had that time already: then say so.
    pub fn looks_incomplete(&mut self, now: Duration, patience: Duration) -> bool {
        let left = patience.saturating_sub(self.unchanged.unwrap_or_default());
        if self.incomplete.is_some() || left.is_zero() {
            return false;
        }
        self.incomplete = Some(now.saturating_add(left));
        true
    }
}

/// How long a file is unchanged by its `ctime`; `None`: the clock can't be
/// trusted, or the file's time lies ahead of it.
fn age(look: &Look) -> Option<Duration> {
    let age_ns = i128::from(look.wall?.0) * 1_000_000 - i128::from(look.ctime_ns);
    Some(Duration::from_nanos(u64::try_from(age_ns).ok()?))
}

/// Knows whether the wall clock was stepped.
///
/// The wall clock and the monotonic one advance together, but for slow
/// corrections; when their distance jumps, the clock was set (or the machine
/// slept). What was written before the jump bears a time that says nothing,
/// so the wall clock is not believed until the quiet time has passed on the
/// monotonic one; by then whatever was written before is old by any clock.
#[derive(Debug, Clone, Default)]
pub struct SteadyClock {
    /// Wall minus monotonic, milliseconds.
    distance: Option<i128>,
    unsteady_until: Duration,
}

/// A larger change of distance between two readings than this is a step;
/// milliseconds.
const STEP: i128 = 250;

impl SteadyClock {
    /// No reading yet: the first one is believed.
    pub fn new() -> SteadyClock {
        SteadyClock::default()
    }

    /// Takes a reading of both clocks; gives the wall clock back if it can be
    /// believed. `quiet` is the longest quiet time in force.
    pub fn read(&mut self, now: Duration, wall: Timestamp, quiet: Duration) -> Option<Timestamp> {
        let mono_ms = i128::try_from(now.as_millis()).unwrap_or(i128::MAX);
        let distance = i128::from(wall.0).saturating_sub(mono_ms);
        let moved = self
            .distance
            .replace(distance)
            .map_or(0, |before| distance.saturating_sub(before).saturating_abs());
        if moved > STEP {
            self.unsteady_until = now.saturating_add(quiet);
        }
        (now >= self.unsteady_until).then_some(wall)
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
