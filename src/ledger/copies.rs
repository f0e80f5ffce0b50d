//! Whether a file is a copy of one that was sent, or may have been.
//!
//! Must not: decide what becomes of a copy.

use rusqlite::{Connection, OptionalExtension, params};

use super::erase::{TAKEN, TAKEN_SIZE};
use super::error::{Fail, LedgerError};
use super::rows::{self, ContentHash, FileRecord, OptionsPrint, length};
use super::uploads::{SAME_CONTENT, SAME_SIZE};
use super::{Lane, Ledger};
use crate::domain::ids::{DatasetName, FileId};
use crate::domain::state::StateKind;

impl Ledger {
    /// Whether a file of this size and of known content was sent, or is on its
    /// way, to the dataset; also one whose row was pruned. If not, a file of this
    /// size (other than `id`) is no duplicate of one that is known by now.
    pub async fn same_size(
        &self,
        dataset: DatasetName,
        size: u64,
        id: Option<FileId>,
    ) -> Result<bool, LedgerError> {
        self.read(Lane::Cold, move |conn| {
            same_size(conn, &dataset, size, id.unwrap_or(FileId(0)))
        })
        .await
    }
}

/// Whose content is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Every file that is on its way, was sent, or may have been.
    Begun,
    /// The same, but of those on their way only the ones whose last byte may be
    /// out.
    LastByteOut,
}

/// The file with the same content, and whether that has succeeded; `None`, too,
/// if the content is not known.
pub(super) fn same_as(
    conn: &Connection,
    file: &FileRecord,
    among: Among,
) -> Result<Option<(FileId, bool)>, Fail> {
    let Some(hash) = &file.hash else {
        return Ok(None);
    };
    let (size, options) = (length(file.version.size), file.options.as_ref());
    same_content(conn, &file.dataset, size, hash, options, file.id, among)
}

/// The same of a content that need not be a file's in the ledger. `id`: the
/// number of the file that is asked about.
pub(super) fn same_content(
    conn: &Connection,
    dataset: &DatasetName,
    size: i64,
    hash: &ContentHash,
    options: Option<&OptionsPrint>,
    id: FileId,
    among: Among,
) -> Result<Option<(FileId, bool)>, Fail> {
    let begun = among == Among::Begun;
    let there: Option<i64> = conn
        .prepare_cached(SAME_CONTENT)?
        .query_row(
            params![dataset.0, size, hash, options, id.0, begun],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(of) = there.map(FileId) {
        let imported = rows::load(conn, of)?.state.kind() == StateKind::Succeeded;
        return Ok(Some((of, imported)));
    }
    Ok(conn
        .prepare_cached(TAKEN)?
        .query_row(params![dataset.0, size, hash, options], |row| {
            Ok((FileId(row.get(0)?), row.get(1)?))
        })
        .optional()?)
}

/// Whether a file other than `id` may have the same content, by its size.
pub(super) fn same_size(
    conn: &Connection,
    dataset: &DatasetName,
    size: u64,
    id: FileId,
) -> Result<bool, Fail> {
    let size = length(size);
    let there = conn
        .prepare_cached(SAME_SIZE)?
        .exists(params![dataset.0, size, id.0])?;
    Ok(there
        || conn
            .prepare_cached(TAKEN_SIZE)?
            .exists(params![dataset.0, size])?)
}
