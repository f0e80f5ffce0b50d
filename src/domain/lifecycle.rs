//! The one state machine: what follows for a file from what happened to it.
//!
//! [`step`] is pure and total: one exhaustive match over states and events.
//! The ledger calls it inside the transaction that writes the outcome; workers
//! perform what it says. No other code names a next state.
//!
//! Must not: do I/O, read a clock, or judge an answer (that is `error_table`).

mod event;

use std::time::Duration;

use super::answer::TaskState;
use super::error_table::{Judgement, Limit, Then, Verdict};
use super::ids::{AttemptId, TaskId};
use super::refusal::Refusal;
use super::state::{Polls, State, Tries};
use super::time::{Moment, Timestamp};

pub use event::{Event, OriginalEnd, SourceAction};

pub use super::policy::{AfterSuccess, OnReject, OnUnconfirmed, Policy, PollPace};

/// What follows.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing: the event says nothing new about a file in this state.
    Stay,
    /// The next state.
    Go(Go),
    /// The event can't happen in this state; where an operator asked for it,
    /// this is the answer, else it is a fault of the program.
    Refused(&'static str),
}

/// A next state, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Go {
    /// The next state.
    pub next: State,
    /// What becomes of the source.
    pub source: Option<SourceAction>,
    /// An earlier body may have been taken, and the file goes out again.
    pub possible_duplicate: bool,
}

fn go(next: State) -> Step {
    Step::Go(Go {
        next,
        source: None,
        possible_duplicate: false,
    })
}

fn go_rejected(next: State, policy: &Policy) -> Step {
    let source = match policy.on_reject {
        OnReject::Keep => None,
        OnReject::Move => Some(SourceAction::MoveRejected),
    };
    Step::Go(Go {
        next,
        source,
        possible_duplicate: false,
    })
}

fn go_imported(next: State, policy: &Policy) -> Step {
    let source = match policy.after {
        AfterSuccess::Keep => None,
        AfterSuccess::Move => Some(SourceAction::MoveDone),
        AfterSuccess::Delete => Some(SourceAction::Delete),
    };
    Step::Go(Go {
        next,
        source,
        possible_duplicate: false,
    })
}

/// What follows for a file in `state` from `event`.
pub fn step(state: &State, event: &Event, at: Moment, policy: &Policy) -> Step {
    match state {
        State::Queued { tries, .. } => queued(*tries, event, at, policy),
        State::Uploading {
            attempt,
            last_byte_sent,
            tries,
        } => uploading(*attempt, *last_byte_sent, *tries, event, at, policy),
        State::Submitted {
            task, polls, tries, ..
        } => submitted(task, *polls, *tries, event, at, policy),
        State::Duplicate { .. } => duplicate(state, event, at, policy),
        State::Rejected { .. } => match event {
            Event::Returned => requeue(at.now, Tries::new(at.now)),
            _ => ended(event, at, "it was rejected"),
        },
        State::Unsupported { .. } => ended(event, at, "it is not something the service takes"),
        State::Failed { .. } => ended(event, at, "its task failed"),
        State::Cancelled { .. } => match event {
            // Asked about meanwhile: that answer was recorded first.
            Event::Deleted => Step::Stay,
            _ => ended(event, at, "its task was deleted"),
        },
        State::Exhausted { .. } => ended(event, at, "it was tried as often as allowed"),
        State::Unconfirmed { .. } => match event {
            Event::Retry => resend(at.now, Tries::new(at.now)),
            Event::Arrived { task } => arrived(task.as_ref(), at.now),
            _ => ended(event, at, "it may have been taken"),
        },
        State::Lost { .. } => match event {
            Event::Retry => resend(at.now, Tries::new(at.now)),
            Event::Arrived { task } => arrived(task.as_ref(), at.now),
            _ => ended(event, at, "the service does not know its task"),
        },
        State::Succeeded { .. } => closed(
            event,
            "it has succeeded: to import it again, drop a copy under another name with `duplicates = \"upload\"`",
        ),
        State::Untracked => match event {
            Event::Retry => resend(at.now, Tries::new(at.now)),
            Event::Arrived { task: None } => Step::Stay,
            Event::Arrived { task } => arrived(task.as_ref(), at.now),
            _ => closed(event, "the service has taken it, though it named no task"),
        },
        State::Superseded { .. } => closed(event, "a newer version took its place: retry that one"),
        State::Gone => closed(event, "it is not there any more: drop it again"),
    }
}

fn requeue(not_before: Timestamp, tries: Tries) -> Step {
    go(State::Queued { not_before, tries })
}

/// The service has it, an operator says: its task is asked about at once, if it
/// is known.
fn arrived(task: Option<&TaskId>, now: Timestamp) -> Step {
    match task {
        Some(task) => go(State::Submitted {
            task: task.clone(),
            next_poll: now,
            polls: Polls::default(),
            tries: Tries::new(now),
        }),
        None => go(State::Untracked),
    }
}

/// Back to the queue after an answer, which may leave open whether the file was
/// taken.
fn again(judgement: &Judgement, not_before: Timestamp, tries: Tries) -> Step {
    match judgement.may_be_taken {
        true => resend(not_before, tries),
        false => requeue(not_before, tries),
    }
}

/// Back to the queue though an earlier body may have been taken.
fn resend(not_before: Timestamp, tries: Tries) -> Step {
    Step::Go(Go {
        next: State::Queued { not_before, tries },
        source: None,
        possible_duplicate: true,
    })
}

fn queued(tries: Tries, event: &Event, at: Moment, policy: &Policy) -> Step {
    match event {
        Event::Begun { attempt, one_chunk } => go(State::Uploading {
            attempt: *attempt,
            last_byte_sent: *one_chunk,
            tries,
        }),
        Event::Changed { newer: Some(by) } | Event::Replaced { by } => {
            go(State::Superseded { by: *by })
        }
        // Not the version that was settled: left alone until the new one is.
        Event::Changed { newer: None } => requeue(at.now.plus(policy.quiet), tries),
        Event::Vanished => go(State::Gone),
        Event::Unsupported(Refusal { kind, why }) => go_rejected(
            State::Unsupported {
                kind: *kind,
                reason: why.clone(),
            },
            policy,
        ),
        Event::SameAs { of, imported: true } => go_imported(State::Duplicate { of: *of }, policy),
        Event::SameAs {
            of,
            imported: false,
        } => go(State::Duplicate { of: *of }),
        Event::Retry => requeue(at.now, Tries::new(at.now)),
        Event::Released => requeue(at.now, tries),
        Event::Recovered => Step::Stay,
        Event::Deleted => Step::Refused(
            "it is queued and has no task yet: `pause` its folder, or take the file out of the folder",
        ),
        Event::Arrived { .. } => Step::Refused(
            "it is queued, and no attempt of it is in doubt: take the file out of the folder if it is not to be sent",
        ),
        Event::LastByte | Event::Judged(_) | Event::OriginalEnded { .. } | Event::Returned => {
            Step::Refused("it is queued: no attempt is under way")
        }
    }
}

fn uploading(
    attempt: AttemptId,
    last_byte_sent: bool,
    tries: Tries,
    event: &Event,
    at: Moment,
    policy: &Policy,
) -> Step {
    match event {
        Event::Begun { attempt, one_chunk } => go(State::Uploading {
            attempt: *attempt,
            last_byte_sent: *one_chunk,
            tries,
        }),
        Event::LastByte => go(State::Uploading {
            attempt,
            last_byte_sent: true,
            tries,
        }),
        Event::Judged(judgement) => answered(attempt, tries, judgement, at, policy),
        Event::Recovered if last_byte_sent => recovered(attempt, tries, at, policy),
        // In-process knowledge beats the record: the worker that releases,
        // or sees the file change, knows that the last chunk was never handed
        // over, even where the intent had been recorded together with the
        // beginning.
        Event::Recovered | Event::Released => requeue(at.now, tries),
        Event::Changed { newer: Some(by) } => go(State::Superseded { by: *by }),
        Event::Changed { newer: None } => requeue(at.now.plus(policy.quiet), tries),
        Event::Vanished => go(State::Gone),
        // The worker looks at the file again before its last byte, and the
        // answer decides after it.
        Event::Replaced { .. } => Step::Stay,
        Event::Retry | Event::Arrived { .. } => Step::Refused("it is being uploaded right now"),
        Event::Deleted => {
            Step::Refused("it is being uploaded right now: cancel it once it has a task")
        }
        Event::Unsupported(_)
        | Event::SameAs { .. }
        | Event::OriginalEnded { .. }
        | Event::Returned => Step::Refused("an attempt is under way"),
    }
}

fn answered(
    attempt: AttemptId,
    tries: Tries,
    judgement: &Judgement,
    at: Moment,
    policy: &Policy,
) -> Step {
    let code = || judgement.code.clone();
    match &judgement.verdict {
        Verdict::Done(Some(task)) => go(State::Submitted {
            task: task.clone(),
            next_poll: at.now.plus(policy.poll.wait(0, at.chance)),
            polls: Polls::default(),
            tries: Tries {
                strikes: 0,
                failures: 0,
                resends: 0,
                ..tries
            },
        }),
        Verdict::Done(None) => go(State::Untracked),
        Verdict::Reject => go_rejected(State::Rejected { code: code() }, policy),
        // The closed gate holds it: it is due as soon as the gate opens. Where
        // an override lets such answers pass some times before the gate closes,
        // or never closes one, the file itself must wait, or it would go out
        // again and again without a pause.
        Verdict::Hold if judgement.pause.is_some_and(|pause| pause.after <= 1) => {
            requeue(at.now, tries)
        }
        Verdict::Hold => {
            let wait = retry_wait(judgement, HELD_PACE, at, policy);
            requeue(at.now.plus(wait), tries)
        }
        Verdict::Retry(limit) => retried(*limit, tries, judgement, at, policy),
        Verdict::Unconfirmed => unconfirmed(attempt, tries, judgement, at, policy),
        Verdict::Follow(..) => Step::Refused("a redirect is followed before it is recorded"),
        Verdict::Task(_) | Verdict::Unchanged => {
            Step::Refused("an upload can't have the answer of a query")
        }
    }
}

/// The answer of a file that may be tried again. A probe went while all others
/// had to wait: what comes of it is counted against its gate, not its file.
fn retried(
    limit: Option<Limit>,
    tries: Tries,
    judgement: &Judgement,
    at: Moment,
    policy: &Policy,
) -> Step {
    let mut counted = tries;
    if !judgement.probe {
        counted = failed(tries, at.now);
        counted.strikes = tries.strikes.saturating_add(u32::from(limit.is_some()));
        let code = || judgement.code.clone();
        match limit {
            Some(Limit { times, then }) if counted.strikes > times => {
                return match then {
                    Then::Rejected => go_rejected(State::Rejected { code: code() }, policy),
                    Then::Exhausted | Then::Lost => go(State::Exhausted { code: code() }),
                };
            }
            None if at.now.since(counted.since) > policy.give_up_after => {
                return go(State::Exhausted { code: code() });
            }
            _ => {}
        }
    }
    let slow = limit.is_some_and(|limit| limit.then == Then::Exhausted);
    let wait = match judgement.retry_after {
        None if slow => slow_wait(counted.strikes.max(1), at, policy),
        _ => retry_wait(judgement, counted.failures.max(1), at, policy),
    };
    again(judgement, at.now.plus(wait), counted)
}

/// A held file that waits by itself does so as if after so many failures
/// (half a minute at most, by default), and is not blamed with one.
const HELD_PACE: u32 = 6;

/// One more failure in a row. Its age as a failing file is counted from the
/// first of them: a file that only waited for its turn, behind a closed gate or
/// while the daemon was stopped for a week, is not given up at its first try.
fn failed(tries: Tries, now: Timestamp) -> Tries {
    Tries {
        since: if tries.failures == 0 {
            now
        } else {
            tries.since
        },
        failures: tries.failures.saturating_add(1),
        ..tries
    }
}

fn retry_wait(judgement: &Judgement, failures: u32, at: Moment, policy: &Policy) -> Duration {
    match judgement.retry_after {
        Some(asked) => asked.saturating_add(policy.backoff.wait(1, at.chance)),
        None => policy.backoff.wait(failures, at.chance),
    }
}

/// The wait of a file whose tries are counted until it is given up: its few
/// tries must outlast an outage, so they are eight times further apart each
/// time, up to the backoff's cap, and chance takes a fifth of it at most. With
/// the default backoff, eight of them are spread over more than an hour.
fn slow_wait(strikes: u32, at: Moment, policy: &Policy) -> Duration {
    policy
        .backoff
        .wait(strikes.saturating_mul(3), 0.8 + 0.2 * at.chance)
}

/// The answer was lost, or leaves open whether the file was taken. It is sent
/// again only after a wait: what loses one answer loses the next ones, too, and
/// each may be paid for.
fn unconfirmed(
    attempt: AttemptId,
    tries: Tries,
    judgement: &Judgement,
    at: Moment,
    policy: &Policy,
) -> Step {
    let (times, first) = match policy.unconfirmed {
        OnUnconfirmed::Resend { times, first } => (times, first),
        OnUnconfirmed::Hold => return go(State::Unconfirmed { attempt }),
    };
    let doubled = 2u32.saturating_pow(tries.resends.min(16));
    let wait = first.saturating_mul(doubled).mul_f64(1.0 + 0.2 * at.chance);
    let not_before = at.now.plus(wait);
    if judgement.probe {
        return resend(not_before, tries);
    }
    if tries.resends >= times {
        return go(State::Unconfirmed { attempt });
    }
    let resends = tries.resends + 1;
    let tries = failed(tries, at.now);
    resend(not_before, Tries { resends, ..tries })
}

/// A crash came between the last byte and the answer. Nothing is known against
/// the service, so the file goes again as after any failure.
fn recovered(attempt: AttemptId, tries: Tries, at: Moment, policy: &Policy) -> Step {
    match policy.unconfirmed {
        OnUnconfirmed::Resend { times, .. } if tries.resends < times => {
            let resends = tries.resends + 1;
            let tries = failed(tries, at.now);
            let not_before = at.now.plus(policy.backoff.wait(tries.failures, at.chance));
            resend(not_before, Tries { resends, ..tries })
        }
        OnUnconfirmed::Resend { .. } | OnUnconfirmed::Hold => go(State::Unconfirmed { attempt }),
    }
}

fn submitted(
    task: &TaskId,
    polls: Polls,
    tries: Tries,
    event: &Event,
    at: Moment,
    policy: &Policy,
) -> Step {
    let again = |wait: Duration, polls: Polls| {
        go(State::Submitted {
            task: task.clone(),
            next_poll: at.now.plus(wait),
            polls,
            tries,
        })
    };
    let judgement = match event {
        Event::Judged(judgement) => judgement,
        Event::Retry => return Step::Refused("its task is still being processed"),
        Event::Arrived { .. } => return Step::Refused("its task is followed already"),
        Event::Deleted => return go(State::Cancelled { task: task.clone() }),
        Event::Recovered | Event::Replaced { .. } | Event::Vanished => return Step::Stay,
        Event::Begun { .. }
        | Event::LastByte
        | Event::Released
        | Event::Changed { .. }
        | Event::Unsupported(_)
        | Event::SameAs { .. }
        | Event::OriginalEnded { .. }
        | Event::Returned => return Step::Refused("the service has taken it already"),
    };
    match &judgement.verdict {
        Verdict::Task(TaskState::Success) => {
            go_imported(State::Succeeded { task: task.clone() }, policy)
        }
        Verdict::Task(TaskState::Fail) => {
            if tries.resubmits < policy.resubmit_failed {
                let resubmits = tries.resubmits + 1;
                let wait = policy.backoff.wait(resubmits, at.chance);
                let tries = Tries { resubmits, ..tries };
                return requeue(at.now.plus(wait), tries);
            }
            let reason = "the service's task ended as FAIL; it gives no reason".to_owned();
            go_rejected(
                State::Failed {
                    task: task.clone(),
                    reason,
                },
                policy,
            )
        }
        Verdict::Task(TaskState::Cancel) => go(State::Cancelled { task: task.clone() }),
        Verdict::Task(TaskState::Pending | TaskState::Unknown(_)) | Verdict::Unchanged => {
            let pending = polls.pending.saturating_add(1);
            again(
                policy.poll.wait(pending, at.chance),
                Polls {
                    pending,
                    failures: 0,
                    missing: 0,
                },
            )
        }
        // A query that is refused outright says as little about the task as
        // one about a task that is not there.
        verdict @ (Verdict::Retry(Some(Limit {
            then: Then::Lost, ..
        }))
        | Verdict::Reject) => {
            let times = match verdict {
                Verdict::Retry(Some(limit)) => limit.times,
                _ => 3,
            };
            let missing = polls.missing.saturating_add(1);
            if missing > times {
                return go(State::Lost { task: task.clone() });
            }
            again(
                policy.poll.wait(missing.saturating_add(2), at.chance),
                Polls { missing, ..polls },
            )
        }
        Verdict::Retry(_) | Verdict::Hold | Verdict::Unconfirmed => {
            let failures = polls.failures.saturating_add(1);
            let wait = retry_wait(judgement, failures, at, policy).max(policy.poll.first);
            again(wait, Polls { failures, ..polls })
        }
        Verdict::Done(_) => Step::Refused("a query can't have the answer of an upload"),
        Verdict::Follow(..) => Step::Refused("a redirect is followed before it is recorded"),
    }
}

fn duplicate(state: &State, event: &Event, at: Moment, policy: &Policy) -> Step {
    match event {
        Event::OriginalEnded { how } => match how {
            OriginalEnd::Imported => go_imported(state.clone(), policy),
            OriginalEnd::SettledOtherwise => Step::Stay,
            OriginalEnd::NotImported => requeue(at.now, Tries::new(at.now)),
        },
        _ => ended(event, at, "its content is another file's"),
    }
}

/// A state that nothing but an operator moves on from.
fn ended(event: &Event, at: Moment, why: &'static str) -> Step {
    match event {
        Event::Retry => requeue(at.now, Tries::new(at.now)),
        _ => closed(event, why),
    }
}

/// A state that nothing moves on from.
fn closed(event: &Event, why: &'static str) -> Step {
    match event {
        // About the path or the daemon, not about this version's way. A file
        // may well vanish while the one that saw it go had it as queued.
        Event::Recovered
        | Event::Replaced { .. }
        | Event::Vanished
        | Event::OriginalEnded { .. } => Step::Stay,
        // A rejected file may have been retried, or moved on, meanwhile.
        Event::Returned => Step::Stay,
        _ => Step::Refused(why),
    }
}

/// How a state that a file ended in looks to its duplicates; `None` while it
/// is not settled whether the service has the content.
pub fn original_end(state: &State) -> Option<OriginalEnd> {
    match state {
        State::Queued { .. } | State::Uploading { .. } | State::Submitted { .. } => None,
        // The service may have it, and an operator decides: a copy waits with
        // its original, it must not be sent behind their back.
        State::Unconfirmed { .. } | State::Lost { .. } => None,
        State::Succeeded { .. } => Some(OriginalEnd::Imported),
        State::Failed { .. } | State::Cancelled { .. } | State::Untracked => {
            Some(OriginalEnd::SettledOtherwise)
        }
        State::Rejected { .. }
        | State::Exhausted { .. }
        | State::Unsupported { .. }
        | State::Duplicate { .. }
        | State::Superseded { .. }
        | State::Gone => Some(OriginalEnd::NotImported),
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
