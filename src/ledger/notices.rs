//! Notices: what hooks are still to be told. They are written in the
//! transaction of the change that they tell of, and go when they were
//! delivered or given up, so that neither a crash nor a slow hook loses one.
//!
//! Must not: call a hook, or say how often it is tried.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::futures::Notified;

use super::error::{Fail, LedgerError};
use super::growth;
use super::policies::Policies;
use super::rows::{self, FileRecord, bounded};
use super::work::Work;
use super::{Lane, Ledger};
use crate::domain::gate::{Closed, GateKey};
use crate::domain::ids::{FileId, FolderName};
use crate::domain::notice::{HookName, Listener, Occasion};
use crate::domain::state::StateKind;
use crate::domain::time::{Moment, Timestamp};

/// Something that a hook is to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// What has happened.
    pub occasion: Occasion,
    /// When.
    pub at: Timestamp,
    /// Not to be told earlier.
    pub due: Timestamp,
    /// Tries that failed.
    pub tries: u32,
    /// To whom, or what, it has happened.
    pub about: About,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// A file, as it is now.
    File {
        /// It.
        file: Box<FileRecord>,
        /// How often an upload of it was begun.
        attempts: u64,
        /// Which change of its history is told of.
        change: i64,
    },
    /// A gate, as it was when it closed.
    Gate {
        /// As `resume` wants it named.
        gate: String,
        /// The answer that closed it.
        code: String,
        /// The same in words; may hold whatever characters the service sent.
        why: String,
        /// When it was to be probed.
        until: Timestamp,
    },
}

impl Notice {
    /// The same for every try and every hook, and for no other event: what a
    /// receiver knows a repetition by.
    pub fn event_id(&self) -> String {
        match &self.about {
            About::File { file, change, .. } => format!("{}-{change}-{}", file.id, self.at.0),
            About::Gate { gate, .. } => format!("{gate}-{}", self.at.0),
        }
    }
}

pub(super) const NEXT: &str = "SELECT n.id, n.occasion, n.at, n.due, n.tries, n.file, n.change, \
    n.gate, n.code, n.why, n.until FROM notices AS n INDEXED BY notices_due \
    WHERE n.folder = (SELECT id FROM folders WHERE name = ?1) AND n.hook = ?2 \
    ORDER BY n.due, n.id LIMIT ?3";

impl Ledger {
    /// Waits until a commit has left a notice. A hint: one may be missed.
    pub fn noticed(&self) -> Notified<'_> {
        self.noticed.notified()
    }

    /// The next notices of a hook, those that are due first in front; also
    /// such as are not due yet.
    pub async fn next_notices(
        &self,
        folder: FolderName,
        hook: HookName,
        limit: usize,
    ) -> Result<Vec<Notice>, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let tx = conn.unchecked_transaction()?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let found: Vec<Found> = tx
                .prepare_cached(NEXT)?
                .query_map(params![folder.0, hook.0, limit], Found::of)?
                .collect::<Result<_, _>>()?;
            found.into_iter().map(|found| found.notice(&tx)).collect()
        })
        .await
    }

    /// Whether any notice is due at `now`.
    pub async fn notices_due(&self, now: Timestamp) -> Result<bool, LedgerError> {
        self.read(Lane::Hot, move |conn| {
            let found: Option<i64> = conn
                .prepare_cached("SELECT 1 FROM notices WHERE due <= ?1 LIMIT 1")?
                .query_row([now.0], |row| row.get(0))
                .optional()?;
            Ok(found.is_some())
        })
        .await
    }

    /// How many notices wait.
    pub async fn notices_waiting(&self) -> Result<u64, LedgerError> {
        self.read(Lane::Cold, |conn| {
            let count: i64 = conn
                .prepare_cached("SELECT count(*) FROM notices")?
                .query_row([], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    /// A notice was delivered, or given up.
    pub async fn notice_settled(&self, id: i64) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            work.conn
                .prepare_cached("DELETE FROM notices WHERE id = ?1")?
                .execute([id])?;
            Ok(())
        })
        .await
    }

    /// A try failed; the next one is not before `due`.
    pub async fn notice_put_off(&self, id: i64, due: Timestamp) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            work.conn
                .prepare_cached("UPDATE notices SET tries = tries + 1, due = ?2 WHERE id = ?1")?
                .execute(params![id, due.0])?;
            Ok(())
        })
        .await
    }

    /// Forgets the notices for all hooks but these; says how many.
    pub async fn keep_notices_of(
        &self,
        hooks: Vec<(FolderName, HookName)>,
    ) -> Result<u64, LedgerError> {
        self.write(1, move |work| {
            let known: Vec<(i64, FolderName, HookName)> = work
                .conn
                .prepare_cached(
                    "SELECT DISTINCT n.folder, fo.name, n.hook FROM notices AS n \
                     CROSS JOIN folders AS fo ON fo.id = n.folder",
                )?
                .query_map([], |row| {
                    let (folder, hook) = (FolderName(row.get(1)?), HookName(row.get(2)?));
                    Ok((row.get(0)?, folder, hook))
                })?
                .collect::<Result<_, _>>()?;
            let mut forgotten = 0;
            for (number, folder, hook) in known {
                let pair = (folder, hook);
                if !hooks.contains(&pair) {
                    forgotten += work
                        .conn
                        .prepare_cached("DELETE FROM notices WHERE folder = ?1 AND hook = ?2")?
                        .execute(params![number, pair.1.0])?;
                }
            }
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        })
        .await
    }
}

/// A row, before its file is looked up.
struct Found {
    id: i64,
    occasion: String,
    at: Timestamp,
    due: Timestamp,
    tries: u32,
    file: Option<(i64, i64)>,
    gate: Option<(String, String, String, Timestamp)>,
}

impl Found {
    fn of(row: &Row<'_>) -> Result<Found, rusqlite::Error> {
        let (file, gate): (Option<i64>, Option<String>) = (row.get(5)?, row.get(7)?);
        Ok(Found {
            id: row.get(0)?,
            occasion: row.get(1)?,
            at: Timestamp(row.get(2)?),
            due: Timestamp(row.get(3)?),
            tries: row.get(4)?,
            file: match file {
                Some(file) => Some((file, row.get(6)?)),
                None => None,
            },
            gate: match gate {
                Some(gate) => Some((gate, row.get(8)?, row.get(9)?, Timestamp(row.get(10)?))),
                None => None,
            },
        })
    }

    fn notice(self, conn: &Connection) -> Result<Notice, Fail> {
        let bad = |what: &str| Fail::BadRow(format!("notices {}: {what}", self.id));
        let about = match (self.file, self.gate) {
            (Some((file, change)), None) => About::File {
                file: Box::new(rows::load(conn, FileId(file))?),
                attempts: growth::attempt_count(conn, FileId(file))?,
                change,
            },
            (None, Some((gate, code, why, until))) => About::Gate {
                gate,
                code,
                why,
                until,
            },
            _ => return Err(bad("neither of a file nor of a gate")),
        };
        Ok(Notice {
            id: self.id,
            occasion: Occasion::of(&self.occasion).ok_or_else(|| bad("occasion"))?,
            at: self.at,
            due: self.due,
            tries: self.tries,
            about,
        })
    }
}

/// Leaves a notice for each hook that is told of this end of a file. To be
/// called when the change has its number in the history.
pub(super) fn of_end(
    work: &mut Work<'_>,
    file: &FileRecord,
    end: StateKind,
    at: Moment,
    policies: &Policies,
) -> Result<(), Fail> {
    for listener in policies.listeners() {
        if listener.hears_of(&file.folder, end) {
            let folder = begin(work, listener)?;
            work.conn
                .prepare_cached(
                    "INSERT INTO notices (folder, hook, occasion, at, due, file, change) \
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
                )?
                .execute(params![
                    folder,
                    listener.hook.0,
                    Occasion::Ended(end).as_str(),
                    at.now.0,
                    file.id.0,
                    file.changes,
                ])?;
        }
    }
    Ok(())
}

/// Leaves a notice for each hook that is told that this gate has closed.
pub(super) fn of_pause(
    work: &mut Work<'_>,
    gate: &GateKey,
    closed: &Closed,
    policies: &Policies,
) -> Result<(), Fail> {
    for listener in policies.listeners() {
        if listener.hears_of_pause(gate) {
            let folder = begin(work, listener)?;
            work.conn
                .prepare_cached(
                    "INSERT INTO notices (folder, hook, occasion, at, due, gate, code, why, until) \
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    folder,
                    listener.hook.0,
                    Occasion::Paused.as_str(),
                    closed.since.0,
                    gate.to_string(),
                    closed.code.as_str(),
                    bounded(&closed.why),
                    closed.until.0,
                ])?;
        }
    }
    Ok(())
}

fn begin(work: &mut Work<'_>, listener: &Listener) -> Result<i64, Fail> {
    work.kept.noticed = true;
    work.folder(&listener.folder)
}
