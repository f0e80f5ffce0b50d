//! How answers are held so that they share a commit.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::daemon::upload::pausing::Pausing;
use crate::domain::answer::{Answer, Body, Outcome};
use crate::domain::error_table::ErrorTable;
use crate::domain::ids::{DatasetName, FileId, FolderName, TaskId};
use crate::domain::time::Timestamp;
use crate::ledger::Fingerprints;

fn answered(id: i64, pausing: Option<Recording<'_>>) -> Answered<'_> {
    let answer = Outcome::Answer(Answer {
        status: 200,
        body: Body::Envelope {
            code: "0".into(),
            message: None,
            task: None,
            task_state: None,
            opt_result: None,
        },
        ..Answer::default()
    });
    let judgement = ErrorTable::default().judge(Call::Query, &answer, Trail::default());
    Answered {
        due: DuePoll {
            id: FileId(id),
            folder: FolderName("f".into()),
            dataset: DatasetName("d".into()),
            path: b"a.txt".to_vec(),
            task: TaskId::new("t-1").unwrap(),
            next_poll: Timestamp(0),
            media: None,
            submitted_at: Timestamp(0),
            attempt: None,
        },
        polled: Polled {
            id: FileId(id),
            judgement,
            fingerprints: Arc::new(Fingerprints::default()),
        },
        pausing,
    }
}

fn ids(answers: Vec<Answered<'_>>) -> Vec<i64> {
    answers.into_iter().map(|one| one.polled.id.0).collect()
}

#[tokio::test(start_paused = true)]
async fn answers_are_held_from_the_first_of_them_on_and_let_go_in_order() {
    let mut held = Held::default();
    assert!(held.until.is_none(), "nothing to wait for");
    let first = Instant::now();
    for id in [3, 1, 2] {
        held.put(answered(id, None));
        assert!(ids(held.take()).is_empty(), "not yet");
        assert_eq!(held.until, Some(first + HOLD), "later ones add no time");
        tokio::time::advance(HOLD / 4).await;
    }
    held.enough = true;
    assert_eq!(ids(held.take()), [3, 1, 2]);
    assert!(held.until.is_none());
    // The next one begins a time of its own.
    held.put(answered(4, None));
    assert_eq!(held.until, Some(Instant::now() + HOLD));
    assert!(ids(held.take()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_may_close_a_gate_waits_for_nobody_and_overtakes_nobody() {
    let pausing = Pausing::default();
    let mut held = Held::default();
    held.put(answered(1, None));
    held.put(answered(2, Some(pausing.begin())));
    assert_eq!(ids(held.take()), [1, 2]);
    assert!(held.until.is_none());
    held.put(answered(3, None));
    assert!(ids(held.take()).is_empty(), "the haste is over");
}

#[test]
fn queries_leave_together_only_where_they_are_many() {
    for (rate, expected) in [
        (0.1, 1),
        (5.0, 1),
        (24.0, 1),
        (26.0, 2),
        (50.0, 4),
        (100.0, 4),
        (1e9, 4),
    ] {
        assert_eq!(together(rate), expected, "{rate} a second");
        assert!(expected <= AT_ONCE);
    }
}
