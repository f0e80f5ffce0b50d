//! Reading what can be read of a ledger, damaged or not, into another one.
//!
//! Rows are copied by ranges of their numbers. A range that fails is halved
//! until the row that can't be read stands alone, so one bad page costs the
//! rows on it and no others. Such a row may still be named by the index over
//! paths, which lies on other pages. Must not: write to the source, or send a
//! file round again.

use rusqlite::{Connection, ErrorCode, params};

use super::error::Fail;

/// A row that was lost for good ends the search for its table's end after so
/// many more numbers, where nothing says how many there are.
const BEYOND: i64 = 10_000;

/// Rows of a range that is tried as a whole.
const RANGE: i64 = 4_096;

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

/// Copies all that is readable of the ledger `old`, attached to `conn` under
/// that name. What `conn` has already stays as it is.
///
/// # Errors
/// `conn`'s own ledger can't be written.
pub(super) fn copy(conn: &Connection) -> Result<Salvaged, Fail> {
    // One transaction: a statement that fails takes back its own rows alone.
    let tx = conn.unchecked_transaction()?;
    let done = copy_all(&tx)?;
    tx.commit()?;
    Ok(done)
}

fn copy_all(conn: &Connection) -> Result<Salvaged, Fail> {
    let mut done = Salvaged::default();
    // Names first: every file refers to them.
    for table in ["folders", "datasets"] {
        let sql = format!("INSERT OR IGNORE INTO main.{table} (name) SELECT name FROM old.{table}");
        done.lost += u64::from(conn.execute(&sql, []).is_err());
    }
    let files = columns(conn, "files");
    done.files = by_ranges(conn, "files", &mut done.lost, |lo, hi| {
        insert_files(conn, &files, lo, hi)
    })?;
    done.named = named(conn, &mut done.lost);
    // Children of rows that came over under their own number.
    let attempts = columns(conn, "attempts").join(", ");
    by_ranges(conn, "attempts", &mut done.lost, |lo, hi| {
        let sql = format!(
            "INSERT OR IGNORE INTO main.attempts ({attempts}) SELECT {attempts} FROM old.attempts \
             NOT INDEXED WHERE id >= ?1 AND id < ?2 AND file IN (SELECT id FROM main.files)"
        );
        conn.execute(&sql, params![lo, hi])
    })?;
    by_files(conn, &mut done.lost, |lo, hi| {
        conn.execute(
            "INSERT OR IGNORE INTO main.history SELECT * FROM old.history \
             WHERE file >= ?1 AND file < ?2 AND file IN (SELECT id FROM main.files)",
            params![lo, hi],
        )
    })?;
    let gates = "INSERT OR IGNORE INTO main.gates SELECT * FROM old.gates";
    // A gate that is lost closes again when it has to.
    let _ = conn.execute(gates, []);
    Ok(done)
}

/// The columns that both know; a ledger of an earlier version has fewer.
fn columns(conn: &Connection, table: &str) -> Vec<String> {
    let of = |schema: &str| -> Vec<String> {
        let sql = format!("SELECT name FROM pragma_table_info('{table}', '{schema}')");
        let Ok(mut statement) = conn.prepare(&sql) else {
            return Vec::new();
        };
        let names = statement.query_map([], |row| row.get(0));
        names.map_or_else(|_| Vec::new(), |names| names.flatten().collect())
    };
    let here = of("main");
    let mut both = of("old");
    both.retain(|name| here.contains(name));
    both
}

/// Files of a range, under their own numbers where those are free. Folders and
/// datasets are matched by name.
fn insert_files(
    conn: &Connection,
    columns: &[String],
    lo: i64,
    hi: i64,
) -> rusqlite::Result<usize> {
    let from: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            "folder" | "dataset" => format!(
                "(SELECT n.id FROM main.{column}s AS n JOIN old.{column}s AS o ON o.name = n.name \
                 WHERE o.id = f.{column})"
            ),
            other => format!("f.{other}"),
        })
        .collect();
    let (to, select) = (columns.join(", "), from.join(", "));
    let range = "FROM old.files AS f NOT INDEXED WHERE f.id >= ?1 AND f.id < ?2";
    let taken = conn.execute(
        &format!("INSERT OR IGNORE INTO main.files ({to}) SELECT {select} {range}"),
        params![lo, hi],
    )?;
    // A number that another file has here: under a new one.
    let (to, select) = (to.replacen("id, ", "", 1), select.replacen("f.id, ", "", 1));
    let more = conn.execute(
        &format!(
            "INSERT OR IGNORE INTO main.files ({to}) SELECT {select} {range} \
             AND EXISTS (SELECT 1 FROM main.files AS t WHERE t.id = f.id AND t.path <> f.path)"
        ),
        params![lo, hi],
    )?;
    Ok(taken + more)
}

/// Versions that only the index over paths still names: whether they were sent
/// nobody knows, so they are held.
fn named(conn: &Connection, lost: &mut u64) -> u64 {
    let sql = "SELECT fo.name, f.path, f.dev, f.inode, f.size, f.mtime_ns, f.id \
         FROM old.folders AS fo CROSS JOIN old.files AS f INDEXED BY sqlite_autoindex_files_1 \
         ON f.folder = fo.id \
         WHERE NOT EXISTS (SELECT 1 FROM main.files AS t JOIN main.folders AS n ON n.id = t.folder \
             WHERE n.name = fo.name AND t.path = f.path AND t.dev = f.dev AND t.inode = f.inode \
             AND t.size = f.size AND t.mtime_ns = f.mtime_ns)";
    let insert = "INSERT OR IGNORE INTO rebuild_named VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut count = 0;
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = conn.prepare(sql)?;
        let mut insert = conn.prepare(insert)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            count += u64::try_from(insert.execute(params![
                row.get::<_, String>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
                row.get::<_, i64>(5)?,
            ])?)
            .unwrap_or(0);
        }
        Ok(())
    };
    // The index ends where it is damaged itself.
    let _ = read();
    *lost = lost.saturating_sub(count);
    count
}

/// Runs `insert` over all numbers of a table; how many rows it wrote.
fn by_ranges(
    conn: &Connection,
    table: &str,
    lost: &mut u64,
    mut insert: impl FnMut(i64, i64) -> rusqlite::Result<usize>,
) -> Result<u64, Fail> {
    let number = |sql: String| conn.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0));
    let told = number(format!(
        "SELECT seq FROM old.sqlite_sequence WHERE name = '{table}'"
    ));
    let seen = number(format!("SELECT max(id) FROM old.{table} NOT INDEXED"));
    let known = told.ok().flatten().max(seen.ok().flatten());
    let known_here = number(format!("SELECT max(id) FROM main.{table}"))
        .ok()
        .flatten();
    let last = known.unwrap_or_else(|| known_here.unwrap_or(0) + BEYOND);
    let mut copied = 0;
    let mut at = 1;
    while at <= last {
        let end = at.saturating_add(RANGE).min(last + 1);
        halve(at, end, &mut insert, &mut copied, lost)?;
        at = end;
    }
    Ok(copied)
}

/// The same over the numbers of the files that came over.
fn by_files(
    conn: &Connection,
    lost: &mut u64,
    mut insert: impl FnMut(i64, i64) -> rusqlite::Result<usize>,
) -> Result<(), Fail> {
    let last: i64 = conn
        .query_row("SELECT coalesce(max(id), 0) FROM main.files", [], |r| {
            r.get(0)
        })
        .unwrap_or(0);
    let mut at = 1;
    while at <= last {
        let end = (at + RANGE).min(last + 1);
        halve(at, end, &mut insert, &mut 0, lost)?;
        at = end;
    }
    Ok(())
}

/// A full disk says nothing of the rows; everything else is laid to them.
fn halve(
    lo: i64,
    hi: i64,
    insert: &mut impl FnMut(i64, i64) -> rusqlite::Result<usize>,
    copied: &mut u64,
    lost: &mut u64,
) -> Result<(), Fail> {
    match insert(lo, hi) {
        Ok(rows) => *copied += u64::try_from(rows).unwrap_or(0),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
            return Err(error.into());
        }
        Err(_) if hi - lo <= 1 => *lost += 1,
        Err(_) => {
            let middle = lo + (hi - lo) / 2;
            halve(lo, middle, insert, copied, lost)?;
            halve(middle, hi, insert, copied, lost)?;
        }
    }
    Ok(())
}
