//! May this go now? The one place where that is answered: the gates on the way
//! and the operator's pauses, taken together. The uploader asks before it picks
//! a file and before it enters the wire, and the ledger once more in the
//! transaction that records the beginning.
//!
//! Must not: change a gate or a pause (the ledger does).

use std::collections::{BTreeMap, HashSet};

use super::gate::{Admission, Gate, GateKey};
use super::halt::{Halts, halted};
use super::ids::{DatasetName, Route};
use super::time::Timestamp;

/// All gates that are not plainly open, as the ledger published them.
pub type Gates = BTreeMap<GateKey, Gate>;

/// What the gates on a way say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admit {
    /// Go.
    Go,
    /// One may go, as the probe of these gates.
    Probe(Vec<GateKey>),
    /// None may go before then; `None`: until a probe comes back.
    Wait(Option<Timestamp>),
    /// An operator has paused it, until then; `None`: until it is resumed.
    Halted(Option<Timestamp>),
}

/// The gates that a file of `route` has to pass, widest first.
pub fn way(route: &Route, dataset: &DatasetName) -> [GateKey; 3] {
    [
        GateKey::Service,
        GateKey::Dataset(dataset.clone()),
        GateKey::Route(route.clone()),
    ]
}

/// The gates that a query has to pass: the route has no say in it.
pub fn query_way(dataset: &DatasetName) -> [GateKey; 2] {
    [GateKey::Service, GateKey::Dataset(dataset.clone())]
}

/// May an upload go? `probed`: see [`admit`]. An operator's pause comes first:
/// it lets no probe through.
pub fn admit_upload(
    way: &[GateKey; 3],
    gates: &Gates,
    halts: &Halts,
    probed: &HashSet<GateKey>,
    now: Timestamp,
) -> Admit {
    match halted(way, halts, now) {
        Some(until) => Admit::Halted(until),
        None => admit(way, gates, probed, now),
    }
}

/// May a query go? An operator's pause does not stop the following of tasks, and
/// neither does a gate that holds back uploads alone.
pub fn admit_query(dataset: &DatasetName, gates: &Gates, now: Timestamp) -> Admit {
    let way: Vec<GateKey> = query_way(dataset)
        .into_iter()
        .filter(|key| gates.get(key).is_none_or(Gate::holds_queries))
        .collect();
    admit(&way, gates, &HashSet::new(), now)
}

/// The gates on `way` that are closed, in its order: what [`admit`] goes by, for
/// people. One whose time has come lets a probe through, and is told all the same.
pub fn holding_gates<'g>(way: &'g [GateKey], gates: &'g Gates) -> Vec<(&'g GateKey, &'g Gate)> {
    let here = way.iter().filter_map(|key| Some((key, gates.get(key)?)));
    here.filter(|(_, gate)| gate.closed().is_some()).collect()
}

/// Asks the gates on `way`. `probed`: gates whose probe has been picked, but
/// may not have reached the ledger yet.
pub fn admit(way: &[GateKey], gates: &Gates, probed: &HashSet<GateKey>, now: Timestamp) -> Admit {
    let mut probe = Vec::new();
    let mut wait: Option<Option<Timestamp>> = None;
    for key in way {
        match gates
            .get(key)
            .map_or(Admission::Open, |gate| gate.admits(now))
        {
            Admission::Open => {}
            Admission::Probe if probed.contains(key) => wait = wait.or(Some(None)),
            Admission::Probe => probe.push(key.clone()),
            // The latest of the times that are known.
            Admission::Closed { until } => wait = Some(wait.flatten().max(until)),
        }
    }
    match wait {
        Some(until) => Admit::Wait(until),
        None if probe.is_empty() => Admit::Go,
        None => Admit::Probe(probe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Code;
    use crate::domain::error_table::{Holds, Lifts};
    use crate::domain::gate::{Closed, Status};
    use crate::domain::ids::{FileId, FolderName};
    use crate::domain::media::Media;
    use std::time::Duration;

    fn closed(until: i64) -> Gate {
        Gate {
            status: Status::Closed(Closed {
                since: Timestamp(0),
                until: Timestamp(until),
                level: 1,
                code: Code::http(503),
                why: String::new(),
                lifts: Lifts::Time,
                fingerprint: String::new(),
                first: Duration::from_secs(1),
                max: Duration::from_secs(2),
                holds: Holds::Calls,
            }),
            streak: None,
        }
    }

    #[test]
    fn the_gates_on_the_way_decide_together() {
        let route = Route {
            folder: FolderName("f".into()),
            media: Media::Text,
        };
        let keys = way(&route, &DatasetName("d".into()));
        let now = Timestamp(100);
        let none = HashSet::new();
        let ask = |gates: &Gates, probed| admit(&keys, gates, probed, now);

        assert_eq!(ask(&Gates::new(), &none), Admit::Go);
        let out = HashSet::from([GateKey::Service]);
        let due = Gates::from([(keys[0].clone(), closed(100))]);
        assert_eq!(ask(&due, &none), Admit::Probe(vec![GateKey::Service]));
        assert_eq!(ask(&due, &out), Admit::Wait(None));
        let both = Gates::from([
            (keys[0].clone(), closed(90)),
            (keys[2].clone(), closed(300)),
        ]);
        assert_eq!(ask(&both, &none), Admit::Wait(Some(Timestamp(300))));
        let mut probing = closed(90);
        probing.probe(FileId(1));
        let out = Gates::from([(keys[1].clone(), probing)]);
        assert_eq!(ask(&out, &none), Admit::Wait(None));
    }
}
