//! Whether a log line that may come often is written now, or counted.
//!
//! A thousand refused files are one cause. The first line of a subject is
//! written at once; the lines after it are counted, and their number is written
//! after a minute, then ever more rarely. A subject that was silent for as long
//! as its wait begins anew. Must not: know what a line says, or read a clock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::time::Timestamp;

/// The time from the first line of a subject to the next.
pub const FIRST_WAIT: Duration = Duration::from_secs(60);

/// Each wait is this many times the one before it.
const FACTOR: u32 = 4;

/// The longest time between two lines of a subject that goes on.
pub const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// Subjects that are told apart. Who invents causes, such as new extensions,
/// gets no more lines than this out of one wait.
pub const SUBJECTS: usize = 200;

/// The lines that were written and counted, by what they are about.
#[derive(Debug)]
pub struct Repeats<K> {
    subjects: BTreeMap<K, Subject>,
    /// Lines of subjects for which there was no place.
    crowded: u64,
}

#[derive(Debug)]
struct Subject {
    /// When its last line was written.
    said_at: Timestamp,
    /// When it was last heard of.
    heard_at: Timestamp,
    wait: Duration,
    held: u64,
}

/// Lines that were counted instead of written.
#[derive(Debug, PartialEq, Eq)]
pub struct Held<K> {
    /// What they are about; `None`: subjects for which there was no place.
    pub subject: Option<K>,
    /// How many.
    pub lines: u64,
    /// The time in which they came.
    pub within: Duration,
}

impl<K> Default for Repeats<K> {
    fn default() -> Repeats<K> {
        Repeats {
            subjects: BTreeMap::new(),
            crowded: 0,
        }
    }
}

impl<K: Ord + Clone> Repeats<K> {
    /// A line about `subject` is at hand: whether to write it.
    pub fn may_say(&mut self, subject: &K, now: Timestamp) -> bool {
        if let Some(known) = self.subjects.get_mut(subject) {
            let quiet = known.held == 0 && known.is_over(known.heard_at, now);
            known.heard_at = now;
            if !quiet {
                known.held += 1;
                return false;
            }
            known.said_at = now;
            known.wait = FIRST_WAIT;
            return true;
        }
        if self.subjects.len() >= SUBJECTS {
            self.crowded += 1;
            return false;
        }
        let new = Subject {
            said_at: now,
            heard_at: now,
            wait: FIRST_WAIT,
            held: 0,
        };
        self.subjects.insert(subject.clone(), new);
        true
    }

    /// What was counted and is to be written now. To be asked now and then.
    pub fn due(&mut self, now: Timestamp) -> Vec<Held<K>> {
        let mut due = Vec::new();
        self.subjects.retain(|subject, known| {
            if !known.is_over(known.said_at, now) {
                return true;
            }
            if known.held == 0 {
                return !known.is_over(known.heard_at, now);
            }
            due.push(Held {
                subject: Some(subject.clone()),
                lines: std::mem::take(&mut known.held),
                within: now.since(known.said_at),
            });
            known.said_at = now;
            known.wait = known.wait.saturating_mul(FACTOR).min(LONGEST_WAIT);
            true
        });
        if self.crowded > 0 && self.subjects.len() < SUBJECTS {
            due.push(Held {
                subject: None,
                lines: std::mem::take(&mut self.crowded),
                within: LONGEST_WAIT,
            });
        }
        due
    }
}

impl Subject {
    /// Whether the wait since `then` is over. A clock that was set back ends it.
    fn is_over(&self, then: Timestamp, now: Timestamp) -> bool {
        now < then || now.since(then) >= self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp(s * 1_000)
    }

    #[test]
    fn the_first_is_written_and_the_others_are_counted_ever_more_rarely() {
        let mut lines = Repeats::default();
        let mut written = Vec::new();
        // One refusal a second, for a day.
        for s in 0..86_400 {
            if lines.may_say(&"refused", at(s)) {
                written.push((s, 1));
            }
            for held in lines.due(at(s)) {
                assert_eq!(held.subject, Some("refused"));
                written.push((s, held.lines));
            }
        }
        let when: Vec<i64> = written.iter().map(|(s, _)| *s).collect();
        assert_eq!(
            when,
            [0, 60, 300, 1_260, 5_100, 20_460, 42_060, 63_660, 85_260]
        );
        let told: u64 = written.iter().map(|(_, lines)| lines).sum();
        assert_eq!(told, 85_261, "no line is lost, each is counted once");
    }

    #[test]
    fn another_subject_does_not_wait_and_silence_begins_anew() {
        let mut lines = Repeats::default();
        assert!(lines.may_say(&1, at(0)));
        assert!(lines.may_say(&2, at(0)));
        assert!(!lines.may_say(&1, at(59)));
        assert_eq!(lines.due(at(60)).len(), 1);
        // The wait is four minutes now, since it was last heard.
        assert!(!lines.may_say(&1, at(200)));
        assert_eq!(lines.due(at(300)).len(), 1);
        assert!(lines.due(at(100_000)).is_empty());
        assert!(lines.may_say(&1, at(100_001)), "forgotten by then");
    }

    #[test]
    fn a_rare_line_is_written_each_time() {
        let mut lines = Repeats::default();
        for hour in 0..10 {
            assert!(lines.may_say(&(), at(hour * 3_600)));
        }
    }

    #[test]
    fn who_invents_subjects_gets_no_more_lines() {
        let mut lines = Repeats::default();
        let mut written = 0;
        for n in 0..100_000 {
            written += usize::from(lines.may_say(&n, at(n / 100)));
            written += lines.due(at(n / 100)).len();
        }
        assert!(written <= SUBJECTS * 20, "{written}");
        let mut crowd = Repeats::default();
        for n in 0..=SUBJECTS {
            crowd.may_say(&n, at(0));
        }
        assert!(crowd.due(at(1)).is_empty());
        let due = crowd.due(at(1_000));
        assert!(
            due.iter()
                .any(|held| held.subject.is_none() && held.lines == 1)
        );
    }

    #[test]
    fn a_clock_that_was_set_back_holds_no_line_for_ever() {
        let mut lines = Repeats::default();
        assert!(lines.may_say(&(), at(86_400)));
        assert!(!lines.may_say(&(), at(86_401)));
        assert_eq!(lines.due(at(10)).len(), 1);
    }
}
