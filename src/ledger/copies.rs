//! Whether a file is a copy of one that was sent, or may have been.
//!
//! Must not: decide what becomes of a copy.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::erase::{TAKEN, TAKEN_SIZE};
use super::error::{Fail, LedgerError};
use super::rows::{self, ContentHash, FileRecord, OptionsPrint, SourceEnd, bits, length};
use super::{Lane, Ledger};
use crate::domain::duplicates::{DuplicateRule, Sent, is_same_file};
use crate::domain::ids::{DatasetName, FileId, FolderName};
use crate::domain::state::{State, StateKind};
use crate::domain::version::FileVersion;

/// A file that was sent, or may have been, with the same content and options.
/// Also one in doubt: a copy must not go out behind the back of who decides.
pub(super) const SAME_CONTENT: &str = "SELECT id FROM files INDEXED BY files_content \
    WHERE (state = 'uploading' OR state = 'submitted' OR state = 'succeeded' \
    OR state = 'untracked' OR state = 'unconfirmed' OR state = 'lost') \
    AND dataset = (SELECT id FROM datasets WHERE name = ?1) AND size = ?2 AND hash = ?3 \
    AND options = ?4 AND id <> ?5 AND (?6 OR last_byte IS NOT 0) LIMIT 1";

/// A file that was sent, or may have been, with the same size, and whose content
/// is known: what has no hash can't be compared, or is compared with this one
/// when it gets one ([`Ledger::last_byte`]).
pub(super) const SAME_SIZE: &str = "SELECT 1 FROM files INDEXED BY files_content \
    WHERE (state = 'uploading' OR state = 'submitted' OR state = 'succeeded' \
    OR state = 'untracked' OR state = 'unconfirmed' OR state = 'lost') \
    AND dataset = (SELECT id FROM datasets WHERE name = ?1) AND size = ?2 AND id <> ?3 \
    AND hash IS NOT NULL LIMIT 1";

/// [`SAME_CONTENT`], and of the same inode: all of them.
pub(super) const SAME_INODE: &str = "SELECT id FROM files INDEXED BY files_content \
    WHERE (state = 'uploading' OR state = 'submitted' OR state = 'succeeded' \
    OR state = 'untracked' OR state = 'unconfirmed' OR state = 'lost') \
    AND dataset = (SELECT id FROM datasets WHERE name = ?1) AND size = ?2 AND hash = ?3 \
    AND inode = ?7 AND options = ?4 AND id <> ?5 AND (?6 OR last_byte IS NOT 0) AND ?8 NOT NULL";

/// [`SAME_CONTENT`], and at the same path: all of them, the latest first. Also
/// duplicates, since a file that was renamed before is known by them.
pub(super) const SAME_PATH: &str = "SELECT id FROM files INDEXED BY sqlite_autoindex_files_1 \
    WHERE folder = (SELECT id FROM folders WHERE name = ?8) AND path = ?7 AND size = ?2 \
    AND hash = ?3 AND dataset = (SELECT id FROM datasets WHERE name = ?1) AND options = ?4 \
    AND id <> ?5 AND (?6 OR last_byte IS NOT 0) \
    AND (state = 'uploading' OR state = 'submitted' OR state = 'succeeded' \
    OR state = 'untracked' OR state = 'unconfirmed' OR state = 'lost' OR state = 'duplicate') \
    ORDER BY id DESC";

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

/// A file that is to be sent, and may have been sent before.
pub(super) struct Copy<'a> {
    pub id: FileId,
    pub folder: &'a FolderName,
    pub dataset: &'a DatasetName,
    pub version: &'a FileVersion,
    pub hash: &'a ContentHash,
    pub options: Option<&'a OptionsPrint>,
}

/// The file that ends this one as a duplicate, and whether that has succeeded;
/// `None`, too, if its content is not known.
pub(super) fn same_as(
    conn: &Connection,
    file: &FileRecord,
    rule: DuplicateRule,
    among: Among,
) -> Result<Option<(FileId, bool)>, Fail> {
    let Some(hash) = &file.hash else {
        return Ok(None);
    };
    let copy = Copy {
        id: file.id,
        folder: &file.folder,
        dataset: &file.dataset,
        version: &file.version,
        hash,
        options: file.options.as_ref(),
    };
    sent_before(conn, &copy, rule, among)
}

/// The same of a file that need not be in the ledger.
pub(super) fn sent_before(
    conn: &Connection,
    copy: &Copy<'_>,
    rule: DuplicateRule,
    among: Among,
) -> Result<Option<(FileId, bool)>, Fail> {
    let of = match rule {
        DuplicateRule::SameContent => same_content(conn, copy, among)?,
        DuplicateRule::SameFile => same_file(conn, copy, among)?,
    };
    if let Some(of) = of {
        let original = rows::find(conn, of)?;
        let imported = original.is_some_and(|of| of.state.kind() == StateKind::Succeeded);
        return Ok(Some((of, imported)));
    }
    if rule == DuplicateRule::SameFile {
        return Ok(None);
    }
    let size = length(copy.version.size);
    Ok(conn
        .prepare_cached(TAKEN)?
        .query_row(
            params![copy.dataset.0, size, copy.hash, copy.options],
            |row| Ok((FileId(row.get(0)?), row.get(1)?)),
        )
        .optional()?)
}

fn same_content(conn: &Connection, copy: &Copy<'_>, among: Among) -> Result<Option<FileId>, Fail> {
    Ok(conn
        .prepare_cached(SAME_CONTENT)?
        .query_row(
            params![
                copy.dataset.0,
                length(copy.version.size),
                copy.hash,
                copy.options,
                copy.id.0,
                among == Among::Begun
            ],
            |row| row.get(0).map(FileId),
        )
        .optional()?)
}

/// By inode, wherever it lies; then by path.
fn same_file(conn: &Connection, copy: &Copy<'_>, among: Among) -> Result<Option<FileId>, Fail> {
    for (sql, third) in [
        (SAME_INODE, &bits(copy.version.inode) as &dyn ToSql),
        (SAME_PATH, &copy.version.path),
    ] {
        let mut statement = conn.prepare_cached(sql)?;
        let size = length(copy.version.size);
        let mut rows = statement.query(params![
            copy.dataset.0,
            size,
            copy.hash,
            copy.options,
            copy.id.0,
            among == Among::Begun,
            third,
            copy.folder.0,
        ])?;
        while let Some(row) = rows.next()? {
            let sent = rows::load(conn, FileId(row.get(0)?))?;
            let done = sent.source.as_ref().and_then(|source| source.done.as_ref());
            let known = Sent {
                version: &sent.version,
                same_folder: sent.folder == *copy.folder,
                moved: done == Some(&SourceEnd::Moved),
                deleted: done == Some(&SourceEnd::Deleted),
            };
            if is_same_file(copy.version, &known) {
                return Ok(Some(match sent.state {
                    State::Duplicate { of } => of,
                    _ => sent.id,
                }));
            }
        }
    }
    Ok(None)
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
