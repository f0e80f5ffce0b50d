//! A mount that can stop answering, as a hard-mounted NFS server does that is
//! gone: a FUSE file system of this process with one file in it.
//!
//! While it is silent it does not even read what the kernel asks, so that a
//! process that waits for it can be killed, as one that waits for NFS can.
//! Dropped, it lets go of everybody who waits, with an error.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file is a program of its own and uses a part; a failing unwrap is a failing test"
)]

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// The file in it.
pub const NAME: &str = "nas.txt";
/// Its content.
pub const CONTENT: &[u8] = b"what lies on the mount\n";

/// The mount. Dropping it unmounts it.
pub struct SilentMount {
    at: PathBuf,
    silence: Arc<(Mutex<bool>, Condvar)>,
    gone: Arc<AtomicBool>,
}

impl SilentMount {
    /// Mounts it. `None`, with a word on standard error, where that is not
    /// permitted.
    pub fn at(path: &Path) -> Option<SilentMount> {
        let mounted = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .and_then(|device| mount(path, &device).map(|()| device));
        let device = match mounted {
            Ok(device) => device,
            Err(error) => {
                eprintln!("SKIPPED: no FUSE file system can be mounted here: {error}");
                return None;
            }
        };
        let silence = Arc::new((Mutex::new(false), Condvar::new()));
        let gone = Arc::new(AtomicBool::new(false));
        let served = (Arc::clone(&silence), Arc::clone(&gone));
        std::thread::spawn(move || serve(&device, &served.0, &served.1));
        Some(SilentMount {
            at: path.to_owned(),
            silence,
            gone,
        })
    }

    /// From now on it does not answer, or answers again.
    pub fn silent(&self, silent: bool) {
        *self.silence.0.lock().unwrap() = silent;
        self.silence.1.notify_all();
    }
}

impl Drop for SilentMount {
    fn drop(&mut self) {
        // It must answer to be let go of: the thread closes the device then.
        self.gone.store(true, Ordering::Relaxed);
        self.silent(false);
        let path = c_path(&self.at);
        // SAFETY: a C string and flags.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH | libc::MNT_FORCE) };
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn mount(path: &Path, device: &File) -> std::io::Result<()> {
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
        device.as_raw_fd()
    );
    let (source, kind) = (c"silent", c"fuse.silent");
    let (path, options) = (c_path(path), CString::new(options).unwrap());
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: C strings that outlive the call.
    let done = unsafe {
        libc::mount(
            source.as_ptr(),
            path.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}

fn serve(mut device: &File, silence: &(Mutex<bool>, Condvar), gone: &AtomicBool) {
    let mut request = vec![0; 1 << 18];
    loop {
        let silent = silence.0.lock().unwrap();
        drop(silence.1.wait_while(silent, |silent| *silent).unwrap());
        if gone.load(Ordering::Relaxed) {
            return;
        }
        if !is_asked(device) {
            continue;
        }
        // It ends with an error when it is unmounted.
        let Ok(read) = device.read(&mut request) else {
            return;
        };
        if let Some(answer) = answer(&request[..read]) {
            let _ = device.write_all(&answer);
        }
    }
}

/// Waits a moment for a question, so that silence begins at once.
fn is_asked(device: &File) -> bool {
    let mut asked = libc::pollfd {
        fd: device.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, as the count says.
    unsafe { libc::poll(&raw mut asked, 1, 50) > 0 }
}

/// Numbers of `<linux/fuse.h>`.
mod op {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const BATCH_FORGET: u32 = 42;
}

const ROOT: u64 = 1;
const FILE: u64 = 2;

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// What is answered; nothing to some.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let code = u32::from_ne_bytes(request[4..8].try_into().unwrap());
    let (unique, node, body) = (&request[8..16], number(request, 16), &request[40..]);
    let body: Result<Vec<u8>, i32> = match code {
        op::FORGET | op::BATCH_FORGET => return None,
        op::INIT => Ok(init()),
        op::GETATTR => Ok([&[0; 16], attributes(node).as_slice()].concat()),
        op::LOOKUP if body == [NAME.as_bytes(), &[0]].concat() => {
            let ids = [FILE.to_ne_bytes(), 0u64.to_ne_bytes()].concat();
            Ok([ids.as_slice(), &[0; 24], &attributes(FILE)].concat())
        }
        op::LOOKUP => Err(libc::ENOENT),
        op::OPEN | op::OPENDIR => Ok(vec![0; 16]),
        op::READ => {
            let at = CONTENT.len().min(usize::try_from(number(body, 8)).unwrap());
            Ok(CONTENT[at..].to_vec())
        }
        op::READDIR if number(body, 8) == 0 => Ok(directory()),
        op::READDIR | op::RELEASE | op::RELEASEDIR => Ok(Vec::new()),
        op::STATFS => Ok(vec![0; 80]),
        _ => Err(libc::ENOSYS),
    };
    let (error, body) = match body {
        Ok(body) => (0, body),
        Err(error) => (-error, Vec::new()),
    };
    let len = u32::try_from(16 + body.len()).unwrap();
    Some(
        [
            &len.to_ne_bytes(),
            error.to_ne_bytes().as_slice(),
            unique,
            &body,
        ]
        .concat(),
    )
}

fn init() -> Vec<u8> {
    let mut body = Vec::new();
    for word in [7u32, 31, 1 << 16, 0] {
        body.extend(word.to_ne_bytes());
    }
    body.extend(16u16.to_ne_bytes());
    body.extend(12u16.to_ne_bytes());
    for word in [1u32 << 16, 1] {
        body.extend(word.to_ne_bytes());
    }
    body.resize(64, 0);
    body
}

/// Of the directory or the file: readable for all, with one time for ever.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = match node {
        ROOT => (libc::S_IFDIR | 0o755, 0),
        _ => (libc::S_IFREG | 0o644, CONTENT.len() as u64),
    };
    let time = 1_700_000_000u64;
    let mut body = Vec::new();
    for long in [node, size, 1, time, time, time] {
        body.extend(long.to_ne_bytes());
    }
    for word in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0u32] {
        body.extend(word.to_ne_bytes());
    }
    body
}

fn directory() -> Vec<u8> {
    let mut body = Vec::new();
    for (n, (node, kind, name)) in [
        (ROOT, libc::DT_DIR, "."),
        (ROOT, libc::DT_DIR, ".."),
        (FILE, libc::DT_REG, NAME),
    ]
    .into_iter()
    .enumerate()
    {
        body.extend(node.to_ne_bytes());
        body.extend((n as u64 + 1).to_ne_bytes());
        body.extend(u32::try_from(name.len()).unwrap().to_ne_bytes());
        body.extend(u32::from(kind).to_ne_bytes());
        body.extend(name.as_bytes());
        body.resize(body.len().next_multiple_of(8), 0);
    }
    body
}
