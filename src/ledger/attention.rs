//! Files that need a person, and how they stop needing one: by a word of
//! somebody's, or because nothing is left to do about them.
//!
//! What a newer version of the path ends, the transaction of its good end writes
//! ([`Work::change`](super::work::Work::change)). Must not: look at a source, or
//! name a next state.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Fail, LedgerError};
use super::filter::{Attention, Selection};
use super::policies::Policies;
use super::rows::{self, COLUMNS, FileRecord, NAMES, limit_of};
use super::work::{Changed, Work};
use super::{Lane, Ledger};
use crate::domain::ids::{FileId, FolderName, TaskId};
use crate::domain::lifecycle::Event;
use crate::domain::resolution::Resolution;
use crate::domain::state::{State, StateKind, needs_attention};
use crate::domain::time::{Moment, Timestamp};

/// Files acknowledged in one transaction.
const AT_ONCE: usize = 500;

/// What somebody says of files that need attention.
#[derive(Debug, Clone)]
pub struct Acknowledge {
    /// Who; may hold any characters.
    pub who: String,
    /// Why; may hold any characters.
    pub why: Option<String>,
    /// They have found it at the service; with its task, if they know it.
    pub arrived: Option<Option<TaskId>>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledged {
    /// Files that need nobody any more.
    pub acknowledged: Vec<FileId>,
    /// Files that were left as they are, and why.
    pub refused: Vec<(FileId, String)>,
}

impl Acknowledged {
    fn add(&mut self, here: Acknowledged) {
        self.acknowledged.extend(here.acknowledged);
        self.refused.extend(here.refused);
    }
}

pub(super) const UNRESOLVED: &str = "SELECT {COLUMNS} FROM files AS f INDEXED BY files_ended \
    {NAMES} WHERE f.state = ?1 AND f.state <> 'queued' AND f.state <> 'uploading' \
    AND f.state <> 'submitted' AND f.resolved IS NULL \
    AND f.folder = (SELECT id FROM folders WHERE name = ?2) \
    AND (f.changed_at, f.id) > (?3, ?4) ORDER BY f.changed_at, f.id LIMIT ?5";

/// Where a look through the files that need a person goes on: the time of the
/// last change of the file last met, and its number.
pub type After = (Timestamp, FileId);

impl Ledger {
    /// Records that files need nobody any more, since somebody says so. A file that
    /// needs nobody, or can't be settled so, is left as it is, and said so.
    pub async fn acknowledge(
        &self,
        which: Selection,
        how: Acknowledge,
        at: Moment,
    ) -> Result<Acknowledged, LedgerError> {
        self.acknowledge_some(which, how, at, false).await
    }

    /// What [`Ledger::acknowledge`] would answer now.
    pub async fn rehearse_acknowledge(
        &self,
        which: Selection,
        how: Acknowledge,
        at: Moment,
    ) -> Result<Acknowledged, LedgerError> {
        self.acknowledge_some(which, how, at, true).await
    }

    async fn acknowledge_some(
        &self,
        which: Selection,
        how: Acknowledge,
        at: Moment,
        rehearsal: bool,
    ) -> Result<Acknowledged, LedgerError> {
        let mut all = Acknowledged::default();
        for some in self.to_acknowledge(which, at.now).await?.chunks(AT_ONCE) {
            let (count, some, how) = (some.len(), some.to_vec(), how.clone());
            let work = move |work: &mut Work<'_>| acknowledge_all(work, some, &how, at);
            all.add(if rehearsal {
                self.rehearse(count, work).await?
            } else {
                self.write(count, work).await?
            });
        }
        Ok(all)
    }

    /// A filter means those of its files that need a person.
    async fn to_acknowledge(
        &self,
        which: Selection,
        now: Timestamp,
    ) -> Result<Vec<FileId>, LedgerError> {
        let which = match which {
            Selection::Matching(filter) => {
                let needing = super::Filter::needing_attention(now);
                let all = filter.states.is_empty();
                Selection::Matching(super::Filter {
                    states: if all {
                        needing.states
                    } else {
                        filter.states.clone()
                    },
                    unknown_since: needing.unknown_since.filter(|_| all),
                    attention: Some(Attention::Needed),
                    ..filter
                })
            }
            ids => ids,
        };
        self.selected(which).await
    }

    /// Files of a folder in one of the states that need a person, and that do need
    /// one: at most so many, those that changed first in front, behind `after`.
    pub async fn unresolved(
        &self,
        folder: FolderName,
        state: StateKind,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<FileRecord>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let sql = unresolved_sql();
            let (time, id) = after.map_or((i64::MIN, i64::MIN), |(time, id)| (time.0, id.0));
            let state = state.as_str();
            rows::all(
                conn,
                &sql,
                &[&state, &folder.0, &time, &id, &limit_of(limit)],
            )
        })
        .await
    }

    /// Records that these files need nobody any more, as far as they are as they
    /// were when they were looked at. Says which.
    pub async fn resolve(
        &self,
        seen: Vec<(FileRecord, Resolution)>,
        now: Timestamp,
    ) -> Result<Vec<FileId>, LedgerError> {
        self.write(seen.len() * 2, move |work| {
            let mut done = Vec::new();
            for (seen, how) in seen {
                let Some(mut file) = rows::find(work.conn, seen.id)? else {
                    continue;
                };
                let same = file.changes == seen.changes && file.state == seen.state;
                if same && file.resolved.is_none() && how.fits(file.state.kind()) {
                    work.resolve(&mut file, how, now)?;
                    done.push(file.id);
                }
            }
            Ok(done)
        })
        .await
    }
}

pub(super) fn unresolved_sql() -> String {
    UNRESOLVED
        .replace("{COLUMNS}", COLUMNS)
        .replace("{NAMES}", NAMES)
}

fn acknowledge_all(
    work: &mut Work<'_>,
    ids: Vec<FileId>,
    how: &Acknowledge,
    at: Moment,
) -> Result<Acknowledged, Fail> {
    let mut all = Acknowledged::default();
    for id in ids {
        match acknowledge(work, id, how, at)? {
            None => all.acknowledged.push(id),
            Some(why) => all.refused.push((id, why)),
        }
    }
    Ok(all)
}

/// `Some`: why not.
fn acknowledge(
    work: &mut Work<'_>,
    id: FileId,
    how: &Acknowledge,
    at: Moment,
) -> Result<Option<String>, Fail> {
    let Some(mut file) = rows::find(work.conn, id)? else {
        return Ok(Some("there is no such file in the ledger".to_owned()));
    };
    if let Some(task) = &how.arrived {
        match arrived(work, &mut file, task.clone(), at)? {
            Arrived::Refused(why) => return Ok(Some(why)),
            // It is followed to its end, which may need somebody again.
            Arrived::Settled if task.is_some() => return Ok(None),
            // What is said now counts, whatever else would have ended it.
            Arrived::Settled => file.resolved = None,
            Arrived::AsBefore => {}
        }
    }
    if let Some(resolved) = &file.resolved {
        return Ok(Some(format!(
            "it needs nobody since {}: {}",
            resolved.at, resolved.how
        )));
    }
    let unknown_since = file.poll.as_ref().and_then(|poll| poll.unknown_since);
    let state = file.state.kind();
    if !needs_attention(state, unknown_since, false, at.now) {
        return Ok(Some(format!("it needs nobody: it is {state}")));
    }
    let said = Resolution::Acknowledged {
        who: how.who.clone(),
        why: how.why.clone(),
    };
    work.resolve(&mut file, said, at.now)?;
    Ok(None)
}

/// What became of the word that a file has arrived.
enum Arrived {
    /// Its state says so now.
    Settled,
    /// Its state said so before.
    AsBefore,
    /// It can't be, for this reason.
    Refused(String),
}

fn arrived(
    work: &mut Work<'_>,
    file: &mut FileRecord,
    task: Option<TaskId>,
    at: Moment,
) -> Result<Arrived, Fail> {
    if task.is_some() && file.media.is_none() && matches!(file.state, State::Unconfirmed { .. }) {
        return Ok(Arrived::Refused(
            "no import of it is on record, so its task can't be followed: say that it has arrived without the task"
                .to_owned(),
        ));
    }
    // What follows depends on the state alone, so no policy is asked for.
    let policies = Arc::new(Policies::new(BTreeMap::new()));
    let event = Event::Arrived { task };
    Ok(match work.change(file, &event, at, &policies)? {
        Changed::Refused(why) => Arrived::Refused(why.to_owned()),
        Changed::Went => Arrived::Settled,
        Changed::Stayed => Arrived::AsBefore,
    })
}
