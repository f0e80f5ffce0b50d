//! What whoever explains a file asks beyond what lists have.
//!
//! Must not: be used on the way of a file, or change anything.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::copies::{Among, Copy, sent_before};
use super::error::{Fail, LedgerError};
use super::intake::{AGAIN, folder_number, identify};
use super::rows::{self, ContentHash, FileRecord, OptionsPrint, bits, length, limit_of};
use super::schema::BIG_FILE;

use super::{Lane, Ledger};
use crate::domain::duplicates::DuplicateRule;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::media::Media;
use crate::domain::state::{State, StateKind};
use crate::domain::version::FileVersion;
use crate::domain::waiting::Ahead;

/// Queued files that are picked from one place of the queue on (?4, ?5) and before
/// another (?6, ?7): of a route and a size class, in the order of `pick`; at most
/// ?8 of them.
pub(super) const AHEAD: &str = "SELECT 1 FROM files AS f INDEXED BY files_queue \
    WHERE f.state = 'queued' AND f.folder = ?1 AND f.media = ?2 AND f.big = ?3 \
    AND (f.not_before, f.id) >= (?4, ?5) AND (f.not_before, f.id) < (?6, ?7) LIMIT ?8";

/// Files of a route that are counted before one, at most.
const MOST_AHEAD: u64 = 10_000;

/// No file has this number.
const NONE: FileId = FileId(0);

/// The state of a version, by its identity (`intake::IDENTIFY`).
pub(super) const STATE_OF: &str = "SELECT state, resolved IS NOT NULL FROM files WHERE folder = ?1 AND path = ?2 \
    AND inode = ?4 AND size = ?5 AND mtime_ns = ?6 AND away = 0 \
    AND (dev = ?3 AND (born_ns = 0 OR ?7 = 0) OR born_ns = ?7 AND born_ns <> 0) \
    ORDER BY born_ns DESC LIMIT 1";

/// A file that is to be sent, and need not be in the ledger.
#[derive(Debug, Clone)]
pub struct SentBefore {
    /// Its number, if it has one.
    pub id: Option<FileId>,
    /// Where it lies.
    pub folder: FolderName,
    /// Where it goes.
    pub dataset: DatasetName,
    /// What it is known by.
    pub version: FileVersion,
    /// Its content.
    pub hash: ContentHash,
    /// Its import options.
    pub options: OptionsPrint,
    /// What ends it as a duplicate.
    pub rule: DuplicateRule,
}

/// A version that the ledger has.
#[derive(Debug, Clone, PartialEq)]
pub struct Met {
    /// What it has of it.
    pub file: FileRecord,
    /// It is new to it all the same when seen again: see [`Ledger::known`].
    pub again: bool,
}

impl Ledger {
    /// What the ledger has of each version.
    pub async fn met(
        &self,
        folder: FolderName,
        versions: Vec<FileVersion>,
    ) -> Result<Vec<Option<Met>>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(vec![None; versions.len()]);
            };
            let mut again = conn.prepare_cached(AGAIN)?;
            versions
                .iter()
                .map(|version| {
                    let Some(id) = identify(conn, folder, version)? else {
                        return Ok(None);
                    };
                    Ok(Some(Met {
                        file: rows::load(conn, FileId(id))?,
                        again: again.exists([id])?,
                    }))
                })
                .collect()
        })
        .await
    }

    /// The file that ends a file that is to be sent as a duplicate, as
    /// [`Ledger::begin`] looks for it.
    pub async fn sent_before(&self, wanted: SentBefore) -> Result<Option<FileId>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let copy = Copy {
                id: wanted.id.unwrap_or(NONE),
                folder: &wanted.folder,
                dataset: &wanted.dataset,
                version: &wanted.version,
                hash: &wanted.hash,
                options: Some(&wanted.options),
            };
            let same = sent_before(conn, &copy, wanted.rule, Among::Begun)?;
            Ok(same.map(|(of, _)| of))
        })
        .await
    }

    /// How many files of its route go before each queued file; those that are not
    /// queued, or not sorted, are left out. Routes take turns, so files of others may
    /// go in between. Files of the same route are counted in one pass.
    pub async fn ahead(
        &self,
        files: Vec<FileRecord>,
    ) -> Result<BTreeMap<FileId, Ahead>, LedgerError> {
        let mut routes: BTreeMap<(FolderName, Media, bool), Vec<(i64, i64)>> = BTreeMap::new();
        for file in files {
            if let (State::Queued { not_before, .. }, Some(media)) = (&file.state, file.media) {
                let route = (file.folder, media, file.version.size > BIG_FILE);
                let places = routes.entry(route).or_default();
                places.push((not_before.0, file.id.0));
            }
        }
        self.read(Lane::Cold, move |conn| {
            let mut ahead = BTreeMap::new();
            for ((folder, media, big), mut places) in routes {
                let Some(folder) = folder_number(conn, &folder)? else {
                    continue;
                };
                places.sort_unstable();
                count_ahead(conn, (folder, media, big), &places, &mut ahead)?;
            }
            Ok(ahead)
        })
        .await
    }

    /// The state of each version, and whether it is resolved; `None` where the ledger
    /// does not have it.
    pub async fn states_of(
        &self,
        folder: FolderName,
        versions: Vec<FileVersion>,
    ) -> Result<Vec<Option<(StateKind, bool)>>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(vec![None; versions.len()]);
            };
            versions.iter().map(|v| state_of(conn, folder, v)).collect()
        })
        .await
    }
}

/// Counts from one place of the queue to the next.
fn count_ahead(
    conn: &Connection,
    (folder, media, big): (i64, Media, bool),
    places: &[(i64, i64)],
    ahead: &mut BTreeMap<FileId, Ahead>,
) -> Result<(), Fail> {
    let mut statement = conn.prepare_cached(AHEAD)?;
    let mut from = (i64::MIN, i64::MIN);
    let mut so_far = 0;
    for to in places {
        // One more than is told, to know that there are more.
        let most = limit_of(usize::try_from(MOST_AHEAD + 1 - so_far).unwrap_or(usize::MAX));
        let asked = params![
            folder,
            media.as_str(),
            big,
            from.0,
            from.1,
            to.0,
            to.1,
            most
        ];
        let mut rows = statement.query(asked)?;
        while rows.next()?.is_some() {
            so_far += 1;
        }
        let more = so_far > MOST_AHEAD;
        so_far = so_far.min(MOST_AHEAD);
        let files = so_far;
        ahead.insert(FileId(to.1), Ahead { files, more });
        if more {
            let rest = places.iter().filter(|place| *place > to);
            let files = MOST_AHEAD;
            ahead.extend(rest.map(|place| (FileId(place.1), Ahead { files, more })));
            break;
        }
        from = *to;
    }
    Ok(())
}

fn state_of(
    conn: &Connection,
    folder: i64,
    version: &FileVersion,
) -> Result<Option<(StateKind, bool)>, Fail> {
    let identity = params![
        folder,
        version.path,
        bits(version.dev),
        bits(version.inode),
        length(version.size),
        version.mtime_ns,
        rows::birth(version.born_ns)
    ];
    let state: Option<(String, bool)> = conn
        .prepare_cached(STATE_OF)?
        .query_row(identity, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((text, resolved)) = state else {
        return Ok(None);
    };
    let state = text.parse().map_err(|e| Fail::BadRow(format!("{e}")))?;
    Ok(Some((state, resolved)))
}
