//! Who may still be writing a file, and whether its source may be touched.
//!
//! Two things tell. A read lease is refused while a writer has the file open,
//! but it can be taken only on one's own files (or with `CAP_LEASE`). Events
//! tell of every opening, write and close of any user's file, but only from the
//! moment on that its directory is watched, and only while none is lost.
//! Neither knows of writers on other machines. What nothing tells is
//! [`Openness::Unknown`], which is never taken for "closed".
//!
//! Must not: look at a file or a clock. It is told both.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;

/// How long an empty file is left alone before it is moved or deleted: some
/// programs create a file long before they write to it.
pub const EMPTY_WAIT: Duration = Duration::from_secs(30 * 60);

/// How long a source is left alone, at least and at most, before the question
/// is asked again.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(600));

/// The same where a close may come at any time.
const UNTIL_CLOSE: Duration = Duration::from_secs(30);

/// Whether any process has a file open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// None has.
    No,
    /// One has: the kernel refuses a lease.
    Yes,
    /// Events say so: it was created, opened or written to, and not closed.
    Writing(Writing),
    /// Nothing can tell: a network file system, or no right to ask and no event.
    Unknown,
}

/// A file that events say is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// Since when.
    pub since: Timestamp,
    /// How long ago the last event of it came.
    pub still: Duration,
}

/// What the events of a folder say of one of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heard {
    /// A writer has it.
    Writing(Writing),
    /// Its last writer closed it.
    Closed,
    /// Nothing: no event told of it since its directory is watched, or events
    /// were lost.
    #[default]
    Unknown,
}

impl Openness {
    /// What both say together. `all_told`: every writer is a process of this
    /// kernel that keeps the file open while it writes. This is not so on
    /// network file systems, nor in directories that this machine exports by
    /// NFS: its server closes the file after each write.
    pub fn told(lease: Openness, heard: Heard, all_told: bool) -> Openness {
        match (lease, heard) {
            (Openness::Yes, _) => Openness::Yes,
            (Openness::No, _) if all_told => Openness::No,
            (_, Heard::Writing(writing)) => Openness::Writing(writing),
            (_, Heard::Closed) if all_told => Openness::No,
            _ => Openness::Unknown,
        }
    }
}

/// A source that is to be moved or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Whether it is being written.
    pub open: Openness,
    /// How long it is unchanged; `None`: its times are not to be believed.
    pub unchanged: Option<Duration>,
    /// It has no content.
    pub empty: bool,
}

/// Why a source is left alone for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftAlone {
    /// A program has it open for writing.
    Open,
    /// Events say that it is being written.
    Writing(
        /// Since when.
        Timestamp,
    ),
    /// Nothing can tell whether a program writes it.
    CannotTell(
        /// It is touched once it was unchanged for so long.
        Duration,
    ),
    /// It is empty, and was created or emptied a moment ago.
    Empty,
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeftAlone::Open => f.write_str("a program has it open for writing"),
            LeftAlone::Writing(since) => write!(f, "it is being written since {since}"),
            LeftAlone::CannotTell(wait) => write!(
                f,
                "whether a program still writes it can't be told, so it stays until it was unchanged for {} (unclosed_wait)",
                in_words(*wait)
            ),
            LeftAlone::Empty => write!(
                f,
                "it is empty and may be about to be written, so it stays until it was unchanged for {}",
                in_words(EMPTY_WAIT)
            ),
        }
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s >= 60 && s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// Whether a source may be moved or deleted now. If not: why, and when to ask
/// again. What nothing can tell is no permission: such a file has to be
/// unchanged for `unclosed_wait`, which is how long a writer is believed to
/// pause at most.
///
/// # Errors
/// Why it is left alone, and for how long.
pub fn may_touch(rest: &Rest, unclosed_wait: Duration) -> Result<(), (LeftAlone, Duration)> {
    let missing = |needed: Duration| match rest.unchanged {
        Some(unchanged) => needed.saturating_sub(unchanged),
        None => needed,
    };
    let again = |wait: Duration| wait.clamp(ASK_AGAIN.0, ASK_AGAIN.1);
    match rest.open {
        Openness::Yes => return Err((LeftAlone::Open, UNTIL_CLOSE)),
        Openness::Writing(writing) if writing.still < unclosed_wait => {
            let left = unclosed_wait.saturating_sub(writing.still);
            let wait = again(left).min(UNTIL_CLOSE);
            return Err((LeftAlone::Writing(writing.since), wait));
        }
        Openness::Writing(_) | Openness::Unknown => {
            let left = missing(unclosed_wait);
            if left > Duration::ZERO {
                return Err((LeftAlone::CannotTell(unclosed_wait), again(left)));
            }
        }
        Openness::No => {}
    }
    let left = missing(EMPTY_WAIT);
    if rest.empty && left > Duration::ZERO {
        return Err((LeftAlone::Empty, again(left)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn writing(still: u64) -> Writing {
        Writing {
            since: Timestamp(1_000),
            still: secs(still),
        }
    }

    /// The lease is the better answer where it can be taken, and neither counts
    /// where writers are elsewhere.
    #[test]
    fn lease_and_events_together() {
        use Openness as O;
        let w = writing(3);
        for (lease, heard, here, elsewhere) in [
            (O::Yes, Heard::Closed, O::Yes, O::Yes),
            (O::Yes, Heard::Unknown, O::Yes, O::Yes),
            (O::No, Heard::Unknown, O::No, O::Unknown),
            (O::No, Heard::Closed, O::No, O::Unknown),
            (O::No, Heard::Writing(w), O::No, O::Writing(w)),
            (O::Unknown, Heard::Writing(w), O::Writing(w), O::Writing(w)),
            (O::Unknown, Heard::Closed, O::No, O::Unknown),
            (O::Unknown, Heard::Unknown, O::Unknown, O::Unknown),
        ] {
            assert_eq!(O::told(lease, heard, true), here, "{lease:?} {heard:?}");
            assert_eq!(
                O::told(lease, heard, false),
                elsewhere,
                "{lease:?} {heard:?}"
            );
        }
    }

    #[test]
    fn a_source_is_touched_only_when_nobody_can_be_writing_it() {
        use Openness as O;
        let ask = |open, unchanged: Option<u64>, empty| {
            let unchanged = unchanged.map(secs);
            may_touch(
                &Rest {
                    open,
                    unchanged,
                    empty,
                },
                HOUR,
            )
        };
        let cannot_tell = LeftAlone::CannotTell(HOUR);
        for (open, unchanged, empty, expected) in [
            (O::No, Some(0), false, Ok(())),
            (O::No, None, false, Ok(())),
            // Age is nothing against a writer that is seen.
            (O::Yes, Some(9_999), false, Err((LeftAlone::Open, 30))),
            (
                O::Writing(writing(10)),
                Some(9_999),
                false,
                Err((LeftAlone::Writing(Timestamp(1_000)), 30)),
            ),
            (
                O::Writing(writing(3_595)),
                Some(3_595),
                false,
                Err((LeftAlone::Writing(Timestamp(1_000)), 5)),
            ),
            // Given up on: then it goes by its age.
            (O::Writing(writing(3_600)), Some(3_600), false, Ok(())),
            (
                O::Writing(writing(3_600)),
                Some(5),
                false,
                Err((cannot_tell, 600)),
            ),
            (O::Unknown, Some(0), false, Err((cannot_tell, 600))),
            (O::Unknown, Some(3_599), false, Err((cannot_tell, 2))),
            (O::Unknown, Some(3_600), false, Ok(())),
            (O::Unknown, None, false, Err((cannot_tell, 600))),
            // An empty file.
            (O::No, Some(0), true, Err((LeftAlone::Empty, 600))),
            (O::No, Some(1_795), true, Err((LeftAlone::Empty, 5))),
            (O::No, None, true, Err((LeftAlone::Empty, 600))),
            (O::No, Some(1_800), true, Ok(())),
        ] {
            let said = ask(open, unchanged, empty).map_err(|(why, wait)| (why, wait.as_secs()));
            assert_eq!(said, expected, "{open:?} {unchanged:?} {empty}");
        }
    }

    #[test]
    fn people_are_told_why_a_source_stays() {
        for (why, words) in [
            (LeftAlone::Open, "open for writing"),
            (
                LeftAlone::Writing(Timestamp(0)),
                "since 1970-01-01T00:00:00.000Z",
            ),
            (LeftAlone::CannotTell(HOUR), "unchanged for 1 h"),
            (LeftAlone::CannotTell(secs(90)), "unchanged for 90 s"),
            (LeftAlone::Empty, "unchanged for 30 min"),
        ] {
            assert!(why.to_string().contains(words), "{why}");
        }
    }
}
