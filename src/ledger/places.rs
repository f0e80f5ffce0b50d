//! What each folder's directory was when it was last worked with.
//!
//! Must not: look at a directory, or decide whether it is the same.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::error::{Fail, LedgerError};
use super::rows::bits;
use super::{Lane, Ledger};
use crate::domain::ids::FolderName;
use crate::domain::place::FolderPlace;

/// The folders that were worked with, and what their directories were.
pub type Places = BTreeMap<FolderName, FolderPlace>;

pub(super) fn places(conn: &Connection) -> Result<Places, Fail> {
    let mut statement = conn.prepare_cached(
        "SELECT name, place_path, place_fs, place_inode, place_mount FROM folders \
         WHERE place_path IS NOT NULL AND place_fs IS NOT NULL \
         AND place_inode IS NOT NULL AND place_mount IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| {
        let place = FolderPlace {
            path: row.get(1)?,
            file_system: row.get(2)?,
            inode: row.get::<_, i64>(3)?.cast_unsigned(),
            is_mount: row.get(4)?,
        };
        Ok((FolderName(row.get(0)?), place))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Ledger {
    /// The folders that were worked with, and what their directories were.
    pub async fn places(&self) -> Result<Places, LedgerError> {
        self.read(Lane::Hot, places).await
    }

    /// Remembers what a folder's directory is.
    pub async fn place_is(
        &self,
        folder: FolderName,
        place: FolderPlace,
    ) -> Result<(), LedgerError> {
        self.write(1, move |work| {
            let id = work.folder(&folder)?;
            work.conn
                .prepare_cached(
                    "UPDATE folders SET place_path = ?2, place_fs = ?3, place_inode = ?4, \
                     place_mount = ?5 WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    place.path,
                    place.file_system,
                    bits(place.inode),
                    place.is_mount
                ])?;
            Ok(())
        })
        .await
    }
}
