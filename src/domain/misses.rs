//! Tasks that the service says it does not know, told apart from a path that is
//! wrong for this service.
//!
//! One such answer is about its task. The same for several different tasks
//! running, and no task known in between, is about the path (or the key) that
//! they are asked with: every task there is would be given up for one wrong
//! setting.
//!
//! Must not: count how often one task was missing (that is `lifecycle`), or
//! know the clock.

use super::error_table::{Judgement, Limit, Then, Verdict};
use super::ids::FileId;

/// Different tasks running that were not known: from this one on it is the
/// path.
const SEVERAL: usize = 3;

/// What the queries of one dataset have come to lately.
#[derive(Debug, Default)]
pub struct Misses {
    /// Whose tasks were not known since a task was; at most [`SEVERAL`].
    files: Vec<FileId>,
    /// They are asked about with another key since.
    new_key: bool,
}

impl Misses {
    /// Tasks are asked about with another key than they were given to. It may
    /// be another dataset's, which knows none of them: until it has known one,
    /// nothing that it does not know is missing.
    pub fn with_new_key() -> Misses {
        Misses {
            new_key: true,
            ..Misses::default()
        }
    }

    /// Takes in what was answered to a query about `file`'s task, and gives back
    /// what it means to the file: that its task is missing, or that nothing is
    /// known about it.
    pub fn weigh(&mut self, file: FileId, mut judgement: Judgement) -> Judgement {
        let missing = match &judgement.verdict {
            Verdict::Task(_) => {
                *self = Misses::default();
                false
            }
            Verdict::Retry(Some(Limit { then, .. })) => *then == Then::Lost,
            // Refused outright: as much as not known, see `lifecycle`.
            Verdict::Reject => true,
            _ => false,
        };
        if !missing {
            return judgement;
        }
        if self.files.len() < SEVERAL && !self.files.contains(&file) {
            self.files.push(file);
        }
        if self.new_key || self.files.len() >= SEVERAL {
            judgement.verdict = Verdict::Hold;
            judgement.why.push_str(
                " (no task was known lately, or since the key changed: `service.paths.query` or the key looks wrong; no task is given up for it)",
            );
            judgement.advice =
                "correct `service.paths.query`, `base_url` or the dataset's key, and reload";
        }
        judgement
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::{Answer, Body, Call, Outcome, TaskState};
    use crate::domain::error_table::{ErrorTable, Trail};

    fn asked(status: u16, body: Body) -> Judgement {
        let outcome = Outcome::Answer(Answer {
            status,
            body,
            ..Answer::default()
        });
        ErrorTable::default().judge(Call::Query, &outcome, Trail::default())
    }

    fn envelope(code: &str, task_state: Option<TaskState>) -> Body {
        Body::Envelope {
            code: code.into(),
            message: None,
            task: None,
            task_state,
            opt_result: None,
        }
    }

    fn gives_up(judgement: &Judgement) -> bool {
        matches!(
            judgement.verdict,
            Verdict::Reject
                | Verdict::Retry(Some(Limit {
                    then: Then::Lost,
                    ..
                }))
        )
    }

    #[test]
    fn several_different_tasks_running_are_the_paths_fault() {
        for status in [404, 400] {
            let unknown = || asked(status, envelope("404", None));
            let mut misses = Misses::default();
            let mut ask = |file| gives_up(&misses.weigh(FileId(file), unknown()));
            // One task, however often, is that task's matter.
            assert!((0..9).all(|_| ask(1)));
            assert!(ask(2), "two may be a chance");
            let held: Vec<bool> = [3, 1, 2, 4, 3].map(&mut ask).to_vec();
            assert_eq!(held, [false; 5], "{status}");
            let said = misses.weigh(FileId(5), unknown());
            assert_eq!(said.verdict, Verdict::Hold);
            assert!(said.why.contains("`service.paths.query`"), "{}", said.why);
            assert!(said.advice.contains("`service.paths.query`"));
            assert_eq!(misses.files.len(), SEVERAL, "no more are remembered");
        }
    }

    #[test]
    fn another_key_has_to_know_a_task_first() {
        let unknown = || asked(404, envelope("404", None));
        let mut misses = Misses::with_new_key();
        assert!((0..9).all(|_| !gives_up(&misses.weigh(FileId(1), unknown()))));
        let known = asked(200, envelope("0", Some(TaskState::Success)));
        let _ = misses.weigh(FileId(2), known);
        assert!(gives_up(&misses.weigh(FileId(1), unknown())));
    }

    #[test]
    fn a_task_that_is_known_proves_the_path() {
        let unknown = || asked(404, envelope("404", None));
        let mut misses = Misses::default();
        for file in 1..=3 {
            let _ = misses.weigh(FileId(file), unknown());
        }
        let known = asked(200, envelope("0", Some(TaskState::Pending)));
        assert_eq!(misses.weigh(FileId(9), known.clone()), known);
        assert!(gives_up(&misses.weigh(FileId(1), unknown())));
        // What says nothing about a task or a path changes nothing.
        for (status, body) in [(503, Body::Empty), (429, Body::Empty), (401, Body::Empty)] {
            let other = asked(status, body);
            assert_eq!(misses.weigh(FileId(2), other.clone()), other, "{status}");
        }
        assert!(gives_up(&misses.weigh(FileId(2), unknown())));
        assert!(!gives_up(&misses.weigh(FileId(3), unknown())));
    }
}
