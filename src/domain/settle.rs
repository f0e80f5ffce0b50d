//! When is a file finished?
//!
//! A drop folder is written to by programs that know nothing of us: some
//! rename a finished file in, some write slowly, some close and open again,
//! some set an old modification time. Each signal shortens or lengthens the
//! wait; together they decide:
//!
//! - open for writing by any process: not finished, whatever the clock says;
//! - renamed in: finished at once, that is what an atomic publish is;
//! - anything else: finished once *nothing has happened* for the quiet time,
//!   measured on the monotonic clock between looks. What counts as happening:
//!   a close after writing, a creation, a change of size, time or inode between
//!   two looks, and having been seen open;
//! - seen by a scan (or created as a hard link), never seen open or changing,
//!   and last modified longer ago than the quiet time: finished at the first
//!   look. This is the one place where the wall clock has a say, and only when
//!   [`SteadyClock`] knows of no step. Where nothing can tell whether a writer
//!   has the file open, the file's age may come from another machine's clock,
//!   so it has to be [`UNSURE_AGE`] more.
//!
//! What this cannot see: a writer that sets a past modification time, without
//! holding the file open, on a file that no event told of.
//!
//! Must not: look at a file or a clock. It is told both.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;
use super::version::FileVersion;

/// How much older than the quiet time a file must be to count as old when no
/// one can tell whether it is open: wider than the clocks of two machines and
/// the attribute cache of a network file system differ in practice.
pub const UNSURE_AGE: Duration = Duration::from_secs(3600);

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

/// Whether any process has a file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Openness {
    /// None has.
    No,
    /// One has.
    Yes,
    /// Nothing can tell: a network file system, or no right to ask.
    Unknown,
}

/// One look at a file.
#[derive(Debug, Clone)]
pub struct Look {
    /// What was there.
    pub version: FileVersion,
    /// When, on the monotonic clock, from any fixed start.
    pub now: Duration,
    /// When, by the wall clock; `None` while it can't be trusted
    /// ([`SteadyClock`]).
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
            Openness::Unknown => self.quiet_unsure,
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
        if look.open_for_writing == Openness::Yes {
            return self.seen_open(look.now, rules);
        }
        self.opens = 0;
        if let Some(until) = self.incomplete
            && look.now < until
        {
            let next = look.now.saturating_add(INCOMPLETE_LOOK).min(until);
            return Decision::Wait(next, WaitReason::Incomplete);
        }
        if self.how == Sighted::RenamedIn {
            return Decision::Finished;
        }
        let quiet = rules.quiet(look.open_for_writing);
        let by_looks = self.since.saturating_add(quiet);
        let end = match self.wait_for_age(look, quiet) {
            Some(wait) => by_looks.min(look.now.saturating_add(wait)),
            None => by_looks,
        };
        if look.now >= end {
            Decision::Finished
        } else {
            Decision::Wait(end, self.reason(look.open_for_writing))
        }
    }

    fn seen_open(&mut self, now: Duration, rules: &SettleRules) -> Decision {
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
        Decision::Wait(now.saturating_add(again), WaitReason::StillOpen)
    }

    /// How much longer until its age alone says that it is finished; `None` if
    /// its age says nothing.
    fn wait_for_age(&self, look: &Look, quiet: Duration) -> Option<Duration> {
        if self.restless {
            return None;
        }
        let wall = look.wall?;
        let needed = match look.open_for_writing {
            Openness::Unknown => quiet.saturating_add(UNSURE_AGE),
            Openness::No | Openness::Yes => quiet.saturating_add(SLACK),
        };
        let age_ns = i128::from(wall.0) * 1_000_000 - i128::from(self.version.mtime_ns);
        // From the future: the file's clock is not ours.
        let age = Duration::from_nanos(u64::try_from(age_ns).ok()?);
        Some(needed.saturating_sub(age))
    }

    fn reason(&self, open: Openness) -> WaitReason {
        match (open, self.how) {
            (Openness::Unknown, _) => WaitReason::CannotTell,
            (_, Sighted::Closed) => WaitReason::JustClosed,
            _ if self.restless => WaitReason::JustChanged,
            _ => WaitReason::JustSeen,
        }
    }

    /// The content turned out to look cut off (a docx that is half a zip):
    /// give it `patience` more, once. If it changes meanwhile it settles anew.
    /// Returns `false` if it had that time already: then say so.
    pub fn looks_incomplete(&mut self, now: Duration, patience: Duration) -> bool {
        if self.incomplete.is_some() {
            return false;
        }
        self.incomplete = Some(now.saturating_add(patience));
        true
    }
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
