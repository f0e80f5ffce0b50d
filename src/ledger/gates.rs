//! Gates, kept: loading, storing, showing them, and opening them by hand.
//!
//! Must not: decide what closes or opens one; that is `domain::gate`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::Ledger;
use super::error::{Fail, LedgerError};
use super::notices;
use super::policies::Policies;
use super::rows::{FileRecord, bounded};
use super::work::Work;
use crate::domain::answer::Code;
use crate::domain::error_table::{Holds, Judgement, Lifts};
use crate::domain::gate::{Closed, Gate, GateKey, OnTheWay, Status, Streak, Way, Weighed, weigh};
use crate::domain::ids::{DatasetName, FileId, FolderName, Route};
use crate::domain::time::{Moment, Timestamp};

/// All gates that are not simply open.
pub type Gates = BTreeMap<GateKey, Gate>;

/// What the settings behind the three gates on a file's way are now. A gate
/// that waits for other settings remembers the ones it closed under.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprints {
    /// Of the base URL and what goes with it.
    pub service: String,
    /// Of the dataset's key.
    pub dataset: String,
    /// Of the route's endpoint and options.
    pub route: String,
}

impl Ledger {
    /// All gates that are not simply open, as last committed.
    pub fn gates(&self) -> Arc<Gates> {
        Arc::clone(&self.gates.borrow())
    }

    /// The same, to wait on: changes after each commit that changed a gate.
    #[cfg(test)]
    pub(super) fn gates_watch(&self) -> tokio::sync::watch::Receiver<Arc<Gates>> {
        self.gates.clone()
    }

    /// Tells gates what their settings are now, at start-up and after a
    /// reload. Those that waited for other ones open; returns them.
    pub async fn settings_are(
        &self,
        settings: Vec<(GateKey, String)>,
    ) -> Result<Vec<GateKey>, LedgerError> {
        self.write(settings.len(), move |work| {
            let mut gates = load_all(work.conn)?;
            let mut opened = Vec::new();
            for (key, fingerprint) in settings {
                if let Some(gate) = gates.get_mut(&key)
                    && gate.settings_are(&fingerprint)
                {
                    save(work, &key, gate)?;
                    opened.push(key);
                }
            }
            Ok(opened)
        })
        .await
    }
}

/// The three gates on a file's way, as they are now.
pub(super) fn way(
    gates: &Gates,
    dataset: &DatasetName,
    route: Option<Route>,
    prints: &Fingerprints,
) -> (Way, [GateKey; 2], Option<GateKey>) {
    let keys = [GateKey::Service, GateKey::Dataset(dataset.clone())];
    let route = route.map(GateKey::Route);
    let here = |key: Option<&GateKey>, fingerprint: &str| OnTheWay {
        gate: key
            .and_then(|key| gates.get(key).cloned())
            .unwrap_or_default(),
        fingerprint: fingerprint.to_owned(),
    };
    let way = Way {
        service: here(Some(&keys[0]), &prints.service),
        dataset: here(Some(&keys[1]), &prints.dataset),
        route: here(route.as_ref(), &prints.route),
    };
    (way, keys, route)
}

/// Lets an answer act on the gates on the file's way, and keeps them. Without
/// a route (queries say nothing about one) its gate stays as it is.
pub(super) fn weigh_answer(
    work: &mut Work<'_>,
    file: &FileRecord,
    route: Option<Route>,
    prints: &Fingerprints,
    judgement: Judgement,
    at: Moment,
    policies: &Policies,
) -> Result<Weighed, Fail> {
    let gates = &work.brakes()?.gates;
    let (mut way, [service, dataset], route) = way(gates, &file.dataset, route, prints);
    let before = way.clone();
    let weighed = weigh(&mut way, file.id, judgement, at);
    let changes = [
        (Some(service), before.service.gate, way.service.gate),
        (Some(dataset), before.dataset.gate, way.dataset.gate),
        (route, before.route.gate, way.route.gate),
    ];
    for (key, before, after) in changes {
        if let Some(key) = key
            && before != after
        {
            save(work, &key, &after)?;
            if let (None, Some(closed)) = (before.closed(), after.closed()) {
                notices::of_pause(work, &key, closed, policies)?;
            }
        }
    }
    Ok(weighed)
}

/// Gives back the gates that `file` was to probe and did not.
pub(super) fn give_back_probes(work: &mut Work<'_>, file: FileId) -> Result<(), Fail> {
    for (key, mut gate) in query(work.conn, "probe = ?1", &[&file.0])? {
        gate.probe_returned(file);
        save(work, &key, &gate)?;
    }
    Ok(())
}

/// Gives back every gate that is being probed: nothing is on its way at
/// start-up.
pub(super) fn give_back_all_probes(work: &mut Work<'_>) -> Result<(), Fail> {
    for (key, mut gate) in query(work.conn, "status = 'probing'", &[])? {
        if let Status::Probing { file, .. } = gate.status {
            gate.probe_returned(file);
            save(work, &key, &gate)?;
        }
    }
    Ok(())
}

/// All gates that have a row.
pub(super) fn load_all(conn: &Connection) -> Result<Gates, Fail> {
    Ok(query(conn, "1", &[])?.into_iter().collect())
}

/// Writes a gate; an open one that has counted nothing needs no row.
pub(super) fn save(work: &mut Work<'_>, key: &GateKey, gate: &Gate) -> Result<(), Fail> {
    work.kept.brakes_change();
    if *gate == Gate::default() {
        work.conn
            .prepare_cached("DELETE FROM gates WHERE key = ?1")?
            .execute([key.to_string()])?;
        return Ok(());
    }
    let (status, probe) = match &gate.status {
        Status::Open => ("open", None),
        Status::Closed(_) => ("closed", None),
        Status::Probing { file, .. } => ("probing", Some(file.0)),
    };
    let closed = gate.closed();
    let streak = gate.streak.as_ref();
    let files = streak
        .map(|streak| serde_json::to_string(&streak.files))
        .transpose()
        .map_err(|error| Fail::BadRow(error.to_string()))?;
    work.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO gates VALUES \
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            key.to_string(),
            status,
            probe,
            closed.map(|c| c.since.0),
            closed.map(|c| c.until.0),
            closed.map(|c| c.level),
            closed.map(|c| c.code.as_str()),
            closed.map(|c| bounded(&c.why)),
            closed.map(|c| lifts_text(c.lifts)),
            closed.map(|c| c.fingerprint.as_str()),
            closed.map(|c| millis(c.first)),
            closed.map(|c| millis(c.max)),
            closed.map(|c| holds_text(c.holds)),
            streak.map(|s| s.code.as_str()),
            files,
        ])?;
    Ok(())
}

fn query(
    conn: &Connection,
    condition: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<(GateKey, Gate)>, Fail> {
    let sql = format!(
        "SELECT key, status, probe, since, until, level, code, why, lifts, fingerprint, first_ms, \
         max_ms, holds, streak_code, streak_files FROM gates WHERE {condition}"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params, gate_of)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn gate_of(row: &Row<'_>) -> Result<(GateKey, Gate), rusqlite::Error> {
    let bad = |column: &str, text: &str| {
        let what = format!("gates.{column}: {text:?}");
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
    };
    let key: String = row.get(0)?;
    let key = key_of(&key).ok_or_else(|| bad("key", &key))?;
    let status: String = row.get(1)?;
    let closed = || -> Result<Closed, rusqlite::Error> {
        let lifts: String = row.get(8)?;
        Ok(Closed {
            since: Timestamp(row.get(3)?),
            until: Timestamp(row.get(4)?),
            level: row.get(5)?,
            code: Code::service(&row.get::<_, String>(6)?),
            why: row.get(7)?,
            lifts: lifts_of(&lifts).ok_or_else(|| bad("lifts", &lifts))?,
            fingerprint: row.get(9)?,
            first: Duration::from_millis(row.get::<_, i64>(10)?.unsigned_abs()),
            max: Duration::from_millis(row.get::<_, i64>(11)?.unsigned_abs()),
            holds: match row.get::<_, String>(12)?.as_str() {
                "calls" => Holds::Calls,
                "uploads" => Holds::Uploads,
                other => return Err(bad("holds", other)),
            },
        })
    };
    let status = match status.as_str() {
        "open" => Status::Open,
        "closed" => Status::Closed(closed()?),
        "probing" => Status::Probing {
            file: FileId(row.get(2)?),
            closed: closed()?,
        },
        other => return Err(bad("status", other)),
    };
    let streak = match row.get::<_, Option<String>>(13)? {
        None => None,
        Some(code) => {
            let files: String = row.get(14)?;
            Some(Streak {
                code: Code::service(&code),
                files: serde_json::from_str(&files).map_err(|_| bad("streak_files", &files))?,
            })
        }
    };
    Ok((key, Gate { status, streak }))
}

/// Names hold no `/`, so that what `Display` joins comes apart again.
fn key_of(text: &str) -> Option<GateKey> {
    if text == "service" {
        return Some(GateKey::Service);
    }
    if let Some(name) = text.strip_prefix("dataset:") {
        return Some(GateKey::Dataset(DatasetName(name.to_owned())));
    }
    let (folder, media) = text.strip_prefix("route:")?.rsplit_once('/')?;
    Some(GateKey::Route(Route {
        folder: FolderName(folder.to_owned()),
        media: media.parse().ok()?,
    }))
}

const fn holds_text(holds: Holds) -> &'static str {
    match holds {
        Holds::Calls => "calls",
        Holds::Uploads => "uploads",
    }
}

const fn lifts_text(lifts: Lifts) -> &'static str {
    match lifts {
        Lifts::Time => "time",
        Lifts::KeyChange => "key",
        Lifts::ConfigChange => "config",
    }
}

fn lifts_of(text: &str) -> Option<Lifts> {
    [Lifts::Time, Lifts::KeyChange, Lifts::ConfigChange]
        .into_iter()
        .find(|lifts| lifts_text(*lifts) == text)
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}
