//! What whoever explains a file asks beyond what lists have.
//!
//! Must not: be used on the way of a file, or change anything.

use rusqlite::{Connection, OptionalExtension, params};

use super::copies::{Among, Copy, sent_before};
use super::error::{Fail, LedgerError};
use super::intake::{AGAIN, folder_number, identify};
use super::rows::{self, ContentHash, FileRecord, OptionsPrint, bits, length};
use super::schema::BIG_FILE;

use super::{Lane, Ledger};
use crate::domain::duplicates::DuplicateRule;
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::state::{State, StateKind};
use crate::domain::version::FileVersion;

/// Queued files that are picked before one: of its route and its size class,
/// in the order of `pick`.
pub(super) const AHEAD: &str = "SELECT count(*) FROM files AS f INDEXED BY files_queue \
    WHERE f.state = 'queued' AND f.folder = ?1 AND f.media = ?2 AND f.big = ?3 \
    AND (f.not_before, f.id) < (?4, ?5)";

/// No file has this number.
const NONE: FileId = FileId(0);

/// The state of a version, by its identity (`intake::IDENTIFY`).
pub(super) const STATE_OF: &str = "SELECT state FROM files WHERE folder = ?1 AND path = ?2 \
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

    /// How many files of its route go before a queued file; `None` if it is
    /// not queued, or not sorted. Routes take turns, so files of others may go
    /// in between.
    pub async fn ahead_of(&self, file: &FileRecord) -> Result<Option<u64>, LedgerError> {
        let (State::Queued { not_before, .. }, Some(media)) = (&file.state, file.media) else {
            return Ok(None);
        };
        let (not_before, id, big) = (not_before.0, file.id.0, file.version.size > BIG_FILE);
        let folder = file.folder.clone();
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(None);
            };
            let ahead: i64 = conn
                .prepare_cached(AHEAD)?
                .query_row(params![folder, media.as_str(), big, not_before, id], |r| {
                    r.get(0)
                })?;
            Ok(Some(ahead.max(0).unsigned_abs()))
        })
        .await
    }

    /// The state of each version; `None` where the ledger does not have it.
    pub async fn states_of(
        &self,
        folder: FolderName,
        versions: Vec<FileVersion>,
    ) -> Result<Vec<Option<StateKind>>, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            let Some(folder) = folder_number(conn, &folder)? else {
                return Ok(vec![None; versions.len()]);
            };
            versions.iter().map(|v| state_of(conn, folder, v)).collect()
        })
        .await
    }
}

fn state_of(
    conn: &Connection,
    folder: i64,
    version: &FileVersion,
) -> Result<Option<StateKind>, Fail> {
    let identity = params![
        folder,
        version.path,
        bits(version.dev),
        bits(version.inode),
        length(version.size),
        version.mtime_ns,
        rows::birth(version.born_ns)
    ];
    let state: Option<String> = conn
        .prepare_cached(STATE_OF)?
        .query_row(identity, |row| row.get(0))
        .optional()?;
    state
        .map(|text| text.parse().map_err(|e| Fail::BadRow(format!("{e}"))))
        .transpose()
}
