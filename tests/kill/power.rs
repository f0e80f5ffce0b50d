//! A disk from which the power can be pulled: an SQLite VFS that keeps, beside
//! the ledger and its log, what had reached the disk at the last fsync
//! (`*.durable`) and every write since then (`*.pending`).
//!
//! [`pull`] then makes of the two what a power cut may leave: the durable
//! content with none, the first few, or any selection of the pending writes,
//! the last of them perhaps torn.
//!
//! What this does not show: lost directory entries (a rename or a deletion of
//! files counts as durable at once), drives that lie about fsync, and the drop
//! folders themselves, whose files are nobody's but the operator's.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::ffi;

const NAME: &CStr = c"forgetful";
const SECTOR: usize = 512;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

// ── What is on the disk, and what is on its way there ────────────────────────

/// One write that no fsync has followed yet.
enum Pending {
    Write { at: u64, data: Vec<u8> },
    Cut { len: u64 },
}

impl Pending {
    fn to_bytes(&self) -> Vec<u8> {
        let (kind, at, data) = match self {
            Pending::Write { at, data } => (1u8, *at, data.as_slice()),
            Pending::Cut { len } => (2u8, *len, &[][..]),
        };
        let mut bytes = vec![kind];
        bytes.extend(at.to_le_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        bytes.extend(data);
        bytes
    }

    /// All whole records; the last may have been cut by the kill.
    fn read_all(bytes: &[u8]) -> Vec<Pending> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while rest.len() >= 13 {
            let at = u64::from_le_bytes(rest[1..9].try_into().unwrap());
            let len = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
            let Some(data) = rest.get(13..13 + len) else {
                break;
            };
            found.push(match rest[0] {
                1 => Pending::Write {
                    at,
                    data: data.to_vec(),
                },
                _ => Pending::Cut { len: at },
            });
            rest = &rest[13 + len..];
        }
        found
    }

    fn apply(&self, to: &File) {
        match self {
            Pending::Write { at, data } => to.write_all_at(data, *at).unwrap(),
            Pending::Cut { len } => to.set_len(*len).unwrap(),
        }
    }
}

struct Journal {
    path: PathBuf,
    pending: File,
    durable: File,
}

impl Journal {
    fn of(path: &Path) -> Journal {
        let durable = beside(path, ".durable");
        // The shim itself is killed as well: what is there is there whole, and
        // the note of what is pending before that which it is about.
        let pending = OpenOptions::new()
            .create(true)
            .append(true)
            .open(beside(path, ".pending"))
            .unwrap();
        if !durable.exists() {
            let half = beside(path, ".half");
            fs::copy(path, &half).unwrap();
            fs::rename(half, &durable).unwrap();
        }
        Journal {
            path: path.to_owned(),
            pending,
            durable: OpenOptions::new().write(true).open(durable).unwrap(),
        }
    }

    fn add(&mut self, what: &Pending) {
        self.pending.write_all(&what.to_bytes()).unwrap();
    }

    /// Applied before it is forgotten: killed in between, it is applied twice,
    /// which comes to the same.
    fn synced(&mut self) {
        let bytes = fs::read(beside(&self.path, ".pending")).unwrap();
        for write in Pending::read_all(&bytes) {
            write.apply(&self.durable);
        }
        self.pending.set_len(0).unwrap();
    }
}

/// Pulls the power from the ledger at `path`, whose process is dead. Returns
/// how many writes were lost.
pub fn pull(path: &Path, rng: &mut fastrand::Rng) -> usize {
    let mut lost = 0;
    for file in [path.to_owned(), beside(path, "-wal")] {
        let durable = beside(&file, ".durable");
        if !durable.exists() {
            continue;
        }
        let mut bytes = Vec::new();
        File::open(beside(&file, ".pending"))
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        let pending = Pending::read_all(&bytes);
        fs::copy(&durable, &file).unwrap();
        let to = OpenOptions::new().write(true).open(&file).unwrap();
        let how = rng.u8(0..4);
        let first = rng.usize(0..=pending.len());
        for (n, write) in pending.iter().enumerate() {
            let survives = match how {
                0 => false,
                1 => n < first,
                _ => rng.bool(),
            };
            match write {
                _ if !survives => lost += 1,
                // In sectors, any of which may have made it.
                Pending::Write { at, data } if how == 3 => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if rng.bool() {
                            to.write_all_at(sector, at + (n * SECTOR) as u64).unwrap();
                        }
                    }
                }
                write => write.apply(&to),
            }
        }
        fs::copy(&file, &durable).unwrap();
        fs::write(beside(&file, ".pending"), b"").unwrap();
    }
    // Memory, not disk.
    let _ = fs::remove_file(beside(path, "-shm"));
    lost
}

// ── The VFS: SQLite's own, with a note taken of writes and syncs ─────────────

static JOURNALS: Mutex<BTreeMap<PathBuf, Journal>> = Mutex::new(BTreeMap::new());

/// Whether syncs are to be forgotten too: then the loop must fail, or it shows
/// nothing.
fn lying() -> bool {
    static LYING: OnceLock<bool> = OnceLock::new();
    *LYING.get_or_init(|| std::env::var_os("KILL_LYING_DISK").is_some())
}

/// An open file: followed in memory by SQLite's own.
#[repr(C)]
struct Shim {
    base: ffi::sqlite3_file,
    /// Its path, if it is the database or its log; leaked, as there are few.
    path: *const PathBuf,
}

fn with_journal(file: *mut ffi::sqlite3_file, act: impl FnOnce(&mut Journal)) {
    // SAFETY: SQLite hands back only files that `open` has filled in.
    let path = unsafe { (*file.cast::<Shim>()).path.as_ref() };
    if let Some(path) = path {
        let mut journals = JOURNALS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = journals.get_mut(path) {
            act(journal);
        }
    }
}

/// SQLite's own file behind ours.
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` asks for room for both, one after the other.
    unsafe { file.byte_add(size_of::<Shim>()) }
}

macro_rules! pass_on {
    ($($name:ident ( $($arg:ident : $ty:ty),* ) -> $ret:ty;)*) => {$(
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($arg: $ty),*) -> $ret {
            // SAFETY: the very call that SQLite would have made without us.
            unsafe {
                let real = real(file);
                (*(*real).pMethods).$name.expect("SQLite's own VFS has it")(real, $($arg),*)
            }
        }
    )*};
}

pass_on! {
    xClose() -> c_int;
    xRead(to: *mut c_void, len: c_int, at: i64) -> c_int;
    xFileSize(size: *mut i64) -> c_int;
    xLock(level: c_int) -> c_int;
    xUnlock(level: c_int) -> c_int;
    xCheckReservedLock(out: *mut c_int) -> c_int;
    xFileControl(op: c_int, arg: *mut c_void) -> c_int;
    xSectorSize() -> c_int;
    xDeviceCharacteristics() -> c_int;
    xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    xShmBarrier() -> ();
    xShmUnmap(delete: c_int) -> c_int;
}

#[allow(non_snake_case)]
unsafe extern "C" fn xWrite(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `len` bytes at `from`; the rest as in `pass_on`.
    unsafe {
        let data = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(len).unwrap());
        let write = Pending::Write {
            at: u64::try_from(at).unwrap(),
            data: data.to_vec(),
        };
        with_journal(file, |journal| journal.add(&write));
        let real = real(file);
        (*(*real).pMethods).xWrite.expect("it has it")(real, from, len, at)
    }
}

#[allow(non_snake_case)]
unsafe extern "C" fn xTruncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    let cut = Pending::Cut {
        len: u64::try_from(len).unwrap(),
    };
    with_journal(file, |journal| journal.add(&cut));
    // SAFETY: as in `pass_on`.
    unsafe {
        let real = real(file);
        (*(*real).pMethods).xTruncate.expect("it has it")(real, len)
    }
}

#[allow(non_snake_case)]
unsafe extern "C" fn xSync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as in `pass_on`.
    let done = unsafe {
        let real = real(file);
        (*(*real).pMethods).xSync.expect("it has it")(real, flags)
    };
    if done == ffi::SQLITE_OK && !lying() {
        with_journal(file, Journal::synced);
    }
    done
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: with shared memory, without memory-mapped reads.
    iVersion: 2,
    xClose: Some(xClose),
    xRead: Some(xRead),
    xWrite: Some(xWrite),
    xTruncate: Some(xTruncate),
    xSync: Some(xSync),
    xFileSize: Some(xFileSize),
    xLock: Some(xLock),
    xUnlock: Some(xUnlock),
    xCheckReservedLock: Some(xCheckReservedLock),
    xFileControl: Some(xFileControl),
    xSectorSize: Some(xSectorSize),
    xDeviceCharacteristics: Some(xDeviceCharacteristics),
    xShmMap: Some(xShmMap),
    xShmLock: Some(xShmLock),
    xShmBarrier: Some(xShmBarrier),
    xShmUnmap: Some(xShmUnmap),
    xFetch: None,
    xUnfetch: None,
};

/// SQLite's own VFS, below ours.
fn below() -> *mut ffi::sqlite3_vfs {
    static BELOW: OnceLock<usize> = OnceLock::new();
    // SAFETY: a name of no length asks for the default VFS, which lives for ever.
    let find = || unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) } as usize;
    *BELOW.get_or_init(find) as *mut ffi::sqlite3_vfs
}

unsafe fn path_of(name: *const c_char) -> PathBuf {
    // SAFETY: SQLite's file names end in a zero byte.
    let name = unsafe { CStr::from_ptr(name) };
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `file` has room for ours and SQLite's own, as `szOsFile` says.
    unsafe {
        let shim = file.cast::<Shim>();
        (*shim).base.pMethods = ptr::null();
        (*shim).path = ptr::null();
        let opened = (*below()).xOpen.expect("it has it")(below(), name, real(file), flags, out);
        if (*real(file)).pMethods.is_null() {
            return opened;
        }
        (*shim).base.pMethods = &METHODS;
        let kept = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL;
        if opened == ffi::SQLITE_OK && flags & kept != 0 && !name.is_null() {
            let path = path_of(name);
            let mut journals = JOURNALS.lock().unwrap_or_else(PoisonError::into_inner);
            journals
                .entry(path.clone())
                .or_insert_with(|| Journal::of(&path));
            (*shim).path = Box::into_raw(Box::new(path));
        }
        opened
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: the call that SQLite would have made without us.
    let (done, path) = unsafe {
        let done = (*below()).xDelete.expect("it has it")(below(), name, sync);
        (done, path_of(name))
    };
    let mut journals = JOURNALS.lock().unwrap_or_else(PoisonError::into_inner);
    if done == ffi::SQLITE_OK && journals.remove(&path).is_some() {
        let _ = fs::remove_file(beside(&path, ".durable"));
        let _ = fs::remove_file(beside(&path, ".pending"));
    }
    done
}

/// Registers it with SQLite; as the default for all connections of this
/// process, if so wanted.
pub fn register(default: bool) {
    // SAFETY: what is registered is leaked, and so lives for ever; but for what
    // is set here it is SQLite's own, which is never asked to open or delete
    // by another VFS than itself.
    unsafe {
        let mut ours = *below();
        ours.pNext = ptr::null_mut();
        ours.zName = NAME.as_ptr();
        ours.szOsFile += c_int::try_from(size_of::<Shim>()).unwrap();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        let ours = Box::into_raw(Box::new(ours));
        let done = ffi::sqlite3_vfs_register(ours, c_int::from(default));
        assert_eq!(done, ffi::SQLITE_OK);
    }
}

/// How many of 50 commits are left after the power is pulled right behind the
/// last of them.
fn commits_left(synchronous: &str, seed: u64) -> i64 {
    use rusqlite::{Connection, OpenFlags};
    register(false);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite");
    fs::write(&path, b"").unwrap();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn = Connection::open_with_flags_and_vfs(&path, flags, NAME).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.execute_batch("CREATE TABLE t (n INTEGER); PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    conn.pragma_update(None, "synchronous", synchronous)
        .unwrap();
    // Checkpoints in between as well.
    conn.pragma_update(None, "wal_autocheckpoint", 8).unwrap();
    for n in 0..50 {
        conn.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
    }
    // What a dead process leaves: its connection never closes.
    std::mem::forget(conn);
    pull(&path, &mut fastrand::Rng::with_seed(seed));
    let conn = Connection::open(&path).unwrap();
    let sound: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap_or_else(|error| error.to_string());
    if synchronous == "FULL" {
        assert_eq!(sound, "ok");
    }
    conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap_or(-1)
}

#[test]
fn a_pulled_plug_takes_what_was_not_synced_and_nothing_else() {
    for seed in 0..20 {
        assert_eq!(commits_left("FULL", seed), 50, "seed {seed}");
    }
    let least = (0..20).map(|seed| commits_left("OFF", seed)).min();
    assert!(least < Some(50), "the disk forgets nothing: {least:?}");
}

/// Not a test: the daemon of the power loop, in a process of its own that the
/// loop starts and kills.
#[test]
#[ignore = "the power loop starts it"]
fn daemon_on_a_forgetful_disk() {
    let Some(config) = std::env::var_os("KILL_CHILD_CONFIG") else {
        return;
    };
    register(true);
    let loaded = supametas_sync::config::Config::load(Path::new(&config)).unwrap();
    supametas_sync::cli::logging::start(&loaded.config.log).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let options = supametas_sync::daemon::Options::default();
    runtime
        .block_on(supametas_sync::daemon::run(loaded.config, options))
        .unwrap();
}
