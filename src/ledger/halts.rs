//! An operator's pauses, kept: set, shown and ended; and gates opened by hand.
//!
//! Must not: decide what a pause holds back; `domain::admit` does.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::Ledger;
use super::error::{Fail, LedgerError};
use super::gates;
use super::rows::bounded;
use super::work::Work;
use crate::domain::gate::{Gate, GateKey};
use crate::domain::halt::{Halt, HaltScope, Halts};
use crate::domain::time::Timestamp;

/// What a resume has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resumed {
    /// Gates that were closed and are open.
    pub gates: Vec<GateKey>,
    /// What an operator had paused.
    pub halts: Vec<HaltScope>,
}

impl Ledger {
    /// What operators have paused, as last committed.
    pub fn halts(&self) -> Arc<Halts> {
        Arc::clone(&self.halts.borrow())
    }

    /// Pauses a scope; a pause that is there is replaced, and returned. New
    /// uploads are held back from the commit on, whoever else has the ledger
    /// open.
    pub async fn halt(&self, scope: HaltScope, halt: Halt) -> Result<Option<Halt>, LedgerError> {
        self.write(1, move |work| {
            let before = load_all(work.conn)?.remove(&scope);
            work.kept.brakes_change();
            work.conn
                .prepare_cached("INSERT OR REPLACE INTO halts VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    scope.to_string(),
                    halt.since.0,
                    halt.until.map(|until| until.0),
                    bounded(&halt.who),
                    halt.why.as_deref().map(bounded),
                ])?;
            Ok(before.filter(|before| before.holds(halt.since)))
        })
        .await
    }

    /// Opens the closed gates that `open` names, and ends the pauses that `end`
    /// names. Of pauses whose time is over nothing is left, and nothing said.
    pub async fn resume(
        &self,
        open: impl Fn(&GateKey) -> bool + Send + 'static,
        end: impl Fn(&HaltScope) -> bool + Send + 'static,
        now: Timestamp,
    ) -> Result<Resumed, LedgerError> {
        self.write(1, move |work| {
            let mut resumed = Resumed::default();
            for (key, gate) in gates::load_all(work.conn)? {
                if gate.closed().is_some() && open(&key) {
                    gates::save(work, &key, &Gate::default())?;
                    resumed.gates.push(key);
                }
            }
            for (scope, halt) in load_all(work.conn)? {
                let over = !halt.holds(now);
                if over || end(&scope) {
                    remove(work, &scope)?;
                    if !over {
                        resumed.halts.push(scope);
                    }
                }
            }
            Ok(resumed)
        })
        .await
    }
}

fn remove(work: &mut Work<'_>, scope: &HaltScope) -> Result<(), Fail> {
    work.kept.brakes_change();
    work.conn
        .prepare_cached("DELETE FROM halts WHERE key = ?1")?
        .execute([scope.to_string()])?;
    Ok(())
}

/// All that are on record.
pub(super) fn load_all(conn: &Connection) -> Result<Halts, Fail> {
    let mut statement = conn.prepare_cached("SELECT key, since, until, who, why FROM halts")?;
    let mut rows = statement.query([])?;
    let mut halts = Halts::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        let scope = key
            .parse()
            .map_err(|_| Fail::BadRow(format!("halts.key: {key:?}")))?;
        let halt = Halt {
            since: Timestamp(row.get(1)?),
            until: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            who: row.get(3)?,
            why: row.get(4)?,
        };
        halts.insert(scope, halt);
    }
    Ok(halts)
}
