//! Gates: pauses that are shared by everything in their scope.
//!
//! A gate is open, closed until a time, or probing with one file. What an
//! answer does to the three gates on a file's way (service, dataset, route) is
//! decided here, [`weigh`], and so is who is to blame: when several different
//! files running get the same rejection on one route it is the configuration,
//! not the files, and they go back to the queue.
//!
//! Must not: know the ledger, the clock, or a file's state.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{Call, Code};
use super::error_table::{Holds, Judgement, Lifts, Pause, Scope, Verdict};
use super::ids::{DatasetName, FileId, Route};
use super::time::{Moment, Timestamp};

/// Which gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GateKey {
    /// Everything behind the base URL.
    Service,
    /// Everything sent with one Access-Key.
    Dataset(DatasetName),
    /// One folder's files of one media type.
    Route(Route),
}

impl GateKey {
    /// Its scope in the error table.
    pub const fn scope(&self) -> Scope {
        match self {
            GateKey::Service => Scope::Service,
            GateKey::Dataset(_) => Scope::Dataset,
            GateKey::Route(_) => Scope::Route,
        }
    }
}

/// The one spelling of a gate: `supametas-sync resume` takes it, and the log,
/// the JSON and the ledger have it.
impl fmt::Display for GateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GateKey::Service => f.write_str("service"),
            GateKey::Dataset(name) => write!(f, "dataset:{name}"),
            GateKey::Route(route) => write!(f, "route:{route}"),
        }
    }
}

/// A gate: whether it lets files through, and what it has seen lately.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// Whether it lets files through.
    pub status: Status,
    /// Answers that would close it, were there more of them.
    pub streak: Option<Streak>,
}

/// Whether a gate lets files through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Status {
    /// It does.
    #[default]
    Open,
    /// It does not, until a time; then one probe.
    Closed(Closed),
    /// One file is out to see.
    Probing {
        /// The file.
        file: FileId,
        /// What holds for all others meanwhile.
        closed: Closed,
    },
}

/// Why a gate is closed, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Since when.
    pub since: Timestamp,
    /// When a probe may go out.
    pub until: Timestamp,
    /// Times that it was closed in a row; the wait doubles with each.
    pub level: u32,
    /// What closed it.
    pub code: Code,
    /// The same in words.
    pub why: String,
    /// What opens it at once.
    pub lifts: Lifts,
    /// What the settings (or the key) were when it closed: other ones open it.
    pub fingerprint: String,
    /// The pause's own bounds, for the next time.
    pub first: Duration,
    /// See `first`.
    pub max: Duration,
    /// What waits.
    pub holds: Holds,
}

/// The same answer, several times running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// The answer, or the kind of answers that are counted together.
    pub code: Code,
    /// Whom it was given to; at most as many as close the gate.
    pub files: Vec<FileId>,
}

/// What a gate says to a file that wants through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go.
    Open,
    /// Go, alone, as the probe.
    Probe,
    /// Not now; from then on a probe.
    Closed {
        /// `None` while a probe is out.
        until: Option<Timestamp>,
    },
}

impl Gate {
    /// Whether a query has to wait here at all.
    pub fn holds_queries(&self) -> bool {
        self.closed()
            .is_none_or(|closed| closed.holds == Holds::Calls)
    }

    /// May a file pass?
    pub fn admits(&self, now: Timestamp) -> Admission {
        match &self.status {
            Status::Open => Admission::Open,
            Status::Closed(closed) if closed.until <= now => Admission::Probe,
            Status::Closed(closed) => Admission::Closed {
                until: Some(closed.until),
            },
            Status::Probing { .. } => Admission::Closed { until: None },
        }
    }

    /// Sends `file` through as the probe, if the gate is closed.
    pub fn probe(&mut self, file: FileId) {
        if let Status::Closed(closed) = &self.status {
            self.status = Status::Probing {
                file,
                closed: closed.clone(),
            };
        }
    }

    /// The probe came back without having been sent: the next may try at once.
    pub fn probe_returned(&mut self, file: FileId) {
        if self.is_probed_by(file) {
            self.reclose(|_| {});
        }
    }

    /// Whether `file` is this gate's probe.
    pub fn is_probed_by(&self, file: FileId) -> bool {
        matches!(&self.status, Status::Probing { file: probe, .. } if *probe == file)
    }

    /// Why it is closed, if it is.
    pub fn closed(&self) -> Option<&Closed> {
        match &self.status {
            Status::Open => None,
            Status::Closed(closed) | Status::Probing { closed, .. } => Some(closed),
        }
    }

    /// Opens if what it waits for has changed. True if it did.
    pub fn settings_are(&mut self, fingerprint: &str) -> bool {
        let lifted = self
            .closed()
            .is_some_and(|closed| closed.lifts != Lifts::Time && closed.fingerprint != fingerprint);
        if lifted {
            *self = Gate::default();
        }
        lifted
    }

    /// Whether the answers that it counts are ones that only uploads get.
    fn counts_uploads(&self) -> bool {
        let of_uploads = |streak: &Streak| [IN_DOUBT, UNTRACKED].contains(&streak.code.as_str());
        self.streak.as_ref().is_some_and(of_uploads)
    }

    fn reclose(&mut self, change: impl FnOnce(&mut Closed)) {
        if let Some(mut closed) = self.closed().cloned() {
            change(&mut closed);
            self.status = Status::Closed(closed);
        }
    }

    fn close(&mut self, pause: &Pause, judgement: &Judgement, fingerprint: &str, at: Moment) {
        let level = self.closed().map_or(0, |closed| closed.level) + 1;
        let since = self.closed().map_or(at.now, |closed| closed.since);
        let pause_for = judgement
            .retry_after
            .unwrap_or_else(|| wait(pause.first, pause.max, level));
        // A little late, never early: others that were told the same time
        // should not come back in the same instant.
        let spread = pause_for
            .min(Duration::from_secs(30))
            .mul_f64(0.1 * at.chance);
        self.status = Status::Closed(Closed {
            since,
            until: at.now.plus(pause_for).plus(spread),
            level,
            code: judgement.code.clone(),
            why: judgement.why.clone(),
            lifts: pause.lifts,
            fingerprint: fingerprint.to_owned(),
            first: pause.first,
            max: pause.max,
            holds: pause.holds,
        });
    }
}

fn wait(first: Duration, max: Duration, level: u32) -> Duration {
    first
        .saturating_mul(2u32.saturating_pow(level.saturating_sub(1).min(31)))
        .min(max)
}

/// A gate on a file's way, and the fingerprint of the settings behind it.
#[derive(Debug, Clone)]
pub struct OnTheWay {
    /// The gate.
    pub gate: Gate,
    /// What its settings were when the request was sent. Where they have been
    /// changed since, [`Gate::settings_are`] with the new ones, called after
    /// [`weigh`], opens again what the old ones closed.
    pub fingerprint: String,
}

/// The three gates on a file's way.
#[derive(Debug, Clone)]
pub struct Way {
    /// Everything behind the base URL.
    pub service: OnTheWay,
    /// Everything sent with the file's key.
    pub dataset: OnTheWay,
    /// The file's folder and media type.
    pub route: OnTheWay,
}

impl Way {
    fn all(&mut self) -> [(Scope, &mut OnTheWay); 3] {
        [
            (Scope::Service, &mut self.service),
            (Scope::Dataset, &mut self.dataset),
            (Scope::Route, &mut self.route),
        ]
    }
}

/// What [`weigh`] found, beside the changed gates.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// The judgement, with the blame where it belongs.
    pub judgement: Judgement,
    /// Files rejected before that go back to the queue: it was not their fault.
    pub returned: Vec<FileId>,
}

/// Lets an answer about `file` act on the gates on its way.
pub fn weigh(way: &mut Way, file: FileId, mut judgement: Judgement, at: Moment) -> Weighed {
    judgement.probe = way.all().iter().any(|(_, on)| on.gate.is_probed_by(file));
    let mut weighed = Weighed {
        judgement,
        returned: Vec::new(),
    };
    for (scope, here) in way.all() {
        let judgement = &weighed.judgement;
        match judgement.pause.filter(|pause| pause.scope == scope) {
            Some(pause) => {
                let blamed = close_or_count(here, file, &pause, judgement, at);
                if let Some(returned) = blamed
                    && weighed.judgement.verdict == Verdict::Reject
                {
                    weighed.judgement.verdict = Verdict::Hold;
                    weighed.returned = returned;
                }
            }
            None => pass(here, scope, file, judgement, at),
        }
    }
    weighed
}

/// The answer names this gate. `Some` if the gate is closed now, with the
/// other files of the streak: the answer is the scope's fault, not the file's.
fn close_or_count(
    here: &mut OnTheWay,
    file: FileId,
    pause: &Pause,
    judgement: &Judgement,
    at: Moment,
) -> Option<Vec<FileId>> {
    let gate = &mut here.gate;
    match &gate.status {
        // More has to wait than uploads.
        Status::Closed(closed) if closed.holds == Holds::Uploads && pause.holds == Holds::Calls => {
        }
        Status::Probing {
            file: probe,
            closed,
        } if *probe != file && closed.holds == Holds::Uploads && pause.holds == Holds::Calls => {}
        // Sent before it closed: the gate knows already, unless the service
        // now asks for a longer wait.
        Status::Closed(closed) => {
            let asked = judgement.retry_after.map(|wait| at.now.plus(wait));
            if asked.is_some_and(|until| until > closed.until) {
                gate.reclose(|closed| closed.until = asked.unwrap_or(closed.until));
            }
            return Some(Vec::new());
        }
        Status::Probing { file: probe, .. } if *probe != file => return Some(Vec::new()),
        Status::Probing { .. } => {
            gate.close(pause, judgement, &here.fingerprint, at);
            return Some(Vec::new());
        }
        Status::Open => {}
    }
    let code = counted_as(judgement);
    let mut streak = gate
        .streak
        .take()
        .filter(|streak| streak.code == code)
        .unwrap_or(Streak {
            code,
            files: Vec::new(),
        });
    if pause.scope != Scope::Route || !streak.files.contains(&file) {
        streak.files.push(file);
    }
    if u32::try_from(streak.files.len()).unwrap_or(u32::MAX) < pause.after {
        gate.streak = Some(streak);
        return None;
    }
    gate.close(pause, judgement, &here.fingerprint, at);
    streak.files.retain(|other| *other != file);
    Some(streak.files)
}

/// Answers after which the service may have the file.
const IN_DOUBT: &str = "IN-DOUBT";

/// Successes without a task.
const UNTRACKED: &str = "UNTRACKED";

/// What an answer is counted as. Whether an answer was lost on the way or a
/// gateway did not wait for it, the file is in doubt: these are one row, and so
/// are all successes without a task.
fn counted_as(judgement: &Judgement) -> Code {
    match judgement.verdict {
        Verdict::Unconfirmed => Code::own(IN_DOUBT),
        Verdict::Done(None) => Code::own(UNTRACKED),
        _ => judgement.code.clone(),
    }
}

/// The answer does not name this gate.
fn pass(here: &mut OnTheWay, scope: Scope, file: FileId, judgement: &Judgement, at: Moment) {
    let gate = &mut here.gate;
    // Only an upload proves a route's options: the queries about files that it
    // sent before must not hide that it is rejecting everything now.
    let clears = match scope {
        Scope::Route => matches!(judgement.verdict, Verdict::Done(_)),
        // An answer to a query says nothing about lost answers to uploads.
        Scope::Dataset | Scope::Service => {
            judgement.heard && (judgement.call == Call::Upload || !gate.counts_uploads())
        }
    };
    if clears {
        gate.streak = None;
    }
    if !gate.is_probed_by(file) {
        return;
    }
    let query = judgement.call == Call::Query;
    if query && scope == Scope::Route {
        gate.reclose(|_| {});
        return;
    }
    // The probe was stopped further out, or never got an answer: nothing is
    // known about this gate.
    let stopped_further_out = judgement.pause.is_some_and(|pause| pause.scope > scope);
    if stopped_further_out {
        gate.reclose(|_| {});
    } else if judgement.heard {
        gate.status = Status::Open;
    } else {
        gate.reclose(|closed| {
            closed.until = at.now.plus(wait(closed.first, closed.max, closed.level))
        });
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
