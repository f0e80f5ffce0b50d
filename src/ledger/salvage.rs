//! Reading what can be read of a ledger, damaged or not, into another one.
//!
//! Rows are read one after another; where that fails, the search goes on behind
//! the row that can't be read, number by number, so one bad page costs the rows
//! on it and no others. Such a row may still be named by the index over paths,
//! which lies on other pages and is read from both its ends. Must not: write to
//! the source, or send a file round again.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Row, params, params_from_iter};

use super::error::Fail;
use super::foreign::Foreign;
use super::{gates, halts, history, rows};
use crate::domain::ids::FileId;

/// How far beyond the last number that was read the search goes, where nothing
/// says how many there are.
const BEYOND: i64 = 10_000;

/// Numbers in a row that are tried one by one behind a row that can't be read.
/// A page of the tree above the rows leads to some 4,500 of them. Beyond that
/// the steps double: what says how far the numbers go may be damaged, too.
const ONE_BY_ONE: i64 = 10_000;

/// What was read of one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Versions of files that came over whole.
    pub files: u64,
    /// Versions of which no more than their name and identity could be read.
    pub named: u64,
    /// Rows of any table that could not be read at all, as far as known.
    pub lost: u64,
}

/// The old ledger, and the one that is written in one transaction.
struct Copy<'a> {
    old: &'a Foreign,
    new: &'a Connection,
    done: Salvaged,
}

/// Copies all that is readable of `old`. What `new` has already stays as it is.
///
/// # Errors
/// `new` can't be written.
pub(super) fn copy(old: &Foreign, new: &Connection) -> Result<Salvaged, Fail> {
    let tx = new.unchecked_transaction()?;
    let mut copy = Copy {
        old,
        new: &tx,
        done: Salvaged::default(),
    };
    // Names first: every file refers to them.
    let folders = copy.names("folders")?;
    let datasets = copy.names("datasets")?;
    copy.files(&folders, &datasets)?;
    // An old ledger does not have it.
    tx.execute(
        "UPDATE files SET away = id WHERE away = 0 AND source_done IN ('moved', 'deleted')",
        [],
    )?;
    copy.take_out_nonsense()?;
    copy.named()?;
    copy.children("attempts", "id", "WHERE id >= ?1")?;
    copy.children("history", "file", "WHERE file >= ?1")?;
    copy.take_out_nonsense_of_files()?;
    copy.gates_and_pauses(&datasets)?;
    // The content of what was pruned: its copies are duplicates still.
    copy.plain("taken", &datasets);
    let done = copy.done;
    tx.commit()?;
    Ok(done)
}

impl Copy<'_> {
    /// Old numbers to new ones, by name.
    fn names(&mut self, table: &str) -> Result<HashMap<i64, i64>, Fail> {
        let mut numbers = HashMap::new();
        let old: Vec<(i64, String)> = {
            let read = || -> rusqlite::Result<Vec<_>> {
                if !self.old.is_table(table) {
                    return Ok(Vec::new());
                }
                let sql = format!("SELECT id, name FROM {table} NOT INDEXED");
                let mut statement = self.old.prepare(&sql)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            };
            read().unwrap_or_default()
        };
        for (id, name) in old {
            self.new.execute(
                &format!("INSERT OR IGNORE INTO {table} (name) VALUES (?1)"),
                [&name],
            )?;
            let here = self.new.query_row(
                &format!("SELECT id FROM {table} WHERE name = ?1"),
                [&name],
                |row| row.get(0),
            )?;
            numbers.insert(id, here);
        }
        Ok(numbers)
    }

    fn files(
        &mut self,
        folders: &HashMap<i64, i64>,
        datasets: &HashMap<i64, i64>,
    ) -> Result<(), Fail> {
        let columns = self.columns("files");
        let insert = insert_sql("files", &columns);
        let sql = format!(
            "SELECT id, {} FROM files NOT INDEXED WHERE id >= ?1 ORDER BY id",
            columns.join(", ")
        );
        let new = self.new;
        let mut files = 0;
        self.rows("files", &sql, |row| {
            let mut values = values(row, &columns)?;
            for (value, column) in values.iter_mut().zip(&columns) {
                let numbers = match column.as_str() {
                    "folder" => folders,
                    "dataset" => datasets,
                    _ => continue,
                };
                let here = match value {
                    Value::Integer(old) => numbers.get(old),
                    _ => None,
                };
                *value = here.map_or(Value::Null, |here| Value::Integer(*here));
            }
            let mut insert = new.prepare_cached(&insert)?;
            let mut taken = insert.execute(params_from_iter(&values))?;
            if taken == 0 {
                // Known already; or its number is another's: under a new one.
                let id = columns.iter().position(|column| column == "id");
                if let Some(id) = id {
                    values[id] = Value::Null;
                }
                taken = insert.execute(params_from_iter(&values))?;
            }
            files += taken as u64;
            Ok(())
        })?;
        self.done.files = files;
        Ok(())
    }

    /// Rows that belong to files that came over under their own number.
    fn children(&mut self, table: &str, key: &str, from: &str) -> Result<(), Fail> {
        let columns = self.columns(table);
        let insert = insert_sql(table, &columns);
        let sql = format!(
            "SELECT {key}, {} FROM {table} NOT INDEXED {from} ORDER BY {key}",
            columns.join(", ")
        );
        let new = self.new;
        self.rows(table, &sql, |row| {
            let file: i64 = row.get("file")?;
            let known = new
                .prepare_cached("SELECT 1 FROM files WHERE id = ?1")?
                .exists([file])?;
            if known {
                let values = values(row, &columns)?;
                new.prepare_cached(&insert)?
                    .execute(params_from_iter(&values))?;
            }
            Ok(())
        })
    }

    /// Takes out files that could be read and make no sense: garbage on a page
    /// may pass for a row.
    fn take_out_nonsense(&mut self) -> Result<(), Fail> {
        for id in self.numbers()? {
            if rows::find(self.new, FileId(id)).is_err() {
                self.new.execute("DELETE FROM files WHERE id = ?1", [id])?;
                self.done.files = self.done.files.saturating_sub(1);
                self.done.lost += 1;
            }
        }
        Ok(())
    }

    /// The same for what belongs to the files.
    fn take_out_nonsense_of_files(&mut self) -> Result<(), Fail> {
        for id in self.numbers()? {
            let of = [
                ("attempts", history::attempts(self.new, FileId(id)).is_err()),
                ("history", history::changes(self.new, FileId(id)).is_err()),
            ];
            for (table, _) in of.into_iter().filter(|(_, nonsense)| *nonsense) {
                self.new
                    .execute(&format!("DELETE FROM {table} WHERE file = ?1"), [id])?;
                self.done.lost += 1;
            }
        }
        Ok(())
    }

    fn numbers(&self) -> Result<Vec<i64>, Fail> {
        let mut statement = self.new.prepare("SELECT id FROM files")?;
        let numbers = statement.query_map([], |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    /// A table without numbers, as far as it can be read from its beginning.
    fn plain(&mut self, table: &str, datasets: &HashMap<i64, i64>) {
        if !self.old.is_table(table) {
            return;
        }
        let columns = self.columns(table);
        let insert = insert_sql(table, &columns);
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        let _ = self.old.prepare(&sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut values = values(row, &columns)?;
                if let Some(at) = columns.iter().position(|column| column == "dataset")
                    && let Value::Integer(old) = values[at]
                {
                    let here = datasets.get(&old);
                    values[at] = here.map_or(Value::Null, |here| Value::Integer(*here));
                }
                self.new.execute(&insert, params_from_iter(&values))?;
            }
            Ok(())
        });
    }

    /// A gate that is lost closes again when it has to; a pause is an
    /// operator's to make again.
    fn gates_and_pauses(&mut self, datasets: &HashMap<i64, i64>) -> Result<(), Fail> {
        self.plain("gates", datasets);
        if gates::load_all(self.new).is_err() {
            self.new.execute("DELETE FROM gates", [])?;
        }
        self.plain("halts", datasets);
        if halts::load_all(self.new).is_err() {
            self.new.execute("DELETE FROM halts", [])?;
        }
        Ok(())
    }

    /// Versions that only the index over paths still names: whether they were
    /// sent nobody knows, so they are noted, to be held.
    fn named(&mut self) -> Result<(), Fail> {
        let known = "SELECT 1 FROM files AS f JOIN folders AS fo ON fo.id = f.folder \
             WHERE fo.name = ?1 AND f.path = ?2 AND f.dev = ?3 AND f.inode = ?4 AND f.size = ?5 \
             AND f.mtime_ns = ?6";
        let note = "INSERT OR IGNORE INTO rebuild_named VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let names: HashMap<i64, String> = {
            let read = || -> rusqlite::Result<HashMap<_, _>> {
                let sql = "SELECT id, name FROM folders NOT INDEXED";
                let mut statement = self.old.prepare(sql)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.filter_map(Result::ok).collect())
            };
            read().unwrap_or_default()
        };
        for order in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT folder, path, dev, inode, size, mtime_ns FROM files \
                 INDEXED BY sqlite_autoindex_files_1 ORDER BY folder {order}, path {order}"
            );
            let Ok(mut statement) = self.old.prepare(&sql) else {
                continue;
            };
            let Ok(mut rows) = statement.query([]) else {
                continue;
            };
            // It ends where the index is damaged itself.
            while let Ok(Some(row)) = rows.next() {
                let Ok((folder, path, rest)) = identity(row) else {
                    continue;
                };
                let Some(folder) = names.get(&folder) else {
                    continue;
                };
                let version = params![folder, path, rest[0], rest[1], rest[2], rest[3]];
                if !self.new.prepare_cached(known)?.exists(version)? {
                    let noted = self.new.prepare_cached(note)?.execute(version)?;
                    self.done.named += noted as u64;
                }
            }
        }
        self.done.lost = self.done.lost.saturating_sub(self.done.named);
        Ok(())
    }

    /// The columns that both know; a ledger of an earlier version has fewer.
    fn columns(&self, table: &str) -> Vec<String> {
        let of = |conn: &Connection| -> Vec<String> {
            let sql = format!("SELECT name FROM pragma_table_info('{table}')");
            let Ok(mut statement) = conn.prepare(&sql) else {
                return Vec::new();
            };
            let names = statement.query_map([], |row| row.get(0));
            names.map_or_else(|_| Vec::new(), |names| names.flatten().collect())
        };
        let here = of(self.new);
        let mut both = of(self.old);
        both.retain(|name| here.contains(name));
        both
    }

    /// Gives each row that can be read to `each`; `sql` begins at the number
    /// ?1, and says each row's in its first column. A row that `each` refuses
    /// counts as lost, unless the disk is full.
    fn rows(
        &mut self,
        table: &str,
        sql: &str,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Fail> {
        let prepared = match self.old.is_table(table) {
            true => self.old.prepare(sql).ok(),
            false => None,
        };
        let Some(mut statement) = prepared else {
            self.done.lost += 1;
            return Ok(());
        };
        let mut last = None;
        // The next number that is asked for, and the last that was read.
        let (mut at, mut read) = (1_i64, 0_i64);
        loop {
            let mut rows = statement.query([at])?;
            let broke = loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        // Garbage may read as a row without a number, or one
                        // that leads back.
                        let Ok(number) = row.get::<_, i64>(0) else {
                            break true;
                        };
                        (at, read) = (at.max(number), at.max(number));
                        match each(row) {
                            Ok(()) => {}
                            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                                return Err(e.into());
                            }
                            Err(_) => self.done.lost += 1,
                        }
                    }
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            if !broke || self.old.is_spent() {
                return Ok(());
            }
            let end = *last.get_or_insert_with(|| self.last(table).unwrap_or(at + BEYOND));
            let tried = at.saturating_sub(read);
            let step = if tried < ONE_BY_ONE { 1 } else { tried };
            at = at.saturating_add(step);
            if at > end || at == i64::MAX {
                return Ok(());
            }
            // Only what is known to have been there counts.
            if table == "files" {
                self.done.lost += 1;
            }
        }
    }

    /// The last number that was given in a table, as far as anything says so.
    fn last(&self, table: &str) -> Option<i64> {
        let ask = |sql: &str| {
            let answer = self.old.query_row(sql, [], |row| row.get(0));
            answer.ok().flatten()
        };
        // History counts by file.
        let counted = if table == "history" { "files" } else { table };
        let told: Option<i64> = ask(&format!(
            "SELECT seq FROM sqlite_sequence WHERE name = '{counted}'"
        ));
        told.max(ask(&format!("SELECT max(id) FROM {counted} NOT INDEXED")))
    }
}

/// An entry of the index over paths: folder, path, and the rest of it.
fn identity(row: &Row<'_>) -> rusqlite::Result<(i64, Vec<u8>, [i64; 4])> {
    let rest = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    Ok((row.get(0)?, row.get(1)?, rest))
}

fn insert_sql(table: &str, columns: &[String]) -> String {
    let marks = vec!["?"; columns.len()].join(", ");
    format!(
        "INSERT OR IGNORE INTO {table} ({}) VALUES ({marks})",
        columns.join(", ")
    )
}

/// The columns behind the row's number, where there is one in front.
fn values(row: &Row<'_>, columns: &[String]) -> rusqlite::Result<Vec<Value>> {
    columns
        .iter()
        .map(|column| row.get(column.as_str()))
        .collect()
}
